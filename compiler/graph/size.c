/* Sizes: sums of terms, a term being a number times powers of atoms, an atom
 * an unknown or a function of sizes. The canonical text of a size is its key,
 * so equal sizes are one pointer. */
#include "compiler/graph/size_atoms.h"
#include <math.h>
#include <string.h>

/* Of a size as text: one that is longer is no number. */
enum { MOST_TEXT = 8000 };

/* Of a size as an integer; what is beyond (or no number) counts as this. */
static const double size_most = 0x1p52;

static const char *const atom_name[] = {"",     "",      "min",  "max", "ceil",
                                        "floor", "sqrt", "mod", "pow"};

static Arena arena; /* of all sizes, for the life of the process */
typedef struct Entry {
    const void *value;
    struct Entry *next;
} Entry;
static Entry *bucket[1024];

/* The value kept under an interned key (pointer), or where to put it. */
static const void *kept(const char *key, const char *(*key_of)(const void *))
{
    for (Entry *e = bucket[((uintptr_t)key >> 4) % COUNT(bucket)]; e;
         e = e->next)
        if (key_of(e->value) == key)
            return e->value;
    return NULL;
}

static void keep(const char *key, const void *value)
{
    Entry *e = arena_alloc(&arena, sizeof *e),
          **head = &bucket[((uintptr_t)key >> 4) % COUNT(bucket)];
    *e = (Entry){value, *head};
    *head = e;
}

/* Sizes and atoms are both kept in the table: their text comes first. */
static const char *text_of(const void *value)
{
    return *(const char *const *)value;
}

static void print_number(FILE *out, double v)
{
    char s[40];
    if (v == floor(v) && fabs(v) < 1e15) {
        fprintf(out, "%.0f", v);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, v);
        if (strtod(s, NULL) == v)
            break;
    }
    fputs(s, out);
}

static void print_powers(FILE *out, const Term *t, int sign, bool *first)
{
    for (int i = 0; i < t->nfactor; i++) {
        int p = t->factor[i].power * sign;
        if (p <= 0)
            continue;
        if (sign < 0)
            fprintf(out, "/%s", t->factor[i].atom->text);
        else
            fprintf(out, "%s%s", *first ? "" : "*", t->factor[i].atom->text);
        if (p > 1)
            fprintf(out, "^%d", p);
        *first = false;
    }
}

static void print_term(FILE *out, const Term *t, bool lead)
{
    double c = lead ? t->coef : fabs(t->coef);
    bool above = false, first = true;
    for (int i = 0; i < t->nfactor; i++)
        above |= t->factor[i].power > 0;
    if (above && c == -1) {
        fputc('-', out);
    } else if (!above || c != 1) {
        print_number(out, c);
        first = false;
    }
    print_powers(out, t, 1, &first);
    print_powers(out, t, -1, &first);
}

/* Text of a term without its number: what terms are sorted and joined by. */
static int compare_factors(const Term *a, const Term *b)
{
    if (!a->nfactor || !b->nfactor)
        return b->nfactor - a->nfactor;
    for (int i = 0; i < a->nfactor && i < b->nfactor; i++) {
        int c = strcmp(a->factor[i].atom->text, b->factor[i].atom->text);
        if (c)
            return c;
        if (a->factor[i].power != b->factor[i].power)
            return b->factor[i].power - a->factor[i].power;
    }
    return b->nfactor - a->nfactor;
}

static int by_factors(const void *a, const void *b)
{
    return compare_factors(a, b);
}

/* The size that these terms are, which are sorted and added up. */
static const Size *size_of_terms(const Term *term, int m)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (int i = 0; i < m; i++) {
        if (i)
            fputs(term[i].coef < 0 ? " - " : " + ", out);
        print_term(out, &term[i], !i);
    }
    if (!m)
        fputc('0', out);
    fclose(out);
    const char *key = intern_printf("=%s", text);
    free(text);
    const Size *old = kept(key + 1, text_of);
    if (old)
        return old;
    if (size > MOST_TEXT)
        return size_num(NAN);
    Size *s = arena_alloc(&arena, sizeof *s);
    *s = (Size){key + 1, m, arena_alloc(&arena, (size_t)m * sizeof *term)};
    if (m)
        memcpy(s->term, term, (size_t)m * sizeof *term);
    keep(s->text, s);
    return s;
}

/* Numbers are made again and again; where the last of their kind is kept. */
static const Size **number_at(double v)
{
    static struct {
        double v;
        const Size *size;
    } kept_number[256];
    uint64_t bits;
    v = v == 0 ? 0 : v;
    memcpy(&bits, &v, sizeof bits);
    size_t i = (size_t)((bits * 0x9e3779b97f4a7c15ull) >> 56);
    if (kept_number[i].size && memcmp(&kept_number[i].v, &v, sizeof v))
        kept_number[i].size = NULL;
    kept_number[i].v = v;
    return &kept_number[i].size;
}

