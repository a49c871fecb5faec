/* .gguf, versions 2 and 3, little-endian: metadata, then what the tensors are,
 * then their data. Every count is held against the bytes that are left before
 * it is believed. */
#include "runtime/files/gguf_private.h"
#include <string.h>

enum { NESTED_MOST = 4, KEY_BYTES_LEAST = 13, TENSOR_BYTES_LEAST = 33 };

static const int scalar_bytes[GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4,
                                             1, 0, 0, 8, 8, 8};

typedef struct {
    Checkpoint *c;
    Gguf *g;
    FileMap *map;
    const uint8_t *at, *end;
    Err *err;
    FileTensor *tensor; /* as in the file */
    int tensors;
    int64_t data; /* where tensor data begins */
} Reader;

PRINTF(2, 3) static void complain(Reader *r, const char *fmt, ...)
{
    char why[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    err_set(r->err, "%s: %s", r->map->path, why);
}
#define bad(...) (complain(__VA_ARGS__), false)

static int64_t left(const Reader *r)
{
    return r->end - r->at;
}

static bool take(Reader *r, void *out, int64_t bytes, const char *what)
{
    if (left(r) < bytes)
        return bad(r, "cut short in %.300s", what);
    memcpy(out, r->at, (size_t)bytes);
    r->at += bytes;
    return true;
}

static bool take_count(Reader *r, int64_t least, int64_t *out,
                       const char *what)
{
    uint64_t n;
    if (!take(r, &n, 8, what))
        return false;
    if (n > (uint64_t)left(r) / (uint64_t)least || n > INT32_MAX)
        return bad(r, "%llu of %.300s cannot be: %lld bytes are left",
                   (unsigned long long)n, what, (long long)left(r));
    *out = (int64_t)n;
    return true;
}

static bool take_bytes(Reader *r, Bytes *out, const char *what)
{
    int64_t n;
    if (!take_count(r, 1, &n, what))
        return false;
    *out = (Bytes){(const char *)r->at, (size_t)n};
    r->at += n;
    return true;
}

/* A name as the file gives it, checked and interned. */
static bool take_name(Reader *r, const char **name, const char *what)
{
    Bytes b;
    if (!take_bytes(r, &b, what))
        return false;
    if (!name_printable(b.at, b.len))
        return bad(r, "%s has no printable name", what);
    *name = intern_n(b.at, b.len);
    return true;
}

/* ---- metadata ---- */

static bool skip_scalars(Reader *r, uint32_t type, int64_t n, const char *key)
{
    if (type == GGUF_string) {
        Bytes b;
        for (int64_t i = 0; i < n; i++)
            if (!take_bytes(r, &b, key))
                return false;
        return true;
    }
    int64_t bytes = n * scalar_bytes[type]; /* n <= bytes left: no overflow */
    if (bytes > left(r))
        return bad(r, "cut short in %.300s", key);
    r->at += bytes;
    return true;
}

static bool take_type(Reader *r, uint32_t *type, const char *key)
{
    if (!take(r, type, 4, key))
        return false;
    if (*type >= GGUF_TYPES)
        return bad(r, "key %.300s has the unknown type %u", key, *type);
    return true;
}

/* Array of arrays: passed over, no key that is read is one. */
static bool skip_nested(Reader *r, int64_t n, int depth, const char *key)
{
    if (depth > NESTED_MOST)
        return bad(r, "key %.300s: arrays nested more than %d deep", key,
                   NESTED_MOST);
    for (int64_t i = 0, count; i < n; i++) {
        uint32_t type;
        if (!take_type(r, &type, key) || !take_count(r, 1, &count, key))
            return false;
        if (!(type == GGUF_array ? skip_nested(r, count, depth + 1, key)
                                 : skip_scalars(r, type, count, key)))
            return false;
    }
    return true;
}

static bool take_value(Reader *r, GgufValue *v)
{
    uint32_t type;
    if (!take_type(r, &type, v->key))
        return false;
    v->count = 1;
    if (type == GGUF_array) {
        v->array = true;
        if (!take_type(r, &type, v->key) ||
            !take_count(r, 1, &v->count, v->key))
            return false;
    }
    v->type = (GgufType)type;
    v->at = r->at;
    return type == GGUF_array ? skip_nested(r, v->count, 1, v->key)
                              : skip_scalars(r, type, v->count, v->key);
}

static bool read_metadata(Reader *r, int64_t n)
{
    Gguf *g = r->g;
    g->value = arena_alloc(&g->arena, (size_t)n * sizeof *g->value);
    for (; g->values < n; g->values++) {
        GgufValue *v = &g->value[g->values];
        if (!take_name(r, &v->key, "a metadata key") || !take_value(r, v))
            return false;
        if (!names_add(&g->index, v->key, g->values))
            return bad(r, "key %.300s is given twice", v->key);
    }
    return true;
}

/* ---- tensors ---- */

static bool take_dtype(Reader *r, FileTensor *t)
{
    uint32_t number;
    if (!take(r, &number, 4, t->info.name))
        return false;
    for (int d = 0; d < TYPE_COUNT; d++)
        if (type_info[d].gguf == (int)number) {
            t->info.dtype = (Dtype)d;
            return true;
        }
    return bad(r, "tensor %.300s: GGML type %u is none that graft reads (F32, "
               "F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K)",
               t->info.name, number);
}

static bool take_shape(Reader *r, FileTensor *t)
{
    uint32_t rank;
    uint64_t dim;
    if (!take(r, &rank, 4, t->info.name))
        return false;
    if (!rank || rank > 4)
        return bad(r, "tensor %.300s has %u dims, 1 to 4 are allowed",
                   t->info.name, rank);
    t->info.rank = (int)rank;
    for (int i = (int)rank - 1; i >= 0; i--) { /* fastest dim comes first */
        if (!take(r, &dim, 8, t->info.name))
            return false;
        if (!dim || dim > INT64_MAX)
            return bad(r, "tensor %.300s has a dim of %llu", t->info.name,
                       (unsigned long long)dim);
        t->info.shape[i] = (int64_t)dim;
    }
    return true;
}

static bool take_tensor(Reader *r, FileTensor *t)
{
    int64_t count;
    uint64_t offset;
    if (!take_name(r, &t->info.name, "a tensor") || !take_shape(r, t) ||
        !take_dtype(r, t) || !take(r, &offset, 8, t->info.name))
        return false;
    if (offset > INT64_MAX)
        return bad(r, "tensor %.300s begins past the end", t->info.name);
    if (!shape_bytes(&t->info, &count, &t->info.bytes))
        return bad(r, "tensor %s: its rows are no whole blocks of %d, or it "
                   "is too large", tensor_text(&t->info),
                   type_info[t->info.dtype].block_len);
    t->offset = (int64_t)offset;
    t->file_name = t->info.name;
    t->path = r->map->path;
    return true;
}

static bool read_tensors(Reader *r, int64_t n)
{
    NameIndex seen = {0};
    bool good = true;
    r->tensor = arena_alloc(&r->g->arena, (size_t)n * sizeof(FileTensor));
    for (; r->tensors < n && good; r->tensors++) {
        FileTensor *t = &r->tensor[r->tensors];
        good = take_tensor(r, t) &&
               (names_add(&seen, t->info.name, 0) ||
                bad(r, "tensor %.300s is there twice", t->info.name));
    }
    names_free(&seen);
    return good;
}

static bool find_data(Reader *r, bool any)
{
    int64_t align = 32, at = r->at - r->map->base;
    if (gguf_value(r->g, "general.alignment") &&
        !gguf_int(r->g, "general.alignment", &align))
        return bad(r, "general.alignment is no integer");
    if (align < 8 || align > 1 << 20 || (align & (align - 1)))
        return bad(r, "general.alignment is %lld, a power of two from 8 to "
                   "2^20 is needed", (long long)align);
    r->map->header = at;
    r->data = (at + align - 1) / align * align;
    if (any && r->data > r->map->size)
        return bad(r, "cut short: no tensor data");
    for (int i = 0; i < r->tensors; i++)
        if (r->tensor[i].offset % align)
            return bad(r, "tensor %.300s begins at %lld, no multiple of %lld",
                       r->tensor[i].info.name,
                       (long long)r->tensor[i].offset, (long long)align);
    return true;
}

static int by_offset(const void *a, const void *b)
{
    const FileTensor *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Each in the file and none over another; padding between them is usual. */
static bool check_layout(Reader *r)
{
    int64_t room = r->map->size - r->data, end = 0;
    if (r->tensors)
        qsort(r->tensor, (size_t)r->tensors, sizeof(FileTensor), by_offset);
    for (int i = 0; i < r->tensors; i++) {
        FileTensor *t = &r->tensor[i];
        if (t->offset > room || t->info.bytes > room - t->offset)
            return bad(r, "tensor %s: needs %lld bytes at %lld of the data, "
                       "the file holds %lld (cut short?)",
                       tensor_text(&t->info), (long long)t->info.bytes,
                       (long long)t->offset, (long long)room);
        if (t->offset < end)
            return bad(r, "tensor %.300s overlaps tensor %.200s by %lld bytes",
                       t->info.name, t[-1].info.name,
                       (long long)(end - t->offset));
        end = t->offset + t->info.bytes;
        t->offset += r->data;
        t->info.data = r->map->base + t->offset;
    }
    return true;
}

static bool read_start(Reader *r, int64_t *tensors, int64_t *keys)
{
    char magic[4];
    uint32_t version;
    if (left(r) < 4 || memcmp(r->at, "GGUF", 4))
        return bad(r, "this is neither a model folder nor a GGUF file");
    if (!take(r, magic, 4, "its head") || !take(r, &version, 4, "its head"))
        return false;
    if (version == 0x02000000 || version == 0x03000000)
        return bad(r, "this GGUF file is big-endian, graft reads "
                   "little-endian ones");
    if (version != 2 && version != 3)
        return bad(r, "GGUF version %u, graft reads 2 and 3", version);
    return take_count(r, TENSOR_BYTES_LEAST, tensors, "tensors") &&
           take_count(r, KEY_BYTES_LEAST, keys, "metadata keys");
}

static bool one_part(Reader *r)
{
    int64_t parts = 1;
    gguf_int(r->g, "split.count", &parts);
    return parts <= 1 || bad(r, "one of %lld parts: join them first "
                             "(llama-gguf-split --merge)", (long long)parts);
}

static bool read_all(Reader *r)
{
    int64_t tensors, keys;
    return read_start(r, &tensors, &keys) && read_metadata(r, keys) &&
           one_part(r) && read_tensors(r, tensors) &&
           find_data(r, tensors > 0) && check_layout(r);
}

bool gguf_open(Checkpoint *c, Err *err)
{
    int map = checkpoint_map(c, c->path, err);
    if (map < 0)
        return false;
    Reader r = {.c = c, .map = &c->map[map], .err = err};
    r.at = r.map->base;
    r.end = r.at + r.map->size;
    r.g = xmalloc(sizeof *r.g);
    *r.g = (Gguf){.path = r.map->path, .arch = ""};
    c->gguf = r.g;
    if (!read_all(&r))
        return false;
    const char *arch = gguf_string(r.g, "general.architecture");
    r.g->arch = arch ? arch : "";
    return gguf_translate(c, r.tensor, r.tensors, err);
}

void gguf_close(Gguf *g)
{
    if (!g)
        return;
    names_free(&g->index);
    arena_free(&g->arena);
    free(g);
}
