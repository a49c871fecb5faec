/* Private to the room: transforms between the optimiser's steps (after.c). */
#pragma once
#include "cli/train/params.h"

typedef struct After After;
/* The steps' transforms of what the stage trains, as it stands then; NULL with
 * err set: they cannot be applied, or change what does not train. */
After *after_new(Params *p, const RunPlan *plan, const RunSteps *steps,
                 int threads, Err *err);
/* All new values are of the weights as they are before it. */
bool after_step(After *a, Err *err);
void after_free(After *a); /* NULL is fine */
