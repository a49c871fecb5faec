/* Skeleton map: for each row, its reductions one after the other, then what it
 * stores. Two forms: a row a lane (vec is one of the row's dims), or a row
 * summed up across lanes. The order of a sum depends on sizes and lanes alone.
 */
#include "codegen/emit/emit_math.h"
#include "codegen/emit/map.h"
#include <string.h>

bool map_is_local(const Node *n)
{
    return n->op == OP_sum || n->op == OP_max || n->op == OP_softmax ||
           n->op == OP_logsumexp || n->op == OP_topk || n->op == OP_contract;
}

/* ---- loops ---- */

int map_lanes(MapEmit *m, const Dim *d)
{
    double size;
    int lanes = m->w.e->lanes;
    if (size_is_num(d->size, &size))
        while (lanes > 1 && lanes / 2 >= size)
            lanes /= 2;
    return lanes;
}

static void each_vector(MapEmit *m, Places *p, const Dim *d, Val from, Val to,
                        int unroll, Body body, void *user)
{
    Emit *e = m->w.e;
    Loop l = loop_begin(e, d->name, from, to, (int64_t)unroll * p->lanes);
    for (int u = 0; u < unroll; u++) {
        Val i = add(e, l.index, i64(e, (int64_t)u * p->lanes));
        places_set(p, d, i, true);
        body(m, p, u, user);
    }
    loop_end(e, l);
}

/* Elements from .. to of d in vectors; the rest of the last one masked off.
 * `from` is a multiple of the lanes. */
void map_vectors(MapEmit *m, Places *p, const Dim *d, Val from, Val to,
                 int unroll, Body body, void *user)
{
    Emit *e = m->w.e;
    Val step = i64(e, p->lanes), block = i64(e, (int64_t)p->lanes * unroll);
    Val end = sub(e, to, rest(e, sub(e, to, from), step));
    if (unroll > 1) {
        Val big = sub(e, to, rest(e, sub(e, to, from), block));
        each_vector(m, p, d, from, big, unroll, body, user);
        from = big;
    }
    double size;
    bool whole = size_is_num(d->size, &size) && (int64_t)size % p->lanes == 0;
    each_vector(m, p, d, from, end, 1, body, user);
    if (whole || p->lanes == 1)
        return;
    If some = if_begin(e, less(e, end, to));
    p->mask = mask_first(e, p->lanes, sub(e, to, end));
    places_set(p, d, end, true);
    body(m, p, 0, user);
    p->mask = NULL;
    if_end(e, some);
}

/* All elements of n dims, the last in vectors of p->lanes if these are > 1. */
void map_over(MapEmit *m, Places *p, int n, const Dim *const *d, int unroll,
              Body body, void *user)
{
    Emit *e = m->w.e;
    if (!n) {
        body(m, p, 0, user);
        return;
    }
    Val size = walk_size(&m->w, d[0]->size);
    if (n == 1 && unroll) {
        map_vectors(m, p, d[0], i64(e, 0), size, unroll, body, user);
        return;
    }
    Loop l = loop_begin(e, d[0]->name, i64(e, 0), size, 1);
    places_set(p, d[0], l.index, false);
    map_over(m, p, n - 1, d + 1, unroll, body, user);
    loop_end(e, l);
}

/* ---- what a row computes once ---- */

static const Local *find(const MapEmit *m, const Node *n)
{
    for (int i = 0; i < m->nlocal; i++)
        if (m->local[i].node == n)
            return &m->local[i];
    return NULL;
}

static Val wide(Emit *e, Val v, int lanes)
{
    return width_of(v) == lanes ? v : splat(e, v, lanes);
}

static Val topk_at(MapEmit *m, const Local *l, const Places *p)
{
    Emit *e = m->w.e;
    for (int i = 0; i < p->n; i++) {
        const Place *k = &p->at[i];
        if (k->dim != l->node->dim[1])
            continue;
        if (width_of(k->index) > 1)
            return gather_as(e, TYPE_i32, l->a, k->index, p->mask);
        Val from = at(e, ty(e, TY_i32), l->a, k->index);
        if (k->spread && p->lanes > 1)
            return load_as(e, TYPE_i32, p->lanes, from, p->mask);
        return splat(e, load_as(e, TYPE_i32, 1, from, NULL), p->lanes);
    }
    BUG("%s: topk's dim has no place", m->w.kernel->name);
}

