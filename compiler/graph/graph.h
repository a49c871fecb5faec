/* Room graph: sizes and types; operations and the graph they make; its text
 * and what always holds of it; counted random numbers. */
#pragma once
#include "compiler/graph/rope.h"
#include "compiler/graph/type.h"

/* ---- the graph (graph.c) ---- */

typedef enum {
#define OP(name, ...) OP_##name,
#define MAP OP
#include "compiler/graph/ops.def"
#undef MAP
#undef OP
    OP_COUNT
} Op;

typedef struct Node Node;
typedef struct Graph Graph;

/* Rows of a file's tensor that are a weight: `as "qkv" transposed rows a .. b`.
 * The tensor's first dims are the last `packed` of the stacked ones; of what is
 * left the first (of the matrix turned, if `transposed`) counts the rows. */
typedef struct {
    const char *tensor; /* with a {} for each stacked dim that is not packed */
    int packed;
    bool transposed;
    int64_t first, step, count; /* count 0: all rows */
} FilePart;

/* A weight: a tensor of a checkpoint, or what a transform makes. */
typedef struct Weight {
    const char *path;  /* in the text: "layer[3].ffn.expert.gate" */
    const char *file;  /* the tensor: "model.layers.3.mlp.experts.{}.w1.weight";
                        * a {} for each of the first `stacked` dims; of a part
                        * what it is of, and which */
    const FilePart *part; /* NULL: a tensor of its own */
    int stacked;       /* leading dims that are arrays of modules */
    Type type;
    Node *value;       /* how a transform makes it; NULL: read from the file */
    const char *other; /* read from these other models; NULL: the model's own */
} Weight;

/* One pass of a repeated layer: a body, and the weights for its slots. */
typedef struct {
    Graph *body;
    const Weight **weight; /* body->nslots of them */
} Iteration;
/* A further value that goes in, besides the input "x" that the output "y" of
 * the pass before is: named as the bodies' input (a body may lack it). */
typedef struct {
    const char *name;
    const char *next; /* the bodies' output that the next pass has it from;
                       * NULL: the same in every pass */
    const Dim *each;  /* each pass takes a part of its own along this, the
                       * argument's first dim; NULL: all of it */
    int nparts;       /* then as many as passes: */
    const int *part;  /* which one each pass takes; -1: none */
} RepeatIn;
/* A further value that comes out (OP_result): the bodies' output of that name
 * of each pass that has it, one after the other along a dim of its own. */
typedef struct {
    const char *name;
    const Dim *dim; /* as many as passes have it */
} RepeatOut;
typedef struct {
    int n;
    Iteration *at;
    int nin, nout;
    const RepeatIn *in; /* of arguments 1 .. nin */
    const RepeatOut *out;
} Repeat;

struct Node {
    Op op;
    int id;    /* its place in graph->node: its arguments' are smaller */
    Type type; /* as its rule gives it */
    Node *arg[MAX_ARGS]; /* node_args of them */
    /* attributes; which of them count is the op's affair (ops.def); the rest
     * are zero */
    int ndim;
    const Dim *dim[MAX_RANK];
    double num;
    const Size *size;
    const char *name; /* interned */
    const Weight *weight;
    int slot; /* OP_weight in a body: its column from 1; else 0 */
    const Rope *rope;
    const Repeat *repeat;
    /* not part of what it computes */
    const char *label; /* a name from the text, for printing; may be NULL */
    const Source *src; /* where it came from; may be NULL */
    Loc loc;
    const char *path; /* the instance it is of: "layer[0].ffn"; may be NULL */
};

/* Nodes in order of dependence. Equal nodes are one (hash-consing): equal
 * terms are one pointer. A graph owns nothing but its lists in `arena`. */
struct Graph {
    Arena *arena;
    const char *name;
    LIST(Node *) node;
    LIST(struct Output {
        const char *name; /* "y", "loss.balance", "stat.usage" */
        Node *node;
    }) output;
    int nslots; /* of a body: its weight columns */
    Node **table;
    int ntable; /* graph.c's own: hash-consing */
    struct Place {
        const Source *src;
        Loc loc;
        const char *path;
    } here; /* what graph_add notes in nodes that have no place yet */
};

