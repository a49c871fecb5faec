/* The interpreter's contract, attention, rope and repeat against plain loops.*/
#include "tests/graph_kit.h"
#include <sys/resource.h>

/* ---- contract ---- */

static void matmul_on_odd_shapes(void **state)
{
    (void)state;
    for (int n = 1; n < 12; n++) {
        Kit *k = kit_new(1);
        const Dim *T = dim("T", 3), *D = dim("D", n), *F = dim("F", n + 2);
        double *x = noise(k, 3 * n), *w = noise(k, (n + 2) * n);
        double want[3 * 14] = {0};
        for (int t = 0; t < 3; t++)
            for (int f = 0; f < n + 2; f++)
                for (int d = 0; d < n; d++)
                    want[t * (n + 2) + f] += x[t * n + d] * w[f * n + d];
        Node *nx = given(k, "x", DIMS(T, D), x),
             *nw = given(k, "w", DIMS(F, D), w);
        assert_near(value_of(k, g_contract(k->g, nx, nw, DIMS(D))), want,
                    3 * (n + 2));
        kit_free(k);
    }
}

static void contract_with_transposed_sides(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *T = dim("T", 3), *D = dim("D", 5), *F = dim("F", 4);
    double *x = noise(k, 15), *w = noise(k, 20), want[12] = {0};
    for (int t = 0; t < 3; t++)
        for (int f = 0; f < 4; f++)
            for (int d = 0; d < 5; d++)
                want[t * 4 + f] += x[d * 3 + t] * w[d * 4 + f];
    Node *nx = given(k, "x", DIMS(D, T), x), *nw = given(k, "w", DIMS(D, F), w);
    assert_near(value_of(k, g_contract(k->g, nx, nw, DIMS(D))), want, 12);
    kit_free(k);
}

/* a[T, H, hd] @ o[D, H, hd], and E matched up on both sides. */
static void contract_over_two_and_matched_dims(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *T = dim("T", 2), *H = dim("H", 3), *W = dim("hd", 5),
              *D = dim("D", 4), *E = dim("E", 2);
    double *a = noise(k, 2 * 2 * 3 * 5), *o = noise(k, 4 * 3 * 2 * 5);
    double want[2 * 2 * 4] = {0};
    for (int t = 0; t < 2; t++)
        for (int e = 0; e < 2; e++)
            for (int d = 0; d < 4; d++)
                for (int h = 0; h < 3; h++)
                    for (int j = 0; j < 5; j++)
                        want[(t * 2 + e) * 4 + d] +=
                            a[((t * 2 + e) * 3 + h) * 5 + j] *
                            o[((d * 3 + h) * 2 + e) * 5 + j];
    Node *na = given(k, "a", DIMS(T, E, H, W), a),
         *no = given(k, "o", DIMS(D, H, E, W), o);
    assert_near(value_of(k, g_contract(k->g, na, no, DIMS(H, W))), want, 16);
    kit_free(k);
}

static void contract_of_nothing_summed_is_a_product(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 2), *B = dim("B", 3);
    Node *a = given(k, "a", DIMS(A), NUMBERS(2, 3)),
         *b = given(k, "b", DIMS(B), NUMBERS(5, 7, 11));
    assert_near(value_of(k, g_contract(k->g, a, b, 0, NULL)),
                NUMBERS(10, 14, 22, 15, 21, 33), 6);
    kit_free(k);
}

/* ---- a contract whose weight is picked by an index ---- */

enum { NT = 5, NE = 4, NK = 2, NF = 3, ND = 6 };

typedef struct {
    Kit *k;
    const Dim *T, *E, *K, *F, *D;
    double *x, *i, *gate;
    Node *nx, *index, *weight, *picked;
    Weight w;
} Routed;

static Routed *routed_new(void)
{
    Routed *r = calloc(1, sizeof *r);
    Kit *k = r->k = kit_new(NT);
    r->T = dim_new("T", size_sym("T"));
    r->E = dim("E", NE);
    r->K = dim("K", NK);
    r->F = dim("F", NF);
    r->D = dim("D", ND);
    r->x = noise(k, NT * ND);
    r->i = indices(k, NT * NK, NE);
    r->gate = noise(k, NE * NF * ND);
    r->nx = given(k, "x", DIMS(r->T, r->D), r->x);
    r->index = given_index(k, "i", r->E, DIMS(r->T, r->K), r->i);
    r->w = (Weight){.path = "gate",
                    .type = type_of(TYPE_f32, DIMS(r->E, r->F, r->D))};
    k->in[k->nin].name = "gate";
    k->in[k->nin++].at = r->gate;
    r->weight = g_weight(k->g, &r->w);
    r->picked = g_gather(k->g, r->weight, r->E, r->index);
    return r;
}

static void routed_free(Routed *r)
{
    kit_free(r->k);
    free(r);
}

