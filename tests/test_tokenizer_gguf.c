/* Tokenizers from GGUF metadata: both kinds, every named pattern, what the file
 * says of begin and end, the files made of it, and wrong metadata. */
#include "runtime/runtime.h"
#include "tests/files_util.h"
#include "tests/tokenizer_kit.h"

enum { STRING = 8, ARRAY = 9, FLOAT = 6, INT = 5, BOOL = 7 };

/* What a file's metadata is made of; NULL and 0 leave a key out. */
typedef struct {
    const char *model, *pre;
    const char *const *token;
    const float *score;
    const int *type;
    int tokens, scores, types; /* lengths; of the last two 0: as tokens */
    const char *const *merge;
    int merges;
    const char *ids;        /* "bos 1 eos 2 ..." : KEY_token_id */
    int add_bos, add_space; /* 1 true, -1 false */
} Meta;

static void array(Gguf_bytes *g, const char *key, uint32_t type, int n)
{
    char name[100];
    snprintf(name, sizeof name, "tokenizer.ggml.%s", key);
    gg_str(g, name);
    gg_u32(g, ARRAY);
    gg_u32(g, type);
    gg_u64(g, (uint64_t)n);
}

static int put_arrays(Gguf_bytes *g, const Meta *m)
{
    int keys = 0;
    if (m->token) {
        array(g, "tokens", STRING, m->tokens);
        for (int i = 0; i < m->tokens; i++)
            gg_str(g, m->token[i]);
        keys++;
    }
    if (m->merge) {
        array(g, "merges", STRING, m->merges);
        for (int i = 0; i < m->merges; i++)
            gg_str(g, m->merge[i]);
        keys++;
    }
    if (m->score) {
        int n = m->scores ? m->scores : m->tokens;
        array(g, "scores", FLOAT, n);
        for (int i = 0; i < n; i++)
            gg_u32(g, bits_of_f32(m->score[i]));
        keys++;
    }
    if (m->type) {
        int n = m->types ? m->types : m->tokens;
        array(g, "token_type", INT, n);
        for (int i = 0; i < n; i++)
            gg_u32(g, (uint32_t)m->type[i]);
        keys++;
    }
    return keys;
}

static int put_flag(Gguf_bytes *g, const char *key, int value)
{
    if (!value)
        return 0;
    gg_str(g, key);
    gg_u32(g, BOOL);
    g->at[g->n++] = value > 0;
    return 1;
}

static int put_ids(Gguf_bytes *g, const char *ids)
{
    char name[40], key[100];
    int id, used, keys = 0;
    for (; ids && sscanf(ids, "%30s %d%n", name, &id, &used) == 2; keys++) {
        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", name);
        gg_key_u32(g, key, (uint32_t)id);
        ids += used;
    }
    return keys;
}

static int put_all(Gguf_bytes *g, const Meta *m, int keys)
{
    gg_start(g, 0, (uint64_t)keys);
    int n = 1;
    gg_key_str(g, "general.architecture", "llama");
    if (m->model)
        gg_key_str(g, "tokenizer.ggml.model", m->model), n++;
    if (m->pre)
        gg_key_str(g, "tokenizer.ggml.pre", m->pre), n++;
    n += put_arrays(g, m) + put_ids(g, m->ids);
    n += put_flag(g, "tokenizer.ggml.add_bos_token", m->add_bos);
    return n + put_flag(g, "tokenizer.ggml.add_space_prefix", m->add_space);
}

