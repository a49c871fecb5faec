/* Rewriting graphs: for rules_node.c and rules_graph.c only. */
#pragma once
#include "compiler/prove/pattern.h"

/* Multiplications and reads, roughly; T as 512. */
double node_cost(const Node *n);
bool node_positive(const Node *n); /* known to be above 0 */
/* n, or what a rule makes of it for less. */
Node *node_rewrite(const Rules *rules, Graph *g, Node *n);
