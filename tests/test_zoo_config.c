/* Configs bound: those of published models, and every way one can be wrong,
 * which is told in one line. */
#include "compiler/lang/lang.h"
#include "tests/model_kit.h"

#define LLAMA \
    "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":48," \
    "\"intermediate_size\":80,\"num_hidden_layers\":2," \
    "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"vocab_size\":128}"

#define MISTRAL \
    "{\"architectures\":[\"MistralForCausalLM\"],\"hidden_size\":48," \
    "\"intermediate_size\":80,\"num_hidden_layers\":2," \
    "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"vocab_size\":128}"

typedef struct {
    Arena arena;
    Diags diags;
    cJSON *config;
    Model *model;
    Err err;
} Bound;

static void bind_json(Bound *b, cJSON *config)
{
    *b = (Bound){.diags.quiet = true, .config = config};
    b->model = model_bind(&b->arena, &b->diags, config, NULL, TYPE_f32,
                          &b->err);
    if (!b->model && b->diags.said.n)
        err_set(&b->err, "%s", b->diags.said.at[0].text);
}

static void unbind(Bound *b)
{
    diags_free(&b->diags);
    arena_free(&b->arena);
    cJSON_Delete(b->config);
}

/* `base` with some fields set: {"a": 1}; null removes nothing, it is null. */
static cJSON *changed(const char *base, const char *fields)
{
    cJSON *config = cJSON_Parse(base), *with = cJSON_Parse(fields), *v;
    assert_non_null(config);
    if (!with)
        fail_msg("no JSON: %s", fields);
    while ((v = with->child)) {
        cJSON_DetachItemViaPointer(with, v);
        cJSON_DeleteItemFromObjectCaseSensitive(config, v->string);
        cJSON_AddItemToObject(config, v->string, v);
    }
    cJSON_Delete(with);
    return config;
}

static void refused(const char *base, const char *fields, const char *words)
{
    Bound b;
    bind_json(&b, changed(base, fields));
    if (b.model)
        fail_msg("bound: %s", fields);
    says(&b.err, words);
    if (b.diags.errors > 1)
        fail_msg("%d messages for %s: %s; %s", b.diags.errors, fields,
                 b.diags.said.at[0].text, b.diags.said.at[1].text);
    unbind(&b);
}

static void size_is(const Bound *b, const char *name, int64_t want)
{
    int64_t n = -1;
    assert_true(model_size(b->model, name, &n));
    if (n != want)
        fail_msg("%s is %lld, not %lld", name, (long long)n, (long long)want);
}

static void taken(Bound *b, const char *base, const char *fields)
{
    bind_json(b, changed(base, fields));
    if (!b->model)
        fail_msg("%s: %s", fields, b->err.text);
}

/* ---- fields absent, null, of a wrong kind ---- */

static void defaults(void **state)
{
    Bound b;
    (void)state;
    taken(&b, LLAMA, "{\"head_dim\":null,\"num_key_value_heads\":null,"
                     "\"rope_scaling\":null,\"sliding_window\":null}");
    size_is(&b, "hd", 12);
    size_is(&b, "G", 4);
    unbind(&b);
    taken(&b, LLAMA, "{\"head_dim\":16}");
    size_is(&b, "hd", 16);
    size_is(&b, "theta", 10000);
    unbind(&b);
    taken(&b, LLAMA, "{\"rope_parameters\":{\"rope_theta\":5000}}");
    size_is(&b, "theta", 5000);
    unbind(&b);
}

static void missing(void **state)
{
    (void)state;
    refused(LLAMA, "{\"hidden_size\":null}",
            "config.json: no field `hidden_size`");
    refused(LLAMA, "{\"vocab_size\":null}",
            "config.json: no field `vocab_size`");
    refused("{}", "{}", "config.json: no `architectures`");
    refused(LLAMA, "{\"architectures\":[]}", "no `architectures`");
    refused(LLAMA, "{\"architectures\":\"LlamaForCausalLM\"}",
            "no `architectures`");
    refused(LLAMA, "{\"architectures\":[\"FooForCausalLM\"]}",
            "no model text reads the architecture \"FooForCausalLM\"");
}

