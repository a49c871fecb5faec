/* Built programs: the C and object files of a graph, compiled by the system's
 * compiler, called, and compared with the program inside the process. */
#include "codegen/build/build.h"
#include "codegen/emit/emit.h"
#include "tests/folder_kit.h"
#include "tests/layer_kit.h"
#include <dlfcn.h>

static bool has_cc(void)
{
    if (run("cc --version > /dev/null 2>&1"))
        return true;
    print_message("no C compiler: skipped\n");
    return false;
}

/* The built functions, by name; ISO C has no cast from object to function. */
typedef struct {
    void *lib;
    void *(*new)(int);
    void (*free)(void *);
    void (*set)(void *, int, const void *);
    int64_t (*run)(void *, int64_t, const int32_t *, const float *, float *);
    void (*restart)(void *, int64_t);
} Built;

static void find(void *lib, const char *name, void *to)
{
    void *at = dlsym(lib, name);
    assert_non_null(at);
    memcpy(to, &at, sizeof at);
}

static Built load_layer(void)
{
    Built b = {.lib = dlopen(intern_printf("%s/layer.so", folder), RTLD_NOW)};
    if (!b.lib)
        fail_msg("%s", dlerror());
    find(b.lib, "layer_new", &b.new);
    find(b.lib, "layer_free", &b.free);
    find(b.lib, "layer_set", &b.set);
    find(b.lib, "layer_run", &b.run);
    find(b.lib, "layer_restart", &b.restart);
    return b;
}

/* As the header says it. */
typedef struct {
    const char *tensor, *dtype;
    int64_t count;
    int element, rank;
    int64_t shape[8];
} BuiltWeight;

static void set_weights(const Kit *k, const Built *b, void *m)
{
    const BuiltWeight *w = dlsym(b->lib, "layer_weight");
    assert_non_null(w);
    for (int i = 0; w[i].tensor; i++) {
        Dtype t;
        assert_true(type_find(w[i].dtype, &t));
        const double *from = kit_data(k, w[i].tensor);
        int64_t index = 0;
        if (!from) { /* one of a stack: "gate.3" */
            const char *dot = strrchr(w[i].tensor, '.');
            size_t len = (size_t)(dot - w[i].tensor);
            from = kit_data(k, intern_n(w[i].tensor, len));
            index = atoi(dot + 1);
        }
        assert_non_null(from);
        char *raw = xmalloc((size_t)(w[i].count * w[i].element));
        for (int64_t j = 0; j < w[i].count; j++)
            type_store(t, raw, j, from[index * w[i].count + j]);
        b->set(m, i, raw);
        free(raw);
    }
}

/* Attention, then routed experts beside a shared one. */
static void model_graph_of(Ctx *c)
{
    static const Rope rope = {.theta = 10000, .rotary = 64};
    Graph *g = c->g;
    const Dim *E = dim("E", 5), *k = dim("k", 2), *F = dim("F", 37);
    Node *x = x_of(c, "x", DIMS(c->T, c->D));
    x = g_map2(g, OP_add, x,
               attention(c, norm(c, x, "n1"), 4, 2, 64, &rope, NULL));
    Node *h = norm(c, x, "n2");
    Node *s = g_contract(g, h, w_of(c, "router", 0, DIMS(E, c->D), 48), 1,
                         &c->D);
    s = g_along(g, OP_softmax, s, 1, &E);
    Node *i = graph_add(g, (Node){.op = OP_topk, .arg = {s}, .ndim = 2,
                                  .dim = {E, k}});
    Node *up = w_of(c, "up", 1, DIMS(E, F, c->D), 48);
    Node *down = w_of(c, "down", 1, DIMS(E, c->D, F), 37);
    Node *z = g_contract(g, h, g_gather(g, up, E, i), 1, &c->D);
    z = g_contract(g, g_map1(g, OP_silu, z), g_gather(g, down, E, i), 1, &F);
    Node *y = g_along(g, OP_sum, g_map2(g, OP_mul, g_gather(g, s, E, i), z), 1,
                      &k);
    graph_output(g, "y", g_map2(g, OP_add, x, y));
    ((Weight *)up->weight)->file = "up.{}";
    ((Weight *)down->weight)->file = "down.{}";
}

