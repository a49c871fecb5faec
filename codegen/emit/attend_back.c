/* Attention's gradients. With scores u_ti = q_t . k_i / sqrt(hd) as the op has
 * them and p = e^(u - lse), delta_t = g_t . y_t:
 *     ds = p (g_t . v_i - delta_t),  dq_t = sum_i ds k_i / sqrt(hd),
 *     dk_i = sum_t ds q_t / sqrt(hd),  dv_i = sum_t p g_t
 * A task is a block of positions of a head: queries for dq, or keys for dk and
 * dv, which adds up all query heads that read them, in order. Its positions are
 * the columns of panels; it goes over blocks of the other side, whose scores
 * are made again. No score is stored, nothing is added by two tasks. */
#include "codegen/emit/attend_back.h"
#include "codegen/emit/emit_math.h"
#include <limits.h>
#include <math.h>

static const Buffer *out_of(const Kernel *k, Op op)
{
    for (int i = 0; i < k->nout; i++)
        if (k->out[i]->node->op == op)
            return k->out[i];
    return NULL;
}

static void begin(Back *b, Kernel *k)
{
    enum { Q, K, V, Y, LSE, G, MORE };
    const Node *n = b->n = k->out[0]->node;
    const Emit *e = b->w.e;
    b->q = kernel_leaf(k, n->arg[Q]);
    b->k = kernel_leaf(k, n->arg[K]);
    b->v = kernel_leaf(k, n->arg[V]);
    b->y = kernel_leaf(k, n->arg[Y]);
    b->lse = kernel_leaf(k, n->arg[LSE]);
    b->g = kernel_leaf(k, n->arg[G]);
    b->more = n->arg[MORE]->type.rank ? kernel_leaf(k, n->arg[MORE]) : NULL;
    b->H = size_at(b->q->type.dim[1]->size, 1);
    b->G = size_at(b->k->type.dim[1]->size, 1);
    b->group = b->H / b->G;
    b->hd = size_at(b->k->type.dim[2]->size, 1);
    b->vd = size_at(b->v->type.dim[2]->size, 1);
    b->tile = tile_choose(e, TILE_f32, 2, 0);
    b->cols = 2 * e->lanes;
    b->panels = BACK_BLOCK / b->cols;
}

/* ---- what queries see ---- */

static Val first_seen(Back *b, Val t)
{
    Emit *e = b->w.e;
    const Node *n = b->n;
    Ty i = ty(e, TY_i32);
    Val pos = load(e, i, at(e, i, walk_base(&b->w, kernel_positions(
                                                b->w.kernel)), t));
    pos = to_int(e, pos, ty(e, TY_i64));
    int64_t window = n->size ? size_at(n->size, 1) : 0;
    if (n->name)
        pos = rest(e, pos, i64(e, window));
    else if (window)
        pos = least(e, pos, i64(e, window - 1));
    return sub(e, t, pos);
}

static Val delta_of(Back *b, Val t)
{
    Emit *e = b->w.e;
    Rows y = {b->y, b->head}, g = {b->g, b->head};
    Val py = back_row(b, &y, t), pg = back_row(b, &g, t);
    Dtype ty_y = b->y->type.dtype, ty_g = b->g->type.dtype;
    Val sum = num(vec(ty(e, TY_f32), e->lanes), 0);
    for (int64_t j = 0; j < b->vd; j += e->lanes) {
        Val mask = j + e->lanes > b->vd
                       ? mask_first(e, e->lanes, i64(e, b->vd - j)) : NULL;
        Val u = load_as(e, ty_y, e->lanes,
                        at(e, ty_mem(e, ty_y), py, i64(e, j)), mask);
        Val v = load_as(e, ty_g, e->lanes,
                        at(e, ty_mem(e, ty_g), pg, i64(e, j)), mask);
        sum = mul_add(e, u, v, sum);
    }
    return reduce_add(e, sum);
}

