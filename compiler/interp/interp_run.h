/* Private to interp*.c: a run of a graph, its operands, loops over named dims.
 *
 * Every op is computed in doubles from its arguments' values. Unless the run
 * is exact, its result is then rounded once to the node's type: a sum (also
 * that of a contract, and the inside of softmax or attend) is a double sum,
 * rounded when it is done. */
#pragma once
#include "compiler/interp/interp.h"

typedef struct {
    const Graph *g;
    const InterpEnv *env;
    Err *err;
    const Iteration *pass; /* of the repeat whose body this runs, or NULL */
    const struct Given {   /* what the repeat gives this pass: its inputs */
        const char *name;
        const double *at;
        int64_t count;
    } *given;
    int ngiven;
    const bool *needed; /* by node */
    uint64_t place;        /* as random_draw_key wants it */
    Tensor **value;        /* by node; NULL: not yet, not kept, or freed */
} Run;

/* An argument. Where a gather feeds only contracts it is not carried out: the
 * contract reads t at `index` in place of `dim`. */
typedef struct {
    Tensor *t;
    const Tensor *index; /* or NULL */
    const Dim *dim;
    bool own; /* t was made for this use */
} Operand;

/* Fills out (zeroed); false with r->err set. */
typedef bool Kernel(Run *r, const Node *n, const Operand *in, Tensor *out);
Kernel run_input, run_weight, run_number, run_scalar, run_flag, run_iota,
    run_position, run_shuffle, run_draw;  /* interp_leaf.c */
Kernel run_map;                                           /* interp_map.c */
Kernel run_sum, run_max, run_softmax, run_logsumexp,
    run_cumsum;                                           /* interp_along.c */
Kernel run_topk, run_largest, run_rank, run_onehot,
    run_place;                                            /* interp_pick.c */
Kernel run_gather, run_scatter, run_copy, run_slice, run_same, run_cut,
    run_join;                                             /* interp_move.c */
Kernel run_contract;                                      /* .._contract.c */
Kernel run_repeat, run_result;                            /* interp_repeat.c */
Kernel run_attend, run_rope;                              /* interp_attend.c */
Kernel run_attend_lse, run_attend_dq, run_attend_dk, run_attend_dv,
    run_attend_dmore;                                    /* .._attend_back.c */
Kernel run_collect, run_nll, run_nll_dx, run_nll_dw,
    run_round_random;                                    /* interp_step.c */

/* Runs r->g and hands the values of its outputs (those marked; NULL: all) to
 * `take`, while they last. */
bool interp_graph(Run *r, const bool *wanted,
                  void (*take)(void *to, int i, const Tensor *t), void *to);

/* Zeroed, malloc'ed. */
Tensor *tensor_new(const Type *type, int64_t T);
void tensor_free(Tensor *t); /* NULL is fine */
int64_t tensor_stride(const Tensor *t, const Dim *d); /* 0: has it not */
/* Are all indices within d? Else err names n, its argument. */
bool index_fits(Run *r, const Node *n, const Tensor *index, const Dim *d);
const char *node_name(const Node *n); /* its label or %id; interned */
/* Where each token's sequence began: t - start is its position. */
int64_t sequence_position(const InterpEnv *env, int64_t t);

/* What a query of an op that attends sees: `count` tokens, the last of them
 * itself; what its scores get besides q . k (NULL: nothing). */
typedef struct {
    const Tensor *slope, *bias;
    double cap; /* or 0 */
    int64_t h, count, hd;
} Seen;
int64_t attend_sees(const Run *r, const Node *n, int64_t t);
/* The score of what lies `back` steps behind; *slope (or NULL): how it moves
 * with q . k / sqrt(hd). */
double seen_score(const Seen *s, const double *q, const double *k,
                    int64_t back, double *slope);

/* Nested loops, the last the innermost, and for each of a few tensors the
 * offset of its element there. */
enum { MAX_LOOPS = 3 * MAX_RANK, MAX_FOLLOW = 5 };
typedef struct {
    int n;
    const Dim *dim[MAX_LOOPS];
    int64_t extent[MAX_LOOPS], at[MAX_LOOPS];
    int64_t stride[MAX_FOLLOW][MAX_LOOPS], off[MAX_FOLLOW];
} Walk;
void walk_add(Walk *w, const Dim *d, int64_t extent);
void walk_dims(Walk *w, const Tensor *t); /* all of t's dims in its order */
/* Tensor number k moves with w's dims, except `but` (or NULL). */
void walk_follow(Walk *w, int k, const Tensor *t, const Dim *but);
int64_t walk_steps(const Walk *w); /* steps: 0 where an extent is 0 */

/* The next step; false after the last, and then w stands at the first. */
static inline bool walk_next(Walk *w)
{
    for (int i = w->n - 1; i >= 0; i--) {
        bool more = ++w->at[i] < w->extent[i];
        int64_t by = more ? 1 : 1 - w->extent[i];
        for (int k = 0; k < MAX_FOLLOW; k++)
            w->off[k] += by * w->stride[k][i];
        if (more)
            return true;
        w->at[i] = 0;
    }
    return false;
}
