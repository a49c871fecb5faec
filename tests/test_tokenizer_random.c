/* Texts of all planes by the patterns and steps that models use, against what
 * the tokenizers library made of them: tests/tokens/recorded.json, written by
 * bench/peers/record_ids.py, which makes the same texts. And the ids of the
 * small tokenizers in tests/tokens, one for each way in which patterns differ
 * from other libraries' ones. */
#include "tests/tokenizer_kit.h"
#include <cjson/cJSON.h>

enum { TEXTS = 10000, BLOCK = 1000 };

static uint64_t state;

static uint32_t below(uint32_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % n);
}

static const uint32_t ranges[][2] = {
    {97, 122},          {97, 122},          {65, 90},
    {48, 57},           {32, 32},           {32, 32},
    {32, 32},           {33, 47},           {39, 39},
    {115, 116},         {9, 13},            {1, 31},
    {58, 64},           {91, 96},           {123, 191},
    {0xC0, 0x24F},      {0x300, 0x36F},     {0x370, 0x5FF},
    {0x600, 0x6FF},     {0x900, 0xDFF},     {0xE00, 0x11FF},
    {0x1680, 0x180F},   {0x1AB0, 0x1DFF},   {0x1E00, 0x1FFF},
    {0x2000, 0x206F},   {0x2070, 0x2BFF},   {0x3000, 0x30FF},
    {0x4E00, 0x9FFF},   {0xAC00, 0xD7FF},   {0xF900, 0xFFFD},
    {0x10000, 0x11FFF}, {0x16E40, 0x1DFFF}, {0x1E000, 0x1FBFF},
    {0x20000, 0x3FFFF}, {0xE0000, 0x10FFFF}, {1, 0x10FFFF}};

static size_t put_char(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    int n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00 >> n & 0xff) | c);
    return (size_t)n;
}

typedef struct {
    char at[4096];
    size_t len;
} Random;
static Random *texts;

static void make_text(Random *t)
{
    t->len = 0;
    for (uint32_t items = below(24); items; items--) {
        const uint32_t *r = ranges[below(COUNT(ranges))];
        uint32_t c = r[0] + below(r[1] - r[0] + 1);
        c = c >= 0xD800 && c < 0xE000 ? ' ' : c;
        uint32_t times = below(30) == 0 ? 1 + below(40) : 1;
        for (; times; times--)
            t->len += put_char(c, t->at + t->len);
    }
}

static int make_texts(void **unused)
{
    (void)unused;
    texts = xmalloc(TEXTS * sizeof *texts);
    state = 1;
    for (int i = 0; i < TEXTS; i++)
        make_text(&texts[i]);
    return 0;
}

static int free_texts(void **unused)
{
    (void)unused;
    free(texts);
    return 0;
}

static cJSON *read_json(const char *name)
{
    char path[1024];
    Err err;
    size_t len;
    snprintf(path, sizeof path, "%s/%s", TOKENS, name);
    char *text = read_file(path, &len, &err);
    if (!text)
        fail_msg("%s", err.text);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    free(text);
    return json;
}

static const cJSON *get(const cJSON *o, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(o, name);
}

/* The row's steps, then bytes; a vocabulary in which ids show words' ends. */
static Tokenizer *open_row(const cJSON *row)
{
    static const char *const none[] = {NULL};
    char *bytes = byte_level("", none);
    cJSON *root = cJSON_Parse(bytes);
    cJSON *model = cJSON_GetObjectItem(root, "model");
    cJSON *vocab = cJSON_GetObjectItem(model, "vocab");
    free(bytes);
    cJSON *last = cJSON_Duplicate(vocab, true);
    for (cJSON *v = last->child; v; v = v->next) {
        char name[16];
        snprintf(name, sizeof name, "%s/", v->string);
        cJSON_AddNumberToObject(vocab, name, 256 + v->valueint);
    }
    cJSON_Delete(last);
    cJSON_AddStringToObject(model, "end_of_word_suffix", "/");
    cJSON_AddItemToObject(root, "normalizer",
                          cJSON_Duplicate(get(row, "normalizer"), true));
    cJSON *pre = cJSON_Parse("{\"type\": \"Sequence\", \"pretokenizers\": []}");
    cJSON *list = cJSON_GetObjectItem(pre, "pretokenizers");
    cJSON_AddItemToArray(list,
                         cJSON_Duplicate(get(row, "pre_tokenizer"), true));
    cJSON_AddItemToArray(
        list, cJSON_Parse("{\"type\": \"ByteLevel\", \"use_regex\": false, "
                          "\"add_prefix_space\": false}"));
    cJSON_AddItemToObject(root, "pre_tokenizer", pre);
    char *json = cJSON_PrintUnformatted(root);
    Err err;
    Tokenizer *t = tokenizer_parse(json, NULL, NULL, "test.json", &err);
    if (!t)
        fail_msg("%s: %s", get(row, "name")->valuestring, err.text);
    cJSON_free(json);
    cJSON_Delete(root);
    return t;
}

