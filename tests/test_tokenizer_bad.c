/* Tokenizer files that are wrong: each mistake is one clear line, and no bytes
 * of any kind crash the reader. */
#include "runtime/run/run.h"
#include "tests/tokenizer_kit.h"
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    const char *json, *message;
} Bad;

static void check_bad(const Bad *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        Err err = {0};
        Tokenizer *t = open_all(row[i].json, NULL, NULL, &err);
        if (t)
            fail_msg("read without error: %s", row[i].json);
        if (!strstr(err.text, row[i].message))
            fail_msg("%s\ngives: %s\nwanted: %s", row[i].json, err.text,
                     row[i].message);
        assert_int_equal(strncmp(err.text, "test.json: ", 11), 0);
        assert_null(strchr(err.text, '\n'));
        assert_true(utf8_valid(err.text, strlen(err.text), NULL));
    }
}

static void not_json(void **state)
{
    (void)state;
    static const Bad row[] = {
        {"", "not valid JSON at byte 0, line 1"},
        {"{'model': {}\n", "not valid JSON"},
        {"[1, 2]", "a JSON object is needed"},
        {"nothing", "not valid JSON"},
        {"{'model': {}} x", "not valid JSON"},
        {"{'a': '\xff'}", "not UTF-8 at byte 7"},
        {"{'a': '\\u0000'}", "\\u0000 in a string is not supported"},
        {"{'a': '\\\\\\u0000'}", "\\u0000 in a string is not supported"},
        {"{'a': '\\\\u0000'}", "model: an object is needed"},
    };
    check_bad(row, COUNT(row));
}

static void bad_model(void **state)
{
    (void)state;
#define MODEL(text) "{'model': {'type': 'BPE', " text "}}"
    static const Bad row[] = {
        {"{}", "model: an object is needed"},
        {"{'model': 3}", "model: an object is needed"},
        {"{'model': {'type': 'Morfessor', 'vocab': []}}",
         "model.type: BPE, Unigram, WordPiece or WordLevel is needed, found "
         "\"Morfessor\""},
        {"{'model': {'type': 'Unigram', 'vocab': []}}",
         "model.vocab: a list of pieces and their scores"},
        {"{'model': {'type': 'Unigram', 'vocab': {'a': 1}}}",
         "model.vocab: a list of pieces and their scores"},
        {"{'model': {'type': 'Unigram', 'vocab': [['a', 1], ['b']]}}",
         "model.vocab[1]: a piece and its score"},
        {"{'model': {'type': 'Unigram', 'vocab': [['a', 1], ['a', 2]]}}",
         "token \"a\" has two ids, 0 and 1"},
        {"{'model': {'type': 'Unigram', 'vocab': [['a', 1]]}}",
         "model.unk_id: the id of a piece"},
        {"{'model': {'type': 'Unigram', 'vocab': [['a', 1]], 'unk_id': 1}}",
         "model.unk_id: the id of a piece"},
        {"{'model': {'type': 'WordPiece', 'vocab': {'a': 0}}}",
         "model.unk_token: a string"},
        {"{'model': {'type': 'WordLevel', 'vocab': {'a': 0}, 'unk_token': "
         "'b'}}", "model.unk_token: \"b\" is not in the vocabulary"},
        {"{'model': {'vocab': {}}}", "model.type"},
        {MODEL("'merges': []"), "model.vocab: an object"},
        {MODEL("'vocab': {}, 'merges': []"), "model.vocab: an object"},
        {MODEL("'vocab': ['a'], 'merges': []"), "model.vocab: an object"},
        {MODEL("'vocab': {'a': 'b'}"), "the id of \"a\" is not a whole number"},
        {MODEL("'vocab': {'a': -1}"), "the id of \"a\" is not a whole number"},
        {MODEL("'vocab': {'a': 1.5}"), "the id of \"a\" is not a whole"},
        {MODEL("'vocab': {'a': 1e300}"), "the id of \"a\" is not a whole"},
        {MODEL("'vocab': {'a': 4194304}"), "from 0 to 4194303"},
        {MODEL("'vocab': {'a': 0, 'b': 0}"),
         "id 0 has two tokens, \"a\" and \"b\""},
        {MODEL("'vocab': {'a': 0, 'a': 1}"),
         "token \"a\" has two ids, 0 and 1"},
        {MODEL("'vocab': {'a': 0}"), "model.merges: a list is needed"},
        {MODEL("'vocab': {'a': 0}, 'merges': {}"), "model.merges: a list"},
        {MODEL("'dropout': 0.1, 'vocab': {'a': 0}, 'merges': []"),
         "model.dropout: merges left out at random (0.1)"},
        {MODEL("'vocab': {'a': 0}, 'merges': [], 'unk_token': 'b'"),
         "model.unk_token: \"b\" is not in the vocabulary"},
        {MODEL("'vocab': {'a': 0}, 'merges': [], 'unk_token': 1"),
         "model.unk_token: a string is needed"},
    };
    check_bad(row, COUNT(row));
}

