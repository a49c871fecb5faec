/* What must hold of merges of experts into one dense layer: the identities of
 * the methods' papers. */
#include "compiler/lang/lang.h"
#include "tests/methods_kit.h"

static const char more[] =
    "transform free_soup() {\n"
    "  match moe: xft_moe(D, F, E, K)\n"
    "  learn own[] = 3.044522437723423, mix[E] = 0\n" /* ln 21 */
    "  replace with swiglu(D, F) {\n"
    "    each w = (exp(own) * moe.shared.w +\n"
    "              sum(exp(mix) * moe.expert.w, E)) /\n"
    "             (exp(own) + sum(exp(mix), E))\n"
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

static const char *const matrices[] = {
    "layer[0].ffn.gate", "layer[0].ffn.up", "layer[0].ffn.down",
    "layer[1].ffn.gate", "layer[1].ffn.up", "layer[1].ffn.down"};

static const char *const GATE = "layer[0].ffn.gate";
static const char *const FFN = "layer[0].ffn";

/* Are the FFNs those of the dense model, to `within`? */
static void gives_back(Lab *l, Model *m, double within)
{
    for (size_t i = 0; i < COUNT(matrices); i++)
        assert_true(lab_furthest(lab_value(l, m, matrices[i]),
                                 lab_value(l, l->dense, matrices[i])) <=
                    within);
}

/* ---- XFT ---- */

static bool random_mix(Lab *l, const Weight *w, double *out)
{
    if (!strstr(w->path, ".mix"))
        return false;
    lab_draw(l, w->path, type_count(&w->type, l->T), out);
    for (int64_t i = 0; i < type_count(&w->type, l->T); i++)
        out[i] = 3 * out[i] + l->number; /* number: added to each */
    return true;
}

static void xft_merge_gives_back(void **state)
{
    static const char *const rates[] = {"rate=0", "rate=0.25", "rate=0.5",
                                        "rate=0.75", "rate=0.85", "rate=1"};
    Lab *l = *state;
    for (int mix = 0; mix < 2; mix++)
        for (size_t i = 0; i < COUNT(rates); i++) {
            l->weight = mix ? random_mix : NULL;
            Model *moe = lab_apply(l, l->dense, "xft", "", 0);
            gives_back(l, lab_apply(l, moe, "xft_merge", rates[i], 0), 1e-14);
        }
    l->weight = NULL;
    Model *noisy = lab_apply(l, l->dense, "xft_noisy", "", 0);
    gives_back(l, lab_apply(l, noisy, "xft_merge", "", 0), 1e-14);
}

static bool bf16_values(Lab *l, const Weight *w, double *out)
{
    int64_t n = type_count(&w->type, l->T);
    if (w->value)
        return false;
    lab_draw(l, w->path, n, out);
    for (int64_t i = 0; i < n; i++)
        out[i] = f32_of_bits((uint32_t)bf16_of_f32((float)out[i]) << 16);
    return true;
}

/* Short binary fractions all the way: not even rounding differs. */
static void xft_merge_is_bit_equal(void **state)
{
    Lab *l = *state;
    l->exact = false;
    l->weight = bf16_values;
    Model *moe = lab_apply(l, l->dense, "xft", "experts=9 active=3", 0);
    gives_back(l, lab_apply(l, moe, "xft_merge", "rate=0.75", 0), 0);
}

static Model *tuned_xft(Lab *l)
{
    Model *moe = lab_apply(l, l->dense, "xft", "experts=5 active=3", 0);
    lab_trained(moe);
    return moe;
}

static void rate_one_is_the_shared_expert(void **state)
{
    Lab *l = *state;
    Model *moe = tuned_xft(l), *one = lab_apply(l, moe, "xft_merge", "rate=1",
                                                0);
    l->exact = false;
    assert_true(lab_same(lab_value(l, one, GATE),
                         lab_value(l, moe, "layer[0].ffn.shared.gate")));
}

static bool other_shared(Lab *l, const Weight *w, double *out)
{
    if (!strstr(w->path, ".shared."))
        return false;
    lab_draw(l, "another", type_count(&w->type, l->T), out);
    return true;
}

static void rate_zero_drops_the_shared_expert(void **state)
{
    Lab *l = *state;
    Model *none = lab_apply(l, tuned_xft(l), "xft_merge", "rate=0", 0);
    Tensor *gate = lab_value(l, none, GATE);
    l->weight = other_shared;
    assert_true(lab_same(lab_value(l, none, GATE), gate));
    Model *some = lab_apply(l, tuned_xft(l), "xft_merge", "rate=0.5", 0);
    far_from(lab_value(l, some, GATE), gate);
}

