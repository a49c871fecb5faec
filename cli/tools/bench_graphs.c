/* The layers that graft bench measures, as graphs, with random weights: the
 * speed of multipliers depends on what they multiply. Which experts a token
 * picks is in its input: a router gives the first elements of x as they are. */
#include "cli/tools/bench.h"
#include <math.h>
#include <string.h>

const char *const routing_names[3] = {"uniform", "zipf", "one"};

const Layer bench_layers[LAYER_COUNT] = {
    [LAYER_matmul] = {"matmul", false, 0, 0},
    [LAYER_xft] = {"xft", true, 7, 5},
    [LAYER_mixtral] = {"mixtral", false, 8, 6},
    [LAYER_top1] = {"top-1", false, 8, 1},
};

static Type type_of(Dtype t, int n, const Dim *const *d)
{
    Type type = {.dtype = t, .rank = n};
    for (int i = 0; i < n; i++)
        type.dim[i] = d[i];
    return type;
}
#define DIMS(...) \
    (int)COUNT(((const Dim *[]){__VA_ARGS__})), (const Dim *[]){__VA_ARGS__}

static Node *weight(Graph *g, const char *name, int stacked, Dtype t, int n,
                    const Dim *const *d)
{
    Weight *w = arena_alloc(g->arena, sizeof *w);
    *w = (Weight){.path = intern(name), .file = intern(name),
                  .stacked = stacked, .type = type_of(t, n, d)};
    return g_weight(g, w);
}

static Node *input(Graph *g, Dtype t, const Dim *T, const Dim *D)
{
    return graph_add(g, (Node){.op = OP_input, .name = intern("x"),
                               .type = type_of(t, DIMS(T, D))});
}

static Graph *matmul(Arena *a, Dtype t, int K, int N)
{
    Graph *g = graph_new(a, "matmul");
    const Dim *T = dim_new("T", size_sym("T")), *k = dim_new("K", size_num(K));
    Node *w = weight(g, "w", 0, t, DIMS(dim_new("N", size_num(N)), k));
    graph_output(g, "y", g_contract(g, input(g, t, T, k), w, 1, &k));
    return g;
}

/* ---- layers ---- */

typedef struct {
    Graph *g;
    Dtype t;
    const Dim *T, *D, *F, *E, *k;
} Moe;

static Node *swiglu(Moe *l, Node *x, Node *i)
{
    Graph *g = l->g;
    const Dim *up[] = {l->E, l->F, l->D}, *down[] = {l->E, l->D, l->F};
    static const char *const name[2][3] = {{"gate", "up", "down"},
                                           {"e.gate", "e.up", "e.down"}};
    Node *w[3];
    for (int j = 0; j < 3; j++) {
        const Dim **d = j == 2 ? down : up;
        w[j] = weight(g, name[i != NULL][j], i != NULL, l->t, 2 + (i != NULL),
                      d + (i == NULL));
        if (i)
            w[j] = g_gather(g, w[j], l->E, i);
    }
    Node *h = g_map1(g, OP_silu, g_contract(g, x, w[0], 1, &l->D));
    h = g_map2(g, OP_mul, h, g_contract(g, x, w[1], 1, &l->D));
    return g_contract(g, h, w[2], 1, &l->F);
}

/* (1 - max) shared + sum of softmax * max: XFT's weights. */
static Node *xft_sum(Moe *l, Node *x, Node *a, Node *experts)
{
    Graph *g = l->g;
    Node *top = g_along(g, OP_max, a, 1, &l->k);
    Node *w = g_map2(g, OP_mul, g_along(g, OP_softmax, a, 1, &l->k), top);
    Node *rest = g_map2(g, OP_sub, g_num(g, TYPE_f32, 1), top);
    return g_map2(g, OP_add, g_map2(g, OP_mul, rest, swiglu(l, x, NULL)),
                  g_along(g, OP_sum, g_map2(g, OP_mul, w, experts), 1, &l->k));
}

