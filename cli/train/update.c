/* Optimisers at work: grad_update's graph for each kind of parameter, run over
 * one after the other. */
#include "cli/train/update.h"
#include <string.h>

typedef struct {
    Weight *like; /* as the file's tensors are: stacked dims, then theirs */
    bool decays;
    Dtype kept; /* what w is read and written as */
    Graph *graph;
    Runner *runner;
} Kind;

struct Updates {
    Arena arena;
    Params *params;
    const TrainValue *option;
    const Common *common;
    LIST(Kind) kind;
    int *of;        /* by parameter: its kind, or -1 */
    void *made[1 + MAX_STATES]; /* what a program writes, of the largest */
};

bool keeps_masters(const TrainValue *option)
{
    const TrainValue *w = &option[TRAIN_weights];
    return !w->word || strcmp(w->word, "bf16");
}

static Dtype kept_as(const Updates *u, const Param *q)
{
    return u->params->exact ? TYPE_f64
           : q->master      ? TYPE_f32
                            : q->dtype;
}

/* A weight of the shape that its tensors have in the file. */
static Weight *like(Updates *u, const Param *q)
{
    const Weight *w = q->weight;
    const FilePlan *plan = &u->params->opened->plan;
    Weight *out = arena_alloc(&u->arena, sizeof *out);
    *out = (Weight){.path = w->path, .file = w->file, .stacked = w->stacked,
                    .type = w->type};
    for (int i = 0; i < plan->weight.n; i++) {
        if (plan->weight.at[i].weight != w)
            continue;
        const TensorInfo *t = &plan->tensor.at[plan->weight.at[i].first];
        out->type.rank = w->stacked + t->rank;
        for (int d = 0; d < t->rank; d++)
            out->type.dim[w->stacked + d] =
                dim_new(intern_printf("d%d", d),
                        size_num((double)t->shape[d]));
    }
    out->type.dtype = u->params->exact ? TYPE_f32 : kept_as(u, q);
    return out;
}

static bool decays(const Updates *u, const Param *q)
{
    const TrainValue *d = &u->option[TRAIN_decay];
    return d->number > 0 && (d->word || q->rank >= 2);
}

static UpdateOptions options_of(const Updates *u, const Kind *k)
{
    const TrainValue *v = u->option;
    const char *name = v[TRAIN_optimizer].word;
    bool bf16 = k->kept == TYPE_bf16;
    return (UpdateOptions){
        .kind = !strcmp(name, "adamw")       ? OPTIMIZER_adamw
                : !strcmp(name, "adafactor") ? OPTIMIZER_adafactor
                                             : OPTIMIZER_sgd,
        .beta1 = v[TRAIN_beta1].number, .beta2 = v[TRAIN_beta2].number,
        .eps = v[TRAIN_eps].number, .momentum = v[TRAIN_momentum].number,
        .decay = k->decays ? v[TRAIN_decay].number : 0,
        .weights = bf16 ? TYPE_bf16 : TYPE_f32,
        .nearest = v[TRAIN_weights].nearest,
        .states = strcmp(v[TRAIN_states].word, "bf16") ? TYPE_f32 : TYPE_bf16,
        .seed = v[TRAIN_seed].number};
}

static bool same_shapes(const Type *a, const Type *b)
{
    if (a->rank != b->rank || a->dtype != b->dtype)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i]->size != b->dim[i]->size)
            return false;
    return true;
}

/* The kind of a parameter, made if it is the first. -1 with err set. */
static int kind_of(Updates *u, const Param *q, Err *err)
{
    Kind k = {.like = like(u, q), .decays = decays(u, q),
              .kept = kept_as(u, q)};
    for (int i = 0; i < u->kind.n; i++) {
        const Kind *known = &u->kind.at[i];
        if (same_shapes(&known->like->type, &k.like->type) &&
            known->like->stacked == k.like->stacked &&
            known->decays == k.decays && known->kept == k.kept)
            return i;
    }
    const UpdateOptions o = options_of(u, &k);
    const RunnerOptions run = {.common = u->common,
                               .exact = u->params->exact};
    k.graph = grad_update(&u->arena, k.like, &o);
    k.runner = runner_new(k.graph, &run, err);
    if (!k.runner)
        return -1;
    list_push(&u->arena, &u->kind, k);
    return u->kind.n - 1;
}

