/* Inside room dsl: the pieces that fmt prints: tokens and comments without
 * newlines and `;`, which are facts about the piece that follows.
 *   format.c   a source's tokens to pieces, an item of the tree at a time
 *   lines.c    pieces to lines */
#pragma once
#include "dsl/syntax.h"

typedef struct {
    int kind;
    const char *s; /* in the source */
    int len;       /* bytes */
    int width;     /* columns */
    int lines;     /* newlines before it in the source, 2 for more */
    int brace;     /* the `{` it stands in, or -1 */
    int partner;   /* of a `{`: its `}` */
    bool starts;   /* a statement */
    bool one_line; /* `{`: its block is on one line */
    bool options;  /* `{`: its block holds `name value` options */
    bool apart;    /* `[` of a schedule's shape, after a blank */
    bool unary;    /* `-` before its operand */
    bool choice;   /* `:` of `c ? a : b` */
    bool operand;  /* an operand may end with it */
} Piece;

typedef struct {
    char *at;
    size_t n, room;
} Out;

enum { LINE_WIDTH = 120, STEP_WIDTH = 2 };

void dsl_put(Out *o, const char *s, size_t n);
/* Prints n pieces; the first starts a line. */
void dsl_format_lines(Arena *arena, Out *o, Piece *piece, int n);
