/* Built-ins that choose and place: topk, count, largest, scatter. */
#include "compiler/lang/builtin.h"
#include <string.h>

static bool enough(Scope *s, const Ast *call, const Ast *k, const Dim *over_dim,
                   const Size *size)
{
    double left;
    Arena scratch = {0};
    if (!size_is_num(size_sub(over_dim->size, size), &left) || left >= 0)
        return true;
    const Ast *site = s->site ? s->site : call;
    const char *text = dsl_expr_text(&scratch, k->kid[0]);
    double n;
    bool plain = size_is_num(size, &n) && k->kid[0]->kind != AST_number;
    error_at(site->src, site->loc,
             "%s%s%s of %s = %s: top-k cannot keep more than there are",
             plain ? text : "", plain ? " = " : "", size_text(size),
             over_dim->name, size_text(over_dim->size));
    arena_free(&scratch);
    return false;
}

static const Ast *new_dim_arg(const Ast *call)
{
    for (int i = 2; i < call->nkid; i++)
        if (call->kid[i]->kind == AST_named &&
            strcmp(call->kid[i]->text, "over"))
            return call->kid[i];
    return NULL;
}

static Val pair(Scope *s, Node *a, Node *b)
{
    Val *list = arena_alloc(s->model->arena, 2 * sizeof *list);
    list[0] = val_node(a);
    list[1] = val_node(b);
    return (Val){.kind = V_list, .list = list, .nlist = 2};
}

Val built_topk(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    const Ast *k = new_dim_arg(call), *o = arg_named(call, "over");
    const Size *size;
    if (!k) {
        error_at(call->src, call->loc,
                 "topk names the dim it makes, as in topk(s, k: K)");
        return val_error;
    }
    if (!eval_size(s, k->kid[0], &size) || !x || !is_quantity(x, call))
        return val_error;
    if (!x->type.rank) {
        error_at(call->src, call->loc,
                 "topk takes the largest along a dim, this is one number");
        return val_error;
    }
    const Dim *from = x->type.dim[x->type.rank - 1];
    if (o)
        from = o->kid[0]->kind == AST_name
                   ? dim_in(s, &x->type, o->kid[0]->text) : NULL;
    if (!from)
        want_dim(s, o->kid[0]);
    else if (type_dim(&x->type, from) < 0)
        dim_not_there(call, o->kid[0], &x->type, from);
    if (!from || type_dim(&x->type, from) < 0)
        return val_error;
    if (!enough(s, call, k, from, size))
        return val_error;
    if (!size_fits(size)) {
        error_at(k->src, k->loc,
                 "topk keeps a whole number of at least 1, not %s",
                 size_text(size));
        return val_error;
    }
    const Dim *dims[2] = {from, new_dim(s, k->text, size)};
    Node *i = g_along(s->g, OP_topk, x, 2, dims);
    return pair(s, g_gather(s->g, x, from, i), i);
}

Val built_count(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *i = arg_node(s, call, 1);
    const Ast *arg = call->kid[2];
    const Dim *d = arg->kind == AST_name ? find_dim(s, arg->text) : NULL;
    if (!i)
        return val_error;
    if (!d || i->type.index_of != d || !i->type.rank) {
        error_at(call->src, call->loc, "count wants an index of %s, this is %s",
                 arg->text ? arg->text : "a dim", type_text(&i->type));
        return val_error;
    }
    Node *one = g_along(s->g, OP_onehot, i, 1, &d);
    const Dim *last = i->type.dim[i->type.rank - 1];
    return val_node(g_along(s->g, OP_sum, one, 1, &last));
}

Val built_place(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *i = arg_node(s, call, 1);
    if (!i)
        return val_error;
    if (!i->type.index_of || i->type.rank != 2) {
        error_at(call->src, call->loc,
                 "place wants the index of a topk, this is %s",
                 type_text(&i->type));
        return val_error;
    }
    return val_node(graph_add(s->g, (Node){.op = OP_place, .arg = {i}}));
}

Val built_largest(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1), *share = arg_node(s, call, call->nkid - 1);
    Ast but = *call;
    Dims d;
    but.nkid--;
    if (!x || !share || !dims_of(s, &but, 2, &x->type, &d))
        return val_error;
    if (share->type.rank) {
        error_at(call->src, call->kid[call->nkid - 1]->loc,
                 "the share is one number, this is %s",
                 type_text(&share->type));
        return val_error;
    }
    Node n = {.op = OP_largest, .arg = {x, share}, .ndim = d.n};
    memcpy(n.dim, d.at, sizeof d.at);
    return val_node(graph_add(s->g, n));
}

Val built_scatter(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    const Ast *to = call->kid[2];
    if (to->kind != AST_named) {
        error_at(to->src, to->loc, "scatter names its dim, as in "
                                   "scatter(y, T: t)");
        return val_error;
    }
    Node *i = eval_node(s, to->kid[0]);
    const Dim *d = find_dim(s, to->text);
    Node n = {.op = OP_scatter, .arg = {x, i}, .ndim = 1, .dim = {d}};
    Type t;
    if (!x || !i)
        return val_error;
    const char *why = d ? op_type(&n, &t) : "a dim";
    if (why) {
        error_at(call->src, call->loc, "scatter needs %s, got %s and %s", why,
                 type_text(&x->type), type_text(&i->type));
        return val_error;
    }
    return val_node(graph_add(s->g, n));
}
