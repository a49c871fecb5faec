/* Ops that move elements, tell places or order them: the interpreter against
 * plain loops, compiled code against the interpreter. */
#include "tests/program_kit.h"

static const Dim *tokens(void)
{
    static const Dim *T;
    return T ? T : (T = dim_new("T", size_sym("T")));
}

static Node *cut(Kit *k, Node *x, const Dim *d, const Dim *part, int from)
{
    return graph_add(k->g, (Node){.op = OP_cut, .arg = {x}, .ndim = 2,
                                  .dim = {d, part}, .size = size_num(from)});
}

static Node *join(Kit *k, Node *a, Node *b, const Dim *x, const Dim *y,
                  const Dim *to)
{
    return graph_add(k->g, (Node){.op = OP_join, .arg = {a, b}, .ndim = 3,
                                  .dim = {x, y, to}});
}

static Node *along(Kit *k, Op op, Node *x, int n, const Dim *const *d)
{
    return g_along(k->g, op, x, n, d);
}

/* ---- what they are ---- */

static void a_part_and_both_parts(void **state)
{
    (void)state;
    Kit *k = kit_new(2);
    const Dim *T = tokens(), *D = dim("D", 4), *P = dim("P", 3),
              *Q = dim("Q", 2), *R = dim("R", 5);
    Node *x = given(k, "x", DIMS(T, D), NUMBERS(1, 2, 3, 4, 5, 6, 7, 8));
    Node *p = cut(k, x, D, P, 1), *q = cut(k, x, D, Q, 0);
    assert_near(value_of(k, p), NUMBERS(2, 3, 4, 6, 7, 8), 6);
    assert_near(value_of(k, join(k, p, q, P, Q, R)),
                NUMBERS(2, 3, 4, 1, 2, 6, 7, 8, 5, 6), 10);
    kit_free(k);
}

static void the_first_dim_too(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 3), *B = dim("B", 2), *P = dim("P", 1),
              *S = dim("S", 4);
    Node *x = given(k, "x", DIMS(A, B), NUMBERS(1, 2, 3, 4, 5, 6));
    Node *last = cut(k, x, A, P, 2);
    assert_near(value_of(k, last), NUMBERS(5, 6), 2);
    assert_near(value_of(k, join(k, last, x, P, A, S)),
                NUMBERS(5, 6, 1, 2, 3, 4, 5, 6), 8);
    kit_free(k);
}

static void no_part_is_outside(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 3), *P = dim("P", 2);
    Node *x = given(k, "x", DIMS(A), NUMBERS(1, 2, 3));
    Node n = {.op = OP_cut, .arg = {x}, .ndim = 2, .dim = {A, P}};
    const struct { double from; bool fits; } row[] = {
        {0, true}, {1, true}, {2, false}, {-1, false}, {0.5, false}};
    Type t;
    for (size_t i = 0; i < COUNT(row); i++) {
        n.size = size_num(row[i].from);
        assert_int_equal(op_type(&n, &t) == NULL, row[i].fits);
    }
    kit_free(k);
}

static void sums_up_to_each(void **state)
{
    (void)state;
    Kit *k = kit_new(3);
    const Dim *T = tokens(), *D = dim("D", 2);
    Node *x = given(k, "x", DIMS(T, D), NUMBERS(1, 10, 2, 20, 3, 30));
    assert_near(value_of(k, along(k, OP_cumsum, x, DIMS(T))),
                NUMBERS(1, 10, 3, 30, 6, 60), 6);
    assert_near(value_of(k, along(k, OP_cumsum, x, DIMS(D))),
                NUMBERS(1, 11, 2, 22, 3, 33), 6);
    kit_free(k);
}

static void ranks_largest_first(void **state)
{
    (void)state;
    Kit *k = kit_new(2);
    const Dim *T = tokens(), *D = dim("D", 3);
    Node *x = given(k, "x", DIMS(T, D), NUMBERS(5, 7, 5, 2, NAN, 3));
    assert_near(value_of(k, along(k, OP_rank, x, DIMS(D))),
                NUMBERS(1, 0, 2, 1, 2, 0), 6);
    assert_near(value_of(k, along(k, OP_rank, x, DIMS(T, D))),
                NUMBERS(1, 0, 2, 4, 5, 3), 6);
    kit_free(k);
}

static void positions_begin_anew(void **state)
{
    static const int32_t pos[] = {0, 1, 2, 0, 1};
    (void)state;
    Kit *k = kit_new(5);
    const Dim *T = tokens(), *P = dim("P", 2);
    Node n = {.op = OP_position, .ndim = 1, .dim = {T},
              .type = type_of(TYPE_f32, DIMS(T))};
    k->env.pos = pos;
    assert_near(value_of(k, graph_add(k->g, n)), NUMBERS(0, 1, 2, 0, 1), 5);
    n.type.dtype = TYPE_i32;
    n.type.index_of = P;
    assert_near(value_of(k, graph_add(k->g, n)), NUMBERS(0, 1, 1, 0, 1), 5);
    kit_free(k);
}

