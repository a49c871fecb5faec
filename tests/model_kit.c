/* What tests/model_kit.h promises. */
#define _GNU_SOURCE
#include "compiler/lang/lang.h"
#include "tests/model_kit.h"
#include <math.h>
#include <unistd.h>

static bool check_headers(Kit *k, Err *err)
{
    const Checkpoint *c = k->checkpoint;
    TensorInfo *info = xmalloc((size_t)(c->tensors + 1) * sizeof *info);
    for (int i = 0; i < c->tensors; i++)
        info[i] = c->tensor[i].info;
    bool fine = model_check_tensors(k->model, info, c->tensors, err);
    free(info);
    return fine;
}

bool kit_open(Kit *k, const char *path, Err *err)
{
    *k = (Kit){.diags.quiet = true};
    k->checkpoint = checkpoint_open(path, err);
    if (!k->checkpoint)
        return false;
    k->model = model_bind(&k->arena, &k->diags, k->checkpoint->config,
                          k->checkpoint->graft, TYPE_f32, err);
    if (!k->model && k->diags.said.n) /* the first mistake says more */
        err_set(err, "%s", k->diags.said.at[0].text);
    if (!k->model || !check_headers(k, err))
        return false;
    k->graph = model_graph(k->model, &k->arena);
    if (!k->graph)
        return err_set(err, "%s",
                       k->diags.said.n ? k->diags.said.at[0].text : "no graph");
    const Node *y = graph_find_output(k->graph, "y");
    k->vocabulary = (int)type_count(&y->type, 1);
    return true;
}

void kit_close(Kit *k)
{
    checkpoint_close(k->checkpoint);
    diags_free(&k->diags);
    arena_free(&k->arena);
}

void kit_shared(Kit *k, const char *name)
{
    const char *path = shared(name);
    Err err = {""};
    if (!path)
        skip();
    if (!kit_open(k, path, &err))
        fail_msg("%s: %s", name, err.text);
}

void kit_with(Kit *k, const char *weights, const char *config,
              const char *text)
{
    static int number;
    Err err = {""};
    const char *from = shared(weights);
    if (!from)
        skip();
    const char *path = temp("with%d", number++);
    char *real = realpath(from, NULL);
    make_dir(path);
    put_text(intern_printf("%s/config.json", path), config);
    if (text)
        put_text(intern_printf("%s/model.graft", path), text);
    assert_int_equal(symlink(real, intern_printf("%s/model.safetensors",
                                                 path)), 0);
    free(real);
    if (!kit_open(k, path, &err))
        fail_msg("%s: %s", weights, err.text);
}

/* "E=4 K=2" cut into names and values; how many. */
static int cut_args(Arena *a, const char *args, Arg *arg, int room)
{
    int n = 0;
    for (const char *at = args; *at && n < room; n++) {
        int name = (int)strcspn(at, "=");
        int value = (int)strcspn(at + name + 1, " ");
        arg[n] = (Arg){arena_printf(a, "%.*s", name, at),
                       arena_printf(a, "%.*s", value, at + name + 1)};
        at += name + 1 + value;
        at += strspn(at, " ");
    }
    return n;
}

void kit_transform(Kit *k, const char *name, const char *args)
{
    Arg arg[8];
    Err err = {""};
    int n = cut_args(&k->arena, args, arg, 8);
    Spec *spec = spec_new(&k->arena, &k->diags);
    spec_whole_library(spec);
    k->model = model_transform(spec, k->model, name, arg, n, NULL, 0, &err);
    if (!k->model)
        fail_msg("%s: %s", name, k->diags.said.n ? k->diags.said.at[0].text
                                                 : err.text);
    k->graph = model_graph(k->model, &k->arena);
    assert_non_null(k->graph);
}

/* ---- weights ---- */

static Node *rebuilt(Graph *to, const Node *n)
{
    Node copy = *n;
    for (int i = 0; i < node_args(n); i++)
        copy.arg[i] = rebuilt(to, n->arg[i]);
    return graph_add(to, copy);
}

