/* The forward pass of a model as a graph; a repeated layer's bodies are found
 * by structure, and each is there once. */
#include "compiler/lang/elab.h"
#include <string.h>

struct Body {
    Arena *arena;
    LIST(const Weight *) weight;
};

int body_slot(Body *b, const Weight *w)
{
    for (int i = 0; i < b->weight.n; i++)
        if (b->weight.at[i] == w)
            return i + 1;
    list_push(b->arena, &b->weight, w);
    return b->weight.n;
}

static void assigned(const Ast *block, const Names *outer, Names *out,
                     Arena *a)
{
    for (int i = 0; i < block->nkid; i++) {
        const Ast *st = block->kid[i];
        if (st->kind == AST_for)
            assigned(st->kid[1], outer, out, a);
        if (st->kind != AST_assign)
            continue;
        for (int j = 0; j < st->kid[0]->nkid; j++) {
            Val *v = names_find(outer, st->kid[0]->kid[j]->text);
            if (v)
                names_set(a, out, st->kid[0]->kid[j]->text, *v);
        }
    }
}

/* The local tensors besides those in `carried` that the text names. */
static void read_names(const Ast *a, const Names *local, const Names *carried,
                       Names *out, Arena *arena)
{
    if (!a)
        return;
    if (a->kind == AST_name && !names_find(carried, a->text)) {
        const Val *v = names_find(local, a->text);
        if (v && v->kind == V_node)
            names_set(arena, out, a->text, *v);
    }
    for (int i = 0; i < a->nkid; i++)
        read_names(a->kid[i], local, carried, out, arena);
}

static void run_items(Scope *s, const Ast *block)
{
    for (int i = 0; i < block->nkid; i++)
        run_statement(s, block->kid[i]);
}

static void inline_loop(Scope *s, const Ast *a, int n)
{
    for (int i = 0; i < n && !budget_spent(s->model); i++) {
        names_set(s->model->arena, &s->local, a->text,
                  val_size(size_num(i)));
        run_items(s, a->kid[1]);
    }
}

/* A loop that becomes a repeat. */
typedef struct {
    Scope *s;
    const Ast *a;
    int n;
    Names carried, same; /* from pass to pass; read by each */
    bool wrong; /* mistakes were reported */
} Loop;

/* The name of a body's input or output: x and y are those of the first. */
static const char *value_name(const char *first, int i, const char *name)
{
    return i ? intern_printf("%s.%s", first, name) : intern(first);
}

static void body_input(Scope *c, const char *input, const char *name,
                       const Node *n)
{
    Node in = {.op = OP_input, .name = input, .type = n->type,
               .label = intern(name)};
    if (n->op == OP_number || n->op == OP_scalar || n->op == OP_flag)
        in = *n; /* known without a run: no value that goes in */
    names_set(c->model->arena, &c->local, name,
              val_node(graph_add(c->g, in)));
}

/* One iteration as a graph of its own; NULL after a message. */
static Graph *iteration(Loop *l, int i, Body *body)
{
    Arena *arena = l->s->model->arena;
    Scope c = *l->s;
    c.g = graph_new(l->s->g->arena, "body");
    c.body = body;
    c.local = names_copy(arena, &l->s->local);
    c.dims = names_copy(arena, &l->s->dims);
    for (int j = 0; j < l->carried.n; j++)
        body_input(&c, value_name("x", j, l->carried.at[j].name),
                   l->carried.at[j].name, l->carried.at[j].value.node);
    for (int j = 0; j < l->same.n; j++)
        body_input(&c, value_name("same", 1, l->same.at[j].name),
                   l->same.at[j].name, l->same.at[j].value.node);
    names_set(arena, &c.local, l->a->text, val_size(size_num(i)));
    run_items(&c, l->a->kid[1]);
    for (int j = 0; j < l->carried.n; j++) {
        const char *name = l->carried.at[j].name;
        Val *v = names_find(&c.local, name);
        if (!v || v->kind != V_node)
            return NULL;
        graph_output(c.g, value_name("y", j, name), v->node);
    }
    c.g->nslots = body->weight.n;
    return c.g;
}

static Graph *known_body(const Repeat *r, int n, uint64_t hash, uint64_t *of)
{
    for (int i = 0; i < n; i++)
        if (of[i] == hash)
            return r->at[i].body;
    return NULL;
}

