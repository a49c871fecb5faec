/* Kernels of training against the interpreter: attention's gradients, gathered
 * weights', the loss at the head, scatters, rounding by chance. Random shapes,
 * one token, several sequences, guard pages, one and two threads. */
#include "compiler/grad/grad.h"
#include "tests/program_kit.h"

enum { MOST = 150 };

typedef struct {
    Kit *k;
    Graph *g;
    const Dim *T;
    uint64_t drawn;
} Ctx;

static Ctx begin(uint64_t seed)
{
    Kit *k = kit_new(MOST);
    return (Ctx){k, k->g, dim_new("T", size_sym("T")), seed << 32};
}

static int pick_from(Ctx *c, int n)
{
    return (int)(random_uniform(11, c->drawn++) * n);
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

/* Places of several sequences. */
static void sequences(Ctx *c, int most)
{
    int32_t *pos = arena_alloc(&c->k->arena, MOST * sizeof *pos);
    for (int t = 0, at = 0, end = 0; t < MOST; t++, at++) {
        if (at == end) {
            at = 0;
            end = 1 + pick_from(c, most);
        }
        pos[t] = at;
    }
    c->k->env.pos = pos;
}

/* ---- attention ---- */

typedef struct {
    Node *q, *k, *v, *g, *more;
    Op op;
} Heads;

static Heads heads(Ctx *c, Dtype t, int H, int G, int hd, int vd, Op op)
{
    const Dim *dH = dim("H", H), *dG = dim("G", G), *dh = dim("hd", hd),
              *dv = dim("vd", vd), *R = dim("R", 7);
    Heads h = {.op = op};
    h.q = in(c, "q", t, DIMS(c->T, dH, dh));
    h.k = in(c, "k", t, DIMS(c->T, dG, dh));
    h.v = in(c, "v", t, DIMS(c->T, dG, dv));
    h.g = in(c, "g", t, DIMS(c->T, dH, dv));
    h.more = op == OP_attend_bias    ? in(c, "bias", TYPE_f32, DIMS(dH, R))
             : op == OP_attend_slope ? in(c, "slope", TYPE_f32, DIMS(dH))
                                     : g_num(c->g, TYPE_f32, 0);
    return h;
}

static void attention(Ctx *c, const Heads *h, Node like)
{
    Node y = like, lse = like;
    y.op = h->op;
    memcpy(y.arg, (Node *[]){h->q, h->k, h->v, h->more}, 4 * sizeof *y.arg);
    if (h->op == OP_attend)
        y.arg[3] = NULL;
    lse.op = OP_attend_lse;
    memcpy(lse.arg, (Node *[]){h->q, h->k, h->more}, 3 * sizeof *lse.arg);
    Node *ny = graph_add(c->g, y), *nl = graph_add(c->g, lse);
    graph_output(c->g, "y", ny);
    graph_output(c->g, "lse", nl);
    static const Op back[] = {OP_attend_dq, OP_attend_dk, OP_attend_dv,
                              OP_attend_dmore};
    for (int i = 0; i < (h->op == OP_attend ? 3 : 4); i++) {
        Node d = like;
        d.op = back[i];
        memcpy(d.arg, (Node *[]){h->q, h->k, h->v, ny, nl, h->g, h->more},
               7 * sizeof *d.arg);
        graph_output(c->g, op_info[back[i]].name, graph_add(c->g, d));
    }
}

static void attend_case(uint64_t seed, Dtype t, Op op, int window, bool chunk,
                        double cap)
{
    Ctx c = begin(seed);
    int G = 1 + pick_from(&c, 3), group = 1 + pick_from(&c, 3);
    int hd = 1 + pick_from(&c, 40), vd = 1 + pick_from(&c, 40);
    Heads h = heads(&c, t, G * group, G, hd, vd, op);
    Node like = {.num = cap, .size = window ? size_num(window) : NULL,
                 .name = chunk ? intern("chunk") : NULL};
    attention(&c, &h, like);
    sequences(&c, seed % 2 ? 20 : MOST);
    AGREE(c.k, t == TYPE_f32 ? 5e-5 : 0.03, 1, 2, 63, 65, MOST);
    kit_free(c.k);
}

static void attends(void **state)
{
    (void)state;
    attend_case(1, TYPE_f32, OP_attend, 0, false, 0);
    attend_case(2, TYPE_f32, OP_attend, 0, false, 0);
    attend_case(3, TYPE_f32, OP_attend, 9, false, 0);
    attend_case(4, TYPE_f32, OP_attend, 9, true, 3);
    attend_case(5, TYPE_f32, OP_attend_slope, 70, false, 0);
    attend_case(6, TYPE_f32, OP_attend_bias, 0, false, 2);
    attend_case(7, TYPE_bf16, OP_attend, 0, false, 0);
}

/* The size of real models, with heads that are whole vectors. */
static void attends_whole_vectors(void **state)
{
    (void)state;
    Ctx c = begin(9);
    Heads h = heads(&c, TYPE_f32, 6, 2, 64, 64, OP_attend);
    attention(&c, &h, (Node){.num = 0});
    AGREE(c.k, 5e-5, 1, 64, MOST);
    kit_free(c.k);
}

/* ---- gathered weights ---- */

static void collects(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        Ctx c = begin(20 + seed);
        Dtype t = seed % 3 == 2 ? TYPE_bf16 : TYPE_f32;
        const Dim *E = dim("E", 1 + pick_from(&c, 6)), *k = dim("k", 2),
                  *A = dim("A", 1 + pick_from(&c, 40)),
                  *B = dim("B", 1 + pick_from(&c, 40));
        int used = seed == 1 ? 1 : (int)size_at(E->size, 1);
        Node *i = given_index(c.k, "i", E, DIMS(c.T, k),
                              indices(c.k, 2 * MOST, used));
        Node *a = in(&c, "a", t, DIMS(c.T, k, A));
        Node *b = seed % 2 ? in(&c, "b", t, DIMS(c.T, B))
                           : in(&c, "b", t, DIMS(c.T, k, B));
        Node n = {.op = OP_collect, .arg = {a, b, i}, .ndim = 1, .dim = {E}};
        graph_output(c.g, "dw", graph_add(c.g, n));
        Node m = {.op = OP_collect, .arg = {a, b, i}, .ndim = 2,
                  .dim = {E, A}};
        graph_output(c.g, "sum", graph_add(c.g, m));
        AGREE(c.k, t == TYPE_f32 ? 5e-5 : 0.03, 1, 2, 17, MOST);
        kit_free(c.k);
    }
}

