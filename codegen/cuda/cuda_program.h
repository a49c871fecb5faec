/* A program on a GPU: its kernels compiled, its steps, and where their memory
 * lies there. Private to cuda. */
#pragma once
#include "codegen/cuda/cuda_driver.h"
#include "codegen/program/host.h"

typedef struct {
    DeviceMemory at;
    int64_t bytes; /* there is room for */
} Room;

/* A launch: a kernel of the text, for one step. */
typedef struct {
    const ProgramStep *step;
    int kernel;   /* of text->kernel */
    uint64_t key; /* of its draw */
} Launch;

struct CudaProgram {
    Arena arena;
    CudaOptions o;
    Device *device;
    CudaText *text;
    Limits limits; /* of how many tokens a run has */
    Steps steps;
    DeviceKernel *code; /* of text->kernel */
    LIST(Launch) launch;
    DeviceMemory weights, *weight; /* all of them; where each block begins */
    Room value, pos;
    Room *in, *out, *angle; /* by block */
    CudaState *own;         /* for runs without a state */
    bool loaded;
    CudaCost cost;
};

struct CudaState {
    CudaProgram *p;
    int64_t length, capacity; /* rows */
    DeviceMemory *at;         /* the blocks of SPACE_cache: [G, capacity, n] */
};

/* At least so much room; what was there is lost where it grows. */
bool room_for(Device *d, Room *r, int64_t bytes, const char *what, Err *err);
