/* Matching the rules that are patterns: modulo the order of sums and products,
 * dims by variables. A name that is met again must be the same term. */
#include "compiler/prove/pattern.h"
#include <math.h>
#include <string.h>

typedef struct {
    Prover *p;
    Term *term[RULE_NAMES];
    struct {
        int n;
        Term *var[MAX_BOUND];
    } dim[RULE_NAMES];
} Match;

static bool match(Match *m, const RulePat *pat, Term *t);

static bool lacks_dims(const Match *m, const Term *t)
{
    for (int i = 0; i < RULE_NAMES; i++)
        if (term_has_any(t, m->dim[i].n, m->dim[i].var))
            return false;
    return true;
}

static bool match_name(Match *m, const RulePat *pat, Term *t)
{
    if (m->term[pat->num])
        return m->term[pat->num] == t;
    if (pat->kind == PAT_constant && !lacks_dims(m, t))
        return false;
    m->term[pat->num] = t;
    return true;
}

static bool is_name(const RulePat *pat)
{
    return pat->kind == PAT_any || pat->kind == PAT_constant;
}

/* ---- sums and products ---- */

enum { MAX_PARTS = 16 };
typedef struct {
    const RulePat *pat;
    int n;
    Term *part[MAX_PARTS]; /* of the term: products of a sum, or factors */
    int kid[MAX_PARTS];    /* which kid of pat has it; -1: none yet */
    int count[RULE_KIDS];
} Deal;

static Term *joined(Match *m, const Deal *d, int kid)
{
    bool sum = d->pat->kind == PAT_sum;
    double by = d->pat->by[kid];
    Term *t = term_number(m->p, sum ? 0 : 1);
    for (int i = 0; i < d->n; i++)
        if (d->kid[i] == kid)
            t = sum ? term_add(m->p, t, d->part[i])
                    : term_mul(m->p, t, d->part[i]);
    return sum          ? term_scale(m->p, t, size_num(1 / by))
           : by == 1    ? t
           : by == -1   ? term_inverse(m->p, t)
                        : NULL;
}

static bool match_dealt(Match *m, const Deal *d)
{
    for (int names = 0; names < 2; names++)
        for (int k = 0; k < d->pat->n; k++) {
            if (is_name(d->pat->kid[k]) != names)
                continue;
            Term *t = d->count[k] ? joined(m, d, k) : NULL;
            if (!t || !match(m, d->pat->kid[k], t))
                return false;
        }
    return true;
}

/* Every way to deal the parts out, one kid gets at least one. */
static bool deal(Match *m, Deal *d, int at)
{
    if (at == d->n) {
        Match saved = *m;
        if (match_dealt(m, d))
            return true;
        *m = saved;
        return false;
    }
    for (int k = 0; k < d->pat->n; k++) {
        d->kid[at] = k;
        d->count[k]++;
        if (deal(m, d, at + 1))
            return true;
        d->count[k]--;
    }
    return false;
}

static bool match_parts(Match *m, const RulePat *pat, Term *t)
{
    Deal d = {.pat = pat};
    Mono one;
    TermFactor room;
    if (pat->kind == PAT_sum) {
        int n = t->kind == TERM_poly ? t->nmono : 1;
        for (int i = 0; i < n && n <= 5; i++)
            d.part[d.n++] = t->kind == TERM_poly
                                ? term_of_mono(m->p, t->mono[i].coef,
                                               t->mono[i].n, t->mono[i].f)
                                : t;
    } else {
        t = term_scale(m->p, t, size_num(1 / pat->scale));
        if (!term_mono(t, &one, &room) || one.n > 5)
            return false;
        if (one.coef != size_num(1))
            d.part[d.n++] = term_size(m->p, one.coef);
        for (int i = 0; i < one.n; i++)
            d.part[d.n++] =
                term_factor(m->p, one.f[i].atom, one.f[i].power);
    }
    return d.n >= pat->n && deal(m, &d, 0);
}

/* ---- functions ---- */

static bool same_vars(int n, Term *const *a, Term *const *b)
{
    for (int i = 0; i < n; i++) {
        bool there = false;
        for (int j = 0; j < n; j++)
            there |= a[i] == b[j];
        for (int j = 0; j < i; j++)
            there &= a[i] != a[j];
        if (!there)
            return false;
    }
    return true;
}

