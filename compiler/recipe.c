/* Recipes checked: every name, transform, parameter and option, before
 * anything is loaded. A model that is loaded is taken to be the first model of
 * the texts, its sizes unknown. */
#include "compiler/check.h"
#include <string.h>

typedef enum { R_error, R_model, R_data, R_text, R_number, R_list } Kind;
static const char *const kind_name[] = {"a mistake", "a model", "data",
                                        "a text",    "a number", "a list"};

typedef struct {
    Kind kind;
    Model *model; /* also of a list's elements */
} RVal;

typedef struct {
    Spec *spec;
    LIST(struct RName {
        const char *name;
        RVal value;
    }) name;
} Recipe;

static RVal of_kind(Kind k)
{
    return (RVal){.kind = k};
}

static RVal *find(Recipe *r, const char *name)
{
    for (int i = r->name.n - 1; i >= 0; i--)
        if (!strcmp(r->name.at[i].name, name))
            return &r->name.at[i].value;
    return NULL;
}

static void set(Recipe *r, const char *name, RVal v)
{
    struct RName one = {name, v};
    RVal *old = find(r, name);
    if (old)
        *old = v;
    else
        list_push(r->spec->arena, &r->name, one);
}

static RVal value(Recipe *r, const Ast *e);

static const char *near_text(const char *near)
{
    return near ? intern_printf(" (did you mean `%s`?)", near) : "";
}

static RVal name_value(Recipe *r, const Ast *e)
{
    const char *names[128];
    int n = 0;
    RVal *v = find(r, e->text);
    if (v)
        return *v;
    for (; n < r->name.n && n < 128; n++)
        names[n] = r->name.at[n].name;
    error_at(e->src, e->loc, "nothing is called `%s` here%s", e->text,
             near_text(nearest(e->text, names, n)));
    return of_kind(R_error);
}

static RVal wanted(Recipe *r, const Ast *e, Kind kind, const char *what)
{
    RVal v = value(r, e);
    if (v.kind != kind && v.kind != R_error) {
        error_at(e->src, e->loc, "%s wants %s, this is %s", what,
                 kind_name[kind], kind_name[v.kind]);
        return of_kind(R_error);
    }
    return v;
}

/* ---- functions of recipes ---- */

static Model *any_model(Recipe *r)
{
    for (int i = 0; i < r->spec->def.n; i++)
        if (r->spec->def.at[i]->kind == AST_model) {
            Model *m = symbolic_model(r->spec, r->spec->def.at[i]);
            Err err;
            return model_fill(m, &err) ? m : NULL;
        }
    return NULL;
}

/* load(path, dtype: "bf16") */
static RVal run_load(Recipe *r, const Ast *call)
{
    if (call->nkid < 2) {
        error_at(call->src, call->loc, "load wants the path of a model");
        return of_kind(R_error);
    }
    wanted(r, call->kid[1], R_text, "load");
    for (int i = 2; i < call->nkid; i++) {
        const Ast *a = call->kid[i];
        Dtype t;
        if (a->kind != AST_named || strcmp(a->text, "dtype"))
            error_at(a->src, a->loc, "load takes a path and dtype: \"..\"");
        else if (a->kid[0]->kind != AST_string ||
                 !type_find(a->kid[0]->text, &t))
            error_at(a->src, a->kid[0]->loc, "no such element type");
    }
    return (RVal){R_model, any_model(r)};
}

static const char *const styles[] = {"xft", "human-assistant"};

static void style(const Ast *a)
{
    const char *text = a->kind == AST_string ? a->text : "";
    for (size_t i = 0; i < COUNT(styles); i++)
        if (!strcmp(styles[i], text))
            return;
    error_at(a->src, a->loc, "no style \"%s\"%s; there are \"xft\" and "
                             "\"human-assistant\"",
             text, near_text(nearest(text, styles, COUNT(styles))));
}

/* instruct(file, style: "xft", length: 1024) */
static RVal run_instruct(Recipe *r, const Ast *call)
{
    if (call->nkid < 2) {
        error_at(call->src, call->loc, "instruct wants a file of pairs");
        return of_kind(R_error);
    }
    wanted(r, call->kid[1], R_text, "instruct");
    for (int i = 2; i < call->nkid; i++) {
        const Ast *a = call->kid[i];
        if (a->kind == AST_named && !strcmp(a->text, "style"))
            style(a->kid[0]);
        else if (a->kind == AST_named && !strcmp(a->text, "length"))
            wanted(r, a->kid[0], R_number, "length");
        else
            error_at(a->src, a->loc,
                     "instruct takes a file, style: and length:");
    }
    return of_kind(R_data);
}

