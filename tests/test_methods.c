/* What must hold of each upcycling and its layers, whatever the weights: the
 * identities of the methods' papers, on a small model and the interpreter. */
#include "compiler/lang/lang.h"
#include "tests/methods_kit.h"

static const char more[] =
    "module plain_xft(D, F, E, K) {\n"
    "  weight router[E, D]\n"
    "  shared:    swiglu(D, F)\n"
    "  expert[E]: swiglu(D, F)\n"
    "  forward(x[T, D]) -> [T, D] {\n"
    "    s    = softmax(f32(x) @ router, E)\n"
    "    a, i = topk(s, k: K)\n"
    "    top  = max(a, k)\n"
    "    return (1 - top) * shared(x) + sum(a * expert[i](x), k)\n"
    "  }\n"
    "}\n"
    "transform plain(experts = 8, active = 6, std = 0.02) {\n"
    "  match ffn: swiglu(D, F)\n"
    "  replace with plain_xft(D, F, experts - 1, active - 1) {\n"
    "    shared = ffn; expert = ffn; router = normal(0, std)\n"
    "  }\n"
    "}\n"
    "transform wide(S = 3) {\n"
    "  match moe: fine_moe(D, f, S, E, K)\n"
    "  replace with swiglu(D, S * f) {\n"
    "    gate[S, f, D] = moe.shared.gate\n"
    "    up[S, f, D]   = moe.shared.up\n"
    "    down[D, S, f] = moe.shared.down\n"
    "  }\n"
    "}\n";

static int setup(void **state)
{
    *state = lab_new(more);
    return 0;
}

static int teardown(void **state)
{
    lab_free(*state);
    return 0;
}

static const char *const FFN = "layer[0].ffn";

/* The upcycled model computes what the dense one did. */
static void preserved(Lab *l, const char *name, const char *args)
{
    Model *moe = lab_apply(l, l->dense, name, args, 0);
    close_to(lab_logits(l, moe), lab_logits(l, l->dense));
}

static void upcycled(void **state)
{
    Lab *l = *state;
    preserved(l, "sparse_upcycling", "E=4 K=2");
    preserved(l, "sparse_upcycling", "E=5 K=5");
    preserved(l, "sparse_upcycling", "E=1 K=1");
    preserved(l, "sparse_every", "E=4 K=2");
    preserved(l, "xft", "experts=8 active=6");
    preserved(l, "xft", "experts=4 active=2");
    preserved(l, "xft", "experts=3 active=3");
    preserved(l, "xft_noisy", "experts=5 active=3");
    preserved(l, "pesc", "E=4 K=2 B=3 scale=0.25");
    preserved(l, "residual", "E=4 K=2");
    preserved(l, "dense_plus", "E=4 K=1");
    preserved(l, "mocle", "E=4 R=2 Z=6 C=3");
    preserved(l, "mocle", "E=1 R=2 Z=6 C=3");
    preserved(l, "lora", "R=2");
    preserved(l, "lora_ffn", "R=2 alpha=3");
    preserved(l, "deepseek_quiet", "M=4 K=3");
    preserved(l, "split", "E=4 K=4 scale=4");
    preserved(l, "split", "E=8 K=8 scale=8 seed=3");
}

static void upcycled_with_noise(void **state)
{
    Lab *l = *state;
    l->training = true;
    preserved(l, "xft_noisy", "experts=8 active=6");
}

static void upcycled_in_floats(void **state)
{
    Lab *l = *state;
    l->exact = false;
    Model *moe = lab_apply(l, l->dense, "xft", "experts=8 active=6", 0);
    assert_true(lab_furthest(lab_logits(l, moe), lab_logits(l, l->dense)) <
                2e-6);
}

