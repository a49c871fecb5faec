/* Matmul kernels against sums in double: odd shapes, every type, several
 * weights side by side, with trees behind; buffers end at guard pages. A row's
 * bits depend on nothing but the row. */
#include "codegen/emit/amx.h"
#include "codegen/emit/matmul.h"
#include "tests/kernel_kit.h"

typedef struct {
    int T, K, N;
    Dtype x, w;
} Case;

static const Case cases[] = {
    {1, 16, 32, TYPE_f32, TYPE_f32},     {1, 1, 1, TYPE_f32, TYPE_f32},
    {13, 33, 65, TYPE_f32, TYPE_f32},    {37, 64, 31, TYPE_f32, TYPE_f32},
    {7, 100, 100, TYPE_f32, TYPE_bf16},  {12, 17, 48, TYPE_bf16, TYPE_bf16},
    {29, 48, 40, TYPE_bf16, TYPE_bf16},  {200, 70, 33, TYPE_f32, TYPE_f32},
    {101, 31, 64, TYPE_bf16, TYPE_bf16}, {5, 24, 20, TYPE_f32, TYPE_f16},
    {9, 40, 70, TYPE_bf16, TYPE_f32},    {3, 5000, 36, TYPE_f32, TYPE_f32},
    {11, 9000, 34, TYPE_bf16, TYPE_bf16},
};

static Node *weight(Kit *k, const char *name, Dtype t, int rank,
                    const Dim *const *dims, const double *at)
{
    Weight *w = arena_alloc(&k->arena, sizeof *w);
    w->path = w->file = intern(name);
    w->type = type_of(t, rank, dims);
    k->in[k->nin].name = w->path;
    k->in[k->nin++].at = at;
    return g_weight(k->g, w);
}

/* Numbers that the type holds. */
static double *numbers(Kit *k, Dtype t, int64_t n)
{
    double *at = noise(k, n);
    for (int64_t i = 0; i < n; i++) {
        char raw[8];
        type_store(t, raw, 0, at[i]);
        at[i] = type_load(t, raw, 0);
    }
    return at;
}

static double dot_of(const double *x, const double *w, int K)
{
    double s = 0;
    for (int k = 0; k < K; k++)
        s += x[k] * w[k];
    return s;
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

/* A kit with x [T, K]; T a size known at run time. */
typedef struct {
    Kit *kit;
    const Case *c;
    const Dim *T, *K, *N;
    double *x;
    Node *in;
} Setup;

static Setup setup(const Case *c, int T)
{
    Setup s = {.kit = kit_new(T), .c = c};
    s.T = dim_new("T", size_sym("T"));
    s.K = dim("K", c->K);
    s.N = dim("N", c->N);
    s.x = numbers(s.kit, c->x, (int64_t)T * c->K);
    s.in = given_type(s.kit, "x", type_of(c->x, 2, (const Dim *[]){s.T, s.K}),
                      s.x);
    return s;
}

static Node *times(Setup *s, const char *name, double **at)
{
    *at = numbers(s->kit, s->c->w, (int64_t)s->c->N * s->c->K);
    Node *w = weight(s->kit, name, s->c->w, 2, (const Dim *[]){s->N, s->K},
                     *at);
    return g_contract(s->kit->g, s->in, w, 1, &s->K);
}

static double got(const Rig *r, const Buffer *b, int64_t i)
{
    return type_load(b->type.dtype, r->at[b->id], i);
}

static void near(double a, double want, double scale, Dtype t, int64_t i)
{
    double part = t == TYPE_bf16 ? 0x1p-8 : 2e-6;
    if (!(fabs(a - want) <= part * (fabs(want) + 1) + 4e-7 * scale))
        fail_msg("element %d is %.9g, not %.9g", (int)i, a, want);
}

static void check_plain(const Case *c, const Target *t)
{
    Setup s = setup(c, c->T);
    double *w;
    Node *y = times(&s, "w", &w);
    graph_output(s.kit->g, "y", y);
    Rig r = rig_new(s.kit, t, 2);
    for (int before = 0; before < 2; before++) {
        rig_load(s.kit, &r, before);
        rig_run(&r, before);
        const Buffer *b = rig_result(&r, "y");
        for (int64_t i = 0; i < c->T * c->N; i++)
            near(got(&r, b, i),
                 dot_of(s.x + i / c->N * c->K, w + i % c->N * c->K, c->K),
                 c->K, b->type.dtype, i);
    }
    rig_free(&r);
    kit_free(s.kit);
}

static void test_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_plain(&cases[i], target_measured());
}

