/* config.json as an architecture's own code reads it (config_fields.c,
 * config_settle.c, rope_settle.c). */
#pragma once
#include "compiler/lang/elab.h"

typedef struct {
    const char *name;
    const char *absent; /* JSON: what it is where there is none, or NULL */
    const char *also;   /* another name of the same, or NULL */
    const char *only;   /* JSON: the one value that graft computes, or NULL */
} ConfigField;

typedef struct {
    const char *class, *type; /* in architectures; model_type */
    double theta;             /* base of rope where the config has none */
    const char *theta_field;  /* its name outside rope_parameters */
    double part;              /* share of a head that turns; 0: all, always */
    const char *part_field;   /* its name outside rope_parameters, or NULL */
    const ConfigField *field;
    const char *embed, *head; /* the tensors that tied embeddings make one */
    const char *buffer[4]; /* ends of names of what is no weight, or NULL */
} ConfigArch;

extern const ConfigArch config_arch[];
extern const int config_archs;

/* By either; a name that is NULL fits none. NULL: none has it. */
const ConfigArch *config_arch_of(const char *class, const char *type);
const ConfigField *config_field_of(const ConfigArch *a, const char *name);
bool config_harmless(const char *name); /* changes nothing that is computed */
bool config_others(const char *name);   /* some architecture reads it */

/* A config made what the code of `class` takes it for: absent fields as they
 * are then taken, rope's in one place and complete. Fields that only other
 * architectures read go to `aside`. Of an architecture that is in no table all
 * stays as it is. */
typedef struct {
    cJSON *config, *aside; /* the caller deletes both */
    const char *filled;  /* numbers that it lacked: "a 1, b 2"; or NULL */
    const char *unknown; /* fields that nobody knows: "a, b"; or NULL */
} Settled;
bool config_settle(const char *class, const cJSON *raw, Settled *out,
                   Err *err);
void config_settled_free(Settled *s);
cJSON *json_keep(Arena *a, const cJSON *from); /* a copy in the arena */
/* What scaled rope takes from other fields, of any architecture. */
void config_complete_rope(cJSON *config);

/* rope_settle.c: theta, scaling and share of `config`, in place. */
bool config_settle_rope(const ConfigArch *a, cJSON *config, Err *err);
/* CONFIG_LENGTH goes to where rope reads it. */
void config_settle_length(cJSON *config);
