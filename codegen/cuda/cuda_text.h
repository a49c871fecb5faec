/* How kernels are printed as CUDA C. One walker turns expression trees into C
 * expressions; each skeleton prints the loops around them. Private to codegen.
 *
 * Names and sizes come from the spec: a dim D of 48 is D in the text, its
 * place d. Buffers are the kernel's parameters in order of kernel_arg, then
 * the sizes known at run time only. */
#pragma once
#include "codegen/cuda/cuda.h"

/* A C expression, and how loosely it binds: 0 an atom or a call, then as C's
 * unary, product, sum, comparison, equality, and, or, choice. */
typedef struct {
    const char *text;
    int level;
} Expr;

typedef struct {
    int n;
    struct CuPlace {
        const Dim *dim;
        const char *at; /* an int: an atom */
    } at[4 * MAX_RANK];
} CuPlaces;

typedef struct Cu Cu;
struct Cu {
    Arena *arena;
    Plan *plan;
    Kernel *kernel;
    CudaKernel *to; /* what a launch needs */
    FILE *out;      /* the function's body */
    int indent;
    LIST(const char *) taken; /* identifiers of this function */
    LIST(struct CuDim {
        const Dim *dim;
        const char *size;  /* their names */
        const char *index;
    }) dim;
    const char **arg; /* names of the buffers */
    const Graph *above;    /* of a body: the graph that repeats it */
    const char *grid[3];   /* of the launch, as text */
    const char *tile;      /* of a block of a matmul, as text */
    LIST(struct CuKnown { /* values that have a variable */
        const Node *node;
        CuPlaces at;
        Expr is;
    }) known;
    int *uses; /* by Node.id: how many read it in this kernel */
    int told;  /* operations of the comment so far */
    /* A node that the skeleton computes; text NULL: not one of them. */
    Expr (*hole)(Cu *c, const Node *n, const CuPlaces *p);
    void *user;
};

/* ---- text (cuda_text.c) ---- */

/* A line of the body, indented; a long one is broken at blanks. */
PRINTF(2, 3) void cu_line(Cu *c, const char *fmt, ...);
PRINTF(2, 3) void cu_open(Cu *c, const char *fmt, ...); /* the same and { */
void cu_close(Cu *c);                                   /* } */
/* An identifier like `wish` that nothing else has. */
const char *cu_name(Cu *c, const char *wish);
PRINTF(2, 3) const char *cu_text(Cu *c, const char *fmt, ...);
const char *cu_size(Cu *c, const Dim *d); /* name of its size */
const char *cu_index(Cu *c, const Dim *d); /* of the variable for its place */
/* "M" for no dims is "1"; else "(T * K)". */
const char *cu_count(Cu *c, int n, const Dim *const *d);
/* A size of the launch: the parameter's name. */
const char *cu_param(Cu *c, const Size *s, bool real, const char *wish);
/* Dimension i of the grid: n / per blocks, rounded up, and `more`. */
void cu_grid(Cu *c, int i, const Size *n, int per, const Size *more);
const Size *cu_size_of(int n, const Dim *const *d); /* the product */
const char *cu_type(Dtype t);     /* in memory: "bf16" */
const char *cu_register(Dtype t); /* in registers: "float" */
const char *cu_arg(Cu *c, const Buffer *b);
const char *cu_long(Cu *c, int n, const Dim *const *d); /* cu_count, an i64 */
/* A thread for each of `n` items, of which `count` says the same in the text:
 * its number is `item`. */
void cu_items(Cu *c, const Size *n, const char *count);
/* An element of memory in registers, and what goes back. */
const char *cu_widened(Cu *c, Dtype t, const char *element);
const char *cu_narrowed(Cu *c, Dtype t, const char *value);
/* How many leave the others known: see cu_forget. */
int cu_mark(const Cu *c);
void cu_forget(Cu *c, int mark);

/* ---- trees (cuda_walk.c, cuda_ops.c) ---- */

bool cu_op_word(const char *name); /* a function that operations call */
void cu_place(CuPlaces *p, const Dim *d, const char *at);
const char *cu_place_of(const CuPlaces *p, const Dim *d);
/* The value of n in registers; may print variables that it reads. */
const char *cu_value(Cu *c, const Node *n, const CuPlaces *p);
Expr cu_load(Cu *c, const Buffer *b, const CuPlaces *p);
void cu_store(Cu *c, const Buffer *b, const CuPlaces *p, const char *value);
/* Declares variables for n dims' places from their row-major number `flat`
 * (an int64 if `wide`). */
void cu_unflatten(Cu *c, CuPlaces *p, int n, const Dim *const *d,
                  const char *flat, bool wide);
/* The row-major number of the places of n dims. */
Expr cu_flat(Cu *c, int n, const Dim *const *d, const CuPlaces *p);
void cu_count_uses(Cu *c);
Expr cu_op(Cu *c, const Node *n, const Expr *arg); /* of an elementwise op */
Expr cu_rounded(Cu *c, Dtype t, Expr e); /* a float as t has it */
Expr cu_number(Cu *c, Dtype t, double v);
bool cu_is_float(Dtype t);
bool cu_knows(Op op); /* is there text for it, where a tree has it? */

/* ---- around a function (cuda_head.c, cuda_fits.c, cuda_schedule.c) ---- */

const char *cu_short_name(const Cu *c, const Node *n); /* to say which it is */
/* The comment above it; it stores outs first .. first + n - 1. */
void cu_head(Cu *c, FILE *out, int first, int n);
/* Has all that the plan holds CUDA text? False with err set: names the kernel
 * that has not, and why. */
bool cuda_plan_fits(const Plan *p, Err *err);
/* What the plan's schedules leave open for GPUs is chosen, pins first. False
 * with err set: what is pinned does not fit a GPU. */
bool cuda_schedules(Plan *p, const Pins *pinned, Err *err);

/* ---- skeletons: fill c->to and print the body ---- */
void cuda_map(Cu *c);
void cuda_route(Cu *c);
void cuda_matmul(Cu *c, int part); /* matmul and grouped: one a segment */
bool cuda_has_few(Cu *c, int part); /* has it one for few tokens too? */
void cuda_few(Cu *c, int part);
void cuda_append(Cu *c); /* an attend's first */
void cuda_attend(Cu *c);
void cuda_scatter(Cu *c);
void cuda_pack(Cu *c);
void cuda_call(Cu *c); /* and of a repeat without passes */
bool cuda_calls(Op op);
