/* Packing of weights that stay quantised: GGUF's blocks, row by row, into the
 * blocks of panels (Quant in matmul.h). Codes and scales are the file's own;
 * scales that a file keeps as products of two are multiplied out in f32. */
#include "codegen/matmul.h"
#include <string.h>

/* `block` elements of a row: w = (code - offset) * scale + low (Quant). */
typedef struct {
    uint8_t code[32];
    float scale, low;
} Block;

static float half_at(const uint8_t *p)
{
    return f32_of_f16((uint16_t)(p[0] | p[1] << 8));
}

/* Sixteen bytes: the low nibbles, then the high ones. */
static void take_nibbles(const uint8_t *from, Block *b)
{
    for (int i = 0; i < 16; i++) {
        b->code[i] = from[i] & 15;
        b->code[i + 16] = from[i] >> 4;
    }
}

static void take_q4_0(const uint8_t *from, Block *b)
{
    b->scale = half_at(from);
    take_nibbles(from + 2, b);
}

static void take_q4_1(const uint8_t *from, Block *b)
{
    b->scale = half_at(from);
    b->low = half_at(from + 2);
    take_nibbles(from + 4, b);
}

static void take_q8_0(const uint8_t *from, Block *b)
{
    b->scale = half_at(from);
    for (int i = 0; i < 32; i++)
        b->code[i] = from[2 + i] ^ 128; /* signed, plus 128 */
}

/* Part `i` of eight of a super-block: d, dmin, 12 bytes of 6-bit scales and
 * lows, then 64 elements to 32 bytes. */
static void take_q4_k(const uint8_t *from, int i, Block *b)
{
    const uint8_t *s = from + 4, *codes = from + 16 + i / 2 * 32;
    int scale = i < 4 ? s[i] & 63 : (s[i + 4] & 15) | s[i - 4] >> 6 << 4;
    int low = i < 4 ? s[i + 4] & 63 : s[i + 4] >> 4 | s[i] >> 6 << 4;
    b->scale = half_at(from) * (float)scale;
    b->low = -(half_at(from + 2) * (float)low);
    for (int k = 0; k < 32; k++)
        b->code[k] = i & 1 ? codes[k] >> 4 : codes[k] & 15;
}

/* Part `i` of sixteen: 128 bytes of low nibbles, 64 of high pairs of bits, 16
 * signed scales, d. Half h holds elements 128 h ..; of its four quarters two
 * share a byte of nibbles, and all four one of pairs. */
static void take_q6_k(const uint8_t *from, int i, Block *b)
{
    int half = i / 8, quarter = i % 8 / 2, first = i % 2 * 16;
    const uint8_t *low = from + 64 * half + 32 * (quarter % 2) + first;
    const uint8_t *high = from + 128 + 32 * half + first;
    int8_t scale;
    memcpy(&scale, from + 192 + i, 1);
    b->scale = half_at(from + 208) * (float)scale;
    for (int k = 0; k < 16; k++) {
        int nibble = quarter < 2 ? low[k] & 15 : low[k] >> 4;
        b->code[k] = (uint8_t)(nibble | (high[k] >> 2 * quarter & 3) << 4);
    }
}

/* The i-th block of a row, in the panel's size of block. */
static void take(Dtype t, const uint8_t *row, int64_t i, Block *b)
{
    int64_t bytes = type_info[t].block_bytes;
    switch (t) {
    case TYPE_q4_0:
        take_q4_0(row + i * bytes, b);
        break;
    case TYPE_q4_1:
        take_q4_1(row + i * bytes, b);
        break;
    case TYPE_q8_0:
        take_q8_0(row + i * bytes, b);
        break;
    case TYPE_q4_k:
        take_q4_k(row + i / 8 * bytes, (int)(i % 8), b);
        break;
    default:
        take_q6_k(row + i / 16 * bytes, (int)(i % 16), b);
    }
}

static void put_scale(const Quant *q, char *to, int64_t i, float value)
{
    if (q->wide) {
        memcpy(to + 4 * i, &value, 4);
    } else {
        uint16_t h = f16_of_f32(value);
        memcpy(to + 2 * i, &h, 2);
    }
}

static void put_word(const uint8_t *code, int bits, char *to)
{
    for (int i = 0; i < 4; i++)
        to[i] = (char)(bits == 8 ? code[i] : code[i] | code[i + 4] << 4);
}

static void put(const Quant *q, const Block *b, char *to, int64_t cols,
                int64_t col)
{
    int64_t scales = cols * (q->wide ? 4 : 2);
    put_scale(q, to, col, b->scale);
    to += scales;
    if (q->min) {
        put_scale(q, to, col, b->low);
        to += scales;
    }
    int each = 32 / q->bits; /* codes of a word */
    for (int k = 0; k < q->block; k += each, to += 4 * cols)
        put_word(b->code + k, q->bits, to + 4 * col);
}

int64_t quant_panel_bytes(Dtype stored, int64_t k, int64_t cols)
{
    TileKind kind;
    if (!quant_kind(stored, &kind))
        return 0;
    const Quant *q = tile_quant(kind);
    return k / q->block * quant_bytes(q, cols);
}

void quant_pack_row(Dtype stored, const void *row, int64_t k, int64_t cols,
                    int64_t col, void *panel)
{
    TileKind kind = TILE_q4;
    Block b = {0};
    quant_kind(stored, &kind);
    const Quant *q = tile_quant(kind);
    for (int64_t i = 0; i < k / q->block; i++) {
        take(stored, row, i, &b);
        put(q, &b, (char *)panel + i * quant_bytes(q, cols), cols, col);
    }
}

/* K must be the tensor's last dims, in its order, and whole blocks. */
bool pack_keeps(const Pack *p, Dtype stored)
{
    TileKind kind;
    int64_t k = 1;
    if (!quant_kind(stored, &kind))
        return false;
    for (int i = 0; i < p->nk; i++)
        k *= size_at(p->k[i]->size, 1);
    for (int i = 0; i < p->parts; i++) {
        const Type *t = &p->part[i]->type;
        for (int j = 0; j < p->nk; j++)
            if (t->rank < p->nk || t->dim[t->rank - p->nk + j] != p->k[j])
                return false;
    }
    return k % type_info[stored].block_len == 0;
}