const Size *size_new(Term *term, int n)
{
    int m = 0;
    qsort(term, (size_t)n, sizeof *term, by_factors);
    for (int i = 0; i < n; i++) {
        if (m && !compare_factors(&term[m - 1], &term[i]))
            term[m - 1].coef += term[i].coef;
        else
            term[m++] = term[i];
        if (term[m - 1].coef == 0)
            m--;
    }
    const Size **number = m == 0 || (m == 1 && !term->nfactor)
                              ? number_at(m ? term->coef : 0) : NULL;
    if (number && *number)
        return *number;
    const Size *s = size_of_terms(term, m);
    if (number)
        *number = s;
    return s;
}


const Size *size_num(double n)
{
    Term t = {.coef = n};
    return size_new(&t, n != 0);
}

const Size *size_of_atom(const Atom *a, int power)
{
    Term t = {1, 1, {{a, power}}};
    return size_new(&t, 1);
}

static const Atom *atom_of(AtomKind kind, const char *text, const Size *a,
                           const Size *b)
{
    const char *key = intern_printf("@%d%s", kind, text) + 2;
    const Atom *old = kept(key, text_of);
    if (old)
        return old;
    Atom *atom = arena_alloc(&arena, sizeof *atom);
    *atom = (Atom){key, kind, {a, b}};
    keep(key, atom);
    return atom;
}

const Size *size_sym(const char *name)
{
    return size_of_atom(atom_of(ATOM_sym, name, NULL, NULL), 1);
}

static const Size *function(AtomKind kind, const Size *a, const Size *b)
{
    const char *text =
        kind == ATOM_paren
            ? intern_printf("(%s)", a->text)
            : intern_printf("%s(%s%s%s)", atom_name[kind], a->text,
                            b ? ", " : "", b ? b->text : "");
    return size_of_atom(atom_of(kind, text, a, b), 1);
}

const Size *size_add(const Size *a, const Size *b)
{
    Term term[2 * MAX_TERMS];
    if (a->nterm + b->nterm > MAX_TERMS)
        return function(ATOM_paren, a, NULL);
    memcpy(term, a->term, (size_t)a->nterm * sizeof *term);
    memcpy(term + a->nterm, b->term, (size_t)b->nterm * sizeof *term);
    return size_new(term, a->nterm + b->nterm);
}

static bool term_mul(const Term *a, const Term *b, Term *out)
{
    *out = *a;
    out->coef *= b->coef;
    for (int j = 0; j < b->nfactor; j++) {
        int i = 0;
        const char *text = b->factor[j].atom->text;
        while (i < out->nfactor && strcmp(out->factor[i].atom->text, text) < 0)
            i++;
        if (i < out->nfactor && out->factor[i].atom == b->factor[j].atom) {
            out->factor[i].power += b->factor[j].power;
            if (!out->factor[i].power) {
                out->nfactor--;
                memmove(&out->factor[i], &out->factor[i + 1],
                        (size_t)(out->nfactor - i) * sizeof(Factor));
            }
            continue;
        }
        if (out->nfactor == MAX_FACTORS)
            return false;
        memmove(&out->factor[i + 1], &out->factor[i],
                (size_t)(out->nfactor - i) * sizeof(Factor));
        out->factor[i] = b->factor[j];
        out->nfactor++;
    }
    return true;
}

const Size *size_mul(const Size *a, const Size *b)
{
    Term term[MAX_TERMS];
    bool fits = a->nterm * b->nterm <= MAX_TERMS;
    int n = 0;
    for (int i = 0; fits && i < a->nterm; i++)
        for (int j = 0; fits && j < b->nterm; j++)
            fits = term_mul(&a->term[i], &b->term[j], &term[n++]);
    if (fits)
        return size_new(term, n);
    if (a->nterm > 1)
        return size_mul(function(ATOM_paren, a, NULL), b);
    if (b->nterm > 1)
        return size_mul(a, function(ATOM_paren, b, NULL));
    return size_num(NAN); /* of too many factors */
}

const Size *size_sub(const Size *a, const Size *b)
{
    return size_add(a, size_mul(size_num(-1), b));
}

const Size *size_div(const Size *a, const Size *b)
{
    if (a == b && b->nterm)
        return size_num(1);
    if (b->nterm != 1) /* also x / 0, which stays as it is written */
        return b->nterm
                   ? size_mul(a, size_of_atom(
                                     function(ATOM_paren, b, NULL)
                                         ->term[0].factor[0].atom, -1))
                   : size_num(NAN);
    Term inverse = b->term[0];
    inverse.coef = 1 / inverse.coef;
    double na, nb;
    if (size_is_num(a, &na) && size_is_num(b, &nb))
        return size_num(na / nb);
    for (int i = 0; i < inverse.nfactor; i++)
        inverse.factor[i].power *= -1;
    return size_mul(a, size_new(&inverse, 1));
}

bool size_is_num(const Size *s, double *n)
{
    if (s->nterm > 1 || (s->nterm && s->term[0].nfactor))
        return false;
    if (n)
        *n = s->nterm ? s->term[0].coef : 0;
    return true;
}

