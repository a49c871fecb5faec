/* What the files of the reader share: mapped files, name lookup, JSON, and the
 * parts of opening a checkpoint. Only runtime/ includes it. */
#pragma once
#include "runtime/files/files.h"

/* ---- mapped files (files_map.c) ---- */

typedef struct FileMap {
    const char *path;
    const uint8_t *base;
    int64_t size;
    int64_t header; /* bytes of it that describe the rest */
    int fd;
} FileMap;

/* A regular, non-empty file, read-only. */
/* From now on a read of what is no longer in the file is told (files_guard.c).
 */
void guard_map(const FileMap *m);
void guard_unmap(const FileMap *m);
bool map_open(FileMap *m, Arena *arena, const char *path, Err *err);
void map_close(FileMap *m);
/* Adds a map to the checkpoint: its index, or -1. */
int checkpoint_map(Checkpoint *c, const char *path, Err *err);

/* ---- names (files_names.c) ---- */

/* Name to a number, by hashing; holds no copies. */
typedef struct NameIndex {
    struct Slot {
        const char *name;
        int value;
    } *slot;
    int room, n;
} NameIndex;

bool names_add(NameIndex *x, const char *name, int value); /* false: there */
int name_index_find(const NameIndex *x, const char *name); /* -1: absent */
void names_free(NameIndex *x);
/* Printable UTF-8 of 1 to 500 bytes, without control characters. */
bool name_printable(const char *name, size_t len);

/* ---- JSON (json.c) ---- */

/* An object; numbers finite, no key twice, UTF-8. NULL with err set; `what`
 * (a path) opens the message. The text need not end with NUL. */
cJSON *json_object(const char *what, const char *text, size_t len, Err *err);
/* False with err set: its tree would be larger than any honest one. */
bool json_fits(const char *what, const char *text, size_t len, Err *err);
cJSON *json_real(double value); /* prints with a point */
/* An integer in 0 .. 2^53 that was written as one. */
bool json_size(const cJSON *item, int64_t *out);
void json_keep_numbers(cJSON *root, const char *text); /* for json_text */

/* ---- parts of opening (files.c) ---- */

bool path_exists(const char *path);
/* Elements and bytes of a shape; false if that is more than a file can hold
 * or its rows are no whole blocks. */
bool shape_bytes(const TensorInfo *t, int64_t *count, int64_t *bytes);
/* " (there is ...)": what else the folder has that may be meant, or "". */
const char *weights_hint(Checkpoint *c, const char *folder);
/* c->path is a folder with adapter_config.json: c->path becomes its base, which
 * the config names if `base` is NULL (adapter_base.c). */
bool adapter_open(Checkpoint *c, const char *base, Err *err);

bool safetensors_open(Checkpoint *c, Err *err); /* safetensors.c */
/* One file's tensors. */
bool safetensors_shard(Checkpoint *c, const char *path, Err *err);
/* Shards without their index (shards.c): are there any; all of them. */
bool shards_found(Checkpoint *c);
bool shards_read(Checkpoint *c, Err *err);
/* A matrix computed of others as it is read: columns at .. at + n - 1 of a
 * row, n at most MADE_PIECE, in f32. What it is made of stands behind it. */
enum { MADE_PIECE = 1024 };
typedef struct TensorMade {
    void (*read)(const struct TensorMade *m, int64_t row, int64_t at,
                 int64_t n, float *out);
    int64_t cols;
} TensorMade;
/* t's made, type and shape are set: the rest of it; false: too large. */
bool made_tensor(FileTensor *t);
/* Weights of GPTQ, AWQ and bitsandbytes become one tensor each
 * (quantised.c). */
bool quantised_join(Checkpoint *c, Err *err);
/* Experts in one tensor become tensors of their own (packed.c). */
bool packed_split(Checkpoint *c, Err *err);
bool gguf_open(Checkpoint *c, Err *err);        /* gguf.c */
void gguf_close(Gguf *g);
