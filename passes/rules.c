/* Pass rules: graphs made cheaper by the rules that proofs use. What does not
 * depend on a dim is computed once, not along it (equal experts, work that
 * experts share), and copied out only where an operation needs the dim;
 * branches of weight 0 go. */
#include "compiler/prove/prove.h"
#include "passes/private.h"
#include "passes/rewrite.h"
#include <math.h>
#include <string.h>

typedef struct {
    const Rules *rules;
    bool has[STEP_COUNT];
    Graph *to;
    Node **core;  /* of each old node: what it computes, without the dims it
                   * does not depend on, its dims in any order */
    Node **whole; /* as the old node has it, where that was asked for */
} Simple;

static bool has(const Node *n, const Dim *d)
{
    return type_dim(&n->type, d) >= 0;
}

static Node *core(Simple *s, const Node *old)
{
    return s->core[old->id];
}

static Node *with_type(Simple *s, Node *n, const Type *t)
{
    const Dim *missing[MAX_RANK];
    int count = 0;
    for (int i = 0; i < t->rank; i++)
        if (!has(n, t->dim[i]))
            missing[count++] = t->dim[i];
    if (count)
        n = g_along(s->to, OP_expand, n, count, missing);
    if (memcmp(n->type.dim, t->dim, (size_t)t->rank * sizeof *t->dim))
        n = g_along(s->to, OP_order, n, t->rank, t->dim);
    return n;
}

static Node *whole(Simple *s, const Node *old)
{
    Node **at = &s->whole[old->id];
    if (!*at)
        *at = with_type(s, core(s, old), &old->type);
    return *at;
}

/* ---- elementwise ---- */

/* What algebra makes of it, or NULL. */
static Node *by_algebra(Simple *s, const Node *n)
{
    Node *a = n->arg[0], *b = n->arg[1];
    if (n->op == OP_mul && (is_number(a, 0) || is_number(b, 0)))
        return g_num(s->to, n->type.dtype, 0);
    if (n->op == OP_div && a == b && s->has[STEP_cancel] && node_positive(a))
        return g_num(s->to, n->type.dtype, 1);
    if (n->op == OP_neg && a->op == OP_neg)
        return a->arg[0];
    return same_as_arg(n);
}

static Node *elementwise(Simple *s, Node n)
{
    const char *why = op_type(&n, &n.type);
    if (why)
        BUG("%s needs %s", op_info[n.op].name, why);
    double v;
    if (type_is_float(n.type.dtype) && value_of_numbers(&n, &v) && isfinite(v))
        return g_num(s->to, n.type.dtype, v);
    Node *to = by_algebra(s, &n);
    return to ? to : node_rewrite(s->rules, s->to, graph_add(s->to, n));
}

static Node *product(Simple *s, Node *a, Node *b)
{
    return elementwise(s, (Node){.op = OP_mul, .arg = {a, b}});
}

/* ---- along dims ---- */

static Node *times_sizes(Simple *s, Node *n, int count, const Dim *const *dim)
{
    const Size *by = size_num(1);
    for (int i = 0; i < count; i++)
        by = size_mul(by, dim[i]->size);
    return count ? product(s, n, g_scalar(s->to, n->type.dtype, by)) : n;
}

/* sum(c * x, K) => c * sum(x, K), where that is less work. */
static Node *factor_out(Simple *s, Node *a, int n, const Dim *const *dim)
{
    if (!s->has[STEP_sum_factor] || a->op != OP_mul)
        return NULL;
    for (int i = 0; i < 2; i++) {
        Node *c = a->arg[i], *x = a->arg[!i];
        bool free = true;
        for (int j = 0; j < n; j++)
            free = free && !has(c, dim[j]) && has(x, dim[j]);
        if (!free)
            continue;
        Node *sum = node_rewrite(s->rules, s->to,
                                 g_along(s->to, OP_sum, x, n, dim));
        Node both = {.op = OP_mul, .arg = {c, sum}};
        op_type(&both, &both.type);
        Node old = {.op = OP_sum, .arg = {a}, .ndim = n};
        memcpy(old.dim, dim, (size_t)n * sizeof *dim);
        op_type(&old, &old.type);
        if (node_cost(sum) + node_cost(&both) <
            node_cost(&old) + node_cost(a))
            return product(s, c, sum);
    }
    return NULL;
}

/* An index that takes every value of its dim once. */
static bool each_once(const Node *i, const Dim *of)
{
    if (i->op == OP_rename)
        i = i->arg[0];
    return i->op == OP_shuffle ||
           (i->op == OP_topk && i->dim[1]->size == of->size);
}

/* sum(x[K: i], k) => sum(x, K) */
static Node *sum_all(Simple *s, const Node *a, int n, const Dim *const *dim)
{
    if (!s->has[STEP_gather_all] || a->op != OP_gather || n != 1)
        return NULL;
    const Node *x = a->arg[0], *i = a->arg[1];
    if (!each_once(i, a->dim[0]) || !has(i, dim[0]) ||
        (dim[0] != a->dim[0] && has(x, dim[0])) ||
        (i->op == OP_topk && i->dim[1] != dim[0]))
        return NULL;
    return g_along(s->to, OP_sum, a->arg[0], 1, a->dim);
}

static int present(const Node *n, int count, const Dim *const *dim, bool there,
                   const Dim **out)
{
    int m = 0;
    for (int i = 0; i < count; i++)
        if (has(n, dim[i]) == there)
            out[m++] = dim[i];
    return m;
}

static Node *sum_of(Simple *s, Node *a, int n, const Dim *const *dim)
{
    if (!n)
        return a;
    if (is_number(a, 0))
        return g_num(s->to, a->type.dtype, 0);
    Node *to = factor_out(s, a, n, dim);
    if (!to)
        to = sum_all(s, a, n, dim);
    return to ? to : node_rewrite(s->rules, s->to,
                                  g_along(s->to, OP_sum, a, n, dim));
}

