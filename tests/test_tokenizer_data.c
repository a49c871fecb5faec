/* Tokenizers against real vocabularies and golden ids in ../shared/data: every
 * text gives its ids and comes back, also through the tokenizer.json made from
 * a GGUF file. Without the data these cases are skipped. */
#include "runtime/runtime.h"
#include <setjmp.h>
#include <string.h>
#include <unistd.h>
/* after setjmp.h */
#include <cmocka.h>

enum { TEXTS = 46 };

static const char *data(const char *name)
{
    const char *root = getenv("GRAFT_DATA");
    static char path[4][1024];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, 1024, "%s/%s", root ? root : SHARED_DATA, name);
    return p;
}

/* The file's content; skips the case where it is not there. */
static char *content(const char *name)
{
    Err err;
    size_t len;
    const char *path = data(name);
    if (access(path, R_OK)) {
        print_message("skipped: %s is not there\n", path);
        skip();
    }
    char *text = read_file(path, &len, &err);
    if (!text)
        fail_msg("%s", err.text);
    return text;
}

static Tokenizer *open_json(const char *name)
{
    Err err;
    free(content(name));
    Tokenizer *t = tokenizer_open_json(data(name), &err);
    if (!t)
        fail_msg("%s", err.text);
    return t;
}

/* By way of the files that it makes, or at once. */
static Tokenizer *open_gguf(const char *path, bool files)
{
    Err err;
    TokenizerFiles f;
    Checkpoint *c = checkpoint_open(path, &err);
    if (!c)
        fail_msg("%s", err.text);
    Tokenizer *t = NULL;
    if (!files) {
        t = tokenizer_open_gguf(c->gguf, path, &err);
    } else if (tokenizer_files_gguf(c->gguf, path, &f, &err)) {
        t = tokenizer_parse(f.tokenizer, f.config, f.generation, path, &err);
        tokenizer_files_free(&f);
    }
    if (!t)
        fail_msg("%s", err.text);
    checkpoint_close(c);
    return t;
}

static void assert_ids(const Ids *ids, const int *want, int n, const char *text)
{
    bool same = ids->n == (size_t)n;
    for (int i = 0; same && i < n; i++)
        same = ids->at[i] == want[i];
    if (same)
        return;
    print_message("text \"%s\": found", text);
    for (size_t i = 0; i < ids->n; i++)
        print_message(" %d", ids->at[i]);
    print_message(", expected");
    for (int i = 0; i < n; i++)
        print_message(" %d", want[i]);
    print_message("\n");
    fail();
}

static void assert_back(const Tokenizer *t, const Ids *ids, const char *text,
                        size_t len)
{
    size_t n, at = 0;
    char *back = tokenizer_decode(t, ids->at, ids->n, 0, &n);
    assert_int_equal(n, len);
    assert_memory_equal(back, text, len);
    Decoder *d = decoder_open(t, 0);
    for (size_t i = 0; i <= ids->n; i++) {
        const char *piece = i < ids->n ? decoder_push(d, ids->at[i], &n)
                                       : decoder_finish(d, &n);
        assert_true(utf8_valid(piece, n, NULL));
        assert_true(at + n <= len);
        assert_memory_equal(piece, text + at, n);
        at += n;
    }
    assert_int_equal(at, len);
    decoder_close(d);
    free(back);
}

/* Texts of an .inp, each followed by the mark, and lines of an .out. */
static void check_texts(const Tokenizer *t, const char *inp, const char *out)
{
    static const char mark[] = "\n__ggml_vocab_test__\n";
    char *texts = content(inp), *lines = content(out);
    char *text = texts, *line = lines, *end;
    Err err;
    int count = 0;
    for (; (end = strstr(text, mark)); text = end + strlen(mark), count++) {
        int want[4096], n = 0, used;
        *end = 0;
        for (; *line != '\n' && sscanf(line, "%d%n", &want[n], &used) == 1; n++)
            line += used;
        line += *line == '\n';
        Ids ids = {0};
        size_t len = (size_t)(end - text);
        assert_true(tokenizer_encode(t, text, len, 0, &ids, &err));
        assert_ids(&ids, want, n, text);
        assert_back(t, &ids, text, len);
        ids_free(&ids);
    }
    assert_int_equal(count, TEXTS);
    free(texts);
    free(lines);
}