/* The body of an inner binder over the same dims as an outer one. */
static bool open_over(Match *m, const Term *t, int dim, Term **body)
{
    Term **var = m->dim[dim].var;
    if (t->nbound != m->dim[dim].n)
        return false;
    if (t->nat) {
        if (!same_vars(t->nbound, t->at, var))
            return false;
        term_open_with(m->p, t, t->at, body);
        return true;
    }
    for (int i = 0; i < t->nbound; i++)
        if (t->bound[i]->size[0] != var[i]->size[0])
            return false;
    if (term_has_any(t, t->nbound, var))
        return false;
    term_open_with(m->p, t, var, body);
    return true;
}

static bool match_along(Match *m, const RulePat *pat, Term *t)
{
    Term *body[MAX_ARGS];
    if (t->kind != TERM_bind || t->op != pat->op || t->node)
        return false;
    if (!m->dim[pat->num].n) {
        if (t->nat)
            return false;
        m->dim[pat->num].n = t->nbound;
        term_open(m->p, t, m->dim[pat->num].var, body);
    } else if (!open_over(m, t, pat->num, body)) {
        return false;
    }
    return match(m, pat->kid[0], body[0]);
}

static bool match_fun(Match *m, const RulePat *pat, Term *t)
{
    if (t->kind != TERM_fun || t->op != pat->op)
        return false;
    for (int i = 0; i < pat->n; i++)
        if (!match(m, pat->kid[i], t->arg[i]))
            return false;
    return true;
}

static bool match(Match *m, const RulePat *pat, Term *t)
{
    double v;
    switch (pat->kind) {
    case PAT_any:
    case PAT_constant: return match_name(m, pat, t);
    case PAT_number:   return term_is_number(t, &v) && v == pat->scale;
    case PAT_sum:
    case PAT_product:  return match_parts(m, pat, t);
    case PAT_fun:      return match_fun(m, pat, t);
    case PAT_along:    return match_along(m, pat, t);
    case PAT_size:     return false;
    }
    return false;
}

/* ---- the right side ---- */

static Term *build(Match *m, const RulePat *pat)
{
    Prover *p = m->p;
    Term *t, *arg[RULE_KIDS];
    switch (pat->kind) {
    case PAT_any:
    case PAT_constant:
        return m->term[pat->num];
    case PAT_number:
        return term_number(p, pat->scale);
    case PAT_size:
        t = term_number(p, 1);
        for (int i = 0; i < m->dim[pat->num].n; i++)
            t = term_mul(p, t,
                         term_size(p, m->dim[pat->num].var[i]->size[0]));
        return t;
    case PAT_sum:
        t = term_number(p, 0);
        for (int i = 0; i < pat->n; i++)
            t = term_add(p, t, term_scale(p, build(m, pat->kid[i]),
                                          size_num(pat->by[i])));
        return t;
    case PAT_product:
        t = term_number(p, pat->scale);
        for (int i = 0; i < pat->n; i++)
            t = term_mul(p, t, term_power(p, build(m, pat->kid[i]),
                                          (int)pat->by[i]));
        return t;
    case PAT_fun:
        for (int i = 0; i < pat->n; i++)
            arg[i] = build(m, pat->kid[i]);
        return term_fun(p, pat->op, pat->n, arg);
    case PAT_along:
        t = build(m, pat->kid[0]);
        return term_bind(p, pat->op, NULL, m->dim[pat->num].n,
                         m->dim[pat->num].var, 1, &t,
                         pat->op == OP_softmax ? m->dim[pat->num].n : 0,
                         m->dim[pat->num].var);
    }
    return NULL;
}

static bool match_rule(Match *m, const Rule *r, int n, Term **var, int nbody,
                       Term **body)
{
    if (r->left->kind == PAT_along) {
        m->dim[r->left->num].n = n;
        memcpy(m->dim[r->left->num].var, var, (size_t)n * sizeof *var);
    }
    for (int i = 0; i < nbody; i++)
        if (!match(m, r->left->kid[i], body[i]))
            return false;
    return r->positive < 0 || term_positive(m->p, m->term[r->positive]);
}

Term *rules_rewrite(Prover *p, Op op, int n, Term **var, int nbody,
                    Term **body)
{
    const Rules *rules = p->env->rules;
    for (int i = 0; rules && p->depth < 50 && i < rules->rule.n; i++) {
        const Rule *r = &rules->rule.at[i];
        Match m = {.p = p};
        if (r->step != STEP_match || r->left->op != op ||
            (r->left->kind == PAT_along) != (n > 0) || r->left->n != nbody ||
            !match_rule(&m, r, n, var, nbody, body))
            continue;
        p->depth++;
        Term *to = build(&m, r->right);
        p->depth--;
        if (!p->quiet)
            prover_step(p, r, prover_sum_text(p, op, n, var, nbody, body),
                        to);
        return to;
    }
    return NULL;
}
