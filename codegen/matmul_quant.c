/* Quantised panels: what their blocks hold, and how vectors of weights come out
 * of them. A weight is code * scale + low in f32, fused, whether a tile widens
 * it in registers or a whole panel is widened first: the bits are the same. */
#include "codegen/matmul.h"

enum { UNITS = CHUNK / 4 };

static const Quant quants[] = {
    [TILE_q4] = {32, 4, false, true},
    [TILE_q4w] = {32, 4, true, true},
    [TILE_q8] = {32, 8, false, false},
    [TILE_q8w] = {16, 8, true, false},
};

const Quant *tile_quant(TileKind kind)
{
    return kind >= TILE_q4 ? &quants[kind] : NULL;
}

bool quant_kind(Dtype stored, TileKind *kind)
{
    switch (stored) {
    case TYPE_q4_0:
    case TYPE_q4_1:
        *kind = TILE_q4;
        return true;
    case TYPE_q4_k:
        *kind = TILE_q4w;
        return true;
    case TYPE_q8_0:
        *kind = TILE_q8;
        return true;
    case TYPE_q6_k:
        *kind = TILE_q8w;
        return true;
    default:
        return false;
    }
}

int64_t quant_bytes(const Quant *q, int64_t cols)
{
    int64_t scales = (q->wide ? 4 : 2) * (q->min ? 2 : 1);
    return cols * (scales + q->block * q->bits / 8);
}

static Val scales(Emit *e, const Tile *t, Val w, int number, int vector)
{
    const Quant *q = tile_quant(t->kind);
    Dtype type = q->wide ? TYPE_f32 : TYPE_f16;
    int first = (number * t->vectors + vector) * e->lanes;
    return load_as(e, type, e->lanes, at(e, ty_mem(e, type), w, i64(e, first)),
                   NULL);
}

void quant_begin(Emit *e, const Tile *t, QuantBlock *b, Val w)
{
    const Quant *q = tile_quant(t->kind);
    for (int v = 0; v < t->vectors; v++) {
        b->scale[v] = scales(e, t, w, 0, v);
        b->low[v] = q->min ? scales(e, t, w, 1, v) : NULL;
    }
}

void quant_chunk(Emit *e, const Tile *t, QuantBlock *b, Val w, Val chunk)
{
    const Quant *q = tile_quant(t->kind);
    int64_t cols = t->vectors * e->lanes, bytes = cols * UNITS * q->bits / 8;
    int64_t head = quant_bytes(q, cols) - cols * q->block * q->bits / 8;
    b->codes = at_bytes(e, w, add(e, mul(e, chunk, i64(e, bytes)),
                                  i64(e, head)));
    for (int64_t i = 0; i < bytes; i += 64)
        prefetch(e, at_bytes(e, b->codes, i64(e, t->ahead + i)), 3);
    Ty word = ty(e, TY_i32);
    for (int v = 0; v < t->vectors && q->bits == 4; v++)
        b->words[v] = load(e, vec(word, e->lanes),
                           at(e, word, b->codes, i64(e, v * e->lanes)));
}

/* Nibble `unit` of each word as a float; the permutation looks at the lowest
 * four bits only, so it converts what a shift brings there. */
static Val nibble(Emit *e, Val words, int unit)
{
    Val code = unit ? shift_right(e, words, 4 * unit) : words;
    if (e->target->width == 64) {
        Val table = to_float(e, lane_numbers(e, ty(e, TY_i32), 16),
                             ty(e, TY_f32));
        Val args[] = {table, code};
        return intrinsic(e, "llvm.x86.avx512.permvar.sf.512", 0, NULL, 2, args);
    }
    code = bit_and(e, code, like_bits(code, 15));
    return to_float(e, code, ty(e, TY_f32));
}

Val quant_vector(Emit *e, const Tile *t, QuantBlock *b, int unit, int vector)
{
    if (tile_quant(t->kind)->bits == 4)
        return mul_add(e, nibble(e, b->words[vector], unit), b->scale[vector],
                       b->low[vector]);
    Ty byte = ty(e, TY_i8);
    int first = (unit * t->vectors + vector) * e->lanes;
    Val code = load(e, vec(byte, e->lanes), at(e, byte, b->codes,
                                               i64(e, first)));
    code = to_float(e, to_int(e, code, ty(e, TY_i32)), ty(e, TY_f32));
    return mul(e, code, b->scale[vector]);
}

static void widen(Emit *e, const Tile *t)
{
    Val w = param(e, 0, "w"), out = param(e, 2, "out");
    const Quant *q = tile_quant(t->kind);
    int64_t chunks = q->block / UNITS, cols = t->vectors * e->lanes;
    QuantBlock b;
    Loop i = loop_begin(e, "block", i64(e, 0),
                        quot(e, param(e, 1, "chunks"), i64(e, chunks)), 1);
    Val from = at_bytes(e, w, mul(e, i.index, i64(e, quant_bytes(q, cols))));
    quant_begin(e, t, &b, from);
    Loop k = loop_begin(e, "chunk", i64(e, 0), i64(e, chunks), 1);
    quant_chunk(e, t, &b, from, k.index);
    Val chunk = add(e, mul(e, i.index, i64(e, chunks)), k.index);
    Ty real = ty(e, TY_f32);
    Val to = at(e, real, out, mul(e, chunk, i64(e, UNITS * cols)));
    for (int u = 0; u < UNITS; u++)
        for (int v = 0; v < t->vectors; v++)
            store(e, quant_vector(e, t, &b, u, v),
                  at(e, real, to, i64(e, u * cols + v * e->lanes)));
    loop_end(e, k);
    loop_end(e, i);
    ret(e, NULL);
}

Val quant_widen(Emit *e, const Tile *t)
{
    char name[64];
    Helper h;
    snprintf(name, sizeof name, "widen_%s_%d_%d", tile_name(t->kind),
             t->vectors, t->ahead);
    Ty p = ty_ptr(e), args[] = {p, ty(e, TY_i64), p};
    if (!helper_begin(e, &h, name, 3, args))
        return h.fn;
    widen(e, t);
    helper_end(e, &h);
    return h.fn;
}
