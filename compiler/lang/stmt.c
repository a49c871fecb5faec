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

/* "layer.ffn.usage": the path of its module from the one that is run, of a
 * repeated layer without its number. */
static const char *stat_name(const Scope *s, const char *name)
{
    const char *path = s->inst->path, *top = s->top->path;
    char text[512] = "stat.";
    size_t n = strlen(text), skip = strlen(top);
    if (!strncmp(path, top, skip))
        path += skip;
    for (path += *path == '.'; *path && n < sizeof text - 2; path++) {
        if (*path == '[' && s->body)
            path += strcspn(path, "]");
        else
            text[n++] = *path;
    }
    return intern_printf("%.*s%s%s", (int)n, text, n > 5 ? "." : "", name);
}

void add_loss(Graph *g, const char *name, Node *n)
{
    for (int i = 0; i < g->output.n; i++)
        if (!strcmp(g->output.at[i].name, name)) {
            Node **sum = &g->output.at[i].node;
            *sum = g_map2(g, OP_add, *sum, n);
            return;
        }
    graph_output(g, name, n);
}

void add_stat(Graph *g, const char *name, Node *n)
{
    const char *full = name;
    for (int i = 2; graph_find_output(g, full); i++)
        full = intern_printf("%s.%d", name, i);
    graph_output(g, full, n);
}

static void effect(Scope *s, const Ast *a)
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
    if (s->effects && a->kind == AST_loss)
        add_loss(s->g, intern_printf("loss.%s", a->text),
                 g_cast(s->g, TYPE_f32, n));
    else if (s->effects)
        add_stat(s->g, stat_name(s, a->text), n);
}

/* True: it was `return`, with its value. */
static bool run(Scope *s, const Ast *a, Val *result)
{
    if (!budget_step(s, a)) {
        *result = val_error;
        return a->kind == AST_return;
    }
    switch (a->kind) {
    case AST_assign: assign(s, a); return false;
    case AST_loss:   effect(s, a); return false;
    case AST_stat:   effect(s, a); return false;
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
