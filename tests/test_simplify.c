/* Graphs made cheaper by the rules: they compute the same, and what experts
 * share is computed once. */
#include "compiler/check/check.h"
#include "compiler/interp/interp.h"
#include "passes/passes.h"
#include "tests/prove_kit.h"

static int setup(void **state)
{
    Kit *k = kit_new();
    k->D = dim_new("D", size_num(6));
    k->F = dim_new("F", size_num(5));
    k->E = dim_new("E", size_num(4));
    k->k = dim_new("k", size_num(2));
    k->x = input(k, "x", DIMS(k->T, k->D));
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    kit_free(*state);
    return 0;
}

static int count(const Graph *g, Op op)
{
    int n = 0;
    for (int i = 0; i < g->node.n; i++)
        n += g->node.at[i]->op == op;
    return n;
}

static bool give(void *user, const char *name, const Type *t, double *out)
{
    (void)user;
    uint64_t key = random_key(5, name);
    int64_t n = type_count(t, 3);
    for (int64_t i = 0; i < n; i++)
        out[i] = random_gaussian(key, (uint64_t)i);
    return true;
}

static bool give_weight(void *user, const Weight *w, double *out)
{
    return give(user, w->path, &w->type, out);
}

/* The graph of one output simplified; it must give the same values. */
static Graph *simplified(Kit *k, Node *y)
{
    int32_t pos[] = {0, 1, 2};
    InterpEnv env = {.T = 3, .pos = pos, .exact = true, .input = give,
                     .weight = give_weight};
    Tensor *out[2];
    Err err;
    k->g->output.n = 0;
    graph_output(k->g, "y", y);
    Graph *now = passes_run_one("rules", k->g, &k->arena,
                                &(PassOptions){.rules = k->rules});
    ir_verify(now, "simplify");
    const Type *t = &graph_find_output(now, "y")->type;
    assert_string_equal(type_text(t), type_text(&y->type));
    assert_true(interp_run(k->g, &env, &k->arena, &out[0], &err));
    assert_true(interp_run(now, &env, &k->arena, &out[1], &err));
    for (int64_t i = 0; i < out[0]->count; i++)
        assert_true(fabs(out[0]->at[i] - out[1]->at[i]) < 1e-9);
    return now;
}

static void equal_experts_are_one(void **state)
{
    Kit *k = *state;
    Ffn w = ffn_weights(k);
    Node *s = scores(k, k->x), *i = topk(k, s, k->E, k->k),
         *logit = g_gather(k->g, s, k->E, i);
    Node *share = along(k, OP_softmax, logit, k->k);
    Node *y = along(k, OP_sum, mul(k, share, ffn(k, copied(k, w, i), k->x)),
                    k->k);
    Graph *now = simplified(k, y);
    assert_int_equal(count(now, OP_contract), 3);
    assert_int_equal(count(now, OP_topk), 0);
    assert_int_equal(count(now, OP_gather), 0);
    assert_int_equal(count(now, OP_sum), 0);
}

static void different_experts_stay(void **state)
{
    Kit *k = *state;
    Ffn w = {weight(k, "gate", DIMS(k->E, k->F, k->D)),
             weight(k, "up", DIMS(k->E, k->F, k->D)),
             weight(k, "down", DIMS(k->E, k->D, k->F))};
    Node *s = scores(k, k->x), *i = topk(k, s, k->E, k->k);
    Node **at[] = {&w.gate, &w.up, &w.down};
    for (int j = 0; j < 3; j++)
        *at[j] = g_gather(k->g, *at[j], k->E, i);
    Node *share = along(k, OP_softmax, g_gather(k->g, s, k->E, i), k->k);
    Node *y = along(k, OP_sum, mul(k, share, ffn(k, w, k->x)), k->k);
    Graph *now = simplified(k, y);
    assert_int_equal(count(now, OP_contract), 4);
    assert_int_equal(count(now, OP_gather), 4);
}

/* PESC: the FFN once, adapters of weight 0 gone. */
static void branches_of_weight_0_go(void **state)
{
    Kit *k = *state;
    Node *h = ffn(k, ffn_weights(k), k->x), *s = scores(k, k->x),
         *i = topk(k, s, k->E, k->k);
    Node *up = g_gather(k->g, along(k, OP_expand, num(k, 0), k->E, k->D,
                                    k->F), k->E, i);
    Node *z = dot(k, g_map1(k->g, OP_gelu, h), along(k, OP_expand, num(k, 0),
                                                     k->F, k->D), k->D);
    Node *each = add(k, h, dot(k, z, up, k->F));
    Node *share = along(k, OP_softmax, g_gather(k->g, s, k->E, i), k->k);
    Graph *now = simplified(k, along(k, OP_sum, mul(k, share, each), k->k));
    assert_int_equal(count(now, OP_contract), 3);
    assert_int_equal(count(now, OP_gelu), 0);
}

static void merges_fold(void **state)
{
    Kit *k = *state;
    Node *w = ffn_weights(k).gate, *all = along(k, OP_expand, w, k->E);
    Node *mix = along(k, OP_softmax, learned(k, "mix", DIMS(k->E)), k->E);
    Node *y = along(k, OP_sum, mul(k, mix, all), k->E);
    Graph *now = simplified(k, y);
    assert_int_equal(now->output.at[0].node->op, OP_weight);
    y = quo(k, along(k, OP_sum, all, k->E), num(k, 4));
    now = simplified(k, y);
    assert_int_equal(count(now, OP_sum), 0);
}

/* The weighted sum keeps its cheap order: weights first, then rows. */
static void nothing_grows(void **state)
{
    Kit *k = *state;
    Node *a = along(k, OP_softmax, scores(k, k->x), k->E);
    Node *top = along(k, OP_max, a, k->E);
    Node *rows = input(k, "rows", DIMS(k->T, k->E, k->D));
    Node *y = along(k, OP_sum, mul(k, mul(k, a, top), rows), k->E);
    Graph *now = simplified(k, y);
    assert_int_equal(count(now, OP_mul), 3);
}

static void shapes_come_back(void **state)
{
    Kit *k = *state;
    Node *v = weight(k, "v", DIMS(k->D));
    Node *y = along(k, OP_expand, g_map1(k->g, OP_silu, v), k->E, k->F);
    Node *turned = along(k, OP_order, y, k->D, k->F, k->E);
    simplified(k, turned);
    Node *picked = along(k, OP_topk, along(k, OP_expand, v, k->E), k->E, k->k);
    simplified(k, picked);
    simplified(k, along(k, OP_softmax, y, k->E, k->D));
    simplified(k, along(k, OP_logsumexp, y, k->E));
    simplified(k, along(k, OP_max, y, k->E, k->D));
    simplified(k, dot(k, y, along(k, OP_expand, num(k, 2), k->E, k->F), k->E,
                      k->F));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(equal_experts_are_one), TEST(different_experts_stay),
        TEST(branches_of_weight_0_go), TEST(merges_fold),
        TEST(nothing_grows), TEST(shapes_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
