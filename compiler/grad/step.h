/* Private to the room: a step being made (step.c), repeats in it (repeat.c)
 * and the bodies that go back (body.c). */
#pragma once
#include "compiler/grad/rules.h"

/* A part of the gradient of a trained weight. */
typedef struct {
    const Weight *weight;
    Node *of;  /* in the step's graph */
    int place; /* along its first dim; -1: it is of the weight alone */
} WeightPart;

typedef struct {
    Arena *arena;
    Graph *g;
    const GradOptions *o;
    LIST(WeightPart) part;
    Err *err;
    bool failed; /* err says why */
} Step;

bool step_trains(const Step *s, const Weight *w);
/* The graph anew, its repeats' tables too: leaves are OP_weight, those of
 * bodies in slots. */
Graph *step_leaves(const Graph *forward, Arena *a);

/* A value of the forward body that the backward has as an input. */
typedef struct {
    Node *of; /* in the forward body */
    const char *name; /* "keep.1.2" */
} Kept;

/* What a backward body puts out for a weight. */
typedef struct {
    int slot;
    const char *name; /* "grad.ffn.gate" */
} BodyGrad;

/* The backward of a forward body, for all passes that want the same of it. */
typedef struct {
    const Graph *from;
    const bool *trained; /* by slot */
    const bool *wanted;  /* by argument of the repeat: does what goes in there
                          * want a gradient? */
    Node *in[MAX_ARGS];  /* the forward's inputs, in the backward */
    Graph *back;
    LIST(Kept) kept;
    LIST(BodyGrad) grad;
} BackBody;

/* A repeat whose gradient is being made. */
typedef struct {
    Step *step;
    Back *above;
    const Node *node;
    Repeat *table; /* its own, which gets what is kept as further results */
    int low;       /* the lowest pass that the backward goes through */
    Node **seed;   /* by further result: its gradient, or NULL */
    LIST(BackBody *) body;
    LIST(struct GradName {
        const char *name;
        Type type;
    }) name; /* of all bodies */
} Looped;

/* The body for a pass, made if there is none that serves; NULL: step failed. */
BackBody *back_body(Looped *l, int pass);
/* The gradient of the repeat: gives to its arguments, notes the weights' parts.
 */
void repeat_back(Back *b, const Node *repeat);
bool repeat_trains(const Back *b, const Node *repeat);
/* The name of a forward input of bodies in a backward one. */
const char *kept_input(const Repeat *r, int arg);
Node *zeros_of(Graph *g, const Type *t, Dtype dtype);
const Node *input_of(const Graph *g, const char *name); /* or NULL */
