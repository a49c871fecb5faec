/* One row for each GGUF architecture: llama.cpp's names for keys and tensors
 * beside Hugging Face's. To add one: a row in gguf_arch, and tables where it
 * differs from the others. */
#include "runtime/files/gguf_arch.h"

/* ---- tensors ---- */

#define LAYER "model.layers.#."
static const NameRow llama_names[] = {
    {"token_embd", "model.embed_tokens", AS_is},
    {"output_norm", "model.norm", AS_is},
    {"output", "lm_head", AS_is},
    {"blk.#.attn_norm", LAYER "input_layernorm", AS_is},
    {"blk.#.ffn_norm", LAYER "post_attention_layernorm", AS_is},
    {"blk.#.attn_q", LAYER "self_attn.q_proj", AS_q},
    {"blk.#.attn_k", LAYER "self_attn.k_proj", AS_k},
    {"blk.#.attn_v", LAYER "self_attn.v_proj", AS_is},
    {"blk.#.attn_output", LAYER "self_attn.o_proj", AS_is},
    {"blk.#.ffn_gate", LAYER "mlp.gate_proj", AS_is},
    {"blk.#.ffn_up", LAYER "mlp.up_proj", AS_is},
    {"blk.#.ffn_down", LAYER "mlp.down_proj", AS_is},
    {0}};

static const NameRow qk_norm_names[] = {
    {"blk.#.attn_q_norm", LAYER "self_attn.q_norm", AS_is},
    {"blk.#.attn_k_norm", LAYER "self_attn.k_norm", AS_is},
    {0}};

static const NameRow stablelm_names[] = {
    {"blk.#.attn_q_norm", LAYER "self_attn.q_layernorm.norms.@", AS_is},
    {"blk.#.attn_k_norm", LAYER "self_attn.k_layernorm.norms.@", AS_is},
    {0}};

static const NameRow mixtral_names[] = {
    {"blk.#.ffn_gate_inp", LAYER "block_sparse_moe.gate", AS_is},
    {"blk.#.ffn_gate_exps", LAYER "block_sparse_moe.experts.@.w1", AS_is},
    {"blk.#.ffn_down_exps", LAYER "block_sparse_moe.experts.@.w2", AS_is},
    {"blk.#.ffn_up_exps", LAYER "block_sparse_moe.experts.@.w3", AS_is},
    {"blk.#.ffn_gate.@", LAYER "block_sparse_moe.experts.@.w1", AS_is},
    {"blk.#.ffn_down.@", LAYER "block_sparse_moe.experts.@.w2", AS_is},
    {"blk.#.ffn_up.@", LAYER "block_sparse_moe.experts.@.w3", AS_is},
    {0}};

static const NameRow moe_names[] = {
    {"blk.#.ffn_gate_inp", LAYER "mlp.gate", AS_is},
    {"blk.#.ffn_gate_exps", LAYER "mlp.experts.@.gate_proj", AS_is},
    {"blk.#.ffn_up_exps", LAYER "mlp.experts.@.up_proj", AS_is},
    {"blk.#.ffn_down_exps", LAYER "mlp.experts.@.down_proj", AS_is},
    {"blk.#.ffn_gate_inp_shexp", LAYER "mlp.shared_expert_gate", AS_row},
    {"blk.#.ffn_gate_shexp", LAYER "mlp.shared_expert.gate_proj", AS_is},
    {"blk.#.ffn_up_shexp", LAYER "mlp.shared_expert.up_proj", AS_is},
    {"blk.#.ffn_down_shexp", LAYER "mlp.shared_expert.down_proj", AS_is},
    {0}};

static const NameRow deepseek_names[] = {
    {"blk.#.ffn_gate_shexp", LAYER "mlp.shared_experts.gate_proj", AS_is},
    {"blk.#.ffn_up_shexp", LAYER "mlp.shared_experts.up_proj", AS_is},
    {"blk.#.ffn_down_shexp", LAYER "mlp.shared_experts.down_proj", AS_is},
    {0}};

#define NEOX "gpt_neox.layers.#."
static const NameRow neox_names[] = {
    {"token_embd", "gpt_neox.embed_in", AS_is},
    {"output_norm", "gpt_neox.final_layer_norm", AS_is},
    {"output", "embed_out", AS_is},
    {"blk.#.attn_norm", NEOX "input_layernorm", AS_is},
    {"blk.#.ffn_norm", NEOX "post_attention_layernorm", AS_is},
    {"blk.#.attn_qkv", NEOX "attention.query_key_value", AS_qkv},
    {"blk.#.attn_output", NEOX "attention.dense", AS_is},
    {"blk.#.ffn_up", NEOX "mlp.dense_h_to_4h", AS_is},
    {"blk.#.ffn_down", NEOX "mlp.dense_4h_to_h", AS_is},
    {0}};