static void bad_merges(void **state)
{
    (void)state;
#define MERGES(text)                                                           \
    MODEL("'vocab': {'a': 0, 'b': 1, 'ab': 2}, 'merges': ['a b', " text "]")
    static const Bad row[] = {
        {MERGES("'a c'"), "model.merges[1]: \"a c\": the second token is not "
                          "in the vocabulary"},
        {MERGES("'c a'"), "the first token is not in the vocabulary"},
        {MERGES("'b a'"), "what they make is not in the vocabulary"},
        {MERGES("'ab'"), "model.merges[1]: two tokens are needed"},
        {MERGES("'a b c'"), "two tokens are needed"},
        {MERGES("['a']"), "two tokens are needed"},
        {MERGES("['a', 'b', 'c']"), "two tokens are needed"},
        {MERGES("[0, 1]"), "two tokens are needed"},
        {MERGES("null"), "two tokens are needed"},
        {MERGES("''"), "two tokens are needed"},
    };
    check_bad(row, COUNT(row));
}

static void bad_added_tokens(void **state)
{
    (void)state;
#define EXTRA(text) TINY("'added_tokens': " text ", ", "")
    static const Bad row[] = {
        {EXTRA("{}"), "added_tokens: a list is needed"},
        {EXTRA("[1]"), "added_tokens[0].content: a string is needed"},
        {EXTRA("[{'id': 3}]"), "added_tokens[0].content"},
        {EXTRA("[{'content': 'x'}]"), "added_tokens[0].id: a whole number"},
        {EXTRA("[{'content': 'x', 'id': 1e9}]"), "added_tokens[0].id"},
        {EXTRA("[{'content': 'x', 'id': 0}]"), "id 0 has two tokens"},
        {EXTRA("[{'content': 'a', 'id': 50}]"), "token \"a\" has two ids"},
    };
    check_bad(row, COUNT(row));
}

