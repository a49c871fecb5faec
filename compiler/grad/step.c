/* A training step of a model as one graph: its loss on labels, the total with
 * the losses of modules, the gradients of what is trained. */
#include "compiler/grad/step.h"
#include <string.h>

bool step_trains(const Step *s, const Weight *w)
{
    return step_index(s, w) >= 0;
}

static bool leaf_trained(const Back *b, const Node *n)
{
    return n->op == OP_weight && step_trains(b->user, n->weight);
}

/* ---- the loss ---- */

/* The forward's logits and what comes with the labels. */
typedef struct {
    Node *y, *label, *share;
    const Dim *V;
} Head;

static Node *input(Graph *g, const char *name, Type t)
{
    return graph_add(g, (Node){.op = OP_input, .name = intern(name),
                               .type = t, .label = intern(name)});
}

static bool names_free(Step *s)
{
    static const char *const own[] = {"label", "share", "part"};
    for (int i = 0; i < s->g->node.n; i++) {
        const Node *n = s->g->node.at[i];
        if (n->op != OP_input)
            continue;
        bool taken = s->o->update && update_reads(n->name);
        for (size_t j = 0; j < COUNT(own); j++)
            taken |= !strcmp(n->name, own[j]);
        if (taken)
            return err_set(s->err, "an input called %s, which a step has for "
                           "itself", n->name);
    }
    return true;
}

static bool head_of(Step *s, Head *h)
{
    h->y = graph_find_output(s->g, "y");
    if (!h->y || h->y->type.rank != 2 || back_is_weight(h->y) ||
        size_has(h->y->type.dim[1]->size, "T"))
        return err_set(s->err, "what is trained must return logits [T, V], "
                       "not %s", h->y ? type_text(&h->y->type) : "nothing");
    Type t = {.rank = 1, .dim = {h->y->type.dim[0]}, .dtype = TYPE_f32};
    h->V = h->y->type.dim[1];
    h->share = input(s->g, "share", t);
    t.dtype = TYPE_i32;
    t.index_of = h->V;
    h->label = input(s->g, "label", t);
    return true;
}

/* The product that the logits are, as the op nll has it: x's dims those of T
 * and what is summed, w's V and these. NULL: they are something else. */
static Node *fused(Graph *g, const Head *h)
{
    Node *y = h->y;
    while (y->op == OP_cast)
        y = y->arg[0];
    if (y->op != OP_contract)
        return NULL;
    int w = type_dim(&y->arg[0]->type, h->V) >= 0 ? 0 : 1;
    Node n = {.op = OP_nll, .ndim = y->ndim,
              .arg = {y->arg[1 - w], y->arg[w], h->label, h->share}};
    Type type;
    memcpy(n.dim, y->dim, sizeof n.dim);
    return back_is_weight(n.arg[1]) && !op_type(&n, &type) ? graph_add(g, n)
                                                           : NULL;
}

/* log sum e^y - y[label], 0 where share is. */
static Node *plain(Graph *g, const Head *h)
{
    Dtype wide = h->y->type.dtype == TYPE_f64 ? TYPE_f64 : TYPE_f32;
    Node *y = g_cast(g, wide, h->y);
    Node *lse = g_along(g, OP_logsumexp, y, 1, &h->V);
    Node *nll = g_map2(g, OP_sub, lse, g_gather(g, y, h->V, h->label));
    Node *none = g_map2(g, OP_eq, h->share, num_like(g, h->share, 0));
    return g_select(g, none, num_like(g, nll, 0), nll);
}

static Node *loss_of(Graph *g, const Head *h)
{
    Node *nll = fused(g, h);
    Node *each = g_map2(g, OP_mul, h->share, nll ? nll : plain(g, h));
    return sum_over(g, each, each->type.rank, each->type.dim);
}

static bool is_loss(const char *name)
{
    return !strncmp(name, "loss.", 5);
}

/* loss + part (loss.A + loss.B ..) */
static Node *total_of(Graph *g, const Graph *forward, Node *loss)
{
    Node *sum = NULL;
    for (int i = 0; i < forward->output.n; i++) {
        Node *n = forward->output.at[i].node;
        if (is_loss(forward->output.at[i].name))
            sum = sum ? g_map2(g, OP_add, sum, n) : n;
    }
    if (!sum)
        return loss;
    Node *part = input(g, "part", (Type){.dtype = TYPE_f32});
    return g_map2(g, OP_add, loss, g_map2(g, OP_mul, part, sum));
}

/* ---- what comes out ---- */

static bool has_output(const Graph *g, const char *name)
{
    return graph_find_output(g, name) != NULL;
}

/* Under the name, or one beside it that is free; a node that is put out
 * already keeps its name. */
static const char *put(Graph *g, const char *name, Node *n)
{
    for (int i = 0; i < g->output.n; i++)
        if (g->output.at[i].node == n)
            return g->output.at[i].name;
    const char *free_name = name;
    for (int i = 2; has_output(g, free_name); i++)
        free_name = intern_printf("%s.%d", name, i);
    graph_output(g, free_name, n);
    return intern(free_name);
}

static Node *row_of(Graph *g, const WeightPart *p)
{
    if (p->place < 0)
        return p->of;
    Node n = {.op = OP_slice, .arg = {p->of}, .num = p->place, .ndim = 1,
              .dim = {p->of->type.dim[0]}};
    return graph_add(g, n);
}

