/* Graphs: nodes added in order of dependence, equal ones only once. */
#include "compiler/graph/graph.h"
#include <math.h>
#include <string.h>

int node_args(const Node *n)
{
    return op_info[n->op].nargs + (n->repeat ? n->repeat->nin : 0);
}

Graph *graph_new(Arena *a, const char *name)
{
    Graph *g = arena_alloc(a, sizeof *g);
    g->arena = a;
    g->name = intern(name);
    return g;
}

static uint64_t mix(uint64_t h, const void *p)
{
    uintptr_t v = (uintptr_t)p;
    return hash_bytes(h, &v, sizeof v);
}

static uint64_t node_hash(const Node *n)
{
    uint64_t h = hash_bytes((uint64_t)n->op, &n->num, sizeof n->num);
    for (int i = 0; i < MAX_ARGS && n->arg[i]; i++)
        h = mix(h, n->arg[i]);
    for (int i = 0; i < n->ndim; i++)
        h = mix(h, n->dim[i]);
    for (int i = 0; i < n->type.rank; i++)
        h = mix(h, n->type.dim[i]);
    h = mix(mix(mix(h, n->size), n->name), n->weight);
    return h ^ (uint64_t)n->slot * 31 ^ (uint64_t)n->type.dtype * 7;
}

static bool same_rope(const Rope *a, const Rope *b)
{
    return a == b ||
           (a && b && a->theta == b->theta && a->rotary == b->rotary &&
            a->kind == b->kind && a->factor == b->factor && a->low == b->low &&
            a->high == b->high && a->original == b->original &&
            a->pairs == b->pairs && a->back == b->back &&
            a->beta_fast == b->beta_fast && a->beta_slow == b->beta_slow &&
            a->attention == b->attention && a->uncut == b->uncut &&
            a->length == b->length && a->divisor == b->divisor &&
            a->scaling == b->scaling && a->share == b->share);
}

static bool same_node(const Node *a, const Node *b)
{
    return a->op == b->op && !memcmp(a->arg, b->arg, sizeof a->arg) &&
           a->ndim == b->ndim &&
           !memcmp(a->dim, b->dim, (size_t)a->ndim * sizeof *a->dim) &&
           (a->num == b->num || (isnan(a->num) && isnan(b->num))) &&
           signbit(a->num) == signbit(b->num) && a->size == b->size &&
           a->name == b->name && a->weight == b->weight &&
           a->slot == b->slot && a->repeat == b->repeat &&
           same_rope(a->rope, b->rope) && type_same(&a->type, &b->type);
}

static void table_put(Graph *g, Node *n)
{
    uint64_t i = node_hash(n);
    while (g->table[i % (uint64_t)g->ntable])
        i++;
    g->table[i % (uint64_t)g->ntable] = n;
}

static void table_grow(Graph *g)
{
    g->ntable = g->ntable ? 2 * g->ntable : 64;
    g->table = arena_alloc(g->arena, (size_t)g->ntable * sizeof *g->table);
    for (int i = 0; i < g->node.n; i++)
        table_put(g, g->node.at[i]);
}

static Node *table_find(const Graph *g, const Node *n)
{
    if (!g->ntable)
        return NULL;
    for (uint64_t i = node_hash(n);; i++) {
        Node *m = g->table[i % (uint64_t)g->ntable];
        if (!m || same_node(m, n))
            return m;
    }
}

Node *graph_add(Graph *g, Node n)
{
    const char *why = op_type(&n, &n.type);
    if (why)
        BUG("%s needs %s (first argument %s)", op_info[n.op].name, why,
            n.arg[0] ? type_text(&n.arg[0]->type) : "none");
    Node *old = table_find(g, &n);
    if (old) {
        if (!old->label)
            old->label = n.label;
        return old;
    }
    if (2 * g->node.n >= g->ntable)
        table_grow(g);
    Node *node = arena_alloc(g->arena, sizeof *node);
    *node = n;
    node->id = g->node.n;
    if (!node->src)
        node->src = g->here.src, node->loc = g->here.loc;
    if (!node->path)
        node->path = g->here.path;
    list_push(g->arena, &g->node, node);
    table_put(g, node);
    return node;
}

void graph_output(Graph *g, const char *name, Node *n)
{
    struct Output o = {intern(name), n};
    list_push(g->arena, &g->output, o);
}

Node *graph_find_output(const Graph *g, const char *name)
{
    for (int i = 0; i < g->output.n; i++)
        if (!strcmp(g->output.at[i].name, name))
            return g->output.at[i].node;
    return NULL;
}

