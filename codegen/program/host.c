/* Columns, angles and tensors on the host: see host.h. */
#include "codegen/program/host.h"
#include "codegen/emit/kernel.h"
#include <math.h>
#include <omp.h>
#include <string.h>

/* ---- columns ---- */

const Column *column_find(const Column *c, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(c[i].name, name))
            return &c[i];
    return NULL;
}

void column_convert(Dtype to, void *out, Dtype from, const void *in, int64_t n)
{
#pragma omp parallel for schedule(static) if (n > 10000)
    for (int64_t i = 0; i < n; i++) {
        if (from == TYPE_f32 && to == TYPE_bf16)
            ((uint16_t *)out)[i] = bf16_of_f32(((const float *)in)[i]);
        else if (from == TYPE_bf16 && to == TYPE_f32)
            ((float *)out)[i] = f32_of_bf16(((const uint16_t *)in)[i]);
        else
            type_store(to, out, i, type_load(from, in, i));
    }
}

static bool check_index(const Buffer *b, const int32_t *v, int64_t T, Err *err)
{
    int64_t n = type_count(&b->type, T);
    int64_t size = size_at(b->type.index_of->size, T);
    for (int64_t i = 0; i < n; i++)
        if (v[i] < 0 || v[i] >= size)
            return err_set(err, "input %s: %d at %lld is not below %lld",
                           b->node->name, v[i], (long long)i, (long long)size);
    return true;
}

bool column_holds(const Column *c, const Buffer *b, int64_t T, Err *err)
{
    if (!c || !c->data)
        return err_set(err, "input %s is not given", b->node->name);
    if (b->type.index_of && c->dtype != TYPE_i32)
        return err_set(err, "input %s: indices are i32, not %s", c->name,
                       type_info[c->dtype].name);
    return !b->type.index_of || check_index(b, c->data, T, err);
}

int output_block(const Steps *s, const Node *n)
{
    for (int i = 0; i < s->out.n; i++)
        if (s->out.at[i]->node == n)
            return i;
    BUG("an output that no kernel stores");
}

bool positions_hold(int64_t base, int64_t T, const int32_t *pos,
                            Err *err)
{
    for (int64_t t = 0; t < T; t++)
        if (pos[t] < 0 || pos[t] > base + t)
            return err_set(err, "token %lld: position %d, but %lld are before",
                           (long long)t, pos[t], (long long)(base + t));
    return true;
}

/* ---- tables of angles ---- */

void angles_fill(const Angles *r, const int32_t *pos, int64_t T, int64_t first,
                 int64_t end, float *table)
{
    int half = r->rope->rotary / 2;
    for (int64_t t = first; t < end; t++)
        for (int j = 0; j < half; j++) {
            double a = pos[t] * r->freq[j];
            table[t * half + j] = (float)(cos(a) * r->scale);
            table[(T + t) * half + j] = (float)(sin(a) * r->scale);
        }
}

/* ---- tensors ---- */

bool tensor_load(const WeightSource *s, const Weight *w, int64_t index,
                     Dtype to, void *out, Err *err)
{
    enum { BLOCK = 1 << 20 };
    int64_t n = weight_elements(w), blocks = (n + BLOCK - 1) / BLOCK;
    bool good = true;
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < blocks; i++) {
        Err own_err = {""};
        int64_t first = i * BLOCK, left = n - first;
        if (s->read(s->user, w, index, first, left < BLOCK ? left : BLOCK, to,
                    (char *)out + type_bytes(to, first), &own_err))
            continue;
#pragma omp critical
        {
            good = false;
            *err = own_err;
        }
    }
    return good;
}

bool tensor_pack(const WeightSource *s, const Weight *w, const Pack *k,
                        int part, int64_t index, void *dst, Err *err)
{
    const void *src =
        s->in_place ? s->in_place(s->user, w, index, k->dtype) : NULL;
    char *copy = NULL;
    bool good = true;
    if (!src) {
        int64_t bytes = type_bytes(k->dtype, weight_elements(w));
        src = copy = xmalloc((size_t)bytes + 1);
        good = tensor_load(s, w, index, k->dtype, copy, err);
    }
    if (good)
        pack_part(k, part, w->stacked, index, src, dst);
    free(copy);
    if (good && s->done)
        s->done(s->user, w, index);
    return good;
}
