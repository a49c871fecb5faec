/* In what llama.cpp will differ from a model that is written as GGUF, told
 * before a byte is written. */
#include "runtime/files/gguf_arch.h"
#include <math.h>
#include <string.h>

static double number_in(const cJSON *object, const char *field,
                        double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, field);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

static double number(const cJSON *config, const char *field)
{
    const cJSON *item = config_field(config, field);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static bool is_class(const cJSON *config, const char *words)
{
    const char *class = config_class(config);
    size_t n = strlen(class);
    const char *at = n ? strstr(words, class) : NULL;
    return at && (at[n] == ' ' || !at[n]);
}

/* The longest text that the model is for. */
static double longest(const cJSON *config)
{
    const cJSON *rope = config_rope(config);
    double most = number(config, "max_position_embeddings");
    double more = number_in(rope, "original_max_position_embeddings", most) *
                  number_in(rope, "factor", 1);
    return strcmp(rope_type(rope), "default") && more > most ? more : most;
}

/* Has any layer a window? */
static bool slides(const cJSON *config)
{
    const cJSON *types = config_field(config, "layer_types");
    bool has_types = is_class(config, "MistralForCausalLM MinistralForCausalLM "
                                      "Qwen2ForCausalLM Qwen3ForCausalLM "
                                      "Qwen2MoeForCausalLM");
    if (is_class(config, "Qwen2ForCausalLM Qwen3ForCausalLM "
                         "Qwen2MoeForCausalLM Qwen3MoeForCausalLM") &&
        !cJSON_IsTrue(config_field(config, "use_sliding_window")))
        return false;
    if (is_class(config, "Qwen2ForCausalLM Qwen3ForCausalLM") && !types)
        return number(config, "max_window_layers") <
               number(config, "num_hidden_layers");
    if (!has_types || !cJSON_IsArray(types))
        return is_class(config, "MistralForCausalLM MinistralForCausalLM "
                                "MixtralForCausalLM Qwen2MoeForCausalLM "
                                "Qwen3MoeForCausalLM");
    for (const cJSON *i = types->child; i; i = i->next)
        if (cJSON_IsString(i) && !strcmp(i->valuestring, "sliding_attention"))
            return true;
    return false;
}

static const char *window(const cJSON *config)
{
    double most = number(config, "sliding_window");
    if (!slides(config) || !(most > 0) || most >= longest(config))
        return NULL;
    return intern_printf("llama.cpp has no window for this architecture: in "
                         "texts longer than %.0f tokens it differs from this "
                         "model", most);
}

static const char *stretched(const cJSON *config)
{
    const cJSON *rope = config_rope(config);
    double trained = number_in(rope, "original_max_position_embeddings",
                               number(config, "max_position_embeddings"));
    if (!strcmp(rope_type(rope), "dynamic"))
        return intern_printf("llama.cpp does not stretch rope as texts grow: "
                             "in texts longer than %.0f tokens it differs "
                             "from this model", trained);
    if (!strcmp(rope_type(rope), "longrope"))
        return intern_printf("llama.cpp takes long_factor where its context "
                             "is larger than %.0f tokens, this model where "
                             "the text is", trained);
    return NULL;
}

static const char *yarn(const cJSON *config)
{
    const cJSON *rope = config_rope(config);
    double fast = number_in(rope, "beta_fast", 32);
    double slow = number_in(rope, "beta_slow", 1);
    if (strcmp(rope_type(rope), "yarn"))
        return NULL;
    if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(rope, "truncate")))
        return "llama.cpp rounds the ends of yarn's range, which this model "
               "does not: it differs a little";
    if ((fast != 32 && fast != 0) || (slow != 1 && slow != 0))
        return intern_printf("llama.cpp's yarn has beta_fast 32 and beta_slow "
                             "1, this model %g and %g: it differs", fast,
                             slow);
    return NULL;
}

static const char *key_heads(const cJSON *config)
{
    double kv = number(config, "num_key_value_heads");
    return is_class(config, "OlmoeForCausalLM") && kv > 0 &&
                   kv != number(config, "num_attention_heads")
               ? "llama.cpp reads OLMoE only with as many key heads as query "
                 "heads: it will not load this file" : NULL;
}

static const char *routing(const cJSON *config)
{
    return is_class(config, "DeepseekForCausalLM") &&
                   number(config, "num_experts_per_tok") > 1 &&
                   cJSON_IsTrue(config_field(config, "norm_topk_prob"))
               ? "llama.cpp does not normalise the routing weights of this "
                 "architecture: it differs from this model" : NULL;
}

static const char *odd_share(const cJSON *config)
{
    double part = number(config, "rotary_pct");
    double turned = floor(part * number(config, "hidden_size") /
                          number(config, "num_attention_heads"));
    return is_class(config, "StableLmForCausalLM GPTNeoXForCausalLM") &&
                   part > 0 && fmod(turned, 2) != 0
               ? intern_printf("rope turns %.0f elements of a head, llama.cpp "
                               "only an even number: it will not run this file",
                               turned) : NULL;
}

static const char *gelu(const cJSON *config)
{
    return is_class(config, "GPTNeoXForCausalLM") &&
                   !strcmp(config_text(config, "hidden_act"), "gelu")
               ? "llama.cpp computes gelu by its approximation with tanh: "
                 "logits differ in the third decimal" : NULL;
}

int gguf_caveats(const cJSON *config, const char *out[GGUF_CAVEATS])
{
    static const char *(*const all[])(const cJSON *) = {
        window, stretched, yarn, key_heads, routing, odd_share, gelu};
    int n = 0;
    for (size_t i = 0; i < COUNT(all) && n < GGUF_CAVEATS; i++)
        if ((out[n] = all[i](config)))
            n++;
    return n;
}
