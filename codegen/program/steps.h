/* What a program does, as data that every target reads: its steps in order, and
 * where what they read and write lies. Places are offsets into blocks of named
 * spaces; nothing here is a pointer of a machine. Private to codegen. */
#pragma once
#include "passes/kernels/kernels.h"

/* What holds a kind of values: blocks, each a piece of memory of its own. */
typedef enum {
    SPACE_none,
    SPACE_value,  /* activations: one block */
    SPACE_in,     /* columns of the data: Steps.in */
    SPACE_out,    /* results: Steps.out */
    SPACE_weight, /* weights as kernels read them: Steps.weight */
    SPACE_cache,  /* keys and values of attention: Steps.cache */
    SPACE_angle,  /* cos and sin: Steps.angle */
    SPACE_pos,    /* the tokens' positions: one block */
    SPACES
} Space;

typedef struct {
    Space space;
    int block;
    int64_t at; /* byte of the block */
} Address;

/* One pass through a plan: the top, or one iteration of a repeat. */
typedef struct Instance {
    Plan *plan;
    const Iteration *pass; /* NULL at the top */
    const Repeat *repeat;  /* that the pass is of, or NULL */
    uint64_t place;        /* for draws: random_place */
    struct Instance *parent;
    Address *at; /* by Buffer.id */
} Instance;

/* A repeat's passes. */
typedef struct {
    Instance *in; /* that the repeat is a kernel of */
    Kernel *kernel;
    Instance **pass;
    int n;
} Looped;

/* A run of a kernel. A repeat has steps only where it has no passes: it hands
 * on its argument then. */
typedef struct {
    Instance *in;
    Kernel *kernel;
    bool append;  /* an attend's first step: rows are added to its cache */
    bool joined;  /* reads nothing that the step before writes */
    int first, n; /* arguments, from Steps.arg[first] on: those of the kernel */
} ProgramStep;

/* A buffer of an instance, which has a block of its own. */
typedef struct {
    const Instance *in;
    const Buffer *b;
} Held;

/* A table f32 [2, T, rotary / 2] of cos and sin, each times scale, of a token's
 * position times freq. */
typedef struct {
    const Rope *rope;
    double *freq, scale;
} Angles;

typedef struct {
    Arena *arena;
    Plan *plan;
    LIST(Instance *) instance; /* the first is the top */
    LIST(Looped) loop;
    LIST(ProgramStep) step;
    LIST(Address) arg; /* set by steps_place */
    LIST(Held) weight;
    LIST(const Buffer *) in, out; /* inputs: the first of each name */
    LIST(const Buffer *) cache;   /* BUF_keys, BUF_vals */
    LIST(Angles) angle;
    int64_t T, bytes; /* as last placed: tokens, bytes of SPACE_value */
} Steps;

/* The steps of a plan, all in arena a; the plan must outlive them. */
void steps_make(Steps *s, Arena *a, Plan *plan);
/* Places for T tokens: from then on s->bytes and s->arg hold. */
void steps_place(Steps *s, int64_t T);
/* run[i], i from 0: the sizes that kernels find there. */
void steps_sizes(const Plan *p, int64_t T, int64_t *run);
int64_t buffer_bytes(const Buffer *b, int64_t T);
/* The weight that a node stands for in an instance; its tensors, one for each
 * element of its stacked dims, and how many elements each has. */
const Weight *steps_weight(const Instance *in, const Node *n);
int64_t weight_tensors(const Weight *w);
int64_t weight_elements(const Weight *w);