static void compare(const Ctx *c, const Built *b)
{
    enum { STEP = 9 };
    void *m = b->new(2);
    assert_non_null(m);
    set_weights(c->k, b, m);
    CpuOptions o = {.threads = 1, .cache = ""};
    Bench *in = bench_new(c->k, &o, false);
    State *s = state_new(in->p);
    static float x[48 * 32], y[48 * 32];
    int32_t pos[32];
    for (int i = 0; i < 48 * 32; i++)
        x[i] = (float)kit_data(c->k, "x")[i];
    for (int step = 0; step < 3; step++) {
        int n = step == 1 ? 1 : STEP;
        for (int i = 0; i < n; i++)
            pos[i] = (int32_t)state_length(s) + i;
        Column cx = {"x", TYPE_f32, x}, cy = {"y", TYPE_f32, y};
        Err err;
        assert_true(program_run(in->p, s, n, pos, &cx, 1, &cy, 1, &err));
        static float z[48 * 32];
        assert_int_equal(b->run(m, n, pos, x, z), state_length(s));
        assert_memory_equal(y, z, (size_t)n * 48 * sizeof *z);
    }
    assert_int_equal(b->run(m, 33, pos, x, y), -1); /* more than its tokens */
    b->restart(m, 0);
    assert_int_equal(b->run(m, 1, (int32_t[]){0}, x, y), 1);
    assert_int_equal(b->run(m, 1, (int32_t[]){5}, x, y), -1);
    state_free(s);
    bench_free(in);
    b->free(m);
}

static void layer_for(Dtype t)
{
    Ctx c = begin(48, t);
    model_graph_of(&c);
    Err err = {""};
    CpuOptions o = {.threads = 1};
    BuildOptions b = {folder, "layer", 32, 64, LIBRARY_none};
    if (!cpu_build(c.g, &o, &b, &err))
        fail_msg("%s", err.text);
    if (has_cc()) {
        assert_true(run("cc -O1 -Wall -Wextra -Werror -fopenmp -shared -fPIC "
                        "layer.c layer.o -lm -o layer.so"));
        Built built = load_layer();
        compare(&c, &built);
        dlclose(built.lib);
        assert_true(run("cc -Wall -Wextra -Werror example.c layer.c layer.o "
                        "-lm -o example && ./example > said && "
                        "grep -q '^1 token' said"));
    }
    kit_free(c.k);
}

static void built_layer(void **state)
{
    (void)state;
    layer_for(TYPE_f32);
}

static void built_layer_bf16(void **state)
{
    (void)state;
    layer_for(TYPE_bf16);
}

/* Code that may use AMX asks Linux first, and does not start where it says no.
 */
static void asks_for_amx(void **state)
{
    (void)state;
    Ctx c = begin(16, TYPE_f32);
    graph_output(c.g, "y", norm(&c, x_of(&c, "x", DIMS(c.T, c.D)), "n"));
    Target t = *target_host();
    t.amx = true;
    CpuOptions o = {.threads = 1, .target = &t};
    BuildOptions b = {folder, "layer", 32, 64, LIBRARY_none};
    Err err = {""};
    if (!cpu_build(c.g, &o, &b, &err))
        fail_msg("%s", err.text);
    if (t.x86 && has_cc()) {
        assert_true(run("cc -O1 -Wall -Wextra -Werror -shared -fPIC "
                        "layer.c layer.o -lm -o layer.so"));
        void *lib = dlopen(intern_printf("%s/layer.so", folder), RTLD_NOW);
        void *(*new)(int), (*drop)(void *);
        find(lib, "layer_new", &new);
        find(lib, "layer_free", &drop);
        void *m = new(1);
        assert_int_equal(m != NULL, target_host()->amx);
        drop(m);
        dlclose(lib);
    }
    kit_free(c.k);
}

static void refusals(void **state)
{
    (void)state;
    Ctx c = begin(8, TYPE_f32);
    Node n = {.op = OP_gaussian, .name = intern("n"),
              .type = type_of(TYPE_f32, DIMS(c.T, c.D))};
    graph_output(c.g, "y", graph_add(c.g, n));
    Err err = {""};
    CpuOptions o = {.threads = 1};
    BuildOptions b = {folder, "layer", 32, 64, LIBRARY_none};
    assert_false(cpu_build(c.g, &o, &b, &err));
    assert_string_equal(err.text, "gaussian of test only runs inside graft");
    b.name = "a-b";
    assert_false(cpu_build(c.g, &o, &b, &err));
    assert_string_equal(err.text,
                        "a-b: a name of letters, digits and _ is needed, "
                        "no word of C");
    b.name = "layer";
    b.dir = "/nowhere";
    c.g->output.n = 0;
    graph_output(c.g, "y", x_of(&c, "x", DIMS(c.T, c.D)));
    assert_false(cpu_build(c.g, &o, &b, &err));
    assert_string_equal(err.text,
                        "/nowhere/layer.o: No such file or directory");
    kit_free(c.k);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(built_layer), CASE(built_layer_bf16), CASE(asks_for_amx),
        CASE(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
