/* Which numbers and terms are known to be above 0: dims are at least 1, what
 * `require` says of the others holds; nothing else is known. */
#include "compiler/prove/term.h"
#include <math.h>
#include <string.h>

/* ---- facts ---- */

static bool known(const Prover *p, const Size *s, SizeLow low)
{
    for (int i = 0; i < p->fact.n; i++)
        if (p->fact.at[i].size == s && p->fact.at[i].low.at >= low.at)
            return true;
    return false;
}

static void only_symbol(void *user, const char *sym)
{
    const char **one = user;
    if (!*one)
        *one = sym;
    else if (*one != sym)
        *one = "";
}

static double value_at(const Size *s, const char *sym, double v)
{
    double n = NAN;
    size_is_num(size_subst(s, sym, size_num(v)), &n);
    return n;
}

/* a * sym + b >= low, a > 0: what sym is at least. */
static void bound_of(Prover *p, const Size *s, SizeLow low)
{
    const char *sym = NULL;
    size_symbols(s, only_symbol, &sym);
    if (!sym || !*sym)
        return;
    double b = value_at(s, sym, 0), a = value_at(s, sym, 1) - b;
    if (!(a > 0) || value_at(s, sym, 2) - b != 2 * a)
        return;
    SymbolLow one = {sym, {(low.at - b) / a, low.strict}};
    list_push(p->arena, &p->bound, one);
}

void prover_fact(Prover *p, const Size *s, SizeLow low)
{
    s = prover_size(p, s);
    if (known(p, s, low))
        return;
    SizeFact f = {s, low};
    list_push(p->arena, &p->fact, f);
    bound_of(p, s, low);
}

static SizeLow symbol_low(void *user, const char *sym)
{
    const Prover *p = user;
    SizeLow best = {-INFINITY, false};
    if (!strcmp(sym, "T"))
        best.at = 1;
    for (int i = 0; i < p->bound.n; i++) {
        SizeLow low = p->bound.at[i].low;
        if (p->bound.at[i].sym == sym &&
            (low.at > best.at || (low.at == best.at && low.strict)))
            best = low;
    }
    return best;
}

static bool above_0(SizeLow low)
{
    return low.at > 0 || (low.at == 0 && low.strict);
}

bool prover_positive(Prover *p, const Size *s)
{
    if (above_0(size_low(s, symbol_low, p)))
        return true;
    for (int i = 0; i < p->fact.n; i++) {
        SizeLow rest = size_low(size_sub(s, p->fact.at[i].size), symbol_low,
                                p);
        rest.at += p->fact.at[i].low.at;
        rest.strict |= p->fact.at[i].low.strict;
        if (above_0(rest))
            return true;
    }
    return false;
}

void prover_divides(Prover *p, const Size *by)
{
    by = prover_size(p, by);
    if (size_is_num(by, NULL) || prover_positive(p, by) ||
        prover_positive(p, size_mul(size_num(-1), by)))
        return;
    for (int i = 0; i < p->provided.n; i++)
        if (p->provided.at[i] == by)
            return;
    list_push(p->arena, &p->provided, by);
}

static void divides(void *p, const Size *by)
{
    prover_divides(p, by);
}

void prover_divisors(Prover *p, const Size *s)
{
    size_divisors(s, divides, p);
}

static void walk_dims(Prover *p, const Node *n, bool *seen)
{
    if (seen[n->id])
        return;
    seen[n->id] = true;
    for (int i = 0; i < n->type.rank; i++)
        prover_fact(p, n->type.dim[i]->size, (SizeLow){1, false});
    for (int i = 0; i < n->ndim; i++)
        prover_fact(p, n->dim[i]->size, (SizeLow){1, false});
    for (int i = 0; i < op_info[n->op].nargs; i++)
        walk_dims(p, n->arg[i], seen);
}

void prover_dims(Prover *p, const Node *n)
{
    bool *seen = arena_alloc(p->arena, (size_t)n->id + 1);
    walk_dims(p, n, seen);
}

/* ---- terms ---- */

/* Above 0, or (even) at least 0. */
static bool mono_positive(Prover *p, const Mono *m, bool even)
{
    if (!prover_positive(p, m->coef))
        return false;
    for (int j = 0; j < m->n; j++)
        if (!(even && m->f[j].power > 0 && m->f[j].power % 2 == 0) &&
            !term_positive(p, m->f[j].atom))
            return false;
    return true;
}

/* Squares are at least 0; one product at least must be above. */
static bool poly_positive(Prover *p, const Term *t)
{
    bool above = false;
    for (int i = 0; i < t->nmono; i++) {
        bool now = mono_positive(p, &t->mono[i], false);
        if (!now && !mono_positive(p, &t->mono[i], true))
            return false;
        above |= now;
    }
    return above;
}

static bool arg_positive(void *prover, const void *arg)
{
    return arg && term_positive(prover, arg);
}

bool term_positive(Prover *p, const Term *t)
{
    void *arg[MAX_ARGS] = {NULL};
    switch (t->kind) {
    case TERM_poly:
        return poly_positive(p, t);
    case TERM_size:
        return prover_positive(p, t->size[0]);
    case TERM_fun:
    case TERM_bind:
        for (int i = 0; i < t->narg; i++)
            arg[i] = t->arg[i];
        return op_positive_by(t->op, arg, arg_positive, p);
    default:
        return false;
    }
}
