/* Which values of the forward pass are kept for the backward, and not made
 * again from x: within the memory given, those that take longest to make for
 * their bytes. Kept or made again: the same bits. */
#include "compiler/grad/step.h"
#include <string.h>

enum {
    BALANCE = 24, /* operations for a byte, where the options have none */
    SEEN = 128    /* tokens that one attends to, about */
};

/* A backward body while it is chosen. */
typedef struct {
    BackBody *b;
    bool *flows; /* by id: made of a gradient */
    bool *kept;  /* by id: an input from now on */
    bool *seen;
} Choice;

static double count(const Type *t, int64_t T)
{
    return (double)type_count(t, T);
}

static double bytes_of(const Node *n, int64_t T)
{
    return count(&n->type, T) * type_info[n->type.dtype].block_bytes;
}

/* Multiplications and additions, about. */
static double work_of(const Node *n, int64_t T)
{
    double all = count(&n->type, T);
    switch (n->op) {
    case OP_contract:
        for (int i = 0; i < n->ndim; i++)
            all *= (double)size_at(n->dim[i]->size, T);
        return 2 * all;
    case OP_attend: case OP_attend_sink: case OP_attend_slope:
    case OP_attend_bias:
        return 2 * 2 * all * (double)(T < SEEN ? T : SEEN);
    case OP_attend_lse:
        return 2 * count(&n->arg[0]->type, T) * (double)(T < SEEN ? T : SEEN);
    default:
        for (int i = 0; op_info[n->op].class == CLASS_reduce && i < n->ndim;
             i++)
            all *= (double)size_at(n->dim[i]->size, T);
        return all * op_info[n->op].cost;
    }
}

/* ---- what outputs need ---- */

/* The work of what is made again under n. */
static double work_under(const Choice *c, const Node *n, int64_t T)
{
    if (c->seen[n->id])
        return 0;
    c->seen[n->id] = true;
    if (c->kept[n->id])
        return 0;
    double work = c->flows[n->id] ? 0 : work_of(n, T);
    for (int i = 0; i < node_args(n); i++)
        work += work_under(c, n->arg[i], T);
    return work;
}

static double work_again(const Choice *c, int64_t T)
{
    const Graph *g = c->b->back;
    double work = 0;
    memset(c->seen, 0, (size_t)g->node.n);
    for (int i = 0; i < g->output.n; i++)
        work += work_under(c, g->output.at[i].node, T);
    return work;
}

static bool is_gradient(const Node *n)
{
    return n->op == OP_input &&
           (!strcmp(n->name, "x") || !strncmp(n->name, "g.", 2) ||
            !strncmp(n->name, "sum.", 4));
}

static Choice choice_of(const Looped *l, BackBody *b)
{
    size_t n = (size_t)b->back->node.n + 1;
    Choice c = {b, arena_alloc(l->step->arena, n),
                arena_alloc(l->step->arena, n),
                arena_alloc(l->step->arena, n)};
    for (int i = 0; i < b->back->node.n; i++) {
        const Node *m = b->back->node.at[i];
        c.flows[i] = is_gradient(m);
        for (int j = 0; j < node_args(m); j++)
            c.flows[i] |= c.flows[m->arg[j]->id];
    }
    return c;
}

/* ---- the best ---- */

typedef struct {
    Choice *c;
    Node *node;
    double ratio;
} Best;

static bool may_be_kept(const Choice *c, const Node *n)
{
    return !c->flows[n->id] && !c->kept[n->id] && node_args(n) > 0 &&
           !back_is_weight(n);
}

static void look(Choice *c, int64_t T, double room, double least, Best *best)
{
    const Graph *g = c->b->back;
    double before = work_again(c, T);
    bool *needed = xmalloc((size_t)g->node.n + 1);
    memcpy(needed, c->seen, (size_t)g->node.n);
    for (int i = 0; i < g->node.n; i++) {
        Node *n = g->node.at[i];
        if (!needed[i] || !may_be_kept(c, n) ||
            c->b->passes * bytes_of(n, T) > room)
            continue;
        c->kept[i] = true;
        double ratio = (before - work_again(c, T)) / bytes_of(n, T);
        c->kept[i] = false;
        if (ratio >= least && ratio > best->ratio)
            *best = (Best){c, n, ratio};
    }
    free(needed);
}

/* ---- the bodies with it ---- */

/* A node of the backward body, made of the forward's values alone, in f->to. */
static Node *in_forward(Looped *l, Forward *f, const Node *n, Node **now)
{
    if (now[n->id])
        return now[n->id];
    Node copy = *n;
    for (int i = 0; i < f->kept.n; i++)
        if (n->op == OP_input && n->name == f->kept.at[i].name)
            return now[n->id] = f->kept.at[i].node;
    if (n->op == OP_input && !strncmp(n->name, "keep.", 5))
        copy.name = intern(n->name + 5);
    for (int i = 0; i < node_args(n); i++)
        copy.arg[i] = in_forward(l, f, n->arg[i], now);
    return now[n->id] = graph_add(f->to, copy);
}

typedef struct {
    Looped *l;
    Choice *c;
    Node **now;
} Replace;

static Node *kept_input_for(Graph *to, Node n, const Node *old, void *user)
{
    Replace *r = user;
    Forward *f = r->c->b->forward;
    if (!r->c->kept[old->id])
        return graph_add(to, n);
    Node in = {.op = OP_input, .type = n.type, .label = n.label};
    in.name = forward_keep(r->l, f, in_forward(r->l, f, old, r->now));
    return graph_add(to, in);
}

/* The kept values become inputs; what only they needed goes. */
static void apply(Looped *l, Choice *c)
{
    Arena *a = l->step->arena;
    Replace r = {l, c, arena_alloc(a, ((size_t)c->b->back->node.n + 1) *
                                          sizeof(Node *))};
    c->b->back = graph_map(c->b->back, a, kept_input_for, &r);
    c->b->back = graph_map(c->b->back, a, NULL, NULL);
}

/* Bytes of what is kept in any case. */
static double must_have(const Looped *l, int64_t T)
{
    double bytes = 0;
    for (int i = 0; i < l->body.n; i++) {
        const Graph *g = l->body.at[i]->back;
        for (int j = 0; j < g->node.n; j++)
            if (g->node.at[j]->op == OP_input &&
                !strncmp(g->node.at[j]->name, "keep.", 5))
                bytes += l->body.at[i]->passes * bytes_of(g->node.at[j], T);
    }
    return bytes;
}

void keep_more(Looped *l)
{
    Step *s = l->step;
    int64_t T = s->o->tokens > 0 ? s->o->tokens : 1;
    double least = s->o->balance > 0 ? s->o->balance : BALANCE;
    Choice *c = arena_alloc(s->arena, ((size_t)l->body.n + 1) * sizeof *c);
    for (int i = 0; i < l->body.n; i++) {
        l->body.at[i]->back = graph_map(l->body.at[i]->back, s->arena, NULL,
                                        NULL);
        c[i] = choice_of(l, l->body.at[i]);
    }
    s->room -= must_have(l, T);
    for (Best best = {.ratio = 1}; best.ratio > 0;) {
        best = (Best){0};
        for (int i = 0; s->room > 0 && i < l->body.n; i++)
            look(&c[i], T, s->room, least, &best);
        if (!best.node)
            break;
        best.c->kept[best.node->id] = true;
        s->room -= best.c->b->passes * bytes_of(best.node, T);
    }
    for (int i = 0; i < l->body.n; i++)
        apply(l, &c[i]);
}
