/* The tiny checkpoints with config.json as transformers 4 wrote it: rope's base
 * and scaling in fields of their own, defaults left out. */
#include "tests/model_kit.h"

/* Moves a number of rope_parameters to a field of the config. */
static void move(cJSON *config, cJSON *rope, const char *from, const char *to)
{
    cJSON *v = cJSON_DetachItemFromObject(rope, from);
    if (v)
        cJSON_AddItemToObject(config, to, v);
}

static bool is_default(const cJSON *rope)
{
    const cJSON *type = cJSON_GetObjectItem(rope, "rope_type");
    return !type || !strcmp(type->valuestring, "default");
}

/* What is left of rope_parameters is rope_scaling; `type` is the oldest name
 * of its kind. */
static void make_older(cJSON *config, bool oldest)
{
    cJSON *rope = cJSON_DetachItemFromObject(config, "rope_parameters");
    assert_non_null(rope);
    bool neox = !strcmp(cJSON_GetObjectItem(config, "model_type")->valuestring,
                        "gpt_neox");
    move(config, rope, "rope_theta", neox ? "rotary_emb_base" : "rope_theta");
    move(config, rope, "partial_rotary_factor",
         neox ? "rotary_pct" : "partial_rotary_factor");
    if (is_default(rope)) {
        cJSON_Delete(rope);
        rope = cJSON_CreateNull();
    } else if (oldest) {
        move(rope, rope, "rope_type", "type");
    }
    cJSON_AddItemToObject(config, "rope_scaling", rope);
}

static const char *const at_default[] = {
    "head_dim",       "attention_bias",   "mlp_bias",
    "hidden_act",     "tie_word_embeddings", "use_sliding_window",
    "max_window_layers", "layer_types",   "decoder_sparse_step",
    "mlp_only_layers",   "qkv_bias",      "use_parallel_residual",
    "clip_qkv"};

/* Fields that say what their absence says too. */
static void leave_out(cJSON *config, const char *name)
{
    for (size_t i = 0; i < COUNT(at_default); i++)
        if (strcmp(at_default[i], "head_dim") || strncmp(name, "qwen3", 5))
            cJSON_DeleteItemFromObject(config, at_default[i]);
}

static void golden(const char *name, bool oldest)
{
    Kit k;
    cJSON *config = kit_json(intern_printf("hf_tiny/%s/config.json", name));
    cJSON *g = kit_json(intern_printf("hf_tiny/%s/golden.json", name));
    make_older(config, oldest);
    if (oldest)
        leave_out(config, name);
    char *text = cJSON_Print(config);
    kit_with(&k, intern_printf("hf_tiny/%s/model.safetensors", name), text,
             NULL);
    kit_nll(&k, kit_interp, g, "ids", "mean_nll", 1e-5);
    kit_last(&k, kit_interp, g, "ids", "logits_last", 1e-4);
    cJSON_free(text);
    cJSON_Delete(config);
    cJSON_Delete(g);
    kit_close(&k);
}

static void older(void **state)
{
    golden(*state, false);
    golden(*state, true);
}

#define OLDER(name) {name, older, NULL, NULL, name}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OLDER("llama"),     OLDER("llama_linear_rope"), OLDER("llama3_rope"),
        OLDER("mistral_window"), OLDER("qwen2"),        OLDER("qwen3"),
        OLDER("stablelm"),  OLDER("gpt_neox"),          OLDER("mixtral"),
        OLDER("qwen2_moe"), OLDER("qwen3_moe"),         OLDER("olmoe"),
    };
    return cmocka_run_group_tests_name("zoo_older", tests, NULL, NULL);
}
