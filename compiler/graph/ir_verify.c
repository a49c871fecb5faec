/* What always holds of a graph. Nothing that a pass may have left behind is
 * believed: types are worked out again, nodes looked up where they stand. */
#include "compiler/graph/ir.h"
#include <math.h>
#include <string.h>

PRINTF(3, 4)
static bool refuse(Complaint *c, const Node *n, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->rule, sizeof c->rule, fmt, ap);
    va_end(ap);
    c->node = n;
    return false;
}

/* ---- one node ---- */

static bool type_holds(const Node *n, Complaint *c)
{
    const Type *t = &n->type;
    if (!type_is_float(t->dtype) && t->dtype != TYPE_i32 &&
        t->dtype != TYPE_bool)
        return refuse(c, n, "no value has the type %s",
                      t->dtype < TYPE_COUNT ? type_info[t->dtype].name : "?");
    if (t->rank < 0 || t->rank > MAX_RANK)
        return refuse(c, n, "a rank of %d", t->rank);
    if (t->index_of && t->dtype != TYPE_i32)
        return refuse(c, n, "an index is i32, not %s",
                      type_info[t->dtype].name);
    for (int i = 0; i < t->rank; i++) {
        if (!t->dim[i])
            return refuse(c, n, "dim %d of its type is missing", i);
        if (type_dim(t, t->dim[i]) != i)
            return refuse(c, n, "its type has the dim %s twice",
                          t->dim[i]->name);
    }
    return true;
}

static bool dims_hold(const Node *n, Complaint *c)
{
    const OpInfo *op = &op_info[n->op];
    if (n->ndim < op->least_dims || n->ndim > op->most_dims)
        return refuse(c, n, "%s names %d dims", op->name, n->ndim);
    for (int i = 0; i < MAX_RANK; i++)
        if (!n->dim[i] != (i >= n->ndim))
            return refuse(c, n, "names %d dims, but dim %d is %s", n->ndim, i,
                          n->dim[i] ? "there" : "missing");
    return true;
}

static bool attrs_hold(const Node *n, Complaint *c)
{
    unsigned has = op_info[n->op].flags;
    const struct {
        const char *what;
        bool there, may, must;
    } row[] = {
        {"number", n->num != 0, has & (HAS_num | HAS_cap), false},
        {"size", n->size, has & (HAS_size | HAS_window), has & HAS_size},
        {"name", n->name, has & (HAS_name | HAS_title), has & HAS_name},
        {"weight", n->weight || n->slot, has & HAS_weight, has & HAS_weight},
        {"rope", n->rope, has & HAS_rope, has & HAS_rope},
        {"table", n->repeat, has & HAS_repeat, has & HAS_repeat},
    };
    for (size_t i = 0; i < COUNT(row); i++)
        if (row[i].there ? !row[i].may : row[i].must)
            return refuse(c, n, "%s has %s %s", op_info[n->op].name,
                          row[i].there ? "a" : "no", row[i].what);
    if (n->weight && n->slot)
        return refuse(c, n, "has both a weight and a slot");
    return dims_hold(n, c);
}

/* The pairs of a head that turn: unknown in a text without a config. */
static bool rope_holds(const Node *n, Complaint *c)
{
    const Rope *r = n->rope;
    double size;
    return !r ||
           (r->rotary > 0 && r->rotary % 2 == 0 && r->theta > 0 &&
            (!size_is_num(n->type.dim[2]->size, &size) || r->rotary <= size)) ||
           refuse(c, n, "%d elements of a head turn", r->rotary);
}

bool node_holds(const Node *n, Complaint *c)
{
    if (n->op >= OP_COUNT)
        return refuse(c, n, "op %d is none", (int)n->op);
    for (int i = 0; i < MAX_ARGS; i++)
        if (!n->arg[i] != (i >= node_args(n)))
            return refuse(c, n, "%s takes %d arguments, but number %d is %s",
                          op_info[n->op].name, node_args(n), i + 1,
                          n->arg[i] ? "there" : "missing");
    if (!attrs_hold(n, c))
        return false;
    Type type;
    const char *why = op_type(n, &type);
    if (why)
        return refuse(c, n, "%s needs %s", op_info[n->op].name, why);
    if (!type_holds(n, c))
        return false;
    if (!type_same(&type, &n->type))
        return refuse(c, n, "is %s, its rule gives %s", type_text(&n->type),
                      type_text(&type));
    return rope_holds(n, c);
}

/* ---- a repeat and its bodies ---- */

static const Node *find_input(const Graph *g, const char *name)
{
    for (int i = 0; i < g->node.n; i++)
        if (g->node.at[i]->op == OP_input &&
            !strcmp(g->node.at[i]->name, name))
            return g->node.at[i];
    return NULL;
}

