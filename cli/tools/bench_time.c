/* Times of contenders, in turn: what else the machine does at a time then
 * comes to all of them. */
#include "cli/tools/bench.h"
#include <time.h>

enum { TURN_RUNS = 16, LEAST_TURNS = 3 };
#define TURN_SECONDS 0.1
#define FAR_BEHIND 1.5 /* times what another way of the same peer takes */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *time, int n)
{
    double *sorted = xmalloc((size_t)n * sizeof *sorted);
    for (int i = 0; i < n; i++)
        sorted[i] = time[i];
    qsort(sorted, (size_t)n, sizeof *sorted, by_size);
    double middle = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    free(sorted);
    return middle;
}

static double once(const Contender *c, Err *err)
{
    return c->peer   ? peer_run(c->peer, c->way)
           : c->step ? step_timer_run(c->step, err)
                     : bench_run(c->run, err);
}

/* Threads of the one before may spin for some milliseconds. */
static void let_others_sleep(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static bool take_turn(Contender *c, Err *err)
{
    double time[TURN_RUNS], sum = 0;
    int n = 0;
    let_others_sleep();
    while (n < TURN_RUNS && sum < TURN_SECONDS) {
        time[n] = once(c, err);
        if (time[n] < 0)
            return false;
        sum += time[n++];
    }
    c->time[c->n++] = median(time, n);
    return true;
}

/* Of the ways of a peer only those near its best are worth more turns. */
static void drop_slow_ways(Contender *c, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n && !c[i].out; j++)
            c[i].out = c[i].peer && c[j].peer == c[i].peer && !c[j].out &&
                       c[i].time[0] > FAR_BEHIND * c[j].time[0];
}

static bool take_round(Contender *c, int n, Err *err)
{
    for (int i = 0; i < n; i++) {
        if (rt_interrupted)
            return err_set(err, "stopped");
        if (c[i].out || take_turn(&c[i], err))
            continue;
        if (!c[i].peer)
            return false;
        c[i].out = true;
    }
    return true;
}

bool bench_contest(Contender *c, int n, int tries, double seconds, Err *err)
{
    double start = seconds_now();
    for (int i = 0; i < n; i++)
        c[i].time = xmalloc((size_t)tries * sizeof *c[i].time);
    for (int i = 0; i < tries; i++) {
        if (!take_round(c, n, err))
            return false;
        if (i == 0)
            drop_slow_ways(c, n);
        if (i + 1 >= LEAST_TURNS && seconds_now() - start > seconds)
            break;
    }
    for (int i = 0; i < n; i++)
        c[i].median = c[i].out ? 0 : median(c[i].time, c[i].n);
    return true;
}

void bench_contest_end(Contender *c, int n)
{
    for (int i = 0; i < n; i++)
        free(c[i].time);
}
