/* Weights read where they lie (CpuOptions.moving): the bits of weights packed
 * once, and other results once they have changed; forward (K last), for dx (K
 * first), grouped, side by side, halves of heads, odd sizes. */
#include "tests/program_kit.h"

enum { MOST = 70 };

typedef struct {
    Kit *k;
    Graph *g;
    const Dim *T;
    Dtype t;
    int n;
    struct {
        const char *name;
        double *at;
        int64_t count;
        Guarded memory;
    } w[8];
} Ctx;

static Ctx begin(Dtype t)
{
    Kit *k = kit_new(MOST);
    return (Ctx){.k = k, .g = k->g, .T = dim_new("T", size_sym("T")), .t = t};
}

static double *rounded(Ctx *c, int64_t n)
{
    double *at = noise(c->k, n);
    for (int64_t i = 0; i < n; i++) {
        uint64_t cell = 0;
        type_store(c->t, &cell, 0, at[i]);
        at[i] = type_load(c->t, &cell, 0);
    }
    return at;
}

static int64_t elements(int rank, const Dim *const *d)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= size_at(d[i]->size, MOST);
    return n;
}

static Node *in(Ctx *c, const char *name, int rank, const Dim *const *d)
{
    return given_type(c->k, name, type_of(c->t, rank, d),
                      rounded(c, elements(rank, d)));
}

static Node *lying(Ctx *c, const char *name, int stacked, int rank,
                   const Dim *const *d)
{
    int64_t n = elements(rank, d);
    double *at = rounded(c, n);
    Guarded memory = guarded_copy(c->t, at, n, false);
    c->w[c->n].name = intern(name);
    c->w[c->n].at = at;
    c->w[c->n].count = n;
    c->w[c->n++].memory = memory;
    return weight(c->k, name, c->t, stacked, rank, d, at);
}

static const void *where_it_lies(void *user, const Weight *w, int64_t index,
                                 Dtype want)
{
    Ctx *c = user;
    assert_int_equal(want, c->t);
    for (int i = 0; i < c->n; i++)
        if (c->w[i].name == w->path)
            return (char *)c->w[i].memory.at +
                   type_bytes(want, index * tensor_size(w));
    fail_msg("no weight %s", w->path);
    return NULL;
}

static bool never(void *user, const Weight *w, int64_t index, int64_t first,
                  int64_t count, Dtype to, void *out, Err *err)
{
    (void)user, (void)index, (void)first, (void)count, (void)to, (void)out;
    return err_set(err, "%s is read", w->path);
}

static void change(Ctx *c)
{
    for (int i = 0; i < c->n; i++)
        for (int64_t j = 0; j < c->w[i].count; j++) {
            c->w[i].at[j] = -c->w[i].at[c->w[i].count - 1 - j] / 2;
            type_store(c->t, c->w[i].memory.at, j, c->w[i].at[j]);
        }
}

static Bench *moving_bench(Ctx *c, const CpuOptions *o)
{
    Err err = {""};
    Bench *b = calloc(1, sizeof *b);
    b->kit = c->k;
    b->g = c->g;
    b->source = calloc(1, sizeof *b->source);
    b->p = cpu_compile(c->g, o, &err);
    if (!b->p)
        fail_msg("%s", err.text);
    WeightSource s = {c, where_it_lies, never, NULL};
    if (!program_load(b->p, &s, &err))
        fail_msg("%s", err.text);
    return b;
}

/* The graph's outputs are set. */
static void check(Ctx *c)
{
    static const int64_t list[] = {1, 2, 17, MOST};
    CpuOptions once = {.cache = kit_cache(), .threads = 2};
    CpuOptions moving = once;
    moving.moving = true;
    ir_verify(c->g, "the test");
    Bench *a = bench_new(c->k, &once, false), *b = moving_bench(c, &moving);
    Bench *read = bench_read(b, &moving);
    if (getenv("SHOW"))
        program_print(b->p, TEXT_kernels, stderr);
    for (size_t i = 0; i < COUNT(list); i++) {
        bench_run(a, NULL, list[i], false);
        bench_run(b, NULL, list[i], false);
        bench_run(read, NULL, list[i], true);
        same_bits(a, b, list[i]);
        same_bits(b, read, list[i]);
    }
    change(c);
    for (size_t i = 0; i < COUNT(list); i++) {
        bench_run(b, NULL, list[i], true);
        near_interp(b, list[i], c->t == TYPE_f32 ? 5e-5 : 0.04);
    }
    bench_free(a);
    bench_free(b);
    bench_free(read);
    for (int i = 0; i < c->n; i++)
        munmap(c->w[i].memory.map, c->w[i].memory.size);
    kit_free(c->k);
}

