/* What begins and ends a text, what a tokenizer knows of its tokens, and ids to
 * text, at once and token by token. */
#include "tests/tokenizer_kit.h"
#include <pthread.h>

/* ---- what begins and ends a text ---- */

#define TEMPLATE \
    "'post_processor': {'type': 'TemplateProcessing', 'single': [" \
    "{'SpecialToken': {'id': 'S', 'type_id': 0}}, {'Sequence': {'id': 'A', " \
    "'type_id': 0}}, {'SpecialToken': {'id': 'E', 'type_id': 0}}], " \
    "'special_tokens': {'S': {'id': 'S', 'ids': [9], 'tokens': ['<u>']}, " \
    "'E': {'id': 'E', 'ids': [10], 'tokens': ['d']}}}, "

static void begins_by_template(void **state)
{
    (void)state;
    Tokenizer *t = open_one(TINY(TEMPLATE, ""));
    check_ids(t, "ab", 0, "3");
    check_ids(t, "ab", ENCODE_bos, "9 3");
    check_ids(t, "", ENCODE_prompt, "9");
    assert_int_equal(tokenizer_bos(t), 9);
    tokenizer_close(t);
    t = open_one(TINY("'post_processor': {'type': 'Sequence', 'processors': ["
                      "{'type': 'ByteLevel'}, {'type': 'RobertaProcessing', "
                      "'sep': ['d', 10], 'cls': ['<u>', 9]}]}, ", ""));
    check_ids(t, "ab", ENCODE_bos, "9 3");
    tokenizer_close(t);
}

static void check_begin(const char *fields_json, const char *config,
                        const char *generation, const char *want)
{
    Err err;
    Tokenizer *t = open_all(fields_json, config, generation, &err);
    if (!t)
        fail_msg("%s", err.text);
    check_ids(t, "ab", ENCODE_bos, want);
    tokenizer_close(t);
}

static void begins_by_config(void **state)
{
    (void)state;
    const char *yes = "{'bos_token': '<u>', 'add_bos_token': true}";
    const char *no = "{'bos_token': {'content': '<u>'}, 'add_bos_token': "
                     "false}";
    check_begin(TINY("", ""), yes, NULL, "9 3");
    check_begin(TINY(TEMPLATE, ""), yes, NULL, "9 3");
    check_begin(TINY("", ""), no, NULL, "3");
    check_begin(TINY(TEMPLATE, ""), no, NULL, "3");
    check_begin(TINY("", ""), "{'bos_token': '<u>'}", NULL, "3");
    check_begin(TINY("", ""), "{'add_bos_token': true}",
                "{'bos_token_id': 10}", "10 3");
    check_begin(TINY("", ""), "{'add_bos_token': true}",
                "{'bos_token_id': 4000}", "3");
}

static void end_tokens(void **state)
{
    (void)state;
    Err err;
    int n;
    Tokenizer *t = open_all(TINY("", ""), "{'eos_token': 'd'}",
                            "{'eos_token_id': [9, 10, 5]}", &err);
    assert_int_equal(tokenizer_eos(t), 10);
    const int32_t *end = tokenizer_ends(t, &n);
    assert_int_equal(n, 3);
    assert_true(end[0] == 10 && end[1] == 9 && end[2] == 5);
    assert_true(tokenizer_is_end(t, 5) && !tokenizer_is_end(t, 0));
    tokenizer_close(t);
    t = open_all(TINY("", ""), NULL, "{'eos_token_id': 4}", &err);
    assert_int_equal(tokenizer_eos(t), 4);
    tokenizer_close(t);
    t = open_one(TINY("", ""));
    assert_int_equal(tokenizer_eos(t), -1);
    assert_int_equal(tokenizer_bos(t), -1);
    tokenizer_close(t);
}

