/* Bad bytes, cut texts, deep and long ones: never a crash, always a message
 * where the text is wrong. Run with the sanitizers this is where memory errors
 * would show. */
#include "dsl/syntax.h"
#include "tests/dsl/cases.h"
#include <string.h>

/* What fmt makes of a text without mistakes is the same tree, and stays. */
static void check_format(const Ast *file, const char *once)
{
    Parsed again;
    parse_text(&again, "formatted", once, strlen(once));
    assert_int_equal(again.diags.errors, 0);
    assert_true(dsl_equal(file, again.file));
    char *twice = dsl_format(again.file);
    assert_string_equal(twice, once);
    free(twice);
    parsed_free(&again);
}

/* Reads, prints and formats whatever it is; the number of errors. */
static int survive(const char *text, size_t len)
{
    Parsed p;
    parse_text(&p, "hostile", text, len);
    int errors = p.diags.errors;
    FILE *out = fopen("/dev/null", "w");
    dsl_print(p.file, out);
    fclose(out);
    char *once = dsl_format(p.file);
    if (!errors)
        check_format(p.file, once);
    free(once);
    assert_true(dsl_equal(p.file, p.file));
    assert_true(errors <= 20);
    parsed_free(&p);
    return errors;
}

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void survives_cuts(void **state)
{
    size_t len;
    char *text = example_text(*state, &len);
    if (!text)
        skip();
    for (size_t n = 0; n < len; n += 97) {
        char *cut = xmalloc(n + 1);
        memcpy(cut, text, n);
        cut[n] = 0;
        survive(cut, n);
        free(cut);
    }
    free(text);
}

/* One byte at a time is changed to one that means something. */
static void survives_changed_bytes(void **state)
{
    static const char byte[] = "(){}[]=:;,.\"#\n\\^*-+?<> a1_\x80\xff";
    size_t len;
    unsigned seed = 1;
    char *text = example_text(*state, &len);
    if (!text)
        skip();
    for (int i = 0; i < 300; i++) {
        size_t at = next_random(&seed) % len;
        char was = text[at];
        text[at] = byte[next_random(&seed) % (sizeof byte - 1)];
        survive(text, len);
        text[at] = was;
    }
    free(text);
}

/* A token at a time is left out, said twice, or put elsewhere. */
static void survives_moved_pieces(void **state)
{
    size_t len;
    unsigned seed = 2;
    char *text = example_text(*state, &len);
    if (!text)
        skip();
    for (int i = 0; i < 200; i++) {
        size_t at = next_random(&seed) % len, n = next_random(&seed) % 12 + 1;
        size_t to = next_random(&seed) % len;
        n = at + n > len ? len - at : n;
        char *changed = xmalloc(len + n + 1);
        memcpy(changed, text, to);
        memcpy(changed + to, text + at, n);
        memcpy(changed + to + n, text + to, len - to + 1);
        survive(changed, len + n);
        free(changed);
    }
    free(text);
}

/* Errors of the text without one of its tokens. */
static int errors_without(const char *text, size_t len, Loc gone)
{
    size_t at = (size_t)gone.at, n = (size_t)gone.len;
    char *rest = xmalloc(len - n + 1);
    memcpy(rest, text, at);
    memcpy(rest + at, text + at + n, len - at - n + 1);
    Parsed p;
    parse_text(&p, "less", rest, len - n);
    int errors = p.diags.errors;
    parsed_free(&p);
    free(rest);
    return errors;
}

/* One mistake, one message: a missing token gives no more than that, but for
 * the odd brace. */
static void says_one_mistake_once(void **state)
{
    size_t len;
    char *text = example_text(*state, &len);
    if (!text)
        skip();
    Parsed whole;
    parse_text(&whole, *state, text, len);
    Parse p = {.arena = &whole.arena, .src = &whole.src};
    dsl_lex(&p);
    int cascades = 0, silent = 0, tried = 0;
    for (int i = 0; i < p.raw.n; i += 4) {
        if (p.raw.at[i].kind == RAW_newline || p.raw.at[i].kind == RAW_comment)
            continue;
        int errors = errors_without(text, len, p.raw.at[i].loc);
        cascades += errors > 1;
        silent += errors == 0; /* `-a` without its sign is still right */
        tried++;
    }
    assert_true(cascades <= 1);
    assert_true(silent < tried / 4);
    parsed_free(&whole);
    free(text);
}

static void survives_random_bytes(void **state)
{
    unsigned seed = 3;
    (void)state;
    for (int i = 0; i < 500; i++) {
        char text[257];
        size_t len = next_random(&seed) % 256;
        for (size_t k = 0; k < len; k++)
            text[k] = (char)(next_random(&seed) & (i % 2 ? 0xff : 0x7f));
        text[len] = 0;
        survive(text, len);
    }
}

static void survives_random_tokens(void **state)
{
    static const char *const token[] = {
        "use",     "module",  "model",  "transform", "recipe", "prove", "rule",
        "weight",  "forward", "return", "for",       "in",     "as",    "match",
        "replace", "with",    "each",   "config",    "train",  "on",    "{",
        "}",       "(",       ")",      "[",         "]",      "=",     ":",
        ",",       ".",       "..",     "->",        "=>",     "==",    "?",
        "-",       "^",       "@",      "x",         "1",      "\"s\"", "\n",
        ";",       "# c\n",   "and",    "not",       "else",   "after", "step",
        "modul"};
    unsigned seed = 4;
    (void)state;
    for (int i = 0; i < 2000; i++) {
        char text[512] = "";
        for (int k = (int)(next_random(&seed) % 40); k > 0; k--) {
            strcat(text, token[next_random(&seed) % COUNT(token)]);
            strcat(text, " ");
        }
        survive(text, strlen(text));
    }
}

