/* GGUF: metadata, names and configs in Hugging Face's terms, rows put back,
 * stacked experts taken apart. */
#include "tests/files_util.h"
#include <math.h>

static Gguf_bytes gg;

static int config_int(const Checkpoint *c, const char *field)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->config, field);
    if (!cJSON_IsNumber(item))
        fail_msg("no number %s in the config", field);
    return item->valueint;
}

static bool config_true(const Checkpoint *c, const char *field)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->config, field));
}

static void a_llama(void **state)
{
    (void)state;
    static const GgShape tensors[] = {
        {"token_embd.weight", 8, 10, 0}, {"blk.0.attn_q.weight", 8, 8, 0},
        {"blk.0.attn_k.weight", 8, 4, 0}, {"blk.0.attn_q.bias", 8, 0, 0},
        {"odd.weight", 8, 0, 0}};
    gg_start(&gg, COUNT(tensors), GG_LLAMA);
    gg_llama(&gg, "llama");
    gg_tensors(&gg, tensors, COUNT(tensors));
    gg.at[4] = 2; /* version 2 differs in nothing that is read */
    checkpoint_close(open_good(gg_put(&gg)));
    gg.at[4] = 3;
    Checkpoint *c = open_good(gg_put(&gg));
    assert_int_equal(c->tensors, 5);
    assert_int_equal(config_int(c, "vocab_size"), 10);
    assert_int_equal(config_int(c, "hidden_size"), 8);
    assert_int_equal(config_int(c, "num_key_value_heads"), 1);
    assert_int_equal(config_int(c, "head_dim"), 4);
    assert_int_equal(config_int(c, "rope_theta"), 10000);
    assert_true(config_true(c, "tie_word_embeddings"));
    assert_true(config_true(c, "attention_bias"));
    const cJSON *eps = cJSON_GetObjectItem(c->config, "rms_norm_eps");
    assert_true(eps->valuedouble == 1e-5); /* not 9.9999997e-06 */
    assert_non_null(checkpoint_find(c, "odd.weight"));
    assert_string_equal(
        checkpoint_find(c, "model.layers.0.self_attn.q_proj.weight")
            ->file_name, "blk.0.attn_q.weight");
    checkpoint_close(c);
}

/* Row (head, j, i) of ours is row (head, i, j) of the file. */
static void rows_put_back(void **state)
{
    (void)state;
    static const GgShape tensors[] = {
        {"blk.0.attn_q.weight", 8, 8, 0}, {"blk.0.attn_k.weight", 8, 4, 0},
        {"blk.0.attn_q.bias", 8, 0, 0}, {"blk.0.attn_v.weight", 8, 4, 0}};
    static const int q[] = {0, 2, 1, 3, 4, 6, 5, 7};
    gg_start(&gg, COUNT(tensors), GG_LLAMA);
    gg_llama(&gg, "llama");
    gg_tensors(&gg, tensors, COUNT(tensors));
    Checkpoint *c = open_good(gg_put(&gg));
    int64_t n;
    float *got = values(c, "model.layers.0.self_attn.q_proj.weight", &n);
    for (int i = 0; i < 64; i++)
        assert_true(got[i] == (float)(q[i / 8] * 8 + i % 8));
    free(got);
    got = values(c, "model.layers.0.self_attn.k_proj.weight", &n);
    for (int i = 0; i < 32; i++)
        assert_true(got[i] == (float)(64 + q[i / 8] * 8 + i % 8));
    free(got);
    got = values(c, "model.layers.0.self_attn.q_proj.bias", &n);
    for (int i = 0; i < 8; i++)
        assert_true(got[i] == (float)(96 + q[i]));
    free(got);
    const FileTensor *t = checkpoint_find(c,
                                      "model.layers.0.self_attn.q_proj.weight");
    assert_null(tensor_in_place(t, TYPE_f32));
    t = checkpoint_find(c, "model.layers.0.self_attn.v_proj.weight");
    assert_non_null(tensor_in_place(t, TYPE_f32));
    assert_null(tensor_in_place(t, TYPE_bf16));
    checkpoint_close(c);
}

