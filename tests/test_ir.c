/* Graphs as text: printing, reading, what the verifier refuses, hashes. With
 * BLESS=1 the golden files are written anew: read the diff. */
#include "tests/graph_kit.h"
#include <sys/wait.h>
#include <unistd.h>

static char *text_of_graph(const Graph *g)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    ir_print(g, out);
    fclose(out);
    return text;
}

static Graph *graph_of_text(Arena *a, const char *text, Diags *d)
{
    Source *src = arena_alloc(a, sizeof *src);
    *src = (Source){"text", text, (int)strlen(text), d};
    return ir_read(a, src);
}

/* ---- golden files: print(read(file)) = file ---- */

static void check_golden(const char *name)
{
    Arena a = {0};
    Diags d = {0};
    Err err;
    size_t len;
    const char *path = intern_printf("%s/%s.ir", TESTS_IR, name);
    char *text = read_file(path, &len, &err);
    assert_non_null(text);
    Graph *g = graph_of_text(&a, text, &d);
    assert_non_null(g);
    ir_verify(g, "reading");
    char *now = text_of_graph(g), *again;
    if (getenv("BLESS")) {
        FILE *out = fopen(path, "w");
        fputs(now, out);
        fclose(out);
    } else {
        assert_string_equal(now, text);
    }
    Graph *h = graph_of_text(&a, now, &d);
    assert_non_null(h);
    again = text_of_graph(h);
    assert_string_equal(again, now);
    assert_true(graph_hash(g) == graph_hash(h));
    free(text);
    free(now);
    free(again);
    diags_free(&d);
    arena_free(&a);
}

static void golden_ops(void **state)
{
    (void)state;
    check_golden("ops");
}

static void golden_moe(void **state)
{
    (void)state;
    check_golden("moe");
}

static void golden_formula(void **state)
{
    (void)state;
    check_golden("formula");
}

static void golden_repeat(void **state)
{
    (void)state;
    check_golden("repeat");
}

static void every_op_is_in_the_golden_files(void **state)
{
    (void)state;
    char all[200000] = "";
    static const char *const name[] = {"ops", "moe", "formula", "repeat"};
    for (size_t i = 0; i < COUNT(name); i++) {
        Err err;
        size_t len;
        char *text =
            read_file(intern_printf("%s/%s.ir", TESTS_IR, name[i]), &len, &err);
        assert_non_null(text);
        strcat(all, text);
        free(text);
    }
    for (int op = 0; op < OP_COUNT; op++)
        if (!strstr(all, intern_printf("= %s(", op_info[op].name)))
            fail_msg("no %s in the golden files", op_info[op].name);
}

/* ---- sizes ---- */

static void sizes_read_back(void **state)
{
    (void)state;
    const Size *E = size_sym("E"), *T = size_sym("T"), *D = size_sym("D"),
               *H = size_sym("H"), *one = size_num(1);
    const Size *size[] = {
        size_num(0), size_num(576), size_num(-3), size_num(0.1), E,
        size_div(D, H), size_sub(E, one), size_sub(one, E),
        size_mul(D, size_mul(D, E)),
        size_ceil(size_div(size_mul(size_num(1.25), T), E)),
        size_min(size_add(E, one), size_max(D, H)), size_mod(D, H),
        size_floor(size_sqrt(D)), size_div(D, size_sub(E, one)),
        size_div(one, size_mul(H, H)), size_pow(E, D),
        size_mul(size_num(-1), size_div(size_mul(E, E), size_mul(D, D))),
        size_mul(size_num(1e-9), T),
        size_div(D, size_mul(size_add(E, one), size_add(E, one))),
    };
    for (size_t i = 0; i < COUNT(size); i++) {
        Arena a = {0};
        Diags d = {0};
        char text[256];
        snprintf(text, sizeof text, "graph g { s: f32 = scalar(size=%s)\n"
                 "output y = s }", size_text(size[i]));
        Graph *g = graph_of_text(&a, text, &d);
        assert_non_null(g);
        if (g->node.at[0]->size != size[i])
            fail_msg("%s is read as %s", size_text(size[i]),
                     size_text(g->node.at[0]->size));
        diags_free(&d);
        arena_free(&a);
    }
}

/* ---- names ---- */

