/* The interpreter's reductions, orders and moves against plain C loops on odd
 * shapes, and small cases by hand. */
#include "tests/graph_kit.h"

enum { NA = 3, NB = 5, NC = 7 }; /* x [A, B, C] */
#define AT(a, b, c) (((a) * NB + (b)) * NC + (c))

typedef struct {
    Kit *k;
    const Dim *A, *B, *C;
    double *x;
    Node *nx;
} Cube;

static Cube cube_new(void)
{
    Cube c = {.k = kit_new(4)};
    c.A = dim("A", NA);
    c.B = dim("B", NB);
    c.C = dim("C", NC);
    c.x = noise(c.k, NA * NB * NC);
    c.nx = given(c.k, "x", DIMS(c.A, c.B, c.C), c.x);
    return c;
}

static Node *with_dims(Kit *k, Op op, Node *a, Node *b, int n,
                       const Dim *const *dims)
{
    Node node = {.op = op, .arg = {a, b}, .ndim = n};
    for (int i = 0; i < n; i++)
        node.dim[i] = dims[i];
    return graph_add(k->g, node);
}

/* ---- reductions ---- */

static void sum_over_the_middle(void **state)
{
    (void)state;
    Cube c = cube_new();
    double want[NA * NC] = {0};
    for (int a = 0; a < NA; a++)
        for (int b = 0; b < NB; b++)
            for (int i = 0; i < NC; i++)
                want[a * NC + i] += c.x[AT(a, b, i)];
    assert_near(value_of(c.k, g_along(c.k->g, OP_sum, c.nx, DIMS(c.B))), want,
                NA * NC);
    kit_free(c.k);
}

static void max_over_two_and_over_all(void **state)
{
    (void)state;
    Cube c = cube_new();
    double want[NB], all = -INFINITY;
    for (int b = 0; b < NB; b++) {
        want[b] = -INFINITY;
        for (int i = 0; i < NA * NC; i++)
            want[b] = fmax(want[b], c.x[AT(i / NC, b, i % NC)]);
        all = fmax(all, want[b]);
    }
    Node *two = g_along(c.k->g, OP_max, c.nx, DIMS(c.C, c.A)),
         *every = g_along(c.k->g, OP_max, c.nx, DIMS(c.A, c.B, c.C));
    assert_near(value_of(c.k, two), want, NB);
    assert_near(value_of(c.k, every), &all, 1);
    kit_free(c.k);
}

static void reductions_keep_nan(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 3);
    static const Op op[] = {OP_sum, OP_max, OP_logsumexp};
    for (size_t i = 0; i < COUNT(op); i++)
        for (int at = 0; at < 3; at++) {
            double v[3] = {1, 2, 3}, nan = NAN;
            v[at] = NAN;
            k->nin = 0;
            Node *x = given(k, "x", DIMS(A), v);
            assert_near(value_of(k, g_along(k->g, op[i], x, DIMS(A))), &nan, 1);
        }
    kit_free(k);
}

static void reductions_of_nothing(void **state)
{
    (void)state;
    Kit *k = kit_new(0); /* no token */
    const Dim *T = dim_new("T", size_sym("T")), *A = dim("A", 2);
    Node *x = given(k, "x", DIMS(T, A), NUMBERS(0));
    assert_near(value_of(k, g_along(k->g, OP_sum, x, DIMS(T))), NUMBERS(0, 0),
                2);
    assert_near(value_of(k, g_along(k->g, OP_max, x, DIMS(T))),
                NUMBERS(-INFINITY, -INFINITY), 2);
    assert_near(value_of(k, g_along(k->g, OP_logsumexp, x, DIMS(T))),
                NUMBERS(-INFINITY, -INFINITY), 2);
    assert_int_equal(value_of(k, g_contract(k->g, x, x, 0, NULL))->count, 0);
    kit_free(k);
}

static void softmax_and_logsumexp(void **state)
{
    (void)state;
    Cube c = cube_new();
    double soft[NA * NB * NC], lse[NA * NC];
    for (int a = 0; a < NA; a++)
        for (int i = 0; i < NC; i++) {
            double sum = 0;
            for (int b = 0; b < NB; b++)
                sum += exp(c.x[AT(a, b, i)]);
            lse[a * NC + i] = log(sum);
            for (int b = 0; b < NB; b++)
                soft[AT(a, b, i)] = exp(c.x[AT(a, b, i)]) / sum;
        }
    assert_near(value_of(c.k, g_along(c.k->g, OP_softmax, c.nx, DIMS(c.B))),
                soft, NA * NB * NC);
    assert_near(value_of(c.k, g_along(c.k->g, OP_logsumexp, c.nx, DIMS(c.B))),
                lse, NA * NC);
    kit_free(c.k);
}