static double apply(AtomKind kind, double a, double b)
{
    switch (kind) {
    case ATOM_min:   return fmin(a, b);
    case ATOM_max:   return fmax(a, b);
    case ATOM_ceil:  return ceil(a - 1e-9);
    case ATOM_floor: return floor(a + 1e-9);
    case ATOM_sqrt:  return sqrt(a);
    case ATOM_mod:   return a - b * floor(a / b);
    case ATOM_pow:   return pow(a, b);
    case ATOM_paren: return a;
    case ATOM_sym:   break;
    }
    BUG("a size's function of no kind");
}

static const Size *call(AtomKind kind, const Size *a, const Size *b)
{
    double na, nb = 0;
    if (size_is_num(a, &na) && (!b || size_is_num(b, &nb)))
        return size_num(apply(kind, na, nb));
    if ((kind == ATOM_min || kind == ATOM_max) && a == b)
        return a;
    return function(kind, a, b);
}

const Size *size_min(const Size *a, const Size *b)
{
    return call(ATOM_min, a, b);
}

const Size *size_max(const Size *a, const Size *b)
{
    return call(ATOM_max, a, b);
}

const Size *size_ceil(const Size *a)
{
    return call(ATOM_ceil, a, NULL);
}

const Size *size_floor(const Size *a)
{
    return call(ATOM_floor, a, NULL);
}

const Size *size_sqrt(const Size *a)
{
    return call(ATOM_sqrt, a, NULL);
}

const Size *size_mod(const Size *a, const Size *b)
{
    return call(ATOM_mod, a, b);
}

const Size *size_pow(const Size *a, const Size *b)
{
    double n;
    if (!size_is_num(b, &n) || n != floor(n) || fabs(n) > 4 ||
        (n < 0 && a->nterm != 1))
        return call(ATOM_pow, a, b);
    const Size *s = size_num(1);
    for (int i = 0; i < fabs(n); i++)
        s = size_mul(s, a);
    return n < 0 ? size_div(size_num(1), s) : s;
}

double size_lead(const Size *s)
{
    return s->nterm ? s->term[0].coef : 0;
}

bool size_has(const Size *s, const char *sym)
{
    for (int i = 0; i < s->nterm; i++)
        for (int j = 0; j < s->term[i].nfactor; j++) {
            const Atom *a = s->term[i].factor[j].atom;
            if (a->kind == ATOM_sym ? !strcmp(a->text, sym)
                                    : size_has(a->arg[0], sym) ||
                                          (a->arg[1] &&
                                           size_has(a->arg[1], sym)))
                return true;
        }
    return false;
}

const char *size_text(const Size *s)
{
    return s->text;
}

static const Size *atom_subst(const Atom *a, const char *sym, const Size *by)
{
    if (a->kind == ATOM_sym)
        return strcmp(a->text, sym) ? size_of_atom(a, 1) : by;
    const Size *x = size_subst(a->arg[0], sym, by);
    if (a->kind == ATOM_paren)
        return x->nterm == 1 ? x : function(ATOM_paren, x, NULL);
    return call(a->kind, x, a->arg[1] ? size_subst(a->arg[1], sym, by) : NULL);
}

const Size *size_subst(const Size *s, const char *sym, const Size *by)
{
    if (!size_has(s, sym))
        return s;
    const Size *sum = size_num(0);
    for (int i = 0; i < s->nterm; i++) {
        const Size *product = size_num(s->term[i].coef);
        for (int j = 0; j < s->term[i].nfactor; j++) {
            const Factor *f = &s->term[i].factor[j];
            const Size *x = atom_subst(f->atom, sym, by);
            for (int p = abs(f->power); p > 0; p--)
                product = f->power > 0 ? size_mul(product, x)
                                       : size_div(product, x);
        }
        sum = size_add(sum, product);
    }
    return sum;
}

static double atom_value(const Atom *a, int64_t T)
{
    if (a->kind != ATOM_sym)
        return apply(a->kind, size_value(a->arg[0], T),
                     a->arg[1] ? size_value(a->arg[1], T) : 0);
    if (strcmp(a->text, "T"))
        BUG("the value of %s is not known", a->text);
    return (double)T;
}

double size_value(const Size *s, int64_t T)
{
    double sum = 0;
    for (int i = 0; i < s->nterm; i++) {
        double product = s->term[i].coef;
        for (int j = 0; j < s->term[i].nfactor; j++) {
            double x = atom_value(s->term[i].factor[j].atom, T);
            for (int p = abs(s->term[i].factor[j].power); p > 0; p--)
                product = s->term[i].factor[j].power > 0 ? product * x
                                                         : product / x;
        }
        sum += product;
    }
    return sum;
}

int64_t size_at(const Size *s, int64_t T)
{
    double v = size_value(s, T);
    return fabs(v) < size_most ? (int64_t)llround(v)
           : v < 0             ? -(int64_t)size_most
                               : (int64_t)size_most;
}