/* ---- the head ---- */

static void heads_losses(void **state)
{
    (void)state;
    for (uint64_t seed = 3; seed < 6; seed++) {
        Ctx c = begin(40 + seed);
        Dtype t = seed == 5 ? TYPE_bf16 : TYPE_f32;
        const Dim *D = dim("D", 1 + pick_from(&c, 40)),
                  *V = dim("V", 2 + pick_from(&c, 90));
        Node *x = in(&c, "x", t, DIMS(c.T, D));
        Node *w = weight(c.k, "w", t, 0, DIMS(V, D),
                         c.k->in[c.k->nin - 1].at);
        int64_t n = size_at(D->size, 1) * size_at(V->size, 1);
        double *at = noise(c.k, n);
        for (int64_t i = 0; i < n; i++)
            at[i] = f32_of_bf16(bf16_of_f32((float)at[i]));
        c.k->in[c.k->nin - 1].at = at;
        Node *label = given_index(c.k, "label", V, 1, &c.T,
                                  indices(c.k, MOST,
                                          (int)size_at(V->size, 1)));
        double *share = noise(c.k, MOST);
        for (int i = 0; i < MOST; i++)
            if (seed == 4 || random_uniform(5, (uint64_t)i) < 0.4)
                share[i] = 0;
        Node *s = given(c.k, "share", 1, &c.T, share);
        static const Op ops[] = {OP_nll, OP_nll_dx, OP_nll_dw};
        for (int i = 0; i < 3; i++) {
            Node h = {.op = ops[i], .arg = {x, w, label, s}, .ndim = 1,
                      .dim = {D}};
            graph_output(c.g, op_info[ops[i]].name, graph_add(c.g, h));
        }
        AGREE(c.k, t == TYPE_f32 ? 5e-5 : 0.03, 1, 2, 17, MOST);
        kit_free(c.k);
    }
}

/* ---- scatters ---- */

