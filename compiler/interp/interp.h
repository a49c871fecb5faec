/* Room interp: the reference interpreter; every target is held against it. */
#pragma once
#include "compiler/graph/graph.h"

/* ---- the reference interpreter (interp*.c) ---- */

typedef struct {
    Type type;
    int64_t shape[MAX_RANK], count;
    double *at; /* row-major; indices and bools as numbers */
} Tensor;

typedef struct {
    int64_t T;          /* tokens in flight */
    const int32_t *pos; /* [T] position in its sequence, which is a run of
                         * tokens from position 0; NULL: all one sequence */
    bool exact;         /* all in f64, casts do nothing; else every node is
                         * rounded to its type */
    bool training;      /* the flag of that name */
    uint64_t seed;      /* for draws, */
    int64_t before;     /* which so many tokens had before these */
    void *user;
    /* Fill out[count] with an input column or a weight, widened. */
    bool (*input)(void *user, const char *name, const Type *t, double *out);
    bool (*weight)(void *user, const Weight *w, double *out);
} InterpEnv;

/* Runs the graph; out[g->output.n] tensors live in `arena`. False with err
 * set: a callback failed, or an index was out of range. */
bool interp_run(const Graph *g, const InterpEnv *env, Arena *arena,
                Tensor **out, Err *err);