static void softmax_of_large_numbers(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 3);
    Node *x = given(k, "x", DIMS(A), NUMBERS(1000, 1000, -INFINITY));
    assert_near(value_of(k, g_along(k->g, OP_softmax, x, DIMS(A))),
                NUMBERS(.5, .5, 0), 3);
    double want = 1000 + log(2);
    assert_near(value_of(k, g_along(k->g, OP_logsumexp, x, DIMS(A))), &want, 1);
    kit_free(k);
}

/* ---- what orders ---- */

static void topk_takes_the_largest_in_order(void **state)
{
    (void)state;
    Cube c = cube_new();
    const Dim *K = dim("K", 3);
    Node *i = with_dims(c.k, OP_topk, c.nx, NULL, DIMS(c.B, K));
    double want[NA * NC * 3], values[NA * NC * 3];
    for (int row = 0; row < NA * NC; row++) {
        bool used[NB] = {0};
        for (int k = 0; k < 3; k++) {
            int best = -1;
            for (int b = 0; b < NB; b++)
                if (!used[b] && (best < 0 || c.x[AT(row / NC, b, row % NC)] >
                                                 values[row * 3 + k])) {
                    best = b;
                    values[row * 3 + k] = c.x[AT(row / NC, b, row % NC)];
                }
            used[best] = true;
            want[row * 3 + k] = best;
        }
    }
    assert_near(value_of(c.k, i), want, NA * NC * 3);
    const Tensor *t = value_of(c.k, g_gather(c.k->g, c.nx, c.B, i));
    assert_int_equal(t->shape[1], 3); /* [A, K, C]: in B's place */
    for (int a = 0; a < NA; a++)
        for (int k = 0; k < 3; k++)
            for (int j = 0; j < NC; j++)
                assert_true(t->at[(a * 3 + k) * NC + j] ==
                            values[(a * NC + j) * 3 + k]);
    kit_free(c.k);
}

static void topk_ties_and_nan(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *E = dim("E", 6), *K = dim("K", 5);
    Node *x = given(k, "x", DIMS(E), NUMBERS(1, NAN, 2, 1, NAN, 2));
    assert_near(value_of(k, with_dims(k, OP_topk, x, NULL, DIMS(E, K))),
                NUMBERS(2, 5, 0, 3, 1), 5);
    kit_free(k);
}

static void topk_over_too_few(void **state)
{
    (void)state;
    Kit *k = kit_new(2);
    const Dim *T = dim_new("T", size_sym("T")), *K = dim("K", 3);
    Node *x = given(k, "x", DIMS(T), NUMBERS(1, 2));
    refuses(k, with_dims(k, OP_topk, x, NULL, DIMS(T, K)),
            "the 3 largest of T are asked for, which has 2 with 2 tokens");
    kit_free(k);
}

static void largest_keeps_a_share(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 2), *B = dim("B", 5);
    Node *x = given(k, "x", DIMS(A, B),
                    NUMBERS(3, 1, 3, 2, 3, 0, 9, NAN, 8, 7)),
         *share = g_num(k->g, TYPE_f32, 0.5); /* int(2.5) = 2 of 5 */
    assert_near(value_of(k, with_dims(k, OP_largest, x, share, DIMS(B))),
                NUMBERS(1, 0, 1, 0, 0, 0, 1, 0, 1, 0), 10);
    assert_near(value_of(k, with_dims(k, OP_largest, x, share, DIMS(A, B))),
                NUMBERS(1, 0, 1, 0, 0, 0, 1, 0, 1, 1), 10);
    kit_free(k);
}

static void largest_is_not_shaken_by_f32(void **state)
{
    (void)state;
    for (int keep = 0; keep <= 10; keep++) {
        Kit *k = kit_new(1);
        const Dim *B = dim("B", 10);
        k->env.exact = false;
        Node *x = given(k, "x", DIMS(B), noise(k, 10)),
             *share = g_num(k->g, TYPE_f32, keep / 10.0);
        const Tensor *t =
            value_of(k, with_dims(k, OP_largest, x, share, DIMS(B)));
        int kept = 0;
        for (int i = 0; i < 10; i++)
            kept += t->at[i] == 1;
        assert_int_equal(kept, keep);
        kit_free(k);
    }
}

