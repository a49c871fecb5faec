/* The kernels level's text: what it refuses and where, texts spoilt in every
 * way, fusions changed by hand. That it reads back to the same bits is a part
 * of every program's test (program_kit.h), CUDA's of cuda_kit.h. */
#include "tests/kernels_text_kit.h"

/* ---- mistakes ---- */

typedef struct {
    const char *was, *by, *say, *at; /* the place: where `at` is */
} Mistake;
static const Mistake mistake[] = {
    {"level 0\n", "", "needs level 0 above the first kernel", "gr_map"},
    {"level 0\n", "level x\n", "needs a number, found x", "x\n  gr"},
    {"= map rows", "= mop rows", "no skeleton is called mop", "mop"},
    {"map rows [T]\n", "map lines [T]\n", "needs rows, found lines", "lines"},
    {"lanes hd", "lanes Z", "dim Z is not known here", "Z"},
    {"lanes hd", "lanes D", "gr_map_rope_2: its lanes, D, are none of its rows",
     "gr_map_rope_2"},
    {"rsqrt(", "sqrt(", "needs %7 here or rsqrt(..), found sqrt", "sqrt(add"},
    {"softmax(gather(", "softmax(gather(x, ",
     "needs %32 here or its tree, found x", "x, %32"},
    {"1e-05", "1e-06", "needs 1e-05, as the graph has it",
     "1e-06"},
    {"[D]), 32", "[T]), 32", "needs [D], as the graph has it", "[T]), 32"},
    {"mul(silu(<%43>), <%42>)", "mul(silu(<%42>), <%43>)",
     "needs <%43> here, as the graph has it", "%42>), <%43>"},
    {"add(x, <%21>)", "add(<x>, <%21>)", "<x> needs a line of weights",
     "x>, <%21>"},
    {"add(x, <%21>)", "add(x, %21)",
     "needs <%21>: this kernel makes it", "%21)"},
    {"mul(mul(x, rsqrt", "mul(mul(y, rsqrt",
     "needs x here or its tree, found y", "y, rsqrt"},
    {"%20: f32[T, H, hd]", "%20: f32[T, hd, H]", "%20 is f32[T, H, hd]",
     "f32[T, hd, H]"},
    {"window 7", "window 8", "gr_attend_attend_4: its window is 7",
     "gr_attend"},
    {"of %20 over [H, hd]", "of %20 over [hd, H]",
     "gr_matmul_add_5: its rows are not those of its first product",
     "gr_matmul_add_5"},
    {"of %30 over [D] by i", "of %30 over [D]", "grouped has an index: by NODE",
     "gr_grouped"},
    {"    weights o for <%21> as f32 [][D]/16[H, hd]\n", "",
     "needs a line of weights before its results", "%22: "},
    {"weights o for <%21>", "weights q for <%21>", "the weight of %21 is o",
     "<%21>"},
    {"weights o for <%21>", "weights o for <%20>",
     "%20 is no product of a matmul", "<%20> as"},
    {"weights up | gate for <%42> | <%43>", "weights up | gate for <%42>",
     "needs a product for each of 2 weights", "<%42>"},
    {"weights k for <%14>", "weights o for <%21>",
     "%21 has other rows than the weights above", "<%21>"},
    {"as f32 [][D]", "as f31 [][D]", "no type is called f31", "f31"},
    {"[][D]/16[H, hd]", "[][D]/16[hd, H]", "needs [H, hd], as the graph has it",
     "[hd, H]"},
    {"[][D]/16", "[][D]/0", "gr_matmul_add_5: packs 0 columns by 1",
     "gr_matmul_add_5"},
    {"[][D]/16", "[][D]/1e9", "needs a whole number, found 1e+09", "1e9"},
    {"route of i", "route of x", "x is no index", "gr_route"},
    {"  gr_route_i_10 = route of i\n", "",
     "no route of i stands before gr_grouped_mul_9", "gr_grouped_mul_9"},
    {"level 1\n", "level 0\n",
     "gr_matmul_contract_1: reads %10, which is written at level 0",
     "gr_matmul"},
    {"level 1\n", "level 4\n",
     "gr_map_rope_2: stands at level 2, behind level 4", "gr_map_rope_2"},
    {"gr_map_rope_3", "gr_map_rope_2",
     "gr_map_rope_2: two kernels have this name", "gr_map_rope_2 = map rows "
                                                  "[T, G"},
    {"gr_map_rope_3", "malloc", "malloc: a kernel's name is gr_WORD_NUMBER",
     "malloc"},
    {"    %17: f32[T, H, hd] = rope(%12)\n", "", "gr_map_rope_2 stores nothing",
     "gr_map_rope_2"},
    {"%18: f32[T, G, hd] = rope(%14)", "%17: f32[T, H, hd] = rope(%12)",
     "gr_map_rope_3: writes %17 again", "gr_map_rope_3"},
    {"map rows [T, D] lanes D", "map rows [T]",
     "gr_map_y_12: %48 does not leave its rows", "gr_map_y_12"},
    {"i: E[T, k] = topk(%32, [E, k])\n", "",
     "gr_map_softmax_8: reads i, which no kernel before it writes",
     "gr_map_softmax_8"},
    {"    y: f32[T, D]", "    y: f32[T, D] = add(%22, sum(mul(%35, %46), [k]))"
     "\n    y: f32[T, D]", "y has a line in this kernel already", "y: f32[T, D]"
     " = add(%22, sum(mul(%35, %46), [k]))\n}"},
    {"    y: f32", "    let %46 = <%46>\n    y: f32",
     "<%46> needs a line of weights", "%46>\n    y"},
    {"kernels of graph test", "kernels of graph best",
     "the graph's name is test", "best"},
    {"kernels of graph test", "kernels of body test",
     "body test is not known here", "test {"},
    {"sum(mul(%35, %46), [k]))\n}", "sum(mul(%35, %46), [k]))\n} }",
     "nothing may follow the graph's kernels", "}\n"},
    {"sum(mul(%35, %46), [k]))\n}", "sum(mul(%35, %46), [k]))\n",
     "needs a kernel's name, found the text's end", ""},
    {"sum(mul(%35, %46), [k]))\n", "sum(mul(%35, %46), [k]))\n"
     "    schedule map [64] { speed 3 }\n", "a map has no choice speed",
     "speed"},
    {"sum(mul(%35, %46), [k]))\n", "sum(mul(%35, %46), [k]))\n"
     "    schedule map [64] { tokens 3 }\n", "a map has no choice tokens",
     "tokens"},
    {"sum(mul(%35, %46), [k]))\n", "sum(mul(%35, %46), [k]))\n"
     "    schedule map [64] { grain 3 4 }\n", "grain has 1 value", "grain"},
    {"sum(mul(%35, %46), [k]))\n", "sum(mul(%35, %46), [k]))\n"
     "    schedule map [64] { grain 1, grain -2 }\n",
     "grain (rows, or runs of them, of a task) is a whole number from 1 to "
     "16777216", "-2"},
    {"sum(mul(%35, %46), [k]))\n", "sum(mul(%35, %46), [k]))\n"
     "    schedule map [95] { grain 3 }\n",
     "needs map [64], what the kernel is", "map [95]"},
};

