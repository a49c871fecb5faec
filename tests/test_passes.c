/* Graph passes and the cut: what goes, what is fused, how many kernels. */
#include "passes/kernels/kernels.h"
#include "passes/private.h"
#include "tests/graph_kit.h"

typedef struct {
    Arena arena;
    Graph *g;
    const Dim *T, *D, *F, *E, *k;
} Ctx;

static Ctx begin(void)
{
    Ctx c = {.T = dim_new("T", size_sym("T")), .D = dim("D", 64),
             .F = dim("F", 96), .E = dim("E", 8), .k = dim("k", 2)};
    return c;
}

static Graph *graph_of(Ctx *c)
{
    if (!c->g)
        c->g = graph_new(&c->arena, "test");
    return c->g;
}

static Node *in(Ctx *c, const char *name, int n, const Dim *const *d)
{
    return graph_add(graph_of(c), (Node){.op = OP_input, .name = intern(name),
                                         .type = type_of(TYPE_f32, n, d)});
}

static Node *w(Ctx *c, const char *name, int n, const Dim *const *d)
{
    Weight *x = arena_alloc(&c->arena, sizeof *x);
    *x = (Weight){.path = intern(name), .file = intern(name),
                  .type = type_of(TYPE_f32, n, d)};
    return g_weight(graph_of(c), x);
}

static Node *num(Ctx *c, double v)
{
    return g_num(graph_of(c), TYPE_f32, v);
}

static Node *norm(Ctx *c, Node *x)
{
    Graph *g = graph_of(c);
    Node *s = g_along(g, OP_sum, g_map2(g, OP_mul, x, x), 1, &c->D);
    Node *m = g_map2(g, OP_add, g_map2(g, OP_div, s, num(c, 64)),
                     num(c, 1e-5));
    return g_map2(g, OP_mul, g_map2(g, OP_mul, x, g_map1(g, OP_rsqrt, m)),
                  w(c, "scale", 1, &c->D));
}

static Node *swiglu(Ctx *c, Node *x, Node *i)
{
    Graph *g = graph_of(c);
    Node *weight[3];
    const Dim *up[] = {c->E, c->F, c->D}, *down[] = {c->E, c->D, c->F};
    for (int j = 0; j < 3; j++) {
        weight[j] = w(c, intern_printf("w%d%s", j, i ? "e" : ""), 2 + !!i,
                      (j == 2 ? down : up) + !i);
        if (i)
            weight[j] = g_gather(g, weight[j], c->E, i);
    }
    Node *h = g_map1(g, OP_silu, g_contract(g, x, weight[0], 1, &c->D));
    h = g_map2(g, OP_mul, h, g_contract(g, x, weight[1], 1, &c->D));
    return g_contract(g, h, weight[2], 1, &c->F);
}

static Plan *cut(Ctx *c, Node *y, const PassOptions *o)
{
    static const CutOptions co = {.lanes = 16, .vectors = 4, .pair = 2,
                                  .on_load = true, .picks = true};
    static const PassOptions none;
    if (y)
        graph_output(graph_of(c), "y", y);
    return kernels_cut(passes_run(graph_of(c), &c->arena, o ? o : &none),
                       &c->arena, &co);
}

/* "map matmul map": the kernels in order. */
static void assert_kernels(const Plan *p, const char *want)
{
    static const char *const name[] = {"map", "matmul", "grouped", "route",
                                       "attend", "scatter", "call", "repeat"};
    char text[400] = "";
    for (int i = 0; i < p->kernel.n; i++)
        sprintf(text + strlen(text), "%s%s", i ? " " : "",
                name[p->kernel.at[i]->skeleton]);
    assert_string_equal(text, want);
}

static void end(Ctx *c)
{
    arena_free(&c->arena);
}

/* ---- the cut ---- */

static void norm_is_one_kernel(void **state)
{
    (void)state;
    Ctx c = begin();
    Plan *p = cut(&c, norm(&c, in(&c, "x", DIMS(c.T, c.D))), NULL);
    assert_kernels(p, "map");
    assert_int_equal(p->kernel.at[0]->map.nrow, 1);
    assert_null(p->kernel.at[0]->map.vec);
    end(&c);
}