static void wrong_numbers(void **state)
{
    (void)state;
    refused(LLAMA, "{\"hidden_size\":-48}", "hidden_size|-48|at least 1");
    refused(LLAMA, "{\"vocab_size\":0}", "vocab_size|0|at least 1");
    refused(LLAMA, "{\"vocab_size\":12.5}", "vocab_size|12.5|whole");
    refused(LLAMA, "{\"vocab_size\":1e30}", "vocab_size|whole");
    refused(LLAMA, "{\"rms_norm_eps\":1e999}", "rms_norm_eps|finite");
    refused(LLAMA, "{\"rope_theta\":-1e999}", "rope_theta|finite");
    refused(LLAMA, "{\"rope_theta\":-1}", "base|above 0|-1");
    refused(LLAMA, "{\"num_hidden_layers\":0}", "num_hidden_layers|0");
    refused(LLAMA, "{\"num_hidden_layers\":-1}", "num_hidden_layers|-1");
    refused(LLAMA, "{\"num_hidden_layers\":1e9}", "10000");
    refused(MISTRAL, "{\"sliding_window\":0}", "window|0");
    refused(MISTRAL, "{\"sliding_window\":-4}", "window|-4");
}

static void wrong_kinds(void **state)
{
    (void)state;
    refused(LLAMA, "{\"hidden_size\":\"48\"}", "hidden_size|\"48\"");
    refused(LLAMA, "{\"hidden_size\":true}", "hidden_size|true");
    refused(LLAMA, "{\"vocab_size\":[1]}", "vocab_size");
    refused(LLAMA, "{\"vocab_size\":{}}", "vocab_size");
    refused(LLAMA, "{\"num_hidden_layers\":\"2\"}", "num_hidden_layers");
    refused(LLAMA, "{\"rms_norm_eps\":\"small\"}", "rms_norm_eps");
    refused(LLAMA, "{\"tie_word_embeddings\":\"yes\"}",
            "true or false|\"yes\"");
    refused(MISTRAL, "{\"sliding_window\":true}", "window|true");
    refused(MISTRAL, "{\"layer_types\":[\"full_attention\"]}",
            "1 elements|1");
    refused(MISTRAL, "{\"layer_types\":\"full_attention\"}", "types");
    refused(LLAMA, "{\"hidden_act\":\"gelu_10\"}", "silu|gelu_10");
    refused(LLAMA, "{\"hidden_act\":7}", "silu|7");
}

static void heads(void **state)
{
    (void)state;
    refused(LLAMA, "{\"num_attention_heads\":5,\"num_key_value_heads\":5}",
            "hd|whole");
    refused(LLAMA, "{\"num_key_value_heads\":3}", "4|3|heads");
    refused(LLAMA, "{\"num_key_value_heads\":8}", "4|8|heads");
    refused(LLAMA, "{\"head_dim\":11}", "pairs|11");
}

static void rope(void **state)
{
    Bound b;
    (void)state;
    refused(LLAMA, "{\"rope_scaling\":{\"rope_type\":\"mrope\"}}",
            "config.json: `rope_scaling`|\"mrope\"|linear");
    refused(LLAMA, "{\"rope_scaling\":{\"rope_type\":\"dynamic\"}}",
            "config.json: `rope_scaling`|factor");
    refused(LLAMA, "{\"rope_scaling\":{\"rope_type\":\"longrope\","
                   "\"short_factor\":[1,0,1,1,1,1]}}", "short_factor|above 0");
    refused(LLAMA, "{\"rope_scaling\":{\"rope_type\":\"longrope\","
                   "\"short_factor\":[1,1]}}", "2|6");
    refused(LLAMA, "{\"rope_parameters\":{\"rope_type\":\"longrope\"}}",
            "`rope_parameters`|short_factor");
    refused(LLAMA, "{\"rope_scaling\":{\"type\":\"linear\"}}", "no factor");
    refused(LLAMA, "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}}",
            "factor|above 0");
    refused(LLAMA, "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":1e999}}",
            "factor|above 0");
    refused(LLAMA, "{\"rope_scaling\":{\"type\":\"llama3\",\"factor\":8}}",
            "no low_freq_factor");
    refused(LLAMA, "{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":-8}}",
            "factor");
    refused(LLAMA, "{\"rope_scaling\":{\"rope_type\":3}}", "not a word");
    refused(LLAMA, "{\"rope_scaling\":\"linear\"}", "`rope_scaling`|object");
    refused(LLAMA, "{\"rope_parameters\":{\"full_attention\":{}}}",
            "full_attention");
    taken(&b, LLAMA, "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":4}}");
    unbind(&b);
    taken(&b, LLAMA, "{\"rope_scaling\":{}}");
    unbind(&b);
}

