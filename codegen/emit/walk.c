/* The walker: the value of a node where its dims stand at given places. Moving
 * ops cost nothing here: they only change the places. */
#include "codegen/emit/kernel.h"
#include <string.h>

typedef struct {
    Walk *w;
    const Places *p;
} Step;

void places_set(Places *p, const Dim *d, Val index, bool spread)
{
    int i = 0;
    while (i < p->n && p->at[i].dim != d)
        i++;
    if (i == p->n && p->n++ == (int)COUNT(p->at))
        BUG("a tree of more than %d dims", (int)COUNT(p->at));
    p->at[i] = (Place){d, index, spread};
}

static const Place *place_of(const Places *p, const Dim *d)
{
    for (int i = 0; i < p->n; i++)
        if (p->at[i].dim == d)
            return &p->at[i];
    BUG("dim %s has no place in its kernel", d->name);
}

static bool differs_by_lane(const Place *at)
{
    return at->spread || width_of(at->index) > 1;
}

bool walk_varies(const Node *n, const Places *p)
{
    for (int i = 0; i < p->n; i++)
        if (type_dim(&n->type, p->at[i].dim) >= 0 &&
            differs_by_lane(&p->at[i]))
            return true;
    return false;
}

/* An index as a vector of i64, one a lane. */
static Val all_lanes(Walk *w, const Place *at, int lanes)
{
    if (width_of(at->index) > 1 || lanes == 1)
        return at->index;
    Val v = splat(w->e, at->index, lanes);
    if (!at->spread)
        return v;
    return add(w->e, v, lane_numbers(w->e, ty(w->e, TY_i64), lanes));
}

/* Loads where the function begins, so that no store is in their way. */
static Val load_at_top(Emit *e, Ty t, Val table, int64_t i)
{
    LLVMBuilderRef here = e->at;
    e->at = e->top;
    Val v = load(e, t, at(e, t, table, i64(e, i)));
    e->at = here;
    return v;
}

Val walk_run(Walk *w, int place)
{
    return load_at_top(w->e, ty(w->e, TY_i64), w->run, place);
}

Val walk_size(Walk *w, const Size *s)
{
    double n;
    if (size_is_num(s, &n))
        return i64(w->e, (int64_t)n);
    return walk_run(w, plan_size(w->plan, s, false));
}

Val walk_count(Walk *w, int n, const Dim *const *d)
{
    Val v = i64(w->e, 1);
    for (int i = 0; i < n; i++)
        v = mul(w->e, v, walk_size(w, d[i]->size));
    return v;
}

void walk_unflatten(Walk *w, Places *p, int n, const Dim *const *d, Val flat,
                    bool spread)
{
    Emit *e = w->e;
    double size;
    if (n && spread && p->lanes > 1 && n > 1 &&
        !(size_is_num(d[n - 1]->size, &size) &&
          (int64_t)size % p->lanes == 0)) {
        Place all = {NULL, flat, true};
        flat = all_lanes(w, &all, p->lanes);
        spread = false;
    }
    for (int i = n - 1; i > 0; i--) {
        Val s = walk_size(w, d[i]->size);
        if (width_of(flat) > 1)
            s = splat(e, s, width_of(flat));
        places_set(p, d[i], rest(e, flat, s), spread && i == n - 1);
        flat = quot(e, flat, s);
    }
    if (n)
        places_set(p, d[0], flat, spread && n == 1);
}

/* ---- memory ---- */

static int arg_of(const Kernel *k, const Buffer *b)
{
    int i = kernel_arg(k, b);
    if (i < 0)
        BUG("%s: buffer %d is not its own", k->name, b->id);
    return i;
}

Val walk_base(Walk *w, const Buffer *b)
{
    return load_at_top(w->e, ty_ptr(w->e), w->arg, arg_of(w->kernel, b));
}

/* Where an element lies: base[scalar], plus each lane's own number if
 * `lanes` is not NULL; or, contiguous, lane j at scalar + j. */
typedef struct {
    Val base, scalar, lanes;
    bool contiguous;
} Where;

