/* What widen.c and widen_blocks.c share. */
#pragma once
#include "runtime/files/files.h"

/* `blocks` whole blocks of a quantised type. */
void widen_blocks(Dtype type, const void *data, int64_t blocks, float *out);