/* ---- mixtures, layers that differ ---- */

#define SPARSE \
    "\"hidden_size\":48,\"intermediate_size\":80,\"num_hidden_layers\":4," \
    "\"num_attention_heads\":4,\"vocab_size\":128,\"num_experts\":4," \
    "\"num_experts_per_tok\":2,\"moe_intermediate_size\":40}"
#define QWEN_MOE "{\"architectures\":[\"Qwen3MoeForCausalLM\"]," SPARSE
#define DEEPSEEK \
    "{\"architectures\":[\"DeepseekForCausalLM\"],\"n_shared_experts\":2," \
    "\"n_routed_experts\":4,\"first_k_dense_replace\":1," SPARSE

static bool has_tensor(const Bound *b, const char *name)
{
    const Weight *const *w;
    int n = model_weights(b->model, &w);
    for (int i = 0; i < n; i++) {
        int64_t index[MAX_RANK] = {0};
        do
            if (!strcmp(weight_tensor(w[i], index), name))
                return true;
        while (weight_next(w[i], index));
    }
    return false;
}

/* Layer l is dense where dense[l] is '1'. */
static void layers_are(const Bound *b, const char *dense)
{
    for (int l = 0; dense[l]; l++) {
        const char *mlp = intern_printf("model.layers.%d.mlp", l);
        bool one = has_tensor(b, intern_printf("%s.gate_proj.weight", mlp));
        bool many = has_tensor(
            b, intern_printf("%s.experts.3.gate_proj.weight", mlp));
        assert_int_equal(one, dense[l] == '1');
        assert_int_equal(many, dense[l] != '1');
    }
}

static void sparse_layers(void **state)
{
    Bound b;
    (void)state;
    taken(&b, QWEN_MOE, "{}");
    layers_are(&b, "0000");
    unbind(&b);
    taken(&b, QWEN_MOE, "{\"decoder_sparse_step\":2}");
    layers_are(&b, "1010");
    unbind(&b);
    taken(&b, QWEN_MOE, "{\"mlp_only_layers\":[0,3]}");
    layers_are(&b, "1001");
    unbind(&b);
    taken(&b, DEEPSEEK, "{}");
    layers_are(&b, "1000");
    unbind(&b);
    taken(&b, DEEPSEEK, "{\"first_k_dense_replace\":3,\"moe_layer_freq\":2}");
    layers_are(&b, "1111");
    unbind(&b);
    taken(&b, DEEPSEEK, "{\"moe_layer_freq\":2}");
    layers_are(&b, "1101");
    unbind(&b);
}

static void sparse_wrong(void **state)
{
    (void)state;
    refused(QWEN_MOE, "{\"num_experts_per_tok\":5}", "top-k|4");
    refused(QWEN_MOE, "{\"num_experts_per_tok\":0}", "0");
    refused(QWEN_MOE, "{\"num_experts\":-4}", "num_experts|-4");
    refused(QWEN_MOE, "{\"mlp_only_layers\":3}", "list");
    refused(QWEN_MOE, "{\"hidden_act\":\"relu\"}", "silu|relu");
    refused(DEEPSEEK, "{\"scoring_func\":\"sigmoid\"}", "softmax|sigmoid");
    refused(DEEPSEEK, "{\"n_shared_experts\":null}", "n_shared_experts");
}

/* ---- others' texts ---- */

