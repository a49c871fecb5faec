/* Text to ids: merging, unknown characters, words, normalizing, added tokens.
 */
#include "tests/tokenizer_kit.h"
#include <time.h>

/* ---- merging ---- */

static void merges_best_rank_first(void **state)
{
    (void)state;
    check_json(TINY("", ""), "abc", "5");
    check_json(TINY("", ""), "bcab", "4 3");
    check_json(TINY("", ""), "bbb", "1 1 1");
    check_json(TINY("", ""), "", "");
}

static void merges_leftmost_of_equals(void **state)
{
    (void)state;
    check_json(TINY("", ""), "aaa", "6 0");
    check_json(TINY("", ""), "aaab", "6 3"); /* a b is the better rank */
    check_json(TINY("", ""), "aab", "0 3");
}

static void merges_as_pairs(void **state)
{
    (void)state;
    const char *json = "{'model': {'type': 'BPE', 'vocab': {'a': 0, ' ': 1, "
                       "'a ': 2}, 'merges': [['a', ' ']]}}";
    check_json(json, "a a a", "2 2 0");
}

static void merges_skip_version_line(void **state)
{
    (void)state;
    check_json("{'model': {'vocab': {'a': 0, 'b': 1, 'ab': 2}, 'merges': "
               "['#version: 0.2', 'a b']}}",
               "ab", "2");
}

static void whole_word_ignores_merges(void **state)
{
    (void)state;
    const char *model = "{'model': {'type': 'BPE', 'ignore_merges': %s, "
                        "'vocab': {'a': 0, 'b': 1, 'aba': 2, 'ab': 3}, "
                        "'merges': ['a b']}}";
    char json[300];
    snprintf(json, sizeof json, model, "true");
    check_json(json, "aba", "2");
    check_json(json, "abab", "3 3");
    snprintf(json, sizeof json, model, "false");
    check_json(json, "aba", "3 0");
}

/* A word of a million characters, all of which merge, in well under a second:
 * quadratic work would take hours. */
static void long_words(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    Tokenizer *t = open_one(TINY("", ""));
    char *text = xmalloc(N);
    memset(text, 'a', N);
    Ids ids = {0};
    Err err;
    clock_t start = clock();
    assert_true(tokenizer_encode(t, text, N, 0, &ids, &err));
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 20);
    assert_int_equal(ids.n, N / 2);
    for (size_t i = 0; i < ids.n; i++)
        assert_int_equal(ids.at[i], 6);
    ids_free(&ids);
    free(text);
    tokenizer_close(t);
}

/* The same words again and again, more than are remembered. */
static void many_words(void **state)
{
    (void)state;
    Tokenizer *t =
        open_one(TINY("'pre_tokenizer': {'type': 'WhitespaceSplit'}, ", ""));
    enum { N = 400000 };
    char *text = xmalloc(N + 1);
    for (int i = 0; i < N; i++)
        text[i] = i % 7 == 6 ? ' ' : "abc"[(unsigned)i * 2654435761u >> 20 & 1];
    text[N] = 0;
    Ids ids = {0};
    Err err;
    assert_true(tokenizer_encode(t, text, N, 0, &ids, &err));
    size_t at = 0, chars = 0;
    for (size_t i = 0; i < ids.n; i++) {
        const char *s = tokenizer_text(t, ids.at[i]);
        while (text[at] == ' ')
            at++;
        assert_memory_equal(text + at, s, strlen(s));
        at += strlen(s), chars += strlen(s);
    }
    assert_int_equal(chars, N - N / 7);
    ids_free(&ids);
    free(text);
    tokenizer_close(t);
}

static void appends_to_ids(void **state)
{
    (void)state;
    Tokenizer *t = open_one(TINY("", ""));
    Ids ids = {0};
    Err err;
    ids_push(&ids, 77);
    assert_true(tokenizer_encode(t, "ab", 2, 0, &ids, &err));
    assert_int_equal(ids.n, 2);
    assert_int_equal(ids.at[0], 77);
    assert_false(tokenizer_encode(t, "a\xff", 2, 0, &ids, &err));
    assert_int_equal(ids.n, 2);
    ids_free(&ids);
    tokenizer_close(t);
}

/* ---- characters that are no token ---- */

static void unknown_characters(void **state)
{
    (void)state;
    check_json(TINY("", "'unk_token': '<u>', "), "axyb", "0 9 9 1");
    check_json(TINY("", "'unk_token': '<u>', 'fuse_unk': true, "), "axyb",
               "0 9 1");
    check_json(TINY("", ""), "axyb", "3"); /* left out */
}

