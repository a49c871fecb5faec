/* Emit: the module, its types and constants, functions and control flow. */
#include "codegen/emit/emit.h"
#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- the machine ---- */

static bool has(const char *features, const char *one)
{
    size_t n = strlen(one);
    for (const char *p = features; (p = strstr(p, one)); p += n)
        if ((p == features || p[-1] == ',') && (p[n] == ',' || !p[n]))
            return true;
    return false;
}

/* Linux asks before a process may use the tiles' registers. */
static bool may_use_tiles(void)
{
#if defined(__linux__) && defined(__x86_64__)
    enum { REQUEST = 0x1023, TILES = 18 };
    return !syscall(SYS_arch_prctl, REQUEST, TILES);
#else
    return false;
#endif
}

static Target host, generic;

static void find_host(void)
{
    char *triple = LLVMGetDefaultTargetTriple();
    char *features = LLVMGetHostCPUFeatures();
    host.triple = generic.triple = intern(triple);
    host.features = intern(features);
    generic.features = "";
    generic.width = host.width = 16;
    host.x86 = generic.x86 = !strncmp(triple, "x86_64", 6);
    if (host.x86) {
        bool wide = has(features, "+avx512f") && has(features, "+avx512bw") &&
                    has(features, "+avx512vl") && has(features, "+avx512dq");
        host.fma = has(features, "+fma");
        host.masks = wide;
        host.width = wide ? 64 : has(features, "+avx2") && host.fma ? 32 : 16;
        host.f16c = has(features, "+f16c");
        host.bf16_dot = wide && has(features, "+avx512bf16");
        host.vnni = wide && has(features, "+avx512vnni");
        host.amx = wide && has(features, "+amx-bf16") &&
                   has(features, "+amx-tile") && may_use_tiles();
    } else {
        host.fma = generic.fma = true;
    }
    LLVMDisposeMessage(triple);
    LLVMDisposeMessage(features);
}

bool target_has(const Target *t, const char *feature)
{
    return has(t->features, feature);
}

const Target *target_host(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_host);
    return &host;
}

const Target *target_generic(void)
{
    target_host();
    return &generic;
}

/* ---- the module ---- */

Emit *emit_new(Arena *a, const Target *t, const char *name)
{
    Emit *e = arena_alloc(a, sizeof *e);
    llvm_guard();
    e->arena = a;
    e->target = t;
    e->lanes = t->width / 4;
    e->ctx = LLVMContextCreate();
    e->module = LLVMModuleCreateWithNameInContext(name, e->ctx);
    LLVMSetTarget(e->module, t->triple);
    e->at = LLVMCreateBuilderInContext(e->ctx);
    e->top = LLVMCreateBuilderInContext(e->ctx);
    return e;
}

void emit_verify(Emit *e)
{
    char *message = NULL;
    if (!LLVMVerifyModule(e->module, LLVMReturnStatusAction, &message)) {
        LLVMDisposeMessage(message);
        return;
    }
    BUG("the LLVM module is wrong: %.2000s", message);
}

static void drop_builders(Emit *e)
{
    if (e->at) {
        LLVMDisposeBuilder(e->at);
        LLVMDisposeBuilder(e->top);
    }
    e->at = e->top = NULL;
}

LLVMModuleRef emit_take(Emit *e, LLVMContextRef *ctx)
{
    LLVMModuleRef m = e->module;
    drop_builders(e);
    *ctx = e->ctx;
    e->module = NULL;
    e->ctx = NULL;
    return m;
}

void emit_free(Emit *e)
{
    drop_builders(e);
    if (e->module)
        LLVMDisposeModule(e->module);
    if (e->ctx)
        LLVMContextDispose(e->ctx);
    e->module = NULL;
    e->ctx = NULL;
}

/* ---- types ---- */

Ty ty(Emit *e, TyName t)
{
    switch (t) {
    case TY_f32:
        return LLVMFloatTypeInContext(e->ctx);
    case TY_f64:
        return LLVMDoubleTypeInContext(e->ctx);
    case TY_i8:
        return LLVMInt8TypeInContext(e->ctx);
    case TY_i16:
        return LLVMInt16TypeInContext(e->ctx);
    case TY_i32:
        return LLVMInt32TypeInContext(e->ctx);
    case TY_i64:
        return LLVMInt64TypeInContext(e->ctx);
    case TY_i1:
        return LLVMInt1TypeInContext(e->ctx);
    }
    BUG("no such type");
}

Ty ty_ptr(Emit *e)
{
    return LLVMPointerTypeInContext(e->ctx, 0);
}

Ty vec(Ty elem, int n)
{
    return n == 1 ? elem : LLVMVectorType(elem, n);
}

