/* Blocks of attention's gradients: rows of a head packed and turned, products
 * of panels, sums written out. All in f32. */
#include "codegen/emit/attend_back.h"

enum { WIDE = CHUNK / 4 }; /* f32 of a chunk of rows */

static int64_t size_of(const Rows *r)
{
    return size_at(r->b->type.dim[2]->size, 1);
}

static int64_t padded(int64_t k)
{
    return (k + TILE_K - 1) / TILE_K * TILE_K;
}

int64_t back_height(const Back *b, int64_t rows)
{
    return (rows + b->tile.most - 1) / b->tile.most * b->tile.most;
}

static Val carve(Emit *e, Val *mem, int64_t floats, int64_t *sum)
{
    int64_t bytes = (floats * 4 + 63) / 64 * 64;
    Val here = *mem;
    *sum += bytes;
    if (here)
        *mem = at_bytes(e, here, i64(e, bytes));
    return here;
}

int64_t back_memory(Back *b, Val mem)
{
    Emit *e = b->w.e;
    int64_t sum = 0, n = BACK_BLOCK, high = back_height(b, n);
    b->col1_at = carve(e, &mem, padded(b->hd) * n, &sum);
    b->col2_at = carve(e, &mem, padded(b->vd) * n, &sum);
    b->row1_at = carve(e, &mem, padded(b->hd) * high, &sum);
    b->row2_at = carve(e, &mem, padded(b->vd) * high, &sum);
    b->turn1_at = carve(e, &mem, n * back_height(b, b->hd), &sum);
    b->turn2_at = carve(e, &mem, n * back_height(b, b->vd), &sum);
    b->s = carve(e, &mem, n * high, &sum);
    b->d = carve(e, &mem, n * high, &sum);
    b->sum1 = carve(e, &mem, n * back_height(b, b->hd), &sum);
    b->sum2 = carve(e, &mem, n * back_height(b, b->vd), &sum);
    b->from = carve(e, &mem, n, &sum);
    b->lses = carve(e, &mem, n, &sum);
    b->delta = carve(e, &mem, n, &sum);
    return sum;
}

Val back_row(Back *b, const Rows *r, Val position)
{
    Emit *e = b->w.e;
    const Type *t = &r->b->type;
    Val n = mul(e, position, walk_size(&b->w, t->dim[1]->size));
    n = mul(e, add(e, n, r->head), i64(e, size_of(r)));
    return at(e, ty_mem(e, t->dtype), walk_base(&b->w, r->b), n);
}

/* n elements from `first` on, f32; fewer where the row ends: zeros. */
static Val elements(Back *b, const Rows *r, Val row, Val first, int n,
                    Val left)
{
    Emit *e = b->w.e;
    Dtype t = r->b->type.dtype;
    Val mask = left ? mask_first(e, n, left) : NULL;
    return to_float(e, load_as(e, t, n, at(e, ty_mem(e, t), row, first), mask),
                    ty(e, TY_f32));
}

/* ---- columns ---- */

static void turn_columns(Back *b, const Rows *r, Val panel, int v, Val *row,
                         Val first, Val left)
{
    Emit *e = b->w.e;
    Val x[64];
    for (int i = 0; i < e->lanes; i++)
        x[i] = elements(b, r, row[i], first, e->lanes, left);
    tile_turn(e, e->lanes, x);
    for (int i = 0; i < e->lanes; i++) {
        Val k = add(e, first, i64(e, i));
        Val to = add(e, mul(e, k, i64(e, b->cols)), i64(e, v));
        store(e, x[i], at(e, ty(e, TY_f32), panel, to));
    }
}

void back_pack_columns(Back *b, const Rows *r, Val to)
{
    Emit *e = b->w.e;
    int64_t size = size_of(r), whole = size / e->lanes * e->lanes;
    Val last = sub(e, b->T, i64(e, 1)), row[64];
    for (int c = 0; c < BACK_BLOCK; c += e->lanes) {
        Val panel = at(e, ty(e, TY_f32), to,
                       i64(e, c / b->cols * padded(size) * b->cols));
        for (int i = 0; i < e->lanes; i++) {
            Val p = add(e, b->c0, i64(e, c + i));
            row[i] = back_row(b, r, least(e, p, last));
        }
        Loop k = loop_begin(e, "k", i64(e, 0), i64(e, whole), e->lanes);
        turn_columns(b, r, panel, c % b->cols, row, k.index, NULL);
        loop_end(e, k);
        Loop z = loop_begin(e, "tail", i64(e, whole), i64(e, padded(size)),
                            e->lanes);
        turn_columns(b, r, panel, c % b->cols, row, z.index,
                     sub(e, i64(e, size), z.index));
        loop_end(e, z);
    }
}

/* ---- rows ---- */

