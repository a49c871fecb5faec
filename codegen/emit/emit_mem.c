/* Emit: conversions and memory. */
#include "codegen/emit/emit.h"

static LLVMTypeKind kind_of(Val v)
{
    return LLVMGetTypeKind(ty_elem(v));
}

static int bits_in(Val v)
{
    switch (kind_of(v)) {
    case LLVMFloatTypeKind:
        return 32;
    case LLVMDoubleTypeKind:
        return 64;
    default:
        return (int)LLVMGetIntTypeWidth(ty_elem(v));
    }
}

/* ---- conversions ---- */

static Ty with_elem(Val a, Ty elem)
{
    return vec(elem, width_of(a));
}

Val bits_of(Emit *e, Val a)
{
    Ty t = with_elem(a, ty(e, bits_in(a) == 64 ? TY_i64 : TY_i32));
    return LLVMBuildBitCast(e->at, a, t, "");
}

Val float_of_bits(Emit *e, Val a)
{
    Ty t = with_elem(a, ty(e, bits_in(a) == 64 ? TY_f64 : TY_f32));
    return LLVMBuildBitCast(e->at, a, t, "");
}

Val to_float(Emit *e, Val a, Ty elem)
{
    Ty t = with_elem(a, elem);
    if (is_real(a))
        return LLVMBuildFPCast(e->at, a, t, "");
    if (bits_in(a) == 1)
        return LLVMBuildUIToFP(e->at, a, t, "");
    return LLVMBuildSIToFP(e->at, a, t, "");
}

Val to_int(Emit *e, Val a, Ty elem)
{
    Ty t = with_elem(a, elem);
    if (is_real(a))
        return LLVMBuildFPToSI(e->at, a, t, "");
    return LLVMBuildIntCast2(e->at, a, t, bits_in(a) != 1, "");
}

/* The upper 16 bits, nearest even; a NaN stays one. */
static Val bf16_bits(Emit *e, Val a)
{
    Val u = bits_of(e, a);
    Val odd = bit_and(e, shift_right(e, u, 16), like_bits(u, 1));
    Val up = shift_right(e, add(e, u, add(e, odd, like_bits(u, 0x7fff))), 16);
    Val nan = bit_or(e, shift_right(e, u, 16), like_bits(u, 0x40));
    return pick(e, is_nan(e, a), nan, up);
}

static Val bf16_short(Emit *e, Val a)
{
    Ty to = with_elem(a, ty(e, TY_i16));
    if (e->target->bf16_dot && width_of(a) == 16) {
        Val v = intrinsic(e, "llvm.x86.avx512bf16.cvtneps2bf16.512", 0, NULL, 1,
                          &a);
        return LLVMBuildBitCast(e->at, v, to, "");
    }
    return LLVMBuildTrunc(e->at, bf16_bits(e, a), to, "");
}

static Val bf16_wide(Emit *e, Val shorts)
{
    Val u = LLVMBuildZExt(e->at, shorts, with_elem(shorts, ty(e, TY_i32)), "");
    return float_of_bits(e, shift_left(e, u, 16));
}

static Val f16_wide(Emit *e, Val shorts)
{
    Ty half = with_elem(shorts, LLVMHalfTypeInContext(e->ctx));
    Val h = LLVMBuildBitCast(e->at, shorts, half, "");
    return LLVMBuildFPExt(e->at, h, with_elem(h, ty(e, TY_f32)), "");
}

static Val f16_short(Emit *e, Val a)
{
    Ty half = with_elem(a, LLVMHalfTypeInContext(e->ctx));
    Val h = LLVMBuildFPTrunc(e->at, a, half, "");
    return LLVMBuildBitCast(e->at, h, with_elem(a, ty(e, TY_i16)), "");
}

Val round_to(Emit *e, Dtype t, Val a)
{
    switch (t) {
    case TYPE_bf16:
        return bf16_wide(e, bf16_short(e, a));
    case TYPE_f16:
        return f16_wide(e, f16_short(e, a));
    default:
        return a;
    }
}

static Val from_memory(Emit *e, Dtype t, Val v)
{
    switch (t) {
    case TYPE_bf16:
        return bf16_wide(e, v);
    case TYPE_f16:
        return f16_wide(e, v);
    case TYPE_bool:
        return differs(e, v, like(v, 0));
    default:
        return v;
    }
}