#define BYTES                                                                  \
    "{'model': {'type': 'BPE', 'byte_fallback': true, 'unk_token': '<u>', "    \
    "'vocab': {'a': 0, '<u>': 1, '<0xC3>': 2, '<0xA9>': 3, '<0x0A>': 4}, "     \
    "'merges': []}, 'decoder': {'type': 'Sequence', 'decoders': ["             \
    "{'type': 'ByteFallback'}, {'type': 'Fuse'}]}}"

static void byte_fallback(void **state)
{
    (void)state;
    check_json(BYTES, "aé\n", "0 2 3 4");
    check_json(BYTES, "aè", "0 1"); /* only all of a character's bytes */
    Tokenizer *t = open_one(BYTES);
    check_back(t, "é\né", 5);
    tokenizer_close(t);
}

static void affixes(void **state)
{
    (void)state;
    const char *json =
        "{'pre_tokenizer': {'type': 'Whitespace'}, 'model': {'type': 'BPE', "
        "'continuing_subword_prefix': '##', 'end_of_word_suffix': '</w>', "
        "'vocab': {'a': 0, '##b': 1, 'ab': 2, '##c</w>': 3, 'abc</w>': 4, "
        "'c</w>': 5, 'a</w>': 6}, 'merges': ['a ##b', 'ab ##c</w>']}}";
    check_json(json, "abc c a", "4 5 6");
}

static void odd_texts(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    char *json = byte_level("'pre_tokenizer': {'type': 'ByteLevel', "
                            "'add_prefix_space': false}, ",
                            none);
    Err err;
    Ids ids = {0};
    Tokenizer *t = tokenizer_parse(json, NULL, NULL, "bytes", &err);
    assert_non_null(t);
    check_bytes(t, "a\0b", 3, 0, "97 0 98");
    check_back(t, "a\0\0b\n\x7f", 6);
    check_back(t, "\xef\xbb\xbf \xf0\x9f\xa6\x99 \xf4\x8f\xbf\xbf", 13);
    static const char *const bad[] = {"\xff", "a\xc3", "\xed\xa0\x80",
                                      "\xc0\x80", "ab\xf4\x90\x80\x80"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(
            tokenizer_encode(t, bad[i], strlen(bad[i]), 0, &ids, &err));
        assert_non_null(strstr(err.text, "the text is not UTF-8 at byte"));
    }
    ids_free(&ids);
    free(json);
    tokenizer_close(t);
}

/* ---- words ---- */

/* Every word that matters is a token: what is found are the words. */
#define WORDS(fields)                                                          \
    TINY("'pre_tokenizer': " fields ", ", "'ignore_merges': true, ")
#define SPLIT(pattern, behavior, invert)                                       \
    "{'type': 'Split', 'pattern': " pattern ", 'behavior': '" behavior         \
    "', 'invert': " invert "}"