/* from, lses, delta of queries t0 ..; what is no token sees nothing. */
static void look(Back *b, Val t0)
{
    Emit *e = b->w.e;
    Ty f = ty(e, TY_f32), i = ty(e, TY_i32);
    Dtype t = b->lse->type.dtype;
    Loop r = loop_begin(e, "query", i64(e, 0), i64(e, BACK_BLOCK), 1);
    Val q = add(e, t0, r.index);
    store(e, i32(e, INT_MAX), at(e, i, b->from, r.index));
    store(e, f32(e, 0), at(e, f, b->lses, r.index));
    store(e, f32(e, 0), at(e, f, b->delta, r.index));
    If there = if_begin(e, less(e, q, b->T));
    Val n = add(e, mul(e, q, i64(e, b->H)), b->head);
    Val lse = load_as(e, t, 1, at(e, ty_mem(e, t), walk_base(&b->w, b->lse),
                                  n), NULL);
    store(e, to_int(e, first_seen(b, q), i), at(e, i, b->from, r.index));
    store(e, to_float(e, lse, f), at(e, f, b->lses, r.index));
    store(e, delta_of(b, q), at(e, f, b->delta, r.index));
    if_end(e, there);
    loop_end(e, r);
}

/* ---- scores ---- */

/* The lanes at columns c ..  against row r. */
typedef struct {
    Val t, i; /* query, key: i32 */
    Val from, lse, delta;
} Pair;

static Pair pair_at(Back *b, Val r, int c)
{
    Emit *e = b->w.e;
    Ty i = ty(e, TY_i32), f = ty(e, TY_f32);
    int n = e->lanes;
    Val own = splat(e, to_int(e, add(e, b->c0, i64(e, c)), i), n);
    own = add(e, own, lane_numbers(e, i, n));
    Val other = splat(e, to_int(e, add(e, b->r0, r), i), n);
    if (b->by_key)
        return (Pair){other, own,
                      splat(e, load(e, i, at(e, i, b->from, r)), n),
                      splat(e, load(e, f, at(e, f, b->lses, r)), n),
                      splat(e, load(e, f, at(e, f, b->delta, r)), n)};
    Val at_c = i64(e, c);
    return (Pair){own, other, load(e, vec(i, n), at(e, i, b->from, at_c)),
                  load(e, vec(f, n), at(e, f, b->lses, at_c)),
                  load(e, vec(f, n), at(e, f, b->delta, at_c))};
}

/* What the score gets besides q . k. */
static Val with_more(Back *b, const Pair *p, Val u)
{
    Emit *e = b->w.e;
    if (!b->more)
        return u;
    const Type *t = &b->more->type;
    Places at = {.lanes = 1};
    Val back = sub(e, p->t, p->i);
    places_set(&at, t->dim[0], b->head, false);
    if (t->rank == 1) {
        Val by = to_float(e, walk_load(&b->w, b->more, &at), ty(e, TY_f32));
        return sub(e, u, mul(e, splat(e, by, e->lanes),
                             to_float(e, back, ty(e, TY_f32))));
    }
    back = to_int(e, greatest(e, back, like_bits(back, 0)), ty(e, TY_i64));
    Val last = sub(e, walk_size(&b->w, t->dim[1]->size), i64(e, 1));
    at.lanes = e->lanes;
    places_set(&at, t->dim[1], least(e, back, splat(e, last, e->lanes)),
               false);
    return add(e, u, to_float(e, walk_load(&b->w, b->more, &at),
                              ty(e, TY_f32)));
}

