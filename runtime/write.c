/* A Hugging Face folder, streamed: made under a temporary name beside the
 * target, synced, renamed. Whatever fails, nothing is left. */
#define _GNU_SOURCE
#include "runtime/write.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PIECE = 8 << 20 }; /* bytes between looks at signals and flushes */

struct FolderWriter {
    Plan plan;
    const char *path, *temporary, *parent;
    int shard, fd; /* the file being written, or -1 */
    int tensor;    /* the next bytes are this one's */
    int64_t done;  /* of its bytes */
    int64_t written;
    int64_t at, flushed; /* in the file */
    bool made, failed;
    FolderWriter *next; /* of those alive */
};

/* ---- whatever happens ---- */

static FolderWriter *alive;

static void clean(FolderWriter *w)
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
    for (FolderWriter *w = alive; w; w = w->next)
        clean(w);
}

static void enlist(FolderWriter *w)
{
    static bool registered;
    if (!registered)
        atexit(clean_all);
    registered = true;
    w->next = alive;
    alive = w;
}

static void release(FolderWriter *w)
{
    FolderWriter **at = &alive;
    while (*at && *at != w)
        at = &(*at)->next;
    if (*at)
        *at = w->next;
    arena_free(&w->plan.arena);
    free(w);
}

/* Removes everything; the message names the file. False. */
static bool fail(FolderWriter *w, const char *file, Err *err)
{
    if (rt_interrupted)
        err_set(err, "%s: interrupted, nothing was written", w->path);
    else
        err_set(err, "%s: cannot write %s: %s", w->path, file,
                strerror(errno));
    clean(w);
    return false;
}

/* ---- the small files ---- */

static bool write_small(FolderWriter *w, const char *name, const void *data,
                        size_t len, Err *err)
{
    const char *path = arena_printf(&w->plan.arena, "%s/%s", w->temporary,
                                    name);
    int fd = io_create(path);
    if (fd < 0 || !io_write_close(fd, data, len, true))
        return fail(w, name, err);
    return true;
}

static bool write_copy(FolderWriter *w, const FileSpec *f, Err *err)
{
    size_t len;
    char *text = read_file(f->from, &len, err);
    if (!text) {
        clean(w);
        return false;
    }
    bool good = write_small(w, f->name, text, len, err);
    free(text);
    return good;
}

static bool write_files(FolderWriter *w, Err *err)
{
    const FolderSpec *spec = w->plan.spec;
    const char *index = plan_index(&w->plan);
    for (int i = 0; i < spec->files; i++) {
        const FileSpec *f = &spec->file[i];
        if (!(f->text ? write_small(w, f->name, f->text, f->len, err)
                      : write_copy(w, f, err)))
            return false;
    }
    return !index || write_small(w, "model.safetensors.index.json", index,
                                 strlen(index), err);
}

/* ---- tensors ---- */

static Shard *shard(FolderWriter *w)
{
    return &w->plan.shard[w->shard];
}

static bool open_shard(FolderWriter *w, Err *err)
{
    Shard *s = shard(w);
    uint64_t len = strlen(s->header);
    w->fd = io_create(arena_printf(&w->plan.arena, "%s/%s", w->temporary,
                                   s->name));
    if (w->fd < 0 || !io_write(w->fd, &len, sizeof len) ||
        !io_write(w->fd, s->header, len))
        return fail(w, s->name, err);
    w->at = (int64_t)len + 8;
    w->flushed = 0;
    return true;
}

static bool close_shard(FolderWriter *w, Err *err)
{
    int fd = w->fd;
    if (!io_sync(fd))
        return fail(w, shard(w)->name, err);
    w->fd = -1;
    return io_close(fd) || fail(w, shard(w)->name, err);
}

/* Past tensors that are complete (also empty ones), to the shard of the next
 * byte. */
static bool settle(FolderWriter *w, Err *err)
{
    const FolderSpec *spec = w->plan.spec;
    while (w->tensor < spec->tensors &&
           w->done == w->plan.size[w->tensor]) {
        w->tensor++;
        w->done = 0;
        if (w->tensor == shard(w)->end && w->shard + 1 < w->plan.shards) {
            if (!close_shard(w, err))
                return false;
            w->shard++;
            if (!open_shard(w, err))
                return false;
        }
    }
    return true;
}

/* Starts the disk on what was written, so that the sync at the end is short
 * and few dirty pages pile up. */
