/* Warnings about experts: weights that do not sum to 1, a branch whose weight
 * is 0 at the sizes given. */
#include "compiler/check/lint.h"
#include <string.h>

/* ---- one expert for all ---- */

typedef struct {
    const Inst *inst; /* the module with the experts */
    const Part *part; /* the experts; others of their kind are equal too */
    bool alone;       /* but for others: those stay what they are */
    bool gone;        /* their weights are 0 */
    bool flags;       /* parameters that are true or false are this */
    const Inst *one;
} Equal;

static bool same_kind(const Inst *a, const Inst *b)
{
    if (a->def != b->def || a->param.n != b->param.n)
        return false;
    for (int i = 0; i < a->param.n; i++) {
        const Val *x = &a->param.at[i].value, *y = &b->param.at[i].value;
        if (x->kind != y->kind || x->size != y->size)
            return false;
    }
    return true;
}

/* Are there other parts of the experts' kind? */
static bool has_kin(const Inst *inst, const Part *part)
{
    for (int i = 0; i < inst->part.n; i++)
        if (&inst->part.at[i] != part &&
            same_kind(inst->part.at[i].inst[0], part->inst[0]))
            return true;
    return false;
}

static const Weight *counterpart(const Equal *e, const char *path)
{
    size_t base = strlen(e->inst->path);
    if (strncmp(path, e->inst->path, base) || path[base] != '.')
        return NULL;
    path += base + 1;
    for (int i = 0; i < e->inst->part.n; i++) {
        const Part *p = &e->inst->part.at[i];
        size_t len = strlen(p->name);
        if (strncmp(path, p->name, len) || path[len] != '.' ||
            (e->alone && p != e->part) ||
            !same_kind(p->inst[0], e->part->inst[0]))
            continue;
        const char *rest = strrchr(path + len, '.');
        char *up = rest > path + len ? strndup(path + len + 1,
                                               (size_t)(rest - path) - len - 1)
                                     : strdup("");
        Inst *at = *up ? inst_at((Inst *)e->one, up) : (Inst *)e->one;
        Slot *slot = at ? inst_slot(at, rest + 1) : NULL;
        free(up);
        return slot ? slot->w : NULL;
    }
    return NULL;
}

static bool all_of_one(const Node *n)
{
    double size;
    for (int i = 0; i < n->ndim; i++)
        if (!size_is_num(n->dim[i]->size, &size) || size != 1)
            return false;
    return n->ndim > 0;
}

/* A softmax over one is 1; a sum or a largest is the one. */
static Node *of_one(Graph *to, Node n, const Node *old, void *user)
{
    (void)old, (void)user;
    if (!all_of_one(&n) || (n.op != OP_softmax && n.op != OP_sum &&
                            n.op != OP_max))
        return graph_add(to, n);
    if (n.op == OP_softmax) {
        Node *one = g_num(to, n.type.dtype, 1);
        return g_along(to, OP_expand, one, n.type.rank, n.type.dim);
    }
    Node *x = n.arg[0];
    for (int i = 0; i < n.ndim; i++)
        x = graph_add(to, (Node){.op = OP_slice, .arg = {x}, .ndim = 1,
                                 .dim = {n.dim[i]}});
    return x;
}

static bool is_choice(const Node *n)
{
    return n->op == OP_select && n->arg[0]->op == OP_flag &&
           strcmp(n->arg[0]->name, "training");
}

static bool has_choice(const Graph *g)
{
    for (int i = 0; i < g->node.n; i++)
        if (is_choice(g->node.at[i]))
            return true;
    return false;
}

static Node *make_equal(Graph *to, Node n, const Node *old, void *user)
{
    const Equal *e = user;
    if (is_choice(&n))
        return n.arg[e->flags ? 1 : 2];
    if (n.op != OP_weight)
        return of_one(to, n, old, NULL);
    const Weight *w = n.op == OP_weight && n.weight
                          ? counterpart(e, n.weight->path)
                          : NULL;
    if (!w)
        return graph_add(to, n);
    Node *plain = g_weight(to, w);
    if (e->gone)
        plain = g_num(to, n.type.dtype, 0);
    const Dim *more[MAX_RANK];
    int rank = 0;
    for (int i = 0; i < n.type.rank; i++)
        if (type_dim(&plain->type, n.type.dim[i]) < 0)
            more[rank++] = n.type.dim[i];
    return rank ? g_along(to, OP_expand, plain, rank, more) : plain;
}

/* The expert by itself, with weights of its own. */
static Inst *one_of(Lint *l, Model *m, const Part *part)
{
    Inst *one = inst_new(m, l->spec, part->inst[0]->def, NULL, "one", "one");
    one->param = names_copy(m->arena, &part->inst[0]->param);
    Scope own = {.spec = l->spec, .model = m, .g = m->weights, .inst = one};
    inst_build(m, one, &own);
    return one;
}

static Term *with_equal(Prover *p, const Graph *g, Node *y, Equal *e)
{
    Graph copy = *g;
    copy.output.at = NULL, copy.output.n = copy.output.room = 0;
    graph_output(&copy, "y", y);
    Graph *now = graph_map(&copy, p->arena, make_equal, e);
    return term_of_node(p, now->output.at[0].node);
}

