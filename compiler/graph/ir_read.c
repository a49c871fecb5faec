/* Reads a graph's text (ir_print.c shows it) back. Every node is checked as it
 * is read, its type too; then the whole. */
#include "compiler/graph/ir.h"
#include <math.h>
#include <string.h>

void *ir_find(const IrKnowns *list, const char *name)
{
    for (int i = list->n - 1; i >= 0; i--)
        if (list->at[i].name == name)
            return list->at[i].is;
    return NULL;
}

void *ir_known(IrReader *r, const IrKnowns *list, const char *what)
{
    Loc loc = r->now.loc;
    const char *name = ir_name(r, false, what);
    void *is = ir_find(list, name);
    if (!is)
        ir_mistake(r, loc, "%s %s is not known here", what, name);
    return is;
}

static void define(IrReader *r, IrKnowns *list, const char *name, void *is,
                   Loc loc)
{
    if (ir_find(list, name))
        ir_mistake(r, loc, "%s is there already", name);
    list_push(&r->scratch, list, ((IrKnown){name, is}));
}

/* ---- types ---- */

static const Dim *read_dim(IrReader *r)
{
    return ir_known(r, &r->dim, "dim");
}

/* [A, B], after its bracket. */
int ir_dims(IrReader *r, const Dim **dim)
{
    int n = 0;
    while (!r->failed && !ir_sign(r, ']')) {
        if (n == MAX_RANK)
            ir_mistake(r, r->now.loc, "at most %d dims", MAX_RANK);
        else
            dim[n++] = read_dim(r);
        if (!ir_at(r, ']'))
            ir_want(r, ',');
    }
    return r->failed ? 0 : n;
}

Type ir_type(IrReader *r)
{
    Type t = {0};
    if (r->now.kind == TOKEN_word && type_find(r->now.text, &t.dtype)) {
        ir_next(r);
    } else {
        t.index_of = read_dim(r);
        t.dtype = TYPE_i32;
    }
    if (ir_sign(r, '['))
        t.rank = ir_dims(r, t.dim);
    return t;
}

/* ---- nodes ---- */

int ir_int(IrReader *r)
{
    Loc loc = r->now.loc;
    double v = ir_number(r);
    if (!(fabs(v) < 1e9) || v != floor(v)) {
        ir_mistake(r, loc, "needs a whole number, found %g", v);
        return 0;
    }
    return (int)v;
}

static void read_rope(IrReader *r, Node *n, const char *key, Loc loc)
{
    if (!n->rope)
        n->rope = arena_alloc(r->arena, sizeof *n->rope);
    Rope *rope = (Rope *)n->rope; /* ours, and still being made */
    double v;
    if (!strcmp(key, "rotary")) {
        rope->rotary = ir_int(r);
        return;
    }
    if (!strcmp(key, "divisor") && r->now.kind == TOKEN_string) {
        rope->divisor = r->now.text;
        ir_next(r);
        return;
    }
    if (!strcmp(key, "kind")) {
        const char *kind = ir_name(r, false, "a kind of rope");
        for (int i = 0; i < (int)COUNT(rope_kind); i++)
            if (!strcmp(kind, rope_kind[i])) {
                rope->kind = (RopeKind)i;
                return;
            }
        ir_mistake(r, loc, "rope has no kind %s", kind);
        return;
    }
    for (int i = 0; i < ROPE_FIELDS; i++)
        if (!strcmp(key, rope_field[i].name)) {
            v = ir_number(r);
            memcpy((char *)rope + rope_field[i].at, &v, sizeof v);
            return;
        }
    ir_mistake(r, loc, "no op has %s", key);
}

static void read_keyed(IrReader *r, Node *n, const char *key, Loc loc)
{
    if (!strcmp(key, "size"))
        n->size = ir_size(r);
    else if (!strcmp(key, "slot"))
        n->slot = ir_int(r);
    else if (!strcmp(key, "cap"))
        n->num = ir_number(r);
    else if (n->op == OP_rope)
        read_rope(r, n, key, loc);
    else
        ir_mistake(r, loc, "%s has no %s", op_info[n->op].name, key);
}

static void read_worded(IrReader *r, Node *n, int *nargs)
{
    IrToken t = r->now;
    ir_next(r);
    if (ir_sign(r, '=')) {
        read_keyed(r, n, t.text, t.loc);
        return;
    }
    const IrKnowns *list = !strncmp(t.text, "@w", 2)   ? &r->weight
                         : !strncmp(t.text, "@r", 2) ? &r->repeat
                                                     : &r->node;
    void *is = ir_find(list, t.text);
    if (!is)
        ir_mistake(r, t.loc, "%s is not known here", t.text);
    else if (list == &r->weight)
        n->weight = is;
    else if (list == &r->repeat)
        n->repeat = is;
    else if (*nargs == MAX_ARGS)
        ir_mistake(r, t.loc, "no op has more than %d arguments", MAX_ARGS);
    else
        n->arg[(*nargs)++] = is;
}

