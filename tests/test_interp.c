/* The interpreter against numbers worked out by hand and plain C loops. */
#include "tests/graph_kit.h"

/* ---- elementwise ---- */

static void rows_by_hand(void **state)
{
    (void)state;
    static const struct {
        Op op;
        double a, b, c, want;
    } row[] = {
        {OP_neg, 2, 0, 0, -2},
        {OP_exp, 1, 0, 0, 2.718281828459045},
        {OP_log, 10, 0, 0, 2.302585092994046},
        {OP_sqrt, 9, 0, 0, 3},
        {OP_rsqrt, 16, 0, 0, 0.25},
        {OP_tanh, 0.5, 0, 0, 0.46211715726000975},
        {OP_sigmoid, 0, 0, 0, 0.5},
        {OP_silu, 1, 0, 0, 0.7310585786300049},
        {OP_gelu, 1, 0, 0, 0.8413447460685429},
        {OP_gelu_tanh, 1, 0, 0, 0.8411919906082768},
        {OP_relu, -3, 0, 0, 0},
        {OP_relu, NAN, 0, 0, NAN},
        {OP_softplus, 800, 0, 0, 800},
        {OP_softplus, 0, 0, 0, 0.6931471805599453},
        {OP_cdf, 0, 0, 0, 0.5},
        {OP_cdf, -5, 0, 0, 2.866515718791939e-07},
        {OP_abs, -4, 0, 0, 4},
        {OP_sin, 1.5707963267948966, 0, 0, 1},
        {OP_cos, 0, 0, 0, 1},
        {OP_acos, 1, 0, 0, 0},
        {OP_floor, -1.5, 0, 0, -2},
        {OP_ceil, -1.5, 0, 0, -1},
        {OP_not, 0, 0, 0, 1},
        {OP_stop, 5, 0, 0, 5},
        {OP_add, 2, 3, 0, 5},
        {OP_sub, 2, 3, 0, -1},
        {OP_mul, 2, 3, 0, 6},
        {OP_div, 3, 2, 0, 1.5},
        {OP_pow, 2, 10, 0, 1024},
        {OP_minimum, 2, 3, 0, 2},
        {OP_minimum, NAN, 3, 0, NAN},
        {OP_maximum, 2, 3, 0, 3},
        {OP_maximum, 3, NAN, 0, NAN},
        {OP_lt, 2, 3, 0, 1},
        {OP_le, 3, 3, 0, 1},
        {OP_gt, 2, 3, 0, 0},
        {OP_ge, 2, 3, 0, 0},
        {OP_eq, 3, 3, 0, 1},
        {OP_ne, 3, 3, 0, 0},
        {OP_and, 1, 0, 0, 0},
        {OP_or, 1, 0, 0, 1},
        {OP_select, 0, 4, 5, 5},
        {OP_select, 1, 4, 5, 4},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        Kit *k = kit_new(1);
        Node n = {.op = row[i].op};
        const double *v[] = {&row[i].a, &row[i].b, &row[i].c};
        static const char *const name[] = {"a", "b", "c"};
        for (int j = 0; j < node_args(&n); j++)
            n.arg[j] = given(k, name[j], 0, NULL, v[j]);
        assert_near(value_of(k, graph_add(k->g, n)), &row[i].want, 1);
        kit_free(k);
    }
}

static void every_op_runs(void **state)
{
    (void)state;
    for (int op = 0; op < OP_COUNT; op++) /* BUG where an op has no value */
        if (op_is_map(op))
            (void)op_value((Op)op, 1, 1, 1);
}

static void broadcast_by_name(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 3), *B = dim("B", 5);
    double *x = noise(k, 15), *m = noise(k, 3), *t = noise(k, 15), want[15];
    Node *nx = given(k, "x", DIMS(A, B), x), *nm = given(k, "m", DIMS(A), m),
         *nt = given(k, "t", DIMS(B, A), t);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 5; b++)
            want[a * 5 + b] = x[a * 5 + b] * m[a] - t[b * 3 + a];
    Node *y = g_map2(k->g, OP_sub, g_map2(k->g, OP_mul, nx, nm), nt);
    assert_near(value_of(k, y), want, 15);
    kit_free(k);
}

static void scalar_broadcasts_from_both_sides(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 3);
    Node *x = given(k, "x", DIMS(A), NUMBERS(1, 2, 4));
    Node *one = g_num(k->g, TYPE_f32, 8);
    assert_near(value_of(k, g_map2(k->g, OP_div, one, x)), NUMBERS(8, 4, 2), 3);
    assert_near(value_of(k, g_map2(k->g, OP_sub, x, one)),
                NUMBERS(-7, -6, -4), 3);
    kit_free(k);
}

static void select_takes_each_element(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 2), *B = dim("B", 2);
    Node *c = given(k, "c", DIMS(B), NUMBERS(1, 0)),
         *x = given(k, "x", DIMS(A, B), NUMBERS(1, 2, 3, 4)),
         *y = given(k, "y", DIMS(A), NUMBERS(10, 20));
    assert_near(value_of(k, g_select(k->g, c, x, y)), NUMBERS(1, 10, 3, 20), 4);
    kit_free(k);
}

/* ---- types ---- */

static void each_node_is_rounded_to_its_type(void **state)
{
    (void)state;
    static const struct {
        Dtype type;
        double want; /* of 1/3 */
    } row[] = {{TYPE_f64, 1.0 / 3}, {TYPE_f32, 0x1.555556p-2},
               {TYPE_bf16, 0x1.56p-2}, {TYPE_f16, 0x1.554p-2}};
    for (size_t i = 0; i < COUNT(row); i++) {
        Kit *k = kit_new(1);
        Node *a = g_num(k->g, row[i].type, 1), *b = g_num(k->g, row[i].type, 3);
        Node *y = g_map2(k->g, OP_div, a, b);
        k->env.exact = false;
        assert_true(value_of(k, y)->at[0] == row[i].want);
        k->env.exact = true;
        assert_true(value_of(k, y)->at[0] == 1.0 / 3);
        kit_free(k);
    }
}

