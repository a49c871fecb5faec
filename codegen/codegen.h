/* Room codegen: a graph's kernels as machine code; programs that run. */
#pragma once
#include "compiler/compiler.h"
#include "passes/passes.h"

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
     * (the function too may be NULL): `read` it. Must stay until program_free
     * or the next program_load. */
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
typedef struct {
    double flops; /* of matmuls, attention: two a multiplication; of these */
    double dots;  /* by bf16 dot products, */
    double amx;   /* by AMX, */
    double codes; /* and of quantised weights, by integer products */
    double bytes; /* of the weights, keys and values they read, once each */
} ProgramWork;
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

/* ---- schedules found by exploring (store.c) ---- */

/* Adds pins to those kept for this machine in the user's cache folder: compiles
 * look there. False with err set: no folder, not written. */
bool schedules_keep(const Pins *found, Err *err);
int schedules_kept(char *path, size_t size); /* how many, and in which file */

/* ---- CUDA C (cuda*.c) ---- */

/* A function of the text, and how it is launched. Its parameters: the buffers
 * in order of kernel_arg (a stacked weight: its pointer table), then `size`
 * (an int, or a float if real). Weights of matmuls are packed as the plan's
 * Packs say (pack_part). */
typedef struct {
    const char *name, *params; /* as the text declares them */
    Kernel *kernel;
    int threads, shared; /* of a block: threads, bytes of dynamic memory */
    const Size *grid[3];
    int nsize;
    struct RunSize size[8];
    const char *size_name[8];
} CudaKernel;

typedef struct {
    Arena arena;
    Plan *plan;
    char *text; /* includes "graft_dev.h" and "graft_math.h" */
    LIST(CudaKernel) kernel; /* in the order they run; of a body once */
} CudaText;

/* Prints the kernels of g: maps, matmuls, grouped matmuls, routes. What else
 * the plan holds (attention, scatters, draws) has a comment in its place. */
CudaText *cuda_text(const Graph *g, bool training);
/* The same from a plan; it must outlive the text, and its weights are packed
 * for CUDA from now on. NULL with err set: they stay quantised, or a matmul
 * computes its rows as it loads them. */
CudaText *cuda_text_plan(Plan *p, Err *err);
void cuda_free(CudaText *t);
/* The same as what an emulator calls, each kernel under its name with an array
 * of pointers to its arguments, as a launch gives them. */
void cuda_entries(const CudaText *t, FILE *out);
/* What "graft_dev.h" is on the device; to run on the CPU, in two parts one
 * after the other; and "graft_math.h". */
extern const char text_cuda_dev[], text_cuda_emu[], text_cuda_emu_ops[],
    text_cuda_math[];

typedef struct {
    char name[96];
    int registers, stack, spill; /* spill: bytes stored and loaded */
} CudaUsage;
typedef struct {
    bool found; /* false: no NVRTC here */
    int version; /* 13000 */
    double seconds;
    int n;
    CudaUsage kernel[64];
} CudaReport;
/* Compiles text for an architecture ("sm_80") by NVRTC, which is opened at run
 * time. False with err set: it is not there (report->found false), or it
 * refuses the text. */
bool cuda_compile(const char *text, const char *arch, CudaReport *report,
                  Err *err);

/* ---- what this machine reaches (measure.c, machine.c) ---- */

typedef struct {
    int threads;
    /* GF/s from registers: f32 FMA, bf16 dot products, AMX's bf16 tiles (0: not
     * there, or AMX's sums are wrong); integer products of 16 bits by 8, as
     * quantised weights have them, two a multiplication too */
    double fma, dot, amx, codes;
    double read; /* GB/s from memory */
} Peaks;
Peaks measure_peaks(int threads); /* now; takes a fraction of a second */
/* What the multiplications of w take at the peaks of their kinds. */
double peaks_seconds(const Peaks *p, const ProgramWork *w);

typedef struct {
    Peaks one, all; /* of one thread, of one on each core */
    int64_t cache[3];     /* bytes of L1, L2, L3; 0: unknown */
    double cache_read[3]; /* GB/s of one thread from half of each */
} MachineModel;
/* Measured once a machine, then kept in the user's cache folder. */
const MachineModel *machine_model(void);

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

/* Machines that code can be made for besides this one (targets.c), for
 * CpuOptions.target: a name, or NULL after the last; and by name, or NULL. */
const char *target_name(int i);
const struct Target *target_find(const char *name);
