/* What eval says of the losses and stats of a model's modules. */
#pragma once
#include "cli/driver/engine.h"

typedef struct {
    double *sum; /* of each effect's numbers, one after the other */
    int64_t tokens;
} Effects;
/* After a run of so many tokens: stats are added up, losses weighted. */
void effects_add(Effects *s, const Engine *e, int tokens);
bool effects_have_stats(const Engine *e);
void effects_print(const Effects *s, const Engine *e);
void effects_json(const Effects *s, const Engine *e, cJSON *to);
void effects_free(Effects *s);