/* ---- keys ---- */

static const KeyRow common_keys[] = {
    {"block_count", "num_hidden_layers", KEY_int, NEEDED},
    {"embedding_length", "hidden_size", KEY_int, NEEDED},
    {"feed_forward_length", "intermediate_size", KEY_int, NEEDED},
    {"attention.head_count", "num_attention_heads", KEY_int, NEEDED},
    {"context_length", "max_position_embeddings", KEY_int, NEEDED},
    {0}};

/* llama.cpp has none for these; graft reads it back. */
static const KeyRow window_keys[] = {
    {"attention.sliding_window", "sliding_window", KEY_int, NONE},
    {0}};

static const KeyRow rms_keys[] = {
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", KEY_float, NEEDED},
    {0}};

static const KeyRow norm_keys[] = {
    {"attention.layer_norm_epsilon", "layer_norm_eps", KEY_float, NEEDED},
    {"use_parallel_residual", "use_parallel_residual", KEY_bool, NONE},
    {0}};

static const KeyRow mixtral_keys[] = {
    {"expert_count", "num_local_experts", KEY_int, NEEDED},
    {"expert_used_count", "num_experts_per_tok", KEY_int, NEEDED},
    {0}};

static const KeyRow moe_keys[] = {
    {"expert_count", "num_experts", KEY_int, NEEDED},
    {"expert_used_count", "num_experts_per_tok", KEY_int, NEEDED},
    {"expert_feed_forward_length", "moe_intermediate_size", KEY_int, NONE},
    {"expert_shared_feed_forward_length", "shared_expert_intermediate_size",
     KEY_int, NONE},
    {"expert_weights_norm", "norm_topk_prob", KEY_bool, NONE},
    {0}};

static const KeyRow deepseek_keys[] = {
    {"expert_count", "n_routed_experts", KEY_int, NEEDED},
    {"expert_used_count", "num_experts_per_tok", KEY_int, NEEDED},
    {"expert_shared_count", "n_shared_experts", KEY_int, NEEDED},
    {"expert_feed_forward_length", "moe_intermediate_size", KEY_int, NEEDED},
    {"leading_dense_block_count", "first_k_dense_replace", KEY_int, 0},
    {"expert_weights_scale", "", KEY_float, 1},
    {"expert_weights_norm", "norm_topk_prob", KEY_bool, 0},
    {0}};

/* ---- what the architecture implies ---- */

static const FixedRow silu_fixed[] = {{"hidden_act", "\"silu\"", NULL}, {0}};
static const FixedRow neox_fixed[] = {
    {"hidden_act", "\"gelu\"", "\"gelu_pytorch_tanh\""},
    {"attention_bias", "true", NULL},
    {0}};
static const FixedRow qwen2_moe_fixed[] = {{"hidden_act", "\"silu\"", NULL},
                                           {"decoder_sparse_step", "1", NULL},
                                           {"mlp_only_layers", "[]", NULL},
                                           {"norm_topk_prob", "false", NULL},
                                           {0}};
static const FixedRow qwen3_fixed[] = {{"hidden_act", "\"silu\"", NULL},
                                       {"attention_bias", "false", NULL},
                                       {0}};
static const FixedRow qwen3_moe_fixed[] = {{"hidden_act", "\"silu\"", NULL},
                                           {"attention_bias", "false", NULL},
                                           {"decoder_sparse_step", "1", NULL},
                                           {"mlp_only_layers", "[]", NULL},
                                           {"norm_topk_prob", "true", NULL},
                                           {0}};
static const FixedRow olmoe_fixed[] = {{"hidden_act", "\"silu\"", NULL},
                                       {"clip_qkv", "null", NULL},
                                       {"attention_bias", "false", NULL},
                                       {"norm_topk_prob", "false", NULL},
                                       {0}};
static const FixedRow deepseek_fixed[] = {{"hidden_act", "\"silu\"", NULL},
                                          {"moe_layer_freq", "1", NULL},
                                          {"scoring_func", "\"softmax\"", NULL},
                                          {0}};

static void set_bool(Translation *t, const char *field, const char *tensor)
{
    cJSON_AddBoolToObject(t->config, field, raw_find(t, tensor) != NULL);
}

static bool llama_more(Translation *t)
{
    set_bool(t, "attention_bias", "blk.0.attn_q.bias");
    set_bool(t, "mlp_bias", "blk.0.ffn_gate.bias");
    return true;
}

