/* Optimisers at work: grad_update's graph for each kind of parameter, run over
 * one after the other. */
#include "cli/train/update.h"
#include <string.h>

enum { MADE = 2 + MAX_STATES }; /* w, its copy, states */

typedef struct {
    uint64_t hash; /* of the graph */
    UpdateOptions o;
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
    void *made[MADE]; /* what a program writes, of the largest */
};

int64_t update_bytes(const Param *q, const TrainValue *option, bool exact)
{
    const char *name = option[TRAIN_optimizer].word;
    Dtype real = exact ? TYPE_f64 : TYPE_f32;
    bool masters = keeps_masters(option);
    Dtype state = exact || strcmp(option[TRAIN_states].word, "bf16")
                      ? real
                      : TYPE_bf16;
    int64_t bytes = type_bytes(q->dtype, q->count);
    if (masters && q->dtype != real)
        bytes += type_bytes(real, q->count);
    int whole = !strcmp(name, "adamw")     ? 2
                : strcmp(name, "sgd")      ? q->rank < 2
                : option[TRAIN_momentum].number > 0;
    bytes += whole * type_bytes(state, q->count);
    if (!strcmp(name, "adafactor") && q->rank >= 2) /* rows and columns */
        bytes += type_bytes(real, q->count / 16);
    return bytes;
}

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

/* The parameter as its tensors are in the file. */
static Parameter in_file(const Updates *u, const Param *q)
{
    const FilePlan *plan = &u->params->opened->plan;
    Parameter p = {.weight = q->weight};
    for (int i = 0; i < plan->weight.n; i++) {
        if (plan->weight.at[i].weight != q->weight)
            continue;
        const TensorInfo *t = &plan->tensor.at[plan->weight.at[i].first];
        p.rank = t->rank;
        p.shape = t->shape;
    }
    return p;
}

static bool decays(const Updates *u, const Param *q)
{
    const TrainValue *d = &u->option[TRAIN_decay];
    return d->number > 0 && (d->word || q->rank >= 2);
}

static UpdateOptions options_of(const Updates *u, const Param *q)
{
    const TrainValue *v = u->option;
    const char *name = v[TRAIN_optimizer].word;
    return (UpdateOptions){
        .kind = !strcmp(name, "adamw")       ? OPTIMIZER_adamw
                : !strcmp(name, "adafactor") ? OPTIMIZER_adafactor
                                             : OPTIMIZER_sgd,
        .beta1 = v[TRAIN_beta1].number, .beta2 = v[TRAIN_beta2].number,
        .eps = v[TRAIN_eps].number, .momentum = v[TRAIN_momentum].number,
        .decay = decays(u, q) ? v[TRAIN_decay].number : 0,
        .weights = kept_as(u, q) == TYPE_bf16 ? TYPE_bf16 : TYPE_f32,
        .nearest = v[TRAIN_weights].nearest, .copy = q->master != NULL,
        .states = strcmp(v[TRAIN_states].word, "bf16") ? TYPE_f32 : TYPE_bf16,
        .seed = (int)v[TRAIN_seed].number};
}

/* The kind of a parameter, made if it is the first. -1 with err set. */
static int kind_of(Updates *u, const Param *q, Err *err)
{
    const Parameter p = in_file(u, q);
    Kind k = {.o = options_of(u, q)};
    k.graph = grad_update(&u->arena, &p, &k.o);
    k.hash = graph_hash(k.graph);
    for (int i = 0; i < u->kind.n; i++)
        if (u->kind.at[i].hash == k.hash)
            return i;
    const RunnerOptions run = {.common = u->common,
                               .exact = u->params->exact};
    k.runner = runner_new(k.graph, &run, err);
    if (!k.runner)
        return -1;
    list_push(&u->arena, &u->kind, k);
    return u->kind.n - 1;
}

static bool is_state(const char *output)
{
    return strcmp(output, "w") && strcmp(output, "copy");
}