static void bad_steps(void **state)
{
    (void)state;
#define PRE(text) TINY("'pre_tokenizer': " text ", ", "")
#define DEC(text) TINY("'decoder': " text ", ", "")
    static const Bad row[] = {
        {PRE("3"), "pre_tokenizer: an object with a type is needed"},
        {PRE("{}"), "pre_tokenizer: an object with a type is needed"},
        {PRE("{'type': 'Magic'}"), "pre_tokenizer: \"Magic\" is not supported"},
        {PRE("{'type': 'Sequence'}"), "a list of steps is needed"},
        {PRE("{'type': 'Split', 'behavior': 'Isolated'}"),
         "pre_tokenizer: Split: pattern: a String or a Regex is needed"},
        {PRE("{'type': 'Split', 'pattern': {'Regex': 'a'}}"),
         "Split: behavior: one of Isolated, Removed"},
        {PRE("{'type': 'FixedLength', 'length': 0}"),
         "FixedLength: length: a number from 1 to 10000 is needed"},
        {PRE("{'type': 'UnicodeScripts'}"),
         "\"UnicodeScripts\" is not supported"},
        {PRE("{'type': 'Split', 'behavior': 'Isolated', 'pattern': {'Regex': "
             "'a(b'}}"),
         "pre_tokenizer: Split: pattern: end pattern with unmatched"},
        {PRE("{'type': 'Split', 'behavior': 'Isolated', 'pattern': {'Regex': "
             "'a\\\\X'}}"),
         "\\X (grapheme clusters) is not supported"},
        {PRE("{'type': 'Split', 'behavior': 'Isolated', 'pattern': {'Regex': "
             "'\\\\p{Nonsense}'}}"),
         "Split: pattern"},
        {PRE("{'type': 'Split', 'behavior': 'Isolated', 'pattern': {'Regex': "
             "'\\\\'}}"),
         "Split: pattern"},
        {PRE("{'type': 'Metaspace'}"), "replacement: a string is needed"},
        {PRE("{'type': 'Metaspace', 'replacement': '_', 'prepend_scheme': "
             "'now'}"),
         "prepend_scheme: always, first or never"},
        {TINY("'normalizer': {'type': 'Prepend'}, ", ""),
         "normalizer: Prepend: prepend: a string is needed"},
        {TINY("'normalizer': {'type': 'Replace', 'content': ''}, ", ""),
         "normalizer: Replace: pattern"},
        {TINY("'normalizer': {'type': 'Precompiled'}, ", ""),
         "precompiled_charsmap: a table in base64"},
        {TINY("'normalizer': {'type': 'Precompiled', 'precompiled_charsmap': "
              "'AAA='}, ", ""), "precompiled_charsmap: a table in base64"},
        {TINY("'normalizer': {'type': 'Precompiled', 'precompiled_charsmap': "
              "'/////w=='}, ", ""), "precompiled_charsmap: a table in base64"},
        {TINY("'normalizer': {'type': 'Precompiled', 'precompiled_charsmap': "
              "'a*'}, ", ""), "precompiled_charsmap: a table in base64"},
        {DEC("{'type': 'CTC'}"), "decoder: \"CTC\" is not"},
        {DEC("{'type': 'Sequence', 'decoders': [{'type': 'Fuse'}, {'type': "
             "'Strip', 'content': ' ', 'start': 0, 'stop': 1}]}"),
         "decoder: Strip: stop: after Fuse only 0 is supported"},
        {DEC("{'type': 'Sequence', 'decoders': [{'type': 'Fuse'}, {'type': "
             "'Replace', 'content': ' ', 'pattern': {'String': 'ab'}}]}"),
         "after Fuse only one character can be replaced"},
    };
    check_bad(row, COUNT(row));
}

static void bad_template(void **state)
{
    (void)state;
#define POST(text) TINY("'post_processor': " text ", ", "")
#define SINGLE(table)                                                          \
    POST("{'type': 'TemplateProcessing', 'single': [{'SpecialToken': {'id': "  \
         "'S'}}], 'special_tokens': " table "}")
    static const Bad row[] = {
        {POST("{'type': 'Other'}"), "post_processor: \"Other\" is not"},
        {POST("{'type': 'Sequence'}"), "post_processor.processors: a list"},
        {POST("{'type': 'TemplateProcessing'}"),
         "post_processor.single: a list is needed"},
        {POST("{'type': 'TemplateProcessing', 'single': [{'SpecialToken': {}}]"
              "}"),
         "a SpecialToken needs an id"},
        {SINGLE("{}"), "post_processor.special_tokens: \"S\" needs a list"},
        {SINGLE("{'S': {'ids': [99]}}"), "\"S\": its id is no token"},
        {SINGLE("{'S': {'ids': ['a']}}"), "\"S\": its id is no token"},
        {POST("{'type': 'BertProcessing'}"), "cls: its id is no token"},
    };
    check_bad(row, COUNT(row));
}

static void bad_files_beside(void **state)
{
    (void)state;
    Err err;
    assert_null(open_all(TINY("", ""), "[", NULL, &err));
    assert_non_null(strstr(err.text, "tokenizer_config.json: not valid JSON"));
    assert_null(open_all(TINY("", ""), NULL, "3", &err));
    assert_non_null(strstr(err.text, "generation_config.json: a JSON object"));
    assert_null(open_all(TINY("", ""), NULL, "{'eos_token_id': 'x'}", &err));
    assert_non_null(strstr(err.text, "eos_token_id: a token's id is needed"));
    assert_null(
        open_all(TINY("", ""), NULL, "{'eos_token_id': [1, 2.5]}", &err));
    assert_non_null(strstr(err.text, "eos_token_id: a token's id is needed"));
    Tokenizer *t = open_all(TINY("", ""), "{'eos_token': 5, 'bos_token': []}",
                            "{'eos_token_id': null}", &err);
    assert_non_null(t);
    assert_int_equal(tokenizer_eos(t), -1);
    tokenizer_close(t);
}

