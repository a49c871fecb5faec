/* `train` of a recipe: what is trained, on what, and every option. */
#include "compiler/check/recipe.h"
#include <string.h>

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
    RVal m = recipe_wanted(r, base, R_model, "train");
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

/* "constant, linear, cosine" */
static const char *word_list(const char *words)
{
    const char *out = "";
    for (const char *w = words; *w; w += strcspn(w, " "), w += *w == ' ')
        out = intern_printf("%s%s%.*s", out, *out ? ", " : "",
                            (int)strcspn(w, " "), w);
    return out;
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
        bool fits = v->kind == AST_number &&
                    (!whole || v->num == (double)(long)v->num) && v->num >= 0;
        if (!fits)
            error_at(v->src, v->loc, "%s wants %s, this is %.*s", o->text,
                     number, v->loc.len, v->src->text + v->loc.at);
        return;
    }
    if (v->kind != AST_name || !word_in(words, v->text))
        error_at(v->src, v->loc, words ? "%s is one of %s, not %.*s"
                                       : "nothing follows %s's value%s: %.*s",
                 o->text, words ? word_list(words) : "", v->loc.len,
                 v->src->text + v->loc.at);
}

static void train_option(Recipe *r, const Ast *o)
{
    if (o->kind == AST_after) {
        const Ast *def = spec_find(r->spec, AST_transform,
                                   call_name(o->kid[0]));
        if (!def)
            error_at(o->src, o->kid[0]->kid[0]->loc, "no transform `%s`%s",
                     call_name(o->kid[0]),
                     spec_hint(r->spec, AST_transform,
                               call_name(o->kid[0])));
        Arg arg[32];
        int n = 0;
        for (int i = 1; def && i < o->kid[0]->nkid; i++)
            recipe_arg(r, def, o->kid[0]->kid[i], arg, &n);
        return;
    }
    for (size_t row = 0; row < COUNT(train_options); row++) {
        if (strcmp(train_options[row].name, o->text))
            continue;
        if (!strcmp(o->text, "teacher")) {
            if (o->nkid == 1)
                recipe_wanted(r, o->kid[0], R_model, "teacher");
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

/* The option of that name before item `before`, or NULL. */
static const Ast *option(const Ast *t, int before, const char *name)
{
    for (int i = 2; i < before; i++)
        if (t->kid[i]->kind == AST_option && !strcmp(t->kid[i]->text, name))
            return t->kid[i];
    return NULL;
}

static void how_long(const Ast *t)
{
    const Ast *epochs = option(t, t->nkid, "epochs"),
              *steps = option(t, t->nkid, "steps");
    const Ast *late = !epochs || !steps               ? NULL
                      : steps->loc.at > epochs->loc.at ? steps
                                                       : epochs;
    if (late)
        error_at(late->src, late->loc,
                 "how long is said by `epochs` or by `steps`, not by both");
    Loc head = {t->loc.at, (int)strlen("train")};
    if (!epochs && !steps)
        error_at(t->src, head, "train needs `epochs` or `steps`: how long");
    if (!option(t, t->nkid, "batch"))
        error_at(t->src, head, "train needs `batch`: how many examples a step");
}

void recipe_train(Recipe *r, const Ast *t)
{
    for (int i = 0; i < t->kid[0]->nkid; i++)
        train_path(r, t->kid[0]->kid[i]);
    recipe_wanted(r, t->kid[1], R_data, "train .. on");
    int before = r->spec->diags->errors;
    for (int i = 2; i < t->nkid; i++) {
        const Ast *o = t->kid[i];
        if (o->kind == AST_option && option(t, i, o->text))
            error_at(o->src, o->name_loc, "`%s` is given twice", o->text);
        else
            train_option(r, o);
    }
    if (r->spec->diags->errors == before)
        how_long(t);
}
