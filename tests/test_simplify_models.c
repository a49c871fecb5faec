/* The graphs of real models made cheaper by the rules: the same logits. */
#include "compiler/check/check.h"
#include "compiler/interp/interp.h"
#include "passes/passes.h"
#include "tests/model_kit.h"
#include <math.h>

static Rules *library(Arena *a, Diags *diags)
{
    Err err;
    size_t len;
    char *text = read_file(RULES, &len, &err);
    assert_non_null(text);
    Source *src = arena_alloc(a, sizeof *src);
    *src = (Source){"rules.graft", arena_strn(a, text, len), (int)len, diags};
    free(text);
    Rules *r = rules_new(a);
    assert_true(rules_add(r, dsl_parse(a, src), NULL));
    return r;
}

static void same_logits(void **state)
{
    static const double ids[] = {1, 5, 9, 2, 7};
    Kit k;
    Err err;
    Tensor *out[2][64];
    kit_shared(&k, *state);
    Graph *now = passes_run_one(
        "rules", k.graph, &k.arena,
        &(PassOptions){.rules = library(&k.arena, &k.diags)});
    ir_verify(now, "simplify");
    assert_true(now->node.n <= k.graph->node.n);
    assert_true(now->output.n <= 64);
    for (int i = 0; i < 2; i++)
        if (!kit_run_graph(&k, i ? now : k.graph, "token", true, ids,
                           COUNT(ids), &k.arena, out[i], &err))
            fail_msg("%s", err.text);
    const Tensor *a = out[0][0], *b = out[1][0];
    assert_int_equal(a->count, b->count);
    for (int64_t i = 0; i < a->count; i++)
        assert_true(fabs(a->at[i] - b->at[i]) <=
                    1e-9 * (1 + fabs(a->at[i])));
    kit_close(&k);
}

#define MODEL(name) \
    cmocka_unit_test_prestate(same_logits, (void *)(uintptr_t)(name))
int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL("hf_tiny/llama"),
        MODEL("hf_tiny/mixtral"),
        MODEL("hf_tiny/qwen2_moe"),
        MODEL("stories260K"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
