/* One file, whole or not at all: at once, or piece by piece. */
#include "runtime/files/write_io.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool failed(const char *path, Err *err)
{
    return err_set(err, "%s: cannot be written: %s", path, strerror(errno));
}

/* Devices and pipes are written as they are. */
static bool write_in_place(const char *path, const void *data, size_t len,
                           Err *err)
{
    int fd = io_open_write(path);
    bool good = fd >= 0 && io_write_close(fd, data, len, false);
    return good || failed(path, err);
}

static bool write_beside(const char *path, const char *temporary,
                         const void *data, size_t len, Err *err)
{
    int fd = io_create(temporary);
    if (fd < 0)
        return failed(path, err);
    if (io_write_close(fd, data, len, true) && io_rename(temporary, path))
        return true;
    failed(path, err);
    unlink(temporary);
    return false;
}

bool file_write(const char *path, const void *data, size_t len, Err *err)
{
    struct stat st;
    Arena scratch = {0};
    io_no_size_signal();
    if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
        errno = EISDIR;
        return S_ISDIR(st.st_mode) ? failed(path, err)
                                   : write_in_place(path, data, len, err);
    }
    bool good = write_beside(path, io_beside(&scratch, path), data, len, err);
    arena_free(&scratch);
    return good;
}

/* ---- piece by piece ---- */

struct FileStream {
    Arena arena;
    const char *path, *temporary, *parent;
    int fd;
};

static void stream_free(FileStream *f)
{
    arena_free(&f->arena);
    free(f);
}

FileStream *stream_begin(const char *path, Err *err)
{
    FileStream *f = xmalloc(sizeof *f);
    *f = (FileStream){.fd = -1};
    io_no_size_signal();
    f->path = arena_printf(&f->arena, "%s", path);
    f->temporary = io_beside(&f->arena, path);
    f->parent = io_parent(&f->arena, path);
    f->fd = io_create(f->temporary);
    if (f->fd >= 0)
        return f;
    failed(path, err);
    stream_free(f);
    return NULL;
}

bool stream_put(FileStream *f, const void *data, size_t len, Err *err)
{
    return io_write(f->fd, data, len) || failed(f->path, err);
}

void stream_cancel(FileStream *f)
{
    io_close(f->fd);
    unlink(f->temporary);
    stream_free(f);
}

bool stream_finish(FileStream *f, Err *err)
{
    if (!io_sync(f->fd)) {
        failed(f->path, err);
        stream_cancel(f);
        return false;
    }
    bool fine = io_close(f->fd) && io_rename(f->temporary, f->path) &&
                io_sync_dir(f->parent);
    if (!fine) {
        failed(f->path, err);
        unlink(f->temporary);
    }
    stream_free(f);
    return fine;
}
