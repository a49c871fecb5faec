/* .safetensors: 8 bytes of header length, a JSON header, then the tensors
 * without holes. A header is checked whole before any of it is used. */
#include "runtime/files/files_private.h"
#include <string.h>

enum { HEADER_MOST = 100 * 1000 * 1000 }; /* as the format's own library */

typedef struct {
    Checkpoint *c;
    int map;
    const char *path;
    int64_t data;   /* where the tensors begin in the file */
    int64_t length; /* bytes of tensors */
    Arena scratch;
    LIST(FileTensor) found;
    Err *err;
} Reader;

/* The one line about a tensor. */
#define BAD(r, t, ...) bad(r, (t)->info.name, __VA_ARGS__)
PRINTF(3, 4) static bool bad(Reader *r, const char *name, const char *fmt, ...)
{
    char why[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    err_set(r->err, "%s: tensor %.200s: %s", r->path, name, why);
    return false;
}

static bool read_dtype(Reader *r, FileTensor *t, const cJSON *item)
{
    if (!cJSON_IsString(item))
        return BAD(r, t, "has no dtype");
    for (int d = 0; d < TYPE_COUNT; d++) {
        const char *name = type_info[d].safetensors;
        if (name && !strcmp(name, item->valuestring)) {
            t->info.dtype = (Dtype)d;
            return true;
        }
    }
    return BAD(r, t, "dtype %.32s is none that graft reads (F64, F32, F16, "
               "BF16, integers, BOOL)", item->valuestring);
}

static bool read_shape(Reader *r, FileTensor *t, const cJSON *item)
{
    if (!cJSON_IsArray(item))
        return BAD(r, t, "has no shape");
    int64_t size;
    for (const cJSON *i = item->child; i; i = i->next) {
        if (t->info.rank == MAX_RANK)
            return BAD(r, t, "has more than %d dims", MAX_RANK);
        if (!json_size(i, &size))
            return BAD(r, t, "dim %d of its shape is no size", t->info.rank);
        t->info.shape[t->info.rank++] = size;
    }
    int64_t count;
    if (!shape_bytes(&t->info, &count, &t->info.bytes))
        return BAD(r, t, "its shape is too large");
    return true;
}

static bool read_offsets(Reader *r, FileTensor *t, const cJSON *item)
{
    int64_t at[2] = {0};
    if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 2 ||
        !json_size(item->child, &at[0]) ||
        !json_size(item->child->next, &at[1]))
        return BAD(r, t, "data_offsets must be two sizes");
    if (at[0] > at[1])
        return BAD(r, t, "begins at %lld, after its end at %lld",
                   (long long)at[0], (long long)at[1]);
    if (at[1] > r->length)
        return BAD(r, t, "ends at byte %lld of the data, the file holds %lld "
                   "(cut short?)", (long long)at[1], (long long)r->length);
    if (at[1] - at[0] != t->info.bytes)
        return BAD(r, t, "%s takes %lld bytes, data_offsets give it %lld",
                   tensor_text(&t->info), (long long)t->info.bytes,
                   (long long)(at[1] - at[0]));
    t->offset = r->data + at[0];
    t->info.data = r->c->map[r->map].base + t->offset;
    return true;
}

static bool read_entry(Reader *r, const cJSON *entry)
{
    FileTensor t = {.path = r->path};
    if (!name_printable(entry->string, strlen(entry->string)))
        return err_set(r->err, "%s: the name of tensor %d is empty, too long "
                       "or not printable", r->path, r->found.n);
    t.info.name = t.file_name = intern(entry->string);
    if (!cJSON_IsObject(entry))
        return BAD(r, &t, "is not described by an object");
    for (const cJSON *i = entry->child; i; i = i->next)
        if (strcmp(i->string, "dtype") && strcmp(i->string, "shape") &&
            strcmp(i->string, "data_offsets"))
            return BAD(r, &t, "unknown key %.100s in its header", i->string);
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape");
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    if (!read_dtype(r, &t, dtype) || !read_shape(r, &t, shape) ||
        !read_offsets(r, &t, at))
        return false;
    list_push(&r->scratch, &r->found, t);
    return true;
}

static int by_offset(const void *a, const void *b)
{
    const FileTensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->info.bytes > y->info.bytes) - (x->info.bytes < y->info.bytes);
}

/* In order, each begins where the one before ends, the last at the end. */
static bool check_layout(Reader *r)
{
    if (r->found.n)
        qsort(r->found.at, (size_t)r->found.n, sizeof(FileTensor), by_offset);
    int64_t end = r->data;
    for (int i = 0; i < r->found.n; i++) {
        FileTensor *t = &r->found.at[i];
        const char *before = i ? t[-1].info.name : "the header";
        if (t->offset < end)
            return BAD(r, t, "overlaps tensor %.200s by %lld bytes", before,
                       (long long)(end - t->offset));
        if (t->offset > end)
            return BAD(r, t, "a hole of %lld bytes after %.200s",
                       (long long)(t->offset - end), before);
        end = t->offset + t->info.bytes;
    }
    if (end != r->data + r->length)
        return err_set(r->err, "%s: %lld bytes after the last tensor", r->path,
                       (long long)(r->data + r->length - end));
    return true;
}