static void routed_want(const Routed *r, double *want)
{
    for (int tk = 0; tk < NT * NK; tk++)
        for (int f = 0; f < NF; f++) {
            want[tk * NF + f] = 0;
            for (int d = 0; d < ND; d++)
                want[tk * NF + f] +=
                    r->x[tk / NK * ND + d] *
                    r->gate[((int)r->i[tk] * NF + f) * ND + d];
        }
}

static void a_gathered_weight_is_the_grouped_matmul(void **state)
{
    (void)state;
    Routed *r = routed_new();
    double want[NT * NK * NF];
    routed_want(r, want);
    Node *y = g_contract(r->k->g, r->nx, r->picked, DIMS(r->D));
    const Tensor *t = value_of(r->k, y);
    assert_near(t, want, NT * NK * NF);
    assert_true(t->type.dim[1] == r->K);
    routed_free(r);
}

static void a_gathered_weight_may_also_be_looked_at(void **state)
{
    (void)state;
    Routed *r = routed_new();
    double want[NT * NK * NF];
    routed_want(r, want);
    Node *y = g_contract(r->k->g, r->nx, r->picked, DIMS(r->D)),
         *z = g_along(r->k->g, OP_sum, g_map1(r->k->g, OP_abs, r->picked),
                      DIMS(r->T, r->K, r->F, r->D)),
         *all = g_map2(r->k->g, OP_add, y, z); /* it is carried out here */
    double sum = 0;
    for (int tk = 0; tk < NT * NK; tk++)
        for (int j = 0; j < NF * ND; j++)
            sum += fabs(r->gate[(int)r->i[tk] * NF * ND + j]);
    for (int i = 0; i < NT * NK * NF; i++)
        want[i] += sum;
    assert_near(value_of(r->k, all), want, NT * NK * NF);
    routed_free(r);
}

/* dx: summed over K and F, the index's own dim among them. */
static void a_sum_over_the_index_itself(void **state)
{
    (void)state;
    Routed *r = routed_new();
    double *g = noise(r->k, NT * NK * NF), want[NT * ND] = {0};
    for (int tk = 0; tk < NT * NK; tk++)
        for (int f = 0; f < NF; f++)
            for (int d = 0; d < ND; d++)
                want[tk / NK * ND + d] +=
                    g[tk * NF + f] *
                    r->gate[((int)r->i[tk] * NF + f) * ND + d];
    Node *ng = given(r->k, "g", DIMS(r->T, r->K, r->F), g);
    Node *y = g_contract(r->k->g, ng, r->picked, DIMS(r->K, r->F));
    assert_near(value_of(r->k, y), want, NT * ND);
    Node *turned = g_contract(r->k->g, r->picked, ng, DIMS(r->F, r->K));
    const Tensor *t = value_of(r->k, turned);
    assert_near(t, want, NT * ND);
    routed_free(r);
}

/* Copied out it would be [P, D]: 512 MiB. */
static void a_large_gathered_weight_is_not_copied_out(void **state)
{
    (void)state;
    enum { N = 1 << 13 };
    Kit *k = kit_new(1);
    const Dim *E = dim("E", 2), *D = dim("D", N), *P = dim("P", N);
    double *x = arena_alloc(&k->arena, N * sizeof *x),
           *w = arena_alloc(&k->arena, 2 * N * sizeof *w),
           *i = arena_alloc(&k->arena, N * sizeof *i);
    x[5] = 3;
    w[N + 5] = 7;
    i[9] = 1;
    Node *nx = given(k, "x", DIMS(D), x), *nw = given(k, "w", DIMS(E, D), w),
         *ni = given_index(k, "i", E, DIMS(P), i);
    Node *y = g_contract(k->g, nx, g_gather(k->g, nw, E, ni), DIMS(D));
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    const Tensor *t = value_of(k, y);
    getrusage(RUSAGE_SELF, &after);
    for (int p = 0; p < N; p++)
        assert_true(t->at[p] == (p == 9 ? 21 : 0));
    assert_true(after.ru_maxrss - before.ru_maxrss < 100 * 1024);
    kit_free(k);
}

/* ---- attention ---- */

static void plain_attend(const double *q, const double *k, const double *v,
                         int T, int H, int G, int hd, int wide, int window,
                         const int32_t *pos, double *out)
{
    for (int t = 0; t < T; t++)
        for (int h = 0; h < H; h++) {
            int g = h / (H / G);
            double sum = 0, *o = out + (t * H + h) * wide;
            memset(o, 0, (size_t)wide * sizeof *o);
            for (int s = 0; s <= t; s++) {
                if (s < t - pos[t] || t - s >= window)
                    continue;
                double dot = 0;
                for (int j = 0; j < hd; j++)
                    dot += q[(t * H + h) * hd + j] * k[(s * G + g) * hd + j];
                double e = exp(dot / sqrt(hd));
                sum += e;
                for (int j = 0; j < wide; j++)
                    o[j] += e * v[(s * G + g) * wide + j];
            }
            for (int j = 0; j < wide; j++)
                o[j] /= sum;
        }
}

