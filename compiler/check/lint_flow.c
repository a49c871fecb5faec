/* Warnings from what reaches the result and the losses: weights that nothing
 * reads or trains, losses without a gradient, tokens that see later ones. */
#include "compiler/check/lint.h"
#include <string.h>

enum { FEW = 300 }; /* steps to see that a loss is constant */

void flow_add(Node *n, bool gradient, bool *seen)
{
    if (seen[n->id])
        return;
    seen[n->id] = true;
    for (int i = 0; i < node_args(n); i++)
        if (!gradient || op_flows(n->op, i))
            flow_add(n->arg[i], gradient, seen);
}

bool *flow_under(const Graph *g, Node *n, bool gradient)
{
    bool *seen = arena_alloc(g->arena, (size_t)g->node.n + 1);
    flow_add(n, gradient, seen);
    return seen;
}

/* Is the weight among those seen? Layers of a repeat count as read. */
static bool has_weight(const Graph *g, const bool *seen, const Weight *w)
{
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        if (!seen[i])
            continue;
        if (n->op == OP_weight && n->weight == w)
            return true;
        for (int j = 0; n->op == OP_repeat && j < n->repeat->n; j++)
            for (int k = 0; k < n->repeat->at[j].body->nslots; k++)
                if (n->repeat->at[j].weight[k] == w)
                    return true;
    }
    return false;
}

typedef struct {
    const Graph *g;
    const bool *seen;
    int have, lack;
    const char *first; /* the first that is lacking */
} Count;

static void count_in(Inst *inst, void *user)
{
    Count *c = user;
    for (int i = 0; i < inst->slot.n; i++) {
        const Slot *s = &inst->slot.at[i];
        if (s->absent)
            continue;
        bool has = has_weight(c->g, c->seen, s->w);
        c->have += has;
        c->lack += !has;
        if (!has && !c->first)
            c->first = s->w->path;
    }
}

bool flow_reads(const Graph *g, const bool *seen, const Inst *inst)
{
    Count c = {.g = g, .seen = seen};
    inst_walk((Inst *)inst, count_in, &c);
    return c.have > 0;
}

/* ---- weights ---- */

static bool has_loss(const Ast *a, const char **name)
{
    if (!a)
        return false;
    if (a->kind == AST_loss) {
        *name = a->text;
        return true;
    }
    for (int i = 0; i < a->nkid; i++)
        if (has_loss(a->kid[i], name))
            return true;
    return false;
}

static void part_unread(const Inst *inst, const Part *p, const Graph *g,
                        const bool *seen)
{
    Count c = {.g = g, .seen = seen};
    const char *loss;
    size_t base = strlen(inst->path) + (*inst->path != 0);
    inst_walk(p->inst[0], count_in, &c);
    if (!c.lack)
        return;
    if (c.have)
        warning_at(p->decl->src, p->decl->name_loc,
                   "`%s` is never read: nothing that is returned, and no "
                   "loss, depends on it",
                   c.first + base);
    else if (has_loss(inst_forward(p->inst[0]), &loss))
        warning_at(p->decl->src, p->decl->name_loc,
                   "`%s` is never called: its weights are not read, and no "
                   "objective sees its loss `%s`",
                   p->name, loss);
    else
        warning_at(p->decl->src, p->decl->name_loc,
                   "`%s` is never called: its weights are not read", p->name);
}

static void weights_unread(const Inst *inst, const Graph *g, const bool *seen,
                           const bool *trained)
{
    for (int i = 0; i < inst->slot.n; i++) {
        const Slot *s = &inst->slot.at[i];
        if (s->absent)
            continue;
        if (!has_weight(g, seen, s->w))
            warning_at(s->decl->src, s->decl->name_loc,
                       "`%s` is never read: nothing that is returned, and no "
                       "loss, depends on it",
                       s->name);
        else if (!has_weight(g, trained, s->w))
            warning_at(s->decl->src, s->decl->name_loc,
                       "`%s` cannot be trained: no gradient reaches it, only "
                       "what is chosen, counted or stopped depends on it",
                       s->name);
    }
    for (int i = 0; i < inst->part.n; i++)
        part_unread(inst, &inst->part.at[i], g, seen);
}

/* ---- tokens ---- */

static bool over_tokens(const Node *n)
{
    if (n->op == OP_gather) /* x[T: 3] */
        return n->dim[0] == dim_T() && n->arg[1]->op == OP_number;
    return dim_among(dim_T(), op_over(n), n->dim);
}

static void tokens(const Graph *g, Node *y)
{
    const bool *seen = flow_under(g, y, false);
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        if (seen[i] && over_tokens(n) && n->src)
            warning_at(n->src, n->loc,
                       "this goes over T, so that a token's result depends "
                       "on later ones: a decoder's must not (a loss or stat "
                       "may)");
    }
}

/* ---- losses ---- */

static bool is_loss(const char *name)
{
    return !strncmp(name, "loss.", 5);
}

void lint_flow(const Inst *inst, const Graph *g, Node *y)
{
    bool *seen = flow_under(g, y, false), *trained = flow_under(g, y, true);
    for (int i = 0; i < g->output.n; i++) {
        flow_add(g->output.at[i].node, false, seen);
        if (is_loss(g->output.at[i].name))
            flow_add(g->output.at[i].node, true, trained);
    }
    weights_unread(inst, g, seen, trained);
    tokens(g, y);
}

static const Ast *loss_named(const Ast *a, const char *name)
{
    if (!a || (a->kind == AST_loss && !strcmp(a->text, name)))
        return a;
    for (int i = 0; i < a->nkid; i++) {
        const Ast *found = a->kid[i] ? loss_named(a->kid[i], name) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

static bool moves(const Graph *g, Node *loss)
{
    const bool *seen = flow_under(g, loss, true);
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        if (seen[i] && (n->op == OP_weight || n->op == OP_learned ||
                        n->op == OP_repeat ||
                        (n->op == OP_input && type_is_float(n->type.dtype))))
            return true;
    }
    return false;
}

void lint_losses(Lint *l, const Inst *inst, const Graph *g)
{
    for (int i = 0; i < g->output.n; i++) {
        const char *name = g->output.at[i].name;
        const Ast *at = is_loss(name) ? loss_named(inst_forward(inst),
                                                   name + 5) : NULL;
        Node *n = g->output.at[i].node;
        ProveEnv env = {.arena = l->arena, .rules = l->rules, .fuel = FEW};
        Prover p;
        if (!at)
            continue;
        prover_init(&p, l->arena, &env);
        const Size *constant = term_as_size(term_of_node(&p, n));
        if (constant)
            warning_at(at->src, at->name_loc,
                       "`%s` is always %s, whatever the router does: it has "
                       "no gradient and trains nothing",
                       at->text, size_text(constant));
        else if (!moves(g, n))
            warning_at(at->src, at->name_loc,
                       "`%s` has no gradient: only what is chosen, counted "
                       "or stopped depends on the weights",
                       at->text);
    }
}
