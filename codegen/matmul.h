/* How matmuls are emitted, for matmul*.c, grouped.c, attend.c and pack.c.
 * Private to codegen.
 *
 * Everything is made of tiles. A tile adds to C[rows][cols], f32,
 *     C[r][n] += sum over k of x[r][k] * w[k][n]
 * where the sum runs over k in order, in one chain for each element whatever
 * the number of rows: so a row's bits depend on nothing but the row.
 *
 * w is a panel, [K / pair][cols][pair], from pack.c. x lies in chunks of K:
 * [K / chunk][rows][chunk], a chunk being 32 bytes: 8 f32 or 16 bf16. Both have
 * zeros from K to the next multiple of TILE_K. */
#pragma once
#include "codegen/emit.h"

enum { TILE_K = 16 };

typedef enum {
    TILE_f32,  /* x and w f32; pair 1 */
    TILE_wide, /* x f32, w bf16, widened; pair 2 */
    TILE_dot,  /* x and w bf16, dot products of pairs; pair 2 */
} TileKind;

typedef struct {
    TileKind kind;
    int vectors; /* of columns: cols = vectors * e->lanes */
    int most;    /* rows of the largest tile */
} Tile;

Tile tile_choose(const Emit *e, TileKind kind, int vectors);
/* The smallest variant with at least `rows` rows: 1, 2, 4 .. most. */
int tile_rows(const Tile *t, int rows);
/* A function (x, w, i64 chunks, c) of the module, made on first use. `rows` is
 * a variant. */
Val tile_function(Emit *e, const Tile *t, int rows);
