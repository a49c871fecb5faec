/* What a graph does with the tokens in flight: does one depend on later ones,
 * and how many must there be? */
#include "compiler/graph/graph.h"

static bool counts_tokens(const Dim *d)
{
    return size_has(d->size, "T");
}

/* Runs see on every node that the outputs of g and of its bodies need, until
 * it returns true. */
static bool any_node(const Graph *g, bool (*see)(const Node *, void *),
                     void *user)
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
            found = any_node(n->repeat->at[j].body, see, user);
    }
    arena_free(&scratch);
    return found;
}

/* ---- later tokens ---- */

static bool has_token_dim(const Type *t)
{
    for (int i = 0; i < t->rank; i++)
        if (counts_tokens(t->dim[i]))
            return true;
    return false;
}

static bool looks_ahead(const Node *n, void *unused)
{
    (void)unused;
    switch (n->op) {
    case OP_expand: case OP_order: case OP_flatten: case OP_split:
    case OP_rename:
        return false; /* a token's own elements, elsewhere */
    case OP_scalar:
        return size_has(n->size, "T");
    case OP_uniform: case OP_gaussian:
        return has_token_dim(&n->type); /* counted from the first in flight */
    case OP_place:
        return true;
    default:
        for (int i = 0; i < n->ndim; i++)
            if (counts_tokens(n->dim[i]))
                return true;
        return false;
    }
}

bool graph_looks_ahead(const Graph *g)
{
    return any_node(g, looks_ahead, NULL);
}

/* ---- how many there must be ---- */

/* One position, written as a number or a formula. */
static bool is_position(const Node *index)
{
    return index->op == OP_number || index->op == OP_scalar;
}

static bool is_limit(const Node *n)
{
    switch (n->op) {
    case OP_topk:
        return counts_tokens(n->dim[0]) || counts_tokens(n->dim[1]);
    case OP_slice: case OP_split:
        return counts_tokens(n->dim[0]);
    case OP_gather:
        return is_position(n->arg[1]) &&
               (counts_tokens(n->dim[0]) || n->arg[1]->op == OP_scalar);
    default:
        return false;
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

static bool collect(const Node *n, void *user)
{
    Collect *c = user;
    if (is_limit(n))
        list_push(c->arena, c->to, n->op == OP_gather ? as_slice(n) : *n);
    return false;
}

Limits graph_limits(const Graph *g, Arena *a)
{
    Limits limits = {0};
    any_node(g, collect, &(Collect){&limits, a});
    return limits;
}

/* " (moe.graft:12:5)", where it is known. */
static const char *place(const Node *n)
{
    int line, col;
    if (!n->src)
        return "";
    loc_place(n->src, n->loc.at, &line, &col);
    return intern_printf(" (%s:%d:%d)", n->src->path, line, col);
}

static bool holds(const Node *n, int64_t T, Err *err)
{
    int64_t size = size_at(n->dim[0]->size, T), parts = 1;
    double at;
    const char *of = n->dim[0]->name;
    switch (n->op) {
    case OP_topk:
        parts = size_at(n->dim[1]->size, T);
        return (parts >= 1 && parts <= size) ||
               err_set(err, "the %lld largest of %s are asked for, which has "
                            "%lld with %lld tokens%s",
                       (long long)parts, of, (long long)size, (long long)T,
                       place(n));
    case OP_slice:
        at = n->size ? size_value(n->size, T) : n->num;
        return (at >= 0 && at < (double)size) ||
               err_set(err, "position %g of %s is asked for, which has %lld "
                            "with %lld tokens%s",
                       at, of, (long long)size, (long long)T, place(n));
    default:
        for (int i = 1; i < n->ndim; i++)
            parts *= size_at(n->dim[i]->size, T);
        return parts == size ||
               err_set(err, "%s has %lld with %lld tokens, which do not "
                            "divide as asked%s",
                       of, (long long)size, (long long)T, place(n));
    }
}

bool limits_hold(const Limits *l, int64_t T, Err *err)
{
    for (int i = 0; i < l->n; i++)
        if (!holds(&l->at[i], T, err))
            return false;
    return true;
}
