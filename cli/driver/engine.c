/* A model made ready to run, and the sequence that it is at. On CPU and GPU the
 * step is compiled and remembers what it has seen; the interpreter runs the
 * whole sequence again at each step, and so does either where a layer looks at
 * all tokens. */
#include "compiler/interp/interp.h"
#include "codegen/cuda/cuda.h"
#include "cli/driver/engine.h"
#include "cli/driver/loaded.h"
#include "cli/driver/quantize.h"
#include "passes/passes.h"
#include <string.h>

struct Engine {
    Loaded loaded;
    const Common *common;
    Common longer; /* the same for longer texts */
    Arena arena;
    Graph *graph;
    Tokenizer *tokenizer;
    bool last_only;
    int vocabulary;
    bool losses, stats, routing; /* are wanted too */
    LIST(Effect) effect;
    Program *program; /* TARGET_cpu */
    State *state;
    CudaProgram *gpu; /* TARGET_cuda */
    CudaState *gpu_state;
    bool whole; /* each step is of all tokens so far */
    Ids seen;   /* where each step is of all */
};

/* GPUs read no blocks yet. */
static void say_widened(const Engine *e)
{
    const Checkpoint *c = e->loaded.checkpoint;
    for (int i = 0; i < c->tensors; i++) {
        Dtype t = c->tensor[i].info.dtype;
        if (type_info[t].block_len > 1) {
            report_note(e->common, "on GPUs quantised weights are read as %s: "
                                   "more memory, more time",
                        type_info[e->loaded.dtype].name);
            return;
        }
    }
}

static void say_not_kept(const Engine *e)
{
    CudaCost c = cuda_cost(e->gpu);
    if (!c.cached && !c.kept)
        report_note(e->common, "compiled kernels are not kept: no cache folder "
                               "can be written (XDG_CACHE_HOME)");
}

static bool compile_gpu(Engine *e, Err *err)
{
    const CudaOptions o = {.device = e->common->device,
                           .last_only = e->last_only,
                           .pins = &e->loaded.pins};
    const WeightSource source = loaded_source(&e->loaded);
    say_widened(e);
    e->gpu = cuda_program(e->graph, &o, err);
    if (!e->gpu || !cuda_load(e->gpu, &source, err))
        return false;
    e->gpu_state = cuda_state_new(e->gpu);
    say_not_kept(e);
    return true;
}

static bool compile(Engine *e, Err *err)
{
    if (e->common->target == TARGET_cuda)
        return compile_gpu(e, err);
    CpuOptions options = loaded_options(&e->loaded);
    options.last_only = e->last_only;
    WeightSource source = loaded_source(&e->loaded);
    e->program = program_open(e->graph, e->common, &options, &source, err);
    if (!e->program)
        return false;
    e->state = state_new(e->program);
    return true;
}

/* ---- losses and stats ---- */

static bool is_wanted(const Engine *e, const char *output)
{
    return !strcmp(output, "y") ||
           (e->losses && !strncmp(output, "loss.", 5)) ||
           (e->stats && !strncmp(output, "stat.", 5));
}

static bool has_tokens(const Type *t)
{
    for (int i = 0; i < t->rank; i++)
        if (size_has(t->dim[i]->size, "T"))
            return true;
    return false;
}

/* Does the node need a column of the data besides the tokens? `in`: the repeat
 * that g is a body of, or NULL. */
static bool reads_column(const Graph *g, const Node *n, const Repeat *in,
                         bool *seen)
{
    bool reads = n->op == OP_input && strcmp(n->name, "token") &&
                 !(in && repeat_gives(in, n->name));
    if (seen[n->id] || reads)
        return reads;
    seen[n->id] = true;
    const Repeat *r = n->op == OP_result ? n->arg[0]->repeat : NULL;
    for (int i = 0; r && i < r->n && !reads; i++) {
        const Graph *body = r->at[i].body;
        const Node *out = graph_find_output(body, n->name);
        bool *inner = xmalloc((size_t)body->node.n + 1);
        memset(inner, 0, (size_t)body->node.n + 1);
        reads = out && reads_column(body, out, r, inner);
        free(inner);
    }
    for (int i = 0; i < node_args(n) && !reads; i++)
        reads = reads_column(g, n->arg[i], in, seen);
    return reads;
}

/* Can it be had from tokens alone, and be added up? */
static bool is_at_hand(const Graph *g, const Node *n)
{
    bool *seen = xmalloc((size_t)g->node.n + 1);
    memset(seen, 0, (size_t)g->node.n + 1);
    bool reads = reads_column(g, n, NULL, seen);
    free(seen);
    return !reads && !has_tokens(&n->type);
}

