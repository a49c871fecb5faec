/* Private to the room: a graph that runs, interpreted or compiled (runner.c).
 * The one place that knows of targets. */
#pragma once
#include "cli/train/params.h"

typedef struct Runner Runner;
typedef struct {
    const Common *common; /* target, threads */
    Params *params;       /* its weights; NULL: it has none */
    bool training, exact;
} RunnerOptions;
/* A run's draws: of a seed, after those of so many other tokens. */
typedef struct {
    uint64_t seed;
    int64_t before;
} Draws;

/* NULL with err set. g must outlive it. */
Runner *runner_new(const Graph *g, const RunnerOptions *o, Err *err);
/* Runs it over T tokens with further columns, as program_run does; every
 * output that is named is filled. */
bool runner_run(Runner *r, int64_t T, const int32_t *pos, const Column *in,
                int nin, const Column *out, int nout, Draws draws, Err *err);
bool runner_in_place(const Runner *r); /* program_in_place */
void runner_free(Runner *r); /* NULL is fine */
