/* graft_math.h, which follows graft_dev.h: functions of the kernels that are
 * plain C, on the device and under the emulator alike. */

#define MATH(T, f) \
    DEVFN T sigmoid##f(T a) \
    { \
        return (T)1 / ((T)1 + exp##f(-a)); \
    } \
    DEVFN T silu##f(T a) \
    { \
        return a / ((T)1 + exp##f(-a)); \
    } \
    DEVFN T gelu##f(T a) \
    { \
        return (T)0.5 * a * ((T)1 + erf##f(a * (T)0.70710678118654752)); \
    } \
    DEVFN T gelu_tanh##f(T a) \
    { \
        T in = a + (T)0.044715 * a * a * a; \
        return (T)0.5 * a * ((T)1 + tanh##f((T)0.7978845608028654 * in)); \
    } \
    DEVFN T relu##f(T a) \
    { \
        return a > 0 ? a : a != a ? a : 0; \
    } \
    DEVFN T softplus##f(T a) \
    { \
        T low = log1p##f(exp##f(a > 0 ? -a : a)); \
        return a > 0 ? a + low : low; \
    } \
    DEVFN T cdf##f(T a) \
    { \
        return (T)0.5 * erfc##f(-a * (T)0.70710678118654752); \
    } \
    DEVFN T smaller##f(T a, T b) /* a NaN stays */ \
    { \
        return a < b || a != a ? a : b; \
    } \
    DEVFN T larger##f(T a, T b) \
    { \
        return a > b || a != a ? a : b; \
    } \
    /* a before b in order: the larger, of equals the lower place, NaN last */ \
    DEVFN int comes_before##f(T a, i64 i, T b, i64 j) \
    { \
        if (a != a || b != b) \
            return (a != a) == (b != b) ? i < j : b != b; \
        return a > b || (a == b && i < j); \
    }
MATH(float, f)
DEVFN float sigmoid_coarse(float a)
{
    return quotient(1, 1 + exponential(-a));
}
DEVFN float silu_coarse(float a)
{
    return quotient(a, 1 + exponential(-a));
}
MATH(double, )

DEVFN float round_bf16(float a)
{
    return bf2f(f2bf(a));
}
DEVFN float round_f16(float a)
{
    return h2f(f2h(a));
}

/* Eight f32 that bf16 holds too, as bf16. */
DEVFN v16 load_narrow_16(const float *p, int ok)
{
    v16 a = load_16(p, ok), b = load_16(p + 4, ok), both;
    both.x = a.x >> 16 | (a.y & 0xffff0000u);
    both.y = a.z >> 16 | (a.w & 0xffff0000u);
    both.z = b.x >> 16 | (b.y & 0xffff0000u);
    both.w = b.z >> 16 | (b.w & 0xffff0000u);
    return both;
}

/* A score and its place as one number: the larger score is the larger number,
 * of equals the lower place, NaN below all. No key is 0. */
DEVFN u64 topk_key(float score, int place)
{
    int bits = float_bits(score + 0.0f); /* -0 is 0 */
    int order = bits < 0 ? bits ^ 0x7fffffff : bits;
    if (score != score)
        order = -2147483647 - 1;
    return (u64)((u32)order ^ 0x80000000u) << 32 | (u32)~place;
}
DEVFN int topk_place(u64 key)
{
    return (int)~(u32)key;
}

/* Of a warp's 32 lanes; all get the result. */
#define WARP(T, f, how, both) \
    DEVFN T warp_##how##f(T a) \
    { \
        for (int s = 16; s; s >>= 1) { \
            T b = __shfl_xor_sync(0xffffffffu, a, s); \
            a = both; \
        } \
        return a; \
    }
WARP(float, f, sum, a + b)
WARP(double, , sum, a + b)
WARP(int, i, sum, a + b)
WARP(float, f, largest, largerf(a, b))
WARP(double, , largest, larger(a, b))
WARP(int, i, largest, a > b ? a : b)
WARP(u64, , best, a > b ? a : b)

/* ---- draws: compiler/graph/random.c, the same bits; no product may join a
 * sum ---- */

DEVFN u64 draw_scramble(u64 x)
{
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ull;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ull;
    return x ^ (x >> 32);
}
DEVFN u64 draw_bits(u64 key, u64 counter)
{
    u64 x = draw_scramble(counter * 0x9e3779b97f4a7c15ull + key);
    return draw_scramble(x ^ (key << 32 | key >> 32));
}
DEVFN float draw_uniform(u64 key, u64 counter)
{
    return (float)((double)(draw_bits(key, counter) >> 40) *
                   5.9604644775390625e-8);
}
DEVFN double draw_log(double x)
{
    u64 bits = double_bits(x);
    int e = (int)(bits >> 52) - 1023;
    double m = bits_double((bits & 0xfffffffffffffull) |
                           0x3ff0000000000000ull);
    if (m > 1.4) {
        m *= 0.5;
        e++;
    }
    double s = (m - 1) / (m + 1), z = s * s, sum = 0;
    for (int k = 19; k > 0; k -= 2)
        sum = sum_of(product_of(sum, z), 1.0 / k);
    return sum_of(product_of(2 * s, sum),
                  product_of(e, 0.69314718055994530942));
}
DEVFN double draw_series(double a, int first)
{
    double z = a * a, sum = 1;
    for (int k = 16 + first; k > first; k -= 2)
        sum = sum_of(1, -(product_of(sum, z) / (k * (k - 1))));
    return first ? sum * a : sum;
}
DEVFN double draw_cos(double u) /* of a share of a turn */
{
    double sign = 1;
    const double turn = 6.28318530717958647693;
    if (u > 0.5)
        u = 1 - u;
    if (u > 0.25) {
        u = 0.5 - u;
        sign = -1;
    }
    return sign * (u > 0.125 ? draw_series((0.25 - u) * turn, 1)
                             : draw_series(u * turn, 0));
}
DEVFN float draw_gaussian(u64 key, u64 counter)
{
    u64 bits = draw_bits(key, counter);
    double u = sum_of((double)(bits >> 32), 0.5) * 2.3283064365386963e-10;
    double turn = (double)(bits & 0xffffffff) * 2.3283064365386963e-10;
    return (float)(sqrt(-2 * draw_log(u)) * draw_cos(turn));
}
DEVFN void draw_shuffle(u64 key, int n, int *out)
{
    for (int i = 0; i < n; i++) {
        u64 r = draw_bits(key, (u64)i) >> 32;
        int j = (int)(r * ((u64)i + 1) >> 32);
        if (j < i)
            out[i] = out[j];
        out[j] = i;
    }
}

/* How many of m a share keeps: codegen/program/cpu_calls.c. */
DEVFN i64 kept_of(double share, i64 m)
{
    double keep = floor(share * (double)m * (1 + 1.1920928955078125e-7));
    return keep > 0 ? keep < (double)m ? (i64)keep : m : 0;
}

/* acc[r][n] += x[r] . w[n] over `depth` elements of 16 rows of x and 8 of w,
 * each `ld` apart. A lane has the elements that it has of an mma: rows lane / 4
 * and 8 more, columns lane % 4 * 2 and the next. */
DEVFN void fma_16x8(float *acc, const float *x, const float *w, int ld,
                    int depth)
{
    int lane = threadIdx.x & 31;
    x += lane / 4 * ld;
    w += lane % 4 * 2 * ld;
    for (int k = 0; k < depth; k++) {
        acc[0] += x[k] * w[k];
        acc[1] += x[k] * w[ld + k];
        acc[2] += x[8 * ld + k] * w[k];
        acc[3] += x[8 * ld + k] * w[ld + k];
    }
}

/* Where an element of a tile's row is, of 32: chunks of 8 stand in another
 * order in each pair of rows, so that those of eight rows are in banks of their
 * own. */
DEVFN int swizzled(int row, int part)
{
    return row * 32 + (part ^ (row / 2 % 4 * 8));
}
/* A lane's share of 16 rows by 16 elements, and of 8 by 32 for two products, as
 * mma wants them. */
DEVFN void fragment_16x16(u32 *to, const bf16 *tile, int row, int part)
{
    int lane = threadIdx.x & 31;
    ldmatrix_x4(to, tile + swizzled(row + lane % 16, part + lane / 16 * 8));
}
DEVFN void fragment_8x32(u32 *first, u32 *second, const bf16 *tile, int row)
{
    int lane = threadIdx.x & 31;
    u32 both[4];
    ldmatrix_x4(both, tile + swizzled(row + lane % 8, lane / 8 * 8));
    first[0] = both[0];
    first[1] = both[1];
    second[0] = both[2];
    second[1] = both[3];
}