static void scatters(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 2; seed++) {
        Ctx c = begin(60 + seed);
        const Dim *V = dim("V", 1 + pick_from(&c, 200)),
                  *D = dim("D", 1 + pick_from(&c, 40)), *H = dim("H", 3);
        Node *i = given_index(c.k, "i", V, 1, &c.T,
                              indices(c.k, MOST, (int)size_at(V->size, 1)));
        Node *a = seed % 2 ? in(&c, "a", TYPE_f32, DIMS(c.T, H, D))
                           : in(&c, "a", TYPE_f32, DIMS(c.T, D));
        Node n = {.op = OP_scatter, .arg = {a, i}, .ndim = 1, .dim = {V}};
        graph_output(c.g, "sum", graph_add(c.g, n));
        AGREE(c.k, 2e-5, 1, 2, 17, MOST);
        kit_free(c.k);
    }
}

/* ---- rounding ---- */

static void rounds(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 1; seed++) {
        Ctx c = begin(70 + seed);
        const Dim *A = dim("A", 3), *B = dim("B", 1 + pick_from(&c, 90));
        Node *x = in(&c, "x", TYPE_f32, DIMS(A, c.T, B));
        Node *step = given(c.k, "step", 0, NULL, NUMBERS(1000003));
        Node n = {.op = OP_round_random, .num = 3, .arg = {
                      x, step, g_num(c.g, TYPE_f32, 17)}};
        graph_output(c.g, "r", graph_add(c.g, n));
        n.arg[0] = g_map2(c.g, OP_div, x, g_num(c.g, TYPE_f32, 0));
        graph_output(c.g, "not finite", graph_add(c.g, n));
        AGREE(c.k, 0, 1, 2, 17, MOST);
        kit_free(c.k);
    }
}

/* ---- updates ---- */

static int column_named(const Bench *b, const char *name)
{
    int i = 0;
    while (strcmp(b->column[i].name, name))
        i++;
    return i;
}

/* New values over the old ones are those that stand beside them. */
static void updates_in_place(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        Ctx c = begin(80);
        Weight *w = arena_alloc(&c.k->arena, sizeof *w);
        w->path = "w";
        w->type = type_of(bf16 ? TYPE_bf16 : TYPE_f32,
                          DIMS(dim("A", 37), dim("B", 129)));
        UpdateOptions o = {.kind = OPTIMIZER_adamw, .beta1 = 0.9,
                           .beta2 = 0.99, .eps = 1e-8, .decay = 0.1,
                           .weights = w->type.dtype, .states = w->type.dtype};
        c.k->g = grad_update(&c.k->arena, &(Parameter){.weight = w}, &o);
        static const char *const name[] = {"w", "g", "m", "v", "lr", "clip",
                                           "unbias1", "unbias2", "t",
                                           "tensor"};
        for (size_t i = 0; i < COUNT(name); i++) {
            double *at = noise(c.k, 37 * 129);
            for (int j = 0; j < 37 * 129; j++)
                at[j] = f32_of_bf16(bf16_of_f32((float)fabs(at[j])));
            if (i > 7)
                at[0] = 3;
            c.k->in[c.k->nin].name = intern(name[i]);
            c.k->in[c.k->nin++].at = at;
        }
        CpuOptions opt = {.cache = kit_cache(), .threads = 2, .moving = true};
        Bench *b = bench_new(c.k, &opt, false);
        assert_true(program_in_place(b->p));
        bench_run(b, NULL, 1, false);
        near_interp(b, 1, bf16 ? 0.01 : 2e-5);
        Column out[3];
        Err err = {""};
        for (int i = 0; i < b->nout; i++) {
            out[i] = b->result[i];
            out[i].data = b->column[column_named(b, out[i].name)].data;
        }
        if (!program_run(b->p, NULL, 1, b->pos, b->column, b->nin, out,
                         b->nout, &err))
            fail_msg("%s", err.text);
        for (int i = 0; i < b->nout; i++)
            assert_memory_equal(out[i].data, b->result[i].data,
                                (size_t)type_bytes(w->type.dtype, 37 * 129));
        bench_free(b);
        kit_free(c.k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attends), cmocka_unit_test(attends_whole_vectors),
        cmocka_unit_test(collects), cmocka_unit_test(heads_losses),
        cmocka_unit_test(scatters), cmocka_unit_test(rounds),
        cmocka_unit_test(updates_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