static void test_generic(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i += 3)
        check_plain(&cases[i], target_generic());
}

/* ---- AMX, else functions that do what its instructions do ---- */

static struct {
    AmxConfig config;
    uint8_t tile[8][16][64];
    bool ready;
} amx;

static void amx_set(const void *config)
{
    memcpy(&amx.config, config, sizeof amx.config);
    memset(amx.tile, 0, sizeof amx.tile);
    assert_int_equal(amx.config.palette, 1);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(amx.config.row_bytes[i], 64);
        assert_in_range(amx.config.rows[i], 1, 16);
    }
    amx.ready = true;
}

static void amx_get(int64_t t, const void *from, int64_t stride)
{
    assert_true(amx.ready);
    memset(amx.tile[t], 0, sizeof amx.tile[t]);
    for (int r = 0; r < amx.config.rows[t]; r++)
        memcpy(amx.tile[t][r], (const char *)from + r * stride, 64);
}

static void amx_put(int64_t t, void *to, int64_t stride)
{
    assert_true(amx.ready);
    for (int r = 0; r < amx.config.rows[t]; r++)
        memcpy((char *)to + r * stride, amx.tile[t][r], 64);
}

static float pair_at(const uint8_t *row, int pair, int half)
{
    uint16_t b;
    memcpy(&b, row + 4 * pair + 2 * half, 2);
    return f32_of_bf16(b);
}

static void amx_dots(int64_t to, int64_t a, int64_t b)
{
    assert_true(amx.ready);
    assert_int_equal(amx.config.rows[to], amx.config.rows[a]);
    assert_int_equal(amx.config.rows[b], 16);
    for (int r = 0; r < amx.config.rows[a]; r++)
        for (int n = 0; n < 16; n++) {
            float sum;
            memcpy(&sum, amx.tile[to][r] + 4 * n, 4);
            for (int k = 0; k < 16; k++)
                for (int h = 0; h < 2; h++)
                    sum += pair_at(amx.tile[a][r], k, h) *
                           pair_at(amx.tile[b][k], n, h);
            memcpy(amx.tile[to][r] + 4 * n, &sum, 4);
        }
}

static void amx_done(void)
{
    amx.ready = false;
}

/* The instructions where this machine has them, else what stands in. */
static Target with_amx(void)
{
    static const AmxCalls calls = {amx_set, amx_get, amx_put, amx_dots,
                                   amx_done};
    Target t = *target_measured();
    if (!t.amx)
        t.amx_calls = &calls;
    t.tiles = true;
    return t;
}

/* Every number of rows, so every way to take groups of them together: the bits
 * of a row are those it has among all. */
static void check_counts(const Target *t)
{
    static const Case c = {197, 70, 52, TYPE_bf16, TYPE_bf16};
    Setup s = setup(&c, c.T);
    double *w;
    graph_output(s.kit->g, "y", times(&s, "w", &w));
    Rig r = rig_new(s.kit, t, 1);
    rig_load(s.kit, &r, false);
    rig_run(&r, false);
    const Buffer *b = rig_result(&r, "y");
    for (int64_t i = 0; i < c.T * c.N; i++)
        near(got(&r, b, i),
             dot_of(s.x + i / c.N * c.K, w + i % c.N * c.K, c.K), c.K,
             b->type.dtype, i);
    size_t row = (size_t)type_bytes(b->type.dtype, c.N);
    char *all = xmalloc(row * (size_t)c.T);
    memcpy(all, r.at[b->id], row * (size_t)c.T);
    for (int T = 1; T < c.T; T++) {
        memset(r.at[b->id], 0, row * (size_t)c.T);
        r.run[0] = T;
        rig_run(&r, false);
        assert_memory_equal(r.at[b->id], all, row * (size_t)T);
    }
    free(all);
    rig_free(&r);
    kit_free(s.kit);
}

