/* Private to cpu*.c: a program: its plans, their code, the steps it runs. */
#pragma once
#include "codegen/jit/jit.h"
#include "codegen/emit/kernel.h"
#include "runtime/runtime.h"

/* One pass through a plan: the top, or one iteration of a repeat. */
typedef struct Instance {
    Plan *plan;
    const Iteration *pass; /* NULL at the top */
    uint64_t place;        /* for draws: random_place */
    struct Instance *parent;
    void **at; /* by Buffer.id */
    int first_cache;
} Instance;

/* What a repeat carries from pass to pass. */
typedef struct {
    Instance *in; /* that the repeat is a kernel of */
    Kernel *kernel;
    Instance **pass;
    int n;
} Looped;

/* Of C functions as kernels: what they need besides buffers. */
typedef struct {
    const Node *node;
    uint64_t key;
    const void *extra;
} CallInfo;

typedef struct {
    Instance *in;
    Kernel *kernel;
    CallInfo *info; /* of a call: its last argument */
    bool append;    /* an attend's first step */
} StepOf;

/* A table of cos and sin, made at the start of a run. */
typedef struct {
    const Rope *rope;
    double *freq, scale;
    float *table;
    int64_t T; /* it has room for */
} RopeTable;

typedef struct {
    Kernel *kernel;
    ExecKernel run;
    ExecTasks tasks;
    ExecKernel append; /* of an attend: a step before it */
    ExecTasks append_tasks;
} Code;

typedef struct Owned {
    void *at;
    struct Owned *next;
} Owned;

struct Swap {
    const Weight *from, *to;
};

struct Program {
    Arena arena;
    CpuOptions o;
    const Target *target;
    Plan *plan;
    Jit *jit;
    LIST(Code) code;
    LIST(Instance *) instance;
    LIST(Looped) loop;
    LIST(ExecStep) step;
    LIST(StepOf) step_of;
    LIST(RopeTable *) rope;
    struct {
        const Buffer *keys, *vals;
    } *cache; /* by Instance.first_cache + .. */
    int ncaches;
    LIST(struct Swap) swap;
    ExecPool weights; /* their memory, until the next load */
    bool loaded;
    ExecTeam *team;
    State *own; /* for runs without a state */
    char *memory;
    int64_t memory_bytes, T;
    int64_t *run; /* RUN_below, then sizes */
    const int32_t *pos;
    LIST(KernelTime) time;
    double *seconds;
    ProgramCost cost;
};

struct State {
    Program *p;
    int64_t length, capacity;
    void **at; /* keys and values of each cache */
};

/* cpu.c: the stages of cpu_compile, for cpu_build too */
Program *program_new(const CpuOptions *o);
bool program_cut(Program *p, const Graph *g, Err *err);
Emit *program_emit(Program *p); /* all in one module */
void program_emit_kernel(Emit *e, Plan *plan, Kernel *k);
void program_find(Jit *j, const char *name, ExecKernel *run, ExecTasks *tasks);
int64_t program_scratch(const Program *p);
void program_ready(Program *p); /* steps; all but the threads */

/* cpu_steps.c */
void program_steps(Program *p); /* instances, steps, caches, ropes */
ExecKernel call_kernel(const Node *n); /* cpu_calls.c */
/* cpu_memory.c: activations of every instance for T tokens, and the pointers
 * of all that a run does not bring. */
bool program_memory(Program *p, int64_t T, Err *err);
/* run[i], i from 0: the sizes that kernels find there. */
void program_sizes(const Program *p, int64_t T, int64_t *run);
int64_t buffer_bytes(const Buffer *b, int64_t T);
/* Rows that attention has seen when T tokens are tried (trial.c). */
int64_t trial_before(int64_t T);
