/* Private to the room: where a stage stands, kept in files (checkpoint.c). */
#pragma once
#include "cli/train/run.h"

/* Whole or absent; the last two stay. */
bool checkpoint_write(Stage *s, Err *err);
/* The newest into s: weights, states, s->at. True where there is none, too; one
 * that is not this stage's, or damaged, is an error. */
bool checkpoint_read(Stage *s, Err *err);
int64_t checkpoint_bytes(const Stage *s); /* of one */