static void names_are_told_apart(void **state)
{
    (void)state;
    Kit *k = kit_new(1);
    const Dim *A = dim("A", 3), *B = dim("A", 3), *C = dim("f32", 2);
    Node *x = given(k, "x", DIMS(A), NULL), *y = given(k, "y", DIMS(B), NULL),
         *z = given(k, "z", DIMS(C), NULL);
    x->label = y->label = "same";
    z->label = "output";
    Node *v = g_map1(k->g, OP_neg, g_contract(k->g, x, y, 0, NULL));
    v->label = "layer[0].x";
    graph_output(k->g, "y", v);
    graph_output(k->g, "z", z);
    char *text = text_of_graph(k->g);
    assert_string_equal(text, "dim A = 3\n"
                              "dim A.2 = 3\n"
                              "dim f32.2 = 2\n"
                              "\n"
                              "graph test {\n"
                              "  same%0: f32[A]       = input(\"x\")\n"
                              "  same%1: f32[A.2]     = input(\"y\")\n"
                              "  output%2: f32[f32.2] = input(\"z\")\n"
                              "  %3: f32[A, A.2]      = "
                              "contract(same%0, same%1)\n"
                              "  %4: f32[A, A.2]      = neg(%3)\n"
                              "  output y = %4\n"
                              "  output z = output%2\n"
                              "}\n");
    free(text);
    kit_free(k);
}

/* ---- mistakes in the text ---- */

/* A body with outputs y and z [A] and the inputs x and v [A], in a table with
 * something more, run on these arguments. */
#define REPEAT(more, args, say, at) \
    {"dim A = 2 body b slots=0 { x: f32 = input(\"x\") v: f32[A] = " \
     "input(\"v\") z: f32[A] = mul(v, x) output y = x output z = z } repeat " \
     "@r1 " more " { b } graph g { x: f32 = number(1) w: f32[A] = " \
     "input(\"w\") y: f32 = repeat(" args ", @r1) output y = y output w = w " \
     "}", say, at}

static const struct {
    const char *text, *say, *at; /* the place: where `at` stands */
} mistakes[] = {
    {"dum T = T", "needs a dim, weight, body, repeat or graph", "dum"},
    {"dim T = T\ndim T = 3", "T is there already", "T = 3"},
    {"dim T = round(T)", "sizes have no function round of 1", "round"},
    {"dim T = T +", "needs a size, found the text's end", ""},
    {"dim T = T^1.5", "a power from 1 to 64, found 1.5", "1.5"},
    {"graph g { x: f32[D] = input(\"x\") }", "dim D is not known here",
     "D"},
    {"graph g { x: f31 = input(\"x\") }", "dim f31 is not known here",
     "f31"},
    {"graph g { x: f32 = put(\"x\") }", "no op is called put", "put"},
    {"graph g { x: f32 = input(\"x) }", "a string that ends on its line",
     "\"x"},
    {"graph g { x: f32 = neg(z) }", "z is not known here", "z"},
    {"graph g { x: f32 = number(1) y: f32 = add(x) }",
     "y: add takes 2 arguments, but number 2 is missing", "y:"},
    {"graph g { x: f32 = number(1) y: f32 = neg(x, x) }",
     "y: neg takes 1 arguments, but number 2 is there", "y:"},
    {"graph g { x: f32 = number(1) y: f32 = select(x, x, x, x) }",
     "y: select takes 3 arguments, but number 4 is there", "y:"},
    {"graph g { x: f32 = number(1) y: f32 = neg(x, x, x, x, x, x, x, x, x, "
     "x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, "
     "2, x) }", "no op has more than 32 arguments", "x) }"},
    REPEAT("carry \"k\"", "x", "needs the output's name, found {", "{ b"),
    REPEAT("each \"k\"", "x", "needs [, found {", "{ b"),
    REPEAT("each \"k\" [Q] 0", "x", "dim Q is not known here", "Q"),
    REPEAT("some \"k\"", "x", "needs carry, same, each, stack or {, found "
           "some", "some"),
    REPEAT("same \"k\"", "x", "y: repeat takes 2 arguments, but number 2 "
           "is missing", "y: f32 = rep"),
    REPEAT("stack \"k\" [A]", "x", "y: no body has the output k",
           "y: f32 = rep"),
    REPEAT("stack \"z\" [A]", "x",
           "y: 1 passes have z, its dim A is 2", "y: f32 = rep"),
    REPEAT("stack \"y\" [A]", "x", "y: y comes out twice",
           "y: f32 = rep"),
    REPEAT("same \"x\"", "x, x", "y: x goes in twice", "y: f32 = rep"),
    REPEAT("carry \"k\" \"z2\"", "x, x",
           "y: pass 0: its body has no output z2", "y: f32 = rep"),
    REPEAT("carry \"k\" \"z\"", "x, x",
           "y: z is f32[A] in a body, not f32", "y: f32 = rep"),
    REPEAT("same \"v\"", "x, x",
           "y: v is f32[A] in a body, not f32", "y: f32 = rep"),
    REPEAT("each \"v\" [A] 0", "x, x",
           "y: v is no list of parts along A", "y: f32 = rep"),
    REPEAT("each \"v\" [A] 2", "x, w",
           "y: pass 0: v has no part 2", "y: f32 = rep"),
    REPEAT("each \"v\" [A] -1", "x, w",
           "y: pass 0: no part of v", "y: f32 = rep"),
    REPEAT("each \"v\" [A] 0 1", "x, w",
           "y: v is no list of parts along A", "y: f32 = rep"),
    REPEAT("each \"v\" [A] 0", "x, w",
           "y: v is f32[A] in a body, not f32", "y: f32 = rep"),
    {"graph g { x: f32 = number(1) y: f32 = result(x, \"z\") output y = y "
     "}", "y: result needs a repeat that has a result of its name", "y:"},
    {"graph g { x: f32 = number(1) y: bf16 = neg(x) }",
     "y: is bf16, its rule gives f32", "y:"},
    {"graph g { x: f32 = number(1) x: f32 = number(2) }",
     "x is there already", "x: f32 = number(2)"},
    {"graph g { x: f32 = number(1, size=3) }", "x: number has a size",
     "x:"},
    {"graph g { x: f32 = number(1, window=3) }", "number has no window",
     "window"},
    {"graph g { x: f32 = input() }", "x: input has no name", "x:"},
    {"graph g { x: f32 = weight(@w1) }", "@w1 is not known here", "@w1"},
    {"graph g { x: f32 = weight(slot=1) output y = x }",
     "x: slot 1, its graph has 0", "x:"},
    {"graph g { x: f32 = weight(slot=1.5) }",
     "needs a whole number, found 1.5", "1.5"},
    {"graph g { x: f32 = number(1) output y = z }", "node z is not known "
     "here", "z"},
    {"graph g { x: f32 = number(1) output y = x output y = x }",
     "output y is there already", "y = x }"},
    {"graph g { x: f32 = number(1) }", "g: no output", "g {"},
    {"graph g { x: f32 = number(1) output y = x",
     "needs a node, found the text's end", ""},
    {"graph g { x: f32 = number(1) output y = x } dim",
     "nothing may follow the graph", "dim"},
    {"body b slots=0 { x: f32 = input(\"x\") output z = x } repeat @r1 { "
     "b } graph g { x: f32 = number(1) y: f32 = repeat(x, @r1) output y = "
     "y }",
     "y: pass 0: its body has no output y", "y: f32 = rep"},
    {"dim A = 2 weight @w1 \"a\" - f32[A] body b slots=1 { x: f32 "
     "= weight(slot=1) output y = x } repeat @r1 { b @w1 } graph g { x: "
     "f32 = number(1) y: f32 = repeat(x, @r1) output y = y }",
     "y: pass 0: a is f32[A], slot 1 wants f32", "y: f32 = rep"},
    {"dim A = 2 weight @w1 \"a\" - f32[A] stacked=2",
     "2 of its 1 dims are stacked", "@w1"},
    {"dim A = 2 graph g { x: f32[A, A] = input(\"x\") }",
     "x: its type has the dim A twice", "x:"},
    {"graph g { x: f32 = rope(colour=2) }", "no op has colour", "colour"},
};

