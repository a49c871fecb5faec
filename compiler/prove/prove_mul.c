/* Products, quotients and powers of terms. */
#include "compiler/prove/term.h"
#include <string.h>

/* Factors of a product; products of a sum that is multiplied out. Larger sums
 * stay factors: such terms have no one form, but say the same. */
enum { MAX_PRODUCT = 256, MAX_SUM = 600 };

typedef struct {
    const Size *coef;
    int n;
    TermFactor f[MAX_PRODUCT];
    bool changed; /* a delta rewrote a factor: multiply them anew */
} Product;

static void insert(Product *to, int at, TermFactor f)
{
    memmove(&to->f[at + 1], &to->f[at],
            (size_t)(to->n - at) * sizeof(TermFactor));
    to->f[at] = f;
    to->n++;
}

static void drop(Product *to, int at)
{
    to->n--;
    memmove(&to->f[at], &to->f[at + 1],
            (size_t)(to->n - at) * sizeof(TermFactor));
}

/* May x / x become 1? */
static bool cancels(Prover *p, const Term *atom)
{
    if (atom->kind == TERM_size) {
        prover_divides(p, atom->size[0]);
        return true;
    }
    const Rule *r = p->step[STEP_cancel];
    if (!r || !term_positive(p, atom))
        return false;
    prover_used(p, r);
    return true;
}

static void cancel_step(Prover *p, const Term *atom)
{
    if (p->quiet || atom->kind == TERM_size)
        return;
    const char *text = term_text(p, atom);
    prover_step(p, p->step[STEP_cancel],
                arena_printf(p->arena, "%s / %s", text, text),
                term_number(p, 1));
}

/* Multiplies a factor in; like powers meet, opposite ones where they may. */
static void times(Prover *p, Product *to, TermFactor f)
{
    int i = 0;
    while (i < to->n && to->f[i].atom->id < f.atom->id)
        i++;
    for (int j = i; j < to->n && to->f[j].atom == f.atom; j++) {
        bool same = (to->f[j].power > 0) == (f.power > 0);
        if (!same && !cancels(p, f.atom))
            continue;
        if (!same)
            cancel_step(p, f.atom);
        f.power += to->f[j].power;
        if (f.atom->kind == TERM_delta && f.power > 1)
            f.power = 1;
        drop(to, j);
        if (f.power)
            times(p, to, f);
        return;
    }
    while (i < to->n && to->f[i].atom == f.atom && to->f[i].power > f.power)
        i++;
    insert(to, i, f);
}

/* Where delta(t, v) is not 0, t is v: say v for t in the other factors. */
static void spread_delta(Prover *p, Product *m)
{
    for (int i = 0; i < m->n; i++) {
        Term *d = m->f[i].atom;
        if (d->kind != TERM_delta || d->arg[1]->kind != TERM_var)
            continue;
        for (int j = 0; j < m->n; j++) {
            if (j == i)
                continue;
            Term *now = term_replace(p, m->f[j].atom, d->arg[0], d->arg[1]);
            if (now == m->f[j].atom)
                continue;
            m->f[j].atom = now;
            m->changed = true;
        }
    }
}

/* A number that is a multiple of a Size it is divided by. */
static void reduce(Prover *p, Product *m)
{
    for (int i = 0; i < m->n; i++) {
        const Term *a = m->f[i].atom;
        const Size *q;
        if (a->kind != TERM_size || m->f[i].power >= 0 ||
            !(q = size_quotient(m->coef, a->size[0])))
            continue;
        prover_divides(p, a->size[0]);
        m->coef = q;
        if (!++m->f[i].power)
            drop(m, i);
        i = -1;
    }
}

static Term *finish(Prover *p, Product *m)
{
    spread_delta(p, m);
    if (!m->changed) {
        reduce(p, m);
        return term_of_mono(p, m->coef, m->n, m->f);
    }
    Term *t = term_size(p, m->coef);
    for (int i = 0; i < m->n; i++)
        t = term_mul(p, t, term_factor(p, m->f[i].atom, m->f[i].power));
    return t;
}

/* Products too long to look into are atoms. */
static Term *opaque(Prover *p, const Mono *a, const Mono *b)
{
    Term *arg[] = {term_of_mono(p, size_num(1), a->n, a->f),
                   term_of_mono(p, size_num(1), b->n, b->f)};
    Term *t = term_keep(p, (Term){.kind = TERM_fun, .op = OP_mul, .narg = 2,
                                  .arg = arg});
    return term_scale(p, t, size_mul(a->coef, b->coef));
}

static Term *mul_monos(Prover *p, const Mono *a, const Mono *b)
{
    if (a->n + b->n > MAX_PRODUCT)
        return opaque(p, a, b);
    Product *m = xmalloc(sizeof *m);
    m->coef = size_mul(a->coef, b->coef);
    m->n = 0;
    m->changed = false;
    for (int i = 0; i < a->n; i++)
        times(p, m, a->f[i]);
    for (int i = 0; i < b->n; i++)
        times(p, m, b->f[i]);
    Term *t = finish(p, m);
    free(m);
    return t;
}

static void product_at(Term *a, int i, TermFactor *room, Mono *out)
{
    if (a->kind == TERM_poly)
        *out = a->mono[i];
    else
        term_mono(a, out, room);
}

