/* The tables that say how each GGUF architecture is called in Hugging Face's
 * terms. Only gguf_arch.c (the tables) and gguf_translate.c (what walks them)
 * include it. */
#pragma once
#include "runtime/gguf_private.h"

/* How a tensor of the file becomes one of ours. */
typedef enum {
    AS_is,
    AS_row, /* [D] becomes [1, D] */
    AS_q,   /* rows permuted where the architecture pairs them */
    AS_k,
    AS_qkv /* q, k, v parts, each all heads: back to a head's q, k, v */
} As;

/* A name of the file without .weight or .bias, # for the layer and @ for the
 * expert, and Hugging Face's. An @ only on the right: the file's tensor is a
 * stack and becomes one for each index of its first dim. */
typedef struct {
    const char *gguf, *name;
    As as;
} NameRow;

typedef enum { KEY_int, KEY_float, KEY_bool } KeyKind;

/* A metadata key after "ARCH.", the config's field, and what holds if the key
 * is absent: NEEDED is an error, NONE no field. */
typedef struct {
    const char *key, *field;
    KeyKind kind;
    double otherwise;
} KeyRow;
#define NONE (-1e300)
#define NEEDED (-2e300)

/* A field of the config that always has this value (JSON text). */
typedef struct {
    const char *field, *json;
} FixedRow;

typedef struct Translation {
    Checkpoint *c;
    const Gguf *g;
    const struct Arch *arch;
    const FileTensor *raw; /* as in the file */
    int n;
    cJSON *config;
    Err *err;
} Translation;

typedef struct Arch {
    const char *arch, *class, *type;
    bool experts;  /* these rows are for files with an expert_count */
    bool paired;   /* q and k rows lie for interleaved rope */
    bool head_dim; /* the config has that field */
    const NameRow *names[3]; /* tables, each ended by a row of NULL */
    const KeyRow *keys[3];
    const FixedRow *fixed;
    bool (*more)(Translation *t); /* what no table says, or NULL */
} Arch;

extern const Arch gguf_arch[];
extern const int gguf_archs;

/* ---- for `more` ---- */

const FileTensor *raw_find(const Translation *t, const char *name);
double config_number(const Translation *t, const char *field); /* or 0 */

/* ---- parts of the translation ---- */

bool gguf_add_key(Translation *t, const KeyRow *row);
bool gguf_add_rope(Translation *t); /* gguf_rope.c; after the heads */