/* A vector of q . k and g . v to p and ds / sqrt(hd), in their places. */
static void weigh(Back *b, Val r, int c)
{
    Emit *e = b->w.e;
    Ty f = ty(e, TY_f32);
    double scale = 1 / sqrt((double)b->hd), cap = b->n->num;
    int64_t high = back_height(b, BACK_BLOCK);
    Val n = add(e, mul(e, r, i64(e, b->cols)),
                i64(e, c / b->cols * high * b->cols + c % b->cols));
    Val at_s = at(e, f, b->s, n), at_d = at(e, f, b->d, n);
    Val s = load(e, vec(f, e->lanes), at_s), d = load(e, vec(f, e->lanes),
                                                      at_d);
    Pair p = pair_at(b, r, c);
    Val through = like(s, scale), u = mul(e, s, like(s, scale));
    if (cap > 0) {
        Val t = vm_tanh(e, mul(e, u, like(s, 1 / cap)));
        u = mul(e, t, like(s, cap));
        through = mul(e, through, sub(e, like(s, 1), mul(e, t, t)));
    }
    u = with_more(b, &p, u);
    Val sees = bit_and(e, less_eq(e, p.from, p.i), less_eq(e, p.i, p.t));
    u = pick(e, sees, sub(e, u, p.lse), like(u, -200));
    Val weight = pick(e, sees, vm_exp(e, u), like(u, 0));
    d = mul(e, mul(e, weight, sub(e, d, p.delta)), through);
    store(e, weight, at_s);
    store(e, pick(e, sees, d, like(d, 0)), at_d);
}

/* ---- a block of the other side ---- */

static void clear(Back *b, Val at, int64_t floats)
{
    Emit *e = b->w.e;
    LLVMBuildMemSet(e->at, at, LLVMConstNull(ty(e, TY_i8)),
                    i64(e, floats * 4), 64);
}

static void products(Back *b, const Rows *r, Val rows_at, Val columns, Val to,
                     int64_t size)
{
    Emit *e = b->w.e;
    int64_t k = (size + TILE_K - 1) / TILE_K * TILE_K;
    int64_t high = back_height(b, BACK_BLOCK);
    Val chunks = i64(e, k / tile_chunk(&b->tile));
    back_pack_rows(b, r, rows_at);
    clear(b, to, high * BACK_BLOCK);
    back_multiply(b, rows_at, b->rows, columns, k, chunks, chunks, to, high);
}

/* sums += (rows turned) weights */
static void sum_up(Back *b, const Rows *r, Val turned, Val weights, Val sums,
                   int64_t size, Val count)
{
    Emit *e = b->w.e;
    Val chunks = i64(e, BACK_BLOCK / tile_chunk(&b->tile));
    back_turn_rows(b, r, turned);
    back_multiply(b, turned, i64(e, size), weights,
                  back_height(b, BACK_BLOCK), chunks, count, sums,
                  back_height(b, size));
}

static void block(Back *b)
{
    Emit *e = b->w.e;
    int64_t chunk = tile_chunk(&b->tile);
    products(b, &b->row1, b->row1_at, b->col1_at, b->s, b->hd);
    products(b, &b->row2, b->row2_at, b->col2_at, b->d, b->vd);
    Val count = quot(e, add(e, b->rows, i64(e, chunk - 1)), i64(e, chunk));
    Loop r = loop_begin(e, "row", i64(e, 0), mul(e, count, i64(e, chunk)), 1);
    for (int c = 0; c < BACK_BLOCK; c += e->lanes)
        weigh(b, r.index, c);
    loop_end(e, r);
    sum_up(b, &b->row1, b->turn1_at, b->d, b->sum1, b->hd, count);
    if (b->by_key)
        sum_up(b, &b->row2, b->turn2_at, b->s, b->sum2, b->vd, count);
}

/* ---- tasks ---- */

static Val blocks(Back *b)
{
    Emit *e = b->w.e;
    b->T = walk_size(&b->w, b->q->type.dim[0]->size);
    return quot(e, add(e, b->T, i64(e, BACK_BLOCK - 1)), i64(e, BACK_BLOCK));
}

static void set_rows(Back *b, Val block_of)
{
    Emit *e = b->w.e;
    b->r0 = mul(e, block_of, i64(e, BACK_BLOCK));
    b->rows = least(e, sub(e, b->T, b->r0), i64(e, BACK_BLOCK));
}

