/* Skeleton pack: a value in memory to the panels that a matmul reads: what
 * pack.c does with weights, in each run. A task is a panel. */
#include "codegen/emit/matmul.h"

typedef struct {
    Walk w;
    const Pack *pack;
    const Node *n;
    Val k, k_all;      /* elements of K; with those that fill it up */
    int64_t columns, panels;
    Places batch;
    Val first;         /* column of the panel */
} Panels;

static void sizes(Panels *p)
{
    Emit *e = p->w.e;
    p->k = walk_count(&p->w, p->pack->nk, p->pack->k);
    p->k_all = mul(e, quot(e, add(e, p->k, i64(e, PACK_K - 1)),
                           i64(e, PACK_K)), i64(e, PACK_K));
    p->columns = 1;
    for (int i = 0; i < p->pack->nn; i++)
        p->columns *= size_at(p->pack->n[i]->size, 1);
    p->panels = (p->columns + p->pack->cols - 1) / p->pack->cols;
}

/* Columns first + v .. of row k, f32; 0 where there is none. */
static Val columns_at(Panels *p, Val k, int v)
{
    Emit *e = p->w.e;
    Places at = p->batch;
    Val column = add(e, p->first, i64(e, v));
    at.lanes = e->lanes;
    at.mask = NULL;
    if (p->columns % p->pack->cols)
        at.mask = mask_first(e, e->lanes,
                             sub(e, i64(e, p->columns), column));
    walk_unflatten(&p->w, &at, p->pack->nk, p->pack->k, k, false);
    walk_unflatten(&p->w, &at, p->pack->nn, p->pack->n, column, true);
    Val x = to_float(e, walk(&p->w, p->n, &at), ty(e, TY_f32));
    x = splat(e, x, e->lanes / width_of(x));
    return at.mask ? pick(e, at.mask, x, num(vec(ty(e, TY_f32), e->lanes), 0))
                   : x;
}

static Val zipped(Emit *e, Val a, Val b)
{
    int from[64], n = width_of(a);
    for (int i = 0; i < n; i++) {
        from[2 * i] = i;
        from[2 * i + 1] = n + i;
    }
    return shuffle(e, a, b, from, 2 * n);
}

/* A row of K, or a pair of them (the second may be one too many), to `to`. */
static void pack_rows(Panels *p, Val to, Val k, bool there, bool second)
{
    Emit *e = p->w.e;
    Dtype t = p->pack->dtype;
    Ty f = vec(ty(e, TY_f32), e->lanes);
    for (int v = 0; v < p->pack->cols; v += e->lanes) {
        Val x = there ? columns_at(p, k, v) : num(f, 0);
        if (p->pack->pair == 2)
            x = zipped(e, x, second ? columns_at(p, add(e, k, i64(e, 1)), v)
                                    : num(f, 0));
        store_as(e, t, x, at(e, ty_mem(e, t), to,
                             i64(e, (int64_t)v * p->pack->pair)), NULL);
    }
}

static Val row_at(Panels *p, Val base, Val k)
{
    Emit *e = p->w.e;
    return at(e, ty_mem(e, p->pack->dtype), base,
              mul(e, k, i64(e, p->pack->cols)));
}

static void task(Panels *p)
{
    Emit *e = p->w.e;
    int pair = p->pack->pair;
    Val number = kernel_task(&p->w), panels = i64(e, p->panels);
    p->batch.lanes = 1;
    walk_unflatten(&p->w, &p->batch, p->pack->nb, p->pack->b,
                   quot(e, number, panels), false);
    p->first = mul(e, rest(e, number, panels), i64(e, p->pack->cols));
    Val base = walk_base(&p->w, p->w.kernel->out[0]);
    base = row_at(p, base, mul(e, number, p->k_all));
    Val whole = mul(e, quot(e, p->k, i64(e, pair)), i64(e, pair));
    Loop k = loop_begin(e, "k", i64(e, 0), whole, pair);
    pack_rows(p, row_at(p, base, k.index), k.index, true, true);
    loop_end(e, k);
    if (pair == 2) {
        If odd = if_begin(e, less(e, whole, p->k));
        pack_rows(p, row_at(p, base, whole), whole, true, false);
        if_end(e, odd);
        whole = mul(e, quot(e, add(e, p->k, i64(e, 1)), i64(e, 2)),
                    i64(e, 2));
    }
    Loop z = loop_begin(e, "zero", whole, p->k_all, pair);
    pack_rows(p, row_at(p, base, z.index), z.index, false, false);
    loop_end(e, z);
}

void emit_pack(Emit *e, Plan *plan, Kernel *k)
{
    Panels p = {.pack = &k->out[0]->pack, .n = k->node};
    kernel_begin(&p.w, e, plan, k);
    sizes(&p);
    task(&p);
    kernel_end(&p.w);
    kernel_begin_tasks(&p.w);
    Val batches = walk_count(&p.w, p.pack->nb, p.pack->b);
    ret(e, mul(e, batches, i64(e, p.panels)));
}
