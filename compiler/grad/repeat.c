/* The gradient of a repeat: a repeat that goes back over its passes. The
 * forward one gets what the backward reads as further results. */
#include "compiler/grad/step.h"
#include <string.h>

static bool pass_trains(const Step *s, const Iteration *it)
{
    for (int j = 0; j < it->body->nslots; j++)
        if (step_trains(s, it->weight[j]))
            return true;
    return false;
}

bool repeat_trains(const Back *b, const Node *repeat)
{
    for (int i = 0; i < repeat->repeat->n; i++)
        if (pass_trains(b->user, &repeat->repeat->at[i]))
            return true;
    return false;
}

/* Below it nothing is trained, neither before the repeat. */
static int lowest(const Looped *l)
{
    for (int i = 0; i <= l->table->nin; i++)
        if (back_wants(l->above, l->node->arg[i]))
            return 0;
    int p = 0;
    while (p < l->table->n - 1 && !pass_trains(l->step, &l->table->at[p]))
        p++;
    return p;
}

/* The result of that name, or the repeat for "y"; its gradient or NULL. */
static Node *gradient_at(const Looped *l, const char *name)
{
    if (!strcmp(name, "y"))
        return l->above->sum[l->node->id];
    for (int i = l->node->id + 1; i < l->above->forward; i++) {
        const Node *n = l->above->g->node.at[i];
        if (n->op == OP_result && n->arg[0] == l->node &&
            !strcmp(n->name, name))
            return l->above->sum[i];
    }
    return NULL;
}

/* ---- what is kept ---- */

/* Does a backward body of the forward read it? */
static bool read_back(const Looped *l, const Forward *f, const char *name)
{
    for (int i = 0; i < l->body.n; i++)
        if (l->body.at[i]->forward == f &&
            input_of(l->body.at[i]->back, name))
            return true;
    return false;
}

/* The forward body with what the backward ones of it read. */
static Graph *keeping(const Looped *l, const Forward *f)
{
    Graph *to = f->to;
    for (int i = 0; i < f->from->output.n; i++)
        graph_output(to, f->from->output.at[i].name,
                     f->now[f->from->output.at[i].node->id]);
    for (int k = 0; k <= l->table->nin; k++) {
        const Node *in = input_of(f->from, k ? l->table->in[k - 1].name : "x");
        bool carried = !k || l->table->in[k - 1].next;
        if (in && carried && read_back(l, f, kept_input(l->table, k)))
            graph_output(to, kept_input(l->table, k), f->now[in->id]);
    }
    for (int i = 0; i < f->kept.n; i++)
        if (read_back(l, f, f->kept.at[i].name))
            graph_output(to, f->kept.at[i].name, f->kept.at[i].node);
    return graph_map(to, l->step->arena, NULL, NULL);
}

/* Passes that go back run bodies that keep; those below stay as they are. */
static void keep_in_forward(Looped *l)
{
    for (int i = 0; i < l->forward.n; i++) {
        Graph *to = keeping(l, l->forward.at[i]);
        for (int p = l->low; p < l->table->n; p++)
            if (l->table->at[p].body == l->forward.at[i]->from)
                l->table->at[p].body = to;
    }
}

/* Further results for all that bodies put out under a name that begins so. */
static void add_outs(Looped *l, Repeat *r, const char *begin)
{
    LIST(RepeatOut) out = {0};
    for (int i = 0; i < r->nout; i++)
        list_push(l->step->arena, &out, r->out[i]);
    for (int p = 0; p < r->n; p++)
        for (int i = 0; i < r->at[p].body->output.n; i++) {
            const char *name = r->at[p].body->output.at[i].name;
            bool known = strncmp(name, begin, strlen(begin)) != 0;
            int passes;
            repeat_output(r, name, &passes);
            const Dim *dim = NULL;
            for (int k = 0; k < out.n; k++) {
                known |= out.at[k].name == name;
                if (out.at[k].dim->size == size_num(passes))
                    dim = out.at[k].dim;
            }
            if (known)
                continue;
            RepeatOut o = {name, dim ? dim : dim_new("passes",
                                                     size_num(passes))};
            list_push(l->step->arena, &out, o);
        }
    r->out = out.at;
    r->nout = out.n;
}

/* ---- what goes into the backward ---- */

/* The repeat that goes back, while it is put together. */
typedef struct {
    Looped *l;
    Repeat *r;
    Node node;
    RepeatIn *in;
} Going;

static bool reads(const Going *b, const char *name)
{
    for (int i = 0; i < b->r->n; i++)
        if (input_of(b->r->at[i].body, name))
            return true;
    return false;
}

