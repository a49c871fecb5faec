/* A file of data as a model that runs takes it: token ids with labels,
 * instructions, plain text (examples.c). */
#pragma once
#include "cli/driver/engine.h"

/* Files named .jsonl or .json hold token ids or instructions, as their first
 * record says; others are text, cut into windows of `length` tokens. `style`:
 * of instructions, a style's name or file; NULL: the model's chat template.
 * False with err set: the file cannot be read, an example is wrong, no token is
 * to be predicted. data_free in any case. */
bool examples_open(Engine *e, const char *path, const char *style, int length,
                   Data *out, Err *err);
