/* Sizes that divide one another, and which are above 0. */
#include "compiler/graph/size_atoms.h"
#include <math.h>
#include <string.h>

bool size_is_term(const Size *s)
{
    return s->nterm == 1;
}

bool size_positive(const Size *s)
{
    for (int i = 0; i < s->nterm; i++) {
        if (s->term[i].coef <= 0)
            return false;
        for (int j = 0; j < s->term[i].nfactor; j++) {
            const Atom *a = s->term[i].factor[j].atom;
            if (a->kind != ATOM_sym &&
                (!a->arg[0] || a->kind == ATOM_mod || a->kind == ATOM_floor ||
                 !size_positive(a->arg[0]) ||
                 (a->arg[1] && !size_positive(a->arg[1]))))
                return false;
        }
    }
    return s->nterm > 0;
}

/* ---- lower bounds ---- */

static SizeLow atom_low(const Atom *a, SizeLow (*of)(void *, const char *),
                        void *user)
{
    SizeLow none = {-INFINITY, false}, x, y = none;
    if (a->kind == ATOM_sym)
        return of(user, a->text);
    x = size_low(a->arg[0], of, user);
    if (a->arg[1])
        y = size_low(a->arg[1], of, user);
    switch (a->kind) {
    case ATOM_paren: return x;
    case ATOM_min:   return x.at < y.at ? x : y;
    case ATOM_max:   return x.at > y.at ? x : y;
    case ATOM_ceil:  return (SizeLow){x.strict && x.at == floor(x.at)
                                          ? x.at + 1 : ceil(x.at - 1e-9),
                                      false};
    case ATOM_floor: return (SizeLow){floor(x.at), false};
    case ATOM_sqrt:  return x.at >= 0 ? (SizeLow){sqrt(x.at), x.strict} : none;
    case ATOM_pow:   return x.at > 0 || (x.at == 0 && x.strict)
                                ? (SizeLow){0, true} : none;
    case ATOM_mod:   return y.at > 0 ? (SizeLow){0, false} : none;
    default:         return none;
    }
}

/* Of x to a power, both of a bound at least 0 or not known. */
static SizeLow power_low(SizeLow x, int power)
{
    bool above = x.at > 0 || (x.at == 0 && x.strict);
    if (power < 0)
        return above ? (SizeLow){0, true} : (SizeLow){-INFINITY, false};
    if (x.at < 0)
        return (SizeLow){power % 2 ? -INFINITY : 0, false};
    return (SizeLow){pow(x.at, power), x.strict};
}

SizeLow size_low(const Size *s, SizeLow (*of)(void *, const char *),
                 void *user)
{
    SizeLow sum = {0, false};
    for (int i = 0; i < s->nterm; i++) {
        const Term *t = &s->term[i];
        SizeLow product = {fabs(t->coef), false};
        for (int j = 0; j < t->nfactor; j++) {
            SizeLow x = power_low(atom_low(t->factor[j].atom, of, user),
                                  t->factor[j].power);
            product.strict |= x.strict;
            product.at = x.at < 0 || product.at < 0 ? -INFINITY
                                                    : product.at * x.at;
        }
        if (t->coef < 0)
            product = (SizeLow){t->nfactor ? -INFINITY : t->coef, false};
        sum.at += product.at;
        sum.strict |= product.strict;
    }
    return sum;
}

void size_symbols(const Size *s, void (*visit)(void *, const char *),
                  void *user)
{
    for (int i = 0; i < s->nterm; i++)
        for (int j = 0; j < s->term[i].nfactor; j++) {
            const Atom *a = s->term[i].factor[j].atom;
            if (a->kind == ATOM_sym)
                visit(user, a->text);
            for (int k = 0; k < 2 && a->kind != ATOM_sym; k++)
                if (a->arg[k])
                    size_symbols(a->arg[k], visit, user);
        }
}

void size_divisors(const Size *s, void (*visit)(void *, const Size *),
                   void *user)
{
    for (int i = 0; i < s->nterm; i++)
        for (int j = 0; j < s->term[i].nfactor; j++)
            if (s->term[i].factor[j].power < 0) {
                const Atom *a = s->term[i].factor[j].atom;
                visit(user, a->kind == ATOM_paren ? a->arg[0]
                                                  : size_of_atom(a, 1));
            }
}

/* Powers of atoms, compared atom by atom in the order of their texts. */
static int compare_powers(const Term *a, const Term *b)
{
    int i = 0, j = 0;
    while (i < a->nfactor || j < b->nfactor) {
        int c = i == a->nfactor   ? 1
                : j == b->nfactor ? -1
                                  : strcmp(a->factor[i].atom->text,
                                           b->factor[j].atom->text);
        int d = (c <= 0 ? a->factor[i].power : 0) -
                (c >= 0 ? b->factor[j].power : 0);
        if (d)
            return d;
        i += c <= 0;
        j += c >= 0;
    }
    return 0;
}

static const Size *lead(const Size *s)
{
    const Term *t = &s->term[0];
    for (int i = 1; i < s->nterm; i++)
        if (compare_powers(&s->term[i], t) > 0)
            t = &s->term[i];
    Term copy = *t;
    return size_new(&copy, 1);
}

const Size *size_quotient(const Size *a, const Size *b)
{
    const Size *q = size_num(0);
    for (int step = a->nterm + 8; step && a->nterm && b->nterm; step--) {
        const Size *x = size_div(lead(a), lead(b));
        q = size_add(q, x);
        a = size_sub(a, size_mul(x, b));
    }
    return a->nterm || !b->nterm ? NULL : q;
}

bool size_over(const Size *s, const Size **above, const Size **below)
{
    for (int i = 0; i < s->nterm; i++)
        for (int j = 0; j < s->term[i].nfactor; j++) {
            const Factor *f = &s->term[i].factor[j];
            if (f->atom->kind != ATOM_paren || f->power > 0)
                continue;
            const Size *whole = f->atom->arg[0], *sum = size_num(0);
            for (int k = 0; k < s->nterm; k++) {
                const Size *t = size_new(&(Term[]){s->term[k]}[0], 1),
                           *by = size_of_atom(f->atom, 1);
                bool has = false;
                for (int m = 0; m < s->term[k].nfactor; m++)
                    has |= s->term[k].factor[m].atom == f->atom;
                sum = size_add(sum, size_mul(t, has ? by : whole));
            }
            *above = sum;
            *below = whole;
            return true;
        }
    return false;
}
