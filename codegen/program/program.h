/* Room program: the kernels of a graph compiled, laid out in memory, run; one
 * kernel alone. */
#pragma once
#include "codegen/jit/machine.h"
#include "passes/kernels/kernels.h"

/* ---- programs (cpu*.c) ---- */

typedef struct {
    const struct Target *target; /* NULL: this machine (emit.h) */
    int threads;          /* 0: one a core */
    bool training;        /* the flag of that name */
    bool last_only;       /* outputs over T: of the last token alone, [1, ..] */
    uint64_t seed;        /* for draws */
    /* Weights that may stay as they are stored: the type that WeightSource
     * gives all tensors of w as, or w's own. NULL: all widened. */
    StoredType *stored;
    void *user;
    bool moving;          /* weights change from run to run: they are read where
                           * WeightSource.in_place has them */
    bool keep_text;       /* for program_print */
    const Pins *pins;     /* schedules that must be; NULL: none */
    const char *cache;    /* folder of compiled code and of schedules that were
                           * found; NULL: the user's own, "": none */
} CpuOptions;

typedef struct Program Program;
/* Compiles every kernel of g for any T. The graph must outlive the program.
 * NULL with err set: it holds something no kernel can do. */
Program *cpu_compile(const Graph *g, const CpuOptions *o, Err *err);
/* The same from a plan, as kernels_read gives one; it must outlive the program,
 * and gets the choices that its schedules left open. NULL with err set: its
 * weights are packed for another target. */
Program *cpu_compile_plan(Plan *p, const CpuOptions *o, Err *err);
void program_free(Program *p);

/* Where weights come from: tensors of w, row-major; a weight with stacked dims
 * has one tensor for each of them, counted row-major by `index`, else it is 0.
 */
typedef struct {
    void *user;
    /* The tensor where it lies, if that is of type `want` and aligned; NULL
     * (the function too may be NULL): `read` it, once. Must stay until
     * program_free or the next program_load. CpuOptions.moving: a stacked
     * weight that changes has its tensors one behind the other. */
    const void *(*in_place)(void *user, const Weight *w, int64_t index,
                            Dtype want);
    /* Elements first .. first + count - 1 as `to`; quantised (CpuOptions.
     * stored): whole blocks. Threads call at once. */
    bool (*read)(void *user, const Weight *w, int64_t index, int64_t first,
                 int64_t count, Dtype to, void *out, Err *err);
    /* Its values were packed and will not be asked for again: mapped pages may
     * go. May be NULL. */
    void (*done)(void *user, const Weight *w, int64_t index);
} WeightSource;

/* Packs all weights, layer by layer. Again: other weights for the same program
 * (slots as compiled), so that one program serves equal formulas. */
bool program_load(Program *p, const WeightSource *s, Err *err);
/* The weights of g, in whose place `other` stand from now on; then load. */
void program_swap(Program *p, const Weight *w, const Weight *other);

/* A column of the data, or a result: row-major. Indices are int32_t. `dtype`
 * may be another float type than the graph's; results are then converted. */
typedef struct {
    const char *name;
    Dtype dtype;
    void *data;
} Column;

/* Rows of a sequence that attend has seen. Grows as needed. */
typedef struct State State;
State *state_new(Program *p);
int64_t state_length(const State *s);
void state_truncate(State *s, int64_t length); /* 0: empty */
void state_free(State *s);
/* Room for a sequence of so many tokens, which otherwise grows as it is needed.
 * False with err set: no memory; it is as it was. */
bool state_reserve(State *s, int64_t length, Err *err);

/* One step over T tokens, pos[t] each one's position in its sequence. Token t
 * attends to rows base + t - pos[t] .. base + t, where base is what the state
 * held before; the T rows are appended to it (s NULL: base 0, nothing kept).
 * False with err set: an index out of range, a column missing, no memory. */
bool program_run(Program *p, State *s, int64_t T, const int32_t *pos,
                 const Column *in, int nin, const Column *out, int nout,
                 Err *err);
/* May results lie where inputs of their size do? If all it does is one
 * elementwise kernel. */
bool program_in_place(const Program *p);
/* Draws from now on: of this seed, after those of `before` other tokens. */
void program_draws(Program *p, uint64_t seed, int64_t before);
/* Elements of an output when T tokens run; -1: no such output. */
int64_t program_output_count(const Program *p, const char *name, int64_t T);

typedef enum { TEXT_kernels, TEXT_llvm, TEXT_llvm_opt, TEXT_asm } ProgramText;
bool program_print(const Program *p, ProgramText what, FILE *out);
const Plan *program_plan(const Program *p); /* what it was compiled from */

typedef struct {
    const char *kernel, *skeleton;
    int64_t calls;
    double seconds; /* since program_times(p, true, ..) */
} KernelTime;
/* The kernels of p; n gets how many. `reset`: starts counting from zero. */
const KernelTime *program_times(Program *p, bool reset, int *n);
typedef struct {
    double passes, emit, optimise, link; /* seconds */
    bool cached; /* all code came from the cache */
    int64_t packed, activations;         /* bytes */
} ProgramCost;
ProgramCost program_cost(const Program *p);
/* Of a step with T tokens after `before` others. */
ProgramWork program_work(const Program *p, int64_t before, int64_t T);

/* ---- one kernel alone, to try schedules (trial.c) ---- */

/* Where the trials of all kernels of p have their weights: random numbers, more
 * than fit the caches. */
typedef struct TrialMemory TrialMemory;
TrialMemory *trial_memory(const Program *p);
void trial_memory_free(TrialMemory *m);
/* Random columns for kernel k of p's plan, for up to so many tokens. */
typedef struct Trials Trials;
Trials *trials_new(Program *p, const Kernel *k, TrialMemory *m, int64_t tokens);
void trials_free(Trials *t);
/* k with schedule s, compiled; what s leaves open is as the target likes. */
typedef struct Trial Trial;
Trial *trial_new(Trials *t, const Schedule *s);
const Schedule *trial_schedule(const Trial *t); /* nothing left open */
double trial_seconds(Trial *t, int64_t T); /* a run; below 0: no room */
void trial_free(Trial *t);
/* What k has to do as it is tried, and the bytes it must move. */
ProgramWork kernel_work(const Kernel *k, int64_t T);
/* The same of matmuls and attention alone, after `before` tokens; t NULL: by no
 * machine's kinds of products. */
ProgramWork kernel_needs(const struct Target *t, const Kernel *k,
                         int64_t before, int64_t T);