static Val sum(Emit *e, Val a, Val b)
{
    return a ? add(e, a, b) : b;
}

static void add_dim(Walk *w, Where *to, const Place *at, Val stride, bool last,
                    int lanes)
{
    Emit *e = w->e;
    if (at->spread && last && lanes > 1) {
        to->contiguous = true;
    } else if (differs_by_lane(at) && lanes > 1) {
        Val v = mul(e, all_lanes(w, at, lanes), splat(e, stride, lanes));
        to->lanes = sum(e, to->lanes, v);
        return;
    }
    to->scalar = sum(e, to->scalar, mul(e, at->index, stride));
}

/* Dims first .. end - 1 of a type, row-major. */
static Where where_is(Walk *w, const Type *t, int first, int end,
                      const Places *p)
{
    Emit *e = w->e;
    Where to = {0};
    Val stride = i64(e, 1);
    for (int i = end - 1; i >= first; i--) {
        add_dim(w, &to, place_of(p, t->dim[i]), stride, i == end - 1,
                p->lanes);
        if (i > first)
            stride = mul(e, stride, walk_size(w, t->dim[i]->size));
    }
    if (!to.scalar)
        to.scalar = i64(e, 0);
    if (to.contiguous && to.lanes) {
        Val n = lane_numbers(e, ty(e, TY_i64), p->lanes);
        to.lanes = add(e, to.lanes, n);
        to.contiguous = false;
    }
    return to;
}

/* Places of one lane of a vector. */
static Places one_lane(Walk *w, const Places *p, int j)
{
    Places one = *p;
    one.lanes = 1;
    one.mask = NULL;
    for (int i = 0; i < p->n; i++) {
        const Place *from = &p->at[i];
        Val v = from->index;
        if (width_of(v) > 1)
            v = lane(w->e, v, j);
        else if (from->spread)
            v = add(w->e, v, i64(w->e, j));
        one.at[i] = (Place){from->dim, v, false};
    }
    return one;
}

/* Lane by lane: where lanes pick different tensors of a stack. */
static Val load_each(Walk *w, const Buffer *b, const Places *p)
{
    Emit *e = w->e;
    Ty elem = ty_reg(e, b->type.dtype);
    Val v = var(e, vec(elem, p->lanes), "lanes");
    set(e, v, num(vec(elem, p->lanes), 0));
    for (int j = 0; j < p->lanes; j++) {
        If on = {0};
        if (p->mask)
            on = if_begin(e, lane(e, p->mask, j));
        Places one = one_lane(w, p, j);
        set(e, v, with_lane(e, get(e, v), j, walk_load(w, b, &one)));
        if (p->mask)
            if_end(e, on);
    }
    return get(e, v);
}

Val walk_load(Walk *w, const Buffer *b, const Places *p)
{
    Emit *e = w->e;
    Dtype t = b->type.dtype;
    Val base = walk_base(w, b);
    if (b->stacked) {
        Where s = where_is(w, &b->type, 0, b->stacked, p);
        if (s.lanes || s.contiguous)
            return load_each(w, b, p);
        base = load(e, ty_ptr(e), at(e, ty_ptr(e), base, s.scalar));
    }
    Where to = where_is(w, &b->type, b->stacked, b->type.rank, p);
    Val from = at(e, ty_mem(e, t), base, to.scalar);
    if (to.lanes)
        return gather_as(e, t, from, to.lanes, p->mask);
    if (to.contiguous)
        return load_as(e, t, p->lanes, from, p->mask);
    return splat(e, load_as(e, t, 1, from, NULL), p->lanes);
}

static void store_each(Walk *w, const Buffer *b, const Places *p, Val v)
{
    Emit *e = w->e;
    for (int j = 0; j < p->lanes; j++) {
        If on = {0};
        if (p->mask)
            on = if_begin(e, lane(e, p->mask, j));
        Places one = one_lane(w, p, j);
        walk_store(w, b, &one, lane(e, v, j));
        if (p->mask)
            if_end(e, on);
    }
}

