/* graft explore: candidates for each kernel's schedule (explore_search.c), the
 * whole program before and after (explore_whole.c), what is said of it
 * (explore.c), a page (explore_html.c). */
#pragma once
#include "cli/driver/driver.h"

enum { EXPLORE_TOKENS = 8 };

/* One schedule that was measured, each time beside the best before it. */
typedef struct {
    Schedule schedule;
    double seconds[EXPLORE_TOKENS]; /* of a run; 0: not run for these tokens */
    double ratio; /* to the best before it, over those run */
    bool taken;
} Candidate;

typedef struct {
    const Kernel *kernel;
    KernelKey key;
    int calls; /* in a step */
    Schedule before, after;
    double old[EXPLORE_TOKENS], new[EXPLORE_TOKENS]; /* seconds, in turn */
    bool better, measured;
    double share; /* of the time to spend, before it is divided by all */
    LIST(Candidate) tried;
} Explored;

typedef struct {
    const char *what, *html;
    ArgList arg;
    int32_t *tokens;
    int ntokens;
    double seconds; /* to spend */
    Common common;
    Arena arena;
    Program *program; /* as compiles would have it now */
    TrialMemory *memory;
    LIST(Explored *) kernel;
    Peaks peaks;
    /* of the whole, seconds of a step; 0: not measured */
    double old[EXPLORE_TOKENS], new[EXPLORE_TOKENS];
    bool kept;
} Explore;

/* Looks for a better schedule until `end`. */
void explore_kernel(Explore *e, Explored *k, double end);

/* Two in turn: lower quartiles of both, their ratio b / a; `high` is that with
 * the noise on top. `run` gives seconds, below 0: stop. */
typedef struct {
    double a, b, ratio, high;
} Versus;
typedef double (*TimeOne)(void *user, bool second);
Versus explore_versus(int rounds, TimeOne run, void *user);

/* The program with what was found beside the one without; false with err. */
bool explore_whole(Explore *e, Loaded *l, const Pins *found, Err *err);

/* Seconds that a kernel's work takes at least; *limit says what bounds it, and
 * what it is if it takes `seconds`: memory, multiplies or overhead. */
double explore_roof(const Explore *e, const Explored *k, int i, double seconds,
                    const char **limit);
char *explore_page(const Explore *e, const Pins *found); /* malloc'ed */
