/* Expressions and statements: values of a scope, nodes of its graph. */
#include "compiler/lang/elab.h"
#include <math.h>
#include <string.h>

const char *type_shape(const Type *t)
{
    const char *text = "";
    for (int i = 0; i < t->rank; i++)
        text = intern_printf("%s%s%s", text, i ? ", " : "",
                             size_text(t->dim[i]->size));
    return intern_printf("[%s]", text);
}

const char *dims_text(const Type *t)
{
    Type plain = *t;
    const char *text = type_text(&plain), *open = strchr(text, '[');
    return open ? open : "a number";
}

bool is_lifted(const Scope *s, const Dim *d)
{
    for (int i = 0; i < s->nlifted; i++)
        if (s->lifted[i] == d)
            return true;
    return false;
}

Node *as_node(Scope *s, Val v, Dtype t, const Ast *at)
{
    if (v.kind == V_node)
        return v.node;
    if (v.kind == V_size)
        return g_scalar(s->g, type_is_float(t) ? t : TYPE_f32, v.size);
    if (v.kind == V_bool)
        return graph_add(s->g, (Node){.op = OP_number, .type.dtype = TYPE_bool,
                                      .num = v.truth});
    if (v.kind != V_error)
        error_at(at->src, at->loc,
                 "a tensor or a number is needed, this is %s%s", val_found(&v),
                 v.kind == V_pick || v.kind == V_part || v.kind == V_inst
                     ? " (it is called with its input)"
                     : "");
    return NULL;
}

Node *eval_node(Scope *s, const Ast *e)
{
    return as_node(s, eval(s, e), TYPE_f32, e);
}

bool eval_size(Scope *s, const Ast *e, const Size **out)
{
    Val v = eval(s, e);
    if (v.kind == V_size) {
        *out = v.size;
        return true;
    }
    if (v.kind != V_error)
        error_at(e->src, e->loc, "a size is needed, this is %s",
                 val_found(&v));
    return false;
}

/* ---- names ---- */

static Val part_value(Part *p)
{
    if (p->array)
        return (Val){.kind = V_part, .part = p};
    return (Val){.kind = V_inst, .inst = p->inst[0]};
}

static Val member_of(Scope *s, Inst *inst, const char *name)
{
    Val *v = names_find(&inst->spoilt, name);
    Slot *slot = v ? NULL : inst_slot(inst, name);
    if (slot)
        return val_node(weight_node(s, slot));
    Part *part = v ? NULL : inst_part(inst, name);
    if (part)
        return part_value(part);
    if (!v)
        v = names_find(&inst->param, name);
    return v ? *v : (Val){.kind = V_list, .nlist = -1};
}

static bool found(const Val *v)
{
    return v->kind != V_list || v->nlist >= 0;
}

/* `input cluster[T]: C` of the module: a further column of the data. */
static bool input_column(Scope *s, const char *name, Val *out)
{
    for (int i = 0; i < s->inst->def->nkid; i++) {
        const Ast *in = s->inst->def->kid[i];
        if (!in || in->kind != AST_input || strcmp(in->text, name))
            continue;
        Node n = {.op = OP_input, .name = name, .label = name};
        const Dim *of = in->kid[1] ? want_dim(s, in->kid[1]) : NULL;
        n.type.dtype = in->kid[1] ? TYPE_i32 : TYPE_f32;
        n.type.index_of = of;
        *out = val_error;
        if ((of || !in->kid[1]) && read_dims(s, in->kid[0], &n.type))
            *out = val_node(graph_add(s->g, n));
        return true;
    }
    return false;
}

Val flag_value(Scope *s, const char *name)
{
    Node n = {.op = OP_flag, .type.dtype = TYPE_bool, .name = intern(name)};
    return val_node(graph_add(s->g, n));
}

static bool constant(const char *name, Val *v)
{
    if (!strcmp(name, "true") || !strcmp(name, "false"))
        *v = val_bool(*name == 't');
    else if (!strcmp(name, "none"))
        *v = (Val){.kind = V_none};
    else if (!strcmp(name, "pi"))
        *v = val_size(size_num(M_PI));
    else if (!strcmp(name, "zeros") || !strcmp(name, "ones"))
        *v = val_size(size_num(*name == 'o'));
    else
        return false;
    return true;
}

