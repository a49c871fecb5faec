/* The prover's terms. A term is what a node computes at one place: a function
 * of index variables, one for each dim it has. A term without a dim stands for
 * its copies along it, so expand, order, casts and stop() leave no trace, and
 * gather is the substitution of an index term for a variable.
 *
 * Terms are kept in one normal form and hash-consed: equal terms are one
 * pointer. Sums of products are polynomials over atoms with Sizes for numbers;
 * a sum over dims binds variables over one product whose factors hang
 * together (what does not has been moved out). Bound variables are canonical,
 * named by the height of their binder: terms that differ only in the names of
 * bound variables are one pointer too. */
#pragma once
#include "compiler/interp/interp.h"
#include "compiler/prove/prove.h"
#include "compiler/prove/rule.h"

typedef struct Term Term;
typedef enum {
    TERM_var,   /* an index: of a dim, fresh, or bound (canonical) */
    TERM_leaf,  /* node: a tensor nobody looks into, read at[] */
    TERM_poly,  /* sum of mono[]; none: 0 */
    TERM_size,  /* a Size as an atom: for quotients that do not come out */
    TERM_fun,   /* op of arg[], elementwise */
    TERM_bind,  /* op over bound[] of the bodies arg[], read at[] */
    TERM_delta, /* 1 where the indices arg[0] and arg[1] are equal, else 0 */
    TERM_pair,  /* the index made of arg[], which range over size[] */
    TERM_part,  /* coordinate num of arg[0], which is made of size[] */
} TermKind;

typedef struct {
    Term *atom; /* no product, and no number */
    int power;  /* not 0; x and 1/x may both be there (x may be 0) */
} TermFactor;

typedef struct {
    const Size *coef; /* not 0 */
    int n;
    TermFactor *f; /* by id, then power */
} Mono;

struct Term {
    TermKind kind;
    Op op;
    int id, num;
    int level;        /* height of its binders */
    const Node *node; /* a leaf; the attributes of a binder */
    int narg, nat, nbound, nsize, nmono, nfree;
    Term **arg, **at, **bound;
    const Size **size;
    Mono *mono;
    Term **free;       /* variables, by id */
    const Dim **names; /* of bound, or of a variable: for printing only */
    uint64_t hash;
    Term *next;
};

enum { MAX_BOUND = 12 };

typedef struct {
    const Rule *rule;
    const char *from, *to;
} Derived; /* one step, as text */

typedef struct {
    Term *term;
    const char *text;
} Label; /* what the text calls a term */

typedef struct {
    const char *sym;
    SizeLow low;
} SymbolLow;

typedef struct Prover {
    Arena *arena;
    const ProveEnv *env;
    const Rule *step[STEP_COUNT]; /* those the normal form is made of */
    Term **table;
    int ntable, nterm, nfresh;
    int depth; /* of rules within rules */
    int fuel; /* falls; at 0 nothing more is rewritten */
    bool quiet; /* steps are not recorded */
    bool deep;  /* the second normal form */
    LIST(const Rule *) used;
    LIST(Derived) derived;
    LIST(Label) label;
    LIST(SizeFact) fact;    /* of sizes (prove_sign.c) */
    LIST(SymbolLow) bound;  /* what follows of single unknowns */
    LIST(const Size *) provided; /* divided by, though it may be 0 */
} Prover;

void prover_init(Prover *p, Arena *a, const ProveEnv *env);

/* ---- prove_term.c: keeping, polynomials ---- */
Term *term_keep(Prover *p, Term t); /* arrays are copied */
Term *term_size(Prover *p, const Size *s);
Term *term_number(Prover *p, double v);
bool term_is_size(const Term *t, const Size **s); /* no atoms */
const Size *term_as_size(const Term *t); /* quotients too; or NULL */
bool term_is_number(const Term *t, double *v);
Term *term_var(Prover *p, const Dim *d);
Term *term_fresh(Prover *p, const Term *like); /* its size and name */
Term *term_add(Prover *p, Term *a, Term *b);
Term *term_scale(Prover *p, Term *a, const Size *by);
Term *term_of_mono(Prover *p, const Size *coef, int n, const TermFactor *f);
/* a as one product; false if it is a sum (or 0). */
bool term_mono(const Term *a, Mono *out, TermFactor *room);
bool term_has(const Term *t, const Term *var);
bool term_has_any(const Term *t, int n, Term *const *var);
const Size *prover_size(Prover *p, const Size *s); /* with `when` put in */

