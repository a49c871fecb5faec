/* Tiles of quantised weights. A code times a code is a whole number: in a block
 * of K all of them are summed exactly in i32, then scaled once,
 *     C += (scale_w scale_x) isum + low_w sum_x
 * in f32, block after block. x has 16 bits for each element (quant_rows.c), so
 * isum is below 32 * 255 * 2^15 < 2^31. Codes of w are unsigned; where they
 * stand for negative numbers too, isum begins at -offset times the sum of x's
 * codes. A unit is four elements of K: a word of w for each column. */
#include "codegen/emit/matmul.h"

static const Quant quants[TILE_KINDS] = {
    /*            stored     block bits high subs min  offset */
    [TILE_q4s] = {TYPE_q4_0, 32,   4,   0,   1,   false, 8},
    [TILE_q4] =  {TYPE_q4_1, 32,   4,   0,   1,   true,  0},
    [TILE_q5s] = {TYPE_q5_0, 32,   4,   1,   1,   false, 16},
    [TILE_q5] =  {TYPE_q5_1, 32,   4,   1,   1,   true,  0},
    [TILE_q8] =  {TYPE_q8_0, 32,   8,   0,   1,   false, 128},
    [TILE_q4k] = {TYPE_q4_k, 32,   4,   0,   8,   true,  0},
    [TILE_q5k] = {TYPE_q5_k, 32,   4,   1,   8,   true,  0},
    [TILE_q6k] = {TYPE_q6_k, 16,   4,   2,   16,  false, 32},
};

const Quant *tile_quant(TileKind kind)
{
    return quants[kind].block ? &quants[kind] : NULL;
}

bool quant_kind(Dtype stored, TileKind *kind)
{
    for (int i = 0; i < TILE_KINDS; i++)
        if (quants[i].block && quants[i].stored == stored) {
            *kind = (TileKind)i;
            return true;
        }
    return false;
}

int quant_multiples(const Quant *q)
{
    return q->subs == 8 ? 12 : q->subs == 16 ? 16 : 0;
}

/* For each column: of the scales and their multiples; of a block's codes. */
static int scale_bytes(const Quant *q)
{
    return (q->min ? 4 : 2) + quant_multiples(q);
}

static int code_bytes(const Quant *q)
{
    return q->block * q->bits / 8 + (q->high ? 4 : 0);
}

int64_t quant_bytes(const Quant *q, int64_t cols)
{
    return cols * (scale_bytes(q) + q->subs * code_bytes(q));
}

int quant_x_bytes(const Quant *q)
{
    return QUANT_HEAD + 2 * q->block;
}

/* ---- four elements of K ---- */

/* What one block of a tile works with. Codes of x come in two words a unit:
 * see quant_rows.c. */
typedef struct {
    Emit *e;
    const Tile *t;
    const Quant *q;
    int rows;
    int64_t cols;
    Val x, codes;  /* of this block */
    Val scales;    /* of its super-block: scales, then lows */
    Val multiples; /* signed bytes [2][subs][cols], of this block first */
    Val even[4], high_bits[4]; /* words of w that several units share */
    Val c[32];     /* variables: by row, then vector */
    Val sum[32], high[32];
} Block;

static Val x_word(const Block *b, int row, int64_t at_byte)
{
    Emit *e = b->e;
    int64_t first = row * tile_chunk_bytes(b->t);
    return load(e, ty(e, TY_i32), at_bytes(e, b->x, i64(e, first + at_byte)));
}

/* One word for each of a vector's columns, of rows of such words. */
static Val words(const Block *b, Val from, int row, int v)
{
    Emit *e = b->e;
    int64_t first = 4 * (row * b->cols + v * e->lanes);
    return load(e, vec(ty(e, TY_i32), e->lanes),
                at_bytes(e, from, i64(e, first)));
}

static Val masked(Emit *e, Val word, int64_t mask)
{
    return bit_and(e, word, like_bits(word, mask));
}

/* The bits of a unit's codes from the fourth on, in their place in each byte.
 */
static Val high_unit(Block *b, int unit, int v)
{
    Emit *e = b->e;
    const Quant *q = b->q;
    int up = 4 - unit * q->high;
    if (!unit)
        b->high_bits[v] = words(b, b->codes, q->block * q->bits / 32, v);
    Val word = b->high_bits[v];
    word = up < 0 ? shift_right(e, word, -up) : shift_left(e, word, up);
    return masked(e, word, q->high == 1 ? 0x10101010 : 0x30303030);
}

/* The unit's four codes as bytes of a word. */
static Val w_unit(Block *b, int unit, int v)
{
    Emit *e = b->e;
    if (b->q->bits == 8)
        return words(b, b->codes, unit, v);
    bool odd = unit % 2;
    if (!odd)
        b->even[v] = words(b, b->codes, unit / 2, v);
    Val low = odd ? shift_right(e, b->even[v], 4) : b->even[v];
    low = masked(e, low, 0x0f0f0f0f);
    return b->q->high ? bit_or(e, low, high_unit(b, unit, v)) : low;
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

/* The block's scales, or (number 1) its lows: exact, f16 times a few bits. */
static Val scale_of(const Block *b, int number, int v)
{
    Emit *e = b->e;
    int64_t first = number * b->cols + v * e->lanes;
    Val p = at_bytes(e, b->scales, i64(e, 2 * first));
    Val scale = load_as(e, TYPE_f16, e->lanes, p, NULL);
    if (b->q->subs == 1)
        return scale;
    first += number * (b->q->subs - 1) * b->cols;
    Val m = load(e, vec(ty(e, TY_i8), e->lanes),
                 at_bytes(e, b->multiples, i64(e, first)));
    m = to_int(e, m, ty(e, TY_i32));
    return mul(e, scale, to_float(e, m, ty(e, TY_f32)));
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
        scale[v] = scale_of(b, 0, v);
        if (b->q->min)
            low[v] = scale_of(b, 1, v);
    }
    for (int i = 0; i < b->rows * nv; i++) {
        Val c = get(e, b->c[i]), sum = b->sum[i];
        if (e->target->vnni)
            sum = add(e, sum, shift_left(e, b->high[i], 8));
        sum = mul(e, to_float(e, sum, ty(e, TY_f32)), x_real(b, i / nv, 0));
        c = mul_add(e, sum, scale[i % nv], c);
        if (low[i % nv])
            c = mul_add(e, low[i % nv], x_real(b, i / nv, 4), c);
        set(e, b->c[i], c);
    }
}

