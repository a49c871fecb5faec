/* Matmuls that compute what surrounds them: rows as they are loaded, rope
 * behind the sums. Each graph twice: with y alone, and with the node in
 * question an output too, which has it stored; y's bits must be the same. */
#include "codegen/emit/emit.h"
#include "tests/program_kit.h"

typedef struct {
    int D, H, hd; /* rows of D, or of H x hd where H is not 0 */
    int N, M;     /* columns of two weights; M 0: of one */
    Dtype x, w;
} Shape;

static const Shape shapes[] = {
    {.D = 64, .N = 96, .x = TYPE_f32, .w = TYPE_f32},
    {.D = 33, .N = 130, .M = 70, .x = TYPE_f32, .w = TYPE_bf16},
    {.D = 100, .N = 200, .M = 31, .x = TYPE_bf16, .w = TYPE_bf16},
    {.D = 17, .N = 180, .x = TYPE_bf16, .w = TYPE_f16},
    {.D = 1, .N = 300, .x = TYPE_f32, .w = TYPE_f32},
    {.D = 255, .N = 256, .M = 300, .x = TYPE_bf16, .w = TYPE_bf16},
    {.H = 3, .hd = 10, .N = 128, .M = 64, .x = TYPE_f32, .w = TYPE_f32},
    {.H = 2, .hd = 32, .N = 320, .x = TYPE_bf16, .w = TYPE_bf16},
};

typedef struct {
    Kit *k;
    Graph *g;
    const Shape *s;
    int nk;
    const Dim *T, *K[2];
    Dtype t;
} Ctx;

static Node *number(Ctx *c, double v)
{
    return g_num(c->g, c->t, v);
}

static Node *of_rows(Ctx *c, const char *name, Dtype t)
{
    int n = c->s->D ? c->s->D : c->s->H * c->s->hd;
    return weight(c->k, name, t, 0, c->nk, c->K, noise(c->k, n));
}

static double size_of(const Ctx *c)
{
    return c->s->D ? c->s->D : c->s->H * c->s->hd;
}

static Node *mean(Ctx *c, Node *x)
{
    Node *s = g_along(c->g, OP_sum, x, c->nk, c->K);
    return g_map2(c->g, OP_div, s, number(c, size_of(c)));
}

static Node *rms_norm(Ctx *c, Node *x)
{
    Graph *g = c->g;
    Node *m = g_map2(g, OP_add, mean(c, g_map2(g, OP_mul, x, x)),
                     number(c, 1e-5));
    x = g_map2(g, OP_mul, x, g_map1(g, OP_rsqrt, m));
    return g_map2(g, OP_mul, x, of_rows(c, "scale", c->t));
}

static Node *layer_norm(Ctx *c, Node *x)
{
    x = g_map2(c->g, OP_sub, x, mean(c, x));
    return g_map2(c->g, OP_add, rms_norm(c, x), of_rows(c, "bias", c->t));
}

static Node *row_softmax(Ctx *c, Node *x)
{
    return g_along(c->g, OP_softmax, x, c->nk, c->K);
}

static Node *activation(Ctx *c, Node *x)
{
    return g_map1(c->g, OP_silu, g_map2(c->g, OP_add, x, x));
}

typedef Node *(*Rows)(Ctx *c, Node *x);
static const Rows rows[] = {rms_norm, layer_norm, row_softmax, activation};

static Node *columns(Ctx *c, Node *x, const char *name, int n)
{
    const Dim *d[3] = {dim(name, n), c->K[0], c->K[1]};
    int64_t count = (int64_t)n * (int64_t)size_of(c);
    Node *w = weight(c->k, name, c->s->w, 0, 1 + c->nk, d,
                     noise(c->k, count));
    return g_contract(c->g, x, w, c->nk, c->K);
}

/* Outputs y, z and, if `stored`, the rows. */
static Kit *graph(const Shape *s, Rows of, bool stored)
{
    enum { MOST = 300 };
    Ctx c = {.k = kit_new(MOST), .s = s, .t = s->x};
    c.g = c.k->g;
    c.T = dim_new("T", size_sym("T"));
    c.K[0] = s->D ? dim("D", s->D) : dim("H", s->H);
    c.K[1] = s->D ? NULL : dim("hd", s->hd);
    c.nk = s->D ? 1 : 2;
    const Dim *d[] = {c.T, c.K[0], c.K[1]};
    Type t = type_of(s->x, 1 + c.nk, d);
    double *at = noise(c.k, type_count(&t, MOST));
    Node *x = of(&c, given_type(c.k, "x", t, at));
    graph_output(c.g, "y", columns(&c, x, "N", s->N));
    if (s->M)
        graph_output(c.g, "z", columns(&c, x, "M", s->M));
    if (stored)
        graph_output(c.g, "x", x);
    return c.k;
}

