/* The language's syntax against golden cases: trees, messages, fmt; and what
 * holds for every text: fmt is a fixed point, keeps the tree and each
 * comment. */
#include "tests/dsl/cases.h"
#include <string.h>

/* ---- answers ---- */

/* (kind text kids...): the tree on one line; names, numbers, strings bare. */
static void put_tree(FILE *out, const Ast *a)
{
    if (!a) {
        fputs("-", out);
        return;
    }
    bool bare = a->kind == AST_name || a->kind == AST_number;
    if (bare || a->kind == AST_dots) {
        fputs(bare ? a->text : "..", out);
        return;
    }
    if (a->kind == AST_string) {
        fprintf(out, "\"%s\"", a->text);
        return;
    }
    fprintf(out, "(%s", a->kind == AST_binary ? "" : ast_kind_name[a->kind]);
    if (a->text)
        fprintf(out, a->kind == AST_binary ? "%s" : " %s", a->text);
    for (int i = 0; i < a->nkid; i++) {
        fputc(' ', out);
        put_tree(out, a->kid[i]);
    }
    fputc(')', out);
}

/* line:column length message, one a line. */
static void put_messages(FILE *out, const Parsed *p)
{
    for (int i = 0; i < p->diags.said.n; i++) {
        const Diag *d = &p->diags.said.at[i];
        int l, c;
        loc_place(&p->src, d->loc.at, &l, &c);
        fprintf(out, "%d:%d %d %s\n", l, c, d->loc.len, d->text);
    }
}

static char *tree_answer(const char *input)
{
    char *text;
    size_t len;
    Parsed p;
    parse_text(&p, "case", input, strlen(input));
    FILE *out = open_memstream(&text, &len);
    put_messages(out, &p);
    for (int i = 0; i < p.file->nkid; i++) {
        put_tree(out, p.file->kid[i]);
        fputc('\n', out);
    }
    fclose(out);
    parsed_free(&p);
    return text;
}

/* The tree of an expression, and its text as messages show it. */
static char *expression_answer(const char *input)
{
    char *text, *rule;
    size_t len;
    Parsed p;
    if (asprintf(&rule, "rule r: %.*s => 0\n", (int)strcspn(input, "\n"),
                 input) < 0)
        die("out of memory");
    parse_text(&p, "case", rule, strlen(rule));
    FILE *out = open_memstream(&text, &len);
    put_messages(out, &p);
    if (p.file->nkid) {
        put_tree(out, p.file->kid[0]->kid[0]);
        fprintf(out, "\n%s\n", dsl_expr_text(&p.arena, p.file->kid[0]->kid[0]));
    }
    fclose(out);
    parsed_free(&p);
    free(rule);
    return text;
}

static char *message_answer(const char *input)
{
    char *text;
    size_t len;
    Parsed p;
    parse_text(&p, "case", input, strlen(input));
    FILE *out = open_memstream(&text, &len);
    put_messages(out, &p);
    fclose(out);
    parsed_free(&p);
    return text;
}

/* ---- what fmt promises ---- */

/* Comments, each on a line, in order. */
static char *comments_of(const char *text)
{
    char *all;
    size_t len;
    bool string = false;
    FILE *out = open_memstream(&all, &len);
    for (const char *s = text; *s; s++) {
        string = *s == '\n' ? false : *s == '"' ? !string : string;
        if (*s != '#' || string)
            continue;
        size_t n = strcspn(s, "\n"), keep = n;
        while (keep && strchr(" \t\r", s[keep - 1]))
            keep--;
        fprintf(out, "%.*s\n", (int)keep, s);
        s += n - 1;
    }
    fclose(out);
    return all;
}

static void assert_no_blanks_at_ends(const char *text)
{
    assert_null(strstr(text, " \n"));
    assert_null(strstr(text, "\n\n\n"));
    assert_true(*text != '\n');
}

/* Formats, checks the promises, gives the result. */
static char *formatted(const char *input)
{
    Parsed p, again;
    parse_text(&p, "case", input, strlen(input));
    assert_int_equal(p.diags.errors, 0);
    char *once = dsl_format(p.file);
    parse_text(&again, "formatted", once, strlen(once));
    assert_int_equal(again.diags.errors, 0);
    assert_true(dsl_equal(p.file, again.file));
    char *twice = dsl_format(again.file);
    assert_string_equal(twice, once);
    char *before = comments_of(input), *after = comments_of(once);
    assert_string_equal(after, before);
    assert_no_blanks_at_ends(once);
    free(before);
    free(after);
    free(twice);
    parsed_free(&p);
    parsed_free(&again);
    return once;
}

static char *format_answer(const char *input)
{
    return formatted(input);
}

static void parses_example(void **state)
{
    size_t len;
    char *text = example_text(*state, &len);
    if (!text)
        skip();
    Parsed p;
    parse_text(&p, *state, text, len);
    assert_int_equal(p.diags.said.n, 0);
    assert_true(p.file->nkid > 2);
    parsed_free(&p);
    free(text);
}

static void formats_example(void **state)
{
    size_t len;
    char *text = example_text(*state, &len);
    if (!text)
        skip();
    free(formatted(text));
    free(text);
}

static int run_examples(void)
{
    struct CMUnitTest test[2 * COUNT(example_name)];
    for (size_t i = 0; i < COUNT(example_name); i++) {
        void *name = (void *)(uintptr_t)example_name[i];
        test[2 * i] = (struct CMUnitTest){
            .name = intern_printf("parses %s.graft", example_name[i]),
            .test_func = parses_example,
            .initial_state = name};
        test[2 * i + 1] = (struct CMUnitTest){
            .name = intern_printf("formats %s.graft", example_name[i]),
            .test_func = formats_example,
            .initial_state = name};
    }
    return _cmocka_run_group_tests("examples", test, COUNT(test), NULL, NULL);
}

