/* A Hugging Face folder, streamed: small files, then shard after shard. */
#include "runtime/files/write_plan.h"
#include <errno.h>
#include <string.h>

typedef struct {
    ShardPlan plan;
    int shard; /* the one being written */
} Folder;

/* ---- the small files ---- */

static bool write_small(Writer *w, const char *name, const void *data,
                        size_t len, Err *err)
{
    const char *path = arena_printf(&w->arena, "%s/%s", w->temporary, name);
    for (const char *s = strchr(name, '/'); s; s = strchr(s + 1, '/'))
        if (io_make_dir(arena_printf(&w->arena, "%s/%.*s", w->temporary,
                                     (int)(s - name), name)) &&
            errno != EEXIST)
            return writer_fail(w, name, err);
    int fd = io_create(path);
    if (fd < 0 || !io_write_close(fd, data, len, true))
        return writer_fail(w, name, err);
    return true;
}

static bool write_copy(Writer *w, const FileSpec *f, Err *err)
{
    size_t len;
    char *text = read_file(f->from, &len, err);
    if (!text) {
        writer_clean(w);
        return false;
    }
    bool good = write_small(w, f->name, text, len, err);
    free(text);
    return good;
}

static bool write_files(Writer *w, Err *err)
{
    Folder *o = w->own;
    const FolderSpec *spec = o->plan.spec;
    const char *index = shard_plan_index(&o->plan);
    for (int i = 0; i < spec->files; i++) {
        const FileSpec *f = &spec->file[i];
        if (!(f->text ? write_small(w, f->name, f->text, f->len, err)
                      : write_copy(w, f, err)))
            return false;
    }
    return !index || write_small(w, "model.safetensors.index.json", index,
                                 strlen(index), err);
}

/* ---- shards ---- */

static Shard *shard(Writer *w)
{
    Folder *o = w->own;
    return &o->plan.shard[o->shard];
}

static bool open_shard(Writer *w, Err *err)
{
    Shard *s = shard(w);
    uint64_t len = strlen(s->header);
    w->fd = io_create(arena_printf(&w->arena, "%s/%s", w->temporary,
                                   s->name));
    if (w->fd < 0 || !io_write(w->fd, &len, sizeof len) ||
        !io_write(w->fd, s->header, len))
        return writer_fail(w, s->name, err);
    w->at = (int64_t)len + 8;
    w->flushed = 0;
    return true;
}

static bool put(Writer *w, const void *data, int64_t n, Err *err)
{
    (void)err;
    if (!io_write(w->fd, data, (size_t)n))
        return false;
    w->at += n;
    writer_flush(w);
    return true;
}

/* On to the shard of the next byte. */
static bool complete(Writer *w, Err *err)
{
    Folder *o = w->own;
    w->current++;
    if (w->current != shard(w)->end || o->shard + 1 == o->plan.shards)
        return true;
    if (!writer_close_file(w, shard(w)->name, err))
        return false;
    o->shard++;
    return open_shard(w, err);
}

static bool close_folder(Writer *w, Err *err)
{
    return writer_close_file(w, shard(w)->name, err) &&
           ((!rt_interrupted && io_sync_dir(w->temporary)) ||
            writer_fail(w, "the folder", err));
}

/* ---- begin ---- */

static bool make_temporary(Writer *w, Err *err)
{
    io_remove(w->temporary); /* a dead process had our number */
    if (io_make_dir(w->temporary))
        return err_set(err, "%s: cannot be made: %s", w->path,
                       strerror(errno));
    w->made = true;
    return write_files(w, err) && open_shard(w, err) && writer_settle(w, err);
}

static bool in_safetensors(Dtype t)
{
    return type_info[t].safetensors;
}

Writer *folder_begin(const char *path, const FolderSpec *spec, Err *err)
{
    Writer *w = writer_new(path, spec->tensor, spec->tensors, "safetensors",
                           in_safetensors, err);
    if (!w)
        return NULL;
    Folder *o = w->own = arena_alloc(&w->arena, sizeof *o);
    w->put = put;
    w->complete = complete;
    w->close = close_folder;
    shard_plan_make(&o->plan, &w->arena, spec, w->size);
    w->bytes = o->plan.bytes;
    if (writer_check_target(w, err) && make_temporary(w, err))
        return w;
    writer_cancel(w);
    return NULL;
}
