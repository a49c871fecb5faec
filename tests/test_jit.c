/* Programs against the interpreter: every op but matmuls and attention, odd
 * sizes, vectors that do not fill up. */
#include "tests/program_kit.h"

#define MOST 70 /* tokens */
static const double tight = 2e-6;

typedef struct {
    Kit *k;
    const Dim *T;
} Ctx;

static Ctx begin(void)
{
    return (Ctx){kit_new(MOST), dim_new("T", size_sym("T"))};
}

static Node *x_of(Ctx *c, const char *name, int rank, const Dim *const *dims)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= size_at(dims[i]->size, MOST);
    return given(c->k, name, rank, dims, noise(c->k, n));
}

static void end(Ctx *c, Node *y, double bound)
{
    if (y)
        graph_output(c->k->g, "y", y);
    AGREE(c->k, bound, 1, 2, 17, MOST);
    kit_free(c->k);
}

/* ---- elementwise ---- */

static double bound_of(Op op)
{
    return op == OP_pow ? 1e-5 : op == OP_acos ? 4e-6 : tight;
}

static void row_ops(void **state)
{
    (void)state;
    Ctx c = begin();
    const Dim *D = dim("D", 19);
    Node *a = x_of(&c, "a", DIMS(c.T, D)), *b = x_of(&c, "b", DIMS(c.T, D));
    Node *t = g_map2(c.k->g, OP_lt, a, b);
    Node *pos = g_map1(c.k->g, OP_exp, a);
    for (int op = 0; op < OP_COUNT; op++) {
        if (!op_is_map(op) || op == OP_cast)
            continue;
        Node n = {.op = (Op)op, .arg = {a, b, a}};
        if (op == OP_log || op == OP_sqrt || op == OP_rsqrt || op == OP_pow)
            n.arg[0] = pos;
        if (op == OP_select) {
            n.arg[0] = t;
            n.arg[1] = a;
            n.arg[2] = b;
        }
        for (int i = op_info[op].nargs; i < MAX_ARGS; i++)
            n.arg[i] = NULL;
        c.k->g->output.n = 0;
        graph_output(c.k->g, "y", graph_add(c.k->g, n));
        AGREE(c.k, bound_of((Op)op), 1, 5);
    }
    kit_free(c.k);
}

static void broadcasts(void **state)
{
    (void)state;
    Ctx c = begin();
    Graph *g = c.k->g;
    const Dim *D = dim("D", 33), *H = dim("H", 3);
    Node *x = x_of(&c, "x", DIMS(c.T, H, D)), *m = x_of(&c, "m", DIMS(c.T));
    Node *s = x_of(&c, "s", DIMS(D, H)), *o = x_of(&c, "o", 0, NULL);
    Node *y = g_map2(g, OP_mul, x, m);
    y = g_map2(g, OP_add, y, s);
    end(&c, g_map2(g, OP_sub, y, o), tight);
}

static void tokens_last(void **state)
{
    (void)state;
    Ctx c = begin();
    const Dim *D = dim("D", 5);
    Node *x = x_of(&c, "x", DIMS(D, c.T)), *m = x_of(&c, "m", DIMS(c.T));
    end(&c, g_map2(c.k->g, OP_mul, x, m), tight);
}

static void casts(void **state)
{
    (void)state;
    Ctx c = begin();
    Graph *g = c.k->g;
    const Dim *D = dim("D", 21);
    Node *x = x_of(&c, "x", DIMS(c.T, D));
    graph_output(g, "bf16", g_cast(g, TYPE_bf16, x));
    graph_output(g, "f16", g_cast(g, TYPE_f16, x));
    graph_output(g, "f64", g_cast(g, TYPE_f64, x));
    Node *half = g_cast(g, TYPE_bf16, x);
    end(&c, g_cast(g, TYPE_f32, g_map2(g, OP_mul, half, half)), 0);
}

static void doubles(void **state)
{
    (void)state;
    Ctx c = begin();
    Graph *g = c.k->g;
    const Dim *D = dim("D", 21);
    Node *x = g_cast(g, TYPE_f64, x_of(&c, "x", DIMS(c.T, D)));
    graph_output(g, "sum", g_along(g, OP_sum, x, 1, &D));
    end(&c, g_map1(g, OP_exp, x), 1e-14);
}

static void truth(void **state)
{
    (void)state;
    Ctx c = begin();
    Graph *g = c.k->g;
    const Dim *D = dim("D", 18);
    Node *a = x_of(&c, "a", DIMS(c.T, D)), *b = x_of(&c, "b", DIMS(D));
    Node *lt = g_map2(g, OP_lt, a, b), *ge = g_map2(g, OP_ge, a, b);
    graph_output(g, "lt", lt);
    end(&c, g_map2(g, OP_and, g_map1(g, OP_not, lt), ge), 0);
}