static Node *mixtral_sum(Moe *l, Node *a, Node *experts)
{
    Graph *g = l->g;
    Node *w = g_map2(g, OP_div, a, g_along(g, OP_sum, a, 1, &l->k));
    return g_along(g, OP_sum, g_map2(g, OP_mul, w, experts), 1, &l->k);
}

static Graph *moe(Arena *a, const Layer *layer, Dtype t, int D, int F)
{
    Graph *g = graph_new(a, layer->name);
    Moe l = {g, t, dim_new("T", size_sym("T")), dim_new("D", size_num(D)),
             dim_new("F", size_num(F)), dim_new("E", size_num(layer->experts)),
             dim_new("k", size_num(layer->active))};
    Node *x = input(g, t, l.T, l.D);
    Node *router = weight(g, "steer", 0, t, DIMS(l.E, l.D));
    Node *s = g_cast(g, TYPE_f32, g_contract(g, x, router, 1, &l.D));
    s = g_along(g, OP_softmax, s, 1, &l.E);
    Node *i = graph_add(g, (Node){.op = OP_topk, .arg = {s}, .ndim = 2,
                                  .dim = {l.E, l.k}});
    Node *picked = g_gather(g, s, l.E, i), *e = swiglu(&l, x, i);
    Node *y = layer->shared ? xft_sum(&l, x, picked, e)
                            : mixtral_sum(&l, picked, e);
    graph_output(g, "y", g_cast(g, t, y));
    return g;
}

Graph *bench_graph(Arena *a, const Layer *l, Dtype t, int D, int F)
{
    return l->experts ? moe(a, l, t, D, F) : matmul(a, t, D, F);
}

/* ---- random numbers, small as trained weights are ---- */

static float noise(uint64_t i)
{
    uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return (float)(int32_t)(x >> 32) * 0x1p-36f;
}

static void put(Dtype t, void *out, int64_t i, float v)
{
    if (t == TYPE_f32)
        ((float *)out)[i] = v;
    else
        ((uint16_t *)out)[i] = bf16_of_f32(v);
}

/* A row of the router for each expert, one where its number is. */
static void fill_router(const Weight *w, int64_t first, int64_t count, Dtype to,
                        void *out)
{
    int64_t D = size_at(w->type.dim[1]->size, 1);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = first + i;
        put(to, out, i, at / D == at % D ? 1 : 0);
    }
}

static bool read(void *user, const Weight *w, int64_t index, int64_t first,
                 int64_t count, Dtype to, void *out, Err *err)
{
    uint64_t seed = hash_bytes((uint64_t)index, w->path, strlen(w->path));
    (void)user, (void)err;
    if (w->path == intern("steer"))
        fill_router(w, first, count, to, out);
    else
        for (int64_t i = 0; i < count; i++)
            put(to, out, i, noise(seed + (uint64_t)(first + i)));
    return true;
}

WeightSource bench_noise(void)
{
    return (WeightSource){.read = read};
}

/* The largest of log p + Gumbel's noise are draws by p, none twice. */
static float logit(Routing how, int64_t expert, float uniform)
{
    if (how == ROUTING_one)
        return (float)(-8 * expert);
    float gumbel = -logf(-logf(fminf(fmaxf(uniform, 1e-6f), 1 - 1e-6f)));
    return gumbel - (how == ROUTING_zipf ? logf((float)(expert + 1)) : 0);
}

void bench_fill(Dtype t, void *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        put(t, out, i, 32 * noise(7 + (uint64_t)i));
}

void bench_input(const Layer *l, Routing how, Dtype t, int64_t T, int64_t D,
                 void *out)
{
    bench_fill(t, out, T * D);
    for (int64_t i = 0; i < T; i++)
        for (int64_t e = 0; e < l->experts; e++) {
            float u = 0.5f + 16 * noise(7 + (uint64_t)(i * D + e));
            put(t, out, i * D + e, logit(how, e, u));
        }
}