static void cast_rounds_once(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    /* just above the middle of two bf16 numbers, but not in f32 */
    double v = 1 + 0x1p-8 + 0x1p-40;
    Type t = {.dtype = TYPE_f64};
    Node *y = g_cast(k->g, TYPE_bf16, given_type(k, "x", t, &v));
    assert_true(value_of(k, y)->at[0] == v);
    k->env.exact = false;
    assert_true(value_of(k, y)->at[0] == 1 + 0x1p-7);
    kit_free(k);
}

static void sums_are_rounded_when_done(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 4);
    Node *x = given(k, "x", DIMS(A), NUMBERS(0x1p30, 1, -0x1p30, 1));
    Node *one = given(k, "o", DIMS(A), NUMBERS(1, 1, 1, 1));
    k->env.exact = false;
    assert_true(value_of(k, g_along(k->g, OP_sum, x, DIMS(A)))->at[0] == 2);
    assert_true(value_of(k, g_contract(k->g, x, one, DIMS(A)))->at[0] == 2);
    kit_free(k);
}

static void draws_are_the_same_in_all_modes(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 9);
    Node n = {.op = OP_gaussian, .type = type_of(TYPE_f32, DIMS(A)),
              .name = intern("noise"), .num = 4};
    Node *y = graph_add(k->g, n);
    k->env.seed = 2;
    const Tensor *exact = value_of(k, y);
    for (int i = 0; i < 9; i++)
        assert_true(exact->at[i] ==
                    random_gaussian(random_key(6, "noise"), (uint64_t)i));
    k->env.exact = false;
    assert_near(value_of(k, y), exact->at, 9);
    kit_free(k);
}

/* ---- leaves ---- */

static void leaves(void **state)
{
    (void)state;
    Kit *k = kit_new(6);
    const Dim *A = dim("A", 3);
    Type index = type_of(TYPE_i32, DIMS(A));
    index.index_of = A;
    Node iota = {.op = OP_iota, .type = index, .ndim = 1, .dim = {A}};
    assert_near(value_of(k, graph_add(k->g, iota)), NUMBERS(0, 1, 2), 3);
    const Size *half = size_div(size_sym("T"), size_num(2));
    assert_near(value_of(k, g_scalar(k->g, TYPE_f32, half)), NUMBERS(3), 1);
    Node flag = {.op = OP_flag, .type.dtype = TYPE_bool,
                 .name = intern("training")};
    Node *f = graph_add(k->g, flag);
    assert_near(value_of(k, f), NUMBERS(0), 1);
    k->env.training = true;
    assert_near(value_of(k, f), NUMBERS(1), 1);
    flag.name = intern("fast");
    refuses(k, graph_add(k->g, flag), "flag fast is not known");
    kit_free(k);
}

static void shuffle_is_a_permutation(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 50);
    Type index = type_of(TYPE_i32, DIMS(A));
    index.index_of = A;
    Node n = {.op = OP_shuffle, .type = index, .ndim = 1, .dim = {A}};
    const Tensor *t = value_of(k, graph_add(k->g, n));
    bool seen[50] = {0};
    int moved = 0;
    for (int i = 0; i < 50; i++) {
        assert_false(seen[(int)t->at[i]]);
        seen[(int)t->at[i]] = true;
        moved += t->at[i] != i;
    }
    assert_true(moved > 40);
    kit_free(k);
}

static void failures_of_callbacks_are_handed_on(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    Node n = {.op = OP_input, .type.dtype = TYPE_f32, .name = intern("gone")};
    Node *y = g_map1(k->g, OP_neg, graph_add(k->g, n));
    refuses(k, y, "no input gone");
    k->env.input = NULL;
    refuses(k, y, "input gone is not given");
    kit_free(k);
}

static void weights_are_fetched_for_each_use(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 2);
    Weight w = {.path = "w", .type = type_of(TYPE_f32, DIMS(A))};
    k->in[k->nin].name = "w";
    k->in[k->nin++].at = NUMBERS(3, 4);
    Node *n = g_weight(k->g, &w), *y = g_map2(k->g, OP_mul, n, n);
    assert_near(value_of(k, g_map2(k->g, OP_add, y, n)), NUMBERS(12, 20), 2);
    assert_int_equal(k->fetched, 3);
    assert_near(value_of(k, n), NUMBERS(3, 4), 2);
    kit_free(k);
}

static void positions_are_checked(void **state)
{
    (void)state;
    Kit *k = kit_new(3);
    k->env.pos = (const int32_t[]){0, 1, 3};
    refuses(k, g_num(k->g, TYPE_f32, 1),
            "token 2 has position 3: not 0, nor one more than the token's "
            "before it");
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_by_hand),
        cmocka_unit_test(every_op_runs),
        cmocka_unit_test(broadcast_by_name),
        cmocka_unit_test(scalar_broadcasts_from_both_sides),
        cmocka_unit_test(select_takes_each_element),
        cmocka_unit_test(each_node_is_rounded_to_its_type),
        cmocka_unit_test(cast_rounds_once),
        cmocka_unit_test(sums_are_rounded_when_done),
        cmocka_unit_test(draws_are_the_same_in_all_modes),
        cmocka_unit_test(leaves),
        cmocka_unit_test(shuffle_is_a_permutation),
        cmocka_unit_test(failures_of_callbacks_are_handed_on),
        cmocka_unit_test(weights_are_fetched_for_each_use),
        cmocka_unit_test(positions_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
