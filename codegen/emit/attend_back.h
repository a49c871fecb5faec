/* The state of a task of attention's gradients, for attend_back*.c. */
#pragma once
#include "codegen/emit/matmul.h"

enum { BACK_BLOCK = 64 }; /* positions of a block, on either side */

/* A head's rows of one of q, k, v, g: [T, heads, size]. */
typedef struct {
    const Buffer *b;
    Val head;
} Rows;

typedef struct {
    Walk w;
    const Node *n; /* one of the gradients: they have the same arguments */
    const Buffer *q, *k, *v, *y, *lse, *g, *more; /* more: NULL: nothing */
    int64_t H, G, group, hd, vd;
    Tile tile;
    int cols, panels; /* of a block */
    Val T;
    bool by_key; /* columns are keys, rows queries: dk, dv; else dq */
    Rows col1, col2, row1, row2; /* q or k, g or v of columns and rows */
    Val head;                    /* of the queries */
    Val c0, r0, rows; /* first position of the columns; of the rows, how many */
    /* memory */
    Val col1_at, col2_at; /* panels [hd][cols], [vd][cols] */
    Val row1_at, row2_at; /* packed rows of hd, vd */
    Val turn1_at, turn2_at; /* packed rows of positions: hd, vd of them */
    Val s, d, sum1, sum2;   /* panels [position][cols]; [hd][cols], .. */
    Val from, lses, delta;  /* of a block of queries: [BACK_BLOCK] */
} Back;

/* Bytes that they take; mem NULL: nothing is set. */
int64_t back_memory(Back *b, Val mem);
int64_t back_height(const Back *b, int64_t rows); /* of C, with the last tile */
Val back_row(Back *b, const Rows *r, Val position); /* where it begins */
/* Positions c0 .. as the columns of panels: K is the rows' elements. */
void back_pack_columns(Back *b, const Rows *r, Val to);
/* Positions r0 .. as rows for tiles; and elements as rows, K the positions. */
void back_pack_rows(Back *b, const Rows *r, Val to);
void back_turn_rows(Back *b, const Rows *r, Val to);
/* C[rows][..] += x W for each panel; k: elements of K. */
void back_multiply(Back *b, Val x, Val rows, Val w, int64_t w_k, Val chunks,
                   Val count, Val c, int64_t height);
/* sums [size][cols] to positions c0 .. of out's head. */
void back_store(Back *b, Val sums, int64_t size, const Buffer *out, Val head);
