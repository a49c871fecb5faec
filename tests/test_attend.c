/* Attention kernels against plain sums: grouped heads, windows, packed
 * sequences, every type, steps that follow one another over one cache. */
#include "tests/kernel_kit.h"

typedef struct {
    int T, H, G, hd, window;
    Dtype t;
    int cuts[4]; /* where further sequences begin; 0: no more */
    int vd;      /* size of a value; 0: hd */
    int chunk;
    double cap;
    Op op;  /* 0: attend */
    int far; /* attend_bias: columns */
} Case;

static const Case cases[] = {
    {1, 1, 1, 16, 0, TYPE_f32, {0}, 0, 0, 0, 0, 0},
    {5, 4, 2, 20, 0, TYPE_f32, {0}, 0, 0, 0, 0, 0},
    {37, 6, 2, 64, 0, TYPE_f32, {0}, 0, 0, 0, 0, 0},
    {70, 3, 3, 33, 0, TYPE_f32, {0}, 0, 0, 0, 0, 0},
    {100, 4, 1, 48, 7, TYPE_f32, {0}, 0, 0, 0, 0, 0},
    {90, 4, 2, 32, 40, TYPE_bf16, {0}, 0, 0, 0, 0, 0},
    {65, 9, 3, 64, 0, TYPE_bf16, {0}, 0, 0, 0, 0, 0},
    {50, 4, 2, 8, 0, TYPE_f16, {0}, 0, 0, 0, 0, 0},
    {81, 4, 2, 64, 0, TYPE_f32, {3, 4, 40}, 0, 0, 0, 0, 0},
    {20, 64, 1, 8, 0, TYPE_f32, {9}, 0, 0, 0, 0, 0},
    {70, 4, 2, 24, 0, TYPE_f32, {0}, 16, 0, 0, 0, 0},
    {45, 4, 4, 20, 0, TYPE_bf16, {0}, 52, 0, 0, 0, 0},
    {70, 4, 2, 16, 0, TYPE_f32, {0}, 0, 16, 0, 0, 0},
    {50, 4, 2, 16, 0, TYPE_f32, {7, 30}, 0, 5, 0, 0, 0},
    {60, 4, 2, 16, 0, TYPE_f32, {0}, 0, 0, 1.5, 0, 0},
    {40, 4, 1, 32, 9, TYPE_bf16, {0}, 0, 0, 30, 0, 0},
    {70, 4, 2, 16, 0, TYPE_f32, {0}, 0, 0, 0, OP_attend_sink, 0},
    {66, 6, 2, 24, 5, TYPE_f32, {20}, 8, 0, 0, OP_attend_sink, 0},
    {90, 4, 2, 16, 0, TYPE_f32, {0}, 0, 0, 0, OP_attend_slope, 0},
    {60, 4, 2, 16, 0, TYPE_bf16, {11}, 0, 0, 2, OP_attend_slope, 0},
    {80, 4, 2, 16, 0, TYPE_f32, {0}, 0, 0, 0, OP_attend_bias, 7},
    {50, 4, 4, 40, 0, TYPE_f32, {13}, 0, 0, 0, OP_attend_bias, 100},
};

typedef struct {
    Kit *kit;
    Rig rig;
    const Case *c;
    double *q, *k, *v, *more;
    int vd;
    int32_t *pos;
    const Buffer *out;
} Setup;

static double *numbers(Kit *kit, Dtype t, int64_t n)
{
    double *at = noise(kit, n);
    for (int64_t i = 0; i < n; i++) {
        char raw[8];
        type_store(t, raw, 0, 3 * at[i]);
        at[i] = type_load(t, raw, 0);
    }
    return at;
}

static int32_t *positions(Kit *kit, const Case *c)
{
    int32_t *pos = arena_alloc(&kit->arena, (size_t)c->T * 4);
    for (int t = 0, cut = 0, p = 0; t < c->T; t++, p++) {
        if (cut < 4 && c->cuts[cut] && c->cuts[cut] == t) {
            cut++;
            p = 0;
        }
        pos[t] = p;
    }
    return pos;
}

