/* Pass operands: the first value of a product whose summed dims do not stand
 * last is put in an order in which a matmul can take its rows. */
#include "passes/kernels/cut.h"
#include "passes/private.h"
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

Graph *pass_operands(const Graph *g, Arena *a, const PassOptions *o)
{
    (void)o;
    return graph_map(g, a, with_order, NULL);
}