static void mix_counts_up_to_a_constant(void **state)
{
    Lab *l = *state;
    Model *merged = lab_apply(l, tuned_xft(l), "xft_merge", "", 0);
    l->weight = random_mix;
    Tensor *w = lab_value(l, merged, GATE);
    l->number = 2.5;
    close_to(lab_value(l, merged, GATE), w);
    l->weight = NULL;
    far_from(lab_value(l, merged, GATE), w);
}

/* One softmax over all with ln 21 for the shared one: 0.75 and 0.25 / 7. */
static void free_soup_starts_like_the_rate(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "xft", "experts=8 active=6", 0);
    lab_trained(moe);
    Model *a = lab_apply(l, moe, "xft_merge", "rate=0.75", 0),
          *b = lab_apply(l, moe, "free_soup", "", 0);
    close_to(lab_value(l, b, GATE), lab_value(l, a, GATE));
}

static bool constant_router(Lab *l, const Weight *w, double *out)
{
    int64_t n = type_count(&w->type, l->T);
    int64_t E = strstr(w->path, ".expert.")
                    ? size_at(w->type.dim[0]->size, l->T)
                    : 1;
    if (strstr(w->path, "router")) {
        memset(out, 0, (size_t)n * sizeof *out);
        return true;
    }
    bool equal = strstr(w->path, ".gate") || strstr(w->path, ".up");
    if (!equal || l->number || !strstr(w->path, "ffn"))
        return false;
    const char *last = strrchr(w->path, '.');
    for (int64_t e = 0; e < E; e++) /* the shared one's too */
        lab_draw(l, last, n / E, out + e * (n / E));
    return true;
}

/* Constant routing with the merge's weights: the layer is linear in `down`,
 * so the merge is exact where only that differs, and else is not. */
static void merge_of_what_differs_in_down(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "xft", "experts=5 active=5", 0);
    lab_trained(moe);
    Model *merged = lab_apply(l, moe, "xft_merge", "rate=0.75", 0);
    l->weight = constant_router; /* shared 1 - 1/4, each other 1/16 */
    close_to(lab_part(l, merged, FFN, NULL), lab_part(l, moe, FFN, NULL));
    l->number = 1; /* gate and up differ too */
    far_from(lab_part(l, merged, FFN, NULL), lab_part(l, moe, FFN, NULL));
}

/* ---- EWA, OneS ---- */

static Model *tuned_moe(Lab *l, const char *args)
{
    Model *moe = lab_apply(l, l->dense, "sparse_upcycling", args, 0);
    lab_trained(moe);
    return moe;
}

static const char *const EXPERTS = "layer[0].ffn.expert.gate";

/* Mean over the experts of a stack of `E`. */
static double mean_at(const Tensor *t, int E, int64_t i)
{
    double sum = 0;
    for (int e = 0; e < E; e++)
        sum += t->at[e * (t->count / E) + i];
    return sum / E;
}

static void ewa_keeps_the_mean_and_shrinks_the_rest(void **state)
{
    Lab *l = *state;
    Model *moe = tuned_moe(l, "E=8 K=2");
    Model *next = lab_apply(l, moe, "ewa_average", "share=0.3", 0);
    Tensor *a = lab_value(l, moe, EXPERTS), *b = lab_value(l, next, EXPERTS);
    double by = 1 - 0.3 * 8 / 7; /* 0.657 */
    for (int64_t i = 0; i < a->count; i++) {
        int64_t at = i % (a->count / 8);
        double mean = mean_at(a, 8, at);
        nearly(mean_at(b, 8, at), mean);
        nearly(b->at[i] - mean, by * (a->at[i] - mean));
    }
}

static void ewa_makes_equal_at_once(void **state)
{
    Lab *l = *state;
    Model *moe = tuned_moe(l, "E=4 K=2");
    Model *next = lab_apply(l, moe, "ewa_average", "share=0.75", 0);
    Tensor *b = lab_value(l, next, EXPERTS);
    for (int64_t i = 0; i < b->count; i++)
        nearly(b->at[i], mean_at(b, 4, i % (b->count / 4)));
    next = lab_apply(l, moe, "ewa_average", "share=0.9", 0); /* too far */
    Tensor *c = lab_value(l, next, EXPERTS), *a = lab_value(l, moe, EXPERTS);
    double mean = mean_at(a, 4, 0);
    assert_true((c->at[0] - mean) * (a->at[0] - mean) < 0);
}

static void ewa_leaves_equals(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "sparse_upcycling", "E=5 K=2", 0);
    Model *next = lab_apply(l, moe, "ewa_average", "", 0);
    close_to(lab_value(l, next, EXPERTS), lab_value(l, moe, EXPERTS));
    l->exact = false; /* E - 1 = 4 and a share of 1/4: bit equal */
    l->weight = bf16_values;
    next = lab_apply(l, moe, "ewa_average", "share=0.25", 0);
    assert_true(lab_same(lab_value(l, next, EXPERTS),
                         lab_value(l, moe, EXPERTS)));
}