/* Sequences within sequences, and brackets without end. */
static void nested_too_deep(void **state)
{
    (void)state;
    Err err;
    enum { DEEP = 100000 };
    char *text = xmalloc(64 * DEEP + 1000), *p = text;
    p += sprintf(p, "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, "
                    "\"merges\": []}, \"normalizer\": ");
    for (int i = 0; i < 40; i++)
        p += sprintf(p, "{\"type\": \"Sequence\", \"normalizers\": [");
    p += sprintf(p, "{\"type\": \"NFC\"}");
    for (int i = 0; i < 40; i++)
        p += sprintf(p, "]}");
    strcpy(p, "}");
    assert_null(tokenizer_parse(text, NULL, NULL, "test.json", &err));
    assert_non_null(strstr(err.text, "nested too deep"));
    p = text + sprintf(text, "{\"model\": {\"type\": \"BPE\", \"vocab\": "
                             "{\"a\": 0}, \"merges\": []}, "
                             "\"pre_tokenizer\": {\"type\": \"Sequence\", "
                             "\"pretokenizers\": [");
    for (int i = 0; i < 3000; i++)
        p += sprintf(p, "%s{\"type\": \"Digits\"}", i ? ", " : "");
    strcpy(p, "]}}");
    assert_null(tokenizer_parse(text, NULL, NULL, "test.json", &err));
    assert_non_null(strstr(err.text, "pre_tokenizer: more than 64 steps"));
    memset(text, '[', DEEP);
    text[DEEP] = 0;
    assert_null(tokenizer_parse(text, NULL, NULL, "test.json", &err));
    assert_non_null(strstr(err.text, "not valid JSON"));
    free(text);
}

/* A pattern that tries everything gives up in good time. */
static void pattern_gives_up(void **state)
{
    (void)state;
    Err err;
    Ids ids = {0};
    char text[61];
    memset(text, 'a', 60);
    text[60] = 0;
    Tokenizer *t = open_one(
        PRE("{'type': 'Split', 'behavior': 'Isolated', 'pattern': {'Regex': "
            "'((a|aa)*)*(?<!a)'}}"));
    assert_false(tokenizer_encode(t, text, 60, 0, &ids, &err));
    assert_string_equal(err.text, "pre_tokenizer, step 0: the pattern gave up "
                                  "on a text of 60 bytes");
    assert_int_equal(ids.n, 0);
    check_ids(t, "a", 0, "0");
    ids_free(&ids);
    tokenizer_close(t);
}

/* ---- any bytes ---- */

static const char whole[] = TINY(
    "'added_tokens': [{'id': 9, 'content': '<u>', 'special': true, 'lstrip': "
    "true, 'rstrip': true, 'single_word': true, 'normalized': true}, {'id': "
    "12, 'content': 'ba'}], 'normalizer': {'type': 'Sequence', 'normalizers': "
    "[{'type': 'NFC'}, {'type': 'Replace', 'pattern': {'Regex': ' +'}, "
    "'content': '▁'}]}, 'pre_tokenizer': {'type': 'Sequence', "
    "'pretokenizers': [{'type': 'Split', 'pattern': {'Regex': '[a-c]+|\\\\s'}, "
    "'behavior': 'MergedWithNext', 'invert': false}, {'type': 'Digits'}, "
    "{'type': 'Metaspace', 'replacement': '▁', 'prepend_scheme': 'first'}]}, "
    "'post_processor': {'type': 'TemplateProcessing', 'single': "
    "[{'SpecialToken': {'id': 'S', 'type_id': 0}}, {'Sequence': {'id': 'A'}}], "
    "'special_tokens': {'S': {'id': 'S', 'ids': [9]}}}, 'decoder': {'type': "
    "'Sequence', 'decoders': [{'type': 'ByteFallback'}, {'type': 'Fuse'}, "
    "{'type': 'Strip', 'content': ' ', 'start': 1, 'stop': 0}]}, ",
    "'unk_token': '<u>', 'byte_fallback': true, 'fuse_unk': true, ");

/* Whatever was read works. */
static void use(Tokenizer *t)
{
    static const char text[] = "  abc <u> bab\n12 é▁\xf0\x9f\xa6\x99 <u>x ba";
    Err err;
    Ids ids = {0};
    if (tokenizer_encode(t, text, sizeof text, ENCODE_prompt, &ids, &err)) {
        size_t n;
        char *back = tokenizer_decode(t, ids.at, ids.n, DECODE_special, &n);
        assert_true(utf8_valid(back, n, NULL));
        free(back);
    }
    ids_free(&ids);
    tokenizer_close(t);
}

