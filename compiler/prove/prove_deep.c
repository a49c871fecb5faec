/* The second normal form, for claims that the first leaves open: softmax and
 * its kin as exponentials, whose sums are products; roots without numbers
 * below them; the larger of two as relu; numbers out of what is linear. Each
 * step is a rule of rules.graft; it is not taken where that lacks it. */
#include "compiler/prove/term.h"
#include <math.h>
#include <string.h>

static bool may(Prover *p, Step step)
{
    const Rule *r = p->step[step];
    if (!r)
        return false;
    for (int i = 0; i < p->used.n; i++)
        if (p->used.at[i] == r)
            return true;
    list_push(p->arena, &p->used, r);
    return true;
}

static Term *fun(Prover *p, Op op, Term *a)
{
    return term_fun(p, op, 1, &a);
}

static Term *minus(Prover *p, Term *a)
{
    return term_scale(p, a, size_num(-1));
}

static Term *one(Prover *p)
{
    return term_number(p, 1);
}

static Term *as_term(Prover *p, const Mono *m)
{
    return term_of_mono(p, m->coef, m->n, m->f);
}

/* ---- exponentials ---- */

static bool whole_power(const Size *s, int *n)
{
    double v;
    if (!size_is_num(s, &v) || v != floor(v) || fabs(v) > 4 || v == 0)
        return false;
    *n = (int)v;
    return true;
}

/* exp(n * x) => exp(x)^n, exp(log(x)) => x */
static Term *exp_mono(Prover *p, const Mono *m)
{
    int n = 1;
    Term *t = as_term(p, m);
    if (m->n && whole_power(m->coef, &n))
        t = term_of_mono(p, size_num(1), m->n, m->f);
    else
        n = 1;
    if (t->kind == TERM_fun && t->op == OP_log && term_positive(p, t->arg[0]) &&
        may(p, STEP_exp_log))
        return term_power(p, t->arg[0], n);
    Term *e = term_keep(p, (Term){.kind = TERM_fun, .op = OP_exp, .narg = 1,
                                  .arg = &t});
    return term_power(p, e, n);
}

static Term *deep_exp(Prover *p, Term *a)
{
    Mono m;
    TermFactor room;
    if (!may(p, STEP_exp_sum))
        return NULL;
    if (a->kind == TERM_poly && !a->nmono)
        return one(p);
    if (term_mono(a, &m, &room))
        return exp_mono(p, &m);
    Term *t = one(p);
    for (int i = 0; i < a->nmono; i++)
        t = term_mul(p, t, exp_mono(p, &a->mono[i]));
    return t;
}

static Term *deep_log(Prover *p, Term *a)
{
    double v;
    if (term_is_number(a, &v) && v == 1)
        return term_number(p, 0);
    return a->kind == TERM_fun && a->op == OP_exp && may(p, STEP_log_exp)
               ? a->arg[0] : NULL;
}

static Term *deep_sigmoid(Prover *p, Term *a)
{
    if (!may(p, STEP_sigmoid_exp))
        return NULL;
    return term_inverse(p, term_add(p, one(p), fun(p, OP_exp, minus(p, a))));
}

/* ---- roots ---- */

/* The number that all of a is a multiple of, such that the first product has
 * none; 1 if it is no number. */
static double lead_of(const Term *a)
{
    return a->kind == TERM_poly && a->nmono ? size_lead(a->mono[0].coef) : 1;
}

static Term *deep_sqrt(Prover *p, Term *a)
{
    double c = lead_of(a), root = sqrt(fabs(c));
    if (c == 1 || root * root != fabs(c) || (a->nmono == 1 && !a->mono->n) ||
        !may(p, STEP_sqrt_scale))
        return NULL;
    Term *rest = term_scale(p, a, size_num(1 / fabs(c)));
    if (rest == a)
        return NULL;
    return term_scale(p, fun(p, OP_sqrt, rest), size_num(root));
}

/* ---- the larger of two ---- */

static Term *deep_relu(Prover *p, Term *a)
{
    double c = lead_of(a);
    Mono m;
    TermFactor room;
    if (term_positive(p, a))
        return a;
    if (term_mono(a, &m, &room) && m.n && !size_is_num(m.coef, NULL) &&
        prover_positive(p, m.coef) && may(p, STEP_relu_scale))
        return term_scale(p, fun(p, OP_relu, term_of_mono(p, size_num(1), m.n,
                                                         m.f)), m.coef);
    if (c < 0 && may(p, STEP_relu_turned))
        return term_add(p, fun(p, OP_relu, minus(p, a)), a);
    if (c > 0 && c != 1 && a->nmono && !(a->nmono == 1 && !a->mono->n) &&
        may(p, STEP_relu_scale)) {
        Term *rest = term_scale(p, a, size_num(1 / c));
        if (lead_of(rest) == 1)
            return term_scale(p, fun(p, OP_relu, rest), size_num(c));
    }
    return NULL;
}

static Term *deep_maximum(Prover *p, Term *a, Term *b)
{
    if (!may(p, STEP_maximum_relu))
        return NULL;
    return term_add(p, b, fun(p, OP_relu, term_add(p, a, minus(p, b))));
}