/* ---- the rest ---- */

static const Ast *find(const Ast *a, AstKind kind)
{
    if (!a || a->kind == kind)
        return a;
    for (int i = 0; i < a->nkid; i++)
        if (find(a->kid[i], kind))
            return find(a->kid[i], kind);
    return NULL;
}

static void assert_place(const Parsed *p, AstKind kind, const char *whole,
                         const char *name)
{
    const Ast *a = find(p->file, kind);
    assert_non_null(a);
    assert_int_equal(a->loc.len, strlen(whole));
    assert_memory_equal(p->src.text + a->loc.at, whole, strlen(whole));
    assert_int_equal(a->name_loc.len, strlen(name));
    assert_memory_equal(p->src.text + a->name_loc.at, name, strlen(name));
}

static void places_span_the_construct(void **state)
{
    static const char text[] =
        "module a(D, F = 2) {\n"
        "  weight w[D, F] as \"x\", v[D]\n"
        "  forward(x[.., D]) -> f32[.., D] { return (x + w) * x.y(z: 3) }\n"
        "}\n";
    Parsed p;
    (void)state;
    parse_text(&p, "case", text, strlen(text));
    assert_place(&p, AST_weights, "weight w[D, F] as \"x\", v[D]",
                 "weight w[D, F] as \"x\", v[D]");
    assert_place(&p, AST_weight, "w[D, F] as \"x\"", "w");
    assert_place(&p, AST_type, "[.., D]", "[.., D]");
    assert_place(&p, AST_binary, "(x + w) * x.y(z: 3)", "*");
    assert_place(&p, AST_call, "x.y(z: 3)", "y");
    assert_place(&p, AST_dot, "x.y", "y");
    assert_place(&p, AST_named, "z: 3", "z");
    assert_place(&p, AST_params, "(D, F = 2)", "(D, F = 2)");
    parsed_free(&p);
}

static void formats_items_of_several_files(void **state)
{
    static const char one[] = "# of a\nuse a # here\n\nuse b\n# end\n";
    static const char two[] = "use   c\n";
    Parsed p, q;
    (void)state;
    parse_text(&p, "one", one, strlen(one));
    parse_text(&q, "two", two, strlen(two));
    Ast *items[] = {p.file->kid[0], q.file->kid[0], p.file->kid[1]};
    Ast all = {.kind = AST_file, .kid = items, .nkid = 3};
    char *text = dsl_format(&all);
    assert_string_equal(text, "# of a\nuse a  # here\n\nuse c\n\n"
                              "use b\n# end\n");
    free(text);
    parsed_free(&p);
    parsed_free(&q);
}

static void prints_nodes_with_places(void **state)
{
    static const char text[] = "# \xc3\xa4\nuse a\nrule r: \"\xc3\xa4\" + b @ "
                               "1.50 => f(..)[T: 0]\n";
    char *out;
    size_t len;
    Parsed p;
    (void)state;
    parse_text(&p, "case", text, strlen(text));
    FILE *f = open_memstream(&out, &len);
    dsl_print(p.file, f);
    fclose(f);
    assert_string_equal(out, "file @1:1\n"
                             "  use a @2:1\n"
                             "  rule r @3:1\n"
                             "    binary + @3:9\n"
                             "      string \"\xc3\xa4\" @3:9\n"
                             "      binary @ @3:15\n"
                             "        name b @3:15\n"
                             "        number 1.50 @3:19\n"
                             "    index @3:27\n"
                             "      call @3:27\n"
                             "        name f @3:27\n"
                             "        dots .. @3:29\n"
                             "      named T @3:33\n"
                             "        number 0 @3:36\n"
                             "    -\n");
    free(out);
    parsed_free(&p);
}

static void knows_its_words(void **state)
{
    (void)state;
    assert_true(dsl_is_keyword("module"));
    assert_true(dsl_is_keyword("schedule"));
    assert_false(dsl_is_keyword("modul"));
    assert_false(dsl_is_keyword("after"));
    assert_false(dsl_is_keyword(""));
}

static void trees_differ_by_kind_text_and_number(void **state)
{
    static const char *const text[] = {
        "rule r: a + b => 1\n",         "rule r: a - b => 1\n",
        "rule r: a + c => 1\n",         "rule r: a + b => 2\n",
        "rule r: a + b => 1 where c\n", "use r\n"};
    Parsed p[COUNT(text)];
    (void)state;
    for (size_t i = 0; i < COUNT(text); i++)
        parse_text(&p[i], "case", text[i], strlen(text[i]));
    for (size_t i = 0; i < COUNT(text); i++)
        for (size_t k = 0; k < COUNT(text); k++)
            assert_int_equal(dsl_equal(p[i].file, p[k].file), i == k);
    for (size_t i = 0; i < COUNT(text); i++)
        parsed_free(&p[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_span_the_construct),
        cmocka_unit_test(formats_items_of_several_files),
        cmocka_unit_test(prints_nodes_with_places),
        cmocka_unit_test(knows_its_words),
        cmocka_unit_test(trees_differ_by_kind_text_and_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) + run_examples() +
           cases_run("trees.txt", tree_answer) +
           cases_run("expressions.txt", expression_answer) +
           cases_run("messages.txt", message_answer) +
           cases_run("format.txt", format_answer);
}
