/* Claims of specs, checked as `check` does: each file of tests/prove has a
 * file .out beside it with what was found (BLESS=1 writes it); those of the
 * examples are proved as the papers say. */
#include "compiler/lang/lang.h"
#include "compiler/check/check.h"
#include "compiler/interp/interp.h"
#include "tests/prove_kit.h"
#include <dirent.h>

static const char *const result_name[] = {"proved", "refuted", "open"};

static const char *rule_list(Arena *a, const Proof *p)
{
    const char *text = "";
    for (int i = 0; i < p->nrule; i++)
        text = arena_printf(a, "%s %s", text, p->rule[i]);
    return text;
}

typedef struct {
    Arena arena;
    Diags diags;
    Claims claims;
} Checked;

static void check_file(Checked *c, const char *path)
{
    Err err;
    memset(c, 0, sizeof *c);
    c->diags.quiet = true;
    Spec *s = spec_new(&c->arena, &c->diags);
    if (!spec_file(s, path, &err))
        fail_msg("%s", err.text);
    spec_check(s, &c->claims);
}

static void checked_free(Checked *c)
{
    diags_free(&c->diags);
    arena_free(&c->arena);
}

static const char *report(Checked *c)
{
    const char *text = "";
    for (int i = 0; i < c->diags.said.n; i++)
        if (c->diags.said.at[i].severity == SEVERITY_error)
            text = arena_printf(&c->arena, "%serror: %s\n", text,
                                c->diags.said.at[i].text);
    for (int i = 0; i < c->claims.n; i++) {
        const Claim *claim = &c->claims.at[i];
        const Proof *p = claim->proof;
        text = arena_printf(&c->arena, "%s%s: %s: %s%s%s%s%s%s\n", text,
                            claim->name, claim->text, result_name[p->result],
                            p->factor ? ", factor " : "",
                            p->factor ? p->factor : "",
                            p->uniform ? ", uniform " : "",
                            p->uniform ? p->uniform : "",
                            p->result == PROOF_proved
                                ? rule_list(&c->arena, p) : "");
        if (p->result == PROOF_proved && p->diff_exact > 1e-9)
            fail_msg("%s is proved, but differs by %g", claim->name,
                     p->diff_exact);
    }
    return text;
}

static void compare_with_golden(const char *path)
{
    Checked c;
    Err err;
    size_t len;
    check_file(&c, path);
    const char *now = report(&c),
               *golden = arena_printf(&c.arena, "%.*s.out",
                                      (int)(strlen(path) - 6), path);
    if (getenv("BLESS")) {
        FILE *out = fopen(golden, "w");
        assert_non_null(out);
        fputs(now, out);
        fclose(out);
    }
    char *was = read_file(golden, &len, &err);
    if (!was)
        fail_msg("%s", err.text);
    assert_string_equal(now, was);
    free(was);
    checked_free(&c);
}

static void gates(void **state)
{
    (void)state;
    compare_with_golden(CLAIMS "/gates.graft");
}

static void experts(void **state)
{
    (void)state;
    compare_with_golden(CLAIMS "/experts.graft");
}

static void blocks(void **state)
{
    (void)state;
    compare_with_golden(CLAIMS "/blocks.graft");
}

static void own_rules(void **state)
{
    (void)state;
    compare_with_golden(CLAIMS "/rules.graft");
    compare_with_golden(CLAIMS "/wrong_rule.graft");
}

/* All claims that the examples make in words hold. */
static void example(const char *name, int claims)
{
    Checked c;
    int made = 0;
    check_file(&c, intern_printf("%s/%s.graft", EXAMPLES, name));
    for (int i = 0; i < c.claims.n; i++) {
        const Claim *claim = &c.claims.at[i];
        made += !claim->silent;
        if (!claim->silent && claim->proof->result != PROOF_proved)
            fail_msg("%s: %s", claim->name, claim->proof->why);
    }
    assert_int_equal(c.diags.errors, 0);
    assert_int_equal(made, claims);
    checked_free(&c);
}