void walk_store(Walk *w, const Buffer *b, const Places *p, Val v)
{
    Emit *e = w->e;
    Dtype t = b->type.dtype;
    Where to = where_is(w, &b->type, 0, b->type.rank, p);
    if (p->lanes > 1 && !to.contiguous) {
        store_each(w, b, p, v);
        return;
    }
    store_as(e, t, v, at(e, ty_mem(e, t), walk_base(w, b), to.scalar), p->mask);
}

/* ---- nodes ---- */

static Val walk_leaf(Emit *e, const Node *n, int lanes, void *user);

Val walk(Walk *w, const Node *n, const Places *p)
{
    if (p->lanes > 1 && !walk_varies(n, p)) {
        Places one = *p;
        one.lanes = 1;
        one.mask = NULL;
        return splat(w->e, walk(w, n, &one), p->lanes);
    }
    Step s = {w, p};
    return tree(w->e, n, p->lanes, walk_leaf, &s);
}

/* The place an index node's value says: a scalar where all lanes agree. */
static Val walk_index(Walk *w, const Node *index, const Places *p)
{
    Emit *e = w->e;
    Places one = *p;
    if (!walk_varies(index, p)) {
        one.lanes = 1;
        one.mask = NULL;
    }
    return to_int(e, walk(w, index, &one), ty(e, TY_i64));
}

static Val at_gather(Walk *w, const Node *n, const Places *p)
{
    Places to = *p;
    places_set(&to, n->dim[0], walk_index(w, n->arg[1], p), false);
    return walk(w, n->arg[0], &to);
}

static Val at_slice(Walk *w, const Node *n, const Places *p)
{
    Places to = *p;
    places_set(&to, n->dim[0], i64(w->e, (int64_t)n->num), false);
    return walk(w, n->arg[0], &to);
}

static Val at_rename(Walk *w, const Node *n, const Places *p)
{
    Places to = *p;
    const Place *from = place_of(p, n->dim[1]);
    places_set(&to, n->dim[0], from->index, from->spread);
    return walk(w, n->arg[0], &to);
}

static Val at_flatten(Walk *w, const Node *n, const Places *p)
{
    Places to = *p;
    const Place *from = place_of(p, n->dim[0]);
    walk_unflatten(w, &to, n->ndim - 1, n->dim + 1, from->index, from->spread);
    return walk(w, n->arg[0], &to);
}

static Val at_split(Walk *w, const Node *n, const Places *p)
{
    Emit *e = w->e;
    Places to = *p;
    Place all = {NULL, NULL, false};
    for (int i = 1; i < n->ndim; i++) {
        const Place *from = place_of(p, n->dim[i]);
        bool last = i == n->ndim - 1;
        Val v = from->index;
        if (from->spread && !last)
            v = all_lanes(w, from, p->lanes);
        if (all.index && width_of(all.index) > 1 && from->spread)
            v = all_lanes(w, from, p->lanes);
        else
            all.spread |= from->spread && last;
        if (all.index) {
            Val s = walk_size(w, n->dim[i]->size);
            int wide = width_of(all.index), mine = width_of(v);
            Val up = mul(e, all.index, splat(e, s, wide));
            if (wide < mine)
                up = splat(e, up, mine);
            else if (mine < wide)
                v = splat(e, v, wide);
            v = add(e, up, v);
        }
        all.index = v;
    }
    places_set(&to, n->dim[0], all.index, all.spread);
    return walk(w, n->arg[0], &to);
}

static Val at_iota(Walk *w, const Node *n, const Places *p)
{
    Val v = all_lanes(w, place_of(p, n->dim[0]), p->lanes);
    v = to_int(w->e, v, ty(w->e, TY_i32));
    return splat(w->e, v, p->lanes / width_of(v));
}

static Val at_onehot(Walk *w, const Node *n, const Places *p)
{
    Emit *e = w->e;
    Val is = walk(w, n->arg[0], p);
    Val here = all_lanes(w, place_of(p, n->dim[0]), p->lanes);
    Val hit = same(e, to_int(e, is, ty(e, TY_i64)), here);
    return to_float(e, hit, ty(e, TY_f32));
}