void back_pack_rows(Back *b, const Rows *r, Val to)
{
    Emit *e = b->w.e;
    int64_t size = size_of(r);
    Val chunks = i64(e, padded(size) / tile_chunk(&b->tile));
    Loop l = loop_begin(e, "row", i64(e, 0), b->rows, 1);
    Val step, dst = block_row(e, &b->tile, to, chunks, b->rows, l.index, &step);
    Val args[] = {back_row(b, r, add(e, b->r0, l.index)), i64(e, size), dst,
                  step};
    call(e, block_pack_row(e, &b->tile, r->b->type.dtype), 4, args);
    loop_end(e, l);
}

/* Elements first .. of a chunk of positions to their rows; n exist. */
static void turn_chunk(Back *b, const Rows *r, Val to, Val chunk, Val *row,
                       Val *there, Val first, int n)
{
    Emit *e = b->w.e;
    int64_t size = size_of(r);
    Val x[WIDE], chunks = i64(e, BACK_BLOCK / WIDE);
    Val left = n < WIDE ? i64(e, n) : NULL;
    for (int i = 0; i < WIDE; i++) {
        x[i] = elements(b, r, row[i], first, WIDE, left);
        x[i] = pick(e, there[i], x[i], like(x[i], 0));
    }
    tile_turn(e, WIDE, x);
    for (int i = 0; i < n; i++) {
        Val step, dst = block_row(e, &b->tile, to, chunks, i64(e, size),
                                  add(e, first, i64(e, i)), &step);
        store(e, x[i], at_bytes(e, dst, mul(e, chunk, step)));
    }
}

void back_turn_rows(Back *b, const Rows *r, Val to)
{
    Emit *e = b->w.e;
    int64_t size = size_of(r), whole = size / WIDE * WIDE;
    Val last = sub(e, b->rows, i64(e, 1)), row[WIDE], there[WIDE];
    Val chunks = quot(e, add(e, b->rows, i64(e, WIDE - 1)), i64(e, WIDE));
    Loop c = loop_begin(e, "chunk", i64(e, 0), chunks, 1);
    for (int i = 0; i < WIDE; i++) {
        Val p = add(e, mul(e, c.index, i64(e, WIDE)), i64(e, i));
        there[i] = less_eq(e, p, last);
        row[i] = back_row(b, r, add(e, b->r0, least(e, p, last)));
    }
    Loop k = loop_begin(e, "element", i64(e, 0), i64(e, whole), WIDE);
    turn_chunk(b, r, to, c.index, row, there, k.index, WIDE);
    loop_end(e, k);
    if (size > whole)
        turn_chunk(b, r, to, c.index, row, there, i64(e, whole),
                   (int)(size - whole));
    loop_end(e, c);
}

/* ---- products ---- */

void back_multiply(Back *b, Val x, Val rows, Val w, int64_t w_k, Val chunks,
                   Val count, Val c, int64_t height)
{
    Emit *e = b->w.e;
    Ty t = ty(e, TY_f32);
    for (int p = 0; p < b->panels; p++) {
        Val args[] = {x, at(e, t, w, i64(e, p * w_k * b->cols)), chunks, rows,
                      at(e, t, c, i64(e, p * height * b->cols)), i64(e, 0),
                      count};
        call(e, block_function(e, &b->tile), 7, args);
    }
}

/* ---- sums ---- */

static void store_turned(Back *b, const Rows *to, Val panel, int c, int64_t d,
                         int64_t size, int64_t height)
{
    Emit *e = b->w.e;
    Ty f = ty(e, TY_f32);
    Dtype t = to->b->type.dtype;
    Val x[64], mask = NULL;
    for (int i = 0; i < e->lanes; i++) {
        int64_t k = d + i < height ? d + i : height - 1;
        x[i] = load(e, vec(f, e->lanes),
                    at(e, f, panel, i64(e, k * b->cols + c % b->cols)));
    }
    tile_turn(e, e->lanes, x);
    if (d + e->lanes > size)
        mask = mask_first(e, e->lanes, i64(e, size - d));
    for (int i = 0; i < e->lanes; i++) {
        Val p = add(e, b->c0, i64(e, c + i));
        If there = if_begin(e, less(e, p, b->T));
        store_as(e, t, x[i], at(e, ty_mem(e, t), back_row(b, to, p),
                                i64(e, d)), mask);
        if_end(e, there);
    }
}

void back_store(Back *b, Val sums, int64_t size, const Buffer *out, Val head)
{
    Emit *e = b->w.e;
    int64_t height = back_height(b, size);
    Rows to = {out, head};
    for (int c = 0; c < BACK_BLOCK; c += e->lanes) {
        Val panel = at(e, ty(e, TY_f32), sums,
                       i64(e, c / b->cols * height * b->cols));
        for (int64_t d = 0; d < size; d += e->lanes)
            store_turned(b, &to, panel, c, d, size, height);
    }
}
