/* Names and their values; the dims that names stand for. */
#include "compiler/lang/elab.h"
#include <math.h>
#include <string.h>

Val *names_find(const Names *n, const char *name)
{
    for (int i = n->n - 1; i >= 0; i--)
        if (!strcmp(n->at[i].name, name))
            return &n->at[i].value;
    return NULL;
}

void names_set(Arena *a, Names *n, const char *name, Val v)
{
    Val *old = names_find(n, name);
    if (old) {
        *old = v;
        return;
    }
    Named one = {name, v};
    list_push(a, n, one);
}

Names names_copy(Arena *a, const Names *old)
{
    Names copy = {0};
    for (int i = 0; i < old->n; i++)
        list_push(a, &copy, old->at[i]);
    return copy;
}

const Dim *dim_T(void)
{
    static const Dim *T;
    if (!T)
        T = dim_new("T", size_sym("T"));
    return T;
}

/* The dim that a parameter stands for; made the first time it is asked. */
const Dim *val_dim(Val *v, const char *name)
{
    if (v->kind != V_size)
        return NULL;
    if (!v->dim)
        v->dim = dim_new(name, v->size);
    return v->dim;
}

const Dim *find_dim(Scope *s, const char *name)
{
    Val *v = names_find(&s->dims, name);
    if (!v)
        v = names_find(&s->local, name);
    if (!v && s->inst)
        v = names_find(&s->inst->param, name);
    if (v)
        return val_dim(v, name);
    return !strcmp(name, "T") ? dim_T() : NULL;
}

const char *near_text(const char *near)
{
    return near ? intern_printf(" (did you mean `%s`?)", near) : "";
}

static const char *dim_near(Scope *s, const char *name)
{
    const char *names[128];
    int n = 0;
    names[n++] = "T";
    for (int i = 0; i < s->dims.n && n < 60; i++)
        names[n++] = s->dims.at[i].name;
    for (int i = 0; s->inst && i < s->inst->param.n && n < 120; i++)
        names[n++] = s->inst->param.at[i].name;
    return nearest(name, names, n);
}

const Dim *want_dim(Scope *s, const Ast *at)
{
    const Ast *site = s->site ? s->site : at;
    if (at->kind != AST_name) {
        error_at(at->src, at->loc, "the name of a dim is needed here");
        return NULL;
    }
    const Dim *d = find_dim(s, at->text);
    Val *v = names_find(&s->local, at->text);
    if (!v && s->inst)
        v = names_find(&s->inst->param, at->text);
    if (d || (v && v->kind == V_error))
        return d;
    if (v && v->kind != V_node)
        error_at(site->src, site->loc,
                 "`%s` is %s: a dim needs a whole number of at least 1",
                 at->text, val_found(v));
    else
        error_at(at->src, at->loc, "no dim `%s` here%s", at->text,
                 near_text(dim_near(s, at->text)));
    return NULL;
}

const char *val_text(const Val *v)
{
    switch (v->kind) {
    case V_error:  return "a mistake";
    case V_none:   return "none";
    case V_size:   return size_text(v->size);
    case V_bool:   return v->truth ? "true" : "false";
    case V_string: return intern_printf("\"%s\"", v->string);
    case V_json:   return "a part of the config";
    case V_node:   return type_text(&v->node->type);
    case V_dots:   return "..";
    case V_inst:   return intern_printf("the module `%s`", v->inst->def->text);
    case V_part:   return intern_printf("all of `%s`", v->part->name);
    case V_pick:   return intern_printf("one of `%s`", v->part->name);
    case V_models: return "other models";
    case V_place:  return "a permutation";
    case V_list:   return "several values";
    }
    BUG("a value of no kind");
}

const char *val_found(const Val *v)
{
    return v->field ? intern_printf("%s (%s of config.json)", val_text(v),
                                    v->field)
                    : val_text(v);
}

/* A whole number of at least 1, where it is known. */
bool size_fits(const Size *s)
{
    double n;
    return !size_is_num(s, &n) || (n >= 1 && n == floor(n) && n < 1e15);
}
