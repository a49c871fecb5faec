/* Tiles of quantised weights. A code times a code is a whole number: in a block
 * of K all of them are summed exactly in i32, then scaled once,
 *     C += (scale_w scale_x) isum + low_w sum_x
 * in f32, block after block. x has 16 bits for each element (quant_rows.c), so
 * isum is below 32 * 255 * 2^15 < 2^31. Codes of w are unsigned; where they
 * stand for negative numbers too, isum begins at -offset times the sum of x's
 * codes. A unit is four elements of K: a word of w for each column. */
#include "codegen/matmul.h"

static const Quant quants[] = {
    /*           block bits wide  min    offset */
    [TILE_q4] = {32,   4,   false, true,  0},
    [TILE_q4s] = {32,  4,   false, false, 8},
    [TILE_q4w] = {32,  4,   true,  true,  0},
    [TILE_q8] = {32,   8,   false, false, 128},
    [TILE_q8w] = {16,  8,   true,  false, 32},
};

const Quant *tile_quant(TileKind kind)
{
    return kind >= TILE_q4 ? &quants[kind] : NULL;
}

bool quant_kind(Dtype stored, TileKind *kind)
{
    switch (stored) {
    case TYPE_q4_0: *kind = TILE_q4s; return true;
    case TYPE_q4_1: *kind = TILE_q4; return true;
    case TYPE_q4_k: *kind = TILE_q4w; return true;
    case TYPE_q8_0: *kind = TILE_q8; return true;
    case TYPE_q6_k: *kind = TILE_q8w; return true;
    default: return false;
    }
}

int64_t quant_bytes(const Quant *q, int64_t cols)
{
    int64_t scales = (q->wide ? 4 : 2) * (q->min ? 2 : 1);
    return cols * (scales + q->block * q->bits / 8);
}

/* ---- four elements of K ---- */

/* What one block of a tile works with. Codes of x come in two words a unit:
 * see quant_rows.c. */
typedef struct {
    Emit *e;
    const Tile *t;
    const Quant *q;
    int rows;
    Val x, w, c;    /* of this block */
    Val even[4];    /* w's words of nibbles, for two units */
    Val sum[32], high[32]; /* by row, then vector */
} Block;

static Val x_word(const Block *b, int row, int64_t at_byte)
{
    Emit *e = b->e;
    int64_t first = row * tile_chunk_bytes(b->t);
    return load(e, ty(e, TY_i32), at_bytes(e, b->x, i64(e, first + at_byte)));
}

static Val w_word(const Block *b, int number)
{
    Emit *e = b->e;
    int64_t cols = b->t->vectors * e->lanes;
    int64_t codes = cols * b->q->block * b->q->bits / 8;
    int64_t first = quant_bytes(b->q, cols) - codes + number * 4 * e->lanes;
    return load(e, vec(ty(e, TY_i32), e->lanes),
                at_bytes(e, b->w, i64(e, first)));
}

/* The unit's four codes as bytes of a word. */
static Val w_unit(Block *b, int unit, int v)
{
    int nv = b->t->vectors;
    if (b->q->bits == 8)
        return w_word(b, unit * nv + v);
    bool odd = unit % 2;
    if (!odd)
        b->even[v] = w_word(b, unit / 2 * nv + v);
    Val word = odd ? shift_right(b->e, b->even[v], 4) : b->even[v];
    return bit_and(b->e, word, like_bits(word, 0x0f0f0f0f));
}

static Val dot_bytes(Emit *e, Val sum, Val w, Val x)
{
    char name[40];
    Val args[] = {sum, w, x};
    snprintf(name, sizeof name, "llvm.x86.avx512.vpdpbusd.%d",
             8 * e->target->width);
    return intrinsic(e, name, 0, NULL, 3, args);
}

/* sum + the products of pairs of i16. */
static Val dot_halves(Emit *e, Val sum, Val w, Val x)
{
    Ty half = vec(ty(e, TY_i16), 2 * e->lanes);
    Val args[] = {LLVMBuildBitCast(e->at, w, half, ""),
                  LLVMBuildBitCast(e->at, x, half, "")};
    const char *name = e->target->width == 64   ? "llvm.x86.avx512.pmaddw.d.512"
                       : e->target->width == 32 ? "llvm.x86.avx2.pmadd.wd"
                                                : "llvm.x86.sse2.pmadd.wd";
    return add(e, sum, intrinsic(e, name, 0, NULL, 2, args));
}

/* The same without such an instruction. */
static Val dot_plain(Emit *e, Val sum, Val w, Val x)
{
    Val low = shift_signed(e, shift_left(e, x, 16), 16);
    sum = mul_add(e, bit_and(e, w, like_bits(w, 0xffff)), low, sum);
    return mul_add(e, shift_right(e, w, 16), shift_signed(e, x, 16), sum);
}

