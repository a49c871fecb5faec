/* Room cuda: kernels as CUDA C. */
#pragma once
#include "passes/kernels/kernels.h"

/* ---- CUDA C (cuda*.c) ---- */

/* A function of the text, and how it is launched. Its parameters: the buffers
 * in order of kernel_arg (a stacked weight: its pointer table), then `size`
 * (an int, or a float if real). Weights of matmuls are packed as the plan's
 * Packs say (pack_part). */
typedef struct {
    const char *name, *params; /* as the text declares them */
    Kernel *kernel;
    int part;            /* of a matmul's column segments */
    bool append;         /* an attend's first: rows are added to its caches */
    bool state, draws;   /* after the sizes: int base, int capacity (rows in
                          * the caches, and for how many there is room); then
                          * u64 draw, the key of a draw */
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

/* Prints the kernels of g. NULL with err set, which names the kernel: one has
 * no CUDA text. */
CudaText *cuda_text(const Graph *g, bool training, Err *err);
/* The same from a plan; it must outlive the text, and its weights are packed
 * for CUDA from now on. */
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
