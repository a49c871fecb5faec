/* How matmuls are emitted, for matmul*.c, grouped.c, attend.c and pack.c.
 * Private to codegen.
 *
 * Everything is made of tiles. A tile adds to C[rows][cols], f32,
 *     C[r][n] += sum over k of x[r][k] * w[k][n]
 * where the sum runs over k in order, in one chain for each element whatever
 * the number of rows: so a row's bits depend on nothing but the row.
 *
 * w is a panel, [K / pair][cols][pair], from pack.c. x lies in chunks of K:
 * [K / chunk][rows][chunk], a chunk being 32 bytes: 8 f32 or 16 bf16 (for AMX
 * 64: 32 bf16; of quantised w a super-block, see Quant). Both have zeros from
 * K to the next multiple of TILE_K. */
#pragma once
#include "codegen/emit/kernel.h"

enum { TILE_K = PACK_K, CHUNK = 32 };

typedef enum {
    TILE_f32,  /* x and w f32; pair 1 */
    TILE_wide, /* x f32, w bf16, widened; pair 2 */
    TILE_half, /* x f32, w f16, widened; pair 1 */
    TILE_dot,  /* x and w bf16, dot products of pairs; pair 2 */
    TILE_amx,  /* the same by AMX; rows in groups of 16, see matmul_amx.c */
    TILE_q4,   /* w quantised in blocks, x too: see Quant */
    TILE_q4s,
    TILE_q5,
    TILE_q5s,
    TILE_q8,
    TILE_q4k,
    TILE_q5k,
    TILE_q6k,
    TILE_KINDS
} TileKind;

/* A quantised panel is a row of super-blocks of K, each `subs` blocks long:
 *     f16 scale[cols], if `min` f16 low[cols];
 *     if there are 8 blocks, what these are multiplied by for each, in 6 bits,
 *         as bytes [12][cols] that Q4_K's file has: the scale's of blocks 0 to
 *         3, the low's; then of 4 to 7 the low halves, the scale's in the low
 *         nibble, whose two high bits are those of the bytes before;
 *     if 16, what the scale alone is: signed bytes [16][cols];
 *     then the codes of the blocks, one after the other.
 * w = (code - offset) * scale + low, times the block's multiples, if any. Codes
 * are unsigned. Of 8 bits: [block / 4][cols] words of four bytes; of 4: [block
 * / 8][cols], byte i has k = i in its low half and k = i + 4 in the high one.
 * `high` more bits of each stand behind them in a word [cols]: of k in byte
 * k % 4, from bit k / 4 * high on. */
typedef struct {
    Dtype stored; /* the type in a file */
    int block, bits, high;
    int subs;
    bool min; /* low is there */
    int offset;
} Quant;

typedef struct {
    TileKind kind;
    int vectors; /* of columns: cols = vectors * e->lanes */
    int most;    /* rows of the largest tile */
    int ahead;   /* bytes: where few rows prefetch w */
} Tile;

/* ---- tiles (matmul_tile.c) ---- */

/* With at most `tokens` rows, or as many as are good if 0; fewer where there
 * are not the registers. */
Tile tile_choose(const Emit *e, TileKind kind, int vectors, int tokens);
int tile_room(const Emit *e, TileKind kind, int vectors); /* rows that fit */
const char *tile_name(TileKind kind);
/* The smallest variant with at least `rows` rows: 1, 2, 4 .. most. */
int tile_rows(const Tile *t, int rows);
/* A function (x, w, i64 chunks, c) of the module, made on first use. `rows` is
 * a variant. */
Val tile_function(Emit *e, const Tile *t, int rows);
/* sum + the products of each lane's pair of bf16 (lanes are i32). */
Val dot_pairs(Emit *e, Val sum, Val x, Val w);
/* Whether bf16 by bf16 goes through dot products: they exist and pay. */
int tile_chunk_bytes(const Tile *t);
int tile_chunk(const Tile *t);           /* elements of x in a chunk */
int64_t tile_w_bytes(const Emit *e, const Tile *t); /* of w a chunk */

/* ---- quantised panels (matmul_quant.c, quant_rows.c) ----
 * A chunk of x is a super-block's blocks, each QUANT_HEAD bytes, then two for
 * each element. */

