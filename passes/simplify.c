/* Pass simplify: local rules that need nothing but a node and its arguments. A
 * rule's result has the node's type, or the rule does not hold. */
#include "passes/private.h"
#include <string.h>

static bool same_type(const Type *a, const Type *b)
{
    return a->dtype == b->dtype && a->index_of == b->index_of &&
           a->rank == b->rank &&
           !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim);
}

static bool is_number(const Node *n, double v)
{
    return n->op == OP_number && n->num == v;
}

/* Through copies along dims the node has anyway. */
static Node *below_expand(Node *n)
{
    while (n->op == OP_expand)
        n = n->arg[0];
    return n;
}

/* x * 1, x / 1, x + 0, x - 0; stop(x); copies that change nothing */
static Node *take_arg(const Node *n)
{
    Node *a = n->arg[0], *b = n->arg[1];
    switch (n->op) {
    case OP_mul:
        return is_number(below_expand(b), 1)   ? a
               : is_number(below_expand(a), 1) ? b
                                               : NULL;
    case OP_div: return is_number(below_expand(b), 1) ? a : NULL;
    case OP_add:
        return is_number(below_expand(b), 0)   ? a
               : is_number(below_expand(a), 0) ? b
                                               : NULL;
    case OP_sub: return is_number(below_expand(b), 0) ? a : NULL;
    case OP_stop: return a;
    case OP_order: return a;
    case OP_expand: return n->ndim == 0 ? a : NULL;
    case OP_cast: return a;
    case OP_sum:
    case OP_max: return n->ndim == 0 ? a : NULL;
    case OP_select:
        return a->op != OP_number ? NULL : a->num != 0 ? b : n->arg[2];
    default: return NULL;
    }
}

static double rounded(Dtype t, double v)
{
    uint64_t cell = 0;
    type_store(t, &cell, 0, v);
    return type_load(t, &cell, 0);
}

/* A row op of numbers. */
static Node *fold(Graph *to, const Node *n)
{
    double v[MAX_ARGS] = {0};
    if (!op_is_map(n->op) || n->type.rank)
        return NULL;
    for (int i = 0; i < op_info[n->op].nargs; i++) {
        if (n->arg[i]->op != OP_number)
            return NULL;
        v[i] = n->arg[i]->num;
    }
    double r = op_value(n->op, v[0], v[1], v[2]);
    if (n->type.dtype != TYPE_f64)
        r = rounded(n->type.dtype, r);
    return g_num(to, n->type.dtype, r);
}

/* Elementwise over a copy: over the original, if the others have the dims. */
static bool drop_expands(Node *n)
{
    Type t;
    if (!op_is_map(n->op))
        return false;
    bool any = false;
    for (int i = 0; i < op_info[n->op].nargs; i++) {
        Node *old = n->arg[i];
        if (old->op != OP_expand)
            continue;
        n->arg[i] = below_expand(old);
        if (op_type(n, &t) || !same_type(&t, &n->type))
            n->arg[i] = old;
        else
            any = true;
    }
    return any;
}

/* a in n's place: as it is, or as n's wider float; NULL: it cannot be. */
static Node *as_type(Graph *to, Node *a, const Node *n)
{
    Type own = a->type;
    if (same_type(&own, &n->type))
        return a;
    if (type_is_float(own.dtype) && type_is_float(n->type.dtype))
        own.dtype = n->type.dtype;
    if (n->op == OP_cast || !same_type(&own, &n->type))
        return NULL;
    return graph_add(to, (Node){.op = OP_cast, .num = own.dtype, .arg = {a},
                                .src = n->src, .loc = n->loc,
                                .path = n->path});
}

static Node *simplify(Graph *to, Node n, const Node *old, void *user)
{
    const PassOptions *o = user;
    (void)old;
    if (n.op == OP_flag && !strcmp(n.name, "training"))
        return g_num(to, TYPE_bool, o->training);
    if (op_type(&n, &n.type))
        BUG("simplify: %s", op_info[n.op].name);
    if (n.op == OP_scalar) {
        double v;
        if (size_is_num(n.size, &v))
            return g_num(to, n.type.dtype, rounded(n.type.dtype, v));
    }
    drop_expands(&n);
    Node *simple = fold(to, &n);
    if (!simple)
        simple = take_arg(&n);
    if (simple)
        simple = as_type(to, simple, &n);
    if (simple) {
        if (!simple->label)
            simple->label = n.label;
        return simple;
    }
    return graph_add(to, n);
}

Graph *pass_simplify(const Graph *g, Arena *a, const PassOptions *o)
{
    PassOptions own = *o;
    return graph_map(g, a, simplify, &own);
}