static Val local_at(Walk *w, const Node *n, const Places *p)
{
    MapEmit *m = w->user;
    Emit *e = w->e;
    const Local *l = find(m, n);
    if (!l)
        return NULL;
    if (n->op == OP_topk)
        return topk_at(m, l, p);
    if (n->op != OP_softmax)
        return wide(e, l->a, p->lanes);
    Val x = to_float(e, walk(w, n->arg[0], p), ty_reg(e, n->type.dtype));
    x = vm_exp(e, sub(e, x, wide(e, l->a, p->lanes)));
    return round_to(e, n->type.dtype, quot(e, x, wide(e, l->b, p->lanes)));
}

/* ---- reductions ---- */

typedef enum { RED_add, RED_max, RED_exp } RedKind;
enum { UNROLL = 4 };
typedef struct {
    const Node *node;
    RedKind kind;
    Val peak; /* of RED_exp */
    Ty elem;
    Val acc[UNROLL];
} Red;

static Val element(MapEmit *m, const Red *r, const Places *p)
{
    Emit *e = m->w.e;
    Val x = to_float(e, walk(&m->w, r->node->arg[0], p), r->elem);
    if (r->kind != RED_exp)
        return x;
    return vm_exp(e, sub(e, x, wide(e, r->peak, p->lanes)));
}

static void reduce_step(MapEmit *m, Places *p, int copy, void *user)
{
    Emit *e = m->w.e;
    Red *r = user;
    Val acc = get(e, r->acc[copy]), x = element(m, r, p), v;
    if (r->node->op == OP_contract) {
        Val y = to_float(e, walk(&m->w, r->node->arg[1], p), r->elem);
        v = mul_add(e, x, y, acc);
    } else {
        v = r->kind == RED_max ? greatest(e, acc, x) : add(e, acc, x);
    }
    set(e, r->acc[copy], p->mask ? pick(e, p->mask, v, acc) : v);
}

/* The dims a local node sums over, in the order of its argument's. */
static int summed(const Node *n, const Dim **out)
{
    int count = 0;
    const Type *t = &n->arg[0]->type;
    for (int i = 0; i < t->rank; i++)
        if (dim_among(t->dim[i], n->op == OP_topk ? 1 : n->ndim, n->dim))
            out[count++] = t->dim[i];
    return count;
}

/* Worth several sums side by side: a long row. */
static int unroll_of(const Dim *d, int lanes)
{
    double size;
    bool known = size_is_num(d->size, &size);
    return !known || size >= 2 * UNROLL * lanes ? UNROLL : 1;
}

