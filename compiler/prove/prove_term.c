/* Terms kept once each, and the sums of products they are made of. */
#include "compiler/prove/term.h"
#include <math.h>
#include <string.h>

void prover_init(Prover *p, Arena *a, const ProveEnv *env)
{
    *p = (Prover){.arena = a, .env = env};
    p->fuel = env->fuel ? env->fuel : 200000;
    p->ntable = 4096;
    p->table = arena_alloc(a, (size_t)p->ntable * sizeof *p->table);
    for (int i = 0; env->rules && i < env->rules->rule.n; i++) {
        const Rule *r = &env->rules->rule.at[i];
        if (r->step != STEP_match)
            p->step[r->step] = r;
    }
    for (int i = 0; i < env->nfact; i++)
        prover_fact(p, env->fact[i].size, env->fact[i].low);
}

const Size *prover_size(Prover *p, const Size *s)
{
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < p->env->nequal; i++)
            s = size_subst(s, p->env->equal[i].sym, p->env->equal[i].is);
    return s;
}

/* ---- keeping ---- */

static uint64_t hash_monos(uint64_t h, const Term *t)
{
    for (int i = 0; i < t->nmono; i++) {
        h = hash_bytes(h, &t->mono[i].coef, sizeof(void *));
        for (int j = 0; j < t->mono[i].n; j++) {
            h = hash_bytes(h, &t->mono[i].f[j].atom, sizeof(void *));
            h = hash_bytes(h, &t->mono[i].f[j].power, sizeof(int));
        }
    }
    return h;
}

static uint64_t hash_pointers(uint64_t h, const void *at, int n)
{
    return n ? hash_bytes(h, at, (size_t)n * sizeof(void *)) : h;
}

/* A leaf is known by what it reads, not by the names of its dims. */
static bool is_read(const Node *n)
{
    return !node_args(n) && n->op != OP_number && n->op != OP_scalar;
}

static uint64_t hash_leaf(uint64_t h, const Node *n)
{
    if (!is_read(n))
        return hash_bytes(h, &n, sizeof n);
    h = hash_bytes(h, &n->op, sizeof n->op);
    h = hash_bytes(h, &n->name, sizeof n->name);
    h = hash_bytes(h, &n->size, sizeof n->size);
    return hash_bytes(h, &n->weight, sizeof n->weight);
}

static bool same_leaf(const Node *a, const Node *b)
{
    if (a == b || !is_read(a))
        return a == b;
    if (a->op != b->op || a->name != b->name || a->weight != b->weight ||
        a->slot != b->slot || a->num != b->num || a->size != b->size ||
        !a->type.index_of != !b->type.index_of ||
        (a->type.index_of &&
         a->type.index_of->size != b->type.index_of->size) ||
        a->type.rank != b->type.rank)
        return false;
    for (int i = 0; i < a->type.rank; i++)
        if (a->type.dim[i]->size != b->type.dim[i]->size)
            return false;
    return true;
}

static uint64_t hash_term(const Term *t)
{
    int key[] = {(int)t->kind, (int)t->op, t->num, t->narg, t->nat, t->nbound};
    uint64_t h = hash_bytes(0, key, sizeof key);
    if (t->kind == TERM_leaf)
        h = hash_leaf(h, t->node);
    h = hash_pointers(h, t->arg, t->narg);
    h = hash_pointers(h, t->at, t->nat);
    h = hash_pointers(h, t->bound, t->nbound);
    h = hash_pointers(h, t->size, t->nsize);
    return hash_monos(h, t);
}

/* Do two nodes of one op differ only in arguments, dims and labels? */
static bool same_attributes(const Node *a, const Node *b)
{
    if (a == b)
        return true;
    return a && b && a->op == b->op && a->num == b->num &&
           a->size == b->size && a->name == b->name &&
           a->repeat == b->repeat &&
           (a->rope == b->rope ||
            (a->rope && b->rope && !memcmp(a->rope, b->rope, sizeof(Rope))));
}