/* text(file, length: 1024): plain text, every token learned. */
static RVal run_text(Recipe *r, const Ast *call)
{
    if (call->nkid < 2) {
        error_at(call->src, call->loc, "text wants a file");
        return of_kind(R_error);
    }
    wanted(r, call->kid[1], R_text, "text");
    for (int i = 2; i < call->nkid; i++) {
        const Ast *a = call->kid[i];
        if (a->kind == AST_named && !strcmp(a->text, "length"))
            wanted(r, a->kid[0], R_number, "length");
        else
            error_at(a->src, a->loc, "text takes a file and length:");
    }
    return of_kind(R_data);
}

static const struct {
    const char *name;
    RVal (*run)(Recipe *r, const Ast *call);
} functions[] = {
    {"load", run_load}, {"instruct", run_instruct}, {"text", run_text}};

/* ---- transforms ---- */

static const Ast *param_named(const Ast *def, const char *name)
{
    const Ast *params = def->kid[0];
    for (int i = 0; i < params->nkid; i++)
        if (!strcmp(params->kid[i]->text, name))
            return params->kid[i];
    return NULL;
}

static const char *param_near(const Ast *def, const char *name)
{
    const char *names[64];
    int n = 0;
    for (; n < def->kid[0]->nkid && n < 64; n++)
        names[n] = def->kid[0]->kid[n]->text;
    return nearest(name, names, n);
}

static bool transform_arg(Recipe *r, const Ast *def, const Ast *a, Arg *out,
                          int *n)
{
    if (a->kind != AST_named) {
        error_at(a->src, a->loc,
                 "after the model, `%s` takes its parameters by name",
                 def->text);
        return false;
    }
    const Ast *p = param_named(def, a->text);
    if (!p) {
        error_at(a->src, a->name_loc, "transform `%s` has no parameter `%s`%s",
                 def->text, a->text, near_text(param_near(def, a->text)));
        return false;
    }
    RVal v = value(r, a->kid[0]);
    if (p->kind == AST_param_model) {
        if (v.kind != R_list && v.kind != R_model && v.kind != R_error)
            error_at(a->src, a->kid[0]->loc, "`%s` wants models, this is %s",
                     p->text, kind_name[v.kind]);
        return v.kind != R_error;
    }
    if (a->kid[0]->kind == AST_number && *n < 32)
        out[(*n)++] = (Arg){a->text, a->kid[0]->text};
    return v.kind != R_error;
}

static RVal apply(Recipe *r, const Ast *def, const Ast *call)
{
    Arg arg[32];
    int n = 0;
    bool ok = true;
    Err err = {""};
    if (call->nkid < 2 || call->kid[1]->kind == AST_named) {
        error_at(call->src, call->loc, "`%s` wants a model first", def->text);
        return of_kind(R_error);
    }
    RVal m = wanted(r, call->kid[1], R_model, def->text);
    for (int i = 2; i < call->nkid; i++)
        ok &= transform_arg(r, def, call->kid[i], arg, &n);
    if (m.kind == R_error || !ok)
        return of_kind(R_error);
    if (!m.model)
        return m;
    Model *made = model_transform(r->spec, m.model, def->text, arg, n, NULL, 0,
                                  &err);
    if (!made && !r->spec->diags->errors)
        error_at(call->src, call->loc, "%s", err.text);
    return made ? (RVal){R_model, made} : of_kind(R_error);
}

static RVal call_value(Recipe *r, const Ast *e)
{
    const char *name = e->kid[0]->kind == AST_name ? e->kid[0]->text : "";
    const Ast *def = spec_find(r->spec, AST_transform, name);
    if (def)
        return apply(r, def, e);
    for (size_t i = 0; i < COUNT(functions); i++)
        if (!strcmp(functions[i].name, name))
            return functions[i].run(r, e);
    const char *near = spec_nearest(r->spec, AST_transform, name);
    error_at(e->src, e->kid[0]->loc, "no transform or function `%s`%s", name,
             near_text(near));
    return of_kind(R_error);
}

