/* Counted random numbers: the same on every target. Through graph.h. */
#pragma once
#include "compiler/graph/graph.h"

uint64_t random_key(uint64_t seed, const char *name);
uint64_t random_bits(uint64_t key, uint64_t counter);
double random_uniform(uint64_t key, uint64_t counter);  /* [0, 1), 24 bits */
double random_gaussian(uint64_t key, uint64_t counter); /* no libm */
void random_shuffle(uint64_t key, int n, int *out);     /* a permutation */
/* Which draw element i (row-major) of a uniform or gaussian node is: counted
 * with T outermost, after the draws of `before` other tokens, so that however
 * the tokens of a step are cut into runs, each has its own. */
typedef struct {
    int64_t T, inner, rest, before; /* elements behind T; all but T's */
} RandomCount;
RandomCount random_count(const Type *t, int64_t T, int64_t before);
uint64_t random_counter(const RandomCount *c, int64_t i);
/* The key of a uniform, gaussian or shuffle node. `place` tells the passes of a
 * repeat apart: 0 outside, and in iteration i of a repeat at place p it is
 * random_place(p, i). */
uint64_t random_draw_key(const Node *n, uint64_t seed, uint64_t place);
uint64_t random_place(uint64_t place, int iteration);
/* Of a round_random node in a step, for a tensor: element i's 16 bits are those
 * from 16 (i mod 4) on of draw i / 4. random_round: v (as f32) plus these below
 * bf16's last bit, cut off there; what is not finite stays. */
uint64_t random_round_key(const Node *n, double step, double tensor);
double random_round(uint64_t key, int64_t i, double v);
