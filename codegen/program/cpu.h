/* Private to cpu*.c: a program: its plans, their code, the steps it runs. */
#pragma once
#include "codegen/jit/jit.h"
#include "codegen/emit/kernel.h"
#include "codegen/program/program.h"
#include "codegen/program/steps.h"
#include "runtime/runtime.h"

/* Of C functions as kernels: what they need besides buffers. */
typedef struct {
    const Node *node;
    uint64_t key;   /* of draws, */
    int64_t before; /* which so many tokens had before */
    const void *extra;
} CallInfo;

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
    Limits limits; /* of how many tokens a run has */
    Jit *jit;
    LIST(Code) code;
    Steps steps;
    LIST(ExecStep) step;  /* one for each table of angles, then of `steps` */
    void **base[SPACES];  /* where the blocks of each space lie */
    LIST(struct Swap) swap;
    ExecPool weights; /* their memory, until the next load */
    bool loaded;
    ExecTeam *team;
    State *own; /* for runs without a state */
    int64_t memory_bytes, angle_T; /* there is room for */
    int64_t *run; /* RUN_below, then sizes */
    LIST(KernelTime) time;
    double *seconds;
    ProgramCost cost;
};

struct State {
    Program *p;
    int64_t length, capacity;
    bool shared; /* nothing is kept from run to run: passes of a body, one after
                  * the other, have the same blocks */
    void **at; /* the blocks of SPACE_cache */
};

/* cpu.c: the stages of cpu_compile, for cpu_build too */
Program *program_new(const CpuOptions *o);
bool program_cut(Program *p, const Graph *g, Err *err);
Emit *program_emit(Program *p); /* all in one module */
void program_emit_kernel(Emit *e, Plan *plan, Kernel *k);
void program_find(Jit *j, const char *name, ExecKernel *run, ExecTasks *tasks);
int64_t program_scratch(const Program *p);

/* cpu_steps.c: the steps; the pointers of a run, once `base` is set */
void program_steps(Program *p);
void program_pointers(Program *p);
ExecKernel call_kernel(const Node *n); /* cpu_calls.c */
/* cpu_memory.c: places, activations and tables of angles for T tokens. */
bool program_memory(Program *p, int64_t T, Err *err);
/* Rows that attention has seen when T tokens are tried (trial.c). */
int64_t trial_before(int64_t T);
