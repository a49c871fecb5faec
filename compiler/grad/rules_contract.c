/* Gradients of products that are summed: of y = sum over S of a b that to a is
 * g b, summed over what b has and a lacks. Where b is picked by an index from a
 * weight, that to the weight is one `collect`: nothing picked is a tensor. */
#include "compiler/grad/rules.h"

/* The product of two, summed over those of their dims that `to` lacks. */
static Node *product(Graph *g, Node *a, Node *b, const Type *to)
{
    const Dim *both[MAX_RANK];
    int n = 0;
    for (int i = 0; i < a->type.rank; i++)
        if (type_dim(&b->type, a->type.dim[i]) >= 0 &&
            type_dim(to, a->type.dim[i]) < 0)
            both[n++] = a->type.dim[i];
    return n ? g_contract(g, a, b, n, both) : times(g, a, b);
}

/* Dims of neither sum that only one side has go before the product. */
static Node *less_dims(Graph *g, Node *n, const Node *other, const Type *to)
{
    const Dim *gone[MAX_RANK];
    int count = 0;
    for (int i = 0; i < n->type.rank; i++)
        if (type_dim(&other->type, n->type.dim[i]) < 0 &&
            type_dim(to, n->type.dim[i]) < 0)
            gone[count++] = n->type.dim[i];
    return sum_over(g, n, count, gone);
}

static Node *wide(Graph *g, Node *n, const Node *to)
{
    bool narrow = n->type.dtype == TYPE_bf16 || n->type.dtype == TYPE_f16;
    return narrow && back_is_weight(to) ? g_cast(g, TYPE_f32, n) : n;
}

/* A gather whose index has new dims alone. */
static bool picks(const Node *n)
{
    if (n->op != OP_gather || !n->arg[1]->type.rank)
        return false;
    for (int i = 0; i < n->arg[1]->type.rank; i++)
        if (type_dim(&n->arg[0]->type, n->arg[1]->type.dim[i]) >= 0)
            return false;
    return true;
}

/* Of what was picked from: g and the other side, by the place the index says,
 * summed over all that it lacks. */
static void to_picked(Back *b, const Node *pick, Node *g, Node *other)
{
    const Type *from = &pick->arg[0]->type, *index = &pick->arg[1]->type;
    Node n = {.op = OP_collect, .arg = {g, other, pick->arg[1]}, .ndim = 1,
              .dim = {pick->dim[0]}};
    for (int k = 0; k < 2; k++) {
        const Type *t = &n.arg[k]->type;
        for (int i = 0; i < t->rank; i++)
            if (type_dim(from, t->dim[i]) < 0 &&
                type_dim(index, t->dim[i]) < 0 &&
                !dim_among(t->dim[i], n.ndim, n.dim))
                n.dim[n.ndim++] = t->dim[i];
    }
    back_give(b, pick->arg[0], graph_add(b->g, n));
}

void grad_contract(Back *b, const Node *n, Node *g)
{
    for (int i = 0; i < 2; i++) {
        Node *to = n->arg[i], *other = n->arg[1 - i];
        if (!back_wants(b, to))
            continue;
        const Node *from_pick = to;
        while (from_pick->op == OP_cast) /* straight through */
            from_pick = from_pick->arg[0];
        if (picks(from_pick)) {
            to_picked(b, from_pick, g, other);
            continue;
        }
        Node *from = less_dims(b->g, wide(b->g, g, to), other, &to->type);
        back_give(b, to, product(b->g, from, other, &to->type));
    }
}

void grad_nll(Back *b, const Node *n, Node *g)
{
    Node *none = g_map2(b->g, OP_eq, n->arg[3], num_like(b->g, n->arg[3], 0));
    if (g != n->arg[3]) /* else it is 0 where share is */
        g = g_select(b->g, none, num_like(b->g, g, 0), g);
    for (int i = 0; i < 2; i++) {
        Node to = {.op = i ? OP_nll_dw : OP_nll_dx, .ndim = n->ndim,
                   .arg = {n->arg[0], n->arg[1], n->arg[2], g}};
        for (int j = 0; j < n->ndim; j++)
            to.dim[j] = n->dim[j];
        if (back_wants(b, n->arg[i]))
            back_give(b, n->arg[i], graph_add(b->g, to));
    }
}
