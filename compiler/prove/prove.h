/* Room prove: whether two computations are the same one; the rules of algebra
 * that it believes, and graphs rewritten by them. */
#pragma once
#include "dsl/dsl.h"
#include "compiler/graph/graph.h"

/* ---- proofs (prove*.c, rules*.c) ---- */

/* The algebra of a rules.graft, compiled. The prover normalises with it; what
 * is not in it is not believed. */
typedef struct Rules Rules;
Rules *rules_new(Arena *a); /* none yet; lives in `a` */
/* Adds each AST_rule among the file's items. One that says the same as a rule
 * of `known` (NULL: none) is taken as that. False: a rule that cannot be read
 * or matched was reported at its place, and left out. */
bool rules_add(Rules *r, const Ast *file, const Rules *known);
/* Tries each rule on `rounds` sets of random tensors through the interpreter;
 * one whose sides differ is reported at its place (error_at), and dropped.
 * False if any was. */
bool rules_try(Rules *r, int rounds, uint64_t seed);
void rules_join(Rules *r, const Rules *more); /* those of other names */
int rules_count(const Rules *r);

/* A parameter of the transform: an unknown of the sizes. */
typedef struct {
    const char *sym; /* interned */
    double value;    /* its default, tried first; NAN: none */
    bool index;      /* 0, 1, ..: which of a model's layers */
} ProveParam;
typedef struct { /* `when K == E`: K stands for E in all sizes */
    const char *sym;
    const Size *is;
} ProveEqual;

typedef struct {
    Arena *arena; /* what a Proof points to lives here */
    const Rules *rules;
    int nequal, nparam;
    const ProveEqual *equal;
    int nfact, ndivided;
    const SizeFact *fact;       /* beside that dims are at least 1 */
    const Size *const *divided; /* what the text divides by */
    const ProveParam *param; /* unknowns not listed are small whole numbers */
    /* What `require` says of these values; NULL: all are allowed. */
    bool (*allowed)(void *user, int n, const char *const *sym,
                    const double *value);
    void *user;
    const char *name; /* how messages call b: "ffn(x)"; NULL: "the other" */
    int fuel;         /* steps before it gives up; 0: a good number */
    bool untried;     /* normal forms only, nothing is run */
    bool guesses;     /* instances may be none that there are: what differs at
                       * one is not refuted */
} ProveEnv;

typedef enum { PROOF_proved, PROOF_refuted, PROOF_open } ProofResult;
typedef struct {
    ProofResult result;
    int nrule;
    const char **rule;   /* names of those used, in order of first use */
    const char *why;     /* one line: what was found; never NULL */
    const char *factor;  /* a = factor * b: "sum(a, k)"; or NULL */
    const char *uniform; /* that factor where its weights (the router's) are
                          * all 0: "K/E"; or NULL */
    double at_uniform;   /* its value at the defaults; NAN: unknown */
    double low, high;    /* the factor as measured; NAN: not measured */
    const char *instance;   /* of the counterexample: "D = 3, E = 4, T = 5" */
    const char *derivation; /* lines, for `check -v`; never NULL */
    /* max |a - b| / max |b| over the instances tried: in real numbers, in f32,
     * in bf16; NAN: not tried */
    double diff_exact, diff_f32, diff_bf16;
} Proof;
/* Does a compute what b does, whatever the leaves? Two nodes of one graph over
 * the same leaves. */
Proof prove_equal(const ProveEnv *env, Node *a, Node *b);

const Rules *rules_library(void); /* those of the library's rules.graft */