static void neighbours_turn_together(void **state)
{
    (void)state;
    Kit *k = kit_new(2);
    const Dim *T = tokens(), *H = dim("H", 1), *hd = dim("hd", 5);
    Rope r = {.theta = 100, .rotary = 4, .pairs = 1};
    Node *x = given(k, "x", DIMS(T, H, hd),
                    NUMBERS(1, 2, 3, 4, 5, 1, 2, 3, 4, 5));
    Node n = {.op = OP_rope, .arg = {x}, .rope = &r};
    double c = cos(1), s = sin(1), d = cos(0.1), u = sin(0.1);
    assert_near(value_of(k, graph_add(k->g, n)),
                NUMBERS(1, 2, 3, 4, 5, c - 2 * s, 2 * c + s, 3 * d - 4 * u,
                        4 * d + 3 * u, 5), 10);
    kit_free(k);
}

/* ---- compiled ---- */

/* Sums and products around them, so that they stand inside kernels. */
static void move_graph(Kit *k, Dtype t, int n, int from)
{
    const Dim *T = tokens(), *D = dim("D", n), *P = dim("P", n - from),
              *Q = dim("Q", from), *W = dim("W", n), *E = dim("E", 2 * n);
    Node *x = given_type(k, "x", type_of(t, DIMS(T, D)), noise(k, 64 * n));
    Node *y = given_type(k, "y", type_of(t, DIMS(T, D)), noise(k, 64 * n));
    Node *p = cut(k, x, D, P, from), *q = cut(k, y, D, Q, 0);
    Node *w = join(k, p, q, P, Q, W);
    Node *z = join(k, g_map1(k->g, OP_exp, x), y, D, D, E);
    graph_output(k->g, "w", w);
    graph_output(k->g, "z", g_map1(k->g, OP_tanh, z));
    graph_output(k->g, "sum", along(k, OP_sum, w, DIMS(W)));
    graph_output(k->g, "cumsum", along(k, OP_cumsum, z, DIMS(E)));
    graph_output(k->g, "down", along(k, OP_cumsum, x, DIMS(T)));
    graph_output(k->g, "rank", along(k, OP_rank, x, DIMS(D)));
    Node pos = {.op = OP_position, .ndim = 1, .dim = {T},
                .type = type_of(TYPE_f32, DIMS(T))};
    graph_output(k->g, "at", g_map2(k->g, OP_mul, x, graph_add(k->g, pos)));
    Node *table = weight(k, "table", TYPE_f32, 0, DIMS(W), noise(k, n));
    pos.type.dtype = TYPE_i32;
    pos.type.index_of = W;
    graph_output(k->g, "learned",
                 g_gather(k->g, table, W, graph_add(k->g, pos)));
}

static void compiled_moves(void **state)
{
    static const struct { int n, from; Dtype t; } row[] = {
        {2, 1, TYPE_f32}, {5, 2, TYPE_f32}, {32, 16, TYPE_f32},
        {48, 32, TYPE_f32}, {33, 17, TYPE_bf16}, {64, 16, TYPE_bf16}};
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        Kit *k = kit_new(1);
        move_graph(k, row[i].t, row[i].n, row[i].from);
        AGREE(k, row[i].t == TYPE_f32 ? 1e-5 : 1e-2, 1, 3, 17);
        kit_free(k);
    }
}

static void compiled_pairs(void **state)
{
    static const int row[][2] = {{8, 8}, {20, 6}, {64, 64}, {40, 32}};
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        Kit *k = kit_new(1);
        int hd = row[i][0];
        Rope *r = arena_alloc(&k->arena, sizeof *r);
        *r = (Rope){.theta = 10000, .rotary = row[i][1], .pairs = 1};
        const Dim *T = tokens(), *H = dim("H", 3), *d = dim("hd", hd),
                  *D = dim("D", 24);
        Node *x = given(k, "x", DIMS(T, D), noise(k, 64 * 24));
        Node *w = weight(k, "w", TYPE_f32, 0, DIMS(H, d, D),
                         noise(k, 3 * hd * 24));
        Node *q = g_contract(k->g, x, w, DIMS(D));
        Node n = {.op = OP_rope, .arg = {q}, .rope = r};
        graph_output(k->g, "q", graph_add(k->g, n));
        AGREE(k, 1e-4, 1, 2, 19);
        kit_free(k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_and_both_parts),
        cmocka_unit_test(the_first_dim_too),
        cmocka_unit_test(no_part_is_outside),
        cmocka_unit_test(sums_up_to_each),
        cmocka_unit_test(ranks_largest_first),
        cmocka_unit_test(positions_begin_anew),
        cmocka_unit_test(neighbours_turn_together),
        cmocka_unit_test(compiled_moves),
        cmocka_unit_test(compiled_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
