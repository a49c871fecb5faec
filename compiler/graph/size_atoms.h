/* What sizes are made of: for size.c and size_div.c only. */
#pragma once
#include "compiler/graph/graph.h"

typedef enum { ATOM_sym, ATOM_paren, ATOM_min, ATOM_max, ATOM_ceil, ATOM_floor,
               ATOM_sqrt, ATOM_mod, ATOM_pow } AtomKind;

typedef struct {
    const char *text; /* interned: its identity */
    AtomKind kind;
    const Size *arg[2];
} Atom;

typedef struct {
    const Atom *atom;
    int power; /* not 0 */
} Factor;

enum { MAX_FACTORS = 12, MAX_TERMS = 64 };
typedef struct {
    double coef; /* not 0 */
    int nfactor;
    Factor factor[MAX_FACTORS]; /* by the atoms' text */
} Term;

struct Size {
    const char *text;
    int nterm;
    Term *term; /* the constant last, else by text */
};

const Size *size_new(Term *term, int n); /* sorts, adds up, interns */
const Size *size_of_atom(const Atom *a, int power);
