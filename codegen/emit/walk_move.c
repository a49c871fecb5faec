/* The walker's ops that are no arithmetic: they change the places at which the
 * argument is asked for, or tell of the places themselves. */
#include "codegen/emit/walk.h"
#include <math.h>

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

Val walk_gather(Walk *w, const Node *n, const Places *p)
{
    Places to = *p;
    places_set(&to, n->dim[0], walk_index(w, n->arg[1], p), false);
    return walk(w, n->arg[0], &to);
}

Val walk_slice(Walk *w, const Node *n, const Places *p)
{
    Places to = *p;
    places_set(&to, n->dim[0], i64(w->e, (int64_t)n->num), false);
    return walk(w, n->arg[0], &to);
}

Val walk_cut(Walk *w, const Node *n, const Places *p)
{
    Emit *e = w->e;
    Places to = *p;
    const Place *from = walk_place(p, n->dim[1]);
    double first, lanes = p->lanes;
    Val off = walk_size(w, n->size);
    if (from->spread && !(size_is_num(n->size, &first) &&
                          fmod(first, lanes) == 0)) {
        Val all = walk_lanes(w, from, p->lanes);
        places_set(&to, n->dim[0],
                   add(e, all, splat(e, off, width_of(all))), false);
    } else {
        Val at = from->index;
        places_set(&to, n->dim[0], add(e, at, splat(e, off, width_of(at))),
                   from->spread);
    }
    return walk(w, n->arg[0], &to);
}

/* Both sides, each at the nearest place that it has; the right one of them. */
Val walk_join(Walk *w, const Node *n, const Places *p)
{
    Emit *e = w->e;
    Place at = *walk_place(p, n->dim[2]);
    double size, lanes = p->lanes;
    bool whole = size_is_num(n->dim[0]->size, &size) && fmod(size, lanes) == 0;
    if (at.spread && !whole)
        at = (Place){at.dim, walk_lanes(w, &at, p->lanes), false};
    Val j = at.index;
    Val first = splat(e, walk_size(w, n->dim[0]->size), width_of(j));
    Val zero = like_bits(j, 0), one = like_bits(j, at.spread ? p->lanes : 1);
    Val in_a = less(e, j, first);
    Places a = *p, b = *p;
    places_set(&a, n->dim[0], pick(e, in_a, j, sub(e, first, one)), at.spread);
    places_set(&b, n->dim[1], pick(e, in_a, zero, sub(e, j, first)), at.spread);
    Val x = walk(w, n->arg[0], &a), y = walk(w, n->arg[1], &b);
    if (type_is_float(n->type.dtype)) {
        x = to_float(e, x, ty_reg(e, n->type.dtype));
        y = to_float(e, y, ty_reg(e, n->type.dtype));
    }
    return pick(e, width_of(in_a) > 1 ? in_a : splat(e, in_a, p->lanes), x, y);
}

/* The token's place in its sequence; of an index at most the last. */
Val walk_position(Walk *w, const Node *n, const Places *p)
{
    Emit *e = w->e;
    Val v = walk_load(w, kernel_positions(w->kernel), p);
    if (!n->type.index_of)
        return to_float(e, v, ty_reg(e, n->type.dtype));
    Val last = walk_size(w, n->type.index_of->size);
    last = to_int(e, sub(e, last, i64(e, 1)), ty(e, TY_i32));
    return least(e, v, splat(e, last, p->lanes));
}

Val walk_rename(Walk *w, const Node *n, const Places *p)
{
    Places to = *p;
    const Place *from = walk_place(p, n->dim[1]);
    places_set(&to, n->dim[0], from->index, from->spread);
    return walk(w, n->arg[0], &to);
}

Val walk_flatten(Walk *w, const Node *n, const Places *p)
{
    Places to = *p;
    const Place *from = walk_place(p, n->dim[0]);
    walk_unflatten(w, &to, n->ndim - 1, n->dim + 1, from->index, from->spread);
    return walk(w, n->arg[0], &to);
}

Val walk_split(Walk *w, const Node *n, const Places *p)
{
    Emit *e = w->e;
    Places to = *p;
    Place all = {NULL, NULL, false};
    for (int i = 1; i < n->ndim; i++) {
        const Place *from = walk_place(p, n->dim[i]);
        bool last = i == n->ndim - 1;
        Val v = from->index;
        if (from->spread && !last)
            v = walk_lanes(w, from, p->lanes);
        if (all.index && width_of(all.index) > 1 && from->spread)
            v = walk_lanes(w, from, p->lanes);
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

Val walk_iota(Walk *w, const Node *n, const Places *p)
{
    Val v = walk_lanes(w, walk_place(p, n->dim[0]), p->lanes);
    v = to_int(w->e, v, ty(w->e, TY_i32));
    return splat(w->e, v, p->lanes / width_of(v));
}

Val walk_onehot(Walk *w, const Node *n, const Places *p)
{
    Emit *e = w->e;
    Val is = walk(w, n->arg[0], p);
    Val here = walk_lanes(w, walk_place(p, n->dim[0]), p->lanes);
    Val hit = same(e, to_int(e, is, ty(e, TY_i64)), here);
    return to_float(e, hit, ty(e, TY_f32));
}

Val walk_scalar(Walk *w, const Node *n, const Places *p)
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
    const Place *token = walk_place(p, n->type.dim[0]);
    Places to = *p;
    places_set(&to, table->type.dim[0], i64(w->e, which), false);
    places_set(&to, table->type.dim[1], token->index, token->spread);
    places_set(&to, table->type.dim[2], j, spread);
    return walk_load(w, table, &to);
}

/* Elements j and j + rotary / 2 of a head turn by the token's angles: the
 * first half gets x cos - partner sin, the second x cos + partner sin. Where
 * vectors do not cross the halves, all stays contiguous. */
static Val at_rope_pairs(Walk *w, const Node *n, const Places *p)
{
    Emit *e = w->e;
    const Dim *hd = n->type.dim[2];
    Val j = walk_lanes(w, walk_place(p, hd), p->lanes);
    Val turns = less(e, j, like_bits(j, n->rope->rotary));
    Val two = like_bits(j, 2), odd = rest(e, j, two);
    Val first = same(e, odd, like_bits(j, 0));
    Val one = like_bits(j, 1);
    Val other = pick(e, first, add(e, j, one), sub(e, j, one));
    Places to = *p, here = *p;
    places_set(&here, hd, j, false);
    places_set(&to, hd, pick(e, turns, other, j), false);
    Val at_angle = pick(e, turns, quot(e, j, two), like_bits(j, 0));
    Val x = walk(w, n->arg[0], &here), y = walk(w, n->arg[0], &to);
    Val c = angle(w, n, p, 0, at_angle, false);
    Val s = angle(w, n, p, 1, at_angle, false);
    Val turned = mul_add(e, y, pick(e, first, neg(e, s), s), mul(e, x, c));
    return round_to(e, n->type.dtype, pick(e, turns, turned, x));
}

Val walk_rope(Walk *w, const Node *n, const Places *p)
{
    Emit *e = w->e;
    const Dim *hd = n->type.dim[2];
    const Place *head = walk_place(p, hd);
    if (n->rope->pairs)
        return at_rope_pairs(w, n, p);
    int64_t half = n->rope->rotary / 2;
    bool uniform = p->lanes > 1 && head->spread && half % p->lanes == 0;
    Val j = uniform ? head->index : walk_lanes(w, head, p->lanes);
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
