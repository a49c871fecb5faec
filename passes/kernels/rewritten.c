/* Before the cut: ops of training for which there is no kernel, in terms of
 * those that have one. */
#include "passes/kernels/cut.h"

/* Of a contract: the summed dims that only the index of a gathered side has
 * besides the other side. */
static int index_dims(const Node *n, const Dim **out)
{
    int count = 0;
    for (int side = 0; n->op == OP_contract && side < 2; side++) {
        const Node *w = n->arg[side];
        if (w->op != OP_gather || !w->arg[1]->type.rank)
            continue;
        for (int i = 0; i < n->ndim; i++)
            if (type_dim(&w->arg[1]->type, n->dim[i]) >= 0 &&
                type_dim(&w->arg[0]->type, n->dim[i]) < 0 &&
                !dim_among(n->dim[i], count, out))
                out[count++] = n->dim[i];
    }
    return count < n->ndim ? count : 0;
}

/* Is one of collect's sides as its kernel reads it: some of the index's dims in
 * their order, then known ones of its own? */
static bool side_fits(const Node *n, int arg)
{
    const Type *t = &n->arg[arg]->type, *index = &n->arg[2]->type;
    int at = 0, i = 0;
    for (; i < t->rank && type_dim(index, t->dim[i]) >= 0; i++) {
        if (type_dim(index, t->dim[i]) < at)
            return false;
        at = type_dim(index, t->dim[i]) + 1;
    }
    bool own = i < t->rank;
    for (; i < t->rank; i++)
        own = own && type_dim(index, t->dim[i]) < 0 &&
              type_dim(&n->arg[1 - arg]->type, t->dim[i]) < 0 &&
              size_is_num(t->dim[i]->size, NULL);
    return own && t->dtype != TYPE_f64 && type_is_float(t->dtype);
}

static bool collects(const Node *n)
{
    return n->ndim == 1 && side_fits(n, 0) && side_fits(n, 1) &&
           n->type.dtype == TYPE_f32;
}

bool cut_rewrites(const Node *n)
{
    const Dim *over[MAX_RANK];
    bool head = n->op == OP_nll || n->op == OP_nll_dx || n->op == OP_nll_dw;
    return head || (n->op == OP_collect && !collects(n)) ||
           index_dims(n, over);
}

static Node *add1(Graph *g, Op op, Node *a, int n, const Dim *const *dim)
{
    Node node = {.op = op, .arg = {a}, .ndim = n};
    for (int i = 0; i < n; i++)
        node.dim[i] = dim[i];
    return graph_add(g, node);
}

/* With the dims of the type, in its order. */
static Node *in_order(Graph *g, Node *n, const Type *t)
{
    if (dims_same(n->type.rank, n->type.dim, t->rank, t->dim))
        return n;
    return add1(g, OP_order, n, t->rank, t->dim);
}

/* ---- over the index's own dims: of each element, then added up ---- */

static Node *contract(Graph *g, Node n)
{
    const Dim *over[MAX_RANK], *rest[MAX_RANK];
    int count = index_dims(&n, over), left = 0;
    for (int i = 0; i < n.ndim; i++)
        if (!dim_among(n.dim[i], count, over))
            rest[left++] = n.dim[i];
    Node *each = g_contract(g, n.arg[0], n.arg[1], left, rest);
    return in_order(g, g_along(g, OP_sum, each, count, over), &n.type);
}

/* ---- collect, of other sides: products of each element, added up ---- */

/* Summed over those of n's dims that `other` lacks. */
static Node *alone(Graph *g, const Node *n, Node *a, const Type *other)
{
    const Dim *sum[MAX_RANK];
    int count = 0;
    for (int i = 1; i < n->ndim; i++)
        if (type_dim(other, n->dim[i]) < 0)
            sum[count++] = n->dim[i];
    a = g_cast(g, n->type.dtype, a);
    return count ? g_along(g, OP_sum, a, count, sum) : a;
}

static Node *collect(Graph *g, Node n)
{
    const Type *a = &n.arg[0]->type, *b = &n.arg[1]->type;
    const Dim *both[MAX_RANK];
    int count = 0;
    for (int i = 1; i < n.ndim; i++)
        if (type_dim(a, n.dim[i]) >= 0 && type_dim(b, n.dim[i]) >= 0)
            both[count++] = n.dim[i];
    Node *p = g_contract(g, alone(g, &n, n.arg[0], b),
                         alone(g, &n, n.arg[1], a), count, both);
    Node s = {.op = OP_scatter, .arg = {p, n.arg[2]}, .ndim = 1,
              .dim = {n.dim[0]}};
    return in_order(g, graph_add(g, s), &n.type);
}

/* ---- the head's loss: of all logits ---- */

static Node *logits(Graph *g, const Node *n)
{
    bool wide = n->arg[0]->type.dtype == TYPE_f64;
    Dtype t = wide ? TYPE_f64 : TYPE_f32;
    return g_cast(g, t, g_contract(g, n->arg[0], n->arg[1], n->ndim, n->dim));
}

static Node *nll(Graph *g, Node n)
{
    const Dim *V = n.arg[2]->type.index_of;
    Node *l = logits(g, &n);
    Node *lse = g_along(g, OP_logsumexp, l, 1, &V);
    Node *own = g_gather(g, l, V, n.arg[2]);
    Node *loss = in_order(g, g_map2(g, OP_sub, lse, own), &n.type);
    Node *counts = g_map2(g, OP_ne, n.arg[3],
                          g_num(g, n.arg[3]->type.dtype, 0));
    return g_select(g, counts, loss, g_num(g, n.type.dtype, 0));
}

/* What flows to each logit. */
static Node *slopes(Graph *g, const Node *n)
{
    const Dim *V = n->arg[2]->type.index_of;
    Node *l = logits(g, n);
    Node *p = g_along(g, OP_softmax, l, 1, &V);
    Node *own = add1(g, OP_onehot, n->arg[2], 1, &V);
    Node *d = g_map2(g, OP_sub, p, in_order(g, own, &p->type));
    Node *zero = g_num(g, n->arg[3]->type.dtype, 0);
    Node *some = g_map2(g, OP_ne, n->arg[3], zero);
    d = g_select(g, some, g_map2(g, OP_mul, d, n->arg[3]),
                 g_num(g, l->type.dtype, 0));
    return g_cast(g, n->arg[0]->type.dtype, in_order(g, d, &p->type));
}

static Node *nll_dx(Graph *g, Node n)
{
    const Dim *V = n.arg[2]->type.index_of;
    Node *d = g_contract(g, slopes(g, &n), n.arg[1], 1, &V);
    return g_cast(g, n.type.dtype, in_order(g, d, &n.type));
}

static Node *nll_dw(Graph *g, Node n)
{
    const Type *rows = &n.arg[2]->type;
    Node *d = g_contract(g, g_cast(g, n.type.dtype, slopes(g, &n)), n.arg[0],
                         rows->rank, rows->dim);
    return in_order(g, d, &n.type);
}

Node *cut_rewritten(Graph *to, Node n)
{
    switch (n.op) {
    case OP_contract: return contract(to, n);
    case OP_collect: return collect(to, n);
    case OP_nll: return nll(to, n);
    case OP_nll_dx: return nll_dx(to, n);
    default: return nll_dw(to, n);
    }
}
