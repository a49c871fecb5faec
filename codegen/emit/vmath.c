/* Functions of floats as polynomials: exp, log and what is made of them. All
 * take f32 or f64, scalars or vectors. x = n ln 2 + r and such reductions are
 * exact or fused, so that a polynomial's error is what is left. */
#include "codegen/emit/vmath.h"
#include <math.h>

bool is_double(Emit *e, Val x)
{
    return ty_elem(x) == ty(e, TY_f64);
}

Val poly(Emit *e, const Poly *p, Val x)
{
    bool wide = is_double(e, x);
    const double *c = wide ? p->d : p->f;
    int n = wide ? p->nd : p->nf;
    Val v = like(x, c[n - 1]);
    for (int i = n - 2; i >= 0; i--)
        v = mul_add(e, v, x, like(x, c[i]));
    return v;
}

Val over_or(Emit *e, Val t, double special, Val x)
{
    return pick(e, t, like(x, special), x);
}

/* A power of two by its exponent. */
static Val two_to(Emit *e, Val n)
{
    bool wide = ty_of(n) == vec(ty(e, TY_i64), width_of(n));
    Val biased = add(e, n, like_bits(n, wide ? 1023 : 127));
    return float_of_bits(e, shift_left(e, biased, wide ? 52 : 23));
}

/* In two steps, so that results may be subnormal. */
Val scale_two(Emit *e, Val x, Val n)
{
    Val half = LLVMBuildAShr(e->at, n, like_bits(n, 1), "");
    Val first = mul(e, x, two_to(e, half));
    return mul(e, first, two_to(e, sub(e, n, half)));
}

static Ty int_beside(Emit *e, Val x)
{
    return ty(e, is_double(e, x) ? TY_i64 : TY_i32);
}

/* x 2^n, n a whole float; where the machine has that, it takes any n. */
static bool scales(Emit *e, Val x)
{
    return e->target->x86 && e->target->width == 64 && width_of(x) == 16 &&
           !is_double(e, x);
}

static Val scale_real(Emit *e, Val x, Val n)
{
    if (!scales(e, x))
        return scale_two(e, x, to_int(e, n, int_beside(e, x)));
    Val mask = LLVMConstAllOnes(ty(e, TY_i16));
    Val args[] = {x, n, x, mask, i32(e, 4)}; /* 4: the usual rounding */
    return intrinsic(e, "llvm.x86.avx512.mask.scalef.ps.512", 0, NULL, 5, args);
}

static Val limit(Emit *e, Val x, double low, double high)
{
    x = pick(e, less(e, like(x, high), x), like(x, high), x);
    return pick(e, less(e, x, like(x, low)), like(x, low), x);
}

/* ln 2 in two parts, the first with zeros below so that n times it is exact */
static void ln2_parts(Emit *e, Val x, double *high, double *low)
{
    bool wide = is_double(e, x);
    *high = wide ? 0x1.62e42feep-1 : 0x1.62ep-1;
    *low = wide ? 1.90821492927058770002e-10 : M_LN2 - *high;
}

Val exp_core(Emit *e, Val x)
{
    double high, low;
    ln2_parts(e, x, &high, &low);
    Val n = round_even(e, mul(e, x, like(x, M_LOG2E)));
    Val r = mul_add(e, n, like(x, -high), x);
    r = mul_add(e, n, like(x, -low), r);
    Val p = mul_add(e, mul(e, r, r), poly(e, &exp_tail, r), r);
    p = add(e, p, like(x, 1));
    return scale_real(e, p, n);
}

Val vm_exp(Emit *e, Val x)
{
    bool wide = is_double(e, x);
    Val in = limit(e, x, wide ? -746 : -104, wide ? 710 : 89);
    if (scales(e, x)) /* a NaN goes through */
        return exp_core(e, in);
    in = over_or(e, is_nan(e, x), 0, in);
    return pick(e, is_nan(e, x), x, exp_core(e, in));
}

