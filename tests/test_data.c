/* Data to learn from: what is read, and that each wrong file is refused with
 * its line and why, or its record skipped. */
#include "runtime/data/data.h"
#include "tests/tokenizer_kit.h"
#include <unistd.h>

static char folder[] = "/tmp/graft_data_XXXXXX";
static char path[200];

static void put(const char *text, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static const DataColumn kind = {"kind", 4}, weight = {"weight", 0};
static const DataUse no_column = {.vocabulary = 10},
                     of_kind = {.vocabulary = 10, .column = &kind,
                                .columns = 1},
                     of_weight = {.vocabulary = 10, .column = &weight,
                                  .columns = 1};

static Err err;
static bool open_as(Data *d, DataSpec s, const DataUse *use, const char *text,
                    size_t len)
{
    put(text, len);
    s.path = path;
    return data_open(d, &s, use, &err);
}

/* ---- ids ---- */

static void ids_are_read(void **state)
{
    (void)state;
    static const char text[] =
        "{\"ids\": [1, 2, 3], \"labels\": [5, -100, 3], \"kind\": [0, 3, 1]}\n"
        " \t\r\n"
        "{\"kind\": [2], \"more\": {\"a\": [1]}, \"ids\": [9]}";
    Data d;
    if (!open_as(&d, (DataSpec){0}, &of_kind, text, sizeof text - 1))
        fail_msg("%s", err.text);
    assert_int_equal(d.example.n, 2);
    const Example *e = d.example.at;
    assert_int_equal(e[0].n, 3);
    assert_int_equal(e[0].labelled, 1); /* the first label counts for nothing */
    assert_int_equal(e[0].label[0], 5);
    assert_int_equal(e[0].label[1], NO_LABEL);
    assert_true(e[0].column[0][1] == 3);
    assert_int_equal(e[1].line, 3);
    assert_int_equal(e[1].labelled, 0);
    assert_int_equal(e[1].label[0], 9); /* without labels all are learned */
    assert_int_equal(d.tokens, 4);
    assert_int_equal(d.labelled, 1);
    data_free(&d);
}

static const struct {
    const char *text, *says; /* behind "FILE:" */
    const DataUse *use;
} wrong_ids[] = {
    {"{\"ids\": [1, 10]}", "1: \"ids\"[1] is 10: the model's ids go from 0 to "
                           "9", NULL},
    {"{\"ids\": [1, -1]}", "1: \"ids\"[1] is -1: ", NULL},
    {"{\"ids\": [1, 2]}\n{\"ids\": [1.5, 2]}", "2: \"ids\"[0] is 1.5: a whole "
                                               "number is wanted", NULL},
    {"{\"ids\": [1, 1e999]}", "1: \"ids\"[1] is inf: a whole", NULL},
    {"{\"ids\": [1, \"2\"]}", "1: \"ids\"[1] is to be a number, this is a "
                              "text", NULL},
    {"{\"ids\": [1, null]}", "1: \"ids\"[1] is to be a number, this is null",
     NULL},
    {"{\"ids\": []}", "1: \"ids\" is empty", NULL},
    {"{\"ids\": 3}", "1: \"ids\" is to be a list, this is a number", NULL},
    {"{\"idz\": [3]}", "1: it has no \"ids\"", NULL},
    {"[1, 2]", "1: an object {..} is wanted, this is a number", NULL},
    {"3", "1: an object {..} is wanted, this is a number", NULL},
    {"{\"ids\": [1, 2], \"labels\": [1]}", "1: \"labels\" has 1 numbers, but "
                                           "there are 2 \"ids\"", NULL},
    {"{\"ids\": [1, 2], \"labels\": [1, 2, 3]}",
     "1: \"labels\" has more numbers than the 2 of \"ids\"", NULL},
    {"{\"ids\": [1, 2], \"labels\": [1, -99]}",
     "1: \"labels\"[1] is -99: the model's labels go from 0 to 9, or -100",
     NULL},
    {"{\"ids\": [1, 2], \"labels\": \"x\"}", "1: \"labels\" is to be a list, "
                                             "this is a text", NULL},
    {"{\"ids\": [1, 2]}", "1: it has no \"kind\"", &of_kind},
    {"{\"ids\": [1, 2], \"kind\": [0, 4]}", "1: \"kind\"[1] is 4", &of_kind},
    {"{\"ids\": [1, 2], \"kind\": [0]}", "1: \"kind\" has 1 numbers",
     &of_kind},
    {"{\"ids\": [1, 2], \"weight\": [0, 1e999]}",
     "1: \"weight\"[1] is inf: a finite number is wanted", &of_weight},
    {"{\"ids\": [1, 2]}\n\n{\"ids\": [1, 2", "3: it is cut off", NULL},
    {"{\"ids\": [1, 2]} x", "1: more behind the JSON's end, at its byte 17",
     NULL},
    {"{\"ids\": [1 2]}", "1: not JSON from its byte 12 on", NULL},
    {"{\"ids\": [1, 2], \"\xff\": 1}", "1: not UTF-8 from its byte 18 on",
     NULL},
    {"[{\"ids\": [1, 2]},\n {\"ids\": [1, 77]}]", "2: \"ids\"[1] is 77", NULL},
    {"[{\"ids\": [1, 2]}\n {\"ids\": [1, 7]}]", "2: `,` or `]` is wanted",
     NULL},
    {"[{\"ids\": [1, 2]},\n", "2: it is cut off", NULL},
    {"[{\"ids\": [1, 2]}", "1: it is cut off", NULL},
    {"[{\"ids\": [1, 2]}] 4", "1: more behind the list's end", NULL},
    {"", " it is empty", NULL},
    {" \n\t\n", " it is empty", NULL},
    {"[]", " there is nothing to learn: 0 examples", NULL},
    {"{\"ids\": [4]}", " there is nothing to learn: 1 examples", NULL},
    {"{\"ids\": [4, 5], \"labels\": [4, -100]}", " there is nothing to learn",
     NULL},
};

static void says_where(const char *says)
{
    char want[400];
    snprintf(want, sizeof want, "%s:%s", path, says);
    if (strncmp(err.text, want, strlen(want)))
        fail_msg("found \"%s\", wanted \"%s..\"", err.text, want);
}

static void wrong_ids_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wrong_ids); i++) {
        Data d;
        const DataUse *use = wrong_ids[i].use ? wrong_ids[i].use : &no_column;
        assert_false(open_as(&d, (DataSpec){0}, use, wrong_ids[i].text,
                             strlen(wrong_ids[i].text)));
        says_where(wrong_ids[i].says);
        data_free(&d);
    }
    static const char nul[] = "{\"ids\": [1, 2]}\n{\"ids\": [1,\0 2]}";
    Data d;
    assert_false(open_as(&d, (DataSpec){0}, &no_column, nul, sizeof nul - 1));
    says_where("2: a NUL byte");
    data_free(&d);
    assert_false(data_open(&d, &(DataSpec){.path = "/nowhere/x"}, &no_column,
                           &err));
    data_free(&d);
}

