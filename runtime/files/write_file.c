/* One file, whole or not at all. */
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
