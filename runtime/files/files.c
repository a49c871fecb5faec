/* Opening a checkpoint: a folder or a .gguf, its config, tensors by name and
 * the other files that belong to it. No weight is read here. */
#include "runtime/files/files_private.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool path_exists(const char *path)
{
    return !access(path, F_OK);
}

const char *tensor_text(const TensorInfo *t)
{
    static _Thread_local char ring[4][512];
    static _Thread_local unsigned turn;
    char *s = ring[turn++ % 4];
    int n = snprintf(s, sizeof ring[0], "%.200s: [", t->name ? t->name : "?");
    for (int i = 0; i < t->rank; i++)
        n += snprintf(s + n, sizeof ring[0] - (size_t)n, "%s%lld",
                      i ? ", " : "", (long long)t->shape[i]);
    snprintf(s + n, sizeof ring[0] - (size_t)n, "] %s",
             type_info[t->dtype].name);
    return s;
}

bool shape_bytes(const TensorInfo *t, int64_t *count, int64_t *bytes)
{
    const TypeInfo *type = &type_info[t->dtype];
    int64_t n = 1;
    bool empty = false;
    for (int i = 0; i < t->rank; i++) {
        if (t->shape[i] < 0)
            return false;
        empty |= !t->shape[i];
        if (t->shape[i] && __builtin_mul_overflow(n, t->shape[i], &n))
            return false;
    }
    int64_t row = t->rank ? t->shape[t->rank - 1] : 1;
    if (row % type->block_len)
        return false;
    *count = empty ? 0 : n;
    return !__builtin_mul_overflow(*count / type->block_len,
                                   type->block_bytes, bytes);
}

bool checkpoint_add(Checkpoint *c, FileTensor t, Err *err)
{
    if (!names_add(c->index, t.info.name, c->tensors)) {
        const FileTensor *had = checkpoint_find(c, t.info.name);
        return err_set(err, "%s: tensor %.200s is there twice%s%s", t.path,
                       t.info.name, had->path == t.path ? "" : ", also in ",
                       had->path == t.path ? "" : had->path);
    }
    if (!(c->tensors & (c->tensors + 1))) /* 0, 1, 3, 7 ...: full */
        c->tensor = xrealloc(c->tensor, 2 * ((size_t)c->tensors + 1) *
                                            sizeof *c->tensor);
    c->tensor[c->tensors++] = t;
    return true;
}

const FileTensor *checkpoint_find(const Checkpoint *c, const char *name)
{
    int i = name_index_find(c->index, name);
    return i < 0 ? NULL : &c->tensor[i];
}

void checkpoint_rename(Checkpoint *c, const char *from, const char *to)
{
    int i = name_index_find(c->index, from);
    const char *name = intern(to);
    if (i < 0 || !names_add(c->index, name, i))
        BUG("%s: %s cannot be called %s", c->path, from, to);
    c->tensor[i].info.name = name;
}

static Dtype commonest(const Checkpoint *c)
{
    int64_t sum[TYPE_COUNT] = {0}, count, bytes;
    int best = TYPE_f32;
    for (int i = 0; i < c->tensors; i++)
        if (shape_bytes(&c->tensor[i].info, &count, &bytes))
            sum[c->tensor[i].info.dtype] += count;
    for (int d = 0; d < TYPE_COUNT; d++)
        if (sum[d] > sum[best])
            best = d;
    return (Dtype)best;
}

/* ---- what else is in the folder ---- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* Weights in any form, and what is written anew. */
static bool not_copied(const char *name, int depth)
{
    static const char *const weights[] = {
        ".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json",
        ".pt",          ".pth",                    ".h5",  ".msgpack",
        ".onnx",        ".gguf",                   ".npz", ".ckpt"};
    if (*name == '.' || (!depth && (!strcmp(name, "config.json") ||
                                    !strcmp(name, "model.graft") ||
                                    !strcmp(name, "adapter_config.json"))))
        return true;
    for (size_t i = 0; i < COUNT(weights); i++)
        if (ends_with(name, weights[i]))
            return true;
    return false;
}

static int by_name(const void *a, const void *b)
{
    const struct FileOther *x = a, *y = b;
    return strcmp(x->name, y->name);
}

