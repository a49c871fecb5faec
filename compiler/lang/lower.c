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

/* Does the text name a local tensor other than `but`? */
static bool reads_other(const Ast *a, const Names *local, const char *but)
{
    if (!a)
        return false;
    if (a->kind == AST_name && strcmp(a->text, but)) {
        const Val *v = names_find(local, a->text);
        if (v && v->kind == V_node)
            return true;
    }
    for (int i = 0; i < a->nkid; i++)
        if (reads_other(a->kid[i], local, but))
            return true;
    return false;
}

static void run_items(Scope *s, const Ast *block)
{
    for (int i = 0; i < block->nkid; i++)
        run_statement(s, block->kid[i]);
}

static void inline_loop(Scope *s, const Ast *a, int n)
{
    for (int i = 0; i < n; i++) {
        names_set(s->model->arena, &s->local, a->text,
                  val_size(size_num(i)));
        run_items(s, a->kid[1]);
    }
}

/* One iteration as a graph of its own; NULL after a message. */
static Graph *iteration(Scope *s, const Ast *a, int i, const char *carried,
                        const Type *type, Body *body)
{
    Graph *g = graph_new(s->g->arena, "body");
    Scope c = *s;
    Node in = {.op = OP_input, .name = intern("x"), .type = *type,
               .label = intern(carried)};
    c.g = g;
    c.body = body;
    c.local = names_copy(s->model->arena, &s->local);
    c.dims = names_copy(s->model->arena, &s->dims);
    names_set(s->model->arena, &c.local, carried,
              val_node(graph_add(g, in)));
    names_set(s->model->arena, &c.local, a->text, val_size(size_num(i)));
    run_items(&c, a->kid[1]);
    Val *v = names_find(&c.local, carried);
    if (!v || v->kind != V_node)
        return NULL;
    graph_output(g, "y", v->node);
    g->nslots = body->weight.n;
    return g;
}

static Graph *known_body(const Repeat *r, int n, uint64_t hash, uint64_t *of)
{
    for (int i = 0; i < n; i++)
        if (of[i] == hash)
            return r->at[i].body;
    return NULL;
}

static bool same_shape(const Node *a, const Type *t)
{
    return a->type.dtype == t->dtype && a->type.rank == t->rank &&
           !memcmp(a->type.dim, t->dim, (size_t)t->rank * sizeof *t->dim);
}

static Node *repeated(Scope *s, const Ast *a, int n, const char *carried,
                      Node *x)
{
    Arena *arena = s->g->arena;
    Repeat *r = arena_alloc(arena, sizeof *r);
    uint64_t *hash = arena_alloc(arena, (size_t)n * sizeof *hash);
    r->n = n;
    r->at = arena_alloc(arena, (size_t)n * sizeof *r->at);
    for (int i = 0; i < n; i++) {
        Body body = {.arena = arena};
        Graph *g = iteration(s, a, i, carried, &x->type, &body);
        if (!g)
            return NULL;
        if (!same_shape(g->output.at[0].node, &x->type)) {
            error_at(a->src, a->name_loc,
                     "`%s` comes as %s and leaves as %s: a layer must keep it",
                     carried, type_text(&x->type),
                     type_text(&g->output.at[0].node->type));
            return NULL;
        }
        hash[i] = graph_hash(g);
        Graph *same = known_body(r, i, hash[i], hash);
        r->at[i] = (Iteration){same ? same : g, body.weight.at};
    }
    return graph_add(s->g, (Node){.op = OP_repeat, .arg = {x}, .repeat = r,
                                  .label = intern(carried), .src = a->src,
                                  .loc = a->loc});
}

void run_for(Scope *s, const Ast *a)
{
    const Size *count;
    double n;
    Names carried = {0};
    if (!eval_size(s, a->kid[0], &count))
        return;
    if (!size_is_num(count, &n)) { /* any layer stands for all */
        names_set(s->model->arena, &s->local, a->text,
                  val_size(size_sym(a->text)));
        run_items(s, a->kid[1]);
        return;
    }
    if (n < 0 || n > 10000) {
        error_at(a->src, a->kid[0]->loc, "%.0f times: at most 10000", n);
        return;
    }
    assigned(a->kid[1], &s->local, &carried, s->model->arena);
    const char *name = carried.n ? carried.at[0].name : "";
    if (carried.n != 1 || carried.at[0].value.kind != V_node || s->body ||
        n < 1 || reads_other(a->kid[1], &s->local, name)) {
        inline_loop(s, a, (int)n);
        return;
    }
    Node *x = repeated(s, a, (int)n, name, carried.at[0].value.node);
    names_set(s->model->arena, &s->local, name, val_node(x));
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
               .effects = effects, .site = inst->site};
    if (!forward || !bind_inputs(&s, forward->kid[0], names))
        return NULL;
    Val v = run_block(&s, forward->kid[2]);
    Node *y = as_node(&s, v, m->dtype, forward);
    return y ? as_promised(&s, forward, y) : NULL;
}

Graph *model_graph(const Model *m, Arena *arena)
{
    Graph *g = graph_new(arena, m->root->def->text);
    Model copy = *m;
    Node *y = forward_node(&copy, g, m->root, NULL, false);
    if (!y)
        return NULL;
    Dtype t = returned_type(m, inst_forward(m->root));
    graph_output(g, "y", g_cast(g, t, y));
    ir_verify(g, "lowering");
    return g;
}
