/* Claims of equality: both sides in normal form are one term, or a random
 * instance shows that they differ, or neither. What is proved is tried too: a
 * wrong rule must not prove anything. */
#include "compiler/prove/term.h"
#include <math.h>
#include <string.h>

enum { FEW = 6, MANY = 24, BREAKS = 6, SHOWN = 120 };
/* Differences of exact runs: rounding of f64 stays far below. */
static const double EQUAL = 1e-9, DIFFERENT = 1e-7;

static double wider(double a, double b)
{
    return isnan(a) || b > a ? b : a;
}

typedef struct {
    int ran;
    double diff[3], low, high;
    const char *instance; /* of the largest difference */
} Trials;

static void add_trial(Trials *all, const Trial *t)
{
    if (!t->ran)
        return;
    if (!all->ran || t->diff[0] > all->diff[0])
        all->instance = t->instance;
    all->ran++;
    for (int i = 0; i < 3; i++)
        all->diff[i] = wider(all->diff[i], t->diff[i]);
    all->low = fmin(all->low, t->low);
    all->high = fmax(all->high, t->high);
}

/* Few where the outcome is clear: both forms are one, or a difference was
 * found. */
static Trials run_trials(const ProveEnv *env, Node *a, Node *b, bool same)
{
    Trials all = {.diff = {NAN, NAN, NAN}, .low = INFINITY, .high = -INFINITY};
    for (int i = 0; i < MANY && !env->untried; i++) {
        if (i >= (same ? FEW : 2) && (same || all.diff[0] > DIFFERENT))
            break;
        Trial t = prove_trial(env, a, b, NULL, (uint64_t)i);
        add_trial(&all, &t);
    }
    return all;
}

/* b with a's dims for its own, where only their identities differ. */
static Term *aligned(Prover *p, const Node *a, const Node *b, Term *tb)
{
    Term *from[MAX_RANK], *to[MAX_RANK];
    if (!types_align(&a->type, &b->type))
        return tb;
    for (int i = 0; i < a->type.rank; i++) {
        from[i] = term_var(p, b->type.dim[i]);
        to[i] = term_var(p, a->type.dim[i]);
    }
    return term_subst(p, tb, a->type.rank, from, to);
}

static void list_rules(Prover *p, Proof *out)
{
    out->nrule = p->used.n;
    out->rule = arena_alloc(p->env->arena,
                            (size_t)(p->used.n + 1) * sizeof *out->rule);
    for (int i = 0; i < p->used.n; i++)
        out->rule[i] = p->used.at[i]->name;
}

/* Steps, one a line, then both normal forms. */
static const char *derivation(Prover *p, Term *a, Term *b, const char *name)
{
    Arena *arena = p->env->arena;
    const char *text = "";
    for (int i = 0; i < p->derived.n; i++)
        text = arena_printf(arena, "%s  %s = %s    [%s]\n", text,
                            p->derived.at[i].from, p->derived.at[i].to,
                            p->derived.at[i].rule->name);
    return arena_printf(arena, "%s  so it is %s\n  and %s is %s\n", text,
                        term_text(p, a), name, term_text_full(p, b));
}

static const char *provided(Prover *p)
{
    const char *text = "";
    for (int i = 0; i < p->provided.n; i++)
        text = arena_printf(p->env->arena, "%s%s%s is not 0", text,
                            i ? ", " : " where ",
                            size_text(p->provided.at[i]));
    return text;
}

/* ---- the factor between the two ---- */

static double at_defaults(const ProveEnv *env, const Size *s)
{
    double v = NAN;
    for (int i = 0; i < env->nparam; i++)
        if (!isnan(env->param[i].value))
            s = size_subst(s, env->param[i].sym,
                           size_num(env->param[i].value));
    return size_is_num(s, &v) ? v : NAN;
}

static void find_factor(Prover *p, Term *a, Term *b, Proof *out)
{
    Arena *arena = p->env->arena;
    p->quiet = true;
    Term *q = term_quotient(p, a, b);
    if (!q)
        return;
    const char *text = term_text(p, q);
    out->factor = arena_strn(arena, text, strlen(text));
    Term *flat = term_without_weights(p, q);
    const Size *s = flat == q ? NULL : term_as_size(flat);
    if (!s)
        return;
    out->uniform = size_text(s);
    out->at_uniform = at_defaults(p->env, s);
}

static const char *range_text(Arena *a, const Proof *out)
{
    if (!(out->low <= out->high))
        return "";
    return out->high - out->low < 5e-4 * fabs(out->high)
               ? arena_printf(a, "; measured %.4g", out->high)
               : arena_printf(a, "; measured %.4g to %.4g", out->low,
                              out->high);
}

static const char *uniform_text(Arena *a, const Proof *out)
{
    if (!out->uniform)
        return "";
    return isnan(out->at_uniform)
               ? arena_printf(a, "; %s where the router is uniform",
                              out->uniform)
               : arena_printf(a, "; %s = %.4g where the router is uniform",
                              out->uniform, out->at_uniform);
}

static const char *in_parens(Arena *a, const char *factor)
{
    int depth = 0;
    for (const char *c = factor; *c; c++) {
        depth += (*c == '(') - (*c == ')');
        if (!depth && c > factor && (*c == '+' || *c == '-') && c[1] == ' ')
            return arena_printf(a, "(%s)", factor);
    }
    return factor;
}

/* ---- verdicts ---- */