static int maps(const Bench *b)
{
    int n = 0;
    const Plan *p = program_plan(b->p);
    for (int i = 0; i < p->kernel.n; i++)
        n += p->kernel.at[i]->skeleton == SKEL_map;
    return n;
}

/* `more`: maps of the kernels apart, beside those of both. */
static void check_kits(Kit *fused, Kit *apart, const Target *t, int64_t T,
                       double bound, int more)
{
    CpuOptions o = {.target = t, .cache = kit_cache(), .threads = 2};
    Bench *a = bench_new(fused, &o, false);
    o.threads = 1;
    Bench *b = bench_new(apart, &o, true);
    assert_int_equal(maps(a) + more, maps(b));
    bench_run(a, NULL, T, false);
    bench_run(b, NULL, T, true);
    same_bits(a, b, T);
    near_interp(a, T, bound);
    bench_free(a);
    bench_free(b);
    kit_free(fused);
    kit_free(apart);
}

static void check(const Shape *s, Rows of, const Target *t, int64_t T)
{
    check_kits(graph(s, of, false), graph(s, of, true), t, T,
               s->x == TYPE_f32 ? 2e-4 : 3e-2, 1);
}

static void some(const Target *t, size_t step)
{
    static const int64_t tokens[] = {1, 2, 7, 53, 300};
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (size_t j = i % step; j < COUNT(rows); j += step)
            check(&shapes[i], rows[j], t, tokens[(i + j) % COUNT(tokens)]);
}

static void rows_on_load(void **state)
{
    (void)state;
    some(target_measured(), 1);
}

static void rows_on_load_by_plain_vectors(void **state)
{
    (void)state;
    some(target_generic(), 2);
}

/* ---- rope ---- */

typedef struct {
    int H, hd;
    Rope rope;
    bool bias;
    Dtype t;
} Turned;

static const Turned turned[] = {
    {3, 64, {.theta = 1e4, .rotary = 64}, false, TYPE_f32},
    {2, 32, {.theta = 1e4, .rotary = 32}, true, TYPE_bf16},
    {5, 96, {.theta = 500, .rotary = 96}, true, TYPE_f32},
    {1, 128, {.theta = 1e4, .rotary = 128}, false, TYPE_bf16},
    {3, 40, {.theta = 1e4, .rotary = 40}, true, TYPE_f32},
    {2, 64, {.theta = 1e4, .rotary = 32}, false, TYPE_f32},
    {2, 10, {.theta = 1e4, .rotary = 6}, true, TYPE_bf16},
};

static Kit *rope_graph(const Turned *s, bool stored)
{
    enum { MOST = 100, D = 40 };
    Kit *k = kit_new(MOST);
    const Dim *T = dim_new("T", size_sym("T")), *K = dim("D", D);
    const Dim *H = dim("H", s->H), *hd = dim("hd", s->hd);
    int N = s->H * s->hd;
    Node *x = given_type(k, "x", type_of(s->t, 2, (const Dim *[]){T, K}),
                         noise(k, MOST * D));
    Node *q = g_contract(k->g, x, weight(k, "q", s->t, 0, 3,
                                         (const Dim *[]){H, hd, K},
                                         noise(k, N * D)), 1, &K);
    Node *v = g_contract(k->g, x, weight(k, "v", s->t, 0, 3,
                                         (const Dim *[]){H, hd, K},
                                         noise(k, N * D)), 1, &K);
    if (s->bias)
        q = g_map2(k->g, OP_add, q, weight(k, "bias", s->t, 0, 2,
                                           (const Dim *[]){H, hd},
                                           noise(k, N)));
    Node *y = graph_add(k->g, (Node){.op = OP_rope, .arg = {q},
                                     .rope = &s->rope});
    graph_output(k->g, "y", y);
    graph_output(k->g, "v", v);
    if (stored)
        graph_output(k->g, "q", q);
    return k;
}

static void rope_behind_sums(void **state)
{
    (void)state;
    const Target *target[] = {target_measured(), target_generic()};
    for (size_t i = 0; i < COUNT(turned); i++)
        for (size_t j = 0; j < 2; j++) {
            const Turned *s = &turned[i];
            int64_t T = i % 2 ? 100 : 1 + 6 * (int64_t)j;
            bool fits = s->rope.rotary == s->hd &&
                        s->hd / 2 % (target[j]->width / 4) == 0;
            check_kits(rope_graph(s, false), rope_graph(s, true), target[j], T,
                       s->t == TYPE_f32 ? 2e-4 : 3e-2, fits);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_on_load),
        cmocka_unit_test(rows_on_load_by_plain_vectors),
        cmocka_unit_test(rope_behind_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
