/* Rows of a matmul's block where x lies turned, [K][M]: blocks of a chunk of K
 * by as many rows as there are 32-bit units in it are turned in registers. */
#include "codegen/emit/matmul.h"

enum { UNITS = CHUNK / 4 }; /* rows at a time; units of K, f32 or pairs */

typedef struct {
    Mm *mm;
    Dtype type;      /* of x in memory */
    bool narrow;     /* the tile takes pairs of bf16 */
    Val base, width; /* x of the batch; elements from one k to the next */
    Val end;         /* of K */
} Turn;

/* UNITS rows at column r of element k; 0 where there is none. */
static Val row_of_k(Turn *t, Val k, Val r, Val mask)
{
    Emit *e = t->mm->w.e;
    Val there = less(e, k, t->end);
    Val safe = pick(e, there, k, sub(e, t->end, i64(e, 1)));
    Val p = at(e, ty_mem(e, t->type), t->base,
               add(e, mul(e, safe, t->width), r));
    Val v = to_float(e, load_as(e, t->type, UNITS, p, mask), ty(e, TY_f32));
    return pick(e, there, v, like(v, 0));
}

/* Two bf16, as f32, in one word: the first is the low half. */
static Val paired(Emit *e, Val low, Val high)
{
    Val a = shift_right(e, bits_of(e, low), 16), b = bits_of(e, high);
    return bit_or(e, a, bit_and(e, b, like_bits(b, -65536)));
}

/* Units first .. of chunk `chunk` of K for rows r .. of the block. */
static void turn_block(Turn *t, Val chunk, int first, Val r, int n)
{
    Mm *mm = t->mm;
    Emit *e = mm->w.e;
    const Tile *tile = &mm->info->tile;
    Val x[UNITS], k = mul(e, chunk, i64(e, tile_chunk(tile)));
    Val column = add(e, mm->first, r), mask = NULL;
    if (n < UNITS)
        mask = mask_first(e, UNITS, sub(e, mm->rows, r));
    k = add(e, k, mm->from);
    for (int i = 0; i < UNITS; i++) {
        int unit = first + i, pair = t->narrow ? 2 : 1;
        Val at_k = add(e, k, i64(e, (int64_t)unit * pair));
        x[i] = row_of_k(t, at_k, column, mask);
        x[i] = t->narrow ? paired(e, x[i], row_of_k(t, add(e, at_k, i64(e, 1)),
                                                    column, mask))
                         : bits_of(e, x[i]);
    }
    tile_turn(e, UNITS, x);
    for (int i = 0; i < UNITS; i++) {
        Val row = add(e, r, i64(e, i));
        If there = {0};
        if (n < UNITS)
            there = if_begin(e, less(e, row, mm->rows));
        Val step, dst = block_row(e, tile, mm->x, i64(e, mm->info->chunks),
                                  mm->rows, row, &step);
        dst = at_bytes(e, dst, mul(e, chunk, step));
        store(e, x[i], at(e, ty(e, TY_i32), dst, i64(e, first)));
        if (n < UNITS)
            if_end(e, there);
    }
}

static void turn_rows(Turn *t, Val chunks, Val r, int n)
{
    Emit *e = t->mm->w.e;
    const Tile *tile = &t->mm->info->tile;
    int units = tile_chunk_bytes(tile) / 4;
    Loop c = loop_begin(e, "chunk", i64(e, 0), chunks, 1);
    for (int first = 0; first < units; first += UNITS)
        turn_block(t, c.index, first, r, n);
    loop_end(e, c);
}

void mm_turn_rows(Mm *mm, const Buffer *x, Val from, Val count)
{
    Emit *e = mm->w.e;
    const Matmul *m = mm->m;
    const Tile *tile = &mm->info->tile;
    Val k = walk_count(&mm->w, m->nk, m->k);
    Turn t = {.mm = mm, .type = x->type.dtype,
              .narrow = tile->kind == TILE_dot || tile->kind == TILE_amx};
    t.width = walk_count(&mm->w, m->nm, m->m);
    Val batch = mul(e, mm_flat(&mm->w, m->nb, m->b, &mm->batch),
                    mul(e, k, t.width));
    t.base = at(e, ty_mem(e, t.type), walk_base(&mm->w, x), batch);
    t.end = add(e, from, count);
    mm->from = from;
    Val chunks = quot(e, add(e, count, i64(e, TILE_K - 1)), i64(e, TILE_K));
    chunks = mul(e, chunks, i64(e, TILE_K / tile_chunk(tile)));
    Val whole = sub(e, mm->rows, rest(e, mm->rows, i64(e, UNITS)));
    Loop r = loop_begin(e, "rows", i64(e, 0), whole, UNITS);
    turn_rows(&t, chunks, r.index, UNITS);
    loop_end(e, r);
    If some = if_begin(e, less(e, whole, mm->rows));
    turn_rows(&t, chunks, whole, 1);
    if_end(e, some);
}