static bool read_header(Reader *r, const char *text, int64_t len)
{
    cJSON *root = json_object(r->path, text, (size_t)len, r->err);
    if (!root)
        return false;
    bool good = true;
    for (const cJSON *i = root->child; i && good; i = i->next)
        if (strcmp(i->string, "__metadata__"))
            good = read_entry(r, i);
    cJSON_Delete(root);
    return good && check_layout(r);
}

static bool read_file_header(Reader *r)
{
    FileMap *m = &r->c->map[r->map];
    uint64_t len = 0;
    if (m->size < 8)
        return err_set(r->err, "%s: %lld bytes are no safetensors file",
                       r->path, (long long)m->size);
    for (int i = 7; i >= 0; i--)
        len = len << 8 | m->base[i];
    if (len > HEADER_MOST)
        return err_set(r->err, "%s: its header would have %llu bytes, more "
                       "than the %d allowed (no safetensors file?)", r->path,
                       (unsigned long long)len, HEADER_MOST);
    if ((int64_t)len > m->size - 8)
        return err_set(r->err, "%s: its header has %llu bytes, the file only "
                       "%lld more (cut short?)", r->path,
                       (unsigned long long)len, (long long)m->size - 8);
    m->header = r->data = 8 + (int64_t)len;
    r->length = m->size - r->data;
    return read_header(r, (const char *)m->base + 8, (int64_t)len);
}

/* Reads one file and appends its tensors. */
bool safetensors_shard(Checkpoint *c, const char *path, Err *err)
{
    Reader r = {.c = c, .err = err};
    r.map = checkpoint_map(c, path, err);
    if (r.map < 0)
        return false;
    r.path = c->map[r.map].path;
    bool good = read_file_header(&r);
    for (int i = 0; i < r.found.n && good; i++)
        good = checkpoint_add(c, r.found.at[i], err);
    arena_free(&r.scratch);
    return good;
}

/* ---- many files with an index ---- */

/* A name of a file beside the index, and nothing else. */
static bool plain_file_name(const char *s)
{
    return *s && *s != '.' && !strchr(s, '/') && strlen(s) < 256;
}

static bool read_shards(Checkpoint *c, const char *path, const cJSON *map,
                        Err *err)
{
    NameIndex seen = {0};
    bool good = true;
    for (const cJSON *i = map->child; i && good; i = i->next) {
        if (!cJSON_IsString(i) || !plain_file_name(i->valuestring))
            good = err_set(err, "%s: tensor %.200s: its file must be a name "
                           "in the same folder", path, i->string);
        else if (names_add(&seen, i->valuestring, 0))
            good = safetensors_shard(c,
                                     arena_printf(&c->arena, "%s/%s", c->path,
                                                  i->valuestring), err);
    }
    names_free(&seen);
    return good;
}

/* Each tensor of the index is there, in the file that the index names. */
static bool check_index(const Checkpoint *c, const char *path,
                        const cJSON *map, Err *err)
{
    for (const cJSON *i = map->child; i; i = i->next) {
        const FileTensor *t = checkpoint_find(c, i->string);
        const char *file = t ? strrchr(t->path, '/') + 1 : NULL;
        if (!t)
            return err_set(err, "%s: tensor %.200s is in the index, but not "
                           "in %s", path, i->string, i->valuestring);
        if (strcmp(file, i->valuestring))
            return err_set(err, "%s: tensor %.200s should be in %s, it is in "
                           "%s", path, i->string, i->valuestring, file);
    }
    return true;
}

static bool read_index(Checkpoint *c, const char *path, Err *err)
{
    size_t len;
    char *text = read_file(path, &len, err);
    if (!text)
        return false;
    cJSON *root = json_object(path, text, len, err);
    free(text);
    if (!root)
        return false;
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(root, "weight_map");
    bool good = cJSON_IsObject(map)
                    ? read_shards(c, path, map, err) &&
                          check_index(c, path, map, err)
                    : err_set(err, "%s: has no weight_map", path);
    cJSON_Delete(root);
    return good;
}

bool safetensors_open(Checkpoint *c, Err *err)
{
    const char *one = arena_printf(&c->arena, "%s/model.safetensors", c->path);
    const char *index =
        arena_printf(&c->arena, "%s/model.safetensors.index.json", c->path);
    if (path_exists(one))
        return safetensors_shard(c, one, err);
    if (path_exists(index))
        return read_index(c, index, err);
    if (shards_found(c))
        return shards_read(c, err);
    return err_set(err, "%s: holds neither model.safetensors nor "
                   "model.safetensors.index.json%s", c->path,
                   weights_hint(c, c->path));
}
