/* Models for tests: a checkpoint bound and lowered, run by the interpreter or
 * by whatever a test brings, and held against a golden file. */
#pragma once
#include "compiler/interp/interp.h"
#include "compiler/lang/lang.h"
#include "runtime/runtime.h"
#include "tests/files_util.h"

typedef struct {
    Arena arena;
    Diags diags;
    Checkpoint *checkpoint;
    Model *model;
    Graph *graph;
    int vocabulary;
} Kit;

/* Opens, binds, checks the headers, lowers; false with err set. kit_close in
 * any case. */
bool kit_open(Kit *k, const char *path, Err *err);
void kit_close(Kit *k);
/* The shared model of that name, ready; skips the test where it is absent and
 * fails it where the model does not open. */
void kit_shared(Kit *k, const char *name);

/* The shared weights (a .safetensors) as a folder with this config.json, and
 * model.graft if text is not NULL; else as kit_shared. */
void kit_with(Kit *k, const char *weights, const char *config,
              const char *text);
/* The kit's model becomes `name` of the library applied to it; fails the test
 * where that cannot be. `args`: "E=4 K=2". */
void kit_transform(Kit *k, const char *name, const char *args);

/* All elements of w, read from the checkpoint or made; stacked ones row-major.
 */
bool kit_weight(const Kit *k, const Weight *w, double *out);

/* How a model is run: logits[n * vocabulary] of n ids. */
typedef bool KitRun(const Kit *k, const int32_t *ids, int n, double *logits,
                    Err *err);
KitRun kit_interp;       /* every node rounded to its type */
KitRun kit_interp_exact; /* all in f64 */
/* Any graph of the kit's weights, whose one input is `name`. */
bool kit_run_graph(const Kit *k, const Graph *g, const char *name, bool exact,
                   const double *in, int n, Arena *arena, Tensor **out,
                   Err *err);

/* A JSON file of the shared data (cJSON_Delete frees it). */
cJSON *kit_json(const char *name);
int kit_numbers(const cJSON *o, const char *field, double **out); /* malloc */
int kit_ids(const cJSON *o, const char *field, int32_t **out);    /* malloc */

/* Fails where something is further off than asked. */
void kit_nll(const Kit *k, KitRun *run, const cJSON *golden, const char *ids,
             const char *nll, double within);
void kit_last(const Kit *k, KitRun *run, const cJSON *golden, const char *ids,
              const char *logits, double within);
/* The sum of the logits at each position. */
void kit_sums(const Kit *k, KitRun *run, const cJSON *golden, const char *ids,
              const char *sums, double within);
void kit_all(const Kit *k, KitRun *run, const cJSON *golden, const char *ids,
             const char *logits, double within);
/* The new ids after the prompt, each the best after all before it. */
void kit_greedy(const Kit *k, KitRun *run, const int32_t *prompt, int nprompt,
                const int32_t *ids, int n);
