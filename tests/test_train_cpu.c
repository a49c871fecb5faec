/* Steps of training (grad_step) on the compiled CPU against the exact
 * interpreter: the models of shared/data/train, each output of a step. One and
 * two threads have the same bits; a second run has, too. */
#include "codegen/program/program.h"
#include "compiler/grad/grad.h"
#include "tests/batch_kit.h"
#include "tests/model_kit.h"
#include <math.h>

typedef struct {
    const char *folder, *transform, *args, *text;
} Case;

typedef struct {
    const Weight *weight;
    double *at;
    float *lies; /* as the program reads it */
} Held;

typedef struct {
    Kit k;
    cJSON *golden;
    GradStep step;
    LIST(Held) held;
    LIST(const Weight *) trained;
    Batch b;
} Run;

/* ---- the step: what the golden has gradients of is trained ---- */

static bool in_golden(const Run *r, const Weight *w)
{
    int64_t index[MAX_RANK] = {0};
    return item(item(r->golden, "first_gradients"), weight_tensor(w, index));
}

static void add_learned(Run *r, const Graph *g, const Iteration *pass)
{
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        bool new = n->op == OP_learned;
        for (int j = 0; new && j < r->trained.n; j++)
            new = r->trained.at[j] != node_weight(n, pass);
        if (new)
            list_push(&r->k.arena, &r->trained, node_weight(n, pass));
        for (int j = 0; n->repeat && j < n->repeat->n; j++)
            add_learned(r, n->repeat->at[j].body, &n->repeat->at[j]);
    }
}

static void transform(Run *r, const Case *c)
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

static void open_case(Run *r, const Case *c)
{
    Err err = {""};
    r->golden = kit_json(intern_printf("train/%s/golden.json", c->folder));
    const char *base = cJSON_GetStringValue(item(r->golden, "base"));
    bool near_by = !strncmp(base, "models/", 7);
    kit_shared(&r->k, intern_printf("%s%s", near_by ? "train/" : "", base));
    transform(r, c);
    const Graph *forward = model_graph_whole(r->k.model, &r->k.arena);
    assert_non_null(forward);
    const Weight *const *w;
    int n = model_weights(r->k.model, &w);
    for (int i = 0; i < n; i++)
        if (in_golden(r, w[i]))
            list_push(&r->k.arena, &r->trained, w[i]);
    add_learned(r, forward, NULL);
    GradOptions o = {.n = r->trained.n, .weight = r->trained.at};
    if (!grad_step(&r->k.arena, forward, &o, &r->step, &err))
        fail_msg("%s", err.text);
    r->b.arena = &r->k.arena;
    int batch = (int)number(item(r->golden, "settings"), "batch");
    read_batch(&r->b, shared(intern_printf("train/%s/data.jsonl", c->folder)),
               0, batch);
}

/* ---- interpreted ---- */

static Held *held(Run *r, const Weight *w)
{
    for (int i = 0; i < r->held.n; i++)
        if (r->held.at[i].weight == w)
            return &r->held.at[i];
    int64_t n = type_count(&w->type, 0);
    Held h = {w, arena_alloc(&r->k.arena, (size_t)n * sizeof *h.at + 1),
              arena_alloc(&r->k.arena, (size_t)n * sizeof *h.lies + 1)};
    assert_true(kit_weight(&r->k, w, h.at));
    for (int64_t i = 0; i < n; i++)
        h.at[i] = h.lies[i] = (float)h.at[i];
    list_push(&r->k.arena, &r->held, h);
    return &r->held.at[r->held.n - 1];
}

static const double *column_of(const Run *r, const char *name)
{
    static const double one = 1;
    for (int i = 0; i < r->b.column.n; i++)
        if (!strcmp(r->b.column.at[i].name, name))
            return r->b.column.at[i].at;
    return !strcmp(name, "token")   ? r->b.id.at
           : !strcmp(name, "label") ? r->b.label.at
           : !strcmp(name, "share") ? r->b.share.at
           : !strcmp(name, "part")  ? &one
                                    : NULL;
}