void quant_dot(Emit *e, Val *high, Val *sum, Val w, Val first, Val second)
{
    if (e->target->vnni) {
        *high = dot_bytes(e, *high, w, first);
        *sum = dot_bytes(e, *sum, w, second);
        return;
    }
    Val (*dot)(Emit *, Val, Val, Val) = e->target->x86 ? dot_halves : dot_plain;
    Val odd = bit_and(e, shift_right(e, w, 8), like_bits(w, 0x00ff00ff));
    *sum = dot(e, *sum, bit_and(e, w, like_bits(w, 0x00ff00ff)), first);
    *sum = dot(e, *sum, odd, second);
}

static void one_unit(Block *b, int unit)
{
    Emit *e = b->e;
    int nv = b->t->vectors;
    Val w[4];
    for (int v = 0; v < nv; v++)
        w[v] = w_unit(b, unit, v);
    for (int r = 0; r < b->rows; r++) {
        int64_t at_unit = QUANT_HEAD + 4 * unit;
        Val first = splat(e, x_word(b, r, at_unit), e->lanes);
        Val second = splat(e, x_word(b, r, at_unit + b->q->block), e->lanes);
        for (int v = 0; v < nv; v++)
            quant_dot(e, &b->high[r * nv + v], &b->sum[r * nv + v], w[v],
                      first, second);
    }
}

/* ---- a block ---- */

static void start_sums(Block *b)
{
    Emit *e = b->e;
    int nv = b->t->vectors;
    Val zero = num(vec(ty(e, TY_i32), e->lanes), 0);
    for (int i = 0; i < b->rows * nv; i++) {
        b->high[i] = zero;
        b->sum[i] = b->q->offset ? splat(e, x_word(b, i / nv, 4), e->lanes)
                                 : zero;
    }
}

static Val scales(const Block *b, int number, int v)
{
    Emit *e = b->e;
    Dtype type = b->q->wide ? TYPE_f32 : TYPE_f16;
    int first = (number * b->t->vectors + v) * e->lanes;
    return load_as(e, type, e->lanes,
                   at(e, ty_mem(e, type), b->w, i64(e, first)), NULL);
}

static Val x_real(const Block *b, int row, int64_t at_byte)
{
    Emit *e = b->e;
    return splat(e, float_of_bits(e, x_word(b, row, at_byte)), e->lanes);
}

static void end_sums(Block *b)
{
    Emit *e = b->e;
    int nv = b->t->vectors;
    Val scale[4], low[4] = {NULL};
    for (int v = 0; v < nv; v++) {
        scale[v] = scales(b, 0, v);
        low[v] = b->q->min ? scales(b, 1, v) : NULL;
    }
    for (int i = 0; i < b->rows * nv; i++) {
        Val p = at(e, ty(e, TY_f32), b->c, i64(e, i * e->lanes));
        Val c = load(e, vec(ty(e, TY_f32), e->lanes), p), sum = b->sum[i];
        if (e->target->vnni)
            sum = add(e, sum, shift_left(e, b->high[i], 8));
        sum = mul(e, to_float(e, sum, ty(e, TY_f32)), x_real(b, i / nv, 0));
        c = mul_add(e, sum, scale[i % nv], c);
        if (low[i % nv])
            c = mul_add(e, low[i % nv], x_real(b, i / nv, 4), c);
        store(e, c, p);
    }
}

void quant_tile(Emit *e, const Tile *t, int rows)
{
    Block b = {.e = e, .t = t, .q = tile_quant(t->kind), .rows = rows};
    Val x = param(e, 0, "x"), w = param(e, 1, "w"), n = param(e, 2, "blocks");
    int64_t bytes = tile_w_bytes(e, t);
    b.c = param(e, 3, "c");
    Loop i = loop_begin(e, "block", i64(e, 0), n, 1);
    b.x = at_bytes(e, x, mul(e, i.index, i64(e, rows * tile_chunk_bytes(t))));
    b.w = at_bytes(e, w, mul(e, i.index, i64(e, bytes)));
    for (int64_t k = 0; k < bytes; k += 64)
        prefetch(e, at_bytes(e, b.w, i64(e, t->ahead + k)), 3);
    start_sums(&b);
    for (int u = 0; u < b.q->block / 4; u++)
        one_unit(&b, u);
    end_sums(&b);
    loop_end(e, i);
    ret(e, NULL);
}

int quant_room(const Emit *e, int vectors, int registers)
{
    int sums = e->target->vnni ? 2 : 1;
    int most = (registers - 3 * vectors - 1) / ((sums + 1) * vectors);
    return most < 1 ? 1 : most;
}