static Val to_memory(Emit *e, Dtype t, Val v)
{
    switch (t) {
    case TYPE_bf16:
        return bf16_short(e, v);
    case TYPE_f16:
        return f16_short(e, v);
    case TYPE_bool:
        return to_int(e, v, ty(e, TY_i8));
    default:
        return v;
    }
}

/* ---- memory ---- */

static int elem_bytes(Ty t)
{
    if (LLVMGetTypeKind(t) == LLVMVectorTypeKind)
        t = LLVMGetElementType(t);
    switch (LLVMGetTypeKind(t)) {
    case LLVMFloatTypeKind:
        return 4;
    case LLVMIntegerTypeKind:
        return ((int)LLVMGetIntTypeWidth(t) + 7) / 8;
    default:
        return 8;
    }
}

Val at(Emit *e, Ty elem, Val base, Val index)
{
    return LLVMBuildGEP2(e->at, elem, base, &index, 1, "");
}

Val at_bytes(Emit *e, Val base, Val bytes)
{
    return LLVMBuildGEP2(e->at, ty(e, TY_i8), base, &bytes, 1, "");
}

Val load(Emit *e, Ty t, Val p)
{
    Val v = LLVMBuildLoad2(e->at, t, p, "");
    LLVMSetAlignment(v, (unsigned)elem_bytes(t));
    return v;
}

void store(Emit *e, Val v, Val p)
{
    Val s = LLVMBuildStore(e->at, v, p);
    LLVMSetAlignment(s, (unsigned)elem_bytes(LLVMTypeOf(v)));
}

Val load_masked(Emit *e, Ty t, Val p, Val mask)
{
    if (LLVMGetTypeKind(t) != LLVMVectorTypeKind) {
        Val v = var(e, t, "or0");
        set(e, v, LLVMConstNull(t));
        If i = if_begin(e, mask);
        set(e, v, load(e, t, p));
        if_end(e, i);
        return get(e, v);
    }
    Ty over[] = {t, ty_ptr(e)};
    Val args[] = {p, i32(e, elem_bytes(t)), mask, LLVMConstNull(t)};
    return intrinsic(e, "llvm.masked.load", 2, over, 4, args);
}

void store_masked(Emit *e, Val v, Val p, Val mask)
{
    if (width_of(v) == 1) {
        If i = if_begin(e, mask);
        store(e, v, p);
        if_end(e, i);
        return;
    }
    Ty over[] = {LLVMTypeOf(v), ty_ptr(e)};
    Val args[] = {v, p, i32(e, elem_bytes(LLVMTypeOf(v))), mask};
    intrinsic(e, "llvm.masked.store", 2, over, 4, args);
}

Val load_as(Emit *e, Dtype t, int n, Val p, Val mask)
{
    Ty m = vec(ty_mem(e, t), n);
    return from_memory(e, t, mask ? load_masked(e, m, p, mask) : load(e, m, p));
}

void store_as(Emit *e, Dtype t, Val v, Val p, Val mask)
{
    v = to_memory(e, t, v);
    if (mask)
        store_masked(e, v, p, mask);
    else
        store(e, v, p);
}

Val gather_as(Emit *e, Dtype t, Val base, Val index, Val mask)
{
    Ty elem = ty_mem(e, t);
    int n = width_of(index);
    Val p = at(e, elem, base, index);
    if (n == 1)
        return load_as(e, t, 1, p, mask);
    Ty m = vec(elem, n), over[] = {m, vec(ty_ptr(e), n)};
    Val all = LLVMConstAllOnes(vec(ty(e, TY_i1), n));
    Val args[] = {p, i32(e, elem_bytes(elem)), mask ? mask : all,
                  LLVMConstNull(m)};
    return from_memory(e, t,
                       intrinsic(e, "llvm.masked.gather", 2, over, 4, args));
}

Val mask_first(Emit *e, int n, Val count)
{
    Ty t = ty(e, TY_i32);
    Val most = least(e, count, i64(e, n));
    Val c = splat(e, to_int(e, most, t), n);
    return less(e, lane_numbers(e, t, n), c);
}

void prefetch(Emit *e, Val p, int level)
{
    Ty t = ty_ptr(e);
    Val args[] = {p, i32(e, 0), i32(e, level), i32(e, 1)};
    intrinsic(e, "llvm.prefetch", 1, &t, 4, args);
}
