/* What is known of a node from it and its arguments alone. */
#include "passes/rewrite.h"

static const Node *below_expand(const Node *n)
{
    while (n->op == OP_expand)
        n = n->arg[0];
    return n;
}

bool is_number(const Node *n, double v)
{
    n = below_expand(n);
    return n->op == OP_number && n->num == v;
}

static bool is_unit(const Node *n, const Node *of)
{
    unsigned flags = op_info[of->op].flags;
    return ((flags & IS_same_by_0) && is_number(n, 0)) ||
           ((flags & IS_same_by_1) && is_number(n, 1));
}

Node *same_as_arg(const Node *n)
{
    Node *a = n->arg[0], *b = n->arg[1], *c = n->arg[2];
    if (node_args(n) == 2 && is_unit(b, n))
        return a;
    if ((op_info[n->op].flags & IS_commutative) && is_unit(a, n))
        return b;
    if (n->op != OP_select)
        return NULL;
    return a->op == OP_number ? a->num != 0 ? b : c : b == c ? b : NULL;
}

bool value_of_numbers(const Node *n, double *value)
{
    double v[MAX_ARGS] = {0};
    if (!op_is_map(n->op))
        return false;
    for (int i = 0; i < node_args(n); i++) {
        if (n->arg[i]->op != OP_number)
            return false;
        v[i] = n->arg[i]->num;
    }
    *value = op_value(n->op, v[0], v[1], v[2]);
    return true;
}

double rounded_to(Dtype t, double v)
{
    uint64_t cell = 0;
    if (t == TYPE_f64)
        return v;
    type_store(t, &cell, 0, v);
    return type_load(t, &cell, 0);
}

static bool arg_positive(void *user, const void *n)
{
    (void)user;
    return node_positive(n);
}

bool node_positive(const Node *n)
{
    if (n->op == OP_number)
        return n->num > 0;
    if (n->op == OP_scalar)
        return size_positive(n->size);
    return op_positive_by(n->op, (void *const *)n->arg, arg_positive,
                          NULL);
}
