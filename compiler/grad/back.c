/* Gradients of a graph, from its last node to its first: what flows to a node
 * from all that read it is added, then its op's rule passes it on. */
#include "compiler/grad/rules.h"
#include <string.h>

static Rule *const rule[OP_COUNT] = {
#define MAP(name, nargs, type, flags, positive, cost, sign, grad, ...) \
    grad_##grad,
#define OP(name, nargs, class, type, flags, least, most, over, positive, \
           work, grad, ...) \
    grad_##grad,
#include "compiler/graph/ops.def"
#undef MAP
#undef OP
};

void grad_none(Back *b, const Node *n, Node *g)
{
    (void)b, (void)n, (void)g;
}

/* A repeat has its gradient with those of its results: at itself. */
void grad_result(Back *b, const Node *n, Node *g)
{
    (void)b, (void)n, (void)g;
}

void grad_repeat(Back *b, const Node *n, Node *g)
{
    (void)g;
    b->repeat(b, n);
}

/* ---- terms ---- */

static bool is_one(const Node *n)
{
    while (n->op == OP_expand || n->op == OP_cast)
        n = n->arg[0];
    return n->op == OP_number && n->num == 1;
}

Node *num_like(Graph *g, const Node *a, double v)
{
    return g_num(g, a->type.dtype, v);
}

Node *times(Graph *g, Node *a, Node *b)
{
    if (is_one(a) && a->type.rank <= b->type.rank)
        return b;
    return is_one(b) && b->type.rank <= a->type.rank ? a
                                                     : g_map2(g, OP_mul, a, b);
}

Node *scaled(Graph *g, Node *a, double by)
{
    return by == 1 ? a : g_map2(g, OP_mul, a, num_like(g, a, by));
}

Node *sum_over(Graph *g, Node *a, int n, const Dim *const *dim)
{
    return n ? g_along(g, OP_sum, a, n, dim) : a;
}

/* Those dims of t that are not in the list; how many. */
static int other_dims(const Type *t, int n, const Dim *const *list,
                      const Dim **out)
{
    int count = 0;
    for (int i = 0; i < t->rank; i++)
        if (!dim_among(t->dim[i], n, list))
            out[count++] = t->dim[i];
    return count;
}

Node *fit(Graph *g, Node *n, const Type *to)
{
    const Dim *dim[MAX_RANK];
    int count = other_dims(&n->type, to->rank, to->dim, dim);
    n = sum_over(g, n, count, dim);
    count = other_dims(to, n->type.rank, n->type.dim, dim);
    if (count)
        n = g_along(g, OP_expand, n, count, dim);
    if (!dims_same(n->type.rank, n->type.dim, to->rank, to->dim))
        n = g_along(g, OP_order, n, to->rank, to->dim);
    return n;
}

/* ---- what wants a gradient ---- */

bool back_is_weight(const Node *n)
{
    for (int i = 0; i < n->type.rank; i++)
        if (size_has(n->type.dim[i]->size, "T"))
            return false;
    return true;
}

bool back_wants(const Back *b, const Node *n)
{
    return n->id < b->forward && b->wants[n->id];
}

static bool wants(const Back *b, const Node *n)
{
    if (!type_is_float(n->type.dtype))
        return false;
    if (b->trained(b, n))
        return true;
    if (n->op == OP_repeat && b->repeat_wants(b, n))
        return true;
    for (int i = 0; i < node_args(n); i++)
        if (op_flows(n->op, i) && b->wants[n->arg[i]->id])
            return true;
    return false;
}

void back_begin(Back *b)
{
    size_t n = (size_t)b->g->node.n + 1;
    b->forward = b->g->node.n;
    b->wants = arena_alloc(b->g->arena, n * sizeof *b->wants);
    b->given = arena_alloc(b->g->arena, n * sizeof *b->given);
    b->sum = arena_alloc(b->g->arena, n * sizeof *b->sum);
    for (int i = 0; i < b->forward; i++)
        b->wants[i] = wants(b, b->g->node.at[i]);
}

/* ---- what flows ---- */

void back_give(Back *b, const Node *to, Node *part)
{
    if (!back_wants(b, to))
        return;
    part = fit(b->g, part, &to->type);
    list_push(b->g->arena, &b->given[to->id].part, part);
}

/* All parts, added in f32, rounded once: to the node's own type, but that of
 * weights stays f32. */
static Node *whole(const Back *b, const Node *n)
{
    const struct Parts *p = &b->given[n->id];
    Dtype own = n->type.dtype, wide = own == TYPE_f64 ? own : TYPE_f32;
    if (!p->part.n)
        return NULL;
    Node *sum = p->part.at[0];
    for (int i = 1; i < p->part.n; i++)
        sum = g_map2(b->g, OP_add, g_cast(b->g, wide, sum),
                     g_cast(b->g, wide, p->part.at[i]));
    return g_cast(b->g, back_is_weight(n) ? wide : own, sum);
}

/* Does a result of the repeat have a gradient? */
static bool result_has(const Back *b, const Node *repeat)
{
    for (int i = repeat->id + 1; i < b->forward; i++)
        if (b->g->node.at[i]->op == OP_result && b->sum[i] &&
            b->g->node.at[i]->arg[0] == repeat)
            return true;
    return false;
}

void back_run(Back *b)
{
    for (int i = b->forward - 1; i >= 0; i--) {
        const Node *n = b->g->node.at[i];
        if (!b->wants[i])
            continue;
        b->sum[i] = whole(b, n);
        if (b->sum[i] || (n->op == OP_repeat && result_has(b, n)))
            rule[n->op](b, n, b->sum[i]);
    }
}