static bool same_array(const void *a, const void *b, int n)
{
    return !n || !memcmp(a, b, (size_t)n * sizeof(void *));
}

static bool same_monos(const Term *a, const Term *b)
{
    for (int i = 0; i < a->nmono; i++) {
        const Mono *x = &a->mono[i], *y = &b->mono[i];
        if (x->coef != y->coef || x->n != y->n)
            return false;
        for (int j = 0; j < x->n; j++)
            if (x->f[j].atom != y->f[j].atom || x->f[j].power != y->f[j].power)
                return false;
    }
    return true;
}

static bool same_term(const Term *a, const Term *b)
{
    return a->hash == b->hash && a->kind == b->kind && a->op == b->op &&
           a->num == b->num && a->narg == b->narg && a->nat == b->nat &&
           a->nbound == b->nbound && a->nsize == b->nsize &&
           a->nmono == b->nmono && same_array(a->arg, b->arg, a->narg) &&
           same_array(a->at, b->at, a->nat) &&
           same_array(a->bound, b->bound, a->nbound) &&
           same_array(a->size, b->size, a->nsize) &&
           (a->kind == TERM_leaf ? same_leaf(a->node, b->node)
                                 : same_attributes(a->node, b->node)) &&
           same_monos(a, b);
}

static void *copy(Prover *p, const void *from, int n)
{
    if (!n)
        return NULL;
    return memcpy(arena_alloc(p->arena, (size_t)n * sizeof(void *)), from,
                  (size_t)n * sizeof(void *));
}

typedef LIST(Term *) TermList;

static void add_free(Prover *p, TermList *to, const Term *t)
{
    for (int i = 0; i < t->nfree; i++) {
        int j = 0;
        while (j < to->n && to->at[j]->id < t->free[i]->id)
            j++;
        if (j < to->n && to->at[j] == t->free[i])
            continue;
        list_push(p->arena, to, NULL);
        memmove(&to->at[j + 1], &to->at[j],
                (size_t)(to->n - 1 - j) * sizeof(Term *));
        to->at[j] = t->free[i];
    }
}

static void drop_bound(const Term *t, TermList *list)
{
    int m = 0;
    for (int i = 0; i < list->n; i++) {
        bool bound = false;
        for (int j = 0; j < t->nbound; j++)
            bound |= list->at[i] == t->bound[j];
        if (!bound)
            list->at[m++] = list->at[i];
    }
    list->n = m;
}

/* Fills in free and level; bodies first, so that `at` stays free. */
static void find_free(Prover *p, Term *t)
{
    TermList list = {0};
    int level = 0;
    for (int i = 0; i < t->narg; i++) {
        add_free(p, &list, t->arg[i]);
        level = t->arg[i]->level > level ? t->arg[i]->level : level;
    }
    if (t->kind == TERM_bind)
        level++;
    drop_bound(t, &list);
    for (int i = 0; i < t->nat; i++) {
        add_free(p, &list, t->at[i]);
        level = t->at[i]->level > level ? t->at[i]->level : level;
    }
    for (int i = 0; i < t->nmono; i++)
        for (int j = 0; j < t->mono[i].n; j++) {
            const Term *atom = t->mono[i].f[j].atom;
            add_free(p, &list, atom);
            level = atom->level > level ? atom->level : level;
        }
    t->level = level;
    t->free = list.at;
    t->nfree = list.n;
}

static void copy_monos(Prover *p, Term *t, const Mono *from)
{
    t->mono = arena_alloc(p->arena, (size_t)t->nmono * sizeof(Mono));
    for (int i = 0; i < t->nmono; i++) {
        size_t bytes = (size_t)from[i].n * sizeof(TermFactor);
        t->mono[i] = from[i];
        t->mono[i].f = arena_alloc(p->arena, bytes ? bytes : 1);
        if (bytes)
            memcpy(t->mono[i].f, from[i].f, bytes);
    }
}

