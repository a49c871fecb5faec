/* Private to type*.c: type rules that stand in files of their own, and what
 * they share. A rule returns why it refuses, or NULL with *out filled in. */
#pragma once
#include "compiler/graph/graph.h"

/* Two float types give the wider (bf16 with f16: f32); others count as f32. */
Dtype type_wider(Dtype a, Dtype b);

const char *rule_cut(const Node *n, Type *out);
const char *rule_join(const Node *n, Type *out);
const char *rule_attend(const Node *n, Type *out);
const char *rule_collect(const Node *n, Type *out);
const char *rule_nll(const Node *n, Type *out);
const char *rule_nll_dx(const Node *n, Type *out);
const char *rule_nll_dw(const Node *n, Type *out);
const char *rule_attend_lse(const Node *n, Type *out);
const char *rule_attend_back(const Node *n, Type *out);
const char *rule_round_random(const Node *n, Type *out);