static void bad_ones_are_skipped(void **state)
{
    (void)state;
    static const char text[] = "{\"ids\": [1, 2]}\n{\"ids\": [1, 99]}\nfoo\n"
                               "{\"ids\": [3, 4]}";
    Data d;
    assert_true(open_as(&d, (DataSpec){.skip_bad = true}, &no_column, text,
                        sizeof text - 1));
    assert_int_equal(d.example.n, 2);
    assert_int_equal(d.bad, 2);
    assert_int_equal(d.why.n, 2);
    assert_non_null(strstr(d.why.at[0], "line 2: \"ids\"[1] is 99"));
    assert_non_null(strstr(d.why.at[1], "line 3: not JSON"));
    data_free(&d);
    assert_false(open_as(&d, (DataSpec){.skip_bad = true}, &no_column, "x\ny",
                         3));
    says_where(" there is nothing to learn: 0 examples, all others wrong");
    data_free(&d);
}

/* Any prefix of a file, and any byte of it changed: no crash, and either an
 * error with the file's name or examples within the model's ids. */
static void any_bytes(void **state)
{
    (void)state;
    static const char text[] = "[{\"ids\": [1, 2, 3], \"labels\": [1, -100, 3]}"
                               ", {\"ids\": [4, 5]}]";
    char now[sizeof text];
    for (size_t i = 0; i < sizeof text - 1; i++)
        for (int c = 0; c < 256; c += 5) {
            Data d;
            memcpy(now, text, sizeof text);
            now[i] = (char)c;
            size_t len = c ? sizeof text - 1 : i;
            bool fine = open_as(&d, (DataSpec){0}, &no_column, now, len);
            assert_true(fine || strstr(err.text, path));
            for (int j = 0; fine && j < d.example.n; j++)
                for (int t = 0; t < d.example.at[j].n; t++)
                    assert_in_range(d.example.at[j].id[t], 0, 9);
            data_free(&d);
        }
}