static bool give_input(void *user, const char *name, const Type *t,
                       double *out)
{
    const double *from = column_of(user, name);
    if (from)
        memcpy(out, from, (size_t)type_count(t, ((Run *)user)->b.T) *
                              sizeof *out);
    return from;
}

static bool give_weight(void *user, const Weight *w, double *out)
{
    memcpy(out, held(user, w)->at,
           (size_t)type_count(&w->type, 0) * sizeof *out);
    return true;
}

/* ---- compiled ---- */

static const void *lies(void *user, const Weight *w, int64_t index, Dtype want)
{
    int64_t n = type_count(&w->type, 0);
    for (int i = 0; i < w->stacked; i++)
        n /= size_at(w->type.dim[i]->size, 0);
    if (want != TYPE_f32)
        fail_msg("%s is wanted as %s", w->path, type_info[want].name);
    return held(user, w)->lies + index * n;
}

static bool never(void *user, const Weight *w, int64_t index, int64_t first,
                  int64_t count, Dtype to, void *out, Err *err)
{
    (void)user, (void)index, (void)first, (void)count, (void)to, (void)out;
    return err_set(err, "%s is read", w->path);
}

typedef struct {
    Program *p;
    int n, nin;
    Column in[16], out[256];
} Compiled;

static Compiled *compiled(Run *r, int threads)
{
    Err err = {""};
    CpuOptions o = {.threads = threads, .training = true, .moving = true};
    Compiled *c = arena_alloc(&r->k.arena, sizeof *c);
    c->p = cpu_compile(r->step.graph, &o, &err);
    WeightSource s = {r, lies, never, NULL};
    if (!c->p || !program_load(c->p, &s, &err))
        fail_msg("%s", err.text);
    if (getenv("SHOW"))
        program_print(c->p, TEXT_kernels, stderr);
    return c;
}

/* Columns that the graph or a body reads. */
static void add_inputs(const Run *r, Compiled *c, const Graph *g)
{
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        for (int j = 0; n->repeat && j < n->repeat->n; j++)
            add_inputs(r, c, n->repeat->at[j].body);
        bool new = n->op == OP_input && column_of(r, n->name);
        for (int j = 0; new && j < c->nin; j++)
            new = c->in[j].name != n->name;
        if (!new)
            continue;
        int64_t count = type_count(&n->type, r->b.T);
        void *at = malloc((size_t)count * 8 + 1);
        for (int64_t j = 0; j < count; j++)
            type_store(n->type.dtype, at, j, column_of(r, n->name)[j]);
        c->in[c->nin++] = (Column){n->name, n->type.dtype, at};
    }
}

static void run_compiled(Run *r, Compiled *c)
{
    const Graph *g = r->step.graph;
    Err err = {""};
    if (!c->nin)
        add_inputs(r, c, g);
    c->n = 0;
    for (int i = 0; i < g->output.n; i++) {
        const Type *t = &g->output.at[i].node->type;
        int64_t bytes = type_bytes(t->dtype, type_count(t, r->b.T));
        void *at = arena_alloc(&r->k.arena, (size_t)bytes + 1);
        memset(at, 0xff, (size_t)bytes); /* NaN */
        c->out[c->n++] = (Column){g->output.at[i].name, t->dtype, at};
    }
    if (!program_run(c->p, NULL, r->b.T, r->b.pos.at, c->in, c->nin, c->out,
                     c->n, &err))
        fail_msg("%s", err.text);
}

static void close_compiled(Compiled *c)
{
    for (int i = 0; i < c->nin; i++)
        free(c->in[i].data);
    program_free(c->p);
}

/* ---- held against each other ---- */

