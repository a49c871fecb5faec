/* Emit: arithmetic, comparisons and vectors. */
#include "codegen/emit/emit.h"

static LLVMTypeKind kind_of(Val v)
{
    Ty t = LLVMTypeOf(v);
    return LLVMGetTypeKind(LLVMGetTypeKind(t) == LLVMVectorTypeKind
                               ? LLVMGetElementType(t)
                               : t);
}

bool is_real(Val v)
{
    return kind_of(v) != LLVMIntegerTypeKind;
}

static Val unary(Emit *e, const char *root, Val a)
{
    Ty t = LLVMTypeOf(a);
    return intrinsic(e, root, 1, &t, 1, &a);
}

static Val binary(Emit *e, const char *root, Val a, Val b)
{
    Ty t = LLVMTypeOf(a);
    Val args[] = {a, b};
    return intrinsic(e, root, 1, &t, 2, args);
}

/* ---- arithmetic ---- */

Val add(Emit *e, Val a, Val b)
{
    return is_real(a) ? LLVMBuildFAdd(e->at, a, b, "")
                      : LLVMBuildAdd(e->at, a, b, "");
}

Val sub(Emit *e, Val a, Val b)
{
    return is_real(a) ? LLVMBuildFSub(e->at, a, b, "")
                      : LLVMBuildSub(e->at, a, b, "");
}

Val mul(Emit *e, Val a, Val b)
{
    return is_real(a) ? LLVMBuildFMul(e->at, a, b, "")
                      : LLVMBuildMul(e->at, a, b, "");
}

Val quot(Emit *e, Val a, Val b)
{
    return is_real(a) ? LLVMBuildFDiv(e->at, a, b, "")
                      : LLVMBuildSDiv(e->at, a, b, "");
}

Val rest(Emit *e, Val a, Val b)
{
    return LLVMBuildSRem(e->at, a, b, "");
}

Val mul_add(Emit *e, Val a, Val b, Val c)
{
    if (!is_real(a) || !e->target->fma)
        return add(e, mul(e, a, b), c);
    Ty t = LLVMTypeOf(a);
    Val args[] = {a, b, c};
    return intrinsic(e, "llvm.fma", 1, &t, 3, args);
}

Val neg(Emit *e, Val a)
{
    return is_real(a) ? LLVMBuildFNeg(e->at, a, "")
                      : LLVMBuildNeg(e->at, a, "");
}

/* a < b || a != a ? a : b, as compiler/graph/ops.def has it */
Val least(Emit *e, Val a, Val b)
{
    if (!is_real(a))
        return pick(e, less(e, a, b), a, b);
    Val t = LLVMBuildFCmp(e->at, LLVMRealULT, a, b, "");
    return pick(e, bit_and(e, t, flip(e, is_nan(e, b))), a,
                pick(e, is_nan(e, a), a, b));
}

Val greatest(Emit *e, Val a, Val b)
{
    if (!is_real(a))
        return pick(e, less(e, b, a), a, b);
    return pick(e, less(e, b, a), a, pick(e, is_nan(e, a), a, b));
}

Val magnitude(Emit *e, Val a)
{
    return is_real(a) ? unary(e, "llvm.fabs", a)
                      : pick(e, less(e, a, like(a, 0)), neg(e, a), a);
}

Val copy_sign(Emit *e, Val size, Val sign)
{
    return binary(e, "llvm.copysign", size, sign);
}

Val root(Emit *e, Val a)
{
    return unary(e, "llvm.sqrt", a);
}

Val round_even(Emit *e, Val a)
{
    return unary(e, "llvm.roundeven", a);
}

Val round_down(Emit *e, Val a)
{
    return is_real(a) ? unary(e, "llvm.floor", a) : a;
}

Val round_up(Emit *e, Val a)
{
    return is_real(a) ? unary(e, "llvm.ceil", a) : a;
}

Val shift_left(Emit *e, Val a, int n)
{
    return LLVMBuildShl(e->at, a, like_bits(a, n), "");
}

Val shift_right(Emit *e, Val a, int n)
{
    return LLVMBuildLShr(e->at, a, like_bits(a, n), "");
}

Val shift_signed(Emit *e, Val a, int n)
{
    return LLVMBuildAShr(e->at, a, like_bits(a, n), "");
}

Val bit_and(Emit *e, Val a, Val b)
{
    return LLVMBuildAnd(e->at, a, b, "");
}

Val bit_or(Emit *e, Val a, Val b)
{
    return LLVMBuildOr(e->at, a, b, "");
}

