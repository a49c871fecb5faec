/* What each architecture's own code makes of the fields of config.json, one
 * table an architecture: read, with the value that an absent one has; or
 * refused, but for the one value that graft computes. docs/models.md says why,
 * field by field. What no table names is ignored, as those programs ignore it:
 * silently where it is known to change nothing or is another architecture's. */
#include "compiler/lang/config.h"
#include <string.h>

/* The sizes of a decoder. A default of NULL: there is none. */
#define SIZES(vocab, width, ffn, layers, heads, positions) \
    {"vocab_size", vocab, NULL, NULL}, {"hidden_size", width, NULL, NULL}, \
        {"intermediate_size", ffn, NULL, NULL}, \
        {"num_hidden_layers", layers, NULL, NULL}, \
        {"num_attention_heads", heads, NULL, NULL}, \
        {"max_position_embeddings", positions, NULL, NULL}, \
        {"hidden_act", "\"silu\"", NULL, NULL}, \
        {"tie_word_embeddings", "false", NULL, NULL}
#define READ(name, absent) {name, absent, NULL, NULL}
#define READ_TOO(name, absent, also) {name, absent, also, NULL}
#define ONLY(name, value) {name, NULL, NULL, value}
#define END {NULL, NULL, NULL, NULL}

static const ConfigField llama[] = {
    SIZES("32000", "4096", "11008", "32", "32", "2048"),
    READ("num_key_value_heads", NULL), READ("head_dim", NULL),
    READ("rms_norm_eps", "1e-6"), READ("attention_bias", "false"),
    READ("mlp_bias", "false"), END};

static const ConfigField mistral[] = {
    SIZES("32000", "4096", "14336", "32", "32", "131072"),
    READ("num_key_value_heads", "8"), READ("head_dim", NULL),
    READ("rms_norm_eps", "1e-6"), READ("sliding_window", "4096"),
    READ("layer_types", NULL), END};

static const ConfigField mixtral[] = {
    SIZES("32000", "4096", "14336", "32", "32", "131072"),
    READ("num_key_value_heads", "8"), READ("head_dim", NULL),
    READ("rms_norm_eps", "1e-5"), READ("sliding_window", NULL),
    READ("num_experts_per_tok", "2"),
    READ_TOO("num_local_experts", "8", "num_experts"), END};

static const ConfigField qwen2[] = {
    SIZES("151936", "4096", "22016", "32", "32", "32768"),
    READ("num_key_value_heads", "32"), READ("head_dim", NULL),
    READ("rms_norm_eps", "1e-6"), READ("use_sliding_window", "false"),
    READ("sliding_window", "4096"), READ("max_window_layers", "28"),
    READ("layer_types", NULL), END};

static const ConfigField qwen3[] = {
    SIZES("151936", "4096", "22016", "32", "32", "32768"),
    READ("num_key_value_heads", "32"), READ("head_dim", "128"),
    READ("rms_norm_eps", "1e-6"), READ("attention_bias", "false"),
    READ("use_sliding_window", "false"), READ("sliding_window", "4096"),
    READ("max_window_layers", "28"), READ("layer_types", NULL), END};

#define SPARSE \
    READ("decoder_sparse_step", "1"), READ("mlp_only_layers", "[]"), \
        READ("norm_topk_prob", "false")

static const ConfigField qwen2_moe[] = {
    SIZES("151936", "2048", "5632", "24", "16", "32768"),
    READ("num_key_value_heads", "16"), READ("head_dim", NULL),
    READ("rms_norm_eps", "1e-6"), READ("qkv_bias", "true"),
    READ("use_sliding_window", "false"), READ("sliding_window", "4096"),
    READ("max_window_layers", "28"), READ("layer_types", NULL), SPARSE,
    READ("moe_intermediate_size", "1408"),
    READ("shared_expert_intermediate_size", "5632"),
    READ("num_experts_per_tok", "4"), READ("num_experts", "60"), END};

static const ConfigField qwen3_moe[] = {
    SIZES("151936", "2048", "6144", "24", "32", "32768"),
    READ("num_key_value_heads", "4"), READ("head_dim", NULL),
    READ("rms_norm_eps", "1e-6"), READ("attention_bias", "false"),
    READ("use_sliding_window", "false"), READ("sliding_window", "4096"),
    SPARSE, READ("moe_intermediate_size", "768"),
    READ("num_experts_per_tok", "8"),
    READ_TOO("num_experts", "128", "num_local_experts"), END};

