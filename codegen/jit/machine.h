/* Room jit: the machines that code is made for, what this one reaches, and the
 * schedules that were found to be fast on it. */
#pragma once
#include "passes/kernels/kernels.h"

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
typedef struct {
    double flops; /* of matmuls, attention: two a multiplication; of these */
    double dots;  /* by bf16 dot products, */
    double amx;   /* by AMX, */
    double codes; /* and of quantised weights, by integer products */
    double bytes; /* of the weights, keys and values they read, once each */
} ProgramWork;

/* What the multiplications of w take at the peaks of their kinds. */
double peaks_seconds(const Peaks *p, const ProgramWork *w);

typedef struct {
    Peaks one, all; /* of one thread, of one on each core */
    int64_t cache[3];     /* bytes of L1, L2, L3; 0: unknown */
    double cache_read[3]; /* GB/s of one thread from half of each */
} MachineModel;
/* Measured once a machine, then kept in the user's cache folder. */
const MachineModel *machine_model(void);

/* This machine, with what of it is fast: for CpuOptions.target; kept. */
const struct Target *target_measured(void);
/* Machines that code can be made for besides this one (targets.c), for
 * CpuOptions.target: a name, or NULL after the last; and by name, or NULL. */
const char *target_name(int i);
const struct Target *target_find(const char *name);

/* ---- schedules found by exploring (store.c) ---- */

/* Adds pins to those kept for this machine in the user's cache folder: compiles
 * look there. False with err set: no folder, not written. */
bool schedules_keep(const Pins *found, Err *err);
int schedules_kept(char *path, size_t size); /* how many, and in which file */
