/* Rules of patterns on the nodes of a graph: taken where what they build costs
 * less than what they replace. */
#include "passes/rewrite.h"
#include <math.h>
#include <string.h>

typedef struct {
    Graph *g;
    Node *node[RULE_NAMES];
    struct {
        int n;
        const Dim *dim[MAX_RANK];
    } dims[RULE_NAMES];
} Match;

/* ---- costs ---- */

/* An unknown counts as 16, T as 512. */
static double length(const Dim *d)
{
    double v;
    return size_is_num(size_subst(d->size, "T", size_num(512)), &v) ? v : 16;
}

static double elements(const Type *t)
{
    double n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= length(t->dim[i]);
    return n;
}

double node_cost(const Node *n)
{
    double summed = 2;
    if (!node_args(n))
        return 0;
    for (int i = 0; n->op == OP_contract && i < n->ndim; i++)
        summed *= length(n->dim[i]);
    if (n->op == OP_contract)
        return summed * elements(&n->type);
    return elements(op_over(n) ? &n->arg[0]->type : &n->type);
}

/* ---- matching ---- */

static bool match(Match *m, const RulePat *pat, Node *n);

static bool lacks(const Match *m, const Node *n)
{
    for (int i = 0; i < RULE_NAMES; i++)
        for (int j = 0; j < m->dims[i].n; j++)
            if (type_dim(&n->type, m->dims[i].dim[j]) >= 0)
                return false;
    return true;
}

static bool match_name(Match *m, const RulePat *pat, Node *n)
{
    if (m->node[pat->num])
        return m->node[pat->num] == n;
    if (pat->kind == PAT_constant && !lacks(m, n))
        return false;
    m->node[pat->num] = n;
    return true;
}

/* The op of a sum or product of two, with plain signs. */
static Op op_of_pair(const RulePat *pat)
{
    if (pat->n != 2 || pat->by[0] != 1 || fabs(pat->by[1]) != 1 ||
        pat->scale != 1)
        return OP_COUNT;
    if (pat->kind == PAT_sum)
        return pat->by[1] > 0 ? OP_add : OP_sub;
    return pat->by[1] > 0 ? OP_mul : OP_div;
}

static bool match_pair(Match *m, const RulePat *pat, const Node *n)
{
    Op op = op_of_pair(pat);
    if (n->op != op)
        return false;
    Match saved = *m;
    if (match(m, pat->kid[0], n->arg[0]) && match(m, pat->kid[1], n->arg[1]))
        return true;
    *m = saved;
    return (op_info[op].flags & IS_commutative) &&
           match(m, pat->kid[0], n->arg[1]) &&
           match(m, pat->kid[1], n->arg[0]);
}

static bool same_dims(const Match *m, int dims, const Node *n)
{
    if (m->dims[dims].n != n->ndim)
        return false;
    for (int i = 0; i < n->ndim; i++) {
        bool there = false;
        for (int j = 0; j < n->ndim; j++)
            there |= m->dims[dims].dim[j] == n->dim[i];
        if (!there)
            return false;
    }
    return true;
}

static bool match_along(Match *m, const RulePat *pat, const Node *n)
{
    if (n->op != pat->op)
        return false;
    if (!m->dims[pat->num].n) {
        m->dims[pat->num].n = n->ndim;
        memcpy(m->dims[pat->num].dim, n->dim, sizeof n->dim);
    } else if (!same_dims(m, pat->num, n)) {
        return false;
    }
    return match(m, pat->kid[0], n->arg[0]);
}

static bool match(Match *m, const RulePat *pat, Node *n)
{
    switch (pat->kind) {
    case PAT_any:
    case PAT_constant: return match_name(m, pat, n);
    case PAT_number:   return n->op == OP_number && n->num == pat->scale;
    case PAT_sum:
    case PAT_product:  return match_pair(m, pat, n);
    case PAT_along:    return match_along(m, pat, n);
    case PAT_fun:
        for (int i = 0; i < pat->n; i++)
            if (n->op != pat->op || !match(m, pat->kid[i], n->arg[i]))
                return false;
        return true;
    case PAT_size:     return false;
    }
    return false;
}

/* ---- building ---- */

static Node *build(Match *m, const RulePat *pat, Dtype t);

