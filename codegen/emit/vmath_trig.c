/* Functions of floats as polynomials: angles and powers. f32 arguments are
 * reduced in f64, so nothing is lost where they are large. */
#include "codegen/emit/vmath.h"
#include <math.h>

static Val as_double(Emit *e, Val x)
{
    return to_float(e, x, ty(e, TY_f64));
}

/* x = n pi/2 + r, |r| <= pi/4; pi/2 in parts of 33 bits. Good up to |x| = 2^48,
 * without fused multiply-add up to 2^20. Beyond 2^48 r is 0. */
static Val quarter_turns(Emit *e, Val x, Val *n)
{
    Val wide = as_double(e, x);
    Val fine = less(e, magnitude(e, wide), like(wide, 0x1p48));
    wide = over_or(e, flip(e, fine), 0, wide);
    Val turns = round_even(e, mul(e, wide, like(wide, M_2_PI)));
    Val r = mul_add(e, turns, like(wide, -1.57079632673412561417e+00), wide);
    r = mul_add(e, turns, like(wide, -6.07710050630396597660e-11), r);
    r = mul_add(e, turns, like(wide, -2.02226624879595063154e-21), r);
    *n = to_int(e, turns, ty(e, TY_i64));
    return to_float(e, r, ty_elem(x));
}

/* sin of (n + first) quarter turns and r */
static Val turned(Emit *e, Val x, int first)
{
    Val n, r = quarter_turns(e, x, &n), z = mul(e, r, r);
    Val s = mul_add(e, mul(e, r, z), poly(e, &sin_tail, z), r);
    Val c = mul_add(e, z, like(z, -0.5), like(z, 1));
    c = mul_add(e, mul(e, z, z), poly(e, &cos_tail, z), c);
    n = add(e, n, like_bits(n, first));
    Val odd = differs(e, bit_and(e, n, like_bits(n, 1)), like_bits(n, 0));
    Val v = pick(e, odd, c, s);
    Val back = differs(e, bit_and(e, n, like_bits(n, 2)), like_bits(n, 0));
    v = pick(e, back, neg(e, v), v);
    Val none = flip(e, less(e, magnitude(e, x), like(x, INFINITY)));
    return over_or(e, none, NAN, v);
}

Val vm_sin(Emit *e, Val x)
{
    return pick(e, same(e, x, like(x, 0)), x, turned(e, x, 0));
}

Val vm_cos(Emit *e, Val x)
{
    return turned(e, x, 1);
}

/* |x| <= 1/2: pi/2 - asin x; above: 2 asin sqrt((1 - |x|) / 2), and from pi. */
Val vm_acos(Emit *e, Val x)
{
    Val size = magnitude(e, x);
    Val middle = less_eq(e, size, like(x, 0.5));
    Val z = pick(e, middle, mul(e, x, x),
                 mul(e, sub(e, like(x, 1), size), like(x, 0.5)));
    Val a = pick(e, middle, x, root(e, z));
    Val asin = mul_add(e, mul(e, a, z), poly(e, &asin_tail, z), a);
    Val twice = add(e, asin, asin);
    Val outer = pick(e, less(e, x, like(x, 0)),
                     sub(e, like(x, M_PI), twice), twice);
    return pick(e, middle, sub(e, like(x, M_PI_2), asin), outer);
}

/* ---- powers ---- */

static Val odd_whole(Emit *e, Val y)
{
    Val half = mul(e, y, like(y, 0.5));
    Val whole = same(e, round_down(e, y), y);
    return bit_and(e, whole, differs(e, round_down(e, half), half));
}

/* As C's pow: |x|^y by exp(y log|x|) in f64, then the cases. */
Val vm_pow(Emit *e, Val x, Val y)
{
    Val a = as_double(e, x), b = as_double(e, y);
    Val log = vm_log(e, magnitude(e, a));
    Val p = vm_exp(e, mul(e, b, log));
    p = pick(e, bit_and(e, LLVMBuildFCmp(e->at, LLVMRealOLT, a, like(a, 0), ""),
                        odd_whole(e, b)),
             neg(e, p), p);
    Val whole = same(e, round_down(e, b), b);
    Val open = bit_and(e, less(e, a, like(a, 0)),
                       bit_and(e, flip(e, whole),
                               less(e, like(a, -INFINITY), a)));
    p = over_or(e, open, NAN, p);
    Val minus_one = bit_and(e, same(e, a, like(a, -1)),
                            same(e, magnitude(e, b), like(b, INFINITY)));
    Val one = bit_or(e, same(e, b, like(b, 0)), same(e, a, like(a, 1)));
    p = over_or(e, bit_or(e, one, minus_one), 1, p);
    return to_float(e, p, ty_elem(x));
}
