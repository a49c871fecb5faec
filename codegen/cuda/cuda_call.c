/* Skeleton call as CUDA C: draws, counted as on the CPU; orders of very many;
 * and what stands where a repeat has no passes. */
#include "codegen/cuda/cuda_text.h"

/* ---- draws ---- */

/* random_counter of an item: row-major but for T, which is outermost. */
static const char *counter(Cu *c, const Type *t)
{
    int T = t->rank - 1;
    while (T > 0 && t->dim[T]->size != size_sym("T"))
        T--;
    if (T <= 0)
        return "(u64)item";
    const char *inner = cu_long(c, t->rank - T - 1, t->dim + T + 1),
               *outer = cu_long(c, T, t->dim),
               *tokens = cu_long(c, 1, t->dim + T);
    return cu_text(c, "(u64)(item / %s %% %s * %s * %s + "
                   "item / (%s * %s) * %s + item %% %s)", inner, tokens, outer,
                   inner, inner, tokens, inner, inner);
}

static void draw(Cu *c, const Node *n)
{
    const Buffer *y = c->kernel->out[0];
    cu_items(c, cu_size_of(n->type.rank, n->type.dim),
             cu_long(c, n->type.rank, n->type.dim));
    c->to->draws = true;
    const char *v = cu_text(c, "%s(draw, %s)",
                            n->op == OP_uniform ? "draw_uniform"
                                                : "draw_gaussian",
                            counter(c, &n->type));
    cu_line(c, "%s[item] = %s;", cu_arg(c, y),
            cu_narrowed(c, n->type.dtype, v));
}

static void shuffle(Cu *c, const Node *n)
{
    const char *to = cu_arg(c, c->kernel->out[0]);
    cu_items(c, size_num(1), "1");
    c->to->draws = true;
    cu_line(c, "draw_shuffle(draw, %s, %s);", cu_size(c, n->dim[0]), to);
}

/* ---- copies and counts ---- */

static void copy(Cu *c, const Node *n)
{
    const char *to = cu_arg(c, c->kernel->out[0]);
    cu_items(c, cu_size_of(n->type.rank, n->type.dim),
             cu_long(c, n->type.rank, n->type.dim));
    cu_line(c, "%s[item] = %s[item];", to, cu_arg(c, c->kernel->in[0]));
}

/* How many before have the same index; first all of place 0, then of 1 .. */
static void place(Cu *c, const Node *n)
{
    const char *x = cu_arg(c, c->kernel->in[0]);
    const Type *t = &n->arg[0]->type;
    const char *T = cu_size(c, t->dim[0]), *K = cu_size(c, t->dim[1]);
    cu_items(c, cu_size_of(2, t->dim), cu_long(c, 2, t->dim));
    cu_line(c, "int own = %s[item], count = 0;", x);
    cu_line(c, "int row = (int)(item / %s), col = (int)(item %% %s);", K, K);
    cu_open(c, "for (int j = 0; j <= col; j++)");
    cu_line(c, "int end = j < col ? %s : row;", T);
    cu_line(c, "for (int i = 0; i < end; i++)");
    cu_line(c, "    count += %s[(i64)i * %s + j] == own;", x, K);
    cu_close(c);
    cu_line(c, "%s[item] = (float)count;", cu_arg(c, c->kernel->out[0]));
}

/* ---- along a dim ---- */

typedef struct {
    const char *n, *inner; /* elements along it, and stride */
    const Size *groups;
    const char *count; /* of groups */
} Along;

static Along along(Cu *c, const Type *t, const Dim *d)
{
    int at = type_dim(t, d);
    const Dim *other[MAX_RANK];
    int n = 0;
    for (int i = 0; i < t->rank; i++)
        if (i != at)
            other[n++] = t->dim[i];
    return (Along){cu_size(c, d),
                   cu_long(c, t->rank - at - 1, t->dim + at + 1),
                   cu_size_of(n, other), cu_long(c, n, other)};
}

static const char *wide_or_not(Dtype t)
{
    return t == TYPE_f64 ? "double" : "float";
}

static const char *read_at(Cu *c, const Buffer *b, const char *at)
{
    return cu_widened(c, b->type.dtype, cu_text(c, "%s[%s]", cu_arg(c, b), at));
}

static void cumsum(Cu *c, const Node *n)
{
    Along a = along(c, &n->type, n->dim[0]);
    const Buffer *x = c->kernel->in[0];
    cu_items(c, a.groups, a.count);
    cu_line(c, "i64 at = item / (%s) * %s * (%s) + item %% (%s);", a.inner,
            a.n, a.inner, a.inner);
    cu_line(c, "double sum = 0;");
    cu_open(c, "for (int i = 0; i < %s; i++, at += %s)", a.n, a.inner);
    cu_line(c, "sum += %s;", read_at(c, x, "at"));
    cu_line(c, "%s[at] = %s;", cu_arg(c, c->kernel->out[0]),
            cu_narrowed(c, n->type.dtype,
                        cu_text(c, "(%s)sum", cu_register(n->type.dtype))));
    cu_close(c);
}

