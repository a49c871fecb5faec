/* The claims of the library's transforms, on graphs built by hand. */
#include "tests/prove_kit.h"

static int setup(void **state)
{
    Kit *k = kit_new();
    k->x = input(k, "x", DIMS(k->T, k->D));
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    kit_free(*state);
    return 0;
}

/* sum(w * expert[i](x), k), the experts copies of w. */
static Node *routed(Kit *k, Ffn w, Node *weights, Node *i)
{
    return along(k, OP_sum, mul(k, weights, ffn(k, copied(k, w, i), k->x)),
                 k->k);
}

static void mixtral_preserves(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    Node *s = scores(k, k->x), *i = named(topk(k, s, k->E, k->k), "i"),
         *logit = named(g_gather(k->g, s, k->E, i), "logit");
    Node *y = routed(k, w, along(k, OP_softmax, logit, k->k), i);
    Proof p = prove(k, (ProveEnv){0}, y, ffn(k, w, k->x));
    assert_int_equal(p.result, PROOF_proved);
    assert_true(used(&p, "gather_constant"));
    assert_true(used(&p, "sum_factor"));
    assert_true(used(&p, "sum_softmax"));
    assert_int_equal(p.nrule, 3);
    assert_true(p.diff_exact < 1e-12);
    assert_true(p.diff_f32 < 1e-5 && p.diff_bf16 < 0.05);
    assert_non_null(strstr(p.derivation, "sum(softmax(logit, k), k) = 1"));
}

typedef struct {
    Node *i, *a, *top;
} Route;

static Route route(Kit *k, Node *logit)
{
    Node *s = named(along(k, OP_softmax, logit, k->E), "s");
    Route r = {.i = named(topk(k, s, k->E, k->k), "i")};
    r.a = named(g_gather(k->g, s, k->E, r.i), "a");
    r.top = named(along(k, OP_max, r.a, k->k), "top");
    return r;
}

static Node *xft(Kit *k, Ffn w, Route r, bool normalised)
{
    Node *share = normalised
                      ? mul(k, along(k, OP_softmax, r.a, k->k), r.top)
                      : r.a;
    return add(k, mul(k, sub(k, num(k, 1), r.top), ffn(k, w, k->x)),
               routed(k, w, share, r.i));
}

static void xft_preserves(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    Node *y = xft(k, w, route(k, scores(k, k->x)), true);
    Proof p = prove(k, (ProveEnv){0}, y, ffn(k, w, k->x));
    assert_int_equal(p.result, PROOF_proved);
    assert_true(used(&p, "sum_softmax"));
    assert_int_equal(p.nrule, 3);
}

static void xft_noisy_preserves(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    Node *clean = scores(k, g_map1(k->g, OP_tanh, k->x));
    Node *noise = weight(k, "noise", DIMS(k->E, k->D));
    Node *sigma = add(k, g_map1(k->g, OP_softplus, dot(k, k->x, noise, k->D)),
                      num(k, 0.01));
    Node *training = graph_add(
        k->g, (Node){.op = OP_flag, .name = intern("training"),
                     .type = {.dtype = TYPE_bool}});
    Node *noisy = add(k, clean, mul(k, sigma, drawn(k, "draw",
                                                    DIMS(k->T, k->E))));
    Route r = route(k, g_select(k->g, training, noisy, clean));
    Proof p = prove(k, (ProveEnv){0}, xft(k, w, r, true), ffn(k, w, k->x));
    assert_int_equal(p.result, PROOF_proved);
}

/* As with experts = 8, active = 6. */
static ProveEnv seven_five(void)
{
    static const ProveParam param[] = {{"E", 7, false},
                                       {"K", 5, false}};
    return (ProveEnv){.nparam = 2, .param = param};
}

static void xft_not_normalised_is_refuted(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    Node *y = xft(k, w, route(k, scores(k, k->x)), false);
    Proof p = prove(k, seven_five(), y, ffn(k, w, k->x));
    assert_int_equal(p.result, PROOF_refuted);
    assert_string_equal(p.factor, "1 - top + sum(a, k)");
    assert_true(fabs(p.at_uniform - 11.0 / 7) < 1e-12);
    assert_true(p.low > 1 && p.high < 1.8);
    assert_non_null(strstr(p.why, "1.571"));
}

static void switch_is_refuted(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    Route r = route(k, scores(k, k->x));
    Proof p = prove(k, (ProveEnv){0}, routed(k, w, r.a, r.i),
                    ffn(k, w, k->x));
    assert_int_equal(p.result, PROOF_refuted);
    assert_string_equal(p.factor, "sum(a, k)");
    assert_string_equal(p.uniform, "K/E");
    assert_true(p.low > 0 && p.high <= 1 + 1e-12);
}