static void add_states(Updates *u, Param *q, const Kind *k)
{
    for (int i = 0; i < k->graph->output.n; i++) {
        const struct Output *o = &k->graph->output.at[i];
        if (!is_state(o->name))
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
    int64_t most = 0;
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
        most = bytes > most ? bytes : most;
        for (int j = 0; j < q->states; j++) {
            bytes = type_bytes(q->state_dtype, q->state_count[j]);
            most = bytes > most ? bytes : most;
        }
    }
    for (int j = 0; j < MADE; j++)
        u->made[j] = exec_alloc(most + 64);
    return u;
}

/* ---- a move ---- */

typedef struct {
    Updates *u;
    Param *q;
    const Kind *k;
    Dtype real; /* of gradients and scalars */
    int64_t t;
    double lr, clip, tensor, scalar[16];
    void *g;
} Move;

static void *kept(const Param *q)
{
    return q->master ? (void *)q->master : q->at;
}

static int state_named(const Param *q, const char *name)
{
    for (int i = 0; i < q->states; i++)
        if (!strcmp(q->state_name[i], name))
            return i;
    return -1;
}

static Column column_in(Move *m, const char *name, double *scalar)
{
    int state = state_named(m->q, name);
    if (!strcmp(name, "w"))
        return (Column){name, kept_as(m->u, m->q), kept(m->q)};
    if (!strcmp(name, "g"))
        return (Column){name, m->real, m->g};
    if (state >= 0)
        return (Column){name, m->q->state_dtype, m->q->state[state]};
    double v = !strcmp(name, "lr")       ? m->lr
               : !strcmp(name, "clip")   ? m->clip
               : !strcmp(name, "tensor") ? m->tensor
                                         : update_scalar(&m->k->o, name,
                                                         m->t + 1);
    type_store(m->real, scalar, 0, v);
    return (Column){name, m->real, scalar};
}

/* Where an output goes in the end, and how large it is. */
static void *goes_to(const Move *m, const char *name, Dtype *t, int64_t *n)
{
    int state = state_named(m->q, name);
    *t = !strcmp(name, "w") ? kept_as(m->u, m->q)
         : state >= 0       ? m->q->state_dtype
                            : m->q->dtype;
    *n = state >= 0 ? m->q->state_count[state] : m->q->count;
    return !strcmp(name, "w") ? kept(m->q)
           : state >= 0       ? m->q->state[state]
                              : m->q->at;
}

static bool move(Move *m, Err *err)
{
    const Graph *g = m->k->graph;
    Column in[COUNT(m->scalar)], out[MADE];
    int nin = 0, nout = g->output.n;
    for (int i = 0; i < g->node.n; i++)
        if (g->node.at[i]->op == OP_input) {
            in[nin] = column_in(m, g->node.at[i]->name, &m->scalar[nin]);
            nin++;
        }
    for (int i = 0; i < nout; i++) {
        int64_t n;
        out[i].name = g->output.at[i].name;
        void *to = goes_to(m, out[i].name, &out[i].dtype, &n);
        out[i].data = runner_in_place(m->k->runner) ? to : m->u->made[i];
    }
    const int32_t pos = 0;
    if (!runner_run(m->k->runner, 1, &pos, in, nin, out, nout, (Draws){0},
                    err))
        return false;
    for (int i = 0; i < nout; i++) {
        int64_t n;
        void *to = goes_to(m, out[i].name, &out[i].dtype, &n);
        if (to != out[i].data)
            memcpy(to, out[i].data, (size_t)type_bytes(out[i].dtype, n));
    }
    return true;
}

bool updates_step(Updates *u, int64_t t, double lr, double clip,
                  void *const *g, Err *err)
{
    for (int i = 0; i < u->params->param.n; i++) {
        Param *q = &u->params->param.at[i];
        Move m = {.u = u, .q = q, .t = t, .lr = lr, .clip = clip, .tensor = i,
                  .g = g[i], .real = u->params->exact ? TYPE_f64 : TYPE_f32};
        if (!q->trained)
            continue;
        m.k = &u->kind.at[u->of[i]];
        if (!move(&m, err))
            return false;
    }
    return true;
}

void updates_free(Updates *u)
{
    if (!u)
        return;
    for (int i = 0; i < u->kind.n; i++)
        runner_free(u->kind.at[i].runner);
    for (int j = 0; j < MADE; j++)
        free(u->made[j]);
    arena_free(&u->arena);
    free(u);
}
