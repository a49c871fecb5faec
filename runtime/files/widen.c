/* Reading values: any range of a tensor, rows put in order, as the type that
 * is wanted. Goes through f32 in small pieces where f32 holds every value of
 * the source, through double else. */
#include "runtime/files/widen.h"
#include "runtime/files/files_private.h"
#include <string.h>

enum { PIECE = 1024 }; /* elements; a multiple of every block */

/* ---- to f32 ---- */

/* As f32_of_f16, without a branch: the exponent is moved by a multiplication,
 * which also makes subnormals right. */
static inline float f16_value(uint16_t h)
{
    uint32_t up = (uint32_t)(h & 0x7fff) << 13;
    uint32_t bits = bits_of_f32(f32_of_bits(up) * 0x1p112f);
    uint32_t special = (h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
    return f32_of_bits(bits | special | (uint32_t)(h & 0x8000) << 16);
}

static void f16_to_f32(const uint16_t *in, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = f16_value(in[i]);
}

static void bf16_to_f32(const uint16_t *in, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = f32_of_bf16(in[i]);
}

/* Any type's element; the data may be unaligned. */
static double load(Dtype t, const char *data, int64_t i)
{
    uint64_t bits = 0;
    int bytes = type_info[t].block_bytes;
    memcpy(&bits, data + i * bytes, (size_t)bytes);
    switch (t) {
    case TYPE_i8:  return (int8_t)bits;
    case TYPE_u8:  return (uint8_t)bits;
    case TYPE_i16: return (int16_t)bits;
    case TYPE_u16: return (uint16_t)bits;
    case TYPE_u32: return (uint32_t)bits;
    case TYPE_u64: return (double)bits;
    default:       return type_load(t, &bits, 0);
    }
}

static bool aligned(Dtype t, const void *data)
{
    size_t size = (size_t)type_info[t].block_bytes;
    if (type_info[t].block_len > 1) /* blocks are read by bytes */
        return true;
    return (uintptr_t)data % size == 0;
}

static void widen_aligned(Dtype from, const void *data, int64_t n, float *out)
{
    if (from == TYPE_f16)
        f16_to_f32(data, n, out);
    else if (from == TYPE_bf16)
        bf16_to_f32(data, n, out);
    else if (from == TYPE_f32)
        memcpy(out, data, (size_t)n * sizeof *out);
    else if (type_info[from].block_len > 1)
        widen_blocks(from, data, n / type_info[from].block_len, out);
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)load(from, data, i);
}

void widen_f32(Dtype from, const void *data, int64_t count, float *out)
{
    uint64_t copy[PIECE];
    if (aligned(from, data)) {
        widen_aligned(from, data, count, out);
        return;
    }
    int64_t size = type_info[from].block_bytes;
    for (int64_t n; count; count -= n, out += n) {
        n = count < PIECE ? count : PIECE;
        memcpy(copy, data, (size_t)(n * size));
        widen_aligned(from, copy, n, out);
        data = (const char *)data + n * size;
    }
}

/* ---- from f32 ---- */

