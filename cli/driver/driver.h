/* Room driver: models opened, their weights' values computed, their steps run;
 * what commands and recipes are made of. */
#pragma once
#include "cli/driver/apply.h"    /* a new model's tensors, and where they go */
#include "cli/driver/compose.h"  /* transforms in each other */
#include "cli/driver/engine.h"   /* a model that runs */
#include "cli/driver/examples.h" /* data as such a model takes it */
#include "cli/driver/loaded.h"   /* a checkpoint with its model */
#include "cli/driver/pins.h"     /* schedules as the user pins them */
#include "cli/driver/score.h"    /* its mean loss */
#include "cli/driver/quantize.h" /* programs, their weights as flags say */
