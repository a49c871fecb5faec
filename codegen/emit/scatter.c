/* Skeleton scatter: values added up where an index says, in the order of the
 * index's elements. A task is a range of places: it looks through the whole
 * index and adds what belongs to it, so that no two tasks write one place. */
#include "codegen/emit/kernel.h"

enum { TASKS = 64 };

typedef struct {
    Walk w;
    const Node *n;
    const Dim *inner[MAX_RANK]; /* not the index's */
    int ninner;
    Val size;     /* values of a place */
    Val from, to; /* the task's places */
} Scatter;

static void find_dims(Scatter *s)
{
    const Type *a = &s->n->arg[0]->type, *b = &s->n->arg[1]->type;
    for (int i = 0; i < a->rank; i++)
        if (type_dim(b, a->dim[i]) < 0)
            s->inner[s->ninner++] = a->dim[i];
}

static Val place(Scatter *s, Val to, Val value)
{
    Emit *e = s->w.e;
    const Buffer *out = s->w.kernel->out[0];
    return at(e, ty_mem(e, out->type.dtype), walk_base(&s->w, out),
              add(e, mul(e, to, s->size), value));
}

static void zero_out(Scatter *s)
{
    Emit *e = s->w.e;
    int64_t each = type_bytes(s->w.kernel->out[0]->type.dtype, 1);
    Val n = mul(e, mul(e, sub(e, s->to, s->from), s->size), i64(e, each));
    LLVMBuildMemSet(e->at, place(s, s->from, i64(e, 0)),
                    LLVMConstNull(ty(e, TY_i8)), n, 1);
}

/* Values j .. of the index's element at p to its place. */
static void add_values(Scatter *s, const Places *p, Val to, Val j, Val left)
{
    Emit *e = s->w.e;
    Dtype t = s->w.kernel->out[0]->type.dtype;
    Places q = *p;
    q.lanes = e->lanes;
    q.mask = left ? mask_first(e, e->lanes, left) : NULL;
    walk_unflatten(&s->w, &q, s->ninner, s->inner, j, true);
    Val x = to_float(e, walk(&s->w, s->n->arg[0], &q), ty_reg(e, t));
    Val at_j = place(s, to, j);
    Val sum = load_as(e, t, e->lanes, at_j, q.mask);
    store_as(e, t, add(e, sum, x), at_j, q.mask);
}

static void add_element(Scatter *s, const Places *p, Val to)
{
    Emit *e = s->w.e;
    Val whole = sub(e, s->size, rest(e, s->size, i64(e, e->lanes)));
    Loop j = loop_begin(e, "value", i64(e, 0), whole, e->lanes);
    add_values(s, p, to, j.index, NULL);
    loop_end(e, j);
    If some = if_begin(e, less(e, whole, s->size));
    add_values(s, p, to, whole, sub(e, s->size, whole));
    if_end(e, some);
}

static void add_up(Scatter *s)
{
    Emit *e = s->w.e;
    const Type *b = &s->n->arg[1]->type;
    Places p = {.lanes = 1};
    Val n = walk_count(&s->w, b->rank, b->dim);
    Loop l = loop_begin(e, "element", i64(e, 0), n, 1);
    walk_unflatten(&s->w, &p, b->rank, b->dim, l.index, false);
    Val to = to_int(e, walk(&s->w, s->n->arg[1], &p), ty(e, TY_i64));
    Val mine = bit_and(e, less_eq(e, s->from, to), less(e, to, s->to));
    If here = if_begin(e, mine);
    add_element(s, &p, to);
    if_end(e, here);
    loop_end(e, l);
}

void emit_scatter(Emit *e, Plan *plan, Kernel *k)
{
    Scatter s = {.n = k->node};
    find_dims(&s);
    kernel_begin(&s.w, e, plan, k);
    Val all = walk_size(&s.w, s.n->dim[0]->size), task = kernel_task(&s.w);
    Val tasks = i64(e, TASKS);
    s.size = walk_count(&s.w, s.ninner, s.inner);
    s.from = quot(e, mul(e, task, all), tasks);
    s.to = quot(e, mul(e, add(e, task, i64(e, 1)), all), tasks);
    zero_out(&s);
    add_up(&s);
    kernel_end(&s.w);
    kernel_begin_tasks(&s.w);
    ret(e, i64(e, TASKS));
}
