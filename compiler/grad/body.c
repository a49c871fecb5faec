/* The backward body of a repeat's body: the forward body once more, from what
 * was kept of it, and its gradient. Inputs: x, the gradient of the forward's y;
 * g.NAME, of its further results; keep.x, its x; keep.I.J, nodes kept. Outputs:
 * y, the gradient of its x; grad.NAME, of weights. */
#include "compiler/grad/step.h"
#include <string.h>

Node *zeros_of(Graph *g, const Type *t, Dtype dtype)
{
    Node *zero = g_num(g, dtype, 0);
    return t->rank ? g_along(g, OP_expand, zero, t->rank, t->dim) : zero;
}

const Node *input_of(const Graph *g, const char *name)
{
    for (int i = 0; i < g->node.n; i++)
        if (g->node.at[i]->op == OP_input &&
            !strcmp(g->node.at[i]->name, name))
            return g->node.at[i];
    return NULL;
}

const char *kept_input(const Repeat *r, int arg)
{
    const RepeatIn *in = arg ? &r->in[arg - 1] : NULL;
    const char *name = in ? in->name : "x";
    return !in || in->next ? intern_printf("keep.%s", name) : name;
}

static Node *input(Graph *g, const char *name, const Type *t, Dtype dtype)
{
    Node n = {.op = OP_input, .name = intern(name), .type = *t};
    n.type.dtype = dtype;
    return graph_add(g, n);
}

/* Draws are not made again, choices not chosen again: a bit more or less in
 * what they are made of would choose otherwise. */
static bool must_keep(const Node *n)
{
    switch (n->op) {
    case OP_uniform: case OP_gaussian: case OP_shuffle:
    case OP_topk: case OP_largest: case OP_rank:
        return true;
    default:
        return false;
    }
}

/* ---- the forward body with what is kept of it ---- */

static Forward *forward_of(Looped *l, const Graph *from)
{
    for (int i = 0; i < l->forward.n; i++)
        if (l->forward.at[i]->from == from)
            return l->forward.at[i];
    Arena *a = l->step->arena;
    Forward *f = arena_alloc(a, sizeof *f);
    f->from = from;
    f->number = l->forward.n;
    f->to = graph_new(a, from->name);
    f->to->nslots = from->nslots;
    f->now = arena_alloc(a, ((size_t)from->node.n + 1) * sizeof *f->now);
    for (int i = 0; i < from->node.n; i++) {
        Node n = *from->node.at[i];
        for (int j = 0; j < node_args(&n); j++)
            n.arg[j] = f->now[n.arg[j]->id];
        f->now[i] = graph_add(f->to, n);
    }
    list_push(a, &l->forward, f);
    return f;
}

const char *forward_keep(const Looped *l, Forward *f, Node *n)
{
    for (int i = 0; i < f->kept.n; i++)
        if (f->kept.at[i].node == n)
            return f->kept.at[i].name;
    struct Kept k = {n, intern_printf("keep.%d.%d", f->number, f->kept.n)};
    list_push(l->step->arena, &f->kept, k);
    return k.name;
}

/* ---- the forward body in the backward ---- */

/* Which argument of the repeat the body's input is; -1: none. */
static int argument_of(const Repeat *r, const char *name)
{
    for (int i = 0; i < r->nin; i++)
        if (!strcmp(r->in[i].name, name))
            return 1 + i;
    return strcmp(name, "x") ? -1 : 0;
}

static Node *copied(Looped *l, BackBody *b, Node *old, Node **now)
{
    Node n = *old;
    int arg;
    if (must_keep(old)) {
        const char *name = forward_keep(l, b->forward,
                                        b->forward->now[old->id]);
        return input(b->back, name, &old->type, old->type.dtype);
    }
    for (int i = 0; i < node_args(&n); i++)
        n.arg[i] = now[n.arg[i]->id];
    if (n.op != OP_input || (arg = argument_of(l->table, n.name)) < 0)
        return graph_add(b->back, n);
    n.name = kept_input(l->table, arg);
    return b->in[arg] = graph_add(b->back, n);
}

static bool copy_forward(Looped *l, BackBody *b, Node **now)
{
    const Graph *from = b->forward->from;
    for (int i = 0; i < from->node.n; i++) {
        Node *old = from->node.at[i];
        if (old->op == OP_repeat)
            return err_set(l->step->err, "a repeat within a repeat's body has "
                           "no gradient yet");
        now[i] = copied(l, b, old, now);
    }
    return true;
}

