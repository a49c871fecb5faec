/* A small dense model and its transforms, for the tests of methods. */
#include "compiler/lang/lang.h"
#include "tests/methods_kit.h"

static const char config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 4,"
    " \"intermediate_size\": 8, \"num_hidden_layers\": 2,"
    " \"num_attention_heads\": 2, \"vocab_size\": 11,"
    " \"rms_norm_eps\": 1e-5}";

Lab *lab_new(const char *more)
{
    Lab *l = xmalloc(sizeof *l);
    Err err = {""};
    memset(l, 0, sizeof *l);
    l->T = 7;
    l->exact = true;
    l->spec = spec_new(&l->arena, &l->diags);
    spec_whole_library(l->spec);
    if (more)
        assert_true(spec_text(l->spec, "test", more));
    l->config = cJSON_Parse(config);
    l->dense = model_bind(&l->arena, &l->diags, l->config, NULL, TYPE_f32,
                          &err);
    if (!l->dense)
        fail_msg("%s", err.text);
    return l;
}

void lab_free(Lab *l)
{
    cJSON_Delete(l->config);
    arena_free(&l->arena);
    diags_free(&l->diags);
    free(l);
}

static int args_of(Lab *l, const char *text, Arg *arg)
{
    int n = 0;
    while (text && *text) {
        size_t name = strcspn(text, "="), all = strcspn(text, " ");
        arg[n].name = intern_n(text, name);
        arg[n++].value = arena_strn(&l->arena, text + name + 1,
                                    all - name - 1);
        text += all + (text[all] == ' ');
    }
    return n;
}

Model *lab_apply(Lab *l, Model *m, const char *name, const char *args,
                 int nother)
{
    Arg arg[16];
    With with[8];
    Err err = {""};
    int n = args_of(l, args, arg);
    for (int i = 0; i < nother; i++)
        with[i] = (With){intern("other"), m};
    Model *to = model_transform(l->spec, m, name, arg, n, with, nother, &err);
    if (!to)
        fail_msg("%s", err.text);
    return to;
}

static void forget(Inst *inst, void *user)
{
    Model *m = user;
    for (int i = 0; i < inst->slot.n; i++) {
        Weight *w = arena_alloc(m->arena, sizeof *w);
        *w = *inst->slot.at[i].w;
        w->value = NULL;
        inst->slot.at[i].w = w;
    }
}

void lab_trained(Model *m)
{
    inst_walk(m->root, forget, m);
}

/* ---- running ---- */

void lab_draw(Lab *l, const char *path, int64_t n, double *out)
{
    uint64_t key = random_key(l->seed, path);
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)random_gaussian(key, (uint64_t)i);
}

static Tensor *run(Lab *l, const Graph *g, Node *n);

static bool weight(void *user, const Weight *w, double *out)
{
    Lab *l = user;
    int64_t n = type_count(&w->type, l->T);
    if (l->weight && l->weight(l, w, out))
        return true;
    if (w->value) { /* learned, as it starts */
        Tensor *t = run(l, l->now->weights, w->value);
        memcpy(out, t->at, (size_t)n * sizeof *out);
        return true;
    }
    lab_draw(l, w->path, n, out);
    return true;
}

static bool input(void *user, const char *name, const Type *t, double *out)
{
    Lab *l = user;
    int64_t n = type_count(t, l->T);
    lab_draw(l, name, n, out);
    for (int64_t i = 0; t->index_of && i < n; i++)
        out[i] = (double)(i * 5 % size_at(t->index_of->size, l->T));
    return true;
}

static Tensor *run(Lab *l, const Graph *g, Node *n)
{
    Graph one = *g;
    Tensor *out[1];
    Err err = {""};
    InterpEnv env = {.T = l->T, .exact = l->exact, .training = l->training,
                     .seed = 1, .user = l, .input = input, .weight = weight};
    one.output.at = NULL, one.output.n = one.output.room = 0;
    graph_output(&one, "value", n);
    if (!interp_run(&one, &env, &l->arena, out, &err))
        fail_msg("%s", err.text);
    return out[0];
}

Tensor *lab_value(Lab *l, Model *m, const char *path)
{
    const Weight *const *w;
    int n = model_weights(m, &w);
    l->now = m;
    for (int i = 0; i < n; i++) {
        if (strcmp(w[i]->path, path))
            continue;
        Node leaf = {.op = OP_weight, .type = w[i]->type, .weight = w[i]};
        return run(l, m->weights,
                   w[i]->value ? w[i]->value : graph_add(m->weights, leaf));
    }
    fail_msg("no weight %s", path);
    return NULL;
}

Tensor *lab_logits(Lab *l, Model *m)
{
    Graph *g = model_graph(m, &l->arena);
    l->now = m;
    return run(l, g, graph_find_output(g, "y"));
}

Tensor *lab_part(Lab *l, Model *m, const char *part, const char *label)
{
    Graph *g = graph_new(&l->arena, part);
    Inst *inst = inst_at(m->root, part);
    assert_non_null(inst);
    Node *y = forward_node(m, g, inst, NULL, true);
    Node *out = label ? graph_find_output(g, label) : y;
    l->now = m;
    for (int i = 0; label && !out && i < g->node.n; i++)
        if (g->node.at[i]->label && !strcmp(g->node.at[i]->label, label))
            out = g->node.at[i];
    if (!out)
        fail_msg("nothing is called %s in %s", label ? label : "y", part);
    return run(l, g, out);
}

/* ---- comparing ---- */

double lab_furthest(const Tensor *a, const Tensor *b)
{
    double most = 0, scale = 1e-300;
    assert_int_equal(a->count, b->count);
    for (int64_t i = 0; i < a->count; i++) {
        most = fmax(most, fabs(a->at[i] - b->at[i]));
        scale = fmax(scale, fabs(b->at[i]));
    }
    return most / scale;
}

bool lab_same(const Tensor *a, const Tensor *b)
{
    return a->count == b->count &&
           !memcmp(a->at, b->at, (size_t)a->count * sizeof *a->at);
}

double lab_sum(const Tensor *a)
{
    double sum = 0;
    for (int64_t i = 0; i < a->count; i++)
        sum += a->at[i];
    return sum;
}
