/* What the commands that run a model share: the model's argument, a prompt as
 * text or ids (model_args.c). */
#pragma once
#include "cli/driver/driver.h"

typedef struct {
    const char *model; /* NULL: not given */
    const char *text;  /* -p */
    bool whole;        /* it has its first token itself */
    int32_t *ids;      /* --ids, malloc'ed */
    int count;
} ModelArgs;

/* One argument that is the model; the second is a usage error. */
void model_argument(ModelArgs *m, const char *arg, struct argp_state *state);
void model_required(const ModelArgs *m, struct argp_state *state);
/* The prompt's ids, from --ids or by the tokenizer from -p; none is an
 * error. */
bool model_prompt(Engine *e, const ModelArgs *m, Ids *out, Err *err);
/* Ids are below the vocabulary. */
bool ids_in_range(const Engine *e, const int32_t *ids, size_t n, Err *err);
cJSON *ids_json(const int32_t *ids, size_t n);