/* The layer plus a product with zeros: nothing at all is changed. */
static void what_starts_at_zero_is_bit_equal(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "lora", "R=2", 0);
    l->exact = false;
    assert_true(lab_same(lab_logits(l, moe), lab_logits(l, l->dense)));
    moe = lab_apply(l, l->dense, "dense_plus", "E=4 K=1", 0);
    assert_true(lab_same(lab_logits(l, moe), lab_logits(l, l->dense)));
}

static void not_preserved(void **state)
{
    Lab *l = *state;
    Tensor *y = lab_logits(l, l->dense);
    far_from(lab_logits(l, lab_apply(l, l->dense, "split",
                                     "E=4 K=2 scale=4", 0)), y);
    far_from(lab_logits(l, lab_apply(l, l->dense, "deepseek_split",
                                     "M=4 K=3", 0)), y);
    far_from(lab_logits(l, lab_apply(l, l->dense, "expert_choice",
                                     "E=4 capacity=2", 0)), y);
}

/* y is factor[t] times what the dense layer gives. */
static void times(Lab *l, Model *moe, const double *factor)
{
    Tensor *y = lab_part(l, moe, FFN, NULL);
    Tensor *f = lab_part(l, l->dense, FFN, NULL);
    for (int64_t i = 0; i < f->count; i++)
        f->at[i] *= factor[i / f->shape[1]];
    close_to(y, f);
}

static void xft_without_normalisation(void **state)
{
    Lab *l = *state;
    double factor[7];
    Model *moe = lab_apply(l, l->dense, "plain",
                           "experts=8 active=6 std=1", 0);
    Tensor *a = lab_part(l, moe, FFN, "a");
    for (int t = 0; t < 7; t++) {
        factor[t] = 1;
        for (int k = 1; k < 5; k++)
            factor[t] += a->at[t * 5 + k];
        assert_true(factor[t] >= 1 && factor[t] <= 1.8);
    }
    times(l, moe, factor);
    moe = lab_apply(l, l->dense, "plain", "experts=8 active=6 std=0", 0);
    for (int t = 0; t < 7; t++)
        factor[t] = 11.0 / 7; /* 1.571 */
    times(l, moe, factor);
}

static void switch_scales_by_what_is_kept(void **state)
{
    Lab *l = *state;
    double factor[7] = {0};
    Model *moe = lab_apply(l, l->dense, "switch_upcycling",
                           "E=4 K=2 layers=2", 0);
    Tensor *a = lab_part(l, moe, "layer[1].ffn", "a");
    Tensor *y = lab_part(l, moe, "layer[1].ffn", NULL);
    Tensor *f = lab_part(l, l->dense, "layer[1].ffn", NULL);
    for (int i = 0; i < 14; i++)
        factor[i / 2] += a->at[i];
    for (int64_t i = 0; i < f->count; i++)
        f->at[i] *= factor[i / 4];
    close_to(y, f);
    /* only every second layer */
    assert_string_equal(inst_at(moe->root, FFN)->def->text, "swiglu");
}

static void every_other_layer(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "sparse_every", "E=4 K=2", 0);
    assert_string_equal(inst_at(moe->root, "layer[0].ffn")->def->text,
                        "swiglu");
    assert_string_equal(inst_at(moe->root, "layer[1].ffn")->def->text,
                        "topk_moe");
}

static bool no_router(Lab *l, const Weight *w, double *out)
{
    if (!strstr(w->path, "router"))
        return false;
    memset(out, 0, (size_t)type_count(&w->type, l->T) * sizeof *out);
    return true;
}

static void losses_of_a_uniform_router(void **state)
{
    Lab *l = *state;
    const char *at = "layer[1].ffn";
    Model *moe = lab_apply(l, l->dense, "switch_upcycling", "E=4 K=1", 0);
    lab_trained(moe);
    l->weight = no_router;
    nearly(lab_part(l, moe, at, "loss.z")->at[0],
           0.001 * log(4) * log(4));
    nearly(lab_part(l, moe, at, "loss.balance")->at[0], 0.01);
    moe = lab_apply(l, l->dense, "deepseek_split", "M=4 K=3 copies=1", 0);
    lab_trained(moe);
    nearly(lab_part(l, moe, at, "loss.balance")->at[0], 0.001);
}

