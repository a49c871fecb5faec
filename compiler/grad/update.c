/* Updates of weights as graphs: AdamW (Loshchilov and Hutter 2019), SGD with
 * momentum, Adafactor (Shazeer and Stern 2018) as transformers has it with a
 * fixed rate: no scaling by the parameter, no first moment. */
#include "compiler/grad/rules.h"
#include <math.h>
#include <string.h>

typedef struct {
    Graph *g;
    const Parameter *p;
    const UpdateOptions *o;
    Node *w, *grad; /* f32 */
} Update;

static Node *input(Update *u, const char *name, Dtype t, int rank,
                   const Dim *const *dim)
{
    Node n = {.op = OP_input, .name = intern(name), .label = intern(name)};
    n.type.dtype = t;
    n.type.rank = rank;
    memcpy(n.type.dim, dim, (size_t)rank * sizeof *dim);
    return graph_add(u->g, n);
}

static Node *scalar(Update *u, const char *name)
{
    static const Dim *none[1];
    return input(u, name, TYPE_f32, 0, none);
}

/* As the weight's dims, in f32. */
static Node *whole(Update *u, const char *name, Dtype t)
{
    const Type *w = &u->p->weight->type;
    return g_cast(u->g, TYPE_f32, input(u, name, t, w->rank, w->dim));
}

static Node *num(Update *u, double v)
{
    return g_num(u->g, TYPE_f32, v);
}

static Node *mul(Update *u, Node *a, Node *b)
{
    return times(u->g, a, b);
}

static Node *add(Update *u, Node *a, Node *b)
{
    return g_map2(u->g, OP_add, a, b);
}

static Node *sub(Update *u, Node *a, Node *b)
{
    return g_map2(u->g, OP_sub, a, b);
}

static Node *over(Update *u, Node *a, Node *b)
{
    return g_map2(u->g, OP_div, a, b);
}

/* by a + (1 - by) b */
static Node *blend(Update *u, double by, Node *a, Node *b)
{
    return add(u, scaled(u->g, a, by), scaled(u->g, b, 1 - by));
}

/* To the type: bf16 by chance, with numbers that only `which` has. */
static void put(Update *u, const char *name, Node *v, Dtype t, int which,
                bool nearest)
{
    if (t == TYPE_bf16 && !nearest) {
        Node n = {.op = OP_round_random, .num = 4.0 * u->o->seed + which,
                  .arg = {v, scalar(u, "t"), scalar(u, "tensor")}};
        v = graph_add(u->g, n);
    }
    graph_output(u->g, name, g_cast(u->g, t, v));
}

/* w less step, decayed before: w (1 - lr decay) - lr step. */
static void put_weight(Update *u, Node *step, bool decays)
{
    Node *lr = scalar(u, "lr"), *w = u->w;
    if (decays && u->o->decay != 0)
        w = mul(u, w, sub(u, num(u, 1), scaled(u->g, lr, u->o->decay)));
    w = sub(u, w, mul(u, lr, step));
    put(u, "w", w, u->o->weights, 0, u->o->nearest);
    if (u->o->copy)
        graph_output(u->g, "copy", g_cast(u->g, TYPE_bf16, w));
}

/* m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, both corrected for their
 * start at 0; w -= lr m / (sqrt(v) + eps) */
static void adamw(Update *u)
{
    const UpdateOptions *o = u->o;
    Node *m = blend(u, o->beta1, whole(u, "m", o->states), u->grad);
    Node *v = blend(u, o->beta2, whole(u, "v", o->states),
                    mul(u, u->grad, u->grad));
    Node *root = g_map1(u->g, OP_sqrt, mul(u, v, scalar(u, "unbias2")));
    Node *step = over(u, mul(u, m, scalar(u, "unbias1")),
                      add(u, root, num(u, o->eps)));
    put_weight(u, step, true);
    put(u, "m", m, o->states, 1, false);
    put(u, "v", v, o->states, 2, false);
}

/* v = momentum v + g + decay w; w -= lr v */
static void sgd(Update *u)
{
    const UpdateOptions *o = u->o;
    Node *v = u->grad;
    if (o->decay != 0)
        v = add(u, v, scaled(u->g, u->w, o->decay));
    if (o->momentum != 0)
        v = add(u, scaled(u->g, whole(u, "v", o->states), o->momentum), v);
    put_weight(u, v, false);
    if (o->momentum != 0)
        put(u, "v", v, o->states, 2, false);
}

/* ---- Adafactor ---- */

/* The weight's dims that are the file's last and last but one, and all that
 * one tensor of the file has. */
typedef struct {
    int nrow, ncol, nall;
    const Dim *row[MAX_RANK], *col[MAX_RANK], *all[MAX_RANK];
} Shape;