static inline uint16_t bf16_value(float f)
{
    uint32_t u = bits_of_f32(f);
    uint32_t nan = (u >> 16) | 0x40;
    uint32_t rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

static void narrow(const float *in, int64_t n, Dtype to, void *out)
{
    uint16_t *half = out;
    double *wide = out;
    switch (to) {
    case TYPE_f32: memcpy(out, in, (size_t)n * sizeof *in); break;
    case TYPE_bf16:
        for (int64_t i = 0; i < n; i++)
            half[i] = bf16_value(in[i]);
        break;
    case TYPE_f16:
        for (int64_t i = 0; i < n; i++)
            half[i] = f16_of_f32(in[i]);
        break;
    case TYPE_f64:
        for (int64_t i = 0; i < n; i++)
            wide[i] = (double)in[i];
        break;
    default: BUG("tensor_read to %s", type_info[to].name);
    }
}

/* ---- ranges ---- */

static bool through_f32(Dtype t)
{
    return t == TYPE_f32 || t == TYPE_bf16 || t == TYPE_f16 ||
           type_info[t].block_len > 1;
}

static void *step(void *out, Dtype to, int64_t n)
{
    return (char *)out + type_bytes(to, n);
}

/* Part of one block: elements at .. at + n - 1. */
static void block_part(Dtype from, const char *block, int64_t at, int64_t n,
                       Dtype to, void *out)
{
    float values[PIECE];
    widen_blocks(from, block, 1, values);
    narrow(values + at, n, to, out);
}

static void whole_blocks(Dtype from, const char *data, int64_t n, Dtype to,
                         void *out)
{
    float values[PIECE];
    if (to == TYPE_f32) {
        widen_f32(from, data, n, out);
        return;
    }
    for (int64_t k; n; n -= k, out = step(out, to, k)) {
        k = n < PIECE ? n : PIECE;
        widen_f32(from, data, k, values);
        narrow(values, k, to, out);
        data += type_bytes(from, k);
    }
}

bool made_tensor(FileTensor *t)
{
    int64_t count;
    t->info.data = NULL;
    t->rows = ROWS_plain;
    t->offset = 0;
    return shape_bytes(&t->info, &count, &t->info.bytes);
}

/* Computed of others, a piece of a row at a time in f32, then as asked. */
static void read_made(const FileTensor *t, int64_t first, int64_t count,
                      Dtype to, void *out)
{
    float piece[MADE_PIECE];
    int64_t cols = t->made->cols;
    for (int64_t n; count; count -= n, first += n, out = step(out, to, n)) {
        int64_t row = first / cols, at = first % cols;
        n = count < cols - at ? count : cols - at;
        n = n < MADE_PIECE ? n : MADE_PIECE;
        t->made->read(t->made, row, at, n, piece);
        narrow(piece, n, to, out);
    }
}

/* Elements in file order. */
static void read_run(const FileTensor *t, int64_t first, int64_t n, Dtype to,
                     void *out)
{
    if (t->made) {
        read_made(t, t->offset + first, n, to, out);
        return;
    }
    Dtype from = t->info.dtype;
    int64_t len = type_info[from].block_len, size = type_info[from].block_bytes;
    const char *data = (const char *)t->info.data + first / len * size;
    if (from == to) {
        memcpy(out, data, (size_t)type_bytes(to, n));
        return;
    }
    if (!through_f32(from)) {
        for (int64_t i = 0; i < n; i++)
            type_store(to, out, i, load(from, data, i));
        return;
    }
    int64_t at = first % len, part = at + n < len ? n : len - at;
    if (at || n < len) {
        block_part(from, data, at, part, to, out);
        n -= part, data += size, out = step(out, to, part);
    }
    whole_blocks(from, data, n / len * len, to, out);
    out = step(out, to, n / len * len);
    data += n / len * size;
    if (n % len)
        block_part(from, data, 0, n % len, to, out);
}

/* Where row r lies in the file. */
static int64_t row_in_file(const FileTensor *t, int64_t r)
{
    int64_t rows = t->info.shape[0] / t->heads; /* of a head */
    int64_t head = r / rows, at = r % rows;
    if (t->rows == ROWS_paired) {
        int64_t half = rows / 2;
        return head * rows + at % half * 2 + at / half;
    }
    int64_t third = rows / 3;
    return at / third * t->heads * third + head * third + at % third;
}

static int64_t elements(const FileTensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->info.rank; i++)
        n *= t->info.shape[i];
    return n;
}

/* Elements at .. at + n - 1 of a row whose neighbours lie apart. */
static void read_apart(const FileTensor *t, int64_t row, int64_t at, int64_t n,
                       Dtype to, void *out)
{
    int64_t from = row * t->row_step + at * t->col_step;
    if (t->col_step == 1) {
        read_run(t, from, n, to, out);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        read_run(t, from + i * t->col_step, 1, to,
                 (char *)out + type_bytes(to, i));
}

void tensor_read(const FileTensor *t, int64_t first, int64_t count, Dtype to,
                 void *out)
{
    if (first < 0 || count < 0 || first + count > elements(t))
        BUG("tensor_read of %s: %lld from %lld", tensor_text(&t->info),
            (long long)count, (long long)first);
    if (!count)
        return;
    if (t->rows == ROWS_plain) {
        read_run(t, first, count, to, out);
        return;
    }
    int64_t width = elements(t) / t->info.shape[0];
    for (int64_t n; count; count -= n, first += n, out = step(out, to, n)) {
        int64_t row = first / width, at = first % width;
        n = count < width - at ? count : width - at;
        if (t->rows == ROWS_strided)
            read_apart(t, row, at, n, to, out);
        else
            read_run(t, row_in_file(t, row) * width + at, n, to, out);
    }
}

void tensor_read_all(const FileTensor *t, Dtype to, void *out)
{
    tensor_read(t, 0, elements(t), to, out);
}

const void *tensor_in_place(const FileTensor *t, Dtype want)
{
    bool as_is = !t->made && t->info.dtype == want && t->rows == ROWS_plain &&
                 aligned(want, t->info.data);
    return as_is ? t->info.data : NULL;
}