/* ---- texts ---- */

/* Letters alone, and one merge: "a b" is one token. */
static Tokenizer *letters(void)
{
    Tokenizer *t = open_all(
        "{'added_tokens': [{'id': 90, 'content': '<b>', 'special': true}, "
        "{'id': 91, 'content': '</b>', 'special': true}], 'model': {'type': "
        "'BPE', 'vocab': {'a': 0, 'b': 1, 'c': 2, 'x': 3, 'ab': 4, '|': 5, "
        "'y': 6}, 'merges': ['a b']}}",
        "{'bos_token': '<b>', 'eos_token': '</b>'}", NULL, &err);
    assert_non_null(t);
    return t;
}

/* "90 0+ 91+": ids, + where learned. */
static void same_example(const Example *e, const char *want)
{
    char found[400] = "";
    for (int i = 0; i < e->n; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%d%s",
                 i ? " " : "", e->id[i],
                 e->label[i] == NO_LABEL ? "" : "+");
    assert_string_equal(found, want);
}

static char style_path[220];

static bool in_style(Data *d, const char *style, DataSpec s, const char *text)
{
    Tokenizer *t = letters();
    DataUse use = {.vocabulary = 100, .tokenizer = t};
    FILE *f = fopen(style_path, "wb");
    fputs(style, f);
    fclose(f);
    s.kind = DATA_instruct;
    s.style = style_path;
    s.length = s.length ? s.length : 1024;
    bool fine = open_as(d, s, &use, text, strlen(text));
    tokenizer_close(t);
    return fine;
}

static const struct {
    const char *style, *record, *want;
} dressed[] = {
    {"{bos}{instruction}{|}{output}{eos}\n",
     "{\"instruction\": \"ca\", \"output\": \"bc\"}", "90 2 0 1+ 2+ 91+"},
    /* as one text "a" and "b" merge, and what is merged counts as the prompt */
    {"{bos}{instruction}{output}{eos}",
     "{\"instruction\": \"ca\", \"output\": \"bc\"}", "90 2 4 2+ 91+"},
    {"{instruction}{input?|{input}}x{|}{output}",
     "{\"instruction\": \"a\", \"input\": \"c\", \"response\": \"b\"}",
     "0 5 2 3 1+"},
    {"{instruction}{input?|{input}}x{|}{output}",
     "{\"instruction\": \"a\", \"input\": \"\", \"response\": \"b\"}",
     "0 3 1+"},
    {"{system?{system}|}{instruction}{|}{output}",
     "{\"instruction\": \"a\", \"response\": \"b\", \"system\": \"y\"}",
     "6 5 0 1+"},
    /* fields are texts, no templates */
    {"{instruction}{|}{output}",
     "{\"instruction\": \"a\", \"output\": \"c</b>b\"}", "0 2+ 91+ 1+"},
    {"{bos}{instruction}{|}{output}{eos}",
     "{\"instruction\": \"\", \"output\": \"\"}", "90 91+"},
};

