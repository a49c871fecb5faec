/* Private to cut*.c: nodes are put into groups, each of which becomes a kernel.
 */
#pragma once
#include "passes/kernels/kernels.h"

enum { MAX_HOLES = 4, MAX_MOVED = 24 };

/* Dims that do not stand at the kernel's own places where a node is used. */
typedef struct {
    int n;
    const Dim *dim[MAX_MOVED];
} Moved;

/* What a group's kernel will have, at most: it must fit a kernel's tables. */
typedef struct {
    int reads; /* nodes that it uses and does not compute; tables */
    int nodes; /* that it computes */
    int sums;  /* reductions of these */
} Extent;

typedef struct Group {
    Skeleton skeleton;
    LIST(Node *) out; /* computed and stored */
    Node *hole[MAX_HOLES];
    int nholes;
    bool halves; /* of its hole: Pack.halves */
    bool rows_set; /* by a reduction: */
    int nrow;
    const Dim *row[MAX_RANK];
    struct Group *into; /* merged into this one */
    LIST(struct Group *) part; /* matmuls merged into it */
    int mark; /* of a search */
    Extent extent;
    Kernel *kernel;
} Group;

typedef struct {
    Group *group;
    Moved moved;
} Use;

typedef struct {
    LIST(Use) use;  /* by groups that compute it in place or load it */
    bool needed;
    bool stored;    /* must be in memory */
    Group *home;    /* that stores it */
    int cost;       /* of computing an element again */
    int tree;       /* operations that are written to compute it in place */
    int readers;    /* arguments that it is */
    bool reduces;   /* a reduction is in its tree */
    bool product;   /* a matmul's sum is */
} Info;

/* As a tree: what is read twice counts twice. Whatever the graph, no kernel
 * computes more of what is read again. */
enum { MOST_TREE = 1000, MOST_OUTS = 16 /* of a map */ };
static inline bool cut_bush(const Info *info)
{
    return info->tree == MOST_TREE && info->readers > 1;
}

typedef struct {
    Arena *arena;
    const Graph *g;
    const CutOptions *o;
    Info *info; /* by node */
    LIST(Group *) group;
    Plan *plan;
    const Graph *above; /* of a body: the graph that repeats it */
    Buffer **buffer; /* by node: where it is stored */
    int mark;
} Cut;

/* What kind of kernel a node asks for, if any. */
typedef enum {
    NODE_leaf,    /* memory that is there */
    NODE_inline,  /* row ops and moves: wherever it is used */
    NODE_reduce,  /* within a map kernel of its rows */
    NODE_matmul,  /* contract with a weight */
    NODE_grouped, /* contract with a gathered weight */
    NODE_own,     /* a kernel of its own: attend, scatter, call, repeat */
} NodeKind;
NodeKind node_kind(const Node *n);

/* cut_matmul.c: of a matmul's or grouped's contract: which argument is x, the
 * weight (under the gather), the index (or NULL), and its dims. */
typedef struct {
    Node *x, *w, *index;
    const Dim *expert;
    Pack pack; /* but for cols, pair, dtype, parts */
    int nm;
    const Dim *m[MAX_RANK];
    bool panels; /* w is no weight that is packed once: in each run */
    bool turned; /* Matmul.turned */
} Contract;
bool contract_read(const Node *n, Contract *out);
/* In the tree from `out` down to nodes where it ends: does at most one rope
 * move the columns of the contract `hole`, and nothing else, by halves of heads
 * that are whole runs of `run` columns? */
typedef struct {
    const Node *hole;
    int run;
    bool (*ends)(const void *user, const Node *n);
    const void *user;
    int *known; /* by node; zeros at first */
    const Dim *head; /* set by contract_turns */
} Turn;
bool contract_turns(Turn *t, const Node *out);
bool contract_joins(const Node *a, const Node *b); /* may share a part */
/* The same, and both weights are stored alike. */
bool cut_joins(const Cut *c, const Node *a, const Node *b);

/* May b's contract stand in a kernel of a's rows? */
bool contract_same_rows(const Contract *a, const Contract *b);

