/* `train` of a recipe: what is trained, on what, and its options. */
#include "compiler/check/recipe.h"
#include "compiler/check/train_options.h"
#include <math.h>
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

/* moe, moe.router, moe.expert.gate: every part or weight of that name (that is
 * in one of the name before). */
static void train_path(Recipe *r, const Ast *p)
{
    const Ast *base = p;
    while (base->kind == AST_dot)
        base = base->kid[0];
    if (base->kind != AST_name) {
        error_at(p->src, p->loc, "train wants MODEL or MODEL.part");
        return;
    }
    RVal m = recipe_wanted(r, base, R_model, "train");
    if (p->kind != AST_dot || !m.model || m.kind == R_error)
        return;
    Look l = {.name = p->text};
    inst_walk(m.model->root, look_in, &l);
    bool none = !l.found && !learns(m.model, p->text);
    if (none && m.folder && r->runs)
        return;
    if (none && m.folder)
        warning_at(p->src, p->name_loc,
                   "the model's text has no part or weight `%s`; a folder "
                   "with a text of its own may have one", p->text);
    else if (none)
        error_at(p->src, p->name_loc,
                 "the model has no part or weight `%s`%s", p->text,
                 near_text(nearest(p->text, l.all, l.n)));
}

static bool known_later(void *user, const Ast *name, double *out)
{
    *out = NAN;
    return recipe_wanted(user, name, R_number, "an option").kind == R_number;
}

static void after_step(Recipe *r, const Ast *o)
{
    const char *name = call_name(o->kid[0]);
    const Ast *def = spec_find(r->spec, AST_transform, name);
    if (!def)
        error_at(o->src, o->kid[0]->kid[0]->loc, "no transform `%s`%s", name,
                 spec_hint(r->spec, AST_transform, name));
    Arg arg[32];
    int n = 0;
    for (int i = 1; def && i < o->kid[0]->nkid; i++)
        recipe_arg(r, def, o->kid[0]->kid[i], arg, &n);
}

void recipe_train(Recipe *r, const Ast *t)
{
    for (int i = 0; i < t->kid[0]->nkid; i++)
        train_path(r, t->kid[0]->kid[i]);
    recipe_wanted(r, t->kid[1], R_data, "train .. on");
    for (int i = 2; i < t->nkid; i++)
        if (t->kid[i]->kind == AST_after)
            after_step(r, t->kid[i]);
    TrainValue v[TRAIN_OPTIONS];
    train_options(t, known_later, r, v);
    const Ast *teacher = v[TRAIN_teacher].at;
    if (teacher && teacher->nkid == 1)
        recipe_wanted(r, teacher->kid[0], R_model, "teacher");
    else if (teacher)
        error_at(teacher->src, teacher->loc, "teacher wants one model");
}
