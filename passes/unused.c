/* Pass unused: an output of a body that nothing reads goes, with the results
 * that only it was for. Of one value that goes out under two names the second
 * is a copy, so that each has memory of its own. */
#include "passes/private.h"
#include <string.h>

typedef struct {
    const Graph *from, *to;
    const Repeat *table;
} Body;

typedef struct {
    const Graph *g;
    Arena *arena;
    bool *needed;
    LIST(Body) body;
} Unused;

static bool result_read(const Unused *u, const Node *repeat, const char *name)
{
    for (int i = repeat->id + 1; i < u->g->node.n; i++) {
        const Node *n = u->g->node.at[i];
        if (u->needed[i] && n->op == OP_result && n->arg[0] == repeat &&
            !strcmp(n->name, name))
            return true;
    }
    return false;
}

static bool taken(const Unused *u, const Node *repeat, const char *name)
{
    const Repeat *r = repeat->repeat;
    for (int i = 0; i < r->nin; i++)
        if (r->in[i].next && !strcmp(r->in[i].next, name))
            return true;
    return !strcmp(name, "y") || result_read(u, repeat, name);
}

static bool put_out(const Graph *g, int before, const Node *n)
{
    for (int i = 0; i < before; i++)
        if (g->output.at[i].node == n)
            return true;
    return false;
}

static Node *copy_of(Graph *g, Node *n)
{
    Node copy = {.op = OP_order, .arg = {n}, .ndim = n->type.rank};
    memcpy(copy.dim, n->type.dim, sizeof copy.dim);
    for (int i = copy.ndim; i < MAX_RANK; i++)
        copy.dim[i] = NULL;
    return graph_add(g, copy);
}

/* The body with the outputs that are taken, each a node of its own. */
static Graph *body_of(Unused *u, const Node *repeat, const Graph *body)
{
    Graph few = *body;
    few.output.n = 0;
    few.output.at = arena_alloc(u->arena, ((size_t)body->output.n + 1) *
                                              sizeof *few.output.at);
    for (int i = 0; i < body->output.n; i++)
        if (taken(u, repeat, body->output.at[i].name))
            few.output.at[few.output.n++] = body->output.at[i];
    Graph *to = graph_map(&few, u->arena, NULL, NULL);
    for (int i = 0; i < to->output.n; i++)
        while (put_out(to, i, to->output.at[i].node))
            to->output.at[i].node = copy_of(to, to->output.at[i].node);
    return to;
}

static Graph *body_once(Unused *u, const Node *repeat, Graph *body)
{
    for (int i = 0; i < u->body.n; i++)
        if (u->body.at[i].from == body &&
            u->body.at[i].table == repeat->repeat)
            return (Graph *)u->body.at[i].to;
    Body b = {body, body_of(u, repeat, body), repeat->repeat};
    list_push(u->arena, &u->body, b);
    return (Graph *)b.to;
}

static Node *with_less(Graph *to, Node n, const Node *old, void *user)
{
    Unused *u = user;
    if (n.op != OP_repeat)
        return graph_add(to, n);
    Repeat *now = arena_alloc(u->arena, sizeof *now);
    RepeatOut *out = arena_alloc(u->arena, ((size_t)n.repeat->nout + 1) *
                                               sizeof *out);
    *now = *n.repeat;
    now->nout = 0;
    now->out = out;
    for (int i = 0; i < n.repeat->nout; i++)
        if (result_read(u, old, n.repeat->out[i].name))
            out[now->nout++] = n.repeat->out[i];
    now->at = arena_alloc(u->arena, ((size_t)now->n + 1) * sizeof *now->at);
    for (int i = 0; i < now->n; i++) {
        now->at[i] = n.repeat->at[i];
        now->at[i].body = body_once(u, old, now->at[i].body);
    }
    n.repeat = now;
    return graph_add(to, n);
}

static void mark(const Unused *u, const Node *n)
{
    if (u->needed[n->id])
        return;
    u->needed[n->id] = true;
    for (int i = 0; i < node_args(n); i++)
        mark(u, n->arg[i]);
}

Graph *pass_unused(const Graph *g, Arena *a, const PassOptions *o)
{
    (void)o;
    Unused u = {.g = g, .arena = a};
    u.needed = arena_alloc(a, (size_t)g->node.n + 1);
    for (int i = 0; i < g->output.n; i++)
        mark(&u, g->output.at[i].node);
    return graph_map(g, a, with_less, &u);
}
