/* The cut: ops that have a kernel of their own; which of them share one. */
#include "passes/kernels/cut.h"

Skeleton cut_own_skeleton(const Node *n)
{
    switch (n->op) {
    case OP_scatter: return SKEL_scatter;
    case OP_repeat:
    case OP_result: return SKEL_repeat;
    case OP_attend:
    case OP_attend_sink:
    case OP_attend_slope:
    case OP_attend_bias:
    case OP_attend_lse: return SKEL_attend;
    case OP_attend_dq:
    case OP_attend_dk:
    case OP_attend_dv: return SKEL_back;
    case OP_collect: return SKEL_collect;
    default: return SKEL_call;
    }
}

/* The lse of what attends to the same. */
static bool lse_of(const Node *lse, const Node *n)
{
    if (lse->op != OP_attend_lse)
        return false;
    int rank = lse->arg[2]->type.rank;
    Op op = rank == 0   ? OP_attend
            : rank == 1 ? OP_attend_slope
                        : OP_attend_bias;
    return n->op == op &&
           n->arg[0] == lse->arg[0] && n->arg[1] == lse->arg[1] &&
           n->num == lse->num && n->size == lse->size && n->name == lse->name &&
           (!rank || n->arg[3] == lse->arg[2]);
}

bool cut_beside(const Node *n, const Node *first)
{
    bool back = cut_own_skeleton(n) == SKEL_back && n != first &&
                cut_own_skeleton(first) == SKEL_back && n->num == first->num &&
                n->size == first->size && n->name == first->name;
    for (int i = 0; back && i < node_args(n); i++)
        back = n->arg[i] == first->arg[i];
    return back || lse_of(n, first);
}

bool cut_all_beside(const Kernel *k)
{
    for (int i = 1; i < k->nout && k->skeleton != SKEL_repeat; i++)
        if (!cut_beside(k->out[i]->node, k->out[0]->node))
            return false;
    return true;
}

bool cut_reads_arg(const Node *n, int arg)
{
    bool more = (cut_own_skeleton(n) == SKEL_back && arg == 6) ||
                (n->op == OP_attend_lse && arg == 2);
    return !more || n->arg[arg]->type.rank;
}

Group *cut_beside_group(Cut *c, const Node *n)
{
    for (int i = c->g->node.n - 1; i >= 0; i--) {
        Node *first = c->g->node.at[i];
        Info *info = &c->info[i];
        if (!info->needed || !cut_beside(n, first))
            continue;
        if (!info->home && first->op == OP_attend_lse)
            continue;
        if (!info->home && lse_of(n, first)) {
            info->stored = true;
            cut_store_in(c, first, cut_group_new(c, SKEL_attend));
        }
        if (info->home)
            return info->home;
    }
    return NULL;
}