/* Any range of a permuted tensor is that range of the whole. */
static void ranges_of_rows(void **state)
{
    (void)state;
    static const GgShape tensors[] = {{"blk.0.attn_q.weight", 8, 8, 0}};
    gg_start(&gg, 1, GG_LLAMA);
    gg_llama(&gg, "llama");
    gg_tensors(&gg, tensors, 1);
    Checkpoint *c = open_good(gg_put(&gg));
    const FileTensor *t = &c->tensor[0];
    float all[64], part[64];
    tensor_read_all(t, TYPE_f32, all);
    for (int from = 0; from < 64; from++)
        for (int n = 0; from + n <= 64; n++) {
            tensor_read(t, from, n, TYPE_f32, part);
            assert_memory_equal(part, all + from, (size_t)n * 4);
        }
    checkpoint_close(c);
}

static void mixtral(void **state)
{
    (void)state;
    static const GgShape tensors[] = {
        {"token_embd.weight", 8, 10, 0}, {"blk.0.ffn_gate_inp.weight", 8, 3, 0},
        {"blk.0.ffn_gate_exps.weight", 8, 16, 3},
        {"blk.0.ffn_down_exps.weight", 16, 8, 3},
        {"output.weight", 8, 10, 0}};
    gg_start(&gg, COUNT(tensors), GG_LLAMA + 2);
    gg_llama(&gg, "llama");
    gg_key_u32(&gg, "llama.expert_count", 3);
    gg_key_u32(&gg, "llama.expert_used_count", 2);
    gg_tensors(&gg, tensors, COUNT(tensors));
    Checkpoint *c = open_good(gg_put(&gg));
    assert_int_equal(c->tensors, 9);
    assert_int_equal(config_int(c, "num_local_experts"), 3);
    assert_int_equal(config_int(c, "num_experts_per_tok"), 2);
    assert_false(config_true(c, "tie_word_embeddings"));
    int64_t n;
    float *w1 = values(c, "model.layers.0.block_sparse_moe.experts.2.w1.weight",
                       &n);
    assert_int_equal(n, 128);
    assert_true(w1[0] == 80 + 24 + 2 * 128 && w1[127] == w1[0] + 127);
    free(w1);
    const FileTensor *w2 = checkpoint_find(
        c, "model.layers.0.block_sparse_moe.experts.1.w2.weight");
    assert_int_equal(w2->info.rank, 2);
    assert_int_equal(w2->info.shape[0], 8);
    assert_int_equal(w2->info.shape[1], 16);
    checkpoint_close(c);
}

/* Mixtral files of before the stacks: a tensor for each expert. */
static void mixtral_old(void **state)
{
    (void)state;
    static const GgShape tensors[] = {{"blk.0.ffn_gate.0.weight", 8, 16, 0},
                                    {"blk.0.ffn_gate.1.weight", 8, 16, 0}};
    gg_start(&gg, COUNT(tensors), GG_LLAMA + 2);
    gg_llama(&gg, "llama");
    gg_key_u32(&gg, "llama.expert_count", 2);
    gg_key_u32(&gg, "llama.expert_used_count", 1);
    gg_tensors(&gg, tensors, COUNT(tensors));
    Checkpoint *c = open_good(gg_put(&gg));
    assert_non_null(checkpoint_find(
        c, "model.layers.0.block_sparse_moe.experts.1.w1.weight"));
    checkpoint_close(c);
}

static void qwen2_moe(void **state)
{
    (void)state;
    static const GgShape tensors[] = {
        {"token_embd.weight", 8, 10, 0},
        {"blk.0.attn_q.weight", 8, 8, 0},
        {"blk.0.attn_q.bias", 8, 0, 0},
        {"blk.0.ffn_gate_exps.weight", 8, 12, 2},
        {"blk.0.ffn_gate_inp_shexp.weight", 8, 0, 0},
        {"blk.0.ffn_gate_shexp.weight", 8, 20, 0}};
    gg_start(&gg, COUNT(tensors), GG_LLAMA + 2);
    gg_llama(&gg, "qwen2moe");
    gg_key_u32(&gg, "qwen2moe.expert_count", 2);
    gg_key_u32(&gg, "qwen2moe.expert_used_count", 1);
    gg_tensors(&gg, tensors, COUNT(tensors));
    Checkpoint *c = open_good(gg_put(&gg));
    assert_int_equal(config_int(c, "num_experts"), 2);
    assert_int_equal(config_int(c, "moe_intermediate_size"), 12);
    assert_int_equal(config_int(c, "shared_expert_intermediate_size"), 20);
    const FileTensor *t = checkpoint_find(
        c, "model.layers.0.mlp.shared_expert_gate.weight");
    assert_int_equal(t->info.rank, 2);
    assert_int_equal(t->info.shape[0], 1);
    t = checkpoint_find(c, "model.layers.0.self_attn.q_proj.weight");
    assert_int_equal(t->rows, ROWS_plain); /* only llama's are permuted */
    assert_non_null(checkpoint_find(
        c, "model.layers.0.mlp.experts.1.gate_proj.weight"));
    checkpoint_close(c);
}