Val vm_exp2_less(Emit *e, Val x, Val m)
{
    Val n = round_even(e, x);
    Val r = mul(e, sub(e, x, n), like(x, M_LN2));
    Val p = mul_add(e, mul(e, r, r), poly(e, &exp_tail, r), r);
    p = add(e, p, like(x, 1));
    if (scales(e, x))
        return scale_real(e, p, sub(e, n, m));
    Val nan = is_nan(e, p);
    Val up = over_or(e, nan, 0, limit(e, sub(e, n, m), -160, 160));
    return pick(e, nan, p, scale_real(e, p, up));
}

/* x = 2^k m, m in [sqrt(1/2), sqrt(2)); x > 0 and finite, may be subnormal. */
static Val split(Emit *e, Val x, Val *k)
{
    bool wide = is_double(e, x);
    int shift = wide ? 52 : 23;
    Val tiny = less(e, x, like(x, wide ? 0x1p-1022 : 0x1p-126));
    x = pick(e, tiny, mul(e, x, like(x, ldexp(1, shift + 2))), x);
    Val u = bits_of(e, x);
    int64_t from = wide ? 0x3fe6a09e667f3bcdLL : 0x3f3504f3;
    Val off = sub(e, u, like_bits(u, from));
    Val n = LLVMBuildAShr(e->at, off, like_bits(u, shift), "");
    Val m = sub(e, u, shift_left(e, n, shift));
    Val less_by = pick(e, tiny, like_bits(u, shift + 2), like_bits(u, 0));
    *k = to_float(e, sub(e, n, less_by), ty_elem(x));
    return float_of_bits(e, m);
}

/* log(1 + f) = f - (f^2/2 - s (f^2/2 + R(s^2))), s = f / (2 + f) */
static Val log_core(Emit *e, Val x)
{
    double high, low;
    ln2_parts(e, x, &high, &low);
    Val k, m = split(e, x, &k);
    Val f = sub(e, m, like(x, 1));
    Val s = quot(e, f, add(e, f, like(x, 2)));
    Val z = mul(e, s, s);
    Val r = mul(e, z, poly(e, &log_tail, z));
    Val half = mul(e, mul(e, f, f), like(x, 0.5));
    Val in = mul_add(e, s, add(e, half, r), mul(e, k, like(x, low)));
    return mul_add(e, k, like(x, high), sub(e, f, sub(e, half, in)));
}

Val vm_log(Emit *e, Val x)
{
    Val fine = bit_and(e, less(e, like(x, 0), x),
                       less(e, x, like(x, INFINITY)));
    Val v = log_core(e, pick(e, fine, x, like(x, 1)));
    Val zero = same(e, x, like(x, 0));
    Val odd = over_or(e, zero, -INFINITY,
                      over_or(e, less(e, x, like(x, 0)), NAN, x));
    return pick(e, fine, v, odd);
}

Val vm_tanh(Emit *e, Val x)
{
    Val size = magnitude(e, x), z = mul(e, x, x);
    Val small = mul_add(e, mul(e, x, z), poly(e, &tanh_tail, z), x);
    Val up = vm_exp(e, add(e, size, size));
    Val big = sub(e, like(x, 1),
                  quot(e, like(x, 2), add(e, up, like(x, 1))));
    Val is_small = less(e, size, like(x, 0.625));
    return pick(e, is_small, small, copy_sign(e, big, x));
}

/* exp(-|x|) keeps the small side's bits: x < 0: p / (1 + p), else 1 / (1 + p)*/
Val vm_sigmoid(Emit *e, Val x)
{
    Val p = vm_exp(e, neg(e, magnitude(e, x)));
    Val top = pick(e, less(e, x, like(x, 0)), p, like(x, 1));
    return quot(e, top, add(e, p, like(x, 1)));
}

Val vm_silu(Emit *e, Val x)
{
    return mul(e, x, vm_sigmoid(e, x));
}

