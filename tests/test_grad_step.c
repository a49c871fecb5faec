/* A step of a small model against central differences, element by element of
 * all that is trained: dense and routed layers in turn, values beside x, tied
 * weights, draws. */
#define _GNU_SOURCE
#include "compiler/grad/grad.h"
#include "tests/graph_kit.h"

enum { MOST = 16, TOKENS = 6 };

typedef struct {
    Arena arena;
    Diags diags;
    Graph *forward;
    int n;
    const Weight *weight[MOST];
    double *at[MOST];
    double memory; /* of its steps */
    Err err;
} Model;

static Graph *graph_of(Model *m, const char *text)
{
    Source *src = arena_alloc(&m->arena, sizeof *src);
    *src = (Source){"text", text, (int)strlen(text), &m->diags};
    Graph *g = ir_read(&m->arena, src);
    assert_non_null(g);
    return g;
}

static void add_weight(Model *m, const Weight *w)
{
    static uint64_t drawn;
    for (int i = 0; i < m->n; i++)
        if (m->weight[i] == w)
            return;
    int64_t n = type_count(&w->type, 0);
    m->weight[m->n] = w;
    m->at[m->n] = arena_alloc(&m->arena, (size_t)n * sizeof(double));
    for (int64_t i = 0; i < n; i++)
        m->at[m->n][i] = 2 * random_uniform(5, drawn++) - 1;
    m->n++;
}

static void add_weights(Model *m, const Graph *g, const Iteration *pass)
{
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        if (n->op == OP_weight)
            add_weight(m, node_weight(n, pass));
        for (int j = 0; n->repeat && j < n->repeat->n; j++)
            add_weights(m, n->repeat->at[j].body, &n->repeat->at[j]);
    }
}

static Model *model_open(const char *text)
{
    Model *m = calloc(1, sizeof *m);
    m->forward = graph_of(m, text);
    add_weights(m, m->forward, NULL);
    return m;
}

static void model_close(Model *m)
{
    diags_free(&m->diags);
    arena_free(&m->arena);
    free(m);
}

/* ---- a run ---- */

static const double token[TOKENS] = {0, 3, 1, 4, 1, 2},
                    label[TOKENS] = {3, 1, 0, 1, 2, 0},
                    share[TOKENS] = {0.25, 0.25, 0, 0.25, 0.25, 0};
static const double part = 0.375;

static bool give_input(void *user, const char *name, const Type *t,
                       double *out)
{
    const double *from = !strcmp(name, "token")   ? token
                         : !strcmp(name, "label") ? label
                         : !strcmp(name, "share") ? share
                         : !strcmp(name, "part")  ? &part : NULL;
    (void)user;
    if (from)
        memcpy(out, from, (size_t)type_count(t, TOKENS) * sizeof *out);
    return from;
}

static bool give_weight(void *user, const Weight *w, double *out)
{
    const Model *m = user;
    for (int i = 0; i < m->n; i++)
        if (m->weight[i] == w)
            memcpy(out, m->at[i],
                   (size_t)type_count(&w->type, 0) * sizeof *out);
    return true;
}

static Tensor **run(Model *m, const Graph *g, Arena *arena)
{
    static const int32_t pos[TOKENS] = {0, 1, 2, 0, 1, 2};
    const InterpEnv env = {.T = TOKENS, .pos = pos, .exact = true, .user = m,
                           .input = give_input, .weight = give_weight,
                           .seed = 11};
    Tensor **out = arena_alloc(arena, (size_t)g->output.n * sizeof *out);
    if (!interp_run(g, &env, arena, out, &m->err))
        fail_msg("%s", m->err.text);
    return out;
}

static int place_of(const Graph *g, const char *name)
{
    for (int i = 0; i < g->output.n; i++)
        if (!strcmp(g->output.at[i].name, name))
            return i;
    fail_msg("no output %s", name);
    return 0;
}

/* loss + part * balance, of the forward graph alone. */
static double total(Model *m)
{
    Arena arena = {0};
    Tensor **out = run(m, m->forward, &arena);
    const Tensor *y = out[place_of(m->forward, "y")];
    int64_t V = y->shape[1];
    double sum = 0;
    for (int t = 0; t < TOKENS; t++) {
        double all = 0;
        for (int64_t v = 0; v < V; v++)
            all += exp(y->at[t * V + v]);
        sum += share[t] * (log(all) - y->at[t * V + (int64_t)label[t]]);
    }
    for (int i = 0; i < m->forward->output.n; i++)
        if (!strncmp(m->forward->output.at[i].name, "loss.", 5))
            sum += part * out[i]->at[0];
    arena_free(&arena);
    return sum;
}

