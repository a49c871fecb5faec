/* Attention over the cache: a task is some tokens by the query heads of one
 * head. It goes over blocks of positions, and keeps for each of its rows
 *     O = sum of 2^(s - m) v,  l = sum of 2^(s - m),  s = q k log2(e) / sqrt hd
 * m is whole, so that changing it scales O and l by a power of two, exactly:
 * the result does not depend on where a block begins to be the largest. */
#include "codegen/emit/attend_score.h"
#include "codegen/emit/emit_math.h"
#include <math.h>

enum { WIDE = 4 }; /* vectors of a block */

/* ---- tasks ---- */

/* Query heads of a task and its tokens, in each bucket of T: about `block` rows
 * in all. */
static void task_shape(const At *a, int heads[BUCKETS], int tokens[BUCKETS])
{
    const Schedule *s = &a->w.kernel->schedule;
    for (int i = 0; i < BUCKETS; i++) {
        int most = (int)a->s.group;
        heads[i] = s->heads[i] < most ? s->heads[i] : most;
        tokens[i] = s->block[i] > heads[i] ? s->block[i] / heads[i] : 1;
    }
}

static Val count_tasks(At *a)
{
    Emit *e = a->w.e;
    int heads[BUCKETS], tokens[BUCKETS];
    task_shape(a, heads, tokens);
    a->base = walk_run(&a->w, RUN_base);
    a->T = walk_size(&a->w, a->a->q->type.dim[0]->size);
    a->tokens = walk_choice(&a->w, tokens);
    a->heads = walk_choice(&a->w, heads);
    Val up = add(e, i64(e, a->s.group - 1), a->heads);
    Val parts = quot(e, up, a->heads), last = sub(e, a->tokens, i64(e, 1));
    Val blocks = quot(e, add(e, a->T, last), a->tokens);
    return mul(e, mul(e, blocks, parts), i64(e, a->s.G));
}

static void find_task(At *a)
{
    Emit *e = a->w.e;
    Val n = kernel_task(&a->w), G = i64(e, a->s.G);
    count_tasks(a);
    a->head = rest(e, n, G);
    n = quot(e, n, G);
    Val group = i64(e, a->s.group);
    Val parts = quot(e, add(e, group, sub(e, a->heads, i64(e, 1))), a->heads);
    a->h0 = mul(e, rest(e, n, parts), a->heads);
    a->heads = least(e, a->heads, sub(e, group, a->h0));
    a->t0 = mul(e, quot(e, n, parts), a->tokens);
    a->tokens = least(e, a->tokens, sub(e, a->T, a->t0));
    a->rows = named(mul(e, a->tokens, a->heads), "rows");
}

/* ---- memory: q | scores | p | o | m | l | from | to | dst | step ---- */

static Val carve(At *a, Val *mem, int64_t bytes, int64_t *sum)
{
    Emit *e = a->w.e;
    bytes = (bytes + 63) / 64 * 64;
    *sum += bytes;
    Val here = *mem;
    if (here)
        *mem = at_bytes(e, here, i64(e, bytes));
    return here;
}

static int64_t lay_out(At *a, Val mem)
{
    const CacheShape *s = &a->s;
    int64_t sum = 0, n = a->most;
    a->q = carve(a, &mem, n * s->k_pad * 4, &sum);
    a->scores = carve(a, &mem, n * s->rows * 4, &sum);
    a->p = carve(a, &mem, n * s->rows * 4, &sum);
    a->o = carve(a, &mem, n * s->cols * 4 * s->v_panels, &sum);
    a->m = carve(a, &mem, n * 4, &sum);
    a->l = carve(a, &mem, n * a->w.e->lanes * 4, &sum);
    a->from = carve(a, &mem, n * 8, &sum);
    a->to = carve(a, &mem, n * 8, &sum);
    a->dst = carve(a, &mem, n * 8, &sum);
    a->step = carve(a, &mem, n * 8, &sum);
    return sum;
}