static void add_in(Going *b, RepeatIn in, Node *arg)
{
    if (1 + b->r->nin >= MAX_ARGS) {
        b->l->step->failed = true;
        err_set(b->l->step->err, "%s: its gradient needs more than %d values "
                "of the forward pass", b->l->node->label ? b->l->node->label
                : "repeat", MAX_ARGS);
        return;
    }
    b->node.arg[1 + b->r->nin] = arg;
    b->in[b->r->nin++] = in;
}

/* The forward repeat's result of that name: each pass gets its own row. */
static void add_rows(Going *b, const char *name, const char *as, Node *rows)
{
    const Repeat *f = b->l->table;
    int *part = arena_alloc(b->l->step->arena,
                            ((size_t)b->r->n + 1) * sizeof *part), at = 0;
    for (int p = 0; p < f->n; p++) {
        bool has = graph_find_output(f->at[p].body, name);
        if (p >= b->l->low)
            part[f->n - 1 - p] =
                has && input_of(b->r->at[f->n - 1 - p].body, as) ? at : -1;
        at += has;
    }
    add_in(b, (RepeatIn){.name = intern(as), .each = rows->type.dim[0],
                         .nparts = b->r->n, .part = part}, rows);
}

static void add_kept(Going *b)
{
    const Repeat *f = b->l->table;
    for (int i = 0; i < f->nout; i++)
        if (!strncmp(f->out[i].name, "keep.", 5) && reads(b, f->out[i].name))
            add_rows(b, f->out[i].name, f->out[i].name,
                     g_result(b->l->step->g, (Node *)b->l->node,
                              f->out[i].name));
}

/* What each pass took a part of: the same parts, backwards. */
static RepeatIn parts_back(const Going *b, const RepeatIn *in)
{
    RepeatIn now = *in;
    int *part = arena_alloc(b->l->step->arena,
                            ((size_t)b->r->n + 1) * sizeof *part);
    for (int i = 0; i < b->r->n; i++)
        part[i] = in->part[b->l->table->n - 1 - i];
    now.nparts = b->r->n;
    now.part = part;
    return now;
}

/* The forward's further arguments, and what flows to them. */
static void add_arguments(Going *b)
{
    const Looped *l = b->l;
    const Repeat *f = l->table;
    Graph *g = l->step->g;
    for (int i = 0; i < f->nin; i++) {
        const RepeatIn *in = &f->in[i];
        Node *arg = l->node->arg[1 + i];
        if (in->next) {
            Node *d = gradient_at(l, in->next);
            add_in(b, (RepeatIn){.name = intern_printf("g.%s", in->next),
                                 .next = intern_printf("g.%s", in->name)},
                   d ? d : zeros_of(g, &arg->type, arg->type.dtype));
            continue;
        }
        if (reads(b, in->name))
            add_in(b, in->each ? parts_back(b, in)
                               : (RepeatIn){.name = in->name}, arg);
        const char *sum = intern_printf("sum.%s", in->name);
        if (reads(b, sum))
            add_in(b, (RepeatIn){.name = sum,
                                 .next = intern_printf("sums.%s", in->name)},
                   zeros_of(g, &arg->type, arg->type.dtype == TYPE_f64
                                               ? TYPE_f64 : TYPE_f32));
    }
}

static void add_seeds(Going *b)
{
    const Looped *l = b->l;
    for (int i = 0; i < l->nseed; i++) {
        const char *as = intern_printf("g.%s", l->table->out[i].name);
        if (l->seed[i] && reads(b, as))
            add_rows(b, l->table->out[i].name, as, l->seed[i]);
    }
}

/* What updates in bodies read: the same in every pass, and in the step. */
static void add_scalars(Going *b)
{
    for (int i = 0; i < b->r->n; i++) {
        const Graph *g = b->r->at[i].body;
        for (int j = 0; j < g->node.n; j++) {
            const Node *n = g->node.at[j];
            bool known = n->op != OP_input || !update_reads(n->name);
            for (int k = 0; k < b->r->nin; k++)
                known |= b->in[k].name == n->name;
            if (!known)
                add_in(b, (RepeatIn){.name = n->name},
                       graph_add(b->l->step->g, *n));
        }
    }
}

/* ---- what comes out of it ---- */

static void give_arguments(const Looped *l, Node *back)
{
    const Repeat *f = l->table;
    back_give(l->above, l->node->arg[0], back);
    for (int i = 0; i < f->nin; i++) {
        const char *name = f->in[i].next
                               ? intern_printf("g.%s", f->in[i].name)
                               : intern_printf("sums.%s", f->in[i].name);
        if (!back_wants(l->above, l->node->arg[1 + i]))
            continue;
        bool there = f->in[i].next != NULL;
        for (int j = 0; j < back->repeat->nin; j++)
            there |= back->repeat->in[j].next == name;
        if (there)
            back_give(l->above, l->node->arg[1 + i],
                      g_result(l->step->g, back, name));
    }
}

