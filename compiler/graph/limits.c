/* What must hold of a graph's numbers before it runs, whoever wrote it: places
 * lie within their dims, parts add up, and values have a size. What is known
 * without T is held here, too, once. */
#include "compiler/graph/graph.h"
#include <math.h>

/* Elements of a value, and of a dim: 128 terabytes of f64. */
static const double most_elements = 0x1p44;

static bool had_before(const Repeat *r, int pass)
{
    for (int i = 0; i < pass; i++)
        if (r->at[i].body == r->at[pass].body)
            return true;
    return false;
}

bool graph_any(const Graph *g, bool (*see)(const Node *, void *), void *user)
{
    Arena scratch = {0};
    const bool *needed = graph_needed(g, &scratch);
    bool found = false;
    for (int i = 0; !found && i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        if (!needed[i])
            continue;
        found = see(n, user);
        for (int j = 0; n->op == OP_repeat && !found && j < n->repeat->n; j++)
            found = !had_before(n->repeat, j) &&
                    graph_any(n->repeat->at[j].body, see, user);
    }
    arena_free(&scratch);
    return found;
}

/* ---- which nodes ---- */

static bool is_number(const Node *n)
{
    return n->op == OP_number || n->op == OP_scalar;
}

/* A place that the text says: an index that is a number or a formula. */
static bool is_place(const Node *n)
{
    return n->op == OP_gather && is_number(n->arg[1]);
}

static bool is_limit(const Node *n)
{
    switch (n->op) {
    case OP_topk: case OP_slice: case OP_cut: case OP_split: case OP_flatten:
        return true;
    default:
        return is_place(n);
    }
}

/* As a slice at that position; num is it, or size where that is set. */
static Node as_slice(const Node *n)
{
    Node slice = *n;
    slice.op = OP_slice;
    slice.num = n->arg[1]->num;
    slice.size = n->arg[1]->op == OP_scalar ? n->arg[1]->size : NULL;
    return slice;
}

typedef struct {
    Limits *to;
    Arena *arena;
} Collect;

static bool has_size(const Limits *l, const Type *t)
{
    for (int i = 0; i < l->size.n; i++)
        if (dims_same(l->size.at[i].type.rank, l->size.at[i].type.dim, t->rank,
                      t->dim))
            return true;
    return false;
}

static bool collect(const Node *n, void *user)
{
    Collect *c = user;
    if (is_limit(n))
        list_push(c->arena, &c->to->node, is_place(n) ? as_slice(n) : *n);
    if (n->type.rank && !has_size(c->to, &n->type))
        list_push(c->arena, &c->to->size, *n);
    return false;
}

Limits graph_limits(const Graph *g, Arena *a)
{
    Limits limits = {.held = -1};
    graph_any(g, collect, &(Collect){&limits, a});
    return limits;
}

/* ---- do they hold ---- */

/* " (moe.graft:12:5)", where it is known. */
static const char *place(const Node *n)
{
    int line, col;
    if (!n->src)
        return "";
    loc_place(n->src, n->loc.at, &line, &col);
    return intern_printf(" (%s:%d:%d)", n->src->path, line, col);
}

static bool counts_dims(int n, const Dim *const *d)
{
    for (int i = 0; i < n; i++)
        if (size_has(d[i]->size, "T"))
            return true;
    return false;
}

static bool counts_T(const Node *n)
{
    return counts_dims(n->ndim, n->dim) || (n->size && size_has(n->size, "T"));
}

/* " with 3 tokens", where T is in one of the dims or in s. */
static const char *tokens(const Node *n, int64_t T)
{
    return counts_T(n) ? intern_printf(" with %lld token%s", (long long)T,
                                       T == 1 ? "" : "s")
                       : "";
}

static bool place_holds(const Node *n, int64_t T, Err *err)
{
    int64_t size = size_at(n->dim[0]->size, T);
    double at = n->size ? size_value(n->size, T) : n->num;
    return (at >= 0 && at < (double)size && at == floor(at)) ||
           err_set(err, "position %g of %s is asked for, which has %lld%s%s",
                   at, n->dim[0]->name, (long long)size, tokens(n, T),
                   place(n));
}

static bool cut_holds(const Node *n, int64_t T, Err *err)
{
    int64_t size = size_at(n->dim[0]->size, T),
            part = size_at(n->dim[1]->size, T);
    double at = size_value(n->size, T);
    return (at >= 0 && at == floor(at) && part >= 1 &&
            at + (double)part <= (double)size) ||
           err_set(err, "%lld of %s from %g on are asked for, which has "
                        "%lld%s%s",
                   (long long)part, n->dim[0]->name, at, (long long)size,
                   tokens(n, T), place(n));
}

static bool topk_holds(const Node *n, int64_t T, Err *err)
{
    int64_t size = size_at(n->dim[0]->size, T),
            k = size_at(n->dim[1]->size, T);
    return (k >= 1 && k <= size) ||
           err_set(err, "the %lld largest of %s are asked for, which has "
                        "%lld%s%s",
                   (long long)k, n->dim[0]->name, (long long)size,
                   tokens(n, T), place(n));
}

static bool parts_hold(const Node *n, int64_t T, Err *err)
{
    double size = size_value(n->dim[0]->size, T), parts = 1;
    for (int i = 1; i < n->ndim; i++)
        parts *= (double)size_at(n->dim[i]->size, T);
    return parts == size ||
           err_set(err, "%s has %g%s, which do not divide as asked%s",
                   n->dim[0]->name, size, tokens(n, T), place(n));
}

static bool holds(const Node *n, int64_t T, Err *err)
{
    switch (n->op) {
    case OP_topk:  return topk_holds(n, T, err);
    case OP_slice: return place_holds(n, T, err);
    case OP_cut:   return cut_holds(n, T, err);
    default:       return parts_hold(n, T, err);
    }
}

static bool size_holds(const Node *n, int64_t T, Err *err)
{
    double all = 1;
    for (int i = 0; i < n->type.rank; i++) {
        const Dim *d = n->type.dim[i];
        double size = round(size_value(d->size, T));
        all *= size;
        if (!(size >= 1) && !(T == 0 && size == 0))
            return err_set(err, "%s = %s is %g with %lld tokens: a dim has at "
                                "least 1%s",
                           d->name, size_text(d->size), size, (long long)T,
                           place(n));
    }
    return all <= most_elements ||
           err_set(err, "a value %s has %g elements with %lld tokens: at most "
                        "%g%s",
                   type_text(&n->type), all, (long long)T, most_elements,
                   place(n));
}

bool limits_hold_always(const Limits *l, Err *err)
{
    for (int i = 0; i < l->size.n; i++) {
        const Node *n = &l->size.at[i];
        if (!counts_dims(n->type.rank, n->type.dim) && !size_holds(n, 1, err))
            return false;
    }
    for (int i = 0; i < l->node.n; i++) {
        const Node *n = &l->node.at[i];
        if (!counts_T(n) && !holds(n, 1, err))
            return false;
    }
    return true;
}

bool limits_hold(Limits *l, int64_t T, Err *err)
{
    if (T == l->held)
        return true;
    for (int i = 0; i < l->size.n; i++)
        if (!size_holds(&l->size.at[i], T, err))
            return false;
    for (int i = 0; i < l->node.n; i++)
        if (!holds(&l->node.at[i], T, err))
            return false;
    l->held = T;
    return true;
}
