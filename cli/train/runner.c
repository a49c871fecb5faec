/* A graph that runs: by the interpreter, or compiled. */
#include "compiler/interp/interp.h"
#include "cli/train/runner.h"
#include <string.h>

struct Runner {
    const Graph *graph;
    RunnerOptions o;
    Program *program; /* NULL: interpreted */
};

/* ---- interpreted ---- */

typedef struct {
    Runner *r;
    int64_t T;
    const Column *in;
    int nin;
} Given;

static bool input(void *user, const char *name, const Type *t, double *out)
{
    const Given *g = user;
    for (int i = 0; i < g->nin; i++) {
        if (strcmp(g->in[i].name, name))
            continue;
        int64_t n = type_count(t, g->T);
        for (int64_t j = 0; j < n; j++)
            out[j] = type_load(g->in[i].dtype, g->in[i].data, j);
        return true;
    }
    return false;
}

static bool weight(void *user, const Weight *w, double *out)
{
    return params_read(((Given *)user)->r->o.params, w, out);
}

static int output_at(const Graph *g, const char *name)
{
    for (int i = 0; i < g->output.n; i++)
        if (!strcmp(g->output.at[i].name, name))
            return i;
    BUG("a graph without the output %s", name);
}

static bool interpret(Runner *r, int64_t T, const int32_t *pos,
                      const Column *in, int nin, const Column *out, int nout,
                      Draws draws, Err *err)
{
    Arena arena = {0};
    Given given = {r, T, in, nin};
    const InterpEnv env = {.T = T, .pos = pos, .exact = r->o.exact,
                           .training = r->o.training, .seed = draws.seed,
                           .before = draws.before,
                           .user = &given, .input = input, .weight = weight};
    Tensor **made = arena_alloc(&arena, (size_t)r->graph->output.n *
                                            sizeof *made + 1);
    bool fine = interp_run(r->graph, &env, &arena, made, err);
    for (int i = 0; fine && i < nout; i++) {
        const Tensor *t = made[output_at(r->graph, out[i].name)];
        for (int64_t j = 0; j < t->count; j++)
            type_store(out[i].dtype, out[i].data, j, t->at[j]);
    }
    arena_free(&arena);
    return fine;
}

/* ---- compiled ---- */

static const void *in_place(void *user, const Weight *w, int64_t index,
                            Dtype want)
{
    Params *p = user;
    const Param *q = params_of(p, w);
    int64_t each = type_count(&w->type, 0) / weight_stacked(w);
    if (q && q->at)
        return q->dtype == want
                   ? (const char *)q->at + type_bytes(want, each) * index
                   : NULL;
    return tensor_in_place(loaded_tensor(&p->opened->sources.at[0], w, index),
                           want);
}

static bool read(void *user, const Weight *w, int64_t index, int64_t first,
                 int64_t count, Dtype to, void *out, Err *err)
{
    Params *p = user;
    const Param *q = params_of(p, w);
    int64_t each = type_count(&w->type, 0) / weight_stacked(w);
    (void)err;
    for (int64_t i = 0; q && q->at && i < count; i++)
        type_store(to, out, i, type_load(q->dtype, q->at,
                                         each * index + first + i));
    if (!q || !q->at)
        tensor_read(loaded_tensor(&p->opened->sources.at[0], w, index), first,
                    count, to, out);
    return true;
}

static bool compile(Runner *r, Err *err)
{
    const CpuOptions o = {.threads = r->o.common->threads,
                          .training = r->o.training, .moving = true};
    const WeightSource source = {r->o.params, in_place, read, NULL};
    r->program = cpu_compile(r->graph, &o, err);
    return r->program && program_load(r->program, &source, err);
}

/* ---- either ---- */

Runner *runner_new(const Graph *g, const RunnerOptions *o, Err *err)
{
    Runner *r = xmalloc(sizeof *r);
    *r = (Runner){.graph = g, .o = *o};
    if (o->common->target == TARGET_interp || compile(r, err))
        return r;
    runner_free(r);
    return NULL;
}

bool runner_run(Runner *r, int64_t T, const int32_t *pos, const Column *in,
                int nin, const Column *out, int nout, Draws draws, Err *err)
{
    if (!r->program)
        return interpret(r, T, pos, in, nin, out, nout, draws, err);
    program_draws(r->program, draws.seed, draws.before);
    return program_run(r->program, NULL, T, pos, in, nin, out, nout, err);
}

bool runner_in_place(const Runner *r)
{
    return r->program && program_in_place(r->program);
}

void runner_free(Runner *r)
{
    if (!r)
        return;
    if (r->program)
        program_free(r->program);
    free(r);
}