static void check_gguf(const char *name, bool files)
{
    char inp[200], out[200];
    snprintf(inp, sizeof inp, "%s.inp", name);
    snprintf(out, sizeof out, "%s.out", name);
    free(content(inp));
    Tokenizer *t = open_gguf(data(name), files);
    check_texts(t, inp, out);
    tokenizer_close(t);
}

#define GGUF_CASES(test, name)                                                 \
    static void test(void **state)                                             \
    {                                                                          \
        (void)state;                                                           \
        check_gguf("tokenizers/ggml-vocab-" name ".gguf", false);              \
    }                                                                          \
    static void test##_by_files(void **state)                                  \
    {                                                                          \
        (void)state;                                                           \
        check_gguf("tokenizers/ggml-vocab-" name ".gguf", true);               \
    }
GGUF_CASES(gguf_llama_spm, "llama-spm")
GGUF_CASES(gguf_gpt2, "gpt-2")
GGUF_CASES(gguf_deepseek_coder, "deepseek-coder")

static void json_mistral(void **state)
{
    (void)state;
    Tokenizer *t = open_json("tokenizers/mistral.tokenizer.json");
    check_texts(t, "tokenizers/ggml-vocab-llama-spm.gguf.inp",
                "tokenizers/mistral.tokenizer.json.out");
    assert_int_equal(tokenizer_size(t), 32000);
    assert_int_equal(tokenizer_bos(t), 1);
    tokenizer_close(t);
}

/* ---- golden.json ---- */

static int *ints(const cJSON *object, const char *name, int *n)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, name);
    *n = cJSON_GetArraySize(list);
    int *at = xmalloc((size_t)*n * sizeof *at), i = 0;
    for (const cJSON *e = list->child; e; e = e->next)
        at[i++] = e->valueint;
    return at;
}

static const char *string(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name)->valuestring;
}

static void check_encodes(const Tokenizer *t, const cJSON *golden,
                          const char *text, const char *ids_name)
{
    Err err;
    int n;
    int *want = ints(golden, ids_name, &n);
    Ids ids = {0};
    assert_true(
        tokenizer_encode(t, text, strlen(text), ENCODE_prompt, &ids, &err));
    assert_ids(&ids, want, n, text);
    ids_free(&ids);
    free(want);
}

static void check_decodes(const Tokenizer *t, const cJSON *golden, int flags)
{
    int n;
    int *ids = ints(golden, "greedy_ids", &n);
    char *text = tokenizer_decode(t, ids, (size_t)n, flags, NULL);
    assert_string_equal(text, string(golden, "greedy_text"));
    free(text);
    free(ids);
}

static void check_stories(const Tokenizer *t)
{
    char *json = content("stories260K/golden.json");
    cJSON *golden = cJSON_Parse(json);
    const char *text = string(golden, "text");
    check_encodes(t, golden, text, "text_ids");
    check_decodes(t, golden, 0);
    Ids ids = {0};
    Err err;
    assert_true(tokenizer_encode(t, "", 0, ENCODE_prompt, &ids, &err));
    assert_ids(&ids, (int[]){1}, 1, "");
    ids_free(&ids);
    assert_int_equal(tokenizer_size(t), 512);
    assert_int_equal(tokenizer_bos(t), 1);
    assert_int_equal(tokenizer_eos(t), 2);
    cJSON_Delete(golden);
    free(json);
}