/* A route that picks what it puts in order. */
#define ROUTE "gr_route_i_9"
static const Mistake fused_mistake[] = {
    {"    i: E[T, k] = topk(%32, [E, k])\n", "",
     ROUTE " has results, so i must be one of them", ROUTE},
    {"of i rows [T]", "of i rows [k]",
     ROUTE ": %35 does not leave its rows", ROUTE},
    {"of i rows [T]", "of i", ROUTE ": %35 does not leave its rows", ROUTE},
    {"of i rows [T]", "of i rows [T] lanes T",
     ROUTE ": a map that picks (i) has no lanes", ROUTE},
    {"of i rows [T]", "of i [T]", "needs a kernel's name, found [",
     "[T]\n    %35"},
    {"    i: E[T, k] = topk(%32, [E, k])\n",
     "    i: E[T, k] = topk(%32, [E, k])\n    schedule map [4] { grain 3 }\n",
     "a route has no choice grain", "grain"},
};

static void refuse(const char *text, const char *say, const char *at)
{
    Arena a = {0};
    Diags d = {.quiet = true};
    if (read_text(&a, text, &d))
        fail_msg("was read, not `%s`", say);
    assert_int_equal(d.said.n, 1);
    assert_string_equal(d.said.at[0].text, say);
    const char *place = *at ? strstr(kernels_of(text), at)
                            : text + strlen(text);
    if (!place || d.said.at[0].loc.at != place - text)
        fail_msg("%s: said at %.30s", say, text + d.said.at[0].loc.at);
    diags_free(&d);
    arena_free(&a);
}

