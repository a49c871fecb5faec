/* For tests: parts of models as graphs: norm, swiglu, attention, experts. */
#pragma once
#include "tests/program_kit.h"

#define MOST 41 /* tokens */

typedef struct {
    Kit *k;
    Graph *g;
    const Dim *T, *D;
    Dtype t;
} Ctx;

static inline Ctx begin(int D, Dtype t)
{
    Kit *k = kit_new(MOST);
    return (Ctx){k, k->g, dim_new("T", size_sym("T")), dim("D", D), t};
}

static inline Node *x_of(Ctx *c, const char *name, int rank,
                         const Dim *const *dims)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= size_at(dims[i]->size, MOST);
    return given(c->k, name, rank, dims, noise(c->k, n));
}

/* Weights as a model's are: sums stay near 1. */
static inline Node *w_of(Ctx *c, const char *name, int stacked, int rank,
                  const Dim *const *dims, int fan)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= size_at(dims[i]->size, 1);
    double *at = noise(c->k, n), s = 1 / sqrt(fan);
    for (int64_t i = 0; i < n; i++) {
        uint64_t cell = 0;
        type_store(c->t, &cell, 0, s * at[i]);
        at[i] = type_load(c->t, &cell, 0);
    }
    return weight(c->k, name, c->t, stacked, rank, dims, at);
}

static inline double bound(const Ctx *c)
{
    return c->t == TYPE_f32 ? 1e-5 : 0.02;
}

static inline void end(Ctx *c, Node *y)
{
    if (y)
        graph_output(c->g, "y", y);
    AGREE(c->k, bound(c), 1, 2, 13, MOST);
    kit_free(c->k);
}

static inline Node *f32_of(Ctx *c, Node *n)
{
    return g_cast(c->g, TYPE_f32, n);
}

/* ---- parts of models ---- */

static inline Node *norm(Ctx *c, Node *x, const char *name)
{
    Graph *g = c->g;
    int D = (int)size_at(c->D->size, 1);
    Node *h = f32_of(c, x);
    Node *sum = g_along(g, OP_sum, g_map2(g, OP_mul, h, h), 1, &c->D);
    Node *mean = g_map2(g, OP_div, sum, g_num(g, TYPE_f32, D));
    Node *r = g_map1(g, OP_rsqrt,
                     g_map2(g, OP_add, mean, g_num(g, TYPE_f32, 1e-5)));
    Node *s = w_of(c, name, 0, DIMS(c->D), 1);
    return g_cast(g, c->t, g_map2(g, OP_mul, g_map2(g, OP_mul, h, r), s));
}

static inline Node *swiglu(Ctx *c, Node *x, const Dim *F)
{
    Graph *g = c->g;
    int D = (int)size_at(c->D->size, 1), f = (int)size_at(F->size, 1);
    Node *gate = w_of(c, "gate", 0, DIMS(F, c->D), D);
    Node *up = w_of(c, "up", 0, DIMS(F, c->D), D);
    Node *down = w_of(c, "down", 0, DIMS(c->D, F), f);
    Node *h = g_map2(g, OP_mul,
                     g_map1(g, OP_silu, g_contract(g, x, gate, 1, &c->D)),
                     g_contract(g, x, up, 1, &c->D));
    return g_contract(g, h, down, 1, &F);
}

static inline Node *attention(Ctx *c, Node *x, int heads, int groups, int size,
                       const Rope *rope, const Size *window)
{
    Graph *g = c->g;
    int D = (int)size_at(c->D->size, 1);
    const Dim *H = dim("H", heads), *G = dim("G", groups);
    const Dim *hd = dim("hd", size);
    Node *q = g_contract(g, x, w_of(c, "q", 0, DIMS(H, hd, c->D), D), 1, &c->D);
    Node *k = g_contract(g, x, w_of(c, "k", 0, DIMS(G, hd, c->D), D), 1, &c->D);
    Node *v = g_contract(g, x, w_of(c, "v", 0, DIMS(G, hd, c->D), D), 1, &c->D);
    if (rope) {
        q = graph_add(g, (Node){.op = OP_rope, .arg = {q}, .rope = rope});
        k = graph_add(g, (Node){.op = OP_rope, .arg = {k}, .rope = rope});
    }
    Node a = {.op = OP_attend, .arg = {q, k, v}, .size = window};
    Node *o = w_of(c, "o", 0, DIMS(c->D, H, hd), heads * size);
    const Dim *over[] = {H, hd};
    return g_contract(g, graph_add(g, a), o, 2, over);
}

typedef enum { ROUTE_spread, ROUTE_one, ROUTE_given } Routing;

