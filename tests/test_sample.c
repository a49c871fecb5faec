/* Sampling: greedy and its ties, the random numbers, what top-k and top-p keep,
 * and that frequencies are the probabilities. */
#include "runtime/run/run.h"
#include "runtime/tokens/tokens.h"
#include <math.h>
#include <setjmp.h>
#include <string.h>
/* after setjmp.h */
#include <cmocka.h>

static void greedy_takes_largest(void **state)
{
    (void)state;
    assert_int_equal(sample_greedy((float[]){1, 3, 2}, 3), 1);
    assert_int_equal(sample_greedy((float[]){-5}, 1), 0);
}

static void greedy_takes_lowest_of_equals(void **state)
{
    (void)state;
    assert_int_equal(sample_greedy((float[]){1, 7, 7, 7}, 4), 1);
    assert_int_equal(sample_greedy((float[]){0, -0.0f}, 2), 0);
}

static void greedy_passes_over_nan(void **state)
{
    (void)state;
    assert_int_equal(sample_greedy((float[]){NAN, 1, NAN, 2}, 4), 3);
    assert_int_equal(sample_greedy((float[]){NAN, NAN}, 2), -1);
    assert_int_equal(sample_greedy(NULL, 0), -1);
    Sampling s = {.temp = 1};
    assert_int_equal(sample(&s, 0, (float[]){NAN, NAN}, 2), -1);
}

static void temperature_zero_is_greedy(void **state)
{
    (void)state;
    Sampling s = {.temp = 0, .top_k = 5, .top_p = 0.5f, .seed = 3};
    for (uint64_t step = 0; step < 20; step++)
        assert_int_equal(sample(&s, step, (float[]){1, 4, 2}, 3), 1);
}

