/* GGUF files written: what is read back is what was given, bit for bit in the
 * stored type, with the config and the tokenizer that were; and nothing is left
 * where anything fails. */
#include "tests/files_util.h"
#include "runtime/tokens/tokens.h"
#include <errno.h>
#include <math.h>

static const char *const models[] = {
    "hf_tiny/llama",      "hf_tiny/llama_linear_rope", "hf_tiny/llama3_rope",
    "hf_tiny/qwen2",      "hf_tiny/mistral_window",    "hf_tiny/mixtral",
    "hf_tiny/qwen2_moe",  "hf_tiny/qwen3",             "hf_tiny/qwen3_moe",
    "hf_tiny/stablelm",   "hf_tiny/gpt_neox",          "hf_tiny/olmoe",
    "stories260K"};

/* ---- writing a checkpoint as it is ---- */

static Writer *begin(const char *path, const Checkpoint *c, TensorInfo *info,
                     const Dtype *type, Err *err)
{
    for (int i = 0; i < c->tensors; i++) {
        info[i] = c->tensor[i].info;
        if (type_info[info[i].dtype].block_len > 1)
            info[i].dtype = TYPE_f32;
    }
    static GgufSpec spec;
    spec = (GgufSpec){.tensor = info, .tensors = c->tensors,
                      .config = c->config, .tokenizer = c->tokenizer,
                      .gguf = c->gguf, .has_type = type != NULL,
                      .type = type ? *type : TYPE_f32};
    return gguf_begin(path, &spec, err);
}

/* In pieces that begin and end anywhere. */
static bool put_all(Writer *w, const Checkpoint *c, const TensorInfo *info,
                    Err *err)
{
    int64_t step = 1;
    for (int i = 0; i < c->tensors; i++) {
        int64_t count = 1;
        for (int d = 0; d < info[i].rank; d++)
            count *= info[i].shape[d];
        int64_t bytes = type_bytes(info[i].dtype, count), at = 0;
        char *all = malloc((size_t)bytes + 1);
        tensor_read_all(&c->tensor[i], info[i].dtype, all);
        for (int64_t n; at < bytes; at += n) {
            step = step * 5 % 4999;
            n = bytes - at < step ? bytes - at : step;
            if (!writer_put(w, all + at, n, err)) {
                free(all);
                return false;
            }
        }
        free(all);
    }
    return true;
}

static bool save(const char *path, const Checkpoint *c, const Dtype *type,
                 Err *err)
{
    TensorInfo *info = malloc((size_t)c->tensors * sizeof *info);
    Writer *w = begin(path, c, info, type, err);
    bool good = w && put_all(w, c, info, err);
    if (w && good)
        good = writer_finish(w, err);
    else if (w)
        writer_cancel(w);
    free(info);
    return good;
}

/* Written as a new GGUF file and opened. */
static Checkpoint *saved(const char *path, const Checkpoint *c,
                         const Dtype *type)
{
    Err err = {""};
    if (!save(path, c, type, &err))
        fail_msg("%s: %s", path, err.text);
    return open_good(path);
}

/* ---- holding two against each other ---- */

static int64_t count_of(const FileTensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->info.rank; i++)
        n *= t->info.shape[i];
    return n;
}

/* Every value of a as `stored` has it is b's. */
static void same_values(const Checkpoint *a, const Checkpoint *b, Dtype stored)
{
    assert_int_equal(a->tensors, b->tensors);
    for (int i = 0; i < a->tensors; i++) {
        const FileTensor *x = &a->tensor[i];
        const FileTensor *y = checkpoint_find(b, x->info.name);
        if (!y || y->info.rank != x->info.rank ||
            memcmp(x->info.shape, y->info.shape,
                   (size_t)x->info.rank * sizeof *x->info.shape))
            fail_msg("%s: not there as it was", tensor_text(&x->info));
        Dtype type = y->info.dtype == TYPE_f32 ? TYPE_f32 : stored;
        size_t bytes = (size_t)type_bytes(type, count_of(x));
        void *p = malloc(bytes), *q = malloc(bytes);
        tensor_read_all(x, type, p);
        tensor_read_all(y, type, q);
        if (memcmp(p, q, bytes))
            fail_msg("%s: other values", tensor_text(&x->info));
        free(p), free(q);
    }
}