static void check_weight(Model *m, int w, const double *got)
{
    const double h = 1e-5;
    for (int64_t i = 0; i < type_count(&m->weight[w]->type, 0); i++) {
        double was = m->at[w][i];
        m->at[w][i] = was + h;
        double up = total(m);
        m->at[w][i] = was - h;
        double want = (up - total(m)) / (2 * h);
        m->at[w][i] = was;
        if (!(fabs(got[i] - want) <= 1e-8 * (1 + fabs(want))))
            fail_msg("%s, element %d: %.12g, by differences %.12g",
                     m->weight[w]->path, (int)i, got[i], want);
    }
}

/* How many passes the repeat that goes back has; 0: there is none. */
static int passes_back(const Graph *g)
{
    for (int i = 0; i < g->node.n; i++)
        if (g->node.at[i]->repeat &&
            strstr(g->node.at[i]->repeat->at[0].body->name, "_back"))
            return g->node.at[i]->repeat->n;
    return 0;
}

static GradStep step_of(Model *m, const char *only)
{
    GradStep s;
    GradOptions o = {.memory = m->memory, .tokens = TOKENS, .balance = 0.1};
    const Weight **list = arena_alloc(&m->arena, MOST * sizeof *list);
    for (int i = 0; i < m->n; i++)
        if (strstr(only, m->weight[i]->path))
            list[o.n++] = m->weight[i];
    o.weight = list;
    if (!grad_step(&m->arena, m->forward, &o, &s, &m->err))
        fail_msg("%s", m->err.text);
    return s;
}

static double memory_of; /* of the steps that are checked */

static void check(const char *text, const char *only, int passes)
{
    Model *m = model_open(text);
    m->memory = memory_of;
    GradStep s = step_of(m, only);
    Arena arena = {0};
    Tensor **out = run(m, s.graph, &arena);
    double sum = out[place_of(s.graph, "loss")]->at[0];
    for (int i = 0; i < s.graph->output.n; i++)
        if (!strncmp(s.graph->output.at[i].name, "loss.", 5))
            sum += part * out[i]->at[0];
    assert_true(fabs(sum - total(m)) < 1e-12);
    assert_int_equal(passes_back(s.graph), passes);
    for (int i = 0; i < s.n; i++) {
        int w = 0, place = s.of[i].place < 0 ? 0 : s.of[i].place;
        while (m->weight[w] != s.of[i].weight)
            w++;
        if (!s.of[i].output)
            fail_msg("no gradient of %s", s.of[i].weight->path);
        const Tensor *t = out[place_of(s.graph, s.of[i].output)];
        check_weight(m, w, t->at + place * type_count(&m->weight[w]->type, 0));
    }
    arena_free(&arena);
    model_close(m);
}

static char *text_of(void)
{
    size_t len;
    Err err;
    char *text = read_file(TESTS_GRAD "/model.ir", &len, &err);
    assert_non_null(text);
    return text;
}

#define ALL "embed c layer[0].up layer[0].down layer[1].router layer[1].up " \
            "layer[1].down layer[2].down layer[3].router layer[3].up " \
            "layer[3].down"

static void whole_models(void **state)
{
    (void)state;
    char *text = text_of();
    check(text, ALL, 4);
    memory_of = 1e9;
    check(text, ALL, 4);
    memory_of = 0;
    free(text);
}

/* Nodes of graph and bodies that do something. */
static int work_in(const Graph *g)
{
    int n = 0;
    for (int i = 0; i < g->node.n; i++) {
        const Repeat *r = g->node.at[i]->repeat;
        n += node_args(g->node.at[i]) > 0;
        for (int j = 0; r && j < r->n; j++)
            n += work_in(r->at[j].body);
    }
    return n;
}

/* Kept or made again: the same bits; with more room less is made again. */
static void kept_or_made_again(void **state)
{
    (void)state;
    static const double memory[] = {0, 1500, 2500, 1e9};
    char *text = text_of();
    Model *m = model_open(text);
    Arena arena = {0};
    Tensor **first = NULL;
    int work = INT32_MAX, all;
    for (size_t i = 0; i < COUNT(memory); i++) {
        m->memory = memory[i];
        GradStep s = step_of(m, ALL);
        Tensor **out = run(m, s.graph, &arena);
        all = s.graph->output.n;
        for (int j = 0; first && j < all; j++)
            assert_memory_equal(out[j]->at, first[j]->at,
                                (size_t)out[j]->count * sizeof(double));
        first = first ? first : out;
        int now = work_in(s.graph);
        if (!(now < work))
            fail_msg("with %g bytes: %d nodes, %d with less", memory[i], now,
                     work);
        work = now;
    }
    arena_free(&arena);
    model_close(m);
    free(text);
}