static void mistakes_are_reported(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mistakes); i++) {
        Arena a = {0};
        Diags d = {.quiet = true};
        const char *text = mistakes[i].text;
        if (graph_of_text(&a, text, &d))
            fail_msg("was read: %s", text);
        assert_int_equal(d.said.n, 1);
        assert_string_equal(d.said.at[0].text, mistakes[i].say);
        const char *at = *mistakes[i].at ? strstr(text, mistakes[i].at)
                                         : text + strlen(text);
        if (d.said.at[0].loc.at != at - text)
            fail_msg("%s: said at %d, not %d", mistakes[i].say,
                     d.said.at[0].loc.at, (int)(at - text));
        diags_free(&d);
        arena_free(&a);
    }
}

/* Any prefix of a good text, and any one byte changed, is read or refused. */
static void damaged_texts_never_crash(void **state)
{
    (void)state;
    Err err;
    size_t len;
    const char *path = intern_printf("%s/formula.ir", TESTS_IR);
    char *text = read_file(path, &len, &err);
    assert_non_null(text);
    for (size_t i = 0; i < 2 * len; i++) {
        Arena a = {0};
        Diags d = {.quiet = true};
        char *copy = arena_strn(&a, text, len);
        if (i < len)
            copy[i] = 0;
        else
            copy[i - len] = "\"[=@%-1x\n"[i % 9];
        graph_of_text(&a, copy, &d);
        diags_free(&d);
        arena_free(&a);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_ops),
        cmocka_unit_test(golden_moe),
        cmocka_unit_test(golden_formula),
        cmocka_unit_test(golden_repeat),
        cmocka_unit_test(every_op_is_in_the_golden_files),
        cmocka_unit_test(sizes_read_back),
        cmocka_unit_test(names_are_told_apart),
        cmocka_unit_test(mistakes_are_reported),
        cmocka_unit_test(damaged_texts_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