static const char *name_near(Scope *s, const char *name)
{
    const char *names[256];
    int n = 0;
    for (int i = 0; i < s->local.n && n < 100; i++)
        names[n++] = s->local.at[i].name;
    for (int i = 0; s->inst && i < s->inst->param.n && n < 150; i++)
        names[n++] = s->inst->param.at[i].name;
    for (int i = 0; s->inst && i < s->inst->slot.n && n < 200; i++)
        names[n++] = s->inst->slot.at[i].name;
    for (int i = 0; s->inst && i < s->inst->part.n && n < 250; i++)
        names[n++] = s->inst->part.at[i].name;
    return nearest(name, names, n);
}

static Val unknown_name(Scope *s, const Ast *e)
{
    const char *near = name_near(s, e->text);
    if (is_builtin(e->text))
        error_at(e->src, e->loc, "`%s` is a function: it wants arguments",
                 e->text);
    else
        error_at(e->src, e->loc, "nothing is called `%s` here%s", e->text,
                 near_text(near));
    return val_error;
}

static Val eval_name(Scope *s, const Ast *e)
{
    Val *v = names_find(&s->local, e->text), c;
    if (!v)
        v = names_find(&s->dims, e->text);
    if (v)
        return *v;
    if (s->each && !strcmp(e->text, s->each_name))
        return s->each_from ? val_node(weight_node(s, s->each))
                            : val_error;
    if (s->inst) {
        c = member_of(s, s->inst, e->text);
        if (found(&c) || input_column(s, e->text, &c))
            return c;
    }
    if (!strcmp(e->text, "T"))
        return (Val){.kind = V_size, .size = dim_T()->size, .dim = dim_T()};
    if (!strcmp(e->text, "training"))
        return flag_value(s, "training");
    return constant(e->text, &c) ? c : unknown_name(s, e);
}

static bool has_stat(const Ast *a, const char *name)
{
    if (!a)
        return false;
    if (a->kind == AST_stat && !strcmp(a->text, name))
        return true;
    for (int i = 0; i < a->nkid; i++)
        if (has_stat(a->kid[i], name))
            return true;
    return false;
}

/* `moe.usage`: what `stat usage` of the module came to when it was observed. */
static bool observed(Scope *s, const Ast *e, Inst *inst, Val *out)
{
    if (!has_stat(inst_forward(inst), e->text))
        return false;
    Graph *g = graph_new(s->model->arena, "stat");
    const char *name = intern_printf("stat.%s", e->text);
    forward_node(s->model, g, inst, NULL, true);
    Node *stat = graph_find_output(g, name);
    *out = val_error;
    if (!stat)
        return true;
    Weight *w = arena_alloc(s->model->arena, sizeof *w);
    w->path = join_path(inst->path, e->text);
    w->file = w->path;
    w->type = stat->type;
    w->type.dtype = TYPE_f32;
    w->other = intern("observe");
    Node n = {.op = OP_weight, .type = w->type, .weight = others_same(s, w)};
    *out = val_node(graph_add(s->g, n));
    return true;
}

static Val no_member(Scope *s, const Ast *e, const Inst *inst)
{
    (void)s;
    const char *near = inst_nearest(inst, e->text);
    error_at(e->src, e->name_loc, "`%s` has no part or weight `%s`%s",
             inst->def->text, e->text, near_text(near));
    return val_error;
}

static Val eval_dot(Scope *s, const Ast *e)
{
    Val base = eval(s, e->kid[0]);
    Inst *inst = base.kind == V_inst   ? base.inst
                 : base.kind == V_part ? base.part->inst[0]
                                       : NULL;
    if (base.kind == V_models)
        return others_member(s, base, e);
    if (!inst) {
        if (base.kind != V_error)
            error_at(e->src, e->name_loc,
                     "`.%s` of %s: only modules have parts%s", e->text,
                     val_text(&base),
                     strcmp(e->text, "T") ? ""
                                          : " (dims have names: nothing needs "
                                            "to be transposed)");
        return val_error;
    }
    Val v = member_of(s, inst, e->text);
    if (!found(&v) && s->each && !strcmp(e->text, s->each_name)) {
        Slot *slot = inst_slot(inst, s->each->name);
        if (slot)
            return val_node(weight_node(s, slot));
        error_at(e->src, e->name_loc, "`%s` has no weight `%s`",
                 inst->def->text, s->each->name);
        return val_error;
    }
    return found(&v) || observed(s, e, inst, &v) ? v
                                                  : no_member(s, e, inst);
}