/* The checkpoint of a file with that metadata. */
static Checkpoint *file_of(const Meta *m)
{
    static Gguf_bytes g;
    Err err;
    g.n = 0;
    int keys = put_all(&g, m, 0);
    g.n = 0;
    put_all(&g, m, keys);
    Checkpoint *c = checkpoint_open(gg_put(&g), &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static Tokenizer *open_meta(const Meta *m)
{
    Err err;
    Checkpoint *c = file_of(m);
    Tokenizer *t = tokenizer_open_gguf(c->gguf, "t.gguf", &err);
    if (!t)
        fail_msg("%s", err.text);
    checkpoint_close(c);
    return t;
}

static void check_meta(const Meta *m, const char *text, int flags,
                       const char *want)
{
    Tokenizer *t = open_meta(m);
    check_ids(t, text, flags, want);
    tokenizer_close(t);
}

static void check_fails(Meta m, const char *words)
{
    Err err;
    Checkpoint *c = file_of(&m);
    assert_null(tokenizer_open_gguf(c->gguf, "t.gguf", &err));
    if (!strstr(err.text, words))
        fail_msg("gives: %s\nwanted: %s", err.text, words);
    assert_int_equal(strncmp(err.text, "t.gguf: ", 8), 0);
    checkpoint_close(c);
}

/* ---- pieces with scores ---- */

static const char *const piece[] = {"<unk>", "<s>", "</s>", "<0xC3>", "<0xA9>",
                                    "▁",     "a",   "b",    "ab",     "▁a",
                                    "aba",   "ba",  "USER"};
static const float score[] = {0, 0, 0, 0, 0, -9, -9, -9, -2, -3, -4, -1, 0};
static const int kind[] = {2, 3, 3, 6, 6, 1, 1, 1, 1, 1, 1, 1, 4};
static const Meta pieces = {.model = "llama",
                            .token = piece,
                            .score = score,
                            .type = kind,
                            .tokens = COUNT(piece)};

static void pieces_join_by_score(void **state)
{
    (void)state;
    check_meta(&pieces, "ba", 0, "5 11"); /* "ba" before "ab" */
    check_meta(&pieces, "aba", 0, "9 11");
    check_meta(&pieces, "ab", 0, "5 8");
    check_meta(&pieces, "b ab", 0, "5 7 5 8");
    check_meta(&pieces, "", 0, "");
}

static void pieces_fall_back_to_bytes(void **state)
{
    (void)state;
    check_meta(&pieces, "é", 0, "5 3 4");
    check_meta(&pieces, "xyz", 0, "5 0");
}

static void pieces_have_usual_ids(void **state)
{
    (void)state;
    Tokenizer *t = open_meta(&pieces);
    assert_int_equal(tokenizer_bos(t), 1);
    assert_int_equal(tokenizer_eos(t), 2);
    check_ids(t, "a", ENCODE_prompt, "1 9");
    check_ids(t, "<s>aUSERb", ENCODE_special, "1 9 12 5 7");
    check_ids(t, "USER", 0, "12");
    check_back(t, " a  b", 5);
    tokenizer_close(t);
}

static void pieces_without_prefix(void **state)
{
    (void)state;
    Meta m = pieces;
    m.add_space = -1, m.add_bos = -1;
    check_meta(&m, "ab a", ENCODE_prompt, "8 9");
    Tokenizer *t = open_meta(&m);
    check_back(t, " ab", 3);
    tokenizer_close(t);
}

/* ---- byte-level ---- */

enum { BYTES = 256, LAST = BYTES + 4 };
static char byte_text[BYTES][4];
static const char *bytes_token[LAST];
static int bytes_kind[LAST];
static const char *const bytes_merge[] = {"a b", "Ġ a"};

static void make_bytes(void)
{
    for (int b = 0, other = 256; b < BYTES; b++) {
        bool plain = (b > 32 && b < 127) || (b > 160 && b != 173);
        int c = plain ? b : other++;
        snprintf(byte_text[b], 4, c < 128 ? "%c" : "%c%c",
                 c < 128 ? c : 0xc0 | c >> 6, 0x80 | (c & 63));
        bytes_token[b] = byte_text[b];
        bytes_kind[b] = 1;
    }
    static const char *const more[] = {"ab", "Ġa", "<|end|>", "<|turn|>"};
    for (int i = 0; i < LAST - BYTES; i++) {
        bytes_token[BYTES + i] = more[i];
        bytes_kind[BYTES + i] = i < 2 ? 1 : 3;
    }
}

static Meta bytes(const char *pre)
{
    make_bytes();
    return (Meta){.model = "gpt2",
                  .pre = pre,
                  .token = bytes_token,
                  .type = bytes_kind,
                  .tokens = LAST,
                  .merge = bytes_merge,
                  .merges = COUNT(bytes_merge),
                  .ids = "bos 258 eos 258"};
}

/* Every name has patterns that compile, and every text comes back. */
static void all_named_patterns(void **state)
{
    (void)state;
    static const char *const name[] = {
        "default",    "gpt-2",  "smollm", "starcoder",      "falcon",
        "llama-bpe",  "dbrx",   "qwen2",  "deepseek-coder", "deepseek-v3",
        "gpt-4o",     "tekken", "bloom",  "viking",         "seed-coder",
        "bailingmoe", "olmo",   "refact"};
    static const char text[] = "We're 12345 ab a'LL\n\n  \t x_y!? é漢字かな "
                               "नमस्ते ½ \xf0\x9f\xa6\x99 (a) END";
    for (size_t i = 0; i < COUNT(name); i++) {
        Meta m = bytes(name[i]);
        Tokenizer *t = open_meta(&m);
        check_back(t, text, strlen(text));
        tokenizer_close(t);
    }
}

static void digits_by_pattern(void **state)
{
    (void)state;
    static const char *const merge[] = {"1 2", "a b", "Ġ a"};
    Meta m = bytes("gpt-2");
    bytes_token[BYTES + 3] = "12";
    m.merge = merge, m.merges = COUNT(merge);
    check_meta(&m, "12", 0, "259");
    m.pre = NULL;
    check_meta(&m, "12", 0, "259");
    m.pre = "smollm";
    check_meta(&m, "12 a", 0, "49 50 257");
    m.pre = "llama-bpe";
    check_meta(&m, "12", ENCODE_bos, "258 259");
    m.add_bos = -1;
    check_meta(&m, "12", ENCODE_bos, "259");
}

static void ends_of_turns(void **state)
{
    (void)state;
    int n;
    Meta m = bytes("qwen2");
    m.ids = "bos 258 eos 258 eot 259 eom 4294967295";
    Tokenizer *t = open_meta(&m);
    const int32_t *end = tokenizer_ends(t, &n);
    assert_int_equal(n, 2);
    assert_true(end[0] == 258 && end[1] == 259);
    check_ids(t, "a<|turn|>", ENCODE_prompt, "97 259");
    CHECK_TEXT(t, 0, "ab", 256, 259);
    tokenizer_close(t);
}

static void empty_and_double_tokens(void **state)
{
    (void)state;
    Meta m = bytes("gpt-2");
    bytes_token[BYTES + 2] = "";
    bytes_token[BYTES + 3] = "ab";
    bytes_kind[BYTES + 2] = bytes_kind[BYTES + 3] = 1;
    m.ids = NULL;
    Tokenizer *t = open_meta(&m);
    check_ids(t, "ab", 0, "256");
    assert_string_equal(tokenizer_text(t, 258), "[EMPTY_258]");
    assert_string_equal(tokenizer_text(t, 259), "[DUPLICATE_259]");
    tokenizer_close(t);
}

/* ---- the files made of it ---- */

static void makes_files(void **state)
{
    (void)state;
    Err err;
    TokenizerFiles f;
    Meta m = bytes("llama-bpe");
    m.ids = "bos 258 eos 259";
    Checkpoint *c = file_of(&m);
    assert_true(tokenizer_files_gguf(c->gguf, "t.gguf", &f, &err));
    checkpoint_close(c);
    cJSON *root = cJSON_Parse(f.tokenizer);
    assert_non_null(root);
    const cJSON *model = cJSON_GetObjectItem(root, "model");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(model, "ignore_merges")));
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItem(root, "added_tokens")), 2);
    cJSON_Delete(root);
    assert_non_null(strstr(f.config, "\"bos_token\": \"<|end|>\""));
    assert_non_null(strstr(f.config, "\"add_bos_token\": true"));
    assert_non_null(strstr(f.generation, "\"eos_token_id\": 259"));
    Tokenizer *t =
        tokenizer_parse(f.tokenizer, f.config, f.generation, "again", &err);
    assert_non_null(t);
    check_ids(t, "ab a", ENCODE_prompt, "258 256 257");
    tokenizer_close(t);
    tokenizer_files_free(&f);
    assert_null(f.tokenizer);
}

