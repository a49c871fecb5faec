/* The interpreter's ops that order elements or count them. A NaN comes after
 * every number; of equals the lower index comes first. */
#include "compiler/interp/interp_run.h"
#include <math.h>

typedef struct {
    double value;
    int64_t index;
} Ranked;

static int by_rank(const void *pa, const void *pb)
{
    const Ranked *a = pa, *b = pb;
    if (isnan(a->value) != isnan(b->value))
        return isnan(a->value) ? 1 : -1;
    if (a->value != b->value && !isnan(a->value))
        return a->value > b->value ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* Loops over t's dims that are (in) or are not among n->dim[0 .. count). */
static void walk_part(Walk *w, const Node *n, int count, const Tensor *t,
                      bool in)
{
    for (int i = 0; i < t->type.rank; i++)
        if (dim_among(t->type.dim[i], count, n->dim) == in)
            walk_add(w, t->type.dim[i], t->shape[i]);
}

bool run_topk(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    const Tensor *a = in[0].t;
    int64_t size = size_at(n->dim[0]->size, r->env->T),
            k = size_at(n->dim[1]->size, r->env->T);
    if (k > size)
        return err_set(r->err, "%s: the %lld largest of %s, which has %lld",
                       node_name(n), (long long)k, n->dim[0]->name,
                       (long long)size);
    Walk w = {0};
    walk_part(&w, n, 1, a, false);
    walk_follow(&w, 0, a, NULL);
    walk_follow(&w, 1, out, NULL);
    int64_t step = tensor_stride(a, n->dim[0]), rows = walk_steps(&w);
    Ranked *rank = xmalloc((size_t)size * sizeof *rank + 1);
    for (int64_t row = 0; row < rows; row++, walk_next(&w)) {
        for (int64_t i = 0; i < size; i++)
            rank[i] = (Ranked){a->at[w.off[0] + i * step], i};
        qsort(rank, (size_t)size, sizeof *rank, by_rank);
        for (int64_t i = 0; i < k; i++) /* the new dim is out's last */
            out->at[w.off[1] + i] = (double)rank[i].index;
    }
    free(rank);
    return true;
}

/* Of m elements int(share m) are kept; the share's own rounding to f32 must
 * not take one off (0.7 of 10 is 7). */
static int64_t kept(double share, int64_t m)
{
    double keep = floor(share * (double)m * (1 + 0x1p-23));
    return keep > 0 ? keep < (double)m ? (int64_t)keep : m : 0;
}

/* For each group of elements that stand together over n->dim[]: they in order,
 * largest first, to `put`; index: where each lies. */
static void each_order(const Node *n, const Tensor *a,
                       void (*put)(const Ranked *rank, int64_t m, void *user),
                       void *user)
{
    Walk group = {0}, inside = {0};
    walk_part(&group, n, n->ndim, a, false);
    walk_part(&inside, n, n->ndim, a, true);
    walk_follow(&group, 0, a, NULL);
    walk_follow(&inside, 0, a, NULL);
    int64_t m = walk_steps(&inside), groups = walk_steps(&group);
    Ranked *rank = xmalloc((size_t)m * sizeof *rank + 1);
    for (int64_t i = 0; i < groups; i++, walk_next(&group)) {
        for (int64_t j = 0; j < m; j++, walk_next(&inside)) {
            int64_t at = group.off[0] + inside.off[0];
            rank[j] = (Ranked){a->at[at], at};
        }
        qsort(rank, (size_t)m, sizeof *rank, by_rank);
        put(rank, m, user);
    }
    free(rank);
}

typedef struct {
    double share;
    Tensor *out;
} Largest;

static void put_largest(const Ranked *rank, int64_t m, void *user)
{
    const Largest *l = user;
    for (int64_t j = 0; j < kept(l->share, m); j++)
        l->out->at[rank[j].index] = 1;
}

bool run_largest(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)r;
    Largest l = {in[1].t->at[0], out};
    each_order(n, in[0].t, put_largest, &l);
    return true;
}

static void put_rank(const Ranked *rank, int64_t m, void *user)
{
    for (int64_t j = 0; j < m; j++)
        ((Tensor *)user)->at[rank[j].index] = (double)j;
}

bool run_rank(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)r;
    each_order(n, in[0].t, put_rank, out);
    return true;
}

bool run_onehot(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    const Tensor *index = in[0].t;
    int64_t size = size_at(n->dim[0]->size, r->env->T);
    if (!index_fits(r, n, index, n->dim[0]))
        return false;
    for (int64_t i = 0; i < index->count; i++)
        out->at[i * size + (int64_t)index->at[i]] = 1;
    return true;
}

bool run_place(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    const Tensor *index = in[0].t;
    const Dim *d = index->type.index_of;
    if (!index_fits(r, n, index, d))
        return false;
    size_t size = (size_t)size_at(d->size, r->env->T);
    double *seen = calloc(size + 1, sizeof *seen);
    if (!seen)
        die("out of memory for %zu numbers", size);
    for (int64_t k = 0; k < index->shape[1]; k++)
        for (int64_t t = 0; t < index->shape[0]; t++) {
            int64_t at = t * index->shape[1] + k;
            out->at[at] = seen[(int64_t)index->at[at]]++;
        }
    free(seen);
    return true;
}