static void mark_needed(const Node *n, bool *needed)
{
    if (needed[n->id])
        return;
    needed[n->id] = true;
    for (int i = 0; i < node_args(n); i++)
        mark_needed(n->arg[i], needed);
}

bool *graph_needed(const Graph *g, Arena *a)
{
    bool *needed = arena_alloc(a, (size_t)g->node.n + 1);
    for (int i = 0; i < g->output.n; i++)
        mark_needed(g->output.at[i].node, needed);
    return needed;
}

Graph *graph_map(const Graph *g, Arena *a,
                 Node *(*map)(Graph *to, Node n, const Node *old, void *user),
                 void *user)
{
    Graph *to = graph_new(a, g->name);
    to->nslots = g->nslots;
    Arena scratch = {0};
    const bool *needed = graph_needed(g, &scratch);
    Node **now = arena_alloc(&scratch, ((size_t)g->node.n + 1) * sizeof *now);
    for (int i = 0; i < g->node.n; i++) {
        if (!needed[i])
            continue;
        Node n = *g->node.at[i];
        for (int j = 0; j < node_args(&n); j++)
            n.arg[j] = now[n.arg[j]->id];
        now[i] = map ? map(to, n, g->node.at[i], user) : graph_add(to, n);
    }
    for (int i = 0; i < g->output.n; i++)
        graph_output(to, g->output.at[i].name, now[g->output.at[i].node->id]);
    arena_free(&scratch);
    return to;
}

const Weight *node_weight(const Node *n, const Iteration *pass)
{
    return n->slot && pass ? pass->weight[n->slot - 1] : n->weight;
}

const Iteration *graph_pass_of(const Graph *above, const Graph *body)
{
    for (int i = 0; i < above->node.n; i++) {
        const Repeat *r = above->node.at[i]->repeat;
        for (int j = 0; r && j < r->n; j++)
            if (r->at[j].body == body)
                return &r->at[j];
    }
    return NULL;
}

/* ---- shorthands ---- */

Node *g_num(Graph *g, Dtype t, double v)
{
    return graph_add(g, (Node){.op = OP_number, .type.dtype = t, .num = v});
}

Node *g_scalar(Graph *g, Dtype t, const Size *s)
{
    double n;
    if (size_is_num(s, &n))
        return g_num(g, t, n);
    return graph_add(g, (Node){.op = OP_scalar, .type.dtype = t, .size = s});
}

Node *g_map1(Graph *g, Op op, Node *a)
{
    return graph_add(g, (Node){.op = op, .arg = {a}});
}

Node *g_map2(Graph *g, Op op, Node *a, Node *b)
{
    return graph_add(g, (Node){.op = op, .arg = {a, b}});
}

Node *g_select(Graph *g, Node *c, Node *a, Node *b)
{
    return graph_add(g, (Node){.op = OP_select, .arg = {c, a, b}});
}

Node *g_cast(Graph *g, Dtype t, Node *a)
{
    if (a->type.dtype == t)
        return a;
    return graph_add(g, (Node){.op = OP_cast, .arg = {a}, .num = t});
}

static Node with_dims(Node n, int count, const Dim *const *dim)
{
    n.ndim = count;
    for (int i = 0; i < count; i++)
        n.dim[i] = dim[i];
    return n;
}

Node *g_along(Graph *g, Op op, Node *a, int n, const Dim *const *dim)
{
    return graph_add(g, with_dims((Node){.op = op, .arg = {a}}, n, dim));
}

Node *g_contract(Graph *g, Node *a, Node *b, int n, const Dim *const *dim)
{
    Node c = {.op = OP_contract, .arg = {a, b}};
    return graph_add(g, with_dims(c, n, dim));
}

Node *g_gather(Graph *g, Node *a, const Dim *d, Node *index)
{
    Node n = {.op = OP_gather, .arg = {a, index}};
    return graph_add(g, with_dims(n, 1, &d));
}

Node *g_weight(Graph *g, const Weight *w)
{
    return graph_add(g, (Node){.op = OP_weight, .type = w->type, .weight = w});
}

Node *g_result(Graph *g, Node *repeat, const char *name)
{
    return graph_add(g, (Node){.op = OP_result, .arg = {repeat},
                               .name = intern(name)});
}

bool repeat_gives(const Repeat *r, const char *name)
{
    for (int i = 0; i < r->nin; i++)
        if (!strcmp(r->in[i].name, name))
            return true;
    return !strcmp(name, "x");
}
