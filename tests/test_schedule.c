/* Schedules: whatever is chosen, on one thread and on two, results have the
 * same bits, and are the interpreter's. What is pinned is what is chosen. */
#include "tests/layer_kit.h"
#include "tests/schedule_kit.h"
#include <sys/wait.h>

enum { TRIES = 4 };

static const int64_t tokens[] = {1, 2, 7, 13, MOST};

static void try_schedule(Bench *plain, const CpuOptions *o, int64_t T)
{
    Bench *b = bench_new(plain->kit, o, T & 1);
    bench_run(b, NULL, T, T & 1);
    bench_run(plain, NULL, T, false);
    same_bits(plain, b, T);
    bench_free(b);
}

/* The graph by its usual schedule near the interpreter, by others the same. */
static void any_schedule(Ctx *c, Node *y)
{
    CpuOptions o = {.cache = "", .threads = 1};
    Dice d = {.seed = 17};
    graph_output(c->g, "y", y);
    ir_verify(c->g, "the test");
    Bench *plain = bench_new(c->k, &o, false);
    for (size_t i = 0; i < COUNT(tokens); i++) {
        bench_run(plain, NULL, tokens[i], false);
        near_interp(plain, tokens[i], bound(c));
    }
    for (int i = 0; i < TRIES; i++) {
        Arena a = {0};
        Pins pins = {.arena = &a};
        random_pins(&d, target_measured(), program_plan(plain->p), &pins);
        if (getenv("SHOW"))
            pins_print(&pins, "tried", 100, stderr);
        o.pins = &pins;
        o.threads = 1 + i % 2;
        try_schedule(plain, &o, tokens[i % (int)COUNT(tokens)]);
        arena_free(&a);
    }
    bench_free(plain);
    kit_free(c->k);
}

static void dense(void **state)
{
    static const Dtype types[] = {TYPE_f32, TYPE_bf16, TYPE_f16};
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        Ctx c = begin(i ? 40 : 133, types[i]);
        Node *x = g_cast(c.g, c.t, x_of(&c, "x", DIMS(c.T, c.D)));
        any_schedule(&c, swiglu(&c, norm(&c, x, "n"), dim("F", 71)));
    }
}

static void long_rows(void **state)
{
    (void)state;
    Ctx c = begin(5000, TYPE_f32);
    const Dim *N = dim("N", 35);
    Node *x = x_of(&c, "x", DIMS(c.T, c.D));
    Node *w = w_of(&c, "w", 0, DIMS(N, c.D), 5000);
    any_schedule(&c, g_contract(c.g, x, w, 1, &c.D));
}

static void routed(void **state)
{
    static const Dtype types[] = {TYPE_f32, TYPE_bf16};
    (void)state;
    for (int i = 0; i < 4; i++) {
        Ctx c = begin(48, types[i / 2]);
        const Dim *E = dim("E", 6), *k = dim("k", 2), *F = dim("F", 37);
        Node *x = g_cast(c.g, c.t, x_of(&c, "x", DIMS(c.T, c.D))), *a;
        Node *p = router(&c, x, E, k, i & 1 ? ROUTE_one : ROUTE_spread, &a);
        Node *y = g_map2(c.g, OP_mul, a, experts(&c, x, p, E, F));
        any_schedule(&c, g_along(c.g, OP_sum, y, 1, &k));
    }
}

static void attends(void **state)
{
    static const Rope rope = {.theta = 10000, .rotary = 16};
    (void)state;
    for (int i = 0; i < 3; i++) {
        Ctx c = begin(32, i ? TYPE_bf16 : TYPE_f32);
        Node *x = g_cast(c.g, c.t, x_of(&c, "x", DIMS(c.T, c.D)));
        any_schedule(&c, attention(&c, x, 6, 2, i == 1 ? 64 : 16, &rope,
                                   i ? NULL : size_num(5)));
    }
}

/* ---- what is chosen ---- */

static const char *kernels_of(Ctx *c, const Pins *pins, char *text, size_t size)
{
    CpuOptions o = {.cache = "", .threads = 1, .pins = pins};
    Err err;
    Program *p = cpu_compile(c->g, &o, &err);
    if (!p)
        return snprintf(text, size, "%s", err.text), text;
    FILE *out = fmemopen(text, size, "w");
    program_print(p, TEXT_kernels, out);
    fclose(out);
    program_free(p);
    return text;
}

static void pin_text(Pins *p, const char *text)
{
    Source *src = arena_alloc(p->arena, sizeof *src);
    *src = (Source){.path = "pins.graft", .text = text,
                    .len = (int)strlen(text),
                    .diags = arena_alloc(p->arena, sizeof(Diags))};
    const Ast *file = dsl_parse(p->arena, src);
    for (int i = 0; i < file->nkid; i++)
        assert_true(pins_add(p, file->kid[i]));
    assert_int_equal(src->diags->errors, 0);
}