static void onehot_and_place(void **state)
{
    (void)state;
    Kit *k = kit_new(3);
    const Dim *T = dim_new("T", size_sym("T")), *K = dim("k", 2),
              *E = dim("E", 3);
    Node *i = given_index(k, "i", E, DIMS(T, K), NUMBERS(0, 1, 0, 2, 1, 0));
    assert_near(value_of(k, with_dims(k, OP_onehot, i, NULL, DIMS(E))),
                NUMBERS(1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0),
                18);
    /* first choices 0, 0, 1, then second ones 1, 2, 0 */
    assert_near(value_of(k, with_dims(k, OP_place, i, NULL, 0, NULL)),
                NUMBERS(0, 1, 1, 0, 0, 2), 6);
    kit_free(k);
}

/* ---- what moves ---- */

static void gather_puts_the_index_in_place(void **state)
{
    (void)state;
    Cube c = cube_new();
    const Dim *P = dim("P", 2), *Q = dim("Q", 4);
    double *i = indices(c.k, 8, NB), want[NA * 8 * NC];
    Node *index = given_index(c.k, "i", c.B, DIMS(P, Q), i);
    for (int a = 0; a < NA; a++)
        for (int pq = 0; pq < 8; pq++)
            for (int j = 0; j < NC; j++)
                want[(a * 8 + pq) * NC + j] = c.x[AT(a, (int)i[pq], j)];
    assert_near(value_of(c.k, g_gather(c.k->g, c.nx, c.B, index)), want,
                NA * 8 * NC);
    kit_free(c.k);
}

static void gather_matches_shared_dims(void **state)
{
    (void)state;
    Cube c = cube_new();
    double *i = indices(c.k, NA, NB), want[NA * NC];
    Node *index = given_index(c.k, "i", c.B, DIMS(c.A), i);
    for (int a = 0; a < NA; a++)
        for (int j = 0; j < NC; j++)
            want[a * NC + j] = c.x[AT(a, (int)i[a], j)];
    assert_near(value_of(c.k, g_gather(c.k->g, c.nx, c.B, index)), want,
                NA * NC);
    kit_free(c.k);
}

static void gather_by_a_permutation_and_a_number(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 3);
    Node *x = given(k, "x", DIMS(A), NUMBERS(10, 11, 12)),
         *p = given_index(k, "p", A, DIMS(A), NUMBERS(2, 0, 1));
    assert_near(value_of(k, g_gather(k->g, x, A, p)), NUMBERS(12, 10, 11), 3);
    assert_near(value_of(k, with_dims(k, OP_scatter, x, p, DIMS(A))),
                NUMBERS(11, 12, 10), 3);
    Node *two = g_num(k->g, TYPE_i32, 2);
    assert_near(value_of(k, g_gather(k->g, x, A, two)), NUMBERS(12), 1);
    kit_free(k);
}

static void an_index_out_of_range_is_refused(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 3), *P = dim("P", 2);
    Node *x = given(k, "x", DIMS(A), NUMBERS(10, 11, 12)),
         *i = given_index(k, "i", A, DIMS(P), NUMBERS(2, 3)),
         *w = given(k, "w", DIMS(P), NUMBERS(1, 1));
    Node *y = g_gather(k->g, x, A, i);
    y->label = "picked";
    refuses(k, y, "picked: index 3 at element 1 is not in A, which has 3");
    refuses(k, g_contract(k->g, y, w, DIMS(P)),
            "%4: index 3 at element 1 is not in A, which has 3");
    k->in[1].at = NUMBERS(-1, NAN);
    refuses(k, with_dims(k, OP_scatter, w, i, DIMS(A)),
            "%5: index -1 at element 0 is not in A, which has 3");
    k->in[1].at = NUMBERS(0, NAN);
    refuses(k, with_dims(k, OP_onehot, i, NULL, DIMS(A)),
            "%6: index nan at element 1 is not in A, which has 3");
    kit_free(k);
}

