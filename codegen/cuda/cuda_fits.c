/* What has CUDA text, before any is printed: else the kernel is named. */
#include "codegen/cuda/cuda_text.h"
#include <string.h>

static bool matmul_fits(const Kernel *k, Err *err)
{
    if (!kernel_leaf(k, k->matmul.x))
        return err_set(err, "%s: CUDA's matmuls compute no rows as they load "
                       "them", k->name);
    for (int i = 0; i < k->matmul.nparts; i++) {
        Dtype t = k->matmul.part[i].w->pack.dtype;
        if (k->matmul.part[i].w->pack.halves)
            return err_set(err, "%s: CUDA has no rope behind its sums",
                           k->name);
        if (!type_is_float(t) || t == TYPE_f64)
            return err_set(err, "%s: CUDA has no matmul for %s weights",
                           k->name, type_info[t].name);
    }
    return true;
}

static bool route_fits(const Kernel *k, Err *err)
{
    return !kernel_results(k) ||
           err_set(err, "%s: CUDA's routes do not pick what they put in order",
                   k->name);
}

static bool attend_fits(const Kernel *k, Err *err)
{
    static const Op known[] = {OP_attend, OP_attend_slope, OP_attend_bias,
                               OP_attend_sink};
    const Node *n = k->attend.attend;
    for (size_t i = 0; i < COUNT(known); i++)
        if (n->op == known[i])
            return n->type.dtype != TYPE_f64 ||
                   err_set(err, "%s: CUDA has no attention in f64", k->name);
    return err_set(err, "%s: CUDA has no text for %s", k->name,
                   op_info[n->op].name);
}

static bool call_fits(const Kernel *k, Err *err)
{
    Op op = k->node->op;
    return cuda_calls(op) || err_set(err, "%s: CUDA has no text for %s",
                                     k->name, op_info[op].name);
}

/* What stands in a kernel's trees: reductions only in a map's. */
static bool tree_fits(const Kernel *k, const Node *n, bool *seen, Err *err)
{
    static const Op reductions[] = {OP_sum, OP_max, OP_softmax, OP_logsumexp,
                                    OP_topk, OP_contract};
    if (seen[n->id] || kernel_leaf(k, n))
        return true;
    seen[n->id] = true;
    bool known = cu_knows(n->op);
    for (size_t i = 0; i < COUNT(reductions); i++)
        known |= k->skeleton == SKEL_map && n->op == reductions[i];
    if (k->skeleton != SKEL_map && kernel_hole(k, n))
        return true;
    if (!known)
        return err_set(err, "%s: CUDA has no text for %s", k->name,
                       op_info[n->op].name);
    for (int i = 0; i < node_args(n); i++)
        if (!tree_fits(k, n->arg[i], seen, err))
            return false;
    return true;
}

static bool trees_fit(const Plan *p, const Kernel *k, Err *err)
{
    size_t n = (size_t)p->graph->node.n + 1;
    bool *seen = xmalloc(n), fine = true;
    memset(seen, 0, n);
    if (k->skeleton == SKEL_scatter)
        for (int i = 0; fine && i < 2; i++)
            fine = tree_fits(k, k->node->arg[i], seen, err);
    bool rows = k->skeleton != SKEL_scatter && k->skeleton != SKEL_pack;
    for (int i = 0; fine && rows && i < k->nout; i++)
        if (k->out[i]->node && k->out[i]->kind != BUF_route)
            fine = tree_fits(k, k->out[i]->node, seen, err);
    free(seen);
    return fine;
}

static bool kernel_fits(const Plan *p, const Kernel *k, Err *err)
{
    switch (k->skeleton) {
    case SKEL_call: return call_fits(k, err);
    case SKEL_repeat: return true;
    case SKEL_back:
        return err_set(err, "%s: CUDA has no gradient of attention", k->name);
    case SKEL_collect: break;
    case SKEL_route: return route_fits(k, err);
    case SKEL_attend:
        return attend_fits(k, err) && trees_fit(p, k, err);
    case SKEL_matmul:
    case SKEL_grouped:
        return matmul_fits(k, err) && trees_fit(p, k, err);
    case SKEL_map:
    case SKEL_scatter:
    case SKEL_pack: return trees_fit(p, k, err);
    }
    return err_set(err, "%s: CUDA has no text for it", k->name);
}

bool cuda_plan_fits(const Plan *p, Err *err)
{
    for (int i = 0; i < p->body.n; i++)
        if (!cuda_plan_fits(p->body.at[i], err))
            return false;
    for (int i = 0; i < p->kernel.n; i++)
        if (!kernel_fits(p, p->kernel.at[i], err))
            return false;
    return true;
}