static void flush(FolderWriter *w)
{
    if (w->at - w->flushed < PIECE)
        return;
    sync_file_range(w->fd, w->flushed, w->at - w->flushed,
                    SYNC_FILE_RANGE_WRITE);
    w->flushed = w->at;
}

static bool put_piece(FolderWriter *w, const void *data, int64_t n, Err *err)
{
    if (rt_interrupted)
        return fail(w, shard(w)->name, err);
    if (!io_write(w->fd, data, (size_t)n))
        return fail(w, w->plan.spec->tensor[w->tensor].name, err);
    w->at += n;
    w->done += n;
    w->written += n;
    flush(w);
    return settle(w, err);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

bool folder_put(FolderWriter *w, const void *data, int64_t bytes, Err *err)
{
    const FolderSpec *spec = w->plan.spec;
    if (w->failed)
        return false;
    for (int64_t n; bytes; bytes -= n, data = (const char *)data + n) {
        if (w->tensor == spec->tensors)
            BUG("%s: %lld bytes more than the tensors have", w->path,
                (long long)bytes);
        n = least(least(bytes, PIECE),
                  w->plan.size[w->tensor] - w->done);
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

bool folder_copy(FolderWriter *w, const FileTensor *from, Err *err)
{
    const FolderSpec *spec = w->plan.spec;
    if (w->failed)
        return false;
    if (w->tensor < spec->tensors && (w->done ||
        from->info.dtype != spec->tensor[w->tensor].dtype ||
        from->info.bytes != w->plan.size[w->tensor] ||
        from->rows != ROWS_plain))
        BUG("folder_copy of %s: %s is next", tensor_text(&from->info),
            tensor_text(&spec->tensor[w->tensor]));
    const char *data = from->info.data;
    for (int64_t n, left = from->info.bytes; left; left -= n, data += n) {
        n = least(left, PIECE);
        if (!folder_put(w, data, n, err))
            return false;
        drop(data, n);
    }
    return true;
}

int64_t folder_written(const FolderWriter *w)
{
    return w->written;
}

/* ---- begin and end ---- */

static bool check_target(FolderWriter *w, Err *err)
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
    if ((double)w->plan.bytes > free_bytes)
        return err_set(err, "%s: needs %.2f GB, the disk has %.2f GB free",
                       w->path, (double)w->plan.bytes / 1e9,
                       free_bytes / 1e9);
    return true;
}

static bool make_temporary(FolderWriter *w, Err *err)
{
    io_remove(w->temporary); /* a dead process had our number */
    if (io_make_dir(w->temporary))
        return err_set(err, "%s: cannot be made: %s", w->path,
                       strerror(errno));
    w->made = true;
    return write_files(w, err) && open_shard(w, err) && settle(w, err);
}

static const char *trimmed(Arena *a, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return arena_strn(a, path, n);
}

FolderWriter *folder_begin(const char *path, const FolderSpec *spec, Err *err)
{
    FolderWriter *w = xmalloc(sizeof *w);
    *w = (FolderWriter){.fd = -1};
    Arena *a = &w->plan.arena;
    io_no_size_signal();
    w->path = trimmed(a, path);
    w->parent = io_parent(a, w->path);
    w->temporary = io_beside(a, w->path);
    enlist(w);
    if (plan_make(&w->plan, spec, err) && check_target(w, err) &&
        make_temporary(w, err))
        return w;
    folder_cancel(w);
    return NULL;
}

/* Once renamed, what is to be removed on failure has its new name. */
static bool publish(FolderWriter *w, Err *err)
{
    if (rt_interrupted || !io_sync_dir(w->temporary))
        return fail(w, "the folder", err);
    if (!io_rename_new(w->temporary, w->path))
        return errno == EEXIST
                   ? (clean(w), err_set(err, "%s: is there already", w->path))
                   : fail(w, "the folder", err);
    w->temporary = w->path;
    return io_sync_dir(w->parent) || fail(w, "the folder", err);
}

bool folder_finish(FolderWriter *w, Err *err)
{
    bool good = false;
    if (!w->failed) {
        if (w->tensor != w->plan.spec->tensors)
            BUG("%s: finished at tensor %d of %d", w->path, w->tensor,
                w->plan.spec->tensors);
        good = close_shard(w, err) && publish(w, err);
    }
    if (good)
        w->made = false;
    folder_cancel(w);
    return good;
}

void folder_cancel(FolderWriter *w)
{
    clean(w);
    release(w);
}