static Val reduce(MapEmit *m, const Node *n, RedKind kind, Val peak)
{
    Emit *e = m->w.e;
    const Dim *d[MAX_RANK];
    int nd = summed(n, d), unroll = 0;
    Places p = m->at;
    bool across = !m->vertical && nd;
    if (across) {
        p.lanes = map_lanes(m, d[nd - 1]);
        unroll = unroll_of(d[nd - 1], p.lanes);
    }
    Red r = {.node = n, .kind = kind, .peak = peak,
             .elem = ty_reg(e, n->type.dtype)};
    Ty t = vec(r.elem, p.lanes);
    int copies = unroll ? unroll : 1;
    for (int i = 0; i < copies; i++) {
        r.acc[i] = var(e, t, "acc");
        set(e, r.acc[i], num(t, kind == RED_max ? -1.0 / 0.0 : 0));
    }
    map_over(m, &p, nd, d, unroll, reduce_step, &r);
    Val v[UNROLL];
    for (int i = 0; i < copies; i++)
        v[i] = get(e, r.acc[i]);
    for (int half = copies / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            v[i] = kind == RED_max ? greatest(e, v[i], v[i + half])
                                   : add(e, v[i], v[i + half]);
    if (!across)
        return v[0];
    return kind == RED_max ? reduce_max(e, v[0]) : reduce_add(e, v[0]);
}

static void add_local(MapEmit *m, const Node *n)
{
    Emit *e = m->w.e;
    Local l = {.node = n};
    Dtype t = n->type.dtype;
    if (n->op == OP_topk) {
        map_topk(m, n, &l);
    } else if (n->op == OP_max) {
        l.a = reduce(m, n, RED_max, NULL);
    } else if (n->op == OP_sum || n->op == OP_contract) {
        l.a = round_to(e, t, reduce(m, n, RED_add, NULL));
    } else {
        l.a = reduce(m, n, RED_max, NULL);
        l.b = reduce(m, n, RED_exp, l.a);
        if (n->op == OP_logsumexp)
            l.a = round_to(e, t, add(e, l.a, vm_log(e, l.b)));
    }
    m->local[m->nlocal++] = l;
}

/* ---- rows ---- */

static void store_step(MapEmit *m, Places *p, int copy, void *user)
{
    (void)copy;
    const Buffer *b = user;
    walk_store(&m->w, b, p, walk(&m->w, b->node, p));
}

static void store_out(MapEmit *m, Buffer *b)
{
    const Dim *d[MAX_RANK];
    int n = 0;
    const Map *k = &m->w.kernel->map;
    for (int i = 0; i < b->type.rank; i++)
        if (!dim_among(b->type.dim[i], k->nrow, k->row))
            d[n++] = b->type.dim[i];
    Places p = m->at;
    bool across =
        !m->vertical && n && d[n - 1] == b->type.dim[b->type.rank - 1];
    if (across)
        p.lanes = map_lanes(m, d[n - 1]);
    map_over(m, &p, n, d, across, store_step, b);
}

void map_reduce(MapEmit *m)
{
    m->nlocal = 0;
    for (int i = 0; i < m->nreduced; i++)
        add_local(m, m->reduced[i]);
}

/* Is a row one element of each result? */
static bool pointwise(const Kernel *k)
{
    for (int i = 0; i < kernel_results(k); i++)
        if (k->out[i]->type.rank != k->map.nrow)
            return false;
    return true;
}

/* All are computed before one is stored, which may lie where another is read
 * (program_in_place). */
static void emit_element(MapEmit *m)
{
    const Kernel *k = m->w.kernel;
    Val v[KERNEL_ARGS];
    for (int i = 0; i < kernel_results(k); i++)
        v[i] = walk(&m->w, k->out[i]->node, &m->at);
    for (int i = 0; i < kernel_results(k); i++)
        walk_store(&m->w, k->out[i], &m->at, v[i]);
}

static void emit_row(MapEmit *m)
{
    map_reduce(m);
    if (pointwise(m->w.kernel)) {
        emit_element(m);
        return;
    }
    for (int i = 0; i < kernel_results(m->w.kernel); i++)
        store_out(m, m->w.kernel->out[i]);
}

static bool seen(const MapEmit *m, const Node *n)
{
    for (int i = 0; i < m->nseen; i++)
        if (m->seen[i] == n)
            return true;
    return false;
}

static void collect(MapEmit *m, const Node *n)
{
    if (kernel_leaf(m->w.kernel, n) || seen(m, n))
        return;
    if (m->nseen == COUNT(m->seen))
        BUG("%s: a tree of more than %d nodes", m->w.kernel->name, m->nseen);
    m->seen[m->nseen++] = n;
    for (int i = 0; i < node_args(n); i++)
        collect(m, n->arg[i]);
    if (map_is_local(n))
        m->reduced[m->nreduced++] = n;
}

void map_begin(MapEmit *m, const Walk *w, const Node *n)
{
    m->w = *w;
    m->w.hole = local_at;
    m->w.user = m;
    m->nseen = m->nreduced = 0;
    m->vertical = false;
    collect(m, n);
}

/* ---- tasks ---- */

/* Rows are cut into units: all of a row, or (a row a lane) a run of CHUNK
 * rows along vec; a task is `grain` units. */
enum { CHUNK = 4096 };

static void row_step(MapEmit *m, Places *p, int copy, void *user)
{
    (void)copy, (void)user;
    m->at = *p;
    emit_row(m);
}

static int outer_dims(const Map *k, const Dim **out)
{
    int n = 0;
    for (int i = 0; i < k->nrow; i++)
        if (k->row[i] != k->vec)
            out[n++] = k->row[i];
    return n;
}

static bool chunked(const Map *k)
{
    double size;
    return !size_is_num(k->vec->size, &size) || size > CHUNK;
}

static bool vertical(const Map *k)
{
    return k->vec && dim_among(k->vec, k->nrow, k->row);
}

static Val units(MapEmit *m)
{
    Emit *e = m->w.e;
    const Map *k = &m->w.kernel->map;
    if (!m->vertical)
        return walk_count(&m->w, k->nrow, k->row);
    const Dim *d[MAX_RANK];
    Val n = walk_count(&m->w, outer_dims(k, d), d);
    if (!chunked(k))
        return n;
    Val size = walk_size(&m->w, k->vec->size);
    Val chunks = quot(e, add(e, size, i64(e, CHUNK - 1)), i64(e, CHUNK));
    return mul(e, n, chunks);
}

static void emit_unit(MapEmit *m, Val unit)
{
    Emit *e = m->w.e;
    const Map *k = &m->w.kernel->map;
    Places p = {.lanes = 1};
    if (!m->vertical) {
        walk_unflatten(&m->w, &p, k->nrow, k->row, unit, false);
        row_step(m, &p, 0, NULL);
        return;
    }
    Val size = walk_size(&m->w, k->vec->size);
    Val from = i64(e, 0), to = size;
    if (chunked(k)) {
        Val n = quot(e, add(e, size, i64(e, CHUNK - 1)), i64(e, CHUNK));
        from = mul(e, rest(e, unit, n), i64(e, CHUNK));
        to = least(e, size, add(e, from, i64(e, CHUNK)));
        unit = quot(e, unit, n);
    }
    const Dim *d[MAX_RANK];
    int nd = outer_dims(k, d);
    walk_unflatten(&m->w, &p, nd, d, unit, false);
    p.lanes = map_lanes(m, k->vec);
    map_vectors(m, &p, k->vec, from, to, 1, row_step, NULL);
}

/* About CHUNK elements a task. */
int64_t map_grain(const Kernel *k)
{
    int64_t row = vertical(&k->map) && chunked(&k->map) ? CHUNK : map_row(k);
    return CHUNK / row > 1 ? CHUNK / row : 1;
}

static void begin_rows(MapEmit *m, const Walk *w)
{
    const Kernel *k = w->kernel;
    m->w = *w;
    m->w.hole = local_at;
    m->w.user = m;
    m->vertical = vertical(&k->map);
    for (int i = 0; i < kernel_results(k); i++)
        collect(m, k->out[i]->node);
}

static void each_unit(MapEmit *m, Val from, Val to)
{
    Loop l = loop_begin(m->w.e, "unit", from, to, 1);
    emit_unit(m, l.index);
    loop_end(m->w.e, l);
}

void map_all_rows(const Walk *w)
{
    MapEmit m = {0};
    begin_rows(&m, w);
    each_unit(&m, i64(w->e, 0), units(&m));
}

void emit_map(Emit *e, Plan *plan, Kernel *k)
{
    MapEmit m = {0};
    Walk w;
    kernel_begin(&w, e, plan, k);
    begin_rows(&m, &w);
    Val grain = i64(e, k->schedule.grain), all = units(&m);
    Val from = mul(e, kernel_task(&w), grain);
    each_unit(&m, from, least(e, all, add(e, from, grain)));
    kernel_end(&w);
    kernel_begin_tasks(&w);
    m.w = w;
    all = units(&m);
    ret(e, quot(e, add(e, all, sub(e, grain, i64(e, 1))), grain));
}
