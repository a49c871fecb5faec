/* What explore found on this machine: a `schedule` definition in the folder of
 * compiled code. Written to a temporary name and renamed, under a lock: runs
 * side by side add to it, one that is killed leaves it as it was. A damaged
 * file counts as none. */
#include "codegen/jit/cache.h"
#include "codegen/emit/kernel.h"
#include "codegen/jit/measure.h"
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 1000, MOST_BYTES = 1 << 20 };

static void store_path(char *path, size_t size, const char *folder)
{
    snprintf(path, size, "%s/schedules-%016llx.graft", folder,
             (unsigned long long)machine_hash());
}

static char *read_text(Arena *a, const char *path, int *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    struct stat s;
    char *text = NULL;
    if (f && !fstat(fd, &s) && S_ISREG(s.st_mode) &&
        s.st_uid == geteuid() && s.st_size < MOST_BYTES) {
        text = arena_alloc(a, (size_t)s.st_size + 1);
        *len = (int)fread(text, 1, (size_t)s.st_size, f);
        text[*len] = 0;
    }
    if (f)
        fclose(f);
    else if (fd >= 0)
        close(fd);
    return text;
}

static void read_pins(Pins *p, const char *path)
{
    int len = 0;
    const char *text = read_text(p->arena, path, &len);
    if (text)
        pins_from_text(p, path, text, len);
}

void store_read(Pins *p, const char *folder)
{
    char path[4200];
    store_path(path, sizeof path, folder);
    read_pins(p, path);
}

static bool write_pins(const Pins *p, const char *path)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    pins_print(p, "found", MOST, f);
    bool good = !fclose(f) && cache_replace(path, NULL, 0, text, len);
    free(text);
    return good;
}

bool schedules_keep(const Pins *found, Err *err)
{
    char folder[4096], path[4200], lock[4300];
    if (!cache_folder(folder, sizeof folder))
        return err_set(err, "no cache folder: HOME is not set");
    store_path(path, sizeof path, folder);
    snprintf(lock, sizeof lock, "%s.lock", path);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                  0600);
    if (fd < 0 || flock(fd, LOCK_EX)) {
        if (fd >= 0)
            close(fd);
        return err_set(err, "%s: cannot be locked", lock);
    }
    Arena a = {0};
    Pins all = {.arena = &a};
    read_pins(&all, path);
    pins_merge(&all, found);
    bool good = write_pins(&all, path);
    arena_free(&a);
    close(fd);
    return good || err_set(err, "%s: cannot be written", path);
}

int schedules_kept(char *path, size_t size)
{
    char folder[4096];
    Arena a = {0};
    Pins all = {.arena = &a};
    *path = 0;
    if (!cache_folder(folder, sizeof folder))
        return 0;
    store_path(path, size, folder);
    read_pins(&all, path);
    arena_free(&a);
    return all.at.n;
}