static void knows_its_tokens(void **state)
{
    (void)state;
    Tokenizer *t = open_one(
        TINY("'added_tokens': [{'id': 20, 'content': 'far'}], ", ""));
    assert_int_equal(tokenizer_size(t), 21);
    assert_string_equal(tokenizer_text(t, 5), "abc");
    assert_string_equal(tokenizer_text(t, 20), "far");
    assert_null(tokenizer_text(t, 15)); /* a gap */
    assert_null(tokenizer_text(t, 21));
    assert_null(tokenizer_text(t, -1));
    assert_int_equal(tokenizer_find(t, "▁a"), 8);
    assert_int_equal(tokenizer_find(t, "far"), 20);
    assert_int_equal(tokenizer_find(t, "fa"), -1);
    tokenizer_close(t);
}

/* ---- ids to text ---- */

static void decodes_special_when_asked(void **state)
{
    (void)state;
    Tokenizer *t = open_one(
        TINY("'added_tokens': [{'id': 9, 'content': '<u>', 'special': true}, "
             "{'id': 11, 'content': 'two words'}], 'decoder': {'type': "
             "'ByteLevel'}, ", ""));
    CHECK_TEXT(t, 0, "abctwo words", 3, 9, 2, 11);
    CHECK_TEXT(t, DECODE_special, "ab<u>ctwo words", 3, 9, 2, 11);
    tokenizer_close(t);
}

static void decodes_what_is_no_id(void **state)
{
    (void)state;
    Tokenizer *t = open_one(TINY("'decoder': {'type': 'ByteLevel'}, ", ""));
    CHECK_TEXT(t, 0, "ab", 3, -1, 11, 2147483647, -2147483647 - 1);
    check_text(t, 0, 0, NULL, "");
    tokenizer_close(t);
}

static void joins_without_decoder(void **state)
{
    (void)state;
    Tokenizer *t = open_one(TINY("", ""));
    CHECK_TEXT(t, 0, "ab c a", 3, 2, 0);
    CHECK_TEXT(t, DECODE_continue, " ab c", 3, 2);
    tokenizer_close(t);
}

#define LLAMA_DECODER \
    "'decoder': {'type': 'Sequence', 'decoders': [{'type': 'Replace', " \
    "'pattern': {'String': '▁'}, 'content': ' '}, {'type': 'ByteFallback'}, " \
    "{'type': 'Fuse'}, {'type': 'Strip', 'content': ' ', 'start': 1, " \
    "'stop': 0}]}, "

static void strips_first_space(void **state)
{
    (void)state;
    Tokenizer *t = open_one(TINY(LLAMA_DECODER, ""));
    CHECK_TEXT(t, 0, "a a", 8, 8);
    CHECK_TEXT(t, 0, " a", 7, 8);
    CHECK_TEXT(t, 0, "b a", 1, 8);
    CHECK_TEXT(t, DECODE_continue, " a a", 8, 8);
    tokenizer_close(t);
}

static void metaspace_decoder(void **state)
{
    (void)state;
#define META(scheme) \
    TINY("'decoder': {'type': 'Metaspace', 'replacement': '▁', " \
         "'prepend_scheme': '" scheme "'}, ", "")
    Tokenizer *t = open_one(META("always"));
    CHECK_TEXT(t, 0, "a a ", 8, 8, 7);
    tokenizer_close(t);
    t = open_one(META("never"));
    CHECK_TEXT(t, 0, " a a", 8, 8);
    tokenizer_close(t);
}

static void other_decoders(void **state)
{
    (void)state;
    Tokenizer *t = open_one(
        TINY("'decoder': {'type': 'Sequence', 'decoders': [{'type': 'Strip', "
             "'content': 'a', 'start': 1, 'stop': 1}, {'type': 'Replace', "
             "'pattern': {'Regex': '[bc]'}, 'content': '-'}]}, ", ""));
    CHECK_TEXT(t, 0, "----", 5, 3, 6, 2);
    tokenizer_close(t);
}

/* ---- token by token ---- */

#define BYTES \
    "{'model': {'type': 'BPE', 'vocab': {'a': 0, '<0xF0>': 1, '<0x9F>': 2, " \
    "'<0xA6>': 3, '<0x99>': 4, '<0x80>': 5}, 'merges': []}, 'decoder': " \
    "{'type': 'Sequence', 'decoders': [{'type': 'ByteFallback'}, {'type': " \
    "'Fuse'}]}}"

