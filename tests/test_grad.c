/* Gradients of ops against central differences. */
#include "tests/grad_kit.h"

/* ---- elementwise: every row of the table ---- */

/* Where all of them are smooth: a in (0.2, 0.9), b and c beside it. */
static double *between(Kit *k, int n, double low, double high)
{
    double *at = noise(k, n);
    for (int i = 0; i < n; i++)
        at[i] = low + (high - low) * (at[i] + 1) / 2;
    return at;
}

static void of_map(Op op, double low, double high)
{
    const OpInfo *info = &op_info[op];
    Under u = under(1);
    const Dim *A = dim("A", 3), *B = dim("B", 4);
    const Dim *dims[] = {A, B};
    Node n = {.op = op};
    for (int i = 0; i < info->nargs; i++) {
        /* the second lacks a dim, the third stands the other way */
        const Dim *turned[] = {B, A};
        Type t = type_of(TYPE_f32, i == 1 ? 1 : 2, i == 2 ? turned : dims);
        n.arg[i] = moving_at(&u, t, between(u.k, (int)type_count(&t, 1), low,
                                            high));
    }
    if (info->flags & HAS_num)
        n.num = TYPE_f32;
    if (op == OP_select)
        for (int i = 0; i < 12; i++)
            u.at[0][i] = i % 2;
    check(&u, info->name, graph_add(u.k->g, n), info->flows_to);
    kit_free(u.k);
}

static void maps(void **state)
{
    (void)state;
    for (int op = 0; op < OP_COUNT; op++) {
        if (!op_is_map((Op)op))
            continue;
        of_map((Op)op, 0.2, 0.9);
        bool anywhere = op != OP_log && op != OP_sqrt && op != OP_rsqrt &&
                        op != OP_pow;
        if (anywhere)
            of_map((Op)op, -0.9, -0.2);
    }
}

/* Where a power's base is 0 its exponent's gradient is 0, not NaN. */
static void power_at_0(void **state)
{
    (void)state;
    Under u = under(1);
    double x = 0, p = 2, one = 1;
    Node *a = moving_at(&u, type_of(TYPE_f32, 0, NULL), &x),
         *b = moving_at(&u, type_of(TYPE_f32, 0, NULL), &p);
    Node *y = g_map2(u.k->g, OP_pow, a, b);
    Back back = {.g = u.k->g, .trained = is_moving, .user = &u};
    back_begin(&back);
    back_give(&back, y, g_num(u.k->g, TYPE_f32, one));
    back_run(&back);
    double zero = 0;
    assert_near(value_of(u.k, back.sum[a->id]), &zero, 1);
    assert_near(value_of(u.k, back.sum[b->id]), &zero, 1);
    kit_free(u.k);
}

/* ---- along dims ---- */

static void along(void **state)
{
    (void)state;
    static const Op op[] = {OP_sum, OP_max, OP_softmax, OP_logsumexp};
    for (size_t i = 0; i < COUNT(op); i++)
        for (int ndim = 0; ndim <= 3; ndim++) {
            Under u = under(1);
            const Dim *d[] = {dim("A", 3), dim("B", 4), dim("C", 2)};
            const Dim *over[] = {d[2], d[0], d[1]};
            Node *a = moving(&u, 3, d);
            check(&u, op_info[op[i]].name,
                  g_along(u.k->g, op[i], a, ndim, over), "a");
            kit_free(u.k);
        }
    for (int i = 0; i < 3; i++) {
        Under u = under(1);
        const Dim *d[] = {dim("A", 3), dim("B", 4), dim("C", 1)};
        Node *a = moving(&u, 3, d);
        check(&u, "cumsum", g_along(u.k->g, OP_cumsum, a, 1, &d[i]), "a");
        kit_free(u.k);
    }
}

/* Of equals the first gets all of it. */
static void max_of_equals(void **state)
{
    (void)state;
    Under u = under(1);
    double at[] = {1, 3, 3, 2, 2, 2}, want[] = {0, 1, 0, 1, 0, 0};
    const Dim *d[] = {dim("A", 2), dim("B", 3)};
    Node *a = moving_at(&u, type_of(TYPE_f32, 2, d), at);
    Node *y = g_along(u.k->g, OP_max, a, 1, &d[1]);
    Back b = {.g = u.k->g, .trained = is_moving, .user = &u};
    back_begin(&b);
    back_give(&b, y, g_num(u.k->g, TYPE_f32, 1));
    back_run(&b);
    assert_near(value_of(u.k, b.sum[a->id]), want, 6);
    kit_free(u.k);
}

