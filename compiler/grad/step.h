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
    int *uses; /* by trained weight: places that read it */
    LIST(struct StepState {
        const Weight *of;
        const char *name;   /* "m"; interned */
        const Weight *leaf; /* that holds it */
    }) state;
    LIST(struct Fresh {
        GradNew new; /* its output not put out yet */
        Node *of;
    }) fresh;
    double room; /* bytes left of the options' memory */
    Err *err;
    bool failed; /* err says why */
} Step;

bool step_trains(const Step *s, const Weight *w);
int step_index(const Step *s, const Weight *w); /* among the trained; -1 */
/* The first of the trained whose update is the same but for its numbers. */
int step_group(const Step *s, int index);
void step_count_uses(Step *s);
/* The leaf of an optimiser's state of a weight. */
const Weight *step_state(Step *s, const Weight *of, const char *name,
                         const Type *t);

/* The update of a trained weight being put behind its gradient. */
typedef struct Updating {
    Step *step;
    int index; /* among the trained */
    Graph *to;
    Node *w, *g;
    Node *(*state)(struct Updating *u, const char *name, const Type *t);
    /* takes a new value, of a state or (NULL) of the weight */
    void (*out)(struct Updating *u, const char *state, Node *n);
    void *user;
} Updating;
void update_inside(Updating *u);
bool update_reads(const char *name); /* a scalar that a step gives updates? */

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
    const char *name;  /* "grad.ffn.gate", "new.m.ffn.gate" */
    bool fresh;        /* a new value: */
    const char *state; /* of this state; NULL: of the weight */
} BodyGrad;
/* A further slot of a backward body: a weight's state. */
typedef struct {
    int of; /* the weight's slot */
    const char *name;
    Type type;
} BodyState;

/* The backward of a forward body, for all passes that want the same of it. */
typedef struct {
    Forward *forward;
    int passes;          /* that run it */
    const int *trained; /* by slot: 0, 1, or 2 and its group where the update
                         * stands in the body */
    const bool *wanted;  /* by argument of the repeat: does what goes in there
                          * want a gradient? */
    Node *in[MAX_ARGS];  /* the forward's inputs, in the backward */
    Graph *back;
    LIST(BodyGrad) grad;
    LIST(BodyState) state; /* in the slots behind the forward's */
} BackBody;

/* A repeat whose gradient is being made. */
typedef struct {
    Step *step;
    Back *above;
    const Node *node;
    Repeat *table; /* its own, which gets what is kept as further results */
    int low;       /* the lowest pass that the backward goes through */
    int nseed;     /* results of the model's own: what is kept comes behind */
    Node **seed;   /* by one of them: its gradient, or NULL */
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
