/* Room passes: rewrites of the graph; kernels/ cuts it into kernels. */
#pragma once
#include "compiler/graph/graph.h"

/* ---- graph passes: one file each, one row in passes.def each ---- */

/* The type that all tensors of w have in their file, or w's own. */
typedef Dtype StoredType(void *user, const Weight *w);
/* That if kernels may take w so: quantised, or 16 bits that w is wider than;
 * else w's own. stored may be NULL. */
Dtype kept_type(StoredType *stored, void *user, const Weight *w);

typedef struct {
    bool training;   /* what OP_flag "training" is */
    bool last_only;  /* outputs that have the dim T: of the last token alone
                      * (T becomes a dim of size 1); generate wants that */
    StoredType *stored; /* NULL: all weights are widened */
    void *user;
    const struct Rules *rules; /* NULL: the library's */
} PassOptions;

/* All passes in order; ir_verify after each. Bodies are rewritten once and
 * shared as before. The result lives in `a`. */
Graph *passes_run(const Graph *g, Arena *a, const PassOptions *o);
/* One of them, by its name in passes.def. */
Graph *passes_run_one(const char *name, const Graph *g, Arena *a,
                      const PassOptions *o);

/* A copy of g in which each pass of its repeats has the body that `body` gives
 * it. */
typedef Graph *NewBody(const Iteration *pass, void *user);
Graph *graph_rebody(const Graph *g, Arena *a, NewBody *body, void *user);

/* A copy of g with stats of its routing: for each index that picks weights of
 * experts, "stat.PATH.E.chosen" [E], how often each was, "stat.PATH.E.weight"
 * [E], the sum of what its results are multiplied by, and "stat.PATH.E.shared",
 * the sum of the weights of an expert that all tokens have beside them (where
 * there are such numbers); of a repeated layer along its passes. */
Graph *graph_routing(const Graph *g, Arena *a);