Val bit_xor(Emit *e, Val a, Val b)
{
    return LLVMBuildXor(e->at, a, b, "");
}

/* ---- comparisons ---- */

Val less(Emit *e, Val a, Val b)
{
    return is_real(a) ? LLVMBuildFCmp(e->at, LLVMRealOLT, a, b, "")
                      : LLVMBuildICmp(e->at, LLVMIntSLT, a, b, "");
}

Val less_eq(Emit *e, Val a, Val b)
{
    return is_real(a) ? LLVMBuildFCmp(e->at, LLVMRealOLE, a, b, "")
                      : LLVMBuildICmp(e->at, LLVMIntSLE, a, b, "");
}

Val same(Emit *e, Val a, Val b)
{
    return is_real(a) ? LLVMBuildFCmp(e->at, LLVMRealOEQ, a, b, "")
                      : LLVMBuildICmp(e->at, LLVMIntEQ, a, b, "");
}

Val differs(Emit *e, Val a, Val b)
{
    return is_real(a) ? LLVMBuildFCmp(e->at, LLVMRealUNE, a, b, "")
                      : LLVMBuildICmp(e->at, LLVMIntNE, a, b, "");
}

Val is_nan(Emit *e, Val a)
{
    return LLVMBuildFCmp(e->at, LLVMRealUNO, a, a, "");
}

Val flip(Emit *e, Val t)
{
    return LLVMBuildNot(e->at, t, "");
}

Val pick(Emit *e, Val t, Val a, Val b)
{
    return LLVMBuildSelect(e->at, t, a, b, "");
}

/* ---- vectors ---- */

Val splat(Emit *e, Val scalar, int n)
{
    if (n == 1)
        return scalar;
    Ty t = vec(LLVMTypeOf(scalar), n);
    Val one = LLVMBuildInsertElement(e->at, LLVMGetPoison(t), scalar, i32(e, 0),
                                     "");
    Val zeros = LLVMConstNull(vec(ty(e, TY_i32), n));
    return LLVMBuildShuffleVector(e->at, one, LLVMGetPoison(t), zeros, "");
}

Val lane(Emit *e, Val v, int i)
{
    return width_of(v) == 1 ? v : LLVMBuildExtractElement(e->at, v, i32(e, i),
                                                          "");
}

Val with_lane(Emit *e, Val v, int i, Val x)
{
    if (width_of(v) == 1)
        return x;
    return LLVMBuildInsertElement(e->at, v, x, i32(e, i), "");
}

Val shuffle(Emit *e, Val a, Val b, const int *from, int n)
{
    Val all[256];
    for (int i = 0; i < n; i++)
        all[i] = i32(e, from[i]);
    return LLVMBuildShuffleVector(e->at, a, b, LLVMConstVector(all, n), "");
}

Val part(Emit *e, Val v, int first, int n)
{
    int from[256];
    if (n == 1)
        return lane(e, v, first);
    for (int i = 0; i < n; i++)
        from[i] = first + i;
    return shuffle(e, v, v, from, n);
}

Val join(Emit *e, Val low, Val high)
{
    int from[256], n = width_of(low);
    if (n == 1) {
        Val two = LLVMGetPoison(vec(LLVMTypeOf(low), 2));
        return with_lane(e, with_lane(e, two, 0, low), 1, high);
    }
    for (int i = 0; i < 2 * n; i++)
        from[i] = i;
    return shuffle(e, low, high, from, 2 * n);
}

static Val reduce(Emit *e, Val v, Val (*op)(Emit *, Val, Val))
{
    for (int n = width_of(v); n > 1; n /= 2)
        v = op(e, part(e, v, 0, n / 2), part(e, v, n / 2, n / 2));
    return v;
}

Val reduce_add(Emit *e, Val v)
{
    return reduce(e, v, add);
}

static Val greater_nan(Emit *e, Val a, Val b)
{
    if (!is_real(a))
        return greatest(e, a, b);
    return pick(e, LLVMBuildFCmp(e->at, LLVMRealUGT, a, b, ""), a, b);
}

Val reduce_max(Emit *e, Val v)
{
    return reduce(e, v, greater_nan);
}

Val any(Emit *e, Val mask)
{
    Ty bits = LLVMIntTypeInContext(e->ctx, (unsigned)width_of(mask));
    Val v = LLVMBuildBitCast(e->at, mask, bits, "");
    return differs(e, v, LLVMConstNull(bits));
}
