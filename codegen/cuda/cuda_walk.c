/* The walker of CUDA C: the value of a node where its dims stand at given
 * places, as an expression. Moving ops only change the places. A value that
 * more than one reads, or that is long, gets a variable. */
#include "codegen/cuda/cuda_text.h"
#include <string.h>

enum { LONG = 56 }; /* characters of an expression */

void cu_place(CuPlaces *p, const Dim *d, const char *at)
{
    int i = 0;
    while (i < p->n && p->at[i].dim != d)
        i++;
    if (i == p->n && p->n++ == (int)COUNT(p->at))
        BUG("a tree of more than %d dims", (int)COUNT(p->at));
    p->at[i] = (struct CuPlace){d, at};
}

const char *cu_place_of(const CuPlaces *p, const Dim *d)
{
    for (int i = 0; i < p->n; i++)
        if (p->at[i].dim == d)
            return p->at[i].at;
    BUG("dim %s has no place in its kernel", d->name);
}

static bool has_place(const CuPlaces *p, const Dim *d)
{
    for (int i = 0; i < p->n; i++)
        if (p->at[i].dim == d)
            return true;
    return false;
}

/* ---- memory ---- */

/* Row-major, by Horner's rule; 64 bits from the first product on. */
Expr cu_flat(Cu *c, int n, const Dim *const *d, const CuPlaces *p)
{
    const char *s = NULL;
    for (int i = 0; i < n; i++) {
        const char *at = cu_place_of(p, d[i]);
        if (!s)
            s = n > 1 ? cu_text(c, "(i64)%s", at) : at;
        else
            s = cu_text(c, i > 1 ? "(%s) * %s + %s" : "%s * %s + %s", s,
                        cu_size(c, d[i]), at);
    }
    return (Expr){s ? s : "0", n > 1 ? 3 : 0};
}

static const char *element(Cu *c, const Buffer *b, const CuPlaces *p)
{
    const Type *t = &b->type;
    const char *base = cu_arg(c, b);
    if (b->stacked)
        base = cu_text(c, "%s[%s]", base,
                       cu_flat(c, b->stacked, t->dim, p).text);
    return cu_text(c, "%s[%s]", base,
                   cu_flat(c, t->rank - b->stacked, t->dim + b->stacked, p)
                       .text);
}

Expr cu_load(Cu *c, const Buffer *b, const CuPlaces *p)
{
    return (Expr){cu_widened(c, b->type.dtype, element(c, b, p)), 0};
}

void cu_store(Cu *c, const Buffer *b, const CuPlaces *p, const char *value)
{
    cu_line(c, "%s = %s;", element(c, b, p),
            cu_narrowed(c, b->type.dtype, value));
}

/* ---- places ---- */

static const char *new_place(Cu *c, const Dim *d, const char *value)
{
    const char *name = cu_name(c, cu_index(c, d));
    cu_line(c, "int %s = %s;", name, value);
    return name;
}

void cu_unflatten(Cu *c, CuPlaces *p, int n, const Dim *const *d,
                  const char *flat, bool wide)
{
    for (int i = n - 1; i >= 0; i--) {
        const char *name = cu_index(c, d[i]), *size = cu_size(c, d[i]);
        if (has_place(p, d[i]))
            name = cu_name(c, name);
        const char *s = i ? cu_text(c, "%s %% %s", flat, size) : flat;
        if (wide)
            s = cu_text(c, strchr(s, ' ') ? "(int)(%s)" : "(int)%s", s);
        cu_line(c, "int %s = %s;", name, s);
        cu_place(p, d[i], name);
        flat = cu_text(c, "%s / %s", flat, size);
    }
}

static bool same_places(const Node *n, const CuPlaces *a, const CuPlaces *b)
{
    for (int i = 0; i < n->type.rank; i++) {
        const Dim *d = n->type.dim[i];
        if (has_place(a, d) != has_place(b, d) ||
            (has_place(a, d) &&
             strcmp(cu_place_of(a, d), cu_place_of(b, d)) != 0))
            return false;
    }
    return true;
}

