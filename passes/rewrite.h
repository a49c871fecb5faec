/* Private to passes/: what passes know of a node and its arguments alone, and
 * rules of patterns on nodes. */
#pragma once
#include "compiler/prove/pattern.h"

/* ---- algebra.c ---- */

bool is_number(const Node *n, double v); /* also its copies along dims */
/* The argument that n is, but for its dims and float type: x * 1, x + 0, a
 * choice that is known; or NULL. */
Node *same_as_arg(const Node *n);
/* An elementwise op of numbers: its value. */
bool value_of_numbers(const Node *n, double *value);
double rounded_to(Dtype t, double v); /* v as a value of the type */
bool node_positive(const Node *n);    /* known to be above 0 */

/* ---- rewrite.c ---- */

/* Multiplications and reads, roughly; T as 512. */
double node_cost(const Node *n);
/* n, or what a rule makes of it for less. */
Node *node_rewrite(const Rules *rules, Graph *g, Node *n);
/* What a rule `op(c, K) => ..` makes of x along dims that x lacks; NULL: there
 * is no such rule. */
Node *constant_along(const Rules *rules, Graph *g, Op op, Node *x, int n,
                     const Dim *const *dim);
