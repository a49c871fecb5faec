/* For tests of the kernels level's text: a layer with every kind of line. */
#pragma once
#include "passes/kernels/kernels.h"
#include "tests/layer_kit.h"

/* A norm, swiglu with a residual, routed experts, attention with rope. */
static inline Graph *moe_graph(Ctx *c)
{
    Graph *g = c->g;
    const Dim *E = dim("E", 4), *k = dim("k", 2), *F = dim("F", 24);
    Node *x = x_of(c, "x", DIMS(c->T, c->D));
    Rope *rope = arena_alloc(&c->k->arena, sizeof *rope);
    *rope = (Rope){.theta = 100, .rotary = 4};
    x = g_map2(g, OP_add, x, attention(c, norm(c, x, "n1"), 4, 2, 8, rope,
                                       size_num(7)));
    Node *h = norm(c, x, "n2");
    Node *logit = g_contract(g, h, w_of(c, "router", 0, DIMS(E, c->D), 32), 1,
                             &c->D);
    Node *i = graph_add(g, (Node){.op = OP_topk, .arg = {logit}, .ndim = 2,
                                  .dim = {E, k}, .label = "i"});
    Node *p = g_along(g, OP_softmax, g_gather(g, logit, E, i), 1, &k);
    Node *gate = g_gather(g, w_of(c, "gate", 1, DIMS(E, F, c->D), 32), E, i);
    Node *up = g_gather(g, w_of(c, "up", 1, DIMS(E, F, c->D), 32), E, i);
    Node *down = g_gather(g, w_of(c, "down", 1, DIMS(E, c->D, F), 24), E, i);
    Node *z = g_map2(g, OP_mul,
                     g_map1(g, OP_silu, g_contract(g, h, gate, 1, &c->D)),
                     g_contract(g, h, up, 1, &c->D));
    Node *y = g_contract(g, z, down, 1, &F);
    y = g_map2(g, OP_add, x, g_along(g, OP_sum, g_map2(g, OP_mul, p, y), 1,
                                     &k));
    y->label = "y";
    graph_output(g, "y", y);
    return g;
}

/* Two bodies in turn, then the best tokens of each column, scattered back. */
static inline Graph *repeat_graph(Ctx *c)
{
    Graph *g = c->g;
    const Dim *k = dim("k", 2);
    Node *x = repeated(c, x_of(c, "x", DIMS(c->T, c->D)), dim("F", 32), 4,
                       true);
    Node *i = graph_add(g, (Node){.op = OP_topk, .arg = {x}, .ndim = 2,
                                  .dim = {c->T, k}});
    Node *s = graph_add(g, (Node){.op = OP_scatter, .ndim = 1, .dim = {c->T},
                                  .arg = {g_gather(g, x, c->T, i), i}});
    Node *noise = graph_add(g, (Node){.op = OP_gaussian, .type = x->type,
                                      .name = intern("noise")});
    graph_output(g, "y", g_map2(g, OP_mul, x, noise));
    graph_output(g, "s", s);
    return g;
}

static inline Plan *plan_of(Ctx *c, const Graph *g, bool fused)
{
    const CutOptions o = {.lanes = 8, .vectors = 2, .pair = 2,
                          .on_load = fused, .picks = fused};
    static const PassOptions none;
    return kernels_cut(passes_run(g, &c->k->arena, &none), &c->k->arena, &o);
}

static inline char *text_of(Graph *(*graph)(Ctx *), bool fused)
{
    Ctx c = begin(32, TYPE_f32);
    char *text = kernels_text(plan_of(&c, graph(&c), fused));
    kit_free(c.k);
    return text;
}

static inline const char *kernels_of(const char *text)
{
    const char *at = strstr(text, "\nkernels of ");
    assert_non_null(at);
    return at;
}

/* `was`, which must be there among the kernels, replaced by `by`. */
static inline char *replaced(const char *text, const char *was, const char *by)
{
    const char *at = strstr(kernels_of(text), was);
    if (!at)
        fail_msg("no `%s` in\n%s", was, text);
    size_t head = (size_t)(at - text), size = strlen(text) + strlen(by) + 1;
    char *to = xmalloc(size);
    snprintf(to, size, "%.*s%s%s", (int)head, text, by, at + strlen(was));
    return to;
}

static inline Plan *read_text(Arena *a, const char *text, Diags *d)
{
    Source *src = arena_alloc(a, sizeof *src);
    *src = (Source){"kernels", text, (int)strlen(text), d};
    return kernels_read(a, src);
}