static void pinned(void **state)
{
    char text[8192];
    (void)state;
    Ctx c = begin(64, TYPE_f32);
    Pins pins = {.arena = &c.k->arena}, wild = {.arena = &c.k->arena};
    Node *x = x_of(&c, "x", DIMS(c.T, c.D));
    graph_output(c.g, "y", swiglu(&c, x, dim("F", 96)));
    pin_text(&pins, "schedule s {\n"
                    "  matmul [D -> F + F] { tokens 3, block 5 6 7 8 }\n"
                    "  matmul f32 f32 [96 -> 64] { tasks 3 }\n"
                    "  matmul f32 bf16 [96 -> 64] { tasks 4 }\n"
                    "  matmul f32 f32 [96 -> 64] { depth 32 }\n"
                    "}\n");
    kernels_of(&c, &pins, text, sizeof text);
    assert_non_null(strstr(text, "matmul f32 f32 [64 -> 96 + 96] { tokens 3, "
                                 "vectors 2, ahead 2048, block 5 6 7 8, "
                                 "tasks 1 10 10 10 }"));
    assert_non_null(strstr(text, "depth 32, ahead 2048, block 48, tasks 3 }"));
    pin_text(&wild, "schedule s {\n  matmul [D -> F + F] { tokens 32 }\n}");
    kernels_of(&c, &wild, text, sizeof text);
    assert_non_null(strstr(text, "pins.graft:2:25: a tile of 32 rows by 2 "
                                 "vectors needs more registers"));
    kit_free(c.k);
}

/* What was found serves shapes near it, by the same text. */
static void near_shapes(void **state)
{
    (void)state;
    Arena a = {0};
    Pins pins = {.arena = &a}, again = {.arena = &a};
    KernelKey key = {.skeleton = SKEL_matmul, .x = TYPE_f32, .w = TYPE_bf16,
                     .n = 2,
                     .part = {{.size = 100}, {.before = '>', .size = 200}}};
    Schedule s = {.tokens = 7, .tasks = {1, 2, 3, 4}}, more = {.depth = 64};
    pins_put(&pins, &key, &s);
    pins_put(&pins, &key, &more);
    assert_int_equal(pins.at.n, 1);
    char text[512];
    FILE *out = fmemopen(text, sizeof text, "w");
    pins_print(&pins, "found", 10, out);
    fclose(out);
    assert_string_equal(text, "schedule found {\n  matmul f32 bf16 [100 -> 200]"
                              " { tokens 7, depth 64, tasks 1 2 3 4 }\n}\n");
    pin_text(&again, text);
    key.part[1].size = 290;
    assert_int_equal(pins_for(&again, &key, true).tokens, 7);
    assert_int_equal(pins_for(&again, &key, false).tokens, 0);
    key.part[1].size = 310;
    assert_int_equal(pins_for(&again, &key, true).tokens, 0);
    arena_free(&a);
}

/* ---- what is kept ---- */

static void keep_some(int from, int n)
{
    Arena a = {0};
    Pins p = {.arena = &a};
    Err err;
    for (int i = from; i < from + n; i++) {
        KernelKey key = {.skeleton = SKEL_map, .n = 1,
                         .part = {{.size = i + 1}}};
        Schedule s = {.grain = i + 1};
        pins_put(&p, &key, &s);
    }
    if (!schedules_keep(&p, &err))
        fail_msg("%s", err.text);
    arena_free(&a);
}

/* Processes side by side lose nothing; it stays bounded; no file is left. */
static void kept(void **state)
{
    enum { PROCESSES = 6, EACH = 5 };
    char folder[] = "/tmp/graft-test-XXXXXX", path[4400], command[4500];
    pid_t child[PROCESSES];
    (void)state;
    assert_non_null(mkdtemp(folder));
    setenv("XDG_CACHE_HOME", folder, 1);
    for (int i = 0; i < PROCESSES; i++) {
        child[i] = fork();
        if (!child[i]) {
            keep_some(i * EACH, EACH);
            _exit(0);
        }
    }
    for (int i = 0; i < PROCESSES; i++)
        assert_int_equal(waitpid(child[i], NULL, 0), child[i]);
    assert_int_equal(schedules_kept(path, sizeof path), PROCESSES * EACH);
    keep_some(0, 1500);
    assert_int_equal(schedules_kept(path, sizeof path), 1000);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(schedules_kept(path, sizeof path), 0);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense),   cmocka_unit_test(long_rows),
        cmocka_unit_test(routed),  cmocka_unit_test(attends),
        cmocka_unit_test(pinned),  cmocka_unit_test(near_shapes),
        cmocka_unit_test(kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