/* Below the lowest trained part nothing goes back. */
static void parts_of_models(void **state)
{
    (void)state;
    static const struct {
        const char *only;
        int passes;
    } row[] = {
        {"embed", 4}, {"c", 4}, {"layer[3].down", 1}, {"layer[3].router", 1},
        {"layer[2].down", 2}, {"layer[1].up layer[3].up", 3},
        {"layer[0].up", 4}, {"layer[1].router", 3},
        {"layer[2].down layer[3].router", 2}, {"c layer[3].up", 4},
    };
    char *text = text_of();
    for (size_t i = 0; i < COUNT(row); i++)
        check(text, row[i].only, row[i].passes);
    free(text);
}

static char *changed(const char *text, const char *from, const char *to)
{
    char *at = strstr(text, from), *out;
    assert_non_null(at);
    assert_true(asprintf(&out, "%.*s%s%s", (int)(at - text), text, to,
                         at + strlen(from)) > 0);
    return out;
}

/* Logits that are no product of a weight: capped, scaled, summed. */
static void other_heads(void **state)
{
    (void)state;
    char *text = text_of();
    static const char *const head[] = {
        "lo: f32[T, V] = contract(x, embed, [D])\n  y: f32[T, V] = tanh(lo)",
        "lo: f32[T, V] = contract(x, embed, [D])\n  bi: f32[V] = sum(embed, "
        "[D])\n  y: f32[T, V] = add(lo, bi)",
        "se: f32[V, D] = silu(embed)\n  y: f32[T, V] = contract(x, se, [D])",
    };
    for (size_t i = 0; i < COUNT(head); i++) {
        char *now = changed(text, "y: f32[T, V] = contract(x, embed, [D])",
                            head[i]);
        check(now, ALL, 4);
        free(now);
    }
    free(text);
}

/* What reads the logits of a step that trains nothing, or of what is none. */
static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *say;
    } row[] = {
        {"output y = y\n  output loss.balance = bs", "output y = embed",
         "logits [T, V]"},
        {"token: V[T] = input(\"token\")", "token: V[T] = input(\"label\")",
         "an input called label"},
    };
    char *text = text_of();
    for (size_t i = 0; i < COUNT(row); i++) {
        char *now = changed(text, row[i].from, row[i].to);
        Model *m = model_open(now);
        GradOptions o = {.n = m->n, .weight = m->weight};
        GradStep s;
        assert_false(grad_step(&m->arena, m->forward, &o, &s, &m->err));
        if (!strstr(m->err.text, row[i].say))
            fail_msg("said: %s", m->err.text);
        model_close(m);
        free(now);
    }
    free(text);
}

/* What nothing flows to has no output, and the loss is there all the same. */
static void nothing_flows(void **state)
{
    (void)state;
    char *text = text_of();
    char *now = changed(text, "c: f32[D] = exp(cw)", "cs: f32[D] = stop(cw)\n"
                        "  c: f32[D] = exp(cs)");
    Model *m = model_open(now);
    GradStep s = step_of(m, "c");
    assert_int_equal(s.n, 1);
    assert_null(s.of[0].output);
    assert_int_equal(passes_back(s.graph), 0);
    assert_int_equal(place_of(s.graph, "loss"), 0);
    model_close(m);
    free(now);
    free(text);
}

/* A step's text reads back, prints the same bytes and hashes the same. */
static void reads_back(void **state)
{
    (void)state;
    char *text = text_of(), *printed[2];
    size_t len;
    Model *m = model_open(text);
    Graph *g = step_of(m, ALL).graph;
    for (int i = 0; i < 2; i++) {
        FILE *f = open_memstream(&printed[i], &len);
        ir_print(g, f);
        fclose(f);
        Graph *again = graph_of(m, printed[i]);
        assert_true(graph_hash(g) == graph_hash(again));
        g = again;
    }
    assert_string_equal(printed[0], printed[1]);
    free(printed[0]);
    free(printed[1]);
    model_close(m);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_models),  cmocka_unit_test(parts_of_models),
        cmocka_unit_test(other_heads),   cmocka_unit_test(refused),
        cmocka_unit_test(nothing_flows), cmocka_unit_test(reads_back),
        cmocka_unit_test(kept_or_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
