/* The cache of attention: its layout, and the kernel that appends rows. */
#include "codegen/emit/attend.h"
#include <string.h>

static int64_t size_of(const Dim *d)
{
    return size_at(d->size, 1);
}

static TileKind score_kind(const Target *t, Dtype q, Dtype k)
{
    if (k == TYPE_bf16)
        return q == TYPE_bf16 && t->dots ? TILE_dot : TILE_wide;
    return k == TYPE_f16 ? TILE_half : TILE_f32;
}

CacheShape cache_shape(const Target *t, const Type *q, const Type *k,
                       const Type *v)
{
    Emit sizes = {.target = t, .lanes = t->width / 4};
    CacheShape s = {.G = size_of(k->dim[1]), .hd = size_of(k->dim[2]),
                    .vd = size_of(v->dim[2]), .dtype = k->dtype};
    s.H = q ? size_of(q->dim[1]) : s.G;
    s.group = s.H / s.G;
    s.cols = 2 * sizes.lanes;
    s.rows = 2 * s.cols;
    s.pair = s.dtype == TYPE_bf16 ? 2 : 1;
    s.k_pad = (s.hd + TILE_K - 1) / TILE_K * TILE_K;
    s.v_panels = (s.vd + s.cols - 1) / s.cols;
    s.k_block = s.k_pad * s.rows;
    s.v_block = s.v_panels * s.rows * s.cols;
    s.score = tile_choose(&sizes,
                          score_kind(t, q ? q->dtype : s.dtype, s.dtype), 4, 0);
    s.sum = tile_choose(&sizes, score_kind(t, TYPE_f32, s.dtype), 2, 0);
    return s;
}

/* Of one head's blocks that hold `rows` rows. */
static int64_t head_bytes(const CacheShape *s, bool keys, int64_t rows)
{
    int64_t blocks = (rows + s->rows - 1) / s->rows;
    return type_bytes(s->dtype, blocks * (keys ? s->k_block : s->v_block));
}

int64_t attend_bytes(const Target *t, const Type *kv, bool keys, int64_t rows)
{
    CacheShape s = cache_shape(t, NULL, kv, kv);
    return s.G * head_bytes(&s, keys, rows);
}

void attend_copy(const Target *t, const Type *kv, bool keys, int64_t length,
                 int64_t rows, const void *from, int64_t more, void *to)
{
    CacheShape s = cache_shape(t, NULL, kv, kv);
    for (int64_t g = 0; g < s.G; g++)
        memcpy((char *)to + g * head_bytes(&s, keys, more),
               (const char *)from + g * head_bytes(&s, keys, rows),
               (size_t)head_bytes(&s, keys, length));
}