typedef LIST(struct FileOther) Others;
enum { FOLDERS_MOST = 8, OTHERS_MOST = 10000 };

/* Does the resolved `at` stand under the resolved `top`? */
static bool under(const char *at, const char *top)
{
    size_t n = strlen(top);
    return !strncmp(at, top, n) && (at[n] == '/' || n == 1);
}

/* Is the path a link to a file that is not in the folder? A hub cache has its
 * files in HUB/models--X/blobs, linked from HUB/models--X/snapshots/REV. */
static bool leaves_folder(const char *folder, const char *path)
{
    char top[PATH_MAX], at[PATH_MAX];
    if (!realpath(folder, top) || !realpath(path, at))
        return true;
    if (under(at, top))
        return false;
    char *revision = strrchr(top, '/');
    if (!revision || revision - top < 10 ||
        strncmp(revision - 10, "/snapshots", 10))
        return true;
    snprintf(revision - 10, 7, "/blobs");
    return !under(at, top);
}

static bool is_listed(const Others *out, const char *name)
{
    for (int i = 0; i < out->n; i++)
        if (!strcmp(out->at[i].name, name))
            return true;
    return false;
}

/* What lies in a folder below `top`, by its path `in` it, unless one before has
 * that name. A link to a folder is not followed. */
static bool list_folder(Checkpoint *c, const char *top, const char *in,
                        int depth, Others *out, Err *err)
{
    const char *here = arena_printf(&c->arena, "%s/%s", top, in);
    DIR *dir = opendir(here);
    bool good = dir || err_set(err, "%s: %s", here, strerror(errno));
    errno = 0; /* readdir's own errors come last */
    for (struct dirent *e; good && (e = readdir(dir)); errno = 0) {
        struct stat st;
        const char *name = arena_printf(&c->arena, "%s%s", in, e->d_name);
        const char *path = arena_printf(&c->arena, "%s/%s", top, name);
        if (not_copied(e->d_name, depth) || stat(path, &st) ||
            is_listed(out, name))
            continue;
        if (S_ISREG(st.st_mode) && leaves_folder(top, path))
            c->link_out = path;
        else if (S_ISREG(st.st_mode) && out->n < OTHERS_MOST)
            list_push(&c->arena, out, (struct FileOther){name, path});
        else if (S_ISDIR(st.st_mode) && depth < FOLDERS_MOST &&
                 !lstat(path, &st) && S_ISDIR(st.st_mode))
            good = list_folder(c, top, arena_printf(&c->arena, "%s/", name),
                               depth + 1, out, err);
    }
    if (good && errno)
        good = err_set(err, "%s: %s", here, strerror(errno));
    if (dir)
        closedir(dir);
    return good;
}

static bool list_others(Checkpoint *c, Err *err)
{
    Others names = {0};
    if ((c->adapter && !list_folder(c, c->adapter, "", 0, &names, err)) ||
        !list_folder(c, c->path, "", 0, &names, err))
        return false;
    if (names.n)
        qsort(names.at, (size_t)names.n, sizeof *names.at, by_name);
    c->other = names.at;
    c->others = names.n;
    return true;
}

const char *checkpoint_other(const Checkpoint *c, const char *name)
{
    for (int i = 0; i < c->others; i++)
        if (!strcmp(c->other[i].name, name))
            return c->other[i].path;
    return NULL;
}

const char *weights_hint(Checkpoint *c, const char *folder)
{
    const char *hint = "";
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (ends_with(e->d_name, ".gguf"))
            hint = arena_printf(&c->arena, " (give %.200s itself)", e->d_name);
        else if (!*hint && ends_with(e->d_name, ".safetensors"))
            hint = arena_printf(&c->arena, " (its %.200s has another name)",
                                e->d_name);
        else if (!*hint && ends_with(e->d_name, ".bin"))
            hint = " (PyTorch's .bin must be converted to safetensors first)";
    if (dir)
        closedir(dir);
    return hint;
}

/* ---- a folder ---- */

static bool read_config(Checkpoint *c, Err *err)
{
    size_t len;
    const char *path = arena_printf(&c->arena, "%s/config.json", c->path);
    if (!path_exists(path))
        return err_set(err, "%s: no config.json in this folder%s", c->path,
                       weights_hint(c, c->path));
    char *text = read_file(path, &len, err);
    if (!text)
        return false;
    c->config = json_object(path, text, len, err);
    free(text);
    return c->config;
}