static void styles_dress(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(dressed); i++) {
        Data d;
        if (!in_style(&d, dressed[i].style, (DataSpec){0}, dressed[i].record))
            fail_msg("%zu: %s", i, err.text);
        assert_int_equal(d.example.n, 1);
        same_example(d.example.at, dressed[i].want);
        data_free(&d);
    }
}

static const struct {
    const char *style, *says;
} wrong_styles[] = {
    {"{instruction}", "{output} is to stand in it once, it does 0 times"},
    {"{output}{output}", "{output} is to stand in it once, it does 2 times"},
    {"{outptu}", "`{outptu}`: places are {bos}"},
    {"{input?{output}", "is never closed"},
    {"{input?{system?a}}{output}", "places are"},
    {"{output}\xff", "not a text in UTF-8"},
};

static void wrong_styles_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wrong_styles); i++) {
        Data d;
        assert_false(in_style(&d, wrong_styles[i].style, (DataSpec){0},
                              "{\"instruction\": \"a\", \"output\": \"b\"}"));
        if (!strstr(err.text, wrong_styles[i].says))
            fail_msg("found \"%s\", wanted \"%s\"", err.text,
                     wrong_styles[i].says);
        data_free(&d);
    }
}

static const struct {
    const char *record, *says;
} wrong_records[] = {
    {"{\"output\": \"b\"}", "1: it has no \"instruction\""},
    {"{\"instruction\": \"b\"}", "1: it has no \"output\" or \"response\""},
    {"{\"instruction\": 3, \"output\": \"b\"}",
     "1: \"instruction\" is to be a text, this is a number"},
    {"{\"instruction\": \"a\", \"input\": [], \"output\": \"b\"}",
     "1: \"input\" is to be a text, this is a list"},
    {"{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}",
     "1: it has no answer of an assistant"},
    {"{\"messages\": 4}", "1: messages are to be a list, this is a number"},
    {"{\"messages\": [{\"role\": \"cat\", \"content\": \"a\"}]}",
     "1: message 0 has no \"role\""},
    {"{\"messages\": [{\"role\": \"user\", \"content\": 3}]}",
     "1: message 0 has no \"content\""},
    {"{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]}",
     "1: message 0: an answer to nothing"},
    {"{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, "
     "{\"role\": \"assistant\", \"content\": \"b\"}]}",
     "1: it has messages, but the model has no chat format"},
};

static void wrong_records_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wrong_records); i++) {
        Data d;
        assert_false(in_style(&d, "{instruction}{|}{output}", (DataSpec){0},
                              wrong_records[i].record));
        says_where(wrong_records[i].says);
        data_free(&d);
    }
}

static void long_ones_are_cut(void **state)
{
    (void)state;
    static const char style[] = "{bos}{instruction}{|}{output}{eos}";
    static const char text[] =
        "{\"instruction\": \"aaaa\", \"output\": \"b\"}\n"
        "{\"instruction\": \"a\", \"output\": \"cccc\"}\n"
        "{\"instruction\": \"a\", \"output\": \"c\"}\n";
    Data d;
    assert_true(in_style(&d, style, (DataSpec){.length = 4}, text));
    assert_int_equal(d.example.n, 2);
    assert_int_equal(d.cut, 2);
    assert_int_equal(d.left_out, 1);
    same_example(&d.example.at[0], "90 0 2+ 2+"); /* no end: it was cut */
    same_example(&d.example.at[1], "90 0 2+ 91+");
    int64_t edge[DATA_EDGES], count[DATA_EDGES];
    assert_int_equal(data_histogram(&d, edge, count), 3);
    assert_int_equal(edge[2], 4);
    assert_int_equal(count[2], 2);
    data_free(&d);
    assert_false(in_style(&d, style, (DataSpec){.length = 2}, text));
    says_where(" of all 3 examples nothing to learn is left within 2 tokens");
    data_free(&d);
}

