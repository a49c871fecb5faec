/* Programs against the interpreter: matmuls with what is fused into them,
 * routed experts, attention, rope, repeated layers, states. */
#include "runtime/run/run.h"
#include "tests/layer_kit.h"

/* ---- matmuls ---- */

static void matmul_of(int D, int F, Dtype t)
{
    Ctx c = begin(D, t);
    const Dim *dF = dim("F", F);
    Node *x = g_cast(c.g, t, x_of(&c, "x", DIMS(c.T, c.D)));
    Node *w = w_of(&c, "w", 0, DIMS(dF, c.D), D);
    Node *b = w_of(&c, "b", 0, DIMS(dF), 1);
    end(&c, g_map2(c.g, OP_add, g_contract(c.g, x, w, 1, &c.D), b));
}

static void matmuls(void **state)
{
    (void)state;
    matmul_of(64, 128, TYPE_f32);
    matmul_of(33, 7, TYPE_f32);
    matmul_of(100, 70, TYPE_bf16);
    matmul_of(17, 65, TYPE_f16);
}

static void dense_layer(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        Ctx c = begin(48, i ? TYPE_bf16 : TYPE_f32);
        Node *x = g_cast(c.g, c.t, x_of(&c, "x", DIMS(c.T, c.D)));
        Node *h = swiglu(&c, norm(&c, x, "norm"), dim("F", 75));
        end(&c, g_map2(c.g, OP_add, x, h));
    }
}

static void one_x_many_weights(void **state)
{
    (void)state;
    Ctx c = begin(40, TYPE_f32);
    Node *x = x_of(&c, "x", DIMS(c.T, c.D));
    static const char *const name[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        const Dim *N = dim(name[i], 20 + 13 * i);
        Node *w = w_of(&c, name[i], 0, DIMS(N, c.D), 40);
        Node *y = g_contract(c.g, x, w, 1, &c.D);
        graph_output(c.g, intern_printf("y%d", i), g_map1(c.g, OP_tanh, y));
    }
    end(&c, NULL);
}

static void weight_first(void **state)
{
    (void)state;
    Ctx c = begin(40, TYPE_f32);
    const Dim *F = dim("F", 21);
    Node *x = x_of(&c, "x", DIMS(c.T, c.D));
    Node *w = w_of(&c, "w", 0, DIMS(F, c.D), 40);
    end(&c, g_contract(c.g, w, x, 1, &c.D));
}

/* All experts, each on every token; then on its own slice. */
static void lifted(void **state)
{
    (void)state;
    Ctx c = begin(24, TYPE_f32);
    const Dim *E = dim("E", 3), *F = dim("F", 37);
    Node *x = x_of(&c, "x", DIMS(c.T, c.D));
    Node *up = w_of(&c, "up", 1, DIMS(E, F, c.D), 24);
    Node *down = w_of(&c, "down", 1, DIMS(E, c.D, F), 37);
    Node *h = g_contract(c.g, x, up, 1, &c.D);
    Node o = {.op = OP_order, .arg = {h}, .ndim = 3, .dim = {E, c.T, F}};
    Node *y = g_contract(c.g, graph_add(c.g, o), down, 1, &F);
    end(&c, y);
}

/* ---- routed experts ---- */

static void xft_of(int nE, int K, Routing how, Dtype t)
{
    Ctx c = begin(48, t);
    Graph *g = c.g;
    const Dim *E = dim("E", nE), *k = dim("k", K), *F = dim("F", 37);
    Node *x = g_cast(g, t, x_of(&c, "x", DIMS(c.T, c.D))), *a;
    Node *i = router(&c, x, E, k, how, &a);
    Node *top = g_along(g, OP_max, a, 1, &k);
    Node *w = g_map2(g, OP_mul, g_along(g, OP_softmax, a, 1, &k), top);
    Node *y = g_map2(g, OP_mul, w, experts(&c, x, i, E, F));
    Node *rest = g_map2(g, OP_sub, g_num(g, TYPE_f32, 1), top);
    y = g_map2(g, OP_add, g_map2(g, OP_mul, rest, swiglu(&c, x, F)),
               g_along(g, OP_sum, y, 1, &k));
    end(&c, g_map2(g, OP_add, x, y));
}

static void xft(void **state)
{
    (void)state;
    xft_of(7, 3, ROUTE_spread, TYPE_f32);
    xft_of(40, 5, ROUTE_spread, TYPE_f32); /* most experts get nobody */
}

