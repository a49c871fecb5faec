/* For tests of whole trainings: a golden run (shared/data/train) opened, its
 * batches, its weights in memory, its updates; and what is held against it. */
#pragma once
#include "compiler/grad/grad.h"
#include "tests/batch_kit.h"
#include "tests/model_kit.h"
#include <math.h>

typedef struct {
    const char *folder, *transform, *args, *text;
} Case;

/* A trained weight, its gradient and an optimiser's states. */
typedef struct {
    const Weight *weight;
    double *at;
    const double *grad; /* of this step */
    Parameter parameter;
    UpdateOptions o;
    Graph *update;
    double *state[3]; /* m, v; r, c or s, by its input's place */
} Held;

typedef struct {
    Kit k;
    cJSON *golden;
    Graph *forward;
    LIST(Held) trained;
    GradStep step;
    Tensor **out; /* of the step */
    Batch b;
    Err err;
} Run;

/* ---- what is trained: what the golden has gradients of ---- */

static inline const cJSON *golden_of(const Run *r, const char *tensor)
{
    return item(item(r->golden, "first_gradients"), tensor);
}

static inline bool in_golden(const Run *r, const Weight *w)
{
    int64_t index[MAX_RANK] = {0};
    return golden_of(r, weight_tensor(w, index)) != NULL;
}

static inline void train(Run *r, const Weight *w)
{
    for (int i = 0; i < r->trained.n; i++)
        if (r->trained.at[i].weight == w)
            return;
    Held h = {.weight = w};
    h.at = arena_alloc(&r->k.arena,
                       (size_t)type_count(&w->type, 0) * sizeof *h.at);
    assert_true(kit_weight(&r->k, w, h.at));
    list_push(&r->k.arena, &r->trained, h);
}

static inline void train_learned(Run *r, const Graph *g, const Iteration *pass)
{
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        if (n->op == OP_learned)
            train(r, node_weight(n, pass));
        for (int j = 0; n->repeat && j < n->repeat->n; j++)
            train_learned(r, n->repeat->at[j].body, &n->repeat->at[j]);
    }
}

static inline void choose_trained(Run *r)
{
    const Weight *const *w;
    int n = model_weights(r->k.model, &w);
    for (int i = 0; i < n; i++)
        if (in_golden(r, w[i]))
            train(r, w[i]);
    train_learned(r, r->forward, NULL);
    assert_true(r->trained.n > 0);
}

/* ---- a run ---- */

static inline bool give_input(void *user, const char *name, const Type *t,
                       double *out)
{
    const Run *r = user;
    const double *from = !strcmp(name, "token") ? r->b.id.at
                         : !strcmp(name, "label") ? r->b.label.at
                         : !strcmp(name, "share") ? r->b.share.at : NULL;
    for (int i = 0; i < r->b.column.n; i++)
        if (!strcmp(r->b.column.at[i].name, name))
            from = r->b.column.at[i].at;
    if (!strcmp(name, "part"))
        *out = 1;
    else if (from)
        memcpy(out, from, (size_t)type_count(t, r->b.T) * sizeof *out);
    return from || !strcmp(name, "part");
}

static inline bool give_weight(void *user, const Weight *w, double *out)
{
    const Run *r = user;
    for (int i = 0; i < r->trained.n; i++)
        if (r->trained.at[i].weight == w) {
            memcpy(out, r->trained.at[i].at,
                   (size_t)type_count(&w->type, 0) * sizeof *out);
            return true;
        }
    return kit_weight(&r->k, w, out);
}

static inline double output(const Run *r, const char *name)
{
    const Graph *g = r->step.graph;
    for (int i = 0; i < g->output.n; i++)
        if (!strcmp(g->output.at[i].name, name))
            return r->out[i]->at[0];
    fail_msg("no output %s", name);
    return 0;
}

static double within; /* relative */

static inline void near(const char *what, double got, double want, double of)
{
    if (!(fabs(got - want) <= within * of))
        fail_msg("%s: %.15g, golden %.15g (off by %.3g)", what, got, want,
                 fabs(got - want) / of);
}

/* One tensor of the file: its norm and first elements. */
static inline void check_tensor(const cJSON *all, const char *name,
                                const double *at, int64_t n)
{
    const cJSON *golden = item(all, name);
    double square = 0;
    for (int64_t i = 0; i < n; i++)
        square += at[i] * at[i];
    if (!golden && strstr(name, "block_sparse_moe"))
        return; /* it has other names, experts as one */
    if (!golden)
        fail_msg("no golden for %s", name);
    double want = number(golden, "norm"), of = want > 1e-6 ? want : 1e-6;
    near(name, sqrt(square), want, of);
    const cJSON *first = item(golden, "first");
    for (int i = 0; i < cJSON_GetArraySize(first); i++)
        near(name, at[i], cJSON_GetNumberValue(cJSON_GetArrayItem(first, i)),
             of);
}

