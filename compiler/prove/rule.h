/* The prover's rules: rules.graft as it is kept. Private to the room. */
#pragma once
#include "compiler/prove/prove.h"

typedef struct RulePat RulePat;
typedef enum {
    STEP_match, /* any other: matched against terms */
    STEP_sum_sum, STEP_sum_factor, STEP_sum_constant, STEP_mean, STEP_cancel,
    STEP_topk_constant, STEP_gather_constant, STEP_gather_each,
    STEP_gather_all,
    /* of the second form (prove_deep.c) */
    STEP_softmax_exp, STEP_exp_sum, STEP_exp_log, STEP_log_exp, STEP_logsumexp,
    STEP_sigmoid_exp, STEP_silu_sigmoid, STEP_rsqrt_sqrt, STEP_sqrt_scale,
    STEP_pow_half, STEP_relu_turned, STEP_relu_scale, STEP_abs_relu,
    STEP_maximum_relu, STEP_minimum_relu, STEP_topk_shift, STEP_topk_scale,
    STEP_topk_exp,
    STEP_COUNT
} Step;

typedef struct {
    const char *name;
    const Ast *ast;
    Step step;
    RulePat *left, *right;
    int positive; /* the name that `where` wants above 0; -1: none */
} Rule;

struct Rules {
    Arena *arena;
    LIST(Rule) rule;
};