static void gshard_pair_preserves(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    Route r = route(k, scores(k, k->x));
    Node *share = quo(k, r.a, along(k, OP_sum, r.a, k->k));
    Proof p = prove(k, (ProveEnv){0}, routed(k, w, share, r.i),
                    ffn(k, w, k->x));
    assert_int_equal(p.result, PROOF_proved);
    assert_true(used(&p, "cancel"));
}

/* The same with what may be 0 below: nothing may cancel. */
static void no_cancelling_of_unknown_sign(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    Node *s = scores(k, k->x), *i = topk(k, s, k->E, k->k);
    Node *a = g_gather(k->g, s, k->E, i);
    Node *share = quo(k, a, along(k, OP_sum, a, k->k));
    Proof p = prove(k, (ProveEnv){0}, routed(k, w, share, i),
                    ffn(k, w, k->x));
    assert_int_equal(p.result, PROOF_refuted); /* a router of zeros */
    assert_true(isinf(p.diff_exact));
}

static void pesc_preserves(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    const Dim *B = kit_dim("B");
    Node *h = named(ffn(k, w, k->x), "h"), *s = scores(k, k->x),
         *i = topk(k, s, k->E, k->k), *logit = g_gather(k->g, s, k->E, i);
    Node *down = g_gather(k->g, drawn(k, "down", DIMS(k->E, B, k->D)), k->E,
                          i);
    Node *up = g_gather(k->g, along(k, OP_expand, num(k, 0), k->E, k->D, B),
                        k->E, i);
    Node *z = dot(k, g_map1(k->g, OP_gelu, dot(k, h, down, k->D)), up, B);
    Node *each = add(k, h, mul(k, scalar(k, "scale"), z));
    Node *y = along(k, OP_sum,
                    mul(k, along(k, OP_softmax, logit, k->k), each), k->k);
    Proof p = prove(k, (ProveEnv){0}, y, h);
    assert_int_equal(p.result, PROOF_proved);
}

static Node *merged(Kit *k, Node *w)
{
    Node *rate = scalar(k, "rate"), *mix = learned(k, "mix", DIMS(k->E));
    Node *experts = along(k, OP_expand, w, k->E);
    Node *soup = along(k, OP_sum,
                       mul(k, along(k, OP_softmax, mix, k->E), experts), k->E);
    return add(k, mul(k, rate, w), mul(k, sub(k, num(k, 1), rate), soup));
}

static void merge_gives_the_weights_back(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    Node *of[] = {w.gate, w.up, w.down};
    for (int i = 0; i < 3; i++) {
        Proof p = prove(k, (ProveEnv){0}, merged(k, of[i]), of[i]);
        assert_int_equal(p.result, PROOF_proved);
    }
}

static void merge_with_wrong_rates_is_refuted(void **state)
{
    Kit *k = *state;
    Node *w = ffn_weights(k).gate, *rate = scalar(k, "rate");
    Node *y = add(k, mul(k, rate, w), mul(k, sub(k, num(k, 1.25), rate), w));
    Proof p = prove(k, (ProveEnv){0}, y, w);
    assert_int_equal(p.result, PROOF_refuted);
    assert_string_equal(p.factor, "1.25");
}

static void lora_preserves(void **state)
{
    Kit *k = *state;
    const Dim *H = kit_dim("H"), *hd = kit_dim("hd"), *R = kit_dim("R");
    Node *q = weight(k, "q", DIMS(H, hd, k->D));
    Node *qa = learned(k, "qa", DIMS(k->D, R));
    Node *qb = along(k, OP_expand, num(k, 0), H, hd, R);
    Node *by = g_scalar(k->g, TYPE_f32,
                        size_div(size_sym("alpha"), size_sym("R")));
    Node *now = add(k, q, mul(k, by, dot(k, qb, qa, R)));
    Rope *rope = arena_alloc(&k->arena, sizeof *rope);
    *rope = (Rope){.theta = 1e4, .rotary = 0};
    Node *out[2];
    for (int i = 0; i < 2; i++) {
        Node *x = dot(k, k->x, i ? q : now, k->D);
        out[i] = graph_add(k->g, (Node){.op = OP_attend, .arg = {x, x, x}});
    }
    ProveEnv env = {0};
    assert_int_equal(prove(k, env, now, q).result, PROOF_proved);
    assert_int_equal(prove(k, env, out[0], out[1]).result, PROOF_proved);
}

static void average_of_equal_experts(void **state)
{
    Kit *k = *state;
    Node *w = ffn_weights(k).gate, *all = along(k, OP_expand, w, k->E),
         *share = scalar(k, "share");
    Node *others = sub(k, along(k, OP_sum, all, k->E), w);
    Node *less = g_scalar(k->g, TYPE_f32, size_sub(size_sym("E"),
                                                   size_num(1)));
    Node *y = add(k, mul(k, sub(k, num(k, 1), share), w),
                  quo(k, mul(k, share, others), less));
    Proof p = prove(k, (ProveEnv){0}, y, w);
    assert_int_equal(p.result, PROOF_refuted);
    assert_non_null(strstr(p.why, "E - 1 is 0"));
    SizeFact several = {size_sym("E"), {2, false}};
    p = prove(k, (ProveEnv){.nfact = 1, .fact = &several}, y, w);
    assert_int_equal(p.result, PROOF_proved);
}

