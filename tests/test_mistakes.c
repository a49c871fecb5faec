/* Typical mistakes: each file of tests/mistakes is checked as `graft check`
 * does, and what is said must be what stands in its `#> ` lines at the end.
 * BLESS=1 writes those lines anew; read the difference. */
#include "compiler/lang/lang.h"
#include "compiler/check/check.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* Refuted claims are errors, open ones warnings, as the command has it. */
static void judge(const Claims *claims)
{
    for (int i = 0; i < claims->n; i++) {
        const Claim *c = &claims->at[i];
        if (c->silent)
            continue;
        if (c->proof->result == PROOF_refuted)
            error_at(c->at->src, c->at->loc, "this does not hold: %s",
                     c->proof->why);
        else if (c->proof->result == PROOF_open)
            warning_at(c->at->src, c->at->loc, "neither proved nor refuted: "
                       "%s", c->proof->why);
    }
}

/* Figures that were measured are left out: others will do. */
static void without_figures(char *text)
{
    char *from = strstr(text, "; measured ");
    if (from)
        memmove(from, from + strcspn(from, "\n"),
                strlen(from + strcspn(from, "\n")) + 1);
}

/* All that is said of a file, as a user sees it. malloc'ed. */
static char *said_of(const char *file, int *errors)
{
    char *text = NULL;
    size_t len;
    FILE *old = stderr;
    Arena arena = {0};
    Diags diags = {0};
    Claims claims = {0};
    Err err = {""};
    stderr = open_memstream(&text, &len);
    Spec *spec = spec_new(&arena, &diags);
    if (!spec_file(spec, file, &err) && *err.text)
        fprintf(stderr, "graft: %s\n", err.text);
    else if (spec_check(spec, &claims))
        judge(&claims);
    fclose(stderr);
    stderr = old;
    *errors = diags.errors;
    diags_free(&diags);
    arena_free(&arena);
    without_figures(text);
    return text;
}

/* The `#> ` lines at the end, without their marks. malloc'ed. */
static char *wanted_of(const char *text)
{
    char *out = NULL;
    size_t len;
    FILE *f = open_memstream(&out, &len);
    for (const char *s = text; *s;) {
        int n = (int)strcspn(s, "\n");
        if (!strncmp(s, "#> ", 3))
            fprintf(f, "%.*s\n", n - 3, s + 3);
        s += n + (s[n] == '\n');
    }
    fclose(f);
    return out;
}

static void bless(const char *file, const char *text, const char *said)
{
    const char *end = strstr(text, "\n#> ");
    int len = end ? (int)(end - text) + 1 : (int)strlen(text);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fprintf(f, "%.*s", len, text);
    for (const char *s = said; *s;) {
        int n = (int)strcspn(s, "\n");
        fprintf(f, "#> %.*s\n", n, s);
        s += n + (s[n] == '\n');
    }
    fclose(f);
}

static int is_spec(const struct dirent *d)
{
    size_t len = strlen(d->d_name);
    return len > 6 && !strcmp(d->d_name + len - 6, ".graft");
}

/* One mistake, one message: but for files whose first line counts more. */
static int mistakes_in(const char *text)
{
    const char *two = strstr(text, "# Two mistakes");
    const char *none = strstr(text, "# No error");
    return two == text ? 2 : none == text ? 0 : 1;
}

static int check_one(const char *file)
{
    Err err;
    size_t len;
    int errors;
    char *text = read_file(file, &len, &err);
    assert_non_null(text);
    char *said = said_of(file, &errors), *want = wanted_of(text);
    bool same = !strcmp(said, want);
    if (getenv("BLESS") && !same) {
        bless(file, text, said);
        same = true;
    }
    if (!same)
        print_error("%s says\n%sand should say\n%s", file, said, want);
    if (errors != mistakes_in(text)) {
        print_error("%s: %d errors\n", file, errors);
        same = false;
    }
    free(text);
    free(said);
    free(want);
    return !same;
}

static void each_says_what_it_should(void **state)
{
    struct dirent **list;
    int wrong = 0, n = scandir(".", &list, is_spec, alphasort);
    (void)state;
    assert_true(n > 60);
    for (int i = 0; i < n; i++) {
        wrong += check_one(list[i]->d_name);
        free(list[i]);
    }
    free(list);
    print_message("%d files of mistakes, %d not as they should be\n", n,
                  wrong);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_says_what_it_should)};
    if (chdir(MISTAKES)) {
        perror(MISTAKES);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
