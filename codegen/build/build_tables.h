/* Private to build*.c: a program written out as an object file and C text. */
#pragma once
#include "codegen/build/build.h"
#include "codegen/program/cpu.h"

/* A tensor that the caller of the built code sets. */
typedef struct {
    const Weight *weight;
    int64_t index; /* among its stacked dims */
    Dtype dtype;   /* as kernels read it */
} Given;

enum { COLUMNS = 16 };
typedef struct {
    Program *p;
    const BuildOptions *o;
    FILE *out;
    LIST(Given) tensor;
    /* Where the blocks of weights, angles and caches lie in one piece of memory
     * each, and how long those are. */
    int64_t *weight_at, weight_bytes, *angle_at, angle_bytes, *cache_at,
        cache_bytes;
    int64_t least; /* tokens of a call */
    const Buffer *in[COLUMNS], *out_of[COLUMNS]; /* in order of NAME_run */
} Build;

void build_tables(Build *b);  /* build_tables.c */
void build_header(Build *b);  /* build_header.c */
void build_example(Build *b); /* build_example.c */
/* libNAME, by the system's compiler (build_link.c). */
bool build_library(const Build *b, Err *err);
/* NAME_run's head: "int64_t NAME_run(NAME *m, ...)". */
void build_signature(Build *b);
bool build_ordered(const Build *b); /* do tokens have positions? */
const char *build_column(const Build *b, const Buffer *c, bool out);
const char *build_c_type(Dtype t);
int build_tensor(Build *b, const Weight *w, int64_t index, Dtype t);
