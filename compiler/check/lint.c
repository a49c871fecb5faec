/* Warnings for all definitions of a spec: each is elaborated once more and
 * looked at. */
#include "compiler/check/lint.h"
#include <string.h>

static void lint_module(Lint *l, const Ast *def)
{
    Model *m = symbolic_model(l->spec, def);
    Inst *inst = inst_unknown(m, l->spec, def, def->text, NULL,
                              FOLLOW_formulas);
    Graph *g = graph_new(l->arena, def->text);
    Node *y = inst_forward(inst) ? forward_node(m, g, inst, NULL, true) : NULL;
    if (!y)
        return;
    lint_flow(inst, g, y);
    lint_losses(l, inst, g);
    lint_routing(l, m, inst, g, y);
}

static void lint_model(Lint *l, const Ast *def)
{
    Model *m = symbolic_model(l->spec, def);
    Graph *g = graph_new(l->arena, def->text);
    Err err = {""};
    Node *y = model_fill(m, &err) ? forward_node(m, g, m->root, NULL, true)
                                  : NULL;
    if (y)
        lint_flow(m->root, g, y);
}

static void lint_transform(Lint *l, const Ast *def)
{
    const Ast *match = first_of(def, AST_match);
    const Ast *replace = first_of(def, AST_replace);
    const Ast *module, *call;
    Attempt t;
    if (!match || !replace ||
        !matched_modules(l->spec, def, &module, &call, 1) ||
        !try_pattern(l->spec, def, module, call, true, &t))
        return;
    lint_start(l, def, &t);
    lint_dead(l, t.m, t.fresh, replace->kid[0]);
}

static void lint_def(Lint *l, const Ast *def)
{
    Arena arena = {0};
    l->arena = &arena;
    lint_text(def);
    if (def->kind == AST_module)
        lint_module(l, def);
    if (def->kind == AST_model)
        lint_model(l, def);
    if (def->kind == AST_transform)
        lint_transform(l, def);
    arena_free(&arena);
}

/* The first module that the last transform put in. */
static void first_fresh(Inst *inst, void *user)
{
    struct {
        const Applied *by;
        Inst *first;
    } *look = user;
    if (!look->first && inst->by == look->by)
        look->first = inst;
}

static void lint_made(Lint *l, const struct Made *made)
{
    Model *m = made->model;
    struct {
        const Applied *by;
        Inst *first;
    } look = {m->applied.at[m->applied.n - 1], NULL};
    Arena arena = {0};
    l->arena = &arena;
    inst_walk(m->root, first_fresh, &look);
    if (look.first)
        lint_dead(l, m, look.first, made->at);
    arena_free(&arena);
}

void lint_spec(Spec *s, const Rules *rules)
{
    Lint l = {s, rules, NULL};
    for (int i = 0; i < s->def.n; i++)
        if (is_asked(s, s->def.at[i]))
            lint_def(&l, s->def.at[i]);
    for (int i = 0; i < s->made.n; i++)
        lint_made(&l, &s->made.at[i]);
}

typedef LIST(const Ast *) Defs;

/* The module that a call names, and those of its parts. */
static void add_modules(const Spec *s, Defs *to, const Ast *call)
{
    const Ast *def = spec_find(s, AST_module, call_name(call));
    for (int i = 0; i < to->n; i++)
        if (to->at[i] == def)
            return;
    if (!def)
        return;
    list_push(s->arena, to, def);
    for (int i = 0; i < def->nkid; i++)
        for (int j = 0; def->kid[i]->kind == AST_part &&
                        j < def->kid[i]->nkid; j++)
            if (def->kid[i]->kid[j] && def->kid[i]->kid[j]->kind == AST_call)
                add_modules(s, to, def->kid[i]->kid[j]);
}

void lint_put_in(Spec *s, const Rules *rules, const Ast *transform)
{
    Lint l = {s, rules, NULL};
    Defs defs = {0};
    const Ast *replace = first_of(transform, AST_replace);
    lint_def(&l, transform);
    if (replace)
        add_modules(s, &defs, replace->kid[0]);
    for (int i = 0; i < defs.n; i++)
        lint_def(&l, defs.at[i]);
}
