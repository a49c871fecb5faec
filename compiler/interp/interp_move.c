/* The interpreter's ops that move elements. */
#include "compiler/interp/interp_run.h"
#include <string.h>

/* Every element of out is a's where the dims agree, from offset `base`. */
static void copy_from(const Tensor *a, int64_t base, Tensor *out)
{
    Walk w = {0};
    walk_dims(&w, out);
    walk_follow(&w, 0, a, NULL);
    for (int64_t i = 0; i < out->count; i++, walk_next(&w))
        out->at[i] = a->at[base + w.off[0]];
}

bool run_copy(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)r, (void)n;
    copy_from(in[0].t, 0, out);
    return true;
}

bool run_same(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)r, (void)n;
    memcpy(out->at, in[0].t->at, (size_t)out->count * sizeof *out->at);
    return true;
}

bool run_slice(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    int64_t size = size_at(n->dim[0]->size, r->env->T);
    if (n->num >= (double)size)
        return err_set(r->err, "%s: position %g of %s, which has %lld",
                       node_name(n), n->num, n->dim[0]->name, (long long)size);
    int64_t step = tensor_stride(in[0].t, n->dim[0]);
    copy_from(in[0].t, (int64_t)n->num * step, out);
    return true;
}

/* b may have dim 0 itself among its dims (a permutation): that one is then a
 * dim of the index, and a's is the one replaced. */
bool run_gather(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    const Tensor *a = in[0].t, *b = in[1].t;
    if (!index_fits(r, n, b, n->dim[0]))
        return false;
    int64_t step = tensor_stride(a, n->dim[0]);
    Walk w = {0};
    walk_dims(&w, out);
    walk_follow(&w, 0, a, n->dim[0]);
    walk_follow(&w, 1, b, NULL);
    for (int64_t i = 0; i < out->count; i++, walk_next(&w))
        out->at[i] = a->at[w.off[0] + step * (int64_t)b->at[w.off[1]]];
    return true;
}

bool run_scatter(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    const Tensor *a = in[0].t, *b = in[1].t;
    if (!index_fits(r, n, b, n->dim[0]))
        return false;
    int64_t step = tensor_stride(out, n->dim[0]);
    Walk w = {0};
    walk_dims(&w, a);
    walk_follow(&w, 0, out, n->dim[0]);
    walk_follow(&w, 1, b, NULL);
    for (int64_t i = 0; i < a->count; i++, walk_next(&w))
        out->at[w.off[0] + step * (int64_t)b->at[w.off[1]]] += a->at[i];
    return true;
}

bool run_cut(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    const Tensor *a = in[0].t;
    int64_t from = size_at(n->size, r->env->T), T = r->env->T;
    int64_t size = size_at(n->dim[0]->size, T);
    if (from < 0 || from + size_at(n->dim[1]->size, T) > size)
        return err_set(r->err, "%s: from %lld on for %s of %s, which has %lld",
                       node_name(n), (long long)from,
                       size_text(n->dim[1]->size), n->dim[0]->name,
                       (long long)size);
    Walk w = {0};
    walk_dims(&w, out);
    walk_follow(&w, 0, a, NULL);
    for (int i = 0; i < w.n; i++)
        if (w.dim[i] == n->dim[1])
            w.stride[0][i] = tensor_stride(a, n->dim[0]);
    int64_t base = from * tensor_stride(a, n->dim[0]);
    for (int64_t i = 0; i < out->count; i++, walk_next(&w))
        out->at[i] = a->at[base + w.off[0]];
    return true;
}

/* The part of out where dim 2 goes from `from` on for t's dim `d`. */
static void put_part(const Node *n, const Tensor *t, const Dim *d,
                     int64_t from, Tensor *out)
{
    int64_t step = tensor_stride(out, n->dim[2]);
    Walk w = {0};
    walk_dims(&w, t);
    walk_follow(&w, 0, out, NULL);
    for (int i = 0; i < w.n; i++)
        if (w.dim[i] == d)
            w.stride[0][i] = step;
    for (int64_t i = 0; i < t->count; i++, walk_next(&w))
        out->at[from * step + w.off[0]] = t->at[i];
}

bool run_join(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    put_part(n, in[0].t, n->dim[0], 0, out);
    put_part(n, in[1].t, n->dim[1], size_at(n->dim[0]->size, r->env->T), out);
    return true;
}
