/* The same graphs for other machines: narrower vectors run here too, and agree
 * with the interpreter; code for aarch64 compiles. */
#include "codegen/build/build.h"
#include "codegen/emit/emit.h"
#include "tests/layer_kit.h"

/* Attention and routed experts over a norm: every skeleton. */
static Ctx layer(Dtype t)
{
    static const Rope rope = {.theta = 10000, .rotary = 16};
    Ctx c = begin(48, t);
    Graph *g = c.g;
    const Dim *E = dim("E", 5), *k = dim("k", 2), *F = dim("F", 37);
    Node *x = g_cast(g, t, x_of(&c, "x", DIMS(c.T, c.D)));
    x = g_map2(g, OP_add, x,
               attention(&c, norm(&c, x, "n1"), 4, 2, 16, &rope, NULL));
    Node *h = norm(&c, x, "n2");
    Node *s = g_contract(g, f32_of(&c, h),
                         w_of(&c, "router", 0, DIMS(E, c.D), 48), 1, &c.D);
    s = g_along(g, OP_softmax, s, 1, &E);
    Node *i = graph_add(g, (Node){.op = OP_topk, .arg = {s}, .ndim = 2,
                                  .dim = {E, k}});
    Node *up = w_of(&c, "eup", 1, DIMS(E, F, c.D), 48);
    Node *down = w_of(&c, "edown", 1, DIMS(E, c.D, F), 37);
    Node *z = g_contract(g, h, g_gather(g, up, E, i), 1, &c.D);
    z = g_contract(g, g_map1(g, OP_gelu, z), g_gather(g, down, E, i), 1, &F);
    Node *y = g_along(g, OP_sum, g_map2(g, OP_mul, g_gather(g, s, E, i), z), 1,
                      &k);
    y = g_map2(g, OP_add, y, swiglu(&c, h, F));
    graph_output(g, "y", g_map2(g, OP_add, x, y));
    graph_output(g, "tanh", g_map1(g, OP_tanh, x));
    return c;
}

static void agree_on(const Target *t)
{
    for (int i = 0; i < 2; i++) {
        Ctx c = layer(i ? TYPE_bf16 : TYPE_f32);
        CpuOptions o = {.target = t, .cache = kit_cache()};
        agree_for(c.k, &o, bound(&c), (const int64_t[]){1, 6, 19, 0});
        kit_free(c.k);
    }
}

static void no_features(void **state)
{
    (void)state;
    agree_on(target_generic());
}

static void half_as_wide(void **state)
{
    (void)state;
    Target t = *target_measured();
    if (t.width < 64 || !t.x86) {
        print_message("not a machine with AVX-512: skipped\n");
        return;
    }
    t.features = "+avx2,+fma,+f16c,+bmi,+bmi2";
    t.width = 32;
    t.masks = t.vnni = false;
    t.bf16_dot = t.dots = t.amx = t.tiles = false;
    agree_on(&t);
}

static void quarter_as_wide(void **state)
{
    (void)state;
    Target t = *target_measured();
    if (t.width < 32 || !t.x86) {
        print_message("not a machine with AVX2: skipped\n");
        return;
    }
    t.features = "+sse4.1";
    t.width = 16;
    t.fma = t.f16c = t.masks = t.vnni = false;
    t.bf16_dot = t.dots = t.amx = t.tiles = false;
    agree_on(&t);
}

static void aarch64_compiles(void **state)
{
    (void)state;
    static const Target arm = {.triple = "aarch64-unknown-linux-gnu",
                               .features = "+neon,+fp-armv8", .width = 16,
                               .fma = true};
    char folder[] = "/tmp/graft-arm-XXXXXX";
    assert_non_null(mkdtemp(folder));
    Ctx c = layer(TYPE_bf16);
    CpuOptions o = {.target = &arm};
    BuildOptions b = {folder, "arm", 64, 128, LIBRARY_none};
    Err err = {""};
    if (!cpu_build(c.g, &o, &b, &err))
        fail_msg("%s", err.text);
    static const char *const names[] = {"arm.o", "arm.c", "arm.h",
                                        "example.c"};
    size_t len = 0;
    char *elf = read_file(intern_printf("%s/arm.o", folder), &len, &err);
    assert_non_null(elf);
    assert_true(len > 1000 && !memcmp(elf, "\177ELF", 4));
    assert_int_equal(elf[18], (char)183); /* EM_AARCH64 */
    free(elf);
    for (int i = 0; i < 4; i++)
        unlink(intern_printf("%s/%s", folder, names[i]));
    assert_int_equal(rmdir(folder), 0);
    kit_free(c.k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_features),
        cmocka_unit_test(half_as_wide),
        cmocka_unit_test(quarter_as_wide),
        cmocka_unit_test(aarch64_compiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