static void add_effect(Engine *e, const char *name, const Node *n)
{
    Effect f = {.name = name, .count = type_count(&n->type, 1)};
    f.at = arena_alloc(&e->arena, (size_t)f.count * sizeof *f.at + 1);
    const Repeat *r = n->op == OP_result ? n->arg[0]->repeat : NULL;
    int *layer = arena_alloc(&e->arena, (size_t)(r ? r->n : 0) * sizeof *layer +
                                            1);
    for (int i = 0; r && i < r->n; i++)
        if (graph_find_output(r->at[i].body, n->name))
            layer[f.rows++] = i;
    f.layer = layer;
    list_push(&e->arena, &e->effect, f);
}

/* The model's graph with the outputs that are wanted. */
static Graph *graph_of(Engine *e)
{
    if (!e->losses && !e->stats)
        return model_graph(e->loaded.model, &e->arena);
    Graph *g = e->routing ? model_graph(e->loaded.model, &e->arena)
                          : model_graph_whole(e->loaded.model, &e->arena);
    if (e->routing && g)
        g = graph_routing(g, &e->arena);
    int n = 0;
    for (int i = 0; g && i < g->output.n; i++) {
        const struct Output o = g->output.at[i];
        bool y = !strcmp(o.name, "y");
        if (!is_wanted(e, o.name) ||
            (!y && !e->routing && !is_at_hand(g, o.node)))
            continue;
        if (!y)
            add_effect(e, o.name, o.node);
        g->output.at[n++] = o;
    }
    if (g)
        g->output.n = n;
    return g;
}

int engine_effects(const Engine *e, const Effect **out)
{
    *out = e->effect.at;
    return e->effect.n;
}

/* Is it logits: numbers for each token, as many for one as for another? */
static bool is_logits(const Type *t)
{
    return type_is_float(t->dtype) && t->rank == 2 &&
           t->dim[0]->size == size_sym("T") &&
           size_is_num(t->dim[1]->size, NULL);
}

static bool make_ready(Engine *e, const char *path, Err *err)
{
    if (!loaded_open(&e->loaded, path, e->common, err))
        return false;
    e->graph = graph_of(e);
    const Node *y = e->graph ? graph_find_output(e->graph, "y") : NULL;
    if (!y)
        return err_set(err, "%s: the model returns nothing", path);
    if (!is_logits(&y->type))
        return err_set(err, "%s: the model returns %s; logits are [T, V], with "
                            "V a number", path, type_text(&y->type));
    e->vocabulary = (int)type_count(&y->type, 1);
    e->whole = graph_looks_ahead(e->graph);
    return e->common->target == TARGET_interp || compile(e, err);
}

static Engine *engine_new(Engine asked, const char *path, Err *err)
{
    Engine *e = xmalloc(sizeof *e);
    *e = asked;
    if (make_ready(e, path, err))
        return e;
    engine_close(e);
    return NULL;
}

Engine *engine_open(const char *path, const Common *common, bool last_only,
                    Err *err)
{
    Engine asked = {.common = common, .last_only = last_only};
    return engine_new(asked, path, err);
}

Engine *engine_open_effects(const char *path, const Common *common, bool stats,
                            Err *err)
{
    Engine asked = {.common = common, .losses = true, .stats = stats};
    return engine_new(asked, path, err);
}

Engine *engine_open_routing(const char *path, const Common *common, Err *err)
{
    Engine asked = {.common = common, .stats = true, .routing = true};
    return engine_new(asked, path, err);
}

static void unmake(Engine *e)
{
    if (e->state)
        state_free(e->state);
    if (e->program)
        program_free(e->program);
    cuda_state_free(e->gpu_state);
    cuda_program_free(e->gpu);
    e->state = NULL;
    e->program = NULL;
    e->gpu_state = NULL;
    e->gpu = NULL;
    arena_free(&e->arena);
    e->arena = (Arena){0};
    memset(&e->effect, 0, sizeof e->effect);
    loaded_close(&e->loaded);
}

bool engine_for(Engine *e, int64_t tokens, Err *err)
{
    Arena scratch = {0};
    const char *path = arena_printf(&scratch, "%s",
                                    e->loaded.checkpoint->path);
    bool fine = true;
    if (model_stretches(e->loaded.model, tokens)) {
        e->longer = *e->common;
        e->longer.length = tokens;
        e->common = &e->longer;
        unmake(e);
        fine = make_ready(e, path, err);
    }
    arena_free(&scratch);
    return fine;
}

