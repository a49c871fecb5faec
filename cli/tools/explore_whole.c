/* The whole program, with what was found and without, in turn. */
#include "cli/tools/explore.h"
#include "cli/tools/bench.h"
#include <math.h>
#include <string.h>

enum { ROUNDS = 7, SEEN = 64 }; /* tokens before a single one */

typedef struct {
    Program *p[2];
    State *s[2];
    int64_t T, before;
    int32_t *pos;
    Column in[16], out;
    int nin;
    Err *err;
    bool failed;
} Whole;

static void add_input(Whole *w, const Node *n, int64_t T)
{
    int64_t count = type_count(&n->type, T);
    void *at = xmalloc((size_t)type_bytes(n->type.dtype, count) + 1);
    w->in[w->nin++] = (Column){n->name, n->type.dtype, at};
    if (!n->type.index_of) {
        bench_fill(n->type.dtype, at, count);
        return;
    }
    int64_t size = size_at(n->type.index_of->size, T);
    for (int64_t i = 0; i < count; i++)
        ((int32_t *)at)[i] = (int32_t)(i * 7919 % size);
}

static void add_columns(Whole *w, const Graph *g, int64_t T)
{
    w->nin = 0;
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        bool known = false;
        for (int j = 0; j < w->nin; j++)
            known |= n->name && !strcmp(w->in[j].name, n->name);
        if (n->op == OP_input && !known && w->nin < (int)COUNT(w->in))
            add_input(w, n, T);
    }
    const char *name = g->output.at[0].name;
    Dtype t = g->output.at[0].node->type.dtype;
    int64_t n = program_output_count(w->p[0], name, T);
    w->out = (Column){name, t, xmalloc((size_t)type_bytes(t, n) + 1)};
    w->pos = xmalloc((size_t)T * sizeof *w->pos);
    for (int64_t i = 0; i < T; i++)
        w->pos[i] = (int32_t)i;
}

static void drop_columns(Whole *w)
{
    for (int i = 0; i < w->nin; i++)
        free(w->in[i].data);
    free(w->out.data);
    free(w->pos);
}

static double run_once(Whole *w, bool second, int64_t base, int64_t T)
{
    state_truncate(w->s[second], base);
    double start = seconds_now();
    if (!program_run(w->p[second], w->s[second], T, w->pos + base, w->in,
                     w->nin, &w->out, 1, w->err)) {
        w->failed = true;
        return -1;
    }
    return seconds_now() - start;
}

static double run(void *user, bool second)
{
    Whole *w = user;
    return rt_interrupted ? -1 : run_once(w, second, w->before, w->T);
}

static bool measure(Explore *e, Whole *w, const Graph *g)
{
    for (int i = 0; i < e->ntokens && !rt_interrupted; i++) {
        w->T = e->tokens[i];
        w->before = w->T == 1 ? SEEN : 0;
        add_columns(w, g, w->T + w->before);
        for (int j = 0; j < 2 && !w->failed; j++) {
            if (w->before)
                run_once(w, j, 0, w->before);
            run_once(w, j, w->before, w->T);
        }
        Versus v = w->failed ? (Versus){0} : explore_versus(ROUNDS, run, w);
        e->old[i] = v.a;
        e->new[i] = v.a * v.ratio;
        drop_columns(w);
    }
    return !w->failed;
}

static bool prepare(Explore *e, Whole *w, Loaded *l, const Graph *g,
                    const Pins *found, Err *err)
{
    Pins *all = arena_alloc(&e->arena, sizeof *all);
    *all = (Pins){.arena = &e->arena};
    for (int i = 0; i < l->pins.at.n; i++)
        list_push(all->arena, &all->at, l->pins.at.at[i]);
    pins_merge(all, found);
    bool model = l->checkpoint != NULL;
    CpuOptions o = loaded_options(l);
    o.last_only = model;
    const WeightSource s = model ? loaded_source(l) : bench_noise();
    for (int i = 0; i < 2; i++) {
        o.pins = i ? all : &l->pins;
        w->p[i] = cpu_compile(g, &o, err);
        if (!w->p[i] || !program_load(w->p[i], &s, err))
            return false;
        w->s[i] = state_new(w->p[i]);
    }
    return true;
}

bool explore_whole(Explore *e, Loaded *l, const Pins *found, Err *err)
{
    Whole w = {.err = err};
    const Graph *g = model_graph(l->model, &l->arena);
    bool fine = prepare(e, &w, l, g, found, err) && measure(e, &w, g);
    for (int i = 0; i < 2; i++) {
        state_free(w.s[i]);
        program_free(w.p[i]);
    }
    return fine;
}