Ty ty_mem(Emit *e, Dtype t)
{
    switch (t) {
    case TYPE_f32:
        return ty(e, TY_f32);
    case TYPE_f64:
        return ty(e, TY_f64);
    case TYPE_bf16:
    case TYPE_f16:
    case TYPE_i16:
    case TYPE_u16:
        return ty(e, TY_i16);
    case TYPE_i32:
    case TYPE_u32:
        return ty(e, TY_i32);
    case TYPE_i64:
    case TYPE_u64:
        return ty(e, TY_i64);
    default:
        return ty(e, TY_i8);
    }
}

Ty ty_reg(Emit *e, Dtype t)
{
    switch (t) {
    case TYPE_bf16:
    case TYPE_f16:
        return ty(e, TY_f32);
    case TYPE_bool:
        return ty(e, TY_i1);
    default:
        return ty_mem(e, t);
    }
}

Ty ty_elem(Val v)
{
    Ty t = LLVMTypeOf(v);
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t;
}

Ty ty_of(Val v)
{
    return LLVMTypeOf(v);
}

int width_of(Val v)
{
    Ty t = LLVMTypeOf(v);
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(t)
                                                    : 1;
}

/* ---- constants ---- */

static Val repeat(Val one, int n)
{
    Val all[256];
    if (n == 1)
        return one;
    if (n > (int)COUNT(all))
        BUG("a vector of %d lanes", n);
    for (int i = 0; i < n; i++)
        all[i] = one;
    return LLVMConstVector(all, n);
}

static Ty elem_of(Ty t, int *n)
{
    *n = 1;
    if (LLVMGetTypeKind(t) != LLVMVectorTypeKind)
        return t;
    *n = (int)LLVMGetVectorSize(t);
    return LLVMGetElementType(t);
}

Val num(Ty t, double v)
{
    int n;
    Ty elem = elem_of(t, &n);
    if (LLVMGetTypeKind(elem) == LLVMIntegerTypeKind)
        return repeat(LLVMConstInt(elem, (unsigned long long)(int64_t)v, true),
                      n);
    return repeat(LLVMConstReal(elem, v), n);
}

Val like(Val x, double v)
{
    return num(LLVMTypeOf(x), v);
}

Val like_bits(Val x, int64_t v)
{
    int n;
    Ty elem = elem_of(LLVMTypeOf(x), &n);
    return repeat(LLVMConstInt(elem, (unsigned long long)v, true), n);
}

Val i64(Emit *e, int64_t v)
{
    return LLVMConstInt(ty(e, TY_i64), (unsigned long long)v, true);
}

Val i32(Emit *e, int64_t v)
{
    return LLVMConstInt(ty(e, TY_i32), (unsigned long long)v, true);
}

Val f32(Emit *e, double v)
{
    return LLVMConstReal(ty(e, TY_f32), v);
}

Val truth(Emit *e, bool v)
{
    return LLVMConstInt(ty(e, TY_i1), v, false);
}

Val lane_numbers(Emit *e, Ty elem, int n)
{
    Val all[256];
    (void)e;
    for (int i = 0; i < n; i++)
        all[i] = LLVMConstInt(elem, (unsigned long long)i, false);
    return n == 1 ? all[0] : LLVMConstVector(all, n);
}

Val named(Val v, const char *name)
{
    if (LLVMIsAInstruction(v) || LLVMIsAArgument(v))
        LLVMSetValueName2(v, name, strlen(name));
    return v;
}

/* ---- functions ---- */

static void attribute(Emit *e, const char *key, const char *value)
{
    LLVMAddAttributeAtIndex(
        e->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
        LLVMCreateStringAttribute(e->ctx, key, (unsigned)strlen(key), value,
                                  (unsigned)strlen(value)));
}

static void plain_attribute(Emit *e, const char *key)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(key, strlen(key));
    LLVMAddAttributeAtIndex(e->fn,
                            (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(e->ctx, kind, 0));
}

Val function(Emit *e, const char *name, Ty result, int n, const Ty *args)
{
    Ty t = LLVMFunctionType(result, (Ty *)args, (unsigned)n, false);
    e->fn = LLVMAddFunction(e->module, name, t);
    plain_attribute(e, "nounwind");
    if (e->target->features[0])
        attribute(e, "target-features", e->target->features);
    if (e->target->width == 64) {
        attribute(e, "prefer-vector-width", "512");
        attribute(e, "min-legal-vector-width", "512");
    }
    LLVMBasicBlockRef vars =
        LLVMAppendBasicBlockInContext(e->ctx, e->fn, "vars");
    LLVMBasicBlockRef start =
        LLVMAppendBasicBlockInContext(e->ctx, e->fn, "start");
    LLVMPositionBuilderAtEnd(e->top, vars);
    LLVMPositionBuilderBefore(e->top, LLVMBuildBr(e->top, start));
    LLVMPositionBuilderAtEnd(e->at, start);
    return e->fn;
}

