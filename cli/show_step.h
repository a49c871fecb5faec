/* A model's training step as `show --step` has it. */
#pragma once
#include "compiler/lang/lang.h"

/* Forward, backward and AdamW's updates as one graph: of all weights, or where
 * a transform learns coefficients of these alone. Values of the forward are
 * kept as far as they help in a run of `tokens`. NULL with err set: the model
 * returns no logits. */
Graph *show_step(const Model *m, Arena *a, int64_t tokens, Err *err);
