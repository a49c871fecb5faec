/* Substitution of terms for variables, and of one term for another. */
#include "compiler/prove/term.h"
#include <string.h>

typedef struct {
    Prover *p;
    int n;
    Term *const *from, *const *to; /* variables; or n = 0 and: */
    Term *part, *by;
    bool flat; /* or: 0 for weights and draws */
    struct Memo {
        Term *from, *to;
    } *memo;
    int count, room;
} Subst;

static struct Memo *memo_at(struct Memo *memo, int room, const Term *t)
{
    int i = t->id % room;
    while (memo[i].from && memo[i].from != t)
        i = (i + 1) % room;
    return &memo[i];
}

static void remember(Subst *s, Term *from, Term *to)
{
    if (2 * s->count >= s->room) {
        int room = s->room ? 4 * s->room : 16;
        struct Memo *memo =
            arena_alloc(s->p->arena, (size_t)room * sizeof *memo);
        for (int i = 0; i < s->room; i++)
            if (s->memo[i].from)
                *memo_at(memo, room, s->memo[i].from) = s->memo[i];
        s->memo = memo;
        s->room = room;
    }
    *memo_at(s->memo, s->room, from) = (struct Memo){from, to};
    s->count++;
}

static bool touches(const Subst *s, const Term *t)
{
    if (s->flat)
        return true;
    if (!s->part)
        return term_has_any(t, s->n, s->from);
    for (int i = 0; i < s->part->nfree; i++)
        if (!term_has(t, s->part->free[i]))
            return false;
    return true;
}

static Term *walk(Subst *s, Term *t);

static bool walk_all(Subst *s, int n, Term **from, Term **to)
{
    bool changed = false;
    for (int i = 0; i < n; i++) {
        to[i] = walk(s, from[i]);
        changed |= to[i] != from[i];
    }
    return changed;
}

static Term *walk_poly(Subst *s, Term *t)
{
    bool changed = false;
    for (int i = 0; i < t->nmono; i++)
        for (int j = 0; j < t->mono[i].n; j++)
            changed |= walk(s, t->mono[i].f[j].atom) != t->mono[i].f[j].atom;
    if (!changed)
        return t;
    Term *sum = term_number(s->p, 0);
    for (int i = 0; i < t->nmono; i++) {
        const Mono *m = &t->mono[i];
        Term *x = term_of_mono(s->p, m->coef, 0, NULL);
        for (int j = 0; j < m->n; j++)
            x = term_mul(s->p, x,
                         term_factor(s->p, walk(s, m->f[j].atom),
                                     m->f[j].power));
        sum = term_add(s->p, sum, x);
    }
    return sum;
}

static Term *walk_bind(Subst *s, Term *t)
{
    Term *at[MAX_RANK], *var[MAX_BOUND], *body[MAX_ARGS], *now[MAX_ARGS];
    bool inside = false, changed = walk_all(s, t->nat, t->at, at);
    for (int i = 0; i < t->narg; i++)
        inside |= touches(s, t->arg[i]);
    if (inside) {
        term_open(s->p, t, var, body);
        inside = walk_all(s, t->narg, body, now);
    }
    if (inside)
        return term_bind(s->p, t->op, t->node, t->nbound, var, t->narg, now,
                         t->nat, at);
    if (!changed)
        return t;
    Term copy = *t;
    copy.at = at;
    return term_keep(s->p, copy);
}

static bool is_weight(const Term *t)
{
    Op op = t->node->op;
    return op == OP_weight || op == OP_learned || op == OP_gaussian ||
           op == OP_uniform;
}

static Term *walk_leaf(Subst *s, Term *t)
{
    Term *at[MAX_RANK];
    if (s->flat && is_weight(t))
        return term_number(s->p, 0);
    if (!walk_all(s, t->nat, t->at, at))
        return t;
    Term copy = *t;
    copy.at = at;
    return term_keep(s->p, copy);
}

static Term *walk_var(const Subst *s, Term *t)
{
    for (int i = 0; i < s->n; i++)
        if (s->from[i] == t)
            return s->to[i];
    return t;
}

static Term *rebuilt(Subst *s, Term *t)
{
    Term *arg[MAX_RANK];
    switch (t->kind) {
    case TERM_var:  return walk_var(s, t);
    case TERM_size: return t;
    case TERM_leaf: return walk_leaf(s, t);
    case TERM_poly: return walk_poly(s, t);
    case TERM_bind: return walk_bind(s, t);
    default:        break;
    }
    if (!walk_all(s, t->narg, t->arg, arg))
        return t;
    switch (t->kind) {
    case TERM_fun:   return term_fun(s->p, t->op, t->narg, arg);
    case TERM_delta: return term_delta(s->p, arg[0], arg[1]);
    case TERM_pair:  return term_pair(s->p, t->narg, arg, t->size,
                                      t->names[0]);
    case TERM_part:  return term_part(s->p, arg[0], t->num, t->nsize,
                                      t->size, t->names[0]);
    default:         BUG("a term of no kind");
    }
}

static Term *walk(Subst *s, Term *t)
{
    if (t == s->part)
        return s->by;
    if (!touches(s, t))
        return t;
    if (s->room) {
        const struct Memo *m = memo_at(s->memo, s->room, t);
        if (m->from)
            return m->to;
    }
    Term *to = rebuilt(s, t);
    remember(s, t, to);
    return to;
}

Term *term_subst(Prover *p, Term *t, int n, Term *const *from,
                 Term *const *to)
{
    Subst s = {.p = p, .n = n, .from = from, .to = to};
    return walk(&s, t);
}

Term *term_replace(Prover *p, Term *t, Term *part, Term *by)
{
    Subst s = {.p = p, .part = part, .by = by};
    return walk(&s, t);
}

Term *term_without_weights(Prover *p, Term *t)
{
    Subst s = {.p = p, .flat = true};
    return walk(&s, t);
}