static inline int64_t count_of(const Weight *w)
{
    return type_count(&w->type, 0);
}

static inline void check_weight(const cJSON *all, const Weight *w,
                                const double *at)
{
    int64_t each = count_of(w), index[MAX_RANK] = {0};
    if (item(all, w->path)) { /* learned */
        check_tensor(all, w->path, at, each);
        return;
    }
    for (int i = 0; i < w->stacked; i++)
        each /= size_at(w->type.dim[i]->size, 0);
    do {
        check_tensor(all, weight_tensor(w, index), at, each);
        at += each;
    } while (weight_next(w, index));
}

static inline void check_losses(const Run *r, const cJSON *want)
{
    near("loss", output(r, "loss"), number(want, "loss"),
         number(want, "loss"));
    const cJSON *losses = item(want, "losses");
    for (const cJSON *l = losses ? losses->child : NULL; l; l = l->next)
        near(l->string, output(r, intern_printf("loss.%s", l->string)),
             cJSON_GetNumberValue(l), cJSON_GetNumberValue(l));
    if (!item(want, "tokens"))
        return;
    assert_int_equal(r->b.T, (int)number(want, "tokens"));
    assert_int_equal(r->b.labelled, (int)number(want, "labelled"));
}

/* ---- a step ---- */

static inline void run(const Graph *g, Run *r, void *user,
                bool (*give)(void *, const char *, const Type *, double *),
                Arena *arena, Tensor **out)
{
    const InterpEnv env = {.T = r->b.T, .pos = r->b.pos.at, .exact = true,
                           .training = true, .user = user, .input = give,
                           .weight = give_weight};
    if (!interp_run(g, &env, arena, out, &r->err))
        fail_msg("%s", r->err.text);
}

static inline void take_gradients(Run *r)
{
    const GradStep *s = &r->step;
    for (int i = 0; i < r->trained.n; i++) {
        const Tensor *t = NULL;
        int64_t n = count_of(r->trained.at[i].weight);
        int place = s->of[i].place;
        assert_ptr_equal(s->of[i].weight, r->trained.at[i].weight);
        for (int j = 0; j < s->graph->output.n; j++)
            if (s->of[i].output &&
                !strcmp(s->graph->output.at[j].name, s->of[i].output))
                t = r->out[j];
        if (!t)
            fail_msg("no gradient of %s", s->of[i].weight->path);
        assert_int_equal(t->count, place < 0 ? n : n * t->shape[0]);
        r->trained.at[i].grad = t->at + (place < 0 ? 0 : place) * n;
    }
}

static inline double gradient_norm(const Run *r)
{
    double square = 0;
    for (int i = 0; i < r->trained.n; i++)
        for (int64_t j = 0; j < count_of(r->trained.at[i].weight); j++)
            square += r->trained.at[i].grad[j] * r->trained.at[i].grad[j];
    return sqrt(square);
}

static inline void make_step(Run *r)
{
    LIST(const Weight *) w = {0};
    for (int i = 0; i < r->trained.n; i++)
        list_push(&r->k.arena, &w, r->trained.at[i].weight);
    GradOptions o = {.n = w.n, .weight = w.at, .memory = 60000, .tokens = 50,
                     .balance = 1}; /* room for some of it */
    if (!grad_step(&r->k.arena, r->forward, &o, &r->step, &r->err))
        fail_msg("%s", r->err.text);
    r->out = arena_alloc(&r->k.arena,
                         (size_t)r->step.graph->output.n * sizeof *r->out);
}

/* ---- updates ---- */

typedef struct {
    Held *h;
    double lr, clip;
    int t;
} Move;

static inline double *state_of(Held *h, const char *name, int64_t n)
{
    int at = strchr("vc", *name) != NULL;
    if (!h->state[at])
        h->state[at] = calloc((size_t)n, sizeof **h->state);
    return h->state[at];
}