/* A reduction or softmax over dims some of which its argument lacks. Along
 * all of them it is constant; a reduction also along some. */
static Node *along(Simple *s, const Node *old)
{
    const Dim *there[MAX_RANK], *gone[MAX_RANK];
    Node *a = core(s, old->arg[0]);
    int n = present(a, old->ndim, old->dim, true, there),
        m = present(a, old->ndim, old->dim, false, gone);
    if (old->op == OP_sum && (!m || s->has[STEP_sum_constant]))
        return times_sizes(s, sum_of(s, a, n, there), m, gone);
    if (m && (!n || op_info[old->op].class == CLASS_reduce)) {
        Node *c = n ? g_along(s->to, old->op, a, n, there) : a;
        Node *to = constant_along(s->rules, s->to, old->op, c, m, gone);
        if (to)
            return to;
    }
    if (m)
        a = with_type(s, a, &old->arg[0]->type);
    return node_rewrite(s->rules, s->to, g_along(s->to, old->op, a, old->ndim,
                                                 old->dim));
}

/* A contract whose arguments lack some of the summed dims. */
static Node *contract(Simple *s, const Node *old)
{
    const Dim *both[MAX_RANK], *only[2][MAX_RANK], *none[MAX_RANK];
    Node *a[] = {core(s, old->arg[0]), core(s, old->arg[1])};
    int nboth = 0, nonly[2] = {0}, nnone = 0;
    for (int i = 0; i < old->ndim; i++) {
        const Dim *d = old->dim[i];
        bool in0 = has(a[0], d), in1 = has(a[1], d);
        if (in0 && in1)
            both[nboth++] = d;
        else if (in0 || in1)
            only[in1][nonly[in1]++] = d;
        else
            none[nnone++] = d;
    }
    if (is_number(a[0], 0) || is_number(a[1], 0))
        return g_num(s->to, old->type.dtype, 0);
    bool moves = nonly[0] || nonly[1] || nnone;
    if (moves && !(s->has[STEP_sum_factor] && s->has[STEP_sum_constant])) {
        a[0] = whole(s, old->arg[0]);
        a[1] = whole(s, old->arg[1]);
        return g_contract(s->to, a[0], a[1], old->ndim, old->dim);
    }
    for (int i = 0; i < 2; i++)
        a[i] = sum_of(s, a[i], nonly[i], only[i]);
    Node *y = nboth ? g_contract(s->to, a[0], a[1], nboth, both)
                    : product(s, a[0], a[1]);
    return times_sizes(s, y, nnone, none);
}

/* ---- moving ---- */

static Node *gather(Simple *s, const Node *old)
{
    Node *a = core(s, old->arg[0]), *i = core(s, old->arg[1]);
    if (has(a, old->dim[0]))
        return g_gather(s->to, a, old->dim[0], i);
    if (s->has[STEP_gather_constant])
        return a;
    return g_gather(s->to, whole(s, old->arg[0]), old->dim[0],
                    whole(s, old->arg[1]));
}

/* Slices and renames of a dim, which goes if its argument lacks it. */
static Node *at_dim(Simple *s, const Node *old)
{
    Node *a = core(s, old->arg[0]);
    if (!has(a, old->dim[0]))
        return a;
    Node n = *old;
    n.arg[0] = a;
    return graph_add(s->to, n);
}

/* As it stands, its arguments whole. */
static Node *as_it_stands(Simple *s, const Node *old)
{
    Node n = *old;
    for (int i = 0; i < node_args(&n); i++)
        n.arg[i] = whole(s, old->arg[i]);
    return graph_add(s->to, n);
}

static Node *core_of(Simple *s, const Node *old)
{
    if (old->op == OP_expand || old->op == OP_order)
        return core(s, old->arg[0]);
    if (old->op == OP_contract)
        return contract(s, old);
    if (old->op == OP_gather)
        return gather(s, old);
    if (old->op == OP_slice || old->op == OP_rename)
        return at_dim(s, old);
    if (op_info[old->op].class == CLASS_reduce || old->op == OP_softmax)
        return along(s, old);
    if (!op_is_map(old->op))
        return as_it_stands(s, old);
    Node n = *old;
    for (int i = 0; i < node_args(&n); i++)
        n.arg[i] = core(s, old->arg[i]);
    return elementwise(s, n);
}

Graph *pass_rules(const Graph *g, Arena *a, const PassOptions *o)
{
    const Rules *r = o->rules ? o->rules : rules_library();
    Arena scratch = {0};
    size_t n = (size_t)g->node.n + 1;
    Simple s = {.rules = r, .to = graph_new(&scratch, g->name)};
    s.to->nslots = g->nslots;
    s.core = arena_alloc(&scratch, n * sizeof *s.core);
    s.whole = arena_alloc(&scratch, n * sizeof *s.whole);
    for (int i = 0; i < r->rule.n; i++)
        s.has[r->rule.at[i].step] = true;
    const bool *needed = graph_needed(g, &scratch);
    for (int i = 0; i < g->node.n; i++) {
        const Node *old = g->node.at[i];
        if (!needed[i])
            continue;
        Node *now = core_of(&s, old);
        if (now->type.dtype != old->type.dtype)
            now = g_cast(s.to, old->type.dtype, now);
        if (!now->label)
            now->label = old->label;
        s.core[i] = now;
    }
    for (int i = 0; i < g->output.n; i++)
        graph_output(s.to, g->output.at[i].name,
                     whole(&s, g->output.at[i].node));
    Graph *out = graph_map(s.to, a, NULL, NULL);
    arena_free(&scratch);
    return out;
}
