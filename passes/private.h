/* Private to passes/: the passes of passes.def. */
#pragma once
#include "passes/passes.h"

#define PASS(name, what) \
    Graph *pass_##name(const Graph *g, Arena *a, const PassOptions *o);
#include "passes/passes.def"
#undef PASS
