/* Graphs made cheaper by the rules: what does not depend on a dim is computed
 * once, not along it (equal experts, work that experts share), and copied out
 * only where an operation needs the dim; branches of weight 0 go. */
#include "compiler/prove/simplify.h"
#include <math.h>
#include <string.h>

typedef struct {
    const Rules *rules;
    bool has[STEP_COUNT];
    Graph *to;
    Arena *kept; /* of the new graph; `to` is on its way */
    Node **core;  /* of each old node: what it computes, without the dims it
                   * does not depend on, its dims in any order */
    Node **whole; /* as the old node has it, where that was asked for */
} Simple;

static Graph *simplify(const Rules *r, const Graph *g, Arena *a);

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

static bool is_number(const Node *n, double v)
{
    return n->op == OP_number && n->num == v;
}

static Node *folded(Simple *s, const Node *n)
{
    double v[MAX_ARGS] = {0};
    if (n->op == OP_cast && n->arg[0]->op != OP_number)
        return NULL;
    for (int i = 0; i < op_info[n->op].nargs; i++) {
        if (n->arg[i]->op != OP_number)
            return NULL;
        v[i] = n->arg[i]->num;
    }
    double y = op_value(n->op, v[0], v[1], v[2]);
    return isfinite(y) ? g_num(s->to, n->type.dtype, y) : NULL;
}

/* What algebra makes of it, or NULL. */
static Node *by_algebra(Simple *s, const Node *n)
{
    Node *a = n->arg[0], *b = n->arg[1];
    switch (n->op) {
    case OP_mul:
        if (is_number(a, 0) || is_number(b, 0))
            return g_num(s->to, n->type.dtype, 0);
        return is_number(a, 1) ? b : is_number(b, 1) ? a : NULL;
    case OP_add:
        return is_number(a, 0) ? b : is_number(b, 0) ? a : NULL;
    case OP_sub:
        return is_number(b, 0) ? a : NULL;
    case OP_div:
        if (a == b && s->has[STEP_cancel] && node_positive(a))
            return g_num(s->to, n->type.dtype, 1);
        return is_number(b, 1) ? a : NULL;
    case OP_select:
        if (a->op == OP_number)
            return a->num != 0 ? b : n->arg[2];
        return b == n->arg[2] ? b : NULL;
    case OP_neg:
        return a->op == OP_neg ? a->arg[0] : NULL;
    default:
        return NULL;
    }
}

static Node *elementwise(Simple *s, Node n)
{
    const char *why = op_type(&n, &n.type);
    if (why)
        BUG("%s needs %s", op_info[n.op].name, why);
    Node *to = type_is_float(n.type.dtype) ? folded(s, &n) : NULL;
    if (!to)
        to = by_algebra(s, &n);
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
        return a;
    Node *to = factor_out(s, a, n, dim);
    if (!to)
        to = sum_all(s, a, n, dim);
    return to ? to : node_rewrite(s->rules, s->to,
                                  g_along(s->to, OP_sum, a, n, dim));
}

static bool has_rule(const Simple *s, const char *name)
{
    for (int i = 0; i < s->rules->rule.n; i++)
        if (!strcmp(s->rules->rule.at[i].name, name))
            return true;
    return false;
}

/* A reduction over dims some of which its argument does not depend on. */
static Node *reduce(Simple *s, const Node *old)
{
    const Dim *there[MAX_RANK], *gone[MAX_RANK];
    Node *a = core(s, old->arg[0]);
    int n = present(a, old->ndim, old->dim, true, there),
        m = present(a, old->ndim, old->dim, false, gone);
    if (old->op == OP_sum && (!m || s->has[STEP_sum_constant]))
        return times_sizes(s, sum_of(s, a, n, there), m, gone);
    if (old->op == OP_max && m && has_rule(s, "max_constant"))
        return n ? g_along(s->to, OP_max, a, n, there) : a;
    if (m)
        a = with_type(s, a, &old->arg[0]->type);
    return node_rewrite(s->rules, s->to, g_along(s->to, old->op, a, old->ndim,
                                                 old->dim));
}

static Node *softmax(Simple *s, const Node *old)
{
    const Dim *gone[MAX_RANK];
    Node *a = core(s, old->arg[0]);
    int m = present(a, old->ndim, old->dim, false, gone);
    if (m == old->ndim && has_rule(s, "softmax_constant")) {
        const Size *by = size_num(1);
        for (int i = 0; i < m; i++)
            by = size_mul(by, gone[i]->size);
        return g_scalar(s->to, old->type.dtype, size_div(size_num(1), by));
    }
    if (m)
        a = with_type(s, a, &old->arg[0]->type);
    return node_rewrite(s->rules, s->to,
                        g_along(s->to, OP_softmax, a, old->ndim, old->dim));
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

static const Repeat *bodies(Simple *s, const Repeat *old)
{
    Arena *arena = s->kept;
    Repeat *r = arena_alloc(arena, sizeof *r);
    r->n = old->n;
    r->at = arena_alloc(arena, (size_t)old->n * sizeof *r->at);
    for (int i = 0; i < old->n; i++) {
        r->at[i] = old->at[i];
        int j = 0;
        while (j < i && old->at[j].body != old->at[i].body)
            j++;
        r->at[i].body = j < i ? r->at[j].body
                              : simplify(s->rules, old->at[i].body, arena);
    }
    return r;
}

/* As it stands, its arguments whole. */
static Node *as_it_stands(Simple *s, const Node *old)
{
    Node n = *old;
    for (int i = 0; i < op_info[n.op].nargs; i++)
        n.arg[i] = whole(s, old->arg[i]);
    if (n.op == OP_repeat)
        n.repeat = bodies(s, old->repeat);
    return graph_add(s->to, n);
}

static Node *core_of(Simple *s, const Node *old)
{
    switch (old->op) {
    case OP_expand:
    case OP_order:
        return core(s, old->arg[0]);
    case OP_sum:
    case OP_max:
    case OP_logsumexp:
        return reduce(s, old);
    case OP_softmax:
        return softmax(s, old);
    case OP_contract:
        return contract(s, old);
    case OP_gather:
        return gather(s, old);
    case OP_slice:
    case OP_rename:
        return at_dim(s, old);
    default:
        break;
    }
    if (!op_is_map(old->op))
        return as_it_stands(s, old);
    Node n = *old;
    for (int i = 0; i < op_info[n.op].nargs; i++)
        n.arg[i] = core(s, old->arg[i]);
    return elementwise(s, n);
}

static void mark(const Node *n, bool *needed)
{
    if (needed[n->id])
        return;
    needed[n->id] = true;
    for (int i = 0; i < op_info[n->op].nargs; i++)
        mark(n->arg[i], needed);
}

static Graph *simplify(const Rules *r, const Graph *g, Arena *a)
{
    Arena scratch = {0};
    size_t n = (size_t)g->node.n + 1;
    Simple s = {.rules = r, .kept = a,
                .to = graph_new(&scratch, g->name)};
    s.to->nslots = g->nslots;
    s.core = arena_alloc(&scratch, n * sizeof *s.core);
    s.whole = arena_alloc(&scratch, n * sizeof *s.whole);
    for (int i = 0; i < r->rule.n; i++)
        s.has[r->rule.at[i].step] = true;
    bool *needed = arena_alloc(&scratch, n);
    for (int i = 0; i < g->output.n; i++)
        mark(g->output.at[i].node, needed);
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

Graph *rules_simplify(const Rules *r, const Graph *g, Arena *a)
{
    return simplify(r, g, a);
}