/* before, `times` times middle, after */
static char *repeated(const char *before, const char *middle, int times,
                      const char *after)
{
    size_t b = strlen(before), m = strlen(middle), n = (size_t)times;
    char *text = xmalloc(b + m * n + strlen(after) + 1);
    memcpy(text, before, b);
    for (size_t i = 0; i < n; i++)
        memcpy(text + b + i * m, middle, m);
    strcpy(text + b + n * m, after);
    return text;
}

static void one_error(const char *before, const char *middle, int times,
                      const char *after, const char *message)
{
    char *text = repeated(before, middle, times, after);
    Parsed p;
    parse_text(&p, "deep", text, strlen(text));
    assert_int_equal(p.diags.errors, 1);
    assert_non_null(strstr(p.diags.said.at[0].text, message));
    parsed_free(&p);
    survive(text, strlen(text));
    free(text);
}

static void says_too_deep(void **state)
{
    (void)state;
    one_error("rule r: a => ", "-", 100000, "b\n", "nested too deep");
    one_error("rule r: a => b", " + b", 100000, "\n", "nested too deep");
    one_error("rule r: a => b", ".c", 100000, "\n", "nested too deep");
    one_error("rule r: a => b", "^b", 100000, "\n", "nested too deep");
    one_error("rule r: a => b", " ? c : d", 50000, "\n", "nested too deep");
    one_error("rule r: a => ", "(", 100000, ")\n", "never closed");
}

static void says_unclosed_once(void **state)
{
    (void)state;
    one_error("rule r: a => ", "(", 100000, "b\n", "never closed");
    one_error("rule r: a => ", "f(", 100000, "b\n", "never closed");
    one_error("recipe r(a) {\n", "for x in y {\n", 100, "", "never closed");
}

static void takes_what_is_only_long(void **state)
{
    static const char *const text[][3] = {
        {"", "use llama\n", ""},
        {"rule r: f(a", ", b", ") => c\n"},
        {"rule r: [a", ", 1.5", "] => c\n"},
        {"module m(a) {\n", "  weight w[a]\n", "}\n"},
        {"module m(a) {\n  forward(x[a]) -> [a] {\n", "    y = x\n",
         "    return y\n  }\n}\n"},
        {"", "# a comment\n", "use a\n"},
        {"", "\n", "use a\n"},
        {"rule r: \"", "long ", "\" => 1\n"},
        {"use a", "b", "\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(text); i++) {
        char *all = repeated(text[i][0], text[i][1], 20000, text[i][2]);
        assert_int_equal(survive(all, strlen(all)), 0);
        free(all);
    }
}

static void stops_at_twenty(void **state)
{
    char *text = repeated("", "foo\nuse\n", 1000, "");
    (void)state;
    assert_int_equal(survive(text, strlen(text)), 20);
    free(text);
}

static void one_message(const char *text, size_t len, int line, int col,
                        const char *message)
{
    Parsed p;
    int l, c;
    parse_text(&p, "bytes", text, len);
    assert_int_equal(p.diags.said.n, 1);
    assert_string_equal(p.diags.said.at[0].text, message);
    loc_place(&p.src, p.diags.said.at[0].loc.at, &l, &c);
    assert_int_equal(l, line);
    assert_int_equal(c, col);
    parsed_free(&p);
}

static void names_bad_bytes(void **state)
{
    static const char latin[] = "use a\n# caf\xe9\nuse b\n";
    static const char nul[] = "use a\nuse b\0\nuse c\n";
    static const char bell[] = "use a\n\ause b\n";
    static const char wide[] = "\xff\xfeu\0s\0e\0";
    (void)state;
    one_message(latin, sizeof latin - 1, 2, 6,
                "the file is not UTF-8: byte 0xe9 at offset 11");
    one_message(nul, sizeof nul - 1, 2, 6,
                "a NUL byte: this is not a text file");
    one_message(bell, sizeof bell - 1, 2, 1,
                "a stray control character (byte 0x07)");
    one_message(wide, sizeof wide - 1, 1, 1,
                "the file is not UTF-8: byte 0xff at offset 0");
}

static void takes_other_line_ends(void **state)
{
    static const char crlf[] = "use a\r\nrule r: a +\r\n  b => 1 # c\r\n";
    static const char bom[] = "\xef\xbb\xbfuse a\n";
    static const char no_end[] = "use a";
    static const char *const text[] = {
        crlf, bom, no_end, "", "\n", "# c", ";", " ", "# c\n\n\n# d\n"};
    (void)state;
    for (size_t i = 0; i < COUNT(text); i++)
        assert_int_equal(survive(text[i], strlen(text[i])), 0);
}

static int run_on_examples(const char *what, CMUnitTestFunction f)
{
    struct CMUnitTest test[COUNT(example_name)];
    for (size_t i = 0; i < COUNT(example_name); i++)
        test[i] = (struct CMUnitTest){
            .name = intern_printf("%s of %s.graft", what, example_name[i]),
            .test_func = f,
            .initial_state = (void *)(uintptr_t)example_name[i]};
    return _cmocka_run_group_tests(what, test, COUNT(test), NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_random_bytes),
        cmocka_unit_test(survives_random_tokens),
        cmocka_unit_test(says_too_deep),
        cmocka_unit_test(says_unclosed_once),
        cmocka_unit_test(takes_what_is_only_long),
        cmocka_unit_test(stops_at_twenty),
        cmocka_unit_test(names_bad_bytes),
        cmocka_unit_test(takes_other_line_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) +
           run_on_examples("cuts", survives_cuts) +
           run_on_examples("missing tokens", says_one_mistake_once) +
           run_on_examples("changed bytes", survives_changed_bytes) +
           run_on_examples("moved pieces", survives_moved_pieces);
}
