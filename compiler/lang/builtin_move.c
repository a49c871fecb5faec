/* Built-ins that move elements or tell places: expand, slices, concat, rename,
 * split, flatten, iota, position, cumsum, rank. */
#include "compiler/lang/builtin.h"
#include <string.h>

/* A dim that text does not declare: one a name and size in a forward, which
 * leaves the dim of that name what it is. */
static const Dim *part_dim(Scope *s, const char *name, const Size *size)
{
    const char *key = intern_printf("%s[%s]", name, size_text(size));
    if (!names_find(&s->dims, key))
        names_set(s->model->arena, &s->dims, key, val_size(size));
    return val_dim(names_find(&s->dims, key), name);
}

/* The dim of that name, if it is so long; else one made for here. */
static const Dim *dim_as_long(Scope *s, const char *name, const Size *size)
{
    const Dim *d = find_dim(s, name);
    if (d && d->size == size)
        return d;
    return d ? part_dim(s, name, size) : new_dim(s, name, size);
}

/* The node, if its rule takes it; else a message with all arguments' types. */
static Val checked(Scope *s, const Ast *call, Node n)
{
    Type t;
    const char *why = op_type(&n, &t), *got = "";
    if (!why)
        return val_node(graph_add(s->g, n));
    for (int i = 0; i < op_info[n.op].nargs; i++)
        got = intern_printf("%s%s%s", got, i ? " and " : "",
                            type_text(&n.arg[i]->type));
    error_at(call->src, call->loc, "%s needs %s, got %s",
             call->kid[0]->text ? call->kid[0]->text : "this", why, got);
    return val_error;
}

/* expand(x, E, ..): copies along dims that x lacks. */
Val built_expand(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    Dims d;
    if (!x || !dims_of(s, call, 2, NULL, &d))
        return val_error;
    for (int i = 0; i < d.n; i++)
        if (type_dim(&x->type, d.at[i]) >= 0) {
            error_at(call->src, call->kid[2 + i]->loc,
                     "%s has the dim %s already", type_text(&x->type),
                     d.at[i]->name);
            return val_error;
        }
    Node n = {.op = OP_expand, .arg = {x}, .ndim = d.n};
    memcpy(n.dim, d.at, sizeof d.at);
    return checked(s, call, n);
}

/* ---- x[H: a .. b] ---- */

static bool range_end(Scope *s, const Ast *e, const Size *missing,
                      const Size **out)
{
    *out = missing;
    return !e || eval_size(s, e, out);
}

Node *take_range(Scope *s, Node *x, const Dim *d, const Ast *item)
{
    const Ast *range = item->kid[0];
    const Size *from, *to;
    double n;
    if (!range_end(s, range->kid[0], size_num(0), &from) ||
        !range_end(s, range->kid[1], d->size, &to))
        return NULL;
    const Size *size = size_sub(to, from);
    if (!size_fits(size)) {
        error_at(range->src, range->loc,
                 "a part of %s is at least 1 long, this is %s", d->name,
                 size_text(size));
        return NULL;
    }
    if (size == d->size && size_is_num(from, &n) && n == 0)
        return x;
    Node cut = {.op = OP_cut, .arg = {x}, .ndim = 2,
                .dim = {d, part_dim(s, d->name, size)}, .size = from};
    Type t;
    if (op_type(&cut, &t)) {
        error_at(range->src, range->loc, "%s .. %s does not lie within %s, "
                 "which is 0 .. %s", size_text(from), size_text(to), d->name,
                 size_text(d->size));
        return NULL;
    }
    return graph_add(s->g, cut);
}

/* ---- concat(a, b, .., over: H) ---- */

/* The dim of a that is joined: that of the name, else the one that b lacks. */
static const Dim *joined_dim(const Type *a, const Type *b, const char *name)
{
    const Dim *odd = NULL;
    for (int i = 0; i < a->rank; i++)
        if (!strcmp(a->dim[i]->name, name))
            return a->dim[i];
    for (int i = 0; i < a->rank; i++)
        if (type_dim(b, a->dim[i]) < 0) {
            if (odd)
                return NULL;
            odd = a->dim[i];
        }
    return odd;
}

static Node *joined(Scope *s, const Ast *call, Node *a, Node *b,
                    const char *name)
{
    const Dim *x = joined_dim(&a->type, &b->type, name),
              *y = joined_dim(&b->type, &a->type, name);
    if (!x || !y) {
        error_at(call->src, call->loc,
                 "concat over %s needs one dim of each side that is %s or that "
                 "the other lacks, got %s and %s", name, name,
                 type_text(&a->type), type_text(&b->type));
        return NULL;
    }
    const Size *size = size_add(x->size, y->size);
    Node n = {.op = OP_join, .arg = {a, b}, .ndim = 3,
              .dim = {x, y, dim_as_long(s, name, size)}};
    return checked(s, call, n).node;
}

Val built_concat(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    const Ast *over = arg_named(call, "over");
    Node *all = NULL;
    if (!over || over->kid[0]->kind != AST_name) {
        error_at(call->src, call->loc,
                 "concat names the dim it goes along, as in "
                 "concat(a, b, over: H)");
        return val_error;
    }
    for (int i = 1; i < call->nkid; i++) {
        if (call->kid[i] == over)
            continue;
        Node *x = arg_node(s, call, i);
        if (!x)
            return val_error;
        all = all ? joined(s, call, all, x, over->kid[0]->text) : x;
        if (!all)
            return val_error;
    }
    return val_node(all);
}