static void layer_is_three(void **state)
{
    (void)state;
    Ctx c = begin();
    Node *x = in(&c, "x", DIMS(c.T, c.D));
    Node *y = g_map2(c.g, OP_add, x, swiglu(&c, norm(&c, x), NULL));
    Plan *p = cut(&c, y, NULL);
    assert_kernels(p, "matmul matmul"); /* the norm on load */
    const Matmul *up = &p->kernel.at[0]->matmul;
    assert_int_equal(up->nparts, 1);
    assert_int_equal(up->part[0].w->pack.parts, 2);
    assert_int_equal(up->part[0].w->pack.cols, 32);
    assert_int_equal(p->kernel.at[1]->matmul.part[0].w->pack.cols, 64);
    end(&c);
}

static void one_x_is_one_kernel(void **state)
{
    (void)state;
    Ctx c = begin();
    Node *x = in(&c, "x", DIMS(c.T, c.D));
    for (int i = 0; i < 5; i++) {
        const Dim *N = dim("N", 10 + i);
        const char *name = intern_printf("y%d", i);
        Node *y = g_contract(c.g, x, w(&c, name, DIMS(N, c.D)), 1, &c.D);
        graph_output(c.g, name, y);
    }
    Plan *p = cut(&c, NULL, NULL);
    assert_kernels(p, "matmul");
    assert_int_equal(p->kernel.at[0]->matmul.nparts, 5);
    end(&c);
}

/* A norm that another kernel reads too is stored once for both. */
static void shared_rows_are_stored(void **state)
{
    (void)state;
    Ctx c = begin();
    Node *x = norm(&c, in(&c, "x", DIMS(c.T, c.D)));
    Node *y = g_map2(c.g, OP_add, x, swiglu(&c, x, NULL));
    assert_kernels(cut(&c, y, NULL), "map matmul matmul");
    end(&c);
    c = begin();
    const Dim *few = dim("few", 3); /* of columns: not worth it */
    x = norm(&c, in(&c, "x", DIMS(c.T, c.D)));
    y = g_contract(c.g, x, w(&c, "few", DIMS(few, c.D)), 1, &c.D);
    assert_kernels(cut(&c, y, NULL), "map matmul");
    end(&c);
}

/* b reads a's result, so both cannot be one kernel though both read x. */
static void no_circle(void **state)
{
    (void)state;
    Ctx c = begin();
    const Dim *N = dim("N", 64);
    Node *x = in(&c, "x", DIMS(c.T, c.D));
    Node *a = g_contract(c.g, x, w(&c, "a", DIMS(N, c.D)), 1, &c.D);
    Node *s = g_along(c.g, OP_softmax, a, 1, &N);
    Node *d = g_contract(c.g, s, w(&c, "d", DIMS(c.D, N)), 1, &N);
    Node *b = g_contract(c.g, x, w(&c, "b", DIMS(c.F, c.D)), 1, &c.D);
    graph_output(c.g, "z", g_contract(c.g, d, w(&c, "e", DIMS(c.F, c.D)), 1,
                                      &c.D));
    Plan *p = cut(&c, b, NULL);
    int matmuls = 0;
    for (int i = 0; i < p->kernel.n; i++)
        matmuls += p->kernel.at[i]->skeleton == SKEL_matmul;
    assert_int_equal(matmuls, 3); /* a with b, d, e */
    end(&c);
}

static void moe_kernels(void **state)
{
    (void)state;
    Ctx c = begin();
    Node *x = in(&c, "x", DIMS(c.T, c.D));
    Graph *g = c.g;
    Node *s = g_contract(g, x, w(&c, "router", DIMS(c.E, c.D)), 1, &c.D);
    s = g_along(g, OP_softmax, s, 1, &c.E);
    Node *i = graph_add(g, (Node){.op = OP_topk, .arg = {s}, .ndim = 2,
                                  .dim = {c.E, c.k}});
    Node *a = g_gather(g, s, c.E, i), *top = g_along(g, OP_max, a, 1, &c.k);
    Node *wt = g_map2(g, OP_mul, g_along(g, OP_softmax, a, 1, &c.k), top);
    Node *y = g_along(g, OP_sum, g_map2(g, OP_mul, wt, swiglu(&c, x, i)), 1,
                      &c.k);
    Node *rest = g_map2(g, OP_sub, num(&c, 1), top);
    y = g_map2(g, OP_add, g_map2(g, OP_mul, rest, swiglu(&c, x, NULL)), y);
    Plan *p = cut(&c, y, NULL);
    int maps = 0, grouped = 0, routes = 0, matmuls = 0;
    for (int j = 0; j < p->kernel.n; j++) {
        Skeleton sk = p->kernel.at[j]->skeleton;
        maps += sk == SKEL_map;
        grouped += sk == SKEL_grouped;
        routes += sk == SKEL_route;
        matmuls += sk == SKEL_matmul;
    }
    assert_int_equal(grouped, 2); /* gate and up with silu; down, weighted */
    assert_int_equal(routes, 1); /* softmax, topk, weights, counts, offsets */
    assert_int_equal(matmuls, 2); /* router with the shared gate and up; down */
    assert_int_equal(maps, 1);    /* the sum over k */
    end(&c);
}

