/* The rules of a rules.graft: those that say `as STEP` switch a step of the
 * normal form on; the others become patterns. */
#include "compiler/prove/pattern.h"
#include <string.h>

static const char *const step_name[STEP_COUNT] = {
    [STEP_sum_factor] = "sum_factor",
    [STEP_sum_sum] = "sum_sum",
    [STEP_sum_constant] = "sum_constant",
    [STEP_mean] = "mean",
    [STEP_cancel] = "cancel",
    [STEP_topk_constant] = "topk_constant",
    [STEP_gather_constant] = "gather_constant",
    [STEP_gather_each] = "gather_each",
    [STEP_gather_all] = "gather_all",
    [STEP_softmax_exp] = "softmax_exp",
    [STEP_exp_sum] = "exp_sum",
    [STEP_exp_log] = "exp_log",
    [STEP_log_exp] = "log_exp",
    [STEP_logsumexp] = "logsumexp",
    [STEP_sigmoid_exp] = "sigmoid_exp",
    [STEP_silu_sigmoid] = "silu_sigmoid",
    [STEP_rsqrt_sqrt] = "rsqrt_sqrt",
    [STEP_sqrt_scale] = "sqrt_scale",
    [STEP_pow_half] = "pow_half",
    [STEP_relu_turned] = "relu_turned",
    [STEP_relu_scale] = "relu_scale",
    [STEP_abs_relu] = "abs_relu",
    [STEP_maximum_relu] = "maximum_relu",
    [STEP_minimum_relu] = "minimum_relu",
    [STEP_topk_shift] = "topk_shift",
    [STEP_topk_scale] = "topk_scale",
    [STEP_topk_exp] = "topk_exp",
};

static bool equal_or_none(const Ast *a, const Ast *b)
{
    return a && b ? dsl_equal(a, b) : !a && !b;
}

static bool says_the_same(const Ast *a, const Ast *b)
{
    return dsl_equal(a->kid[0], b->kid[0]) && dsl_equal(a->kid[1], b->kid[1]) &&
           equal_or_none(a->kid[2], b->kid[2]);
}

/* The step of a known rule that says the same, or STEP_match. */
static Step known_step(const Rules *known, const Ast *rule)
{
    for (int i = 0; known && i < known->rule.n; i++)
        if (says_the_same(known->rule.at[i].ast, rule))
            return known->rule.at[i].step;
    return STEP_match;
}

/* The step that the rule names; false: there is none of that name, or it is
 * another rule's. */
static bool named_step(const Rules *known, const Ast *rule, Step *out)
{
    const Ast *as = rule->kid[3];
    int step = STEP_match + 1;
    while (step < STEP_COUNT && strcmp(step_name[step], as->text))
        step++;
    *out = (Step)step;
    if (step == STEP_COUNT) {
        const char *near = nearest(as->text, step_name + 1, STEP_COUNT - 1);
        error_at(as->src, as->loc, "the prover has no step `%s`%s%s%s",
                 as->text, near ? " (did you mean `" : "", near ? near : "",
                 near ? "`?)" : "");
        return false;
    }
    if (!known || known_step(known, rule) == *out)
        return true;
    error_at(rule->src, rule->loc,
             "this is not the rule of the step `%s`: see rules.graft",
             as->text);
    return false;
}

static bool step_of(const Rules *known, const Ast *rule, Step *out)
{
    if (rule->nkid > 3)
        return named_step(known, rule, out);
    *out = known_step(known, rule);
    return true;
}

Rules *rules_new(Arena *a)
{
    Rules *r = arena_alloc(a, sizeof *r);
    r->arena = a;
    return r;
}

bool rules_add(Rules *r, const Ast *file, const Rules *known)
{
    bool good = true;
    for (int i = 0; i < file->nkid; i++) {
        const Ast *ast = file->kid[i];
        if (ast->kind != AST_rule)
            continue;
        Rule rule = {.name = ast->text, .ast = ast};
        if (!step_of(known, ast, &rule.step) ||
            (rule.step == STEP_match && !rule_compile(r->arena, &rule)))
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