/* ---- prove_mul.c: products and quotients ---- */
Term *term_mul(Prover *p, Term *a, Term *b);
Term *term_inverse(Prover *p, Term *a);
Term *term_power(Prover *p, Term *a, int power);
Term *term_factor(Prover *p, Term *atom, int power);
/* q with a = q * b, found by dividing each product; or NULL. */
Term *term_quotient(Prover *p, Term *a, Term *b);

/* ---- prove_sign.c: what is above 0 ---- */
bool term_positive(Prover *p, const Term *t); /* known to be above 0 */
bool prover_positive(Prover *p, const Size *s);
void prover_fact(Prover *p, const Size *s, SizeLow low); /* s is at least low */
void prover_dims(Prover *p, const Node *n); /* of n and below: 1 or more */
/* Notes that something is divided by a size that may be 0. */
void prover_divides(Prover *p, const Size *by);
void prover_divisors(Prover *p, const Size *s); /* by what s divides */

/* ---- prove_bind.c: functions, binders, substitution ---- */
Term *term_fun(Prover *p, Op op, int n, Term **arg);
Term *term_delta(Prover *p, Term *a, Term *b);
/* The index of `whole` made of arg[]; coordinate num, of dim `part`. */
Term *term_pair(Prover *p, int n, Term **arg, const Size **size,
                const Dim *whole);
Term *term_part(Prover *p, Term *a, int num, int n, const Size **size,
                const Dim *part);
/* Binds open variables var[] of the bodies. `at` stand for the first nat of
 * them where the op keeps those (softmax), for the new dim of topk. */
Term *term_bind(Prover *p, Op op, const Node *node, int n, Term **var,
                int nbody, Term **body, int nat, Term **at);
/* The same, with no rule tried. */
Term *bind_keep(Prover *p, Op op, const Node *node, int n, Term **var,
                int nbody, Term **body, int nat, Term **at);
/* Fresh variables for those bound, and the bodies with them. */
void term_open(Prover *p, const Term *t, Term **var, Term **body);
/* The bodies with var[] for those bound (var[] free nowhere in t). */
void term_open_with(Prover *p, const Term *t, Term *const *var, Term **body);

/* ---- prove_deep.c: steps of the second form; NULL: none ---- */
Term *deep_fun(Prover *p, Op op, Term **arg);
Term *deep_bind(Prover *p, Op op, int n, Term **var, Term **body, Term **at);
/* What orders the elements of body as it does. */
Term *deep_topk_body(Prover *p, Term *var, Term *body);
/* Takes a factor out of the arguments, which is returned. */
Term *deep_linear(Prover *p, Op op, Term **body);

/* ---- prove_subst.c ---- */
Term *term_subst(Prover *p, Term *t, int n, Term *const *from,
                 Term *const *to); /* at once; `from` are variables */
Term *term_replace(Prover *p, Term *t, Term *part, Term *by); /* any term */
Term *term_without_weights(Prover *p, Term *t); /* all of them 0 */

/* ---- prove_sum.c: the normal form of sums over dims ---- */
Term *term_sum(Prover *p, int n, Term **var, Term *body);

/* ---- prove_graph.c: what nodes compute ---- */
Term *term_of_node(Prover *p, Node *n);

/* ---- rules_match.c: rules of patterns ---- */
/* The result of the first rule that matches the binder to be (its variables
 * open) or the function; NULL: none. */
Term *rules_rewrite(Prover *p, Op op, int n, Term **var, int nbody,
                    Term **body);
bool rule_compile(Arena *a, Rule *r); /* false: reported */

/* ---- prove_print.c ---- */
const char *term_text(Prover *p, const Term *t);
const char *term_text_full(Prover *p, const Term *t); /* not by its name */
/* Two lists of steps: the rule was used; from and to may be NULL. */
void prover_used(Prover *p, const Rule *r);
void prover_step(Prover *p, const Rule *r, const char *from, const Term *to);
const char *prover_sum_text(Prover *p, Op op, int n, Term **var, int nbody,
                            Term **body);

/* ---- prove_try.c: random instances ---- */
typedef struct {
    bool ran;
    double diff[3]; /* exact, f32, bf16: max |a - b| / max |b| */
    double low, high; /* of a / b where b is not near 0 */
    const char *instance;
} Trial;
/* Runs a and b at sizes and leaves drawn from `seed`, such that `zero` (or
 * NULL) is 0. */
Trial prove_trial(const ProveEnv *env, Node *a, Node *b, const Size *zero,
                  uint64_t seed);
/* Two types some of whose dims differ, in place, in identity only. */
bool types_align(const Type *a, const Type *b);
/* max |a - b| / max |b|, dims matched, copies along those that one lacks;
 * worst[2]: the two values there. */
double tensors_differ(const Tensor *a, const Tensor *b, double *worst);
