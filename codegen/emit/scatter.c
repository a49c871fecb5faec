/* Skeleton scatter: values added up where an index says, in the order of the
 * index's elements; one task, or one for each run of the values' last dim. */
#include "codegen/emit/kernel.h"

typedef struct {
    Walk w;
    const Node *n;
    const Dim *inner[MAX_RANK], *vec; /* not the index's; the last of them */
    int ninner;
} Scatter;

static void find_dims(Scatter *s)
{
    const Type *a = &s->n->arg[0]->type, *b = &s->n->arg[1]->type;
    for (int i = 0; i < a->rank; i++)
        if (type_dim(b, a->dim[i]) < 0)
            s->inner[s->ninner++] = a->dim[i];
}

static void zero_out(Scatter *s)
{
    Emit *e = s->w.e;
    const Buffer *out = s->w.kernel->out[0];
    Places p = {.lanes = 1};
    Val n = walk_count(&s->w, out->type.rank, out->type.dim);
    Loop l = loop_begin(e, "zero", i64(e, 0), n, 1);
    walk_unflatten(&s->w, &p, out->type.rank, out->type.dim, l.index, false);
    walk_store(&s->w, out, &p, num(ty_reg(e, out->type.dtype), 0));
    loop_end(e, l);
}

static void add_up(Scatter *s)
{
    Emit *e = s->w.e;
    const Buffer *out = s->w.kernel->out[0];
    const Type *b = &s->n->arg[1]->type;
    Places p = {.lanes = 1};
    Val n = walk_count(&s->w, b->rank, b->dim);
    Loop l = loop_begin(e, "element", i64(e, 0), n, 1);
    walk_unflatten(&s->w, &p, b->rank, b->dim, l.index, false);
    Val to = to_int(e, walk(&s->w, s->n->arg[1], &p), ty(e, TY_i64));
    Val m = walk_count(&s->w, s->ninner, s->inner);
    Loop j = loop_begin(e, "value", i64(e, 0), m, 1);
    Places q = p;
    walk_unflatten(&s->w, &q, s->ninner, s->inner, j.index, false);
    Val x = walk(&s->w, s->n->arg[0], &q);
    places_set(&q, s->n->dim[0], to, false);
    Val sum = walk_load(&s->w, out, &q);
    x = to_float(e, x, ty_reg(e, out->type.dtype));
    walk_store(&s->w, out, &q, add(e, sum, x));
    loop_end(e, j);
    loop_end(e, l);
}

void emit_scatter(Emit *e, Plan *plan, Kernel *k)
{
    Scatter s = {.n = k->node};
    find_dims(&s);
    kernel_begin(&s.w, e, plan, k);
    zero_out(&s);
    add_up(&s);
    kernel_end(&s.w);
    kernel_begin_tasks(&s.w);
    ret(e, i64(e, 1));
}
