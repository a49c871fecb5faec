/* What the tests of tokenizers share: tokenizer.json texts written with ' for
 * ", and checks of ids and text. */
#pragma once
#include "runtime/tokens/tokens.h"
#include <setjmp.h>
#include <string.h>
/* after setjmp.h */
#include <cmocka.h>

/* The text with " for ', malloc'ed. */
static inline char *quotes(const char *text)
{
    char *copy = xmalloc(strlen(text) + 1);
    strcpy(copy, text);
    for (char *p = copy; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    return copy;
}

/* Each text may be NULL, as for tokenizer_parse. */
static inline Tokenizer *open_all(const char *json, const char *config,
                                  const char *generation, Err *err)
{
    char *j = quotes(json), *c = config ? quotes(config) : NULL;
    char *g = generation ? quotes(generation) : NULL;
    Tokenizer *t = tokenizer_parse(j, c, g, "test.json", err);
    free(j);
    free(c);
    free(g);
    return t;
}

/* A BPE of a, b, c, "▁" and a few merges, with the given further fields of the
 * file and of the model ("'x': 1, " or ""). */
#define TINY(fields, model)                                                    \
    "{" fields "'model': {" model "'type': 'BPE', 'vocab': {'a': 0, 'b': 1, "  \
    "'c': 2, 'ab': 3, 'bc': 4, 'abc': 5, 'aa': 6, '▁': 7, '▁a': 8, "       \
    "'<u>': 9, 'd': 10}, 'merges': ['a b', 'ab c', 'b c', 'a a', '▁ a']}}"

static inline Tokenizer *open_one(const char *json)
{
    Err err;
    Tokenizer *t = open_all(json, NULL, NULL, &err);
    if (!t)
        fail_msg("%s", err.text);
    return t;
}

/* Does t encode to the ids written as "1 2 3"? */
static inline void check_bytes(const Tokenizer *t, const char *text, size_t len,
                               int flags, const char *want)
{
    Err err;
    Ids ids = {0};
    char found[4096] = "";
    if (!tokenizer_encode(t, text, len, flags, &ids, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0, at = 0; i < ids.n && at < sizeof found - 16; i++)
        at += (size_t)sprintf(found + at, "%s%d", i ? " " : "", ids.at[i]);
    assert_string_equal(found, want);
    ids_free(&ids);
}

static inline void check_ids(const Tokenizer *t, const char *text, int flags,
                             const char *want)
{
    check_bytes(t, text, strlen(text), flags, want);
}

/* Does the tokenizer of that text encode so? */
static inline void check_json(const char *json, const char *text,
                              const char *want)
{
    Tokenizer *t = open_one(json);
    check_ids(t, text, 0, want);
    tokenizer_close(t);
}

/* The tokens of the text, with | between. */
static inline void check_words(const Tokenizer *t, const char *text,
                               const char *want)
{
    Err err;
    Ids ids = {0};
    char found[4096] = "";
    if (!tokenizer_encode(t, text, strlen(text), 0, &ids, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < ids.n; i++) {
        strcat(found, i ? "|" : "");
        strcat(found, tokenizer_text(t, ids.at[i]));
    }
    assert_string_equal(found, want);
    ids_free(&ids);
}

static inline void check_text(const Tokenizer *t, int flags, int n,
                              const int32_t *ids, const char *want)
{
    char *text = tokenizer_decode(t, ids, (size_t)n, flags, NULL);
    assert_string_equal(text, want);
    free(text);
}
#define CHECK_TEXT(t, flags, want, ...)                                        \
    check_text(t, flags, (int)COUNT(((int32_t[]){__VA_ARGS__})),               \
               (int32_t[]){__VA_ARGS__}, want)

/* Encodes and decodes; the text must come back. */
static inline void check_back(const Tokenizer *t, const char *text, size_t len)
{
    Err err;
    Ids ids = {0};
    size_t n;
    if (!tokenizer_encode(t, text, len, 0, &ids, &err))
        fail_msg("%s", err.text);
    char *back = tokenizer_decode(t, ids.at, ids.n, 0, &n);
    assert_int_equal(n, len);
    assert_memory_equal(back, text, len);
    free(back);
    ids_free(&ids);
}

/* A byte-level tokenizer: 256 byte tokens as GPT-2 writes them, then the
 * merges' results. `fields` as in TINY; merges "a b" up to NULL. malloc'ed. */
static inline char *byte_level(const char *fields, const char *const *merges)
{
    char *json = NULL;
    size_t len;
    FILE *f = open_memstream(&json, &len);
    char *q = quotes(fields);
    fprintf(f,
            "{%s\"decoder\": {\"type\": \"ByteLevel\"}, \"model\": "
            "{\"type\": \"BPE\", \"vocab\": {",
            q);
    free(q);
    for (int b = 0, other = 256; b < 256; b++) {
        bool plain = (b > 32 && b < 127) || (b > 160 && b != 173);
        int c = plain ? b : other++;
        fprintf(f, "%s\"", b ? ", " : "");
        if (c < 128)
            fprintf(f, c == '"' || c == '\\' ? "\\%c" : "%c", c);
        else
            fprintf(f, "%c%c", 0xc0 | c >> 6, 0x80 | (c & 63));
        fprintf(f, "\": %d", b);
    }
    for (int i = 0; merges[i]; i++) {
        int cut = (int)(strchr(merges[i], ' ') - merges[i]);
        fprintf(f, ", \"%.*s%s\": %d", cut, merges[i], merges[i] + cut + 1,
                256 + i);
    }
    fprintf(f, "}, \"merges\": [");
    for (int i = 0; merges[i]; i++)
        fprintf(f, "%s\"%s\"", i ? ", " : "", merges[i]);
    fprintf(f, "]}}");
    fclose(f);
    return json;
}