static void proved(Prover *p, const Trials *t, Proof *out)
{
    Arena *a = p->env->arena;
    if (t->ran && t->diff[0] > EQUAL) {
        out->result = p->env->guesses ? PROOF_open : PROOF_refuted;
        out->instance = t->instance;
        out->why = isinf(t->diff[0])
                       ? arena_printf(a, "undefined at %s", t->instance)
                       : arena_printf(
                             a, "the rules say they are equal, but they "
                                "differ by %.2g at %s: one of the rules is "
                                "wrong", t->diff[0], t->instance);
        return;
    }
    out->result = PROOF_proved;
    const char *rules = "";
    for (int i = 0; i < out->nrule; i++)
        rules = arena_printf(a, "%s%s%s", rules, i ? ", " : "",
                             out->rule[i]);
    out->why = arena_printf(a, "equal for all values%s%s%s", provided(p),
                            out->nrule ? ", by " : "", rules);
}

/* Is there an instance where what was divided by is 0, and they differ? */
static bool broken(Prover *p, Node *a, Node *b, Proof *out)
{
    const ProveEnv *env = p->env;
    for (int i = 0; i < p->provided.n && !env->untried; i++)
        for (int seed = 0; seed < BREAKS; seed++) {
            Trial t = prove_trial(env, a, b, p->provided.at[i],
                                  (uint64_t)seed);
            if (!t.ran || !(t.diff[0] > DIFFERENT))
                continue;
            out->result = PROOF_refuted;
            out->instance = t.instance;
            out->diff_exact = t.diff[0];
            out->why = arena_printf(
                env->arena, isinf(t.diff[0])
                                ? "undefined at %s, where %s is 0"
                                : "it differs at %s, where %s is 0",
                t.instance, size_text(p->provided.at[i]));
            return true;
        }
    return false;
}

static void refuted(Prover *p, const Trials *t, Proof *out, const char *name)
{
    Arena *a = p->env->arena;
    out->result = PROOF_refuted;
    out->instance = t->instance;
    if (out->factor)
        out->why = arena_printf(a, "it is %s times %s%s%s",
                                in_parens(a, out->factor), name,
                                uniform_text(a, out), range_text(a, out));
    else if (isinf(t->diff[0]))
        out->why = arena_printf(a, "undefined at %s", t->instance);
    else
        out->why = arena_printf(a, "it differs from %s by up to %.3g of the "
                                   "largest value, at %s", name, t->diff[0],
                                t->instance);
}

static void open(Prover *p, const Trials *t, Proof *out, Term *a, Term *b)
{
    Term *d = term_add(p, a, term_scale(p, b, size_num(-1)));
    const char *text = term_text(p, d);
    bool cut = strlen(text) > SHOWN; /* -v has all of it */
    const char *rest =
        !p->fuel ? "the terms grew too large"
                 : arena_printf(p->arena, "%.*s%s is not known to be 0",
                                cut ? SHOWN : -1, text, cut ? " .." : "");
    out->result = PROOF_open;
    out->why =
        t->ran ? arena_printf(p->env->arena, "no difference in %d random "
                              "instances, but %s", t->ran, rest)
               : arena_printf(p->env->arena, "no instance could be run, and "
                              "%s", rest);
}

/* Are they one in the second normal form? Its rules are added to those used.*/
static bool equal_deep(Prover *p, Node *a, Node *b)
{
    Prover q;
    prover_init(&q, p->arena, p->env);
    q.deep = q.quiet = true;
    q.fuel = q.fuel < 60000 ? q.fuel : 60000;
    prover_dims(&q, a);
    prover_dims(&q, b);
    Term *tb = aligned(&q, a, b, term_of_node(&q, b));
    if (term_of_node(&q, a) != tb || !q.fuel)
        return false;
    for (int i = 0; i < q.used.n; i++)
        list_push(p->arena, &p->used, q.used.at[i]);
    for (int i = 0; i < q.provided.n; i++)
        list_push(p->arena, &p->provided, q.provided.at[i]);
    return true;
}

Proof prove_equal(const ProveEnv *env, Node *a, Node *b)
{
    Arena scratch = {0};
    Prover p;
    Proof out = {.at_uniform = NAN, .low = NAN, .high = NAN};
    const char *name = env->name ? env->name : "the other";
    prover_init(&p, &scratch, env);
    prover_dims(&p, a);
    prover_dims(&p, b);
    for (int i = 0; i < env->ndivided; i++)
        prover_divides(&p, env->divided[i]);
    Term *tb = aligned(&p, a, b, term_of_node(&p, b));
    Label l = {tb, name};
    if (tb->kind == TERM_bind || tb->kind == TERM_poly)
        list_push(&scratch, &p.label, l);
    Term *ta = term_of_node(&p, a);
    bool same = ta == tb;
    Trials t = run_trials(env, a, b, same);
    if (!same && !(t.diff[0] > DIFFERENT) && p.fuel)
        same = equal_deep(&p, a, b);
    out.diff_exact = t.diff[0];
    out.diff_f32 = t.diff[1];
    out.diff_bf16 = t.diff[2];
    list_rules(&p, &out);
    out.derivation = derivation(&p, ta, tb, name);
    if (same) {
        if (env->guesses || !broken(&p, a, b, &out))
            proved(&p, &t, &out);
    } else if (t.ran && t.diff[0] > DIFFERENT && !env->guesses) {
        out.low = t.low;
        out.high = t.high;
        if (!isinf(t.diff[0]))
            find_factor(&p, ta, tb, &out);
        refuted(&p, &t, &out, name);
    } else {
        open(&p, &t, &out, ta, tb);
    }
    arena_free(&scratch);
    return out;
}
