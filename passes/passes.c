/* Runs the passes: bodies first, each once, then the graph around them. */
#include "passes/private.h"
#include <string.h>

typedef Graph *Pass(const Graph *, Arena *, const PassOptions *);

typedef struct {
    const Graph *from;
    Graph *to;
} Done;

typedef struct {
    Arena *arena;
    const PassOptions *o;
    Pass *pass;
    LIST(Done) done; /* bodies */
} Run;

static Graph *run_pass(Run *r, const Graph *g, bool top);

typedef struct {
    Arena *arena;
    NewBody *body;
    void *user;
} Bodies;

static Node *with_new_bodies(Graph *to, Node n, const Node *old, void *user)
{
    const Bodies *b = user;
    (void)old;
    if (n.op != OP_repeat)
        return graph_add(to, n);
    Repeat *now = arena_alloc(b->arena, sizeof *now);
    *now = *n.repeat;
    now->at = arena_alloc(b->arena, (size_t)now->n * sizeof *now->at + 1);
    for (int i = 0; i < now->n; i++) {
        now->at[i] = n.repeat->at[i];
        now->at[i].body = b->body(&n.repeat->at[i], b->user);
    }
    n.repeat = now;
    return graph_add(to, n);
}

Graph *graph_rebody(const Graph *g, Arena *a, NewBody *body, void *user)
{
    Bodies b = {a, body, user};
    return graph_map(g, a, with_new_bodies, &b);
}

static Graph *run_body(const Iteration *pass, void *user)
{
    Run *r = user;
    const Graph *g = pass->body;
    for (int i = 0; i < r->done.n; i++)
        if (r->done.at[i].from == g)
            return r->done.at[i].to;
    Graph *to = run_pass(r, g, false);
    Done d = {g, to};
    list_push(r->arena, &r->done, d);
    return to;
}

static Graph *run_pass(Run *r, const Graph *g, bool top)
{
    PassOptions o = *r->o;
    o.last_only &= top;
    return r->pass(graph_rebody(g, r->arena, run_body, r), r->arena, &o);
}

/* ---- names for the text ---- */

/* "norm1.scale" of layer[0].norm1.scale. */
static const char *short_path(const Weight *w)
{
    const char *behind = strrchr(w->path, ']');
    return behind && behind[1] == '.' ? behind + 2 : w->path;
}

typedef struct {
    Arena arena;
    LIST(Graph *) seen;
} Named;

static bool taken(const Named *d, const char *name)
{
    for (int i = 0; i < d->seen.n; i++)
        if (d->seen.at[i]->name == name)
            return true;
    return false;
}

/* Of bodies of one name the second gets a suffix. False: g was here before. */
static bool name_graph(Named *d, Graph *g)
{
    const char *name = g->name;
    for (int i = 0; i < d->seen.n; i++)
        if (d->seen.at[i] == g)
            return false;
    for (int i = 2; taken(d, g->name); i++)
        g->name = intern_printf("%s.%d", name, i);
    list_push(&d->arena, &d->seen, g);
    return true;
}

/* Labels inputs and weights that have none; pass: of a body, the first. */
static void label_leaves(Named *d, Graph *g, const Iteration *pass)
{
    if (!name_graph(d, g))
        return;
    for (int i = 0; i < g->node.n; i++) {
        Node *n = g->node.at[i];
        const Weight *w = node_weight(n, pass);
        if (!n->label && n->op == OP_input)
            n->label = n->name;
        else if (!n->label && n->op == OP_weight && w)
            n->label = intern(short_path(w));
        for (int j = 0; n->repeat && j < n->repeat->n; j++)
            label_leaves(d, n->repeat->at[j].body, &n->repeat->at[j]);
    }
}

static const struct {
    const char *name;
    Pass *run;
} passes[] = {
#define PASS(name, what) {#name, pass_##name},
#include "passes/passes.def"
#undef PASS
};

Graph *passes_run_one(const char *name, const Graph *g, Arena *a,
                      const PassOptions *o)
{
    size_t i = 0;
    while (i < COUNT(passes) && strcmp(passes[i].name, name))
        i++;
    if (i == COUNT(passes))
        BUG("no pass %s", name);
    Run r = {.arena = a, .o = o, .pass = passes[i].run};
    Graph *now = run_pass(&r, g, true);
    ir_verify(now, name);
    return now;
}

Graph *passes_run(const Graph *g, Arena *a, const PassOptions *o)
{
    Graph *now = NULL;
    for (size_t i = 0; i < COUNT(passes); i++)
        now = passes_run_one(passes[i].name, i ? now : g, a, o);
    Named named = {.seen = {0}};
    label_leaves(&named, now, NULL);
    arena_free(&named.arena);
    return now;
}