/* ---- calls ---- */

static Val call_value(Scope *s, const Ast *e, Val f)
{
    switch (f.kind) {
    case V_inst:  return call_inst(s, e, f.inst);
    case V_part:  return call_part(s, e, f.part, NULL);
    case V_pick:  return call_part(s, e, f.part, f.node);
    case V_error: return f;
    default:
        error_at(e->src, e->kid[0]->loc,
                 "only modules and functions can be called, this is %s",
                 val_text(&f));
        return val_error;
    }
}

static Val eval_call(Scope *s, const Ast *e)
{
    const Ast *f = e->kid[0];
    if (f->kind != AST_name)
        return call_value(s, e, eval(s, f));
    Val *local = names_find(&s->local, f->text);
    if (local && local->kind != V_size && local->kind != V_node)
        return call_value(s, e, *local);
    if (s->inst && names_find(&s->inst->spoilt, f->text))
        return val_error;
    if (s->inst && inst_part(s->inst, f->text))
        return call_value(s, e, part_value(inst_part(s->inst, f->text)));
    if (is_builtin(f->text))
        return call_builtin(s, e, f->text);
    Val v = s->inst ? member_of(s, s->inst, f->text) : val_error;
    if (local || (s->inst && found(&v)))
        return call_value(s, e, local ? *local : v);
    const char *near = s->inst ? inst_nearest(s->inst, f->text) : NULL;
    if (!near)
        near = builtin_nearest(f->text);
    error_at(f->src, f->loc, "no part or function is called `%s`%s",
             f->text, near_text(near));
    return val_error;
}

/* With numbers filled in, one mistake is told: others follow from it. */
static bool given_up(const Scope *s)
{
    return s->spec->diags->errors && !s->model->symbolic;
}

static Val eval_kind(Scope *s, const Ast *e)
{
    if (given_up(s))
        return val_error;
    switch (e->kind) {
    case AST_name:   return eval_name(s, e);
    case AST_number: return val_size(size_num(e->num));
    case AST_string: return val_string(e->text);
    case AST_dots:   return (Val){.kind = V_dots};
    case AST_neg:    return eval_neg(s, e);
    case AST_not:    return eval_not(s, e);
    case AST_binary: return eval_binary(s, e);
    case AST_cond:   return eval_cond(s, e);
    case AST_call:   return eval_call(s, e);
    case AST_index:  return eval_index(s, e);
    case AST_dot:    return eval_dot(s, e);
    case AST_block:  return run_block(s, e);
    case AST_list:   return list_written(s, e);
    case AST_named:  return eval(s, e->kid[0]);
    default:
        error_at(e->src, e->loc, "this cannot stand in an expression");
        return val_error;
    }
}

static void watched(const Spec *spec, const Ast *e, const Val *v)
{
    const Inst *inst = v->kind == V_inst ? v->inst
                       : v->kind == V_part || v->kind == V_pick
                           ? v->part->inst[0]
                           : NULL;
    if (v->kind != V_error)
        spec->watch(spec->watcher, e, val_text(v), inst ? inst->def : NULL);
}

/* Nodes made on the way know the expression and the instance they are of. */
Val eval(Scope *s, const Ast *e)
{
    if (!s->g)
        return eval_kind(s, e);
    struct Place was = s->g->here;
    s->g->here =
        (struct Place){e->src, e->loc, s->inst ? s->inst->path : NULL};
    Val v = eval_kind(s, e);
    s->g->here = was;
    if (s->spec->watch)
        watched(s->spec, e, &v);
    return v;
}