static void add_states(Updates *u, Param *q, const Kind *k)
{
    for (int i = 0; i < k->graph->output.n; i++) {
        const struct Output *o = &k->graph->output.at[i];
        if (!strcmp(o->name, "w"))
            continue;
        if (q->states == MAX_STATES)
            BUG("an optimiser with more than %d states", MAX_STATES);
        q->state_dtype = u->params->exact ? TYPE_f64 : o->node->type.dtype;
        q->state_name[q->states] = o->name;
        q->state_count[q->states] = type_count(&o->node->type, 1);
        int64_t bytes = type_bytes(q->state_dtype,
                                   q->state_count[q->states]);
        q->state[q->states] = exec_alloc(bytes + 64);
        memset(q->state[q->states++], 0, (size_t)bytes);
    }
}

Updates *updates_new(Params *p, const TrainValue *option, const Common *common,
                     Err *err)
{
    Updates *u = xmalloc(sizeof *u);
    *u = (Updates){.params = p, .option = option, .common = common};
    u->of = arena_alloc(&u->arena, (size_t)p->param.n * sizeof *u->of + 1);
    int64_t most[1 + MAX_STATES] = {0};
    for (int i = 0; i < p->param.n; i++) {
        Param *q = &p->param.at[i];
        u->of[i] = q->trained ? kind_of(u, q, err) : -1;
        if (q->trained && u->of[i] < 0) {
            updates_free(u);
            return NULL;
        }
        if (!q->trained)
            continue;
        add_states(u, q, &u->kind.at[u->of[i]]);
        int64_t bytes = type_bytes(kept_as(u, q), q->count);
        most[0] = bytes > most[0] ? bytes : most[0];
        for (int j = 0; j < q->states; j++) {
            bytes = type_bytes(q->state_dtype, q->state_count[j]);
            most[1 + j] = bytes > most[1 + j] ? bytes : most[1 + j];
        }
    }
    for (int j = 0; j <= MAX_STATES; j++)
        u->made[j] = exec_alloc(most[j] + 64);
    return u;
}

/* bf16 weights again, of their masters. */
static void round_down(Param *q)
{
    for (int64_t i = 0; q->master && i < q->count; i++)
        type_store(q->dtype, q->at, i, q->master[i]);
}

static bool move(Updates *u, int at, int64_t t, double lr, double clip,
                 void *g, Err *err)
{
    Param *q = &u->params->param.at[at];
    const Kind *k = &u->kind.at[u->of[at]];
    Dtype real = u->params->exact ? TYPE_f64 : TYPE_f32;
    double scalar[4][1];
    const double value[] = {lr, clip, (double)(t + 1), at};
    static const char *const name[] = {"lr", "clip", "t", "tensor"};
    Column in[6 + MAX_STATES], out[1 + MAX_STATES];
    int nin = 0, nout = 0;
    void *w = q->master ? (void *)q->master : q->at;
    in[nin++] = (Column){"w", k->kept, w};
    in[nin++] = (Column){"g", real, g};
    for (int i = 0; i < 4; i++) {
        type_store(real, scalar[i], 0, value[i]);
        in[nin++] = (Column){name[i], real, scalar[i]};
    }
    out[nout++] = (Column){"w", k->kept, u->made[0]};
    for (int i = 0; i < q->states; i++) {
        in[nin++] = (Column){q->state_name[i], q->state_dtype, q->state[i]};
        out[nout++] = (Column){q->state_name[i], q->state_dtype,
                               u->made[1 + i]};
    }
    const int32_t pos = 0;
    if (!runner_run(k->runner, 1, &pos, in, nin, out, nout, 0, err))
        return false;
    memcpy(w, u->made[0], (size_t)type_bytes(k->kept, q->count));
    for (int i = 0; i < q->states; i++)
        memcpy(q->state[i], u->made[1 + i],
               (size_t)type_bytes(q->state_dtype, q->state_count[i]));
    round_down(q);
    return true;
}

bool updates_step(Updates *u, int64_t t, double lr, double clip,
                  void *const *g, Err *err)
{
    for (int i = 0; i < u->params->param.n; i++)
        if (u->params->param.at[i].trained &&
            !move(u, i, t, lr, clip, g[i], err))
            return false;
    return true;
}

void updates_free(Updates *u)
{
    if (!u)
        return;
    for (int i = 0; i < u->kind.n; i++)
        runner_free(u->kind.at[i].runner);
    for (int j = 0; j <= MAX_STATES; j++)
        free(u->made[j]);
    arena_free(&u->arena);
    free(u);
}
