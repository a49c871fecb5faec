/* Tensors of the interpreter, and loops over their dims by name. */
#include "compiler/interp/interp_run.h"
#include <string.h>

Tensor *tensor_new(const Type *type, int64_t T)
{
    Tensor *t = xmalloc(sizeof *t);
    *t = (Tensor){.type = *type, .count = 1};
    for (int i = 0; i < type->rank; i++) {
        t->shape[i] = size_at(type->dim[i]->size, T);
        t->count *= t->shape[i];
    }
    t->at = calloc((size_t)t->count + 1, sizeof *t->at);
    if (!t->at)
        die("out of memory for %lld numbers", (long long)t->count);
    return t;
}

void tensor_free(Tensor *t)
{
    if (t)
        free(t->at);
    free(t);
}

int64_t tensor_stride(const Tensor *t, const Dim *d)
{
    int at = type_dim(&t->type, d);
    if (at < 0)
        return 0;
    int64_t stride = 1;
    for (int i = at + 1; i < t->type.rank; i++)
        stride *= t->shape[i];
    return stride;
}

const char *node_name(const Node *n)
{
    return n->label ? n->label : intern_printf("%%%d", n->id);
}

bool index_fits(Run *r, const Node *n, const Tensor *index, const Dim *d)
{
    int64_t size = size_at(d->size, r->env->T);
    for (int64_t i = 0; i < index->count; i++)
        if (!(index->at[i] >= 0 && index->at[i] < (double)size))
            return err_set(r->err, "%s: index %g at element %lld is not in %s, "
                           "which has %lld", node_name(n), index->at[i],
                           (long long)i, d->name, (long long)size);
    return true;
}

int64_t sequence_position(const InterpEnv *env, int64_t t)
{
    return env->pos ? env->pos[t] : t;
}

void walk_add(Walk *w, const Dim *d, int64_t extent)
{
    if (w->n == MAX_LOOPS)
        BUG("more than %d loops", MAX_LOOPS);
    w->dim[w->n] = d;
    w->extent[w->n++] = extent;
}

void walk_dims(Walk *w, const Tensor *t)
{
    for (int i = 0; i < t->type.rank; i++)
        walk_add(w, t->type.dim[i], t->shape[i]);
}

void walk_follow(Walk *w, int k, const Tensor *t, const Dim *but)
{
    for (int i = 0; i < w->n; i++)
        w->stride[k][i] = w->dim[i] == but ? 0 : tensor_stride(t, w->dim[i]);
}

int64_t walk_steps(const Walk *w)
{
    int64_t count = 1;
    for (int i = 0; i < w->n; i++)
        count *= w->extent[i];
    return count;
}
