/* A model's weights against a checkpoint's headers: what is missing, what is
 * too much, what has another shape; what may be there by habit. */
#include "tests/model_kit.h"

/* The headers of a tiny checkpoint, to be spoilt. */
typedef struct {
    Kit kit;
    TensorInfo tensor[256];
    int n;
} Headers;

static void open_headers(Headers *h, const char *name)
{
    kit_shared(&h->kit, name);
    h->n = h->kit.checkpoint->tensors;
    assert_true(h->n < 250);
    for (int i = 0; i < h->n; i++)
        h->tensor[i] = h->kit.checkpoint->tensor[i].info;
}

static TensorInfo *header(Headers *h, const char *name)
{
    for (int i = 0; i < h->n; i++)
        if (!strcmp(h->tensor[i].name, name))
            return &h->tensor[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static void take_away(Headers *h, const char *name)
{
    *header(h, name) = h->tensor[--h->n];
}

static void add(Headers *h, const char *name, const char *like)
{
    h->tensor[h->n] = *header(h, like);
    h->tensor[h->n++].name = name;
}

static void agrees(Headers *h)
{
    Err err = {""};
    if (!model_check_tensors(h->kit.model, h->tensor, h->n, &err))
        fail_msg("%s", err.text);
    kit_close(&h->kit);
}

static void differs(Headers *h, const char *words)
{
    Err err = {""};
    assert_false(model_check_tensors(h->kit.model, h->tensor, h->n, &err));
    says(&err, words);
    kit_close(&h->kit);
}

#define UP "model.layers.1.mlp.up_proj.weight"

static void missing(void **state)
{
    Headers h;
    (void)state;
    open_headers(&h, "hf_tiny/llama");
    take_away(&h, UP);
    differs(&h, "no tensor " UP "|layer[1].ffn.up");
    open_headers(&h, "hf_tiny/qwen2_moe");
    take_away(&h, "model.layers.1.mlp.experts.3.down_proj.weight");
    differs(&h, "no tensor model.layers.1.mlp.experts.3.down_proj.weight");
    open_headers(&h, "hf_tiny/qwen2");
    take_away(&h, "model.layers.0.self_attn.k_proj.bias");
    differs(&h, "no tensor model.layers.0.self_attn.k_proj.bias");
    open_headers(&h, "hf_tiny/llama");
    h.n = 0;
    differs(&h, "no tensor");
}

static void too_many(void **state)
{
    Headers h;
    (void)state;
    open_headers(&h, "hf_tiny/llama");
    add(&h, "model.layers.2.mlp.up_proj.weight", UP);
    differs(&h, "no weight|reads tensor model.layers.2.mlp.up_proj.weight");
    open_headers(&h, "hf_tiny/qwen3_moe");
    add(&h, "model.layers.0.mlp.experts.4.up_proj.weight",
        "model.layers.0.mlp.experts.3.up_proj.weight");
    differs(&h, "reads tensor model.layers.0.mlp.experts.4.up_proj.weight");
}

static void shapes(void **state)
{
    Headers h;
    (void)state;
    open_headers(&h, "hf_tiny/llama");
    header(&h, UP)->shape[0] = 81;
    differs(&h, UP "|[81, 48]|[F, D]|[80, 48]");
    open_headers(&h, "hf_tiny/llama");
    header(&h, UP)->shape[0] = 48;
    header(&h, UP)->shape[1] = 80;
    differs(&h, UP "|[48, 80]|[80, 48]");
    open_headers(&h, "hf_tiny/llama");
    header(&h, UP)->rank = 1;
    header(&h, UP)->shape[0] = 80 * 48;
    agrees(&h); /* dims that flatten to it */
    open_headers(&h, "hf_tiny/llama");
    header(&h, "lm_head.weight")->shape[0] = 100; /* another vocabulary */
    differs(&h, "lm_head.weight|[100, 48]|[V, D]|[128, 48]");
}

static void by_habit(void **state)
{
    Headers h;
    (void)state;
    open_headers(&h, "hf_tiny/llama");
    add(&h, "model.layers.0.self_attn.rotary_emb.inv_freq", UP);
    agrees(&h);
    open_headers(&h, "stories260K"); /* tied */
    add(&h, "lm_head.weight", "model.embed_tokens.weight");
    agrees(&h);
    open_headers(&h, "stories260K");
    add(&h, "lm_head.weight", "model.layers.0.mlp.up_proj.weight");
    differs(&h, "reads tensor lm_head.weight"); /* not the embeddings */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing),
        cmocka_unit_test(too_many),
        cmocka_unit_test(shapes),
        cmocka_unit_test(by_habit),
    };
    return cmocka_run_group_tests_name("zoo_tensors", tests, NULL, NULL);
}
