/* Private to the room: a recipe's values, and the actions that they make. */
#pragma once
#include "cli/train/train.h"

/* A transform with its arguments, applied to a model. */
typedef struct {
    const Ast *def;
    ArgList arg;
    LIST(struct RunWith {
        const char *name;
        const struct RunModel *model;
    }) with;
} RunStep;
typedef LIST(RunStep) RunSteps;

/* A model as a recipe has it: a folder, or what a stage leaves, and transforms
 * on top. */
typedef struct RunModel {
    const char *folder; /* that all of it begins with */
    int stage;          /* -1, or the stage that made it: then `step` are those
                         * since, and `all` those from the folder on */
    bool has_dtype;
    Dtype dtype;        /* load(.., dtype: ..) */
    RunSteps step, all;
} RunModel;

typedef struct {
    DataSpec spec;
    LIST(struct RunSplit {
        double share;
        uint64_t seed;
        bool held; /* the part that is held out, or the rest */
    }) split;
} RunData;

typedef enum { ACT_train, ACT_observe, ACT_save, ACT_eval } ActionKind;

typedef struct {
    ActionKind kind;
    const Ast *at;
    const char *name; /* of a stage: "1.moe"; of others the model's */
    const RunModel *model;
    const RunData *data;
    const RunModel *teacher;             /* or NULL */
    TrainValue option[TRAIN_OPTIONS];    /* of ACT_train */
    LIST(const char *) path;             /* what trains; none: all */
    RunSteps after;                      /* after step T(..) */
    const char *out;                     /* of ACT_save */
    int stage; /* of ACT_train, counted from 0 */
} Action;

typedef struct {
    Arena arena;
    Diags diags;
    Spec *spec;
    const Ast *recipe;
    const ArgList *arg;
    LIST(Action) action;
    int stages;
    const char *out; /* what the run's folder is named by */
} RunPlan;

/* Reads the spec and evaluates the recipe. False with err set (mistakes of the
 * text were reported then); run_plan_free in any case. */
bool run_plan_make(RunPlan *p, const RunOptions *o, Err *err);
void run_plan_free(RunPlan *p);