void cut_groups(Cut *c);  /* cut.c: every node its groups */
/* cut_extent.c. g uses n: a read, until g computes it. */
void extent_uses(const Info *info, Group *g);
/* g computes n. (Before its arguments are used.) */
void extent_computes(const Cut *c, const Node *n, Group *g);
/* May g compute n, too? */
bool extent_takes(const Cut *c, const Node *n, const Group *g);
bool extents_join(const Group *a, const Group *b);
void extent_join(const Group *from, Group *to);
/* cut_moved.c */
bool moved_has(const Moved *m, const Dim *d);
bool moved_add(Moved *m, const Dim *d); /* false: no room */
void moved_drop(Moved *m, const Dim *d);
bool moved_same(const Moved *a, const Moved *b);
/* Which dims of argument `arg` do not stand where n's do. False: too many. */
bool cut_moves(const Node *n, int arg, Moved *m);
int cut_rows_of(const Node *n, const Dim **out); /* of a reduction */
Skeleton cut_own_skeleton(const Node *n); /* of a NODE_own */
void cut_maps(Cut *c);    /* cut_maps.c: maps of the same rows */
void cut_merge(Cut *c);   /* cut_matmul.c: matmuls that read one x */
void cut_loads(Cut *c);   /* cut_loads.c: maps into the matmul that loads x */
void cut_kernels(Cut *c); /* cut_build.c: groups to kernels, in order */
void cut_levels(Plan *p); /* cut_levels.c: levels, the life of each buffer */
void cut_lives(Plan *p);  /* the second alone */
bool cut_reaches(Cut *c, Group *from, Group *to); /* through memory */
void cut_matmul_kernel(Cut *c, Group *g, Kernel *k);
bool cut_is_output(const Cut *c, const Node *n);
Buffer *cut_buffer(Cut *c, BufferKind kind, Node *n);
Buffer *cut_stored(Cut *c, Node *n); /* the buffer that holds n */
Buffer *cut_written(Cut *c, Node *n); /* the one that a kernel stores n in */
Buffer *cut_find_route(const Plan *p, const Node *index); /* or NULL */
/* What of a kernel follows from its contract, its node, its index. */
void cut_matmul_rows(Cut *c, const Contract *first, Kernel *k);
void cut_own_kernel(Cut *c, Node *n, Kernel *k);
/* May n be a further result of the kernel whose first is the other? Does a
 * kernel of n read that argument? (No number stands in memory for nothing.) */
bool cut_beside(const Node *n, const Node *first);
bool cut_all_beside(const Kernel *k); /* its further results, but a repeat's */
bool cut_reads_arg(const Node *n, int arg);
/* The group of what n's kernel stores first, if that is another node. */
Group *cut_beside_group(Cut *c, const Node *n);
Group *cut_group_new(Cut *c, Skeleton s);
void cut_store_in(Cut *c, Node *n, Group *g);
/* rewritten.c: an op that no kernel has, in terms of others. */
bool cut_rewrites(const Node *n);
Node *cut_rewritten(Graph *to, Node n);
/* operands.c: g, or g with products' values in another order, and with ops
 * rewritten. */
const Graph *cut_operands(const Graph *g, Arena *a);
void cut_pack_kernel(Cut *c, Buffer *panels); /* that writes them */
void cut_route_kernel(Cut *c, Node *index, Kernel *k); /* of a map, or new */
/* reads.c: adds b to what k reads, unless it does already. */
Kernel *kernel_new(Arena *a);
void kernel_reads(Kernel *k, Buffer *b);
void kernel_reads_also(Kernel *k, Buffer *b); /* in any case */
void kernel_writes(Kernel *k, Buffer *b);
Buffer *cut_positions(Cut *c, const Dim *T);
/* Adds what the trees of these roots read: they end where `ends` says. */
typedef bool CutEnds(Cut *c, const Node *n, void *user);
void cut_reads(Cut *c, Kernel *k, int n, Node *const *root, CutEnds *ends,
               void *user);
/* Of a group: at what memory holds, a leaf or what another group stores. */
bool cut_ends_tree(Cut *c, const Node *n, void *group);
/* x and the index; weights, results' trees and the route come after them. */
void cut_matmul_reads(Cut *c, Kernel *k, CutEnds *ends, void *user);
