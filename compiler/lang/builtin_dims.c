/* Built-ins along dims: reductions, and what their arguments name. */
#include "compiler/lang/builtin.h"
#include <string.h>

Node *arg_node(Scope *s, const Ast *call, int i)
{
    return eval_node(s, call->kid[i]);
}

/* A named argument's value, or NULL. */
const Ast *arg_named(const Ast *call, const char *name)
{
    for (int i = 1; i < call->nkid; i++)
        if (call->kid[i]->kind == AST_named &&
            !strcmp(call->kid[i]->text, name))
            return call->kid[i];
    return NULL;
}

static const char *same_size(const Type *t, const Dim *d)
{
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i]->size == d->size)
            return t->dim[i]->name;
    return NULL;
}

void dim_not_there(const Ast *call, const Ast *arg, const Type *t,
                      const Dim *d)
{
    const char *same = d ? same_size(t, d) : NULL;
    if (same)
        error_at(arg->src, arg->loc,
                 "no dim %s in %s; %s is a size, the dim is %s", arg->text,
                 dims_text(t), arg->text, same);
    else
        error_at(arg->src, arg->loc, "%s over %s, but this is %s",
                 call->kid[0]->text, arg->text, dims_text(t));
}

static void dims_add(Dims *d, const Dim *one)
{
    for (int i = 0; i < d->n; i++)
        if (d->at[i] == one)
            return;
    if (d->n < MAX_RANK)
        d->at[d->n++] = one;
}

const Dim *dim_in(Scope *s, const Type *t, const char *name)
{
    const Dim *d = find_dim(s, name);
    for (int i = 0; t && (!d || type_dim(t, d) < 0) && i < t->rank; i++)
        if (!strcmp(t->dim[i]->name, name))
            return t->dim[i];
    return d;
}

bool dims_of(Scope *s, const Ast *call, int from, const Type *t,
                    Dims *out)
{
    *out = (Dims){0};
    for (int i = from; i < call->nkid; i++) {
        const Ast *arg = call->kid[i];
        if (arg->kind == AST_dots) {
            for (int j = 0; j < s->nown; j++)
                dims_add(out, s->own[j]);
            continue;
        }
        const Dim *d = arg->kind == AST_name ? dim_in(s, t, arg->text) : NULL;
        if (!d && arg->kind != AST_name) {
            error_at(arg->src, arg->loc,
                     "the name of a dim is needed here%s%s",
                     t ? ", one of " : "", t ? dims_text(t) : "");
            return false;
        }
        if (d && t && type_dim(t, d) < 0)
            dim_not_there(call, arg, t, d);
        if (!d)
            want_dim(s, arg);
        if (!d || (t && type_dim(t, d) < 0))
            return false;
        dims_add(out, d);
    }
    for (int i = 0; t && call->nkid == from && i < t->rank; i++)
        if (!is_lifted(s, t->dim[i]))
            dims_add(out, t->dim[i]);
    return true;
}

static Node *over(Scope *s, Op op, Node *x, const Dims *d)
{
    return d->n ? g_along(s->g, op, x, d->n, d->at) : x;
}

static const Size *count_of(const Dims *d)
{
    const Size *n = size_num(1);
    for (int i = 0; i < d->n; i++)
        n = size_mul(n, d->at[i]->size);
    return n;
}

static Node *mean(Scope *s, Node *x, const Dims *d)
{
    Node *sum = over(s, OP_sum, x, d);
    return g_map2(s->g, OP_div, sum,
                  g_scalar(s->g, sum->type.dtype, count_of(d)));
}

Val built_reduce(Scope *s, const Ast *call, int op)
{
    Node *x = arg_node(s, call, 1);
    Dims d;
    if (!x || !is_quantity(x, call))
        return val_error;
    if (!dims_of(s, call, 2, &x->type, &d)) {
        /* softmax keeps the type: go on as if it had been right */
        return op == OP_softmax ? val_node(x) : val_error;
    }
    return val_node(over(s, (Op)op, x, &d));
}

Val built_mean(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    Dims d;
    if (!x || !dims_of(s, call, 2, &x->type, &d))
        return val_error;
    return val_node(mean(s, x, &d));
}

Val built_norm(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    Dims d;
    if (!x || !dims_of(s, call, 2, &x->type, &d))
        return val_error;
    x = over(s, OP_sum, g_map2(s->g, OP_mul, x, x), &d);
    return val_node(g_map1(s->g, OP_sqrt, x));
}

/* var(v) / (mean(v)^2 + 1e-10), var with the n - 1 divisor; 0 for one. */
Val built_cv2(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    Dims d;
    if (!x || !dims_of(s, call, 2, &x->type, &d))
        return val_error;
    Graph *g = s->g;
    Dtype t = x->type.dtype;
    Node *m = mean(s, x, &d), *off = g_map2(g, OP_sub, x, m);
    const Size *less = size_sub(count_of(&d), size_num(1));
    Node *var = g_map2(g, OP_div,
                       over(s, OP_sum, g_map2(g, OP_mul, off, off), &d),
                       g_scalar(g, t, size_max(less, size_num(1))));
    Node *square = g_map2(g, OP_add, g_map2(g, OP_mul, m, m),
                          g_num(g, t, 1e-10));
    return val_node(g_map2(g, OP_div, var, square));
}

Val built_dot(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *a = arg_node(s, call, 1), *b = arg_node(s, call, 2);
    Node *ab = elementwise(s, OP_mul, a, b, call);
    Dims d;
    if (!ab || !dims_of(s, call, 3, &ab->type, &d))
        return val_error;
    return val_node(over(s, OP_sum, ab, &d));
}

Val built_size(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Dims d;
    if (!dims_of(s, call, 1, NULL, &d))
        return val_error;
    return val_size(count_of(&d));
}

const Dim *new_dim(Scope *s, const char *name, const Size *size)
{
    Val *old = names_find(&s->dims, name);
    if (old && old->size == size)
        return val_dim(old, name);
    Val v = val_size(size);
    const Dim *d = val_dim(&v, name);
    names_set(s->model->arena, &s->dims, name, v);
    return d;
}
