/* Emit: one LLVM module being written, behind words that read as the code they
 * emit. A Val is a scalar or a vector of any width; operators take both (both
 * sides alike) and look at the type: float or integer. Truth is i1 (a vector of
 * them is a mask). Elements narrower than f32 exist in memory only: loads widen
 * to f32, stores round to nearest even. */
#pragma once
#include "compiler/graph/graph.h"
#include <llvm-c/Core.h>

typedef LLVMValueRef Val;
typedef LLVMTypeRef Ty;

/* The machine code is made for. Features are LLVM's words; never a CPU's name,
 * which a virtual machine may hide. */
typedef struct Target {
    const char *triple, *features; /* "x86_64-...", "+avx2,+fma" */
    int width;                     /* bytes of a vector register: 16, 32, 64 */
    bool fma, masks;               /* fused multiply-add; masked memory */
    bool x86, f16c;
    bool bf16_dot; /* vdpbf16ps exists (use is the schedule's choice) */
    bool vnni;     /* vpdpbusd exists */
    bool amx;      /* tiles of bf16 exist and this process may use them */
    /* these are faster than what does without: target_measured knows of this
     * machine; of another what is likely */
    bool dots, tiles;
    const struct AmxCalls *amx_calls; /* tests: functions in their place */
} Target;
/* This machine's instructions, not how fast they are; kept for good. */
const Target *target_host(void);
const Target *target_generic(void); /* the same triple, no features */
bool target_has(const Target *t, const char *feature); /* "+avx2" */
const char *target_text(const Target *t); /* "x86-64-v3"; targets.c */

typedef struct Emit {
    Arena *arena;
    const Target *target;
    LLVMContextRef ctx; /* the module's own: modules compile in parallel */
    LLVMModuleRef module;
    LLVMBuilderRef at, top; /* top: where variables of the function live */
    Val fn;
    int lanes; /* f32 of one vector register */
} Emit;

/* From now on what fails in LLVM ends with a line of ours (guard.c). */
void llvm_guard(void);
Emit *emit_new(Arena *a, const Target *t, const char *name);
/* Checks the module: BUG with LLVM's words if it is wrong. */
void emit_verify(Emit *e);
/* Gives module and context away: the caller disposes of them. */
LLVMModuleRef emit_take(Emit *e, LLVMContextRef *ctx);
void emit_free(Emit *e); /* module and context too, if not taken */

/* ---- types and constants ---- */
typedef enum { TY_f32, TY_f64, TY_i8, TY_i16, TY_i32, TY_i64, TY_i1 } TyName;
Ty ty(Emit *e, TyName t);
Ty ty_ptr(Emit *e);
Ty vec(Ty elem, int n);          /* n = 1: elem */
Ty ty_mem(Emit *e, Dtype t);     /* how it lies in memory; bool as i8 */
Ty ty_reg(Emit *e, Dtype t);     /* in registers: f32 for bf16, i1 for bool */
Ty ty_of(Val v);
Ty ty_elem(Val v);   /* of one lane */
int width_of(Val v); /* lanes: 1 for a scalar */
bool is_real(Val v); /* float or vector of floats */
Val num(Ty t, double v);         /* the constant in every lane */
Val like(Val x, double v);       /* the constant of x's type */
Val like_bits(Val x, int64_t v); /* x an integer */
Val i64(Emit *e, int64_t v);
Val i32(Emit *e, int64_t v);
Val f32(Emit *e, double v);
Val truth(Emit *e, bool v);
Val lane_numbers(Emit *e, Ty elem, int n); /* 0, 1, 2, ... */
Val named(Val v, const char *name);        /* v, called that in the text */

/* ---- arithmetic ---- */
Val add(Emit *e, Val a, Val b);
Val sub(Emit *e, Val a, Val b);
Val mul(Emit *e, Val a, Val b);
Val quot(Emit *e, Val a, Val b); /* integers: signed, towards zero */
Val rest(Emit *e, Val a, Val b);
Val mul_add(Emit *e, Val a, Val b, Val c); /* a * b + c; fused if floats */
Val neg(Emit *e, Val a);
Val least(Emit *e, Val a, Val b);    /* NaN in a stays; b is taken if equal */
Val greatest(Emit *e, Val a, Val b); /* the same */
Val magnitude(Emit *e, Val a);
Val copy_sign(Emit *e, Val size, Val sign);
Val root(Emit *e, Val a);
Val round_even(Emit *e, Val a);
Val round_down(Emit *e, Val a);
Val round_up(Emit *e, Val a);
Val shift_left(Emit *e, Val a, int n);
Val shift_right(Emit *e, Val a, int n); /* zeros come in */
Val shift_signed(Emit *e, Val a, int n); /* copies of the sign do */
Val bit_and(Emit *e, Val a, Val b);
Val bit_or(Emit *e, Val a, Val b);
Val bit_xor(Emit *e, Val a, Val b);
/* Ordered: false with a NaN, but differs, which is true. Integers signed. */
Val less(Emit *e, Val a, Val b);
Val less_eq(Emit *e, Val a, Val b);
Val same(Emit *e, Val a, Val b);
Val differs(Emit *e, Val a, Val b);
Val is_nan(Emit *e, Val a);
Val flip(Emit *e, Val truth);
Val pick(Emit *e, Val truth, Val a, Val b);

