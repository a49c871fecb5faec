/* What transformed models are written as: Mixtral where Mixtral holds them,
 * else a folder of graft's own, with the text that reads it back. */
#include "compiler/lang/lang.h"
#include "tests/model_kit.h"
#include <math.h>

/* The config and text that a kit's model would be saved with. */
static Written written(const Kit *k)
{
    Written w = {0};
    Err err;
    if (!model_write(k->model, &w, &err))
        fail_msg("%s", err.text);
    return w;
}

static const char *text_field(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsArray(v) ? v->child->valuestring
           : cJSON_IsString(v) ? v->valuestring : "";
}

static void is_ours(const Written *w)
{
    assert_string_equal(text_field(w->config, "architectures"),
                        "GraftForCausalLM");
    assert_string_equal(text_field(w->config, "model_type"), "graft");
    assert_non_null(w->text);
}

/* Every name of a tensor, in order, in one text. */
static char *tensor_names(const Model *m)
{
    const Weight *const *w;
    int n = model_weights(m, &w);
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    for (int i = 0; i < n; i++)
        fprintf(out, "%s %lld %d\n", w[i]->file,
                (long long)type_count(&w[i]->type, 0), w[i]->stacked);
    fclose(out);
    return text;
}

/* Bound from what was written, it has the same tensors. */
static void reads_back(const Kit *k, const Written *w)
{
    Arena arena = {0};
    Diags diags = {.quiet = true};
    Err err = {""};
    Model *m = model_bind(&arena, &diags, w->config, w->text, TYPE_f32, &err);
    if (!m)
        fail_msg("%s", diags.said.n ? diags.said.at[0].text : err.text);
    char *a = tensor_names(k->model), *b = tensor_names(m);
    assert_string_equal(a, b);
    free(a);
    free(b);
    arena_free(&arena);
    diags_free(&diags);
}

/* Same logits as before, to rounding. */
static void preserves(Kit *k, const char *name, const char *args)
{
    const int32_t ids[] = {3, 14, 15, 92, 65, 35};
    enum { N = COUNT(ids) };
    Err err = {""};
    size_t n = N * (size_t)k->vocabulary;
    double *a = xmalloc(n * sizeof *a), *b = xmalloc(n * sizeof *b);
    assert_true(kit_interp_exact(k, ids, N, a, &err));
    kit_transform(k, name, args);
    if (!kit_interp_exact(k, ids, N, b, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) < 1e-9))
            fail_msg("logit %zu: %.9g before, %.9g after", i, a[i], b[i]);
    free(a);
    free(b);
}

/* ---- dense models upcycled ---- */

static void xft_is_ours(void **state)
{
    Kit k;
    kit_shared(&k, *state);
    preserves(&k, "xft", "experts=4 active=3");
    Written w = written(&k);
    is_ours(&w);
    reads_back(&k, &w);
    assert_null(strstr(w.text, "use "));
    assert_null(strstr(w.text, "pesc_moe")); /* not the whole library */
    written_free(&w);
    kit_close(&k);
}

static void mixtral_of_llama(void **state)
{
    Kit k;
    (void)state;
    kit_shared(&k, "hf_tiny/llama");
    preserves(&k, "sparse_upcycling", "E=4 K=2");
    Written w = written(&k);
    assert_null(w.text);
    assert_string_equal(text_field(w.config, "architectures"),
                        "MixtralForCausalLM");
    assert_string_equal(text_field(w.config, "model_type"), "mixtral");
    cJSON_DeleteItemFromObject(w.config, "graft"); /* as others read it */
    reads_back(&k, &w);
    written_free(&w);
    kit_close(&k);
}

/* Mixtral has no biases, no norms of q and k, no LayerNorm. */
static void mixtral_of_others(void **state)
{
    Kit k;
    kit_shared(&k, *state);
    preserves(&k, "sparse_upcycling", "E=4 K=2");
    Written w = written(&k);
    is_ours(&w);
    reads_back(&k, &w);
    written_free(&w);
    kit_close(&k);
}

/* There and back: the config is the dense model's again. */
static void merged(void **state)
{
    Kit k;
    kit_shared(&k, *state);
    preserves(&k, "xft", "experts=4 active=3");
    preserves(&k, "xft_merge", "");
    Written w = written(&k);
    assert_null(w.text);
    cJSON_DeleteItemFromObject(w.config, "graft");
    assert_string_equal(
        text_field(w.config, "architectures"),
        text_field(k.checkpoint->config, "architectures"));
    reads_back(&k, &w);
    written_free(&w);
    kit_close(&k);
}

/* Every field of the file is there, with its value. */
static void keeps_fields(void **state)
{
    Kit k;
    kit_shared(&k, *state);
    Written w = written(&k);
    const cJSON *v;
    cJSON_ArrayForEach(v, k.checkpoint->config) {
        const cJSON *now = cJSON_GetObjectItemCaseSensitive(w.config,
                                                             v->string);
        if (!now || (!cJSON_IsNull(v) && !cJSON_Compare(v, now, true)))
            fail_msg("%s of %s has changed", v->string, (char *)*state);
    }
    written_free(&w);
    kit_close(&k);
}

#define CASE(test, name) {#test ": " name, test, NULL, NULL, name}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(xft_is_ours, "hf_tiny/llama"),
        CASE(xft_is_ours, "hf_tiny/mistral_window"),
        CASE(xft_is_ours, "hf_tiny/qwen2"),
        CASE(xft_is_ours, "hf_tiny/qwen3"),
        CASE(xft_is_ours, "hf_tiny/stablelm"),
        cmocka_unit_test(mixtral_of_llama),
        CASE(mixtral_of_others, "hf_tiny/qwen2"),
        CASE(mixtral_of_others, "hf_tiny/qwen3"),
        CASE(mixtral_of_others, "hf_tiny/stablelm"),
        CASE(merged, "hf_tiny/llama"),
        CASE(merged, "hf_tiny/qwen2"),
        CASE(merged, "hf_tiny/qwen3"),
        CASE(merged, "hf_tiny/stablelm"),
        CASE(keeps_fields, "hf_tiny/llama"),
        CASE(keeps_fields, "hf_tiny/llama3_rope"),
        CASE(keeps_fields, "hf_tiny/llama_linear_rope"),
        CASE(keeps_fields, "hf_tiny/mistral_window"),
        CASE(keeps_fields, "hf_tiny/qwen2"),
        CASE(keeps_fields, "hf_tiny/qwen3"),
        CASE(keeps_fields, "hf_tiny/stablelm"),
        CASE(keeps_fields, "hf_tiny/gpt_neox"),
        CASE(keeps_fields, "hf_tiny/mixtral"),
        CASE(keeps_fields, "hf_tiny/olmoe"),
        CASE(keeps_fields, "hf_tiny/qwen2_moe"),
        CASE(keeps_fields, "hf_tiny/qwen3_moe"),
    };
    return cmocka_run_group_tests_name("zoo_written", tests, NULL, NULL);
}