static void test_counts(void **state)
{
    Target t = with_amx();
    (void)state;
    check_counts(target_measured());
    if (t.width == 64)
        check_counts(&t);
}

static void test_amx(void **state)
{
    static const Case more[] = {{16, 64, 64, TYPE_bf16, TYPE_bf16},
                                {48, 96, 40, TYPE_bf16, TYPE_bf16},
                                {1, 32, 96, TYPE_bf16, TYPE_bf16}};
    Target t = with_amx();
    (void)state;
    if (t.width != 64)
        skip();
    for (size_t i = 0; i < COUNT(cases); i++)
        if (cases[i].x == TYPE_bf16 && cases[i].w == TYPE_bf16)
            check_plain(&cases[i], &t);
    for (size_t i = 0; i < COUNT(more); i++)
        check_plain(&more[i], &t);
}

/* The instructions themselves: LLVM takes them; only some machines run them. */
static void test_amx_text(void **state)
{
    const Target *t = target_find("sapphirerapids");
    Arena a = {0};
    LLVMContextRef ctx;
    (void)state;
    Emit *e = emit_new(&a, t, "amx");
    Tile tile = tile_choose(e, TILE_amx, 2, 0);
    LLVMSetLinkage(amx_function(e, &tile), LLVMExternalLinkage);
    emit_verify(e);
    LLVMModuleRef m = emit_take(e, &ctx);
    LLVMMemoryBufferRef text = jit_object(t, m, true);
    const char *s = LLVMGetBufferStart(text);
    assert_non_null(strstr(s, "ldtilecfg"));
    assert_non_null(strstr(s, "tdpbf16ps"));
    assert_non_null(strstr(s, "tilestored"));
    LLVMDisposeMemoryBuffer(text);
    LLVMDisposeModule(m);
    LLVMContextDispose(ctx);
    arena_free(&a);
}

/* silu(gate) * up + x2, three weights of other columns beside it */
static void test_trees(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const Case *c = &cases[i];
        Setup s = setup(c, c->T);
        Graph *g = s.kit->g;
        double *gate, *up, *third;
        Node *a = times(&s, "gate", &gate), *b = times(&s, "up", &up);
        double *more = numbers(s.kit, TYPE_f32, (int64_t)c->T * c->N);
        Node *add = given(s.kit, "more", 2, (const Dim *[]){s.T, s.N}, more);
        Node *h = g_map2(g, OP_mul, g_map1(g, OP_silu, a), b);
        graph_output(g, "y", g_map2(g, OP_add, add, h));
        s.N = dim("M", c->N / 2 + 1);
        Node *z = times(&s, "third", &third);
        graph_output(g, "z", z);
        Rig r = rig_new(s.kit, target_measured(), 2);
        rig_load(s.kit, &r, i & 1);
        rig_run(&r, i & 1);
        const Buffer *y = rig_result(&r, "y");
        for (int64_t j = 0; j < (int64_t)c->T * c->N; j++) {
            const double *x = s.x + j / c->N * c->K;
            double u = dot_of(x, gate + j % c->N * c->K, c->K);
            double v = dot_of(x, up + j % c->N * c->K, c->K);
            bool narrow = a->type.dtype != TYPE_f32;
            near(got(&r, y, j), silu(u) * v + more[j],
                 narrow ? 4e4 * (1 + fabs(u)) * (1 + fabs(v))
                        : c->K * (2 + fabs(u) + fabs(v)),
                 TYPE_f32, j);
        }
        int M = c->N / 2 + 1;
        const Buffer *o = rig_result(&r, "z");
        for (int64_t j = 0; j < (int64_t)c->T * M; j++)
            near(got(&r, o, j),
                 dot_of(s.x + j / M * c->K, third + j % M * c->K, c->K), c->K,
                 o->type.dtype, j);
        rig_free(&r);
        kit_free(s.kit);
    }
}

