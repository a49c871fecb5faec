/* What a graph does with the tokens in flight: does one depend on later
 * ones? */
#include "compiler/graph/graph.h"

static bool counts_tokens(const Dim *d)
{
    return size_has(d->size, "T");
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
    return graph_any(g, looks_ahead, NULL);
}
