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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gates),
        cmocka_unit_test(experts),
        cmocka_unit_test(blocks),
        cmocka_unit_test(own_rules),
        cmocka_unit_test(library_is_proved),
        cmocka_unit_test(examples_are_proved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
