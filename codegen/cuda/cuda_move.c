/* Skeletons scatter and pack as CUDA C: values added up where an index says, in
 * the order of its elements; a value in the order that a matmul reads. */
#include "codegen/cuda/cuda_text.h"
#include "codegen/emit/kernel.h"

/* ---- scatter: a thread for each place of the values' own dims ---- */

typedef struct {
    const Dim *dim[MAX_RANK];
    int n;
} Dims;

static Dims own_dims(const Node *n)
{
    const Type *a = &n->arg[0]->type, *b = &n->arg[1]->type;
    Dims own = {.n = 0};
    for (int i = 0; i < a->rank; i++)
        if (type_dim(b, a->dim[i]) < 0)
            own.dim[own.n++] = a->dim[i];
    return own;
}

/* The place that goes over `count`, for which dims d then stand. */
static void each(Cu *c, CuPlaces *p, const char *name, int n,
                 const Dim *const *d)
{
    const char *count = n ? cu_text(c, "(i64)%s", cu_size(c, d[0])) : "1";
    for (int i = 1; i < n; i++)
        count = cu_text(c, "%s * %s", count, cu_size(c, d[i]));
    cu_open(c, "for (i64 %s = 0; %s < %s; %s++)", name, name, count, name);
    cu_unflatten(c, p, n, d, name, true);
}

void cuda_scatter(Cu *c)
{
    const Node *n = c->kernel->node;
    const Buffer *y = c->kernel->out[0];
    const Type *index = &n->arg[1]->type;
    Dims own = own_dims(n);
    CuPlaces p = {0};
    cu_items(c, cu_size_of(own.n, own.dim), cu_long(c, own.n, own.dim));
    cu_unflatten(c, &p, own.n, own.dim, "item", true);
    CuPlaces q = p;
    const char *to = cu_index(c, n->dim[0]);
    cu_place(&q, n->dim[0], to);
    cu_line(c, "for (int %s = 0; %s < %s; %s++)", to, to,
            cu_size(c, n->dim[0]), to);
    c->indent++;
    cu_store(c, y, &q, "0.0f");
    c->indent--;
    each(c, &p, "element", index->rank, index->dim);
    const char *at = cu_value(c, n->arg[1], &p);
    cu_line(c, "int to = %s;", at);
    cu_place(&p, n->dim[0], "to");
    const char *x = cu_value(c, n->arg[0], &p);
    cu_store(c, y, &p, cu_text(c, "%s + (%s)", cu_load(c, y, &p).text, x));
    cu_close(c);
}

/* ---- pack: rows of a column, all of K side by side, zeros behind ---- */

/* Where an element goes: which part, column and place of K it is of. */
static void find_element(Cu *c, const Pack *k, int rows)
{
    cu_line(c, "i64 element = item %% depth, row = item / depth;");
    cu_line(c, "i64 batch = row / %d;", rows);
    cu_line(c, "row %%= %d;", rows);
    if (k->parts > 1)
        cu_line(c, "int part = (int)(row / %d %% %d);", k->cols, k->parts);
    cu_line(c, k->parts > 1 ? "int col = (int)(row / %d * %d + row %% %d);"
                            : "int col = (int)row;",
            k->cols * k->parts, k->cols, k->cols);
}

static const char *value_of(Cu *c, const Pack *k, const CuPlaces *p)
{
    const char *s = cu_value(c, k->part[k->parts - 1], p);
    for (int i = k->parts - 2; i >= 0; i--)
        s = cu_text(c, "part == %d ? %s : %s", i, cu_value(c, k->part[i], p),
                    s);
    return s;
}

void cuda_pack(Cu *c)
{
    const Pack *k = &c->kernel->out[0]->pack;
    const char *to = cu_arg(c, c->kernel->out[0]), *K = cu_long(c, k->nk, k->k);
    int64_t columns = size_at(cu_size_of(k->nn, k->n), 1);
    int rows = (int)((columns + k->cols - 1) / k->cols * k->cols) * k->parts;
    const Size *padded = size_mul(
        size_ceil(size_div(cu_size_of(k->nk, k->k), size_num(PACK_K))),
        size_num(PACK_K));
    CuPlaces p = {0};
    cu_line(c, "i64 depth = (%s + %d) / %d * %d;", K, PACK_K - 1, PACK_K,
            PACK_K);
    cu_items(c, size_mul(size_mul(cu_size_of(k->nb, k->b), size_num(rows)),
                         padded),
             cu_text(c, "%s * %d * depth", cu_long(c, k->nb, k->b), rows));
    find_element(c, k, rows);
    cu_open(c, "if (element >= %s || col >= %d)", K, (int)columns);
    cu_line(c, "%s[item] = %s;", to, cu_narrowed(c, k->dtype, "0.0f"));
    cu_line(c, "return;");
    cu_close(c);
    cu_unflatten(c, &p, k->nb, k->b, "batch", true);
    cu_unflatten(c, &p, k->nn, k->n, "col", false);
    cu_unflatten(c, &p, k->nk, k->k, "element", true);
    cu_line(c, "%s[item] = %s;", to,
            cu_narrowed(c, k->dtype, value_of(c, k, &p)));
}