static void scatter_is_the_transpose_of_gather(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 5), *B = dim("B", 3), *P = dim("P", 2),
              *Q = dim("Q", 4);
    double *v = noise(k, 24), *i = indices(k, 8, 5), want[15] = {0};
    Node *x = given(k, "v", DIMS(P, B, Q), v),
         *index = given_index(k, "i", A, DIMS(P, Q), i);
    for (int p = 0; p < 2; p++)
        for (int b = 0; b < 3; b++)
            for (int q = 0; q < 4; q++)
                want[(int)i[p * 4 + q] * 3 + b] += v[(p * 3 + b) * 4 + q];
    assert_near(value_of(k, with_dims(k, OP_scatter, x, index, DIMS(A))), want,
                15);
    kit_free(k);
}

static void order_expand_slice(void **state)
{
    (void)state;
    Cube c = cube_new();
    const Dim *P = dim("P", 2);
    double order[NA * NB * NC], expand[2 * NA * NB * NC], slice[NA * NC];
    for (int i = 0; i < NA * NB * NC; i++) {
        int a = i / (NB * NC), b = i / NC % NB, j = i % NC;
        order[(j * NA + a) * NB + b] = c.x[i];
        expand[i] = expand[i + NA * NB * NC] = c.x[i];
        if (b == 3)
            slice[a * NC + j] = c.x[i];
    }
    Node *o = with_dims(c.k, OP_order, c.nx, NULL, DIMS(c.C, c.A, c.B)),
         *e = with_dims(c.k, OP_expand, c.nx, NULL, DIMS(P)),
         one = {.op = OP_slice, .arg = {c.nx}, .ndim = 1, .dim = {c.B},
                .num = 3};
    assert_near(value_of(c.k, o), order, NA * NB * NC);
    assert_near(value_of(c.k, e), expand, 2 * NA * NB * NC);
    assert_near(value_of(c.k, graph_add(c.k->g, one)), slice, NA * NC);
    kit_free(c.k);
}

static void a_slice_past_the_tokens_is_refused(void **state)
{
    (void)state;
    Kit *k = kit_new(2);
    const Dim *T = dim_new("T", size_sym("T"));
    Node *x = given(k, "x", DIMS(T), NUMBERS(1, 2)),
         one = {.op = OP_slice, .arg = {x}, .ndim = 1, .dim = {T}, .num = 2};
    refuses(k, graph_add(k->g, one),
            "position 2 of T is asked for, which has 2 with 2 tokens");
    kit_free(k);
}

static void flatten_split_rename_keep_the_numbers(void **state)
{
    (void)state;
    Cube c = cube_new();
    const Dim *BC = dim("BC", NB * NC), *D = dim("D", NB);
    Node *f = with_dims(c.k, OP_flatten, c.nx, NULL, DIMS(BC, c.B, c.C)),
         *s = with_dims(c.k, OP_split, f, NULL, DIMS(BC, D, c.C)),
         *r = with_dims(c.k, OP_rename, s, NULL, DIMS(D, c.B));
    assert_near(value_of(c.k, f), c.x, NA * NB * NC);
    assert_int_equal(value_of(c.k, f)->type.rank, 2);
    assert_near(value_of(c.k, s), c.x, NA * NB * NC);
    const Tensor *t = value_of(c.k, g_map2(c.k->g, OP_sub, r, c.nx));
    for (int i = 0; i < t->count; i++)
        assert_true(t->at[i] == 0);
    kit_free(c.k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sum_over_the_middle),
        cmocka_unit_test(max_over_two_and_over_all),
        cmocka_unit_test(reductions_keep_nan),
        cmocka_unit_test(reductions_of_nothing),
        cmocka_unit_test(softmax_and_logsumexp),
        cmocka_unit_test(softmax_of_large_numbers),
        cmocka_unit_test(topk_takes_the_largest_in_order),
        cmocka_unit_test(topk_ties_and_nan),
        cmocka_unit_test(topk_over_too_few),
        cmocka_unit_test(largest_keeps_a_share),
        cmocka_unit_test(largest_is_not_shaken_by_f32),
        cmocka_unit_test(onehot_and_place),
        cmocka_unit_test(gather_puts_the_index_in_place),
        cmocka_unit_test(gather_matches_shared_dims),
        cmocka_unit_test(gather_by_a_permutation_and_a_number),
        cmocka_unit_test(an_index_out_of_range_is_refused),
        cmocka_unit_test(scatter_is_the_transpose_of_gather),
        cmocka_unit_test(order_expand_slice),
        cmocka_unit_test(a_slice_past_the_tokens_is_refused),
        cmocka_unit_test(flatten_split_rename_keep_the_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