static void refuse_each(bool fused, const Mistake *m, size_t n)
{
    char *text = text_of(moe_graph, fused);
    for (size_t i = 0; i < n; i++) {
        char *bad = replaced(text, m[i].was, m[i].by);
        refuse(bad, m[i].say, m[i].at);
        free(bad);
    }
    free(text);
}

static void mistakes_are_reported(void **state)
{
    (void)state;
    refuse_each(false, mistake, COUNT(mistake));
    refuse_each(true, fused_mistake, COUNT(fused_mistake));
}

/* ---- fusions changed by hand ---- */

#define NORM "mul(mul(x, rsqrt(add(div(sum(mul(x, x), [D]), 32), 1e-05))), n1)"
typedef struct {
    const char *was, *by;
} Edit;
static const Edit split_sum[] = {
    {"    y: f32[T, D] = add(%22, sum(mul(%35, %46), [k]))\n",
     "    %48: f32[T, D] = sum(mul(%35, %46), [k])\n"
     "  level 12\n"
     "  gr_map_y_13 = map rows [T, D] lanes D\n"
     "    y: f32[T, D] = add(%22, %48)\n"},
}, split_silu[] = {
    {"    %45: f32[T, k, F] = mul(silu(<%43>), <%42>)\n",
     "    %42: f32[T, k, F] = <%42>\n"
     "    %44: f32[T, k, F] = silu(<%43>)\n"},
    {"  level 10\n",
     "  level 10\n"
     "  gr_map_mul_13 = map rows [T, k, F] lanes F\n"
     "    %45: f32[T, k, F] = mul(%44, %42)\n"
     "  level 11\n"},
    {"  level 11\n  gr_map_y_12", "  level 12\n  gr_map_y_12"},
}, split_qkv[] = {
    {"    weights k for",
     "  gr_matmul_k_14 = matmul rows [T] of %10 over [D]\n"
     "    weights k for"},
}, fuse_norm[] = {
    {"  gr_map_mul_0 = map rows [T]\n"
     "    %10: f32[T, D] = " NORM "\n"
     "  level 1\n", ""},
    {"over [D]\n    weights v", "over [D]\n"
     "    let %10 = " NORM "\n"
     "    weights v"},
}, fuse_route[] = {
    {"  gr_map_softmax_8 = map rows [T]\n",
     "  gr_route_i_10 = route of i rows [T]\n"},
    {"  level 8\n  gr_route_i_10 = route of i\n", ""},
}, join_ropes[] = {
    {"  gr_map_rope_2 = map rows [T, H, hd] lanes hd\n",
     "  gr_map_rope_2 = map rows [T]\n"},
    {"  gr_map_rope_3 = map rows [T, G, hd] lanes hd\n", ""},
};

static void edited(const Edit *edit, int n)
{
    Err err = {""};
    Diags d = {0};
    Ctx c = begin(32, TYPE_f32);
    moe_graph(&c);
    const CpuOptions o = {.threads = 2, .cache = kit_cache()};
    Bench *a = bench_new(c.k, &o, false);
    char *text = kernels_text(plan_of(&c, c.g, false));
    for (int i = 0; i < n; i++) {
        char *next = replaced(text, edit[i].was, edit[i].by);
        free(text);
        text = next;
    }
    Plan *p = read_text(&c.k->arena, text, &d);
    assert_non_null(p);
    Bench *b = bench_of(c.k, cpu_compile_plan(p, &o, &err), false);
    for (int64_t T = 1; T < MOST; T += 13) {
        bench_run(a, NULL, T, false);
        bench_run(b, NULL, T, false);
        near_interp(b, T, bound(&c));
        same_bits(a, b, T);
    }
    bench_free(a);
    bench_free(b);
    free(text);
    diags_free(&d);
    kit_free(c.k);
}

static void fusions_change_by_hand(void **state)
{
    (void)state;
    edited(split_sum, COUNT(split_sum));
    edited(split_silu, COUNT(split_silu));
    edited(split_qkv, COUNT(split_qkv));
    edited(fuse_norm, COUNT(fuse_norm));
    edited(fuse_route, COUNT(fuse_route));
    edited(join_ropes, COUNT(join_ropes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_reported),
        cmocka_unit_test(fusions_change_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