/* y = factor * f + what the experts have no part in; NULL: it is not so. */
static Term *factor_of(Prover *p, const Graph *g, Node *y, Equal e, Term *f)
{
    Term *all = with_equal(p, g, y, &e);
    e.gone = true;
    Term *rest = with_equal(p, g, y, &e);
    all = term_add(p, all, term_scale(p, rest, size_num(-1)));
    return term_quotient(p, all, f);
}

static const Ast *return_of(const Inst *inst)
{
    const Ast *block = inst_forward(inst)->kid[2];
    for (int i = 0; i < block->nkid; i++)
        if (block->kid[i]->kind == AST_return)
            return block->kid[i];
    return block;
}

static void report(Prover *p, const Equal *e, Term *q)
{
    const Ast *at = return_of(e->inst);
    Term *flat = term_without_weights(p, q);
    const Size *s = flat == q ? NULL : term_as_size(flat);
    warning_at(at->src, at->loc,
               "the weights of `%s` sum to %s, not to 1%s%s%s: equal experts "
               "give that many times what one gives",
               e->part->name, term_text(p, q), s ? " (" : "",
               s ? size_text(s) : "", s ? " where the router is uniform)" : "");
}

static void routing_of(Lint *l, Model *m, Inst *inst, Graph *g, Node *y,
                       const Part *part)
{
    const Ast *fargs = inst_forward(inst)->kid[0];
    const Ast *inner = inst_forward(part->inst[0]);
    const char *names[1] = {fargs->kid[0]->text};
    ProveEnv env = {.arena = l->arena, .rules = l->rules};
    Prover p;
    if (!inner || fargs->nkid != 1 || inner->kid[0]->nkid != 1)
        return;
    Inst *one = one_of(l, m, part);
    Node *f = forward_node(m, g, one, names, false);
    if (!f)
        return;
    prover_init(&p, l->arena, &env);
    Term *tf = term_of_node(&p, f);
    Term *own = NULL;
    Equal e = {.inst = inst, .part = part, .one = one};
    for (int i = 0; i < 4; i++) { /* any way in which they do will do */
        e.alone = i & 2;
        e.flags = i & 1;
        if ((e.flags && !has_choice(g)) || (!e.alone && !has_kin(inst, part)))
            continue;
        own = factor_of(&p, g, y, e, tf);
        if (own && term_as_size(own))
            return;
    }
    if (own)
        report(&p, &e, own);
}

void lint_routing(Lint *l, Model *m, Inst *inst, Graph *g, Node *y)
{
    for (int i = 0; i < inst->part.n; i++)
        if (inst->part.at[i].array && !inst->part.at[i].unrolled)
            routing_of(l, m, inst, g, y, &inst->part.at[i]);
}

/* ---- branches of weight 0 ---- */

static void forget_values(Inst *inst, void *user)
{
    Model *m = user;
    for (int i = 0; i < inst->slot.n; i++) {
        Weight *w = arena_alloc(m->arena, sizeof *w);
        *w = *inst->slot.at[i].w;
        w->value = NULL;
        inst->slot.at[i].w = w;
    }
}

static const Part *part_under(const Graph *g, Node *n, const Inst *inst)
{
    const bool *seen = flow_under(g, n, false);
    for (int i = 0; i < inst->part.n; i++)
        if (flow_reads(g, seen, inst->part.at[i].inst[0]))
            return &inst->part.at[i];
    return NULL;
}

static void dead_product(Prover *p, const Graph *g, const Node *n,
                         const Inst *fresh, const Ast *at)
{
    for (int i = 0; i < 2; i++) {
        Node *zero = n->arg[i], *other = n->arg[!i];
        const Part *part = part_under(g, other, fresh);
        Term *t = part ? term_of_node(p, zero) : NULL;
        if (!t || t->kind != TERM_poly || t->nmono)
            continue;
        warning_at(at->src, at->loc,
                   "`%s` has no part in the result: at these sizes its "
                   "weight %.*s is 0",
                   part->name, zero->src ? zero->loc.len : 0,
                   zero->src ? zero->src->text + zero->loc.at : "");
    }
}

static bool has_one(const Graph *g)
{
    for (int i = 0; i < g->node.n; i++)
        if (g->node.at[i]->op == OP_softmax && all_of_one(g->node.at[i]))
            return true;
    return false;
}

/* Weights are 0 by structure where a softmax has but one to choose from. */
void lint_dead(Lint *l, Model *m, Inst *fresh, const Ast *at)
{
    ProveEnv env = {.arena = l->arena, .rules = l->rules};
    Graph *g = graph_new(l->arena, "dead");
    Prover p;
    inst_walk(fresh, forget_values, m);
    Node *y = forward_node(m, g, fresh, NULL, false);
    if (!y)
        return;
    if (!has_one(g))
        return;
    graph_output(g, "y", y);
    g = graph_map(g, l->arena, of_one, NULL);
    prover_init(&p, l->arena, &env);
    for (int i = 0; i < g->node.n; i++)
        if (g->node.at[i]->op == OP_mul)
            dead_product(&p, g, g->node.at[i], fresh, at);
}
