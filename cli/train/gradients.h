/* Private to the room: the gradients of a step (gradients.c). */
#pragma once
#include "cli/train/params.h"
#include "codegen/program/program.h"
#include "compiler/grad/grad.h"

typedef struct {
    Arena arena;
    Params *params;
    Dtype dtype; /* f32; in exact runs f64 */
    LIST(struct GradOut {
        const char *name;
        int64_t count;
        void *sum;
        void *now; /* NULL where a step is one run */
    }) out;
    void **of; /* by parameter: where its gradient is, or NULL */
} Gradients;

void gradients_begin(Gradients *g, Params *p, const GradStep *step);
/* Adds to `out` the columns that a run fills: of the step's first run the sums
 * themselves. How many. */
int gradients_columns(Gradients *g, bool first, Column *out);
void gradients_add(Gradients *g); /* after each further run */
/* The L2 norm over all that trains; each tensor once, in a fixed order. */
double gradients_norm(const Gradients *g);
/* A parameter whose gradient is not finite, or -1. */
int gradients_unfinite(const Gradients *g);
void gradients_free(Gradients *g);
/* A safetensors file of them, by the file's names. */
bool gradients_write(const Gradients *g, const char *path, Err *err);
