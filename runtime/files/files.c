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
                                    !strcmp(name, "model.graft"))))
        return true;
    for (size_t i = 0; i < COUNT(weights); i++)
        if (ends_with(name, weights[i]))
            return true;
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

typedef LIST(const char *) Others;
enum { FOLDERS_MOST = 8, OTHERS_MOST = 10000 };

/* What lies in a folder below, by its path from the first. A link to a folder
 * is not followed. */
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

static bool list_folder(Checkpoint *c, const char *in, int depth, Others *out,
                        Err *err)
{
    const char *here = arena_printf(&c->arena, "%s/%s", c->path, in);
    DIR *dir = opendir(here);
    bool good = dir || err_set(err, "%s: %s", here, strerror(errno));
    for (struct dirent *e; good && (e = readdir(dir));) {
        struct stat st;
        const char *name = arena_printf(&c->arena, "%s%s", in, e->d_name);
        const char *path = arena_printf(&c->arena, "%s/%s", c->path, name);
        if (not_copied(e->d_name, depth) || stat(path, &st))
            continue;
        if (S_ISREG(st.st_mode) && leaves_folder(c->path, path))
            c->link_out = path;
        else if (S_ISREG(st.st_mode) && out->n < OTHERS_MOST)
            list_push(&c->arena, out, name);
        else if (S_ISDIR(st.st_mode) && depth < FOLDERS_MOST &&
                 !lstat(path, &st) && S_ISDIR(st.st_mode))
            good = list_folder(c, arena_printf(&c->arena, "%s/", name),
                               depth + 1, out, err);
    }
    if (dir)
        closedir(dir);
    return good;
}

static bool list_others(Checkpoint *c, Err *err)
{
    Others names = {0};
    if (!list_folder(c, "", 0, &names, err))
        return false;
    if (names.n)
        qsort(names.at, (size_t)names.n, sizeof *names.at, by_name);
    c->other = names.at;
    c->others = names.n;
    return true;
}

const char *weights_hint(Checkpoint *c)
{
    const char *hint = "";
    DIR *dir = opendir(c->path);
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

/* Says so: only what was trained beside a model. */
static bool is_adapter(Checkpoint *c, Err *err)
{
    size_t len;
    Err none;
    const char *path = arena_printf(&c->arena, "%s/adapter_config.json",
                                    c->path);
    char *text = path_exists(path) ? read_file(path, &len, &none) : NULL;
    cJSON *o = text ? json_object(path, text, len, &none) : NULL;
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(o, "peft_type");
    const cJSON *base = cJSON_GetObjectItemCaseSensitive(
        o, "base_model_name_or_path");
    bool said = o != NULL;
    if (said)
        err_set(err, "%s: a PEFT adapter (%.20s) for %.200s, no model: merge "
                "it first (merge_and_unload)", c->path,
                cJSON_IsString(kind) ? kind->valuestring : "of no kind",
                cJSON_IsString(base) ? base->valuestring : "another model");
    cJSON_Delete(o);
    free(text);
    return said;
}

static bool read_config(Checkpoint *c, Err *err)
{
    size_t len;
    const char *path = arena_printf(&c->arena, "%s/config.json", c->path);
    if (!path_exists(path))
        return is_adapter(c, err) ? false
                                  : err_set(err, "%s: no config.json in this "
                                            "folder%s", c->path,
                                            weights_hint(c));
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

static bool folder_open(Checkpoint *c, Err *err)
{
    if (!read_config(c, err) || !list_others(c, err) ||
        !safetensors_open(c, err) || !quantised_join(c, err) ||
        !packed_split(c, err) || !read_graft(c, err))
        return false;
    const char *path = arena_printf(&c->arena, "%s/tokenizer.json", c->path);
    c->tokenizer = path_exists(path) ? path : NULL;
    return true;
}

static const char *without_slashes(Arena *a, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return arena_strn(a, path, n);
}

static bool open_any(Checkpoint *c, Err *err)
{
    struct stat st;
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
    Checkpoint *c = xmalloc(sizeof *c);
    *c = (Checkpoint){.index = xmalloc(sizeof(NameIndex))};
    *c->index = (NameIndex){0};
    c->path = without_slashes(&c->arena, path);
    if (open_any(c, err)) {
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
