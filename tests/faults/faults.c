/* A library to preload: the n-th call of a kind fails, once or from then on.
 * GRAFT_FAULT is "open 3" or "write 2+" (+: and all after it). With n 0 calls
 * are only counted; GRAFT_FAULT_COUNT names a file that gets the number. */
#undef _FORTIFY_SOURCE /* its inlines would be ours */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char kind[32];
static long fail_at;
static bool lasting, counting;
static atomic_long calls;

__attribute__((constructor)) static void start(void)
{
    const char *what = getenv("GRAFT_FAULT");
    char plus = 0;
    if (what && sscanf(what, "%31s %ld%c", kind, &fail_at, &plus) >= 2)
        lasting = plus == '+';
    counting = true;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("GRAFT_FAULT_COUNT");
    counting = false;
    FILE *f = path ? fopen(path, "w") : NULL;
    if (f) {
        fprintf(f, "%ld\n", atomic_load(&calls));
        fclose(f);
    }
}

/* Is it this call? errno is then set. */
static bool fails(const char *of, int error)
{
    if (!counting || strcmp(kind, of) != 0)
        return false;
    long n = atomic_fetch_add(&calls, 1) + 1;
    if (!fail_at || (lasting ? n < fail_at : n != fail_at))
        return false;
    errno = error;
    return true;
}

/* The function that this one stands before. */
#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) \
        *(void **)&next = dlsym(RTLD_NEXT, #name)

static mode_t mode_of(int flags, va_list ap)
{
    return flags & O_CREAT ? va_arg(ap, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    NEXT(open);
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return fails("open", EMFILE) ? -1 : next(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    NEXT(open64);
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return fails("open", EMFILE) ? -1 : next(path, flags, mode);
}

ssize_t read(int fd, void *to, size_t n)
{
    NEXT(read);
    return fails("read", EIO) ? -1 : next(fd, to, n);
}

ssize_t write(int fd, const void *from, size_t n)
{
    NEXT(write);
    return fd > 2 && fails("write", ENOSPC) ? -1 : next(fd, from, n);
}

int fsync(int fd)
{
    NEXT(fsync);
    return fails("fsync", EIO) ? -1 : next(fd);
}

int close(int fd)
{
    NEXT(close);
    int status = next(fd);
    return fails("close", EIO) ? -1 : status;
}

int rename(const char *from, const char *to)
{
    NEXT(rename);
    return fails("rename", EACCES) ? -1 : next(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    NEXT(mkdir);
    return fails("mkdir", EACCES) ? -1 : next(path, mode);
}

struct dirent *readdir(DIR *dir)
{
    NEXT(readdir);
    return fails("readdir", EIO) ? NULL : next(dir);
}

void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
    NEXT(mmap);
    return fd >= 0 && fails("mmap", ENOMEM)
               ? MAP_FAILED
               : next(at, n, prot, flags, fd, off);
}

int pthread_create(pthread_t *t, const pthread_attr_t *a,
                   void *(*run)(void *), void *user)
{
    NEXT(pthread_create);
    return fails("thread", EAGAIN) ? EAGAIN : next(t, a, run, user);
}

extern void *__libc_malloc(size_t n);
extern void *__libc_realloc(void *old, size_t n);
void *malloc(size_t n)
{
    return fails("malloc", ENOMEM) ? NULL : __libc_malloc(n);
}

void *realloc(void *old, size_t n)
{
    return fails("malloc", ENOMEM) ? NULL : __libc_realloc(old, n);
}
