/* The rules of rules.graft on random tensors; rules that are wrong; rules that
 * are not in the library. */
#include "tests/prove_kit.h"

static int setup(void **state)
{
    *state = kit_new();
    ((Kit *)*state)->diags.quiet = true;
    return 0;
}

static int teardown(void **state)
{
    kit_free(*state);
    return 0;
}

/* The rules of a text; what was wrong with it is in k->diags. */
static Rules *rules_of(Kit *k, const char *text)
{
    Source *src = arena_alloc(&k->arena, sizeof *src);
    *src = (Source){"test.graft", text, (int)strlen(text), &k->diags};
    Rules *r = rules_new(&k->arena);
    rules_add(r, dsl_parse(&k->arena, src), rules_library());
    return r;
}

static const char *said(const Kit *k)
{
    return k->diags.said.n ? k->diags.said.at[k->diags.said.n - 1].text : "";
}

static void library_holds(void **state)
{
    Kit *k = *state;
    int all = rules_count(k->rules);
    assert_true(all >= 30);
    assert_true(rules_try(k->rules, 300, 1));
    assert_int_equal(rules_count(k->rules), all);
}

static void wrong_rules_are_caught(void **state)
{
    static const char *const wrong[] = {
        "sum(x * y, K) => sum(x, K) * sum(y, K)",
        "sum(x, K) => x",
        "max(x + y, K) => max(x, K) + max(y, K)",
        "max(x, K) => sum(x, K)",
        "softmax(x, K) => 1 / size(K)",
        "sum(softmax(x, K), K) => size(K)",
        "sum(c, K) => c",
        "relu(x + 2) => x + 2",
        "minimum(x, 2.1) => x where x > 0",
        "maximum(x, -50) => x",
        "relu(x + 1000) => x + 1000",
        "x + 1e-7 * abs(x) => x",
        "tanh(x) => x / (1 + abs(x))",
        "floor(x + 0.5) => x where x > 0",
        "sum(x, K) => mean(x, K)",
        "abs(x + 7) => x + 7",
        "sqrt(x * x) => x",
        "exp(log(x)) => x",
        "x ^ 2 / x => x",
        "clamp(x, -5, 5) => x",
        "silu(x + y) => silu(x) + silu(y)",
        "relu(x) => x",
        "exp(x) => 1 + x",
        "abs(x) => -x",
        "logsumexp(x, K) => max(x, K)",
        "x / x => 1",
        "f(x[K: i]) => f(x)[K: i]",
        "sum(x[K: i], k) => sum(x, K)",
        "x[K: i] => x",
        "topk(x, k: n) => x",
        "mean(x, K) => sum(x, K)",
    };
    Kit *k = *state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        Rules *r = rules_of(k, arena_printf(&k->arena, "rule bad: %s\n",
                                            wrong[i]));
        int read = rules_count(r);
        if (read && rules_try(r, 60, 1))
            fail_msg("not caught: %s", wrong[i]);
        assert_int_equal(rules_count(r), 0);
        if (read)
            assert_non_null(strstr(said(k), "rule bad does not hold"));
        k->diags.errors = 0;
    }
}

static void right_rules_hold(void **state)
{
    static const char *const right[] = {
        "max(x, K) => max(x, K)",
        "sum(-x, K) => -sum(x, K)",
        "relu(relu(x)) => relu(x)",
        "silu(x) => x * sigmoid(x)",
        "softmax(c + x, K) => softmax(x, K)",
        "max(c + x, K) => c + max(x, K)",
        "abs(x) => x where x > 0",
        "exp(x + y) => exp(x) * exp(y)",
        "sum(x / sum(x, K), K) => 1 where x > 0",
        "logsumexp(c + x, K) => c + logsumexp(x, K)",
        "mean(c + x, K) => c + mean(x, K)",
    };
    Kit *k = *state;
    for (size_t i = 0; i < COUNT(right); i++) {
        Rules *r = rules_of(k, arena_printf(&k->arena, "rule good: %s\n",
                                            right[i]));
        if (rules_count(r) && !rules_try(r, 60, 1))
            fail_msg("%s: %s", right[i], said(k));
    }
}

/* A rule of the user's is matched, and only then the claim holds. */
static void added_rule_proves(void **state)
{
    Kit *k = *state;
    Node *x = input(k, "x", DIMS(k->T, k->E)), *c = input(k, "c", DIMS(k->T));
    Node *shifted = along(k, OP_softmax, add(k, x, c), k->E),
         *plain = along(k, OP_softmax, x, k->E);
    k->rules = rules_of(k, "");
    assert_int_equal(prove(k, (ProveEnv){0}, shifted, plain).result,
                     PROOF_open);
    k->rules = rules_of(k, "rule shift: softmax(c + x, K) => softmax(x, K)\n");
    Proof p = prove(k, (ProveEnv){0}, shifted, plain);
    assert_int_equal(p.result, PROOF_proved);
    assert_true(used(&p, "shift"));
}