static void dense(Dtype t, int D, int F)
{
    Ctx c = begin(t);
    const Dim *dD = dim("D", D), *dF = dim("F", F);
    Node *x = in(&c, "x", DIMS(c.T, dD));
    Node *a = g_contract(c.g, x, lying(&c, "gate", 0, DIMS(dF, dD)), 1, &dD);
    Node *b = g_contract(c.g, x, lying(&c, "up", 0, DIMS(dF, dD)), 1, &dD);
    Node *h = g_map2(c.g, OP_mul, g_map1(c.g, OP_silu, a), b);
    Node *y = g_contract(c.g, h, lying(&c, "down", 0, DIMS(dD, dF)), 1, &dF);
    graph_output(c.g, "y", g_map2(c.g, OP_add, x, y));
    check(&c);
}

static void forward(void **state)
{
    (void)state;
    dense(TYPE_f32, 64, 96);
    dense(TYPE_f32, 33, 19);
    dense(TYPE_f32, 1, 3);
    dense(TYPE_bf16, 64, 48);
    dense(TYPE_bf16, 31, 45);
    dense(TYPE_f16, 40, 33);
}

/* dx = dy w: the rows of w are what is summed. */
static void back(Dtype t, int D, int F)
{
    Ctx c = begin(t);
    const Dim *dD = dim("D", D), *dF = dim("F", F);
    Node *g = in(&c, "g", DIMS(c.T, dF));
    Node *w = lying(&c, "w", 0, DIMS(dF, dD));
    graph_output(c.g, "dx", g_contract(c.g, g, w, 1, &dF));
    graph_output(c.g, "again", g_contract(c.g, in(&c, "x", DIMS(c.T, dD)), w,
                                          1, &dD));
    check(&c);
}

static void backward(void **state)
{
    (void)state;
    back(TYPE_f32, 64, 96);
    back(TYPE_f32, 35, 21);
    back(TYPE_bf16, 35, 21);
    back(TYPE_bf16, 48, 64);
    back(TYPE_f16, 17, 9);
}

/* Several dims on each side, in another order than in memory. */
static void several_dims(void **state)
{
    (void)state;
    Ctx c = begin(TYPE_f32);
    const Dim *H = dim("H", 3), *W = dim("hd", 10), *D = dim("D", 21);
    Node *x = in(&c, "x", DIMS(c.T, H, W));
    const Dim *both[] = {H, W};
    graph_output(c.g, "a", g_contract(c.g, x, lying(&c, "a", 0, DIMS(D, H, W)),
                                      2, both));
    graph_output(c.g, "b", g_contract(c.g, x, lying(&c, "b", 0, DIMS(H, D, W)),
                                      2, both));
    graph_output(c.g, "c", g_contract(c.g, in(&c, "z", DIMS(c.T, D)),
                                      lying(&c, "c", 0, DIMS(W, D, H)), 1,
                                      &D));
    check(&c);
}

static void turned(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        Ctx c = begin(i ? TYPE_bf16 : TYPE_f32);
        Rope rope = {.theta = 10000, .rotary = 64};
        const Dim *H = dim("H", 3), *W = dim("hd", 64), *D = dim("D", 21);
        Node *w = lying(&c, "q", 0, DIMS(H, W, D));
        Node n = {.op = OP_rope, .rope = &rope};
        n.arg[0] = g_contract(c.g, in(&c, "x", DIMS(c.T, D)), w, 1, &D);
        graph_output(c.g, "q", graph_add(c.g, n));
        check(&c);
    }
}

static void routed(Dtype t, int stacked, int D, int F)
{
    Ctx c = begin(t);
    const Dim *E = dim("E", 5), *k = dim("k", 2), *dD = dim("D", D),
              *dF = dim("F", F);
    Node *x = in(&c, "x", DIMS(c.T, dD)), *g = in(&c, "g", DIMS(c.T, k, dF));
    Node *i = given_index(c.k, "i", E, DIMS(c.T, k),
                          indices(c.k, 2 * MOST, 4)); /* one is never taken */
    Node *w[2];
    for (int j = 0; j < 2; j++)
        w[j] = g_gather(c.g, lying(&c, j ? "up" : "gate", stacked,
                                   DIMS(E, dF, dD)), E, i);
    Node *a = g_contract(c.g, x, w[0], 1, &dD);
    Node *b = g_contract(c.g, x, w[1], 1, &dD);
    graph_output(c.g, "h", g_map2(c.g, OP_mul, g_map1(c.g, OP_silu, a), b));
    graph_output(c.g, "dx", g_contract(c.g, g, w[0], 1, &dF));
    check(&c);
}

static void experts(void **state)
{
    (void)state;
    routed(TYPE_f32, 0, 33, 20);
    routed(TYPE_f32, 1, 24, 40);
    routed(TYPE_bf16, 1, 16, 33);
    routed(TYPE_bf16, 0, 64, 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward),      cmocka_unit_test(backward),
        cmocka_unit_test(several_dims), cmocka_unit_test(turned),
        cmocka_unit_test(experts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
