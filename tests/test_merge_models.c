/* What must hold of merges of models of one shape: the identities of the
 * methods' papers. */
#include "compiler/lang/lang.h"
#include "tests/methods_kit.h"

static int setup(void **state)
{
    *state = lab_new(NULL);
    return 0;
}

static int teardown(void **state)
{
    lab_free(*state);
    return 0;
}

static const char *const GATE = "layer[0].ffn.gate";

/* Every other model equals the first. */
static bool equal_models(Lab *l, const Weight *w, double *out)
{
    if (!w->other)
        return false;
    int64_t n = type_count(&w->type, l->T), N = l->number;
    for (int64_t i = 0; i < N; i++)
        lab_draw(l, strchr(w->path, '.') + 1, n / N, out + i * (n / N));
    return true;
}

static Tensor *merged(Lab *l, const char *name, const char *args, int others)
{
    return lab_value(l, lab_apply(l, l->dense, name, args, others), GATE);
}

static void merges_of_equals(void **state)
{
    Lab *l = *state;
    Tensor *w = lab_value(l, l->dense, GATE);
    l->weight = equal_models;
    l->number = 3;
    close_to(merged(l, "soup", "", 3), w);
    close_to(merged(l, "linear", "own=2 theirs=0.5", 3), w);
    close_to(merged(l, "task_arithmetic", "scale=0.7", 3), w);
    close_to(merged(l, "ties", "", 3), w);
    close_to(merged(l, "dare", "", 3), w);
    close_to(merged(l, "model_stock", "", 3), w);
    l->number = 1;
    close_to(merged(l, "slerp", "t=0.3", 1), w);
}

static Tensor *other(Lab *l, int n, int which)
{
    Tensor *w = lab_value(l, l->dense, GATE);
    double *all = arena_alloc(&l->arena, (size_t)(n * w->count) * sizeof *all);
    lab_draw(l, "other.layer[0].ffn.gate", n * w->count, all);
    memcpy(w->at, all + which * w->count, (size_t)w->count * sizeof *all);
    return w;
}

static void soup_is_the_mean(void **state)
{
    Lab *l = *state;
    Tensor *w = lab_value(l, l->dense, GATE), *a = other(l, 2, 0),
           *b = other(l, 2, 1), *s = merged(l, "soup", "", 2);
    for (int64_t i = 0; i < w->count; i++)
        nearly(s->at[i], (w->at[i] + a->at[i] + b->at[i]) / 3);
}

static void linear_with_one_weight(void **state)
{
    Lab *l = *state;
    Tensor *w = lab_value(l, l->dense, GATE);
    assert_true(lab_same(merged(l, "linear", "own=1 theirs=0", 1), w));
    assert_true(lab_same(merged(l, "linear", "own=0 theirs=1", 1),
                         other(l, 1, 0)));
}

static void task_arithmetic_ends(void **state)
{
    Lab *l = *state;
    l->exact = false;
    Tensor *w = lab_value(l, l->dense, GATE), *o = other(l, 1, 0);
    assert_true(lab_same(merged(l, "task_arithmetic", "scale=0", 1), w));
    Tensor *one = merged(l, "task_arithmetic", "scale=1", 1);
    for (int64_t i = 0; i < w->count; i++) /* in f32, W0 + (W1 - W0) */
        assert_true(one->at[i] ==
                    (float)w->at[i] + ((float)o->at[i] - (float)w->at[i]));
}

static void slerp_ends(void **state)
{
    Lab *l = *state;
    close_to(merged(l, "slerp", "t=0", 1), lab_value(l, l->dense, GATE));
    close_to(merged(l, "slerp", "t=1", 1), other(l, 1, 0));
    Tensor *w = lab_value(l, l->dense, GATE), *o = other(l, 1, 0);
    Tensor *half = merged(l, "slerp", "t=0.5", 1);
    double dot = 0, ww = 0, oo = 0;
    for (int64_t i = 0; i < w->count; i++) {
        dot += w->at[i] * o->at[i];
        ww += w->at[i] * w->at[i];
        oo += o->at[i] * o->at[i];
    }
    double a = acos(dot / sqrt(ww * oo));
    for (int64_t i = 0; i < w->count; i++)
        nearly(half->at[i],
               sin(a / 2) / sin(a) * (w->at[i] + o->at[i]));
}

static void ties_of_one_at_full_density(void **state)
{
    Lab *l = *state;
    close_to(merged(l, "ties", "density=1", 1), other(l, 1, 0));
    close_to(merged(l, "ties", "density=1 scale=0", 1),
             lab_value(l, l->dense, GATE));
}

/* The sign of the sum wins; only entries of that sign are averaged. */
static void ties_elects_signs(void **state)
{
    Lab *l = *state;
    Tensor *w = lab_value(l, l->dense, GATE), *a = other(l, 2, 0),
           *b = other(l, 2, 1), *m = merged(l, "ties", "density=1", 2);
    for (int64_t i = 0; i < w->count; i++) {
        double x = a->at[i] - w->at[i], y = b->at[i] - w->at[i];
        bool both = x * y > 0, first = (x + y >= 0) == (x >= 0);
        nearly(m->at[i], w->at[i] + (both ? (x + y) / 2 : first ? x : y));
    }
}