static void check_attend(int T, int H, int G, int hd, int wide, int window,
                         const int32_t *pos)
{
    Kit *k = kit_new(T);
    const Dim *dT = dim_new("T", size_sym("T")), *dH = dim("H", H),
              *dG = G == H ? dH : dim("G", G), *dh = dim("hd", hd),
              *dw = dim("wide", wide);
    double *q = noise(k, T * H * hd), *kk = noise(k, T * G * hd),
           *v = noise(k, T * G * wide), *want = noise(k, T * H * wide);
    plain_attend(q, kk, v, T, H, G, hd, wide, window ? window : T, pos, want);
    Node n = {.op = OP_attend, .size = window ? size_num(window) : NULL};
    n.arg[0] = given(k, "q", DIMS(dT, dH, dh), q);
    n.arg[1] = given(k, "k", DIMS(dT, dG, dh), kk);
    n.arg[2] = given(k, "v", DIMS(dT, dG, dw), v);
    k->env.pos = pos;
    assert_near(value_of(k, graph_add(k->g, n)), want, T * H * wide);
    kit_free(k);
}

static const int32_t one_row[] = {0, 1, 2, 3, 4, 5, 6, 7, 8},
                     three_rows[] = {0, 1, 2, 3, 0, 0, 1, 2, 3};

static void attend_one_sequence(void **state)
{
    (void)state;
    check_attend(9, 3, 3, 5, 5, 0, one_row);
    check_attend(1, 2, 2, 1, 1, 0, one_row);
}

static void attend_shares_key_heads(void **state)
{
    (void)state;
    check_attend(9, 6, 2, 3, 3, 0, one_row);
    check_attend(7, 5, 1, 3, 4, 0, one_row);
}

static void attend_keeps_packed_sequences_apart(void **state)
{
    (void)state;
    check_attend(9, 4, 2, 3, 3, 0, three_rows);
}

static void attend_in_a_window(void **state)
{
    (void)state;
    check_attend(9, 4, 2, 3, 3, 1, one_row);
    check_attend(9, 4, 2, 3, 3, 3, three_rows);
    check_attend(9, 4, 2, 3, 3, 100, three_rows);
}

static void positions_default_to_one_sequence(void **state)
{
    (void)state;
    Kit *k = kit_new(3);
    const Dim *T = dim_new("T", size_sym("T")), *H = dim("H", 1),
              *hd = dim("hd", 1);
    Node *q = given(k, "q", DIMS(T, H, hd), NUMBERS(0, 0, 0)),
         *v = given(k, "v", DIMS(T, H, hd), NUMBERS(3, 5, 10)),
         n = {.op = OP_attend, .arg = {q, q, v}};
    assert_near(value_of(k, graph_add(k->g, n)), NUMBERS(3, 4, 6), 3);
    kit_free(k);
}

/* ---- rope ---- */

static void check_rope(Rope rope, int hd)
{
    enum { T = 9, H = 2 };
    Kit *k = kit_new(T);
    const Dim *dT = dim_new("T", size_sym("T")), *dH = dim("H", H),
              *dh = dim("hd", hd);
    double *x = noise(k, T * H * hd), *want = noise(k, T * H * hd);
    double freq[32], scale;
    int half = rope.rotary / 2;
    rope_frequencies(&rope, freq, &scale);
    for (int i = 0; i < T * H * hd; i++) {
        int t = i / (H * hd), j = i % hd;
        int32_t p = three_rows[t];
        if (j >= rope.rotary)
            want[i] = x[i];
        else if (j < half)
            want[i] = scale * (x[i] * cos(p * freq[j]) -
                               x[i + half] * sin(p * freq[j]));
        else
            want[i] = scale * (x[i] * cos(p * freq[j - half]) +
                               x[i - half] * sin(p * freq[j - half]));
    }
    Node n = {.op = OP_rope, .rope = &rope};
    n.arg[0] = given(k, "x", DIMS(dT, dH, dh), x);
    k->env.pos = three_rows;
    assert_near(value_of(k, graph_add(k->g, n)), want, T * H * hd);
    kit_free(k);
}

static void rope_whole_and_partial(void **state)
{
    (void)state;
    check_rope((Rope){.theta = 10000, .rotary = 6}, 6);
    check_rope((Rope){.theta = 10000, .rotary = 2}, 7);
    check_rope((Rope){.theta = 10000, .rotary = 4, .kind = ROPE_yarn,
                      .factor = 4, .original = 64}, 4);
}

