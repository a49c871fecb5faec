/* Private to passes/: the passes of passes.def. */
#pragma once
#include "passes/passes.h"

#define PASS(name, what) \
    Graph *pass_##name(const Graph *g, Arena *a, const PassOptions *o);
#include "passes/passes.def"
#undef PASS

/* A copy of g in which each pass of its repeats has the body that `body` gives
 * it. */
typedef Graph *NewBody(const Iteration *pass, void *user);
Graph *graph_rebody(const Graph *g, Arena *a, NewBody *body, void *user);