static inline bool give_move(void *user, const char *name, const Type *t,
                             double *out)
{
    const Move *m = user;
    int64_t n = type_count(t, 0);
    bool state = !name[1] && strchr("mvrcs", *name);
    if (!strcmp(name, "lr") || !strcmp(name, "clip"))
        *out = *name == 'l' ? m->lr : m->clip;
    else if (!strcmp(name, "w") || !strcmp(name, "g") || state)
        memcpy(out, *name == 'w'   ? m->h->at
                    : *name == 'g' ? m->h->grad : state_of(m->h, name, n),
               (size_t)n * sizeof *out);
    else
        *out = update_scalar(&m->h->o, name, m->t);
    return true;
}

static inline void update(Run *r, Held *h, double lr, double clip, int t)
{
    Arena arena = {0};
    Move m = {h, lr, clip, t};
    Tensor *out[8];
    run(h->update, r, &m, give_move, &arena, out);
    for (int i = 0; i < h->update->output.n; i++) {
        const char *name = h->update->output.at[i].name;
        memcpy(*name == 'w' ? h->at : state_of(h, name, out[i]->count),
               out[i]->at, (size_t)out[i]->count * sizeof(double));
    }
    arena_free(&arena);
}

static inline void make_update(Run *r, Held *h, const cJSON *o)
{
    const char *kind = cJSON_GetStringValue(item(o, "optimizer"));
    int64_t index[MAX_RANK] = {0};
    const FileTensor *file =
        checkpoint_find(r->k.checkpoint, weight_tensor(h->weight, index));
    Parameter p = {.weight = h->weight};
    if (file && !h->weight->value)
        p = (Parameter){h->weight, file->info.rank, file->info.shape};
    int rank = p.shape ? p.rank : h->weight->type.rank - h->weight->stacked;
    h->o = (UpdateOptions){
        .kind = !strcmp(kind, "adamw")       ? OPTIMIZER_adamw
                : !strcmp(kind, "adafactor") ? OPTIMIZER_adafactor
                                             : OPTIMIZER_sgd,
        .weights = TYPE_f32, .states = TYPE_f32};
    if (cJSON_IsTrue(item(o, "decay_all")) || rank > 1)
        h->o.decay = item(o, "decay") ? number(o, "decay") : 0;
    h->o.beta1 = item(o, "beta1") ? number(o, "beta1") : 0;
    h->o.beta2 = item(o, "beta2") ? number(o, "beta2") : 0;
    h->o.eps = item(o, "eps") ? number(o, "eps") : 0;
    h->o.momentum = item(o, "momentum") ? number(o, "momentum") : 0;
    h->parameter = p;
    h->update = grad_update(&r->k.arena, &p, &h->o);
}

static inline void update_all(Run *r, const cJSON *o, double lr, int t)
{
    double clip = 1, norm = gradient_norm(r);
    if (cJSON_IsNumber(item(o, "clip")))
        clip = fmin(1, number(o, "clip") / (norm + 1e-6));
    for (int i = 0; i < r->trained.n; i++)
        update(r, &r->trained.at[i], lr, clip, t);
}

/* The golden's transform, of the library or in a text of its own. */
static inline void transform(Run *r, const Case *c)
{
    Err err = {""};
    if (!c->transform)
        return;
    if (!c->text) {
        kit_transform(&r->k, c->transform, c->args);
        return;
    }
    Spec *spec = spec_new(&r->k.arena, &r->k.diags);
    assert_true(spec_file(spec, shared(c->text), &err));
    r->k.model = model_transform(spec, r->k.model, c->transform, NULL, 0,
                                 NULL, 0, &err);
    assert_non_null(r->k.model);
}

static inline void open_case(Run *r, const Case *c)
{
    r->golden = kit_json(intern_printf("train/%s/golden.json", c->folder));
    const char *base = cJSON_GetStringValue(item(r->golden, "base"));
    bool near_by = !strncmp(base, "models/", 7);
    kit_shared(&r->k, intern_printf("%s%s", near_by ? "train/" : "", base));
    transform(r, c);
    r->forward = model_graph_whole(r->k.model, &r->k.arena);
    assert_non_null(r->forward);
    choose_trained(r);
    for (int i = 0; i < r->trained.n; i++)
        make_update(r, &r->trained.at[i], item(r->golden, "settings"));
}

/* Forward and backward on the lines of step s. */
static inline void go(Run *r, const Case *c, int s, Arena *arena)
{
    int batch = (int)number(item(r->golden, "settings"), "batch");
    read_batch(&r->b, shared(intern_printf("train/%s/data.jsonl", c->folder)),
               s * batch, batch);
    run(r->step.graph, r, r, give_input, arena, r->out);
    take_gradients(r);
}
