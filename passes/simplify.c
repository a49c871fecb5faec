/* Pass simplify: local rules that need nothing but a node and its arguments. A
 * rule's result has the node's type, or the rule does not hold. */
#include "passes/private.h"
#include "passes/rewrite.h"
#include <string.h>

/* x * 1, x + 0 and such; stop(x); copies that change nothing */
static Node *take_arg(const Node *n)
{
    Node *same = same_as_arg(n);
    bool none = !n->ndim && (n->op == OP_expand ||
                             op_info[n->op].class == CLASS_reduce);
    if (same)
        return same;
    return none || n->op == OP_stop || n->op == OP_order || n->op == OP_cast
               ? n->arg[0]
               : NULL;
}

static Node *fold(Graph *to, const Node *n)
{
    double v;
    if (n->op == OP_scalar ? !size_is_num(n->size, &v)
                           : n->type.rank || !value_of_numbers(n, &v))
        return NULL;
    return g_num(to, n->type.dtype, rounded_to(n->type.dtype, v));
}

/* Elementwise over a copy: over the original, if the others have the dims. */
static bool drop_expands(Node *n)
{
    Type t;
    if (!op_is_map(n->op))
        return false;
    bool any = false;
    for (int i = 0; i < node_args(n); i++) {
        Node *old = n->arg[i];
        if (old->op != OP_expand)
            continue;
        while (n->arg[i]->op == OP_expand)
            n->arg[i] = n->arg[i]->arg[0];
        if (op_type(n, &t) || !type_same(&t, &n->type))
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
    if (type_same(&own, &n->type))
        return a;
    if (type_is_float(own.dtype) && type_is_float(n->type.dtype))
        own.dtype = n->type.dtype;
    if (n->op == OP_cast || !type_same(&own, &n->type))
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