/* ---- before: rows and what they see ---- */

static int64_t q_chunks(const At *a)
{
    return a->s.k_pad / tile_chunk(&a->s.score);
}

static void pack_query(At *a, Val row)
{
    Emit *e = a->w.e;
    const Buffer *q = a->a->q;
    Val n = mul(e, attend_token(a, row), i64(e, a->s.H));
    n = mul(e, add(e, n, attend_query(a, row)), i64(e, a->s.hd));
    Val src = at(e, ty_mem(e, q->type.dtype), walk_base(&a->w, q), n);
    Val step, dst = block_row(e, &a->s.score, a->q, i64(e, q_chunks(a)),
                              a->rows, row, &step);
    Val args[] = {src, i64(e, a->s.hd), dst, step};
    call(e, block_pack_row(e, &a->s.score, q->type.dtype), 4, args);
}

/* Row r sees positions from .. to of the cache. ends: their least and greatest
 * so far. */
static void see(At *a, Val row, const Val ends[4])
{
    Emit *e = a->w.e;
    Val t = attend_token(a, row), to = add(e, a->base, t);
    Ty i = ty(e, TY_i32);
    Val pos = load(e, i, at(e, i, walk_base(&a->w, a->a->pos), t));
    pos = to_int(e, pos, ty(e, TY_i64));
    if (a->a->chunk)
        pos = rest(e, pos, i64(e, a->a->window));
    Val from = sub(e, to, pos);
    if (a->a->window && !a->a->chunk)
        from = greatest(e, from, sub(e, to, i64(e, a->a->window - 1)));
    store(e, from, attend_cell(a, TY_i64, a->from, row));
    store(e, to, attend_cell(a, TY_i64, a->to, row));
    set(e, ends[0], least(e, get(e, ends[0]), from));
    set(e, ends[1], greatest(e, get(e, ends[1]), from));
    set(e, ends[2], least(e, get(e, ends[2]), to));
    set(e, ends[3], greatest(e, get(e, ends[3]), to));
}

/* m, l: what comes before the first position */
static void start_row(At *a, Val row)
{
    Emit *e = a->w.e;
    Ty wide = vec(ty(e, TY_f32), e->lanes);
    Val chunks = i64(e, a->s.rows / tile_chunk(&a->s.sum)), step;
    store(e, f32(e, -0x1p30), attend_cell(a, TY_f32, a->m, row));
    store(e, num(wide, 0), at(e, wide, a->l, row));
    if (a->a->attend->op == OP_attend_sink)
        attend_sink(a, row);
    Val dst = block_row(e, &a->s.sum, a->p, chunks, a->rows, row, &step);
    store(e, dst, at(e, ty_ptr(e), a->dst, row));
    store(e, step, attend_cell(a, TY_i64, a->step, row));
}

static void start_rows(At *a)
{
    Emit *e = a->w.e;
    Val ends[4];
    for (int i = 0; i < 4; i++) {
        ends[i] = var(e, ty(e, TY_i64), i < 2 ? "from" : "to");
        set(e, ends[i], i64(e, i % 2 ? 0 : INT64_MAX));
    }
    Loop r = loop_begin(e, "row", i64(e, 0), a->rows, 1);
    pack_query(a, r.index);
    see(a, r.index, ends);
    start_row(a, r.index);
    loop_end(e, r);
    a->first = get(e, ends[0]);
    a->from_all = get(e, ends[1]);
    a->to_all = get(e, ends[2]);
    a->last = get(e, ends[3]);
    int64_t bytes = a->most * a->s.cols * 4 * a->s.v_panels;
    LLVMBuildMemSet(e->at, a->o, LLVMConstNull(ty(e, TY_i8)), i64(e, bytes),
                    64);
}

/* ---- a block of positions ---- */

static Val o_panel(At *a, Val panel)
{
    Emit *e = a->w.e;
    return at_bytes(e, a->o, mul(e, panel, i64(e, a->most * a->s.cols * 4)));
}

