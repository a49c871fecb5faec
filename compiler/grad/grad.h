/* Room grad: gradients of graphs, a training step as one graph, optimisers as
 * graphs. All of it makes graphs of graphs; nothing here runs one. */
#pragma once
#include "compiler/graph/graph.h"

/* ---- a step: forward, losses, gradients (step.c, repeat*.c) ---- */

typedef struct UpdateOptions UpdateOptions; /* see below */
typedef struct Parameter Parameter;

typedef struct {
    int n;
    const Weight *const *weight; /* what is trained: leaves of the graph and of
                                  * passes (OP_weight, OP_learned), so none
                                  * that is made by a formula there */
    double memory;  /* bytes for values that the forward keeps for the backward;
                     * what must be kept is, even of 0. The same bits anyway */
    int64_t tokens; /* of a run, at most: what these bytes are reckoned with */
    double balance; /* operations while a byte is written and read: what takes
                     * fewer for its bytes is made again. 0: 24 */
    const UpdateOptions *update; /* of each of them; NULL: gradients come out */
    const Parameter *parameter;  /* then of each, too */
} GradOptions;

/* Where the gradient of a weight comes out. */
typedef struct {
    const Weight *weight;
    const char *output; /* of the step's graph; NULL: nothing flows there */
    int place; /* its place along that output's first dim, which then comes
                * before the weight's own; -1: the output is of it alone */
} GradOf;

/* With updates: where a new value comes out, and what it is the next of. */
typedef struct {
    const Weight *weight;
    const char *state;  /* "m"; NULL: the weight itself */
    const Weight *leaf; /* a leaf of the step that is read for it */
    const char *output;
    int place; /* as above */
} GradNew;

typedef struct {
    Graph *graph; /* its leaves are OP_weight, coefficients too */
    int n;
    const GradOf *of; /* as the options have them; with updates: none */
    int nfresh;
    const GradNew *fresh; /* with updates */
} GradStep;

/* Of a model as model_graph_whole lowers it, before any pass has run (passes
 * drop `stop`), a step's graph. Its inputs: the model's, and
 *   label [T] an index of V; 0 where there is none
 *   share [T] f32: 1 / labelled tokens of the whole step, or 0 without label
 *   part  f32: this run's share of the step's tokens: what module losses count
 * Its outputs:
 *   loss      sum(share * -log softmax(y)[label])
 *   loss.NAME of modules, as the model has them; stat.*
 *   grad.*    of the total loss + part * (sum of loss.NAME), f32, with the
 *             weight's dims: `of` says which. A weight used in many places has
 *             the sum of all.
 * With several runs (micro-batches) in a step losses and gradients add up,
 * loss.NAME weighted by their `part`.
 *
 * Repeats: each has a second one that goes back over the passes, from the last
 * to the lowest that something trained is in or below. Its bodies have the
 * forward body in them, made again from the x that the forward kept
 * (`keep.x`); draws and indices (topk) are kept and not made again, and of the
 * rest what `memory` has room for: most work for its bytes first. Gradients
 * come out stacked, a row for each pass that has one, in the order in which the
 * backward goes.
 *
 * With updates (grad_update's; its scalars are inputs of the step) there come
 * new values instead of gradients, new.*, in a backward body where that is the
 * weight's one use, else in the graph itself. States are leaves of their own
 * (m.PATH, v.PATH; tensor.PATH: the number). Clipping by the norm of all
 * gradients needs two graphs.
 *
 * False with err set: y is not [T, V] of a token's labels, or a repeat stands
 * in a body. What is trained but not in the graph is an error, too. */
bool grad_step(Arena *a, const Graph *forward, const GradOptions *o,
               GradStep *out, Err *err);

/* ---- optimisers (update.c) ---- */

typedef enum { OPTIMIZER_adamw, OPTIMIZER_adafactor, OPTIMIZER_sgd } Optimizer;

struct UpdateOptions {
    Optimizer kind;
    double beta1, beta2, eps; /* AdamW */
    double momentum;          /* SGD */
    double decay;    /* the caller says of which weights: 0 of the others */
    Dtype weights;   /* of w: f32 (masters, too), or bf16: rounded by chance, */
    bool nearest;    /* or if this is set to nearest */
    Dtype states;    /* f32, or bf16 (rounded by chance); Adafactor's are f32 */
    bool copy;       /* w is a master: its bf16 copy comes out, too */
    int seed;        /* of what chance rounds */
};

/* A parameter is a tensor of the file. Of a weight: the file's shape, of one
 * tensor, without the holes in its name (rank, shape; several dims of a weight
 * may be one of the tensor's); shape NULL: the weight's dims behind the
 * stacked. */
struct Parameter {
    const Weight *weight;
    int rank;
    const int64_t *shape;
};

/* The update of a weight. Inputs: w and g (f32), of the weight's dims; scalars
 * lr, clip (what g is multiplied by first), t (the step, from 1), tensor (a
 * number of its own for each weight, for its rounding) and others that follow
 * from t, for which update_scalar has the value; and states, 0 at the start: of
 * AdamW m, v; of SGD with momentum v; of Adafactor r and c (of matrices: rows'
 * and columns' means), or s. What is not read is no input. Outputs: the new
 * values under the same names, and copy. Every input is elementwise beside its
 * output but Adafactor's. */
Graph *grad_update(Arena *a, const Parameter *p, const UpdateOptions *o);
/* The value of a scalar input but lr, clip and tensor, in step t. */
double update_scalar(const UpdateOptions *o, const char *name, int64_t t);