/* The part of a head that rope turns, as a fraction. */
static bool add_rotary(Translation *t, const char *field)
{
    int64_t turned;
    double heads = config_number(t, "num_attention_heads");
    double dim = config_number(t, "hidden_size") / heads;
    if (gguf_int(t->g, gguf_key(t->g, "rope.dimension_count"), &turned))
        cJSON_AddNumberToObject(t->config, field, (double)turned / dim);
    return true;
}

static bool stablelm_more(Translation *t)
{
    set_bool(t, "use_qkv_bias", "blk.0.attn_q.bias");
    set_bool(t, "qk_layernorm", "blk.0.attn_q_norm.weight");
    return add_rotary(t, "partial_rotary_factor");
}

static bool neox_more(Translation *t)
{
    cJSON_AddNumberToObject(t->config, "rotary_emb_base",
                            config_number(t, "rope_theta"));
    return add_rotary(t, "rotary_pct");
}

/* Older files leave the experts' widths to the shapes. */
static bool qwen_moe_more(Translation *t)
{
    const FileTensor *gate = raw_find(t, "blk.0.ffn_gate_exps.weight");
    const FileTensor *shared = raw_find(t, "blk.0.ffn_gate_shexp.weight");
    if (gate && gate->info.rank == 3 &&
        !config_number(t, "moe_intermediate_size"))
        cJSON_AddNumberToObject(t->config, "moe_intermediate_size",
                                (double)gate->info.shape[1]);
    if (shared && shared->info.rank == 2 &&
        !config_number(t, "shared_expert_intermediate_size"))
        cJSON_AddNumberToObject(t->config, "shared_expert_intermediate_size",
                                (double)shared->info.shape[0]);
    return true;
}

#define NAMES(...) {__VA_ARGS__}
#define KEYS(...) {common_keys, __VA_ARGS__}
const Arch gguf_arch[] = {
    /* arch, class, model_type, experts, paired, head_dim, window, part,
     * own_head */
    {"llama", "LlamaForCausalLM", "llama", false, true, true, false, false,
     false, NAMES(llama_names), KEYS(rms_keys), silu_fixed, llama_more},
    {"llama", "MistralForCausalLM", "mistral", false, true, true, true, false,
     false, NAMES(llama_names), KEYS(rms_keys, window_keys), silu_fixed, NULL},
    {"llama", "MinistralForCausalLM", "ministral", false, true, true, true,
     false, false, NAMES(llama_names), KEYS(rms_keys, window_keys), silu_fixed,
     NULL},
    {"llama", "MixtralForCausalLM", "mixtral", true, true, true, false, false,
     false, NAMES(mixtral_names, llama_names),
     KEYS(rms_keys, mixtral_keys, window_keys), silu_fixed, NULL},
    {"qwen2", "Qwen2ForCausalLM", "qwen2", false, false, false, false, false,
     false, NAMES(llama_names), KEYS(rms_keys, window_keys), silu_fixed, NULL},
    {"qwen2moe", "Qwen2MoeForCausalLM", "qwen2_moe", true, false, false, false,
     false, true, NAMES(moe_names, llama_names),
     KEYS(rms_keys, moe_keys, window_keys), qwen2_moe_fixed, qwen_moe_more},
    {"qwen3", "Qwen3ForCausalLM", "qwen3", false, false, true, false, false,
     false, NAMES(qk_norm_names, llama_names), KEYS(rms_keys, window_keys),
     qwen3_fixed, NULL},
    {"qwen3moe", "Qwen3MoeForCausalLM", "qwen3_moe", true, false, true, false,
     false, false, NAMES(qk_norm_names, moe_names, llama_names),
     KEYS(rms_keys, moe_keys, window_keys), qwen3_moe_fixed, qwen_moe_more},
    {"stablelm", "StableLmForCausalLM", "stablelm", false, false, false, false,
     true, true, NAMES(stablelm_names, llama_names), KEYS(norm_keys),
     silu_fixed, stablelm_more},
    {"gptneox", "GPTNeoXForCausalLM", "gpt_neox", false, false, false, false,
     true, true, NAMES(neox_names), KEYS(norm_keys), neox_fixed, neox_more},
    {"olmoe", "OlmoeForCausalLM", "olmoe", true, false, false, false, false,
     true, NAMES(qk_norm_names, moe_names, llama_names),
     KEYS(rms_keys, moe_keys), olmoe_fixed, NULL},
    {"deepseek", "DeepseekForCausalLM", "deepseek", true, true, false, false,
     false, false, NAMES(deepseek_names, moe_names, llama_names),
     KEYS(rms_keys, deepseek_keys), deepseek_fixed, NULL},
};
const int gguf_archs = COUNT(gguf_arch);