static Val at_scalar(Walk *w, const Node *n, const Places *p)
{
    Emit *e = w->e;
    double known;
    Ty reg = ty_reg(e, n->type.dtype);
    if (size_is_num(n->size, &known))
        return num(vec(reg, p->lanes), known);
    Val bits = walk_run(w, plan_size(w->plan, n->size, true));
    Val v = float_of_bits(e, bits);
    v = type_is_float(n->type.dtype) ? to_float(e, v, reg) : to_int(e, v, reg);
    return splat(e, v, p->lanes);
}

/* cos (which 0) or sin (1) of token t's angle j, from a table [2, T, half]. */
static Val angle(Walk *w, const Node *n, const Places *p, int which, Val j,
                 bool spread)
{
    const Buffer *table = kernel_rope(w->kernel, n->rope);
    const Place *token = place_of(p, n->type.dim[0]);
    Places to = *p;
    places_set(&to, table->type.dim[0], i64(w->e, which), false);
    places_set(&to, table->type.dim[1], token->index, token->spread);
    places_set(&to, table->type.dim[2], j, spread);
    return walk_load(w, table, &to);
}

/* Elements j and j + rotary / 2 of a head turn by the token's angles: the
 * first half gets x cos - partner sin, the second x cos + partner sin. Where
 * vectors do not cross the halves, all stays contiguous. */
static Val at_rope(Walk *w, const Node *n, const Places *p)
{
    Emit *e = w->e;
    const Dim *hd = n->type.dim[2];
    const Place *head = place_of(p, hd);
    int64_t half = n->rope->rotary / 2;
    bool uniform = p->lanes > 1 && head->spread && half % p->lanes == 0;
    Val j = uniform ? head->index : all_lanes(w, head, p->lanes);
    Val turns = less(e, j, like_bits(j, 2 * half));
    Val first = less(e, j, like_bits(j, half));
    Val up = add(e, j, like_bits(j, half));
    Val down = sub(e, j, like_bits(j, half));
    Places other = *p;
    places_set(&other, hd, pick(e, first, up, pick(e, turns, down, j)),
               uniform);
    Val at_angle = pick(e, first, j, pick(e, turns, down, like_bits(j, 0)));
    Val x = walk(w, n->arg[0], p), y = walk(w, n->arg[0], &other);
    Val c = angle(w, n, p, 0, at_angle, uniform);
    Val s = angle(w, n, p, 1, at_angle, uniform);
    Val turned = mul_add(e, y, pick(e, first, neg(e, s), s), mul(e, x, c));
    return round_to(e, n->type.dtype, pick(e, turns, turned, x));
}

static Val walk_leaf(Emit *e, const Node *n, int lanes, void *user)
{
    Step *s = user;
    Walk *w = s->w;
    const Places *p = s->p;
    (void)e;
    Val v = w->hole ? w->hole(w, n, p) : NULL;
    if (v)
        return v;
    const Buffer *b = kernel_leaf(w->kernel, n);
    if (b)
        return walk_load(w, b, p);
    switch (n->op) {
    case OP_gather: return at_gather(w, n, p);
    case OP_slice: return at_slice(w, n, p);
    case OP_rename: return at_rename(w, n, p);
    case OP_flatten: return at_flatten(w, n, p);
    case OP_split: return at_split(w, n, p);
    case OP_iota: return at_iota(w, n, p);
    case OP_onehot: return at_onehot(w, n, p);
    case OP_scalar: return at_scalar(w, n, p);
    case OP_rope: return at_rope(w, n, p);
    case OP_expand:
    case OP_order: return walk(w, n->arg[0], p);
    case OP_number: return NULL;
    default: break;
    }
    if (op_is_map(n->op)) /* all lanes alike: once, a scalar */
        return lanes > 1 && !walk_varies(n, p) ? walk(w, n, p) : NULL;
    BUG("%s: no kernel computes %s here", w->kernel->name,
        op_info[n->op].name);
}