/* The fourth argument: a number a head, or one for each step back. */
static void add_more(Setup *s, const Dim *H, Node *n)
{
    const Case *c = s->c;
    const Dim *R = dim("R", c->far ? c->far : 1);
    const Dim *dims[] = {H, R};
    n->op = c->op;
    s->more = numbers(s->kit, TYPE_f32, c->H * (c->far ? c->far : 1));
    for (int i = 0; c->op == OP_attend_slope && i < c->H; i++)
        s->more[i] = fabs(s->more[i]) / 16; /* as ALiBi has them */
    n->arg[3] = given_type(s->kit, "more",
                           type_of(TYPE_f32, c->far ? 2 : 1, dims), s->more);
}

static Setup setup(const Case *c, const Target *target, int threads)
{
    Setup s = {.c = c, .kit = kit_new(c->T), .vd = c->vd ? c->vd : c->hd};
    const Dim *T = dim_new("T", size_sym("T")), *H = dim("H", c->H);
    const Dim *G = dim("G", c->G), *hd = dim("hd", c->hd),
              *vd = c->vd ? dim("vd", c->vd) : hd;
    int64_t row = (int64_t)c->G * c->hd;
    s.q = numbers(s.kit, c->t, (int64_t)c->T * c->H * c->hd);
    s.k = numbers(s.kit, c->t, c->T * row);
    s.v = numbers(s.kit, c->t, (int64_t)c->T * c->G * s.vd);
    s.kit->env.pos = s.pos = positions(s.kit, c);
    Node n = {.op = OP_attend};
    n.arg[0] = given_type(s.kit, "q",
                          type_of(c->t, 3, (const Dim *[]){T, H, hd}), s.q);
    n.arg[1] = given_type(s.kit, "k",
                          type_of(c->t, 3, (const Dim *[]){T, G, hd}), s.k);
    n.arg[2] = given_type(s.kit, "v",
                          type_of(c->t, 3, (const Dim *[]){T, G, vd}), s.v);
    if (c->op)
        add_more(&s, H, &n);
    n.num = c->cap;
    if (c->chunk)
        n.size = size_num(c->chunk), n.name = intern("chunk");
    if (c->window)
        n.size = size_num(c->window);
    graph_output(s.kit->g, "y", graph_add(s.kit->g, n));
    s.rig = rig_new(s.kit, target, threads);
    rig_load(s.kit, &s.rig, threads & 1);
    s.out = rig_result(&s.rig, "y");
    return s;
}

static void done(Setup *s)
{
    rig_free(&s->rig);
    kit_free(s->kit);
}

static double score(const Setup *s, int t, int h, int u)
{
    const Case *c = s->c;
    const double *q = s->q + (t * c->H + h) * c->hd;
    const double *k = s->k + (u * c->G + h / (c->H / c->G)) * c->hd;
    double sum = 0;
    for (int d = 0; d < c->hd; d++)
        sum += q[d] * k[d];
    sum /= sqrt(c->hd);
    if (c->cap > 0)
        sum = c->cap * tanh(sum / c->cap);
    if (c->op == OP_attend_slope)
        sum -= s->more[h] * (t - u);
    if (c->op == OP_attend_bias)
        sum += s->more[h * c->far + (t - u < c->far ? t - u : c->far - 1)];
    return sum;
}

/* out[hd] of token t and head h */
static void expected(const Setup *s, int t, int h, double *out)
{
    const Case *c = s->c;
    int from = t - s->pos[t], g = h / (c->H / c->G);
    double most = -INFINITY, l = 0;
    if (c->window && from < t - c->window + 1)
        from = t - c->window + 1;
    if (c->chunk)
        from = t - s->pos[t] % c->chunk;
    memset(out, 0, (size_t)s->vd * sizeof *out);
    if (c->op == OP_attend_sink)
        most = s->more[h];
    for (int u = from; u <= t; u++)
        most = fmax(most, score(s, t, h, u));
    if (c->op == OP_attend_sink)
        l = exp(s->more[h] - most);
    for (int u = from; u <= t; u++) {
        double p = exp(score(s, t, h, u) - most);
        l += p;
        for (int d = 0; d < s->vd; d++)
            out[d] += p * s->v[(u * c->G + g) * s->vd + d];
    }
    for (int d = 0; d < s->vd; d++)
        out[d] /= l;
}

