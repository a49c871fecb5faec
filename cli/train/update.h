/* Private to the room: optimisers at work (update.c). */
#pragma once
#include "cli/train/runner.h"
#include "compiler/grad/grad.h"

/* Programs that move parameters, one for all that are alike. */
typedef struct Updates Updates;
/* Gives each parameter that trains its states, all 0. NULL with err set. */
Updates *updates_new(Params *p, const TrainValue *option, const Common *common,
                     Err *err);
/* Step t (from 0): each moves by its gradient at g[i], a double in exact runs,
 * else a float. `clip`: what gradients are multiplied by first. */
bool updates_step(Updates *u, int64_t t, double lr, double clip,
                  void *const *g, Err *err);
void updates_free(Updates *u); /* NULL is fine */
/* What a run must keep, bytes: weights, masters, states. */
int64_t update_bytes(const Param *q, const TrainValue *option, bool exact);
bool keeps_masters(const TrainValue *option);