/* Do the carried values leave as they came? Of a single one that is a rule. */
static bool keeps(Loop *l, const Graph *body)
{
    for (int i = 0; i < l->carried.n; i++) {
        const char *name = l->carried.at[i].name;
        const Type *in = &l->carried.at[i].value.node->type,
                   *out = &graph_find_output(body, value_name("y", i, name))
                               ->type;
        if (in->dtype == out->dtype && dims_same(in->rank, in->dim, out->rank,
                                                 out->dim))
            continue;
        l->wrong = l->carried.n == 1 && !l->same.n;
        if (l->wrong)
            error_at(l->a->src, l->a->name_loc,
                     "`%s` comes as %s and leaves as %s: a layer must keep it",
                     name, type_text(in), type_text(out));
        return false;
    }
    return true;
}

/* What goes in besides the first carried value: the arguments, and the table's
 * list of them. False: more than a node can have. */
static bool further_in(const Loop *l, Repeat *r, Node *node)
{
    RepeatIn *in = arena_alloc(l->s->g->arena, MAX_ARGS * sizeof *in);
    node->arg[0] = l->carried.at[0].value.node;
    r->in = in;
    if (l->carried.n + l->same.n > MAX_ARGS)
        return false;
    for (int i = 1; i < l->carried.n; i++) {
        const char *name = l->carried.at[i].name;
        node->arg[1 + r->nin] = l->carried.at[i].value.node;
        in[r->nin++] = (RepeatIn){.name = value_name("x", i, name),
                                  .next = value_name("y", i, name)};
    }
    for (int i = 0; i < l->same.n; i++) {
        Node *n = l->same.at[i].value.node;
        if (n->op == OP_number || n->op == OP_scalar || n->op == OP_flag)
            continue;
        node->arg[1 + r->nin] = n;
        in[r->nin++] = (RepeatIn){
            .name = value_name("same", 1, l->same.at[i].name)};
    }
    return true;
}

/* Losses and stats of the bodies come out as lists. Stats of one name that have
 * another shape than those before get another name. */
static void name_effects(const Repeat *r, const Graph *body)
{
    for (int i = 0; i < body->output.n; i++) {
        struct Output *o = &body->output.at[i];
        const char *name = o->name;
        int passes;
        if (strncmp(name, "stat.", 5))
            continue;
        for (int j = 2;; j++) {
            const Type *t = repeat_output(r, o->name, &passes);
            if (!t || same_shape(t, &o->node->type))
                break;
            o->name = intern_printf("%s.%d", name, j);
        }
    }
}

static void further_out(const Loop *l, Repeat *r)
{
    LIST(RepeatOut) out = {0};
    for (int i = 0; i < r->n; i++)
        for (int j = 0; j < r->at[i].body->output.n; j++) {
            const char *name = r->at[i].body->output.at[j].name;
            const Dim *dim = NULL;
            int passes;
            bool known = *name == 'y' && (!name[1] || name[1] == '.');
            repeat_output(r, name, &passes);
            for (int k = 0; k < out.n; k++) {
                double size;
                known |= out.at[k].name == name;
                if (size_is_num(out.at[k].dim->size, &size) && size == passes)
                    dim = out.at[k].dim;
            }
            if (known)
                continue;
            if (!dim)
                dim = dim_new(intern("passes"), size_num(passes));
            RepeatOut o = {name, dim};
            list_push(l->s->g->arena, &out, o);
        }
    r->out = out.at;
    r->nout = out.n;
}

static void add_effects(Graph *g, Node *repeat)
{
    const Repeat *r = repeat->repeat;
    for (int i = 0; i < r->nout; i++) {
        Node *all = g_result(g, repeat, r->out[i].name);
        if (strncmp(r->out[i].name, "loss.", 5))
            add_stat(g, r->out[i].name, all);
        else
            add_loss(g, r->out[i].name,
                     g_along(g, OP_sum, all, 1, &r->out[i].dim));
    }
}

/* NULL: it cannot be one, or something is wrong. */
static Node *repeated(Loop *l)
{
    Arena *arena = l->s->g->arena;
    Repeat *r = arena_alloc(arena, sizeof *r);
    uint64_t *hash = arena_alloc(arena, (size_t)l->n * sizeof *hash);
    Node node = {.op = OP_repeat, .repeat = r, .src = l->a->src,
                 .label = intern(l->carried.at[0].name), .loc = l->a->loc};
    r->at = arena_alloc(arena, (size_t)l->n * sizeof *r->at);
    if (!further_in(l, r, &node))
        return NULL;
    for (int i = 0; i < l->n && !budget_spent(l->s->model); i++) {
        Body body = {.arena = arena};
        Graph *g = iteration(l, i, &body);
        l->wrong |= !g;
        if (!g || !keeps(l, g))
            return NULL;
        name_effects(r, g);
        hash[i] = graph_hash(g);
        Graph *same = known_body(r, i, hash[i], hash);
        r->at[i] = (Iteration){same ? same : g, body.weight.at};
        r->n = i + 1;
    }
    l->wrong |= budget_spent(l->s->model);
    if (l->wrong)
        return NULL;
    further_out(l, r);
    return graph_add(l->s->g, node);
}