/* ---- wrong metadata ---- */

static void wrong_metadata(void **state)
{
    (void)state;
    Meta m = pieces;
    m.model = NULL;
    check_fails(m, "it has no tokenizer (tokenizer.ggml.model is missing)");
    m.model = "bert";
    check_fails(m, "llama and gpt2 are supported, found \"bert\"");
    m = pieces, m.token = NULL;
    check_fails(m, "tokenizer.ggml.tokens is missing");
    m = pieces, m.score = NULL;
    check_fails(m, "tokenizer.ggml.scores is missing");
    m = pieces, m.scores = 3;
    check_fails(m, "scores and tokenizer.ggml.tokens differ in length");
    m = pieces, m.types = 3;
    check_fails(m, "token_type and tokenizer.ggml.tokens differ in length");
    m = bytes("unheard-of");
    check_fails(m, "tokenizer.ggml.pre: \"unheard-of\" is not known");
    m = bytes("gpt-2"), m.merge = NULL;
    check_fails(m, "tokenizer.ggml.merges is missing");
}

static void wrong_texts(void **state)
{
    (void)state;
    static const char *const wrong[] = {"a\xff", "b"};
    static const char *const merge[] = {"a z"};
    Meta m = bytes("gpt-2");
    m.merge = wrong;
    check_fails(m, "tokenizer.ggml.merges[0] is not UTF-8 text");
    m.merge = merge, m.merges = 1;
    check_fails(m, "model.merges[0]: \"a z\": what they make is not in the "
                   "vocabulary");
    m = pieces, m.token = wrong, m.tokens = 2;
    check_fails(m, "tokenizer.ggml.tokens[0] is not UTF-8 text");
}

/* Ids past the end are none. */
static void wrong_ids(void **state)
{
    (void)state;
    Meta m = bytes("gpt-2");
    m.ids = "bos 999 eos -1 unknown 5000 padding 260";
    m.add_bos = 1;
    Tokenizer *t = open_meta(&m);
    assert_int_equal(tokenizer_bos(t), -1);
    assert_int_equal(tokenizer_eos(t), -1);
    check_ids(t, "ab", ENCODE_bos, "256");
    tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_join_by_score),
        cmocka_unit_test(pieces_fall_back_to_bytes),
        cmocka_unit_test(pieces_have_usual_ids),
        cmocka_unit_test(pieces_without_prefix),
        cmocka_unit_test(all_named_patterns),
        cmocka_unit_test(digits_by_pattern),
        cmocka_unit_test(ends_of_turns),
        cmocka_unit_test(empty_and_double_tokens),
        cmocka_unit_test(makes_files),
        cmocka_unit_test(wrong_metadata),
        cmocka_unit_test(wrong_texts),
        cmocka_unit_test(wrong_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