static bool says_nothing(const cJSON *item)
{
    return !item || cJSON_IsNull(item) ||
           (cJSON_IsNumber(item) && item->valuedouble == 0);
}

/* Every field of a is in b, the same. */
static void same_config(const cJSON *a, const cJSON *b)
{
    for (const cJSON *x = a->child; x; x = x->next) {
        const cJSON *y = cJSON_GetObjectItemCaseSensitive(b, x->string);
        if (!(y && cJSON_Compare(x, y, true)) &&
            !(says_nothing(x) && !y) && !cJSON_IsNull(x))
            fail_msg("config: %s was %s, is %s", x->string,
                     cJSON_PrintUnformatted(x), cJSON_PrintUnformatted(y));
    }
}

static Checkpoint *open_model(const char *name)
{
    const char *path = shared(name);
    return path ? open_good(path) : NULL;
}

/* ---- round trips ---- */

static void folders(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(models); i++) {
        Checkpoint *a = open_model(models[i]);
        if (!a)
            skip();
        Checkpoint *b = saved(temp("folder%zu.gguf", i), a, NULL);
        same_values(a, b, TYPE_f32);
        same_config(a->config, b->config);
        Checkpoint *c = saved(temp("again%zu.gguf", i), b, NULL);
        same_values(a, c, TYPE_f32);
        same_config(a->config, c->config);
        checkpoint_close(a), checkpoint_close(b), checkpoint_close(c);
    }
}

static void halves(void **state)
{
    (void)state;
    const Dtype types[] = {TYPE_bf16, TYPE_f16};
    for (size_t i = 0; i < COUNT(models); i++)
        for (size_t k = 0; k < COUNT(types); k++) {
            Checkpoint *a = open_model(models[i]);
            if (!a)
                skip();
            Checkpoint *b = saved(temp("half%zu%zu.gguf", i, k), a, &types[k]);
            same_values(a, b, types[k]);
            /* what is stored so comes back so */
            Checkpoint *c = saved(temp("same%zu%zu.gguf", i, k), b, NULL);
            same_values(b, c, types[k]);
            checkpoint_close(a), checkpoint_close(b), checkpoint_close(c);
        }
}

static bool same_bytes(const char *a, const char *b)
{
    size_t n, m;
    Err err;
    char *x = read_file(a, &n, &err), *y = read_file(b, &m, &err);
    bool same = x && y && n == m && !memcmp(x, y, n);
    free(x), free(y);
    return same;
}

static void written_twice_is_the_same(void **state)
{
    (void)state;
    Err err;
    Checkpoint *a = open_model("hf_tiny/qwen3_moe");
    if (!a)
        skip();
    make_dir(temp("p"));
    make_dir(temp("q"));
    assert_true(save(temp("p/m.gguf"), a, NULL, &err));
    assert_true(save(temp("q/m.gguf"), a, NULL, &err));
    assert_true(same_bytes(temp("p/m.gguf"), temp("q/m.gguf")));
    checkpoint_close(a);
}

/* ---- Q8_0 ---- */

