/* The few file operations that writers need, with failures on request. */
#include "runtime/files/write_io.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

volatile sig_atomic_t rt_interrupted;

static long fail_at, counted;
static int fail_with;

void io_fail_at(long n, int error)
{
    fail_at = n;
    fail_with = error;
    counted = 0;
}

long io_count(void)
{
    return counted;
}

/* Counts an operation; true if it is the one to fail. */
static bool failing(void)
{
    if (++counted != fail_at)
        return false;
    errno = fail_with;
    return true;
}

/* The second of a kind ends the program, should the first go unseen. */
static void on_signal(int number)
{
    (void)number;
    rt_interrupted = 1;
}

void rt_catch_interrupts(void)
{
    struct sigaction act = {.sa_handler = on_signal,
                            .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    sigaction(SIGQUIT, &act, NULL);
}

void io_no_size_signal(void)
{
    signal(SIGXFSZ, SIG_IGN);
}

int io_make_dir(const char *path)
{
    return failing() ? -1 : mkdir(path, 0777);
}

int io_create(const char *path)
{
    return failing() ? -1
                     : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                            0666);
}

int io_open_write(const char *path)
{
    return failing() ? -1 : open(path, O_WRONLY | O_CLOEXEC);
}

/* At the file's position where `at` is -1. */
static bool write_all(int fd, const char *from, size_t len, int64_t at)
{
    if (failing())
        return false;
    while (len) {
        ssize_t n = at < 0 ? write(fd, from, len)
                           : pwrite(fd, from, len, (off_t)at);
        if (n < 0 && errno == EINTR && !rt_interrupted)
            continue;
        if (n < 0)
            return false;
        from += n;
        len -= (size_t)n;
        at += at < 0 ? 0 : n;
    }
    return true;
}

bool io_write(int fd, const void *data, size_t len)
{
    return write_all(fd, data, len, -1);
}

bool io_write_at(int fd, const void *data, size_t len, int64_t at)
{
    return write_all(fd, data, len, at);
}

bool io_sync(int fd)
{
    return !failing() && !fsync(fd);
}

bool io_close(int fd)
{
    bool fail = failing();
    int error = errno;
    bool closed = !close(fd);
    if (fail)
        errno = error;
    return closed && !fail;
}

bool io_write_close(int fd, const void *data, size_t len, bool sync)
{
    if (io_write(fd, data, len) && (!sync || io_sync(fd)))
        return io_close(fd);
    int error = errno;
    close(fd);
    errno = error;
    return false;
}

bool io_sync_dir(const char *path)
{
    if (failing())
        return false;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool synced = !fsync(fd) || errno == EINVAL; /* some cannot, by kind */
    int error = errno;
    close(fd);
    errno = error;
    return synced;
}

bool io_rename(const char *from, const char *to)
{
    return !failing() && !rename(from, to);
}

bool io_rename_new(const char *from, const char *to)
{
    enum { NO_REPLACE = 1 };
    struct stat st;
    if (failing())
        return false;
    if (!syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, NO_REPLACE))
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
    if (!lstat(to, &st)) { /* a file system without it: look, then rename */
        errno = EEXIST;
        return false;
    }
    return !rename(from, to);
}

static void remove_files(const char *path, DIR *dir)
{
    Arena scratch = {0};
    for (struct dirent *e; (e = readdir(dir));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            io_remove(arena_printf(&scratch, "%s/%s", path, e->d_name));
    arena_free(&scratch);
}

void io_remove(const char *path)
{
    /* no link is followed, also one put there a moment ago */
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !dir)
        close(fd);
    if (dir) {
        remove_files(path, dir);
        closedir(dir);
        rmdir(path);
    } else
        unlink(path);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *io_parent(Arena *a, const char *path)
{
    size_t n = (size_t)(last_part(path) - path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return n ? arena_strn(a, path, n) : ".";
}

/* Is the name one of a writer that is no more? */
static bool is_left(const char *name, const char *target)
{
    static const char mark[] = ".graft-";
    size_t len = strlen(target);
    if (name[0] != '.' || strncmp(name + 1, target, len) ||
        strncmp(name + 1 + len, mark, sizeof mark - 1))
        return false;
    char *end;
    long pid = strtol(name + len + sizeof mark, &end, 10);
    return pid > 0 && !*end && kill((pid_t)pid, 0) && errno == ESRCH;
}

void files_sweep(const char *path)
{
    Arena a = {0};
    const char *parent = io_parent(&a, path), *name = last_part(path);
    DIR *dir = opendir(parent);
    for (struct dirent *d; dir && (d = readdir(dir));)
        if (is_left(d->d_name, name))
            io_remove(arena_printf(&a, "%s/%s", parent, d->d_name));
    if (dir)
        closedir(dir);
    arena_free(&a);
}

const char *io_beside(Arena *a, const char *path)
{
    return arena_printf(a, "%s/.%s.graft-%ld", io_parent(a, path),
                        last_part(path), (long)getpid());
}
