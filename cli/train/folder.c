/* A run's folder: made, held, swept. */
#define _GNU_SOURCE
#include "cli/train/folder.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *at)
{
    (void)st, (void)type, (void)at;
    remove(path);
    return 0;
}

void folder_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- marks ---- */

static const char *mark_path(const Run *r, Arena *a, const char *name)
{
    return arena_printf(a, "%s/%s", r->folder, name);
}

bool folder_mark(const Run *r, const char *name, Err *err)
{
    Arena a = {0};
    bool fine = file_write(mark_path(r, &a, name), "", 0, err);
    arena_free(&a);
    return fine;
}

bool folder_marked(const Run *r, const char *name)
{
    Arena a = {0};
    bool there = !access(mark_path(r, &a, name), F_OK);
    arena_free(&a);
    return there;
}

/* ---- opened ---- */

static bool make(Run *r, Err *err)
{
    struct stat st;
    const char *path = r->folder;
    r->fresh = !mkdir(path, 0777);
    if (r->fresh || (!stat(path, &st) && S_ISDIR(st.st_mode)))
        return true;
    return err_set(err, "%s: the folder cannot be made: %s", path,
                   strerror(errno));
}

static bool hold(Run *r, Err *err)
{
    Arena a = {0};
    const char *path = mark_path(r, &a, "lock");
    r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    bool fine = r->lock >= 0 ||
                err_set(err, "%s: %s", path, strerror(errno));
    if (fine && flock(r->lock, LOCK_EX | LOCK_NB))
        fine = err_set(err, errno == EWOULDBLOCK
                                ? "%s: another run is at work in it"
                                : "%s: it cannot be held",
                       r->folder);
    arena_free(&a);
    return fine;
}

/* All of the folder but the lock, and what it has saved. */
static void begin_anew(Run *r)
{
    Arena a = {0};
    for (int i = 0; i < r->plan.action.n; i++) {
        const Action *act = &r->plan.action.at[i];
        if (act->kind == ACT_save &&
            folder_marked(r, arena_printf(&a, "saving-%d", i)))
            folder_remove(act->out);
    }
    DIR *dir = opendir(r->folder);
    for (struct dirent *d; dir && (d = readdir(dir));)
        if (strcmp(d->d_name, ".") && strcmp(d->d_name, "..") &&
            strcmp(d->d_name, "lock"))
            folder_remove(arena_printf(&a, "%s/%s", r->folder, d->d_name));
    if (dir)
        closedir(dir);
    arena_free(&a);
}

/* A folder that is ours begins with a lock; one of another kind stays as it is.
 */
static bool is_ours(const Run *r, Err *err)
{
    DIR *dir = opendir(r->folder);
    bool any = false;
    for (struct dirent *d; dir && (d = readdir(dir));)
        any |= strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
    if (dir)
        closedir(dir);
    return !any || folder_marked(r, "lock") ||
           err_set(err, "%s: it is there, and is no run's folder", r->folder);
}

bool folder_open(Run *r, Err *err)
{
    if (!make(r, err) || !is_ours(r, err) || !hold(r, err))
        return false;
    if (r->o->restart)
        begin_anew(r);
    for (int i = 0; i < r->plan.action.n; i++)
        if (r->plan.action.at[i].kind == ACT_save)
            files_sweep(r->plan.action.at[i].out);
    return identity_check(r, err);
}

void folder_close(Run *r)
{
    if (r->lock >= 0)
        close(r->lock);
}