static void balance_of_even_use_is_nothing(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "xft_noisy", "experts=5 active=5", 0);
    lab_trained(moe);
    Tensor *some = lab_part(l, moe, FFN, "loss.balance");
    assert_true(some->at[0] > 1e-5);
    l->weight = no_router;
    nearly(lab_part(l, moe, FFN, "loss.balance")->at[0], 0);
}

/* ---- routing weights ---- */

static void xft_weights_sum_to_one(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "xft", "experts=8 active=6", 0);
    lab_trained(moe); /* a router of N(0, 1) */
    Tensor *w = lab_part(l, moe, FFN, "w"), *a = lab_part(l, moe, FFN, "a"),
           *top = lab_part(l, moe, FFN, "top");
    for (int t = 0; t < 7; t++) {
        double sum = 1 - top->at[t], most = 0, least = 1;
        for (int k = 0; k < 5; k++) {
            sum += w->at[t * 5 + k];
            most = fmax(most, w->at[t * 5 + k]);
            least = fmin(least, w->at[t * 5 + k]);
        }
        nearly(sum, 1);
        nearly(top->at[t], a->at[t * 5]); /* the first is the largest */
        assert_true(1 - top->at[t] >= 0 && 1 - top->at[t] <= 6.0 / 7);
        assert_true(most / least <= exp(1) + 1e-12);
    }
}

static void xft_with_one_routed_expert(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "xft", "experts=4 active=2", 0);
    lab_trained(moe);
    Tensor *w = lab_part(l, moe, FFN, "w");
    close_to(w, lab_part(l, moe, FFN, "top"));
}

static void xft_of_two_shares_nothing(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "xft", "experts=2 active=2", 0);
    lab_trained(moe);
    Tensor *top = lab_part(l, moe, FFN, "top");
    for (int t = 0; t < 7; t++)
        nearly(top->at[t], 1);
}

static void xft_with_all_uses_all(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "xft", "experts=6 active=6", 0);
    lab_trained(moe);
    Tensor *i = lab_part(l, moe, FFN, "i");
    for (int t = 0; t < 7; t++) {
        int seen = 0;
        for (int k = 0; k < 5; k++)
            seen |= 1 << (int)i->at[t * 5 + k];
        assert_int_equal(seen, 31);
    }
}

static void ties_go_to_the_lower_index(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "sparse_upcycling", "E=4 K=2", 0);
    lab_trained(moe);
    l->weight = no_router;
    Tensor *i = lab_part(l, moe, FFN, "i");
    for (int t = 0; t < 7; t++)
        assert_true(i->at[t * 2] == 0 && i->at[t * 2 + 1] == 1);
}

/* Experts with their router rows in another order. */
static bool turned(Lab *l, const Weight *w, double *out)
{
    static const char *const part[] = {".expert.", ".adapter.", ".router"};
    int64_t n = type_count(&w->type, l->T);
    int64_t E = size_at(w->type.dim[0]->size, l->T), row = n / E;
    for (size_t i = 0; i < COUNT(part); i++) {
        if (!strstr(w->path, part[i]))
            continue;
        double *all = xmalloc((size_t)n * sizeof *all);
        lab_draw(l, w->path, n, all);
        for (int64_t e = 0; e < E; e++)
            memcpy(out + e * row, all + (e + 1) % E * row,
                   (size_t)row * sizeof *out);
        free(all);
        return true;
    }
    return false;
}

static void order_of_experts(Lab *l, const char *name, const char *args)
{
    Model *moe = lab_apply(l, l->dense, name, args, 0);
    lab_trained(moe);
    l->weight = NULL;
    Tensor *y = lab_part(l, moe, FFN, NULL);
    l->weight = turned;
    close_to(lab_part(l, moe, FFN, NULL), y);
}