static void grow(Prover *p)
{
    int n = p->ntable * 4;
    Term **table = arena_alloc(p->arena, (size_t)n * sizeof *table);
    for (int i = 0; i < p->ntable; i++)
        for (Term *t = p->table[i], *next; t; t = next) {
            next = t->next;
            t->next = table[t->hash % (uint64_t)n];
            table[t->hash % (uint64_t)n] = t;
        }
    p->table = table;
    p->ntable = n;
}

Term *term_keep(Prover *p, Term t)
{
    t.hash = hash_term(&t);
    for (Term *old = p->table[t.hash % (uint64_t)p->ntable]; old;
         old = old->next)
        if (same_term(old, &t))
            return old;
    if (p->nterm > p->ntable)
        grow(p);
    Term *kept = arena_alloc(p->arena, sizeof *kept);
    *kept = t;
    kept->id = p->nterm++;
    kept->arg = copy(p, t.arg, t.narg);
    kept->at = copy(p, t.at, t.nat);
    kept->bound = copy(p, t.bound, t.nbound);
    kept->size = copy(p, t.size, t.nsize);
    kept->names = copy(p, t.names, t.kind == TERM_bind ? t.nbound : !!t.names);
    copy_monos(p, kept, t.mono);
    find_free(p, kept);
    if (t.kind == TERM_var) {
        kept->free = copy(p, &kept, 1);
        kept->nfree = 1;
    }
    Term **head = &p->table[t.hash % (uint64_t)p->ntable];
    kept->next = *head;
    *head = kept;
    p->fuel -= p->fuel > 0;
    return kept;
}

/* ---- variables ---- */

/* num: >= 0 the dim's id; fresh ones below. Canonical ones have op set to
 * their level (prove_bind.c). */
Term *term_var(Prover *p, const Dim *d)
{
    const Size *size = prover_size(p, d->size);
    return term_keep(p, (Term){.kind = TERM_var,
                               .num = d->id,
                               .nsize = 1,
                               .size = &size,
                               .names = &d});
}

Term *term_fresh(Prover *p, const Term *like)
{
    return term_keep(p, (Term){.kind = TERM_var,
                               .num = -++p->nfresh,
                               .nsize = 1,
                               .size = like->size,
                               .names = like->names});
}

bool term_has(const Term *t, const Term *var)
{
    for (int i = 0; i < t->nfree; i++)
        if (t->free[i] == var)
            return true;
    return false;
}

bool term_has_any(const Term *t, int n, Term *const *var)
{
    for (int i = 0; i < n; i++)
        if (term_has(t, var[i]))
            return true;
    return false;
}

/* ---- sums ---- */

/* Decimals are doubles: what 1 - 0.7 - 0.3 leaves is no number. */
static const Size *clean(const Size *sum, const Size *a, const Size *b)
{
    double s, x, y;
    if (!size_is_num(sum, &s) || !size_is_num(a, &x) || !size_is_num(b, &y))
        return sum;
    double scale = fmax(fabs(x), fabs(y)), whole = round(s);
    if (s != whole && fabs(s - whole) < 4e-16 * fmax(scale, 1))
        return size_num(whole);
    return sum;
}

static bool is_zero(const Size *s)
{
    double v;
    return size_is_num(s, &v) && v == 0;
}

static bool is_one(const Size *s)
{
    double v;
    return size_is_num(s, &v) && v == 1;
}

static Term *poly(Prover *p, int n, Mono *mono)
{
    if (n == 1 && mono->n == 1 && mono->f->power == 1 && is_one(mono->coef))
        return mono->f->atom;
    return term_keep(p, (Term){.kind = TERM_poly, .nmono = n, .mono = mono});
}

Term *term_size(Prover *p, const Size *s)
{
    const Size *above, *below;
    s = prover_size(p, s);
    prover_divisors(p, s);
    if (size_over(s, &above, &below))
        return term_mul(p, term_size(p, above),
                        term_inverse(p, term_size(p, below)));
    Mono m = {.coef = s};
    return poly(p, !is_zero(s), &m);
}