static void eighths(void **state)
{
    (void)state;
    const Dtype q8 = TYPE_q8_0;
    Checkpoint *a = open_model("stories260K");
    if (!a)
        skip();
    Checkpoint *b = saved(temp("q8.gguf"), a, &q8);
    const FileTensor *q = checkpoint_find(
        b, "model.layers.0.self_attn.q_proj.weight");
    assert_int_equal(q->info.dtype, TYPE_q8_0);
    const FileTensor *odd = checkpoint_find(
        b, "model.layers.0.mlp.down_proj.weight"); /* rows of 172 */
    assert_int_equal(odd->info.dtype, TYPE_f16);
    for (int i = 0; i < a->tensors; i++) {
        int64_t n, m;
        float *x = values(a, a->tensor[i].info.name, &n);
        float *y = values(b, a->tensor[i].info.name, &m);
        for (int64_t at = 0; at < n; at += 4) {
            float most = 0, off = 0;
            for (int64_t k = at / 32 * 32; k < at / 32 * 32 + 32 && k < n; k++)
                most = fmaxf(most, fabsf(x[k]));
            for (int64_t k = at; k < at + 4 && k < n; k++)
                off = fmaxf(off, fabsf(x[k] - y[k]));
            assert_true(off <= most * 0.00443f);
        }
        free(x), free(y);
    }
    Checkpoint *c = saved(temp("q8again.gguf"), b, &q8); /* the same blocks */
    for (int i = 0; i < b->tensors; i++) {
        const FileTensor *y = checkpoint_find(c, b->tensor[i].info.name);
        assert_int_equal(y->info.dtype, b->tensor[i].info.dtype);
        assert_memory_equal(y->info.data, b->tensor[i].info.data,
                            b->tensor[i].info.bytes);
    }
    checkpoint_close(a), checkpoint_close(b), checkpoint_close(c);
}

/* ---- a file as others write it ---- */

static void from_gguf(void **state)
{
    (void)state;
    Checkpoint *a = open_model("stories260K/stories260K.gguf");
    if (!a)
        skip();
    Checkpoint *b = saved(temp("stories.gguf"), a, NULL);
    same_values(a, b, TYPE_f32);
    same_config(a->config, b->config);
    for (int i = 0; i < a->tensors; i++) { /* as it lies, too */
        const FileTensor *y = checkpoint_find(b, a->tensor[i].info.name);
        assert_string_equal(y->file_name, a->tensor[i].file_name);
        assert_memory_equal(y->info.data, a->tensor[i].info.data,
                            a->tensor[i].info.bytes);
    }
    checkpoint_close(a), checkpoint_close(b);
}

/* ---- tokenizers ---- */

static const char *const texts[] = {
    "Once upon a time, there was a little girl.", " two  spaces\n\nlines\t",
    "na\u00efve caf\u00e9 \u4f60\u597d \U0001f600", "1234 + 5678 = ?", ""};

static void same_ids(const Tokenizer *a, const Tokenizer *b)
{
    Err err;
    for (size_t i = 0; i < COUNT(texts); i++) {
        Ids x = {0}, y = {0};
        size_t n = strlen(texts[i]);
        assert_true(tokenizer_encode(a, texts[i], n, ENCODE_prompt, &x, &err));
        assert_true(tokenizer_encode(b, texts[i], n, ENCODE_prompt, &y, &err));
        assert_int_equal(x.n, y.n);
        assert_memory_equal(x.at, y.at, x.n * sizeof *x.at);
        ids_free(&x), ids_free(&y);
    }
}

static void tokenizer_of_folder(void **state)
{
    (void)state;
    Err err = {""};
    Checkpoint *a = open_model("stories260K");
    if (!a)
        skip();
    Checkpoint *b = saved(temp("words.gguf"), a, NULL);
    Tokenizer *x = tokenizer_open(a, &err), *y = tokenizer_open(b, &err);
    if (!x || !y)
        fail_msg("%s", err.text);
    same_ids(x, y);
    assert_int_equal(tokenizer_bos(x), tokenizer_bos(y));
    assert_true(tokenizer_is_end(y, 2));
    tokenizer_close(x), tokenizer_close(y);
    checkpoint_close(a), checkpoint_close(b);
}

/* ---- refused, each with a reason ---- */