static const ConfigField stablelm[] = {
    SIZES("50304", "2560", "6912", "32", "32", "4096"),
    READ("num_key_value_heads", "32"), READ("layer_norm_eps", "1e-5"),
    READ("use_qkv_bias", "false"), READ("qk_layernorm", "false"),
    READ("use_parallel_residual", "false"), END};

static const ConfigField gpt_neox[] = {
    READ("hidden_act", "\"gelu\""),
    SIZES("50432", "6144", "24576", "44", "64", "2048"),
    READ("layer_norm_eps", "1e-5"), READ("use_parallel_residual", "true"),
    READ("attention_bias", "true"), END};

static const ConfigField olmoe[] = {
    SIZES("50304", "2048", "2048", "16", "16", "4096"),
    READ("num_key_value_heads", NULL), READ("rms_norm_eps", "1e-5"),
    READ("attention_bias", "false"), READ("clip_qkv", NULL),
    READ("num_experts_per_tok", "8"), READ("norm_topk_prob", "false"),
    READ_TOO("num_experts", "64", "num_local_experts"), END};

/* As the code beside the published checkpoints has it. */
static const ConfigField deepseek[] = {
    SIZES("102400", "4096", "11008", "30", "32", "2048"),
    READ("num_key_value_heads", "32"), READ("rms_norm_eps", "1e-6"),
    READ("attention_bias", "false"), READ("moe_intermediate_size", "1407"),
    READ("n_shared_experts", NULL), READ("n_routed_experts", NULL),
    READ("num_experts_per_tok", NULL), READ("moe_layer_freq", "1"),
    READ("first_k_dense_replace", "0"), READ("norm_topk_prob", "false"),
    ONLY("scoring_func", "\"softmax\""), END};

#define WORDS "model.embed_tokens.weight", "lm_head.weight"
#define BUFFERS \
    {"rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached"}
const ConfigArch config_arch[] = {
    /* class, model_type, the base of rope and the share of a head that it
     * turns where the config has neither; their names at the top level */
    {"LlamaForCausalLM", "llama", 1e4, "rope_theta", 0, NULL, llama, WORDS,
     BUFFERS},
    {"MistralForCausalLM", "mistral", 1e4, "rope_theta", 0, NULL, mistral,
     WORDS, BUFFERS},
    {"MinistralForCausalLM", "ministral", 1e4, "rope_theta", 0, NULL, mistral,
     WORDS, BUFFERS},
    {"MixtralForCausalLM", "mixtral", 1e6, "rope_theta", 0, NULL, mixtral,
     WORDS, BUFFERS},
    {"Qwen2ForCausalLM", "qwen2", 1e4, "rope_theta", 0, NULL, qwen2, WORDS,
     BUFFERS},
    {"Qwen3ForCausalLM", "qwen3", 1e4, "rope_theta", 0, NULL, qwen3, WORDS,
     BUFFERS},
    {"Qwen2MoeForCausalLM", "qwen2_moe", 1e4, "rope_theta", 0, NULL,
     qwen2_moe, WORDS, BUFFERS},
    {"Qwen3MoeForCausalLM", "qwen3_moe", 1e4, "rope_theta", 0, NULL,
     qwen3_moe, WORDS, BUFFERS},
    {"StableLmForCausalLM", "stablelm", 1e4, "rope_theta", 0.25,
     "partial_rotary_factor", stablelm, WORDS, BUFFERS},
    {"GPTNeoXForCausalLM", "gpt_neox", 1e4, "rotary_emb_base", 0.25,
     "rotary_pct", gpt_neox, "gpt_neox.embed_in.weight", "embed_out.weight",
     {"rotary_emb.inv_freq", ".attention.bias", ".attention.masked_bias"}},
    {"OlmoeForCausalLM", "olmoe", 1e4, "rope_theta", 0, NULL, olmoe, WORDS,
     BUFFERS},
    {"DeepseekForCausalLM", "deepseek", 1e4, "rope_theta", 0, NULL, deepseek,
     WORDS, BUFFERS},
};
const int config_archs = COUNT(config_arch);

