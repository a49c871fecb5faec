/* GGUF metadata by key. Values may lie unaligned in the file, so each is
 * copied out. */
#include "runtime/files/gguf_private.h"
#include <string.h>

const GgufValue *gguf_value(const Gguf *g, const char *key)
{
    int i = name_index_find(&g->index, key);
    return i < 0 ? NULL : &g->value[i];
}

const char *gguf_key(const Gguf *g, const char *name)
{
    return intern_printf("%.100s.%s", g->arch, name);
}

static const GgufValue *single(const Gguf *g, const char *key)
{
    const GgufValue *v = gguf_value(g, key);
    return v && !v->array ? v : NULL;
}

#define READ(type, at) (*(const type *)memcpy(&(type){0}, at, sizeof(type)))

/* Integer i of a value of that type; false for other types. */
static bool int_at(GgufType type, const uint8_t *at, int64_t i, int64_t *out)
{
    switch (type) {
    case GGUF_u8:  *out = at[i]; return true;
    case GGUF_i8:  *out = (int8_t)at[i]; return true;
    case GGUF_u16: *out = READ(uint16_t, at + 2 * i); return true;
    case GGUF_i16: *out = READ(int16_t, at + 2 * i); return true;
    case GGUF_u32: *out = READ(uint32_t, at + 4 * i); return true;
    case GGUF_i32: *out = READ(int32_t, at + 4 * i); return true;
    case GGUF_u64: /* past 2^63 - 1 it stays the bits */
    case GGUF_i64: *out = READ(int64_t, at + 8 * i); return true;
    default:       return false;
    }
}

static bool float_at(GgufType type, const uint8_t *at, int64_t i, double *out)
{
    int64_t n;
    if (type == GGUF_f32)
        *out = READ(float, at + 4 * i);
    else if (type == GGUF_f64)
        *out = READ(double, at + 8 * i);
    else if (int_at(type, at, i, &n))
        *out = (double)n;
    else
        return false;
    return true;
}

bool gguf_int(const Gguf *g, const char *key, int64_t *out)
{
    const GgufValue *v = single(g, key);
    return v && int_at(v->type, v->at, 0, out);
}

bool gguf_float(const Gguf *g, const char *key, double *out)
{
    const GgufValue *v = single(g, key);
    return v && float_at(v->type, v->at, 0, out);
}

bool gguf_bool(const Gguf *g, const char *key, bool *out)
{
    const GgufValue *v = single(g, key);
    if (!v || v->type != GGUF_bool)
        return false;
    *out = *v->at != 0;
    return true;
}

/* The string at *at, which moves behind it. */
static Bytes next_bytes(const uint8_t **at)
{
    uint64_t len = READ(uint64_t, *at);
    Bytes b = {(const char *)*at + 8, (size_t)len};
    *at += 8 + len;
    return b;
}

bool gguf_bytes(const Gguf *g, const char *key, Bytes *out)
{
    const GgufValue *v = single(g, key);
    if (!v || v->type != GGUF_string)
        return false;
    const uint8_t *at = v->at;
    *out = next_bytes(&at);
    return true;
}

const char *gguf_string(const Gguf *g, const char *key)
{
    Bytes b;
    if (!gguf_bytes(g, key, &b) || memchr(b.at, 0, b.len))
        return NULL;
    GgufValue *v = (GgufValue *)gguf_value(g, key);
    if (!v->copy)
        v->copy = arena_strn(&((Gguf *)g)->arena, b.at, b.len);
    return v->copy;
}

/* Room for all elements, on the first call (then *fresh). */
static void *copy_of(const Gguf *g, const GgufValue *v, size_t each,
                     bool *fresh)
{
    *fresh = !v->copy;
    if (*fresh)
        ((GgufValue *)v)->copy =
            arena_alloc(&((Gguf *)g)->arena, (size_t)v->count * each + 1);
    return v->copy;
}

static const GgufValue *array(const Gguf *g, const char *key, int64_t *count)
{
    const GgufValue *v = gguf_value(g, key);
    if (!v || !v->array)
        return NULL;
    *count = v->count;
    return v;
}

const Bytes *gguf_strings(const Gguf *g, const char *key, int64_t *count)
{
    bool fresh;
    const GgufValue *v = array(g, key, count);
    if (!v || v->type != GGUF_string)
        return NULL;
    Bytes *all = copy_of(g, v, sizeof *all, &fresh);
    const uint8_t *at = v->at;
    for (int64_t i = 0; fresh && i < v->count; i++)
        all[i] = next_bytes(&at);
    return all;
}

const int64_t *gguf_ints(const Gguf *g, const char *key, int64_t *count)
{
    bool fresh;
    const GgufValue *v = array(g, key, count);
    int64_t probe;
    static const uint8_t none[8];
    if (!v || !int_at(v->type, none, 0, &probe))
        return NULL;
    int64_t *all = copy_of(g, v, sizeof *all, &fresh);
    for (int64_t i = 0; fresh && i < v->count; i++)
        int_at(v->type, v->at, i, &all[i]);
    return all;
}

const float *gguf_floats(const Gguf *g, const char *key, int64_t *count)
{
    bool fresh;
    double value;
    const GgufValue *v = array(g, key, count);
    if (!v || (v->type != GGUF_f32 && v->type != GGUF_f64))
        return NULL;
    float *all = copy_of(g, v, sizeof *all, &fresh);
    for (int64_t i = 0; fresh && i < v->count; i++)
        if (float_at(v->type, v->at, i, &value))
            all[i] = (float)value;
    return all;
}