/* A llama's config with `field` set to JSON text, or without it. */
static void refused(const char *field, const char *json, const char *words)
{
    Err err = {""};
    Checkpoint *a = open_model("hf_tiny/llama");
    if (!a)
        skip();
    cJSON_DeleteItemFromObjectCaseSensitive(a->config, field);
    if (json)
        cJSON_AddItemToObject(a->config, field, cJSON_Parse(json));
    assert_false(save(temp("refused.gguf"), a, NULL, &err));
    says(&err, words);
    assert_false(exists(temp("refused.gguf")));
    checkpoint_close(a);
}

static void not_llama_cpps(void **state)
{
    (void)state;
    refused("architectures", "[\"GraftForCausalLM\"]",
            "cannot be written as GGUF|GraftForCausalLM");
    refused("hidden_act", "\"gelu\"", "hidden_act|silu|gelu");
    refused("rms_norm_eps", NULL, "no rms_norm_eps");
    refused("rms_norm_eps", "\"x\"", "rms_norm_eps|no number");
    refused("num_attention_heads", "5", "5 heads");
    refused("rope_parameters", "{\"rope_type\":\"yarn\",\"factor\":4}",
            "yarn rope lacks numbers");
    refused("rope_parameters", "{\"rope_type\":\"mrope\",\"factor\":4}",
            "rope scaling mrope");
    refused("rope_parameters",
            "{\"rope_type\":\"longrope\",\"short_factor\":[1,1]}",
            "longrope has 2 factors");
    refused("rope_parameters", "{\"rope_type\":\"llama3\",\"factor\":4}",
            "llama3 rope");
}

static void wrong_tensors(void **state)
{
    (void)state;
    Err err = {""};
    Checkpoint *a = open_model("hf_tiny/mixtral");
    if (!a)
        skip();
    const struct {
        const char *was, *now, *words;
    } renamed[] = {
        {"model.layers.0.block_sparse_moe.experts.3.w1.weight",
         "model.layers.0.block_sparse_moe.experts.9.w1.weight",
         "experts.9.w1|numbered otherwise"},
        {"model.norm.weight", "other", "no place for tensor other"}};
    for (size_t k = 0; k < COUNT(renamed); k++) {
        FileTensor *t = (FileTensor *)checkpoint_find(a, renamed[k].was);
        t->info.name = renamed[k].now;
        assert_false(save(temp("wrong.gguf"), a, NULL, &err));
        says(&err, renamed[k].words);
        t->info.name = renamed[k].was;
    }
    checkpoint_close(a);
}

/* ---- whole or absent ---- */

static void every_operation(void **state)
{
    (void)state;
    Err err = {""};
    Checkpoint *a = open_model("hf_tiny/mixtral");
    if (!a)
        skip();
    make_dir(temp("io"));
    io_fail_at(0, 0);
    assert_true(save(temp("io/good.gguf"), a, NULL, &err));
    long n = io_count();
    assert_true(n > 20);
    for (long i = 1; i <= n; i++) {
        io_fail_at(i, ENOSPC);
        bool good = save(temp("io/out.gguf"), a, NULL, &err);
        io_fail_at(0, 0);
        assert_false(good);
        says(&err, "out.gguf|No space left");
        assert_int_equal(files_in(temp("io")), 1);
    }
    rt_interrupted = 1;
    assert_false(save(temp("io/out.gguf"), a, NULL, &err));
    rt_interrupted = 0;
    says(&err, "interrupted");
    assert_int_equal(files_in(temp("io")), 1);
    assert_false(save(temp("io/good.gguf"), a, NULL, &err));
    says(&err, "is there already");
    checkpoint_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders),
        cmocka_unit_test(halves),
        cmocka_unit_test(written_twice_is_the_same),
        cmocka_unit_test(eighths),
        cmocka_unit_test(from_gguf),
        cmocka_unit_test(tokenizer_of_folder),
        cmocka_unit_test(not_llama_cpps),
        cmocka_unit_test(wrong_tensors),
        cmocka_unit_test(every_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
