/* Room runtime: files, tokenizers, sampling, threads and memory for compiled
 * code. It knows nothing of the compiler. */
#pragma once
#include "runtime/files.h"     /* checkpoints in and out */
#include "runtime/exec.h"      /* compiled kernels run by threads */
#include "runtime/tokenizer.h" /* text to ids and back, sampling */
