/* Warnings for all definitions of a spec: each is elaborated once more and
 * looked at. */
#include "compiler/check/lint.h"
#include <string.h>

static void lint_module(Lint *l, const Ast *def)
{
    Model *m = symbolic_model(l->spec, def);
    Inst *inst = inst_unknown(m, l->spec, def, def->text);
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
    const Ast *module;
    Attempt t;
    if (!match || !replace || !matched_modules(l->spec, def, &module, 1) ||
        !try_pattern(l->spec, def, module, true, &t))
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