/* What a transform makes, a learned coefficient's start among them. */
static bool made_weight(const Kit *k, const Weight *w, double *out)
{
    Arena arena = {0};
    Graph *g = graph_new(&arena, "value");
    Tensor *value;
    Err err;
    graph_output(g, "value", rebuilt(g, w->value));
    bool fine = kit_run_graph(k, g, "", true, NULL, 1, &arena, &value, &err);
    if (fine)
        memcpy(out, value[0].at, (size_t)value[0].count * sizeof *out);
    arena_free(&arena);
    return fine;
}

bool kit_weight(const Kit *k, const Weight *w, double *out)
{
    if (w->value)
        return made_weight(k, w, out);
    int64_t index[MAX_RANK] = {0}, each = type_count(&w->type, 0);
    for (int i = 0; i < w->stacked; i++)
        each /= size_at(w->type.dim[i]->size, 0);
    do {
        const char *name = weight_tensor(w, index);
        const FileTensor *t = checkpoint_find(k->checkpoint, name);
        if (!t)
            return false;
        tensor_read_all(t, TYPE_f64, out);
        out += each;
    } while (weight_next(w, index));
    return true;
}

/* ---- the interpreter ---- */

typedef struct {
    const Kit *kit;
    const char *name; /* of the input */
    const double *in;
    int n; /* tokens */
} Feed;

static bool feed_input(void *user, const char *name, const Type *t, double *out)
{
    const Feed *f = user;
    if (strcmp(name, f->name))
        return false;
    memcpy(out, f->in, (size_t)type_count(t, f->n) * sizeof *out);
    return true;
}

static bool feed_weight(void *user, const Weight *w, double *out)
{
    return kit_weight(((Feed *)user)->kit, w, out);
}

bool kit_run_graph(const Kit *k, const Graph *g, const char *name, bool exact,
                   const double *in, int n, Arena *arena, Tensor **out,
                   Err *err)
{
    Feed feed = {k, name, in, n};
    const InterpEnv env = {.T = n, .exact = exact, .user = &feed,
                           .input = feed_input, .weight = feed_weight};
    return interp_run(g, &env, arena, out, err);
}

static bool interpret(const Kit *k, bool exact, const int32_t *ids, int n,
                      double *logits, Err *err)
{
    Arena arena = {0};
    Tensor *out;
    double *in = arena_alloc(&arena, (size_t)n * sizeof *in);
    for (int i = 0; i < n; i++)
        in[i] = ids[i];
    bool fine = kit_run_graph(k, k->graph, "token", exact, in, n, &arena, &out,
                              err);
    if (fine)
        memcpy(logits, out[0].at,
               (size_t)n * (size_t)k->vocabulary * sizeof *logits);
    arena_free(&arena);
    return fine;
}

bool kit_interp(const Kit *k, const int32_t *ids, int n, double *logits,
                Err *err)
{
    return interpret(k, false, ids, n, logits, err);
}

bool kit_interp_exact(const Kit *k, const int32_t *ids, int n, double *logits,
                      Err *err)
{
    return interpret(k, true, ids, n, logits, err);
}

/* ---- golden files ---- */

cJSON *kit_json(const char *name)
{
    Err err;
    size_t len;
    const char *path = shared(name);
    if (!path)
        skip();
    char *text = read_file(path, &len, &err);
    if (!text)
        fail_msg("%s", err.text);
    cJSON *o = cJSON_Parse(text);
    free(text);
    assert_non_null(o);
    return o;
}

int kit_numbers(const cJSON *o, const char *field, double **out)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, field), *v;
    int n = cJSON_GetArraySize(list), i = 0;
    assert_true(cJSON_IsArray(list));
    *out = xmalloc((size_t)(n + 1) * sizeof **out);
    cJSON_ArrayForEach(v, list)
        (*out)[i++] = v->valuedouble;
    return n;
}

int kit_ids(const cJSON *o, const char *field, int32_t **out)
{
    double *number;
    int n = kit_numbers(o, field, &number);
    *out = xmalloc((size_t)(n + 1) * sizeof **out);
    for (int i = 0; i < n; i++)
        (*out)[i] = (int32_t)number[i];
    free(number);
    return n;
}

