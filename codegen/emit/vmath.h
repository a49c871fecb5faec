/* Coefficients and pieces that vmath*.c share. Private to codegen. */
#pragma once
#include "codegen/emit/emit_math.h"

/* A polynomial by its coefficients from the constant on: one for f32, one for
 * f64; near-minimax (Chebyshev) fits of the function named beside each. */
typedef struct {
    const double *f, *d;
    int nf, nd;
} Poly;
Val poly(Emit *e, const Poly *p, Val x);

bool is_double(Emit *e, Val x);
Val scale_two(Emit *e, Val x, Val n); /* x 2^n, n an integer */
Val exp_core(Emit *e, Val x);         /* exp without its special cases */
Val over_or(Emit *e, Val t, double special, Val x); /* t ? special : x */

/* 2 atanh(s) = 2 s + s^3 L(s^2): L for s^2 up to 0.0295, and up to 1/9 */
extern const Poly log_tail, log1p_tail;
extern const Poly exp_tail;  /* (exp r - 1 - r) / r^2, |r| < ln 2 / 2 */
extern const Poly tanh_tail; /* (tanh x - x) / x^3 over x^2 < 0.4 */
extern const Poly sin_tail;  /* (sin r - r) / r^3 over r^2 < 0.62 */
extern const Poly cos_tail;  /* (cos r - 1 + r^2 / 2) / r^4 over r^2 < 0.62 */
extern const Poly asin_tail; /* (asin x - x) / x^3 over x^2 < 1/4 */
/* (1 + 2 z) exp(z^2) erfc(z) / 2 over u = (z - 3.75) / (z + 3.75) */
extern const Poly erfc_tail;