/* What the loop carries, from its result on. */
static void loop_results(const Loop *l, Node *repeat)
{
    for (int i = 0; i < l->carried.n; i++) {
        const char *name = l->carried.at[i].name;
        Node *n = !repeat ? NULL
                  : i ? g_result(l->s->g, repeat, value_name("y", i, name))
                      : repeat;
        names_set(l->s->model->arena, &l->s->local, name, val_node(n));
    }
    if (repeat)
        add_effects(l->s->g, repeat);
}

static bool carries(const Scope *s, const Names *carried)
{
    for (int i = 0; i < carried->n; i++)
        if (carried->at[i].value.kind != V_node)
            return false;
    return carried->n > 0 && !s->body;
}

void run_for(Scope *s, const Ast *a)
{
    const Size *count;
    double n;
    Loop l = {.s = s, .a = a};
    if (!eval_size(s, a->kid[0], &count))
        return;
    if (!size_is_num(count, &n)) { /* any layer stands for all */
        const Part *part = looped_part(s->inst, a);
        names_set(s->model->arena, &s->local, a->text,
                  val_size(part ? index_unknown(s->model, part, a->text)
                                : model_symbol(s->model, a, "loop",
                                                a->text)));
        run_items(s, a->kid[1]);
        return;
    }
    if (n < 0 || n > 10000) {
        error_at(a->src, a->kid[0]->loc, "%.0f times: at most 10000", n);
        return;
    }
    l.n = (int)n;
    assigned(a->kid[1], &s->local, &l.carried, s->model->arena);
    read_names(a->kid[1], &s->local, &l.carried, &l.same, s->model->arena);
    Node *repeat = carries(s, &l.carried) && n > 0 ? repeated(&l) : NULL;
    if (repeat || l.wrong)
        loop_results(&l, repeat);
    else
        inline_loop(s, a, (int)n);
}

/* ---- the whole model ---- */

/* Inputs named as forward's arguments, or as `names` has it; `..` is T. */
static bool bind_inputs(Scope *s, const Ast *fargs, const char *const *names)
{
    for (int i = 0; i < fargs->nkid; i++) {
        const Ast *f = fargs->kid[i], *of = f->kid[1];
        Node n = {.op = OP_input, .label = f->text};
        n.name = names ? names[i] : f->text;
        n.type.dtype = of ? TYPE_i32 : s->model->dtype;
        n.type.index_of = of ? want_dim(s, of) : NULL;
        if (!read_dims(s, f->kid[0]->kid[0], &n.type) ||
            (of && !n.type.index_of))
            return false;
        names_set(s->model->arena, &s->local, f->text,
                  val_node(graph_add(s->g, n)));
    }
    return true;
}

Node *forward_node(Model *m, Graph *g, Inst *inst, const char *const *names,
                   bool effects)
{
    const Ast *forward = inst_forward(inst);
    Scope s = {.spec = inst->spec, .model = m, .g = g, .inst = inst,
               .effects = effects, .top = inst, .site = inst->site};
    if (!forward || !bind_inputs(&s, forward->kid[0], names))
        return NULL;
    Val v = run_block(&s, forward->kid[2]);
    Node *y = as_node(&s, v, m->dtype, forward);
    return y ? as_promised(&s, forward, y) : NULL;
}

static Graph *graph_of(const Model *m, Arena *arena, bool effects)
{
    Graph *g = graph_new(arena, m->root->def->text);
    Model copy = *m;
    Node *y = forward_node(&copy, g, m->root, NULL, effects);
    if (!y)
        return NULL;
    Dtype t = returned_type(m, inst_forward(m->root));
    graph_output(g, "y", g_cast(g, t, y));
    ir_verify(g, "lowering");
    return g;
}

Graph *model_graph(const Model *m, Arena *arena)
{
    return graph_of(m, arena, false);
}

Graph *model_graph_whole(const Model *m, Arena *arena)
{
    return graph_of(m, arena, true);
}
