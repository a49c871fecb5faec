/* Room train: recipes run. A recipe is first evaluated to a plan, what is to be
 * done in order; all of it is checked before anything is computed. */
#pragma once
#include "cli/driver/driver.h"
#include "compiler/check/check.h"

typedef struct {
    const char *recipe;    /* FILE.graft:NAME, or the library's name */
    ArgList arg;           /* its parameters */
    bool dry;              /* say what would be done */
    bool restart;          /* leave nothing of an earlier run */
    const char *gradients; /* a file for the first step's, or NULL */
    const Common *common;
} RunOptions;

/* False with err set: also where it was interrupted (rt_interrupted). */
bool recipe_run(const RunOptions *o, Err *err);

/* A step of a model of V words, to be timed (timed.c): AdamW on all weights,
 * over so many random tokens, in examples of 256. NULL with err set. */
typedef struct StepTimer StepTimer;
StepTimer *step_timer_new(const char *model, int64_t V, int64_t tokens,
                          const Common *common, Err *err);
double step_timer_run(StepTimer *t, Err *err); /* seconds; below 0: err */
ProgramWork step_timer_work(const StepTimer *t); /* at least */
void step_timer_free(StepTimer *t); /* NULL is fine */
