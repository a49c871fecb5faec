/* Matmuls over weights that stay in GGUF's blocks: against sums in double over
 * the widened values, for every kind of block; few rows and many have the same
 * bits. */
#include "tests/kernel_kit.h"
#include "tests/schedule_kit.h"
#include "runtime/runtime.h"

typedef struct {
    Dtype stored;
    int K, N;
} Case;

static const Case cases[] = {
    {TYPE_q4_0, 64, 48},  {TYPE_q4_1, 96, 33},   {TYPE_q8_0, 64, 70},
    {TYPE_q4_k, 512, 40}, {TYPE_q6_k, 256, 37},  {TYPE_q4_1, 5632, 34},
    {TYPE_q8_0, 32, 1},   {TYPE_q6_k, 1024, 64},
};

enum { T = 31 };

typedef struct {
    Kit *kit;
    Rig rig;
    const Case *c;
    double *x;
    float *w[2]; /* widened */
    void *raw[2];
} Setup;

/* Where the f16 scales of a block are. */
static int scales_at(Dtype t, int *n)
{
    *n = t == TYPE_q4_1 || t == TYPE_q4_k ? 2 : 1;
    return t == TYPE_q6_k ? 208 : 0;
}

/* Random blocks with scales of a likely size. */
static void *blocks(Kit *k, Dtype t, int64_t count)
{
    int64_t bytes = type_bytes(t, count);
    uint8_t *raw = arena_alloc(&k->arena, (size_t)bytes);
    for (int64_t i = 0; i < bytes; i++)
        raw[i] = (uint8_t)(random_bits(3, k->drawn++) >> 20);
    int n, at = scales_at(t, &n);
    for (int64_t b = 0; b < bytes; b += type_info[t].block_bytes)
        for (int i = 0; i < n; i++) {
            double s = 2 * random_uniform(5, k->drawn++) - 1;
            uint16_t h = f16_of_f32((float)s * 0.02f);
            memcpy(raw + b + at + 2 * i, &h, 2);
        }
    return raw;
}

static Node *weight(Setup *s, int i, const Dim *N, const Dim *K)
{
    static const char *const names[] = {"a", "b"};
    Weight *w = arena_alloc(&s->kit->arena, sizeof *w);
    int64_t n = (int64_t)s->c->N * s->c->K;
    w->path = w->file = intern(names[i]);
    w->type = type_of(TYPE_f32, 2, (const Dim *[]){N, K});
    s->raw[i] = blocks(s->kit, s->c->stored, n);
    s->w[i] = arena_alloc(&s->kit->arena, (size_t)n * sizeof(float));
    widen_f32(s->c->stored, s->raw[i], n, s->w[i]);
    return g_weight(s->kit->g, w);
}

/* y = x a * tanh(x b): two parts of one panel; or x a alone */
static Setup setup(const Case *c, const Target *t, bool both)
{
    Setup s = {.c = c, .kit = kit_new(T)};
    Graph *g = s.kit->g;
    const Dim *dT = dim_new("T", size_sym("T"));
    const Dim *K = dim("K", c->K), *N = dim("N", c->N);
    s.x = noise(s.kit, (int64_t)T * c->K);
    Node *x = given(s.kit, "x", 2, (const Dim *[]){dT, K}, s.x);
    Node *y = g_contract(g, x, weight(&s, 0, N, K), 1, &K);
    if (both) {
        Node *b = g_contract(g, x, weight(&s, 1, N, K), 1, &K);
        y = g_map2(g, OP_mul, y, g_map1(g, OP_tanh, b));
    }
    graph_output(g, "y", y);
    s.rig = rig_stored(s.kit, t, 2, c->stored);
    rig_load(s.kit, &s.rig, false);
    for (int i = 0; i < s.rig.plan->buffer.n; i++) {
        const Buffer *b = s.rig.plan->buffer.at[i];
        for (int j = 0; b->kind == BUF_packed && j < b->pack.parts; j++) {
            bool second = b->pack.part[j]->weight->path == intern("b");
            pack_part(&b->pack, j, 0, 0, s.raw[second], s.rig.at[i]);
        }
    }
    return s;
}

static double dot_of(const double *x, const float *w, int K, double *size)
{
    double s = 0;
    for (int k = 0; k < K; k++) {
        s += x[k] * w[k];
        *size += fabs(x[k] * w[k]);
    }
    return s;
}

static void check(const Setup *s, int tokens, bool both)
{
    const Case *c = s->c;
    const Buffer *y = rig_result(&s->rig, "y");
    for (int64_t i = 0; i < (int64_t)tokens * c->N; i++) {
        const double *x = s->x + i / c->N * c->K;
        int64_t at = i % c->N * c->K;
        double size = 0, second = 0;
        double want = dot_of(x, s->w[0] + at, c->K, &size);
        if (both) {
            want *= tanh(dot_of(x, s->w[1] + at, c->K, &second));
            size += fabs(want) + size * second;
        }
        double got = type_load(TYPE_f32, s->rig.at[y->id], i);
        if (!(fabs(got - want) <= 1e-6 * (1 + size)))
            fail_msg("%s: element %d is %.9g, not %.9g",
                     type_info[c->stored].name, (int)i, got, want);
    }
}

static void test_blocks(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int both = 0; both < 2; both++) {
            Setup s = setup(&cases[i], target_host(), both);
            const Buffer *y = rig_result(&s.rig, "y");
            size_t row = (size_t)s.c->N * 4;
            rig_run(&s.rig, false);
            check(&s, T, both);
            char *all = xmalloc(row * 7);
            memcpy(all, s.rig.at[y->id], row * 7);
            for (int tokens = 1; tokens <= 7; tokens += 2) {
                memset(s.rig.at[y->id], 0, row * 7);
                s.rig.run[0] = tokens;
                rig_run(&s.rig, false);
                assert_memory_equal(all, s.rig.at[y->id],
                                    row * (size_t)tokens);
            }
            free(all);
            rig_free(&s.rig);
            kit_free(s.kit);
        }
}

static void test_generic(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        Setup s = setup(&cases[i], target_generic(), false);
        rig_run(&s.rig, true);
        check(&s, T, false);
        rig_free(&s.rig);
        kit_free(s.kit);
    }
}

/* Whatever the schedule, the same bits. */
static void test_schedules(void **state)
{
    Dice d = {.seed = 23};
    (void)state;
    for (size_t i = 0; i < 3 * COUNT(cases); i++) {
        Setup s = setup(&cases[i / 3], target_host(), i & 1);
        const Buffer *y = rig_result(&s.rig, "y");
        rig_run(&s.rig, false);
        Pins pins = {.arena = &s.kit->arena};
        random_pins(&d, target_host(), s.rig.plan, &pins);
        kit_pins = &pins;
        s.kit->drawn = 0;
        Setup o = setup(&cases[i / 3], target_host(), i & 1);
        rig_run(&o.rig, false);
        kit_pins = NULL;
        assert_memory_equal(s.rig.at[y->id],
                            o.rig.at[rig_result(&o.rig, "y")->id],
                            (size_t)T * (size_t)s.c->N * 4);
        rig_free(&o.rig);
        rig_free(&s.rig);
        kit_free(o.kit);
        kit_free(s.kit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_generic),
        cmocka_unit_test(test_schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
