/* Matmuls over weights that stay in GGUF's blocks, against sums in double over
 * the widened values: every kind of block, dense and grouped, odd columns, 1 to
 * 40 rows, on every target that runs here. A row has the same bits whatever the
 * number of rows, threads, and instructions. */
#include "codegen/emit/matmul.h"
#include "tests/kernel_kit.h"
#include "tests/schedule_kit.h"
#include "tests/files_util.h"
#include "runtime/runtime.h"

enum { T = 40, E = 3 };
typedef enum { ONE, BOTH, GROUPED, SHAPES } Shape;

typedef struct {
    Dtype stored;
    int K, N;
} Case;

static const Case cases[] = {
    {TYPE_q4_0, 64, 48},  {TYPE_q4_1, 96, 33},   {TYPE_q8_0, 64, 70},
    {TYPE_q4_k, 512, 40}, {TYPE_q6_k, 256, 37},  {TYPE_q8_0, 32, 1},
    {TYPE_q4_1, 5632, 34}, {TYPE_q6_k, 1024, 64}, {TYPE_q5_0, 96, 35},
    {TYPE_q5_1, 64, 50},  {TYPE_q5_k, 768, 33},
};

typedef struct {
    Kit *kit;
    Rig rig;
    Case c;
    Shape shape;
    double *x, *index;
    float *w[2];   /* widened; grouped: of all experts */
    const char *raw[2];
    double largest; /* |scale * code| + |low| */
} Setup;

/* ---- weights ---- */

/* Where the f16 scales of a block are. */
static int scales_at(Dtype t, int *n)
{
    bool low = t == TYPE_q4_1 || t == TYPE_q5_1 || t == TYPE_q4_k ||
               t == TYPE_q5_k;
    *n = low ? 2 : 1;
    return t == TYPE_q6_k ? 208 : 0;
}

/* As blocks() draws them. */
static double drawn_largest(Dtype t)
{
    switch (t) {
    case TYPE_q4_0: return 0.02 * 8;
    case TYPE_q4_1: return 0.02 * 16;
    case TYPE_q5_0: return 0.02 * 16;
    case TYPE_q5_1: return 0.02 * 32;
    case TYPE_q8_0: return 0.02 * 128;
    case TYPE_q4_k: return 0.02 * 63 * 16;
    case TYPE_q5_k: return 0.02 * 63 * 32;
    default: return 0.02 * 128 * 32;
    }
}

/* Random blocks with scales of a likely size. */
static char *blocks(Kit *k, Dtype t, int64_t count)
{
    int64_t bytes = type_bytes(t, count);
    char *raw = arena_alloc(&k->arena, (size_t)bytes);
    for (int64_t i = 0; i < bytes; i++)
        raw[i] = (char)(random_bits(3, k->drawn++) >> 20);
    int n, at = scales_at(t, &n);
    for (int64_t b = 0; b < bytes; b += type_info[t].block_bytes)
        for (int i = 0; i < n; i++) {
            double s = 2 * random_uniform(5, k->drawn++) - 1;
            uint16_t h = f16_of_f32((float)s * 0.02f);
            memcpy(raw + b + at + 2 * i, &h, 2);
        }
    return raw;
}

static int64_t elements(const Setup *s)
{
    return (int64_t)s->c.N * s->c.K;
}

static Node *weight(Setup *s, int i, int rank, const Dim *const *dims)
{
    static const char *const names[] = {"a", "b"};
    Weight *w = arena_alloc(&s->kit->arena, sizeof *w);
    int64_t n = elements(s) * (s->shape == GROUPED ? E : 1);
    w->path = w->file = intern(names[i]);
    w->type = type_of(TYPE_f32, rank, dims);
    bool given = s->raw[i];
    if (!given)
        s->raw[i] = blocks(s->kit, s->c.stored, n);
    s->w[i] = arena_alloc(&s->kit->arena, (size_t)n * sizeof(float));
    widen_f32(s->c.stored, s->raw[i], n, s->w[i]);
    /* low is a weight, or nearly; the largest code stands for another */
    s->largest = given ? 0 : drawn_largest(s->c.stored);
    for (int64_t k = 0; given && k < n; k++)
        s->largest = fmax(s->largest, 3 * fabsf(s->w[i][k]));
    return g_weight(s->kit->g, w);
}

static void fill(Setup *s)
{
    rig_load(s->kit, &s->rig, s->shape == BOTH);
    for (int i = 0; i < s->rig.plan->buffer.n; i++) {
        const Buffer *b = s->rig.plan->buffer.at[i];
        for (int j = 0; b->kind == BUF_packed && j < b->pack.parts; j++) {
            bool second = b->pack.part[j]->weight->path == intern("b");
            bool stack = s->shape == GROUPED;
            int64_t each = type_bytes(s->c.stored, elements(s));
            for (int e = 0; e < (stack ? E : 1); e++)
                pack_part(&b->pack, j, stack, e, s->raw[second] + e * each,
                          s->rig.at[i]);
        }
    }
}

/* y = x a; y = x a * tanh(x b), two parts of one panel; y[T, k] = x a[i]. Rows
 * of x: at random, zeros, a block of which one element is by far the largest,
 * numbers whose inverses are none. */
