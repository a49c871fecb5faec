/* Private to bench*.c: what graft bench measures. */
#pragma once
#include "cli/loaded.h"

/* Graphs of layers over random weights; input "x", output "y". The names of
 * weights are theirs alone. */
Graph *bench_matmul(Arena *a, Dtype t, int K, int N);
/* XFT's layer (a shared expert, 7 routed, 5 of them active) or Mixtral's (8,
 * 6 active): 8 experts of which 6 work. */
Graph *bench_layer(Arena *a, Dtype t, int D, int F, bool xft);
WeightSource bench_noise(void); /* random weights */
void bench_fill(Dtype t, void *out, int64_t n); /* a random input */
