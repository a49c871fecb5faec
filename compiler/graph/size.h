/* Integers and other scalars known before run time (size*.c). */
#pragma once
#include "base/base.h"

/* ---- sizes (size.c): integers and other scalars known before run time ----
 * Polynomials over parameters (D, E, rate, T), with min, max, ceil, floor and
 * such as atoms. Interned for the life of the process: equal ones are one
 * pointer. An unknown stands for a positive number. */

typedef struct Size Size;
const Size *size_num(double n);
const Size *size_sym(const char *name); /* "T" is known at run time only */
const Size *size_add(const Size *a, const Size *b);
const Size *size_sub(const Size *a, const Size *b);
const Size *size_mul(const Size *a, const Size *b);
const Size *size_div(const Size *a, const Size *b); /* the real quotient */
const Size *size_pow(const Size *a, const Size *b);
const Size *size_mod(const Size *a, const Size *b);
const Size *size_min(const Size *a, const Size *b);
const Size *size_max(const Size *a, const Size *b);
const Size *size_ceil(const Size *a);
const Size *size_floor(const Size *a);
const Size *size_sqrt(const Size *a);
bool size_is_num(const Size *s, double *n); /* no unknown; n may be NULL */
double size_lead(const Size *s); /* the number of its first term */
bool size_has(const Size *s, const char *sym);
const char *size_text(const Size *s); /* "E - 1"; interned */
const Size *size_subst(const Size *s, const char *sym, const Size *by);
/* The value with T given (BUG if another unknown is left); size_at rounds. */
double size_value(const Size *s, int64_t T);
int64_t size_at(const Size *s, int64_t T);
bool size_is_term(const Size *s); /* a number times powers, not a sum */
bool size_positive(const Size *s); /* above 0 if its unknowns are */
/* What s is at least (strict: is above), by what `of` says of its unknowns. */
typedef struct {
    double at;
    bool strict;
} SizeLow;
typedef struct { /* size is at least low */
    const Size *size;
    SizeLow low;
} SizeFact;
SizeLow size_low(const Size *s, SizeLow (*of)(void *user, const char *sym),
                 void *user);
/* Calls visit for each unknown, some more than once. */
void size_symbols(const Size *s, void (*visit)(void *user, const char *sym),
                  void *user);
/* ... for what s has in a denominator. */
void size_divisors(const Size *s, void (*visit)(void *user, const Size *by),
                   void *user);
const Size *size_quotient(const Size *a, const Size *b); /* exact, or NULL */
/* s = above / below, if it has a quotient by a sum. */
bool size_over(const Size *s, const Size **above, const Size **below);