/* ---- what wants a gradient in it ---- */

typedef struct {
    const Looped *l;
    const BackBody *b;
} Inside;

static bool leaf_trained(const Back *back, const Node *n)
{
    const Inside *in = back->user;
    if (n->op == OP_weight)
        return in->b->trained[n->slot - 1];
    for (int i = 0; n->op == OP_input && i <= in->l->table->nin; i++)
        if (in->b->in[i] == n)
            return in->b->wanted[i];
    return false;
}

/* ---- seeds ---- */

static const char *of_gradient(const char *name)
{
    return intern_printf("g.%s", name);
}

static void seed(Back *back, const BackBody *b, Node **now, const char *name,
                 const char *as)
{
    const Node *to = graph_find_output(b->forward->from, name);
    if (!to)
        return;
    to = now[to->id];
    back_give(back, to, input(b->back, as, &to->type, to->type.dtype));
}

static void give_seeds(const Looped *l, Back *back, const BackBody *b,
                       Node **now)
{
    const Repeat *r = l->table;
    seed(back, b, now, "y", "x");
    for (int i = 0; i < r->nin; i++)
        if (r->in[i].next)
            seed(back, b, now, r->in[i].next, of_gradient(r->in[i].next));
    for (int i = 0; i < l->nseed; i++)
        if (l->seed[i])
            seed(back, b, now, r->out[i].name, of_gradient(r->out[i].name));
}

/* ---- outputs ---- */

/* What goes on to the pass before: the gradient of the argument, or where none
 * is wanted what came. */
static Node *passed_on(const Back *back, const BackBody *b, int arg,
                       const Node *y, const char *came)
{
    Node *sum = b->in[arg] && b->wanted[arg] ? back->sum[b->in[arg]->id]
                                             : NULL;
    if (sum)
        return sum;
    return b->wanted[arg] ? zeros_of(b->back, &y->type, y->type.dtype)
                          : input(b->back, came, &y->type, y->type.dtype);
}

/* An argument that is the same in all passes gets the sum over them. */
static void add_same(const Looped *l, const Back *back, const BackBody *b,
                     int arg)
{
    const Type *t = &l->node->arg[arg]->type;
    const char *name = l->table->in[arg - 1].name;
    if (!b->wanted[arg])
        return;
    Node *in = b->in[arg], *part = in ? back->sum[in->id] : NULL;
    Dtype wide = t->dtype == TYPE_f64 ? TYPE_f64 : TYPE_f32;
    Node *sum = input(b->back, intern_printf("sum.%s", name),
                      in ? &in->type : t, wide);
    graph_output(b->back, intern_printf("sums.%s", name),
                 part ? g_map2(b->back, OP_add, sum,
                               g_cast(b->back, wide, part)) : sum);
}

static void put_arguments(const Looped *l, const Back *back, const BackBody *b)
{
    const Repeat *r = l->table;
    const Graph *from = b->forward->from;
    graph_output(b->back, "y",
                 passed_on(back, b, 0, graph_find_output(from, "y"), "x"));
    for (int i = 0; i < r->nin; i++)
        if (r->in[i].next)
            graph_output(b->back, of_gradient(r->in[i].name),
                         passed_on(back, b, 1 + i,
                                   graph_find_output(from, r->in[i].next),
                                   of_gradient(r->in[i].next)));
        else if (!r->in[i].each)
            add_same(l, back, b, 1 + i);
}

/* "ffn.gate" of layer[0].ffn.gate. */
static const char *short_path(const Weight *w)
{
    const char *behind = strrchr(w->path, ']');
    return behind && behind[1] == '.' ? behind + 2 : w->path;
}

/* A name that this body has not yet and no body has with another type. */
static const char *grad_name(Looped *l, const BackBody *b, const char *base,
                             const Type *t)
{
    const char *name = intern(base);
    for (int k = 2;; k++, name = intern_printf("%s.%d", base, k)) {
        bool taken = false, known = false;
        for (int i = 0; i < b->grad.n; i++)
            taken |= b->grad.at[i].name == name;
        for (int i = 0; i < l->name.n; i++) {
            known |= l->name.at[i].name == name;
            taken |= l->name.at[i].name == name &&
                     !same_shape(&l->name.at[i].type, t);
        }
        struct GradName n = {name, *t};
        if (!taken && !known)
            list_push(l->step->arena, &l->name, n);
        if (!taken)
            return name;
    }
}

