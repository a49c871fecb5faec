/* A target written whole or not at all: made under a temporary name beside
 * it, streamed, synced, renamed. Whatever fails, nothing is left. */
#define _GNU_SOURCE
#include "runtime/files/write.h"
#include "runtime/files/files_private.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ---- whatever happens ---- */

static Writer *alive;

void writer_clean(Writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    if (w->made)
        io_remove(w->temporary);
    w->made = false;
    w->failed = true;
}

/* Also where the program ends by exit() in the middle. */
static void clean_all(void)
{
    for (Writer *w = alive; w; w = w->next)
        writer_clean(w);
}

static void enlist(Writer *w)
{
    static bool registered;
    if (!registered)
        atexit(clean_all);
    registered = true;
    w->next = alive;
    alive = w;
}

static void release(Writer *w)
{
    Writer **at = &alive;
    while (*at && *at != w)
        at = &(*at)->next;
    if (*at)
        *at = w->next;
    arena_free(&w->arena);
    free(w);
}

bool writer_fail(Writer *w, const char *file, Err *err)
{
    if (rt_interrupted)
        err_set(err, "%s: interrupted, nothing was written", w->path);
    else
        err_set(err, "%s: cannot write %s: %s", w->path, file,
                strerror(errno));
    writer_clean(w);
    return false;
}

/* ---- begin ---- */

static bool check_tensors(Writer *w, const char *format, bool (*fits)(Dtype),
                          Err *err)
{
    NameIndex seen = {0};
    int64_t count;
    bool good = true;
    w->size = arena_alloc(&w->arena, (size_t)w->tensors * sizeof *w->size);
    for (int i = 0; i < w->tensors && good; i++) {
        const TensorInfo *t = &w->tensor[i];
        if (!fits(t->dtype))
            good = err_set(err, "tensor %s: %s has no such type",
                           tensor_text(t), format);
        else if (!shape_bytes(t, &count, &w->size[i]))
            good = err_set(err, "tensor %s: its shape is too large",
                           tensor_text(t));
        else if (!names_add(&seen, t->name, i))
            good = err_set(err, "tensor %.200s would be written twice",
                           t->name);
    }
    names_free(&seen);
    return good;
}

static const char *trimmed(Arena *a, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return arena_strn(a, path, n);
}

Writer *writer_new(const char *path, const TensorInfo *tensor, int tensors,
                   const char *format, bool (*fits)(Dtype), Err *err)
{
    Writer *w = xmalloc(sizeof *w);
    *w = (Writer){.fd = -1, .tensor = tensor, .tensors = tensors};
    io_no_size_signal();
    w->path = trimmed(&w->arena, path);
    w->parent = io_parent(&w->arena, w->path);
    w->temporary = io_beside(&w->arena, w->path);
    files_sweep(w->path);
    enlist(w);
    if (check_tensors(w, format, fits, err))
        return w;
    writer_cancel(w);
    return NULL;
}

bool writer_check_target(Writer *w, Err *err)
{
    struct stat st;
    struct statvfs disk;
    if (!lstat(w->path, &st))
        return err_set(err, "%s: is there already", w->path);
    if (stat(w->parent, &st))
        return err_set(err, "%s: its folder %s: %s", w->path, w->parent,
                       strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return err_set(err, "%s: %s is no folder", w->path, w->parent);
    if (statvfs(w->parent, &disk) || !disk.f_blocks)
        return true;
    double free_bytes = (double)disk.f_bavail * (double)disk.f_frsize;
    if ((double)w->bytes > free_bytes)
        return err_set(err, "%s: needs %.2f GB, the disk has %.2f GB free",
                       w->path, (double)w->bytes / 1e9, free_bytes / 1e9);
    return true;
}

/* ---- tensors ---- */

bool writer_settle(Writer *w, Err *err)
{
    while (w->current < w->tensors && w->done == w->size[w->current]) {
        if (!w->complete(w, err))
            return false;
        w->done = 0;
    }
    return true;
}

void writer_flush(Writer *w)
{
    if (w->at - w->flushed < PIECE)
        return;
    sync_file_range(w->fd, w->flushed, w->at - w->flushed,
                    SYNC_FILE_RANGE_WRITE);
    w->flushed = w->at;
}

static bool put_piece(Writer *w, const void *data, int64_t n, Err *err)
{
    if (rt_interrupted)
        return writer_fail(w, "on", err);
    if (!w->put(w, data, n, err)) /* it may have said why */
        return !w->failed && writer_fail(w, w->tensor[w->current].name, err);
    w->done += n;
    w->written += n;
    return writer_settle(w, err);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

bool writer_put(Writer *w, const void *data, int64_t bytes, Err *err)
{
    if (w->failed)
        return false;
    for (int64_t n; bytes; bytes -= n, data = (const char *)data + n) {
        if (w->current == w->tensors)
            BUG("%s: %lld bytes more than the tensors have", w->path,
                (long long)bytes);
        n = least(least(bytes, PIECE), w->size[w->current] - w->done);
        if (!put_piece(w, data, n, err))
            return false;
    }
    return true;
}

/* The pages behind a piece that was copied out. */
static void drop(const char *data, int64_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = (uintptr_t)data / page * page;
    madvise((void *)from, (uintptr_t)data + (uintptr_t)n - from,
            MADV_DONTNEED);
}

bool writer_copy(Writer *w, const FileTensor *from, Err *err)
{
    if (w->failed)
        return false;
    if (w->current < w->tensors &&
        (w->done || from->info.dtype != w->tensor[w->current].dtype ||
         from->info.bytes != w->size[w->current] ||
         from->rows != ROWS_plain))
        BUG("writer_copy of %s: %s is next", tensor_text(&from->info),
            tensor_text(&w->tensor[w->current]));
    const char *data = from->info.data;
    for (int64_t n, left = from->info.bytes; left; left -= n, data += n) {
        n = least(left, PIECE);
        if (!writer_put(w, data, n, err))
            return false;
        drop(data, n);
    }
    return true;
}

int64_t writer_written(const Writer *w)
{
    return w->written;
}

/* ---- end ---- */

bool writer_close_file(Writer *w, const char *name, Err *err)
{
    int fd = w->fd;
    if (!io_sync(fd))
        return writer_fail(w, name, err);
    w->fd = -1;
    return io_close(fd) || writer_fail(w, name, err);
}

/* Once renamed, what is to be removed on failure has its new name. */
static bool publish(Writer *w, Err *err)
{
    if (rt_interrupted)
        return writer_fail(w, "it", err);
    if (!io_rename_new(w->temporary, w->path))
        return errno == EEXIST
                   ? (writer_clean(w),
                      err_set(err, "%s: is there already", w->path))
                   : writer_fail(w, "it", err);
    w->temporary = w->path;
    return io_sync_dir(w->parent) || writer_fail(w, "it", err);
}

bool writer_finish(Writer *w, Err *err)
{
    bool good = false;
    if (!w->failed) {
        if (w->current != w->tensors)
            BUG("%s: finished at tensor %d of %d", w->path, w->current,
                w->tensors);
        good = w->close(w, err) && publish(w, err);
    }
    if (good)
        w->made = false;
    writer_cancel(w);
    return good;
}

void writer_cancel(Writer *w)
{
    writer_clean(w);
    release(w);
}