static Setup setup(Case c, const Target *t, Shape shape, const char *raw)
{
    Setup s = {.c = c, .shape = shape, .kit = kit_new(T), .raw = {raw}};
    Graph *g = s.kit->g;
    const Dim *dT = dim_new("T", size_sym("T")), *k = dim("k", 2);
    const Dim *K = dim("K", c.K), *N = dim("N", c.N), *e = dim("E", E);
    s.x = noise(s.kit, (int64_t)T * c.K);
    s.index = indices(s.kit, 2 * T, E);
    for (int i = 0; i < c.K; i++) {
        s.x[2 * c.K + i] = 0;
        s.x[3 * c.K + i] *= i % 32 == 7 ? 1000 : 1;
        s.x[4 * c.K + i] = (double)(float)(s.x[4 * c.K + i] * 1e-39);
    }
    Node *x = given(s.kit, "x", 2, (const Dim *[]){dT, K}, s.x);
    Node *w = shape == GROUPED ? weight(&s, 0, DIMS(e, N, K))
                               : weight(&s, 0, DIMS(N, K));
    if (shape == GROUPED)
        w = g_gather(g, w, e, given_index(s.kit, "i", e, DIMS(dT, k), s.index));
    Node *y = g_contract(g, x, w, 1, &K);
    if (shape == BOTH) {
        Node *b = g_contract(g, x, weight(&s, 1, DIMS(N, K)), 1, &K);
        y = g_map2(g, OP_mul, y, g_map1(g, OP_tanh, b));
    }
    graph_output(g, "y", y);
    s.rig = rig_stored(s.kit, t, 2, c.stored);
    fill(&s);
    return s;
}

static void drop(Setup *s)
{
    rig_free(&s->rig);
    kit_free(s->kit);
}

/* ---- how far off it may be ---- */

/* x w in double, and how far off kernels may be: each x by half a code of its
 * block's largest, zero below 2^-100 of it; then f32: five roundings of each
 * block's part, one more for each block that follows, of sums that are no
 * larger than those of all |x| (|scale * code| + |low|). */
static double dot_of(const Setup *s, const double *x, const float *w,
                     double *off)
{
    int block = s->c.stored == TYPE_q6_k ? 16 : 32, n = s->c.K / block;
    double sum = 0;
    for (int b = 0; b < n; b++, x += block, w += block) {
        double most = 0, size = 0, all = 0;
        for (int k = 0; k < block; k++) {
            sum += x[k] * w[k];
            most = fmax(most, fabs(x[k]));
            size += fabs(w[k]);
            all += fabs(x[k]) * s->largest;
        }
        *off += size * fmax(most * 0.5001 / 32639, 0x1p-100) +
                all * (n + 5) * 0x1p-24;
    }
    return sum;
}

/* tanh changes by no more than what is in it, and is itself off by 2 ulp. */
static double want_of(const Setup *s, const double *x, int64_t at, double *off)
{
    double more = 0x1p-22, want = dot_of(s, x, s->w[0] + at, off);
    if (s->shape != BOTH)
        return want;
    double other = dot_of(s, x, s->w[1] + at, &more);
    *off += (fabs(want) + *off) * more;
    return want * tanh(other);
}

static void check(const Setup *s, const char *target)
{
    int times = s->shape == GROUPED ? 2 : 1, N = s->c.N;
    const Buffer *y = rig_result(&s->rig, "y");
    for (int64_t r = 0; r < T * times; r++)
        for (int n = 0; n < N; n++) {
            const double *x = s->x + r / times * s->c.K;
            int64_t expert = times == 2 ? (int64_t)s->index[r] : 0;
            double off = 0;
            double want = want_of(s, x, (expert * N + n) * s->c.K, &off);
            double got = type_load(TYPE_f32, s->rig.at[y->id], r * N + n);
            if (!(fabs(got - want) <= off))
                fail_msg("%s on %s, row %d, column %d: %.9g, not %.9g +- %.2g",
                         type_info[s->c.stored].name, target, (int)r, n, got,
                         want, off);
        }
}

/* ---- targets ---- */

static Target narrower(int width, const char *features, bool vnni)
{
    Target t = *target_measured();
    t.width = width;
    t.features = features;
    t.masks = t.bf16_dot = t.dots = t.amx = t.tiles = false;
    t.vnni = vnni;
    if (width == 16)
        t.fma = t.f16c = false;
    return t;
}

/* All that this machine can run; those with fused multiply-adds come first. */
static int targets(Target list[8], const char *names[8], int *fused)
{
    const Target *host = target_measured();
    int n = 0;
#define ADD(name, target) (names[n] = name, list[n++] = target)
    ADD("this machine", *host);
    if (host->vnni) {
        Target t = *host;
        t.vnni = false;
        ADD("no VNNI", t);
        ADD("VNNI of 32 bytes",
            narrower(32, "+avx2,+fma,+f16c,+avx512f,+avx512vl,+avx512vnni",
                     true));
    }
    if (host->x86 && host->width > 32)
        ADD("AVX2", narrower(32, "+avx2,+fma,+f16c,+bmi,+bmi2", false));
    *fused = host->fma ? n : 0;
    ADD("no features", *target_generic());
    Target plain = *target_generic();
    plain.x86 = false;
    ADD("no dot products", plain);
#undef ADD
    return n;
}

