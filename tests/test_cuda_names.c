/* Names of a model may be any word: none of those that the printers use, that
 * the headers have, or that C has gets a second meaning. Each word of a text is
 * tried as a weight's name: the text must be the same but for names. */
#include "tests/cuda_kit.h"
#include <ctype.h>

static const Layer layers[] = {
    {"xft_moe", "D=48 F=40 E=5 K=2", TYPE_bf16, 0, 0},
    {"topk_moe", "D=50 F=30 E=3 K=1", TYPE_f32, 0, 0},
    {"swiglu", "D=48 F=40", TYPE_f16, 0, 0},
};

typedef LIST(const char *) Words;

/* Words, numbers and signs, one by one, members with their dot; comments,
 * directives, blanks go. */
static Words tokens_of(Arena *a, const char *s)
{
    Words w = {0};
    while (*s) {
        size_t n = 1;
        if (!strncmp(s, "/*", 2) || *s == '#') {
            s = *s == '#' ? s + strcspn(s, "\n") : strstr(s, "*/") + 2;
            continue;
        }
        while (isalnum((unsigned char)*s) || *s == '_') {
            if (!isalnum((unsigned char)s[n]) && s[n] != '_')
                break;
            n++;
        }
        bool member = w.n && !strcmp(w.at[w.n - 1], ".");
        if (!isspace((unsigned char)*s))
            list_push(a, &w, member ? intern_printf(".%.*s", (int)n, s)
                                    : intern_n(s, n));
        s += n;
    }
    return w;
}

static bool has(const Words *w, const char *word)
{
    for (int i = 0; i < w->n; i++)
        if (w->at[i] == word)
            return true;
    return false;
}

/* What a weight may be called. */
static bool is_name(const char *s)
{
    return isalpha((unsigned char)*s) || *s == '_';
}

static void rename_weights(const Graph *g, const char *from, const char *to)
{
    int renamed = 0;
    for (int i = 0; i < g->node.n; i++) {
        Node *n = g->node.at[i];
        if (n->op != OP_weight || !n->weight ||
            strcmp(n->weight->path, from) != 0)
            continue;
        Weight *w = (Weight *)(uintptr_t)n->weight;
        w->path = intern(to);
        renamed++;
    }
    if (renamed != 1)
    fail_msg("%d weights are called %s", renamed, from);
}

static bool is_kernel(const char *word)
{
    return !strncmp(word, "gr_", 3);
}

/* The same text but for names, function by function: what is one name in one is
 * one in the other, and two are two. */
static void same_but_names(const Words *a, const Words *b, const char *word)
{
    int first = 0;
    if (a->n != b->n)
        fail_msg("a weight called %s changes the text", word);
    for (int i = 0; i < a->n; i++) {
        const char *x = a->at[i], *y = b->at[i];
        if (!strcmp(x, "GRAFT_KERNEL"))
            first = i;
        if (is_kernel(x) && is_kernel(y))
            continue;
        for (int j = first; j <= i; j++)
            if ((a->at[j] == x) != (b->at[j] == y))
                fail_msg("a weight called %s: %s and %s are %s and %s", word,
                         a->at[j], x, b->at[j], y);
    }
}

static void try_words(const Layer *l, const char *path)
{
    Rig *r = rig_new(l);
    Words all = tokens_of(&r->arena, r->text->text), tried = {0};
    const char *now = path;
    for (int i = 0; i < all.n; i++) {
        const char *word = all.at[i];
        if (!is_name(word) || is_kernel(word) || has(&tried, word))
            continue;
        list_push(&r->arena, &tried, word);
        rename_weights(r->g, now, word);
        now = word;
        CudaText *t = cuda_text_of(r->g);
        Words with = tokens_of(&r->arena, t->text);
        same_but_names(&all, &with, word);
        cuda_free(t);
    }
    assert_true(tried.n > 60);
    rig_free(r);
}

static void test_words(void **state)
{
    (void)state;
    try_words(&layers[0], "xft_moe.router");
    try_words(&layers[0], "xft_moe.shared.gate");
    try_words(&layers[1], "topk_moe.expert.down");
    try_words(&layers[2], "swiglu.up");
}

/* And what no text here has, but others, or C. */
static void test_others(void **state)
{
    (void)state;
    static const char *const word[] = {"k", "e", "r", "n", "t", "x", "int",
                                       "expf", "fabsf", "_x", "__popc", "main"};
    for (size_t i = 0; i < COUNT(word); i++) {
        Rig *r = rig_new(&layers[2]);
        rename_weights(r->g, "swiglu.up", word[i]);
        cuda_free(r->text);
        r->text = cuda_text_of(r->g);
        rig_compile(r, r->text->text, "");
        rig_load(r, 5);
        rig_run(r, 0, 0);
        rig_near_interp(r, 0.02);
        rig_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