static void xft_all_to_one(void **state)
{
    (void)state;
    xft_of(6, 1, ROUTE_one, TYPE_f32);
    xft_of(6, 2, ROUTE_one, TYPE_f32);
}

static void xft_bf16(void **state)
{
    (void)state;
    xft_of(5, 2, ROUTE_one, TYPE_bf16);
}

/* ---- attention ---- */

static const Rope plain_rope = {.theta = 10000, .rotary = 16};
static const Rope half_rope = {.theta = 100, .rotary = 6, .kind = ROPE_linear,
                               .factor = 2};

static void attend_of(int H, int G, int hd, const Rope *rope, int window,
                      Dtype t)
{
    Ctx c = begin(32, t);
    Node *x = g_cast(c.g, t, x_of(&c, "x", DIMS(c.T, c.D)));
    Node *y = attention(&c, x, H, G, hd, rope,
                        window ? size_num(window) : NULL);
    end(&c, g_map2(c.g, OP_add, x, y));
}

static void attends(void **state)
{
    (void)state;
    attend_of(4, 4, 16, NULL, 0, TYPE_f32);
    attend_of(6, 2, 16, &plain_rope, 0, TYPE_f32);
    attend_of(3, 1, 10, &half_rope, 0, TYPE_f32);
    attend_of(4, 2, 16, &plain_rope, 5, TYPE_f32);
    attend_of(4, 2, 64, &plain_rope, 0, TYPE_bf16);
}

static void ropes_alone(void **state)
{
    (void)state;
    Ctx c = begin(8, TYPE_f32);
    const Dim *H = dim("H", 3), *a = dim("a", 32), *b = dim("b", 10);
    static const Rope wide = {.theta = 500, .rotary = 32};
    Node *x = x_of(&c, "x", DIMS(c.T, H, a));
    Node *y = x_of(&c, "z", DIMS(c.T, H, b));
    x = graph_add(c.g, (Node){.op = OP_rope, .arg = {x}, .rope = &wide});
    y = graph_add(c.g, (Node){.op = OP_rope, .arg = {y}, .rope = &half_rope});
    graph_output(c.g, "wide", x);
    end(&c, y);
}

/* Sequences of 1, 2, 3 .. tokens packed in one row. */
static void packed_sequences(void **state)
{
    (void)state;
    Ctx c = begin(32, TYPE_f32);
    static int32_t pos[MOST];
    for (int t = 1, len = 1, at = 1; t < MOST; t++) {
        if (at == len) {
            at = 0;
            len++;
        }
        pos[t] = at++;
    }
    c.k->env.pos = pos;
    Node *x = x_of(&c, "x", DIMS(c.T, c.D));
    end(&c, attention(&c, x, 2, 1, 16, &plain_rope, size_num(4)));
}

/* ---- repeat ---- */

static void repeats(void **state)
{
    (void)state;
    for (int n = 1; n < 4; n++) {
        Ctx c = begin(32, TYPE_f32);
        Node *x = x_of(&c, "x", DIMS(c.T, c.D));
        Node *y = repeated(&c, g_map1(c.g, OP_tanh, x), dim("F", 40), n, false);
        end(&c, g_map2(c.g, OP_sub, y, x));
    }
}

static void two_bodies(void **state)
{
    (void)state;
    Ctx c = begin(32, TYPE_f32);
    Node *x = x_of(&c, "x", DIMS(c.T, c.D));
    end(&c, repeated(&c, x, dim("F", 32), 4, true));
}

/* ---- states: a step at a time gives what all at once does ---- */