/* ---- tests ---- */

static size_t result_bytes(const Setup *s)
{
    return (size_t)s->c.N * (s->shape == GROUPED ? 8 : 4);
}

static char *result_copy(const Setup *s)
{
    size_t bytes = T * result_bytes(s);
    char *all = xmalloc(bytes);
    memcpy(all, s->rig.at[rig_result(&s->rig, "y")->id], bytes);
    return all;
}

/* Fewer rows, one thread and two, tasks in any order. */
static void same_rows(Setup *s, const char *all)
{
    char *y = s->rig.at[rig_result(&s->rig, "y")->id];
    for (int tokens = 1; tokens <= T; tokens++) {
        size_t bytes = result_bytes(s) * (size_t)tokens;
        memset(y, 0, bytes);
        s->rig.run[0] = tokens;
        s->rig.run[RUN_threads] = 1 + tokens % 2;
        rig_run(&s->rig, tokens % 3 == 0);
        assert_memory_equal(all, y, bytes);
    }
}

static void every_target(Case c, Shape shape, const char *raw)
{
    Target list[8];
    const char *names[8];
    char *first = NULL;
    int fused, n = targets(list, names, &fused);
    n = shape == ONE ? n : 1; /* tiles do not know of shapes */
    for (int i = 0; i < n; i++) {
        Setup s = setup(c, &list[i], shape, raw);
        rig_run(&s.rig, i & 1);
        check(&s, names[i]);
        char *all = result_copy(&s);
        if (i == 0)
            same_rows(&s, all);
        else if (i < fused)
            assert_memory_equal(first, all, T * result_bytes(&s));
        if (i)
            free(all);
        else
            first = all;
        drop(&s);
    }
    free(first);
}

static void test_blocks(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int shape = 0; shape < SHAPES; shape++)
            every_target(cases[i], (Shape)shape, NULL);
}

/* In memory they are as large as in their file, but for columns that fill up a
 * panel. */
static void test_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        Case c = cases[i];
        assert_int_equal(quant_panel_bytes(c.stored, c.K, 32),
                         32 * type_bytes(c.stored, c.K));
    }
}

/* Blocks that llama.cpp made. */
static void test_files(void **state)
{
    (void)state;
    static const char *const types[] = {"Q4_0", "Q4_1", "Q5_0", "Q5_1",
                                        "Q8_0", "Q4_K", "Q5_K", "Q6_K"};
    for (size_t i = 0; i < COUNT(types); i++) {
        const char *path = shared(intern_printf("gguf_blocks/%s.gguf",
                                                types[i]));
        if (!path)
            skip();
        Checkpoint *c = open_good(path);
        const TensorInfo *t = &checkpoint_find(c, "t.weight")->info;
        Case own = {t->dtype, (int)t->shape[1], (int)t->shape[0]};
        every_target(own, ONE, t->data);
        checkpoint_close(c);
    }
}

/* What is no number stays none, and keeps to its row. */
static void test_not_numbers(void **state)
{
    (void)state;
    Setup s = setup(cases[2], target_measured(), ONE, NULL);
    const Buffer *y = rig_result(&s.rig, "y");
    for (int i = 0; i < s.rig.plan->buffer.n; i++) {
        const Buffer *b = s.rig.plan->buffer.at[i];
        if (b->kind != BUF_input)
            continue;
        type_store(TYPE_f32, s.rig.at[i], 5 * s.c.K + 3, NAN);
        type_store(TYPE_f32, s.rig.at[i], 6 * s.c.K + 40, INFINITY);
    }
    rig_run(&s.rig, false);
    for (int n = 0; n < s.c.N; n++) {
        for (int r = 4; r < 8; r++)
            assert_int_equal(!isfinite(type_load(TYPE_f32, s.rig.at[y->id],
                                                 r * s.c.N + n)),
                             r == 5 || r == 6);
    }
    drop(&s);
}

/* Whatever the schedule, the same bits. */
static void test_schedules(void **state)
{
    Dice d = {.seed = 23};
    (void)state;
    for (size_t i = 0; i < SHAPES * COUNT(cases); i++) {
        Case c = cases[i / SHAPES];
        Shape shape = (Shape)(i % SHAPES);
        Setup s = setup(c, target_measured(), shape, NULL);
        rig_run(&s.rig, false);
        Pins pins = {.arena = &s.kit->arena};
        random_pins(&d, target_measured(), s.rig.plan, &pins);
        kit_pins = &pins;
        Setup o = setup(c, target_measured(), shape, NULL);
        rig_run(&o.rig, false);
        kit_pins = NULL;
        assert_memory_equal(s.rig.at[rig_result(&s.rig, "y")->id],
                            o.rig.at[rig_result(&o.rig, "y")->id],
                            T * result_bytes(&s));
        drop(&o);
        drop(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_not_numbers),
        cmocka_unit_test(test_schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
