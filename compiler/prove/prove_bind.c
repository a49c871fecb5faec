/* Functions and binders as terms, and substitution into them. */
#include "compiler/prove/pattern.h"
#include <math.h>
#include <string.h>

/* ---- elementwise functions ---- */

/* The value of numbers alone, where a double has it exactly. */
static Term *fold(Prover *p, Op op, int n, Term **arg)
{
    double v[3] = {0};
    for (int i = 0; i < n; i++)
        if (!term_is_number(arg[i], &v[i]))
            return NULL;
    unsigned is = op_info[op].flags;
    if (!(is & IS_exact) && !(n == 1 && v[0] == 0 && (is & IS_exact_at_0)))
        return NULL;
    return term_number(p, op_value(op, v[0], v[1], v[2]));
}

static Term *power(Prover *p, Term *a, const Term *b)
{
    double n;
    if (!term_is_number(b, &n) || n != floor(n) || fabs(n) > 4)
        return NULL;
    return term_power(p, a, (int)n);
}

/* Quotients that come out are taken whole, so that a sum cancels too. */
static Term *quotient(Prover *p, Term *a, Term *b)
{
    const Rule *r = p->step[STEP_cancel];
    const Size *s;
    if (r && b->kind == TERM_poly && b->nmono > 1 && !term_is_size(b, &s) &&
        term_positive(p, b)) {
        Term *q = term_quotient(p, a, b);
        if (q) {
            prover_step(p, r,
                        arena_printf(p->arena, "%s / %s", term_text(p, a),
                                     term_text(p, b)), q);
            return q;
        }
    }
    return term_mul(p, a, term_inverse(p, b));
}

static Term *choice(Term **arg)
{
    double c;
    if (arg[1] == arg[2])
        return arg[1];
    if (term_is_number(arg[0], &c))
        return c != 0 ? arg[1] : arg[2];
    return NULL;
}

/* x >= y (or x > y) where it is known: they are the same, or x is a draw from
 * [0, 1) and y a number. */
static Term *ordered(Prover *p, const Term *x, const Term *y, bool equal)
{
    double v;
    bool drawn = x->kind == TERM_leaf && x->node->op == OP_uniform;
    if (x == y)
        return term_number(p, equal);
    if (drawn && term_is_number(y, &v) && (v < 0 || (v == 0 && equal)))
        return term_number(p, 1);
    if (drawn && term_is_number(y, &v) && v >= 1)
        return term_number(p, 0);
    return NULL;
}

/* What is algebra, or a choice that is known; else NULL. */
static Term *simple(Prover *p, Op op, Term **arg)
{
    switch (op) {
    case OP_cast:
    case OP_stop: return arg[0];
    case OP_neg:  return term_scale(p, arg[0], size_num(-1));
    case OP_add:  return term_add(p, arg[0], arg[1]);
    case OP_sub:  return term_add(p, arg[0],
                                  term_scale(p, arg[1], size_num(-1)));
    case OP_mul:  return term_mul(p, arg[0], arg[1]);
    case OP_div:  return quotient(p, arg[0], arg[1]);
    case OP_pow:  return power(p, arg[0], arg[1]);
    case OP_select: return choice(arg);
    case OP_minimum:
    case OP_maximum: return arg[0] == arg[1] ? arg[0] : NULL;
    case OP_eq: return arg[0] == arg[1] ? term_number(p, 1) : NULL;
    case OP_ne: return arg[0] == arg[1] ? term_number(p, 0) : NULL;
    case OP_le: return ordered(p, arg[1], arg[0], true);
    case OP_ge: return ordered(p, arg[0], arg[1], true);
    case OP_lt: return ordered(p, arg[1], arg[0], false);
    case OP_gt: return ordered(p, arg[0], arg[1], false);
    default: return NULL;
    }
}