static void steps(void **state)
{
    (void)state;
    static const int64_t cut[] = {1, 1, 5, 1, 30, 2, 1, 0};
    Ctx c = begin(32, TYPE_f32);
    Node *x = x_of(&c, "x", DIMS(c.T, c.D));
    graph_output(c.g, "y", repeated(&c, x, dim("F", 32), 4, true));
    CpuOptions o = {.threads = 2};
    Bench *all = bench_new(c.k, &o, false), *part = bench_new(c.k, &o, false);
    bench_run(all, NULL, 41, false);
    const float *want = all->result[0].data;
    State *s = state_new(part->p);
    const double *data = kit_data(c.k, "x");
    int32_t pos[64];
    for (int i = 0; i < 64; i++)
        pos[i] = i;
    int64_t at = 0;
    for (int i = 0; cut[i]; at += cut[i++]) {
        c.k->in[0].at = data + 32 * at;
        c.k->env.pos = pos + at;
        bench_run(part, s, cut[i], false);
        const float *is = part->result[0].data;
        for (int64_t j = 0; j < 32 * cut[i]; j++)
            if (fabsf(is[j] - want[32 * at + j]) > 1e-5)
                fail_msg("token %d: %g, should be %g", (int)(at + j / 32),
                         (double)is[j], (double)want[32 * at + j]);
    }
    assert_int_equal(state_length(s), at);
    state_truncate(s, 7);
    c.k->in[0].at = data + 32 * 7;
    c.k->env.pos = pos + 7;
    bench_run(part, s, 3, false);
    const float *again = part->result[0].data;
    assert_true(fabsf(again[0] - want[32 * 7]) < 1e-5);
    state_free(s);
    bench_free(all);
    bench_free(part);
    kit_free(c.k);
}

static void last_only(void **state)
{
    (void)state;
    Ctx c = begin(32, TYPE_f32);
    const Dim *V = dim("V", 50);
    Node *x = norm(&c, x_of(&c, "x", DIMS(c.T, c.D)), "norm");
    Node *w = w_of(&c, "head", 0, DIMS(V, c.D), 32);
    graph_output(c.g, "y", g_contract(c.g, x, w, 1, &c.D));
    CpuOptions o = {.threads = 1}, last = {.threads = 1, .last_only = true};
    Bench *a = bench_new(c.k, &o, false), *b = bench_new(c.k, &last, false);
    bench_run(a, NULL, 9, false);
    bench_run(b, NULL, 9, false);
    assert_int_equal(program_output_count(b->p, "y", 9), 50);
    assert_memory_equal((float *)a->result[0].data + 8 * 50,
                        b->result[0].data, 50 * sizeof(float));
    bench_free(a);
    bench_free(b);
    kit_free(c.k);
}

/* ---- what is refused ---- */

static void refusals(void **state)
{
    (void)state;
    Ctx c = begin(8, TYPE_f32);
    const Dim *V = dim("V", 10);
    static const double zero[4] = {0};
    Node *i = given_index(c.k, "token", V, DIMS(c.T), zero);
    Node *t = w_of(&c, "table", 0, DIMS(V, c.D), 1);
    graph_output(c.g, "y", g_gather(c.g, t, V, i));
    CpuOptions o = {.threads = 1};
    Bench *b = bench_new(c.k, &o, false);
    int32_t token[] = {3, 10}, pos[] = {0, 1}, far[] = {0, 5};
    float y[16];
    Err err;
    Column in = {"token", TYPE_i32, token}, out = {"y", TYPE_f32, y};
    assert_false(program_run(b->p, NULL, 2, pos, &in, 1, &out, 1, &err));
    assert_string_equal(err.text, "input token: 10 at 1 is not below 10");
    token[1] = 4;
    assert_true(program_run(b->p, NULL, 2, pos, &in, 1, &out, 1, &err));
    assert_false(program_run(b->p, NULL, 2, far, &in, 1, &out, 1, &err));
    assert_string_equal(err.text, "token 1: position 5, but 1 are before");
    assert_false(program_run(b->p, NULL, 2, pos, &in, 0, &out, 1, &err));
    assert_string_equal(err.text, "input token is not given");
    out.name = "z";
    assert_false(program_run(b->p, NULL, 2, pos, &in, 1, &out, 1, &err));
    assert_string_equal(err.text, "there is no output z");
    bench_free(b);
    kit_free(c.k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmuls),
        cmocka_unit_test(dense_layer),
        cmocka_unit_test(one_x_many_weights),
        cmocka_unit_test(weight_first),
        cmocka_unit_test(lifted),
        cmocka_unit_test(xft),
        cmocka_unit_test(xft_all_to_one),
        cmocka_unit_test(xft_bf16),
        cmocka_unit_test(ropes_alone),
        cmocka_unit_test(repeats),
        cmocka_unit_test(last_only),
        cmocka_unit_test(refusals),
        cmocka_unit_test(attends),
        cmocka_unit_test(packed_sequences),
        cmocka_unit_test(two_bodies),
        cmocka_unit_test(steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