/* ---- nodes ---- */

static Expr visit(Cu *c, const Node *n, const CuPlaces *p);

const char *cu_value(Cu *c, const Node *n, const CuPlaces *p)
{
    return visit(c, n, p).text;
}

static Expr moved(Cu *c, const Node *n, const CuPlaces *p, const char *at)
{
    CuPlaces to = *p;
    cu_place(&to, n->dim[0], at);
    return visit(c, n->arg[0], &to);
}

/* The place that an index has: an atom. */
static const char *index_at(Cu *c, const Node *index, const CuPlaces *p)
{
    Expr e = visit(c, index, p);
    if (!strpbrk(e.text, " [("))
        return e.text;
    const char *name = cu_name(c, index->label ? index->label : "at");
    cu_line(c, "int %s = %s;", name, e.text);
    list_push(c->arena, &c->known,
              (struct CuKnown){index, *p, {name, 0}});
    return name;
}

static Expr at_flatten(Cu *c, const Node *n, const CuPlaces *p)
{
    CuPlaces to = *p;
    const char *flat = cu_place_of(p, n->dim[0]);
    for (int i = n->ndim - 1; i >= 1; i--) {
        const char *size = cu_size(c, n->dim[i]);
        const char *s = i > 1 ? cu_text(c, "%s %% %s", flat, size) : flat;
        cu_place(&to, n->dim[i], new_place(c, n->dim[i], s));
        flat = cu_text(c, i > 2 ? "(%s / %s)" : "%s / %s", flat, size);
    }
    return visit(c, n->arg[0], &to);
}

static Expr at_split(Cu *c, const Node *n, const CuPlaces *p)
{
    const char *s = cu_place_of(p, n->dim[1]);
    for (int i = 2; i < n->ndim; i++)
        s = cu_text(c, i > 2 ? "(%s) * %s + %s" : "%s * %s + %s", s,
                    cu_size(c, n->dim[i]), cu_place_of(p, n->dim[i]));
    return moved(c, n, p, new_place(c, n->dim[0], s));
}

static const char *angle(Cu *c, const Node *n, const CuPlaces *p,
                         const char *which, const char *j)
{
    const Buffer *table = kernel_rope(c->kernel, n->rope);
    CuPlaces to = *p;
    cu_place(&to, table->type.dim[0], which);
    cu_place(&to, table->type.dim[1], cu_place_of(p, n->type.dim[0]));
    cu_place(&to, table->type.dim[2], j);
    return cu_load(c, table, &to).text;
}

/* Elements j and j + half of a head turn together. */
static Expr at_rope(Cu *c, const Node *n, const CuPlaces *p)
{
    const Dim *hd = n->type.dim[2];
    const char *j = cu_place_of(p, hd);
    int half = n->rope->rotary / 2;
    bool pairs = n->rope->pairs != 0;
    const char *turn = cu_name(c, "turn"), *pair = cu_name(c, "pair");
    const char *first = pairs ? cu_text(c, "%s %% 2 == 0", j)
                              : cu_text(c, "%s < %d", j, half);
    if (pairs) {
        cu_line(c, "int %s = %s < %d ? %s / 2 : -1;", turn, j, 2 * half, j);
        cu_line(c, "int %s = %s < 0 ? %s : %s ^ 1;", pair, turn, j, j);
    } else {
        cu_line(c, "int %s = %s < %d ? %s : %s < %d ? %s - %d : -1;", turn, j,
                half, j, j, 2 * half, j, half);
        cu_line(c, "int %s = %s < 0 ? %s : %s ? %s + %d : %s - %d;", pair,
                turn, j, first, j, half, j, half);
    }
    const char *at = cu_name(c, "angle");
    cu_line(c, "int %s = %s < 0 ? 0 : %s;", at, turn, turn);
    CuPlaces other = *p;
    cu_place(&other, hd, pair);
    const char *x = cu_name(c, "own"), *y = cu_name(c, "other");
    cu_line(c, "float %s = %s;", x, cu_value(c, n->arg[0], p));
    cu_line(c, "float %s = %s;", y, cu_value(c, n->arg[0], &other));
    const char *cs = cu_name(c, "cosine"), *sn = cu_name(c, "sine");
    cu_line(c, "float %s = %s;", cs, angle(c, n, p, "0", at));
    cu_line(c, "float %s = %s;", sn, angle(c, n, p, "1", at));
    const char *v = cu_name(c, "turned");
    Expr e = {cu_text(c, "%s < 0 ? %s : %s * %s + %s * (%s ? -%s : %s)",
                      turn, x, x, cs, y, first, sn, sn), 8};
    cu_line(c, "float %s = %s;", v, cu_rounded(c, n->type.dtype, e).text);
    return (Expr){v, 0};
}

