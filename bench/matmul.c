/* bench_matmul: y[T, N] = x[T, K] w[N, K] through a compiled program, beside
 * what the machine reaches in the same run.
 *     bench_matmul [K N [f32|bf16 [THREADS]]] */
#include "codegen/codegen.h"
#include <math.h>
#include <string.h>
#include <time.h>

static const int64_t tokens[] = {1, 2, 4, 8, 16, 64, 128, 512, 2048};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Noise: the speed of multipliers depends on what they multiply. */
static float value(uint64_t i)
{
    uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    return (float)(int32_t)(x * 0xbf58476d1ce4e5b9u >> 32) * 0x1p-31f;
}

static bool read_noise(void *user, const Weight *w, int64_t index,
                       int64_t first, int64_t count, Dtype to, void *out,
                       Err *err)
{
    (void)user, (void)w, (void)index, (void)err;
    for (int64_t i = 0; i < count; i++)
        if (to == TYPE_f32)
            ((float *)out)[i] = value((uint64_t)(first + i));
        else
            ((uint16_t *)out)[i] = bf16_of_f32(value((uint64_t)(first + i)));
    return true;
}

static Graph *matmul(Arena *a, Dtype t, int64_t K, int64_t N)
{
    Graph *g = graph_new(a, "matmul");
    const Dim *T = dim_new("T", size_sym("T"));
    const Dim *k = dim_new("K", size_num((double)K));
    const Dim *n = dim_new("N", size_num((double)N));
    Node x = {.op = OP_input, .name = intern("x"),
              .type = {.dtype = t, .rank = 2, .dim = {T, k}}};
    Weight *w = arena_alloc(a, sizeof *w);
    *w = (Weight){.path = "w", .file = "w",
                  .type = {.dtype = t, .rank = 2, .dim = {n, k}}};
    graph_output(g, "y", g_contract(g, graph_add(g, x), g_weight(g, w), 1, &k));
    return g;
}

static double best_of(Program *p, int64_t T, const Column *x, const Column *y,
                      const int32_t *pos)
{
    double best = INFINITY;
    Err err;
    for (int i = 0; i < (T > 256 ? 4 : 12); i++) {
        double start = now();
        if (!program_run(p, NULL, T, pos, x, 1, y, 1, &err))
            die("%s", err.text);
        best = fmin(best, now() - start);
    }
    return best;
}

int main(int argc, char **argv)
{
    int64_t K = argc > 2 ? atoll(argv[1]) : 2048;
    int64_t N = argc > 2 ? atoll(argv[2]) : 22016, most = tokens[8];
    Dtype t = argc > 3 && !strcmp(argv[3], "f32") ? TYPE_f32 : TYPE_bf16;
    int threads = argc > 4 ? atoi(argv[4]) : 2;
    Arena a = {0};
    Err err;
    Program *p = cpu_compile(matmul(&a, t, K, N),
                             &(CpuOptions){.threads = threads}, &err);
    if (!p || !program_load(p, &(WeightSource){.read = read_noise}, &err))
        die("%s", err.text);
    Peaks peaks = measure_peaks(threads);
    int64_t each = type_bytes(t, 1);
    printf("%d threads: FMA %.0f GF/s, dot %.0f GF/s, read %.1f GB/s\n",
           threads, peaks.fma, peaks.dot, peaks.read);
    printf("%s K %lld N %lld\n", type_info[t].name, (long long)K,
           (long long)N);
    double peak = t == TYPE_bf16 ? fmax(peaks.dot, peaks.fma) : peaks.fma;
    Column x = {"x", t, xmalloc((size_t)(most * K * each))};
    Column y = {"y", t, xmalloc((size_t)(most * N * each))};
    int32_t *pos = xmalloc((size_t)most * sizeof *pos);
    read_noise(NULL, NULL, 0, 0, most * K, t, x.data, &err);
    for (int64_t i = 0; i < most; i++)
        pos[i] = (int32_t)i;
    for (size_t i = 0; i < COUNT(tokens); i++) {
        double s = best_of(p, tokens[i], &x, &y, pos);
        double gf = 2e-9 * (double)(tokens[i] * K * N) / s;
        double gb = 1e-9 * (double)(K * N * each) / s;
        printf("T %5lld %9.3f ms %7.1f GF/s %3.0f%% %6.1f GB/s %3.0f%%\n",
               (long long)tokens[i], 1e3 * s, gf, 100 * gf / peak, gb,
               100 * gb / peaks.read);
    }
    program_free(p);
    free(x.data);
    free(y.data);
    free(pos);
    arena_free(&a);
    return 0;
}