static void deepseek_is_refuted(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    const Dim *S = kit_dim("S");
    Route r = route(k, scores(k, k->x));
    Node *shared = along(k, OP_sum, along(k, OP_expand, ffn(k, w, k->x), S),
                         S);
    Proof p = prove(k, (ProveEnv){0},
                    add(k, shared, routed(k, w, r.a, r.i)),
                    ffn(k, w, k->x));
    assert_int_equal(p.result, PROOF_refuted);
    assert_string_equal(p.factor, "S + sum(a, k)");
}

/* Each expert a part of the neurons. */
static Node *split_moe(Kit *k, Ffn w)
{
    const Size *E = size_sym("E");
    const Dim *f = dim_new("f", size_div(size_sym("F"), E));
    Node *s = dot(k, k->x, along(k, OP_expand, num(k, 0), k->E, k->D), k->D);
    Node *i = named(topk(k, s, k->E, k->k), "i"),
         *logit = g_gather(k->g, s, k->E, i);
    Node *neurons = graph_add(
        k->g, (Node){.op = OP_shuffle, .ndim = 1, .dim = {k->F}, .num = 1,
                     .type = {.dtype = TYPE_i32, .index_of = k->F, .rank = 1,
                              .dim = {k->F}}});
    Node *part = graph_add(k->g, (Node){.op = OP_split, .arg = {neurons},
                                        .ndim = 3, .dim = {k->F, k->E, f}});
    Node **at[] = {&w.gate, &w.up, &w.down};
    for (int j = 0; j < 3; j++)
        *at[j] = g_gather(k->g, g_gather(k->g, *at[j], k->F, part), k->E, i);
    Node *y = ffn_over(k, w, k->x, f);
    return mul(k, scalar(k, "scale"),
               along(k, OP_sum, mul(k, along(k, OP_softmax, logit, k->k), y),
                     k->k));
}

static void split_preserves_when_all_are_used(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    ProveEqual when[] = {{"K", size_sym("E")}, {"scale", size_sym("E")}};
    Proof p = prove(k, (ProveEnv){.nequal = 2, .equal = when},
                    split_moe(k, w), ffn(k, w, k->x));
    assert_int_equal(p.result, PROOF_proved);
    assert_true(used(&p, "gather_all"));
    assert_true(used(&p, "gather_each"));
    assert_true(used(&p, "softmax_constant"));
    assert_true(used(&p, "topk_constant"));
    assert_true(p.diff_exact < 1e-12);
}

static void split_does_not_with_fewer(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    ProveEqual when[] = {{"scale", size_sym("E")}};
    Proof p = prove(k, (ProveEnv){.nequal = 1, .equal = when},
                    split_moe(k, w), ffn(k, w, k->x));
    assert_int_equal(p.result, PROOF_refuted);
}

static void expert_choice_is_refuted(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    const Dim *c = dim_new("c", size_ceil(size_div(size_sym("T"),
                                                   size_num(2))));
    Node *p = named(along(k, OP_softmax, scores(k, k->x), k->E), "p");
    Node *t = named(topk(k, p, k->T, c), "t");
    Node *a = named(g_gather(k->g, p, k->T, t), "a");
    Node *xs = g_gather(k->g, k->x, k->T, t);
    Ffn e = w;
    e.gate = along(k, OP_expand, w.gate, k->E);
    Node *y = graph_add(
        k->g, (Node){.op = OP_scatter, .arg = {mul(k, a, ffn(k, e, xs)), t},
                     .ndim = 1, .dim = {k->T}});
    Proof r = prove(k, (ProveEnv){0}, y, ffn(k, w, k->x));
    assert_int_equal(r.result, PROOF_refuted);
    assert_non_null(r.factor);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(mixtral_preserves),
        TEST(xft_preserves),
        TEST(xft_noisy_preserves),
        TEST(xft_not_normalised_is_refuted),
        TEST(switch_is_refuted),
        TEST(gshard_pair_preserves),
        TEST(no_cancelling_of_unknown_sign),
        TEST(pesc_preserves),
        TEST(merge_gives_the_weights_back),
        TEST(merge_with_wrong_rates_is_refuted),
        TEST(lora_preserves),
        TEST(average_of_equal_experts),
        TEST(deepseek_is_refuted),
        TEST(split_preserves_when_all_are_used),
        TEST(split_does_not_with_fewer),
        TEST(expert_choice_is_refuted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
