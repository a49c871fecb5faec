/* Files mapped read-only. What a header says is checked against the size that
 * the file has now. */
#include "runtime/files/files_private.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool map_fd(FileMap *m, Err *err)
{
    struct stat st;
    if (fstat(m->fd, &st))
        return err_set(err, "%s: %s", m->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, "%s: this is no regular file", m->path);
    if (!st.st_size)
        return err_set(err, "%s: the file is empty", m->path);
    void *base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, m->fd,
                      0);
    if (base == MAP_FAILED)
        return err_set(err, "%s: cannot be mapped: %s", m->path,
                       strerror(errno));
    m->base = base;
    m->size = st.st_size;
    guard_map(m);
    return true;
}

bool map_open(FileMap *m, Arena *arena, const char *path, Err *err)
{
    *m = (FileMap){.path = arena_strn(arena, path, strlen(path))};
    /* O_NONBLOCK: a pipe in the file's place must not make us wait */
    m->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (m->fd < 0)
        return err_set(err, "%s: %s", path, strerror(errno));
    if (map_fd(m, err))
        return true;
    close(m->fd);
    return false;
}

void map_close(FileMap *m)
{
    guard_unmap(m);
    munmap((void *)m->base, (size_t)m->size);
    close(m->fd);
    *m = (FileMap){.fd = -1};
}

int checkpoint_map(Checkpoint *c, const char *path, Err *err)
{
    FileMap m;
    if (!map_open(&m, &c->arena, path, err))
        return -1;
    c->map = xrealloc(c->map, (size_t)(c->maps + 1) * sizeof m);
    c->map[c->maps] = m;
    return c->maps++;
}

void tensor_release(const FileTensor *t)
{
    if (t->rows == ROWS_strided) /* others read what lies between */
        return;
    if (!t->info.data)
        return; /* made of others */
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = (uintptr_t)t->info.data;
    uintptr_t to = from + (uintptr_t)t->info.bytes;
    from = from / page * page; /* a neighbour's bytes come back when read */
    if (to > from)
        madvise((void *)from, to - from, MADV_DONTNEED);
}