static bool weights_hold(const Node *n, int pass, Complaint *c)
{
    const Iteration *it = &n->repeat->at[pass];
    for (int i = 0; i < it->body->nslots; i++)
        if (!it->weight || !it->weight[i])
            return refuse(c, n, "pass %d: no weight for slot %d", pass, i + 1);
    for (int i = 0; i < it->body->node.n; i++) {
        const Node *m = it->body->node.at[i];
        if (m->slot > 0 &&
            !same_shape(&m->type, &it->weight[m->slot - 1]->type))
            return refuse(c, n, "pass %d: %s is %s, slot %d wants %s", pass,
                          it->weight[m->slot - 1]->path,
                          type_text(&it->weight[m->slot - 1]->type), m->slot,
                          type_text(&m->type));
    }
    return true;
}

typedef struct {
    Arena arena;
    LIST(const Graph *) seen;
} Visit;
static bool graph_and_bodies_hold(Visit *v, const Graph *g, bool body,
                                  Complaint *c);

/* A further value of a pass is of this type, whose first dim `along` goes. */
static bool part_holds(const Node *n, const Type *part, const Type *whole,
                       const Dim *along, const char *name, Complaint *c)
{
    Type t = *whole;
    if (along) {
        t.rank--;
        memmove(t.dim, t.dim + 1, (size_t)t.rank * sizeof *t.dim);
    }
    return same_shape(part, &t) ||
           refuse(c, n, "%s is %s in a body, not %s", name, type_text(part),
                  type_text(&t));
}

static bool parts_hold(const Node *n, const RepeatIn *in, const Type *whole,
                       Complaint *c)
{
    double size;
    if (!whole->rank || whole->dim[0] != in->each || in->next ||
        in->nparts != n->repeat->n || !size_is_num(in->each->size, &size))
        return refuse(c, n, "%s is no list of parts along %s", in->name,
                      in->each->name);
    for (int i = 0; i < n->repeat->n; i++)
        if (in->part[i] < -1 || in->part[i] >= size)
            return refuse(c, n, "pass %d: %s has no part %d", i, in->name,
                          in->part[i]);
        else if (in->part[i] < 0 &&
                 find_input(n->repeat->at[i].body, in->name))
            return refuse(c, n, "pass %d: no part of %s", i, in->name);
    return true;
}

static bool in_holds(const Node *n, int i, Complaint *c)
{
    const RepeatIn *in = &n->repeat->in[i];
    const Type *whole = &n->arg[1 + i]->type;
    if (in->each && !parts_hold(n, in, whole, c))
        return false;
    for (int j = 0; j < n->repeat->n; j++) {
        const Graph *body = n->repeat->at[j].body;
        const Node *at = find_input(body, in->name),
                   *next = in->next ? graph_find_output(body, in->next) : NULL;
        if (at && !part_holds(n, &at->type, whole, in->each, in->name, c))
            return false;
        if (in->next && !next)
            return refuse(c, n, "pass %d: its body has no output %s", j,
                          in->next);
        if (next && !part_holds(n, &next->type, whole, NULL, in->next, c))
            return false;
    }
    return true;
}

static bool out_holds(const Node *n, int i, Complaint *c)
{
    const RepeatOut *out = &n->repeat->out[i];
    int passes;
    const Type *type = repeat_output(n->repeat, out->name, &passes);
    if (!type || !out->dim)
        return refuse(c, n, "no body has the output %s", out->name);
    for (int j = 0; j < n->repeat->n; j++) {
        const Node *at = graph_find_output(n->repeat->at[j].body, out->name);
        if (at && !part_holds(n, &at->type, type, NULL, out->name, c))
            return false;
    }
    double size;
    return (size_is_num(out->dim->size, &size) && size == passes) ||
           refuse(c, n, "%d passes have %s, its dim %s is %s", passes,
                  out->name, out->dim->name, size_text(out->dim->size));
}

static bool names_differ(const Node *n, Complaint *c)
{
    const Repeat *r = n->repeat;
    const char *name[2 * MAX_ARGS + 2] = {"x"}, *made[256] = {"y"};
    int nname = 1, nmade = 1;
    if (r->nin >= MAX_ARGS || r->nout > (int)COUNT(made) - MAX_ARGS)
        return refuse(c, n, "more values than a repeat can have");
    for (int i = 0; i < r->nin; i++) {
        name[nname++] = r->in[i].name;
        if (r->in[i].next)
            made[nmade++] = r->in[i].next;
    }
    for (int i = 0; i < r->nout; i++)
        made[nmade++] = r->out[i].name;
    for (int i = 0; i < nname; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(name[i], name[j]))
                return refuse(c, n, "%s goes in twice", name[i]);
    for (int i = 0; i < nmade; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(made[i], made[j]))
                return refuse(c, n, "%s comes out twice", made[i]);
    return true;
}

