/* Updates within a step: the optimiser's graph of a weight stands behind its
 * gradient, in a backward body or in the step's own graph. States are leaves
 * like weights. */
#include "compiler/grad/step.h"
#include <string.h>

int step_index(const Step *s, const Weight *w)
{
    for (int i = 0; i < s->o->n; i++)
        if (s->o->weight[i] == w)
            return i;
    return -1;
}

/* ---- which are alike ---- */

static bool same_update(const UpdateOptions *a, const UpdateOptions *b)
{
    return a->kind == b->kind && a->beta1 == b->beta1 &&
           a->beta2 == b->beta2 && a->eps == b->eps &&
           a->momentum == b->momentum && a->decay == b->decay &&
           a->weights == b->weights && a->nearest == b->nearest &&
           a->states == b->states && a->copy == b->copy && a->seed == b->seed;
}

static bool same_tensor(const Parameter *a, const Parameter *b)
{
    return a->rank == b->rank && !a->shape == !b->shape &&
           (!a->shape || !memcmp(a->shape, b->shape,
                                 (size_t)a->rank * sizeof *a->shape));
}

int step_group(const Step *s, int index)
{
    int i = 0;
    while (!same_update(&s->o->update[i], &s->o->update[index]) ||
           !same_tensor(&s->o->parameter[i], &s->o->parameter[index]))
        i++;
    return i;
}

/* ---- uses ---- */

void step_count_uses(Step *s)
{
    s->uses = arena_alloc(s->arena, ((size_t)s->o->n + 1) * sizeof *s->uses);
    for (int i = 0; i < s->g->node.n; i++) {
        const Node *n = s->g->node.at[i];
        int own = n->op == OP_weight ? step_index(s, n->weight) : -1;
        if (own >= 0)
            s->uses[own]++;
        for (int p = 0; n->repeat && p < n->repeat->n; p++)
            for (int k = 0; k < n->repeat->at[p].body->nslots; k++) {
                own = step_index(s, n->repeat->at[p].weight[k]);
                if (own >= 0)
                    s->uses[own]++;
            }
    }
}

/* ---- states ---- */

const Weight *step_state(Step *s, const Weight *of, const char *name,
                         const Type *t)
{
    for (int i = 0; i < s->state.n; i++)
        if (s->state.at[i].of == of && s->state.at[i].name == name)
            return s->state.at[i].leaf;
    Weight *w = arena_alloc(s->arena, sizeof *w);
    *w = (Weight){.path = intern_printf("%s.%s", name, of->path), .type = *t};
    w->file = w->path;
    struct StepState state = {of, name, w};
    list_push(s->arena, &s->state, state);
    return w;
}

/* ---- the update ---- */

bool update_reads(const char *name)
{
    static const char *const known[] = {"lr", "clip", "t", "unbias1",
                                        "unbias2", "beta"};
    for (size_t i = 0; i < COUNT(known); i++)
        if (!strcmp(known[i], name))
            return true;
    return false;
}

static Node *input_now(Updating *u, const Node *n)
{
    if (!strcmp(n->name, "g"))
        return u->g;
    if (!strcmp(n->name, "w") && n->type.dtype == u->w->type.dtype)
        return u->w;
    return update_reads(n->name) ? graph_add(u->to, *n)
                              : u->state(u, n->name, &n->type);
}

void update_inside(Updating *u)
{
    Step *s = u->step;
    Weight as = *s->o->weight[u->index]; /* with the dims that w has here */
    Parameter p = s->o->parameter[u->index];
    as.type = u->w->type;
    p.weight = &as;
    const Graph *g = grad_update(s->arena, &p, &s->o->update[u->index]);
    Node **now = arena_alloc(s->arena, ((size_t)g->node.n + 1) * sizeof *now);
    for (int i = 0; i < g->node.n; i++) {
        Node n = *g->node.at[i];
        for (int j = 0; j < node_args(&n); j++)
            n.arg[j] = now[n.arg[j]->id];
        now[i] = n.op == OP_input ? input_now(u, &n) : graph_add(u->to, n);
    }
    bool master = s->o->update[u->index].weights != u->w->type.dtype;
    for (int i = 0; i < g->output.n; i++) {
        const char *name = g->output.at[i].name;
        bool itself = !strcmp(name, master ? "copy" : "w");
        u->out(u, itself ? NULL : name, now[g->output.at[i].node->id]);
    }
}