/* ---- repeat ---- */

static Graph *body_of(Kit *k, const Dim *A, Op op, int slots)
{
    Graph *b = graph_new(&k->arena, "body");
    Type t = type_of(TYPE_f32, DIMS(A));
    b->nslots = slots;
    Node in = {.op = OP_input, .type = t, .name = intern("x")};
    Node slot = {.op = OP_weight, .type = t, .slot = slots};
    Node *x = graph_add(b, in), *w = graph_add(b, slot);
    graph_output(b, "y", g_map2(b, op, x, w));
    graph_output(b, "loss.unused", g_along(b, OP_sum, w, DIMS(A)));
    return b;
}

static void repeat_runs_bodies_in_turn(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 2), *inner = dim("A", 2);
    Graph *add = body_of(k, inner, OP_add, 1),
          *mul = body_of(k, inner, OP_mul, 2);
    Type t = type_of(TYPE_f32, DIMS(inner));
    Weight w[3] = {{.path = "w0", .type = t}, {.path = "w1", .type = t},
                   {.path = "w2", .type = t}};
    for (int i = 0; i < 3; i++)
        k->in[i].name = w[i].path;
    k->in[0].at = NUMBERS(1, 2);
    k->in[1].at = NUMBERS(10, 100);
    k->in[2].at = NUMBERS(5, 5);
    k->nin = 3;
    const Weight *c0[] = {&w[0]}, *c1[] = {&w[0], &w[1]}, *c2[] = {&w[2]};
    Iteration pass[] = {{add, c0}, {mul, c1}, {add, c2}};
    Repeat table = {.n = 3, .at = pass};
    Node n = {.op = OP_repeat, .repeat = &table};
    n.arg[0] = given(k, "start", DIMS(A), NUMBERS(0, 3));
    Node *y = graph_add(k->g, n);
    const Tensor *out = value_of(k, y);
    assert_near(out, NUMBERS(15, 505), 2);
    assert_true(out->type.dim[0] == A);
    assert_int_equal(k->fetched, 3);
    ir_verify(k->g, "test");
    kit_free(k);
}

static void draws_differ_between_passes(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 2);
    Graph *b = graph_new(&k->arena, "body");
    Type t = type_of(TYPE_f32, DIMS(A));
    Node in = {.op = OP_input, .type = t, .name = intern("x")},
         draw = {.op = OP_gaussian, .type = t, .name = intern("noise")};
    Node *x = graph_add(b, in);
    graph_output(b, "y", g_map2(b, OP_add, x, graph_add(b, draw)));
    Iteration pass[] = {{b, NULL}, {b, NULL}};
    Repeat table = {.n = 2, .at = pass};
    Node n = {.op = OP_repeat, .repeat = &table};
    n.arg[0] = given(k, "start", DIMS(A), NUMBERS(0, 0));
    double want[2] = {0};
    for (int i = 0; i < 2; i++)
        for (int p = 0; p < 2; p++)
            want[i] += random_gaussian(
                random_draw_key(&draw, 0, random_place(0, p)), (uint64_t)i);
    assert_near(value_of(k, graph_add(k->g, n)), want, 2);
    kit_free(k);
}

static void a_failure_in_a_body_is_handed_on(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 2);
    Weight w = {.path = "absent", .type = type_of(TYPE_f32, DIMS(A))};
    const Weight *column[] = {&w};
    Iteration pass = {body_of(k, A, OP_add, 1), column};
    Repeat table = {.n = 1, .at = &pass};
    Node n = {.op = OP_repeat, .repeat = &table};
    n.arg[0] = given(k, "start", DIMS(A), NUMBERS(0, 3));
    refuses(k, graph_add(k->g, n), "no input absent");
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmul_on_odd_shapes),
        cmocka_unit_test(contract_with_transposed_sides),
        cmocka_unit_test(contract_over_two_and_matched_dims),
        cmocka_unit_test(contract_of_nothing_summed_is_a_product),
        cmocka_unit_test(a_gathered_weight_is_the_grouped_matmul),
        cmocka_unit_test(a_gathered_weight_may_also_be_looked_at),
        cmocka_unit_test(a_sum_over_the_index_itself),
        cmocka_unit_test(a_large_gathered_weight_is_not_copied_out),
        cmocka_unit_test(attend_one_sequence),
        cmocka_unit_test(attend_shares_key_heads),
        cmocka_unit_test(attend_keeps_packed_sequences_apart),
        cmocka_unit_test(attend_in_a_window),
        cmocka_unit_test(positions_default_to_one_sequence),
        cmocka_unit_test(rope_whole_and_partial),
        cmocka_unit_test(repeat_runs_bodies_in_turn),
        cmocka_unit_test(draws_differ_between_passes),
        cmocka_unit_test(a_failure_in_a_body_is_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