Val cache_block(Walk *w, const CacheShape *s, Val cache, Val block, Val head,
                bool keys)
{
    Emit *e = w->e;
    Val room = walk_run(w, RUN_capacity);
    Val blocks = quot(e, add(e, room, i64(e, s->rows - 1)), i64(e, s->rows));
    Val n = add(e, mul(e, head, blocks), block);
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

/* Element d of the row's keys or values, `size` of them. */
static Val source(Append *a, const Buffer *b, int64_t size, Val row, Val d)
{
    Emit *e = a->w->e;
    Val token = sub(e, row, a->base);
    Val n = add(e, mul(e, token, i64(e, a->s.G)), a->head);
    n = add(e, mul(e, n, i64(e, size)), d);
    return at(e, ty_mem(e, a->s.dtype), walk_base(a->w, b), n);
}

/* Elements first .. of the row at d, d + step, .. below `end`; 0 past the row.
 * t: `step` elements as one. */
static void put_key_part(Append *a, Val to, Val row, Val in, Ty t,
                         int64_t first, int64_t end, int64_t step)
{
    Emit *e = a->w->e;
    bool pad = first >= a->s.hd;
    const Attend *k = &a->w->kernel->attend;
    Loop d = loop_begin(e, "d", i64(e, first), i64(e, end), step);
    Val n = place(e, a->s.pair, a->s.rows, d.index, in);
    Val v = pad ? LLVMConstNull(t)
                : load(e, t, source(a, k->k, a->s.hd, row, d.index));
    store(e, v, at(e, ty_mem(e, a->s.dtype), to, n));
    loop_end(e, d);
}

/* A row's keys, in pairs where it has whole ones. */
static void put_key(Append *a, Val to, Val row, Val in)
{
    Ty one = ty_mem(a->w->e, a->s.dtype);
    int64_t hd = a->s.hd, whole = 0;
    if (a->s.pair == 2) {
        whole = hd / 2 * 2;
        put_key_part(a, to, row, in, ty(a->w->e, TY_i32), 0, whole, 2);
    }
    put_key_part(a, to, row, in, one, whole, hd, 1);
    put_key_part(a, to, row, in, one, hd, a->s.k_pad, 1);
}

/* Where element d of position `in` lies among a block's values. */
static Val value_place(Append *a, Val to, Val in, Val d)
{
    Emit *e = a->w->e;
    Val cols = i64(e, a->s.cols);
    Val n = place(e, a->s.pair, a->s.cols, in, rest(e, d, cols));
    Val panel = mul(e, quot(e, d, cols), i64(e, a->s.rows * a->s.cols));
    return at(e, ty_mem(e, a->s.dtype), to, add(e, panel, n));
}

/* Elements first .. of a row; row NULL: zeros, for a position to come. */
static void put_value(Append *a, Val to, Val row, Val in, int64_t first)
{
    Emit *e = a->w->e;
    Ty t = ty_mem(e, a->s.dtype);
    Loop d = loop_begin(e, "d", i64(e, first), i64(e, a->s.vd), 1);
    Val v = LLVMConstNull(t);
    if (row)
        v = load(e, t, source(a, a->w->kernel->attend.v, a->s.vd, row,
                              d.index));
    store(e, v, value_place(a, to, in, d.index));
    loop_end(e, d);
}

/* `pair` rows from one where a pair begins, by vectors. */
static void put_value_pair(Append *a, Val to, Val row, Val in)
{
    Emit *e = a->w->e;
    const Buffer *v = a->w->kernel->attend.v;
    int64_t lanes = e->lanes, whole = a->s.vd / lanes * lanes;
    Ty t = vec(ty_mem(e, a->s.dtype), e->lanes);
    Loop d = loop_begin(e, "d", i64(e, 0), i64(e, whole), lanes);
    Val x = load(e, t, source(a, v, a->s.vd, row, d.index));
    if (a->s.pair == 2) {
        Ty wide = vec(ty(e, TY_i32), e->lanes);
        Val next = add(e, row, i64(e, 1));
        Val y = load(e, t, source(a, v, a->s.vd, next, d.index));
        x = LLVMBuildZExt(e->at, x, wide, "");
        y = LLVMBuildZExt(e->at, y, wide, "");
        x = bit_or(e, x, shift_left(e, y, 16));
    }
    store(e, x, value_place(a, to, in, d.index));
    loop_end(e, d);
    for (int64_t i = 0; i < a->s.pair; i++)
        put_value(a, to, add(e, row, i64(e, i)), add(e, in, i64(e, i)), whole);
}

/* Rows from .. to - 1 of a block whose first is `first`. */
static void put_values(Append *a, Val vals, Val first, Val from, Val to)
{
    Emit *e = a->w->e;
    Val pair = i64(e, a->s.pair), less_one = i64(e, a->s.pair - 1);
    Val up = mul(e, quot(e, add(e, from, less_one), pair), pair);
    Val begin = least(e, up, to);
    Val end = greatest(e, begin, mul(e, quot(e, to, pair), pair));
    Loop r = loop_begin(e, "row", from, begin, 1);
    put_value(a, vals, r.index, sub(e, r.index, first), 0);
    loop_end(e, r);
    r = loop_begin(e, "row", begin, end, a->s.pair);
    put_value_pair(a, vals, r.index, sub(e, r.index, first));
    loop_end(e, r);
    r = loop_begin(e, "row", end, to, 1);
    put_value(a, vals, r.index, sub(e, r.index, first), 0);
    loop_end(e, r);
}

/* Positions in .. of a block, which are still to come. */
static void clear_values(Append *a, Val vals, Val in)
{
    Emit *e = a->w->e;
    Val pair = i64(e, a->s.pair), rows = i64(e, a->s.rows);
    Val up = mul(e, quot(e, add(e, in, i64(e, a->s.pair - 1)), pair), pair);
    Loop r = loop_begin(e, "free", in, up, 1);
    put_value(a, vals, NULL, r.index, 0);
    loop_end(e, r);
    Val bytes = i64(e, type_bytes(a->s.dtype, a->s.cols));
    bytes = mul(e, sub(e, rows, up), bytes);
    for (int64_t i = 0; i < a->s.v_panels; i++) {
        Val p = value_place(a, vals, up, i64(e, i * a->s.cols));
        LLVMBuildMemSet(e->at, p, LLVMConstNull(ty(e, TY_i8)), bytes, 2);
    }
}

static void append_block(Append *a)
{
    Emit *e = a->w->e;
    const Attend *k = &a->w->kernel->attend;
    Val keys = cache_block(a->w, &a->s, walk_base(a->w, k->keys), a->block,
                           a->head, true);
    Val vals = cache_block(a->w, &a->s, walk_base(a->w, k->vals), a->block,
                           a->head, false);
    Val first = mul(e, a->block, i64(e, a->s.rows));
    Val last = add(e, first, i64(e, a->s.rows));
    Val end = add(e, a->base, a->T);
    Val from = greatest(e, first, a->base), to = least(e, last, end);
    Loop r = loop_begin(e, "row", from, to, 1);
    put_key(a, keys, r.index, sub(e, r.index, first));
    loop_end(e, r);
    put_values(a, vals, first, from, to);
    clear_values(a, vals, sub(e, to, first));
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
                                         &k->attend.k->type,
                                         &k->attend.v->type)};
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
