/* Which tensors a GGUF file has for those of a Hugging Face model, and where
 * each that is given goes: the tables of gguf_arch.c read from the right. */
#include "runtime/files/gguf_write.h"
#include <string.h>

static const NameRow *find_row(const Arch *a, const char *name, int at[2],
                               const char **rest)
{
    for (size_t i = 0; i < COUNT(a->names) && a->names[i]; i++)
        for (const NameRow *row = a->names[i]; row->gguf; row++)
            if (gguf_fits(row->name, name, at, rest))
                return row;
    return NULL;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* llama.cpp multiplies by these in f32 and takes no other type. */
static bool always_f32(const TensorInfo *t)
{
    return t->rank == 1 || ends_with(t->name, "_norm.weight") ||
           ends_with(t->name, "ffn_gate_inp.weight");
}

static Dtype stored_type(const GgufSpec *spec, const TensorInfo *t)
{
    Dtype type = spec->has_type ? spec->type : t->dtype;
    if (always_f32(t))
        return TYPE_f32;
    bool whole = t->shape[t->rank - 1] % type_info[type].block_len == 0;
    return whole ? type : TYPE_f16;
}

static int heads_of(const GgufPlan *p, As as)
{
    const cJSON *heads = config_field(p->spec->config, "num_attention_heads");
    const cJSON *kv = config_field(p->spec->config, "num_key_value_heads");
    if (as == AS_k && cJSON_IsNumber(kv))
        heads = kv;
    return cJSON_IsNumber(heads) ? (int)heads->valuedouble : 0;
}

/* Rows are put in order within heads, or head by head. */
static bool set_rows(GgufPlan *p, GgufPlace *place, const TensorInfo *t, As as)
{
    place->rows = ROWS_plain;
    if (as == AS_is || as == AS_row || (as != AS_qkv && !p->arch->paired))
        return true;
    int64_t group = as == AS_qkv ? 3 : 2;
    place->rows = as == AS_qkv ? ROWS_by_part : ROWS_paired;
    place->heads = heads_of(p, as);
    if (place->heads < 1 || t->shape[0] % (place->heads * group))
        return gguf_refuse(p, "tensor %s: its rows are no %d heads",
                           tensor_text(t), place->heads);
    place->unit = t->shape[0] / place->heads / (as == AS_qkv ? 3 : 1);
    return true;
}

enum { UNIT = 1 << 20 }; /* bytes of rows converted at a time, about */

static void set_unit(GgufPlace *place, const TensorInfo *t)
{
    int64_t row = type_bytes(t->dtype, place->cols);
    if (!place->unit && place->to != t->dtype)
        place->unit = row > UNIT ? 1 : row ? UNIT / row : 1;
}

/* Vectors have a row an element where rows are moved. */
static void set_shape(GgufPlace *place, const TensorInfo *t)
{
    bool vector = t->rank == 1;
    place->cols = vector && place->rows != ROWS_plain ? 1
                                                      : t->shape[t->rank - 1];
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++)
        count *= t->shape[i];
    place->nrows = place->cols ? count / place->cols : 0;
}

static int named(const GgufPlan *p, const char *name)
{
    for (int i = p->tensor.n - 1; i >= 0; i--) /* a stack's came lately */
        if (p->tensor.at[i].info.name == name)
            return i;
    return -1;
}

static bool same_shape(const TensorInfo *a, const TensorInfo *b)
{
    return a->rank == b->rank &&
           !memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape);
}

/* The file's tensor that t, with the file's name, is or is a part of. */
static bool join(GgufPlan *p, GgufPlace *place, TensorInfo t, bool stack)
{
    place->tensor = stack ? named(p, t.name) : -1;
    if (place->tensor < 0) {
        place->tensor = p->tensor.n;
        list_push(p->arena, &p->tensor, (GgufTensor){.info = t, .parts = 1});
        return true;
    }
    GgufTensor *had = &p->tensor.at[place->tensor];
    had->parts++;
    return (same_shape(&had->info, &t) && had->info.dtype == t.dtype) ||
           gguf_refuse(p, "tensor %s is not of the shape or type of the "
                       "others that %.100s stacks", tensor_text(&t),
                       had->info.name);
}

