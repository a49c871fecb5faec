/* The cache of compiled modules on disk. */
#include "codegen/jit/cache.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char magic[8];
    CacheKey key;
    uint64_t len;
    unsigned char sum[32];
} Head;
static const char magic[8] = "graft 2";

CacheKey cache_key(void)
{
    return (CacheKey){{0}};
}

/* Of the key so far and the data's own hash: both have one length. */
CacheKey cache_mix(CacheKey k, const void *data, size_t len)
{
    unsigned char both[64];
    memcpy(both, k.at, 32);
    sha256(data, len, both + 32);
    sha256(both, sizeof both, k.at);
    return k;
}

/* Ours, and nobody else may write to it. */
static bool is_ours(const struct stat *s)
{
    return s->st_uid == geteuid() && !(s->st_mode & (S_IWGRP | S_IWOTH));
}

/* A folder that others of a group could write to was made by an earlier graft
 * under such a umask: it is closed, and what is in it is not believed. */
static bool folder_is_ours(const char *folder)
{
    struct stat s;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && !fstat(fd, &s) && is_ours(&s);
    if (fd >= 0 && !good && !fstat(fd, &s) && s.st_uid == geteuid())
        fchmod(fd, 0700);
    if (fd >= 0)
        close(fd);
    return good;
}

bool cache_folder(char *path, size_t size)
{
    const char *dir = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (dir && *dir == '/')
        snprintf(path, size, "%s", dir);
    else if (home && *home)
        snprintf(path, size, "%s/.cache", home);
    else
        return false;
    mkdir(path, 0700);
    size_t len = strlen(path);
    snprintf(path + len, size - len, "/graft");
    return !mkdir(path, 0700) || errno == EEXIST;
}

static void entry_path(char *path, size_t size, const char *folder, CacheKey k)
{
    char name[65];
    for (int i = 0; i < 32; i++)
        snprintf(name + 2 * i, 3, "%02x", k.at[i]);
    snprintf(path, size, "%s/%s.o", folder, name);
}

/* ---- finding ---- */

static bool read_whole(int fd, void *to, size_t len)
{
    char *at = to;
    while (len > 0) {
        ssize_t n = read(fd, at, len);
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool head_holds(const Head *h, CacheKey k, const struct stat *s)
{
    return !memcmp(h->magic, magic, sizeof magic) &&
           !memcmp(&h->key, &k, sizeof k) &&
           (uint64_t)s->st_size == sizeof *h + h->len;
}

static void *read_entry(int fd, CacheKey k, size_t *len)
{
    Head h;
    struct stat s;
    unsigned char sum[32];
    if (fstat(fd, &s) || !S_ISREG(s.st_mode) || !is_ours(&s) ||
        !read_whole(fd, &h, sizeof h) ||
        !head_holds(&h, k, &s))
        return NULL;
    char *data = malloc(h.len + 1);
    if (data && read_whole(fd, data, h.len)) {
        sha256(data, h.len, sum);
        if (!memcmp(sum, h.sum, sizeof sum)) {
            *len = h.len;
            return data;
        }
    }
    free(data);
    return NULL;
}

void *cache_find(const char *folder, CacheKey k, size_t *len)
{
    char path[4096];
    entry_path(path, sizeof path, folder, k);
    int fd = folder_is_ours(folder)
                 ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
                 : -1;
    if (fd < 0)
        return NULL;
    void *data = read_entry(fd, k, len);
    if (data)
        futimens(fd, NULL); /* used: not among the oldest */
    close(fd);
    return data;
}

/* ---- keeping ---- */

static bool write_whole(int fd, const void *from, size_t len)
{
    const char *at = from;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

bool cache_replace(const char *path, const void *head, size_t nhead,
                   const void *data, size_t len)
{
    char temp[4200];
    snprintf(temp, sizeof temp, "%s.XXXXXX", path);
    int fd = mkstemp(temp);
    if (fd < 0)
        return false;
    bool good = write_whole(fd, head, nhead) && write_whole(fd, data, len);
    good = !close(fd) && good && !rename(temp, path);
    if (!good)
        unlink(temp);
    return good;
}

static bool write_entry(const char *path, CacheKey k, const void *data,
                        size_t len)
{
    Head h = {.key = k, .len = len};
    sha256(data, len, h.sum);
    memcpy(h.magic, magic, sizeof magic);
    return cache_replace(path, &h, sizeof h, data, len);
}

typedef struct {
    char name[256];
    int64_t bytes;
    struct timespec used;
} Entry;

static int by_age(const void *a, const void *b)
{
    const struct timespec *x = &((const Entry *)a)->used;
    const struct timespec *y = &((const Entry *)b)->used;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static bool ours(const char *name)
{
    size_t hex = strspn(name, "0123456789abcdef");
    return (hex == 64 || hex == 32) && !strncmp(name + hex, ".o", 2) &&
           strlen(name) < sizeof ((Entry *)0)->name;
}

static int list(const char *folder, Arena *a, Entry **out)
{
    LIST(Entry) all = {0};
    DIR *dir = opendir(folder);
    for (struct dirent *d; dir && (d = readdir(dir));) {
        struct stat s;
        if (!ours(d->d_name) || fstatat(dirfd(dir), d->d_name, &s, 0))
            continue;
        Entry e = {.bytes = s.st_size, .used = s.st_mtim};
        strcpy(e.name, d->d_name);
        list_push(a, &all, e);
    }
    if (dir)
        closedir(dir);
    *out = all.at;
    return all.n;
}

static void drop_oldest(const char *folder, int64_t limit)
{
    Arena a = {0};
    Entry *entry;
    int n = list(folder, &a, &entry);
    int64_t bytes = 0;
    for (int i = 0; i < n; i++)
        bytes += entry[i].bytes;
    if (bytes > limit)
        qsort(entry, (size_t)n, sizeof *entry, by_age);
    for (int i = 0; i < n && bytes > limit; i++) {
        char path[4400];
        snprintf(path, sizeof path, "%s/%s", folder, entry[i].name);
        if (!unlink(path) || errno == ENOENT) /* or another run did */
            bytes -= entry[i].bytes;
    }
    arena_free(&a);
}

void cache_keep(const char *folder, CacheKey k, const void *data, size_t len,
                int64_t limit)
{
    char path[4096];
    entry_path(path, sizeof path, folder, k);
    if (folder_is_ours(folder) && write_entry(path, k, data, len))
        drop_oldest(folder, limit);
}