/* (1 + tanh u) / 2 = sigmoid(2 u) */
Val vm_gelu_tanh(Emit *e, Val x)
{
    Val inner = mul_add(e, mul(e, x, x), like(x, 0.044715), like(x, 1));
    Val u = mul(e, mul(e, x, like(x, 2 * 0.7978845608028654)), inner);
    return mul(e, x, vm_sigmoid(e, u));
}

/* max(x, 0) + log(1 + y), y = exp(-|x|); log(1 + y) = 2 atanh(y / (2 + y)) */
Val vm_softplus(Emit *e, Val x)
{
    Val y = vm_exp(e, neg(e, magnitude(e, x)));
    Val s = quot(e, y, add(e, y, like(x, 2)));
    Val z = mul(e, s, s);
    Val tail = mul(e, mul(e, s, z), poly(e, &log1p_tail, z));
    Val log1p = add(e, add(e, s, s), tail);
    Val top = pick(e, less(e, x, like(x, 0)), like(x, 0), x);
    return add(e, top, log1p);
}

Val vm_rsqrt(Emit *e, Val x)
{
    return quot(e, like(x, 1), root(e, x));
}

/* ---- the normal distribution ---- */

static Val upper_bits(Emit *e, Val a)
{
    Val u = bits_of(e, a);
    int64_t keep = is_double(e, a) ? -(INT64_C(1) << 27) : -(INT64_C(1) << 12);
    return float_of_bits(e, bit_and(e, u, like_bits(u, keep)));
}

/* a b - p for p = a b rounded; without a fused one from halves (Dekker). */
static Val product_error(Emit *e, Val a, Val b, Val p)
{
    if (e->target->fma)
        return mul_add(e, a, b, neg(e, p));
    Val ah = upper_bits(e, a), bh = upper_bits(e, b);
    Val al = sub(e, a, ah), bl = sub(e, b, bh);
    Val v = sub(e, mul(e, ah, bh), p);
    v = add(e, v, add(e, mul(e, ah, bl), mul(e, al, bh)));
    return add(e, v, mul(e, al, bl));
}

/* The mass above z >= 0 in units of sqrt(2): erfc(z) / 2. z^2 is kept in two
 * parts, as its rounding alone would cost 100 ulp at z = 10. */
static Val upper_tail(Emit *e, Val z)
{
    Val u = quot(e, sub(e, z, like(z, 3.75)), add(e, z, like(z, 3.75)));
    Val h = quot(e, poly(e, &erfc_tail, u),
                 mul_add(e, z, like(z, 2), like(z, 1)));
    Val s = mul(e, z, z);
    Val error = product_error(e, z, z, s);
    Val p = vm_exp(e, neg(e, s));
    return mul(e, h, mul_add(e, p, neg(e, error), p));
}

/* x in units of sqrt(2): z = x / sqrt(2) in two parts, the second as a factor
 * of the tail: d/dz log tail = about -2 z. */
Val vm_cdf(Emit *e, Val x)
{
    Val size = magnitude(e, x);
    double most = is_double(e, x) ? 39 : 14.5;
    size = pick(e, less(e, like(x, most), size), like(x, most), size);
    double c = is_double(e, x) ? M_SQRT1_2 : (double)(float)M_SQRT1_2;
    Val z = mul(e, size, like(x, c));
    Val off = product_error(e, size, like(x, c), z);
    off = mul_add(e, size, like(x, M_SQRT1_2 - c), off);
    Val tail = upper_tail(e, z);
    Val slope = mul(e, off, mul(e, z, like(x, -2)));
    tail = mul_add(e, tail, slope, tail);
    Val v = pick(e, less(e, x, like(x, 0)), tail,
                 sub(e, like(x, 1), tail));
    return pick(e, is_nan(e, x), x, v);
}

Val vm_gelu(Emit *e, Val x)
{
    return mul(e, x, vm_cdf(e, x));
}