static void experts_in_another_order(void **state)
{
    order_of_experts(*state, "xft", "experts=8 active=4");
    order_of_experts(*state, "sparse_upcycling", "E=4 K=2");
    order_of_experts(*state, "pesc", "E=4 K=2 B=3");
    order_of_experts(*state, "expert_choice", "E=4");
    order_of_experts(*state, "deepseek_split", "M=4 K=3");
}

/* ---- PESC, MoCLE ---- */

static bool equal_adapters(Lab *l, const Weight *w, double *out)
{
    if (!strstr(w->path, ".adapter."))
        return false;
    int64_t n = type_count(&w->type, l->T);
    int64_t E = size_at(w->type.dim[0]->size, l->T), row = n / E;
    for (int64_t e = 0; e < E; e++)
        lab_draw(l, w->path, row, out + e * row);
    return true;
}

/* Equal adapters: h + A(h), whatever the router says. */
static void pesc_of_equal_adapters(void **state)
{
    Lab *l = *state;
    Model *four = lab_apply(l, l->dense, "pesc", "E=4 K=2 B=3", 0),
          *one = lab_apply(l, l->dense, "pesc", "E=1 K=1 B=3", 0);
    lab_trained(four);
    lab_trained(one);
    l->weight = equal_adapters;
    close_to(lab_part(l, four, FFN, NULL), lab_part(l, one, FFN, NULL));
}

static void mocle_of_one_expert(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "mocle", "E=1 R=2 Z=6 C=3", 0);
    Tensor *top = lab_part(l, moe, "layer[0].ffn.gate", "top");
    for (int t = 0; t < 7; t++)
        nearly(top->at[t], 1); /* the universal one is off */
}

static void mocle_routes_by_cluster(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "mocle", "E=4 R=2 Z=6 C=3", 0);
    lab_trained(moe);
    Tensor *i = lab_part(l, moe, "layer[0].ffn.gate", "i");
    for (int t = 3; t < 7; t++) /* clusters go 0, 2, 1, 0, 2, 1, 0 */
        nearly(i->at[t], i->at[t - 3]);
}

/* ---- expert choice ---- */

static void expert_choice_fills_every_expert(void **state)
{
    Lab *l = *state;
    l->T = 8;
    Model *moe = lab_apply(l, l->dense, "expert_choice", "E=4 capacity=2", 0);
    lab_trained(moe);
    Tensor *t = lab_part(l, moe, FFN, "t");
    assert_int_equal(t->count, 4 * 4); /* E of C = 2 T / E tokens */
    for (int e = 0; e < 4; e++) {
        int seen = 0;
        for (int c = 0; c < 4; c++)
            seen |= 1 << (int)t->at[e * 4 + c];
        assert_int_equal(__builtin_popcount((unsigned)seen), 4);
    }
}

/* Normalised: the dense value where some expert came, 0 where none did. */
static void expert_choice_normalised(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "expert_choice_normal",
                           "E=4 capacity=1", 0);
    Tensor *y = lab_part(l, moe, FFN, NULL), *t = lab_part(l, moe, FFN, "t");
    Tensor *f = lab_part(l, l->dense, FFN, NULL);
    bool taken[7] = {false};
    for (int64_t i = 0; i < t->count; i++)
        taken[(int)t->at[i]] = true;
    for (int64_t i = 0; i < f->count; i++)
        f->at[i] *= taken[i / 4];
    close_to(y, f);
}

static void expert_choice_of_all_tokens(void **state)
{
    Lab *l = *state;
    preserved(l, "expert_choice", "E=4 capacity=4"); /* p sums to 1 */
    preserved(l, "expert_choice_normal", "E=4 capacity=4");
}

/* ---- splits ---- */

