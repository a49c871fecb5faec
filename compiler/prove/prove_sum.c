/* Sums over dims: moved inwards (a sum of sums, factors that lack the dim,
 * copies), sums inside sums made one, sums against a delta done, indices that
 * only reorder a dim dropped. What is left binds one product whose factors
 * hang together. */
#include "compiler/prove/term.h"
#include <string.h>

typedef struct {
    int n;
    Term *at[MAX_BOUND];
} Vars;

static Vars without(int n, Term **var, const Term *drop)
{
    Vars v = {0};
    for (int i = 0; i < n; i++)
        if (var[i] != drop)
            v.at[v.n++] = var[i];
    return v;
}

static Term *product(Prover *p, const Size *coef, int n, const TermFactor *f)
{
    Term *t = term_of_mono(p, coef, 0, NULL);
    for (int i = 0; i < n; i++)
        t = term_mul(p, t, term_factor(p, f[i].atom, f[i].power));
    return t;
}

static Term *all_but(Prover *p, const Mono *m, int skip)
{
    Term *t = product(p, m->coef, skip, m->f);
    return term_mul(p, t, product(p, size_num(1), m->n - skip - 1,
                                  m->f + skip + 1));
}

/* ---- a sum inside the sum ---- */

static Term *flatten(Prover *p, int n, Term **var, const Mono *m)
{
    for (int i = 0; i < m->n; i++) {
        Term *a = m->f[i].atom, *body[MAX_ARGS];
        int times = m->f[i].power;
        Vars v = {.n = n};
        if (a->kind != TERM_bind || a->op != OP_sum || times < 1 ||
            n + times * a->nbound > MAX_BOUND || !term_has_any(a, n, var))
            continue;
        memcpy(v.at, var, (size_t)n * sizeof *var);
        Term *t = all_but(p, m, i);
        for (; times; times--, v.n += a->nbound) {
            term_open(p, a, v.at + v.n, body);
            t = term_mul(p, t, body[0]);
        }
        return term_sum(p, v.n, v.at, t);
    }
    return NULL;
}

/* ---- sum over K of delta(i, K) * x: x at i ---- */

static Term *sum_delta(Prover *p, int n, Term **var, const Mono *m)
{
    for (int i = 0; i < m->n; i++) {
        Term *d = m->f[i].atom;
        for (int s = 0; d->kind == TERM_delta && s < 2; s++)
            for (int j = 0; j < n; j++) {
                if (d->arg[s] != var[j] || term_has(d->arg[!s], var[j]))
                    continue;
                Vars v = without(n, var, var[j]);
                Term *t = term_subst(p, all_but(p, m, i), 1, &var[j],
                                     &d->arg[!s]);
                return term_sum(p, v.n, v.at, t);
            }
    }
    return NULL;
}

/* ---- gather_all: an index that takes each value once ---- */

typedef struct {
    Prover *p;
    int n;
    Term **var, *body;
    LIST(Term *) seen;
} Search;

static bool is_one_of(const Term *t, int n, Term *const *var)
{
    for (int i = 0; i < n; i++)
        if (var[i] == t)
            return true;
    return false;
}

/* Fills out with a fresh variable for all values of the index t, which are
 * reached once each as variables of the sum run; false if t is no such. */
static bool each_once(Search *s, Term *t, Term **out)
{
    Term like = {.names = t->names};
    Term *v = t->nat ? t->at[0] : NULL;
    if (t->kind == TERM_bind && t->op == OP_topk) {
        if (!is_one_of(v, s->n, s->var) || v->size[0] != t->bound[0]->size[0] ||
            term_has_any(t->arg[0], s->n, s->var))
            return false;
        like.size = t->bound[0]->size;
    } else if (t->kind == TERM_leaf && t->node->op == OP_shuffle) {
        if (!is_one_of(v, s->n, s->var) ||
            v->size[0] != prover_size(s->p, t->node->dim[0]->size))
            return false;
        like.size = v->size;
        like.names = (const Dim **)&t->node->dim[0];
    } else if (t->kind == TERM_pair) {
        const Size *size = size_num(1);
        for (int i = 0; i < t->narg; i++) {
            if (!is_one_of(t->arg[i], s->n, s->var) ||
                t->arg[i]->size[0] != t->size[i])
                return false;
            for (int j = 0; j < i; j++)
                if (t->arg[i] == t->arg[j])
                    return false;
            size = size_mul(size, t->size[i]);
        }
        *out = term_fresh(s->p, &(Term){.names = t->names, .size = &size});
        return true;
    } else {
        return false;
    }
    *out = term_fresh(s->p, &like);
    return true;
}

