/* Gradients of ops along dims, and of those that move elements. */
#include "compiler/grad/rules.h"
#include <string.h>

static Node *itself(const Back *b, const Node *n)
{
    return b->g->node.at[n->id];
}

static Node *add_node(Graph *g, Op op, Node *a, int n, const Dim *const *dim)
{
    return g_along(g, op, a, n, dim);
}

/* ---- along dims ---- */

void grad_sum(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], g); /* the dims that it lacks: copies */
}

/* Where along d the first of the largest stands: 1, else 0. */
static Node *is_largest(Graph *g, Node *a, const Dim *d)
{
    const Dim *first = dim_new("first", size_num(1)), *top[] = {d, first};
    Node *at = g_along(g, OP_topk, a, 2, top);
    at = graph_add(g, (Node){.op = OP_slice, .arg = {at}, .ndim = 1,
                             .dim = {first}});
    return g_along(g, OP_onehot, at, 1, &d);
}

/* To the first of the largest: one dim at a time, from the last back. */
void grad_max(Back *b, const Node *n, Node *g)
{
    Node *at[MAX_RANK + 1] = {n->arg[0]};
    for (int i = 0; i < n->ndim; i++)
        at[i + 1] = g_along(b->g, OP_max, at[i], 1, &n->dim[i]);
    for (int i = n->ndim - 1; i >= 0; i--) {
        Node *is = is_largest(b->g, at[i], n->dim[i]);
        g = times(b->g, g, g_cast(b->g, g->type.dtype, is));
    }
    back_give(b, n->arg[0], g);
}

/* y (g - sum of g y) */
void grad_softmax(Back *b, const Node *n, Node *g)
{
    Node *y = itself(b, n);
    Node *mean = g_along(b->g, OP_sum, times(b->g, g, y), n->ndim, n->dim);
    back_give(b, n->arg[0],
              times(b->g, y, g_map2(b->g, OP_sub, g, mean)));
}

void grad_logsumexp(Back *b, const Node *n, Node *g)
{
    Node *p = g_along(b->g, OP_softmax, n->arg[0], n->ndim, n->dim);
    back_give(b, n->arg[0], times(b->g, g, p));
}

/* Of each the sum of g from there on: all, less those before. */
void grad_cumsum(Back *b, const Node *n, Node *g)
{
    Node *all = g_along(b->g, OP_sum, g, 1, n->dim);
    Node *upto = g_along(b->g, OP_cumsum, g, 1, n->dim);
    back_give(b, n->arg[0],
              g_map2(b->g, OP_add, g_map2(b->g, OP_sub, all, upto), g));
}

/* ---- picking ---- */

/* g where dim d stands at `at` (an index of it, or a number), else 0. */
static Node *only_at(Graph *to, Node *g, const Dim *d, Node *at)
{
    Node iota = {.op = OP_iota, .ndim = 1, .dim = {d}};
    iota.type = (Type){.dtype = TYPE_i32, .index_of = d, .rank = 1,
                       .dim = {d}};
    Node *here = g_map2(to, OP_eq, graph_add(to, iota), at);
    return g_select(to, here, g, num_like(to, g, 0));
}

void grad_slice(Back *b, const Node *n, Node *g)
{
    Node *at = g_num(b->g, TYPE_f32, n->num);
    back_give(b, n->arg[0], only_at(b->g, g, n->dim[0], at));
}

/* Index dims that stand new in the result. */
static int new_dims(const Node *n, const Dim **out)
{
    const Type *a = &n->arg[0]->type, *index = &n->arg[1]->type;
    int count = 0;
    for (int i = 0; i < index->rank; i++)
        if (type_dim(a, index->dim[i]) < 0 || index->dim[i] == n->dim[0])
            out[count++] = index->dim[i];
    return count;
}

/* Where all of the index's dims are new, what it picked is added up there;
 * else a product with its onehot, summed over those that are new. */
void grad_gather(Back *b, const Node *n, Node *g)
{
    Node *a = n->arg[0], *index = n->arg[1];
    const Dim *fresh[MAX_RANK], *d = n->dim[0];
    if (!index->type.rank) {
        back_give(b, a, only_at(b->g, g, d, index));
        return;
    }
    int nfresh = new_dims(n, fresh);
    if (nfresh == index->type.rank) {
        Node scatter = {.op = OP_scatter, .arg = {g, index}, .ndim = 1,
                        .dim = {d}};
        back_give(b, a, graph_add(b->g, scatter));
        return;
    }
    Node *is = g_cast(b->g, g->type.dtype,
                      g_along(b->g, OP_onehot, index, 1, &d));
    back_give(b, a, nfresh ? g_contract(b->g, g, is, nfresh, fresh)
                           : times(b->g, g, is));
}

void grad_scatter(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], g_gather(b->g, g, n->dim[0], n->arg[1]));
}

/* ---- moving ---- */

void grad_expand(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], g); /* further dims are summed */
}

void grad_order(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], g);
}

void grad_flatten(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], add_node(b->g, OP_split, g, n->ndim, n->dim));
}

void grad_split(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], add_node(b->g, OP_flatten, g, n->ndim, n->dim));
}

void grad_rename(Back *b, const Node *n, Node *g)
{
    const Dim *back[] = {n->dim[1], n->dim[0]};
    back_give(b, n->arg[0], add_node(b->g, OP_rename, g, 2, back));
}

static Node *join(Graph *g, Node *a, const Dim *da, Node *b, const Dim *db,
                  const Dim *to)
{
    Node n = {.op = OP_join, .arg = {a, b}, .ndim = 3, .dim = {da, db, to}};
    return graph_add(g, n);
}

/* As like with d in the place of its dim `of`; all 0. */
static Node *zeros(Graph *g, const Node *like, const Dim *of, const Dim *d)
{
    const Dim *dim[MAX_RANK];
    for (int i = 0; i < like->type.rank; i++)
        dim[i] = like->type.dim[i] == of ? d : like->type.dim[i];
    return g_along(g, OP_expand, num_like(g, like, 0), like->type.rank, dim);
}

static bool is_none(const Size *s)
{
    double v;
    return size_is_num(s, &v) && v == 0;
}

/* What was left out, before and behind, gets 0. */
void grad_cut(Back *b, const Node *n, Node *g)
{
    const Dim *whole = n->dim[0], *part = n->dim[1];
    const Size *upto = size_add(n->size, part->size),
               *rest = size_sub(whole->size, upto);
    bool last = is_none(rest);
    if (!is_none(n->size)) {
        const Dim *before = dim_new("before", n->size);
        const Dim *to = last ? whole : dim_new("upto", upto);
        g = join(b->g, zeros(b->g, g, part, before), before, g, part, to);
        part = to;
    }
    if (!last) {
        const Dim *behind = dim_new("behind", rest);
        g = join(b->g, g, part, zeros(b->g, g, part, behind), behind, whole);
    }
    if (part == n->dim[1] && last) { /* all of it, under another name */
        const Dim *back[] = {part, whole};
        g = add_node(b->g, OP_rename, g, 2, back);
    }
    back_give(b, n->arg[0], g);
}

void grad_join(Back *b, const Node *n, Node *g)
{
    const Size *from[] = {size_num(0), n->dim[0]->size};
    for (int i = 0; i < 2; i++) {
        Node cut = {.op = OP_cut, .arg = {g}, .size = from[i], .ndim = 2,
                    .dim = {n->dim[2], n->dim[i]}};
        if (back_wants(b, n->arg[i]))
            back_give(b, n->arg[i], graph_add(b->g, cut));
    }
}
