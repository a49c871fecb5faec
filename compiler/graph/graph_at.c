/* A graph with numbers for the unknowns of its sizes. */
#include "compiler/graph/graph.h"
#include <math.h>
#include <string.h>

typedef struct {
    const Dim *from, *to;
} DimPair;

typedef struct {
    const Weight *from, *to;
} WeightPair;

typedef struct {
    Graph *to;
    int nsym;
    const char *const *sym;
    const double *value;
    Dtype leaf;
    bool bad;
    LIST(DimPair) dim;
    LIST(WeightPair) weight;
} Maker;

static const Size *size_now(const Maker *m, const Size *s)
{
    for (int i = 0; s && i < m->nsym; i++)
        s = size_subst(s, m->sym[i], size_num(m->value[i]));
    return s;
}

static const Dim *dim_now(Maker *m, const Dim *d)
{
    double v;
    if (!d)
        return NULL;
    for (int i = 0; i < m->dim.n; i++)
        if (m->dim.at[i].from == d)
            return m->dim.at[i].to;
    const Size *s = size_now(m, d->size);
    if (size_is_num(s, &v) && (v != floor(v) || v < 1))
        m->bad = true;
    DimPair pair = {d, s == d->size ? d : dim_new(d->name, s)};
    list_push(m->to->arena, &m->dim, pair);
    return pair.to;
}

static Type type_now(Maker *m, const Type *t)
{
    Type now = *t;
    if (now.dtype == TYPE_f32)
        now.dtype = m->leaf;
    now.index_of = dim_now(m, t->index_of);
    for (int i = 0; i < t->rank; i++)
        now.dim[i] = dim_now(m, t->dim[i]);
    return now;
}

static const Weight *weight_now(Maker *m, const Weight *w)
{
    if (!w)
        return NULL;
    for (int i = 0; i < m->weight.n; i++)
        if (m->weight.at[i].from == w)
            return m->weight.at[i].to;
    Weight *now = arena_alloc(m->to->arena, sizeof *now);
    *now = *w;
    now->type = type_now(m, &w->type);
    now->value = NULL;
    WeightPair pair = {w, now};
    list_push(m->to->arena, &m->weight, pair);
    return now;
}

/* The node anew; its arguments are. NULL: its rule refuses. */
static Node *node_now(Maker *m, const Node *old, Node **made)
{
    Node n = *old;
    Type type;
    for (int i = 0; i < MAX_ARGS; i++)
        n.arg[i] = old->arg[i] ? made[old->arg[i]->id] : NULL;
    for (int i = 0; i < n.ndim; i++)
        n.dim[i] = dim_now(m, old->dim[i]);
    n.size = size_now(m, old->size);
    for (int i = 0; n.op == OP_flag && i < m->nsym; i++)
        if (n.name == m->sym[i])
            return graph_add(m->to, (Node){.op = OP_number,
                                           .type.dtype = TYPE_bool,
                                           .num = m->value[i] != 0});
    n.weight = weight_now(m, old->weight);
    if (n.op == OP_weight || n.op == OP_learned)
        n.type = n.weight ? n.weight->type : type_now(m, &old->type);
    else
        n.type = type_now(m, &old->type);
    if (n.op == OP_number || n.op == OP_scalar)
        n.type.dtype = old->type.dtype;
    if (m->bad || op_type(&n, &type))
        return NULL;
    return graph_add(m->to, n);
}

static void list_nodes(const Node *n, const Node **list)
{
    if (list[n->id])
        return;
    list[n->id] = n;
    for (int i = 0; i < MAX_ARGS && n->arg[i]; i++)
        list_nodes(n->arg[i], list);
}

Graph *graph_at(Arena *a, int n, Node *const *node, int nsym,
                const char *const *sym, const double *value, Dtype leaf)
{
    Maker m = {.to = graph_new(a, "instance"), .nsym = nsym, .sym = sym,
               .value = value, .leaf = leaf};
    int top = 0;
    for (int i = 0; i < n; i++)
        top = node[i]->id > top ? node[i]->id : top;
    const Node **list = arena_alloc(a, (size_t)(top + 1) * sizeof *list);
    Node **made = arena_alloc(a, (size_t)(top + 1) * sizeof *made);
    for (int i = 0; i < n; i++)
        list_nodes(node[i], list);
    for (int i = 0; i <= top; i++)
        if (list[i] && !(made[i] = node_now(&m, list[i], made)))
            return NULL;
    for (int i = 0; i < n; i++)
        graph_output(m.to, intern_printf("%d", i), made[node[i]->id]);
    return m.to;
}
