/* The cut: no kernel gets more than its tables hold. Nodes come from outputs to
 * leaves, and what a group uses may always be stored instead: it is a read
 * then, as it was before. So a group that fits when a node is taken in goes on
 * to fit, and what it has no room for becomes a kernel of its own. */
#include "passes/kernels/cut.h"

/* A route, an index and its positions come beside what nodes say. */
enum { MOST_READS = KERNEL_ARGS - 4 };

static bool uses(const Info *info, const Group *g)
{
    for (int i = 0; i < info->use.n; i++)
        if (info->use.at[i].group == g)
            return true;
    return false;
}

/* A rope's table, positions. */
static int tables(const Node *n)
{
    return n->op == OP_rope || n->op == OP_position;
}

void extent_uses(const Info *info, Group *g)
{
    g->extent.reads += !uses(info, g);
}

void extent_computes(const Cut *c, const Node *n, Group *g)
{
    Extent *e = &g->extent;
    e->reads += tables(n) - uses(&c->info[n->id], g);
    e->nodes++;
    e->sums += node_kind(n) == NODE_reduce;
}

static bool fits(const Extent *e)
{
    return e->reads <= MOST_READS && e->nodes <= KERNEL_NODES &&
           e->sums <= KERNEL_REDUCTIONS;
}

bool extent_takes(const Cut *c, const Node *n, const Group *g)
{
    Extent e = g->extent;
    e.reads += tables(n) - uses(&c->info[n->id], g);
    for (int i = 0; i < node_args(n); i++)
        e.reads += !uses(&c->info[n->arg[i]->id], g);
    e.nodes++;
    e.sums += node_kind(n) == NODE_reduce;
    return fits(&e);
}

void extent_join(const Group *from, Group *to)
{
    to->extent.reads += from->extent.reads;
    to->extent.nodes += from->extent.nodes;
    to->extent.sums += from->extent.sums;
}

bool extents_join(const Group *a, const Group *b)
{
    Group both = *a;
    extent_join(b, &both);
    return fits(&both.extent) && a->out.n + b->out.n < KERNEL_ARGS;
}