static void mean_of_copies_is_the_layer(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "sparse_upcycling", "E=4 K=2", 0);
    gives_back(l, lab_apply(l, moe, "mean_of_experts", "", 0), 1e-15);
    lab_trained(moe);
    Tensor *m = lab_value(l, lab_apply(l, moe, "mean_of_experts", "", 0),
                          GATE), *e = lab_value(l, moe, EXPERTS);
    for (int64_t i = 0; i < m->count; i++)
        nearly(m->at[i], mean_at(e, 4, i));
}

static void sum_of_copies_is_not(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "sparse_upcycling", "E=4 K=2", 0);
    Model *sum = lab_apply(l, moe, "sum_of_experts", "", 0);
    Tensor *w = lab_value(l, l->dense, GATE);
    for (int64_t i = 0; i < w->count; i++)
        w->at[i] *= 4;
    close_to(lab_value(l, sum, GATE), w);
    Tensor *y = lab_part(l, l->dense, FFN, NULL);
    for (int64_t i = 0; i < y->count; i++)
        y->at[i] *= 4;
    far_from(lab_part(l, sum, FFN, NULL), y);
}

static double norm_of(const double *at, int n, int step)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += at[i * step] * at[i * step];
    return sqrt(sum);
}

/* Which F / E = 2 of 8 neurons are strongest. */
static void strongest(Lab *l, int *best)
{
    Tensor *g = lab_value(l, l->dense, matrices[0]),
           *u = lab_value(l, l->dense, matrices[1]),
           *d = lab_value(l, l->dense, matrices[2]);
    double power[8];
    for (int f = 0; f < 8; f++)
        power[f] = norm_of(g->at + f * 4, 4, 1) *
                   norm_of(u->at + f * 4, 4, 1) * norm_of(d->at + f, 4, 8);
    for (int k = 0; k < 2; k++) {
        best[k] = 0;
        for (int f = 1; f < 8; f++)
            best[k] = power[f] > power[best[k]] ? f : best[k];
        power[best[k]] = -1;
    }
}

static bool only_best(Lab *l, const Weight *w, double *out)
{
    int best[2];
    if (strcmp(w->path, "layer[0].ffn.down"))
        return false;
    l->weight = NULL;
    strongest(l, best);
    l->weight = only_best;
    lab_draw(l, w->path, 32, out);
    for (int i = 0; i < 32; i++)
        out[i] *= 4 * (i % 8 == best[0] || i % 8 == best[1]);
    return true;
}

/* Of equal experts: the same neurons E times over, not the dense layer. */
static void strongest_neurons_of_copies(void **state)
{
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "sparse_upcycling", "E=4 K=2", 0);
    Model *top = lab_apply(l, moe, "strongest_neurons", "", 0);
    Tensor *y = lab_part(l, top, FFN, NULL);
    far_from(y, lab_part(l, l->dense, FFN, NULL));
    l->weight = only_best;
    close_to(y, lab_part(l, l->dense, FFN, NULL));
}

static bool even_use(Lab *l, const Weight *w, double *out)
{
    if (!w->other || strcmp(w->other, "observe"))
        return false;
    for (int64_t e = 0; e < type_count(&w->type, l->T); e++)
        out[e] = l->number ? e == 2 : 10;
    return true;
}

static void mean_by_use(void **state)
{
    Lab *l = *state;
    Model *moe = tuned_moe(l, "E=4 K=2");
    Model *a = lab_apply(l, moe, "mean_by_use", "", 0),
          *b = lab_apply(l, moe, "mean_of_experts", "", 0);
    l->weight = even_use;
    close_to(lab_value(l, a, GATE), lab_value(l, b, GATE));
    l->number = 1; /* only the third was used */
    Tensor *one = lab_value(l, a, GATE), *all = lab_value(l, moe, EXPERTS);
    assert_memory_equal(one->at, all->at + 2 * 32, 32 * sizeof(double));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(xft_merge_gives_back), TEST(xft_merge_is_bit_equal),
        TEST(rate_one_is_the_shared_expert),
        TEST(rate_zero_drops_the_shared_expert),
        TEST(mix_counts_up_to_a_constant),
        TEST(free_soup_starts_like_the_rate),
        TEST(merge_of_what_differs_in_down),
        TEST(ewa_keeps_the_mean_and_shrinks_the_rest),
        TEST(ewa_makes_equal_at_once), TEST(ewa_leaves_equals),
        TEST(mean_of_copies_is_the_layer), TEST(sum_of_copies_is_not),
        TEST(strongest_neurons_of_copies), TEST(mean_by_use)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
