/* Private to the room: the weights that a stage's graph reads, with their
 * values; those that train have more (params.c). */
#pragma once
#include "cli/train/opened.h"

enum { MAX_STATES = 3 };

typedef struct {
    const Weight *weight;
    const char *name; /* of its file's tensors, {} for stacked dims; or, if it
                       * is learned, its path */
    bool trained, learned;
    bool made;        /* a transform gives it its first value */
    int rank;         /* dims of one tensor as the file has it */
    int64_t count;
    Dtype dtype;      /* what the graph reads */
    void *at;         /* count of them; NULL: still in its file */
    float *master;    /* f32 beside bf16, or NULL */
    int states;
    const char *state_name[MAX_STATES];
    int64_t state_count[MAX_STATES];
    void *state[MAX_STATES];
    Dtype state_dtype;
} Param;

typedef struct {
    Arena arena;
    Opened *opened;
    Graph *graph;  /* the forward pass, losses and stats; made weights that
                    * nothing learned is in are leaves */
    LIST(Param) param;
    int *sorted;   /* by weight */
    bool exact;
} Params;

/* What trains: paths as an Action has them. False with err set: a path names
 * nothing, or nothing trains. */
bool params_find(Params *p, Opened *o, const Action *act, bool exact,
                 Err *err);
/* Reads or computes first values of all that trains or is made. masters: bf16
 * ones that train are kept in f32, too. */
bool params_load(Params *p, const Common *common, bool masters, Err *err);
Param *params_of(const Params *p, const Weight *w); /* or NULL */
/* A weight's values as doubles, of any of them. */
bool params_read(Params *p, const Weight *w, double *out);
/* What is saved of w: its master where it has one. NULL: the file's. */
const void *params_given(void *params, const Weight *w, Dtype *type);
void params_free(Params *p);
/* Does the weight at `path` belong to what `name` ("expert.gate") trains? */
bool path_has(const char *path, const char *name);