static const BodyGrad *grad_named(const BackBody *b, const char *name)
{
    for (int i = 0; i < b->grad.n; i++)
        if (b->grad.at[i].name == name)
            return &b->grad.at[i];
    return NULL;
}

static void note_new(Looped *l, Node *back, int pass, const BodyGrad *d,
                     const char *name, int place)
{
    Step *s = l->step;
    const Weight *w = back->repeat->at[pass].weight[d->slot - 1];
    struct Fresh f = {{w, d->state, w, name, place},
                      g_result(s->g, back, name)};
    if (d->state)
        f.new.leaf = step_state(s, w, d->state, NULL);
    list_push(s->arena, &s->fresh, f);
}

/* Of each pass that has it a row of the result. */
static void note_weights(Looped *l, Node *back, BackBody *const *body,
                         const char *name)
{
    int at = 0;
    for (int i = 0; i < back->repeat->n; i++) {
        const BodyGrad *d = grad_named(body[i], name);
        if (!d)
            continue;
        if (d->fresh) {
            note_new(l, back, i, d, name, at++);
            continue;
        }
        WeightPart p = {back->repeat->at[i].weight[d->slot - 1],
                        g_result(l->step->g, back, name), at++};
        list_push(l->step->arena, &l->step->part, p);
    }
}

/* ---- the whole ---- */

/* The bodies, from the last pass to the lowest; NULL: the step failed. */
static BackBody **bodies(Looped *l)
{
    int n = l->table->n - l->low;
    BackBody **body = arena_alloc(l->step->arena, (size_t)n * sizeof *body);
    for (int i = 0; i < n; i++)
        if (!(body[i] = back_body(l, l->table->n - 1 - i)))
            return NULL;
    return body;
}

/* A pass's weights, and the states of those that are updated there. */
static const Weight **with_states(Looped *l, const BackBody *b,
                                  const Iteration *pass)
{
    int n = pass->body->nslots;
    const Weight **w = arena_alloc(l->step->arena,
                                   ((size_t)(n + b->state.n) + 1) * sizeof *w);
    for (int i = 0; i < n; i++)
        w[i] = pass->weight[i];
    for (int i = 0; i < b->state.n; i++) {
        const BodyState *s = &b->state.at[i];
        w[n + i] = step_state(l->step, w[s->of - 1], s->name, &s->type);
    }
    return w;
}

static Node *go_back(Looped *l, BackBody *const *body)
{
    Going b = {.l = l};
    Arena *a = l->step->arena;
    const Repeat *f = l->table;
    Node *y = gradient_at(l, "y");
    b.r = arena_alloc(a, sizeof *b.r);
    b.r->n = f->n - l->low;
    b.r->at = arena_alloc(a, (size_t)b.r->n * sizeof *b.r->at);
    b.r->in = b.in = arena_alloc(a, MAX_ARGS * sizeof *b.in);
    for (int i = 0; i < b.r->n; i++)
        b.r->at[i] = (Iteration){
            body[i]->back, with_states(l, body[i], &f->at[f->n - 1 - i])};
    b.node = (Node){.op = OP_repeat, .repeat = b.r};
    b.node.arg[0] = y ? y : zeros_of(l->step->g, &l->node->type,
                                     l->node->type.dtype);
    add_arguments(&b);
    add_kept(&b);
    add_seeds(&b);
    add_scalars(&b);
    add_outs(l, b.r, "grad.");
    add_outs(l, b.r, "new.");
    return l->step->failed ? NULL : graph_add(l->step->g, b.node);
}

static bool takes_parts(const Looped *l)
{
    for (int i = 0; i < l->table->nin; i++)
        if (l->table->in[i].each &&
            back_wants(l->above, l->node->arg[1 + i]))
            return true;
    return false;
}

void repeat_back(Back *b, const Node *repeat)
{
    Step *s = b->user;
    Looped l = {.step = s, .above = b, .node = repeat,
                .table = (Repeat *)repeat->repeat};
    if (s->failed)
        return;
    l.low = lowest(&l);
    l.nseed = l.table->nout;
    l.seed = arena_alloc(s->arena, ((size_t)l.nseed + 1) * sizeof *l.seed);
    for (int i = 0; i < l.nseed; i++)
        l.seed[i] = gradient_at(&l, l.table->out[i].name);
    BackBody **body = bodies(&l);
    if (!body || takes_parts(&l)) {
        if (body)
            err_set(s->err, "no gradient goes to what passes of a repeat take "
                            "parts of");
        s->failed = true;
        return;
    }
    keep_more(&l);
    keep_in_forward(&l);
    add_outs(&l, l.table, "keep.");
    Node *back = go_back(&l, body);
    if (!back)
        return;
    give_arguments(&l, back);
    for (int i = 0; i < back->repeat->nout; i++)
        note_weights(&l, back, body, back->repeat->out[i].name);
}
