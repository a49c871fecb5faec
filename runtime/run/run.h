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