/* Indices of k experts for each token; *a: their shares. */
static inline Node *router(Ctx *c, Node *x, const Dim *E, const Dim *k,
                           Routing how, Node **a)
{
    Graph *g = c->g;
    int D = (int)size_at(c->D->size, 1);
    Node *w = w_of(c, "router", 0, DIMS(E, c->D), D);
    Node *s = g_contract(g, f32_of(c, x), w, 1, &c->D);
    if (how == ROUTE_one) { /* every token likes the same experts */
        int n = (int)size_at(E->size, 1);
        double *bias = arena_alloc(&c->k->arena, (size_t)n * sizeof *bias);
        bias[n - 1] = 50, bias[0] = 49;
        s = g_map2(g, OP_add, s,
                   weight(c->k, "bias", TYPE_f32, 0, DIMS(E), bias));
    }
    s = g_along(g, OP_softmax, f32_of(c, s), 1, &E);
    Node t = {.op = OP_topk, .arg = {s}, .ndim = 2, .dim = {E, k}};
    Node *i = graph_add(g, t);
    *a = g_gather(g, s, E, i);
    return i;
}

static inline Node *experts(Ctx *c, Node *x, Node *i, const Dim *E,
                            const Dim *F)
{
    Graph *g = c->g;
    int D = (int)size_at(c->D->size, 1), f = (int)size_at(F->size, 1);
    Node *gate = w_of(c, "experts.gate", 1, DIMS(E, F, c->D), D);
    Node *up = w_of(c, "experts.up", 1, DIMS(E, F, c->D), D);
    Node *down = w_of(c, "experts.down", 1, DIMS(E, c->D, F), f);
    Node *h1 = g_contract(g, x, g_gather(g, gate, E, i), 1, &c->D);
    Node *h2 = g_contract(g, x, g_gather(g, up, E, i), 1, &c->D);
    Node *h = g_map2(g, OP_mul, g_map1(g, OP_silu, h1), h2);
    return g_contract(g, h, g_gather(g, down, E, i), 1, &F);
}

/* ---- repeated layers ---- */

typedef struct {
    Graph *body;
    int nslots;
} Body;

static inline Node *slot(Body *b, int rank, const Dim *const *dims)
{
    Node n = {.op = OP_weight, .slot = ++b->nslots,
              .type = type_of(TYPE_f32, rank, dims)};
    return graph_add(b->body, n);
}

/* x + silu(x @ up + b) @ down, and for attention a head of all of D. */
static inline Graph *layer_body(Ctx *c, const Dim *F, bool attends)
{
    Body b = {graph_new(&c->k->arena, attends ? "block" : "layer"), 0};
    Graph *g = b.body;
    Node *x = graph_add(g, (Node){.op = OP_input, .name = intern("x"),
                                  .type = type_of(TYPE_f32, DIMS(c->T, c->D))});
    Node *h = g_contract(g, x, slot(&b, DIMS(F, c->D)), 1, &c->D);
    h = g_map1(g, OP_silu, g_map2(g, OP_add, h, slot(&b, DIMS(F))));
    Node *y = g_contract(g, h, slot(&b, DIMS(c->D, F)), 1, &F);
    if (attends) {
        const Dim *H = dim("H", 1);
        Node s = {.op = OP_split, .arg = {y}, .ndim = 3, .dim = {c->D, H, F}};
        Node *q = graph_add(g, s);
        Node a = {.op = OP_attend, .arg = {q, q, q}};
        Node f = {.op = OP_flatten, .arg = {graph_add(g, a)}, .ndim = 3,
                  .dim = {c->D, H, F}};
        y = graph_add(g, f);
    }
    graph_output(g, "y", g_map2(g, OP_add, x, y));
    g->nslots = b.nslots;
    return g;
}

static inline Node *repeated(Ctx *c, Node *x, const Dim *F, int n, bool attends)
{
    Graph *body[] = {layer_body(c, F, false),
                     attends ? layer_body(c, F, true) : NULL};
    int f = (int)size_at(F->size, 1), D = (int)size_at(c->D->size, 1);
    Repeat *r = arena_alloc(&c->k->arena, sizeof *r);
    r->n = n;
    r->at = arena_alloc(&c->k->arena, (size_t)n * sizeof *r->at + 1);
    for (int i = 0; i < n; i++) {
        const Weight **w = arena_alloc(&c->k->arena, 3 * sizeof *w);
        w[0] = w_of(c, intern_printf("up%d", i), 0, DIMS(F, c->D), D)->weight;
        w[1] = w_of(c, intern_printf("b%d", i), 0, DIMS(F), 1)->weight;
        w[2] = w_of(c, intern_printf("down%d", i), 0, DIMS(c->D, F), f)->weight;
        r->at[i] = (Iteration){body[attends && i % 2], w};
    }
    return graph_add(c->g, (Node){.op = OP_repeat, .arg = {x}, .repeat = r});
}