static RVal list_value(Recipe *r, const Ast *e)
{
    RVal v = {R_list, NULL};
    for (int i = 0; i < e->nkid; i++) {
        RVal one = value(r, e->kid[i]);
        if (one.kind == R_model)
            v.model = one.model;
    }
    return v;
}

static RVal value(Recipe *r, const Ast *e)
{
    switch (e->kind) {
    case AST_name:   return name_value(r, e);
    case AST_number: return of_kind(R_number);
    case AST_string: return of_kind(R_text);
    case AST_list:   return list_value(r, e);
    case AST_call:   return call_value(r, e);
    case AST_index:
        value(r, e->kid[1]);
        return (RVal){R_model, wanted(r, e->kid[0], R_list, "[..]").model};
    case AST_neg:    return wanted(r, e->kid[0], R_number, "-");
    case AST_binary:
        if (wanted(r, e->kid[0], R_number, e->text).kind == R_error ||
            wanted(r, e->kid[1], R_number, e->text).kind == R_error)
            return of_kind(R_error);
        return of_kind(R_number);
    default:
        error_at(e->src, e->loc, "this cannot stand in a recipe");
        return of_kind(R_error);
    }
}

/* ---- train ---- */

typedef struct {
    const char *name;
    bool found;
    const char *all[256];
    int n;
} Look;

static void look_in(Inst *inst, void *user)
{
    Look *l = user;
    for (int i = 0; i < inst->slot.n; i++) {
        l->found |= !strcmp(inst->slot.at[i].name, l->name);
        if (l->n < 256)
            l->all[l->n++] = inst->slot.at[i].name;
    }
    for (int i = 0; i < inst->part.n; i++) {
        l->found |= !strcmp(inst->part.at[i].name, l->name);
        if (l->n < 256)
            l->all[l->n++] = inst->part.at[i].name;
    }
}

static bool learns(const Model *m, const char *name)
{
    for (int i = 0; i < m->applied.n; i++) {
        const Ast *def = m->applied.at[i]->def;
        for (int j = 0; j < def->nkid; j++)
            for (int k = 0; def->kid[j]->kind == AST_learn &&
                            k < def->kid[j]->nkid;
                 k++)
                if (!strcmp(def->kid[j]->kid[k]->text, name))
                    return true;
    }
    return false;
}

/* moe, moe.router, merged.mix: every part or weight of that name. */
static void train_path(Recipe *r, const Ast *p)
{
    const Ast *base = p->kind == AST_dot ? p->kid[0] : p;
    if (base->kind != AST_name) {
        error_at(p->src, p->loc, "train wants MODEL or MODEL.part");
        return;
    }
    RVal m = wanted(r, base, R_model, "train");
    if (p->kind != AST_dot || !m.model || m.kind == R_error)
        return;
    Look l = {.name = p->text};
    inst_walk(m.model->root, look_in, &l);
    if (!l.found && !learns(m.model, p->text))
        error_at(p->src, p->name_loc,
                 "the model has no part or weight `%s`%s", p->text,
                 near_text(nearest(p->text, l.all, l.n)));
}

/* What an option's values are: a number, or one of the words. */
static const struct {
    const char *name, *number, *words;
} train_options[] = {
    /* name        number               words that may follow or stand alone */
    {"batch",     "a whole number",     NULL},
    {"epochs",    "a number",           NULL},
    {"steps",     "a whole number",     NULL},
    {"lr",        "a number",           "constant linear cosine"},
    {"warmup",    "a whole number",     NULL},
    {"optimizer", NULL,                 "adafactor adamw sgd"},
    {"weights",   NULL,                 "f32 bf16"},
    {"decay",     "a number",           NULL},
    {"clip",      "a number",           NULL},
    {"seed",      "a whole number",     NULL},
    {"teacher",   NULL,                 NULL},
    {"mix",       "a number",           NULL},
    {"temperature", "a number",         NULL},
};

static bool word_in(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *w = words; w && *w; w += strcspn(w, " "), w += *w == ' ')
        if (strcspn(w, " ") == len && !strncmp(w, word, len))
            return true;
    return false;
}

