/* Built layers: modules of the library in C programs of their own, compiled by
 * the system's compiler (a static library, a shared one, sanitised), fed by
 * files, run in steps on one and two threads; their results against the
 * interpreter's. */
#include "compiler/lang/lang.h"
#include "codegen/build/build.h"
#include "tests/folder_kit.h"
#include "tests/module_kit.h"

enum { TOKENS = 19 };

typedef struct {
    const char *module, *args, *call; /* the columns in the call */
    Dtype dtype;
    double bound;
} Case;

static const char *in_folder(const char *name)
{
    return intern_printf("%s/%s", folder, name);
}

/* ---- values, the same for the program and the interpreter ---- */

static double value(const char *name, int64_t i, double size, Dtype t)
{
    uint64_t key = random_key(7, name), cell = 0;
    type_store(t, &cell, 0, size * random_gaussian(key, (uint64_t)i));
    return type_load(t, &cell, 0);
}

/* So that sums stay near 1. */
static double weight_value(const Weight *w, int64_t i)
{
    double last = size_value(w->type.dim[w->type.rank - 1]->size, 1);
    return value(w->path, i, 1 / sqrt(last), w->type.dtype);
}

static double input_value(const char *name, const Type *t, int64_t i)
{
    return t->index_of ? (double)(i * 7 % size_at(t->index_of->size, 1))
                       : value(name, i, 1, t->dtype);
}

static bool interp_weight(void *user, const Weight *w, double *out)
{
    (void)user;
    for (int64_t i = 0; i < type_count(&w->type, 1); i++)
        out[i] = weight_value(w, i);
    return true;
}

static bool interp_input(void *user, const char *name, const Type *t,
                         double *out)
{
    (void)user;
    for (int64_t i = 0; i < type_count(t, TOKENS); i++)
        out[i] = input_value(name, t, i);
    return true;
}

static void put(FILE *f, Dtype t, double v)
{
    char cell[8] = {0};
    type_store(t, cell, 0, v);
    fwrite(cell, (size_t)type_bytes(t, 1), 1, f);
}

/* Each weight's tensors as files of their names. */
static void write_weights(const Model *m)
{
    const Weight *const *w;
    int n = model_weights(m, &w);
    for (int i = 0; i < n; i++) {
        int64_t index[MAX_RANK] = {0}, at = 0;
        int64_t each = type_count(&w[i]->type, 1);
        for (int j = 0; j < w[i]->stacked; j++)
            each /= size_at(w[i]->type.dim[j]->size, 1);
        do {
            FILE *f = fopen(in_folder(weight_tensor(w[i], index)), "wb");
            assert_non_null(f);
            for (int64_t j = 0; j < each; j++)
                put(f, w[i]->type.dtype, weight_value(w[i], at++));
            fclose(f);
        } while (weight_next(w[i], index));
    }
}

static void write_inputs(const Graph *g)
{
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        if (n->op != OP_input)
            continue;
        FILE *f = fopen(in_folder(intern_printf("in_%s", n->name)), "wb");
        assert_non_null(f);
        for (int64_t j = 0; j < type_count(&n->type, TOKENS); j++)
            put(f, n->type.dtype, input_value(n->name, &n->type, j));
        fclose(f);
    }
}

/* What built_does not know of the layer. */
static void write_case(const Case *c, const Graph *g)
{
    const Type *t = &g->output.at[0].node->type;
    const char *prepare = "", *release = "";
    for (int i = 0; i < g->node.n; i++) {
        const char *name = g->node.at[i]->name;
        if (g->node.at[i]->op != OP_input)
            continue;
        prepare = intern_printf("%s void *%s = rows(\"in_%s\", done, T);",
                                prepare, name, name);
        release = intern_printf("%s free(%s);", release, name);
    }
    FILE *f = fopen(in_folder("case.h"), "w");
    assert_non_null(f);
    fprintf(f, "#define TOKENS %d\n#define ROW %lld\n#define PREPARE %s\n"
               "#define RELEASE %s\n#define CALL layer_run(m, T, %s)\n",
            TOKENS, (long long)type_bytes(t->dtype, type_count(t, 1)), prepare,
            release, c->call);
    fclose(f);
}

/* ---- one case ---- */

static char *result(const Graph *g)
{
    const Type *t = &g->output.at[0].node->type;
    size_t len;
    Err err;
    char *out = read_file(in_folder("out"), &len, &err);
    assert_non_null(out);
    assert_int_equal(len, type_bytes(t->dtype, type_count(t, TOKENS)));
    return out;
}