/* ---- along dims ---- */

static void reductions(void **state)
{
    (void)state;
    static const Op op[] = {OP_sum, OP_max, OP_softmax, OP_logsumexp};
    Ctx c = begin();
    const Dim *D = dim("D", 37), *E = dim("E", 3);
    Node *x = x_of(&c, "x", DIMS(c.T, E, D));
    const Dim *over[][2] = {{D, NULL}, {E, NULL}, {c.T, NULL}, {E, D},
                            {c.T, D}};
    for (size_t i = 0; i < COUNT(op); i++)
        for (size_t j = 0; j < COUNT(over); j++) {
            c.k->g->output.n = 0;
            Node *y = g_along(c.k->g, op[i], x, over[j][1] ? 2 : 1, over[j]);
            graph_output(c.k->g, "y", y);
            AGREE(c.k, 1e-5, 1, 9);
        }
    kit_free(c.k);
}

static void long_rows(void **state)
{
    (void)state;
    Ctx c = begin();
    const Dim *D = dim("D", 1003);
    Node *x = x_of(&c, "x", DIMS(c.T, D));
    Node *s = g_along(c.k->g, OP_sum, x, 1, &D);
    graph_output(c.k->g, "s", s);
    end(&c, g_along(c.k->g, OP_softmax, x, 1, &D), 2e-5);
}

static void norm(void **state)
{
    (void)state;
    Ctx c = begin();
    Graph *g = c.k->g;
    const Dim *D = dim("D", 100);
    Node *x = x_of(&c, "x", DIMS(c.T, D));
    Node *scale = weight(c.k, "scale", TYPE_f32, 0, DIMS(D), noise(c.k, 100));
    Node *sum = g_along(g, OP_sum, g_map2(g, OP_mul, x, x), 1, &D);
    Node *mean = g_map2(g, OP_div, sum, g_num(g, TYPE_f32, 100));
    Node *eps = g_num(g, TYPE_f32, 1e-5);
    Node *r = g_map1(g, OP_rsqrt, g_map2(g, OP_add, mean, eps));
    Node *h = g_map2(g, OP_mul, g_map2(g, OP_mul, x, r), scale);
    end(&c, h, 1e-5);
}

/* ---- choosing ---- */

static void topk_of(int E, int K, bool ties)
{
    Ctx c = begin();
    Graph *g = c.k->g;
    const Dim *dE = dim("E", E), *k = dim("k", K);
    double *at = noise(c.k, MOST * E);
    for (int i = 0; ties && i < MOST * E; i++)
        at[i] = i % 7 == 3 ? NAN : floor(at[i] * 3) * 0.0 + floor(at[i] * 3);
    Node *s = given(c.k, "s", DIMS(c.T, dE), at);
    Node n = {.op = OP_topk, .arg = {s}, .ndim = 2, .dim = {dE, k}};
    Node *i = graph_add(g, n);
    graph_output(g, "i", i);
    end(&c, g_gather(g, s, dE, i), tight);
}

static void topk(void **state)
{
    (void)state;
    topk_of(8, 2, false);
    topk_of(33, 7, false);
    topk_of(5, 5, true);
    topk_of(20, 9, true);
    topk_of(3000, 40, false);
}

static void topk_over_tokens(void **state)
{
    (void)state;
    Ctx c = begin();
    Graph *g = c.k->g;
    const Dim *E = dim("E", 4);
    const Dim *C = dim_new("C", size_ceil(size_mul(size_sym("T"),
                                                   size_num(0.4))));
    Node *s = x_of(&c, "s", DIMS(c.T, E)), *x = x_of(&c, "x", DIMS(c.T, E));
    Node n = {.op = OP_topk, .arg = {s}, .ndim = 2, .dim = {c.T, C}};
    Node *i = graph_add(g, n);
    graph_output(g, "i", i);
    Node *v = g_gather(g, x, c.T, i);
    graph_output(g, "v", v);
    Node sc = {.op = OP_scatter, .arg = {v, i}, .ndim = 1, .dim = {c.T}};
    end(&c, graph_add(g, sc), tight);
}

static void largest(void **state)
{
    (void)state;
    Ctx c = begin();
    const Dim *A = dim("A", 13), *B = dim("B", 21);
    Node *x = x_of(&c, "x", DIMS(c.T, A, B));
    const Dim *over[] = {A, B};
    for (int n = 1; n <= 2; n++) {
        Node l = {.op = OP_largest, .arg = {x, g_num(c.k->g, TYPE_f32, 0.7)},
                  .ndim = n, .dim = {over[2 - n], n == 2 ? B : NULL}};
        graph_output(c.k->g, n == 1 ? "one" : "two", graph_add(c.k->g, l));
    }
    end(&c, NULL, 0);
}

