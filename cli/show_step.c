/* A model's training step as one graph: what of it trains, and how. */
#include "cli/show_step.h"
#include "compiler/check/check.h"
#include "compiler/grad/grad.h"
#include <math.h>

typedef struct {
    Arena *arena;
    LIST(const Weight *) learned;
} Learned;

static void find_learned(Learned *l, const Graph *g, const Iteration *pass)
{
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        for (int j = 0; n->repeat && j < n->repeat->n; j++)
            find_learned(l, n->repeat->at[j].body, &n->repeat->at[j]);
        const Weight *w = n->op == OP_learned ? node_weight(n, pass) : NULL;
        for (int j = 0; w && j < l->learned.n; j++)
            if (l->learned.at[j] == w)
                w = NULL;
        if (w)
            list_push(l->arena, &l->learned, w);
    }
}

Graph *show_step(const Model *m, Arena *a, int64_t tokens, Err *err)
{
    Learned l = {.arena = a};
    Graph *g = model_graph_whole(m, a);
    GradOptions o = {.memory = INFINITY, .tokens = tokens};
    GradStep step;
    find_learned(&l, g, NULL);
    o.n = l.learned.n;
    o.weight = l.learned.at;
    if (!o.n) {
        g = model_graph_saved(m, a, true);
        o.n = model_weights(m, &o.weight);
    }
    UpdateOptions *u = arena_alloc(a, ((size_t)o.n + 1) * sizeof *u);
    Parameter *p = arena_alloc(a, ((size_t)o.n + 1) * sizeof *p);
    for (int i = 0; i < o.n; i++) {
        u[i] = (UpdateOptions){.kind = OPTIMIZER_adamw, .beta1 = 0.9,
                               .beta2 = 0.999, .eps = 1e-8,
                               .weights = o.weight[i]->type.dtype,
                               .states = TYPE_f32};
        p[i].weight = o.weight[i];
    }
    o.update = u;
    o.parameter = p;
    return grad_step(a, g, &o, &step, err) ? step.graph : NULL;
}