Term *term_number(Prover *p, double v)
{
    return term_size(p, size_num(v));
}

bool term_is_size(const Term *t, const Size **s)
{
    if (t->kind != TERM_poly || t->nmono > 1 || (t->nmono && t->mono->n))
        return false;
    *s = t->nmono ? t->mono->coef : size_num(0);
    return true;
}

const Size *term_as_size(const Term *t)
{
    const Size *sum = size_num(0);
    if (t->kind != TERM_poly)
        return NULL;
    for (int i = 0; i < t->nmono; i++) {
        const Mono *m = &t->mono[i];
        const Size *s = m->coef;
        for (int j = 0; j < m->n; j++) {
            if (m->f[j].atom->kind != TERM_size)
                return NULL;
            for (int k = abs(m->f[j].power); k; k--)
                s = m->f[j].power > 0 ? size_mul(s, m->f[j].atom->size[0])
                                      : size_div(s, m->f[j].atom->size[0]);
        }
        sum = size_add(sum, s);
    }
    return sum;
}

bool term_is_number(const Term *t, double *v)
{
    const Size *s;
    return term_is_size(t, &s) && size_is_num(s, v);
}

bool term_mono(const Term *a, Mono *out, TermFactor *room)
{
    if (a->kind == TERM_poly) {
        if (a->nmono == 1)
            *out = a->mono[0];
        return a->nmono == 1;
    }
    *room = (TermFactor){(Term *)a, 1};
    *out = (Mono){size_num(1), 1, room};
    return true;
}

/* The products of a; *one serves where a is an atom. */
static const Mono *monos(const Term *a, Mono *one, TermFactor *room, int *n)
{
    *n = 1;
    if (a->kind != TERM_poly) {
        term_mono(a, one, room);
        return one;
    }
    *n = a->nmono;
    return a->mono;
}

static int by_factors(const Mono *a, const Mono *b)
{
    for (int i = 0; i < a->n && i < b->n; i++) {
        int d = a->f[i].atom->id - b->f[i].atom->id;
        if (!d)
            d = b->f[i].power - a->f[i].power;
        if (d)
            return d;
    }
    return a->n - b->n;
}

Term *term_add(Prover *p, Term *a, Term *b)
{
    Mono one[2];
    TermFactor room[2];
    int na, nb, n = 0;
    const Mono *x = monos(a, &one[0], &room[0], &na),
               *y = monos(b, &one[1], &room[1], &nb);
    Mono *sum = arena_alloc(p->arena, (size_t)(na + nb + 1) * sizeof *sum);
    for (int i = 0, j = 0; i < na || j < nb;) {
        int c = i == na ? 1 : j == nb ? -1 : by_factors(&x[i], &y[j]);
        sum[n] = c > 0 ? y[j] : x[i];
        if (!c)
            sum[n].coef = clean(size_add(x[i].coef, y[j].coef), x[i].coef,
                                y[j].coef);
        i += c <= 0;
        j += c >= 0;
        n += !is_zero(sum[n].coef);
    }
    return poly(p, n, sum);
}

Term *term_scale(Prover *p, Term *a, const Size *by)
{
    Mono one;
    TermFactor room;
    int n, m = 0;
    const Mono *x = monos(a, &one, &room, &n);
    Mono *out = arena_alloc(p->arena, (size_t)(n + 1) * sizeof *out);
    for (int i = 0; i < n; i++) {
        out[m] = x[i];
        out[m].coef = size_mul(x[i].coef, by);
        m += !is_zero(out[m].coef);
    }
    return poly(p, m, out);
}

Term *term_of_mono(Prover *p, const Size *coef, int n, const TermFactor *f)
{
    Mono m = {coef, n, (TermFactor *)f};
    return poly(p, !is_zero(coef), &m);
}
