/* Packing of weights that stay quantised: GGUF's blocks, row by row, into the
 * super-blocks of panels (Quant in matmul.h). A block of a file becomes one
 * super-block; codes, scales and their multiples are the file's own. */
#include "codegen/emit/matmul.h"
#include <string.h>

enum { MOST = 256, MULTIPLES = 16 };

/* A file's block: w = (code - offset) * scale + low, where Quant.subs > 1 both
 * times a multiple of their own for each part of it. */
typedef struct {
    uint8_t code[MOST];
    uint16_t scale, low; /* f16 */
    uint8_t multiple[MULTIPLES]; /* the bytes that say which */
} Block;

static uint16_t half_at(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

/* ---- blocks of 32 ---- */

/* Sixteen bytes: the low nibbles, then the high ones. */
static void take_nibbles(const uint8_t *from, Block *b)
{
    for (int i = 0; i < 16; i++) {
        b->code[i] = from[i] & 15;
        b->code[i + 16] = from[i] >> 4;
    }
}

/* Four bytes: a fifth bit for each code. */
static void take_fifths(const uint8_t *from, Block *b)
{
    for (int i = 0; i < 32; i++)
        b->code[i] |= (uint8_t)((from[i / 8] >> i % 8 & 1) << 4);
}

static void take_q4_0(const uint8_t *from, Block *b)
{
    take_nibbles(from + 2, b);
}

static void take_q4_1(const uint8_t *from, Block *b)
{
    b->low = half_at(from + 2);
    take_nibbles(from + 4, b);
}

static void take_q5_0(const uint8_t *from, Block *b)
{
    take_nibbles(from + 6, b);
    take_fifths(from + 2, b);
}

static void take_q5_1(const uint8_t *from, Block *b)
{
    b->low = half_at(from + 2);
    take_nibbles(from + 8, b);
    take_fifths(from + 4, b);
}

static void take_q8_0(const uint8_t *from, Block *b)
{
    for (int i = 0; i < 32; i++)
        b->code[i] = from[2 + i] ^ 128; /* signed, plus 128 */
}

/* ---- blocks of 256 ---- */

/* d, dmin, 12 bytes of 6-bit scales and lows; what is subtracted there is added
 * here. */
static void take_multiples(const uint8_t *from, Block *b)
{
    memcpy(b->multiple, from + 4, 12);
    b->low = half_at(from + 2) ^ 0x8000;
}

/* 32 bytes of nibbles are 64 codes: the low ones, then the high ones. */
static void take_q4_k(const uint8_t *from, Block *b)
{
    take_multiples(from, b);
    for (int i = 0; i < MOST; i++)
        b->code[i] = from[16 + i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15;
}

/* 32 bytes of fifth bits stand before them: bit j is part j's. */
static void take_q5_k(const uint8_t *from, Block *b)
{
    take_multiples(from, b);
    for (int i = 0; i < MOST; i++) {
        int low = from[48 + i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15;
        b->code[i] = (uint8_t)(low | (from[16 + i % 32] >> i / 32 & 1) << 4);
    }
}

/* 128 bytes of low nibbles, 64 of high pairs of bits, 16 signed scales, d. Of a
 * half's four quarters two share a byte of nibbles, and all four one of pairs.
 */
static void take_q6_k(const uint8_t *from, Block *b)
{
    for (int i = 0; i < MOST; i++) {
        int half = i / 128, quarter = i % 128 / 32, at = i % 32;
        int low = from[64 * half + 32 * (quarter % 2) + at];
        int high = from[128 + 32 * half + at] >> 2 * quarter & 3;
        low = quarter < 2 ? low & 15 : low >> 4;
        b->code[i] = (uint8_t)(low | high << 4);
    }
    memcpy(b->multiple, from + 192, MULTIPLES);
    b->scale = half_at(from + 208);
}

static void take(Dtype t, const uint8_t *from, Block *b)
{
    b->scale = half_at(from); /* but for q6_k */
    switch (t) {
    case TYPE_q4_0: take_q4_0(from, b); break;
    case TYPE_q4_1: take_q4_1(from, b); break;
    case TYPE_q5_0: take_q5_0(from, b); break;
    case TYPE_q5_1: take_q5_1(from, b); break;
    case TYPE_q8_0: take_q8_0(from, b); break;
    case TYPE_q4_k: take_q4_k(from, b); break;
    case TYPE_q5_k: take_q5_k(from, b); break;
    case TYPE_q6_k: take_q6_k(from, b); break;
    default: BUG("no panels of %s", type_info[t].name);
    }
}

/* ---- to the panel ---- */

/* Of a super-block, where a column's next value goes: each is one of a row. */
typedef struct {
    char *at; /* of the first column */
    int64_t cols, col;
} Rows;

static void put(Rows *p, const void *value, int bytes)
{
    memcpy(p->at + bytes * p->col, value, (size_t)bytes);
    p->at += bytes * p->cols;
}

static void put_codes(Rows *p, const Quant *q, const uint8_t *code)
{
    for (int k = 0; k < q->block; k += 32 / q->bits) {
        uint8_t word[4];
        for (int i = 0; i < 4; i++)
            word[i] = q->bits == 8 ? code[k + i]
                                   : (uint8_t)((code[k + i] & 15) |
                                               code[k + i + 4] << 4);
        put(p, word, 4);
    }
    if (!q->high)
        return;
    uint8_t high[4] = {0};
    for (int k = 0; k < q->block; k++)
        high[k % 4] |= (uint8_t)(code[k] >> 4 << k / 4 * q->high);
    put(p, high, 4);
}

static void put_block(Rows p, const Quant *q, const Block *b)
{
    put(&p, &b->scale, 2);
    if (q->min)
        put(&p, &b->low, 2);
    for (int i = 0; i < quant_multiples(q); i++)
        put(&p, &b->multiple[i], 1);
    for (int i = 0; i < q->subs; i++)
        put_codes(&p, q, b->code + i * q->block);
}

int64_t quant_panel_bytes(Dtype stored, int64_t k, int64_t cols)
{
    TileKind kind;
    if (!quant_kind(stored, &kind))
        return 0;
    return k / type_info[stored].block_len *
           quant_bytes(tile_quant(kind), cols);
}

void quant_pack_row(Dtype stored, const void *row, int64_t k, int64_t cols,
                    int64_t col, void *panel)
{
    TileKind kind = TILE_q4;
    Block b = {0};
    quant_kind(stored, &kind);
    const Quant *q = tile_quant(kind);
    const TypeInfo *t = &type_info[stored];
    for (int64_t i = 0; i < k / t->block_len; i++) {
        take(stored, (const uint8_t *)row + i * t->block_bytes, &b);
        Rows to = {(char *)panel + i * quant_bytes(q, cols), cols, col};
        put_block(to, q, &b);
    }
}

/* Quantised, K must be the tensor's last dims, in its order, and whole blocks.
 */
bool pack_keeps(const Pack *p, Dtype stored)
{
    TileKind kind;
    int64_t k = 1;
    if (!quant_kind(stored, &kind))
        return stored == TYPE_f16 || stored == TYPE_bf16;
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
