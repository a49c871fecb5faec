/* Room build: kernels as files for other programs. */
#pragma once
#include "codegen/program/program.h"

/* ---- code for other programs (build*.c) ---- */

typedef enum { LIBRARY_none, LIBRARY_static, LIBRARY_shared } LibraryKind;
typedef struct {
    const char *dir;  /* a folder that is there */
    const char *name; /* of files and functions: a C identifier */
    int64_t tokens;   /* most a call may have */
    int64_t capacity; /* rows that attention may remember */
    LibraryKind library; /* also made, by the system's C compiler */
} BuildOptions;
/* Writes NAME.o (the kernels), NAME.c and NAME.h (what runs them: C11, OpenMP
 * if there), example.c; and libNAME.a or .so if asked. Weights are set by the
 * caller, one tensor at a time. False with err set: a file could not be
 * written, the system's compiler failed, or g has what only runs inside graft
 * (draws, orders of very many elements). */
bool cpu_build(const Graph *g, const CpuOptions *o, const BuildOptions *b,
               Err *err);
/* The command that compiles the example, in the folder. */
const char *build_command(const char *name);
