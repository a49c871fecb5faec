/* Functions of floats, scalar or vector. f32, off the exact value by at most:
 * exp, log, tanh, sin, cos, acos, rsqrt, pow 2 ulp; sigmoid, softplus, silu 3;
 * cdf, gelu 5; gelu_tanh 8 (of 0.01 where it is smaller). NaN and infinities
 * as in C; angles up to 2^48. */
#pragma once
#include "codegen/emit/emit.h"

Val vm_exp(Emit *e, Val x);
/* 2^(x - m), m whole: the same bits, but for the exponent, whatever m is. */
Val vm_exp2_less(Emit *e, Val x, Val m);
Val vm_log(Emit *e, Val x);
Val vm_tanh(Emit *e, Val x);
Val vm_sigmoid(Emit *e, Val x);
Val vm_silu(Emit *e, Val x);
Val vm_gelu(Emit *e, Val x);
Val vm_gelu_tanh(Emit *e, Val x);
Val vm_softplus(Emit *e, Val x);
Val vm_cdf(Emit *e, Val x);
Val vm_sin(Emit *e, Val x);
Val vm_cos(Emit *e, Val x);
Val vm_acos(Emit *e, Val x);
Val vm_pow(Emit *e, Val x, Val y);
Val vm_rsqrt(Emit *e, Val x);
