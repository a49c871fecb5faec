/* Weights that are parts of a file's tensors, read and written (parts.c,
 * parts_write.c). */
#pragma once
#include "cli/driver/loaded.h"

/* Of one of w's tensors, which has a part: what it is of a whole, and of which.
 * `index` counts the stacked dims. */
TensorPart part_of(const Weight *w, int64_t index);
const char *part_whole(const Weight *w, int64_t index); /* interned */

/* The checkpoint's tensors as the model's weights name them. False with err
 * set: a tensor is absent, or not all of it is read, or some of it twice. */
bool parts_open(Loaded *l, Err *err);