/* GPT-NeoX: the file has all q, then all k, then all v. */
static void neox_qkv(void **state)
{
    (void)state;
    static const GgShape tensors[] = {{"blk.0.attn_qkv.weight", 8, 24, 0}};
    gg_start(&gg, 1, GG_LLAMA + 2);
    gg_llama(&gg, "gptneox");
    gg_key_f32(&gg, "gptneox.attention.layer_norm_epsilon", 1e-5f);
    gg_key_u32(&gg, "gptneox.rope.dimension_count", 2);
    gg_tensors(&gg, tensors, 1);
    Checkpoint *c = open_good(gg_put(&gg));
    int64_t n;
    float *w = values(
        c, "gpt_neox.layers.0.attention.query_key_value.weight", &n);
    for (int h = 0; h < 2; h++) /* ours: head, part, i */
        for (int p = 0; p < 3; p++)
            for (int i = 0; i < 4; i++)
                assert_true(w[(h * 12 + p * 4 + i) * 8] ==
                            (float)((p * 8 + h * 4 + i) * 8));
    free(w);
    const cJSON *part = cJSON_GetObjectItem(c->config, "rotary_pct");
    assert_true(part->valuedouble == 0.5);
    checkpoint_close(c);
}

/* ---- metadata ---- */

static void getters(void **state)
{
    (void)state;
    gg_start(&gg, 0, 7);
    gg_key_str(&gg, "s", "text");
    gg_key_u32(&gg, "n", 4294967295u);
    gg_key_f32(&gg, "f", 0.5f);
    gg_str(&gg, "b"), gg_u32(&gg, 7), gg.at[gg.n++] = 1;
    gg_str(&gg, "ints"), gg_u32(&gg, 9), gg_u32(&gg, 5), gg_u64(&gg, 2);
    gg_u32(&gg, 7), gg_u32(&gg, (uint32_t)-1);
    gg_str(&gg, "strings"), gg_u32(&gg, 9), gg_u32(&gg, 8), gg_u64(&gg, 2);
    gg_str(&gg, "a"), gg_str(&gg, "");
    gg_str(&gg, "nested"), gg_u32(&gg, 9), gg_u32(&gg, 9), gg_u64(&gg, 1);
    gg_u32(&gg, 6), gg_u64(&gg, 1), gg_u32(&gg, 0);
    Checkpoint *c = open_good(gg_put(&gg));
    const Gguf *g = c->gguf;
    int64_t n;
    double f;
    bool b;
    assert_string_equal(gguf_string(g, "s"), "text");
    assert_ptr_equal(gguf_string(g, "s"), gguf_string(g, "s"));
    assert_true(gguf_int(g, "n", &n) && n == 4294967295);
    assert_true(gguf_float(g, "f", &f) && f == 0.5);
    assert_true(gguf_float(g, "n", &f) && f == 4294967295.0);
    assert_true(gguf_bool(g, "b", &b) && b);
    const int64_t *ints = gguf_ints(g, "ints", &n);
    assert_true(ints && n == 2 && ints[0] == 7 && ints[1] == -1);
    const Bytes *strings = gguf_strings(g, "strings", &n);
    assert_true(strings && n == 2 && strings[0].len == 1 && !strings[1].len);
    assert_ptr_equal(strings, gguf_strings(g, "strings", &n));
    assert_false(gguf_int(g, "s", &n) || gguf_int(g, "ints", &n) ||
                 gguf_int(g, "none", &n) || gguf_bool(g, "n", &b));
    assert_null(gguf_floats(g, "ints", &n));
    assert_null(gguf_ints(g, "nested", &n));
    assert_null(gguf_strings(g, "s", &n));
    assert_null(gguf_string(g, "n"));
    checkpoint_close(c);
}

