/* Weights of a program: read in place, copied, or packed for the matmuls. */
#include "codegen/program/cpu.h"
#include "codegen/program/host.h"

static const Weight *weight_of(const Program *p, const Held *h, const Node *n)
{
    const Weight *w = steps_weight(h->in, n);
    for (int i = 0; i < p->swap.n; i++)
        if (p->swap.at[i].from == w)
            return p->swap.at[i].to;
    return w;
}

void program_swap(Program *p, const Weight *w, const Weight *other)
{
    for (int i = 0; i < p->swap.n; i++)
        if (p->swap.at[i].from == w) {
            p->swap.at[i].to = other;
            return;
        }
    struct Swap s = {w, other};
    list_push(&p->arena, &p->swap, s);
}

/* ---- weights read as they are ---- */

static bool load_one(Program *p, const WeightSource *s, const Weight *w,
                     int64_t index, Dtype t, void **at, Err *err)
{
    const void *there = s->in_place ? s->in_place(s->user, w, index, t) : NULL;
    *at = (void *)(uintptr_t)there;
    if (there)
        return true;
    *at = exec_pool_take(&p->weights, type_bytes(t, weight_elements(w)));
    return tensor_load(s, w, index, t, *at, err);
}

/* All tensors of w where they lie, if that is one behind the other; or NULL. */
static void *whole_in_place(const WeightSource *s, const Weight *w, Dtype t)
{
    int64_t bytes = type_bytes(t, weight_elements(w));
    const char *first = s->in_place ? s->in_place(s->user, w, 0, t) : NULL;
    for (int64_t i = 1; first && i < weight_tensors(w); i++)
        if (s->in_place(s->user, w, i, t) != first + i * bytes)
            return NULL;
    return (void *)(uintptr_t)first;
}

/* A buffer that wants a table gets one; one that does not, a single tensor. */
static bool load_plain(Program *p, const WeightSource *s, const Held *h,
                       void **at, Err *err)
{
    const Buffer *b = h->b;
    const Weight *w = weight_of(p, h, b->node);
    Dtype t = b->type.dtype;
    int64_t n = weight_tensors(w);
    if (!b->stacked && n == 1)
        return load_one(p, s, w, 0, t, at, err);
    if (!b->stacked && p->o.moving && (*at = whole_in_place(s, w, t)))
        return true;
    if (!b->stacked) { /* a slot: its weights may be stacked, tables are not */
        int64_t bytes = type_bytes(t, type_count(&w->type, 1));
        char *all = exec_pool_take(&p->weights, bytes);
        *at = all;
        for (int64_t i = 0; i < n; i++)
            if (!tensor_load(s, w, i, t,
                          all + type_bytes(t, i * weight_elements(w)), err))
                return false;
        return true;
    }
    void **table = exec_pool_take(&p->weights, n * (int64_t)sizeof *table);
    *at = table;
    for (int64_t i = 0; i < n; i++)
        if (!load_one(p, s, w, i, t, &table[i], err))
            return false;
    return true;
}

/* ---- packed weights ---- */

static bool load_packed(Program *p, const WeightSource *s, const Held *h,
                        void **at, Err *err)
{
    const Buffer *b = h->b;
    void *dst = exec_pool_take(&p->weights, pack_bytes(&b->pack));
    p->cost.packed += pack_bytes(&b->pack);
    *at = dst;
    for (int i = 0; i < b->pack.parts; i++) {
        const Weight *w = weight_of(p, h, b->pack.part[i]);
        for (int64_t j = 0; j < weight_tensors(w); j++)
            if (!tensor_pack(s, w, &b->pack, i, j, dst, err))
                return false;
    }
    return true;
}

bool program_load(Program *p, const WeightSource *s, Err *err)
{
    exec_pool_free(&p->weights);
    p->loaded = false;
    p->cost.packed = 0;
    for (int i = 0; i < p->steps.weight.n; i++) {
        const Held *h = &p->steps.weight.at[i];
        void **at = &p->base[SPACE_weight][i];
        if (h->b->kind == BUF_packed ? !load_packed(p, s, h, at, err)
                                     : !load_plain(p, s, h, at, err))
            return false;
    }
    return p->loaded = true;
}