#define OTHER(arch) \
    "{\"architectures\":[\"" arch "\"],\"hidden_size\":48," \
    "\"intermediate_size\":80,\"num_hidden_layers\":2," \
    "\"num_attention_heads\":4,\"vocab_size\":128}"

static void unable(void **state)
{
    (void)state;
    refused(OTHER("StableLmForCausalLM"), "{\"partial_rotary_factor\":2}",
            "share|2");
    refused(OTHER("GPTNeoXForCausalLM"), "{\"hidden_act\":\"mish\"}",
            "gelu|mish");
    refused(OTHER("Qwen3ForCausalLM"), "{\"hidden_act\":\"laplace\"}",
            "gelu|laplace");
    refused(OTHER("LlamaForCausalLM"),
            "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":2},"
            "\"partial_rotary_factor\":0.5}", "whole heads|linear|0.5");
}

/* Windows from a layer on. */
static void qwen_window(void **state)
{
    Bound b;
    Arena arena = {0};
    int windows = 0;
    (void)state;
    taken(&b, OTHER("Qwen2ForCausalLM"),
          "{\"use_sliding_window\":true,\"sliding_window\":8,"
          "\"max_window_layers\":1}");
    const Graph *g = model_graph(b.model, &arena);
    for (int i = 0; i < g->node.n; i++)
        for (int l = 0; g->node.at[i]->repeat && l < 2; l++) {
            const Graph *body = g->node.at[i]->repeat->at[l].body;
            for (int j = 0; j < body->node.n; j++)
                if (body->node.at[j]->op == OP_attend) {
                    windows += body->node.at[j]->size != NULL;
                    assert_int_equal(body->node.at[j]->size != NULL, l == 1);
                }
        }
    assert_int_equal(windows, 1);
    arena_free(&arena);
    unbind(&b);
}

/* ---- published configs ---- */

static const struct Published {
    const char *name, *arch; /* arch: in place of the file's, or NULL */
    int64_t D, L, V;
} published[] = {
    {"tinyllama-1.1b-chat-v1.0", NULL, 2048, 22, 32000},
    {"deepseek-coder-1.3b-instruct.from-verl-log", NULL, 2048, 24, 32256},
    {"pythia-410m", "GPTNeoXForCausalLM", 1024, 24, 50304},
    {"ipex-stablelm2-1layer", NULL, 2048, 1, 100352},
    {"ipex-mixtral-1layer", NULL, 2048, 1, 32000},
    {"ipex-qwen3moe-1layer", NULL, 2048, 1, 151936},
};

static void binds(void **state)
{
    const struct Published *p = *state;
    Bound b;
    cJSON *config = kit_json(intern_printf("configs/%s.config.json", p->name));
    if (p->arch)
        cJSON_ReplaceItemInObject(config, "architectures",
                                  cJSON_CreateStringArray(&p->arch, 1));
    bind_json(&b, config);
    if (!b.model)
        fail_msg("%s", b.err.text);
    size_is(&b, "D", p->D);
    size_is(&b, "L", p->L);
    size_is(&b, "V", p->V);
    unbind(&b);
}

/* A head for classes is not a language model's. */
static void other_head(void **state)
{
    Bound b;
    (void)state;
    bind_json(&b, kit_json("configs/pythia-410m.config.json"));
    assert_null(b.model);
    says(&b.err, "GPTNeoXForSequenceClassification");
    unbind(&b);
}

#define PUBLISHED(i) \
    {"a published config binds: " #i, binds, NULL, NULL, \
     (void *)&published[i]}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(missing),
        cmocka_unit_test(wrong_numbers),
        cmocka_unit_test(wrong_kinds),
        cmocka_unit_test(heads),
        cmocka_unit_test(rope),
        cmocka_unit_test(sparse_layers),
        cmocka_unit_test(sparse_wrong),
        cmocka_unit_test(unable),
        cmocka_unit_test(qwen_window),
        PUBLISHED(0),
        PUBLISHED(1),
        PUBLISHED(2),
        PUBLISHED(3),
        PUBLISHED(4),
        PUBLISHED(5),
        cmocka_unit_test(other_head),
    };
    return cmocka_run_group_tests_name("zoo_config", tests, NULL, NULL);
}
