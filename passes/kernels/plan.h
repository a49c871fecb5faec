/* A plan: a graph cut into kernels, and the memory that they work on. */
#pragma once
#include "passes/kernels/schedule.h"

/* ---- buffers: values in memory ---- */

typedef enum {
    BUF_value,  /* an activation: alive from its writer to its last reader */
    BUF_input,  /* a column of the data; in a body "x" is the running value */
    BUF_output, /* handed to the caller; in a body "y" goes round */
    BUF_weight, /* a weight as it is in the file: see `stacked` */
    BUF_packed, /* a weight in the order a matmul reads it: see Pack */
    BUF_const,  /* `data` was known at compile time */
    BUF_route,  /* of an index over E: i32 offset[E + 1], then i32 order[count]:
                 * the index's elements by expert, ascending within one;
                 * e has order[offset[e]] .. order[offset[e + 1] - 1] */
    BUF_rope,   /* f32 [2, T, rotary / 2]: cos and sin, times the scale */
    BUF_pos,    /* i32 [T] */
    BUF_keys,   /* an attend's cache: [G, capacity, hd] of the type of k */
    BUF_vals,
    BUF_panels, /* a value, or weights as they lie, in the order a matmul reads
                 * them, as a BUF_packed is; made anew in each run: see Pack,
                 * SKEL_pack */
} BufferKind;

/* How a weight is packed: N its own dims, K those summed, B those matched up
 * with the other side (and E, the dim an index picks). Row-major
 *     [B..][N / cols][K / pair][part < parts][cols][pair]
 * with zeros where N or K end. `parts` weights of equal dims may share a buffer
 * (gate and up). */
typedef struct {
    int nb, nn, nk;
    const Dim *b[MAX_RANK], *n[MAX_RANK], *k[MAX_RANK];
    int cols; /* columns that stand side by side: a multiple of the lanes */
    int pair; /* elements of K side by side: 1, 2 (bf16 dot products), or all,
               * zeros behind (CUDA) */
    bool halves; /* a panel's columns: cols / 2 of the low half of N's last dim,
                  * then those as far into its high half (rope turns both) */
    Dtype dtype;
    int parts;
    Node *part[4]; /* OP_weight; of BUF_panels also one value, in memory */
} Pack;

/* A value is row-major in the order of its type's dims, without gaps. Types:
 * f64 8 bytes, f32 4, bf16 and f16 2, i32 4, bool 1 (0 or 1). */
typedef struct Buffer {
    int id; /* place in Plan.buffer */
    BufferKind kind;
    Type type; /* of the node */
    Node *node; /* whose value it is; NULL: pos */
    int stacked; /* BUF_weight: its first dims pick a pointer of a table (row-
                  * major), the others an element behind it; 0: plain memory */
    Pack pack; /* BUF_packed, BUF_panels */
    const void *data; /* BUF_const */
    const Rope *rope; /* BUF_rope */
    int first, last; /* BUF_value: levels that write and last read it */
} Buffer;

/* ---- kernels ---- */

/* Contracts that run over the same columns: their accumulators stand side by
 * side, so that out trees may use all of them (silu(gate) * up). All have the
 * dims N after the rows'. Stored: the out buffers first_out .. + nout - 1. */
typedef struct {
    Buffer *w;          /* BUF_packed of `parts` weights, in this order; or
                         * BUF_panels */
    Node *contract[4];  /* w->pack.parts of them: the holes */
    int first_out, nout;
} MatmulPart;

typedef struct {
    int nm, nk, nb;
    const Dim *m[MAX_RANK]; /* rows: x's dims that are neither K nor B, in x's
                             * order; for grouped: the index's dims */
    const Dim *k[MAX_RANK]; /* summed, in x's order: the last dims of x */
    const Dim *b[MAX_RANK]; /* matched up: the first dims of x; mostly none */
    bool turned; /* x is [B.., K.., M..] instead, and in memory */
    Node *x; /* [B.., M.., K..]; grouped: x may lack some of the index's dims
              * ([T, D] for an index [T, k]): it is the same row then. Mostly
              * in memory (kernel_leaf); else a tree, of rows as a map's, that
              * is computed as rows are loaded */
    int nparts; /* column segments, one after the other in the task list */
    MatmulPart part[8];
    /* grouped */
    const Dim *expert;
    Buffer *index, *route; /* i32 [M..]; its BUF_route */
} Matmul;

typedef struct {
    Node *attend; /* the hole */
    Buffer *q, *k, *v, *keys, *vals, *pos;
    Buffer *more;   /* the fourth argument, or NULL */
    int64_t window; /* 0: none */
    bool chunk;     /* that is the length of pieces */
} Attend;

/* A row is one value for each of `row`'s dims; rows are independent. All
 * reductions in the trees leave exactly these dims. */
typedef struct {
    int nrow;
    const Dim *row[MAX_RANK];
    const Dim *vec; /* the dim whose neighbours are a vector's lanes: one of
                     * `row` (each lane is a row), or another (a row is summed
                     * up across lanes); NULL: no vectors */
} Map;

/* A repeat, which nobody launches, may have more than KERNEL_ARGS. */
enum { KERNEL_ARGS = 40, KERNEL_NODES = 1024, KERNEL_REDUCTIONS = 64 };
struct Kernel {
    Skeleton skeleton;
    const char *name; /* of its function, unique: "gr_ffn_gate_3" */
    int nin, nout;
    Buffer **in, **out; /* in `arena`: kernel_reads, kernel_writes */
    Arena *arena;
    union {
        struct {
            Map map;     /* and route's, of its outs but the last, if any */
            Node *index; /* route: what is put in order: one of its outs, or of
                          * `in` if it has no others */
        };
        Matmul matmul; /* and grouped */
        Attend attend;
        Node *node; /* scatter, call, pack */
        struct {
            Node *node;
            int n;
            struct Plan **body; /* the plan of each iteration; shared */
        } repeat;
    };
    int level; /* kernels of one level do not read what another of it makes: a
                * plan's kernels are in order of level, and need no barrier
                * within one */
    Schedule schedule;
    int64_t scratch; /* bytes of its own memory that a thread needs; set by the
                      * emitter */
};

/* Sizes known at run time only: kernels find the i-th at run[i], as an integer
 * or as the bits of a double. The first is T itself. */
typedef struct RunSizes {
    LIST(struct RunSize {
        const Size *size;
        bool real;
    }) at;
    int nkernels; /* numbers their names */
} RunSizes;

/* The kernels of a graph, in the order they run. Memory is shared by values
 * that have no level in common. */
typedef struct Plan {
    Arena *arena;
    const Graph *graph;
    const char *name;
    LIST(Kernel *) kernel;
    LIST(Buffer *) buffer;
    LIST(struct Plan *) body;   /* each body once */
    struct RunSizes *sizes; /* shared by a program's plans */
} Plan;
