/* Private to map*.c: the emission of a map kernel. */
#pragma once
#include "codegen/emit/kernel.h"

/* What a row computes once: a sum, a max (a); a softmax's max and sum (a, b);
 * where a topk's indices are (a, in the thread's memory). */
typedef struct {
    const Node *node;
    Val a, b;
} Local;

typedef struct {
    Walk w;
    bool vertical; /* each lane is a row */
    Places at;     /* the row's */
    int nlocal, nreduced, nseen;
    Local local[KERNEL_REDUCTIONS];
    const Node *reduced[KERNEL_REDUCTIONS]; /* arguments first */
    const Node *seen[KERNEL_NODES];
} MapEmit;

/* For one vector (or element) at p; copy: which of `unroll` side by side. */
typedef void (*Body)(MapEmit *m, Places *p, int copy, void *user);

bool map_is_local(const Node *n);
int map_lanes(MapEmit *m, const Dim *d); /* no more than d needs */
void map_vectors(MapEmit *m, Places *p, const Dim *d, Val from, Val to,
                 int unroll, Body body, void *user);
/* unroll 0: the last dim not in vectors. */
void map_over(MapEmit *m, Places *p, int n, const Dim *const *d, int unroll,
              Body body, void *user);
/* For kernels that compute rows of their own: the reductions of n's tree
 * collected, once; those of the row at m->at computed. Then walk(&m->w, n, p).
 */
void map_begin(MapEmit *m, const Walk *w, const Node *n);
void map_reduce(MapEmit *m);
/* All rows of a map or a route whose function was begun. */
void map_all_rows(const Walk *w);
void map_topk(MapEmit *m, const Node *n, Local *out); /* map_topk.c */