/* Functions match too, inside sums and products. */
static void function_rules_match(void **state)
{
    Kit *k = *state;
    Node *x = input(k, "x", DIMS(k->T, k->E)),
         *y = input(k, "y", DIMS(k->T, k->E));
    k->rules = rules_of(k, "rule sum_exp: exp(x + y) => exp(x) * exp(y)\n"
                           "rule swish: silu(x) => x * sigmoid(x)\n");
    Node *a = g_map1(k->g, OP_exp, add(k, x, add(k, x, y)));
    Node *ex = g_map1(k->g, OP_exp, x),
         *b = mul(k, mul(k, ex, g_map1(k->g, OP_exp, y)), ex);
    assert_int_equal(prove(k, (ProveEnv){0}, a, b).result, PROOF_proved);
    a = g_map1(k->g, OP_exp, add(k, x, y));
    b = mul(k, g_map1(k->g, OP_exp, y), ex);
    assert_int_equal(prove(k, (ProveEnv){0}, a, b).result, PROOF_proved);
    a = g_map1(k->g, OP_silu, x);
    b = mul(k, x, g_map1(k->g, OP_sigmoid, x));
    assert_int_equal(prove(k, (ProveEnv){0}, a, b).result, PROOF_proved);
}

/* A step is known by `as`, or by a library's rule that says the same. */
static void steps_are_named(void **state)
{
    Kit *k = *state;
    Node *x = input(k, "x", DIMS(k->T, k->E)),
         *e = g_map1(k->g, OP_exp, x),
         *one = g_map2(k->g, OP_div, e, e);
    static const char *const text[] = {
        "rule mine: x / x => 1 where x > 0\n",
        "rule mine: x / x => 1 where x > 0 as cancel\n"};
    for (size_t i = 0; i < COUNT(text); i++) {
        k->rules = rules_of(k, text[i]);
        Proof p = prove(k, (ProveEnv){0}, one, num(k, 1));
        assert_int_equal(p.result, PROOF_proved);
        assert_true(used(&p, "mine"));
    }
}

/* What is not in rules.graft is not believed. */
static void without_rules_nothing_is_proved(void **state)
{
    Kit *k = *state;
    Node *x = input(k, "x", DIMS(k->T, k->E));
    Node *one = along(k, OP_sum, along(k, OP_softmax, x, k->E), k->E);
    assert_int_equal(prove(k, (ProveEnv){0}, one, num(k, 1)).result,
                     PROOF_proved);
    k->rules = rules_of(k, "");
    assert_int_equal(prove(k, (ProveEnv){0}, one, num(k, 1)).result,
                     PROOF_open);
}

/* A wrong rule that nobody tried proves nothing either. */
static void wrong_rule_is_caught_by_the_claim(void **state)
{
    Kit *k = *state;
    Node *x = input(k, "x", DIMS(k->T, k->E));
    k->rules = rules_of(k, "rule bad: softmax(x, K) => x\n");
    Proof p = prove(k, (ProveEnv){0}, along(k, OP_softmax, x, k->E), x);
    assert_int_equal(p.result, PROOF_refuted);
    assert_non_null(strstr(p.why, "one of the rules is wrong"));
}

static void loops_end(void **state)
{
    Kit *k = *state;
    Node *x = input(k, "x", DIMS(k->T, k->E));
    k->rules = rules_of(k, "rule grow: silu(x) => silu(x + 1 - 1)\n"
                           "rule more: exp(x) => exp(x + 1)\n");
    prove(k, (ProveEnv){.fuel = 2000}, g_map1(k->g, OP_silu, x), x);
    prove(k, (ProveEnv){.fuel = 2000}, g_map1(k->g, OP_exp, x), x);
}

static void unreadable_rules_are_reported(void **state)
{
    static const struct {
        const char *rule, *says;
    } bad[] = {
        {"sum(x, K) => y", "the right side has a name that the left has not"},
        {"x + y => y + x", "the left side of a rule must be a function"},
        {"sum(x, K) => sum(x, J)",
         "the right side has a dim that the left has not"},
        {"silo(x) => x", "the prover knows no such function"},
        {"silu(x) => x where x < 0", "a condition here is `x > 0`"},
        {"sum(x) => x", "needs a term and the name of a dim"},
        {"abs(x) => x where x > 0 as canel", "did you mean `cancel`?"},
        {"abs(x) => x where x > 0 as cancel",
         "this is not the rule of the step `cancel`"},
        {"x / x => 1 where x > 0 as sum_factor",
         "this is not the rule of the step `sum_factor`"},
    };
    Kit *k = *state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        Rules *r = rules_of(k, arena_printf(&k->arena, "rule bad: %s\n",
                                            bad[i].rule));
        assert_int_equal(rules_count(r), 0);
        if (!strstr(said(k), bad[i].says))
            fail_msg("%s: %s", bad[i].rule, said(k));
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(library_holds),
        TEST(wrong_rules_are_caught),
        TEST(right_rules_hold),
        TEST(added_rule_proves),
        TEST(steps_are_named),
        TEST(function_rules_match),
        TEST(without_rules_nothing_is_proved),
        TEST(wrong_rule_is_caught_by_the_claim),
        TEST(loops_end),
        TEST(unreadable_rules_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