/* A matmul that could run before the route waits to run beside it. */
static void route_is_not_alone(void **state)
{
    (void)state;
    Ctx c = begin();
    Node *x = in(&c, "x", DIMS(c.T, c.D));
    Graph *g = c.g;
    Node *s = g_contract(g, x, w(&c, "router", DIMS(c.E, c.D)), 1, &c.D);
    Node *i = graph_add(g, (Node){.op = OP_topk, .arg = {s}, .ndim = 2,
                                  .dim = {c.E, c.k}});
    graph_output(g, "shared", swiglu(&c, x, NULL));
    Plan *p = cut(&c, g_along(g, OP_sum, swiglu(&c, x, i), 1, &c.k), NULL);
    assert_kernels(p, "matmul route matmul grouped grouped map");
    assert_int_equal(p->kernel.at[1]->level, p->kernel.at[2]->level);
    end(&c);
}

static void formula_is_one_pass(void **state)
{
    (void)state;
    Ctx c = begin();
    Node *mix = w(&c, "mix", DIMS(c.E)), *we = w(&c, "we", DIMS(c.E, c.F, c.D));
    Graph *g = c.g;
    Node *m = g_map2(g, OP_mul, g_along(g, OP_softmax, mix, 1, &c.E), we);
    Node *sum = g_along(g, OP_sum, m, 1, &c.E);
    Node *y = g_map2(g, OP_add,
                     g_map2(g, OP_mul, num(&c, 0.75),
                            w(&c, "w", DIMS(c.F, c.D))),
                     g_map2(g, OP_mul, num(&c, 0.25), sum));
    Plan *p = cut(&c, y, NULL);
    assert_kernels(p, "map map");
    assert_ptr_equal(p->kernel.at[1]->map.vec, c.D);
    end(&c);
}

static void values_share_memory(void **state)
{
    (void)state;
    Ctx c = begin();
    Node *x = in(&c, "x", DIMS(c.T, c.D));
    for (int i = 0; i < 3; i++)
        x = g_map2(c.g, OP_add, x, swiglu(&c, norm(&c, x), NULL));
    Plan *p = cut(&c, x, NULL);
    for (int i = 0; i < p->buffer.n; i++) {
        const Buffer *b = p->buffer.at[i];
        if (b->kind == BUF_value)
            assert_true(b->first >= 0 && b->last > b->first);
    }
    end(&c);
}

/* ---- passes ---- */

typedef Graph *Rewrite(const Graph *, Arena *, const PassOptions *);

static void assert_becomes(Ctx *c, Rewrite *rewrite, Node *from,
                           const Node *want, const PassOptions *o)
{
    static const PassOptions none;
    c->g->output.n = 0;
    graph_output(c->g, "y", from);
    Graph *g = rewrite(c->g, &c->arena, o ? o : &none);
    c->g->output.n = 0;
    graph_output(c->g, "y", (Node *)want);
    assert_true(graph_hash(g) == graph_hash(graph_map(c->g, &c->arena, NULL,
                                                      NULL)));
}

/* The pass alone: the rules of proofs would do more. */
static Graph *simplified(const Graph *g, Arena *a, const PassOptions *o)
{
    return graph_map(pass_simplify(g, a, o), a, NULL, NULL);
}

static void assert_simple(Ctx *c, Node *from, const Node *want,
                          const PassOptions *o)
{
    assert_becomes(c, simplified, from, want, o);
}

/* Shared work out of the experts' sum, by the rules that prove it. */
static void proofs_make_cheaper(void **state)
{
    (void)state;
    Ctx c = begin();
    Node *h = in(&c, "h", DIMS(c.T, c.D)), *a = in(&c, "a", DIMS(c.T, c.k));
    Graph *g = c.g;
    Node *p = g_along(g, OP_softmax, a, 1, &c.k);
    Node *y = g_along(g, OP_sum, g_map2(g, OP_mul, p, h), 1, &c.k);
    assert_becomes(&c, passes_run, y, h, NULL);
    end(&c);
}