/* Fields that change nothing in what a model computes of a text: how it was
 * made and trained, its special tokens, how texts are sampled, how other
 * programs run it. */
static const char *const harmless[] = {
    "architectures", "model_type", "auto_map", "transformers_version",
    "name_or_path", "torch_dtype", "dtype", "tokenizer_class", "graft",
    /* training */
    "initializer_range", "initializer_factor", "attention_dropout",
    "hidden_dropout", "classifier_dropout", "attn_pdrop", "embd_pdrop",
    "resid_pdrop", "router_aux_loss_coef", "router_jitter_noise",
    "output_router_logits", "aux_loss_alpha", "seq_aux",
    "gradient_checkpointing", "pretraining_tp", "pretraining_sequence_length",
    "tf_legacy_loss", "use_bfloat16", "unsloth_version", "unsloth_fixed",
    "bf16", "fp16", "fp32",
    /* tokens */
    "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id",
    "sep_token_id", "cls_token_id", "mask_token_id",
    "decoder_start_token_id", "image_token_id", "model_max_length",
    /* heads for other tasks */
    "id2label", "label2id", "num_labels", "problem_type", "finetuning_task",
    "task_specific_params", "is_decoder", "is_encoder_decoder",
    "add_cross_attention", "cross_attention_hidden_size",
    "tie_encoder_decoder", "pruned_heads", "chunk_size_feed_forward",
    /* how it is run */
    "use_cache", "return_dict", "output_attentions", "output_hidden_states",
    "torchscript", "attn_implementation", "experts_implementation",
    "use_flash_attn", "use_flash_attention", "use_flash_attention_2",
    "use_cache_quantization", "use_cache_kernel", "use_dynamic_ntk",
    "quantization_config", "transformers.js_config",
    "return_dict_in_generate", "output_scores",
    /* generation */
    "temperature", "top_k", "top_p", "typical_p", "min_p", "num_beams",
    "num_beam_groups", "diversity_penalty", "do_sample", "early_stopping",
    "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "max_length",
    "max_new_tokens", "min_length", "num_return_sequences",
    "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values",
    "exponential_decay_length_penalty", "suppress_tokens",
    "begin_suppress_tokens", "prefix",
    /* rope's, read together by rope_settle.c */
    "rope_theta", "rope_scaling", "rope_parameters", "rotary_emb_base",
    "rotary_pct", "partial_rotary_factor",
    "original_max_position_embeddings"};

/* Fields of architectures that have no table here; those that do pass over
 * them. */
static const char *const elsewhere[] = {
    "routed_scaling_factor", "topk_method", "topk_group", "n_group", "ep_size",
    "q_lora_rank", "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim",
    "v_head_dim", "num_nextn_predict_layers", "parallel_attn",
    "multi_query", "new_decoder_architecture", "alibi",
    "final_logit_softcapping", "attn_logit_softcapping",
    "query_pre_attn_scalar", "embedding_multiplier", "residual_multiplier",
    "attention_multiplier", "logits_scaling", "no_rope_layers",
    "no_rope_layer_interval", "shared_intermediate_size"};

const ConfigArch *config_arch_of(const char *class, const char *type)
{
    for (int i = 0; i < config_archs; i++)
        if ((class && !strcmp(config_arch[i].class, class)) ||
            (type && !strcmp(config_arch[i].type, type)))
            return &config_arch[i];
    return NULL;
}

const ConfigField *config_field_of(const ConfigArch *a, const char *name)
{
    for (const ConfigField *f = a->field; f->name; f++)
        if (!strcmp(f->name, name) || (f->also && !strcmp(f->also, name)))
            return f;
    return NULL;
}

bool config_harmless(const char *name)
{
    bool known = *name == '_'; /* private to the program that wrote it */
    for (size_t i = 0; i < COUNT(harmless) && !known; i++)
        known = !strcmp(harmless[i], name);
    return known;
}

bool config_others(const char *name)
{
    for (int i = 0; i < config_archs; i++)
        if (config_field_of(&config_arch[i], name))
            return true;
    for (size_t i = 0; i < COUNT(elsewhere); i++)
        if (!strcmp(elsewhere[i], name))
            return true;
    return false;
}
