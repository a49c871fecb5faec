/* Real and tiny checkpoints through the model texts: the interpreter's logits
 * against the golden ones. */
#include "tests/model_kit.h"

/* What a case claims: of which golden file, run how. */
typedef struct {
    const char *model, *golden;
    KitRun *run;
    void (*claim)(const Kit *k, KitRun *run, const cJSON *golden);
} Case;

static void check(void **state)
{
    const Case *c = *state;
    Kit k;
    kit_shared(&k, c->model);
    cJSON *golden = kit_json(c->golden);
    c->claim(&k, c->run, golden);
    cJSON_Delete(golden);
    kit_close(&k);
}

/* ---- transformers' tiny checkpoints ---- */

static void nll(const Kit *k, KitRun *run, const cJSON *golden)
{
    kit_nll(k, run, golden, "ids", "mean_nll", 1e-5);
}

static void last_logits(const Kit *k, KitRun *run, const cJSON *golden)
{
    kit_last(k, run, golden, "ids", "logits_last", 1e-4);
}

static void sums(const Kit *k, KitRun *run, const cJSON *golden)
{
    kit_sums(k, run, golden, "ids", "logits_sum", 1e-3);
}

static void greedy(const Kit *k, KitRun *run, const cJSON *golden)
{
    int32_t *prompt, *ids;
    int nprompt = kit_ids(golden, "greedy_prompt", &prompt);
    int n = kit_ids(golden, "greedy_ids", &ids);
    assert_int_equal(n, 24);
    kit_greedy(k, run, prompt, nprompt, ids, n);
    free(prompt);
    free(ids);
}

/* ---- stories260K, as a folder and as GGUF ---- */

static void text_nll(const Kit *k, KitRun *run, const cJSON *golden)
{
    kit_nll(k, run, golden, "text_ids", "text_nll_nats_per_token", 1e-5);
}

static void text_logits(const Kit *k, KitRun *run, const cJSON *golden)
{
    kit_last(k, run, golden, "ids", "logits_last_f64", 1e-4);
}

static void story(const Kit *k, KitRun *run, const cJSON *golden)
{
    int32_t *ids;
    int n = kit_ids(golden, "greedy_ids", &ids);
    kit_greedy(k, run, ids, 1, ids + 1, n - 1); /* the first is BOS */
    free(ids);
}

#define ONE(model, golden, run, claim) \
    {model ", " #claim ", " #run, check, NULL, NULL, \
     &(Case){model, golden, run, claim}}
#define BOTH(model, golden, claim) \
    ONE(model, golden, kit_interp, claim), \
        ONE(model, golden, kit_interp_exact, claim)
#define TINY(name) \
    BOTH("hf_tiny/" name, "hf_tiny/" name "/golden.json", nll), \
        BOTH("hf_tiny/" name, "hf_tiny/" name "/golden.json", last_logits), \
        BOTH("hf_tiny/" name, "hf_tiny/" name "/golden.json", sums), \
        BOTH("hf_tiny/" name, "hf_tiny/" name "/golden.json", greedy)
#define STORIES(path) \
    BOTH(path, "stories260K/golden.json", text_nll), \
        BOTH(path, "stories260K/golden.json", text_logits), \
        BOTH(path, "stories260K/golden.json", story)

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
