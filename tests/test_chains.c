/* Chains of the library's transforms: every pair that fits is applied in
 * memory, and also with a model written and read back after each; both must
 * compute the same. */
#include "compiler/interp/interp.h"
#include "compiler/lang/lang.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 16,"
    "\"intermediate_size\": 48, \"num_hidden_layers\": 2,"
    "\"num_attention_heads\": 2, \"vocab_size\": 12, \"note\": [1, \"kept\"]}";

enum { TOKENS = 5, VOCABULARY = 12 };

/* ---- values of weights ---- */

/* What a folder holds, by tensor. */
typedef struct {
    const char *name;
    double *at;
} Stored;

/* A model and where the weights come from that no formula makes: what was
 * written of `from`, or numbers that follow from their names. */
typedef struct Side {
    Arena *arena;
    Model *model;
    LIST(Stored) file;
    bool read; /* from a folder */
} Side;

static void drawn(const Weight *w, double *out)
{
    int64_t n = type_count(&w->type, 1);
    uint64_t key = random_key(1, w->path);
    bool counts = w->other && strncmp(w->path, w->other, strlen(w->other));
    for (int64_t i = 0; i < n; i++) {
        double x = random_gaussian(key, (uint64_t)i);
        out[i] = counts ? 1 + x * x : 0.3 * x;
    }
}

static double *stored(const Side *s, const char *name)
{
    for (int i = 0; i < s->file.n; i++)
        if (!strcmp(s->file.at[i].name, name))
            return s->file.at[i].at;
    return NULL;
}

static bool value(void *user, const Weight *w, double *out);

/* `now`: what was moved already, by id. */
static Node *moved(Graph *to, const Node *n, Node **now)
{
    Node copy = *n;
    if (now[n->id])
        return now[n->id];
    if (n->op == OP_learned && n->weight && n->weight->value)
        return now[n->id] = moved(to, n->weight->value, now);
    for (int i = 0; i < node_args(n); i++)
        copy.arg[i] = moved(to, n->arg[i], now);
    return now[n->id] = graph_add(to, copy);
}

static bool no_input(void *user, const char *name, const Type *t, double *out)
{
    (void)user, (void)name, (void)t, (void)out;
    return false;
}

static void made(Side *s, const Weight *w, double *out)
{
    Arena arena = {0};
    Graph *g = graph_new(&arena, "value");
    const InterpEnv env = {.T = 1, .exact = true, .user = s,
                           .input = no_input, .weight = value};
    Tensor *t;
    Err err;
    Node **now = arena_alloc(&arena,
                             (size_t)(w->value->id + 1) * sizeof *now);
    graph_output(g, "value", moved(g, w->value, now));
    if (!interp_run(g, &env, &arena, &t, &err))
        fail_msg("%s: %s", w->path, err.text);
    memcpy(out, t->at, (size_t)t->count * sizeof *out);
    arena_free(&arena);
}

static bool value(void *user, const Weight *w, double *out)
{
    Side *s = user;
    int64_t index[MAX_RANK] = {0}, each = type_count(&w->type, 1);
    if (w->value)
        return made(s, w, out), true;
    if (w->other || !s->read)
        return drawn(w, out), true;
    for (int i = 0; i < w->stacked; i++)
        each /= size_at(w->type.dim[i]->size, 1);
    do {
        const double *at = stored(s, weight_tensor(w, index));
        if (!at)
            fail_msg("no tensor %s", weight_tensor(w, index));
        memcpy(out, at, (size_t)each * sizeof *out);
        out += each;
    } while (weight_next(w, index));
    return true;
}

/* ---- writing and reading ---- */

static void store(Side *from, Side *to)
{
    const Weight *const *w;
    int n = model_weights(from->model, &w);
    for (int i = 0; i < n; i++) {
        int64_t index[MAX_RANK] = {0}, each = type_count(&w[i]->type, 1);
        double *all = arena_alloc(to->arena, (size_t)each * sizeof *all);
        value(from, w[i], all);
        for (int j = 0; j < w[i]->stacked; j++)
            each /= size_at(w[i]->type.dim[j]->size, 1);
        do {
            list_push(to->arena, &to->file,
                      ((Stored){weight_tensor(w[i], index), all}));
            all += each;
        } while (weight_next(w[i], index));
    }
}

/* `graft` at most once; what no one else reads says so. */
static void good_config(const cJSON *c, bool text)
{
    int grafts = 0;
    for (const cJSON *v = c->child; v; v = v->next)
        grafts += !strcmp(v->string, "graft");
    assert_true(grafts <= 1);
    const cJSON *arch = cJSON_GetObjectItem(c, "architectures")->child;
    bool ours = !strcmp(arch->valuestring, "GraftForCausalLM");
    assert_int_equal(ours, text);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(c, "note")), 2);
}

/* Configs of models that were read: they live as long as these. */
static cJSON *configs[4];
static int nconfigs;

static Side written_and_read(Side *from, Diags *diags, const char *what)
{
    Written w;
    Err err = {""};
    if (!model_write(from->model, &w, &err))
        fail_msg("%s: %s", what, err.text);
    good_config(w.config, w.text != NULL);
    Side to = {.arena = from->arena, .read = true};
    Model *m = model_bind(to.arena, diags, w.config, w.text, TYPE_f32, &err);
    if (!m)
        fail_msg("%s: %s", what, err.text);
    to.model = m;
    store(from, &to);
    free(w.text);
    assert_true((size_t)nconfigs < COUNT(configs));
    configs[nconfigs++] = w.config;
    return to;
}