static void check(const Setup *s)
{
    const Case *c = s->c;
    double want[256];
    double part = c->t == TYPE_bf16  ? 0x1p-8
                  : c->t == TYPE_f16 ? 0x1p-10
                                     : 4e-6;
    for (int t = 0; t < c->T; t++)
        for (int h = 0; h < c->H; h++) {
            expected(s, t, h, want);
            for (int d = 0; d < s->vd; d++) {
                int64_t i = (int64_t)(t * c->H + h) * s->vd + d;
                double got = type_load(c->t, s->rig.at[s->out->id], i);
                if (!(fabs(got - want[d]) <= part * (1 + fabs(want[d]))))
                    fail_msg("token %d head %d element %d: %.9g, not %.9g", t,
                             h, d, got, want[d]);
            }
        }
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        Setup s = setup(&cases[i], target_measured(), 1 + (int)(i & 1));
        rig_run(&s.rig, i & 1);
        check(&s);
        done(&s);
    }
}

static void test_generic(void **state)
{
    (void)state;
    for (size_t i = 1; i < COUNT(cases); i += 4) {
        Setup s = setup(&cases[i], target_generic(), 2);
        rig_run(&s.rig, false);
        check(&s);
        done(&s);
    }
}

/* Tokens first .. first + n - 1 as a step of their own. */
static void step(Setup *s, int first, int n)
{
    const Case *c = s->c;
    void *was[100];
    int count = s->rig.plan->buffer.n;
    memcpy(was, s->rig.at, (size_t)count * sizeof *was);
    for (int i = 0; i < count; i++) {
        const Buffer *b = s->rig.plan->buffer.at[i];
        int64_t row = b->kind == BUF_pos ? 4 : 0;
        if (b->type.rank == 3) /* q, k, v, y: a token's */
            row = type_bytes(c->t, size_at(b->type.dim[1]->size, 1) *
                                       size_at(b->type.dim[2]->size, 1));
        if (b->kind != BUF_keys && b->kind != BUF_vals)
            s->rig.at[i] = (char *)was[i] + first * row;
    }
    s->rig.run[0] = n;
    s->rig.run[RUN_base] = first;
    rig_run(&s->rig, false);
    memcpy(s->rig.at, was, (size_t)count * sizeof *was);
}

/* In one go, token by token, and in pieces: the same bits, and right. */
static void test_steps(void **state)
{
    static const int pieces[] = {7, 1, 25, 2, 31, 1, 1, 100};
    (void)state;
    for (size_t i = 1; i < COUNT(cases); i++) {
        if (cases[i].cuts[0])
            continue;
        Setup s = setup(&cases[i], target_measured(), 2);
        int T = s.c->T;
        size_t bytes = (size_t)type_bytes(s.c->t, (int64_t)T * s.c->H * s.vd);
        void *y = s.rig.at[s.out->id], *whole = xmalloc(bytes);
        rig_run(&s.rig, false);
        memcpy(whole, y, bytes);
        memset(y, 0, bytes);
        for (int t = 0; t < T; t++)
            step(&s, t, 1);
        assert_memory_equal(y, whole, bytes);
        memset(y, 0, bytes);
        for (int t = 0, p = 0; t < T; t += pieces[p++])
            step(&s, t, pieces[p] < T - t ? pieces[p] : T - t);
        assert_memory_equal(y, whole, bytes);
        check(&s);
        free(whole);
        done(&s);
    }
}

/* A NaN in a value reaches the tokens that see it and their likes only. */
static void test_nan(void **state)
{
    (void)state;
    Case c = {40, 2, 1, 16, 0, TYPE_f32, {0}, 0, 0, 0, 0, 0};
    Setup s = setup(&c, target_measured(), 1);
    for (int i = 0; i < s.rig.plan->buffer.n; i++)
        if (s.rig.plan->buffer.at[i]->node &&
            s.rig.plan->buffer.at[i]->kind == BUF_input &&
            !strcmp(s.rig.plan->buffer.at[i]->node->name, "k"))
            ((float *)s.rig.at[i])[35 * 16 + 3] = NAN;
    rig_run(&s.rig, false);
    const float *y = s.rig.at[s.out->id];
    for (int t = 0; t < 40; t++)
        assert_int_equal(isnan(y[t * 32]) != 0, t >= 35);
    done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_generic),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