Val param(Emit *e, int i, const char *name)
{
    return named(LLVMGetParam(e->fn, (unsigned)i), name);
}

void ret(Emit *e, Val v)
{
    if (v)
        LLVMBuildRet(e->at, v);
    else
        LLVMBuildRetVoid(e->at);
}

Val call(Emit *e, Val fn, int n, Val *args)
{
    return LLVMBuildCall2(e->at, LLVMGlobalGetValueType(fn), fn, args,
                          (unsigned)n, "");
}

Val intrinsic(Emit *e, const char *root, int nty, Ty *types, int n, Val *args)
{
    unsigned id = LLVMLookupIntrinsicID(root, strlen(root));
    if (!id)
        BUG("LLVM has no intrinsic %s", root);
    Val fn = LLVMGetIntrinsicDeclaration(e->module, id, types, (size_t)nty);
    return LLVMBuildCall2(e->at, LLVMGlobalGetValueType(fn), fn, args,
                          (unsigned)n, "");
}

bool helper_begin(Emit *e, Helper *h, const char *name, int n, const Ty *args)
{
    *h = (Helper){.fn = LLVMGetNamedFunction(e->module, name)};
    if (h->fn)
        return false;
    h->outer = e->fn;
    h->here = LLVMGetInsertBlock(e->at);
    h->vars = LLVMGetInsertBlock(e->top);
    h->fn = function(e, name, LLVMVoidTypeInContext(e->ctx), n, args);
    LLVMSetLinkage(h->fn, LLVMInternalLinkage);
    return true;
}

void helper_end(Emit *e, Helper *h)
{
    e->fn = h->outer;
    if (!h->outer)
        return;
    LLVMPositionBuilderAtEnd(e->at, h->here);
    LLVMPositionBuilderBefore(e->top, LLVMGetBasicBlockTerminator(h->vars));
}

/* ---- control ---- */

static LLVMBasicBlockRef block(Emit *e, const char *name, const char *what)
{
    char text[64];
    snprintf(text, sizeof text, "%s%s", name, what);
    return LLVMAppendBasicBlockInContext(e->ctx, e->fn, text);
}

Loop loop_begin(Emit *e, const char *name, Val from, Val to, int64_t step)
{
    Loop l = {.step = i64(e, step), .end = to};
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->at);
    l.body = block(e, name, ".loop");
    l.done = block(e, name, ".done");
    LLVMBuildCondBr(e->at, less(e, from, to), l.body, l.done);
    LLVMPositionBuilderAtEnd(e->at, l.body);
    l.phi = l.index = LLVMBuildPhi(e->at, ty(e, TY_i64), name);
    LLVMAddIncoming(l.phi, &from, &before, 1);
    return l;
}

void loop_end(Emit *e, Loop l)
{
    Val next = LLVMBuildNSWAdd(e->at, l.index, l.step, "");
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->at);
    LLVMAddIncoming(l.phi, &next, &here, 1);
    LLVMBuildCondBr(e->at, less(e, next, l.end), l.body, l.done);
    LLVMPositionBuilderAtEnd(e->at, l.done);
}

If if_begin(Emit *e, Val truth)
{
    LLVMBasicBlockRef then = block(e, "then", "");
    If i = {block(e, "else", ""), block(e, "endif", "")};
    LLVMBuildCondBr(e->at, truth, then, i.other);
    LLVMPositionBuilderAtEnd(e->at, then);
    return i;
}

void if_else(Emit *e, If *i)
{
    LLVMBuildBr(e->at, i->done);
    LLVMPositionBuilderAtEnd(e->at, i->other);
    i->other = NULL;
}

void if_end(Emit *e, If i)
{
    LLVMBuildBr(e->at, i.done);
    if (i.other) {
        LLVMPositionBuilderAtEnd(e->at, i.other);
        LLVMBuildBr(e->at, i.done);
    }
    LLVMPositionBuilderAtEnd(e->at, i.done);
}

/* ---- variables ---- */

Val var(Emit *e, Ty t, const char *name)
{
    return LLVMBuildAlloca(e->top, t, name);
}

void set(Emit *e, Val v, Val value)
{
    LLVMBuildStore(e->at, value, v);
}

Val get(Emit *e, Val v)
{
    return LLVMBuildLoad2(e->at, LLVMGetAllocatedType(v), v, "");
}

Val room(Emit *e, int64_t bytes, const char *name)
{
    Val v = LLVMBuildArrayAlloca(e->top, ty(e, TY_i8), i64(e, bytes), name);
    LLVMSetAlignment(v, 64);
    return v;
}
