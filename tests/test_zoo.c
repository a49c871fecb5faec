/* Real and tiny checkpoints through the model texts: the interpreter's logits
 * against the golden ones. */
#include "tests/model_kit.h"

/* ---- transformers' tiny checkpoints ---- */

static void golden_tiny(const char *name, KitRun *run)
{
    Kit k;
    kit_shared(&k, intern_printf("hf_tiny/%s", name));
    cJSON *g = kit_json(intern_printf("hf_tiny/%s/golden.json", name));
    int32_t *prompt, *ids;
    int nprompt = kit_ids(g, "greedy_prompt", &prompt);
    int n = kit_ids(g, "greedy_ids", &ids);
    assert_int_equal(n, 24);
    kit_nll(&k, run, g, "ids", "mean_nll", 1e-5);
    kit_last(&k, run, g, "ids", "logits_last", 1e-4);
    kit_greedy(&k, run, prompt, nprompt, ids, n);
    free(prompt);
    free(ids);
    cJSON_Delete(g);
    kit_close(&k);
}

static void tiny_f32(void **state)
{
    golden_tiny(*state, kit_interp);
}

static void tiny_exact(void **state)
{
    golden_tiny(*state, kit_interp_exact);
}

/* ---- stories260K, as a folder and as GGUF ---- */

static void golden_stories(const char *name, KitRun *run)
{
    Kit k;
    kit_shared(&k, name);
    cJSON *g = kit_json("stories260K/golden.json");
    int32_t *ids;
    int n = kit_ids(g, "greedy_ids", &ids);
    kit_nll(&k, run, g, "text_ids", "text_nll_nats_per_token", 1e-5);
    kit_last(&k, run, g, "ids", "logits_last_f64", 1e-4);
    kit_greedy(&k, run, ids, 1, ids + 1, n - 1); /* the first is BOS */
    free(ids);
    cJSON_Delete(g);
    kit_close(&k);
}

static void stories_f32(void **state)
{
    golden_stories(*state, kit_interp);
}

static void stories_exact(void **state)
{
    golden_stories(*state, kit_interp_exact);
}

#define TINY(name) \
    {"hf_tiny/" name ", f32", tiny_f32, NULL, NULL, name}, \
    {"hf_tiny/" name ", exact", tiny_exact, NULL, NULL, name}
#define STORIES(path) \
    {path ", f32", stories_f32, NULL, NULL, path}, \
    {path ", exact", stories_exact, NULL, NULL, path}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TINY("llama"),
        TINY("llama_linear_rope"),
        TINY("llama3_rope"),
        TINY("mistral_window"),
        TINY("mixtral"),
        TINY("qwen2"),
        TINY("qwen3"),
        TINY("stablelm"),
        TINY("gpt_neox"),
        TINY("olmoe"),
        TINY("qwen2_moe"),
        TINY("qwen3_moe"),
        STORIES("stories260K"),
        STORIES("stories260K/stories260K.gguf"),
    };
    return cmocka_run_group_tests_name("zoo", tests, NULL, NULL);
}