static void examples_are_proved(void **state)
{
    (void)state;
    FILE *there = fopen(EXAMPLES "/xft.graft", "r");
    if (!there) {
        print_message("%s is not there: skipped\n", EXAMPLES);
        skip();
    }
    fclose(there);
    example("sparse_upcycling", 1);
    example("xft", 3);
    example("pesc", 1);
    example("more", 2);
}

/* What the library claims holds. */
static void library_is_proved(void **state)
{
    (void)state;
    DIR *dir = opendir(STDLIB);
    assert_non_null(dir);
    int files = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        Checked c;
        if (!strstr(e->d_name, ".graft"))
            continue;
        check_file(&c, intern_printf("%s/%s", STDLIB, e->d_name));
        for (int i = 0; i < c.claims.n; i++) {
            const Claim *claim = &c.claims.at[i];
            if (!claim->silent && claim->proof->result != PROOF_proved)
                fail_msg("%s: %s", claim->name, claim->proof->why);
        }
        checked_free(&c);
        files++;
    }
    closedir(dir);
    assert_true(files >= 5);
}

/* ---- tests/claims: what holds and what does not, by name ---- */

typedef enum { HOLDS, FAILS, NEITHER } Truth;

static bool begins(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

/* A file false_x has only claims that fail, true_x only such as hold; in the
 * others a transform's name says it, and of chains the file's. */
static Truth truth_of(const char *file, const Claim *c)
{
    if (c->silent || begins(file, "clean_"))
        return NEITHER;
    if (begins(file, "false_") || begins(file, "chains_false") ||
        begins(c->name, "f_"))
        return FAILS;
    return HOLDS;
}

typedef struct {
    int holds, proved, fails, refuted;
} Score;

static void judge_claim(const char *file, const Claim *c, Score *s)
{
    ProofResult r = c->proof->result;
    Truth t = truth_of(file, c);
    s->holds += t == HOLDS;
    s->proved += t == HOLDS && r == PROOF_proved;
    s->fails += t == FAILS;
    s->refuted += t == FAILS && r == PROOF_refuted;
    if (t == FAILS && r == PROOF_proved)
        fail_msg("%s: %s is proved: %s", file, c->name, c->proof->why);
    if (t == HOLDS && r == PROOF_refuted)
        fail_msg("%s: %s is refuted: %s", file, c->name, c->proof->why);
    if (t == HOLDS && r == PROOF_open && begins(file, "true_"))
        fail_msg("%s: %s is open: %s", file, c->name, c->proof->why);
    if (t == HOLDS && r == PROOF_open)
        print_message("open: %s: %s\n", file, c->name);
}

/* Mistakes but for rules that do not hold. */
static int mistakes(const Checked *c)
{
    int n = 0;
    for (int i = 0; i < c->diags.said.n; i++)
        n += c->diags.said.at[i].severity == SEVERITY_error &&
             !begins(c->diags.said.at[i].text, "rule ");
    return n;
}

static void claims_are_told_apart(void **state)
{
    (void)state;
    DIR *dir = opendir(ALL_CLAIMS);
    assert_non_null(dir);
    Score s = {0};
    for (struct dirent *e; (e = readdir(dir));) {
        Checked c;
        if (!strstr(e->d_name, ".graft"))
            continue;
        check_file(&c, intern_printf("%s/%s", ALL_CLAIMS, e->d_name));
        if (mistakes(&c))
            fail_msg("%s: %s", e->d_name, c.diags.said.at[0].text);
        if (!c.claims.n && !c.diags.errors && !begins(e->d_name, "clean_"))
            fail_msg("%s: nothing is said of its claims", e->d_name);
        for (int i = 0; i < c.claims.n; i++)
            judge_claim(e->d_name, &c.claims.at[i], &s);
        checked_free(&c);
    }
    closedir(dir);
    print_message("%d of %d that hold are proved, %d of %d others refuted\n",
                  s.proved, s.holds, s.refuted, s.fails);
    assert_true(s.holds > 90 && s.fails > 120);
    assert_true(20 * s.proved >= 19 * s.holds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gates),
        cmocka_unit_test(experts),
        cmocka_unit_test(blocks),
        cmocka_unit_test(own_rules),
        cmocka_unit_test(library_is_proved),
        cmocka_unit_test(examples_are_proved),
        cmocka_unit_test(claims_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
