/* Patterns of rules: for rules*.c and the pass that takes them. */
#pragma once
#include "compiler/prove/term.h"

enum { RULE_NAMES = 6, RULE_KIDS = 6 };

typedef enum {
    PAT_any,      /* term num */
    PAT_constant, /* the same, but without the dims met so far */
    PAT_number,   /* scale */
    PAT_size,     /* of dim num */
    PAT_sum,      /* kids, each times by[] */
    PAT_product,  /* scale times kids, each to the power by[] */
    PAT_fun,      /* op of kids */
    PAT_along,    /* op of kid[0] over dim num */
} PatKind;

struct RulePat {
    PatKind kind;
    Op op;
    int num, n;
    double scale, by[RULE_KIDS];
    RulePat *kid[RULE_KIDS];
};

/* Is it `op(c, K) => ..`: what the op is along dims that its argument lacks? */
bool rule_of_constant(const Rule *r, Op op);
