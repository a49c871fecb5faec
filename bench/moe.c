/* bench_moe: a routed layer (softmax router, top k of E experts, SwiGLU) as a
 * compiled program: time, flops and weight bytes for several numbers of tokens,
 * beside what the machine reaches in the same run.
 *     bench_moe [D F E K [f32|bf16 [THREADS]]] */
#include "codegen/codegen.h"
#include <math.h>
#include <string.h>
#include <time.h>

static const int64_t tokens[] = {1, 4, 16, 128, 512, 2048};

typedef struct {
    int64_t D, F, E, K;
    Dtype t;
} Layer;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

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
    uint64_t from = (uint64_t)(index << 32) + (uint64_t)first;
    (void)user, (void)err;
    if (w)
        from += hash_bytes(0, w->path, strlen(w->path)) >> 8;
    for (int64_t i = 0; i < count; i++) {
        float v = value(from + (uint64_t)i) * (w ? 0.05f : 1);
        if (to == TYPE_f32)
            ((float *)out)[i] = v;
        else
            ((uint16_t *)out)[i] = bf16_of_f32(v);
    }
    return true;
}

static Node *weight(Graph *g, Dtype t, const char *name, int stacked, int n,
                    const Dim *const *d)
{
    Weight *w = arena_alloc(g->arena, sizeof *w);
    *w = (Weight){.path = name, .file = name, .stacked = stacked,
                  .type = {.dtype = t, .rank = n}};
    memcpy(w->type.dim, d, (size_t)n * sizeof *d);
    return g_weight(g, w);
}

static const Dim *dim(const char *name, int64_t n)
{
    return dim_new(name, size_num((double)n));
}

/* Each choice's share, and which expert it is. */
static Node *route(Graph *g, Node *x, const Layer *l, const Dim *E,
                   const Dim *k, const Dim *D, Node **index)
{
    Node *w = weight(g, l->t, "router", 0, 2, (const Dim *[]){E, D});
    Node *s = g_cast(g, TYPE_f32, g_contract(g, x, w, 1, &D));
    Node top = {.op = OP_topk, .arg = {s}, .ndim = 2, .dim = {E, k}};
    s = g_along(g, OP_softmax, s, 1, &E);
    top.arg[0] = s;
    *index = graph_add(g, top);
    Node *p = g_gather(g, s, E, *index);
    return g_map2(g, OP_div, p, g_along(g, OP_sum, p, 1, &k));
}

static Graph *layer(Arena *a, const Layer *l)
{
    Graph *g = graph_new(a, "moe");
    const Dim *T = dim_new("T", size_sym("T")), *D = dim("D", l->D);
    const Dim *F = dim("F", l->F), *E = dim("E", l->E), *k = dim("k", l->K);
    Node in = {.op = OP_input, .name = intern("x"),
               .type = {.dtype = l->t, .rank = 2, .dim = {T, D}}};
    Node *x = graph_add(g, in), *index;
    Node *share = route(g, x, l, E, k, D, &index);
    const Dim *up_dims[] = {E, F, D}, *down_dims[] = {E, D, F};
    Node *gate = weight(g, l->t, "gate", 1, 3, up_dims);
    Node *up = weight(g, l->t, "up", 1, 3, up_dims);
    Node *down = weight(g, l->t, "down", 1, 3, down_dims);
    gate = g_contract(g, x, g_gather(g, gate, E, index), 1, &D);
    up = g_contract(g, x, g_gather(g, up, E, index), 1, &D);
    Node *h = g_map2(g, OP_mul, g_map1(g, OP_silu, gate), up);
    Node *y = g_contract(g, h, g_gather(g, down, E, index), 1, &F);
    y = g_map2(g, OP_mul, g_cast(g, TYPE_f32, y), share);
    y = g_cast(g, l->t, g_along(g, OP_sum, y, 1, &k));
    graph_output(g, "y", y);
    return g;
}

static double best_of(Program *p, int64_t T, const Column *x, const Column *y,
                      const int32_t *pos)
{
    double best = INFINITY;
    Err err;
    for (int i = 0; i < (T > 256 ? 3 : 10); i++) {
        double start = now();
        if (!program_run(p, NULL, T, pos, x, 1, y, 1, &err))
            die("%s", err.text);
        best = fmin(best, now() - start);
    }
    return best;
}

static void kernels(Program *p)
{
    int n;
    const KernelTime *t = program_times(p, true, &n);
    for (int i = 0; i < n; i++)
        if (getenv("KERNELS") && t[i].seconds > 1e-5)
            printf("    %-28s %9.3f ms in all\n", t[i].kernel,
                   1e3 * t[i].seconds);
}

/* A batch touches all experts, one token K of them. */
static double weight_bytes(const Layer *l, int64_t T)
{
    int64_t experts = T * l->K < l->E ? T * l->K : l->E;
    return (double)(experts * 3 * l->D * l->F * type_bytes(l->t, 1));
}

static void run(Program *p, const Layer *l, const Peaks *peaks)
{
    int64_t most = tokens[COUNT(tokens) - 1], each = type_bytes(l->t, 1);
    Column x = {"x", l->t, xmalloc((size_t)(most * l->D * each))};
    Column y = {"y", l->t, xmalloc((size_t)(most * l->D * each))};
    int32_t *pos = xmalloc((size_t)most * sizeof *pos);
    double peak = l->t == TYPE_bf16 ? fmax(peaks->dot, peaks->fma) : peaks->fma;
    read_noise(NULL, NULL, 0, 0, most * l->D, l->t, x.data, NULL);
    for (int64_t i = 0; i < most; i++)
        pos[i] = (int32_t)i;
    for (size_t i = 0; i < COUNT(tokens); i++) {
        int64_t T = tokens[i];
        double s = best_of(p, T, &x, &y, pos);
        double gf = 6e-9 * (double)(T * l->K * l->D * l->F) / s;
        double gb = 1e-9 * weight_bytes(l, T) / s;
        printf("T %5lld %9.3f ms %7.1f GF/s %3.0f%% %6.1f GB/s %3.0f%%\n",
               (long long)T, 1e3 * s, gf, 100 * gf / peak, gb,
               100 * gb / peaks->read);
        kernels(p);
    }
    free(x.data);
    free(y.data);
    free(pos);
}

int main(int argc, char **argv)
{
    bool sized = argc > 4;
    Layer l = {sized ? atoll(argv[1]) : 2048, sized ? atoll(argv[2]) : 5504,
               sized ? atoll(argv[3]) : 8, sized ? atoll(argv[4]) : 6,
               argc > 5 && !strcmp(argv[5], "f32") ? TYPE_f32 : TYPE_bf16};
    int threads = argc > 6 ? atoi(argv[6]) : 2;
    Arena a = {0};
    Err err;
    Program *p = cpu_compile(layer(&a, &l), &(CpuOptions){.threads = threads},
                             &err);
    if (!p || !program_load(p, &(WeightSource){.read = read_noise}, &err))
        die("%s", err.text);
    Peaks peaks = measure_peaks(threads);
    printf("%d threads: FMA %.0f GF/s, dot %.0f GF/s, read %.1f GB/s\n",
           threads, peaks.fma, peaks.dot, peaks.read);
    printf("D %lld F %lld, %lld of %lld experts, %s\n", (long long)l.D,
           (long long)l.F, (long long)l.K, (long long)l.E,
           type_info[l.t].name);
    run(p, &l, &peaks);
    program_free(p);
    arena_free(&a);
    return 0;
}
