/* The shards of a folder that has lost their index: a whole set of files
 * model-00001-of-00003.safetensors says itself what belongs to it. */
#include "runtime/files/files_private.h"
#include <dirent.h>
#include <string.h>

typedef struct {
    int of;       /* how many there are, by their names; 0: none was found */
    int there;    /* how many were found */
    bool several; /* sets of other sizes too */
} ShardSet;

static const char *shard_name(Arena *a, int i, int of)
{
    return arena_printf(a, "model-%05d-of-%05d.safetensors", i, of);
}

static void count(ShardSet *s, Arena *a, const char *name)
{
    int i, of;
    if (sscanf(name, "model-%d-of-%d.safetensors", &i, &of) != 2 || i < 1 ||
        i > of || strcmp(name, shard_name(a, i, of)))
        return;
    s->several |= s->of && s->of != of;
    s->of = of;
    s->there++;
}

static ShardSet find_set(Checkpoint *c)
{
    ShardSet s = {0};
    DIR *dir = opendir(c->path);
    for (struct dirent *e; dir && (e = readdir(dir));)
        count(&s, &c->arena, e->d_name);
    if (dir)
        closedir(dir);
    return s;
}

bool shards_found(Checkpoint *c)
{
    return find_set(c).of > 0;
}

bool shards_read(Checkpoint *c, Err *err)
{
    ShardSet s = find_set(c);
    if (s.several)
        return err_set(err, "%s: model.safetensors.index.json is missing, and "
                       "there are shards of several sets", c->path);
    for (int i = 1; i <= s.of; i++) {
        const char *path = arena_printf(&c->arena, "%s/%s", c->path,
                                        shard_name(&c->arena, i, s.of));
        if (!path_exists(path))
            return err_set(err, "%s: model.safetensors.index.json is missing, "
                           "and of the %d shards %s too", c->path, s.of,
                           shard_name(&c->arena, i, s.of));
        if (!safetensors_shard(c, path, err))
            return false;
    }
    return true;
}
