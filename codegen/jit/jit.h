/* Modules to machine code in this process. Private to codegen. */
#pragma once
#include "codegen/emit/emit.h"

typedef struct Jit Jit;
typedef struct {
    bool keep_text; /* for jit_text */
    int threads;    /* that compile modules side by side */
    const char *cache; /* folder where objects are kept; NULL: none */
} JitOptions;

Jit *jit_new(const Target *t, const JitOptions *o);
void jit_free(Jit *j); /* and all code it made */
/* A module to compile; takes what e holds. */
void jit_add(Jit *j, Emit *e);
/* Compiles all that was added and links it. BUG if LLVM refuses a module. */
void jit_link(Jit *j);
void *jit_symbol(Jit *j, const char *name);
typedef enum { JIT_llvm, JIT_optimised, JIT_asm } JitText;
void jit_print(const Jit *j, JitText what, FILE *out);
bool jit_was_cached(const Jit *j); /* nothing had to be compiled */
void jit_seconds(const Jit *j, double *optimise, double *link);
/* The module as an object file (malloc'ed by LLVM: LLVMDisposeMemoryBuffer). */
LLVMMemoryBufferRef jit_object(const Target *t, LLVMModuleRef m, bool assembly);