static void hash_ids(uint64_t *h, const Tokenizer *t, const Random *text)
{
    Err err;
    Ids ids = {0};
    if (!tokenizer_encode(t, text->at, text->len, 0, &ids, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < ids.n; i++)
        *h = (*h ^ (uint64_t)ids.at[i]) * 0x100000001b3u;
    *h = (*h ^ 0xFFFF) * 0x100000001b3u;
    ids_free(&ids);
}

/* How many blocks of texts differ. */
static int check_row(const cJSON *row)
{
    Tokenizer *t = open_row(row);
    const cJSON *want = get(row, "hashes")->child;
    int differ = 0, at = 0;
    for (; want; want = want->next) {
        uint64_t h = 0xcbf29ce484222325u;
        for (int i = 0; i < BLOCK; i++)
            hash_ids(&h, t, &texts[at++]);
        char found[20];
        snprintf(found, sizeof found, "%016llx", (unsigned long long)h);
        differ += strcmp(found, want->valuestring) != 0;
    }
    assert_int_equal(at, TEXTS);
    tokenizer_close(t);
    return differ;
}

static void recorded(void **unused)
{
    (void)unused;
    cJSON *rows = read_json("recorded.json");
    int wrong = 0;
    assert_true(cJSON_GetArraySize(rows) > 50);
    for (const cJSON *row = rows->child; row; row = row->next) {
        int differ = check_row(row);
        if (differ)
            print_message("%s: %d of 10 blocks of texts differ\n",
                          get(row, "name")->valuestring, differ);
        wrong += differ > 0;
    }
    cJSON_Delete(rows);
    assert_int_equal(wrong, 0);
}

/* Back to text, where a row says what that is. */
static void check_decoded(const Tokenizer *t, const cJSON *row)
{
    const cJSON *back = cJSON_GetObjectItem(row, "back");
    int32_t id[1024];
    size_t n = 0;
    for (const cJSON *i = get(row, "ids")->child; i; i = i->next)
        id[n++] = i->valueint;
    char *text = tokenizer_decode(t, id, n, DECODE_special, NULL);
    if (back)
        assert_string_equal(text, back->valuestring);
    free(text);
}

/* Tokenizers with texts and their ids. */
static void check_cases(const char *file, int least)
{
    cJSON *rows = read_json(file);
    Err err;
    assert_true(cJSON_GetArraySize(rows) >= least);
    for (const cJSON *row = rows->child; row; row = row->next) {
        const char *name = get(row, "name")->valuestring;
        char *json = cJSON_PrintUnformatted(get(row, "tokenizer"));
        Tokenizer *t = tokenizer_parse(json, NULL, NULL, name, &err);
        if (!t)
            fail_msg("%s", err.text);
        for (const cJSON *c = get(row, "texts")->child; c; c = c->next) {
            char want[8192] = "";
            for (const cJSON *i = get(c, "ids")->child; i; i = i->next)
                sprintf(want + strlen(want), "%s%d", *want ? " " : "",
                        i->valueint);
            print_message("%s\n", name);
            check_ids(t, get(c, "text")->valuestring, ENCODE_special, want);
            check_decoded(t, c);
        }
        tokenizer_close(t);
        cJSON_free(json);
    }
    cJSON_Delete(rows);
}

static void cases(void **unused)
{
    (void)unused;
    check_cases("cases.json", 11);
}

/* Unigram, WordPiece, WordLevel, SentencePiece's charsmap; (?i). */
static void other_models(void **unused)
{
    (void)unused;
    check_cases("models.json", 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(recorded),
                                       cmocka_unit_test(cases),
                                       cmocka_unit_test(other_models)};
    return cmocka_run_group_tests(tests, make_texts, free_texts);
}