static Node *size_of_dims(Match *m, int dims, Dtype t)
{
    const Size *s = size_num(1);
    for (int i = 0; i < m->dims[dims].n; i++)
        s = size_mul(s, m->dims[dims].dim[i]->size);
    return g_scalar(m->g, t, s);
}

static Node *build_sum(Match *m, const RulePat *pat, Dtype t)
{
    Node *sum = NULL;
    for (int i = 0; i < pat->n; i++) {
        Node *x = build(m, pat->kid[i], t);
        if (sum)
            sum = g_map2(m->g, pat->by[i] < 0 ? OP_sub : OP_add, sum, x);
        else
            sum = pat->by[i] < 0 ? g_map1(m->g, OP_neg, x) : x;
    }
    return sum;
}

static Node *build_product(Match *m, const RulePat *pat, Dtype t)
{
    Node *y = pat->scale != 1 || pat->by[0] < 0
                  ? g_num(m->g, t, pat->scale)
                  : NULL;
    for (int i = 0; i < pat->n; i++) {
        Node *x = build(m, pat->kid[i], t);
        for (int k = (int)fabs(pat->by[i]); k > 0; k--)
            y = y ? g_map2(m->g, pat->by[i] < 0 ? OP_div : OP_mul, y, x) : x;
    }
    return y;
}

static Node *build_along(Match *m, const RulePat *pat, Dtype t)
{
    Node *x = build(m, pat->kid[0], t);
    for (int i = 0; i < m->dims[pat->num].n; i++) {
        const Dim *d = m->dims[pat->num].dim[i];
        if (type_dim(&x->type, d) < 0)
            x = g_along(m->g, OP_expand, x, 1, &d);
    }
    return g_along(m->g, pat->op, x, m->dims[pat->num].n,
                   m->dims[pat->num].dim);
}

static Node *build(Match *m, const RulePat *pat, Dtype t)
{
    Node n = {.op = pat->op};
    switch (pat->kind) {
    case PAT_any:
    case PAT_constant: return m->node[pat->num];
    case PAT_number:   return g_num(m->g, t, pat->scale);
    case PAT_size:     return size_of_dims(m, pat->num, t);
    case PAT_sum:      return build_sum(m, pat, t);
    case PAT_product:  return build_product(m, pat, t);
    case PAT_along:    return build_along(m, pat, t);
    case PAT_fun:
        for (int i = 0; i < pat->n; i++)
            n.arg[i] = build(m, pat->kid[i], t);
        return graph_add(m->g, n);
    }
    return NULL;
}

/* ---- the rules ---- */

static bool root_fits(const RulePat *left, const Node *n)
{
    return (left->kind == PAT_along || left->kind == PAT_fun) &&
           left->op == n->op;
}

Node *node_rewrite(const Rules *rules, Graph *g, Node *n)
{
    for (int i = 0; rules && i < rules->rule.n; i++) {
        const Rule *r = &rules->rule.at[i];
        Match m = {.g = g};
        if (r->step != STEP_match || !root_fits(r->left, n) ||
            !match(&m, r->left, n) ||
            (r->positive >= 0 && !node_positive(m.node[r->positive])))
            continue;
        int before = g->node.n;
        double cost = 0;
        Node *to = build(&m, r->right, n->type.dtype);
        for (int k = before; k < g->node.n; k++)
            cost += node_cost(g->node.at[k]);
        if (cost < node_cost(n))
            return to;
    }
    return n;
}

static const Rule *constant_rule(const Rules *rules, Op op)
{
    for (int i = 0; i < rules->rule.n; i++)
        if (rule_of_constant(&rules->rule.at[i], op))
            return &rules->rule.at[i];
    return NULL;
}

Node *constant_along(const Rules *rules, Graph *g, Op op, Node *x, int n,
                     const Dim *const *dim)
{
    const Rule *r = constant_rule(rules, op);
    Match m = {.g = g};
    if (!r)
        return NULL;
    m.node[r->left->kid[0]->num] = x;
    m.dims[r->left->num].n = n;
    memcpy(m.dims[r->left->num].dim, dim, (size_t)n * sizeof *dim);
    return build(&m, r->right, x->type.dtype);
}