static double *logits_of(const Kit *k, KitRun *run, const int32_t *ids, int n)
{
    double *y = xmalloc((size_t)n * (size_t)k->vocabulary * sizeof *y);
    Err err = {""};
    if (!run(k, ids, n, y, &err))
        fail_msg("%s", err.text);
    return y;
}

static double nll(const double *row, int n, int32_t next)
{
    double most = row[0], sum = 0;
    for (int i = 1; i < n; i++)
        most = fmax(most, row[i]);
    for (int i = 0; i < n; i++)
        sum += exp(row[i] - most);
    return most + log(sum) - row[next];
}

void kit_nll(const Kit *k, KitRun *run, const cJSON *golden, const char *ids,
             const char *field, double within)
{
    int32_t *id;
    int n = kit_ids(golden, ids, &id);
    double *y = logits_of(k, run, id, n), sum = 0;
    for (int i = 0; i + 1 < n; i++)
        sum += nll(y + (int64_t)i * k->vocabulary, k->vocabulary, id[i + 1]);
    double want = cJSON_GetObjectItem(golden, field)->valuedouble;
    double got = sum / (n - 1);
    if (!(fabs(got - want) <= within))
        fail_msg("mean nll %.9f, golden %.9f: %.2g off", got, want,
                 fabs(got - want));
    free(y);
    free(id);
}

static void compare(const double *got, const double *want, int n, double within)
{
    for (int i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= within))
            fail_msg("logit %d is %.9f, golden %.9f: %.2g off", i, got[i],
                     want[i], fabs(got[i] - want[i]));
}

void kit_last(const Kit *k, KitRun *run, const cJSON *golden, const char *ids,
              const char *logits, double within)
{
    int32_t *id;
    double *want;
    int n = kit_ids(golden, ids, &id);
    assert_int_equal(kit_numbers(golden, logits, &want), k->vocabulary);
    double *y = logits_of(k, run, id, n);
    compare(y + (int64_t)(n - 1) * k->vocabulary, want, k->vocabulary, within);
    free(y);
    free(id);
    free(want);
}

void kit_all(const Kit *k, KitRun *run, const cJSON *golden, const char *ids,
             const char *logits, double within)
{
    int32_t *id;
    double *want;
    int n = kit_ids(golden, ids, &id);
    assert_int_equal(kit_numbers(golden, logits, &want), n * k->vocabulary);
    double *y = logits_of(k, run, id, n);
    compare(y, want, n * k->vocabulary, within);
    free(y);
    free(id);
    free(want);
}

void kit_sums(const Kit *k, KitRun *run, const cJSON *golden, const char *ids,
              const char *sums, double within)
{
    int32_t *id;
    double *want;
    int n = kit_ids(golden, ids, &id);
    assert_int_equal(kit_numbers(golden, sums, &want), n);
    double *y = logits_of(k, run, id, n);
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < k->vocabulary; j++)
            sum += y[(int64_t)i * k->vocabulary + j];
        compare(&sum, &want[i], 1, within);
    }
    free(y);
    free(id);
    free(want);
}

static int best(const double *row, int n)
{
    int at = 0;
    for (int i = 1; i < n; i++)
        if (row[i] > row[at])
            at = i;
    return at;
}

/* One run over all of them tells what each step would choose: a token sees
 * only those before it. */
void kit_greedy(const Kit *k, KitRun *run, const int32_t *prompt, int nprompt,
                const int32_t *ids, int n)
{
    int32_t *all = xmalloc((size_t)(nprompt + n) * sizeof *all);
    memcpy(all, prompt, (size_t)nprompt * sizeof *all);
    memcpy(all + nprompt, ids, (size_t)n * sizeof *all);
    double *y = logits_of(k, run, all, nprompt + n);
    for (int i = 0; i < n; i++) {
        const double *row = y + (int64_t)(nprompt + i - 1) * k->vocabulary;
        int got = best(row, k->vocabulary);
        if (got != ids[i])
            fail_msg("new id %d is %d, golden %d", i, got, ids[i]);
    }
    free(y);
    free(all);
}