static void simple_rules(void **state)
{
    (void)state;
    Ctx c = begin();
    Node *x = in(&c, "x", DIMS(c.T, c.D));
    Graph *g = c.g;
    Node *one = num(&c, 1), *zero = num(&c, 0), *m = in(&c, "m", DIMS(c.T));
    assert_simple(&c, g_map2(g, OP_mul, x, one), x, NULL);
    assert_simple(&c, g_map2(g, OP_mul, one, x), x, NULL);
    assert_simple(&c, g_map2(g, OP_div, x, one), x, NULL);
    assert_simple(&c, g_map2(g, OP_add, zero, x), x, NULL);
    assert_simple(&c, g_map2(g, OP_sub, x, zero), x, NULL);
    assert_simple(&c, g_map1(g, OP_stop, x), x, NULL);
    assert_simple(&c, g_map2(g, OP_sub, zero, x), g_map2(g, OP_sub, zero, x),
                  NULL);
    Node *two = g_map2(g, OP_add, one, one);
    assert_simple(&c, g_map2(g, OP_mul, x, two),
                  g_map2(g, OP_mul, x, num(&c, 2)), NULL);
    Node e = {.op = OP_expand, .arg = {m}, .ndim = 1, .dim = {c.D}};
    assert_simple(&c, g_map2(g, OP_mul, x, graph_add(g, e)),
                  g_map2(g, OP_mul, x, m), NULL);
    /* m + expanded 0 has dims that m lacks: it stays */
    e.arg[0] = zero;
    Node *wide = g_map2(g, OP_add, m, graph_add(g, e));
    assert_simple(&c, wide, wide, NULL);
    end(&c);
}

static void training_is_known(void **state)
{
    (void)state;
    Ctx c = begin();
    Node *x = in(&c, "x", DIMS(c.T, c.D)), *y = in(&c, "z", DIMS(c.T, c.D));
    Node *f = graph_add(c.g, (Node){.op = OP_flag, .type.dtype = TYPE_bool,
                                    .name = intern("training")});
    Node *s = g_select(c.g, f, x, y);
    assert_simple(&c, s, y, NULL);
    assert_simple(&c, s, x, &(PassOptions){.training = true});
    Node *narrow = g_cast(c.g, TYPE_bf16, y); /* a branch of another type */
    assert_simple(&c, g_select(c.g, f, x, narrow),
                  g_cast(c.g, TYPE_f32, narrow), NULL);
    end(&c);
}

/* The head of the last token is a matmul of one row, its norm too. */
static void last_row_first(void **state)
{
    (void)state;
    Ctx c = begin();
    const Dim *V = dim("V", 500);
    Node *x = in(&c, "x", DIMS(c.T, c.D));
    Node *y = g_contract(c.g, norm(&c, x), w(&c, "head", DIMS(V, c.D)), 1,
                         &c.D);
    Plan *p = cut(&c, y, &(PassOptions){.last_only = true});
    assert_kernels(p, "matmul");
    assert_int_equal(p->kernel.at[0]->matmul.nm, 0);
    end(&c);
}

static void text_of_kernels(void **state)
{
    (void)state;
    Ctx c = begin();
    Node *x = in(&c, "x", DIMS(c.T, c.D));
    Plan *p = cut(&c, g_map2(c.g, OP_add, x, swiglu(&c, norm(&c, x), NULL)),
                  NULL);
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    kernels_print(p, out);
    fclose(out);
    assert_non_null(strstr(text, "matmul rows [T] of"));
    assert_non_null(strstr(text, "weights w0 | w1 for <"));
    assert_non_null(strstr(text, "> as f32 [][F]/32[D]\n"));
    assert_non_null(strstr(text, "mul(silu(<"));
    free(text);
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norm_is_one_kernel),
        cmocka_unit_test(layer_is_three),
        cmocka_unit_test(one_x_is_one_kernel),
        cmocka_unit_test(shared_rows_are_stored),
        cmocka_unit_test(no_circle),
        cmocka_unit_test(moe_kernels),
        cmocka_unit_test(route_is_not_alone),
        cmocka_unit_test(formula_is_one_pass),
        cmocka_unit_test(values_share_memory),
        cmocka_unit_test(proofs_make_cheaper),
        cmocka_unit_test(simple_rules),
        cmocka_unit_test(training_is_known),
        cmocka_unit_test(last_row_first),
        cmocka_unit_test(text_of_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