static void split_behaviors(void **state)
{
    (void)state;
    static const struct {
        const char *json, *want;
    } row[] = {
        {WORDS(SPLIT("{'String': 'b'}", "Isolated", "false")), "a|b|b|c|b"},
        {WORDS(SPLIT("{'String': 'b'}", "Removed", "false")), "a|c"},
        {WORDS(SPLIT("{'String': 'b'}", "MergedWithPrevious", "false")),
         "ab|b|c|b"},
        {WORDS(SPLIT("{'String': 'b'}", "MergedWithNext", "false")),
         "a|b|bc|b"},
        {WORDS(SPLIT("{'Regex': '[bc]'}", "Removed", "true")), "b|b|c|b"},
        {WORDS(SPLIT("{'Regex': '(?=b)'}", "Isolated", "false")), "a|b|bc|b"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        Tokenizer *t = open_one(row[i].json);
        check_words(t, "abbcb", row[i].want);
        tokenizer_close(t);
    }
    Tokenizer *t =
        open_one(WORDS(SPLIT("{'Regex': 'a'}", "Contiguous", "false")));
    check_words(t, "aabcaa", "aa|bc|aa");
    tokenizer_close(t);
}

/* Cuts the text, then puts a | in front of each word; a space in a word becomes
 * one too. */
static void check_cuts(const char *pre, const char *text, const char *want)
{
    static const char *const none[] = {NULL};
    char fields[2000], out[4096] = "", *json;
    Err err;
    snprintf(fields, sizeof fields,
             "'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [%s, "
             "{'type': 'Metaspace', 'replacement': '|', 'prepend_scheme': "
             "'always', 'split': false}]}, ",
             pre);
    json = byte_level(fields, none);
    Tokenizer *t = tokenizer_parse(json, NULL, NULL, "words", &err);
    if (!t)
        fail_msg("%s", err.text);
    Ids ids = {0};
    assert_true(tokenizer_encode(t, text, strlen(text), 0, &ids, &err));
    for (size_t i = 0; i < ids.n; i++)
        strcat(out, tokenizer_text(t, ids.at[i]));
    assert_string_equal(out, want);
    ids_free(&ids);
    tokenizer_close(t);
    free(json);
}

static void patterns_of_models(void **state)
{
    (void)state;
    check_cuts("{'type': 'Split', 'pattern': {'Regex': "
               "'(?i:\\u0027s|\\u0027re)|"
               "[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| ?"
               "[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|"
               "\\\\s+(?!\\\\S)|\\\\s+'}, 'behavior': 'Isolated'}",
               "WE'RE 12345!x", "|WE|'RE||123|45|!x");
    check_cuts("{'type': 'Split', 'pattern': {'Regex': '\\\\p{N}'}, "
               "'behavior': 'Isolated'}",
               "a12b", "|a|1|2|b");
    check_cuts("{'type': 'Digits', 'individual_digits': true}", "a12b",
               "|a|1|2|b");
    check_cuts("{'type': 'Digits', 'individual_digits': false}", "a12b",
               "|a|12|b");
    check_cuts("{'type': 'Punctuation'}", "a,b!?", "|a|,|b|!|?");
    check_cuts("{'type': 'Punctuation', 'behavior': 'Contiguous'}", "a,b!?",
               "|a|,|b|!?");
    check_cuts("{'type': 'Whitespace'}", "a,b  c", "|a|,|b|c");
    check_cuts("{'type': 'WhitespaceSplit'}", "a,b  c", "|a,b|c");
    check_cuts("{'type': 'BertPreTokenizer'}", "a,b  c", "|a|,|b|c");
    check_cuts("{'type': 'CharDelimiterSplit', 'delimiter': 'x'}", "axbxxc",
               "|a|b|c");
}

static void byte_level_words(void **state)
{
    (void)state;
    static const char *const merges[] = {"Ġ a", "a b", NULL};
    char *json = byte_level("'pre_tokenizer': {'type': 'ByteLevel', "
                            "'add_prefix_space': true}, ",
                            merges);
    Err err;
    Tokenizer *t = tokenizer_parse(json, NULL, NULL, "bytes", &err);
    check_words(t, "a ab", "Ġa|Ġa|b");
    check_words(t, " a", "Ġa");
    check_words(t, "a's  a", "Ġa|'|s|Ġ|Ġa");
    tokenizer_close(t);
    free(json);
}

static void metaspace(void **state)
{
    (void)state;
#define META(scheme)                                                           \
    TINY(                                                                      \
        "'added_tokens': [{'id': 9, 'content': '<u>', 'normalized': false}]"   \
        ", 'pre_tokenizer': {'type': 'Metaspace', 'replacement': '▁', " scheme \
        "}, ",                                                                 \
        "")
    check_json(META("'prepend_scheme': 'always'"), "a a<u>b", "8 8 9 7 1");
    check_json(META("'prepend_scheme': 'first'"), "a a<u>b", "8 8 9 1");
    check_json(META("'prepend_scheme': 'never'"), "a a<u>b", "0 8 9 1");
    check_json(META("'add_prefix_space': false"), "a a", "0 8");
    check_json(META("'prepend_scheme': 'always'"), " a", "8");
}

/* ---- normalizing ---- */

#define NORM(normalizer) TINY("'normalizer': " normalizer ", ", "")

static void normalizers(void **state)
{
    (void)state;
    check_json(NORM("{'type': 'Prepend', 'prepend': '▁'}"), "a", "8");
    check_json(NORM("{'type': 'Prepend', 'prepend': '▁'}"), "", "");
    check_json(NORM("{'type': 'Replace', 'pattern': {'String': 'xx'}, "
                    "'content': 'b'}"),
               "axxxxc", "3 4");
    check_json(NORM("{'type': 'Replace', 'pattern': {'Regex': 'x+'}, "
                    "'content': 'b'}"),
               "axxxxcx", "5 1");
    check_json(NORM("{'type': 'Replace', 'pattern': {'Regex': 'x*'}, "
                    "'content': 'b'}"),
               "cc", "4 4 1");
    check_json(NORM("{'type': 'Lowercase'}"), "ABC", "5");
    check_json(NORM("{'type': 'Strip'}"), " \n ab\t ", "3");
    check_json(NORM("{'type': 'NFKC'}"), "ａｂ", "3");
    check_json(NORM("{'type': 'Sequence', 'normalizers': [{'type': 'NFD'}, "
                    "{'type': 'StripAccents'}]}"),
               "áb", "3");
    check_json(NORM("{'type': 'Sequence', 'normalizers': []}"), "ab", "3");
}

static void normalizers_compose(void **state)
{
    (void)state;
#define ACUTE(type)                                                            \
    "{'normalizer': {'type': '" type "'}, 'model': {'type': 'BPE', 'vocab': "  \
    "{'é': 0, 'e': 1, '\xcc\x81': 2}, 'merges': []}}"
    check_json(ACUTE("NFC"), "e\xcc\x81", "0");
    check_json(ACUTE("NFD"), "é", "1 2");
    check_json(ACUTE("NFKD"), "é", "1 2");
}

/* ---- added tokens ---- */

#define ADDED(tokens)                                                          \
    TINY("'added_tokens': [" tokens "], 'normalizer': {'type': 'Replace', "    \
         "'pattern': {'String': 'X'}, 'content': 'b'}, ",                      \
         "")
#define TOKEN(id, text, facts)                                                 \
    "{'id': " id ", 'content': '" text "', 'normalized': false" facts "}"

static void special_tokens_when_asked(void **state)
{
    (void)state;
    Tokenizer *t = open_one(ADDED(TOKEN("11", "ac", ", 'special': true")));
    check_ids(t, "aacb", 0, "6 2 1");
    check_ids(t, "aacb", ENCODE_special, "0 11 1");
    check_ids(t, "acac", ENCODE_special, "11 11");
    tokenizer_close(t);
    t = open_one(ADDED(TOKEN("11", "ac", "")));
    check_ids(t, "aacb", 0, "0 11 1");
    tokenizer_close(t);
}

static void longest_added_token(void **state)
{
    (void)state;
    Tokenizer *t = open_one(ADDED(TOKEN("11", "ac", "") "," TOKEN(
        "12", "acca", ", 'special': true") "," TOKEN("13", "acc", "")));
    check_ids(t, "accacc", ENCODE_special, "12 2 2");
    check_ids(t, "accacc", 0, "13 13");
    check_ids(t, "accabac", 0, "13 3 11");
    tokenizer_close(t);
}

static void added_token_facts(void **state)
{
    (void)state;
    check_json(ADDED(TOKEN("11", "cc", ", 'single_word': true")), "cc acc cc",
               "11 0 2 2 11");
    check_json(ADDED(TOKEN("11", "cc", ", 'lstrip': true")), "a \n ccb",
               "0 11 1");
    check_json(ADDED(TOKEN("11", "cc", ", 'rstrip': true")), "acc \n b",
               "0 11 1");
    check_json(ADDED(TOKEN("11", "cc", ", 'lstrip': true, 'rstrip': true")),
               " cc cc ", "11 11");
}

static void added_tokens_and_normalizer(void **state)
{
    (void)state;
    const char *before = ADDED(TOKEN("11", "cX", ""));
    const char *after = ADDED("{'id': 11, 'content': 'cX', 'normalized': "
                              "true}");
    check_json(before, "cXcb", "11 2 1");
    check_json(after, "cXcb", "11 11");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_best_rank_first),
        cmocka_unit_test(merges_leftmost_of_equals),
        cmocka_unit_test(merges_as_pairs),
        cmocka_unit_test(merges_skip_version_line),
        cmocka_unit_test(whole_word_ignores_merges),
        cmocka_unit_test(long_words),
        cmocka_unit_test(many_words),
        cmocka_unit_test(appends_to_ids),
        cmocka_unit_test(unknown_characters),
        cmocka_unit_test(byte_fallback),
        cmocka_unit_test(affixes),
        cmocka_unit_test(odd_texts),
        cmocka_unit_test(split_behaviors),
        cmocka_unit_test(patterns_of_models),
        cmocka_unit_test(byte_level_words),
        cmocka_unit_test(metaspace),
        cmocka_unit_test(normalizers),
        cmocka_unit_test(normalizers_compose),
        cmocka_unit_test(special_tokens_when_asked),
        cmocka_unit_test(longest_added_token),
        cmocka_unit_test(added_token_facts),
        cmocka_unit_test(added_tokens_and_normalizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
