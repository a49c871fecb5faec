/* `each w = ...`: one formula for every weight of a part or a model. */
#include "compiler/lang/elab.h"
#include <string.h>

typedef struct {
    const char *name;
    bool found;
} Find;

static void find_named(Inst *inst, void *user)
{
    Find *f = user;
    f->found |= inst_slot(inst, f->name) != NULL;
}

/* `each b` where a weight is called b: hardly meant. */
static void warn_named(Inst *inst, const Ast *name)
{
    Find f = {name->text, false};
    if (strcmp(name->text, "w"))
        inst_walk(inst, find_named, &f);
    if (f.found)
        warning_at(name->src, name->loc,
                   "`%s` stands for every weight here, whatever it is called; "
                   "all that are called %s are `each ..%s`", name->text,
                   name->text, name->text);
}

static void each_slot(Scope *s, Inst *fresh, Inst *inst, const char *at, int i,
                      const Ast *item)
{
    Left left = {.slot = &inst->slot.at[i], .fresh = fresh != NULL,
                 .with_part = true};
    if (left.slot->absent)
        return;
    Scope r = right_scope(s, &left);
    Slot old = *left.slot;
    r.each = &old;
    r.each_at = at;
    r.each_name = item->kid[0]->text; /* w */
    r.each_from = fresh ? NULL : inst;
    Val v = eval(&r, item->kid[1]);
    give(&r, &left, as_node(&r, v, TYPE_f32, item->kid[1]), item->kid[1]);
}

/* `each ..b`: all that are called so; else all. True: there was one. */
static bool each_in(Scope *s, Inst *fresh, Inst *inst, const char *at,
                    const Ast *item)
{
    const Ast *path = item->kid[0];
    const char *only = path->kind == AST_dot &&
                               path->kid[0]->kind == AST_dots
                           ? path->text : NULL;
    int before = s->spec->diags->told;
    bool any = false;
    for (int i = 0; i < inst->slot.n; i++)
        if (s->spec->diags->told == before &&
            (!only || !strcmp(inst->slot.at[i].name, only))) {
            each_slot(s, fresh, inst, at, i, item);
            any = true;
        }
    if (s->spec->diags->told != before) {
        excuse(inst); /* one mistake, one message */
        return true;
    }
    for (int i = 0; i < inst->part.n; i++) {
        Part *p = &inst->part.at[i];
        for (int j = 0; j < (p->unrolled ? p->n : 1); j++) {
            if (s->spec->diags->told != before)
                return true;
            if (p->inst[j]->by && p->inst[j]->by == s->applying &&
                !(fresh && only))
                continue; /* what this transform put in has its values */
            const char *name = p->unrolled && !s->model->symbolic
                                   ? intern_printf("%s[%d]", p->name, j)
                                   : p->name;
            any |= each_in(s, fresh, p->inst[j], join_path(at, name), item);
        }
    }
    return any;
}

void bind_each(Scope *s, Inst *fresh, Inst *whole, const Ast *item)
{
    const Ast *path = item->kid[0];
    Left left = {0};
    if (path->kind == AST_dot && path->kid[0]->kind == AST_dots) {
        if (!each_in(s, fresh, whole, "", item))
            error_at(path->src, path->loc, "no weight is called `%s`",
                     path->text);
        return;
    }
    if (path->kind == AST_name) {
        warn_named(fresh ? fresh : whole, path);
        each_in(s, fresh, whole, "", item);
        return;
    }
    if (path->kind != AST_dot) {
        error_at(path->src, path->loc, "`each` is followed by w or PART.w");
        return;
    }
    if (resolve_left(s, fresh, path->kid[0], &left) && left.inst)
        each_in(s, fresh, left.inst, "", item);
}