static Term *deep_minimum(Prover *p, Term *a, Term *b)
{
    if (!may(p, STEP_minimum_relu))
        return NULL;
    return term_add(p, a, minus(p, fun(p, OP_relu,
                                       term_add(p, a, minus(p, b)))));
}

static Term *deep_pow(Prover *p, Term *a, Term *b)
{
    double v;
    if (term_is_number(b, &v) && v == 0.5 && may(p, STEP_pow_half))
        return fun(p, OP_sqrt, a);
    return NULL;
}

Term *deep_fun(Prover *p, Op op, Term **arg)
{
    Term *a = arg[0];
    switch (op) {
    case OP_exp:     return deep_exp(p, a);
    case OP_log:     return deep_log(p, a);
    case OP_sigmoid: return deep_sigmoid(p, a);
    case OP_silu:
        return may(p, STEP_silu_sigmoid)
                   ? term_mul(p, a, fun(p, OP_sigmoid, a)) : NULL;
    case OP_sqrt:    return deep_sqrt(p, a);
    case OP_rsqrt:
        return may(p, STEP_rsqrt_sqrt)
                   ? term_inverse(p, fun(p, OP_sqrt, a)) : NULL;
    case OP_relu:    return deep_relu(p, a);
    case OP_abs:
        return may(p, STEP_abs_relu)
                   ? term_add(p, term_scale(p, fun(p, OP_relu, a),
                                            size_num(2)), minus(p, a))
                   : NULL;
    case OP_maximum: return deep_maximum(p, a, arg[1]);
    case OP_minimum: return deep_minimum(p, a, arg[1]);
    case OP_pow:     return deep_pow(p, a, arg[1]);
    default:         return NULL;
    }
}

/* ---- along dims ---- */

static Term *deep_softmax(Prover *p, int n, Term **var, Term *body, Term **at)
{
    if (!may(p, STEP_softmax_exp))
        return NULL;
    Term *e = fun(p, OP_exp, body), *sum = term_sum(p, n, var, e);
    return term_mul(p, term_subst(p, e, n, var, at), term_inverse(p, sum));
}

/* What decides who is largest: without what all have alike. */
static Term *without_shift(Prover *p, Term *var, Term *body)
{
    Term *t = term_number(p, 0);
    for (int i = 0; body->kind == TERM_poly && i < body->nmono; i++) {
        Term *one = as_term(p, &body->mono[i]);
        if (term_has(one, var))
            t = term_add(p, t, one);
    }
    return body->kind == TERM_poly && t != body && may(p, STEP_topk_shift)
               ? t : body;
}

static Term *without_scale(Prover *p, Term *var, Term *body)
{
    Mono m;
    TermFactor room;
    double lead = fabs(lead_of(body));
    if (lead != 1 && lead > 0 && may(p, STEP_topk_scale))
        body = term_scale(p, body, size_num(1 / lead));
    if (!term_mono(body, &m, &room) || m.n < 2)
        return body;
    Term *t = term_of_mono(p, m.coef, 0, NULL);
    for (int i = 0; i < m.n; i++)
        if (term_has(m.f[i].atom, var) || !term_positive(p, m.f[i].atom))
            t = term_mul(p, t, term_factor(p, m.f[i].atom, m.f[i].power));
    return t != body && may(p, STEP_topk_scale) ? t : body;
}

Term *deep_topk_body(Prover *p, Term *var, Term *body)
{
    for (Term *was = NULL; body != was;) {
        was = body;
        body = without_scale(p, var, without_shift(p, var, body));
        if (body->kind == TERM_fun && body->op == OP_exp &&
            may(p, STEP_topk_exp))
            body = body->arg[0];
        Mono m; /* a product of exponentials is one of their sum */
        TermFactor room;
        Term *sum = term_number(p, 0);
        bool all = term_mono(body, &m, &room) && m.n > 0 &&
                   m.coef == size_num(1);
        for (int i = 0; all && i < m.n; i++) {
            const Term *e = m.f[i].atom;
            all = e->kind == TERM_fun && e->op == OP_exp;
            if (all)
                sum = term_add(p, sum,
                               term_scale(p, e->arg[0],
                                          size_num(m.f[i].power)));
        }
        if (all && may(p, STEP_topk_exp))
            body = sum;
    }
    return body;
}

Term *deep_bind(Prover *p, Op op, int n, Term **var, Term **body, Term **at)
{
    if (op == OP_softmax)
        return deep_softmax(p, n, var, body[0], at);
    if (op == OP_logsumexp && may(p, STEP_logsumexp))
        return fun(p, OP_log, term_sum(p, n, var, fun(p, OP_exp, body[0])));
    return NULL;
}

/* ---- attend and rope: the numbers of what they are linear in ---- */

static Term *number_out(Prover *p, Term **t)
{
    Mono m;
    TermFactor room;
    if (!term_mono(*t, &m, &room) || !m.n)
        return one(p);
    *t = term_of_mono(p, size_num(1), m.n, m.f);
    return term_size(p, m.coef);
}

Term *deep_linear(Prover *p, Op op, Term **body)
{
    if (op == OP_rope)
        return number_out(p, &body[0]);
    if (op != OP_attend)
        return one(p);
    Term *keys = number_out(p, &body[1]);
    body[0] = term_mul(p, body[0], keys);
    return number_out(p, &body[2]);
}
