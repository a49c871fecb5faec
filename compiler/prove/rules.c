/* The rules of a rules.graft: those that the normal form is made of are known
 * by their text and switch its steps on; the others become patterns. */
#include "compiler/prove/term.h"
#include <string.h>

static const struct {
    Step step;
    const char *text;
} steps[] = {
    {STEP_sum_factor, "sum(c * x, K) => c * sum(x, K)"},
    {STEP_sum_sum, "sum(x + y, K) => sum(x, K) + sum(y, K)"},
    {STEP_sum_constant, "sum(c, K) => c * size(K)"},
    {STEP_mean, "mean(x, K) => sum(x, K) / size(K)"},
    {STEP_cancel, "x / x => 1 where x > 0"},
    {STEP_topk_constant, "topk(c, k: n) => c"},
    {STEP_gather_constant, "c[K: i] => c"},
    {STEP_gather_each, "f(x[K: i]) => f(x)[K: i] where pointwise(f, K)"},
    {STEP_gather_all, "sum(x[K: i], k) => sum(x, K) where permutation(i)"},
};

static const Ast *parsed(Arena *a, const char *rule)
{
    Diags *diags = arena_alloc(a, sizeof *diags);
    diags->quiet = true;
    Source *src = arena_alloc(a, sizeof *src);
    const char *text = arena_printf(a, "rule r: %s\n", rule);
    *src = (Source){"built in", text, (int)strlen(text), diags};
    const Ast *file = dsl_parse(a, src);
    if (diags->errors || file->nkid != 1)
        BUG("a step of the prover cannot be read: %s", rule);
    return file->kid[0];
}

static bool equal_or_none(const Ast *a, const Ast *b)
{
    return a && b ? dsl_equal(a, b) : !a && !b;
}

static Step step_of(const Ast *rule)
{
    Arena scratch = {0};
    Step step = STEP_match;
    for (size_t i = 0; i < COUNT(steps); i++) {
        const Ast *known = parsed(&scratch, steps[i].text);
        if (dsl_equal(known->kid[0], rule->kid[0]) &&
            dsl_equal(known->kid[1], rule->kid[1]) &&
            equal_or_none(known->kid[2], rule->kid[2]))
            step = steps[i].step;
    }
    arena_free(&scratch);
    return step;
}

Rules *rules_new(Arena *a)
{
    Rules *r = arena_alloc(a, sizeof *r);
    r->arena = a;
    return r;
}

bool rules_add(Rules *r, const Ast *file)
{
    bool good = true;
    for (int i = 0; i < file->nkid; i++) {
        const Ast *ast = file->kid[i];
        if (ast->kind != AST_rule)
            continue;
        Rule rule = {.name = ast->text, .ast = ast, .step = step_of(ast)};
        if (rule.step == STEP_match && !rule_compile(r->arena, &rule))
            good = false;
        else
            list_push(r->arena, &r->rule, rule);
    }
    return good;
}

void rules_join(Rules *r, const Rules *more)
{
    int own = r->rule.n;
    for (int i = 0; i < more->rule.n; i++) {
        bool there = false;
        for (int j = 0; j < own; j++)
            there |= !strcmp(r->rule.at[j].name, more->rule.at[i].name);
        if (!there)
            list_push(r->arena, &r->rule, more->rule.at[i]);
    }
}

int rules_count(const Rules *r)
{
    return r->rule.n;
}