/* Each side at the nearest place that it has. */
static Expr at_join(Cu *c, const Node *n, const CuPlaces *p)
{
    const char *j = cu_place_of(p, n->dim[2]), *size = cu_size(c, n->dim[0]);
    CuPlaces a = *p, b = *p;
    cu_place(&a, n->dim[0], new_place(c, n->dim[0],
             cu_text(c, "%s < %s ? %s : %s - 1", j, size, j, size)));
    cu_place(&b, n->dim[1], new_place(c, n->dim[1],
             cu_text(c, "%s < %s ? 0 : %s - %s", j, size, j, size)));
    const char *x = cu_name(c, "left"), *y = cu_name(c, "right");
    const char *type = cu_register(n->type.dtype);
    cu_line(c, "%s %s = %s;", type, x, cu_value(c, n->arg[0], &a));
    cu_line(c, "%s %s = %s;", type, y, cu_value(c, n->arg[1], &b));
    return (Expr){cu_text(c, "%s < %s ? %s : %s", j, size, x, y), 8};
}

static Expr at_cut(Cu *c, const Node *n, const CuPlaces *p)
{
    double first;
    const char *from = size_is_num(n->size, &first)
                           ? cu_text(c, "%.0f", first)
                           : cu_param(c, n->size, false, "first");
    return moved(c, n, p, new_place(c, n->dim[0],
                                    cu_text(c, "%s + %s", from,
                                            cu_place_of(p, n->dim[1]))));
}

static Expr at_position(Cu *c, const Node *n, const CuPlaces *p)
{
    const Expr pos = cu_load(c, kernel_positions(c->kernel), p);
    if (!n->type.index_of)
        return cu_rounded(c, n->type.dtype,
                          (Expr){cu_text(c, "(float)%s", pos.text), 2});
    const char *size = cu_size(c, n->type.index_of);
    return (Expr){cu_text(c, "%s < %s ? %s : %s - 1", pos.text, size, pos.text,
                          size), 8};
}

static Expr at_scalar(Cu *c, const Node *n, const CuPlaces *p)
{
    (void)p;
    double v;
    if (size_is_num(n->size, &v))
        return cu_number(c, n->type.dtype, v);
    bool real = cu_is_float(n->type.dtype);
    return cu_rounded(c, n->type.dtype,
                      (Expr){cu_param(c, n->size, real, "size"), 0});
}

static Expr elementwise(Cu *c, const Node *n, const CuPlaces *p)
{
    Expr arg[MAX_ARGS] = {{0}};
    if (!op_is_map(n->op))
        BUG("%s: no CUDA C computes %s here", c->kernel->name,
            op_info[n->op].name);
    for (int i = 0; i < node_args(n); i++)
        arg[i] = visit(c, n->arg[i], p);
    return cu_op(c, n, arg);
}

static Expr at_gather(Cu *c, const Node *n, const CuPlaces *p)
{
    return moved(c, n, p, index_at(c, n->arg[1], p));
}