/* As a program opens a model, folder or file. */
static void checkpoints(void **state)
{
    (void)state;
    static const char *const name[] = {"stories260K",
                                       "stories260K/stories260K.gguf"};
    Err err;
    free(content("stories260K/golden.json"));
    for (size_t i = 0; i < COUNT(name); i++) {
        Checkpoint *c = checkpoint_open(data(name[i]), &err);
        assert_non_null(c);
        Tokenizer *t = tokenizer_open(c, &err);
        checkpoint_close(c);
        check_stories(t);
        tokenizer_close(t);
    }
    Checkpoint *c = checkpoint_open(data("hf_tiny/llama"), &err);
    assert_non_null(c);
    assert_null(tokenizer_open(c, &err));
    assert_non_null(strstr(err.text, "llama: it has no tokenizer.json"));
    checkpoint_close(c);
}

static void json_stories(void **state)
{
    (void)state;
    Tokenizer *t = open_json("stories260K/tokenizer.json");
    check_stories(t);
    tokenizer_close(t);
}

static void gguf_stories(void **state)
{
    (void)state;
    free(content("stories260K/golden.json"));
    for (int files = 0; files < 2; files++) {
        Tokenizer *t = open_gguf(data("stories260K/stories260K.gguf"), files);
        check_stories(t);
        tokenizer_close(t);
    }
}

static bool cached_smollm2(char *path, size_t size)
{
    const char *given = getenv("GRAFT_SMOLLM2");
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    static const char file[] = "graft/SmolLM2-135M-Instruct.Q4_1.gguf";
    if (given)
        snprintf(path, size, "%s", given);
    else if (cache)
        snprintf(path, size, "%s/%s", cache, file);
    else
        snprintf(path, size, "%s/.cache/%s", home ? home : "", file);
    return !access(path, R_OK);
}

static void check_smollm2(const Tokenizer *t, const cJSON *golden)
{
    const cJSON *p = cJSON_GetObjectItemCaseSensitive(golden, "prompts")->child;
    assert_non_null(p);
    for (; p; p = p->next) {
        check_encodes(t, p, string(p, "text"), "ids");
        check_decodes(t, p, DECODE_special); /* with its "<|im_end|>" */
    }
    assert_int_equal(tokenizer_size(t), 49152);
    assert_int_equal(tokenizer_eos(t), 2);
}

static void gguf_smollm2(void **state)
{
    (void)state;
    char path[1024];
    char *json = content("smollm2/golden.json");
    if (!cached_smollm2(path, sizeof path)) {
        print_message("skipped: %s is not there (scripts/get-model)\n", path);
        free(json);
        skip();
    }
    cJSON *golden = cJSON_Parse(json);
    for (int files = 0; files < 2; files++) {
        Tokenizer *t = open_gguf(path, files);
        check_smollm2(t, golden);
        tokenizer_close(t);
    }
    cJSON_Delete(golden);
    free(json);
}

/* All of a long text comes back, and both ways to read a GGUF agree on it. */
static void long_text(void **state)
{
    (void)state;
    char *text = content("text/tinystories_sample_944k.txt");
    static const char *const name[] = {"llama-spm", "gpt-2", "deepseek-coder"};
    Err err;
    for (size_t i = 0; i < COUNT(name); i++) {
        char path[200];
        snprintf(path, sizeof path, "tokenizers/ggml-vocab-%s.gguf", name[i]);
        Tokenizer *t = open_gguf(data(path), false);
        Ids ids = {0};
        size_t n, len = strlen(text);
        assert_true(tokenizer_encode(t, text, len, 0, &ids, &err));
        char *back = tokenizer_decode(t, ids.at, ids.n, 0, &n);
        assert_int_equal(n, len);
        assert_memory_equal(back, text, len);
        free(back);
        ids_free(&ids);
        tokenizer_close(t);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_llama_spm),
        cmocka_unit_test(gguf_llama_spm_by_files),
        cmocka_unit_test(gguf_gpt2),
        cmocka_unit_test(gguf_gpt2_by_files),
        cmocka_unit_test(gguf_deepseek_coder),
        cmocka_unit_test(gguf_deepseek_coder_by_files),
        cmocka_unit_test(json_mistral),
        cmocka_unit_test(json_stories),
        cmocka_unit_test(checkpoints),
        cmocka_unit_test(gguf_stories),
        cmocka_unit_test(gguf_smollm2),
        cmocka_unit_test(long_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
