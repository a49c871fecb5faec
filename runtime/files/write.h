/* What the writers share: a temporary file or folder beside the target, into
 * which tensors stream in order, synced and renamed at the end. write.c does
 * that; write_folder.c and gguf_write.c say where the bytes go. */
#pragma once
#include "runtime/files/write_io.h"

enum { PIECE = 8 << 20 }; /* bytes between looks at signals and flushes */

struct Writer {
    Arena arena;
    const TensorInfo *tensor; /* in the order that the bytes come */
    int tensors;
    int64_t *size; /* bytes of each */
    int64_t bytes; /* of the files, for a look at the disk */
    const char *path, *temporary, *parent;
    int fd;       /* the file being written, or -1 */
    int current;  /* the next bytes are this tensor's */
    int64_t done; /* of its bytes */
    int64_t written;
    int64_t at, flushed; /* in the file */
    bool made, failed;
    struct Writer *next; /* of those alive */
    /* What the kind of target does, with its own data at `own`: bytes within
     * the current tensor; the tensor is complete; the last file is closed. */
    bool (*put)(Writer *w, const void *data, int64_t n, Err *err);
    bool (*complete)(Writer *w, Err *err);
    bool (*close)(Writer *w, Err *err);
    void *own;
};

/* For `path`, nothing made yet. Tensors must have different names and types
 * that `fits` takes. NULL with err set. */
Writer *writer_new(const char *path, const TensorInfo *tensor, int tensors,
                   const char *format, bool (*fits)(Dtype), Err *err);
/* The target must not exist, its folder must, with w->bytes free. */
bool writer_check_target(Writer *w, Err *err);
/* Past tensors without bytes. */
bool writer_settle(Writer *w, Err *err);
/* Starts the disk on what was written, so that the sync at the end is short
 * and few dirty pages pile up. */
void writer_flush(Writer *w);
/* Removes everything; the message names the file and errno. False. */
bool writer_fail(Writer *w, const char *file, Err *err);
void writer_clean(Writer *w); /* the same without a message */
bool writer_close_file(Writer *w, const char *name, Err *err); /* and sync */
