/* Room cuda: kernels as CUDA C. */
#pragma once
#include "codegen/program/program.h"

/* ---- CUDA C (cuda*.c) ---- */

/* A function of the text, and how it is launched. Its parameters: the buffers
 * in order of kernel_arg (a stacked weight: its pointer table), then `size`
 * (an int, or a float if real). Weights of matmuls are packed as the plan's
 * Packs say (pack_part). */
typedef struct {
    const char *name, *params; /* as the text declares them */
    const char *text;          /* the function alone */
    Kernel *kernel;
    int part;            /* of a matmul's column segments */
    bool append;         /* an attend's first: rows are added to its caches */
    bool state, draws;   /* after the sizes: int base, int capacity (rows in
                          * the caches, and for how many there is room); then
                          * u64 draw, the key of a draw */
    bool few;            /* a matmul's form for few tokens */
    int least, most;     /* tokens of a step that it is for; 0: any */
    int threads, shared; /* of a block: threads, bytes of dynamic memory */
    int blocks;          /* that are to fit a multiprocessor */
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

/* Prints the kernels of g; o and pinned may be NULL. NULL with err set, which
 * names the kernel: one has no CUDA text, or what is pinned fits no GPU. */
CudaText *cuda_text(const Graph *g, const PassOptions *o, const Pins *pinned,
                    Err *err);
/* The same from a plan; it must outlive the text, and its weights are packed
 * for CUDA from now on. */
CudaText *cuda_text_plan(Plan *p, Err *err);
void cuda_free(CudaText *t);
/* Is it a kernel of steps with T tokens? */
bool cuda_runs(const CudaKernel *k, int64_t T);
/* The same as what an emulator calls, each kernel under its name with an array
 * of pointers to its arguments, as a launch gives them. */
void cuda_entries(const CudaText *t, FILE *out);
/* What "graft_dev.h" is on the device; to run on the CPU, in two parts one
 * after the other; and "graft_math.h". */
extern const char text_cuda_dev[], text_cuda_emu[], text_cuda_emu_ops[],
    text_cuda_math[];
extern const char text_cuda_includes[]; /* what every text begins with */

/* ---- devices and programs on them (cuda_driver.c, cuda_program.c) ---- */

typedef struct {
    int number, count; /* which of how many */
    char name[128];
    int major, minor;  /* compute capability */
    int units, shared; /* multiprocessors; bytes that a block may ask for */
    int driver;        /* the CUDA that it knows: 13000 */
} CudaDevice;
/* Opens it and looks. False with err set: it cannot be used. */
bool cuda_device(int number, CudaDevice *out, Err *err);

typedef struct {
    int device;
    bool training, last_only; /* as CpuOptions has them */
    uint64_t seed;
    const Pins *pins;  /* schedules that must be; NULL: none */
    const char *cache; /* folder of compiled kernels; NULL: the user's own */
} CudaOptions;

/* program.h says what these do: the same on a GPU. */
typedef struct CudaProgram CudaProgram;
typedef struct CudaState CudaState;
CudaProgram *cuda_program(const Graph *g, const CudaOptions *o, Err *err);
void cuda_program_free(CudaProgram *p);
bool cuda_load(CudaProgram *p, const WeightSource *s, Err *err);
CudaState *cuda_state_new(CudaProgram *p);
int64_t cuda_state_length(const CudaState *s);
void cuda_state_truncate(CudaState *s, int64_t length);
void cuda_state_free(CudaState *s);
bool cuda_state_reserve(CudaState *s, int64_t length, Err *err);
bool cuda_run(CudaProgram *p, CudaState *s, int64_t T, const int32_t *pos,
              const Column *in, int nin, const Column *out, int nout,
              Err *err);
/* What was compiled, and whether all came from the cache. */
typedef struct {
    const CudaDevice *device;
    int kernels, launches; /* of a step */
    bool cached, kept;     /* kept: later runs find what was compiled */
    double seconds;        /* of compiling */
    int64_t weights, values; /* bytes there */
} CudaCost;
CudaCost cuda_cost(const CudaProgram *p);

/* ---- NVRTC (cuda_nvrtc.c) ---- */

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
typedef struct {
    char *at; /* malloc'ed, with a 0 behind */
    size_t len;
    bool ptx; /* else a cubin */
} CudaCode;
/* Compiles text for an architecture ("sm_80"; "compute_90": to PTX) by NVRTC,
 * which is opened at run time. report and code may be NULL. False with err set:
 * it is not there (report->found false), or it refuses the text. */
bool cuda_compile(const char *text, const char *arch, CudaReport *report,
                  CudaCode *code, Err *err);
extern const char *const cuda_option[3]; /* besides the architecture's */
/* t's kernels as PTX, for all GPUs that kernels run on. False with err set as
 * cuda_compile. */
bool cuda_ptx(const CudaText *t, FILE *out, Err *err);
/* Which NVRTC there is, 13000, and where; false with err set: none. */
bool cuda_nvrtc(int *version, const char **path, Err *err);
/* What to compile for, for a GPU of compute capability 90: "sm_90a", or where
 * NVRTC is older than that, "compute_NN" of the newest it knows. */
bool cuda_arch(int capability, char *out, size_t size, Err *err);

/* ---- what is expected of a GPU that is not here (cuda_model.c) ---- */

/* By data sheets and counted instructions: nothing of it was measured. */
typedef struct {
    const char *name, *about;
    int units;         /* multiprocessors */
    double clock;      /* a second */
    double memory, l2; /* bytes a second that arrive */
    double tensor;     /* flops a clock of a multiprocessor: bf16, */
    double sync;       /* and the share of them that mma.sync reaches */
    double fma;        /* the same of f32 */
    int shared;        /* bytes of a multiprocessor */
} CudaMachine;
const CudaMachine *cuda_machine(int i); /* NULL after the last */

/* Launches of one kernel in a step. */
typedef struct {
    const CudaKernel *kernel;
    int runs;
    bool tensor;
    double flops, bytes; /* of a run: two a multiplication; at least moved */
    double seconds;      /* of a run, its launch too */
    const char *bound;   /* what that is by: "memory", "tensor cores" .. */
} CudaExpected;
typedef struct {
    int n;
    CudaExpected *at; /* in the order of the text */
    double seconds, flops, bytes;
    int launches;
} CudaForecast;
/* A step of T tokens after `before` others; in arena a. */
CudaForecast cuda_expect(const CudaText *t, const CudaMachine *m,
                         int64_t before, int64_t T, Arena *a);
/* All at the rate of tensor cores, flops a second. */
double cuda_peak(const CudaMachine *m);