static Term *record_all(Search *s, Term *now, int n, Term **var)
{
    Prover *p = s->p;
    Term *sum = term_sum(p, n, var, now);
    if (s->body->kind != TERM_leaf)
        prover_used(p, p->step[STEP_gather_each]);
    if (!p->quiet)
        prover_step(p, p->step[STEP_gather_all],
                    prover_sum_text(p, OP_sum, s->n, s->var, 1, &s->body),
                    sum);
    prover_used(p, p->step[STEP_gather_all]);
    return sum;
}

/* The sum with one variable for the index t, if t is all that its variables
 * are there for. */
static Term *over_index(Search *s, Term *t)
{
    Term *fresh;
    if (!each_once(s, t, &fresh))
        return NULL;
    Term *now = term_replace(s->p, s->body, t, fresh);
    Vars v = {.n = 1, .at = {fresh}};
    for (int i = 0; i < s->n; i++) {
        if (!term_has(t, s->var[i]))
            v.at[v.n++] = s->var[i];
        else if (term_has(now, s->var[i]))
            return NULL;
    }
    return record_all(s, now, v.n, v.at);
}

/* The same for a dim of which only coordinates are used. */
static Term *over_parts(Search *s, Term *t)
{
    if (t->kind != TERM_part || !is_one_of(t->arg[0], s->n, s->var))
        return NULL;
    Vars v = without(s->n, s->var, t->arg[0]);
    Term *now = s->body;
    const Size *size = size_num(1);
    for (int i = 0; i < t->nsize; i++) {
        Term *part = term_part(s->p, t->arg[0], i, t->nsize, t->size,
                               t->names[0]);
        Term like = {.names = part->names, .size = &t->size[i]};
        if (v.n == MAX_BOUND)
            return NULL;
        v.at[v.n] = term_fresh(s->p, &like);
        now = term_replace(s->p, now, part, v.at[v.n++]);
        size = size_mul(size, t->size[i]);
    }
    if (size != t->arg[0]->size[0])
        return NULL;
    return term_has(now, t->arg[0]) ? NULL : record_all(s, now, v.n, v.at);
}

static Term *search(Search *s, Term *t)
{
    Term *found = NULL;
    if (!term_has_any(t, s->n, s->var))
        return NULL;
    for (int i = 0; i < s->seen.n; i++)
        if (s->seen.at[i] == t)
            return NULL;
    list_push(s->p->arena, &s->seen, t);
    for (int i = 0; i < t->narg && !found; i++)
        found = search(s, t->arg[i]);
    for (int i = 0; i < t->nat && !found; i++)
        found = search(s, t->at[i]);
    for (int i = 0; i < t->nmono && !found; i++)
        for (int j = 0; j < t->mono[i].n && !found; j++)
            found = search(s, t->mono[i].f[j].atom);
    if (!found)
        found = over_index(s, t);
    return found ? found : over_parts(s, t);
}

static Term *gather_all(Prover *p, int n, Term **var, Term *body)
{
    Search s = {.p = p, .n = n, .var = var, .body = body};
    if (!p->step[STEP_gather_all] || !p->step[STEP_gather_each])
        return NULL;
    return search(&s, body);
}

/* ---- one product ---- */

/* A sum over one product, nothing of which can be moved out. */
static Term *tied(Prover *p, int n, Term **var, Term *body)
{
    Term *t = p->fuel ? gather_all(p, n, var, body) : NULL;
    if (!t && p->fuel)
        t = rules_rewrite(p, OP_sum, n, var, 1, &body);
    return t ? t : bind_keep(p, OP_sum, NULL, n, var, 1, &body, 0, NULL);
}

/* group[i] of variable i: variables that a factor has together are one. */
static void find_groups(const Mono *m, int n, Term **var, int *group)
{
    for (int i = 0; i < n; i++)
        group[i] = i;
    for (int f = 0; f < m->n; f++) {
        int first = -1;
        for (int i = 0; i < n; i++) {
            if (!term_has(m->f[f].atom, var[i]))
                continue;
            if (first < 0)
                first = group[i];
            int old = group[i];
            for (int j = 0; j < n; j++)
                if (group[j] == old)
                    group[j] = first;
        }
    }
}

