/* The tables that say how each GGUF architecture is called in Hugging Face's
 * terms, for both directions: gguf_translate.c walks them for what is read,
 * gguf_write_*.c for what is written. */
#pragma once
#include "runtime/files/gguf_private.h"

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
 * is absent: NEEDED is an error, NONE no field. Written: a field that is
 * absent gives no key, unless NEEDED. Of a key without a field ("") a file has
 * no other value than `otherwise`. */
typedef struct {
    const char *key, *field;
    KeyKind kind;
    double otherwise;
} KeyRow;
#define NONE (-1e300)
#define NEEDED (-2e300)

/* A field of the config that always has this value (JSON text), or another
 * that computes the same to llama.cpp: set when read, and what has another
 * value cannot be written. */
typedef struct {
    const char *field, *json, *same;
} FixedRow;

typedef struct Translation {
    Checkpoint *c;
    const Gguf *g;
    const struct Arch *arch;
    const FileTensor *raw; /* as in the file */
    int n;
    cJSON *config;
    const cJSON *kept; /* gguf_kept_config's, or NULL */
    Err *err;
} Translation;

typedef struct Arch {
    const char *arch, *class, *type;
    bool experts;  /* these rows are for files with an expert_count */
    bool paired;   /* q and k rows lie for interleaved rope */
    bool head_dim; /* the config has that field */
    bool window;   /* these rows are for files with a sliding window */
    bool part;     /* rope turns a share of each head */
    bool own_head; /* llama.cpp wants output.weight where it is tied, too */
    const NameRow *names[3]; /* tables, each ended by a row of NULL */
    const KeyRow *keys[4];
    const FixedRow *fixed;
    bool (*more)(Translation *t); /* what no table says, or NULL */
} Arch;

extern const Arch gguf_arch[];
extern const int gguf_archs;

/* ---- names (gguf_translate.c) ---- */

/* Does `name` fit the pattern and end there, or in .weight or .bias? What #
 * and @ stood for in at[0] and at[1], where the rest begins. */
bool gguf_fits(const char *pattern, const char *name, int at[2],
               const char **rest);
const char *gguf_fill(const char *pattern, const int at[2], const char *rest);

/* ---- a config kept in a file (gguf_config.c) ---- */

/* The key of ours that has the whole config of the model written, so that what
 * GGUF has no key for comes back. */
#define GGUF_CONFIG "graft.config"
/* That config, or NULL; the caller frees it. */
cJSON *gguf_kept_config(const Gguf *g);
/* Fields that the file's own keys do not give are taken from it. */
void gguf_keep_fields(Translation *t, cJSON *kept);
/* A field of a config by its name, one of its other names, or among
 * rope_parameters; NULL where absent or null. */
const cJSON *config_field(const cJSON *config, const char *field);
const char *config_text(const cJSON *config, const char *field); /* or "" */
/* rope_scaling or rope_parameters, or NULL; its rope_type or "default". */
const cJSON *config_rope(const cJSON *config);
const char *rope_type(const cJSON *rope);
const char *config_class(const cJSON *config); /* architectures[0], or "" */

/* Frequency i of 0 .. dim / 2 - 1 is divided by this in Llama 3's rope. */
typedef struct {
    double factor, low, high, old; /* old: original_max_position_embeddings */
} Llama3;
double llama3_factor(const Llama3 *l, int i, int dim, double theta);

/* ---- for `more` ---- */

const FileTensor *raw_find(const Translation *t, const char *name);
double config_number(const Translation *t, const char *field); /* or 0 */

/* ---- parts of the translation ---- */

bool gguf_add_key(Translation *t, const KeyRow *row);
bool gguf_add_rope(Translation *t); /* gguf_rope.c; after the heads */
