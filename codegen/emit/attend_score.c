/* A score of attention: q . k, capped, and what a head adds to it by the number
 * of steps that lie between. */
#include "codegen/emit/attend_score.h"
#include "codegen/emit/emit_math.h"
#include <math.h>

Val attend_token(At *a, Val row)
{
    Emit *e = a->w.e;
    return add(e, a->t0, quot(e, row, a->heads));
}

Val attend_query(At *a, Val row)
{
    Emit *e = a->w.e;
    Val h = add(e, mul(e, a->head, i64(e, a->s.group)), a->h0);
    return add(e, h, rest(e, row, a->heads));
}

Val attend_cell(At *a, TyName t, Val base, Val row)
{
    return at(a->w.e, ty(a->w.e, t), base, row);
}

/* The number of the row's head that the fourth argument has; of a bias those
 * that lie `back` steps behind. */
static Val more_of(At *a, Val row, Val back)
{
    const Type *t = &a->a->more->type;
    Places p = {.lanes = back ? width_of(back) : 1};
    places_set(&p, t->dim[0], attend_query(a, row), false);
    if (back)
        places_set(&p, t->dim[1], back, false);
    return to_float(a->w.e, walk_load(&a->w, a->a->more, &p),
                    ty(a->w.e, TY_f32));
}

/* A sink is as a position before the first, whose value is 0. */
void attend_sink(At *a, Val row)
{
    Emit *e = a->w.e;
    Ty wide = vec(ty(e, TY_f32), e->lanes);
    Val s = mul(e, more_of(a, row, NULL), f32(e, M_LOG2E));
    Val m = round_up(e, s), l = vm_exp2_less(e, s, m);
    store(e, m, attend_cell(a, TY_f32, a->m, row));
    store(e, with_lane(e, num(wide, 0), 0, l), at(e, wide, a->l, row));
}

/* How far the lanes of vector `number` lie behind the row, not below 0. */
static Val steps_back(At *a, Val row, Val block, int number)
{
    Emit *e = a->w.e;
    Ty t = ty(e, TY_i64);
    Val first = add(e, mul(e, block, i64(e, a->s.rows)),
                    i64(e, (int64_t)number * e->lanes));
    Val lanes = add(e, splat(e, first, e->lanes),
                    lane_numbers(e, t, e->lanes));
    Val to = splat(e, load(e, t, attend_cell(a, TY_i64, a->to, row)), e->lanes);
    Val back = sub(e, to, lanes);
    return greatest(e, back, like_bits(back, 0));
}

/* q . k to the score, times log2(e). */
Val attend_scored(At *a, Val s, Val row, Val block, int number)
{
    Emit *e = a->w.e;
    const Node *n = a->a->attend;
    Val back, by;
    double scale = 1 / sqrt((double)a->s.hd);
    bool sink = n->op == OP_attend_sink;
    int rank = a->a->more && !sink ? a->a->more->type.rank : 0;
    if (!(n->num > 0) && !rank)
        return mul(e, s, like(s, M_LOG2E * scale));
    s = mul(e, s, like(s, n->num > 0 ? scale / n->num : scale));
    if (n->num > 0)
        s = mul(e, vm_tanh(e, s), like(s, n->num));
    if (rank == 1) {
        back = to_float(e, steps_back(a, row, block, number),
                        ty(e, TY_f32));
        by = splat(e, more_of(a, row, NULL), e->lanes);
        s = sub(e, s, mul(e, by, back));
    }
    if (rank == 2) {
        back = steps_back(a, row, block, number);
        Val R = walk_size(&a->w, a->a->more->type.dim[1]->size);
        Val last = splat(e, sub(e, R, i64(e, 1)), e->lanes);
        s = add(e, s, more_of(a, row, least(e, back, last)));
    }
    return mul(e, s, like(s, M_LOG2E));
}