static void scores(At *a, Val block)
{
    Emit *e = a->w.e;
    Val n = mul(e, a->rows, i64(e, a->s.rows * 4));
    Val chunks = i64(e, q_chunks(a));
    LLVMBuildMemSet(e->at, a->scores, LLVMConstNull(ty(e, TY_i8)), n, 64);
    Val keys = cache_block(&a->w, &a->s, walk_base(&a->w, a->a->keys), block,
                           a->head, true);
    Val args[] = {a->q, keys, chunks, a->rows, a->scores, i64(e, 0), chunks};
    call(e, block_function(e, &a->s.score), 7, args);
}

/* ---- softmax of a block ---- */

typedef struct {
    Val row, dst, step; /* where its weights go */
    Val m;
    Val ends[2]; /* lanes it sees, splat; unless it sees all */
} Row;

static Row row_at(At *a, Val row)
{
    Emit *e = a->w.e;
    return (Row){.row = row,
                 .dst = load(e, ty_ptr(e), at(e, ty_ptr(e), a->dst, row)),
                 .step = load(e, ty(e, TY_i64),
                              attend_cell(a, TY_i64, a->step, row))};
}

/* A vector of weights to where the second tile reads them. */
static void put_weights(At *a, const Row *r, int number, Val p)
{
    Emit *e = a->w.e;
    int lanes = e->lanes, chunk = tile_chunk(&a->s.sum);
    int piece = lanes < chunk ? lanes : chunk;
    for (int i = 0; i < lanes; i += piece) {
        int first = number * lanes + i;
        Val to = at_bytes(e, r->dst, mul(e, r->step, i64(e, first / chunk)));
        to = at_bytes(e, to, i64(e, first % chunk * 4));
        store(e, part(e, p, i, piece), to);
    }
}

static void find_ends(At *a, Row *r, Val block)
{
    Emit *e = a->w.e;
    Val first = mul(e, block, i64(e, a->s.rows));
    for (int i = 0; i < 2; i++) {
        Val p = attend_cell(a, TY_i64, i ? a->to : a->from, r->row);
        Val off = sub(e, load(e, ty(e, TY_i64), p), first);
        off = least(e, greatest(e, off, i64(e, -1)), i64(e, a->s.rows));
        r->ends[i] = splat(e, to_int(e, off, ty(e, TY_i32)), e->lanes);
    }
}

/* What is not seen gets a score so low that 2 to it is 0. */
static Val hide(Emit *e, const Row *r, int number, Val s)
{
    Val lanes = lane_numbers(e, ty(e, TY_i32), e->lanes);
    lanes = add(e, lanes, like_bits(lanes, number * e->lanes));
    Val seen = bit_and(e, less_eq(e, r->ends[0], lanes),
                       less_eq(e, lanes, r->ends[1]));
    return pick(e, seen, s, like(s, -0x1p100));
}

static void scale(Emit *e, Val p, Val by)
{
    Ty wide = vec(ty(e, TY_f32), e->lanes);
    store(e, mul(e, load(e, wide, p), splat(e, by, e->lanes)), p);
}

/* Some score is above m, as it is where a row begins and hardly ever after. */
static void raise(At *a, Row *r, Val most)
{
    Emit *e = a->w.e;
    Ty t = ty(e, TY_f32);
    Val old = load(e, t, attend_cell(a, TY_f32, a->m, r->row));
    Val above = less(e, splat(e, old, e->lanes), most);
    Val m = var(e, t, "m");
    set(e, m, old);
    If moved = if_begin(e, any(e, above));
    set(e, m, greatest(e, round_up(e, reduce_max(e, most)), old));
    store(e, get(e, m), attend_cell(a, TY_f32, a->m, r->row));
    Val by = vm_exp2_less(e, old, get(e, m));
    scale(e, at(e, vec(t, e->lanes), a->l, r->row), by);
    for (int64_t j = 0; j < a->s.v_panels; j++)
        for (int v = 0; v < 2; v++) {
            Val n = mul(e, r->row, i64(e, a->s.cols));
            Val p = at(e, t, o_panel(a, i64(e, j)), n);
            scale(e, at(e, t, p, i64(e, v * e->lanes)), by);
        }
    if_end(e, moved);
    r->m = splat(e, get(e, m), e->lanes);
}