static bool values_hold_of(const Node *n, Complaint *c)
{
    if (!names_differ(n, c))
        return false;
    for (int i = 0; i < n->repeat->nin; i++)
        if (!in_holds(n, i, c))
            return false;
    for (int i = 0; i < n->repeat->nout; i++)
        if (!out_holds(n, i, c))
            return false;
    return true;
}

static bool repeat_holds(Visit *v, const Graph *g, const Node *n, Complaint *c)
{
    if (n->repeat->n < 1)
        return refuse(c, n, "no pass");
    for (int i = 0; i < n->repeat->n; i++) {
        const Graph *body = n->repeat->at[i].body;
        if (!body)
            return refuse(c, n, "pass %d: no body", i);
        if (!graph_and_bodies_hold(v, body, true, c))
            return false;
        c->graph = g;
        const Node *x = find_input(body, "x"),
                   *y = graph_find_output(body, "y");
        if (!y)
            return refuse(c, n, "pass %d: its body has no output y", i);
        if ((x && !same_shape(&x->type, &n->type)) ||
            !same_shape(&y->type, &n->type))
            return refuse(c, n, "pass %d: its body's x is %s, y is %s, not %s",
                          i, x ? type_text(&x->type) : "nothing",
                          type_text(&y->type), type_text(&n->type));
        if (!weights_hold(n, i, c))
            return false;
    }
    return values_hold_of(n, c);
}

/* ---- a graph ---- */

static bool stands_in(const Graph *g, const Node *n)
{
    return n && n->id >= 0 && n->id < g->node.n && g->node.at[n->id] == n;
}

static bool order_holds(const Graph *g, const Node *n, int at, Complaint *c)
{
    if (n->id != at)
        return refuse(c, n, "stands at %d", at);
    if (n->op >= OP_COUNT)
        return refuse(c, n, "op %d is none", (int)n->op);
    if (node_args(n) > MAX_ARGS)
        return refuse(c, n, "%d arguments", node_args(n));
    for (int i = 0; i < node_args(n); i++)
        if (n->arg[i] && (!stands_in(g, n->arg[i]) || n->arg[i]->id >= at))
            return refuse(c, n, "argument %d does not stand above it", i + 1);
    return true;
}

/* A formula reads weights as f32, whatever they are kept as. */
static bool weight_type_holds(const Type *read, const Type *kept)
{
    Type as_read = *kept;
    if (read->dtype == TYPE_f32 && type_is_float(kept->dtype))
        as_read.dtype = TYPE_f32;
    return same_shape(read, &as_read);
}

static bool weight_holds(const Graph *g, const Node *n, Complaint *c)
{
    if (n->slot < 0 || n->slot > g->nslots)
        return refuse(c, n, "slot %d, its graph has %d", n->slot, g->nslots);
    if (n->weight && !weight_type_holds(&n->type, &n->weight->type))
        return refuse(c, n, "is %s, the weight %s is %s", type_text(&n->type),
                      n->weight->path, type_text(&n->weight->type));
    return true;
}

static bool outputs_hold(const Graph *g, Complaint *c)
{
    for (int i = 0; i < g->output.n; i++) {
        const struct Output *o = &g->output.at[i];
        if (!o->name)
            return refuse(c, o->node, "output %d has no name", i);
        if (!stands_in(g, o->node))
            return refuse(c, NULL, "output %s is not in the graph", o->name);
        for (int j = 0; j < i; j++)
            if (!strcmp(g->output.at[j].name, o->name))
                return refuse(c, o->node, "output %s is there twice", o->name);
    }
    return g->output.n > 0 || refuse(c, NULL, "no output");
}

static bool graph_and_bodies_hold(Visit *v, const Graph *g, bool body,
                                  Complaint *c)
{
    for (int i = 0; i < v->seen.n; i++)
        if (v->seen.at[i] == g)
            return true;
    list_push(&v->arena, &v->seen, g);
    c->graph = g;
    if (g->nslots && !body)
        return refuse(c, NULL, "%d slots outside a body", g->nslots);
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        if (!n)
            return refuse(c, NULL, "node %d is missing", i);
        if (!order_holds(g, n, i, c) || !node_holds(n, c) ||
            !weight_holds(g, n, c))
            return false;
        if (n->repeat && !repeat_holds(v, g, n, c))
            return false;
    }
    return outputs_hold(g, c);
}

bool graph_holds(const Graph *g, Complaint *c)
{
    Visit v = {0};
    bool ok = graph_and_bodies_hold(&v, g, false, c);
    arena_free(&v.arena);
    return ok;
}

void ir_verify(const Graph *g, const char *after_pass)
{
    Complaint c = {0};
    if (graph_holds(g, &c))
        return;
    if (c.node)
        BUG("after %s: %s: %s: %s", after_pass, c.graph->name,
            ir_node_name(c.node), c.rule);
    BUG("after %s: %s: %s", after_pass, c.graph->name, c.rule);
}
