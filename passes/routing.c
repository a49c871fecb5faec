/* What routing chooses, as outputs of a graph: for each index that picks
 * experts' weights, how often it names each expert, the weights that it gives
 * them, and those of a shared expert beside them. A repeat's are lists of its
 * passes. */
#include "passes/passes.h"
#include <string.h>

typedef struct {
    const Graph *from;
    const Iteration *pass; /* the first with this body */
    Graph *to;
} Body;

typedef struct {
    Arena *arena;
    LIST(Body) body;
} Routing;

/* Is n a weight of experts (an array of modules), its first dim theirs? */
static bool of_experts(const Node *n, const Iteration *pass, const Dim *d)
{
    while (n->op == OP_cast)
        n = n->arg[0];
    if (n->op != OP_weight)
        return false;
    const Weight *w = node_weight(n, pass);
    return w && w->stacked > 0 && n->type.rank > 1 && n->type.dim[0] == d;
}

/* The index by which g's node i picks an expert's weights, or NULL. */
static Node *index_of(const Graph *g, int i, const Iteration *pass)
{
    const Node *n = g->node.at[i];
    bool picks = n->op == OP_gather && n->arg[1]->type.rank > 0 &&
                 of_experts(n->arg[0], pass, n->dim[0]);
    return picks ? n->arg[1] : NULL;
}

/* By node: is a weight that the index picks in it? */
static bool *picked(const Graph *g, const Node *index, const Iteration *pass,
                    Arena *a)
{
    bool *in = arena_alloc(a, (size_t)g->node.n + 1);
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        in[i] = index_of(g, i, pass) == index;
        for (int j = 0; j < node_args(n); j++)
            in[i] |= in[n->arg[j]->id];
    }
    return in;
}

/* A number for each of the index's choices. */
static bool is_weight(const Node *n, const Type *index)
{
    if (!type_is_float(n->type.dtype) || n->type.rank != index->rank)
        return false;
    for (int i = 0; i < index->rank; i++)
        if (type_dim(&n->type, index->dim[i]) < 0)
            return false;
    return true;
}

/* What the picked experts' results are multiplied by, or NULL. */
static Node *weight_of(const Graph *g, Node *index, const Iteration *pass)
{
    Arena scratch = {0};
    const bool *in = picked(g, index, pass, &scratch);
    Node *found = NULL;
    for (int i = 0; i < g->node.n && !found; i++) {
        const Node *n = g->node.at[i];
        if (n->op != OP_mul && n->op != OP_contract)
            continue;
        for (int j = 0; j < 2 && !found; j++)
            if (is_weight(n->arg[j], &index->type) && in[n->arg[1 - j]->id] &&
                !in[n->arg[j]->id])
                found = n->arg[j];
    }
    arena_free(&scratch);
    return found;
}

/* A number for each token of the index, whatever it chooses. */
static bool is_by_token(const Node *n, const Type *index)
{
    if (!type_is_float(n->type.dtype) || n->type.rank != index->rank - 1)
        return false;
    for (int i = 0; i < n->type.rank; i++)
        if (type_dim(index, n->type.dim[i]) < 0)
            return false;
    return true;
}

/* What is added to the picked experts' sum first is the shared expert: its
 * weight, or NULL where it has none. */
static Node *shared_of(const Graph *g, Node *index, const Iteration *pass)
{
    Arena scratch = {0};
    const bool *in = picked(g, index, pass, &scratch);
    Node *other = NULL, *found = NULL;
    for (int i = 0; i < g->node.n && !other; i++) {
        const Node *n = g->node.at[i];
        if (n->op == OP_add && in[n->arg[0]->id] != in[n->arg[1]->id])
            other = n->arg[in[n->arg[0]->id]];
    }
    while (other && other->op == OP_cast)
        other = other->arg[0];
    for (int j = 0; other && other->op == OP_mul && j < 2; j++)
        if (is_by_token(other->arg[j], &index->type))
            found = other->arg[j];
    arena_free(&scratch);
    return found;
}

/* "layer[3].ffn" without the places of arrays: passes share a body. */
static const char *route_name(const Node *n, const Dim *experts)
{
    char name[256];
    size_t len = 0;
    bool skip = false;
    for (const char *c = n->path ? n->path : "model";
         *c && len + 1 < sizeof name; c++) {
        skip |= *c == '[';
        if (!skip)
            name[len++] = *c;
        skip &= *c != ']';
    }
    double size = 0;
    size_is_num(experts->size, &size);
    return intern_printf("%.*s.%.0f", (int)len, name, size);
}

