/* Golden training runs by steps that are one graph, updates in it: forward,
 * backward, new weights and states, as text that reads back. */
#define _GNU_SOURCE
#include "passes/passes.h"
#include "tests/golden_kit.h"

/* A run, and where it stands. */
typedef struct {
    Run r;
    double lr;
    int t; /* from 1 */
} Whole;

static void make_whole(Run *r)
{
    Arena *a = &r->k.arena;
    int n = r->trained.n;
    const Weight **w = arena_alloc(a, (size_t)n * sizeof *w);
    UpdateOptions *u = arena_alloc(a, (size_t)n * sizeof *u);
    Parameter *p = arena_alloc(a, (size_t)n * sizeof *p);
    for (int i = 0; i < n; i++) {
        w[i] = r->trained.at[i].weight;
        u[i] = r->trained.at[i].o;
        p[i] = r->trained.at[i].parameter;
    }
    GradOptions o = {.n = n, .weight = w, .update = u, .parameter = p};
    if (!grad_step(a, r->forward, &o, &r->step, &r->err))
        fail_msg("%s", r->err.text);
    r->out = arena_alloc(a, (size_t)r->step.graph->output.n * sizeof *r->out);
}

static Held *held(Run *r, const Weight *w)
{
    for (int i = 0; i < r->trained.n; i++)
        if (r->trained.at[i].weight == w)
            return &r->trained.at[i];
    fail_msg("%s is not trained", w->path);
    return NULL;
}

static bool whole_weight(void *user, const Weight *w, double *out)
{
    Run *r = &((Whole *)user)->r;
    for (int i = 0; i < r->step.nfresh; i++) {
        const GradNew *f = &r->step.fresh[i];
        int64_t n = count_of(f->leaf);
        if (f->state && f->leaf == w) {
            memcpy(out, state_of(held(r, f->weight), f->state, n),
                   (size_t)n * sizeof *out);
            return true;
        }
    }
    return give_weight(r, w, out);
}

static bool whole_input(void *user, const char *name, const Type *t,
                        double *out)
{
    Whole *w = user;
    if (give_input(&w->r, name, t, out))
        return true;
    *out = !strcmp(name, "lr") ? w->lr : !strcmp(name, "clip") ? 1
           : update_scalar(&w->r.trained.at[0].o, name, w->t);
    return true;
}

/* The new values in the place of the old. */
static void take_new(Run *r)
{
    const Graph *g = r->step.graph;
    for (int i = 0; i < r->step.nfresh; i++) {
        const GradNew *f = &r->step.fresh[i];
        Held *h = held(r, f->weight);
        int64_t n = count_of(f->leaf);
        double *to = f->state ? state_of(h, f->state, n) : h->at;
        int j = 0;
        while (j < g->output.n && strcmp(g->output.at[j].name, f->output))
            j++;
        assert_true(j < g->output.n);
        assert_int_equal(r->out[j]->count,
                         f->place < 0 ? n : n * r->out[j]->shape[0]);
        memcpy(to, r->out[j]->at + (f->place < 0 ? 0 : f->place) * n,
               (size_t)n * sizeof *to);
    }
}

static void step(Whole *w, const Case *c, int s, const cJSON *want)
{
    Run *r = &w->r;
    Arena arena = {0};
    int batch = (int)number(item(r->golden, "settings"), "batch");
    read_batch(&r->b, shared(intern_printf("train/%s/data.jsonl", c->folder)),
               s * batch, batch);
    w->lr = number(want, "lr");
    w->t = s + 1;
    const InterpEnv env = {.T = r->b.T, .pos = r->b.pos.at, .exact = true,
                           .training = true, .user = w, .input = whole_input,
                           .weight = whole_weight};
    if (!interp_run(r->step.graph, &env, &arena, r->out, &r->err))
        fail_msg("%s", r->err.text);
    check_losses(r, want);
    take_new(r);
    arena_free(&arena);
}

/* Its text reads back and prints the same; so does it after the passes. */
static void reads_back(Run *r, const Graph *g)
{
    char *text[2];
    size_t len;
    for (int i = 0; i < 2; i++) {
        FILE *f = open_memstream(&text[i], &len);
        ir_print(g, f);
        fclose(f);
        Source *src = arena_alloc(&r->k.arena, sizeof *src);
        *src = (Source){"text", text[i], (int)len, &r->k.diags};
        g = ir_read(&r->k.arena, src);
        assert_non_null(g);
    }
    assert_string_equal(text[0], text[1]);
    free(text[0]);
    free(text[1]);
}

static void whole(void **state)
{
    const Case *c = *state;
    if (!shared("train/README.md"))
        skip();
    Whole *w = calloc(1, sizeof *w);
    Run *r = &w->r;
    within = 1e-9;
    r->b.arena = &r->k.arena;
    open_case(r, c);
    make_whole(r);
    reads_back(r, r->step.graph);
    int steps = cJSON_GetArraySize(item(r->golden, "history"));
    for (int s = 0; s < steps; s++) {
        const PassOptions o = {.training = true};
        step(w, c, s, cJSON_GetArrayItem(item(r->golden, "history"), s));
        if (!s)
            r->step.graph = passes_run(r->step.graph, &r->k.arena, &o);
    }
    for (int i = 0; i < r->trained.n; i++)
        check_weight(item(r->golden, "final_weights"), r->trained.at[i].weight,
                     r->trained.at[i].at);
    for (int i = 0; i < r->trained.n; i++)
        for (int j = 0; j < 3; j++)
            free(r->trained.at[i].state[j]);
    cJSON_Delete(r->golden);
    kit_close(&r->k);
    free(w);
}

/* Those that do not clip by the norm. */
static Case cases[] = {
    {.folder = "sgd_cosine"}, {.folder = "adamw_groups"},
    {.folder = "adafactor_dense"}, {.folder = "xft_adafactor"},
    {.folder = "xft_router"},
    {"xft_merge", "xft_merge", "rate=0.75", NULL},
    {"xft_merge_adafactor", "xft_merge", "rate=0.75", NULL},
    {"lora", "lora_kv", "", "train/lora/train.graft"},
};

int main(void)
{
    struct CMUnitTest tests[COUNT(cases)];
    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i] = (struct CMUnitTest){cases[i].folder, whole, NULL, NULL,
                                       &cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