/* ---- orders: a thread counts what comes before its element ---- */

static void topk(Cu *c, const Node *n)
{
    const Buffer *x = c->kernel->in[0];
    Along a = along(c, &n->arg[0]->type, n->dim[0]);
    const char *K = cu_size(c, n->dim[1]), *t = wide_or_not(x->type.dtype);
    cu_items(c, size_mul(a.groups, n->dim[0]->size),
             cu_text(c, "%s * %s", a.count, a.n));
    cu_line(c, "i64 group = item / %s;", a.n);
    cu_line(c, "int at = (int)(item %% %s), rank = 0;", a.n);
    cu_line(c, "i64 first = group / (%s) * %s * (%s) + group %% (%s);",
            a.inner, a.n, a.inner, a.inner);
    cu_line(c, "%s own = %s;", t,
            read_at(c, x, cu_text(c, "first + at * (%s)", a.inner)));
    cu_line(c, "for (int i = 0; i < %s; i++)", a.n);
    cu_line(c, "    rank += comes_before%s(%s, i, own, at);",
            *t == 'd' ? "" : "f",
            read_at(c, x, cu_text(c, "first + i * (%s)", a.inner)));
    cu_line(c, "if (rank < %s)", K);
    cu_line(c, "    %s[group * %s + rank] = at;",
            cu_arg(c, c->kernel->out[0]), K);
}

/* Where the element of group and number stands: prints its places. */
static const char *element_at(Cu *c, const Node *n, int nout,
                              const Dim *const *out, const char *group,
                              const char *number)
{
    CuPlaces p = {0};
    cu_unflatten(c, &p, nout, out, group, true);
    cu_unflatten(c, &p, n->ndim, n->dim, number, true);
    return cu_flat(c, n->type.rank, n->type.dim, &p).text;
}

/* The rank of each among those that stand together over n's dims. */
static void rank_of(Cu *c, const Node *n)
{
    const Buffer *x = c->kernel->in[0];
    const char *t = wide_or_not(x->type.dtype);
    const Dim *out[MAX_RANK];
    int nout = 0;
    for (int i = 0; i < n->type.rank; i++)
        if (!dim_among(n->type.dim[i], n->ndim, n->dim))
            out[nout++] = n->type.dim[i];
    cu_items(c, cu_size_of(n->type.rank, n->type.dim),
             cu_long(c, n->type.rank, n->type.dim));
    cu_line(c, "i64 together = %s;", cu_long(c, n->ndim, n->dim));
    cu_line(c, "i64 group = item / together, rank = 0;");
    cu_line(c, "i64 number = item %% together;");
    cu_line(c, "i64 at = %s;", element_at(c, n, nout, out, "group", "number"));
    cu_line(c, "%s own = %s;", t, read_at(c, x, "at"));
    cu_open(c, "for (i64 i = 0; i < together; i++)");
    cu_line(c, "i64 other = %s;", element_at(c, n, nout, out, "group", "i"));
    cu_line(c, "rank += comes_before%s(%s, other, own, at);",
            *t == 'd' ? "" : "f", read_at(c, x, "other"));
    cu_close(c);
}

static void rank(Cu *c, const Node *n)
{
    rank_of(c, n);
    cu_line(c, "%s[at] = (float)rank;", cu_arg(c, c->kernel->out[0]));
}

static void largest(Cu *c, const Node *n)
{
    rank_of(c, n);
    const char *share = read_at(c, c->kernel->in[1], "0");
    cu_line(c, "i64 keep = kept_of((double)%s, together);", share);
    cu_line(c, "%s[at] = %s;", cu_arg(c, c->kernel->out[0]),
            cu_narrowed(c, n->type.dtype, "(rank < keep ? 1 : 0)"));
}

typedef void Print(Cu *c, const Node *n);
static Print *const print[OP_COUNT] = {
    [OP_uniform] = draw,  [OP_gaussian] = draw, [OP_shuffle] = shuffle,
    [OP_place] = place,   [OP_topk] = topk,     [OP_largest] = largest,
    [OP_rank] = rank,     [OP_cumsum] = cumsum, [OP_repeat] = copy,
};

bool cuda_calls(Op op)
{
    return print[op];
}

void cuda_call(Cu *c)
{
    bool repeat = c->kernel->skeleton == SKEL_repeat;
    const Node *n = repeat ? c->kernel->repeat.node : c->kernel->node;
    print[n->op](c, n);
}
