/* Private to verify*.c: a plan being held against its rules. */
#pragma once
#include "passes/kernels/cut.h"

typedef struct {
    PlanComplaint *c;
    Arena arena;
    LIST(const char *) name; /* of all kernels so far */
    /* of the plan at hand */
    const Plan *plan;
    const Graph *top; /* that repeats it, or NULL */
    LIST(struct Written {
        const Buffer *b;
        int level;
    }) written;
    const Kernel *k; /* at hand, or NULL */
    bool sums;    /* trees at hand may have some: they leave these rows */
    int nrow;
    const Dim *row[2 * MAX_RANK];
    bool *in;     /* by node: k computes it */
    int *turns;   /* Turn.known */
    Moved *moved; /* by node: dims that do not stand at k's own places */
} Verify;

PRINTF(2, 3) bool verify_refuse(Verify *v, const char *fmt, ...);
const char *verify_name(const Node *n);
bool verify_kernel(Verify *v); /* verify_kernel.c: by its skeleton */
