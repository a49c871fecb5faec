/* Private to build*.c: a program written out as an object file and C text. */
#pragma once
#include "codegen/cpu.h"

/* A tensor that the caller of the built code sets. */
typedef struct {
    const Weight *weight;
    int64_t index; /* among its stacked dims */
    Dtype dtype;   /* as kernels read it */
} Given;

/* Where a buffer of an instance lies in the weights' memory. */
typedef struct {
    const Instance *in;
    const Buffer *b;
    int64_t at;
} Held;

typedef struct {
    Program *p;
    const BuildOptions *o;
    FILE *out;
    LIST(Given) tensor;
    LIST(Held) held;
    int64_t weight_bytes, *angle_at, angle_bytes, *cache_at, cache_bytes;
    char column[64]; /* addresses that stand for columns: inputs, outputs */
    int nin;
    const Buffer *in[16], *out_of[16];
} Build;

void build_tables(Build *b);  /* build_tables.c */
void build_header(Build *b);  /* build_header.c */
void build_example(Build *b);
/* NAME_run's head: "int64_t NAME_run(NAME *m, ...)". */
void build_signature(Build *b);
const char *build_column(const Build *b, const Buffer *c, bool out);
int build_tensor(Build *b, const Weight *w, int64_t index, Dtype t);
int64_t build_tensors_of(const Weight *w);