static void ties_trims(void **state)
{
    Lab *l = *state;
    Tensor *w = lab_value(l, l->dense, GATE),
           *m = merged(l, "ties", "density=0.25", 1);
    int changed = 0;
    for (int64_t i = 0; i < w->count; i++)
        changed += m->at[i] != w->at[i];
    assert_int_equal(changed, 8); /* a quarter of 32 */
}

static void dare_at_full_density(void **state)
{
    Lab *l = *state;
    close_to(merged(l, "dare", "density=1", 1), other(l, 1, 0));
    close_to(merged(l, "dare", "density=1", 2),
             merged(l, "task_arithmetic", "", 2));
}

static void dare_keeps_the_sum_of_sizes(void **state)
{
    Lab *l = *state;
    Tensor *w = lab_value(l, l->dense, GATE), *o = other(l, 1, 0),
           *m = merged(l, "dare", "density=0.5", 1);
    double before = 0, after = 0;
    int dropped = 0;
    for (int64_t i = 0; i < w->count; i++) {
        before += fabs(o->at[i] - w->at[i]);
        after += fabs(m->at[i] - w->at[i]);
        dropped += m->at[i] == w->at[i];
    }
    nearly(after / before, 1);
    assert_true(dropped > 8 && dropped < 24);
    assert_true(lab_same(merged(l, "dare", "density=0.5", 1), m)); /* seeded */
    assert_true(lab_same(merged(l, "dare", "density=0.5 seed=0", 1), m));
    assert_false(lab_same(merged(l, "dare", "density=0.5 seed=1", 1), m));
}

/* Two fine-tunes that changed other halves, each by its own place. */
static bool orthogonal(Lab *l, const Weight *w, double *out)
{
    if (!w->other)
        return false;
    int64_t n = type_count(&w->type, l->T) / 2;
    for (int64_t i = 0; i < 2 * n; i += n)
        lab_draw(l, strchr(w->path, '.') + 1, n, out + i);
    for (int64_t i = 0; i < n; i++)
        out[i % 2 * n + i] += 1;
    return true;
}

static bool equal_tunes(Lab *l, const Weight *w, double *out)
{
    if (!w->other)
        return false;
    int64_t n = type_count(&w->type, l->T), N = l->number;
    for (int64_t i = 0; i < N; i++)
        lab_draw(l, "tune", n / N, out + i * (n / N));
    return true;
}

static void model_stock_by_angle(void **state)
{
    Lab *l = *state;
    l->weight = orthogonal; /* the base stays */
    assert_true(lab_furthest(merged(l, "model_stock", "", 2),
                             lab_value(l, l->dense, GATE)) < 1e-7);
    l->weight = equal_tunes; /* all agree: theirs */
    l->number = 3;
    Tensor *m = merged(l, "model_stock", "", 3);
    double tune[32];
    lab_draw(l, "tune", 32, tune);
    for (int i = 0; i < 32; i++)
        nearly(m->at[i], tune[i]);
}

/* Experts are merged each by itself, as the tensors of a file are. */
static void experts_by_themselves(void **state)
{
    static const char *const at = "layer[0].ffn.expert.gate";
    Lab *l = *state;
    Model *moe = lab_apply(l, l->dense, "sparse_upcycling", "E=3 K=2", 0);
    lab_trained(moe);
    Tensor *w = lab_value(l, moe, at), *m, *halves;
    double o[96];
    lab_draw(l, "other.layer[0].ffn.expert.gate", 96, o);
    m = lab_value(l, lab_apply(l, moe, "slerp", "t=0.5", 1), at);
    for (int e = 0; e < 96; e += 32) {
        double dot = 0, ww = 0, oo = 0;
        for (int i = e; i < e + 32; i++) {
            dot += w->at[i] * o[i];
            ww += w->at[i] * w->at[i];
            oo += o[i] * o[i];
        }
        double a = acos(dot / sqrt(ww * oo));
        for (int i = e; i < e + 32; i++)
            nearly(m->at[i], sin(a / 2) / sin(a) * (w->at[i] + o[i]));
    }
    m = lab_value(l, lab_apply(l, moe, "ties", "density=0.25", 1), at);
    halves = lab_value(l, lab_apply(l, moe, "dare", "density=0.5", 1), at);
    int masks = 0;
    for (int e = 0; e < 96; e += 32) {
        int changed = 0;
        for (int i = e; i < e + 32; i++) {
            changed += m->at[i] != w->at[i];
            masks += (halves->at[i] != w->at[i]) !=
                     (halves->at[i % 32] != w->at[i % 32]);
        }
        assert_int_equal(changed, 8);
    }
    assert_true(masks > 16); /* each expert drops others */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(merges_of_equals), TEST(soup_is_the_mean),
        TEST(linear_with_one_weight), TEST(task_arithmetic_ends),
        TEST(slerp_ends), TEST(ties_of_one_at_full_density),
        TEST(ties_elects_signs), TEST(ties_trims), TEST(dare_at_full_density),
        TEST(dare_keeps_the_sum_of_sizes), TEST(model_stock_by_angle),
        TEST(experts_by_themselves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
