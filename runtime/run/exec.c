/* The executor: one parallel region a run, a barrier where a step must wait.
 * Tasks are taken from a counter, so a slow thread takes fewer; which thread
 * takes which does not matter to what they compute. */
#include "runtime/run/run.h"
#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

int exec_cores(void)
{
    return omp_get_num_procs();
}

ExecTeam *exec_team(int threads, int64_t mem_bytes)
{
    ExecTeam *t = xmalloc(sizeof *t);
    *t = (ExecTeam){.threads = threads, .mem_bytes = mem_bytes};
    t->mem = xmalloc((size_t)threads * sizeof *t->mem);
    for (int i = 0; i < threads; i++)
        t->mem[i] = exec_alloc(mem_bytes);
    return t;
}

void exec_team_free(ExecTeam *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->threads; i++)
        free(t->mem[i]);
    free(t->mem);
    free(t->counter);
    free(t);
}

static void step_run(const ExecStep *s, const int64_t *run, int64_t *counter,
                     void *mem)
{
    int64_t n = s->tasks ? s->tasks(s->arg, run) : 1;
    *(int64_t *)mem = 0;
    _Atomic int64_t *next = (_Atomic int64_t *)counter;
    for (;;) {
        int64_t i = atomic_fetch_add_explicit(next, 1, memory_order_relaxed);
        if (i >= n)
            return;
        s->kernel(s->arg, run, i, mem);
    }
}

/* Where threads wait for each other. OpenMP's barrier spins for milliseconds,
 * which is what a step costs when other programs have the cores: here it is
 * microseconds, then whoever has work goes first. */
typedef struct {
    _Atomic int arrived, round;
} Meeting;

static void meet(Meeting *m)
{
    enum { SPINS = 2000 };
    int round = atomic_load(&m->round);
    if (atomic_fetch_add(&m->arrived, 1) + 1 == omp_get_num_threads()) {
        atomic_store(&m->arrived, 0);
        atomic_store(&m->round, round + 1);
        return;
    }
    for (int i = 0; atomic_load(&m->round) == round; i++) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
        if (i >= SPINS)
            sched_yield();
    }
}

static void thread_run(ExecTeam *t, const ExecStep *step, int n,
                       const int64_t *run, double *seconds, Meeting *m)
{
    int thread = omp_get_thread_num();
    double last = thread || !seconds ? 0 : seconds_now();
    for (int i = 0; i < n; i++) {
        step_run(&step[i], run, &t->counter[i], t->mem[thread]);
        if (i + 1 == n || !step[i + 1].joined)
            meet(m);
        if (thread || !seconds)
            continue;
        double time = seconds_now();
        seconds[step[i].timer] += time - last;
        last = time;
    }
}

void exec_run(ExecTeam *t, const ExecStep *step, int n, const int64_t *run,
              double *seconds)
{
    if (t->ncounters < n) {
        t->counter = xrealloc(t->counter, (size_t)n * sizeof *t->counter);
        t->ncounters = n;
    }
    memset(t->counter, 0, (size_t)n * sizeof *t->counter);
    Meeting m = {0};
#pragma omp parallel num_threads(t->threads)
    thread_run(t, step, n, run, seconds, &m);
}