Term *term_fun(Prover *p, Op op, int n, Term **given)
{
    Term *arg[MAX_ARGS] = {0};
    memcpy(arg, given, (size_t)n * sizeof *arg);
    Term *t = simple(p, op, arg);
    if ((op_info[op].flags & IS_commutative) && arg[0]->id > arg[1]->id) {
        arg[0] = given[1];
        arg[1] = given[0];
    }
    if (!t)
        t = fold(p, op, n, arg);
    if (!t && p->deep && p->fuel)
        t = deep_fun(p, op, arg);
    if (!t && p->fuel)
        t = rules_rewrite(p, op, 0, NULL, n, arg);
    return t ? t : term_keep(p, (Term){.kind = TERM_fun, .op = op,
                                       .narg = n, .arg = arg});
}

/* ---- indices ---- */

Term *term_delta(Prover *p, Term *a, Term *b)
{
    double x, y;
    if (a == b)
        return term_number(p, 1);
    if (term_is_number(a, &x) && term_is_number(b, &y) && x != y)
        return term_number(p, 0);
    bool swap = b->kind != TERM_var && a->kind == TERM_var;
    if ((a->kind == TERM_var) == (b->kind == TERM_var))
        swap = a->id > b->id;
    Term *arg[] = {swap ? b : a, swap ? a : b};
    return term_keep(p, (Term){.kind = TERM_delta, .narg = 2, .arg = arg});
}

Term *term_pair(Prover *p, int n, Term **arg, const Size **size,
                const Dim *whole)
{
    bool parts = true;
    for (int i = 0; i < n; i++)
        parts = parts && arg[i]->kind == TERM_part && arg[i]->num == i &&
                arg[i]->nsize == n && arg[i]->arg[0] == arg[0]->arg[0] &&
                !memcmp(arg[i]->size, size, (size_t)n * sizeof *size);
    if (parts)
        return arg[0]->arg[0];
    return term_keep(p, (Term){.kind = TERM_pair, .narg = n, .arg = arg,
                               .nsize = n, .size = size, .names = &whole});
}

Term *term_part(Prover *p, Term *a, int num, int n, const Size **size,
                const Dim *part)
{
    if (a->kind == TERM_pair && a->nsize == n &&
        !memcmp(a->size, size, (size_t)n * sizeof *size))
        return a->arg[num];
    return term_keep(p, (Term){.kind = TERM_part, .num = num, .narg = 1,
                               .arg = &a, .nsize = n, .size = size,
                               .names = &part});
}

/* ---- binders ---- */

typedef struct {
    Prover *p;
    int n, nbody, tries, level;
    Term **var, **body;
    int best[MAX_BOUND], now[MAX_BOUND];
    int key[MAX_ARGS]; /* ids of the bodies in the best order */
    bool any;
} Order;

static Term *canonical(Prover *p, int level, int num, const Term *var)
{
    return term_keep(p, (Term){.kind = TERM_var, .op = (Op)level, .num = num,
                               .nsize = 1, .size = var->size,
                               .names = var->names});
}

/* The bodies with the variables in this order made canonical. */
static void close_bodies(Order *o, const int *order, Term **out, Term **bound)
{
    Term *from[MAX_BOUND];
    for (int i = 0; i < o->n; i++) {
        from[i] = o->var[order[i]];
        bound[i] = canonical(o->p, o->level, i, from[i]);
    }
    for (int i = 0; i < o->nbody; i++)
        out[i] = term_subst(o->p, o->body[i], o->n, from, bound);
}

static void try_order(Order *o)
{
    Term *out[MAX_ARGS], *bound[MAX_BOUND];
    close_bodies(o, o->now, out, bound);
    int c = o->any ? 0 : -1;
    for (int i = 0; i < o->nbody && !c; i++)
        c = out[i]->id - o->key[i];
    if (c >= 0)
        return;
    o->any = true;
    memcpy(o->best, o->now, sizeof o->best);
    for (int i = 0; i < o->nbody; i++)
        o->key[i] = out[i]->id;
}

/* All orders in which sizes do not fall (by text), as long as they are few. */
static void orders(Order *o, int at)
{
    if (at == o->n) {
        o->tries++;
        try_order(o);
        return;
    }
    for (int i = 0; i < o->n && o->tries < 24; i++) {
        bool ok = true;
        for (int j = 0; j < at; j++)
            ok = ok && o->now[j] != i;
        for (int j = 0; ok && j < o->n; j++) {
            bool taken = j == i;
            for (int k = 0; k < at; k++)
                taken |= o->now[k] == j;
            ok = taken || strcmp(size_text(o->var[i]->size[0]),
                                 size_text(o->var[j]->size[0])) <= 0;
        }
        if (!ok)
            continue;
        o->now[at] = i;
        orders(o, at + 1);
    }
}

