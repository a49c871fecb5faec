/* What is not defined in an instance: the first result that is no number, of
 * arguments that are. */
#include "compiler/check/trial.h"
#include <math.h>
#include <string.h>

double tensor_bad(const Tensor *t)
{
    for (int64_t i = 0; t && i < t->count; i++)
        if (!isfinite(t->at[i]))
            return t->at[i];
    return 0;
}

static const char *quotient_text(const Tensor *a, const Tensor *b)
{
    for (int64_t i = 0; i < b->count; i++)
        if (b->at[i] == 0)
            for (int64_t j = 0; j < a->count; j++)
                if (a->at[j] == 0)
                    return "0 / 0";
    return "a number / 0";
}

static const char *bad_text(const Node *n, Tensor *const *value)
{
    const Tensor *a = n->arg[0] ? value[n->arg[0]->id] : NULL;
    if (n->op == OP_div)
        return quotient_text(a, value[n->arg[1]->id]);
    if (n->op == OP_pow)
        return "a power that is no number";
    return n->op == OP_mul ? "0 * inf"
                           : intern_printf("%s of %s", op_info[n->op].name,
                                           isnan(tensor_bad(a)) || !a
                                               ? "no number"
                                           : n->op == OP_log ||
                                                   n->op == OP_rsqrt
                                               ? "0 or less"
                                               : "such a number");
}

const char *undefined_text(const Graph *g, RunGraph *run, void *user)
{
    Arena arena = {0};
    Graph all = *g;
    Tensor **value = arena_alloc(&arena, (size_t)(g->node.n + 1) *
                                             sizeof *value);
    Tensor **out = arena_alloc(&arena, (size_t)(g->node.n + 1) * sizeof *out);
    const char *text = NULL;
    all.output.at = NULL, all.output.n = all.output.room = 0;
    all.arena = &arena;
    for (int i = 0; i < g->node.n; i++)
        graph_output(&all, intern_printf("%d", i), g->node.at[i]);
    if (run(user, &all, &arena, out)) {
        for (int i = 0; i < g->node.n; i++)
            value[g->node.at[i]->id] = out[i];
        for (int i = 0; i < g->node.n && !text; i++) {
            const Node *n = g->node.at[i];
            if (n->op != OP_repeat && tensor_bad(value[n->id]))
                text = bad_text(n, value);
        }
    }
    arena_free(&arena);
    return text;
}