static bool add(GgufPlan *p, int i)
{
    int at[2] = {0};
    const char *rest;
    GgufPlace *place = &p->place[i];
    TensorInfo t = p->spec->tensor[i];
    place->also = -1;
    const NameRow *row = find_row(p->arch, t.name, at, &rest);
    if (!row)
        return gguf_refuse(p, "llama.cpp's %s has no place for tensor %s",
                           p->arch->arch, tensor_text(&t));
    bool stack = strchr(row->name, '@') && !strchr(row->gguf, '@');
    if (!set_rows(p, place, &t, row->as))
        return false;
    set_shape(place, &t);
    place->slot = stack ? at[1] : 0;
    t.name = gguf_fill(row->gguf, at, rest);
    if (row->as == AS_row && t.rank == 2 && t.shape[0] == 1) {
        t.rank = 1;
        t.shape[0] = t.shape[1];
    }
    place->to = stored_type(p->spec, &t);
    set_unit(place, &p->spec->tensor[i]);
    t.dtype = place->to;
    return join(p, place, t, stack);
}

/* A stack has all of 0 .. parts - 1, as names differ and none is larger. */
static bool check_slots(GgufPlan *p)
{
    for (int i = 0; i < p->spec->tensors; i++) {
        const GgufPlace *place = &p->place[i];
        const GgufTensor *t = &p->tensor.at[place->tensor];
        if (place->slot >= t->parts)
            return gguf_refuse(p, "tensor %s: it is one of %d that are "
                               "numbered otherwise",
                               tensor_text(&p->spec->tensor[i]), t->parts);
    }
    return true;
}

static bool is_stack(const GgufPlan *p, const char *name)
{
    int at[2];
    const char *rest;
    for (size_t i = 0; i < COUNT(p->arch->names) && p->arch->names[i]; i++)
        for (const NameRow *row = p->arch->names[i]; row->gguf; row++)
            if (gguf_fits(row->gguf, name, at, &rest))
                return strchr(row->name, '@') && !strchr(row->gguf, '@');
    return false;
}

static bool lay_out(GgufPlan *p)
{
    int64_t at = 0, count;
    for (int i = 0; i < p->tensor.n; i++) {
        GgufTensor *t = &p->tensor.at[i];
        TensorInfo *info = &t->info;
        if (is_stack(p, info->name)) {
            memmove(info->shape + 1, info->shape,
                    (size_t)info->rank * sizeof *info->shape);
            info->shape[0] = t->parts;
            info->rank++;
        }
        if (info->rank < 1 || info->rank > 4)
            return gguf_refuse(p, "tensor %s: GGUF has 1 to 4 dims",
                               tensor_text(info));
        if (!shape_bytes(info, &count, &info->bytes))
            return gguf_refuse(p, "tensor %s: its shape is too large",
                               tensor_text(info));
        t->at = at;
        at = (at + info->bytes + GGUF_ALIGN - 1) / GGUF_ALIGN * GGUF_ALIGN;
    }
    p->end = at;
    return true;
}

/* An embedding that is the head too, where llama.cpp wants a head. */
static void add_head(GgufPlan *p)
{
    int embed = named(p, intern("token_embd.weight"));
    if (!p->arch->own_head || embed < 0 ||
        named(p, intern("output.weight")) >= 0)
        return;
    GgufTensor head = p->tensor.at[embed];
    head.info.name = intern("output.weight");
    for (int i = 0; i < p->spec->tensors; i++)
        if (p->place[i].tensor == embed)
            p->place[i].also = p->tensor.n;
    list_push(p->arena, &p->tensor, head);
}

bool gguf_plan_tensors(GgufPlan *p)
{
    p->place = arena_alloc(p->arena, (size_t)p->spec->tensors *
                                         sizeof *p->place);
    for (int i = 0; i < p->spec->tensors; i++)
        if (!add(p, i))
            return false;
    if (!check_slots(p))
        return false;
    add_head(p);
    return gguf_plan_factors(p) && lay_out(p);
}