static int64_t size_of(const Dim *d)
{
    return size_at(d->size, 0);
}

/* Where the dims that make the file's dim d begin in the weight's, from `at`;
 * ones at the end go with the last. */
static int next_begin(const Parameter *p, int d, int at)
{
    const Type *t = &p->weight->type;
    int64_t n = 1;
    while (at < t->rank && n < p->shape[d])
        n *= size_of(t->dim[at++]);
    return at;
}

static Shape shape_of(const Parameter *p)
{
    const Weight *w = p->weight;
    int packed = w->part ? w->part->packed : 0, at = w->stacked - packed;
    int rank = p->shape ? p->rank : w->type.rank - at;
    Shape s = {0};
    for (int i = at; i < w->type.rank; i++)
        s.all[s.nall++] = w->type.dim[i];
    if (p->shape)
        at = w->stacked;
    for (int d = p->shape && packed ? packed : 0; d < rank; d++) {
        int end = p->shape ? next_begin(p, d, at) : at + 1;
        if (d == rank - 1)
            end = w->type.rank;
        for (int i = at; i < end; i++) {
            if (d == rank - 2)
                s.row[s.nrow++] = w->type.dim[i];
            if (d == rank - 1)
                s.col[s.ncol++] = w->type.dim[i];
        }
        at = end;
    }
    if (rank < 2)
        s.nrow = s.ncol = 0;
    return s;
}

static Node *mean(Update *u, Node *n, int count, const Dim *const *dim)
{
    double size = 1;
    for (int i = 0; i < count; i++)
        size *= (double)size_of(dim[i]);
    return scaled(u->g, sum_over(u->g, n, count, dim), 1 / size);
}

/* A state without some of the weight's dims, moved on: b s + (1 - b) q */
static Node *moved(Update *u, const char *name, int without,
                   const Dim *const *dim, Node *q)
{
    const Type *w = &u->p->weight->type;
    const Dim *left[MAX_RANK];
    int n = 0;
    for (int i = 0; i < w->rank; i++)
        if (!dim_among(w->dim[i], without, dim))
            left[n++] = w->dim[i];
    Node *b = scalar(u, "beta"), *rest = sub(u, num(u, 1), b);
    Node *s = add(u, mul(u, b, input(u, name, TYPE_f32, n, left)),
                  mul(u, rest, q));
    graph_output(u->g, name, s);
    return s;
}

/* Of matrices g / sqrt(r / mean(r)) / sqrt(c), of vectors g / sqrt(s); no
 * larger than 1 in its root mean square. */
static void adafactor(Update *u)
{
    Graph *g = u->g;
    Shape s = shape_of(u->p);
    Node *q = add(u, mul(u, u->grad, u->grad), num(u, 1e-30)), *step;
    if (s.nrow || s.ncol) {
        Node *r = moved(u, "r", s.ncol, s.col, mean(u, q, s.ncol, s.col));
        Node *c = moved(u, "c", s.nrow, s.row, mean(u, q, s.nrow, s.row));
        Node *rows = over(u, r, mean(u, r, s.nrow, s.row));
        step = over(u, u->grad, g_map1(g, OP_sqrt, rows));
        step = over(u, step, g_map1(g, OP_sqrt, c));
    } else {
        Node *v = moved(u, "s", 0, NULL, q);
        step = over(u, u->grad, g_map1(g, OP_sqrt, v));
    }
    Node *rms = g_map1(g, OP_sqrt, mean(u, mul(u, step, step), s.nall, s.all));
    put_weight(u, over(u, step, g_map2(g, OP_maximum, rms, num(u, 1))), true);
}

Graph *grad_update(Arena *a, const Parameter *p, const UpdateOptions *o)
{
    Update u = {.g = graph_new(a, "update"), .p = p, .o = o};
    u.w = whole(&u, "w", o->weights);
    u.grad = mul(&u, whole(&u, "g", TYPE_f32), scalar(&u, "clip"));
    switch (o->kind) {
    case OPTIMIZER_adamw:     adamw(&u); break;
    case OPTIMIZER_adafactor: adafactor(&u); break;
    case OPTIMIZER_sgd:       sgd(&u); break;
    }
    ir_verify(u.g, "the update");
    return u.g;
}

double update_scalar(const UpdateOptions *o, const char *name, int64_t t)
{
    if (!strcmp(name, "unbias1"))
        return 1 / (1 - pow(o->beta1, (double)t));
    if (!strcmp(name, "unbias2"))
        return 1 / (1 - pow(o->beta2, (double)t));
    if (!strcmp(name, "beta"))
        return 1 - pow((double)t, -0.8);
    if (!strcmp(name, "t"))
        return (double)t;
    BUG("an update has no scalar %s", name);
}