static double norm(const Tensor *t)
{
    double sum = 0;
    for (int64_t i = 0; i < t->count; i++)
        sum += t->at[i] * t->at[i];
    return sqrt(sum);
}

static void near(const Case *c, const Column *is, const Tensor *want)
{
    double off = 0, of = norm(want), sum = 0;
    for (int64_t i = 0; i < want->count; i++) {
        double v = type_load(is->dtype, is->data, i);
        sum += v * v;
        if (!(fabs(v - want->at[i]) <= 2e-5 * (of > 1e-6 ? of : 1e-6)))
            fail_msg("%s, %s, element %d: %.9g, should be %.9g, of norm %.3g",
                     c->folder, is->name, (int)i, v, want->at[i], of);
        off = fmax(off, fabs(v - want->at[i]));
    }
    if (!(fabs(sqrt(sum) - of) <= 1e-4 * of + 1e-9))
        fail_msg("%s, %s: norm %.9g, should be %.9g", c->folder, is->name,
                 sqrt(sum), of);
}

static void same_bits(const Run *r, const Compiled *a, const Compiled *b)
{
    for (int i = 0; i < a->n; i++) {
        const Type *t = &r->step.graph->output.at[i].node->type;
        assert_memory_equal(a->out[i].data, b->out[i].data,
                            (size_t)type_bytes(t->dtype,
                                               type_count(t, r->b.T)));
    }
}

static void step(void **state)
{
    const Case *c = *state;
    Run r = {.golden = NULL};
    if (!shared("train/README.md"))
        skip();
    open_case(&r, c);
    Tensor **out = arena_alloc(&r.k.arena, (size_t)r.step.graph->output.n *
                                               sizeof *out);
    const InterpEnv env = {.T = r.b.T, .pos = r.b.pos.at, .exact = true,
                           .training = true, .user = &r, .input = give_input,
                           .weight = give_weight};
    Err err = {""};
    if (!interp_run(r.step.graph, &env, &r.k.arena, out, &err))
        fail_msg("%s", err.text);
    Compiled *one = compiled(&r, 1), *two = compiled(&r, 2);
    run_compiled(&r, one);
    for (int i = 0; i < one->n; i++)
        near(c, &one->out[i], out[i]);
    Compiled first = *one;
    run_compiled(&r, one);
    same_bits(&r, one, &first);
    run_compiled(&r, two);
    same_bits(&r, one, two);
    close_compiled(one);
    close_compiled(two);
    cJSON_Delete(r.golden);
    kit_close(&r.k);
}

/* Those behind the first take minutes together: with GRAFT_ALL=1. */
static Case cases[] = {
    {"packed", NULL, NULL, NULL},
    {"accumulate", NULL, NULL, NULL},
    {"xft_adamw", NULL, NULL, NULL},
    {"xft_merge", "xft_merge", "rate=0.75", NULL},
    {"xft_cv2", NULL, NULL, NULL},
    {"expert_choice", NULL, NULL, NULL},
    {"pesc", NULL, NULL, NULL},
    {"xft_router", NULL, NULL, NULL},
    {"switch_aux", NULL, NULL, NULL},
    {"lora", "lora_kv", "", "train/lora/train.graft"},
    {"olmoe", NULL, NULL, NULL},
    {"qwen2_moe", NULL, NULL, NULL},
    {"deepseek", NULL, NULL, NULL},
};

int main(int argc, char **argv)
{
    enum { MANY = 7 };
    struct CMUnitTest tests[COUNT(cases)];
    bool all = getenv("GRAFT_ALL") || argc > 1;
    int n = 0;
    for (size_t i = 0; i < COUNT(cases) && (all || i < MANY); i++)
        if (argc < 2 || !strcmp(argv[1], cases[i].folder))
            tests[n++] = (struct CMUnitTest){cases[i].folder, step, NULL, NULL,
                                             &cases[i]};
    return _cmocka_run_group_tests("steps", tests, (size_t)n, NULL, NULL);
}
