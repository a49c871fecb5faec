/* Reads a graph's text (ir_print.c shows it) back. Every node is checked as it
 * is read, its type too; then the whole. */
#include "compiler/ir_read.h"
#include <math.h>
#include <string.h>

static void *find(const Knowns *list, const char *name)
{
    for (int i = list->n - 1; i >= 0; i--)
        if (list->at[i].name == name)
            return list->at[i].is;
    return NULL;
}

static void *known(Reader *r, const Knowns *list, const char *what)
{
    Loc loc = r->now.loc;
    const char *name = read_name(r, false, what);
    void *is = find(list, name);
    if (!is)
        read_mistake(r, loc, "%s %s is not known here", what, name);
    return is;
}

static void define(Reader *r, Knowns *list, const char *name, void *is, Loc loc)
{
    if (find(list, name))
        read_mistake(r, loc, "%s is there already", name);
    list_push(&r->scratch, list, ((Known){name, is}));
}

/* ---- types ---- */

static const Dim *read_dim(Reader *r)
{
    return known(r, &r->dim, "dim");
}

/* [A, B], after its bracket. */
static int read_dims(Reader *r, const Dim **dim)
{
    int n = 0;
    while (!r->failed && !read_sign(r, ']')) {
        if (n == MAX_RANK)
            read_mistake(r, r->now.loc, "at most %d dims", MAX_RANK);
        else
            dim[n++] = read_dim(r);
        if (!read_at(r, ']'))
            read_want(r, ',');
    }
    return r->failed ? 0 : n;
}

static Type read_type(Reader *r)
{
    Type t = {0};
    if (r->now.kind == TOKEN_word && type_find(r->now.text, &t.dtype)) {
        read_next(r);
    } else {
        t.index_of = read_dim(r);
        t.dtype = TYPE_i32;
    }
    if (read_sign(r, '['))
        t.rank = read_dims(r, t.dim);
    return t;
}

/* ---- nodes ---- */

static int read_int(Reader *r)
{
    Loc loc = r->now.loc;
    double v = read_number(r);
    if (!(fabs(v) < 1e9) || v != floor(v)) {
        read_mistake(r, loc, "needs a whole number, found %g", v);
        return 0;
    }
    return (int)v;
}

static void read_rope(Reader *r, Node *n, const char *key, Loc loc)
{
    if (!n->rope)
        n->rope = arena_alloc(r->arena, sizeof *n->rope);
    Rope *rope = (Rope *)n->rope; /* ours, and still being made */
    double v;
    if (!strcmp(key, "rotary")) {
        rope->rotary = read_int(r);
        return;
    }
    if (!strcmp(key, "kind")) {
        const char *kind = read_name(r, false, "a kind of rope");
        for (int i = 0; i < (int)COUNT(rope_kind); i++)
            if (!strcmp(kind, rope_kind[i])) {
                rope->kind = (RopeKind)i;
                return;
            }
        read_mistake(r, loc, "rope has no kind %s", kind);
        return;
    }
    for (int i = 0; i < ROPE_FIELDS; i++)
        if (!strcmp(key, rope_field[i].name)) {
            v = read_number(r);
            memcpy((char *)rope + rope_field[i].at, &v, sizeof v);
            return;
        }
    read_mistake(r, loc, "no op has %s", key);
}

static void read_keyed(Reader *r, Node *n, const char *key, Loc loc)
{
    if (!strcmp(key, "size"))
        n->size = read_size(r);
    else if (!strcmp(key, "slot"))
        n->slot = read_int(r);
    else if (n->op == OP_rope)
        read_rope(r, n, key, loc);
    else
        read_mistake(r, loc, "%s has no %s", op_info[n->op].name, key);
}

static void read_worded(Reader *r, Node *n, int *nargs)
{
    Token t = r->now;
    read_next(r);
    if (read_sign(r, '=')) {
        read_keyed(r, n, t.text, t.loc);
        return;
    }
    const Knowns *list = !strncmp(t.text, "@w", 2)   ? &r->weight
                         : !strncmp(t.text, "@r", 2) ? &r->repeat
                                                     : &r->node;
    void *is = find(list, t.text);
    if (!is)
        read_mistake(r, t.loc, "%s is not known here", t.text);
    else if (list == &r->weight)
        n->weight = is;
    else if (list == &r->repeat)
        n->repeat = is;
    else if (*nargs == MAX_ARGS)
        read_mistake(r, t.loc, "no op has more than %d arguments", MAX_ARGS);
    else
        n->arg[(*nargs)++] = is;
}

static void read_argument(Reader *r, Node *n, int *nargs)
{
    Token t = r->now;
    bool word = t.kind == TOKEN_word && strcmp(t.text, "inf") &&
                strcmp(t.text, "nan");
    if (word) {
        read_worded(r, n, nargs);
    } else if (read_sign(r, '[')) {
        n->ndim = read_dims(r, n->dim);
    } else if (t.kind == TOKEN_string) {
        n->name = t.text;
        read_next(r);
    } else {
        n->num = read_number(r);
    }
}