static void windows(void **state)
{
    (void)state;
    Tokenizer *t = letters();
    DataUse use = {.vocabulary = 100, .tokenizer = t};
    DataSpec s = {.kind = DATA_text, .length = 3};
    Data d;
    assert_true(open_as(&d, s, &use, "abcxyxc", 7)); /* ab c x, y x c */
    assert_int_equal(d.example.n, 2);
    same_example(&d.example.at[0], "4+ 2+ 3+");
    assert_int_equal(d.labelled, 4);
    data_free(&d);
    assert_false(open_as(&d, s, &use, "", 0));
    says_where(" it is empty");
    data_free(&d);
    use.tokenizer = NULL;
    assert_false(open_as(&d, s, &use, "abc", 3));
    says_where(" the model has no tokenizer");
    data_free(&d);
    use = (DataUse){.vocabulary = 100, .tokenizer = t, .column = &kind,
                    .columns = 1};
    assert_false(open_as(&d, s, &use, "abc", 3));
    says_where(" the model reads a column \"kind\"");
    data_free(&d);
    tokenizer_close(t);
}

/* ---- the cache ---- */

static void cached_is_the_same(void **state)
{
    (void)state;
    Tokenizer *t = letters();
    DataUse use = {.vocabulary = 100, .tokenizer = t, .cache = folder};
    DataSpec s = {.kind = DATA_text, .length = 3};
    Data d, again;
    assert_true(open_as(&d, s, &use, "abcxyxc", 7));
    assert_false(d.cached);
    assert_true(open_as(&again, s, &use, "abcxyxc", 7));
    assert_true(again.cached);
    assert_int_equal(again.example.n, d.example.n);
    assert_int_equal(again.labelled, d.labelled);
    same_example(&again.example.at[1], "6+ 3+ 2+");
    char name[300];
    snprintf(name, sizeof name, "%s/data-%016llx.ids", folder,
             (unsigned long long)d.hash);
    data_free(&again);
    s.length = 2; /* asked otherwise: other examples */
    assert_true(open_as(&again, s, &use, "abcxyxc", 7));
    assert_false(again.cached);
    char other[300];
    snprintf(other, sizeof other, "%s/data-%016llx.ids", folder,
             (unsigned long long)again.hash);
    data_free(&again);
    s.length = 3;
    size_t len;
    char *text = read_file(name, &len, &err);
    assert_non_null(text);
    for (size_t i = 0; i <= len; i += 7) { /* cut or changed: made anew */
        FILE *f = fopen(name, "wb");
        text[i < len ? i : 0] ^= 1;
        fwrite(text, 1, i % 2 ? i : len, f);
        fclose(f);
        text[i < len ? i : 0] ^= 1;
        assert_true(open_as(&again, s, &use, "abcxyxc", 7));
        assert_false(again.cached);
        same_example(&again.example.at[1], "6+ 3+ 2+");
        data_free(&again);
    }
    free(text);
    data_free(&d);
    unlink(name);
    unlink(other);
    tokenizer_close(t);
}

static int begin(void **state)
{
    (void)state;
    bool fine = mkdtemp(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(style_path, sizeof style_path, "%s/my.style", folder);
    return fine ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    unlink(path);
    unlink(style_path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_read),
        cmocka_unit_test(wrong_ids_are_refused),
        cmocka_unit_test(bad_ones_are_skipped),
        cmocka_unit_test(any_bytes),
        cmocka_unit_test(styles_dress),
        cmocka_unit_test(wrong_styles_are_refused),
        cmocka_unit_test(wrong_records_are_refused),
        cmocka_unit_test(long_ones_are_cut),
        cmocka_unit_test(windows),
        cmocka_unit_test(cached_is_the_same),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