static Expr at_slice(Cu *c, const Node *n, const CuPlaces *p)
{
    return moved(c, n, p, cu_text(c, "%.0f", n->num));
}

static Expr at_rename(Cu *c, const Node *n, const CuPlaces *p)
{
    return moved(c, n, p, cu_place_of(p, n->dim[1]));
}

static Expr at_iota(Cu *c, const Node *n, const CuPlaces *p)
{
    (void)c;
    return (Expr){cu_place_of(p, n->dim[0]), 0};
}

static Expr at_onehot(Cu *c, const Node *n, const CuPlaces *p)
{
    return (Expr){cu_text(c, "%s == %s ? 1.0f : 0.0f",
                          index_at(c, n->arg[0], p),
                          cu_place_of(p, n->dim[0])), 8};
}

static Expr at_itself(Cu *c, const Node *n, const CuPlaces *p)
{
    return visit(c, n->arg[0], p);
}

static Expr at_number(Cu *c, const Node *n, const CuPlaces *p)
{
    (void)p;
    return cu_number(c, n->type.dtype, n->num);
}

typedef Expr AtOp(Cu *c, const Node *n, const CuPlaces *p);
static AtOp *const at_op[OP_COUNT] = {
    [OP_gather] = at_gather,     [OP_slice] = at_slice,
    [OP_rename] = at_rename,     [OP_cut] = at_cut,
    [OP_join] = at_join,         [OP_position] = at_position,
    [OP_flatten] = at_flatten,   [OP_split] = at_split,
    [OP_iota] = at_iota,         [OP_onehot] = at_onehot,
    [OP_scalar] = at_scalar,     [OP_rope] = at_rope,
    [OP_expand] = at_itself,     [OP_order] = at_itself,
    [OP_number] = at_number,
};

bool cu_knows(Op op)
{
    return at_op[op] || op_is_map(op);
}

static Expr computed(Cu *c, const Node *n, const CuPlaces *p)
{
    Expr e = c->hole ? c->hole(c, n, p) : (Expr){NULL, 0};
    if (e.text)
        return e;
    const Buffer *b = kernel_leaf(c->kernel, n);
    if (b)
        return cu_load(c, b, p);
    return at_op[n->op] ? at_op[n->op](c, n, p) : elementwise(c, n, p);
}

static Expr visit(Cu *c, const Node *n, const CuPlaces *p)
{
    for (int i = c->known.n - 1; i >= 0; i--)
        if (c->known.at[i].node == n &&
            same_places(n, &c->known.at[i].at, p))
            return c->known.at[i].is;
    Expr e = computed(c, n, p);
    bool atom = !strpbrk(e.text, " [(");
    if (atom || (c->uses[n->id] < 2 && strlen(e.text) < LONG))
        return e;
    const Buffer *b = kernel_leaf(c->kernel, n);
    const char *wish = n->label ? n->label : op_info[n->op].name;
    if (b)
        wish = cu_text(c, "%s_at", cu_arg(c, b));
    const char *name = cu_name(c, wish);
    cu_line(c, "%s %s = %s;", cu_register(n->type.dtype), name, e.text);
    struct CuKnown k = {n, *p, {name, 0}};
    list_push(c->arena, &c->known, k);
    return k.is;
}

/* ---- how many read a node ---- */

static void count(Cu *c, const Node *n)
{
    if (c->uses[n->id]++ || kernel_leaf(c->kernel, n))
        return;
    if (c->kernel->skeleton != SKEL_map && kernel_hole(c->kernel, n))
        return;
    for (int i = 0; i < node_args(n); i++)
        count(c, n->arg[i]);
}

void cu_count_uses(Cu *c)
{
    size_t n = (size_t)c->plan->graph->node.n + 1;
    c->uses = arena_alloc(c->arena, n * sizeof *c->uses);
    for (int i = 0; i < c->kernel->nout; i++)
        if (c->kernel->out[i]->node)
            count(c, c->kernel->out[i]->node);
}
