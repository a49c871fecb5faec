/* Matmuls of two values (SKEL_pack and the panels it makes), against the
 * interpreter: K known or of the tokens, odd sizes, one token, guard pages. */
#include "tests/program_kit.h"

enum { MOST = 2100 };

typedef struct {
    Kit *k;
    Graph *g;
    const Dim *T;
} Ctx;

static Ctx begin(void)
{
    Kit *k = kit_new(MOST);
    return (Ctx){k, k->g, dim_new("T", size_sym("T"))};
}

static Node *in(Ctx *c, const char *name, Dtype t, int rank,
                const Dim *const *dims)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= size_at(dims[i]->size, MOST);
    double *at = noise(c->k, n);
    for (int64_t i = 0; i < n; i++) {
        uint64_t cell = 0;
        type_store(t, &cell, 0, at[i]);
        at[i] = type_load(t, &cell, 0);
    }
    return given_type(c->k, name, type_of(t, rank, dims), at);
}

static void has_pack(Kit *k, int want)
{
    CpuOptions o = {.cache = kit_cache()};
    Bench *b = bench_new(k, &o, false);
    const Plan *p = program_plan(b->p);
    int n = 0;
    for (int i = 0; i < p->kernel.n; i++)
        n += p->kernel.at[i]->skeleton == SKEL_pack;
    if (n != want) {
        program_print(b->p, TEXT_kernels, stderr);
        fail_msg("%d values are packed, not %d", n, want);
    }
    bench_free(b);
}

static double near_for(Dtype t)
{
    return t == TYPE_f32 ? 2e-5 : 0.02;
}

/* The gradient of a weight: y[F, T] @ x[D, T], summed over the tokens. */
static void of_tokens(int F, int D, Dtype t, bool y_turned, bool turned)
{
    Ctx c = begin();
    const Dim *dF = dim("F", F), *dD = dim("D", D);
    Node *y = y_turned ? in(&c, "y", t, DIMS(c.T, dF))
                       : in(&c, "y", t, DIMS(dF, c.T));
    Node *x = turned ? in(&c, "x", t, DIMS(c.T, dD))
                     : in(&c, "x", t, DIMS(dD, c.T));
    graph_output(c.g, "out", g_contract(c.g, y, x, 1, &c.T));
    has_pack(c.k, F >= 8 && D >= 8);
    AGREE(c.k, near_for(t), 1, 2, 31, 33, 1023, 1025, MOST);
    kit_free(c.k);
}

static void sums_over_tokens(void **state)
{
    (void)state;
    of_tokens(48, 33, TYPE_f32, false, false);
    of_tokens(9, 64, TYPE_f32, false, true);
    of_tokens(33, 19, TYPE_f32, true, true);
    of_tokens(33, 19, TYPE_bf16, true, false);
    of_tokens(130, 17, TYPE_bf16, false, false);
    of_tokens(8, 8, TYPE_bf16, false, true);
    of_tokens(21, 40, TYPE_f16, true, true);
    of_tokens(7, 40, TYPE_f32, true, true);
}

/* Sums in f32 of bf16 that was widened: read as it is in memory. */
static void widened(void **state)
{
    (void)state;
    for (int f16 = 0; f16 < 2; f16++) {
        Ctx c = begin();
        Dtype t = f16 ? TYPE_f16 : TYPE_bf16;
        const Dim *F = dim("F", 45), *D = dim("D", 33);
        Node *y = in(&c, "y", t, DIMS(c.T, F)), *x = in(&c, "x", t,
                                                        DIMS(c.T, D));
        graph_output(c.g, "out", g_contract(c.g, g_cast(c.g, TYPE_f32, y), x,
                                            1, &c.T));
        has_pack(c.k, 1);
        AGREE(c.k, 1e-4, 1, 2, 31, 1025);
        kit_free(c.k);
    }
}

/* K is known, rows are tokens; what follows is computed behind the sums. */
static void of_values(int N, int K, Dtype t, bool turned)
{
    Ctx c = begin();
    const Dim *dN = dim("N", N), *dK = dim("K", K);
    Node *x = in(&c, "x", t, DIMS(c.T, dK));
    Node *b = turned ? in(&c, "b", t, DIMS(dK, dN))
                     : in(&c, "b", t, DIMS(dN, dK));
    Node *z = in(&c, "z", t, DIMS(c.T, dN));
    Node *p = g_contract(c.g, x, b, 1, &dK);
    p = g_map2(c.g, OP_mul, g_map1(c.g, OP_silu, p), z);
    graph_output(c.g, "out", g_map2(c.g, OP_add, p, z));
    has_pack(c.k, N >= 8 && K >= 8);
    AGREE(c.k, near_for(t), 1, 2, 13, 41, 200);
    kit_free(c.k);
}

static void sums_of_values(void **state)
{
    (void)state;
    of_values(33, 70, TYPE_f32, false);
    of_values(64, 31, TYPE_f32, true);
    of_values(50, 49, TYPE_bf16, false);
    of_values(17, 33, TYPE_bf16, true);
    of_values(40, 24, TYPE_f16, false);
    of_values(40, 5, TYPE_f32, false);
}

/* Two dims are summed, and two are columns. */
static void several_dims(void **state)
{
    (void)state;
    Ctx c = begin();
    const Dim *A = dim("A", 3), *B = dim("B", 5), *C = dim("C", 7),
              *M = dim("M", 11);
    Node *y = in(&c, "y", TYPE_f32, DIMS(M, c.T, A));
    Node *x = in(&c, "x", TYPE_f32, DIMS(c.T, B, A, C));
    const Dim *sum[] = {c.T, A};
    graph_output(c.g, "out", g_contract(c.g, y, x, 2, sum));
    has_pack(c.k, 1);
    AGREE(c.k, 1e-4, 1, 2, 13, 350, MOST);
    kit_free(c.k);
}

/* A dim both have is matched up. */
static void batches(void **state)
{
    (void)state;
    Ctx c = begin();
    const Dim *H = dim("H", 9), *N = dim("N", 19), *K = dim("K", 37);
    Node *y = in(&c, "y", TYPE_f32, DIMS(c.T, H, K));
    Node *x = in(&c, "x", TYPE_f32, DIMS(H, N, K));
    graph_output(c.g, "out", g_contract(c.g, y, x, 1, &K));
    has_pack(c.k, 1);
    AGREE(c.k, 2e-5, 1, 2, 13, 100);
    kit_free(c.k);
}

/* A computed weight, and two products of it. */
static void computed(void **state)
{
    (void)state;
    Ctx c = begin();
    const Dim *N = dim("N", 24), *K = dim("K", 40);
    Node *x = in(&c, "x", TYPE_f32, DIMS(c.T, K));
    Node *a = weight(c.k, "a", TYPE_f32, 0, DIMS(N, K), noise(c.k, 24 * 40));
    Node *b = weight(c.k, "b", TYPE_f32, 0, DIMS(N, K), noise(c.k, 24 * 40));
    Node *w = g_map2(c.g, OP_add, a, g_map1(c.g, OP_tanh, b));
    Node *p = g_contract(c.g, x, w, 1, &K);
    graph_output(c.g, "one", p);
    graph_output(c.g, "two",
                 g_contract(c.g, g_map1(c.g, OP_neg, x), w, 1, &K));
    AGREE(c.k, 2e-5, 1, 2, 13, 100);
    kit_free(c.k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_over_tokens), cmocka_unit_test(sums_of_values),
        cmocka_unit_test(several_dims),     cmocka_unit_test(batches),
        cmocka_unit_test(computed),         cmocka_unit_test(widened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