/* ---- conversions ---- */
Val bits_of(Emit *e, Val a);           /* float to the integer of its bits */
Val float_of_bits(Emit *e, Val a);     /* back */
Val to_float(Emit *e, Val a, Ty elem); /* from integer, truth or float */
Val to_int(Emit *e, Val a, Ty elem);   /* towards zero; truth: 0 or 1 */
Val round_to(Emit *e, Dtype t, Val a); /* f32 rounded to bf16 or f16; else a */

/* ---- memory ---- */
Val at(Emit *e, Ty elem, Val base, Val index); /* &base[index] */
Val at_bytes(Emit *e, Val base, Val bytes);
Val load(Emit *e, Ty t, Val p); /* aligned to an element only */
void store(Emit *e, Val v, Val p);
Val load_masked(Emit *e, Ty t, Val p, Val mask); /* 0 elsewhere, not read */
void store_masked(Emit *e, Val v, Val p, Val mask);
/* n elements of type t as ty_reg; mask may be NULL: all. */
Val load_as(Emit *e, Dtype t, int n, Val p, Val mask);
void store_as(Emit *e, Dtype t, Val v, Val p, Val mask);
/* base[index[i]] for each lane of index (i32 or i64). */
Val gather_as(Emit *e, Dtype t, Val base, Val index, Val mask);
Val mask_first(Emit *e, int n, Val count); /* lanes below count (i64) */
void prefetch(Emit *e, Val p, int level);  /* to read; 3: into L1, 2: L2 */

/* ---- vectors ---- */
Val splat(Emit *e, Val scalar, int n); /* n = 1: itself */
Val lane(Emit *e, Val v, int i);
Val with_lane(Emit *e, Val v, int i, Val x);
Val shuffle(Emit *e, Val a, Val b, const int *from, int n);
Val part(Emit *e, Val v, int first, int n); /* n lanes from first on */
Val join(Emit *e, Val low, Val high);       /* same widths */
/* All lanes together by halves, so the order is fixed. */
Val reduce_add(Emit *e, Val v);
Val reduce_max(Emit *e, Val v); /* NaN wins */
Val any(Emit *e, Val mask);     /* one i1 */

/* ---- control ---- */
/* A new function, open; args are LLVM types. Public ones are named gr_... */
Val function(Emit *e, const char *name, Ty ret, int n, const Ty *args);
Val param(Emit *e, int i, const char *name);
void ret(Emit *e, Val v); /* v NULL: nothing */
Val call(Emit *e, Val fn, int n, Val *args);
/* A function for the module's own use, written in the middle of another. False:
 * it is there already and only h->fn is set. */
typedef struct {
    Val fn, outer;
    LLVMBasicBlockRef here, vars;
} Helper;
bool helper_begin(Emit *e, Helper *h, const char *name, int n, const Ty *args);
void helper_end(Emit *e, Helper *h); /* after ret */
/* An intrinsic by its whole name's root and the types it is overloaded on. */
Val intrinsic(Emit *e, const char *root, int nty, Ty *types, int n, Val *args);

typedef struct {
    Val index; /* i64 */
    Val step, end, phi;
    LLVMBasicBlockRef body, done;
} Loop;
/* index = from, from + step, ... while < to; all i64. */
Loop loop_begin(Emit *e, const char *name, Val from, Val to, int64_t step);
void loop_end(Emit *e, Loop l);
typedef struct {
    LLVMBasicBlockRef other, done;
} If;
If if_begin(Emit *e, Val truth);
void if_else(Emit *e, If *i);
void if_end(Emit *e, If i);

/* A variable of the function, in a register once optimised. */
Val var(Emit *e, Ty t, const char *name);
void set(Emit *e, Val var, Val v);
Val get(Emit *e, Val var);
Val room(Emit *e, int64_t bytes, const char *name); /* on the stack, 64 B */

/* ---- expression trees (emit_tree.c) ---- */

/* The value of a node that the tree does not compute: n->type in registers,
 * `lanes` wide. */
typedef Val (*Leaf)(Emit *e, const Node *n, int lanes, void *user);
/* n computed from leaves: walks `row` ops, numbers, scalars without T;
 * `leaf` is asked first for every node and may say NULL: go on into it.
 * Each node is emitted once; types are rounded as the graph says. */
Val tree(Emit *e, const Node *n, int lanes, Leaf leaf, void *user);
/* One op on values in registers (arguments of the types n's have). */
Val tree_op(Emit *e, const Node *n, Val a, Val b, Val c);
