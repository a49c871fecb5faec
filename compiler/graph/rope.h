/* Rotary positions: what a config says of them. Through graph.h. */
#pragma once
#include "compiler/graph/size.h"

typedef enum {
    ROPE_default,
    ROPE_linear,
    ROPE_llama3,
    ROPE_yarn,
    ROPE_dynamic,
    ROPE_longrope
} RopeKind;
typedef struct {
    double theta;
    int rotary; /* leading elements of a head that turn; the rest pass */
    double pairs; /* 1: elements 2j and 2j + 1 turn together */
    double back;  /* 1: the other way, as the gradient turns */
    RopeKind kind;
    double factor, low, high, original;     /* as in Hugging Face configs */
    double beta_fast, beta_slow, attention; /* yarn; longrope's attention */
    double uncut;  /* yarn: the blend's ends are not rounded where it is 1 */
    double length; /* dynamic: tokens of the text; 0: no more than original */
    const char *divisor; /* longrope: of each frequency, "1 1.5"; interned */
    const Size *scaling, *share; /* what is not known of them; or NULL */
} Rope;
/* Fills inv_freq[rotary / 2]; *scale multiplies cos and sin (1 but for yarn
 * and longrope). Elements j and j + rotary / 2 (or 2j and 2j + 1) turn
 * together, by pos * inv_freq[j]; back: inv_freq is below 0. */
void rope_frequencies(const Rope *r, double *inv_freq, double *scale);
