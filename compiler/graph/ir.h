/* Private to ir*.c: what printing, reading, verifying and hashing share. */
#pragma once
#include "compiler/graph/graph.h"

/* The numbers of a Rope but its kind and rotary, by name. */
typedef struct {
    const char *name;
    size_t at; /* offset of a double */
} RopeField;
enum { ROPE_FIELDS = 12 };
extern const RopeField rope_field[ROPE_FIELDS];
extern const char *const rope_kind[6]; /* names of RopeKind */

/* A rule that a graph breaks, and where. */
typedef struct {
    const Graph *graph;
    const Node *node; /* or NULL: an output, a table */
    char rule[256];
} Complaint;
/* Does the node keep all rules that can be judged without its graph? */
bool node_holds(const Node *n, Complaint *c);
/* Also the graph, and the bodies in it. */
bool graph_holds(const Graph *g, Complaint *c);
const char *ir_node_name(const Node *n); /* label or %id; interned */
/* The weights that a formula reads and its nodes, in order of their ids. */
typedef LIST(const Node *) Formula;
void formula_of(Arena *a, const Node *value, Formula *out);

/* ---- the text being printed (ir_print.c), its names (ir_names.c) ---- */

typedef struct {
    const void *of;
    const char *name; /* interned */
} IrName;
typedef LIST(IrName) IrNames;

struct IrText {
    Arena arena;
    FILE *out;
    IrNames dim, body, repeat, weight;
    LIST(const Weight *) order; /* what a weight's formula reads stands first */
    IrNames node;               /* of the graph being printed, by position */
    LIST(struct IrPrinted {
        const Graph *graph;
        const char *name; /* as it stands in the text */
        IrNames node;
    }) graph;
    const Weight **column; /* of a body's first pass, for comments; or NULL */
    void (*mark)(FILE *out, const Node *n, void *user); /* or NULL */
    void *user;
};

const char *ir_name_of(const IrNames *names, const void *of);
bool ir_has_name(const IrNames *names, const void *of);
/* Of two of one name the second gets a suffix. */
void ir_give_name(IrText *p, IrNames *names, const void *of, const char *name);
bool ir_is_word(const char *s);
/* By the nodes' positions in the list: of a formula, not their ids. */
void ir_name_nodes(IrText *p, const Node *const *node, int n);
const char *ir_name_of_node(const IrText *p, const Node *n);
