/* The reference interpreter: runs a graph node by node, plainly. A tensor is
 * freed after its last use; weights are fetched anew for each use. */
#include "compiler/interp/interp_run.h"
#include <string.h>

static Kernel *const kernel[OP_COUNT] = {
#define MAP(name, ...) run_map,
#define OP(name, nargs, class, type, flags, least, most, over, positive, \
           work, grad, to, run) \
    run_##run,
#include "compiler/graph/ops.def"
#undef MAP
#undef OP
};

/* ---- what is computed, and for how long it is kept ---- */

typedef struct {
    bool *needed;
    bool *deferred; /* a gather that only contracts read: see Operand */
    int *last;      /* the last node that reads it; of outputs the end */
} Needs;

static bool is_lazy(const Node *n)
{
    return n->op == OP_weight || n->op == OP_learned;
}

static void touch(Needs *p, const Node *arg, int user)
{
    if (p->last[arg->id] < user)
        p->last[arg->id] = user;
    for (int i = 0; p->deferred[arg->id] && i < 2; i++)
        touch(p, arg->arg[i], user);
}

static void find_needs(Needs *p, const Graph *g)
{
    for (int i = g->node.n - 1; i >= 0; i--) {
        const Node *n = g->node.at[i];
        p->deferred[i] &= n->op == OP_gather && !is_lazy(n->arg[1]);
        for (int k = 0; p->needed[i] && k < node_args(n); k++) {
            p->needed[n->arg[k]->id] = true;
            if (n->op != OP_contract)
                p->deferred[n->arg[k]->id] = false;
        }
    }
}

/* The outputs that count: those marked, or (NULL) all. */
static Needs needs_of(const Graph *g, const bool *wanted)
{
    size_t n = (size_t)g->node.n + 1;
    Needs p = {xmalloc(n), xmalloc(n), xmalloc(n * sizeof(int))};
    memset(p.needed, 0, n);
    memset(p.deferred, 1, n);
    memset(p.last, 0, n * sizeof(int));
    for (int i = 0; i < g->output.n; i++)
        if (!wanted || wanted[i]) {
            p.needed[g->output.at[i].node->id] = true;
            p.deferred[g->output.at[i].node->id] = false;
            p.last[g->output.at[i].node->id] = g->node.n;
        }
    find_needs(&p, g);
    for (int i = 0; i < g->node.n; i++)
        for (int k = 0; p.needed[i] && k < node_args(g->node.at[i]); k++)
            touch(&p, g->node.at[i]->arg[k], i);
    return p;
}

static void needs_free(Needs *p)
{
    free(p->needed);
    free(p->deferred);
    free(p->last);
}

/* ---- one node ---- */

static void round_to_type(Tensor *t)
{
    Dtype type = t->type.dtype;
    uint64_t cell;
    for (int64_t i = 0; type == TYPE_f32 && i < t->count; i++)
        t->at[i] = (double)(float)t->at[i];
    if (type != TYPE_bf16 && type != TYPE_f16)
        return;
    for (int64_t i = 0; i < t->count; i++) {
        type_store(type, &cell, 0, t->at[i]);
        t->at[i] = type_load(type, &cell, 0);
    }
}

/* The node's value, or NULL with err set. */
static Tensor *compute(Run *r, const Node *n, const Operand *in)
{
    Tensor *out = n->op == OP_result ? r->value[n->id]
                                     : tensor_new(&n->type, r->env->T);
    if (!kernel[n->op](r, n, in, out)) {
        tensor_free(out);
        return NULL;
    }
    if (!r->env->exact)
        round_to_type(out);
    return out;
}

static bool fetch(Run *r, const Needs *p, const Node *n, Operand *o)
{
    *o = (Operand){r->value[n->id], NULL, NULL, false};
    if (is_lazy(n)) {
        o->t = compute(r, n, NULL);
        o->own = true;
    } else if (p->deferred[n->id]) {
        if (!fetch(r, p, n->arg[0], o))
            return false;
        o->index = r->value[n->arg[1]->id];
        o->dim = n->dim[0];
    }
    return o->t != NULL;
}

static void release(Run *r, const Needs *p, const Node *n, int now)
{
    if (p->last[n->id] == now) {
        tensor_free(r->value[n->id]);
        r->value[n->id] = NULL;
    }
    for (int i = 0; p->deferred[n->id] && i < 2; i++)
        release(r, p, n->arg[i], now);
}

static bool run_node(Run *r, const Needs *p, const Node *n)
{
    Operand in[MAX_ARGS] = {0};
    int nargs = node_args(n);
    bool ok = true;
    for (int i = 0; ok && i < nargs; i++)
        ok = fetch(r, p, n->arg[i], &in[i]);
    if (ok)
        ok = (r->value[n->id] = compute(r, n, in)) != NULL;
    for (int i = 0; i < nargs; i++)
        if (in[i].own)
            tensor_free(in[i].t);
    for (int i = 0; i < nargs; i++)
        release(r, p, n->arg[i], n->id);
    return ok;
}

/* ---- a graph ---- */

static bool run_nodes(Run *r, const Needs *p)
{
    for (int i = 0; i < r->g->node.n; i++) {
        const Node *n = r->g->node.at[i];
        if (p->needed[i] && !p->deferred[i] && !is_lazy(n) &&
            !run_node(r, p, n))
            return false;
    }
    return true;
}

bool interp_graph(Run *r, const bool *wanted,
                  void (*take)(void *to, int i, const Tensor *t), void *to)
{
    const Graph *g = r->g;
    Needs p = needs_of(g, wanted);
    r->needed = p.needed;
    r->value = xmalloc(((size_t)g->node.n + 1) * sizeof(Tensor *));
    memset(r->value, 0, ((size_t)g->node.n + 1) * sizeof(Tensor *));
    bool ok = run_nodes(r, &p);
    for (int i = 0; ok && i < g->output.n; i++) {
        if (wanted && !wanted[i])
            continue;
        Operand o;
        ok = fetch(r, &p, g->output.at[i].node, &o);
        if (ok)
            take(to, i, o.t);
        if (o.own)
            tensor_free(o.t);
    }
    for (int i = 0; i < g->node.n; i++)
        tensor_free(r->value[i]);
    free(r->value);
    needs_free(&p);
    return ok;
}

typedef struct {
    Arena *arena;
    Tensor **out;
} Results;

static void take_output(void *to, int i, const Tensor *t)
{
    Results *results = to;
    Tensor *copy = arena_alloc(results->arena, sizeof *copy);
    size_t bytes = (size_t)t->count * sizeof *t->at;
    *copy = *t;
    copy->at = arena_alloc(results->arena, bytes + 1);
    memcpy(copy->at, t->at, bytes);
    results->out[i] = copy;
}

static bool check_positions(const InterpEnv *env, Err *err)
{
    for (int64_t t = 0; env->pos && t < env->T; t++)
        if (env->pos[t] && (!t || env->pos[t] != env->pos[t - 1] + 1))
            return err_set(err, "token %lld has position %d: not 0, nor one "
                           "more than the token's before it", (long long)t,
                           env->pos[t]);
    return true;
}

bool interp_run(const Graph *g, const InterpEnv *env, Arena *arena,
                Tensor **out, Err *err)
{
    Run r = {.g = g, .env = env, .err = err};
    Results results = {arena, out};
    Limits limits = graph_limits(g, arena);
    return check_positions(env, err) && limits_hold(&limits, env->T, err) &&
           interp_graph(&r, NULL, take_output, &results);
}