static void read_argument(IrReader *r, Node *n, int *nargs)
{
    IrToken t = r->now;
    bool word = t.kind == TOKEN_word && strcmp(t.text, "inf") &&
                strcmp(t.text, "nan");
    if (word) {
        read_worded(r, n, nargs);
    } else if (ir_sign(r, '[')) {
        n->ndim = ir_dims(r, n->dim);
    } else if (t.kind == TOKEN_string) {
        n->name = t.text;
        ir_next(r);
    } else {
        n->num = ir_number(r);
    }
}

/* name: type = op(arguments) */
static void read_node(IrReader *r, Graph *g)
{
    Node n = {.loc = r->now.loc, .src = r->src};
    int nargs = 0;
    const char *name = ir_name(r, false, "a node");
    ir_want(r, ':');
    n.type = ir_type(r);
    ir_want(r, '=');
    Loc loc = r->now.loc;
    const char *op = ir_name(r, false, "an op");
    if (!r->failed && !op_find(op, &n.op))
        ir_mistake(r, loc, "no op is called %s", op);
    ir_want(r, '(');
    while (!r->failed && !ir_sign(r, ')')) {
        read_argument(r, &n, &nargs);
        if (!ir_at(r, ')'))
            ir_want(r, ',');
    }
    if (n.op == OP_cast)
        n.num = n.type.dtype;
    size_t label = strcspn(name, "%"); /* without its number */
    n.label = label ? intern_n(name, label) : NULL;
    Complaint c;
    if (!r->failed && !node_holds(&n, &c))
        ir_mistake(r, n.loc, "%s: %s", name, c.rule);
    if (!r->failed)
        define(r, &r->node, name, graph_add(g, n), n.loc);
}

/* The lines in braces; of a formula (its value is returned) or a graph. */
static Node *read_block(IrReader *r, Graph *g, bool formula)
{
    Node *value = NULL;
    r->node = (IrKnowns){0};
    ir_want(r, '{');
    while (!r->failed && !ir_sign(r, '}')) {
        if (formula && ir_word(r, "value")) {
            value = ir_known(r, &r->node, "node");
        } else if (!formula && ir_word(r, "output")) {
            Loc loc = r->now.loc;
            const char *name = ir_name(r, true, "an output's name");
            ir_want(r, '=');
            Node *n = ir_known(r, &r->node, "node");
            if (!r->failed && graph_find_output(g, name))
                ir_mistake(r, loc, "output %s is there already", name);
            if (!r->failed)
                graph_output(g, name, n);
        } else {
            read_node(r, g);
        }
    }
    if (!formula)
        list_push(&r->scratch, &r->scope, ((struct IrScope){g, r->node}));
    if (formula && !value)
        ir_mistake(r, r->now.loc, "a formula has no value");
    return value;
}

/* ---- sections ---- */

static void read_dim_line(IrReader *r)
{
    Loc loc = r->now.loc;
    const char *name = ir_name(r, false, "a dim's name");
    ir_want(r, '=');
    const Size *size = ir_size(r);
    if (!r->failed)
        define(r, &r->dim, name, (void *)dim_new(name, size), loc);
}

static void read_weight_line(IrReader *r)
{
    Loc loc = r->now.loc;
    Weight *w = arena_alloc(r->arena, sizeof *w);
    const char *name = ir_name(r, false, "a weight's @w");
    w->path = ir_name(r, true, "its path");
    if (!ir_sign(r, '-'))
        w->file = ir_name(r, true, "its tensor");
    w->type = ir_type(r);
    if (ir_word(r, "stacked")) {
        ir_want(r, '=');
        w->stacked = ir_int(r);
    }
    if (!r->failed && (w->stacked < 0 || w->stacked > w->type.rank))
        ir_mistake(r, loc, "%d of its %d dims are stacked", w->stacked,
                     w->type.rank);
    if (ir_word(r, "made"))
        w->value = read_block(r, graph_new(r->arena, w->path), true);
    if (!r->failed)
        define(r, &r->weight, name, w, loc);
}

