/* What is written: folders and GGUF files whole or not at all, .npy. Included
 * by files.h. */
#pragma once

/* ---- a folder written (write.c) ---- */

typedef struct {
    const char *name;
    const char *text; /* its content, or NULL: copied from `from` */
    size_t len;
    const char *from;
} FileSpec;

typedef struct {
    const TensorInfo *tensor; /* name, dtype, rank, shape, in order written */
    int tensors;
    const char *const (*meta)[2]; /* provenance; format: pt is added */
    int metas;
    const FileSpec *file; /* config.json, model.graft, tokenizer.json, ... */
    int files;
    int64_t shard_bytes; /* 0: 5 GB */
} FolderSpec;

/* A folder or a file being written. */
typedef struct Writer Writer;

/* Makes a temporary folder beside `path`, which must not exist. Then every
 * tensor's bytes in the spec's order, by any mix of writer_put and
 * writer_copy; then writer_finish. After an error nothing is left behind, and
 * the only call left is writer_cancel. The spec's arrays must live until the
 * end. */
Writer *folder_begin(const char *path, const FolderSpec *spec, Err *err);
/* The next bytes, cut anywhere. */
bool writer_put(Writer *w, const void *data, int64_t bytes, Err *err);
/* The whole of the next tensor as it lies in its file (same type, ROWS_plain),
 * letting its mapped pages go. */
bool writer_copy(Writer *w, const FileTensor *from, Err *err);
/* Syncs, renames to `path`, frees w, error or not: then nothing is left. */
bool writer_finish(Writer *w, Err *err);
void writer_cancel(Writer *w); /* removes all of it and frees w */
int64_t writer_written(const Writer *w); /* tensor bytes, for progress */

/* ---- a GGUF file written (gguf_write.c) ---- */

typedef struct {
    const TensorInfo *tensor; /* as Hugging Face has them, in order written */
    int tensors;
    const cJSON *config;   /* the model's; its class must be in gguf_arch.c */
    const char *tokenizer; /* path of tokenizer.json in its folder, or NULL */
    const Gguf *gguf;      /* or the file whose tokenizer it has, or NULL */
    const char *const (*meta)[2]; /* provenance */
    int metas;
    bool has_type; /* matrices become `type`, else keep theirs, which may be
                    * quantised */
    Dtype type;    /* f32, f16, bf16, q8_0 (f16 where no blocks of 32 fit) */
} GgufSpec;

/* As folder_begin, with the same calls after it: tensors are given as Hugging
 * Face has them; names, order of rows, stacks of experts and types become
 * GGUF's. Norms, biases and routers are f32, as llama.cpp wants them. NULL
 * with err set where llama.cpp has no such model. */
Writer *gguf_begin(const char *path, const GgufSpec *spec, Err *err);
/* How llama.cpp will differ from the model that this config describes, a line
 * each; how many there are. */
enum { GGUF_CAVEATS = 8 };
int gguf_caveats(const cJSON *config, const char *out[GGUF_CAVEATS]);

/* Set by a signal: writers stop at the next piece, clean up and fail. */
extern volatile sig_atomic_t rt_interrupted;
void rt_catch_interrupts(void); /* SIGINT, SIGTERM set it; twice kills */

/* ---- .npy and other single files (npy.c, write_file.c) ---- */

/* Whole or not at all: a temporary file, synced, renamed over `path`. */
bool file_write(const char *path, const void *data, size_t len, Err *err);
/* Removes what killed writers left of `path`: ".NAME.graft-PID" beside it. */
void files_sweep(const char *path);
/* The same piece by piece; after a false answer of stream_put only
 * stream_cancel, which leaves nothing, is left to call. stream_finish frees f
 * in any case. */
typedef struct FileStream FileStream;
FileStream *stream_begin(const char *path, Err *err); /* NULL with err set */
bool stream_put(FileStream *f, const void *data, size_t len, Err *err);
bool stream_finish(FileStream *f, Err *err);
void stream_cancel(FileStream *f);
bool npy_write_f32(const char *path, const float *data, int64_t rows,
                   int64_t cols, Err *err);
/* A little-endian f32 array in C order, malloc'ed; NULL with err set. */
float *npy_read_f32(const char *path, int *rank, int64_t shape[MAX_RANK],
                    Err *err);

/* ---- for tests: the n-th file operation from now fails (write_io.c) ---- */

void io_fail_at(long n, int error); /* n 0: none; error as errno has it */
long io_count(void);                /* operations since then */