static void split_and_back(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "split", "E=4 K=4 scale=4", 0);
    Model *back = lab_apply(l, moe, "unsplit", "", 0);
    close_to(lab_logits(l, back), lab_logits(l, l->dense));
    Tensor *old = lab_value(l, l->dense, "layer[0].ffn.gate"),
           *now = lab_value(l, back, "layer[0].ffn.gate");
    int place[8];
    for (int f = 0; f < 8; f++) {
        place[f] = -1;
        for (int o = 0; o < 8; o++)
            if (!memcmp(now->at + f * 4, old->at + o * 4, 4 * sizeof(double)))
                place[f] = o;
        assert_true(place[f] >= 0); /* each neuron, bit for bit */
    }
    Tensor *down = lab_value(l, l->dense, "layer[0].ffn.down"),
           *down2 = lab_value(l, back, "layer[0].ffn.down");
    for (int i = 0; i < 32; i++) /* in the same order */
        assert_true(down2->at[i] == down->at[i / 8 * 8 + place[i % 8]]);
}

static void shared_experts_are_one_wide(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "deepseek_split", "M=4 K=3", 0);
    Model *one = lab_apply(l, moe, "wide", "", 0); /* routed ones dropped */
    close_to(lab_logits(l, one), lab_logits(l, l->dense));
    lab_trained(moe);
    moe = lab_apply(l, moe, "wide", "", 0);
    far_from(lab_logits(l, moe), lab_logits(l, l->dense));
}

/* ---- experts of other models ---- */

static bool equal_others(Lab *l, const Weight *w, double *out)
{
    if (!w->other)
        return false;
    int64_t n = type_count(&w->type, l->T);
    int64_t N = size_at(w->type.dim[0]->size, l->T), row = n / N;
    for (int64_t i = 0; i < N; i++)
        lab_draw(l, strchr(w->path, '.') + 1, row, out + i * row);
    return true;
}

static void branch_train_mix_of_equals(void **state)
{
    Lab *l = *state;
    l->weight = equal_others;
    Model *moe = lab_apply(l, l->dense, "branch_train_mix", "K=2", 3);
    close_to(lab_logits(l, moe), lab_logits(l, l->dense));
}

static void branch_train_mix_takes_each(void **state)
{
    Lab *l = *state;
    double all[3 * 32], scale[3 * 4];
    Model *moe = lab_apply(l, l->dense, "branch_train_mix", "K=2", 3);
    Tensor *gate = lab_value(l, moe, "layer[0].ffn.expert.gate");
    lab_draw(l, "other.layer[0].ffn.gate", 96, all);
    assert_int_equal(gate->count, 96);
    assert_memory_equal(gate->at, all, sizeof all); /* e's is the e-th's */
    Tensor *norm = lab_value(l, moe, "layer[0].norm1.scale");
    lab_draw(l, "other.layer[0].norm1.scale", 12, scale);
    for (int i = 0; i < 4; i++)
        nearly(norm->at[i], (scale[i] + scale[4 + i] + scale[8 + i]) / 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(upcycled), TEST(upcycled_with_noise), TEST(upcycled_in_floats),
        TEST(what_starts_at_zero_is_bit_equal), TEST(not_preserved),
        TEST(xft_without_normalisation), TEST(switch_scales_by_what_is_kept),
        TEST(every_other_layer),
        TEST(losses_of_a_uniform_router),
        TEST(balance_of_even_use_is_nothing), TEST(xft_weights_sum_to_one),
        TEST(xft_with_one_routed_expert), TEST(xft_of_two_shares_nothing),
        TEST(xft_with_all_uses_all), TEST(ties_go_to_the_lower_index),
        TEST(experts_in_another_order), TEST(pesc_of_equal_adapters),
        TEST(mocle_of_one_expert), TEST(mocle_routes_by_cluster),
        TEST(expert_choice_fills_every_expert),
        TEST(expert_choice_normalised), TEST(expert_choice_of_all_tokens),
        TEST(split_and_back), TEST(shared_experts_are_one_wide),
        TEST(branch_train_mix_of_equals), TEST(branch_train_mix_takes_each)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
