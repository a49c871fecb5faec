/* Private to read*.c: a plan's text being read. */
#pragma once
#include "passes/kernels/cut.h"

/* What the text of the kernel at hand does with a node. */
enum {
    SEEN_named = 1,   /* where a tree ends, or refers to another line */
    SEEN_spelled = 2, /* its op and arguments are written out */
    SEEN_own = 4,     /* it has a line of its own: a result, a let */
    SEEN_hole = 8     /* it is taken for a product of the kernel */
};

typedef struct {
    IrReader ir;
    RunSizes *sizes;
    LIST(Plan *) plan; /* read, of bodies that no repeat has taken yet */
    LIST(struct Heading {
        const Kernel *kernel;
        Loc loc; /* of its name */
    }) heading;
    /* of the plan at hand */
    Cut cut;
    const IrKnowns *node; /* by name */
    /* of the kernel at hand */
    Kernel *k;
    Loc loc;
    unsigned char *seen; /* by node */
    Loc *where;          /* by node: where it is named, or a product */
    Loc key;             /* what its schedule goes by; or of no length */
    LIST(const Graph *) body; /* that a repeat's line names */
} PlanReader;

CutEnds plan_ends;                /* read.c: where its trees end */
void read_trees(PlanReader *r);   /* what its results' trees read */
/* read_tree.c: n's tree, of a line of its own (root) or within one. */
void read_tree(PlanReader *r, Node *n, bool root);
Node *read_node(PlanReader *r);
const char *read_name_of(const PlanReader *r, const Node *n);
/* In brackets; it must be the dims given. */
void read_these_dims(PlanReader *r, int n, const Dim *const *d);
int read_some_dims(PlanReader *r, const Dim **d);
char read_ahead(const PlanReader *r); /* the character behind the next word */
/* read_matmul.c: " rows [..] of x over [..]", then a line of weights. */
void read_matmul_head(PlanReader *r);
void read_weights(PlanReader *r, bool panels);
void read_pack_head(PlanReader *r);
void read_matmul_end(PlanReader *r);
