/* Texts of kernels, spoilt in every way: each is read or refused, and what was
 * read can be compiled. */
#include "codegen/cuda/cuda.h"
#include "tests/kernels_text_kit.h"
#include "compiler/graph/graph.h"

/* Read, and if so compiled: the verifier let it pass, so no kernel may break.
 * False: refused, with one mistake. */
static bool try_text(const char *text, bool compile)
{
    Arena a = {0};
    Diags d = {.quiet = true};
    Err err = {""};
    Plan *p = read_text(&a, text, &d);
    assert_int_equal(d.said.n, p ? 0 : 1);
    if (p && compile) {
        CudaText *c = cuda_text_plan(p, &err);
        cuda_free(c);
    }
    diags_free(&d);
    arena_free(&a);
    if (!p || !compile)
        return p;
    p = read_text(&a, text, &d); /* CUDA's packs are not the CPU's */
    const CpuOptions o = {.threads = 1, .cache = kit_cache()};
    program_free(cpu_compile_plan(p, &o, &err));
    diags_free(&d);
    arena_free(&a);
    return true;
}

/* ---- bytes ---- */

static void any_byte(void **state)
{
    char *text = text_of(*(Graph *(**)(Ctx *))*state, true);
    size_t len = strlen(text);
    for (size_t i = 0; i < 2 * len; i++) {
        char *copy = strdup(text);
        if (i < len)
            copy[i] = 0;
        else
            copy[i - len] = "\"[=@%-1x\n<>{:"[i % 13];
        try_text(copy, false);
        free(copy);
    }
    free(text);
}

/* ---- words and lines ---- */

enum { WORDS = 6000 };
typedef struct {
    const char *at[WORDS];
    int len[WORDS], n;
} Words;

/* From s on: words and numbers, or whole lines. */
static void find_words(const char *s, bool lines, Words *w)
{
    for (w->n = 0; *s && w->n < WORDS - 1;) {
        size_t n = strcspn(s, lines ? "\n" : " \n,[](){}<>=:/|");
        if (lines && n)
            n++;
        if (!n) {
            n = 1;
        } else {
            w->at[w->n] = s;
            w->len[w->n++] = (int)n;
        }
        s += n;
    }
}

/* Word i gives way to word j; lines also go, come twice, change places. */
static char *mixed(const char *text, const Words *w, int i, int j, int how)
{
    char *to;
    size_t len;
    FILE *out = open_memstream(&to, &len);
    for (const char *s = text; *s;) {
        int at = s == w->at[i] ? i : how == 2 && s == w->at[j] ? j : -1;
        int by = at < 0 ? -1 : how == 2 ? i + j - at : j;
        if (at < 0) {
            fputc(*s++, out);
            continue;
        }
        if (how != 1) /* 1: word i goes */
            fwrite(w->at[by], 1, (size_t)w->len[by], out);
        if (how == 3) /* j comes before i */
            fwrite(w->at[i], 1, (size_t)w->len[i], out);
        s += w->len[at];
    }
    fclose(out);
    return to;
}

static void mix(const char *text, bool lines, int rounds, int most)
{
    Words w;
    int read = 0;
    uint64_t seed = random_key(3, lines ? "lines" : "words");
    find_words(kernels_of(text), lines, &w);
    for (int r = 0; r < rounds; r++) {
        uint64_t draw = random_bits(seed, (uint64_t)r);
        int i = (int)(draw % (uint64_t)w.n);
        int j = (int)((draw >> 20) % (uint64_t)w.n);
        int how = lines ? (int)(draw >> 40) % 4 : 0;
        char *bad = mixed(text, &w, i, j, how);
        if (strcmp(bad, text))
            read += try_text(bad, read < most);
        free(bad);
    }
    assert_true(read > 0); /* some fusions can be changed */
}

static void any_word(void **state)
{
    char *text = text_of(*(Graph *(**)(Ctx *))*state, true);
    mix(text, false, 4000, 20);
    free(text);
}

static void any_line(void **state)
{
    char *text = text_of(*(Graph *(**)(Ctx *))*state, true);
    mix(text, true, 2000, 20);
    free(text);
}

/* ---- numbers ---- */

static void huge_numbers(void **state)
{
    static const char *const number[] = {
        "0", "-1", "7", "2147483647", "2147483648", "1e300", "nan", "inf",
        "0.5", "99999999999999999999"};
    char *text = text_of(*(Graph *(**)(Ctx *))*state, true);
    Words w;
    find_words(text, false, &w);
    for (int i = 0; i < w.n; i++)
        for (size_t j = 0; j < COUNT(number); j++) {
            if (w.at[i][0] < '0' || w.at[i][0] > '9')
                continue;
            w.at[w.n] = number[j];
            w.len[w.n] = (int)strlen(number[j]);
            char *bad = mixed(text, &w, i, w.n, 0);
            try_text(bad, false);
            free(bad);
        }
    free(text);
}

static Graph *(*const graph[])(Ctx *) = {moe_graph, repeat_graph};
#define EACH(test) \
    {#test ": routed", test, NULL, NULL, (void *)(uintptr_t)&graph[0]}, \
    {#test ": repeated", test, NULL, NULL, (void *)(uintptr_t)&graph[1]}
int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(any_byte),
        EACH(any_word),
        EACH(any_line),
        EACH(huge_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