/* name: type = op(arguments) */
static void read_node(Reader *r, Graph *g)
{
    Node n = {.loc = r->now.loc, .src = r->src};
    int nargs = 0;
    const char *name = read_name(r, false, "a node");
    read_want(r, ':');
    n.type = read_type(r);
    read_want(r, '=');
    Loc loc = r->now.loc;
    const char *op = read_name(r, false, "an op");
    if (!r->failed && !op_find(op, &n.op))
        read_mistake(r, loc, "no op is called %s", op);
    read_want(r, '(');
    while (!r->failed && !read_sign(r, ')')) {
        read_argument(r, &n, &nargs);
        if (!read_at(r, ')'))
            read_want(r, ',');
    }
    if (n.op == OP_cast)
        n.num = n.type.dtype;
    n.label = *name == '%' ? NULL : name;
    Complaint c;
    if (!r->failed && !node_holds(&n, &c))
        read_mistake(r, n.loc, "%s: %s", name, c.rule);
    if (!r->failed)
        define(r, &r->node, name, graph_add(g, n), n.loc);
}

/* The lines in braces; of a formula (its value is returned) or a graph. */
static Node *read_block(Reader *r, Graph *g, bool formula)
{
    Node *value = NULL;
    r->node.n = 0;
    read_want(r, '{');
    while (!r->failed && !read_sign(r, '}')) {
        if (formula && read_word(r, "value")) {
            value = known(r, &r->node, "node");
        } else if (!formula && read_word(r, "output")) {
            Loc loc = r->now.loc;
            const char *name = read_name(r, true, "an output's name");
            read_want(r, '=');
            Node *n = known(r, &r->node, "node");
            if (!r->failed && graph_find_output(g, name))
                read_mistake(r, loc, "output %s is there already", name);
            if (!r->failed)
                graph_output(g, name, n);
        } else {
            read_node(r, g);
        }
    }
    if (formula && !value)
        read_mistake(r, r->now.loc, "a formula has no value");
    return value;
}

/* ---- sections ---- */

static void read_dim_line(Reader *r)
{
    Loc loc = r->now.loc;
    const char *name = read_name(r, false, "a dim's name");
    read_want(r, '=');
    const Size *size = read_size(r);
    if (!r->failed)
        define(r, &r->dim, name, (void *)dim_new(name, size), loc);
}

static void read_weight_line(Reader *r)
{
    Loc loc = r->now.loc;
    Weight *w = arena_alloc(r->arena, sizeof *w);
    const char *name = read_name(r, false, "a weight's @w");
    w->path = read_name(r, true, "its path");
    if (!read_sign(r, '-'))
        w->file = read_name(r, true, "its tensor");
    w->type = read_type(r);
    if (read_word(r, "stacked")) {
        read_want(r, '=');
        w->stacked = read_int(r);
    }
    if (!r->failed && (w->stacked < 0 || w->stacked > w->type.rank))
        read_mistake(r, loc, "%d of its %d dims are stacked", w->stacked,
                     w->type.rank);
    if (read_word(r, "made"))
        w->value = read_block(r, graph_new(r->arena, w->path), true);
    if (!r->failed)
        define(r, &r->weight, name, w, loc);
}

static void read_body(Reader *r)
{
    Loc loc = r->now.loc;
    const char *name = read_name(r, false, "a body's name");
    Graph *g = graph_new(r->arena, name);
    if (!read_word(r, "slots"))
        read_mistake(r, r->now.loc, "needs slots=, the weights it takes");
    read_want(r, '=');
    g->nslots = read_int(r);
    read_block(r, g, false);
    if (!r->failed)
        define(r, &r->body, name, g, loc);
}

static Iteration read_pass(Reader *r)
{
    Iteration it = {known(r, &r->body, "body"), NULL};
    int n = r->failed ? 0 : it.body->nslots;
    it.weight = arena_alloc(r->arena, (size_t)(n + 1) * sizeof *it.weight);
    for (int i = 0; i < n; i++)
        it.weight[i] = known(r, &r->weight, "weight");
    return it;
}

static void read_table(Reader *r)
{
    Loc loc = r->now.loc;
    const char *name = read_name(r, false, "a table's @r");
    LIST(Iteration) pass = {0};
    read_want(r, '{');
    while (!r->failed && !read_sign(r, '}')) {
        Iteration it = read_pass(r);
        list_push(r->arena, &pass, it);
    }
    Repeat *table = arena_alloc(r->arena, sizeof *table);
    *table = (Repeat){pass.n, pass.at};
    if (!r->failed)
        define(r, &r->repeat, name, table, loc);
}

static Graph *read_graph(Reader *r)
{
    Loc loc = r->now.loc;
    Graph *g = graph_new(r->arena, read_name(r, true, "a graph's name"));
    read_block(r, g, false);
    if (!r->failed && r->now.kind != TOKEN_end)
        read_mistake(r, r->now.loc, "nothing may follow the graph");
    Complaint c = {0};
    if (r->failed || graph_holds(g, &c))
        return g;
    if (c.node)
        read_mistake(r, c.node->loc, "%s: %s", ir_node_name(c.node), c.rule);
    else
        read_mistake(r, loc, "%s: %s", c.graph->name, c.rule);
    return NULL;
}

Graph *ir_read(Arena *a, const Source *src)
{
    Reader r = {.arena = a, .src = src};
    Graph *g = NULL;
    read_next(&r);
    while (!r.failed && !g) {
        Loc loc = r.now.loc;
        if (read_word(&r, "dim"))
            read_dim_line(&r);
        else if (read_word(&r, "weight"))
            read_weight_line(&r);
        else if (read_word(&r, "body"))
            read_body(&r);
        else if (read_word(&r, "repeat"))
            read_table(&r);
        else if (read_word(&r, "graph"))
            g = read_graph(&r);
        else
            read_mistake(&r, loc, "needs a dim, weight, body, repeat or graph");
    }
    arena_free(&r.scratch);
    return r.failed ? NULL : g;
}
