/* What attend*.c share. Private to codegen.
 *
 * The cache holds each head's rows in blocks of `rows` positions (four
 * vectors), so that what a task reads is one stream. Keys lie transposed, a
 * panel of a tile whose columns are positions: [G][block][hd / pair][rows]
 * [pair]; values as panels whose K is positions: [G][block][hd / cols]
 * [rows / pair][cols][pair]. So scores and the weighted sum are both tiles
 * (matmul.h). */
#pragma once
#include "codegen/emit/matmul.h"

typedef struct {
    int64_t H, G, hd, group; /* query heads, heads, size of a key, H / G */
    int64_t vd;              /* size of a value */
    int64_t rows, cols, pair; /* positions of a block; of a panel of values */
    int64_t k_pad, v_panels; /* hd in full chunks, vd in panels */
    int64_t k_block, v_block; /* elements of one head's block */
    Dtype dtype;             /* of the cache */
    Tile score, sum;
} CacheShape;

CacheShape cache_shape(const Target *t, const Type *q, const Type *k,
                       const Type *v);
/* Address of a head's block, in keys or values. */
Val cache_block(Walk *w, const CacheShape *s, Val cache, Val block, Val head,
                bool keys);
void emit_append(Walk *w, Emit *e, Plan *p, Kernel *k);