static void near_interp(const Graph *g, const char *out, double bound)
{
    InterpEnv env = {.T = TOKENS, .input = interp_input,
                     .weight = interp_weight};
    Arena a = {0};
    Tensor *want[1];
    Err err = {""};
    if (!interp_run(g, &env, &a, want, &err))
        fail_msg("%s", err.text);
    double most = 0;
    for (int64_t i = 0; i < want[0]->count; i++) {
        double is = type_load(want[0]->type.dtype, out, i), to = want[0]->at[i];
        most = fmax(most, fabs(to));
        if (!(fabs(is - to) <= bound * (1 + fabs(to))))
            fail_msg("element %d: %g, should be %g", (int)i, is, to);
    }
    assert_true(most > 0.1); /* something was computed */
    arena_free(&a);
}

static bool has_cc(void)
{
    if (run("cc --version > /dev/null 2>&1"))
        return true;
    print_message("no C compiler: skipped\n");
    return false;
}

static void build(const Graph *g, LibraryKind kind)
{
    Err err = {""};
    CpuOptions o = {.threads = 1};
    BuildOptions b = {folder, "layer", TOKENS, 2 * TOKENS, kind};
    if (!cpu_build(g, &o, &b, &err))
        fail_msg("%s", err.text);
}

#define SANITISE "-fsanitize=address,undefined -fno-sanitize-recover=all "

/* Each way of linking it, its run, and the result beside the first. */
static void try_all(const Case *c, const Graph *g)
{
    static const struct {
        LibraryKind kind;
        const char *compile, *run;
    } way[] = {
        {LIBRARY_static, "liblayer.a -fopenmp -lm", "1 19"},
        {LIBRARY_shared, "-L. -llayer -Wl,-rpath,'$ORIGIN'",
         "2 5 1 13"},
        {LIBRARY_none, SANITISE "-fopenmp layer.c layer.o -lm", "2 1 17 1"},
        {LIBRARY_none, "layer.c layer.o -lm", "3 18 1"}};
    char *first = NULL;
    for (size_t i = 0; i < COUNT(way); i++) {
        const char *cc = "cc -O1 -std=c11 -Wall -Wextra -Werror -I. -o program "
                         PROGRAM;
        build(g, way[i].kind);
        write_case(c, g);
        if (!run(intern_printf("%s %s", cc, way[i].compile)))
            fail_msg("%s does not compile", way[i].compile);
        if (!run(intern_printf("./program %s", way[i].run)))
            fail_msg("%s, %s: fails", way[i].compile, way[i].run);
        char *out = result(g);
        if (!first)
            near_interp(g, first = out, c->bound);
        const Type *t = &g->output.at[0].node->type;
        if (memcmp(first, out, (size_t)type_bytes(t->dtype,
                                                  type_count(t, TOKENS))))
            fail_msg("%s: other bits", way[i].compile);
        if (out != first)
            free(out);
    }
    free(first);
}

static void try_case(const Case *c)
{
    Module m;
    module_open(&m, c->module, c->args, c->dtype);
    if (has_cc()) {
        write_weights(m.model);
        write_inputs(m.graph);
        try_all(c, m.graph);
    }
    module_close(&m);
}

#define HEADS "D=40 H=4 G=2 hd=16 theta=10000 scaling=none window=none"
static const Case cases[] = {
    {"swiglu", "D=40 F=75", "x, y", TYPE_f32, 2e-5},
    {"xft_moe", "D=40 F=37 E=7 K=5", "x, y", TYPE_bf16, 0.02},
    {"topk_moe", "D=48 F=37 E=8 K=2", "x, y", TYPE_f32, 2e-5},
    {"attention", HEADS, "NULL, x, y", TYPE_f32, 2e-5},
    {"block", HEADS " F=70 eps=1e-5", "NULL, x, y", TYPE_bf16, 0.02},
    {"deepseek_moe", "D=33 F=17 S=2 E=9 K=3 normed=true", "x, y", TYPE_bf16,
     0.02},
    {"mocle_ffn", "D=24 F=31 E=4 R=3 Z=6 C=5", "x, cluster, y", TYPE_f32,
     2e-3},
    {"embedding", "V=31 D=20", "token, y", TYPE_bf16, 0.02},
};

#define LAYER(i) \
    static void layer_##i(void **state) \
    { \
        (void)state; \
        print_message("%s\n", cases[i].module); \
        try_case(&cases[i]); \
    }
LAYER(0) LAYER(1) LAYER(2) LAYER(3) LAYER(4) LAYER(5) LAYER(6) LAYER(7)

#define CASE(i) cmocka_unit_test_setup_teardown(layer_##i, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(0), CASE(1), CASE(2), CASE(3), CASE(4), CASE(5), CASE(6), CASE(7),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
