/* Passes last and rows. A pick of one row (a gather by a scalar) moves below
 * whatever works on each row alone, down to what mixes rows: so a model's head
 * runs on the token that is wanted, not on all. */
#include "passes/private.h"
#include <string.h>

static const Dim *token_dim(const Type *t)
{
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i]->size == size_sym("T"))
            return t->dim[i];
    return NULL;
}

Graph *pass_last(const Graph *g, Arena *a, const PassOptions *o)
{
    Graph *to = graph_map(g, a, NULL, NULL);
    for (int i = 0; o->last_only && i < to->output.n; i++) {
        Node **n = &to->output.at[i].node;
        const Dim *T = token_dim(&(*n)->type);
        if (!T)
            continue;
        const Size *last = size_sub(T->size, size_num(1));
        *n = g_gather(to, *n, T, g_scalar(to, TYPE_i32, last));
    }
    return to;
}

typedef struct {
    Graph *to;
    const Dim *d;
    Node *index;  /* a scalar */
    Node **known; /* by the id of a node of `to`: what it is at the index */
} Pick;

/* Does row i of n need only row i of its arguments? */
static bool row_by_row(const Node *n, const Dim *d)
{
    return op_is_map(n->op) || n->op == OP_expand || n->op == OP_order ||
           ((op_info[n->op].flags & IS_by_rows) &&
            !dim_among(d, n->ndim, n->dim));
}

static Node *pick(const Pick *p, Node *n);

/* Expansions along d just go; orders lose d. */
static void drop_dim(Node *n, const Dim *d)
{
    int m = 0;
    for (int i = 0; i < n->ndim; i++)
        if (n->dim[i] != d)
            n->dim[m++] = n->dim[i];
    for (int i = m; i < n->ndim; i++)
        n->dim[i] = NULL;
    n->ndim = m;
}

/* What n is at the index: a node of n's type without d; or NULL. */
static Node *sink(const Pick *p, const Node *n, const Type *want)
{
    Node now = *n;
    Type t;
    if (!row_by_row(n, p->d))
        return NULL;
    if (n->op == OP_expand || n->op == OP_order)
        drop_dim(&now, p->d);
    for (int i = 0; i < node_args(n); i++)
        if (type_dim(&n->arg[i]->type, p->d) >= 0)
            now.arg[i] = pick(p, n->arg[i]);
    if (op_type(&now, &t) || t.rank != want->rank)
        return NULL;
    now.label = NULL;
    Node *made = graph_add(p->to, now);
    if (!memcmp(t.dim, want->dim, (size_t)t.rank * sizeof *t.dim))
        return made;
    for (int i = 0; i < t.rank; i++)
        if (type_dim(&t, want->dim[i]) < 0)
            return NULL;
    Node order = {.op = OP_order, .arg = {made}, .ndim = want->rank};
    memcpy(order.dim, want->dim, (size_t)want->rank * sizeof *want->dim);
    return graph_add(p->to, order);
}

static Node *pick(const Pick *p, Node *n)
{
    if (p->known[n->id])
        return p->known[n->id];
    Node plain = {.op = OP_gather, .arg = {n, p->index}, .ndim = 1,
                  .dim = {p->d}};
    Type want;
    const char *why = op_type(&plain, &want);
    if (why)
        BUG("rows: gather needs %s", why);
    Node *sunk = sink(p, n, &want);
    return p->known[n->id] = sunk ? sunk : graph_add(p->to, plain);
}

static Node *pick_early(Graph *to, Node n, const Node *old, void *user)
{
    (void)old, (void)user;
    if (n.op != OP_gather || n.arg[1]->type.rank ||
        (n.arg[1]->op != OP_number && n.arg[1]->op != OP_scalar))
        return graph_add(to, n);
    Arena scratch = {0};
    Pick p = {to, n.dim[0], n.arg[1],
              arena_alloc(&scratch, (size_t)to->node.n * sizeof *p.known)};
    Node *made = pick(&p, n.arg[0]);
    arena_free(&scratch);
    if (!made->label)
        made->label = n.label;
    return made;
}

Graph *pass_rows(const Graph *g, Arena *a, const PassOptions *o)
{
    (void)o;
    return graph_map(g, a, pick_early, NULL);
}