/* ---- dims called or cut otherwise ---- */

/* rename(x, P: H): the dim P of x is H, which is as long. */
Val built_rename(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    for (int i = 2; x && i < call->nkid; i++) {
        const Ast *arg = call->kid[i];
        bool named = arg->kind == AST_named && arg->kid[0]->kind == AST_name;
        const Dim *d = named ? dim_in(s, &x->type, arg->text) : NULL;
        if (!d || type_dim(&x->type, d) < 0) {
            error_at(arg->src, arg->loc, "rename wants a dim of %s and its new "
                     "name, as in rename(x, P: H)", type_text(&x->type));
            return val_error;
        }
        const Dim *to = find_dim(s, arg->kid[0]->text);
        if (!to)
            to = new_dim(s, arg->kid[0]->text, d->size);
        if (to == d)
            continue;
        Node n = {.op = OP_rename, .arg = {x}, .ndim = 2, .dim = {d, to}};
        x = checked(s, call, n).node;
    }
    return val_node(x);
}

/* A dim of split: `g: G` makes it, a name is one that is there. */
static const Dim *split_dim(Scope *s, const Ast *arg)
{
    const Size *size;
    if (arg->kind != AST_named)
        return want_dim(s, arg);
    if (!eval_size(s, arg->kid[0], &size))
        return NULL;
    if (size_fits(size))
        return new_dim(s, arg->text, size);
    error_at(arg->src, arg->loc, "%s = %s: a dim's size must be a whole number "
             "of at least 1", arg->text, size_text(size));
    return NULL;
}

/* split(x, E, g: G, e: E / G) */
Val built_split(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    const Ast *which = call->kid[2];
    if (!x)
        return val_error;
    Node n = {.op = OP_split, .arg = {x}, .ndim = call->nkid - 2};
    n.dim[0] = which->kind == AST_name ? dim_in(s, &x->type, which->text)
                                       : NULL;
    if (!n.dim[0] || type_dim(&x->type, n.dim[0]) < 0) {
        error_at(which->src, which->loc, "split wants a dim of %s first",
                 type_text(&x->type));
        return val_error;
    }
    for (int i = 3; i < call->nkid; i++)
        if (!(n.dim[i - 2] = split_dim(s, call->kid[i])))
            return val_error;
    return checked(s, call, n);
}

/* flatten(x, g, e, to: E): dims become one, where the first of
 * them in x stands. */
Val built_flatten(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    const Ast *to = arg_named(call, "to");
    Ast dims = *call;
    Dims d;
    if (!to || to != call->kid[call->nkid - 1] ||
        to->kid[0]->kind != AST_name || call->nkid < 4) {
        error_at(call->src, call->loc, "flatten names the dims and the one "
                 "they become, as in flatten(x, g, e, to: E)");
        return val_error;
    }
    dims.nkid--;
    if (!x || !dims_of(s, &dims, 2, &x->type, &d))
        return val_error;
    Node order = {.op = OP_order, .arg = {x}};
    const Size *size = size_num(1);
    bool placed = false;
    for (int i = 0; i < x->type.rank; i++) {
        bool of = dim_among(x->type.dim[i], d.n, d.at);
        for (int j = 0; of && !placed && j < d.n; j++) {
            order.dim[order.ndim++] = d.at[j];
            size = size_mul(size, d.at[j]->size);
        }
        placed |= of;
        if (!of)
            order.dim[order.ndim++] = x->type.dim[i];
    }
    x = arrange(s->g, x, order.ndim, order.dim);
    Node n = {.op = OP_flatten, .arg = {x}, .ndim = d.n + 1,
              .dim = {dim_as_long(s, to->kid[0]->text, size)}};
    memcpy(n.dim + 1, d.at, (size_t)d.n * sizeof *d.at);
    return checked(s, call, n);
}

/* ---- places ---- */

Val built_iota(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Dims d;
    if (!dims_of(s, call, 1, NULL, &d))
        return val_error;
    Node n = {.op = OP_iota, .ndim = 1, .dim = {d.at[0]},
              .type = {TYPE_i32, d.at[0], 1, {d.at[0]}}};
    return val_node(graph_add(s->g, n));
}

/* position(T): a number for each token; position(T, P): an index of P. */
Val built_position(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Dims d;
    if (!dims_of(s, call, 1, NULL, &d))
        return val_error;
    if (d.at[0] != dim_T() || d.n != call->nkid - 1) {
        error_at(call->src, call->kid[1]->loc,
                 "position is of tokens: position(T), or position(T, P) as an "
                 "index of P");
        return val_error;
    }
    Node n = {.op = OP_position, .ndim = 1, .dim = {d.at[0]},
              .type = {TYPE_f32, NULL, 1, {d.at[0]}}};
    if (d.n > 1)
        n.type.dtype = TYPE_i32, n.type.index_of = d.at[1];
    return val_node(graph_add(s->g, n));
}

/* cumsum(x, E), rank(x, E, ..) */
Val built_order(Scope *s, const Ast *call, int op)
{
    Node *x = arg_node(s, call, 1);
    Dims d;
    if (!x || !is_quantity(x, call) || !dims_of(s, call, 2, &x->type, &d))
        return val_error;
    if (op == OP_cumsum && d.n != 1) {
        error_at(call->src, call->loc, "cumsum goes along one dim");
        return val_error;
    }
    Node n = {.op = (Op)op, .arg = {x}, .ndim = d.n};
    memcpy(n.dim, d.at, sizeof d.at);
    return checked(s, call, n);
}
