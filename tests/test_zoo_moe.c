/* Mixtures that others made, their experts packed into one tensor, against
 * their golden logits; DeepSeek's parts. */
#include "tests/model_kit.h"
#include <math.h>

/* A fixture by its name, with the config beside it. */
static void open_fixture(Kit *k, const char *weights, const char *config)
{
    cJSON *o = kit_json(config);
    char *text = cJSON_Print(o);
    kit_with(k, weights, text, NULL);
    cJSON_free(text);
    cJSON_Delete(o);
}

/* ---- whole models ---- */

static void greedy(const Kit *k, KitRun *run, const cJSON *g,
                   const char *prompt, const char *ids)
{
    int32_t *before, *after;
    int n = kit_ids(g, prompt, &before), m = kit_ids(g, ids, &after);
    kit_greedy(k, run, before, n, after, m);
    free(before);
    free(after);
}

static void mixtral(KitRun *run)
{
    Kit k;
    open_fixture(&k, "moe_fixtures/full_mixtral.safetensors",
                 "moe_fixtures/mixtral_tiny_config.json");
    cJSON *g = kit_json("moe_fixtures/full_mixtral.json");
    cJSON *new = kit_json("moe_fixtures/full_mixtral_gen.json");
    kit_all(&k, run, g, "input_ids", "hf_logits", 1e-5);
    greedy(&k, run, new, "prompt_ids", "generated_ids");
    cJSON_Delete(g);
    cJSON_Delete(new);
    kit_close(&k);
}

static void mixtral_f32(void **state)
{
    (void)state;
    mixtral(kit_interp);
}

static void mixtral_exact(void **state)
{
    (void)state;
    mixtral(kit_interp_exact);
}

static void qwen_moe(KitRun *run)
{
    Kit k;
    open_fixture(&k, "moe_fixtures/qwen_moe_tiny.safetensors",
                 "moe_fixtures/qwen_moe_tiny_config.json");
    cJSON *g = kit_json("moe_fixtures/qwen_moe_tiny.json");
    kit_all(&k, run, g, "input_ids", "hf_logits", 1e-5);
    greedy(&k, run, g, "input_ids", "greedy_ids");
    cJSON_Delete(g);
    kit_close(&k);
}

static void qwen_moe_f32(void **state)
{
    (void)state;
    qwen_moe(kit_interp);
}

static void qwen_moe_exact(void **state)
{
    (void)state;
    qwen_moe(kit_interp_exact);
}

/* ---- DeepSeek: the block of experts, the dense layers ---- */

static const char block_text[] =
    "use moe\n"
    "model block {\n"
    "  config \"JustTheBlock\" {\n"
    "    D = hidden_size\n"
    "    F = moe_intermediate_size\n"
    "    E = n_routed_experts\n"
    "    S = n_shared_experts\n"
    "    K = num_experts_per_tok\n"
    "  }\n"
    "  moe: deepseek_moe(D, F, S, E, K, false) as \"model.layers.0.mlp\"\n"
    "  forward(x[T, D]) -> [T, D] { return moe(x) }\n"
    "}\n";
static const char block_config[] =
    "{\"architectures\":[\"JustTheBlock\"],\"hidden_size\":16,"
    "\"moe_intermediate_size\":16,\"n_routed_experts\":4,"
    "\"n_shared_experts\":1,\"num_experts_per_tok\":2}";

static void block(bool exact, double within)
{
    Kit k;
    Arena arena = {0};
    Err err = {""};
    double *probe, *want;
    Tensor *out;
    kit_with(&k, "moe_fixtures/deepseek_block.safetensors", block_config,
             block_text);
    cJSON *g = kit_json("moe_fixtures/deepseek_block.json");
    assert_int_equal(kit_numbers(g, "probe", &probe), 16);
    assert_int_equal(kit_numbers(g, "mlp_output", &want), 16);
    if (!kit_run_graph(&k, k.graph, "x", exact, probe, 1, &arena, &out, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < 16; i++)
        if (!(fabs(out[0].at[i] - want[i]) <= within))
            fail_msg("%d is %.12g, golden %.12g", i, out[0].at[i], want[i]);
    free(probe);
    free(want);
    cJSON_Delete(g);
    arena_free(&arena);
    kit_close(&k);
}

static void block_f32(void **state)
{
    (void)state;
    block(false, 1e-9);
}

static void block_exact(void **state)
{
    (void)state;
    block(true, 1e-10); /* its softmax was in f32 */
}

/* With its first two layers dense, of two, DeepSeek is Llama. */
static void dense_deepseek(void **state)
{
    Kit k;
    const char *arch = "DeepseekForCausalLM";
    (void)state;
    cJSON *o = kit_json("hf_tiny/llama/config.json");
    cJSON *g = kit_json("hf_tiny/llama/golden.json");
    cJSON_ReplaceItemInObject(o, "architectures",
                              cJSON_CreateStringArray(&arch, 1));
    cJSON_AddNumberToObject(o, "first_k_dense_replace", 2);
    cJSON_AddNumberToObject(o, "n_routed_experts", 4);
    cJSON_AddNumberToObject(o, "n_shared_experts", 1);
    cJSON_AddNumberToObject(o, "num_experts_per_tok", 2);
    char *text = cJSON_Print(o);
    kit_with(&k, "hf_tiny/llama/model.safetensors", text, NULL);
    kit_nll(&k, kit_interp, g, "ids", "mean_nll", 1e-5);
    kit_last(&k, kit_interp, g, "ids", "logits_last", 1e-4);
    greedy(&k, kit_interp, g, "greedy_prompt", "greedy_ids");
    cJSON_free(text);
    cJSON_Delete(o);
    cJSON_Delete(g);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixtral_f32),
        cmocka_unit_test(mixtral_exact),
        cmocka_unit_test(qwen_moe_f32),
        cmocka_unit_test(qwen_moe_exact),
        cmocka_unit_test(block_f32),
        cmocka_unit_test(block_exact),
        cmocka_unit_test(dense_deepseek),
    };
    return cmocka_run_group_tests_name("zoo_moe", tests, NULL, NULL);
}