static void onehot_and_place(void **state)
{
    (void)state;
    Ctx c = begin();
    const Dim *E = dim("E", 5), *k = dim("k", 3);
    Node *i = given_index(c.k, "i", E, DIMS(c.T, k), indices(c.k, MOST * 3, 5));
    Node h = {.op = OP_onehot, .arg = {i}, .ndim = 1, .dim = {E}};
    Node *hot = graph_add(c.k->g, h);
    Node p = {.op = OP_place, .arg = {i}};
    graph_output(c.k->g, "place", graph_add(c.k->g, p));
    graph_output(c.k->g, "count", g_along(c.k->g, OP_sum, hot, 1, &c.T));
    end(&c, hot, 0);
}

/* ---- moving ---- */

static void moves(void **state)
{
    (void)state;
    Ctx c = begin();
    Graph *g = c.k->g;
    const Dim *H = dim("H", 3), *d = dim("d", 16), *F = dim("F", 48);
    const Dim *Z = dim("Z", 2), *F2 = dim("F2", 48);
    Node *x = x_of(&c, "x", DIMS(c.T, H, d));
    Node f = {.op = OP_flatten, .arg = {x}, .ndim = 3, .dim = {F, H, d}};
    Node *flat = graph_add(g, f);
    graph_output(g, "flat", flat);
    Node o = {.op = OP_order, .arg = {x}, .ndim = 3, .dim = {d, c.T, H}};
    graph_output(g, "order", graph_add(g, o));
    Node s = {.op = OP_slice, .arg = {x}, .ndim = 1, .dim = {H}, .num = 2};
    graph_output(g, "slice", graph_add(g, s));
    Node e = {.op = OP_expand, .arg = {x}, .ndim = 1, .dim = {Z}};
    graph_output(g, "expand", graph_add(g, e));
    Node r = {.op = OP_rename, .arg = {flat}, .ndim = 2, .dim = {F, F2}};
    Node *named = graph_add(g, r);
    Node p = {.op = OP_split, .arg = {named}, .ndim = 4,
              .dim = {F2, dim("a", 4), dim("b", 3), dim("e", 4)}};
    graph_output(g, "split", graph_add(g, p));
    Node p2 = {.op = OP_split, .arg = {named}, .ndim = 3,
               .dim = {F2, dim("a", 3), dim("b", 16)}};
    end(&c, graph_add(g, p2), 0);
}

static void gathers(void **state)
{
    (void)state;
    Ctx c = begin();
    Graph *g = c.k->g;
    const Dim *V = dim("V", 50), *D = dim("D", 24), *k = dim("k", 3);
    Node *table = weight(c.k, "table", TYPE_bf16, 0, DIMS(V, D),
                         noise(c.k, 50 * 24));
    Node *token = given_index(c.k, "token", V, DIMS(c.T),
                              indices(c.k, MOST, 50));
    Node *i = given_index(c.k, "i", D, DIMS(c.T, k),
                          indices(c.k, MOST * 3, 24));
    Node *x = g_gather(g, table, V, token);
    graph_output(g, "x", x);
    graph_output(g, "picked", g_gather(g, x, D, i));
    graph_output(g, "columns", g_gather(g, table, D, i));
    end(&c, g_gather(g, x, c.T, g_num(g, TYPE_i32, 0)), 0.005);
}

static void scatters(void **state)
{
    (void)state;
    Ctx c = begin();
    const Dim *V = dim("V", 6), *D = dim("D", 20), *k = dim("k", 2);
    Node *i = given_index(c.k, "i", V, DIMS(c.T, k), indices(c.k, MOST * 2, 6));
    Node *x = x_of(&c, "x", DIMS(c.T, D, k));
    Node s = {.op = OP_scatter, .arg = {x, i}, .ndim = 1, .dim = {V}};
    end(&c, graph_add(c.k->g, s), 1e-5);
}

/* ---- leaves ---- */