static void softmax_row(At *a, Val row, Val block, bool sees_all)
{
    Emit *e = a->w.e;
    Ty t = ty(e, TY_f32), wide = vec(t, e->lanes);
    Val s[WIDE], most = NULL, sum = NULL;
    Val base = at(e, t, a->scores, mul(e, row, i64(e, a->s.rows)));
    Row r = row_at(a, row);
    if (!sees_all)
        find_ends(a, &r, block);
    for (int v = 0; v < WIDE; v++) {
        s[v] = load(e, wide, at(e, t, base, i64(e, v * e->lanes)));
        s[v] = attend_scored(a, s[v], row, block, v);
        s[v] = sees_all ? s[v] : hide(e, &r, v, s[v]);
        most = v ? greatest(e, s[v], most) : s[v];
    }
    raise(a, &r, most);
    for (int v = 0; v < WIDE; v++) {
        Val p = vm_exp2_less(e, s[v], r.m);
        put_weights(a, &r, v, p);
        sum = v ? add(e, sum, p) : p;
    }
    Val l = at(e, wide, a->l, row);
    store(e, add(e, load(e, wide, l), sum), l);
}

static void softmax_rows(At *a, Val block, bool sees_all)
{
    Emit *e = a->w.e;
    Loop r = loop_begin(e, "row", i64(e, 0), a->rows, 1);
    softmax_row(a, r.index, block, sees_all);
    loop_end(e, r);
}

/* Most blocks are seen whole by all rows. */
static void softmax(At *a, Val block)
{
    Emit *e = a->w.e;
    Val first = mul(e, block, i64(e, a->s.rows));
    Val last = add(e, first, i64(e, a->s.rows - 1));
    Val whole = bit_and(e, less_eq(e, a->from_all, first),
                        less_eq(e, last, a->to_all));
    If i = if_begin(e, whole);
    softmax_rows(a, block, true);
    if_else(e, &i);
    softmax_rows(a, block, false);
    if_end(e, i);
}

/* Of the last block no more than the positions seen. */
static void weighted_sum(At *a, Val block)
{
    Emit *e = a->w.e;
    int64_t chunk = tile_chunk(&a->s.sum);
    Val chunks = i64(e, a->s.rows / chunk);
    Val seen = sub(e, a->last, mul(e, block, i64(e, a->s.rows)));
    Val count = add(e, quot(e, seen, i64(e, chunk)), i64(e, 1));
    count = least(e, count, chunks);
    Val vals = cache_block(&a->w, &a->s, walk_base(&a->w, a->a->vals), block,
                           a->head, false);
    Loop j = loop_begin(e, "panel", i64(e, 0), i64(e, a->s.v_panels), 1);
    Val n = mul(e, j.index, i64(e, a->s.rows * a->s.cols));
    Val w = at(e, ty_mem(e, a->s.dtype), vals, n);
    Val args[] = {a->p, w, chunks, a->rows, o_panel(a, j.index), i64(e, 0),
                  count};
    call(e, block_function(e, &a->s.sum), 7, args);
    loop_end(e, j);
}

/* ---- after ---- */

static Val result(Walk *w, const Node *n, const Places *p)
{
    At *a = w->user;
    (void)p;
    return n == a->a->attend ? round_to(w->e, n->type.dtype, a->out) : NULL;
}

static bool is_lse(const Buffer *b)
{
    return b->node->op == OP_attend_lse;
}

