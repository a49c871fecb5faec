/* What a step reads: learned coefficients are weights like any other, and what
 * a repeat's body reads stands in its slots, so that layers that differ in
 * nothing else run one body. */
#include "compiler/grad/step.h"
#include <string.h>

/* A body, its leaves put into slots, and the weights that are new there. */
typedef struct {
    const Graph *from;
    Graph *to;
    LIST(const Weight *) more;
} Slotted;

typedef struct {
    Arena *arena;
    LIST(Slotted *) body;
    Slotted *now; /* the body being made; NULL: the graph around them */
} Leaves;

static int slot_of(Leaves *l, const Weight *w)
{
    Slotted *s = l->now;
    int i = 0;
    while (i < s->more.n && s->more.at[i] != w)
        i++;
    if (i == s->more.n)
        list_push(l->arena, &s->more, w);
    return s->from->nslots + i + 1;
}

static Node *leaf_anew(Graph *to, Node n, const Node *old, void *user)
{
    Leaves *l = user;
    (void)old;
    if (n.op == OP_learned)
        n.op = OP_weight;
    if (n.op == OP_weight && l->now && !n.slot) {
        n.slot = slot_of(l, n.weight);
        n.weight = NULL;
    }
    return graph_add(to, n);
}

static Slotted *slotted(Leaves *l, const Graph *body)
{
    for (int i = 0; i < l->body.n; i++)
        if (l->body.at[i]->from == body)
            return l->body.at[i];
    Slotted *s = arena_alloc(l->arena, sizeof *s);
    s->from = body;
    l->now = s;
    s->to = graph_map(body, l->arena, leaf_anew, l);
    l->now = NULL;
    s->to->nslots = body->nslots + s->more.n;
    uint64_t hash = graph_hash(s->to);
    for (int i = 0; i < l->body.n; i++)
        if (graph_hash(l->body.at[i]->to) == hash) {
            s->to = l->body.at[i]->to;
            break;
        }
    list_push(l->arena, &l->body, s);
    return s;
}

static Node *with_slots(Graph *to, Node n, const Node *old, void *user)
{
    Leaves *l = user;
    if (n.op != OP_repeat)
        return leaf_anew(to, n, old, user);
    Repeat *own = arena_alloc(l->arena, sizeof *own);
    *own = *n.repeat;
    own->at = arena_alloc(l->arena, (size_t)own->n * sizeof *own->at);
    for (int i = 0; i < own->n; i++) {
        const Iteration *was = &n.repeat->at[i];
        Slotted *s = slotted(l, was->body);
        int n0 = was->body->nslots;
        const Weight **w = arena_alloc(l->arena, ((size_t)s->to->nslots + 1) *
                                                     sizeof *w);
        memcpy(w, was->weight, (size_t)n0 * sizeof *w);
        for (int j = 0; j < s->more.n; j++)
            w[n0 + j] = s->more.at[j];
        own->at[i] = (Iteration){s->to, w};
    }
    n.repeat = own;
    return graph_add(to, n);
}

Graph *step_leaves(const Graph *forward, Arena *a)
{
    Leaves l = {.arena = a};
    return graph_map(forward, a, with_slots, &l);
}