static bool has_output(const Graph *g, const char *name)
{
    return graph_find_output(g, name) != NULL;
}

/* Sums over all but the experts; `by` (NULL: 1) for each choice. */
static Node *by_expert(Graph *g, Node *index, Node *by)
{
    const Type *t = &index->type;
    const Dim *experts = t->index_of;
    Node hot = {.op = OP_onehot, .arg = {index}, .ndim = 1, .dim = {experts}};
    Node *chosen = graph_add(g, hot);
    if (!by)
        return g_along(g, OP_sum, chosen, t->rank, t->dim);
    return g_contract(g, chosen, g_cast(g, TYPE_f32, by), t->rank, t->dim);
}

/* Once for each index: nodes are shared, so equal ones are one. */
static void add_outputs(Graph *g, const Iteration *pass)
{
    int n = g->node.n;
    LIST(Node *) seen = {0};
    for (int i = 0; i < n; i++) {
        Node *index = index_of(g, i, pass);
        bool known = !index;
        for (int j = 0; j < seen.n; j++)
            known |= seen.at[j] == index;
        if (known)
            continue;
        list_push(g->arena, &seen, index);
        const char *name = route_name(g->node.at[i], index->type.index_of);
        const char *count = intern_printf("stat.%s.chosen", name);
        if (has_output(g, count))
            continue;
        graph_output(g, count, by_expert(g, index, NULL));
        Node *by = weight_of(g, index, pass);
        if (by)
            graph_output(g, intern_printf("stat.%s.weight", name),
                         by_expert(g, index, by));
        Node *shared = shared_of(g, index, pass);
        if (shared)
            graph_output(g, intern_printf("stat.%s.shared", name),
                         g_along(g, OP_sum, g_cast(g, TYPE_f32, shared),
                                 shared->type.rank, shared->type.dim));
    }
}

static Graph *body_once(Routing *r, const Iteration *pass)
{
    for (int i = 0; i < r->body.n; i++)
        if (r->body.at[i].from == pass->body)
            return r->body.at[i].to;
    Body b = {pass->body, pass, graph_map(pass->body, r->arena, NULL, NULL)};
    add_outputs(b.to, pass);
    list_push(r->arena, &r->body, b);
    return b.to;
}

/* The bodies' new outputs as further results of the repeat. */
static void further_out(Routing *r, Repeat *now)
{
    LIST(RepeatOut) out = {0};
    for (int i = 0; i < now->nout; i++)
        list_push(r->arena, &out, now->out[i]);
    for (int i = 0; i < now->n; i++)
        for (int j = 0; j < now->at[i].body->output.n; j++) {
            const char *name = now->at[i].body->output.at[j].name;
            bool known = strncmp(name, "stat.", 5) != 0;
            for (int k = 0; k < out.n; k++)
                known |= out.at[k].name == name;
            if (known)
                continue;
            int passes;
            repeat_output(now, name, &passes);
            RepeatOut o = {name, dim_new(intern("passes"), size_num(passes))};
            list_push(r->arena, &out, o);
        }
    now->out = out.at;
    now->nout = out.n;
}

static Node *with_routes(Graph *to, Node n, const Node *old, void *user)
{
    Routing *r = user;
    (void)old;
    if (n.op != OP_repeat)
        return graph_add(to, n);
    Repeat *now = arena_alloc(r->arena, sizeof *now);
    *now = *n.repeat;
    now->at = arena_alloc(r->arena, ((size_t)now->n + 1) * sizeof *now->at);
    for (int i = 0; i < now->n; i++) {
        now->at[i] = n.repeat->at[i];
        now->at[i].body = body_once(r, &n.repeat->at[i]);
    }
    further_out(r, now);
    n.repeat = now;
    return graph_add(to, n);
}

Graph *graph_routing(const Graph *g, Arena *a)
{
    Routing r = {.arena = a};
    Graph *to = graph_map(g, a, with_routes, &r);
    add_outputs(to, NULL);
    for (int i = 0; i < to->node.n; i++) {
        Node *n = to->node.at[i];
        for (int j = 0; n->op == OP_repeat && j < n->repeat->nout; j++) {
            const char *name = n->repeat->out[j].name;
            if (!strncmp(name, "stat.", 5) && !has_output(to, name))
                graph_output(to, name, g_result(to, n, name));
        }
    }
    ir_verify(to, "routing");
    return to;
}