/* log of the sum of e^score, of l 2^m. */
static void write_lse(At *a, const Buffer *b, Val row, Val l)
{
    Emit *e = a->w.e;
    Places p = {.lanes = 1};
    Val m = load(e, ty(e, TY_f32), attend_cell(a, TY_f32, a->m, row));
    places_set(&p, b->type.dim[0], attend_token(a, row), false);
    places_set(&p, b->type.dim[1], attend_query(a, row), false);
    walk_store(&a->w, b, &p, add(e, mul(e, m, f32(e, M_LN2)), vm_log(e, l)));
}

static void write_row(At *a, Val row)
{
    Emit *e = a->w.e;
    Ty t = ty(e, TY_f32);
    const Type *type = &a->a->attend->type;
    Val l = at(e, vec(t, e->lanes), a->l, row);
    l = reduce_add(e, load(e, vec(t, e->lanes), l));
    Val share = splat(e, quot(e, f32(e, 1), l), e->lanes);
    for (int i = 0; i < a->w.kernel->nout; i++)
        if (is_lse(a->w.kernel->out[i]))
            write_lse(a, a->w.kernel->out[i], row, l);
    if (is_lse(a->w.kernel->out[0]))
        return;
    Places p = {.lanes = e->lanes};
    places_set(&p, type->dim[0], attend_token(a, row), false);
    places_set(&p, type->dim[1], attend_query(a, row), false);
    for (int64_t d = 0; d < a->s.vd; d += e->lanes) {
        Val panel = o_panel(a, i64(e, d / a->s.cols));
        Val n = mul(e, row, i64(e, a->s.cols));
        n = add(e, n, i64(e, d % a->s.cols));
        Val o = load(e, vec(t, e->lanes), at(e, t, panel, n));
        a->out = mul(e, o, share);
        places_set(&p, type->dim[2], i64(e, d), true);
        if (d + e->lanes > a->s.vd)
            p.mask = mask_first(e, e->lanes, i64(e, a->s.vd - d));
        for (int i = 0; i < a->w.kernel->nout; i++) {
            Buffer *b = a->w.kernel->out[i];
            if (!is_lse(b))
                walk_store(&a->w, b, &p, walk(&a->w, b->node, &p));
        }
    }
}

static void task(At *a)
{
    Emit *e = a->w.e;
    find_task(a);
    start_rows(a);
    Val rows = i64(e, a->s.rows);
    Val end = add(e, quot(e, a->last, rows), i64(e, 1));
    Loop b = loop_begin(e, "block", quot(e, a->first, rows), end, 1);
    scores(a, b.index);
    softmax(a, b.index);
    weighted_sum(a, b.index);
    loop_end(e, b);
    a->w.hole = result;
    a->w.user = a;
    Loop r = loop_begin(e, "row", i64(e, 0), a->rows, 1);
    write_row(a, r.index);
    loop_end(e, r);
    a->w.hole = NULL;
}

/* Rows of a task, and what fills up its last tile. */
static int64_t most_rows(const At *a)
{
    int heads[BUCKETS], tokens[BUCKETS];
    int64_t most = 0;
    task_shape(a, heads, tokens);
    for (int i = 0; i < BUCKETS; i++)
        if (heads[i] * tokens[i] > most)
            most = heads[i] * tokens[i];
    int tile = a->s.score.most > a->s.sum.most ? a->s.score.most
                                               : a->s.sum.most;
    return most + tile;
}

void emit_attend(Emit *e, Plan *p, Kernel *k)
{
    At a = {.a = &k->attend};
    emit_append(&a.w, e, p, k);
    kernel_begin(&a.w, e, p, k);
    a.s = cache_shape(e->target, &k->attend.q->type, &k->attend.k->type,
                      &k->attend.v->type);
    a.most = most_rows(&a);
    k->scratch = lay_out(&a, kernel_mem(&a.w));
    task(&a);
    kernel_end(&a.w);
    kernel_begin_tasks(&a.w);
    ret(e, count_tasks(&a));
}