static void whole_file_works(void **state)
{
    (void)state;
    use(open_one(whole));
}

static void every_beginning(void **state)
{
    (void)state;
    Err err;
    char *text = quotes(whole);
    for (size_t n = strlen(text); n-- > 0;) {
        text[n] = 0;
        assert_null(tokenizer_parse(text, text, text, "test.json", &err));
    }
    free(text);
}

/* One byte changed, taken out, or a stretch put twice, at random. */
static void broken_at_random(void **state)
{
    (void)state;
    static const char bytes[] = "0123456789\"\"{}[]:,\\\\e-.tfn \xc3\xff"
                                "()*+?|^";
    char *text = quotes(whole), *copy = xmalloc(2 * sizeof whole);
    size_t len = strlen(text);
    int read = 0;
    for (uint64_t i = 0; i < 6000; i++) {
        size_t at = (size_t)(sample_uniform(1, 4 * i) * (double)len);
        size_t kind = (size_t)(sample_uniform(1, 4 * i + 1) * 4);
        size_t pick =
            (size_t)(sample_uniform(1, 4 * i + 2) * (double)(sizeof bytes - 1));
        size_t skip_to = kind == 1 ? at + 1 : kind == 2 ? at - at / 3 : at;
        memcpy(copy, text, at);
        strcpy(copy + at, text + skip_to);
        if (kind == 0 || kind == 3)
            copy[at] = bytes[pick];
        Err err = {0};
        Tokenizer *t = tokenizer_parse(copy, NULL, NULL, "test.json", &err);
        read += t != NULL;
        if (t)
            use(t);
        else
            assert_int_equal(strncmp(err.text, "test.json: ", 11), 0);
    }
    assert_true(read > 100); /* what is changed is often within a text */
    free(copy);
    free(text);
}

/* ---- files ---- */

static void write_text(const char *folder, const char *name, const char *text,
                       size_t len)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(text, 1, len, f);
    fclose(f);
}

static void opens_a_folder(void **state)
{
    (void)state;
    char folder[] = "/tmp/graft-tokenizer-XXXXXX", path[300];
    Err err;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    assert_null(tokenizer_open_json(path, &err));
    assert_non_null(strstr(err.text, "No such file"));
    char *json = quotes(TINY("", ""));
    write_text(folder, "tokenizer.json", json, strlen(json));
    static const char config[] = "{\"eos_token_id\": 4, \"bos_token_id\": 3}";
    write_text(folder, "config.json", config, strlen(config));
    Tokenizer *t = tokenizer_open_json(path, &err);
    assert_non_null(t);
    assert_int_equal(tokenizer_eos(t), 4);
    assert_int_equal(tokenizer_bos(t), 3);
    tokenizer_close(t);
    static const char other[] = "{\"eos_token_id\": [5, 6]}";
    write_text(folder, "generation_config.json", other, strlen(other));
    t = tokenizer_open_json(path, &err);
    assert_int_equal(tokenizer_eos(t), 5);
    tokenizer_close(t);
    write_text(folder, "tokenizer.json", "{\0}", 3);
    assert_null(tokenizer_open_json(path, &err));
    assert_non_null(strstr(err.text, "byte 1: a zero byte"));
    static const char *const name[] = {"tokenizer.json", "config.json",
                                       "generation_config.json"};
    for (size_t i = 0; i < COUNT(name); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, name[i]);
        unlink(path);
    }
    assert_null(tokenizer_open_json(folder, &err));
    assert_non_null(strstr(err.text, "this is a folder"));
    rmdir(folder);
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_json),         cmocka_unit_test(bad_model),
        cmocka_unit_test(bad_merges),       cmocka_unit_test(bad_added_tokens),
        cmocka_unit_test(bad_steps),        cmocka_unit_test(bad_template),
        cmocka_unit_test(bad_files_beside), cmocka_unit_test(nested_too_deep),
        cmocka_unit_test(pattern_gives_up), cmocka_unit_test(whole_file_works),
        cmocka_unit_test(every_beginning),  cmocka_unit_test(broken_at_random),
        cmocka_unit_test(opens_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