/* Tokens skip .. skip + T - 1 alone; the last one's row, as bytes. */
static void last_row(Rig *r, const Case *c, int T, int threads, int skip,
                     void *out)
{
    const Buffer *b = rig_result(r, "y");
    int64_t row = c->K * type_bytes(c->x, 1);
    int64_t bytes = c->N * type_bytes(b->type.dtype, 1);
    int x = 0;
    while (r->plan->buffer.at[x]->kind != BUF_input)
        x++;
    r->at[x] = (char *)r->at[x] + skip * row;
    r->run[0] = T;
    r->run[RUN_threads] = threads;
    rig_run(r, false);
    memcpy(out, (char *)r->at[b->id] + (T - 1) * bytes, (size_t)bytes);
    r->at[x] = (char *)r->at[x] - skip * row;
}

static void test_bits(void **state)
{
    (void)state;
    for (size_t i = 2; i < COUNT(cases); i++) {
        char one[4096], some[4096], all[4096], two[4096];
        const Case *c = &cases[i];
        size_t bytes = (size_t)c->N * 2; /* at least */
        Setup s = setup(c, 37);
        double *w;
        graph_output(s.kit->g, "y", times(&s, "w", &w));
        Rig r = rig_new(s.kit, target_measured(), 1);
        rig_load(s.kit, &r, false);
        last_row(&r, c, 37, 1, 0, all);
        last_row(&r, c, 37, 2, 0, two);
        last_row(&r, c, 1, 2, 36, one);
        last_row(&r, c, 6, 1, 31, some);
        assert_memory_equal(all, two, bytes);
        assert_memory_equal(all, one, bytes);
        assert_memory_equal(all, some, bytes);
        rig_free(&r);
        kit_free(s.kit);
    }
}

/* q[H, hd, D] and x[T, D]; then o[D, H, hd] back over both. */
static void test_heads(void **state)
{
    enum { T = 19, D = 40, H = 3, HD = 12 };
    (void)state;
    Case c = {T, D, 1, TYPE_f32, TYPE_f32};
    Setup s = setup(&c, T);
    const Dim *h = dim("H", H), *hd = dim("hd", HD), *d[] = {h, hd};
    double *q = numbers(s.kit, TYPE_f32, H * HD * D);
    Node *w = weight(s.kit, "q", TYPE_f32, 3, (const Dim *[]){h, hd, s.K}, q);
    Node *y = g_contract(s.kit->g, s.in, w, 1, &s.K);
    double *o = numbers(s.kit, TYPE_f32, H * HD * D);
    Node *back = weight(s.kit, "o", TYPE_f32, 3, (const Dim *[]){s.K, h, hd},
                        o);
    graph_output(s.kit->g, "y", y);
    graph_output(s.kit->g, "z", g_contract(s.kit->g, y, back, 2, d));
    Rig r = rig_new(s.kit, target_measured(), 2);
    rig_load(s.kit, &r, true);
    rig_run(&r, false);
    const Buffer *by = rig_result(&r, "y"), *bz = rig_result(&r, "z");
    for (int t = 0; t < T; t++) {
        double mid[H * HD];
        for (int n = 0; n < H * HD; n++) {
            mid[n] = dot_of(s.x + t * D, q + n * D, D);
            near(got(&r, by, t * H * HD + n), mid[n], D, TYPE_f32, n);
        }
        for (int n = 0; n < D; n++)
            near(got(&r, bz, t * D + n),
                 dot_of(mid, o + n * H * HD, H * HD), 4 * D, TYPE_f32, n);
    }
    rig_free(&r);
    kit_free(s.kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_generic),
        cmocka_unit_test(test_amx),    cmocka_unit_test(test_amx_text),
        cmocka_unit_test(test_counts), cmocka_unit_test(test_trees),
        cmocka_unit_test(test_bits),   cmocka_unit_test(test_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
