/* Room kernels: a graph cut into kernels: the level below the graph, from which
 * every target prints its code. */
#pragma once
#include "passes/kernels/plan.h"
#include "passes/passes.h"

Buffer *kernel_leaf(const Kernel *k, const Node *n); /* of `in`, or NULL */
/* Of a repeat: the out that holds its result of that name ("y": the repeat
 * itself), or NULL. */
Buffer *kernel_result(const Kernel *k, const char *name);
/* Of a repeat: does a body's output of that name go anywhere? */
bool kernel_takes(const Kernel *k, const char *name);
bool kernel_hole(const Kernel *k, const Node *n);
int kernel_results(const Kernel *k); /* outs of nodes: no route, no panels */
bool kernel_panels(const Kernel *k); /* a matmul that reads panels? */
bool pack_has(const Pack *p, const Dim *d); /* among its dims? */
const Buffer *kernel_rope(const Kernel *k, const Rope *r); /* of `in` */
const Buffer *kernel_positions(const Kernel *k);           /* the same */
/* Place of a buffer in the function's argument array: in, then out. */
int kernel_arg(const Kernel *k, const Buffer *b);
/* A size's place in run[]; added if new. */
int plan_size(Plan *p, const Size *s, bool real);

/* What the cut needs to know of a target. */
typedef struct {
    int lanes;        /* of f32 in a vector */
    int vectors;      /* of columns in a matmul's register tile, all parts */
    int pair;         /* Pack.pair for bf16 weights */
    bool on_load;     /* matmuls can compute rows of x as they load them */
    bool halves;      /* and have both halves of a head in a panel */
    bool picks;       /* routes can compute the map that picks their index */
    bool moving;      /* weights change from run to run: they are read where
                       * they lie, and put in order in each run */
    /* Weights that stay as they are stored, as PassOptions had it, and whether
     * kernels can read a pack's weights so. NULL: all are widened. */
    StoredType *stored;
    bool (*keeps)(const Pack *p, Dtype t);
    void *user;
} CutOptions;

/* The first node that has a size, but for T, which is not known: such graphs
 * cannot be cut. NULL: none. */
const Node *graph_unsized(const Graph *g);
/* Cuts a graph into kernels. */
Plan *kernels_cut(const Graph *g, Arena *a, const CutOptions *o);

/* The graph's text, then the kernels (print.c has the notation): all that the
 * plan is. `mark` as for ir_print_marked, or NULL. */
void kernels_print(const Plan *p, FILE *out); /* show --stage kernels */
void kernels_print_marked(const Plan *p, FILE *out,
                          void (*mark)(FILE *out, const Node *n, void *user),
                          void *user);
/* Reads that back: a plan that prints the same bytes and computes the same
 * bits. It may also have been edited: what is read holds (kernels_hold), else
 * the mistake was reported at its place, and NULL. src must outlive it. */
Plan *kernels_read(Arena *a, const Source *src);

/* What always holds of a plan: its graph is sound, and its kernels can be
 * emitted and run in their order. */
typedef struct {
    const Kernel *kernel; /* that breaks a rule, or NULL */
    char rule[256];
} PlanComplaint;
bool kernels_hold(const Plan *p, PlanComplaint *c);
void kernels_verify(const Plan *p, const char *after); /* BUG if it does not */
