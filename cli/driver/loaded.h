/* A checkpoint with the model that its config asks for, checked against each
 * other, and where the model's weights are read from (loaded.c). */
#pragma once
#include "cli/driver/pins.h"
#include "compiler/lang/lang.h"
#include "runtime/runtime.h"

typedef struct {
    Arena arena;
    Diags diags;
    Checkpoint *checkpoint;
    Model *model;
    Dtype dtype; /* what modules compute in */
    const Common *common;
    Pins pins;   /* schedules that its kernels must have */
    LIST(TensorInfo) whole; /* tensors of which weights are parts */
} Loaded;

/* Do the checkpoint's tensors fit the model? */
bool loaded_fits(const Checkpoint *c, const Model *m, Err *err);
/* Opens, binds and checks by headers alone. False with err set; loaded_close in
 * any case. */
bool loaded_open(Loaded *l, const char *path, const Common *common, Err *err);
void loaded_close(Loaded *l);

/* ---- specs as arguments (spec_arg.c) ---- */

typedef LIST(Arg) ArgList; /* name=value */
/* Adds "name=value"; else a usage error that says what needs it. */
void args_add(ArgList *to, Arena *a, const char *what, const char *text,
              struct argp_state *state);

/* What `--with name=MODEL` stands for, as many as there are: all have the shape
 * and the dims of m. */
With *with_shape(Arena *a, const ArgList *with, Model *m);

/* Is it a .graft file, FILE.graft:NAME or a name of the library's (then *name
 * is NAME)? What is there as a file or a folder is no module. */
bool is_spec(const char *what, const char **name);
/* The spec, read: of a file, or of the library where there is no such file, or
 * the whole library if `what` names none. NULL: err says why, or mistakes of
 * the text were reported where they are. */
Spec *spec_open(Arena *a, Diags *diags, const char *what, Err *err);
/* As loaded_open does with a checkpoint: the module with its parameters given.
 * There is no checkpoint then. */
bool loaded_module(Loaded *l, const char *what, const ArgList *args,
                   const Common *common, Err *err);

/* ---- weights ---- */

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
/* What its programs are compiled with, quantised weights as the file has them.
 */
CpuOptions loaded_options(Loaded *l);
bool loaded_weight(void *user, const Weight *w, double *out);
