/* Counted random numbers: a draw is a function of a key and a counter, so that
 * threads, buckets and targets agree. Only integer arithmetic and + - * / sqrt
 * of doubles, each correctly rounded and none fused (the build says
 * -ffp-contract=off): the same bits everywhere. */
#include "compiler/graph/graph.h"
#include <math.h>
#include <string.h>

/* A bijection of 64 bits in which each input bit moves about half of the
 * output's: two rounds of multiply and xor-shift, then one more shift. */
static uint64_t scramble(uint64_t x)
{
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ (x >> 32);
}

uint64_t random_key(uint64_t seed, const char *name)
{
    return scramble(hash_bytes(scramble(seed), name, strlen(name)));
}

/* The counter is scrambled with the key on both sides, so that neither equal
 * counters of near keys nor near counters of one key give near draws. */
uint64_t random_bits(uint64_t key, uint64_t counter)
{
    uint64_t x = scramble(counter * UINT64_C(0x9e3779b97f4a7c15) + key);
    return scramble(x ^ (key << 32 | key >> 32));
}

uint64_t random_draw_key(const Node *n, uint64_t seed, uint64_t place)
{
    uint64_t own = (uint64_t)(int64_t)n->num;
    const char *name = n->name ? n->name : "";
    bool placed = strchr(name, '[') != NULL; /* layer[3].ffn.router */
    return random_key(seed + own, name) ^ (placed ? 0 : place);
}

RandomCount random_count(const Type *t, int64_t T, int64_t before)
{
    RandomCount c = {.T = 1, .inner = 1};
    const Size *tokens = size_sym("T");
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i]->size == tokens) {
            c = (RandomCount){T, 1, type_count(t, T) / T, before};
            continue;
        }
        c.inner *= size_at(t->dim[i]->size, T);
    }
    return c;
}

uint64_t random_counter(const RandomCount *c, int64_t i)
{
    int64_t t = i / c->inner % c->T, outer = i / c->inner / c->T;
    return (uint64_t)((c->before + t) * c->rest + outer * c->inner +
                      i % c->inner);
}

uint64_t random_place(uint64_t place, int iteration)
{
    return random_bits(place, (uint64_t)iteration + 1);
}

uint64_t random_round_key(const Node *n, double step, double tensor)
{
    uint64_t key = random_key((uint64_t)(int64_t)n->num, "round");
    return random_bits(random_bits(key, (uint64_t)(int64_t)step),
                       (uint64_t)(int64_t)tensor);
}

double random_round(uint64_t key, int64_t i, double v)
{
    union {
        float f;
        uint32_t u;
    } as = {(float)v};
    if (!isfinite(as.f))
        return v;
    as.u += random_bits(key, (uint64_t)i / 4) >> i % 4 * 16 & 0xffff;
    as.u &= 0xffff0000;
    return (double)as.f;
}

double random_uniform(uint64_t key, uint64_t counter)
{
    return (double)(random_bits(key, counter) >> 40) * 0x1p-24;
}

/* log of x in (0, 1): x = m 2^e with m in [0.7, 1.4), and with s = (m - 1) /
 * (m + 1), |s| < 0.18, log m = 2 (s + s^3/3 + s^5/5 ...): 1e-16 at s^19. */
static double log_of(double x)
{
    union {
        double d;
        uint64_t u;
    } v = {x};
    int e = (int)(v.u >> 52) - 1023;
    v.u = (v.u & UINT64_C(0xfffffffffffff)) | UINT64_C(0x3ff0000000000000);
    if (v.d > 1.4) {
        v.d *= 0.5;
        e++;
    }
    double s = (v.d - 1) / (v.d + 1), z = s * s, sum = 0;
    for (int k = 19; k > 0; k -= 2)
        sum = sum * z + 1.0 / k;
    return 2 * s * sum + e * 0.69314718055994530942;
}

/* sin (first: 1) or cos (first: 0) of a in [0, pi/4] by its series. */
static double series(double a, int first)
{
    double z = a * a, sum = 1;
    for (int k = 16 + first; k > first; k -= 2)
        sum = 1 - sum * z / (k * (k - 1));
    return first ? sum * a : sum;
}

/* cos of a turn's share u in [0, 1): folded to an eighth of a turn, exactly. */
static double cos_of_turn(double u)
{
    double sign = 1;
    if (u > 0.5)
        u = 1 - u;
    if (u > 0.25) {
        u = 0.5 - u;
        sign = -1;
    }
    const double turn = 6.28318530717958647693;
    return sign * (u > 0.125 ? series((0.25 - u) * turn, 1)
                             : series(u * turn, 0));
}

/* Box and Muller's cosine half; rounded to f32, so that an f32 and an f64 run
 * draw the same numbers. At most 6.8 in size. */
double random_gaussian(uint64_t key, uint64_t counter)
{
    uint64_t bits = random_bits(key, counter);
    double u = ((double)(bits >> 32) + 0.5) * 0x1p-32;
    double turn = (double)(bits & 0xffffffff) * 0x1p-32;
    return (double)(float)(sqrt(-2 * log_of(u)) * cos_of_turn(turn));
}

void random_shuffle(uint64_t key, int n, int *out)
{
    for (int i = 0; i < n; i++) {
        uint64_t r = random_bits(key, (uint64_t)i) >> 32;
        int j = (int)(r * ((uint64_t)i + 1) >> 32);
        if (j < i)
            out[i] = out[j];
        out[j] = i;
    }
}