/* The folder's own graft text, if any. */
static bool read_graft(Checkpoint *c, Err *err)
{
    size_t len, bad;
    const char *path = arena_printf(&c->arena, "%s/model.graft", c->path);
    if (!path_exists(path))
        return true;
    char *text = read_file(path, &len, err);
    if (!text)
        return false;
    bool good = utf8_valid(text, len, &bad) ||
                err_set(err, "%s: byte %zu is not UTF-8", path, bad);
    good = good && (!memchr(text, 0, len) ||
                    err_set(err, "%s: has a NUL byte", path));
    c->graft = arena_strn(&c->arena, text, len);
    free(text);
    return good;
}

/* A pipe or device in its place is a mistake that its reader tells. */
static const char *tokenizer_of(Checkpoint *c)
{
    struct stat st;
    const char *there = checkpoint_other(c, "tokenizer.json");
    const char *path = arena_printf(&c->arena, "%s/tokenizer.json", c->path);
    if (!there && !lstat(path, &st) && !S_ISREG(st.st_mode) &&
        !S_ISLNK(st.st_mode))
        return path;
    return there;
}

static bool folder_open(Checkpoint *c, Err *err)
{
    if (!read_config(c, err) || !list_others(c, err) ||
        !safetensors_open(c, err) || !quantised_join(c, err) ||
        !packed_split(c, err) || !read_graft(c, err))
        return false;
    c->tokenizer = tokenizer_of(c);
    return true;
}

static const char *without_slashes(Arena *a, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return arena_strn(a, path, n);
}

static bool is_adapter(Checkpoint *c)
{
    return path_exists(arena_printf(&c->arena, "%s/adapter_config.json",
                                    c->path));
}

static bool open_any(Checkpoint *c, const char *base, Err *err)
{
    struct stat st;
    if (is_adapter(c) && !adapter_open(c, base, err))
        return false;
    if (c->adapter && is_adapter(c))
        return err_set(err, "%s: the base of an adapter cannot be one itself",
                       c->path);
    if (stat(c->path, &st))
        return err_set(err, "%s: %s", c->path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return folder_open(c, err);
    if (ends_with(c->path, ".safetensors") || ends_with(c->path, ".json"))
        return err_set(err, "%s: give the folder that holds it (config.json "
                       "is needed too)", c->path);
    return gguf_open(c, err);
}

/* Files' own words in a message must not break its line or the terminal. */
static void make_printable(char *s)
{
    for (char *at = s; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 127)
            *at = '?';
    for (size_t bad; !utf8_valid(s, strlen(s), &bad); s += bad)
        s[bad] = '?';
}

Checkpoint *checkpoint_open(const char *path, Err *err)
{
    return checkpoint_open_on(path, NULL, err);
}

Checkpoint *checkpoint_open_on(const char *path, const char *base, Err *err)
{
    Checkpoint *c = xmalloc(sizeof *c);
    *c = (Checkpoint){.index = xmalloc(sizeof(NameIndex))};
    *c->index = (NameIndex){0};
    c->path = without_slashes(&c->arena, path);
    if (open_any(c, base, err)) {
        c->dtype = commonest(c);
        return c;
    }
    make_printable(err->text);
    checkpoint_close(c);
    return NULL;
}

void checkpoint_close(Checkpoint *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->maps; i++)
        map_close(&c->map[i]);
    free(c->map);
    gguf_close((Gguf *)c->gguf);
    cJSON_Delete(c->config);
    cJSON_Delete(c->adapter_config);
    names_free(c->index);
    free(c->index);
    free(c->tensor);
    free(c->parts);
    arena_free(&c->arena);
    free(c);
}

uint64_t checkpoint_hash(const Checkpoint *c)
{
    char *config = cJSON_PrintUnformatted(c->config);
    uint64_t h = hash_bytes(0, config, strlen(config));
    cJSON_free(config);
    for (int i = 0; i < c->maps; i++) {
        const FileMap *m = &c->map[i];
        h = hash_bytes(h, m->base, (size_t)m->header);
        h = hash_bytes(h, &m->size, sizeof m->size);
    }
    return h;
}
