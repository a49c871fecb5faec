/* Element types: names, sizes, conversions. */
#include "base/base.h"
#include <math.h>
#include <string.h>

const TypeInfo type_info[TYPE_COUNT] = {
#define TYPE(name, gguf, safetensors, bytes, len) \
    {#name, gguf, safetensors, bytes, len},
#include "base/types.def"
#undef TYPE
};

bool type_find(const char *name, Dtype *out)
{
    for (int t = 0; t < TYPE_COUNT; t++)
        if (!strcmp(type_info[t].name, name)) {
            *out = (Dtype)t;
            return true;
        }
    return false;
}

bool type_is_float(Dtype t)
{
    return t == TYPE_f64 || t == TYPE_f32 || t == TYPE_bf16 || t == TYPE_f16;
}

int64_t type_bytes(Dtype t, int64_t count)
{
    return count / type_info[t].block_len * type_info[t].block_bytes;
}

uint16_t bf16_of_f32(float f)
{
    uint32_t u = bits_of_f32(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)((u >> 16) | 0x40);
    return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

float f32_of_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = (h >> 10) & 31,
             m = h & 0x3ff;
    if (e == 31)
        return f32_of_bits(sign | 0x7f800000 | m << 13);
    if (e)
        return f32_of_bits(sign | (e + 112) << 23 | m << 13);
    float tiny = (float)m * 0x1p-24f;
    return sign ? -tiny : tiny;
}

uint16_t f16_of_f32(float f)
{
    uint32_t u = bits_of_f32(f), a = u & 0x7fffffff;
    uint16_t sign = (uint16_t)((u >> 16) & 0x8000);
    if (a > 0x7f800000)
        return sign | 0x7e00;
    if (a >= 0x477ff000) /* rounds past 65504 */
        return sign | 0x7c00;
    if (a < 0x38800000) /* subnormal: add makes the hardware round */
        return sign | (uint16_t)(bits_of_f32(f32_of_bits(a) + 0.5f) -
                                 bits_of_f32(0.5f));
    return sign | (uint16_t)((a + 0xfff + ((a >> 13) & 1) - 0x38000000) >> 13);
}

double type_load(Dtype t, const void *data, int64_t i)
{
    switch (t) {
    case TYPE_f64:  return ((const double *)data)[i];
    case TYPE_f32:  return (double)((const float *)data)[i];
    case TYPE_bf16: return (double)f32_of_bf16(((const uint16_t *)data)[i]);
    case TYPE_f16:  return (double)f32_of_f16(((const uint16_t *)data)[i]);
    case TYPE_i32:  return ((const int32_t *)data)[i];
    case TYPE_i64:  return (double)((const int64_t *)data)[i];
    case TYPE_bool: return ((const uint8_t *)data)[i] != 0;
    default:        BUG("type_load of %s", type_info[t].name);
    }
}

/* The f32 nearest to odd: a second rounding to fewer bits is then exact. */
static float f32_to_odd(double v)
{
    float f = (float)v;
    if (isnan(v) || isinf(f) || (double)f == v)
        return f;
    if (bits_of_f32(f) & 1)
        return f;
    bool up = v > (double)f;
    return nextafterf(f, up ? INFINITY : -INFINITY);
}

void type_store(Dtype t, void *data, int64_t i, double v)
{
    switch (t) {
    case TYPE_f64:  ((double *)data)[i] = v; break;
    case TYPE_f32:  ((float *)data)[i] = (float)v; break;
    case TYPE_bf16: ((uint16_t *)data)[i] = bf16_of_f32(f32_to_odd(v)); break;
    case TYPE_f16:  ((uint16_t *)data)[i] = f16_of_f32(f32_to_odd(v)); break;
    case TYPE_i32:  ((int32_t *)data)[i] = (int32_t)v; break;
    case TYPE_i64:  ((int64_t *)data)[i] = (int64_t)v; break;
    case TYPE_bool: ((uint8_t *)data)[i] = v != 0; break;
    default:        BUG("type_store of %s", type_info[t].name);
    }
}

/* All bits of the exponent are set. */
static bool unfinite(Dtype t, const void *data, int64_t i)
{
    switch (t) {
    case TYPE_f32:
        return (((const uint32_t *)data)[i] & 0x7f800000) == 0x7f800000;
    case TYPE_bf16:
        return (((const uint16_t *)data)[i] & 0x7f80) == 0x7f80;
    case TYPE_f16:
        return (((const uint16_t *)data)[i] & 0x7c00) == 0x7c00;
    default:
        return !isfinite(type_load(t, data, i));
    }
}

int64_t type_unfinite(Dtype t, const void *data, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (unfinite(t, data, i))
            return i;
    return -1;
}