static void read_body(IrReader *r)
{
    Loc loc = r->now.loc;
    const char *name = ir_name(r, false, "a body's name");
    Graph *g = graph_new(r->arena, name);
    if (!ir_word(r, "slots"))
        ir_mistake(r, r->now.loc, "needs slots=, the weights it takes");
    ir_want(r, '=');
    g->nslots = ir_int(r);
    read_block(r, g, false);
    if (!r->failed)
        define(r, &r->body, name, g, loc);
}

static Iteration read_pass(IrReader *r)
{
    Iteration it = {ir_known(r, &r->body, "body"), NULL};
    int n = r->failed ? 0 : it.body->nslots;
    it.weight = arena_alloc(r->arena, (size_t)(n + 1) * sizeof *it.weight);
    for (int i = 0; i < n; i++)
        it.weight[i] = ir_known(r, &r->weight, "weight");
    return it;
}

typedef struct {
    LIST(RepeatIn) in;
    LIST(RepeatOut) out;
} Further;

static const Dim *read_along(IrReader *r)
{
    ir_want(r, '[');
    const Dim *d = r->failed ? NULL : read_dim(r);
    ir_want(r, ']');
    return d;
}

static void read_parts(IrReader *r, RepeatIn *in)
{
    LIST(int) part = {0};
    in->each = read_along(r);
    while (!r->failed && !ir_at(r, ',') && !ir_at(r, '{'))
        list_push(r->arena, &part, ir_int(r));
    in->part = part.at;
    in->nparts = part.n;
}

/* A value that goes in or comes out besides x and y. */
static void read_further(IrReader *r, Further *f)
{
    RepeatIn in = {0};
    RepeatOut out = {0};
    Loc loc = r->now.loc;
    const char *word = ir_name(r, false, "carry, same, each, stack or {");
    const char *name = ir_name(r, true, "a value's name");
    in.name = out.name = name;
    if (!strcmp(word, "carry"))
        in.next = ir_name(r, true, "the output's name");
    else if (!strcmp(word, "each"))
        read_parts(r, &in);
    else if (!strcmp(word, "stack"))
        out.dim = read_along(r);
    else if (strcmp(word, "same"))
        ir_mistake(r, loc, "needs carry, same, each, stack or {, found %s",
                   word);
    if (out.dim)
        list_push(r->arena, &f->out, out);
    else
        list_push(r->arena, &f->in, in);
    if (!ir_at(r, '{'))
        ir_want(r, ',');
}

static void read_table(IrReader *r)
{
    Further f = {0};
    Loc loc = r->now.loc;
    const char *name = ir_name(r, false, "a table's @r");
    LIST(Iteration) pass = {0};
    while (!r->failed && !ir_at(r, '{'))
        read_further(r, &f);
    ir_want(r, '{');
    while (!r->failed && !ir_sign(r, '}')) {
        Iteration it = read_pass(r);
        list_push(r->arena, &pass, it);
    }
    Repeat *table = arena_alloc(r->arena, sizeof *table);
    *table = (Repeat){pass.n, pass.at, f.in.n, f.out.n, f.in.at, f.out.at};
    if (!r->failed)
        define(r, &r->repeat, name, table, loc);
}

static Graph *read_graph(IrReader *r)
{
    Loc loc = r->now.loc;
    Graph *g = graph_new(r->arena, ir_name(r, true, "a graph's name"));
    read_block(r, g, false);
    Complaint c = {0};
    if (r->failed || graph_holds(g, &c))
        return g;
    if (c.node)
        ir_mistake(r, c.node->loc, "%s: %s", ir_node_name(c.node), c.rule);
    else
        ir_mistake(r, loc, "%s: %s", c.graph->name, c.rule);
    return NULL;
}

Graph *ir_read_graph(IrReader *r)
{
    Graph *g = NULL;
    ir_next(r);
    while (!r->failed && !g) {
        Loc loc = r->now.loc;
        if (ir_word(r, "dim"))
            read_dim_line(r);
        else if (ir_word(r, "weight"))
            read_weight_line(r);
        else if (ir_word(r, "body"))
            read_body(r);
        else if (ir_word(r, "repeat"))
            read_table(r);
        else if (ir_word(r, "graph"))
            g = read_graph(r);
        else
            ir_mistake(r, loc, "needs a dim, weight, body, repeat or graph");
    }
    return r->failed ? NULL : g;
}

Graph *ir_read(Arena *a, const Source *src)
{
    IrReader r = {.arena = a, .src = src};
    Graph *g = ir_read_graph(&r);
    if (g && r.now.kind != TOKEN_end)
        ir_mistake(&r, r.now.loc, "nothing may follow the graph");
    arena_free(&r.scratch);
    return r.failed ? NULL : g;
}
