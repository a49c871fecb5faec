/* What the files of the GGUF writer share: what the file will hold, worked out
 * before a byte is written. */
#pragma once
#include "runtime/files/gguf_arch.h"
#include "runtime/files/write.h"

enum { GGUF_ALIGN = 32 };

/* A tensor of the file. */
typedef struct {
    TensorInfo info; /* row-major, as the header has it reversed */
    int parts;       /* tensors given that it is made of */
    int64_t at;      /* after the header */
    const void *data; /* ours to write, or NULL: it is given */
} GgufTensor;

/* Where a tensor that is given goes. */
typedef struct {
    int tensor;
    int also;   /* a second tensor of the same values, or -1 */
    int slot;   /* in a stack, else 0 */
    Dtype to;
    RowOrder rows;
    int heads;
    int64_t nrows, cols; /* of what is given */
    int64_t unit;        /* rows taken at a time; 0: as it lies */
} GgufPlace;

typedef struct {
    Arena *arena;
    const GgufSpec *spec;
    const Arch *arch;
    LIST(GgufTensor) tensor;
    GgufPlace *place; /* of each in the spec */
    int64_t data;     /* where tensor data begins */
    int64_t end;      /* of the file */
    /* metadata: written to `out`, then at head[0 .. head_len) */
    FILE *out;
    char *head;
    size_t head_len;
    int keys;
    Err *err;
} GgufPlan;

/* ---- gguf_write_plan.c: names, types, places ---- */

bool gguf_plan_tensors(GgufPlan *p);

/* ---- gguf_write_keys.c: metadata ---- */

bool gguf_plan_keys(GgufPlan *p, const char *name);
void key_u32(GgufPlan *p, const char *key, uint32_t value);
void key_f32(GgufPlan *p, const char *key, float value);
void key_bool(GgufPlan *p, const char *key, bool value);
void key_string(GgufPlan *p, const char *key, const char *value);
void key_array(GgufPlan *p, const char *key, GgufType of, int64_t count);
void put_u32(GgufPlan *p, uint32_t value);
void put_f32(GgufPlan *p, float value);
void put_string(GgufPlan *p, const char *s, size_t len);
/* "ARCH.name" */
const char *arch_key(GgufPlan *p, const char *name);
PRINTF(2, 3) bool gguf_refuse(GgufPlan *p, const char *fmt, ...);

/* gguf_write_rope.c: a tensor of factors where there are any; keys */
bool gguf_plan_factors(GgufPlan *p);
bool gguf_plan_rope(GgufPlan *p);
/* gguf_write_words.c: the tokenizer, `rows` of the embedding; copied keys */
bool gguf_plan_words(GgufPlan *p, int64_t rows);