enum { QUANT_HEAD = 8 };
const Quant *tile_quant(TileKind kind); /* NULL: not quantised */
bool quant_kind(Dtype stored, TileKind *kind);
int64_t quant_bytes(const Quant *q, int64_t cols); /* of a super-block */
int quant_multiples(const Quant *q); /* bytes of them for each column */
int quant_x_bytes(const Quant *q);                 /* of a block of x */
int quant_room(const Emit *e, int vectors, int registers); /* tile_room */
/* Adds a word of w by the two of x, four elements, for each lane. */
void quant_dot(Emit *e, Val *high, Val *sum, Val w, Val first, Val second);
/* The bodies of a tile function, and of block_pack_row, for these tiles. */
void quant_tile(Emit *e, const Tile *t, int rows);
void quant_pack_x(Emit *e, const Tile *t, Dtype from);
/* A block of f32, a vector of them all, to its place in a chunk of x. */
void quant_pack_block(Emit *e, const Tile *t, Val x, Val to);
/* Where in a row's chunks, `step` bytes apart from dst on, the block is that
 * begins at a column. */
Val quant_x_block(Emit *e, const Tile *t, Val dst, Val column, Val step);
/* Bytes of a panel; a row of the file's blocks into it as column `col` (the
 * panel's memory is zero at first). */
int64_t quant_panel_bytes(Dtype stored, int64_t k, int64_t cols);
void quant_pack_row(Dtype stored, const void *row, int64_t k, int64_t cols,
                    int64_t col, void *panel);

/* ---- blocks of rows (matmul_block.c) ----
 * The rows of a block stand in tiles of `most` rows, the last in the smallest
 * variant that holds what is left; tile i at i * most * (bytes of all chunks).
 * */

/* v[i][j] to v[j][i], n by n. */
void tile_turn(Emit *e, int n, Val *v);
/* A function (src, i64 count, dst, i64 step): the elements of a row to its
 * place dst in a tile, whose next chunk is `step` bytes on; zeros behind. */
Val block_pack_row(Emit *e, const Tile *t, Dtype from);
/* Where row r of `rows` goes in the packed block x, and its step. */
Val block_row(Emit *e, const Tile *t, Val x, Val chunks, Val rows, Val r,
              Val *step);
/* A function (x, w, i64 all, i64 rows, c, i64 first, i64 count): adds the
 * products of chunks first .. first + count - 1 of `all` to C[rows][cols]. */
Val block_function(Emit *e, const Tile *t);
Val amx_function(Emit *e, const Tile *t); /* the same, for TILE_amx */

/* ---- a matmul kernel (matmul.c; grouped.c finds the rows otherwise) ---- */

TileKind matmul_kind(const Target *t, const Matmul *m, const Pack *p);
/* Elements of K; of a K known at run time only those that are taken at a time.
 */
int64_t matmul_k(const Matmul *m);
bool matmul_cuts(const Matmul *m); /* is it so? */

typedef struct {
    Tile tile;
    int64_t n, cols, panels; /* columns of a weight, of it in a panel; panels */
    int64_t bytes;           /* of a panel */
    int64_t chunks, depth;   /* of K: all, and taken at a time */
    bool ragged;             /* the last panel is not full */
} PartInfo;

typedef struct Mm {
    Walk w;
    const Matmul *m;
    int64_t k;   /* elements of K, or of a cut of it: */
    bool cuts;   /* then rows are loaded a cut at a time: */
    Val k_all, from; /* elements of K; the first of the cut */
    int64_t x_bytes, c_bytes; /* of a packed block, of its sums */
    PartInfo part[8];
    /* of the task being written */
    Val x;             /* the packed block, then C */
    Val number, first, rows; /* of the block: which one; its rows */
    Val order;         /* grouped: elements of the index by expert; or NULL */
    Places batch;      /* of the dims matched up, and the expert */
    /* of the vector being written out */
    const MatmulPart *out;
    const PartInfo *info;
    Val c;
    const Places *here;
    int64_t other; /* from c to the same place in the other half */
} Mm;

/* Of a thread's memory, before the packed block: which one it is. */
enum { MM_MARK = 64 };

void mm_begin(Mm *mm, Emit *e, Plan *p, Kernel *k);
Val mm_block_rows(Mm *mm);
/* Panels of a task and tasks of a block, for this many blocks. */
Val mm_grain(Mm *mm, Val blocks, Val *groups);
/* All of a task, once first, rows, order and batch are set. */
void mm_block(Mm *mm, Val group, Val grain);
Val mm_blocks_of(Mm *mm, Val rows); /* rows / mm_block_rows, rounded up */

/* ---- its rows (matmul_rows.c) ---- */

Val mm_place(const Places *p, const Dim *d);
Val mm_flat(Walk *w, int n, const Dim *const *d, const Places *p);
Places mm_row_places(Mm *mm, Val r); /* of row r of the block */
/* Packs the block's rows to mm->x for mm->info's tile, unless that is what the
 * thread's last task left there. */
void mm_load_rows(Mm *mm);
/* The same of a turned x, whose rows lie across: matmul_turn.c. */
void mm_turn_rows(Mm *mm, const Buffer *x, Val from, Val count);
/* Packs `count` of their elements from mm->from on. */
void mm_load_cut(Mm *mm, Val count);