static void nothing_flows(void **state)
{
    (void)state;
    Under u = under(1);
    const Dim *d[] = {dim("A", 3), dim("B", 4)}, *K = dim("K", 2);
    const Dim *top[] = {d[1], K};
    Node *a = moving(&u, 2, d);
    Node *i = g_along(u.k->g, OP_topk, a, 2, top);
    check(&u, "onehot of topk", g_along(u.k->g, OP_onehot, i, 1, &d[1]), "");
    Under v = under(1);
    check(&v, "rank", g_along(v.k->g, OP_rank, moving(&v, 2, d), 2, d), "");
    kit_free(u.k);
    kit_free(v.k);
}

/* ---- moving ---- */

static void moves(void **state)
{
    (void)state;
    const Dim *A = dim("A", 3), *B = dim("B", 4), *C = dim("C", 6),
              *P = dim("P", 2), *Q = dim("Q", 3);
    const Dim *ac[] = {A, C}, *ca[] = {C, A}, *bac[] = {B},
              *cpq[] = {C, P, Q}, *cb[] = {C, dim("N", 6)};
    Under u = under(1);
    Graph *g = u.k->g;
    check(&u, "order", g_along(g, OP_order, moving(&u, 2, ac), 2, ca), "a");
    kit_free(u.k);
    u = under(1);
    g = u.k->g;
    check(&u, "expand", g_along(g, OP_expand, moving(&u, 2, ac), 1, bac), "a");
    kit_free(u.k);
    u = under(1);
    g = u.k->g;
    Node *split = g_along(g, OP_split, moving(&u, 2, ac), 3, cpq);
    check(&u, "split", split, "a");
    kit_free(u.k);
    u = under(1);
    g = u.k->g;
    const Dim *pqa[] = {P, Q, A};
    check(&u, "flatten", g_along(g, OP_flatten, moving(&u, 3, pqa), 3, cpq),
          "a");
    kit_free(u.k);
    u = under(1);
    g = u.k->g;
    check(&u, "rename", g_along(g, OP_rename, moving(&u, 2, ac), 2, cb), "a");
    kit_free(u.k);
    for (int at = 0; at < 3; at++) {
        u = under(1);
        Node slice = {.op = OP_slice, .arg = {moving(&u, 2, ac)}, .ndim = 1,
                      .dim = {A}, .num = at};
        check(&u, "slice", graph_add(u.k->g, slice), "a");
        kit_free(u.k);
    }
}

static void cuts_and_joins(void **state)
{
    (void)state;
    static const struct {
        int from, size;
    } row[] = {{0, 2}, {1, 3}, {3, 3}, {0, 6}};
    const Dim *A = dim("A", 3), *C = dim("C", 6);
    const Dim *ac[] = {A, C};
    for (size_t i = 0; i < COUNT(row); i++) {
        Under u = under(1);
        Node cut = {.op = OP_cut, .arg = {moving(&u, 2, ac)}, .ndim = 2,
                    .dim = {C, dim("part", row[i].size)},
                    .size = size_num(row[i].from)};
        check(&u, "cut", graph_add(u.k->g, cut), "a");
        kit_free(u.k);
    }
    Under u = under(1);
    const Dim *B = dim("B", 2), *S = dim("S", 8), *ba[] = {B, A};
    Node join = {.op = OP_join, .ndim = 3, .dim = {C, B, S}};
    join.arg[0] = moving(&u, 2, ac);
    join.arg[1] = moving(&u, 2, ba);
    check(&u, "join", graph_add(u.k->g, join), "ab");
    kit_free(u.k);
}

static void gathers(void **state)
{
    (void)state;
    const Dim *A = dim("A", 3), *C = dim("C", 5), *k = dim("k", 2),
              *N = dim("N", 4);
    const Dim *ac[] = {A, C}, *nk[] = {N, k}, *ak[] = {A, k}, *a[] = {A},
              *c[] = {C};
    const struct {
        int rank;
        const Dim *const *dims;
        int count;
    } row[] = {{0, NULL, 1}, {2, nk, 8}, {2, ak, 6}, {1, a, 3}, {1, c, 5}};
    for (size_t i = 0; i < COUNT(row); i++) {
        Under u = under(1);
        Node *index = given_index(u.k, "i", C, row[i].rank, row[i].dims,
                                  indices(u.k, row[i].count, 5));
        check(&u, "gather", g_gather(u.k->g, moving(&u, 2, ac), C, index),
              "a");
        kit_free(u.k);
    }
    Under u = under(1);
    const Dim *nka[] = {N, k, A};
    Node *index = given_index(u.k, "i", C, 2, nk, indices(u.k, 8, 5));
    Node scatter = {.op = OP_scatter, .ndim = 1, .dim = {C},
                    .arg = {moving(&u, 3, nka), index}};
    check(&u, "scatter", graph_add(u.k->g, scatter), "a");
    kit_free(u.k);
}