static void leaves(void **state)
{
    (void)state;
    Ctx c = begin();
    Graph *g = c.k->g;
    const Dim *D = dim("D", 30);
    Type td = type_of(TYPE_f32, DIMS(c.T, D)), ti = type_of(TYPE_i32, DIMS(D));
    ti.index_of = D;
    Node u = {.op = OP_uniform, .type = td, .name = intern("u"), .num = 3};
    Node n = {.op = OP_gaussian, .type = td, .name = intern("n")};
    Node i = {.op = OP_iota, .type = ti, .ndim = 1, .dim = {D}};
    Node s = {.op = OP_shuffle, .type = ti, .ndim = 1, .dim = {D}, .num = 5};
    graph_output(g, "u", graph_add(g, u));
    graph_output(g, "n", graph_add(g, n));
    graph_output(g, "i", graph_add(g, i));
    graph_output(g, "s", graph_add(g, s));
    Node *T = g_scalar(g, TYPE_f32, size_sym("T"));
    graph_output(g, "T", T);
    Node flag = {.op = OP_flag, .type.dtype = TYPE_bool,
                 .name = intern("training")};
    Node *x = x_of(&c, "x", DIMS(c.T, D));
    graph_output(g, "same", x);
    graph_output(g, "f", g_select(g, graph_add(g, flag), x,
                                  g_map1(g, OP_neg, x)));
    end(&c, g_map2(g, OP_div, x, T), tight);
}

/* ---- formulas over weights ---- */

static void stacked_formula(void **state)
{
    (void)state;
    Ctx c = begin();
    Graph *g = c.k->g;
    const Dim *E = dim("E", 5), *F = dim("F", 37), *D = dim("D", 129);
    int64_t n = 37 * 129;
    Node *w = weight(c.k, "w", TYPE_bf16, 0, DIMS(F, D), noise(c.k, n));
    Node *we = weight(c.k, "we", TYPE_bf16, 1, DIMS(E, F, D),
                      noise(c.k, 5 * n));
    Node *mix = weight(c.k, "mix", TYPE_f32, 0, DIMS(E), noise(c.k, 5));
    Node *s = g_along(g, OP_softmax, mix, 1, &E);
    Node *m = g_map2(g, OP_mul, g_cast(g, TYPE_f32, we), s);
    Node *sum = g_along(g, OP_sum, m, 1, &E);
    Node *y = g_map2(g, OP_add,
                     g_map2(g, OP_mul, g_num(g, TYPE_f32, 0.75),
                            g_cast(g, TYPE_f32, w)),
                     g_map2(g, OP_mul, g_num(g, TYPE_f32, 0.25), sum));
    graph_output(g, "rounded", g_cast(g, TYPE_bf16, y));
    graph_output(g, "whole", g_along(g, OP_sum, we, 0, NULL));
    end(&c, y, 0.005);
}

static void low_rank(void **state)
{
    (void)state;
    Ctx c = begin();
    Graph *g = c.k->g;
    const Dim *F = dim("F", 33), *D = dim("D", 50), *r = dim("r", 4);
    Node *w = weight(c.k, "w", TYPE_f32, 0, DIMS(F, D), noise(c.k, 33 * 50));
    Node *b = weight(c.k, "b", TYPE_f32, 0, DIMS(F, r), noise(c.k, 33 * 4));
    Node *a = weight(c.k, "a", TYPE_f32, 0, DIMS(r, D), noise(c.k, 4 * 50));
    end(&c, g_map2(g, OP_add, w, g_contract(g, b, a, 1, &r)), tight);
}

/* ---- contracts without a weight ---- */

static void contracts(void **state)
{
    (void)state;
    Ctx c = begin();
    Graph *g = c.k->g;
    const Dim *A = dim("A", 7), *B = dim("B", 18), *K = dim("K", 11);
    Node *x = x_of(&c, "x", DIMS(c.T, A, K));
    Node *y = x_of(&c, "y", DIMS(c.T, K, B));
    Node *z = x_of(&c, "z", DIMS(B, K));
    graph_output(g, "batched", g_contract(g, x, y, 1, &K));
    graph_output(g, "plain", g_contract(g, x, z, 1, &K));
    graph_output(g, "outer", g_contract(g, z, x_of(&c, "v", DIMS(A)), 0, NULL));
    graph_output(g, "dot", g_contract(g, x, x, 3, (const Dim *[]){c.T, A, K}));
    end(&c, g_contract(g, z, z, 1, &B), 2e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_ops),
        cmocka_unit_test(broadcasts),
        cmocka_unit_test(tokens_last),
        cmocka_unit_test(casts),
        cmocka_unit_test(doubles),
        cmocka_unit_test(truth),
        cmocka_unit_test(reductions),
        cmocka_unit_test(long_rows),
        cmocka_unit_test(norm),
        cmocka_unit_test(topk),
        cmocka_unit_test(topk_over_tokens),
        cmocka_unit_test(largest),
        cmocka_unit_test(onehot_and_place),
        cmocka_unit_test(moves),
        cmocka_unit_test(gathers),
        cmocka_unit_test(scatters),
        cmocka_unit_test(leaves),
        cmocka_unit_test(stacked_formula),
        cmocka_unit_test(low_rank),
        cmocka_unit_test(contracts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
