/* Gradients of attention and of rope. */
#include "compiler/grad/rules.h"
#include <string.h>

/* What the op has besides q, k, v and a sink. */
static Node *more_of(Graph *g, const Node *n)
{
    bool has = n->op == OP_attend_slope || n->op == OP_attend_bias;
    return has ? n->arg[3] : g_num(g, TYPE_f32, 0);
}

static Node with_scores(const Node *n, Op op)
{
    return (Node){.op = op, .num = n->num, .size = n->size, .name = n->name};
}

/* With a sink the sum has its e^sink too: lse + softplus(sink - lse). */
static Node *lse_of(Graph *g, const Node *n, Node *more)
{
    Node lse = with_scores(n, OP_attend_lse);
    lse.arg[0] = n->arg[0];
    lse.arg[1] = n->arg[1];
    lse.arg[2] = more;
    Node *sum = graph_add(g, lse);
    if (n->op != OP_attend_sink)
        return sum;
    Node *above = g_map2(g, OP_sub, n->arg[3], sum);
    Node *all = g_map2(g, OP_add, sum, g_map1(g, OP_softplus, above));
    return g_cast(g, sum->type.dtype, fit(g, all, &sum->type));
}

static Node *back_node(Back *b, const Node *n, Op op, Node *lse, Node *g)
{
    Node back = with_scores(n, op);
    Node *arg[] = {n->arg[0], n->arg[1], n->arg[2], b->g->node.at[n->id],
                   lse, g, more_of(b->g, n)};
    memcpy(back.arg, arg, sizeof arg);
    return graph_add(b->g, back);
}

/* lse where it was made already, as all of a node's gradients share it. */
static Node *to_qkv(Back *b, const Node *n, Node *g)
{
    static const Op op[] = {OP_attend_dq, OP_attend_dk, OP_attend_dv};
    Node *lse = lse_of(b->g, n, more_of(b->g, n));
    for (int i = 0; i < 3; i++)
        if (back_wants(b, n->arg[i]))
            back_give(b, n->arg[i], back_node(b, n, op[i], lse, g));
    return lse;
}

void grad_attend(Back *b, const Node *n, Node *g)
{
    to_qkv(b, n, g);
}

/* The sink has the share p = e^(sink - lse) of value 0: -p (g . y). */
void grad_attend_sink(Back *b, const Node *n, Node *g)
{
    Node *lse = to_qkv(b, n, g), *y = b->g->node.at[n->id];
    if (!back_wants(b, n->arg[3]))
        return;
    Node *p = g_map1(b->g, OP_exp, g_map2(b->g, OP_sub, n->arg[3], lse));
    Node *dot = g_contract(b->g, g_cast(b->g, lse->type.dtype, g), y, 1,
                           &y->type.dim[2]);
    back_give(b, n->arg[3],
              g_map1(b->g, OP_neg, times(b->g, p, dot)));
}

void grad_attend_more(Back *b, const Node *n, Node *g)
{
    Node *lse = to_qkv(b, n, g);
    if (back_wants(b, n->arg[3]))
        back_give(b, n->arg[3],
                  back_node(b, n, OP_attend_dmore, lse, g));
}

void grad_rope(Back *b, const Node *n, Node *g)
{
    Rope *back = arena_alloc(b->g->arena, sizeof *back);
    *back = *n->rope;
    back->back = back->back == 0;
    back_give(b, n->arg[0],
              graph_add(b->g, (Node){.op = OP_rope, .arg = {g},
                                     .rope = back}));
}