Graph *graph_new(Arena *a, const char *name);
/* The node, or its equal that is there already. Its type is computed by its
 * rule (`declared`: n.type is taken). BUG where the rule refuses: callers
 * check first, in the user's terms. */
Node *graph_add(Graph *g, Node n);
void graph_output(Graph *g, const char *name, Node *n);
Node *graph_find_output(const Graph *g, const char *name); /* or NULL */
int node_args(const Node *n); /* how many: op_info's, and a repeat's further */
/* Why its rule refuses the node, or NULL with *type filled in. */
const char *op_type(const Node *n, Type *type);
/* A new graph with each node that outputs need rebuilt through `map` (NULL:
 * as it is). map sees a node whose arguments are already the new graph's. */
Graph *graph_map(const Graph *g, Arena *a,
                 Node *(*map)(Graph *to, Node n, const Node *old, void *user),
                 void *user);

/* A new graph of the given nodes (outputs "0", "1", ...) with numbers for the
 * unknowns of all sizes but T; NULL: a dim's size would not be a whole number
 * above 0. Leaves of f32 become `leaf` (TYPE_f32: as they are). */
Graph *graph_at(Arena *a, int n, Node *const *node, int nsym,
                const char *const *sym, const double *value, Dtype leaf);

/* Does a token's result depend on later ones, or on how many are in flight?
 * Then a step that only has the new ones is another computation. */
bool graph_looks_ahead(const Graph *g);
/* Nodes whose numbers must fit each other: places of a dim, parts, top-k; and
 * one for each shape of a value. They live in `a`, but for what their places
 * point to. */
typedef struct {
    LIST(Node) node, size;
    int64_t held; /* the number of tokens that was found good last */
} Limits;
Limits graph_limits(const Graph *g, Arena *a);
/* False with err set: not with any number of tokens. */
bool limits_hold_always(const Limits *l, Err *err);
/* False with err set: not with T tokens. Asked again of the same T, it costs
 * nothing. */
bool limits_hold(Limits *l, int64_t T, Err *err);

/* Runs see on every node that the outputs of g and of its bodies need, until
 * it returns true. */
bool graph_any(const Graph *g, bool (*see)(const Node *, void *), void *user);

/* By id: does an output need the node? In `a`. */
bool *graph_needed(const Graph *g, Arena *a);

/* What a weight node reads in a pass (outside bodies: NULL) of its graph. */
const Weight *node_weight(const Node *n, const Iteration *pass);
/* The first pass of above's repeats that runs the body, or NULL. */
const Iteration *graph_pass_of(const Graph *above, const Graph *body);

/* Shorthands of graph_add. */
Node *g_num(Graph *g, Dtype t, double v);
Node *g_scalar(Graph *g, Dtype t, const Size *s); /* a number when known */
Node *g_map1(Graph *g, Op op, Node *a);
Node *g_map2(Graph *g, Op op, Node *a, Node *b);
Node *g_select(Graph *g, Node *c, Node *a, Node *b);
Node *g_cast(Graph *g, Dtype t, Node *a); /* a itself where it has the type */
Node *g_along(Graph *g, Op op, Node *a, int n, const Dim *const *dim);
Node *g_contract(Graph *g, Node *a, Node *b, int n, const Dim *const *dim);
Node *g_gather(Graph *g, Node *a, const Dim *d, Node *index);
Node *g_weight(Graph *g, const Weight *w);
Node *g_result(Graph *g, Node *repeat, const char *name);
/* The type of the bodies' output of that name (NULL: none has it), and how many
 * passes have it. */
const Type *repeat_output(const Repeat *r, const char *name, int *passes);
bool repeat_gives(const Repeat *r, const char *name); /* an input to bodies? */

#include "compiler/graph/op_info.h"
#include "compiler/graph/random.h"
#include "compiler/graph/text.h"