typedef struct {
    Vars var;
    int n;
    TermFactor *f;
} Group;

static Group group_of(Prover *p, const Mono *m, int n, Term **var,
                      const int *group, int g)
{
    Group out = {0};
    out.f = arena_alloc(p->arena, (size_t)(m->n + 1) * sizeof *out.f);
    for (int i = 0; i < n; i++)
        if (group[i] == g)
            out.var.at[out.var.n++] = var[i];
    for (int i = 0; i < m->n; i++)
        if (term_has_any(m->f[i].atom, out.var.n, out.var.at))
            out.f[out.n++] = m->f[i];
    return out;
}

static Term *copies(Prover *p, int n, Term **var)
{
    Term *t = term_number(p, 1);
    for (int i = 0; i < n; i++)
        t = term_mul(p, t, term_size(p, var[i]->size[0]));
    return t;
}

/* That a number was moved out is not worth a line. */
static void record(Prover *p, Step step, int n, Term **var, const Mono *m,
                   const Term *to, bool shown)
{
    prover_used(p, p->step[step]);
    if (p->quiet || !shown)
        return;
    Term *body = term_of_mono(p, m->coef, m->n, m->f);
    prover_step(p, p->step[step],
                prover_sum_text(p, OP_sum, n, var, 1, &body), to);
}

static Term *sum_mono(Prover *p, int n, Term **var, const Mono *m)
{
    int group[MAX_BOUND], ngroup = 0, nlone = 0;
    Term *t = flatten(p, n, var, m);
    if (!t)
        t = sum_delta(p, n, var, m);
    if (t)
        return t;
    find_groups(m, n, var, group);
    t = term_of_mono(p, m->coef, 0, NULL);
    for (int i = 0; i < m->n; i++)
        if (!term_has_any(m->f[i].atom, n, var))
            t = term_mul(p, t, term_factor(p, m->f[i].atom, m->f[i].power));
    Mono coef = {0};
    TermFactor room;
    bool moved = !term_mono(t, &coef, &room) || coef.n ||
                 coef.coef != size_num(1);
    for (int i = 0; i < n; i++) {
        if (group[i] != i)
            continue;
        Group g = group_of(p, m, n, var, group, i);
        Term *s = g.n ? tied(p, g.var.n, g.var.at,
                             product(p, size_num(1), g.n, g.f))
                      : copies(p, g.var.n, g.var.at);
        t = term_mul(p, t, s);
        ngroup += g.n > 0;
        nlone += !g.n;
    }
    if (ngroup && (moved || ngroup > 1))
        record(p, STEP_sum_factor, n, var, m, t, coef.n || ngroup > 1);
    if (nlone)
        record(p, STEP_sum_constant, n, var, m, t, true);
    return t;
}

/* Has `rules` what moving things out of sums takes? */
static bool may_move(const Prover *p)
{
    return p->step[STEP_sum_sum] && p->step[STEP_sum_factor] &&
           p->step[STEP_sum_constant];
}

Term *term_sum(Prover *p, int n, Term **var, Term *body)
{
    Mono m;
    TermFactor room;
    for (int i = 0; i < n; i++)
        if (var[i]->size[0] == size_num(1)) { /* there is one element */
            Term *first = term_number(p, 0);
            Vars v = without(n, var, var[i]);
            return term_sum(p, v.n, v.at, term_subst(p, body, 1, &var[i],
                                                     &first));
        }
    if (!n)
        return body;
    if (!may_move(p) || !p->fuel)
        return bind_keep(p, OP_sum, NULL, n, var, 1, &body, 0, NULL);
    if (term_mono(body, &m, &room))
        return sum_mono(p, n, var, &m);
    Term *sum = term_number(p, 0);
    for (int i = 0; i < body->nmono; i++)
        sum = term_add(p, sum, sum_mono(p, n, var, &body->mono[i]));
    if (body->nmono > 1 && !p->quiet)
        prover_step(p, p->step[STEP_sum_sum],
                    prover_sum_text(p, OP_sum, n, var, 1, &body), sum);
    return sum;
}
