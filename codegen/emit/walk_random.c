/* The walker's rounding by chance: what compiler/graph/random.c computes, in
 * vectors. */
#include "codegen/emit/walk.h"

static Val constant(Val like, uint64_t v)
{
    return like_bits(like, (int64_t)v);
}

static Val folded(Emit *e, Val x)
{
    return bit_xor(e, x, shift_right(e, x, 32));
}

static Val scramble(Emit *e, Val x)
{
    Val by = constant(x, UINT64_C(0xd6e8feb86659fd93));
    x = mul(e, folded(e, x), by);
    x = mul(e, folded(e, x), by);
    return folded(e, x);
}

/* random_bits */
static Val bits(Emit *e, Val key, Val counter)
{
    Val x = mul(e, counter, constant(counter, UINT64_C(0x9e3779b97f4a7c15)));
    x = scramble(e, add(e, x, key));
    Val turned = bit_or(e, shift_left(e, key, 32), shift_right(e, key, 32));
    return scramble(e, bit_xor(e, x, turned));
}

/* A scalar argument as an integer. */
static Val whole(Walk *w, const Node *n)
{
    Places none = {.lanes = 1};
    return to_int(w->e, walk(w, n, &none), ty(w->e, TY_i64));
}

/* The element's number in the node's order, a lane each. */
static Val element(Walk *w, const Node *n, const Places *p)
{
    Emit *e = w->e;
    Val sum = NULL;
    for (int i = 0; i < n->type.rank; i++) {
        const Dim *d = n->type.dim[i];
        Val at = splat(e, walk_lanes(w, walk_place(p, d), p->lanes),
                       p->lanes / width_of(walk_lanes(w, walk_place(p, d),
                                                      p->lanes)));
        if (sum)
            at = add(e, mul(e, sum, splat(e, walk_size(w, d->size),
                                          p->lanes)), at);
        sum = at;
    }
    return sum ? sum : i64(e, 0);
}

/* random_round, of f32 */
Val walk_round(Walk *w, const Node *n, const Places *p)
{
    Emit *e = w->e;
    uint64_t own = random_key((uint64_t)(int64_t)n->num, "round");
    Val key = bits(e, i64(e, (int64_t)own), whole(w, n->arg[1]));
    key = bits(e, key, whole(w, n->arg[2]));
    Val v = to_float(e, walk(w, n->arg[0], p), ty(e, TY_f32));
    Val i = element(w, n, p);
    Val draw = bits(e, splat(e, key, width_of(i)), shift_right(e, i, 2));
    Val part = bit_and(e, i, like_bits(i, 3));
    part = mul(e, part, like_bits(i, 16));
    draw = LLVMBuildLShr(e->at, draw, part, "");
    draw = bit_and(e, to_int(e, draw, ty(e, TY_i32)),
                   like_bits(to_int(e, draw, ty(e, TY_i32)), 0xffff));
    Val sum = add(e, bits_of(e, v), draw);
    sum = bit_and(e, sum, like_bits(sum, -65536));
    /* what is not finite stays, and is a NaN's or infinity's upper half */
    Val finite = less(e, magnitude(e, v), like(v, __builtin_inf()));
    return pick(e, finite, float_of_bits(e, sum), round_to(e, TYPE_bf16, v));
}
