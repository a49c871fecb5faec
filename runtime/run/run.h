/* Running compiled kernels: a list of steps, each cut into tasks that threads
 * take one by one. */
#pragma once
#include "base/base.h"

typedef void (*ExecKernel)(void *const *arg, const int64_t *run, int64_t task,
                           void *mem);
typedef int64_t (*ExecTasks)(void *const *arg, const int64_t *run);

typedef struct {
    ExecKernel kernel;
    ExecTasks tasks; /* NULL: one task */
    void **arg;
    int timer;   /* which of `seconds` its time is added to */
    bool joined; /* does not wait for the step before */
} ExecStep;

/* Memory that threads keep from run to run. */
typedef struct {
    int threads;
    int64_t mem_bytes;
    void **mem; /* each thread's own, aligned to 64 */
    int ncounters;
    int64_t *counter;
} ExecTeam;

/* mem_bytes: the most that a kernel needs. */
ExecTeam *exec_team(int threads, int64_t mem_bytes);
void exec_team_free(ExecTeam *t);
int exec_cores(void); /* that this process may use */

/* The first int64 of a thread's memory is 0 when it begins with a step's tasks.
 * Runs the steps in order; every thread is done with a step before one that is
 * not joined to it begins. seconds (may be NULL): adds each step's time. */
void exec_run(ExecTeam *t, const ExecStep *step, int n, const int64_t *run,
              double *seconds);

/* ---- memory (memory.c) ---- */

/* Aligned to 64; free() it. exec_alloc dies where there is none. */
void *exec_try_alloc(int64_t bytes);
void *exec_alloc(int64_t bytes);

/* Pieces that go together: zeroed, aligned to 64. {0} is empty. */
typedef struct {
    struct ExecSlab *slab;
} ExecPool;
void *exec_pool_take(ExecPool *pool, int64_t bytes);
void exec_pool_free(ExecPool *pool); /* all of them; it is empty then */

/* ---- the next token (sample.c) ---- */

/* Order: logits / temp, the top_k largest, of these the fewest whose
 * probabilities reach top_p, then a draw. */
typedef struct {
    float temp;    /* 0: greedy */
    int top_k;     /* 0: all */
    float top_p;   /* 1: all; 0 is taken as unset, all */
    uint64_t seed; /* same seed, step and logits: same id, everywhere */
} Sampling;

/* One of 0 .. n - 1 by logits[n]; the lowest of equals when greedy. `step`
 * counts tokens from 0 and keys the draw. -1: no logit is a number. */
int32_t sample(const Sampling *s, uint64_t step, const float *logits, int n);
int32_t sample_greedy(const float *logits, int n);
/* In [0, 1), 53 bits: Philox4x32-10 with key `seed` and counter `step`. */
double sample_uniform(uint64_t seed, uint64_t step);
/* Philox4x32-10 of Salmon et al. 2011, in place. */
void philox4x32(uint32_t counter[4], uint32_t key0, uint32_t key1);
