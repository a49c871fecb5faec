/* Private to the room: what gradient rules are made of.
 *
 * A rule grad_NAME gives each argument of a node what flows to it from the
 * node's own gradient g, which has the node's dims in their order. The table's
 * gradient column (ops.def) names it. */
#pragma once
#include "compiler/grad/grad.h"

typedef struct Back Back;
typedef void Rule(Back *b, const Node *n, Node *g);

struct Back {
    Graph *g;    /* the forward nodes stand first; what flows is added */
    int forward; /* how many they are */
    bool (*trained)(const Back *b, const Node *leaf);
    bool (*repeat_wants)(const Back *b, const Node *repeat); /* its weights */
    void (*repeat)(Back *b, const Node *repeat); /* gives what flows in */
    void *user;
    bool *wants; /* by id, of forward nodes: does a gradient go there? */
    struct Parts { LIST(Node *) part; } *given; /* by id: what flowed there */
    Node **sum;  /* by id: the gradient, when it is whole */
};

/* Marks what wants a gradient; then parts are given (the seeds), and it runs
 * from the last node to the first. In g's arena. */
void back_begin(Back *b);
void back_run(Back *b);
/* A part of the gradient of a forward node, fitted to it. Nothing happens
 * where it wants none. */
void back_give(Back *b, const Node *to, Node *part);
bool back_wants(const Back *b, const Node *n);
/* Is it a weight, or made of weights alone? Its gradient is f32. */
bool back_is_weight(const Node *n);

/* With the dims of the type, in its order: summed and expanded. */
Node *fit(Graph *g, Node *n, const Type *to);
/* A number of a's type. */
Node *num_like(Graph *g, const Node *a, double v);
/* Shorthands that leave out what does nothing: factors of 1, sums of none. */
Node *times(Graph *g, Node *a, Node *b);
Node *scaled(Graph *g, Node *a, double by);
Node *sum_over(Graph *g, Node *a, int n, const Dim *const *dim);
#define MAP(name, nargs, type, flags, positive, cost, sign, grad, ...) \
    Rule grad_##grad;
#define OP(name, nargs, class, type, flags, least, most, over, positive, \
           work, grad, ...) \
    Rule grad_##grad;
#include "compiler/graph/ops.def"
#undef MAP
#undef OP
