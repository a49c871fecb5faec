/* Counted random numbers and rotary frequencies: known bits, and moments. */
#include "tests/graph_kit.h"

static void known_bits(void **state)
{
    (void)state; /* these may never change: saved models depend on them */
    uint64_t key = random_key(1, "layer[0].ffn.router");
    assert_true(key == UINT64_C(0xac61c2660b673742));
    assert_true(random_bits(key, 0) == UINT64_C(0x18a4d715bf1b4dde));
    assert_true(random_bits(key, 1) == UINT64_C(0xc3ab1e70cfd39023));
    assert_true(random_gaussian(key, 0) == -0x1.84982p-5);
    assert_true(random_gaussian(key, 1) == 0x1.1c5752p-2);
}

static void uniform_is_in_its_range_and_even(void **state)
{
    (void)state;
    enum { N = 200000 };
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < N; i++) {
        double u = random_uniform(3, i);
        assert_true(u >= 0 && u < 1 && (double)(float)u == u);
        sum += u;
        squares += u * u;
    }
    assert_true(fabs(sum / N - 0.5) < 0.003);
    assert_true(fabs(squares / N - 1.0 / 3) < 0.003);
}

static void gaussian_is_log_and_cosine_of_its_bits(void **state)
{
    (void)state;
    double worst = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t b = random_bits(5, i);
        double u = ((double)(b >> 32) + 0.5) / 4294967296.0,
               turn = (double)(b & 0xffffffff) / 4294967296.0,
               want = sqrt(-2 * log(u)) * cos(2 * M_PI * turn);
        worst = fmax(worst, fabs(random_gaussian(5, i) - want) /
                                (1e-3 + fabs(want)));
    }
    assert_true(worst < 6.1e-8); /* half an f32 ulp */
}

static void gaussian_has_the_moments(void **state)
{
    (void)state;
    enum { N = 400000 };
    double m[5] = {0}, beyond = 0;
    for (uint64_t i = 0; i < N; i++) {
        double z = random_gaussian(random_key(0, "z"), i), p = 1;
        for (int k = 0; k < 5; k++, p *= z)
            m[k] += p / N;
        beyond += fabs(z) > 1.959964;
    }
    assert_true(fabs(m[1]) < 0.006 && fabs(m[2] - 1) < 0.01);
    assert_true(fabs(m[3]) < 0.03 && fabs(m[4] - 3) < 0.1);
    assert_true(fabs(beyond / N - 0.05) < 0.002);
}

static void near_keys_and_counters_are_unrelated(void **state)
{
    (void)state;
    double same = 0, next = 0;
    enum { N = 100000 };
    for (uint64_t i = 0; i < N; i++) {
        double z = random_gaussian(100, i);
        same += z * random_gaussian(101, i) / N;
        next += z * random_gaussian(100, i + 1) / N;
    }
    assert_true(fabs(same) < 0.015 && fabs(next) < 0.015);
    assert_true(random_key(1, "a") != random_key(2, "a"));
    assert_true(random_key(1, "a") != random_key(1, "b"));
}

static void shuffle_is_fair(void **state)
{
    (void)state;
    int count[5][5] = {0}, p[5];
    for (uint64_t key = 0; key < 20000; key++) {
        random_shuffle(key, 5, p);
        for (int i = 0; i < 5; i++)
            count[i][p[i]]++;
    }
    for (int i = 0; i < 25; i++)
        assert_true(abs(count[i / 5][i % 5] - 4000) < 300);
}

static void draw_key_adds_seeds_and_tells_places_apart(void **state)
{
    (void)state;
    Node n = {.op = OP_uniform, .name = "noise", .num = 5};
    assert_true(random_draw_key(&n, 7, 0) == random_key(12, "noise"));
    uint64_t first = random_place(0, 0), second = random_place(0, 1);
    assert_true(first && second && first != second);
    assert_true(random_draw_key(&n, 7, first) !=
                random_draw_key(&n, 7, second));
}

/* ---- rope ---- */

static void check_rope(Rope r, const double *want, double want_scale)
{
    double freq[16], scale;
    rope_frequencies(&r, freq, &scale);
    for (int j = 0; j < r.rotary / 2; j++)
        if (fabs(freq[j] - want[j]) > 1e-6 * want[j])
            fail_msg("frequency %d: %.9g, should be %.9g", j, freq[j], want[j]);
    assert_true(fabs(scale - want_scale) < 1e-9);
}

static void rope_default_and_linear(void **state)
{
    (void)state;
    check_rope((Rope){.theta = 10000, .rotary = 8}, NUMBERS(1, .1, .01, .001),
               1);
    check_rope((Rope){.theta = 10000, .rotary = 8, .kind = ROPE_linear,
                      .factor = 4},
               NUMBERS(.25, .025, .0025, .00025), 1);
}

/* By hand: theta 10000, 64 trained positions. Waves in them: freq 64 / 2 pi =
 * 10.2 (> 4: stays), 1.0186 (blend (1.0186 - 1) / 3), 0.10 (< 1: / 8). */
static void rope_llama3(void **state)
{
    (void)state;
    double keep = (6.4 / (2 * M_PI) - 1) / 3;
    check_rope((Rope){.theta = 10000, .rotary = 8, .kind = ROPE_llama3,
                      .factor = 8, .low = 1, .high = 4, .original = 64},
               NUMBERS(1, (1 - keep) * .1 / 8 + keep * .1, .01 / 8, .001 / 8),
               1);
}

/* By hand: d(n) = 8 ln(4096 / (2 pi n)) / (2 ln 10000): d(32) = 1.31, d(1) =
 * 2.81, so the ramp goes from 1 to 3: 0, 0, 1/2, 1. */
static void rope_yarn(void **state)
{
    (void)state;
    Rope r = {.theta = 10000, .rotary = 8, .kind = ROPE_yarn, .factor = 4,
              .original = 4096};
    const double *want =
        NUMBERS(1, .1, .5 * .01 / 4 + .5 * .01, .001 / 4);
    check_rope(r, want, 0.1 * log(4) + 1);
    r.attention = 1.25;
    r.beta_fast = 32;
    r.beta_slow = 1;
    check_rope(r, want, 1.25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_bits),
        cmocka_unit_test(uniform_is_in_its_range_and_even),
        cmocka_unit_test(gaussian_is_log_and_cosine_of_its_bits),
        cmocka_unit_test(gaussian_has_the_moments),
        cmocka_unit_test(near_keys_and_counters_are_unrelated),
        cmocka_unit_test(shuffle_is_fair),
        cmocka_unit_test(draw_key_adds_seeds_and_tells_places_apart),
        cmocka_unit_test(rope_default_and_linear),
        cmocka_unit_test(rope_llama3),
        cmocka_unit_test(rope_yarn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
