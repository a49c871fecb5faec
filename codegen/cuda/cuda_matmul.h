/* A matmul while it is printed: what its two forms share, cuda_matmul.c for
 * many rows and cuda_few.c. Private to cuda. */
#pragma once
#include "codegen/cuda/cuda_text.h"

typedef struct {
    Cu *c;
    const Matmul *m;
    const MatmulPart *part;
    const Pack *pack;
    bool tensor; /* cores */
    bool narrow; /* x in f32 is what bf16 holds too */
    Dtype tile;  /* of an element in shared memory */
    int bm, bn, wn;  /* rows and columns of a block, warps side by side */
    int mi, ni, ld;  /* of a warp 16 rows, 8 columns each; elements of a row in
                      * shared memory */
    int64_t depth;  /* elements of K; 0: known when it runs */
    const char *x, *w;
    CuPlaces batch;
} Mm;

/* Of a segment of columns: does it go through tensor cores? And bytes of shared
 * memory, of the tiles that its schedule says. */
bool mm_tensor(const Kernel *k, int part);
int mm_shared(const Kernel *k, int part);

/* Its tile of a block, and a warp's part: 16 rows mi times, 8 columns ni times.
 */
typedef struct {
    bool tensor;
    int rows, columns, stages, warps, mi, ni;
} MmTile;
MmTile mm_tile(const Kernel *k, int part);
enum { FEW_WARPS = 8, FEW_AHEAD = 4, FEW_STEPS = FEW_WARPS * FEW_AHEAD };

/* Of a kernel's column segment; the tiles are for many rows. */
Mm mm_of(Cu *c, int part);
int64_t mm_columns(const Mm *mm); /* packed: all parts, filled up to 8 */
void mm_constants(const Mm *mm);  /* COLS, DEPTH, STEPS, KP */
/* Stores the outs of the element at row `at` and column `col`, of sums that the
 * hole gives. */
void mm_store(const Mm *mm);
/* Where the row of the index's element `at` begins in x, in rows. */
Expr mm_row(const Mm *mm, const char *at);

