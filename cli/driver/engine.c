/* A model made ready to run, and the sequence that it is at. On the CPU the
 * step is compiled and remembers what it has seen; the interpreter runs the
 * whole sequence again at each step. */
#include "compiler/interp/interp.h"
#include "cli/driver/engine.h"
#include "cli/driver/loaded.h"
#include "cli/driver/quantize.h"
#include <string.h>

struct Engine {
    Loaded loaded;
    const Common *common;
    Arena arena;
    Graph *graph;
    Tokenizer *tokenizer;
    bool last_only;
    int vocabulary;
    Program *program; /* TARGET_cpu */
    State *state;
    Ids seen; /* TARGET_interp */
};

static bool target_runs(const Common *common, Err *err)
{
    if (common->target == TARGET_cuda)
        return err_set(err, "--target cuda: graft " CLI_VERSION
                            " runs nothing on GPUs yet; use --target cpu");
    return true;
}

static bool compile(Engine *e, Err *err)
{
    CpuOptions options = loaded_options(&e->loaded);
    options.last_only = e->last_only;
    WeightSource source = loaded_source(&e->loaded);
    e->program = program_open(e->graph, e->common, &options, &source, err);
    if (!e->program)
        return false;
    e->state = state_new(e->program);
    return true;
}

static bool make_ready(Engine *e, const char *path, Err *err)
{
    if (!target_runs(e->common, err) ||
        !loaded_open(&e->loaded, path, e->common, err))
        return false;
    e->graph = model_graph(e->loaded.model, &e->arena);
    const Node *y = graph_find_output(e->graph, "y");
    if (!y)
        return err_set(err, "%s: the model returns nothing", path);
    e->vocabulary = (int)type_count(&y->type, 1);
    return e->common->target == TARGET_interp || compile(e, err);
}

Engine *engine_open(const char *path, const Common *common, bool last_only,
                    Err *err)
{
    Engine *e = xmalloc(sizeof *e);
    *e = (Engine){.common = common, .last_only = last_only};
    if (make_ready(e, path, err))
        return e;
    engine_close(e);
    return NULL;
}

void engine_close(Engine *e)
{
    if (!e)
        return;
    if (e->state)
        state_free(e->state);
    if (e->program)
        program_free(e->program);
    ids_free(&e->seen);
    tokenizer_close(e->tokenizer);
    arena_free(&e->arena);
    loaded_close(&e->loaded);
    free(e);
}

const Checkpoint *engine_checkpoint(const Engine *e)
{
    return e->loaded.checkpoint;
}

const Tokenizer *engine_tokenizer(Engine *e, Err *err)
{
    if (!e->tokenizer)
        e->tokenizer = tokenizer_open(e->loaded.checkpoint, err);
    return e->tokenizer;
}

int engine_vocabulary(const Engine *e)
{
    return e->vocabulary;
}

int engine_limit(const Engine *e)
{
    return model_positions(e->loaded.model);
}

void engine_expect(Engine *e, int64_t tokens)
{
    Err err;
    if (e->state)
        state_reserve(e->state, tokens, &err);
}

void engine_restart(Engine *e)
{
    e->seen.n = 0;
    if (e->state)
        state_truncate(e->state, 0);
}

/* ---- the CPU ---- */

static bool run_compiled(Engine *e, const int32_t *ids, int n, float *logits,
                         Err *err)
{
    int32_t *pos = xmalloc((size_t)n * sizeof *pos);
    for (int i = 0; i < n; i++)
        pos[i] = (int32_t)state_length(e->state) + i;
    const Column in = {"token", TYPE_i32, (void *)ids};
    const Column out = {"y", TYPE_f32, logits};
    bool fine = program_run(e->program, e->state, n, pos, &in, 1, &out, 1,
                            err);
    free(pos);
    return fine;
}

/* ---- the interpreter ---- */

static bool token_column(void *user, const char *name, const Type *t,
                         double *out)
{
    const Engine *e = user;
    (void)t;
    if (strcmp(name, "token"))
        return false;
    for (size_t i = 0; i < e->seen.n; i++)
        out[i] = e->seen.at[i];
    return true;
}

static bool weight_of(void *user, const Weight *w, double *out)
{
    return loaded_weight(&((Engine *)user)->loaded, w, out);
}

static bool run_interpreted(Engine *e, const int32_t *ids, int n,
                            float *logits, Err *err)
{
    for (int i = 0; i < n; i++)
        ids_push(&e->seen, ids[i]);
    int total = (int)e->seen.n;
    Arena arena = {0};
    int32_t *pos = arena_alloc(&arena, (size_t)total * sizeof *pos);
    for (int i = 0; i < total; i++)
        pos[i] = i;
    const InterpEnv env = {
        .T = total, .pos = pos,
        .exact = e->common->has_dtype && e->common->dtype == TYPE_f64,
        .user = e, .input = token_column, .weight = weight_of};
    int outputs = e->graph->output.n;
    Tensor *out;
    bool fine = interp_run(e->graph, &env, &arena, &out, err);
    for (int i = 0; fine && i < outputs; i++)
        if (!strcmp(e->graph->output.at[i].name, "y")) {
            int rows = e->last_only ? 1 : n;
            int64_t count = (int64_t)rows * e->vocabulary;
            const double *y = out[i].at + out[i].count - count;
            for (int64_t j = 0; j < count; j++)
                logits[j] = (float)y[j];
        }
    arena_free(&arena);
    return fine;
}

bool engine_run(Engine *e, const int32_t *ids, int n, float *logits, Err *err)
{
    return e->program ? run_compiled(e, ids, n, logits, err)
                      : run_interpreted(e, ids, n, logits, err);
}