static void one_block(Block *b)
{
    start_sums(b);
    for (int u = 0; u < b->q->block / 4; u++)
        one_unit(b, u);
    end_sums(b);
}

/* ---- a super-block ---- */

/* Twelve rows of bytes to sixteen of 6 bits each: a word is four columns. */
static void spread_bytes(Block *b, Val from, Val to)
{
    Emit *e = b->e;
    int64_t lanes = 4 * e->lanes;
    for (int64_t i = 0; i < 4 * b->cols; i += lanes) {
        Val row[3], high[2], low, out[4];
        Ty t = vec(ty(e, TY_i32), e->lanes);
        for (int j = 0; j < 3; j++)
            row[j] = load(e, t, at_bytes(e, from, i64(e, 4 * j * b->cols + i)));
        for (int j = 0; j < 2; j++) {
            high[j] = masked(e, shift_right(e, row[j], 2), 0x30303030);
            low = masked(e, shift_right(e, row[2], 4 * j), 0x0f0f0f0f);
            out[2 * j] = masked(e, row[j], 0x3f3f3f3f);
            out[2 * j + 1] = bit_or(e, low, high[j]);
        }
        for (int j = 0; j < 4; j++)
            store(e, out[j], at_bytes(e, to, i64(e, 4 * j * b->cols + i)));
    }
}

/* Blocks share the asking for what comes after their super-block, its scales
 * too. */
static void ask_ahead(const Block *b, Val from, int64_t bytes)
{
    Emit *e = b->e;
    for (int64_t k = 0; k < bytes; k += 64)
        prefetch(e, at_bytes(e, from, i64(e, b->t->ahead + k)), 3);
}

/* x and w: the super-block's; bytes: room for multiples of 6 bits. */
static void super_block(Block *b, Val x, Val w, Val bytes)
{
    Emit *e = b->e;
    const Quant *q = b->q;
    int64_t each = quant_bytes(q, b->cols) / q->subs;
    Val codes = at_bytes(e, w, i64(e, scale_bytes(q) * b->cols));
    Val multiples = at_bytes(e, w, i64(e, (q->min ? 4 : 2) * b->cols));
    b->scales = w;
    b->x = x;
    b->codes = codes;
    if (q->subs == 1) {
        ask_ahead(b, w, each);
        one_block(b);
        return;
    }
    if (bytes) {
        spread_bytes(b, multiples, bytes);
        multiples = bytes;
    }
    Loop i = loop_begin(e, "block", i64(e, 0), i64(e, q->subs), 1);
    b->x = at_bytes(e, x, mul(e, i.index, i64(e, quant_x_bytes(q))));
    b->codes = at_bytes(e, codes,
                        mul(e, i.index, i64(e, code_bytes(q) * b->cols)));
    b->multiples = at_bytes(e, multiples, mul(e, i.index, i64(e, b->cols)));
    ask_ahead(b, at_bytes(e, w, mul(e, i.index, i64(e, each))), each);
    one_block(b);
    loop_end(e, i);
}

static Val c_at(const Block *b, Val c, int i)
{
    Emit *e = b->e;
    return at(e, ty(e, TY_f32), c, i64(e, i * e->lanes));
}

void quant_tile(Emit *e, const Tile *t, int rows)
{
    Block b = {.e = e, .t = t, .q = tile_quant(t->kind), .rows = rows,
               .cols = (int64_t)t->vectors * e->lanes};
    Val x = param(e, 0, "x"), w = param(e, 1, "w"), n = param(e, 2, "chunks");
    Val c = param(e, 3, "c");
    int count = rows * t->vectors;
    Val bytes = b.q->subs == 8 ? room(e, 16 * b.cols, "multiples") : NULL;
    for (int i = 0; i < count; i++) {
        b.c[i] = var(e, vec(ty(e, TY_f32), e->lanes), "sum");
        set(e, b.c[i], load(e, vec(ty(e, TY_f32), e->lanes), c_at(&b, c, i)));
    }
    Loop k = loop_begin(e, "chunk", i64(e, 0), n, 1);
    x = at_bytes(e, x, mul(e, k.index, i64(e, rows * tile_chunk_bytes(t))));
    w = at_bytes(e, w, mul(e, k.index, i64(e, tile_w_bytes(e, t))));
    super_block(&b, x, w, bytes);
    loop_end(e, k);
    for (int i = 0; i < count; i++)
        store(e, get(e, b.c[i]), c_at(&b, c, i));
    ret(e, NULL);
}

int quant_room(const Emit *e, int vectors, int registers)
{
    int sums = e->target->vnni ? 2 : 1;
    int most = (registers - 3 * vectors - 1) / ((sums + 1) * vectors);
    return most < 1 ? 1 : most;
}
