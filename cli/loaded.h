/* A checkpoint with the model that its config asks for, checked against each
 * other, and where the model's weights are read from (loaded.c). */
#pragma once
#include "cli/cli.h"
#include "codegen/codegen.h"
#include "compiler/compiler.h"
#include "runtime/runtime.h"

typedef struct {
    Arena arena;
    Diags diags;
    Checkpoint *checkpoint;
    Model *model;
    Dtype dtype; /* what modules compute in */
} Loaded;

/* Do the checkpoint's tensors fit the model? */
bool loaded_fits(const Checkpoint *c, const Model *m, Err *err);
/* Opens, binds and checks by headers alone. False with err set; loaded_close in
 * any case. */
bool loaded_open(Loaded *l, const char *path, const Common *common, Err *err);
void loaded_close(Loaded *l);

/* The tensor of w at `index`, which counts its stacked dims row-major. */
const FileTensor *loaded_tensor(const Loaded *l, const Weight *w,
                                int64_t index);
int64_t weight_stacked(const Weight *w); /* how many tensors it is */

/* The weights as compiled programs and the interpreter want them. The user
 * pointers are the Loaded. */
WeightSource loaded_source(Loaded *l);
/* The type that all tensors of w have in the file, as they lie there (of
 * CpuOptions). */
Dtype loaded_stored(void *user, const Weight *w);
bool loaded_weight(void *user, const Weight *w, double *out);
