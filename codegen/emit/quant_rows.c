/* Rows of x for tiles of quantised weights: whole numbers of 16 bits, scaled by
 * the largest of their block of K, which is as long as w's:
 *     f32 scale
 *     f32 scale times the sum of the codes, or i32 -offset times it (Quant)
 *     the codes, two words for each four of them: their high bytes, then of all
 *     the low ones (signed, for byte dot products); or elements 0 and 2, then
 *     of all 1 and 3, as i16
 * A code is off by at most a half: 2^-16 of the block's largest. */
#include "codegen/emit/matmul.h"

/* 127 * 256 + 127: more has no signed high and low byte. */
enum { LARGEST = 32639 };

/* Rounded to nearest even as the bits of a float that such numbers share; of
 * infinities and NaN comes some number, never what is undefined. */
static Val codes_of(Emit *e, Val x, Val inverse)
{
    Val magic = like(x, 12582912);
    Val sum = mul_add(e, x, splat(e, inverse, width_of(x)), magic);
    return sub(e, bits_of(e, sum), bits_of(e, magic));
}

/* Elements `first` and `first` + 2 of each four. */
static Val every_other(Emit *e, Val halves, int first)
{
    int from[16], n = width_of(halves) / 2;
    for (int i = 0; i < n; i++)
        from[i] = i / 2 * 4 + i % 2 * 2 + first;
    return shuffle(e, halves, halves, from, n);
}

static void store_codes(Emit *e, Val codes, Val to)
{
    int64_t n = width_of(codes);
    Val first, second;
    if (e->target->vnni) {
        Val high = shift_right(e, add(e, codes, like_bits(codes, 128)), 8);
        first = to_int(e, high, ty(e, TY_i8));
        second = to_int(e, codes, ty(e, TY_i8));
    } else {
        Val halves = to_int(e, codes, ty(e, TY_i16));
        first = every_other(e, halves, 0);
        second = every_other(e, halves, 1);
    }
    store(e, first, at_bytes(e, to, i64(e, QUANT_HEAD)));
    store(e, second, at_bytes(e, to, i64(e, QUANT_HEAD + n)));
}

/* What is smaller than 2^-100 counts as zero: its inverse might be none. */
void quant_pack_block(Emit *e, const Tile *t, Val x, Val to)
{
    const Quant *q = tile_quant(t->kind);
    Val bits = bits_of(e, x);
    Val size = bit_and(e, bits, like_bits(bits, 0x7fffffff));
    Val most = float_of_bits(e, reduce_max(e, size));
    Val none = less(e, most, f32(e, 0x1p-100)), zero = f32(e, 0);
    Val scale = pick(e, none, zero, mul(e, most, f32(e, 1.0 / LARGEST)));
    Val inverse = pick(e, none, zero, quot(e, f32(e, LARGEST), most));
    Val codes = codes_of(e, x, inverse), sum = reduce_add(e, codes);
    if (q->min)
        sum = mul(e, to_float(e, sum, ty(e, TY_f32)), scale);
    else
        sum = mul(e, sum, i32(e, -q->offset));
    store(e, scale, to);
    store(e, sum, at_bytes(e, to, i64(e, 4)));
    store_codes(e, codes, to);
}

Val quant_x_block(Emit *e, const Tile *t, Val dst, Val column, Val step)
{
    const Quant *q = tile_quant(t->kind);
    Val chunk = i64(e, tile_chunk(t));
    Val block = quot(e, rest(e, column, chunk), i64(e, q->block));
    Val to = at_bytes(e, dst, mul(e, quot(e, column, chunk), step));
    return at_bytes(e, to, mul(e, block, i64(e, quant_x_bytes(q))));
}

void quant_pack_x(Emit *e, const Tile *t, Dtype from)
{
    const Quant *q = tile_quant(t->kind);
    Val src = param(e, 0, "src"), count = param(e, 1, "count");
    Val dst = param(e, 2, "dst"), step = param(e, 3, "step");
    Loop i = loop_begin(e, "column", i64(e, 0), count, q->block);
    Val p = at(e, ty_mem(e, from), src, i.index);
    Val x = to_float(e, load_as(e, from, q->block, p, NULL), ty(e, TY_f32));
    quant_pack_block(e, t, x, quant_x_block(e, t, dst, i.index, step));
    loop_end(e, i);
    ret(e, NULL);
}
