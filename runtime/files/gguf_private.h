/* GGUF metadata as parsed: keys with their values where they lie in the file.
 * Only the gguf files of runtime/ include it. */
#pragma once
#include "runtime/files/files_private.h"

typedef enum {
    GGUF_u8, GGUF_i8, GGUF_u16, GGUF_i16, GGUF_u32, GGUF_i32, GGUF_f32,
    GGUF_bool, GGUF_string, GGUF_array, GGUF_u64, GGUF_i64, GGUF_f64,
    GGUF_TYPES
} GgufType;

typedef struct {
    const char *key;
    GgufType type;     /* of the value; of an array its elements */
    bool array;
    int64_t count;     /* elements of an array, else 1 */
    const uint8_t *at; /* checked: all of it lies in the file */
    void *copy;        /* an array copied out, once asked for */
} GgufValue;

struct Gguf {
    const char *path;
    GgufValue *value;
    int values;
    NameIndex index;
    Arena arena;
    const char *arch; /* general.architecture, or "" */
};

const GgufValue *gguf_value(const Gguf *g, const char *key); /* or NULL */
/* The same under the file's own architecture: "block_count" is looked up as
 * "llama.block_count". */
const char *gguf_key(const Gguf *g, const char *name);

/* gguf_arch.c: Hugging Face's config and names from the metadata and the
 * tensors as the file names them (c->tensor). */
bool gguf_translate(Checkpoint *c, const FileTensor *raw, int n, Err *err);
