/* The walker: the value of a node where its dims stand at given places. Moving
 * ops cost nothing here: they only change the places. */
#include "codegen/emit/walk.h"
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

const Place *walk_place(const Places *p, const Dim *d)
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

Val walk_lanes(Walk *w, const Place *at, int lanes)
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
        flat = walk_lanes(w, &all, p->lanes);
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
        Val v = mul(e, walk_lanes(w, at, lanes), splat(e, stride, lanes));
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
        add_dim(w, &to, walk_place(p, t->dim[i]), stride, i == end - 1,
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

Val walk_at(Walk *w, const Buffer *b, const Places *p)
{
    Emit *e = w->e;
    Val base = walk_base(w, b);
    if (b->stacked) {
        Val tensor = where_is(w, &b->type, 0, b->stacked, p).scalar;
        base = load(e, ty_ptr(e), at(e, ty_ptr(e), base, tensor));
    }
    Where to = where_is(w, &b->type, b->stacked, b->type.rank, p);
    return at(e, ty_mem(e, b->type.dtype), base, to.scalar);
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
    case OP_gather: return walk_gather(w, n, p);
    case OP_slice: return walk_slice(w, n, p);
    case OP_rename: return walk_rename(w, n, p);
    case OP_flatten: return walk_flatten(w, n, p);
    case OP_split: return walk_split(w, n, p);
    case OP_iota: return walk_iota(w, n, p);
    case OP_onehot: return walk_onehot(w, n, p);
    case OP_scalar: return walk_scalar(w, n, p);
    case OP_rope: return walk_rope(w, n, p);
    case OP_cut: return walk_cut(w, n, p);
    case OP_join: return walk_join(w, n, p);
    case OP_position: return walk_position(w, n, p);
    case OP_round_random: return walk_round(w, n, p);
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
