/* The interpreter's repeat: its bodies in turn, with what goes from pass to
 * pass, into each, and out of each. */
#include "compiler/interp/interp_run.h"
#include <string.h>

typedef struct {
    Run *r;
    const Node *node; /* the repeat */
    const Operand *in;
    Tensor *now[MAX_ARGS]; /* x, then each carried value */
    int pass;
} Loop;

/* The node of r->g that the further result is needed by, or NULL. */
static const Node *result_of(const Run *r, const Node *repeat,
                             const char *name)
{
    for (int i = repeat->id + 1; i < r->g->node.n; i++) {
        const Node *n = r->g->node.at[i];
        if (r->needed[i] && n->op == OP_result && n->arg[0] == repeat &&
            !strcmp(n->name, name))
            return n;
    }
    return NULL;
}

/* How many passes before this one have the output. */
static int64_t place_of(const Loop *l, const char *name)
{
    int64_t n = 0;
    for (int i = 0; i < l->pass; i++)
        n += graph_find_output(l->node->repeat->at[i].body, name) != NULL;
    return n;
}

/* The tensor that takes the bodies' output of this name, or NULL. */
static Tensor *taker(const Loop *l, const char *name, int64_t *at)
{
    const Repeat *r = l->node->repeat;
    *at = 0;
    if (!strcmp(name, "y"))
        return l->now[0];
    for (int i = 0; i < r->nin; i++)
        if (r->in[i].next && !strcmp(r->in[i].next, name))
            return l->now[1 + i];
    for (int i = 0; i < r->nout; i++) {
        const Node *n = strcmp(r->out[i].name, name)
                            ? NULL : result_of(l->r, l->node, name);
        if (!n)
            continue;
        Tensor *t = l->r->value[n->id];
        *at = place_of(l, name) * (t->count / t->shape[0]);
        return t;
    }
    return NULL;
}

static void take(void *to, int i, const Tensor *t)
{
    const Loop *l = to;
    const Graph *body = l->node->repeat->at[l->pass].body;
    int64_t at;
    Tensor *out = taker(l, body->output.at[i].name, &at);
    memcpy(out->at + at, t->at, (size_t)t->count * sizeof *t->at);
}

static int give(const Loop *l, struct Given *given)
{
    const Repeat *r = l->node->repeat;
    given[0] = (struct Given){"x", l->now[0]->at, l->now[0]->count};
    for (int i = 0; i < r->nin; i++) {
        const Tensor *t = l->now[1 + i] ? l->now[1 + i] : l->in[1 + i].t;
        int64_t part = r->in[i].each ? r->in[i].part[l->pass] : 0,
                count = r->in[i].each ? t->count / t->shape[0] : t->count;
        given[1 + i] = (struct Given){r->in[i].name,
                                      part < 0 ? NULL : t->at + part * count,
                                      count};
    }
    return 1 + r->nin;
}

static bool run_pass(Loop *l)
{
    const Iteration *pass = &l->node->repeat->at[l->pass];
    int n = pass->body->output.n;
    int64_t at;
    struct Given given[MAX_ARGS];
    Run body = {.g = pass->body, .env = l->r->env, .err = l->r->err,
                .pass = pass, .given = given, .ngiven = give(l, given),
                .place = random_place(l->r->place, l->pass)};
    bool *wanted = xmalloc((size_t)n + 1);
    for (int i = 0; i < n; i++)
        wanted[i] = taker(l, pass->body->output.at[i].name, &at) != NULL;
    bool ok = interp_graph(&body, wanted, take, l);
    free(wanted);
    return ok;
}

static Tensor *copy_of(const Type *type, int64_t T, const Tensor *from)
{
    Tensor *t = tensor_new(type, T);
    memcpy(t->at, from->at, (size_t)t->count * sizeof *t->at);
    return t;
}

/* Room for the results that are needed, which run_result then finds. */
static void make_results(Run *r, const Node *n)
{
    for (int i = 0; i < n->repeat->nout; i++) {
        const Node *out = result_of(r, n, n->repeat->out[i].name);
        if (out)
            r->value[out->id] = tensor_new(&out->type, r->env->T);
    }
}

bool run_repeat(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    const Repeat *table = n->repeat;
    Loop l = {.r = r, .node = n, .in = in, .now = {out}};
    bool ok = true;
    memcpy(out->at, in[0].t->at, (size_t)out->count * sizeof *out->at);
    for (int i = 0; i < table->nin; i++)
        if (table->in[i].next)
            l.now[1 + i] = copy_of(&n->arg[1 + i]->type, r->env->T,
                                   in[1 + i].t);
    make_results(r, n);
    for (l.pass = 0; ok && l.pass < table->n; l.pass++)
        ok = run_pass(&l);
    for (int i = 0; i < table->nin; i++) {
        const Node *to = table->in[i].next
                             ? result_of(r, n, table->in[i].next) : NULL;
        if (to)
            r->value[to->id] = l.now[1 + i];
        else
            tensor_free(l.now[1 + i]);
    }
    return ok;
}

/* The repeat has made it. */
bool run_result(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)in;
    return r->value[n->id] == out && out;
}
