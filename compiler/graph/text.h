/* The text of graphs: printed, read, verified; and for whoever prints or reads
 * text that speaks of one, the names that it gives, the words it is made of.
 * Part of graph.h. */
#pragma once
#include "compiler/graph/graph.h"

/* ---- text of a graph, and what always holds of one (ir*.c) ---- */

/* Bodies first, then the graph with its repeat tables. Reads back, and then
 * prints the same bytes. */
void ir_print(const Graph *g, FILE *out);
/* The same with what `mark` writes at the start of each line of a node. */
void ir_print_marked(const Graph *g, FILE *out,
                     void (*mark)(FILE *out, const Node *n, void *user),
                     void *user);
Graph *ir_read(Arena *a, const Source *src); /* NULL: mistakes were reported */
/* BUG naming the pass, the node and the rule that is broken. Trusts nothing
 * that a pass may have left behind; goes into bodies. */
void ir_verify(const Graph *g, const char *after_pass);
/* Equal for graphs that differ only in their dims' identities, their labels
 * and which weights fill the slots. */
uint64_t graph_hash(const Graph *g);

/* ---- names (ir_names.c) ---- */

/* Prints like ir_print_marked (mark may be NULL) and keeps the names. */
typedef struct IrText IrText;
IrText *ir_text(const Graph *g, FILE *out,
                void (*mark)(FILE *out, const Node *n, void *user), void *user);
void ir_text_free(IrText *t);
const char *ir_text_dim(const IrText *t, const Dim *d);
const char *ir_text_graph(const IrText *t, const Graph *g); /* or a body */
const char *ir_text_node(const IrText *t, const Graph *g, const Node *n);
void ir_text_type(const IrText *t, FILE *out, const Type *type);
void ir_print_number(FILE *out, double v); /* the shortest that reads as v */

/* ---- reading (ir_lex.c, ir_read.c) ---- */

typedef enum {
    TOKEN_end,
    TOKEN_word,   /* also %3, h%3, @w1 */
    TOKEN_number, /* without a sign */
    TOKEN_string,
    TOKEN_sign /* num: the character */
} IrTokenKind;

typedef struct {
    IrTokenKind kind;
    const char *text; /* of words and strings; interned */
    double num;
    Loc loc;
} IrToken;

typedef struct {
    const char *name;
    void *is;
} IrKnown;
typedef LIST(IrKnown) IrKnowns;

typedef struct {
    Arena *arena;
    const Source *src;
    int at;    /* behind `now` */
    IrToken now; /* the next word; TOKEN_end for good after a mistake */
    bool failed;
    Arena scratch; /* of the lists below; who made the reader frees it */
    IrKnowns dim, weight, body, repeat, node;
    LIST(struct IrScope {
        const Graph *graph;
        IrKnowns node;
    }) scope; /* of each graph that was read */
} IrReader;

/* Reads a graph with all it needs, verified; what follows it is left. NULL
 * after a mistake. */
Graph *ir_read_graph(IrReader *r);

/* Reports, once: what follows a mistake is not read. Always false. */
PRINTF(3, 4)
bool ir_mistake(IrReader *r, Loc loc, const char *fmt, ...);
bool ir_expected(IrReader *r, const char *what); /* found: what is next */
void ir_next(IrReader *r);
bool ir_at(const IrReader *r, char sign); /* is it next? */
bool ir_sign(IrReader *r, char sign);     /* passes it if it is next */
bool ir_want(IrReader *r, char sign);     /* it must be next */
bool ir_at_word(const IrReader *r, const char *word); /* is it next? */
bool ir_word(IrReader *r, const char *word); /* passes it if it is next */
bool ir_want_word(IrReader *r, const char *word); /* it must be next */
/* A word, or with `string` one of these; else a mistake and "". */
const char *ir_name(IrReader *r, bool string, const char *what);
double ir_number(IrReader *r); /* with a sign, inf, nan */
int ir_int(IrReader *r);
const Size *ir_size(IrReader *r);
Type ir_type(IrReader *r);
int ir_dims(IrReader *r, const Dim **dim); /* [A, B], after its bracket */
void *ir_find(const IrKnowns *list, const char *name); /* or NULL */
/* What the next word names; a mistake and NULL if it is not in the list. */
void *ir_known(IrReader *r, const IrKnowns *list, const char *what);
