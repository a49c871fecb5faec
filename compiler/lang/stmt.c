/* Statements of a forward or of a formula's block. */
#include "compiler/lang/elab.h"
#include <string.h>

static void label(Val *v, const Ast *target)
{
    if (v->kind == V_node && !v->node->label)
        v->node->label = target->text;
}

static bool is_topk(const Ast *e)
{
    return e->kind == AST_call && e->kid[0]->text &&
           !strcmp(e->kid[0]->text, "topk");
}

static void assign(Scope *s, const Ast *a)
{
    const Ast *targets = a->kid[0];
    Val v = eval(s, a->kid[1]);
    int n = v.kind == V_list ? v.nlist : 1;
    if (n != targets->nkid && v.kind != V_error) {
        error_at(targets->src, targets->loc,
                 "%d name%s on the left, %d value%s on the right%s",
                 targets->nkid, targets->nkid == 1 ? "" : "s", n,
                 n == 1 ? "" : "s",
                 is_topk(a->kid[1]) ? ": values, then indices, as in "
                                      "v, i = topk(s, k: K)"
                                    : "");
        v = val_error;
    }
    for (int i = 0; i < targets->nkid; i++) {
        Val one = v.kind == V_list ? v.list[i] : v;
        label(&one, targets->kid[i]);
        names_set(s->model->arena, &s->local, targets->kid[i]->text, one);
    }
}

static void effect(Scope *s, const Ast *a, const char *kind)
{
    Node *n = eval_node(s, a->kid[0]);
    if (!n)
        return;
    if (a->kind == AST_loss && n->type.rank) {
        error_at(a->src, a->kid[0]->loc,
                 "a loss is one number, this is %s (sum or mean over %s)",
                 type_text(&n->type), n->type.dim[0]->name);
        return;
    }
    if (s->effects)
        graph_output(s->g, intern_printf("%s.%s", kind, a->text), n);
}

/* True: it was `return`, with its value. */
static bool run(Scope *s, const Ast *a, Val *result)
{
    switch (a->kind) {
    case AST_assign: assign(s, a); return false;
    case AST_loss:   effect(s, a, "loss"); return false;
    case AST_stat:   effect(s, a, "stat"); return false;
    case AST_for:    run_for(s, a); return false;
    case AST_return: *result = eval(s, a->kid[0]); return true;
    default:
        error_at(a->src, a->loc, "this cannot stand here");
        return false;
    }
}

void run_statement(Scope *s, const Ast *a)
{
    Val ignored;
    if (run(s, a, &ignored))
        error_at(a->src, a->loc,
                 "`return` stands at the end of forward, not in a loop");
}

Val run_block(Scope *s, const Ast *block)
{
    Val result = val_error;
    for (int i = 0; i < block->nkid; i++) {
        if (!run(s, block->kid[i], &result))
            continue;
        if (i + 1 < block->nkid)
            warning_at(block->src, block->kid[i + 1]->loc,
                       "nothing after `return` is run");
        return result;
    }
    error_at(block->src, block->loc,
             "this block returns nothing: it must end with `return`");
    return val_error;
}