/* ---- products ---- */

static void contracts(void **state)
{
    (void)state;
    const Dim *A = dim("A", 3), *B = dim("B", 2), *C = dim("C", 4),
              *D = dim("D", 2), *E = dim("E", 3);
    const Dim *abcd[] = {A, B, C, D}, *dbce[] = {D, B, C, E},
              *sums[] = {D, C};
    for (int n = 0; n <= 2; n++) {
        Under u = under(1);
        Node *a = moving(&u, 4, abcd), *b = moving(&u, 4, dbce);
        check(&u, "contract", g_contract(u.k->g, a, b, n, sums), "ab");
        kit_free(u.k);
    }
    Under u = under(1);
    Node *a = moving(&u, 4, abcd);
    check(&u, "squares", g_contract(u.k->g, a, a, 2, sums), "a");
    kit_free(u.k);
}

/* Experts: what the index picks is multiplied; experts without tokens get 0,
 * and no gradient is as large as what was picked. */
static void picked_weights(void **state)
{
    (void)state;
    const Dim *T = dim_new("T", size_sym("T")), *E = dim("E", 4),
              *F = dim("F", 3), *D = dim("D", 2), *k = dim("k", 2);
    const Dim *td[] = {T, D}, *efd[] = {E, F, D}, *tk[] = {T, k},
              *tkd[] = {T, k, D}, *sums[] = {D, k};
    double all_one[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    for (int i = 0; i < 4; i++) {
        Under u = under(i < 3 ? 5 : 1);
        Node *x = i == 1 || i == 2 ? moving(&u, 3, tkd) : moving(&u, 2, td);
        Node *w = moving(&u, 3, efd);
        Node *index = given_index(u.k, "i", E, 2, tk,
                                  i == 1 ? all_one : indices(u.k, 10, 3));
        Node *pick = g_gather(u.k->g, w, E, index);
        Node *y = g_contract(u.k->g, x, pick, i == 2 ? 2 : 1, sums);
        check(&u, "picked", y, "ab");
        bool collects = false;
        for (int j = 0; j < u.k->g->node.n; j++) {
            collects |= u.k->g->node.at[j]->op == OP_collect;
            assert_int_not_equal(u.k->g->node.at[j]->op, OP_scatter);
        }
        assert_true(collects);
        kit_free(u.k);
    }
}

/* ---- the head ---- */

static void head(void **state)
{
    (void)state;
    const Dim *T = dim_new("T", size_sym("T")), *D = dim("D", 3),
              *V = dim("V", 5);
    const Dim *td[] = {T, D}, *vd[] = {V, D};
    static double share[] = {0.25, 0, 0.5, 0.1};
    for (int same = 0; same < 2; same++) {
        Under u = under(4);
        Graph *g = u.k->g;
        Node *x = moving(&u, 2, td), *w = moving(&u, 2, vd);
        Node *label = given_index(u.k, "label", V, 1, &T,
                                  indices(u.k, 4, 5));
        Node *s = given(u.k, "share", 1, &T, share);
        Node nll = {.op = OP_nll, .arg = {x, w, label, s}, .ndim = 1,
                    .dim = {D}};
        Node *y = graph_add(g, nll), *logits = g_contract(g, x, w, 1, &D);
        Node *lse = g_along(g, OP_logsumexp, logits, 1, &V);
        Node *plain = g_map2(g, OP_sub, lse, g_gather(g, logits, V, label));
        plain = g_select(g, g_map2(g, OP_eq, s, num_like(g, s, 0)),
                         num_like(g, s, 0), plain);
        assert_near(value_of(u.k, y), value_of(u.k, plain)->at, 4);
        check(&u, "nll", same ? y : g_map2(g, OP_mul, y, s), "ab");
        kit_free(u.k);
    }
}

/* ---- attention ---- */

static void attention(void **state)
{
    (void)state;
    const Dim *T = dim_new("T", size_sym("T")), *H = dim("H", 4),
              *G = dim("G", 2), *hd = dim("hd", 3), *vd = dim("vd", 2),
              *R = dim("R", 3);
    const Dim *q[] = {T, H, hd}, *k[] = {T, G, hd}, *v[] = {T, G, vd},
              *h[] = {H, R};
    static const int32_t pos[] = {0, 1, 2, 3, 0, 0, 1};
    static const Op op[] = {OP_attend, OP_attend_sink, OP_attend_slope,
                            OP_attend_bias};
    for (size_t i = 0; i < COUNT(op); i++)
        for (int kind = 0; kind < 6; kind++) {
            Under u = under(kind == 5 ? 1 : 7);
            Node n = {.op = op[i], .num = kind == 3 || kind == 4 ? 0.7 : 0};
            if (kind == 1 || kind == 2 || kind == 4)
                n.size = size_num(2);
            if (kind == 2)
                n.name = intern("chunk");
            u.k->env.pos = kind % 2 ? pos : NULL;
            n.arg[0] = moving(&u, 3, q);
            n.arg[1] = moving(&u, 3, k);
            n.arg[2] = moving(&u, 3, v);
            if (op[i] != OP_attend)
                n.arg[3] = moving(&u, op[i] == OP_attend_bias ? 2 : 1, h);
            check(&u, op_info[op[i]].name, graph_add(u.k->g, n),
                  op[i] == OP_attend ? "abc" : "abcd");
            kit_free(u.k);
        }
}

static void ropes(void **state)
{
    (void)state;
    static const Rope rope[] = {
        {.theta = 100, .rotary = 4},
        {.theta = 100, .rotary = 6, .pairs = 1},
        {.theta = 100, .rotary = 6, .kind = ROPE_yarn, .factor = 4,
         .original = 8, .beta_fast = 32, .beta_slow = 1},
    };
    const Dim *T = dim_new("T", size_sym("T")), *H = dim("H", 2),
              *hd = dim("hd", 6);
    const Dim *q[] = {T, H, hd};
    static const int32_t pos[] = {0, 1, 2, 0, 1};
    for (size_t i = 0; i < COUNT(rope); i++) {
        Under u = under(5);
        u.k->env.pos = pos;
        Node n = {.op = OP_rope, .arg = {moving(&u, 3, q)},
                  .rope = &rope[i]};
        check(&u, "rope", graph_add(u.k->g, n), "a");
        kit_free(u.k);
    }
}

/* ---- several uses ---- */

static void uses_are_added(void **state)
{
    (void)state;
    Under u = under(1);
    Graph *g = u.k->g;
    const Dim *d[] = {dim("A", 3), dim("B", 4)};
    Node *a = moving(&u, 2, d), *s = g_along(g, OP_softmax, a, 1, &d[1]);
    Node *m = g_along(g, OP_sum, g_map2(g, OP_mul, a, s), 1, &d[0]);
    Node *y = g_map2(g, OP_add, g_map2(g, OP_mul, m, a),
                     g_map1(g, OP_tanh, a));
    check(&u, "several uses", y, "a");
    kit_free(u.k);
}

/* What is stopped gets nothing, what stands beside it all the same does. */
static void stops(void **state)
{
    (void)state;
    Under u = under(1);
    Graph *g = u.k->g;
    double x = 3, six = 3;
    Node *a = moving_at(&u, type_of(TYPE_f32, 0, NULL), &x);
    Node *y = g_map2(g, OP_mul, a, g_map1(g, OP_stop, a));
    Back b = {.g = g, .trained = is_moving, .user = &u};
    back_begin(&b);
    back_give(&b, y, g_num(g, TYPE_f32, 1));
    back_run(&b);
    assert_near(value_of(u.k, b.sum[a->id]), &six, 1);
    kit_free(u.k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps),
        cmocka_unit_test(power_at_0),
        cmocka_unit_test(along),
        cmocka_unit_test(max_of_equals),
        cmocka_unit_test(nothing_flows),
        cmocka_unit_test(moves),
        cmocka_unit_test(cuts_and_joins),
        cmocka_unit_test(gathers),
        cmocka_unit_test(contracts),
        cmocka_unit_test(picked_weights),
        cmocka_unit_test(head),
        cmocka_unit_test(attention),
        cmocka_unit_test(ropes),
        cmocka_unit_test(uses_are_added),
        cmocka_unit_test(stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