static void check_push(Decoder *d, int32_t id, const char *want)
{
    size_t n;
    const char *piece = decoder_push(d, id, &n);
    assert_string_equal(piece, want);
    assert_int_equal(n, strlen(want));
}

static void holds_unfinished_characters(void **state)
{
    (void)state;
    Tokenizer *t = open_one(BYTES);
    Decoder *d = decoder_open(t, 0);
    check_push(d, 0, "a");
    check_push(d, 1, "");
    check_push(d, 2, "");
    check_push(d, 3, "");
    check_push(d, 4, "\xf0\x9f\xa6\x99");
    check_push(d, 0, "a");
    assert_string_equal(decoder_finish(d, NULL), "");
    decoder_close(d);
    tokenizer_close(t);
}

static void replaces_wrong_bytes(void **state)
{
    (void)state;
    Tokenizer *t = open_one(BYTES);
    Decoder *d = decoder_open(t, 0);
    check_push(d, 5, "\xef\xbf\xbd");
    check_push(d, 1, "");
    check_push(d, 2, "");
    check_push(d, 0, "\xef\xbf\xbd"
                     "a");
    check_push(d, 1, "");
    assert_string_equal(decoder_finish(d, NULL), "\xef\xbf\xbd");
    assert_string_equal(decoder_finish(d, NULL), "");
    decoder_close(d);
    CHECK_TEXT(t, 0, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "a", 5, 5, 1, 0);
    tokenizer_close(t);
}

/* A long stream is the same as all at once. */
static void streams_as_at_once(void **state)
{
    (void)state;
    enum { N = 5000 };
    Tokenizer *t = open_one(BYTES);
    int32_t ids[N];
    for (int i = 0; i < N; i++)
        ids[i] = (int32_t)((unsigned)i * 2654435761u >> 13) % 6;
    size_t n, len, at = 0;
    char *whole = tokenizer_decode(t, ids, N, 0, &len);
    assert_true(utf8_valid(whole, len, NULL));
    Decoder *d = decoder_open(t, 0);
    for (int i = 0; i <= N; i++) {
        const char *piece =
            i < N ? decoder_push(d, ids[i], &n) : decoder_finish(d, &n);
        assert_memory_equal(piece, whole + at, n);
        at += n;
    }
    assert_int_equal(at, len);
    decoder_close(d);
    free(whole);
    tokenizer_close(t);
}

static void *encode_often(void *tokenizer)
{
    for (int i = 0; i < 200; i++) {
        Ids ids = {0};
        Err err;
        bool ok = tokenizer_encode(tokenizer, "abc abc 12", 10, 0, &ids, &err);
        if (!ok || ids.n != 6 || ids.at[0] != 5 || ids.at[2] != 5)
            return "wrong";
        ids_free(&ids);
    }
    return NULL;
}

static void threads_share_a_tokenizer(void **state)
{
    (void)state;
    Tokenizer *t = open_one(TINY(
        "'pre_tokenizer': {'type': 'Split', 'pattern': {'Regex': '\\\\d+|"
        "\\\\s'}, 'behavior': 'Isolated'}, ", "'unk_token': '<u>', "));
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&thread[i], NULL, encode_often, t), 0);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        assert_null(wrong);
    }
    tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_by_template),
        cmocka_unit_test(begins_by_config),
        cmocka_unit_test(end_tokens),
        cmocka_unit_test(knows_its_tokens),
        cmocka_unit_test(decodes_special_when_asked),
        cmocka_unit_test(decodes_what_is_no_id),
        cmocka_unit_test(joins_without_decoder),
        cmocka_unit_test(strips_first_space),
        cmocka_unit_test(metaspace_decoder),
        cmocka_unit_test(other_decoders),
        cmocka_unit_test(holds_unfinished_characters),
        cmocka_unit_test(replaces_wrong_bytes),
        cmocka_unit_test(streams_as_at_once),
        cmocka_unit_test(threads_share_a_tokenizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
