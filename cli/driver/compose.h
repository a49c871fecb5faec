/* Transforms one after the other, as an argument of a command (compose.c). */
#pragma once
#include "cli/driver/loaded.h"

typedef struct {
    const char *name;
    ArgList arg;
} Step;

/* The innermost first; none: the text is one transform's name. */
typedef LIST(Step) Steps;

/* Reads FILE.graft:a(b(m, E: 4), K: 2). *head: what is to be opened,
 * FILE.graft:a. False with err set. */
bool steps_read(Arena *a, const char *text, const char **head, Steps *out,
                Err *err);
