/* GGUF's block types to f32, a block at a time: q is a small integer, d and m
 * f16 scales; value = d * q + m, in f32, which is how the format defines it.
 * The loops have fixed bounds so that the compiler vectorises them. */
#include "runtime/files/widen.h"
#include <string.h>

static inline float scale_at(const uint8_t *at)
{
    uint16_t h;
    memcpy(&h, at, sizeof h);
    return f32_of_f16(h);
}

static inline uint32_t bits_at(const uint8_t *at)
{
    uint32_t bits;
    memcpy(&bits, at, sizeof bits);
    return bits;
}

/* d, 16 bytes: low nibbles first, then high; q - 8 */
static void q4_0(const uint8_t *b, float *out)
{
    float d = scale_at(b);
    for (int i = 0; i < 16; i++) {
        out[i] = d * (float)((b[2 + i] & 15) - 8);
        out[i + 16] = d * (float)((b[2 + i] >> 4) - 8);
    }
}

/* d, m, 16 bytes */
static void q4_1(const uint8_t *b, float *out)
{
    float d = scale_at(b), m = scale_at(b + 2);
    for (int i = 0; i < 16; i++) {
        out[i] = d * (float)(b[4 + i] & 15) + m;
        out[i + 16] = d * (float)(b[4 + i] >> 4) + m;
    }
}

/* d, 32 fifth bits, 16 bytes; q - 16 */
static void q5_0(const uint8_t *b, float *out)
{
    float d = scale_at(b);
    uint32_t high = bits_at(b + 2);
    for (int i = 0; i < 16; i++) {
        int low = (b[6 + i] & 15) | (int)(high >> i & 1) << 4;
        int up = b[6 + i] >> 4 | (int)(high >> (i + 16) & 1) << 4;
        out[i] = d * (float)(low - 16);
        out[i + 16] = d * (float)(up - 16);
    }
}

/* d, m, 32 fifth bits, 16 bytes */
static void q5_1(const uint8_t *b, float *out)
{
    float d = scale_at(b), m = scale_at(b + 2);
    uint32_t high = bits_at(b + 4);
    for (int i = 0; i < 16; i++) {
        int low = (b[8 + i] & 15) | (int)(high >> i & 1) << 4;
        int up = b[8 + i] >> 4 | (int)(high >> (i + 16) & 1) << 4;
        out[i] = d * (float)low + m;
        out[i + 16] = d * (float)up + m;
    }
}

/* d, 32 signed bytes */
static void q8_0(const uint8_t *b, float *out)
{
    float d = scale_at(b);
    const int8_t *q = (const int8_t *)b + 2;
    for (int i = 0; i < 32; i++)
        out[i] = d * (float)q[i];
}

/* Six-bit scale and minimum j of eight, packed in 12 bytes. */
static void scale_min(const uint8_t *s, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        *min = s[j + 4] >> 4 | (s[j] >> 6) << 4;
    }
}

/* 32 values of a super-block: nibbles of q (shift 0 or 4), fifth bits from bit
 * `bit` of high, or none. */
static void k_part(const uint8_t *head, int j, const uint8_t *q, int shift,
                   const uint8_t *high, int bit, float *out)
{
    int scale, min;
    scale_min(head + 4, j, &scale, &min);
    float d = scale_at(head) * (float)scale;
    float m = scale_at(head + 2) * (float)min;
    for (int i = 0; i < 32; i++) {
        int v = q[i] >> shift & 15;
        if (high)
            v |= (high[i] >> bit & 1) << 4;
        out[i] = d * (float)v - m;
    }
}

/* d, dmin, 12 bytes of scales, 128 bytes: 32 bytes hold parts 2j and 2j + 1 */
static void q4_k(const uint8_t *b, float *out)
{
    for (int j = 0; j < 8; j++)
        k_part(b, j, b + 16 + j / 2 * 32, j % 2 * 4, NULL, 0, out + 32 * j);
}

/* d, dmin, 12 bytes of scales, 32 bytes of fifth bits, 128 bytes */
static void q5_k(const uint8_t *b, float *out)
{
    for (int j = 0; j < 8; j++)
        k_part(b, j, b + 48 + j / 2 * 32, j % 2 * 4, b + 16, j, out + 32 * j);
}

/* 128 bytes of low nibbles, 64 of two high bits, 16 signed scales, d; q - 32 */
static void q6_k(const uint8_t *b, float *out)
{
    float d = scale_at(b + 208);
    for (int part = 0; part < 8; part++) { /* 32 values each */
        const uint8_t *low = b + part / 4 * 64 + part % 2 * 32;
        const uint8_t *high = b + 128 + part / 4 * 32;
        const int8_t *scale = (const int8_t *)b + 192 + 2 * part;
        int shift = part % 4 / 2 * 4, bits = part % 4 * 2;
        for (int i = 0; i < 32; i++) {
            int v = (low[i] >> shift & 15) | (high[i] >> bits & 3) << 4;
            out[32 * part + i] = d * (float)scale[i / 16] * (float)(v - 32);
        }
    }
}

#define BLOCKS(name) \
    for (int64_t i = 0; i < blocks; i++) \
        name((const uint8_t *)data + i * type_info[type].block_bytes, \
             out + i * type_info[type].block_len); \
    break

void widen_blocks(Dtype type, const void *data, int64_t blocks, float *out)
{
    switch (type) {
    case TYPE_q4_0: BLOCKS(q4_0);
    case TYPE_q4_1: BLOCKS(q4_1);
    case TYPE_q5_0: BLOCKS(q5_0);
    case TYPE_q5_1: BLOCKS(q5_1);
    case TYPE_q8_0: BLOCKS(q8_0);
    case TYPE_q4_k: BLOCKS(q4_k);
    case TYPE_q5_k: BLOCKS(q5_k);
    case TYPE_q6_k: BLOCKS(q6_k);
    default:        BUG("widen_blocks of %s", type_info[type].name);
    }
}
