/* Checkpoints in and out: Hugging Face folders and GGUF files opened by their
 * headers alone and mapped, tensors widened, folders written whole or not at
 * all, .npy. Whatever a file says is checked before it is believed; what is
 * wrong comes back as one line in `err` that names file and tensor. */
#pragma once
#include "base/base.h"
#include <cjson/cJSON.h>
#include <signal.h>

/* ---- a checkpoint (files.c) ---- */

/* How the rows of a tensor lie in its file. GGUF stores some permuted. */
typedef enum {
    ROWS_plain,
    ROWS_paired, /* in each of `heads` blocks, row j * half + i is at 2i + j */
    ROWS_by_part, /* row (head, part, i) is at (part, head, i); parts q, k, v */
    ROWS_strided /* elements are row_step and col_step apart */
} RowOrder;

/* One tensor. Name, dtype and shape are as Hugging Face has them (row-major,
 * [out, in]); info.data points into the mapped file, dtype may be quantised.
 * Experts that a file keeps stacked appear one by one. */
typedef struct {
    TensorInfo info;
    const struct TensorMade *made; /* computed of others, or NULL: then
                                    * info.data is NULL, offset counts its
                                    * elements (quantised.c, adapter.c) */
    const char *file_name; /* what the file calls it; info.name's if the same */
    const char *path;      /* the file it lies in */
    int64_t offset;        /* of its first byte in that file */
    RowOrder rows;         /* of a permuted one info.data is in file order */
    int heads;
    int64_t row_step, col_step; /* elements, of ROWS_strided */
} FileTensor;

typedef struct Gguf Gguf; /* a GGUF file's metadata */

typedef struct Checkpoint {
    const char *path; /* as given, without a trailing slash */
    cJSON *config;    /* an object with Hugging Face's field names */
    FileTensor *parts;    /* what quantised weights are made of, or NULL */
    FileTensor *tensor;   /* in file order; a vocabulary alone has none */
    int tensors;
    Dtype dtype;           /* that most elements have; may be quantised */
    const char *tokenizer; /* path of tokenizer.json, or NULL */
    const Gguf *gguf;      /* where the tokenizer is then; NULL for a folder */
    const char *graft;     /* the text of model.graft, or NULL */
    const char *adapter;   /* a PEFT folder: path is then its base's; or NULL */
    cJSON *adapter_config; /* of it */
    struct FileOther {
        const char *name, *path; /* in its folder, and from here */
    } *other;                    /* the folder's other files, to be copied */
    int others;
    const char *link_out; /* NULL, or one that is not there: a link out */
    struct FileMap *map; /* below: private */
    int maps;
    struct NameIndex *index;
    Arena arena;
} Checkpoint;

/* A folder with config.json and .safetensors, or a .gguf file. Reads headers
 * only. NULL with err set. What it points to lives until checkpoint_close. */
Checkpoint *checkpoint_open(const char *path, Err *err);
/* The same; where the folder is a PEFT adapter, its base, whose place `base`
 * says (NULL: its config does). The adapter's tokenizer is taken if it has
 * one; its matrices wait for adapter_merge. */
Checkpoint *checkpoint_open_on(const char *path, const char *base, Err *err);
/* Puts c's adapter into its tensors, which are computed as they are read
 * (adapter.c). `embed` and `head` are names of a tied pair, or NULL; *untied:
 * they are two tensors now. */
bool adapter_merge(Checkpoint *c, const char *embed, const char *head,
                   bool *untied, Err *err);
/* Where one of its other files is; NULL: none of that name. */
const char *checkpoint_other(const Checkpoint *c, const char *name);
void checkpoint_close(Checkpoint *c); /* NULL is fine */
/* NULL: none of that name. */
const FileTensor *checkpoint_find(const Checkpoint *c, const char *name);
/* What of a tensor is a part of it (files_part.c). */
typedef struct {
    const char *name;  /* the part's */
    int64_t at;        /* the matrix, of several one after the other */
    int64_t matrices;  /* how many there are */
    bool transposed;   /* rows are the matrix's columns */
    int64_t first, step, count; /* rows; count 0: all */
} TensorPart;
/* The part as a tensor [rows, ..] of its own; false: t has no such part. */
bool tensor_part(const FileTensor *t, const TensorPart *p, FileTensor *out);
/* Rows and columns of one matrix of t, turned if the part is. */
bool tensor_matrix(const TensorInfo *t, const TensorPart *p, int64_t *rows,
                   int64_t *cols);
/* Puts one tensor more under a name that is free; leaves those that `keep`. */
bool checkpoint_add(Checkpoint *c, FileTensor t, Err *err);
void checkpoint_keep(Checkpoint *c,
                     bool (*keep)(const FileTensor *t, void *user),
                     void *user);
/* Calls it otherwise; the new name must be free. */
void checkpoint_rename(Checkpoint *c, const char *from, const char *to);
/* FNV-1a over config, every file's header and size: cheap, and different for
 * other names, shapes, types or layouts; it does not read the weights. */
uint64_t checkpoint_hash(const Checkpoint *c);
/* "w: [32, 64] bf16" in a buffer that the next but three call reuses. */
const char *tensor_text(const TensorInfo *t);

/* JSON with numbers as they were read, indented by 2, a newline at the end;
 * malloc'ed (json_text.c). */
char *json_text(const cJSON *item);

/* ---- values (widen.c) ---- */

/* Elements first .. first + count - 1 in row-major order, as `to` (f32, f64,
 * bf16, f16, or the tensor's own type, quantised: whole blocks), rows put in
 * order. Exact where `to` can hold the value, else rounded once to nearest
 * even. Any range; whole rows are fastest. Threads may read at once. */
void tensor_read(const FileTensor *t, int64_t first, int64_t count, Dtype to,
                 void *out);
/* All of it. */
void tensor_read_all(const FileTensor *t, Dtype to, void *out);
/* The mapped values where they can be used as `want` as they lie: same type,
 * rows in order, aligned; else NULL: use tensor_read. */
const void *tensor_in_place(const FileTensor *t, Dtype want);
/* Lets go of the resident pages behind a tensor; they come back when read. */
void tensor_release(const FileTensor *t);
/* `count` values of blocks or elements at `data`, in file order, to f32. */
void widen_f32(Dtype from, const void *data, int64_t count, float *out);

/* ---- and back (quantise.c) ---- */

/* `count` values, whole blocks, as blocks of q8_0 (by llama.cpp's own rule) or
 * q4_1 (the line of codes that is nearest, of a few). */
void quantise_f32(Dtype to, const float *x, int64_t count, void *out);

/* ---- GGUF metadata (gguf.c): false or NULL where the key is absent or of
 * another kind ---- */

typedef struct {
    const char *at; /* not NUL-terminated; may hold any bytes */
    size_t len;
} Bytes;

bool gguf_int(const Gguf *g, const char *key, int64_t *out); /* any integer */
bool gguf_float(const Gguf *g, const char *key, double *out); /* any number */
bool gguf_bool(const Gguf *g, const char *key, bool *out);
bool gguf_bytes(const Gguf *g, const char *key, Bytes *out);
const char *gguf_string(const Gguf *g, const char *key); /* NUL-terminated */
/* Arrays; the first call copies them out, they live as long as the file. */
const Bytes *gguf_strings(const Gguf *g, const char *key, int64_t *count);
const int64_t *gguf_ints(const Gguf *g, const char *key, int64_t *count);
const float *gguf_floats(const Gguf *g, const char *key, int64_t *count);

#include "runtime/files/files_write.h"