static int products(const Term *a)
{
    return a->kind == TERM_poly ? a->nmono : 1;
}

static void as_factor(Term *a, TermFactor *room, Mono *out)
{
    if (products(a) == 1) {
        product_at(a, 0, room, out);
        return;
    }
    *room = (TermFactor){a, 1};
    *out = (Mono){size_num(1), 1, room};
}

static Term *mul_whole(Prover *p, Term *a, Term *b)
{
    Mono x, y;
    TermFactor room[2];
    as_factor(a, &room[0], &x);
    as_factor(b, &room[1], &y);
    return mul_monos(p, &x, &y);
}

Term *term_mul(Prover *p, Term *a, Term *b)
{
    Term *sum = term_number(p, 0);
    if (products(a) > 1 && products(b) > 1 &&
        products(a) * products(b) > MAX_SUM)
        return mul_whole(p, a, b);
    for (int i = 0; i < products(a); i++)
        for (int j = 0; j < products(b); j++) {
            Mono x, y;
            TermFactor room[2];
            product_at(a, i, &room[0], &x);
            product_at(b, j, &room[1], &y);
            sum = term_add(p, sum, mul_monos(p, &x, &y));
        }
    return sum;
}

Term *term_power(Prover *p, Term *a, int power)
{
    if (power < 0)
        return term_inverse(p, term_power(p, a, -power));
    Term *t = term_number(p, 1);
    for (int i = 0; i < power; i++)
        t = term_mul(p, t, a);
    return t;
}

Term *term_factor(Prover *p, Term *atom, int power)
{
    Mono m;
    TermFactor room;
    if (atom->kind == TERM_poly && (power > 0 || term_mono(atom, &m, &room)))
        return term_power(p, atom, power);
    TermFactor f = {atom, power};
    if (atom->kind == TERM_delta && power > 1)
        f.power = 1;
    return term_of_mono(p, size_num(1), 1, &f);
}

/* 1 / s: a number where that is one term, else an atom. */
static Term *inverse_size(Prover *p, const Size *s)
{
    prover_divides(p, s);
    if (size_is_term(s))
        return term_size(p, size_div(size_num(1), s));
    TermFactor f = {term_keep(p, (Term){.kind = TERM_size,
                                        .nsize = 1,
                                        .size = &s}),
                    -1};
    return term_of_mono(p, size_num(1), 1, &f);
}

static Term *inverse_mono(Prover *p, const Mono *m)
{
    Term *t = inverse_size(p, m->coef);
    for (int i = 0; i < m->n; i++) {
        TermFactor f = {m->f[i].atom, -m->f[i].power};
        Mono one = {size_num(1), 1, &f};
        Term *factor = f.atom->kind == TERM_poly && f.power > 0
                           ? term_power(p, f.atom, f.power)
                           : term_of_mono(p, one.coef, one.n, one.f);
        t = term_mul(p, t, factor);
    }
    return t;
}

Term *term_inverse(Prover *p, Term *a)
{
    Mono m;
    TermFactor room;
    if (term_mono(a, &m, &room))
        return inverse_mono(p, &m);
    if (!a->nmono) { /* 1 / 0: an atom of its own that equals only itself */
        TermFactor f = {a, -1};
        return term_of_mono(p, size_num(1), 1, &f);
    }
    const Size *lead = a->mono[0].coef;
    Term *by = term_number(p, 1);
    if (size_is_term(lead)) {
        by = inverse_size(p, lead);
        a = term_mul(p, a, by);
    }
    TermFactor f = {a, -1};
    return term_mul(p, by, term_of_mono(p, size_num(1), 1, &f));
}

/* ---- division that comes out ---- */

/* a / b as a product, where a has all of b's factors. */
static Term *divide_monos(Prover *p, const Mono *a, const Mono *b)
{
    Product *m = xmalloc(sizeof *m);
    bool ok = true;
    m->coef = a->coef;
    m->changed = false;
    m->n = a->n;
    memcpy(m->f, a->f, (size_t)a->n * sizeof *a->f);
    for (int i = 0; ok && i < b->n; i++) {
        int j = 0, power = b->f[i].power;
        while (j < m->n && (m->f[j].atom != b->f[i].atom ||
                            (m->f[j].power > 0) != (power > 0) ||
                            abs(m->f[j].power) < abs(power)))
            j++;
        ok = j < m->n;
        if (ok && m->f[j].power == power)
            drop(m, j);
        else if (ok)
            m->f[j].power -= power;
    }
    Term *t = ok ? term_of_mono(p, m->coef, m->n, m->f) : NULL;
    free(m);
    return t ? term_mul(p, t, inverse_size(p, b->coef)) : NULL;
}

Term *term_quotient(Prover *p, Term *a, Term *b)
{
    if (!products(b))
        return NULL;
    if (a == b)
        return term_number(p, 1);
    for (int k = 0; k < products(b) && k < 4; k++) {
        Mono lead, x;
        TermFactor room[2];
        Term *sum = term_number(p, 0);
        product_at(b, k, &room[0], &lead);
        for (int i = 0; i < products(a); i++) {
            product_at(a, i, &room[1], &x);
            Term *q = divide_monos(p, &x, &lead);
            if (q)
                sum = term_add(p, sum, q);
        }
        if (products(sum) && term_mul(p, sum, b) == a)
            return sum;
    }
    return NULL;
}
