/* Before the cut: the first value of a product whose summed dims do not stand
 * last is put in an order in which a matmul can take its rows. */
#include "passes/kernels/cut.h"
#include <string.h>

/* A copy of a with the dims that b has too first, those summed last. */
static Node in_order(const Node *n)
{
    const Type *a = &n->arg[0]->type, *b = &n->arg[1]->type;
    Node order = {.op = OP_order, .arg = {n->arg[0]}, .src = n->src,
                  .loc = n->loc, .path = n->path};
    for (int turn = 0; turn < 3; turn++)
        for (int i = 0; i < a->rank; i++) {
            const Dim *d = a->dim[i];
            int at = dim_among(d, n->ndim, n->dim) ? 2
                     : type_dim(b, d) >= 0         ? 0
                                                   : 1;
            if (at == turn)
                order.dim[order.ndim++] = d;
        }
    return order;
}

static Node *with_order(Graph *to, Node n, const Node *old, void *user)
{
    Contract c;
    (void)old, (void)user;
    if (cut_rewrites(&n))
        return cut_rewritten(to, n);
    if (n.op != OP_contract || contract_read(&n, &c))
        return graph_add(to, n);
    Node order = in_order(&n), turned = n;
    turned.arg[0] = &order;
    if (op_type(&order, &order.type) || op_type(&turned, &turned.type) ||
        !contract_read(&turned, &c))
        return graph_add(to, n);
    turned.arg[0] = graph_add(to, order);
    turned.label = NULL;
    Node *made = graph_add(to, turned);
    if (dims_same(n.type.rank, n.type.dim, made->type.rank, made->type.dim))
        return made;
    Node back = {.op = OP_order, .arg = {made}, .ndim = n.type.rank,
                 .label = n.label, .src = n.src, .loc = n.loc, .path = n.path};
    memcpy(back.dim, n.type.dim, (size_t)n.type.rank * sizeof *back.dim);
    return graph_add(to, back);
}

typedef struct {
    Arena *arena;
    LIST(struct Ordered {
        const Graph *from;
        Graph *to;
    }) done;
} Bodies;

static Graph *ordered(Bodies *b, const Graph *g);

static Graph *body_once(const Iteration *pass, void *user)
{
    Bodies *b = user;
    for (int i = 0; i < b->done.n; i++)
        if (b->done.at[i].from == pass->body)
            return b->done.at[i].to;
    struct Ordered o = {pass->body, ordered(b, pass->body)};
    list_push(b->arena, &b->done, o);
    return o.to;
}

static Graph *ordered(Bodies *b, const Graph *g)
{
    return graph_map(graph_rebody(g, b->arena, body_once, b), b->arena,
                     with_order, NULL);
}

/* Is there a product that would be put in order? Mostly not. */
static bool has_one(const Graph *g)
{
    bool found = false;
    for (int i = 0; i < g->node.n && !found; i++) {
        const Node *n = g->node.at[i];
        Contract c;
        found = cut_rewrites(n);
        if (n->op == OP_contract && !contract_read(n, &c)) {
            Node order = in_order(n), turned = *n;
            turned.arg[0] = &order;
            found = !op_type(&order, &order.type) &&
                    !op_type(&turned, &turned.type) &&
                    contract_read(&turned, &c);
        }
        for (int j = 0; n->repeat && j < n->repeat->n && !found; j++)
            found = has_one(n->repeat->at[j].body);
    }
    return found;
}

const Graph *cut_operands(const Graph *g, Arena *a)
{
    Bodies b = {.arena = a};
    return has_one(g) ? ordered(&b, g) : g;
}
