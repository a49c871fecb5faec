/* Private to the room: a run at work: its folder, its log, its stages. */
#pragma once
#include "cli/train/after.h"
#include "cli/train/batch.h"
#include "cli/train/gradients.h"
#include "cli/train/update.h"

typedef struct {
    const RunOptions *o;
    const Common *common;
    RunPlan plan;
    const char *folder; /* OUT.run */
    int lock;           /* a file that is held, or -1 */
    bool fresh;         /* the folder was made by this run */
    FILE *log;
    bool exact;         /* --dtype f64 */
} Run;

/* Opens what each action needs, as it is planned, and holds memory and disk
 * against what is free; with --dry tells of it. False with err set (ahead.c).
 */
bool run_look_ahead(Run *r, Err *err);
/* The folder that a stage leaves its model in. */
const char *run_stage_folder(void *run, int stage);

/* Data as a model wants it, with all that must live as long. */
typedef struct {
    Tokenizer *tokenizer;
    ChatFormat *chat;
    DataColumn *column;
    int columns;
    Data data;
    Part part;
} Fed;
/* of: the model's forward graph. False with err set; fed_free in any case. */
bool fed_open(Fed *f, const Run *r, const RunData *d, const Opened *o,
              const Graph *of, Err *err);
void fed_free(Fed *f);

/* What a number is that a step gives besides. */
typedef enum { WATCH_nothing, WATCH_loss, WATCH_chosen, WATCH_shared } Watching;

/* A stage at work. */
typedef struct {
    Run *run;
    const Action *act;
    Opened opened;
    Params params;
    Fed fed;
    Order order;
    GradStep step;
    Runner *runner;
    Updates *updates;
    After *after; /* or NULL */
    Gradients gradients;
    LIST(struct Watched {
        const char *name; /* "loss.balance", "stat.layer.ffn.8.chosen" */
        Watching kind;
        int64_t count;
        double *sum; /* losses weighted by their part */
        double *now;
        int rows; /* of a repeated layer: a row for each pass that has it */
        int *layer;
    }) watched;
    int last_layer; /* that a row is of */
    double loss; /* of the step at hand */
    int64_t at, steps; /* at: the next step, counted from 0 */
    Progress bar;
    Arena arena;
} Stage;

/* All that can be known before it begins. False with err set; stage_free in
 * any case. planned: from what is there before anything has run. */
bool stage_open(Stage *s, Run *r, const Action *act, bool planned, Err *err);
/* Reads weights, makes programs. */
bool stage_begin(Stage *s, Err *err);
/* From s->at to the end, with its log and checkpoints; then the model's folder.
 */
bool stage_train(Stage *s, Err *err);
/* The next step: computed, held to be finite, moved, logged. */
bool stage_step(Stage *s, Err *err);
void stage_free(Stage *s);
int64_t stage_steps(const Stage *s);
double stage_rate(const Stage *s, int64_t step);

/* ---- what a step gives besides (watched.c) ---- */

typedef struct {
    const double *at;
    int n;
} WatchedRow;
void watch(Stage *s); /* finds it in the step's graph */
/* A row for each place of routing, by layer: how often each expert was chosen,
 * or the sum of the shared expert's weights. How many; out: or NULL. */
int watched_rows(const Stage *s, Watching kind, WatchedRow *out);

/* Loss and gradients of a batch into s (stage_run.c). */
bool stage_compute(Stage *s, Batch *b, Err *err);
/* Writes the model as it stands now to a folder that is not there
 * (stage_save.c). */
bool stage_save(Stage *s, const char *folder, Err *err);
/* A model that nothing trains, as `save` has it. */
bool model_save(Run *r, const RunModel *m, const char *folder, Err *err);

/* ---- eval(m, data) (evals.c) ---- */

/* The model and the data of an ACT_eval; planned: from what is there before
 * anything has run. False with err set; opened_close and fed_free in any case.
 */
bool eval_open(Opened *o, Fed *f, Run *r, const Action *act, bool planned,
               Err *err);
/* Measures action i, if it was not yet, and prints it. */
bool eval_run(Run *r, const Action *act, int i, Err *err);
/* All that was measured, where it is more than one. */
void evals_table(Run *r);
cJSON *eval_result(Run *r, int i); /* NULL: not measured yet */

int64_t memory_free(void); /* bytes that this process may still take */

/* ---- the log (log.c) ---- */

enum { LOG_USAGE_EVERY = 10 }; /* steps */

typedef struct {
    double lr, norm, seconds;
    const Batch *batch;
} Logged;
bool log_open(Run *r, Err *err);
/* Leaves only lines of stages before this one, and of it those below `step`. */
bool log_cut(Run *r, int stage, int64_t step, Err *err);
double peak_mb(void); /* the most memory that the process ever had */
bool log_step(Stage *s, const Logged *l, Err *err);
bool log_close(Run *r, Err *err);