/* Do the dims stay? */
static bool at_var(Op op)
{
    return op_info[op].class == CLASS_along;
}

Term *bind_keep(Prover *p, Op op, const Node *node, int n, Term **var,
                int nbody, Term **body, int nat, Term **at)
{
    Order o = {.p = p, .n = n, .nbody = nbody, .var = var, .body = body};
    Term *out[MAX_ARGS], *bound[MAX_BOUND], *where[MAX_RANK];
    const Dim *names[MAX_BOUND];
    if (n > MAX_BOUND)
        BUG("a sum over more than %d dims in a proof", MAX_BOUND);
    for (int i = 0; i < nbody; i++)
        o.level = body[i]->level > o.level ? body[i]->level : o.level;
    o.level++;
    for (int i = 0; i < n; i++)
        o.best[i] = i;
    if (op_info[op].over > 1 && n > 1)
        orders(&o, 0);
    close_bodies(&o, o.best, out, bound);
    for (int i = 0; i < nat; i++)
        where[i] = at[at_var(op) ? o.best[i] : i];
    for (int i = 0; i < n; i++)
        names[i] = var[o.best[i]]->names[0];
    return term_keep(p, (Term){.kind = TERM_bind, .op = op, .node = node,
                               .nbound = n, .bound = bound, .names = names,
                               .narg = nbody, .arg = out, .nat = nat,
                               .at = where});
}

/* A largest element over dims the body lacks is the body. */
static int needed(Prover *p, Op op, int n, Term **var, Term *body, Term **out)
{
    int m = 0;
    const Rule *r = NULL;
    for (int i = 0; op == OP_max && p->env->rules &&
                    i < p->env->rules->rule.n; i++)
        if (rule_of_constant(&p->env->rules->rule.at[i], op))
            r = &p->env->rules->rule.at[i];
    for (int i = 0; i < n; i++)
        if (!r || term_has(body, var[i]))
            out[m++] = var[i];
    if (m && m < n)
        prover_used(p, r);
    return m ? m : (memcpy(out, var, (size_t)n * sizeof *var), n);
}

Term *term_bind(Prover *p, Op op, const Node *node, int n, Term **var,
                int nbody, Term **body, int nat, Term **at)
{
    Term *use[MAX_BOUND], *rewritten = NULL, *first = body[0];
    if (op == OP_sum)
        return term_sum(p, n, var, body[0]);
    if (p->deep && p->fuel && op == OP_topk)
        body = (rewritten = deep_topk_body(p, var[0], first), &rewritten);
    else if (p->deep && p->fuel)
        rewritten = deep_bind(p, op, n, var, body, at);
    if (rewritten && op != OP_topk)
        return rewritten;
    if (n > MAX_BOUND)
        BUG("%s over more than %d dims in a proof", op_info[op].name,
            MAX_BOUND);
    n = needed(p, op, n, var, body[0], use);
    Term *t = p->fuel && (nat == 0 || at_var(op))
                  ? rules_rewrite(p, op, n, use, nbody, body)
                  : NULL;
    if (t)
        return nat ? term_subst(p, t, n, use, at) : t;
    return bind_keep(p, op, node, n, use, nbody, body, nat, at);
}

void term_open_with(Prover *p, const Term *t, Term *const *var, Term **body)
{
    for (int i = 0; i < t->narg; i++)
        body[i] = term_subst(p, t->arg[i], t->nbound, t->bound, var);
}

void term_open(Prover *p, const Term *t, Term **var, Term **body)
{
    for (int i = 0; i < t->nbound; i++) {
        Term like = {.size = t->bound[i]->size, .names = &t->names[i]};
        var[i] = term_fresh(p, &like);
    }
    term_open_with(p, t, var, body);
}
