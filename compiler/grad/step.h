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
    double room; /* bytes left of the options' memory */
    Err *err;
    bool failed; /* err says why */
} Step;

bool step_trains(const Step *s, const Weight *w);
/* The graph anew, its repeats' tables too: leaves are OP_weight, those of
 * bodies in slots. */
Graph *step_leaves(const Graph *forward, Arena *a);

/* A forward body and what backward ones have of it as inputs. */
typedef struct {
    const Graph *from;
    int number;  /* of the repeat's bodies */
    Graph *to;   /* it anew, with what is kept */
    Node **now;  /* by id: from's nodes in it */
    LIST(struct Kept {
        Node *node;       /* of `to` */
        const char *name; /* "keep.1.2" */
    }) kept;
} Forward;

/* What a backward body puts out for a weight. */
typedef struct {
    int slot;
    const char *name; /* "grad.ffn.gate" */
} BodyGrad;

/* The backward of a forward body, for all passes that want the same of it. */
typedef struct {
    Forward *forward;
    int passes;          /* that run it */
    const bool *trained; /* by slot */
    const bool *wanted;  /* by argument of the repeat: does what goes in there
                          * want a gradient? */
    Node *in[MAX_ARGS];  /* the forward's inputs, in the backward */
    Graph *back;
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
    LIST(Forward *) forward;
    LIST(struct GradName {
        const char *name;
        Type type;
    }) name; /* of all bodies */
} Looped;

/* The body for a pass, made if there is none that serves; NULL: step failed. */
BackBody *back_body(Looped *l, int pass);
/* The name under which a node of f->to is kept. */
const char *forward_keep(const Looped *l, Forward *f, Node *n);
/* More is kept, as the options' memory has room for: what costs most to make
 * again for its bytes. Then nothing is in the backward bodies that no output
 * needs. */
void keep_more(Looped *l);
/* The gradient of the repeat: gives to its arguments, notes the weights' parts.
 */
void repeat_back(Back *b, const Node *repeat);
bool repeat_trains(const Back *b, const Node *repeat);
/* The name of a forward input of bodies in a backward one. */
const char *kept_input(const Repeat *r, int arg);
Node *zeros_of(Graph *g, const Type *t, Dtype dtype);
const Node *input_of(const Graph *g, const char *name); /* or NULL */