/* Where an update stands in a body: of which weight, in which slot. */
typedef struct {
    Looped *l;
    BackBody *b;
    int slot;
    const Weight *weight;
} Place;

static Node *state_slot(Updating *u, const char *name, const Type *t)
{
    const Place *p = u->user;
    BodyState s = {p->slot, name, *t};
    list_push(u->step->arena, &p->b->state, s);
    return graph_add(u->to, (Node){.op = OP_weight, .type = *t,
                                   .slot = ++u->to->nslots});
}

static void put_new(Updating *u, const char *state, Node *n)
{
    const Place *p = u->user;
    const char *base = intern_printf("new.%s%s%s", state ? state : "",
                                     state ? "." : "", short_path(p->weight));
    BodyGrad g = {p->slot, grad_name(p->l, p->b, base, &n->type), true, state};
    list_push(u->step->arena, &p->b->grad, g);
    graph_output(u->to, g.name, n);
}

static void put_weight(Looped *l, BackBody *b, const Weight *w, Node *n,
                       Node *sum)
{
    Place p = {l, b, n->slot, w};
    Updating u = {l->step, step_index(l->step, w), b->back, n, sum, state_slot,
                  put_new, &p};
    if (b->trained[n->slot - 1] > 1) {
        update_inside(&u);
        return;
    }
    const char *base = intern_printf("grad.%s", short_path(w));
    BodyGrad g = {.slot = n->slot, .name = grad_name(l, b, base, &sum->type)};
    list_push(l->step->arena, &b->grad, g);
    graph_output(b->back, g.name, sum);
}

static void put_weights(Looped *l, const Back *back, BackBody *b, int pass)
{
    for (int i = 0; i < back->forward; i++) {
        Node *n = b->back->node.at[i];
        if (n->op == OP_weight && back->sum[i])
            put_weight(l, b, node_weight(n, &l->table->at[pass]), n,
                       back->sum[i]);
    }
}

/* ---- the body ---- */

static bool make(Looped *l, BackBody *b, int pass)
{
    Arena *a = l->step->arena;
    const Graph *from = b->forward->from;
    Node **now = arena_alloc(a, ((size_t)from->node.n + 1) * sizeof *now);
    Inside inside = {l, b};
    Back back = {.trained = leaf_trained, .user = &inside};
    b->back = graph_new(a, intern_printf("%s_back", from->name));
    b->back->nslots = from->nslots;
    if (!copy_forward(l, b, now))
        return false;
    back.g = b->back;
    back_begin(&back);
    give_seeds(l, &back, b, now);
    back_run(&back);
    put_arguments(l, &back, b);
    put_weights(l, &back, b, pass);
    return true;
}

static bool serves(const BackBody *a, const BackBody *b, int nargs)
{
    return a->forward->from == b->forward->from &&
           !memcmp(a->trained, b->trained, (size_t)a->forward->from->nslots *
                                               sizeof *a->trained) &&
           !memcmp(a->wanted, b->wanted, (size_t)nargs);
}

/* 0: not trained; 1: its gradient comes out; 2 and more: the update that stands
 * in the body, as this is all that flows to it. */
static int how_trained(const Step *s, const Weight *w)
{
    int index = step_index(s, w);
    if (index < 0)
        return 0;
    return s->o->update && s->uses[index] == 1 ? 2 + step_group(s, index) : 1;
}

BackBody *back_body(Looped *l, int pass)
{
    Arena *a = l->step->arena;
    const Iteration *it = &l->table->at[pass];
    int nargs = 1 + l->table->nin;
    bool *wanted = arena_alloc(a, (size_t)nargs);
    int *trained = arena_alloc(a, ((size_t)it->body->nslots + 1) *
                                      sizeof *trained);
    for (int i = 0; i < it->body->nslots; i++)
        trained[i] = how_trained(l->step, it->weight[i]);
    for (int i = 0; i < nargs; i++) {
        bool carried = !i || l->table->in[i - 1].next;
        wanted[i] = (carried && pass > l->low) ||
                    back_wants(l->above, l->node->arg[i]);
    }
    BackBody *b = arena_alloc(a, sizeof *b);
    *b = (BackBody){.forward = forward_of(l, it->body), .trained = trained,
                    .wanted = wanted, .passes = 1};
    for (int i = 0; i < l->body.n; i++)
        if (serves(l->body.at[i], b, nargs)) {
            l->body.at[i]->passes++;
            return l->body.at[i];
        }
    if (!make(l, b, pass))
        return NULL;
    list_push(a, &l->body, b);
    return b;
}
