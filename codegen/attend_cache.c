/* The cache of attention: its layout, and the kernel that appends rows. */
#include "codegen/attend.h"

static int64_t size_of(const Dim *d)
{
    return size_at(d->size, 1);
}

static TileKind score_kind(const Target *t, Dtype q, Dtype k)
{
    if (k == TYPE_bf16)
        return q == TYPE_bf16 && tile_dots(t) ? TILE_dot : TILE_wide;
    return k == TYPE_f16 ? TILE_half : TILE_f32;
}

CacheShape cache_shape(const Target *t, const Type *q, const Type *kv)
{
    Emit sizes = {.target = t, .lanes = t->width / 4};
    CacheShape s = {.G = size_of(kv->dim[1]), .hd = size_of(kv->dim[2]),
                    .dtype = kv->dtype};
    s.H = q ? size_of(q->dim[1]) : s.G;
    s.group = s.H / s.G;
    s.cols = 2 * sizes.lanes;
    s.rows = 2 * s.cols;
    s.pair = s.dtype == TYPE_bf16 ? 2 : 1;
    s.k_pad = (s.hd + TILE_K - 1) / TILE_K * TILE_K;
    s.v_panels = (s.hd + s.cols - 1) / s.cols;
    s.k_block = s.k_pad * s.rows;
    s.v_block = s.v_panels * s.rows * s.cols;
    s.score = tile_choose(&sizes,
                          score_kind(t, q ? q->dtype : s.dtype, s.dtype), 4, 0);
    s.sum = tile_choose(&sizes, score_kind(t, TYPE_f32, s.dtype), 2, 0);
    return s;
}

int64_t attend_bytes(const Target *t, const Type *kv, bool keys, int64_t rows)
{
    CacheShape s = cache_shape(t, NULL, kv);
    int64_t blocks = (rows + s.rows - 1) / s.rows;
    return type_bytes(s.dtype, blocks * s.G * (keys ? s.k_block : s.v_block));
}

Val cache_block(Emit *e, const CacheShape *s, Val cache, Val block, Val head,
                bool keys)
{
    Val n = add(e, mul(e, block, i64(e, s->G)), head);
    n = mul(e, n, i64(e, keys ? s->k_block : s->v_block));
    return at(e, ty_mem(e, s->dtype), cache, n);
}

/* ---- appending ---- */

typedef struct {
    Walk *w;
    CacheShape s;
    Val base, T, block, head; /* this task's; block counted from row 0 */
} Append;

/* Element `inner` (of a row) at position `at_row` of a block, in pairs along
 * `outer`: [outer / pair][width][pair]. */
static Val place(Emit *e, int64_t pair, int64_t width, Val outer, Val inner)
{
    Val n = mul(e, quot(e, outer, i64(e, pair)), i64(e, width * pair));
    n = add(e, n, mul(e, inner, i64(e, pair)));
    return add(e, n, rest(e, outer, i64(e, pair)));
}

static Val source(Append *a, const Buffer *b, Val row, Val d)
{
    Emit *e = a->w->e;
    Val token = sub(e, row, a->base);
    Val n = add(e, mul(e, token, i64(e, a->s.G)), a->head);
    n = add(e, mul(e, n, i64(e, a->s.hd)), d);
    Ty t = ty_mem(e, a->s.dtype);
    return load(e, t, at(e, t, walk_base(a->w, b), n));
}

static void put_key(Append *a, Val to, Val row, Val in)
{
    Emit *e = a->w->e;
    Ty t = ty_mem(e, a->s.dtype);
    const Attend *k = &a->w->kernel->attend;
    Loop d = loop_begin(e, "d", i64(e, 0), i64(e, a->s.hd), 1);
    Val n = place(e, a->s.pair, a->s.rows, d.index, in);
    store(e, source(a, k->k, row, d.index), at(e, t, to, n));
    loop_end(e, d);
    d = loop_begin(e, "pad", i64(e, a->s.hd), i64(e, a->s.k_pad), 1);
    n = place(e, a->s.pair, a->s.rows, d.index, in);
    store(e, LLVMConstNull(t), at(e, t, to, n));
    loop_end(e, d);
}

/* row NULL: zeros, where positions are still to come. */
static void put_value(Append *a, Val to, Val row, Val in)
{
    Emit *e = a->w->e;
    Ty t = ty_mem(e, a->s.dtype);
    const Attend *k = &a->w->kernel->attend;
    Val cols = i64(e, a->s.cols);
    Loop d = loop_begin(e, "d", i64(e, 0), i64(e, a->s.hd), 1);
    Val n = place(e, a->s.pair, a->s.cols, in, rest(e, d.index, cols));
    Val panel = mul(e, quot(e, d.index, cols), i64(e, a->s.rows * a->s.cols));
    Val v = row ? source(a, k->v, row, d.index) : LLVMConstNull(t);
    store(e, v, at(e, t, to, add(e, panel, n)));
    loop_end(e, d);
}

static void append_block(Append *a)
{
    Emit *e = a->w->e;
    const Attend *k = &a->w->kernel->attend;
    Val keys = cache_block(e, &a->s, walk_base(a->w, k->keys), a->block,
                           a->head, true);
    Val vals = cache_block(e, &a->s, walk_base(a->w, k->vals), a->block,
                           a->head, false);
    Val first = mul(e, a->block, i64(e, a->s.rows));
    Val last = add(e, first, i64(e, a->s.rows));
    Val end = add(e, a->base, a->T);
    Val from = greatest(e, first, a->base), to = least(e, last, end);
    Loop r = loop_begin(e, "row", from, to, 1);
    put_key(a, keys, r.index, sub(e, r.index, first));
    put_value(a, vals, r.index, sub(e, r.index, first));
    loop_end(e, r);
    r = loop_begin(e, "free", to, last, 1);
    put_value(a, vals, NULL, sub(e, r.index, first));
    loop_end(e, r);
}

/* Blocks that rows base .. base + T - 1 touch. */
static Val touched(Append *a, Val *first)
{
    Emit *e = a->w->e;
    Val rows = i64(e, a->s.rows);
    a->base = walk_run(a->w, RUN_base);
    a->T = walk_size(a->w, a->w->kernel->attend.q->type.dim[0]->size);
    *first = quot(e, a->base, rows);
    Val end = add(e, add(e, a->base, a->T), sub(e, rows, i64(e, 1)));
    return sub(e, quot(e, end, rows), *first);
}

void emit_append(Walk *w, Emit *e, Plan *p, Kernel *k)
{
    Kernel named = *k;
    named.name = intern_printf("%s_append", k->name);
    kernel_begin(w, e, p, &named);
    Append a = {.w = w, .s = cache_shape(e->target, &k->attend.q->type,
                                         &k->attend.k->type)};
    Val first;
    touched(&a, &first);
    Val heads = i64(e, a.s.G), task = kernel_task(w);
    a.block = add(e, first, quot(e, task, heads));
    a.head = rest(e, task, heads);
    append_block(&a);
    kernel_end(w);
    kernel_begin_tasks(w);
    ret(e, mul(e, touched(&a, &first), i64(e, a.s.G)));
}
