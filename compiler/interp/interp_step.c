/* The interpreter's ops of training: gradients of gathered weights, the loss at
 * the head with its gradients, rounding by chance. */
#include "compiler/interp/interp_run.h"
#include <math.h>
#include <string.h>

/* ---- collect ---- */

enum { FOLLOW_a, FOLLOW_b, FOLLOW_index, FOLLOW_to };

/* All dims of both arguments, each once. */
static void walk_both(Walk *w, const Tensor *a, const Tensor *b)
{
    walk_dims(w, a);
    for (int i = 0; i < b->type.rank; i++)
        if (type_dim(&a->type, b->type.dim[i]) < 0)
            walk_add(w, b->type.dim[i], b->shape[i]);
}

bool run_collect(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    const Tensor *a = in[0].t, *b = in[1].t, *index = in[2].t;
    if (!index_fits(r, n, index, n->dim[0]))
        return false;
    int64_t step = tensor_stride(out, n->dim[0]);
    Walk w = {0};
    walk_both(&w, a, b);
    walk_follow(&w, FOLLOW_a, a, NULL);
    walk_follow(&w, FOLLOW_b, b, NULL);
    walk_follow(&w, FOLLOW_index, index, NULL);
    walk_follow(&w, FOLLOW_to, out, NULL);
    int64_t steps = walk_steps(&w);
    for (int64_t i = 0; i < steps; i++, walk_next(&w)) {
        int64_t at = (int64_t)index->at[w.off[FOLLOW_index]];
        out->at[w.off[FOLLOW_to] + step * at] +=
            a->at[w.off[FOLLOW_a]] * b->at[w.off[FOLLOW_b]];
    }
    return true;
}

/* ---- the head ---- */

/* A label's row of x, its place in V, and the logits over V. */
typedef struct {
    const Tensor *x, *w, *label, *each;
    Tensor *out;
    Walk rows, sum; /* over the labels' dims; over those summed */
    int64_t V, step; /* of V in w */
    double *logit, lse;
    int64_t is;
} Head;

enum { HEAD_x, HEAD_w, HEAD_label, HEAD_each, HEAD_out };

static void row_logits(Head *h)
{
    const double *x = h->x->at + h->rows.off[HEAD_x];
    int64_t steps = walk_steps(&h->sum);
    double top = -INFINITY, sum = 0;
    memset(h->logit, 0, (size_t)h->V * sizeof *h->logit);
    for (int64_t i = 0; i < steps; i++, walk_next(&h->sum))
        for (int64_t v = 0; v < h->V; v++)
            h->logit[v] += x[h->sum.off[HEAD_x]] *
                           h->w->at[h->sum.off[HEAD_w] + v * h->step];
    for (int64_t v = 0; v < h->V; v++)
        top = op_value(OP_maximum, h->logit[v], top, 0);
    for (int64_t v = 0; v < h->V; v++)
        sum += exp(h->logit[v] - top);
    h->lse = top + log(sum);
    h->is = (int64_t)h->label->at[h->rows.off[HEAD_label]];
}

/* Calls row where `each` is not 0, the logits made. */
static bool each_row(Run *r, const Node *n, const Operand *in, Tensor *out,
                     void (*row)(Head *h, double each))
{
    Head h = {in[0].t, in[1].t, in[2].t, in[3].t, .out = out};
    const Dim *V = h.label->type.index_of;
    if (!index_fits(r, n, h.label, V))
        return false;
    walk_dims(&h.rows, h.label);
    walk_follow(&h.rows, HEAD_x, h.x, NULL);
    walk_follow(&h.rows, HEAD_label, h.label, NULL);
    walk_follow(&h.rows, HEAD_each, h.each, NULL);
    walk_follow(&h.rows, HEAD_out, out, NULL);
    for (int i = 0; i < n->ndim; i++)
        walk_add(&h.sum, n->dim[i], size_at(n->dim[i]->size, r->env->T));
    walk_follow(&h.sum, HEAD_x, h.x, NULL);
    walk_follow(&h.sum, HEAD_w, h.w, NULL);
    walk_follow(&h.sum, HEAD_out, out, NULL);
    h.V = size_at(V->size, r->env->T);
    h.step = tensor_stride(h.w, V);
    h.logit = xmalloc((size_t)h.V * sizeof *h.logit + 1);
    for (int64_t i = 0; i < h.label->count; i++, walk_next(&h.rows)) {
        double each = h.each->at[h.rows.off[HEAD_each]];
        if (each == 0)
            continue;
        row_logits(&h);
        row(&h, each);
    }
    free(h.logit);
    return true;
}

static void put_nll(Head *h, double share)
{
    (void)share;
    h->out->at[h->rows.off[HEAD_out]] = h->lse - h->logit[h->is];
}

/* What flows to a logit. */
static double slope(const Head *h, int64_t v, double g)
{
    return g * (exp(h->logit[v] - h->lse) - (v == h->is));
}

static void put_dx(Head *h, double g)
{
    int64_t steps = walk_steps(&h->sum);
    double *to = h->out->at + h->rows.off[HEAD_out];
    for (int64_t v = 0; v < h->V; v++) {
        double d = slope(h, v, g);
        for (int64_t i = 0; i < steps; i++, walk_next(&h->sum))
            to[h->sum.off[HEAD_out]] +=
                d * h->w->at[h->sum.off[HEAD_w] + v * h->step];
    }
}

static void put_dw(Head *h, double g)
{
    int64_t steps = walk_steps(&h->sum);
    const double *x = h->x->at + h->rows.off[HEAD_x];
    for (int64_t v = 0; v < h->V; v++) {
        double d = slope(h, v, g);
        for (int64_t i = 0; i < steps; i++, walk_next(&h->sum))
            h->out->at[h->sum.off[HEAD_out] + v * h->step] +=
                d * x[h->sum.off[HEAD_x]];
    }
}

bool run_nll(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    return each_row(r, n, in, out, put_nll);
}

bool run_nll_dx(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    return each_row(r, n, in, out, put_dx);
}

bool run_nll_dw(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    return each_row(r, n, in, out, put_dw);
}

/* ---- rounding ---- */

bool run_round_random(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    uint64_t key = random_round_key(n, in[1].t->at[0], in[2].t->at[0]);
    for (int64_t i = 0; i < out->count; i++)
        out->at[i] = r->env->exact ? in[0].t->at[i]
                                   : random_round(key, i, in[0].t->at[i]);
    return true;
}