/* ---- Llama 3's rope from its factors ---- */

static float llama3(int i, int dim, double theta)
{
    double wave = 2 * M_PI * pow(theta, 2.0 * i / dim);
    double smooth = (8192 / wave - 1) / 3;
    if (smooth >= 1)
        return 1;
    return smooth <= 0 ? 8 : (float)(1 / ((1 - smooth) / 8 + smooth));
}

static const char *rope_file(float spoil)
{
    gg_start(&gg, 2, 9);
    gg_key_str(&gg, "general.architecture", "llama");
    gg_key_u32(&gg, "llama.block_count", 1);
    gg_key_u32(&gg, "llama.embedding_length", 128);
    gg_key_u32(&gg, "llama.feed_forward_length", 16);
    gg_key_u32(&gg, "llama.attention.head_count", 1);
    gg_key_u32(&gg, "llama.attention.head_count_kv", 1);
    gg_key_u32(&gg, "llama.context_length", 64);
    gg_key_f32(&gg, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gg_key_f32(&gg, "llama.rope.freq_base", 500000);
    gg_tensor(&gg, "rope_freqs.weight", 64, 0, 0, 0, 0);
    gg_tensor(&gg, "token_embd.weight", 128, 2, 0, 0, 256);
    gg_floats(&gg, 64 + 256);
    for (int i = 0; i < 64; i++) {
        float f = llama3(i, 128, 500000) * (i == 40 ? spoil : 1);
        memcpy(gg.at + gg.n - (320 - i) * 4, &f, 4);
    }
    return gg_put(&gg);
}

static void llama3_rope(void **state)
{
    (void)state;
    Checkpoint *c = open_good(rope_file(1));
    const cJSON *s = cJSON_GetObjectItem(c->config, "rope_scaling");
    assert_string_equal(cJSON_GetObjectItem(s, "rope_type")->valuestring,
                        "llama3");
    assert_true(cJSON_GetObjectItem(s, "factor")->valuedouble == 8);
    assert_int_equal(c->tensors, 1);
    checkpoint_close(c);
    open_fails(rope_file(1.1f), "rope_freqs.weight|not Llama 3's");
}

/* ---- shared data ---- */

/* The GGUF of stories260K holds what its folder does, rows put back. */
static void stories(void **state)
{
    (void)state;
    const char *folder = shared("stories260K");
    if (!folder)
        skip();
    Checkpoint *a = open_good(folder);
    Checkpoint *b = open_good(intern_printf("%s/stories260K.gguf", folder));
    assert_int_equal(b->tensors, a->tensors + 1); /* the head, tied there */
    for (int i = 0; i < a->tensors; i++) {
        int64_t n, m;
        float *x = values(a, a->tensor[i].info.name, &n);
        float *y = values(b, a->tensor[i].info.name, &m);
        assert_int_equal(n, m);
        if (memcmp(x, y, (size_t)n * 4))
            fail_msg("%s differs", a->tensor[i].info.name);
        free(x), free(y);
    }
    assert_int_equal(config_int(b, "vocab_size"), 512);
    checkpoint_close(a);
    checkpoint_close(b);
}

static void vocabularies(void **state)
{
    (void)state;
    static const char *const name[] = {"gpt-2", "deepseek-coder",
                                       "llama-spm"};
    static const int tokens[] = {50257, 32256, 32000};
    for (int i = 0; i < 3; i++) {
        const char *path = shared(
            intern_printf("tokenizers/ggml-vocab-%s.gguf", name[i]));
        if (!path)
            skip();
        Checkpoint *c = open_good(path);
        int64_t n;
        assert_int_equal(c->tensors, 0);
        assert_non_null(gguf_strings(c->gguf, "tokenizer.ggml.tokens", &n));
        assert_int_equal(n, tokens[i]);
        checkpoint_close(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_llama),       cmocka_unit_test(rows_put_back),
        cmocka_unit_test(ranges_of_rows), cmocka_unit_test(mixtral),
        cmocka_unit_test(mixtral_old),   cmocka_unit_test(qwen2_moe),
        cmocka_unit_test(neox_qkv),      cmocka_unit_test(getters),
        cmocka_unit_test(llama3_rope),   cmocka_unit_test(stories),
        cmocka_unit_test(vocabularies),
    };
    return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
