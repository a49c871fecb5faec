/* Private to the room: which examples a step has, and the runs that they are
 * cut into (batch.c). */
#pragma once
#include "cli/train/plan.h"

/* Some of the examples of data, in file order. */
typedef struct {
    const Data *data;
    int *at; /* malloc'ed */
    int n;
} Part;
Part examples_of(const Data *d, const RunData *how);
void examples_free(Part *p);

typedef struct {
    const Part *part;
    int64_t batch;
    bool shuffled;
    uint64_t seed;
    int64_t epoch; /* whose order is in `order`; -1: none */
    int *order;    /* malloc'ed */
} Order;
int64_t order_per_epoch(const Order *o); /* steps */
/* The examples of step s (from 0), at most `batch`: how many, pointers in out.
 */
int order_step(Order *o, int64_t s, const Example **out);
void order_free(Order *o);

/* Whole examples that go through the model at once. */
typedef struct {
    int first, n; /* of the step's examples */
    int64_t tokens, base; /* base: tokens of the step before it */
    int32_t *pos, *token, *label; /* label: what each token predicts, or 0 */
    double *share;   /* of its loss; 0 without label */
    double **column; /* as the data has them */
    double part;     /* of the step's tokens */
} Micro;

typedef struct {
    const Example **example;
    int n;
    int64_t tokens, labelled;
    Micro *micro;
    int nmicro;
    Arena arena;
} Batch;
/* Cuts n examples into runs of at most `most` tokens; by_example: each
 * example's labels weigh 1 together, else each label. */
void batch_make(Batch *b, int n, int columns, int64_t most, bool by_example);
