/* The interpreter's reductions and softmax. A NaN in what is reduced gives
 * NaN. Of nothing the sum is 0, the maximum and logsumexp -inf. */
#include "compiler/interp/interp_run.h"
#include <math.h>
#include <string.h>

typedef enum { REDUCE_sum, REDUCE_max, REDUCE_exp } Reduce;

/* Reduces a into out, which has fewer dims; `top` has out's dims (exp: sums
 * exp(a - top)). */
static void reduce(Reduce what, const Tensor *a, const Tensor *top,
                   Tensor *out)
{
    Walk w = {0};
    walk_dims(&w, a);
    walk_follow(&w, 0, out, NULL);
    for (int64_t i = 0; what == REDUCE_max && i < out->count; i++)
        out->at[i] = -INFINITY;
    for (int64_t i = 0; i < a->count; i++) {
        double v = a->at[i], *to = &out->at[w.off[0]];
        if (what == REDUCE_max)
            *to = op_value(OP_maximum, v, *to, 0);
        else
            *to += what == REDUCE_sum ? v : exp(v - top->at[w.off[0]]);
        walk_next(&w);
    }
}

bool run_sum(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)r, (void)n;
    reduce(REDUCE_sum, in[0].t, NULL, out);
    return true;
}

bool run_max(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)r, (void)n;
    reduce(REDUCE_max, in[0].t, NULL, out);
    return true;
}

bool run_logsumexp(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    Tensor *top = tensor_new(&n->type, r->env->T);
    reduce(REDUCE_max, in[0].t, NULL, top);
    reduce(REDUCE_exp, in[0].t, top, out);
    for (int64_t i = 0; i < out->count; i++)
        out->at[i] = isinf(top->at[i]) ? top->at[i]
                                       : top->at[i] + log(out->at[i]);
    tensor_free(top);
    return true;
}

/* The type of a softmax's sums: without the dims it runs over. */
static Type rest_type(const Node *n)
{
    Type t = {.dtype = TYPE_f64};
    for (int i = 0; i < n->type.rank; i++) {
        bool over = false;
        for (int j = 0; j < n->ndim; j++)
            over |= n->type.dim[i] == n->dim[j];
        if (!over)
            t.dim[t.rank++] = n->type.dim[i];
    }
    return t;
}

bool run_softmax(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    Type rest = rest_type(n);
    Tensor *top = tensor_new(&rest, r->env->T),
           *sum = tensor_new(&rest, r->env->T);
    reduce(REDUCE_max, in[0].t, NULL, top);
    reduce(REDUCE_exp, in[0].t, top, sum);
    Walk w = {0};
    walk_dims(&w, out);
    walk_follow(&w, 0, top, NULL);
    for (int64_t i = 0; i < out->count; i++) {
        double e = exp(in[0].t->at[i] - top->at[w.off[0]]);
        out->at[i] = e / sum->at[w.off[0]];
        walk_next(&w);
    }
    tensor_free(top);
    tensor_free(sum);
    return true;
}

bool run_cumsum(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    const Tensor *a = in[0].t;
    int64_t step = tensor_stride(a, n->dim[0]);
    int64_t size = size_at(n->dim[0]->size, r->env->T);
    for (int64_t i = 0; i < out->count; i++)
        out->at[i] = a->at[i] + (i / step % size ? out->at[i - step] : 0);
    return true;
}