static void begin_task(Back *b, Val block_of)
{
    Emit *e = b->w.e;
    b->c0 = mul(e, block_of, i64(e, BACK_BLOCK));
    back_pack_columns(b, &b->col1, b->col1_at);
    back_pack_columns(b, &b->col2, b->col2_at);
    clear(b, b->sum1, back_height(b, b->hd) * BACK_BLOCK);
}

/* dq of a block of a head's queries. */
static void queries_task(Back *b, Val n, const Buffer *dq)
{
    Emit *e = b->w.e;
    b->by_key = false;
    b->head = rest(e, n, i64(e, b->H));
    Val kv = quot(e, b->head, i64(e, b->group));
    b->col1 = (Rows){b->q, b->head};
    b->col2 = (Rows){b->g, b->head};
    b->row1 = (Rows){b->k, kv};
    b->row2 = (Rows){b->v, kv};
    Val own = quot(e, n, i64(e, b->H)), width = i64(e, BACK_BLOCK);
    begin_task(b, own);
    look(b, b->c0);
    Val first = quot(e, first_seen(b, b->c0), width);
    Loop j = loop_begin(e, "keys", first, add(e, own, i64(e, 1)), 1);
    set_rows(b, j.index);
    block(b);
    loop_end(e, j);
    back_store(b, b->sum1, b->hd, dq, b->head);
}

/* A block of queries of one head, if any of them sees the keys. */
static void add_queries(Back *b, Val block_of, Val last_key)
{
    Emit *e = b->w.e;
    set_rows(b, block_of);
    If sees = if_begin(e, less_eq(e, first_seen(b, b->r0), last_key));
    look(b, b->r0);
    block(b);
    if_end(e, sees);
}

/* dk and dv of a block of a head's keys. */
static void keys_task(Back *b, Val n, const Buffer *dk, const Buffer *dv)
{
    Emit *e = b->w.e;
    b->by_key = true;
    Val kv = rest(e, n, i64(e, b->G)), own = quot(e, n, i64(e, b->G));
    b->col1 = (Rows){b->k, kv};
    b->col2 = (Rows){b->v, kv};
    begin_task(b, own);
    clear(b, b->sum2, back_height(b, b->vd) * BACK_BLOCK);
    Val last = add(e, b->c0, i64(e, BACK_BLOCK - 1));
    Val end = blocks(b), first = mul(e, kv, i64(e, b->group));
    Loop h = loop_begin(e, "head", first, add(e, first, i64(e, b->group)), 1);
    b->head = h.index;
    b->row1 = (Rows){b->q, b->head};
    b->row2 = (Rows){b->g, b->head};
    Loop j = loop_begin(e, "queries", own, end, 1);
    add_queries(b, j.index, last);
    loop_end(e, j);
    loop_end(e, h);
    if (dk)
        back_store(b, b->sum1, b->hd, dk, kv);
    if (dv)
        back_store(b, b->sum2, b->vd, dv, kv);
}

void emit_attend_back(Emit *e, Plan *plan, Kernel *k)
{
    Back b = {.n = NULL};
    kernel_begin(&b.w, e, plan, k);
    begin(&b, k);
    const Buffer *dq = out_of(k, OP_attend_dq), *dk = out_of(k, OP_attend_dk),
                 *dv = out_of(k, OP_attend_dv);
    int64_t keys = dk || dv ? b.G : 0;
    k->scratch = back_memory(&b, kernel_mem(&b.w));
    Val n = kernel_task(&b.w), all = mul(e, blocks(&b), i64(e, keys));
    If first = if_begin(e, less(e, n, all));
    if (keys)
        keys_task(&b, n, dk, dv);
    if_else(e, &first);
    if (dq)
        queries_task(&b, sub(e, n, all), dq);
    if_end(e, first);
    kernel_end(&b.w);
    kernel_begin_tasks(&b.w);
    ret(e, mul(e, blocks(&b), i64(e, keys + (dq ? b.H : 0))));
}
