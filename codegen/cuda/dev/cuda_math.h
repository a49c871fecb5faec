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
    }
MATH(float, f)
MATH(double, )

DEVFN float round_bf16(float a)
{
    return bf2f(f2bf(a));
}
DEVFN float round_f16(float a)
{
    return h2f(f2h(a));
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
#define warp_sum(v) warp_reduce(v, WARP_SUM)
#define warp_largest(v) warp_reduce(v, WARP_LARGEST)
#define warp_best(v) warp_reduce_u64(v)
enum { WARP_SUM, WARP_LARGEST };
DEVFN float warp_reduce(float v, int how)
{
    for (int s = 16; s; s >>= 1) {
        float other = __shfl_xor_sync(0xffffffffu, v, s);
        v = how == WARP_SUM ? v + other : largerf(v, other);
    }
    return v;
}
DEVFN u64 warp_reduce_u64(u64 v)
{
    for (int s = 16; s; s >>= 1) {
        u64 other = __shfl_xor_sync(0xffffffffu, v, s);
        v = other > v ? other : v;
    }
    return v;
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

/* A lane's share of 16 rows by 16 elements, and of 8 by 16, as mma wants. */
DEVFN void fragment_16x16(u32 *to, const bf16 *x, int ld)
{
    int lane = threadIdx.x & 31;
    x += lane / 4 * ld + lane % 4 * 2;
    to[0] = *(const u32 *)x;
    to[1] = *(const u32 *)(x + 8 * ld);
    to[2] = *(const u32 *)(x + 8);
    to[3] = *(const u32 *)(x + 8 * ld + 8);
}
DEVFN void fragment_8x16(u32 *to, const bf16 *w, int ld)
{
    int lane = threadIdx.x & 31;
    w += lane / 4 * ld + lane % 4 * 2;
    to[0] = *(const u32 *)w;
    to[1] = *(const u32 *)(w + 8);
}
