/* The interpreter's elementwise ops: dims are matched by identity, what an
 * argument lacks is the same for all. */
#include "compiler/interp/interp_run.h"

static bool same_layout(const Tensor *a, const Tensor *out)
{
    if (a->type.rank != out->type.rank)
        return false;
    for (int i = 0; i < a->type.rank; i++)
        if (a->type.dim[i] != out->type.dim[i])
            return false;
    return true;
}

/* All arguments lie as the result does, or are one number. */
static bool flat(const Node *n, const Operand *in, const Tensor *out)
{
    for (int k = 0; k < node_args(n); k++)
        if (in[k].t->type.rank && !same_layout(in[k].t, out))
            return false;
    return true;
}

static void map_flat(const Node *n, const Operand *in, Tensor *out)
{
    static const double none = 0;
    const double *a[MAX_ARGS] = {&none, &none, &none};
    int64_t step[MAX_ARGS] = {0};
    for (int k = 0; k < node_args(n); k++) {
        a[k] = in[k].t->at;
        step[k] = in[k].t->type.rank ? 1 : 0;
    }
    for (int64_t i = 0; i < out->count; i++)
        out->at[i] = op_value(n->op, a[0][i * step[0]], a[1][i * step[1]],
                              a[2][i * step[2]]);
}

bool run_map(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)r;
    if (flat(n, in, out)) {
        map_flat(n, in, out);
        return true;
    }
    Walk w = {0};
    double v[MAX_ARGS] = {0};
    int nargs = node_args(n);
    walk_dims(&w, out);
    for (int k = 0; k < nargs; k++)
        walk_follow(&w, k, in[k].t, NULL);
    for (int64_t i = 0; i < out->count; i++) {
        for (int k = 0; k < nargs; k++)
            v[k] = in[k].t->at[w.off[k]];
        out->at[i] = op_value(n->op, v[0], v[1], v[2]);
        walk_next(&w);
    }
    return true;
}
