/* Room runtime: files, tokenizers, sampling, threads and memory for compiled
 * code. It knows nothing of the compiler. */
#pragma once
#include "runtime/data/data.h"   /* examples to learn from */
#include "runtime/files/files.h" /* checkpoints in and out */
#include "runtime/run/run.h"      /* compiled kernels run by threads */
#include "runtime/tokens/tokens.h" /* text to ids and back, sampling */
