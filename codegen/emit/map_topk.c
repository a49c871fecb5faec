/* topk of a row: each score becomes a 64-bit key, the score's order above and
 * the place's below, so that a key is unique and the next in order is the
 * largest one below the last. A NaN comes after all numbers. */
#include "codegen/emit/map.h"

typedef struct {
    const Node *node;
    Val keys;
} Scores;

/* The order of floats as that of integers; -0 = 0. */
static Val order_of(Emit *e, Val x)
{
    x = add(e, x, like(x, 0));
    Val bits = bits_of(e, x);
    Val flipped = bit_xor(e, bits, like_bits(bits, 0x7fffffff));
    Val key = pick(e, less(e, bits, like_bits(bits, 0)), flipped, bits);
    return pick(e, is_nan(e, x), like_bits(bits, INT32_MIN), key);
}

static void key_step(MapEmit *m, Places *p, int copy, void *user)
{
    (void)copy;
    Emit *e = m->w.e;
    Scores *s = user;
    Val i = p->at[p->n - 1].index;
    for (int j = 0; j < p->n; j++)
        if (p->at[j].dim == s->node->dim[0])
            i = p->at[j].index;
    Val x = walk(&m->w, s->node->arg[0], p);
    Val order = order_of(e, to_float(e, x, ty(e, TY_f32)));
    Ty wide = vec(ty(e, TY_i64), p->lanes);
    Val high = shift_left(e, LLVMBuildSExt(e->at, order, wide, ""), 32);
    Val place = add(e, splat(e, i, p->lanes),
                    lane_numbers(e, ty(e, TY_i64), p->lanes));
    Val low = sub(e, like_bits(place, 0xffffffff), place);
    store_as(e, TYPE_i64, bit_or(e, high, low),
             at(e, ty(e, TY_i64), s->keys, i), p->mask);
}

/* The largest key below `last`. */
static Val next_key(Emit *e, Val keys, Val n, Val last)
{
    Val best = var(e, ty(e, TY_i64), "best"), none = i64(e, INT64_MIN);
    set(e, best, none);
    Loop l = loop_begin(e, "score", i64(e, 0), n, 1);
    Val key = load(e, ty(e, TY_i64), at(e, ty(e, TY_i64), keys, l.index));
    key = pick(e, less(e, key, last), key, none);
    set(e, best, greatest(e, get(e, best), key));
    loop_end(e, l);
    return get(e, best);
}

void map_topk(MapEmit *m, const Node *n, Local *out)
{
    Emit *e = m->w.e;
    Kernel *k = m->w.kernel;
    int64_t size = size_at(n->dim[0]->size, 1), K = size_at(n->dim[1]->size, 1);
    Val mem = at_bytes(e, kernel_mem(&m->w), i64(e, k->scratch));
    Scores s = {n, mem};
    out->a = at_bytes(e, mem, i64(e, 8 * size));
    int64_t base = k->scratch + (8 * size + 4 * K + 63) / 64 * 64;
    k->scratch = base;
    Places p = m->at;
    p.lanes = map_lanes(m, n->dim[0]);
    map_over(m, &p, 1, n->dim, 1, key_step, &s);
    Val last = var(e, ty(e, TY_i64), "last");
    set(e, last, i64(e, INT64_MAX));
    Loop l = loop_begin(e, "pick", i64(e, 0), i64(e, K), 1);
    Val key = next_key(e, s.keys, i64(e, size), get(e, last));
    set(e, last, key);
    Val low = bit_and(e, key, i64(e, 0xffffffff));
    Val place = to_int(e, sub(e, i64(e, 0xffffffff), low), ty(e, TY_i32));
    store(e, place, at(e, ty(e, TY_i32), out->a, l.index));
    loop_end(e, l);
}
