/* Warnings about the first step after a transform: a router that sends all
 * tokens to the same experts, or is sure of itself before it has learned. */
#include "compiler/check/lint.h"
#include <math.h>
#include <string.h>

enum { WIDTH = 1024 }; /* an unknown number of columns is taken to be this */
static const double SURE = 4; /* deviation of logits: one takes nearly all */

/* ---- where values were bound ---- */

static const char *last_name(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

/* The item of `replace` that gives the weight its value. */
static const Ast *bound_at(const Ast *replace, const Weight *w)
{
    for (int i = 2; i < replace->nkid; i++) {
        const Ast *left = replace->kid[i]->kid[0];
        if (replace->kid[i]->kind == AST_bind && left->text &&
            !strcmp(left->text, last_name(w->path)))
            return replace->kid[i];
    }
    return replace->kid[0];
}

typedef struct {
    const Weight *w;
    Node *value;
} Made;

/* A weight whose value stands under n. */
static const Weight *weight_under(const Graph *g, Node *n, Inst *inst)
{
    const bool *seen = flow_under(g, n, false);
    for (int i = 0; i < inst->slot.n; i++) {
        const Node *v = inst->slot.at[i].w->value;
        if (v && v->id < g->node.n && seen[v->id])
            return inst->slot.at[i].w;
    }
    return NULL;
}

/* ---- equal scores ---- */

static void equal_scores(Lint *l, const Graph *g, const Ast *replace,
                         Inst *fresh, const Node *n)
{
    ProveEnv env = {.arena = l->arena, .rules = l->rules};
    const Dim *E = n->dim[0], *k = n->dim[1];
    double all, kept;
    Prover p;
    if (E == dim_T() || !size_is_num(E->size, &all) ||
        !size_is_num(k->size, &kept) || kept >= all)
        return;
    prover_init(&p, l->arena, &env);
    if (term_has(term_of_node(&p, n->arg[0]), term_var(&p, E)))
        return;
    const Weight *w = weight_under(g, n->arg[0], fresh);
    const Ast *at = w ? bound_at(replace, w) : replace->kid[0];
    warning_at(at->src, at->loc,
               "all scores are equal at the start: every token goes to the "
               "first %g of %g experts, and the others get none and never "
               "learn (normal(0, 0.02) tells them apart)",
               kept, all);
}

/* ---- logits that are sure at the start ---- */

static double number_of(const Node *n)
{
    double v;
    while (n->op == OP_cast || n->op == OP_expand)
        n = n->arg[0];
    if (n->op == OP_number)
        return n->num;
    if (n->op != OP_scalar)
        return NAN;
    Size const *s = size_subst(n->size, "D", size_num(WIDTH));
    return size_is_num(s, &v) ? v : NAN;
}

/* The deviation of what an initialiser draws; NAN: it is none. */
static double deviation(const Node *n)
{
    while (n->op == OP_cast || n->op == OP_expand || n->op == OP_rename ||
           n->op == OP_order)
        n = n->arg[0];
    if (n->op == OP_gaussian)
        return 1;
    if (n->op == OP_uniform)
        return sqrt(1.0 / 12);
    if (n->op == OP_add)
        return deviation(n->arg[0]);
    if (n->op != OP_mul)
        return NAN;
    double by = number_of(n->arg[1]);
    if (isnan(by) && n->arg[1]->op == OP_sub)
        by = number_of(n->arg[1]->arg[0]) - number_of(n->arg[1]->arg[1]);
    return fabs(by) * deviation(n->arg[0]);
}

static double columns(const Node *contract)
{
    double n = 1, one;
    for (int i = 0; i < contract->ndim; i++)
        n *= size_is_num(contract->dim[i]->size, &one) ? one : WIDTH;
    return n;
}

static double spread(const Node *n, bool *unknown);

static double spread_contract(const Node *n, bool *unknown)
{
    double size, a = deviation(n->arg[0]), b = deviation(n->arg[1]);
    if (isnan(b))
        return NAN;
    *unknown |= !size_is_num(n->dim[0]->size, &size);
    return (isnan(a) ? spread(n->arg[0], unknown) : a) * b * sqrt(columns(n));
}

/* The deviation of scores, the normed x having 1; NAN: unknown. */
static double spread(const Node *n, bool *unknown)
{
    if (n->op == OP_input || n->op == OP_tanh)
        return 1;
    if (n->op == OP_contract)
        return spread_contract(n, unknown);
    if (n->op == OP_cast || n->op == OP_gather || n->op == OP_stop)
        return spread(n->arg[0], unknown);
    if (n->op == OP_mul)
        return spread(n->arg[0], unknown) * fabs(number_of(n->arg[1]));
    if (n->op == OP_div)
        return spread(n->arg[0], unknown) / fabs(number_of(n->arg[1]));
    return deviation(n);
}

static void sure_at_start(const Graph *g, const Ast *replace, Inst *fresh,
                          const Node *n)
{
    bool unknown = false;
    double s = spread(n->arg[0], &unknown);
    const Weight *w = weight_under(g, n->arg[0], fresh);
    if (isnan(s) || s <= SURE || !w)
        return;
    const Ast *at = bound_at(replace, w);
    warning_at(at->src, at->loc,
               "rows this long make logits of a deviation of %.3g%s: the "
               "softmax takes one expert with nearly all weight from the "
               "start, and the others hardly learn (normal(0, 0.02) is usual)",
               s, unknown ? " where D is 1024" : "");
}

void lint_start(Lint *l, const Ast *def, Attempt *t)
{
    const Ast *replace = first_of(def, AST_replace);
    Graph *g = t->m->weights;
    Node *y = forward_node(t->m, g, t->fresh, NULL, false);
    if (!y)
        return;
    const bool *seen = flow_under(g, y, false);
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        if (!seen[i])
            continue;
        if (n->op == OP_topk)
            equal_scores(l, g, replace, t->fresh, n);
        if (n->op == OP_softmax && n->ndim == 1 && n->dim[0] != dim_T())
            sure_at_start(g, replace, t->fresh, n);
    }
}
