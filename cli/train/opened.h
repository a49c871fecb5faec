/* Private to the room: a described model opened (opened.c). */
#pragma once
#include "cli/train/plan.h"

/* Checkpoints and the model that transforms make of them, from headers alone.
 */
typedef struct {
    Arena arena;
    Common common; /* as the models are opened */
    ArgList with;  /* further models: names and folders */
    Sources sources;
    Model *model;
    FilePlan plan; /* as it would be saved */
} Opened;

/* Where stages leave their models. */
typedef const char *StageFolder(void *user, int stage);

/* of NULL: as it is planned, from what is there before anything has run. False
 * with err set; opened_close in any case. */
bool opened_make(Opened *o, const RunPlan *p, const RunModel *m,
                 const Common *common, StageFolder *of, void *user, Err *err);
void opened_close(Opened *o);
