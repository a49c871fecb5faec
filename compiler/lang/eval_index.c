/* Indexing: expert[i], layer[l], x[T: t]. */
#include "compiler/lang/builtin.h"
#include <math.h>
#include <string.h>

static const char *index_near(const Scope *s, const Dim *d)
{
    for (int i = 0; i < s->local.n; i++) {
        const Val *v = &s->local.at[i].value;
        if (v->kind == V_node && v->node->type.index_of == d)
            return s->local.at[i].name;
    }
    return NULL;
}

static Val bad_pick(Scope *s, const Ast *e, const Part *p, const Val *v)
{
    const Ast *item = e->kid[1];
    const char *near = index_near(s, p->array);
    const char *what = v->kind == V_node && !v->node->type.index_of
                           ? "a number"
                       : v->kind == V_node
                           ? intern_printf("an index of %s",
                                           v->node->type.index_of->name)
                           : val_text(v);
    error_at(item->src, item->loc,
             "`%s` is chosen by an index of %s; `%s` is %s%s", p->name,
             p->array->name, item->text ? item->text : "this", what,
             near_text(near));
    return val_error;
}

static Val pick(Scope *s, const Ast *e, Part *p)
{
    Val v = eval(s, e->kid[1]);
    double i;
    if (e->nkid != 2 || e->kid[1]->kind == AST_named) {
        error_at(e->src, e->loc, "`%s` takes one index", p->name);
        return val_error;
    }
    if (v.kind == V_error)
        return v;
    if (v.kind == V_node && v.node->type.index_of == p->array)
        return (Val){.kind = V_pick, .part = p, .node = v.node};
    if (v.kind != V_size || !p->unrolled)
        return bad_pick(s, e, p, &v);
    if (!size_is_num(v.size, &i) || p->n == 1)
        return (Val){.kind = V_inst, .inst = p->inst[0]};
    if (i < 0 || i >= p->n || i != floor(i)) {
        error_at(e->kid[1]->src, e->kid[1]->loc, "`%s` has 0 to %d, not %s",
                 p->name, p->n - 1, size_text(v.size));
        return val_error;
    }
    return (Val){.kind = V_inst, .inst = p->inst[(int)i]};
}

static Node *take(Scope *s, Node *x, const Ast *item)
{
    const Dim *d = dim_in(s, &x->type, item->text);
    if (!d || type_dim(&x->type, d) < 0) {
        error_at(item->src, item->name_loc, "no dim `%s` in %s", item->text,
                 dims_text(&x->type));
        return NULL;
    }
    if (item->kid[0]->kind == AST_range)
        return take_range(s, x, d, item);
    Val v = eval(s, item->kid[0]);
    if (v.kind == V_place)
        return take_place(s, x, d, v, item);
    if (v.kind == V_size) { /* x[T: 0], v[n: K - 1]: a scalar index */
        if (!size_lies_within(v.size, size_num(1), d->size)) {
            error_at(item->kid[0]->src, item->kid[0]->loc,
                     "`%s` is %s long: there is no %s in it", d->name,
                     size_text(d->size), size_text(v.size));
            return NULL;
        }
        Node at = {.op = OP_scalar, .type = {TYPE_i32, d, 0, {0}},
                   .size = v.size};
        double n;
        if (size_is_num(v.size, &n))
            at.op = OP_number, at.num = n, at.size = NULL;
        return g_gather(s->g, x, d, graph_add(s->g, at));
    }
    Node *i = as_node(s, v, TYPE_i32, item->kid[0]);
    if (i && i->type.index_of != d) {
        const char *near = index_near(s, d);
        error_at(item->kid[0]->src, item->kid[0]->loc,
                 "`%s:` wants an index of %s, this is %s%s", d->name,
                 d->name, type_text(&i->type), near_text(near));
        return NULL;
    }
    return i ? g_gather(s->g, x, d, i) : NULL;
}

Val eval_index(Scope *s, const Ast *e)
{
    Val base = eval(s, e->kid[0]);
    if (base.kind == V_error)
        return base;
    if (base.kind == V_part)
        return pick(s, e, base.part);
    if (base.kind == V_models)
        return others_index(s, base, e);
    if (base.kind == V_inst) {
        error_at(e->src, e->loc,
                 "this is one `%s`, not an array: it takes no index",
                 base.inst->def->text);
        return val_error;
    }
    if (base.kind == V_json && cJSON_IsArray(base.json))
        return list_at(s, e, &base);
    if (base.kind == V_size && s->model->symbolic && e->nkid == 2 &&
        e->kid[1]->kind != AST_named)
        return val_size(size_sym("element")); /* of an unknown list */
    Node *x = as_node(s, base, TYPE_f32, e->kid[0]);
    for (int i = 1; x && i < e->nkid; i++) {
        if (e->kid[i]->kind != AST_named) {
            error_at(e->kid[i]->src, e->kid[i]->loc,
                     "an index names its dim, as in x[T: t]");
            return val_error;
        }
        x = take(s, x, e->kid[i]);
    }
    return val_node(x);
}
