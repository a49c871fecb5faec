/* Sizes that divide one another, and which are above 0. */
#include "compiler/graph/size_atoms.h"
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