void engine_close(Engine *e)
{
    if (!e)
        return;
    unmake(e);
    ids_free(&e->seen);
    tokenizer_close(e->tokenizer);
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
    if (e->whole)
        report_note(e->common, "a layer of this model looks at all tokens: "
                               "each step computes the whole text again");
    if (e->state)
        state_reserve(e->state, tokens, &err);
    if (e->gpu_state)
        cuda_state_reserve(e->gpu_state, tokens, &err);
}

void engine_restart(Engine *e)
{
    e->seen.n = 0;
    if (e->state)
        state_truncate(e->state, 0);
    if (e->gpu_state)
        cuda_state_truncate(e->gpu_state, 0);
}

/* ---- compiled ---- */

static int64_t seen_before(const Engine *e)
{
    return e->gpu ? cuda_state_length(e->gpu_state) : state_length(e->state);
}

static bool run_step(Engine *e, const int32_t *ids, int n, float *logits,
                     Err *err)
{
    int32_t *pos = xmalloc((size_t)n * sizeof *pos);
    for (int i = 0; i < n; i++)
        pos[i] = (int32_t)seen_before(e) + i;
    const Column in = {"token", TYPE_i32, (void *)ids};
    int outs = 1 + e->effect.n;
    Column *out = xmalloc((size_t)outs * sizeof *out);
    out[0] = (Column){"y", TYPE_f32, logits};
    for (int i = 1; i < outs; i++)
        out[i] = (Column){e->effect.at[i - 1].name, TYPE_f64,
                          e->effect.at[i - 1].at};
    bool fine = e->gpu ? cuda_run(e->gpu, e->gpu_state, n, pos, &in, 1, out,
                                  outs, err)
                       : program_run(e->program, e->state, n, pos, &in, 1,
                                     out, outs, err);
    free(out);
    free(pos);
    return fine;
}

/* All tokens so far, of which the last n are new. */
static bool run_whole(Engine *e, int n, float *logits, Err *err)
{
    size_t row = (size_t)e->vocabulary, all = e->seen.n;
    if (e->gpu)
        cuda_state_truncate(e->gpu_state, 0);
    else
        state_truncate(e->state, 0);
    if (e->last_only || (size_t)n == all)
        return run_step(e, e->seen.at, (int)all, logits, err);
    float *each = xmalloc(all * row * sizeof *each);
    bool fine = run_step(e, e->seen.at, (int)all, each, err);
    if (fine)
        memcpy(logits, each + (all - (size_t)n) * row,
               (size_t)n * row * sizeof *each);
    free(each);
    return fine;
}

static bool run_compiled(Engine *e, const int32_t *ids, int n, float *logits,
                         Err *err)
{
    return e->whole ? run_whole(e, n, logits, err)
                    : run_step(e, ids, n, logits, err);
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

static void take_outputs(Engine *e, Tensor *const *out, int n, float *logits)
{
    Effect *f = e->effect.at;
    for (int i = 0; i < e->graph->output.n; i++) {
        if (strcmp(e->graph->output.at[i].name, "y")) {
            memcpy(f->at, out[i]->at, (size_t)f->count * sizeof *f->at);
            f++;
            continue;
        }
        int rows = e->last_only ? 1 : n;
        int64_t count = (int64_t)rows * e->vocabulary;
        const double *y = out[i]->at + out[i]->count - count;
        for (int64_t j = 0; j < count; j++)
            logits[j] = (float)y[j];
    }
}

static bool run_interpreted(Engine *e, int n, float *logits, Err *err)
{
    int total = (int)e->seen.n;
    Arena arena = {0};
    int32_t *pos = arena_alloc(&arena, (size_t)total * sizeof *pos);
    for (int i = 0; i < total; i++)
        pos[i] = i;
    const InterpEnv env = {
        .T = total, .pos = pos,
        .exact = e->common->has_dtype && e->common->dtype == TYPE_f64,
        .user = e, .input = token_column, .weight = weight_of};
    Tensor **out = arena_alloc(&arena, (size_t)e->graph->output.n *
                                           sizeof *out);
    bool fine = interp_run(e->graph, &env, &arena, out, err);
    if (fine)
        take_outputs(e, out, n, logits);
    arena_free(&arena);
    return fine;
}

bool engine_run(Engine *e, const int32_t *ids, int n, float *logits, Err *err)
{
    bool compiled = e->program || e->gpu;
    for (int i = 0; i < n && (e->whole || !compiled); i++)
        ids_push(&e->seen, ids[i]);
    return compiled ? run_compiled(e, ids, n, logits, err)
                    : run_interpreted(e, n, logits, err);
}