/* ---- pairs ---- */

static const Ast *const *transforms;
static int ntransforms;
static Spec *library;
static Arena kept;
static Diags quiet = {.quiet = true};

static int library_transforms(void **state)
{
    const Ast *const *def;
    (void)state;
    library = spec_new(&kept, &quiet);
    spec_whole_library(library);
    int n = spec_definitions(library, &def);
    const Ast **some = arena_alloc(&kept, (size_t)(n + 1) * sizeof *some);
    for (int i = 0; i < n; i++)
        if (def[i]->kind == AST_transform)
            some[ntransforms++] = def[i];
    transforms = some;
    return 0;
}

/* NULL: it does not fit. */
static Model *applied(Model *m, const Ast *def)
{
    With with[8];
    int n = 0;
    Err err = {""};
    const Ast *params = def->kid[0];
    for (int i = 0; i < params->nkid; i++) {
        const Ast *p = params->kid[i];
        if (p->kind == AST_param_model)
            with[n++] = (With){p->text, m};
        if (p->kind == AST_param_model && p->nkid && p->kid[0])
            with[n++] = (With){p->text, m};
    }
    quiet.errors = quiet.said.n = 0;
    return model_transform(library, m, def->text, NULL, 0, with, n, &err);
}

static bool token(void *user, const char *name, const Type *t, double *out)
{
    static const double ids[TOKENS] = {3, 1, 11, 0, 7};
    (void)user, (void)name, (void)t;
    memcpy(out, ids, sizeof ids);
    return true;
}

static void logits(Side *s, double *out)
{
    Arena arena = {0};
    Graph *g = model_graph(s->model, &arena);
    Tensor *t;
    Err err;
    InterpEnv env = {.T = TOKENS, .exact = true, .user = s, .input = token,
                     .weight = value};
    assert_non_null(g);
    if (!interp_run(g, &env, &arena, &t, &err))
        fail_msg("%s", err.text);
    memcpy(out, t->at, TOKENS * VOCABULARY * sizeof *out);
    arena_free(&arena);
}

static void same_logits(Side *a, Side *b, const char *what)
{
    double x[TOKENS * VOCABULARY], y[TOKENS * VOCABULARY];
    logits(a, x);
    logits(b, y);
    for (int i = 0; i < TOKENS * VOCABULARY; i++)
        if (!(fabs(x[i] - y[i]) <= 1e-9 * (1 + fabs(x[i]))))
            fail_msg("%s: logit %d is %.12g in memory, %.12g read back", what,
                     i, x[i], y[i]);
}

/* In memory, and through a folder after each (second: or NULL). False: they
 * do not fit. */
static bool pair(const Ast *first, const Ast *second)
{
    Arena arena = {0};
    Diags diags = {.quiet = true};
    Err err;
    cJSON *c = cJSON_Parse(config);
    Model *base = model_bind(&arena, &diags, c, NULL, TYPE_f32, &err);
    assert_non_null(base);
    Side memory = {.arena = &arena, .model = applied(base, first)};
    bool fits = memory.model != NULL;
    if (fits) {
        const char *what = arena_printf(&arena, "%s", first->text);
        Side disk = written_and_read(&memory, &diags, what);
        if (!second)
            same_logits(&memory, &disk, what);
        Model *next = second ? applied(memory.model, second) : NULL;
        fits = !second || next;
        if (next) {
            what = arena_printf(&arena, "%s, %s", first->text, second->text);
            memory.model = next;
            disk.model = applied(disk.model, second);
            if (!disk.model)
                fail_msg("%s: not after reading", what);
            Side again = written_and_read(&disk, &diags, what);
            same_logits(&memory, &again, what);
        }
    }
    while (nconfigs)
        cJSON_Delete(configs[--nconfigs]);
    cJSON_Delete(c);
    diags_free(&diags);
    arena_free(&arena);
    return fits;
}

static void each_one(void **state)
{
    int fit = 0;
    (void)state;
    for (int i = 0; i < ntransforms; i++)
        fit += pair(transforms[i], NULL);
    assert_true(fit >= 20);
}

/* Merges of whole models are much alike: a few of them stand for all. Of the
 * pairs that are left GRAFT_ALL=1 tries all, else every fifth is. */
static bool taken(const Ast *def)
{
    static const char *const some[] = {"copy", "soup", "slerp"};
    bool in_place = true;
    for (int i = 0; i < def->nkid; i++)
        in_place &= def->kid[i]->kind != AST_match;
    for (size_t i = 0; i < COUNT(some); i++)
        in_place &= strcmp(some[i], def->text) != 0;
    return !in_place || getenv("GRAFT_ALL");
}

static void each_pair(void **state)
{
    int fit = 0;
    (void)state;
    for (int i = 0; i < ntransforms; i++)
        for (int j = 0; taken(transforms[i]) && j < ntransforms; j++)
            fit += taken(transforms[j]) &&
                   (getenv("GRAFT_ALL") || (7 * i + j) % 5 == 0) &&
                   pair(transforms[i], transforms[j]);
    print_message("# %d pairs of %d transforms fit\n", fit, ntransforms);
    assert_true(fit >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_one),
                                       cmocka_unit_test(each_pair)};
    return cmocka_run_group_tests_name("chains", tests, library_transforms,
                                       NULL);
}
