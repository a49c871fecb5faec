/* Grouped matmuls: rows that their index sends to an expert's weights, against
 * sums in double: empty experts, all rows to one, one token, odd sizes. */
#include "tests/kernel_kit.h"

typedef struct {
    int T, k, E, D, F;
    Dtype t;
    int only; /* all rows to this expert - 1; 0: at random */
} Case;

static const Case cases[] = {
    {1, 2, 8, 32, 48, TYPE_f32, 0},   {37, 2, 4, 33, 20, TYPE_f32, 0},
    {200, 2, 3, 24, 40, TYPE_f32, 0}, {150, 3, 9, 16, 33, TYPE_bf16, 0},
    {130, 1, 5, 40, 17, TYPE_f32, 4}, {3, 6, 8, 64, 50, TYPE_bf16, 8},
};

typedef struct {
    Kit *kit;
    Rig rig;
    const Case *c;
    double *x, *gate, *up, *down, *index;
} Setup;

static double *numbers(Kit *kit, Dtype t, int64_t n)
{
    double *at = noise(kit, n);
    for (int64_t i = 0; i < n; i++) {
        char raw[8];
        type_store(t, raw, 0, at[i]);
        at[i] = type_load(t, raw, 0);
    }
    return at;
}

static Node *weight(Kit *k, const char *name, Dtype t, const Dim *a,
                    const Dim *b, const Dim *c, const double *at)
{
    Weight *w = arena_alloc(&k->arena, sizeof *w);
    w->path = w->file = intern(name);
    w->type = type_of(t, 3, (const Dim *[]){a, b, c});
    k->in[k->nin].name = w->path;
    k->in[k->nin++].at = at;
    return g_weight(k->g, w);
}

/* y[T, k, D] = (silu(x gate) * (x up)) down, each row with its expert's */
static Setup setup(const Case *c, int threads)
{
    Setup s = {.c = c, .kit = kit_new(c->T)};
    Kit *k = s.kit;
    const Dim *T = dim_new("T", size_sym("T")), *kd = dim("k", c->k);
    const Dim *E = dim("E", c->E), *D = dim("D", c->D), *F = dim("F", c->F);
    int64_t size = (int64_t)c->E * c->D * c->F;
    s.x = numbers(k, c->t, (int64_t)c->T * c->D);
    s.gate = numbers(k, c->t, size);
    s.up = numbers(k, c->t, size);
    s.down = numbers(k, c->t, size);
    s.index = indices(k, c->T * c->k, c->E);
    for (int i = 0; c->only && i < c->T * c->k; i++)
        s.index[i] = c->only - 1;
    Node *x = given_type(k, "x", type_of(c->t, 2, (const Dim *[]){T, D}), s.x);
    Node *i = given_index(k, "i", E, 2, (const Dim *[]){T, kd}, s.index);
    Node *a = weight(k, "gate", c->t, E, F, D, s.gate);
    Node *b = weight(k, "up", c->t, E, F, D, s.up);
    Node *d = weight(k, "down", c->t, E, D, F, s.down);
    a = g_contract(k->g, x, g_gather(k->g, a, E, i), 1, &D);
    b = g_contract(k->g, x, g_gather(k->g, b, E, i), 1, &D);
    Node *h = g_map2(k->g, OP_mul, g_map1(k->g, OP_silu, a), b);
    graph_output(k->g, "h", h);
    graph_output(k->g, "y",
                 g_contract(k->g, h, g_gather(k->g, d, E, i), 1, &F));
    s.rig = rig_new(k, target_measured(), threads);
    rig_load(k, &s.rig, threads & 1);
    return s;
}

static double dot_of(const double *x, const double *w, int n)
{
    double s = 0;
    for (int i = 0; i < n; i++)
        s += x[i] * w[i];
    return s;
}

static void near(double got, double want, double off, int64_t i)
{
    if (!(fabs(got - want) <= off * (1 + fabs(want))))
        fail_msg("element %d is %.9g, not %.9g", (int)i, got, want);
}

static double at_of(const Setup *s, const char *name, int64_t i)
{
    const Buffer *b = rig_result(&s->rig, name);
    return type_load(b->type.dtype, s->rig.at[b->id], i);
}

/* The second product is checked from the h that the first gave. */
static void check(const Setup *s)
{
    const Case *c = s->c;
    double off = c->t == TYPE_bf16 ? 0.04 : 4e-5;
    for (int r = 0; r < c->T * c->k; r++) {
        const double *x = s->x + r / c->k * c->D;
        int64_t from = (int64_t)s->index[r] * c->D * c->F;
        double h[256];
        for (int f = 0; f < c->F; f++) {
            double g = dot_of(x, s->gate + from + f * c->D, c->D);
            double u = dot_of(x, s->up + from + f * c->D, c->D);
            h[f] = at_of(s, "h", (int64_t)r * c->F + f);
            near(h[f], g / (1 + exp(-g)) * u, off, r);
        }
        for (int d = 0; d < c->D; d++)
            near(at_of(s, "y", (int64_t)r * c->D + d),
                 dot_of(h, s->down + from + d * c->F, c->F), off, r);
    }
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        Setup s = setup(&cases[i], 1 + (int)(i & 1));
        rig_run(&s.rig, i & 1);
        check(&s);
        rig_free(&s.rig);
        kit_free(s.kit);
    }
}

/* One token alone has the bits it has among others. */
static void test_bits(void **state)
{
    (void)state;
    for (size_t i = 1; i < 4; i++) {
        const Case *c = &cases[i];
        Setup s = setup(c, 2);
        const Buffer *y = rig_result(&s.rig, "y");
        size_t row = (size_t)type_bytes(y->type.dtype, c->k * c->D);
        rig_run(&s.rig, false);
        char *all = xmalloc(row * (size_t)c->T);
        memcpy(all, s.rig.at[y->id], row * (size_t)c->T);
        s.rig.run[0] = 1;
        s.rig.run[RUN_threads] = 1;
        for (int b = 0; b < s.rig.plan->buffer.n; b++) {
            const Buffer *in = s.rig.plan->buffer.at[b];
            if (in->kind == BUF_input)
                s.rig.at[b] = (char *)s.rig.at[b] +
                              (c->T - 1) * type_bytes(in->type.dtype,
                                                      type_count(&in->type, 1));
        }
        rig_run(&s.rig, false);
        assert_memory_equal(s.rig.at[y->id],
                            all + row * (size_t)(c->T - 1), row);
        free(all);
        rig_free(&s.rig);
        kit_free(s.kit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