static const char *option_near(const char *name)
{
    const char *names[COUNT(train_options)];
    for (size_t i = 0; i < COUNT(train_options); i++)
        names[i] = train_options[i].name;
    return nearest(name, names, COUNT(train_options));
}

static void option_value(const Ast *o, int row, const Ast *v, int at)
{
    const char *number = train_options[row].number,
               *words = train_options[row].words;
    bool whole = number && strstr(number, "whole");
    if (number && at == 0) {
        if (v->kind != AST_number || (whole && v->num != (double)(long)v->num))
            error_at(v->src, v->loc, "%s wants %s", o->text, number);
        return;
    }
    if (v->kind != AST_name || !word_in(words, v->text))
        error_at(v->src, v->loc, "%s: `%s` is not one of: %s", o->text,
                 v->text ? v->text : "this", words ? words : "(nothing)");
}

static void train_option(Recipe *r, const Ast *o)
{
    if (o->kind == AST_after) {
        const Ast *def = spec_find(r->spec, AST_transform,
                                   call_name(o->kid[0]));
        if (!def)
            error_at(o->src, o->kid[0]->loc, "no transform `%s`%s",
                     call_name(o->kid[0]),
                     near_text(spec_nearest(r->spec, AST_transform,
                                            call_name(o->kid[0]))));
        return;
    }
    for (size_t row = 0; row < COUNT(train_options); row++) {
        if (strcmp(train_options[row].name, o->text))
            continue;
        if (!strcmp(o->text, "teacher")) {
            if (o->nkid == 1)
                wanted(r, o->kid[0], R_model, "teacher");
            return;
        }
        if (!o->nkid)
            error_at(o->src, o->loc, "%s wants a value", o->text);
        for (int i = 0; i < o->nkid; i++)
            option_value(o, (int)row, o->kid[i], i);
        return;
    }
    error_at(o->src, o->name_loc, "train has no option `%s`%s", o->text,
             near_text(option_near(o->text)));
}

static void train(Recipe *r, const Ast *t)
{
    for (int i = 0; i < t->kid[0]->nkid; i++)
        train_path(r, t->kid[0]->kid[i]);
    wanted(r, t->kid[1], R_data, "train .. on");
    for (int i = 2; i < t->nkid; i++)
        train_option(r, t->kid[i]);
}

/* ---- statements ---- */

static void items(Recipe *r, const Ast *block, int from);

static void loop(Recipe *r, const Ast *f)
{
    RVal in = value(r, f->kid[0]);
    if (in.kind != R_list && in.kind != R_number && in.kind != R_error)
        error_at(f->src, f->kid[0]->loc, "for wants a list or a number");
    set(r, f->text, in.kind == R_list && in.model
                        ? (RVal){R_model, in.model}
                        : of_kind(in.kind == R_list ? R_text : R_number));
    items(r, f->kid[1], 0);
}

static void item(Recipe *r, const Ast *a)
{
    switch (a->kind) {
    case AST_assign: {
        RVal v = value(r, a->kid[1]);
        for (int i = 0; i < a->kid[0]->nkid; i++)
            set(r, a->kid[0]->kid[i]->text, v);
        break;
    }
    case AST_train: train(r, a); break;
    case AST_observe:
        wanted(r, a->kid[0], R_model, "observe");
        wanted(r, a->kid[1], R_data, "observe .. on");
        break;
    case AST_save:
        wanted(r, a->kid[0], R_model, "save");
        wanted(r, a->kid[1], R_text, "save .. to");
        break;
    case AST_eval:
        for (int i = 1; i < a->kid[0]->nkid; i++)
            value(r, a->kid[0]->kid[i]);
        break;
    case AST_for: loop(r, a); break;
    default: break;
    }
}

static void items(Recipe *r, const Ast *block, int from)
{
    for (int i = from; i < block->nkid; i++)
        item(r, block->kid[i]);
}

void check_recipe(Spec *s, const Ast *def)
{
    Recipe r = {.spec = s};
    const Ast *params = def->kid[0];
    for (int i = 0; i < params->nkid; i++) {
        const Ast *p = params->kid[i], *v = p->nkid ? p->kid[0] : NULL;
        set(&r, p->text, of_kind(v && v->kind == AST_number ? R_number
                                                             : R_text));
    }
    items(&r, def, 1);
}