/* The known answers of the Random123 library's Philox4x32-10. */
static void philox_known_answers(void **state)
{
    (void)state;
    uint32_t zero[4] = {0}, ones[4];
    uint32_t pi[4] = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};
    memset(ones, 0xff, sizeof ones);
    philox4x32(zero, 0, 0);
    philox4x32(ones, 0xffffffff, 0xffffffff);
    philox4x32(pi, 0xa4093822, 0x299f31d0);
    uint32_t want[3][4] = {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                           {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                           {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
    assert_memory_equal(zero, want[0], sizeof zero);
    assert_memory_equal(ones, want[1], sizeof ones);
    assert_memory_equal(pi, want[2], sizeof pi);
}

static void uniform_is_even(void **state)
{
    (void)state;
    double sum = 0, squares = 0;
    enum { N = 20000 };
    for (uint64_t i = 0; i < N; i++) {
        double u = sample_uniform(42, i);
        assert_true(u >= 0 && u < 1);
        sum += u, squares += u * u;
    }
    assert_true(fabs(sum / N - 0.5) < 0.01);
    assert_true(fabs(squares / N - 1.0 / 3) < 0.01);
}

static void same_seed_same_ids(void **state)
{
    (void)state;
    float logits[50];
    for (int i = 0; i < 50; i++)
        logits[i] = (float)((i * 7) % 11);
    Sampling a = {.temp = 1, .top_p = 0.9f, .seed = 5}, b = a, c = a;
    c.seed = 6;
    int differ = 0;
    for (uint64_t step = 0; step < 100; step++) {
        int32_t x = sample(&a, step, logits, 50);
        assert_int_equal(x, sample(&b, step, logits, 50));
        differ += x != sample(&c, step, logits, 50);
    }
    assert_true(differ > 20);
}

/* How often each of n is drawn in `draws` steps. */
static void count_draws(const Sampling *s, const float *logits, int n,
                        int draws, int *count)
{
    memset(count, 0, (size_t)n * sizeof *count);
    for (int i = 0; i < draws; i++) {
        int32_t id = sample(s, (uint64_t)i, logits, n);
        assert_true(id >= 0 && id < n);
        count[id]++;
    }
}

static void frequencies_are_probabilities(void **state)
{
    (void)state;
    float logits[] = {0, logf(2), logf(5), logf(2)};
    int count[4];
    count_draws(&(Sampling){.temp = 1, .seed = 1}, logits, 4, 20000, count);
    static const double want[] = {0.1, 0.2, 0.5, 0.2};
    for (int i = 0; i < 4; i++)
        assert_true(fabs(count[i] / 20000.0 - want[i]) < 0.012);
}

static void temperature_flattens(void **state)
{
    (void)state;
    float logits[] = {0, logf(4)};
    int count[2];
    count_draws(&(Sampling){.temp = 2, .seed = 1}, logits, 2, 20000, count);
    assert_true(fabs(count[1] / 20000.0 - 2.0 / 3) < 0.012);
    count_draws(&(Sampling){.temp = 1e-30f, .seed = 1}, logits, 2, 100, count);
    assert_int_equal(count[1], 100);
}

static void top_k_keeps_k(void **state)
{
    (void)state;
    float logits[] = {1, 2, 3, 3, 0};
    int count[5];
    Sampling s = {.temp = 1, .top_k = 3, .seed = 9};
    count_draws(&s, logits, 5, 2000, count);
    assert_true(!count[0] && count[1] && count[2] && count[3] && !count[4]);
    s.top_k = 1; /* of equals the lower id */
    count_draws(&s, logits, 5, 200, count);
    assert_int_equal(count[2], 200);
    s.top_k = 100;
    count_draws(&s, logits, 5, 5000, count);
    assert_true(count[4] > 0);
}

static void top_p_keeps_fewest(void **state)
{
    (void)state;
    float logits[] = {logf(1), logf(5), logf(3), logf(1)};
    int count[4];
    Sampling s = {.temp = 1, .top_p = 0.7f, .seed = 2};
    count_draws(&s, logits, 4, 2000, count); /* 0.5 + 0.3 reach 0.7 */
    assert_true(!count[0] && count[1] && count[2] && !count[3]);
    s.top_p = 0.45f;
    count_draws(&s, logits, 4, 200, count);
    assert_int_equal(count[1], 200);
    s.top_p = 0.85f; /* one of the two equals: the lower id */
    count_draws(&s, logits, 4, 5000, count);
    assert_true(count[0] && !count[3]);
    s.top_p = 1e-9f;
    count_draws(&s, logits, 4, 200, count);
    assert_int_equal(count[1], 200);
}

static void top_p_is_of_what_top_k_kept(void **state)
{
    (void)state;
    float logits[] = {logf(4), logf(3), logf(3)};
    int count[3];
    Sampling s = {.temp = 1, .top_k = 2, .top_p = 0.5f, .seed = 2};
    count_draws(&s, logits, 3, 300, count); /* 4/7 reaches 0.5, 4/10 not */
    assert_int_equal(count[0], 300);
    s.top_k = 0;
    count_draws(&s, logits, 3, 300, count);
    assert_true(count[0] && count[1] && !count[2]);
}

/* Against the definition, sorted in full, over many random logits. */
static void top_p_equals_definition(void **state)
{
    (void)state;
    enum { N = 300 };
    float logits[N];
    for (int round = 0; round < 20; round++) {
        double sum = 0, got = 0;
        for (int i = 0; i < N; i++) {
            double u = sample_uniform(77, (uint64_t)(round * N + i));
            logits[i] = (float)(8 * u);
            sum += exp((double)logits[i]);
        }
        Sampling s = {.temp = 1, .top_p = 0.05f + 0.045f * (float)round};
        bool kept[N] = {0};
        while (got < (double)s.top_p * sum) {
            int best = -1;
            for (int i = 0; i < N; i++)
                if (!kept[i] && (best < 0 || logits[i] > logits[best]))
                    best = i;
            kept[best] = true;
            got += exp((double)logits[best]);
        }
        for (uint64_t step = 0; step < 200; step++)
            assert_true(kept[sample(&s, step, logits, N)]);
    }
}

static void infinite_logits(void **state)
{
    (void)state;
    int count[3];
    Sampling s = {.temp = 1, .seed = 1};
    count_draws(&s, (float[]){0, INFINITY, 5}, 3, 100, count);
    assert_int_equal(count[1], 100);
    count_draws(&s, (float[]){-INFINITY, 1, -INFINITY}, 3, 100, count);
    assert_int_equal(count[1], 100);
    s.top_p = 0.9f, s.top_k = 2;
    count_draws(&s, (float[]){-INFINITY, NAN, 1}, 3, 100, count);
    assert_int_equal(count[2], 100);
    count_draws(&s, (float[]){-INFINITY, -INFINITY, -INFINITY}, 3, 100, count);
    assert_int_equal(count[2], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_largest),
        cmocka_unit_test(greedy_takes_lowest_of_equals),
        cmocka_unit_test(greedy_passes_over_nan),
        cmocka_unit_test(temperature_zero_is_greedy),
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(uniform_is_even),
        cmocka_unit_test(same_seed_same_ids),
        cmocka_unit_test(frequencies_are_probabilities),
        cmocka_unit_test(temperature_flattens),
        cmocka_unit_test(top_k_keeps_k),
        cmocka_unit_test(top_p_keeps_fewest),
        cmocka_unit_test(top_p_is_of_what_top_k_kept),
        cmocka_unit_test(top_p_equals_definition),
        cmocka_unit_test(infinite_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