/* The dims called as those of the type, which are as large. */
static Node *renamed(Graph *g, Node *n, const Type *as)
{
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < n->type.rank; i++) {
            const Dim *was = n->type.dim[i], *to = as->dim[i];
            if (was == to)
                continue;
            const Dim *pair[] = {was, round ? to : dim_new("to", to->size)};
            n = g_along(g, OP_rename, n, 2, pair);
        }
    return n;
}

/* All parts of one weight, added up; its dims as they are in the first. */
static Node *added_up(Step *s, const Weight *w)
{
    Node *sum = NULL;
    for (int i = 0; i < s->part.n; i++) {
        const WeightPart *p = &s->part.at[i];
        if (p->weight != w)
            continue;
        Node *row = row_of(s->g, p);
        if (sum && !dims_same(row->type.rank, row->type.dim, sum->type.rank,
                              sum->type.dim))
            row = renamed(s->g, row, &sum->type);
        sum = sum ? g_map2(s->g, OP_add, sum, row) : row;
    }
    return sum;
}

static GradOf put_gradient(Step *s, const Weight *w)
{
    const WeightPart *only = NULL;
    int n = 0;
    for (int i = 0; i < s->part.n; i++)
        if (s->part.at[i].weight == w) {
            only = &s->part.at[i];
            n++;
        }
    GradOf of = {w, NULL, -1};
    if (!n)
        return of;
    if (n == 1 && only->place >= 0) {
        of.output = put(s->g, only->of->name, only->of);
        of.place = only->place;
        return of;
    }
    of.output = put(s->g, intern_printf("grad.%s", w->path),
                    added_up(s, w));
    return of;
}

/* ---- updates in the graph itself ---- */

static Node *state_leaf(Updating *u, const char *name, const Type *t)
{
    return g_weight(u->to, step_state(u->step, u->user, name, t));
}

static void put_new(Updating *u, const char *state, Node *n)
{
    Step *s = u->step;
    const Weight *w = u->user;
    const char *name = intern_printf("new.%s%s%s", state ? state : "",
                                     state ? "." : "", w->path);
    struct Fresh f = {{w, state, state ? step_state(s, w, state, NULL) : w,
                       name, -1}, n};
    list_push(s->arena, &s->fresh, f);
}

/* Where its update stands in no body. */
static void put_update(Step *s, int index)
{
    const Weight *w = s->o->weight[index];
    Node *sum = added_up(s, w), *leaf = g_weight(s->g, w);
    if (!sum)
        return;
    Updating u = {s, index, s->g, leaf, renamed(s->g, sum, &leaf->type),
                  state_leaf, put_new, (void *)w};
    update_inside(&u);
}

static void put_updates(Step *s, GradStep *out)
{
    for (int i = 0; i < s->o->n; i++)
        put_update(s, i);
    GradNew *fresh = arena_alloc(s->arena,
                                 ((size_t)s->fresh.n + 1) * sizeof *fresh);
    for (int i = 0; i < s->fresh.n; i++) {
        fresh[i] = s->fresh.at[i].new;
        fresh[i].output = put(s->g, fresh[i].output, s->fresh.at[i].of);
    }
    out->nfresh = s->fresh.n;
    out->fresh = fresh;
}

static void put_gradients(Step *s, GradStep *out)
{
    GradOf *of = arena_alloc(s->arena, ((size_t)s->o->n + 1) * sizeof *of);
    for (int i = 0; i < s->o->n; i++)
        of[i] = put_gradient(s, s->o->weight[i]);
    out->n = s->o->n;
    out->of = of;
}

/* Weights that stand in the step's own graph, outside repeats. */
static void note_leaves(Step *s, const Back *b)
{
    for (int i = 0; i < b->forward; i++) {
        const Node *n = s->g->node.at[i];
        WeightPart p = {n->weight, b->sum[i], -1};
        if (b->sum[i] && leaf_trained(b, n))
            list_push(s->arena, &s->part, p);
    }
}

static void put_all(Step *s, const Graph *forward, Node *loss, GradStep *out)
{
    *out = (GradStep){0};
    s->g->output.n = 0;
    graph_output(s->g, "loss", loss);
    for (int i = 0; i < forward->output.n; i++)
        if (strcmp(forward->output.at[i].name, "y"))
            graph_output(s->g, forward->output.at[i].name,
                         forward->output.at[i].node);
    if (s->o->update)
        put_updates(s, out);
    else
        put_gradients(s, out);
    out->graph = graph_map(s->g, s->arena, NULL, NULL);
}

bool grad_step(Arena *a, const Graph *forward, const GradOptions *o,
               GradStep *out, Err *err)
{
    Step s = {.arena = a, .o = o, .err = err, .room = o->memory};
    Head h;
    s.g = step_leaves(forward, a);
    Graph outputs = *s.g; /* the forward's, of the new nodes */
    outputs.output.at = arena_alloc(a, ((size_t)s.g->output.n + 1) *
                                           sizeof *outputs.output.at);
    memcpy(outputs.output.at, s.g->output.at,
           (size_t)s.g->output.n * sizeof *outputs.output.at);
    step_count_uses(&s);
    if (!names_free(&s) || !head_of(&s, &h))
        return false;
    Node *loss = loss_of(s.g, &h), *total = total_of(s.g, &outputs, loss);
    Back b = {.g = s.g, .trained = leaf_trained, .user = &s,
              .repeat_wants = repeat_trains, .repeat = repeat_back};
    back_begin(&b);
    back_give(&b, total, num_like(s.g, total, 1));
    back_run(&b);
    if (s.failed)
        return false;
    note_leaves(&s, &b);
    put_all(&s, &outputs, loss, out);
    ir_verify(out->graph, "the gradient");
    return true;
}
