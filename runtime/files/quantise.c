/* f32 to quantised blocks. */
#include "runtime/files/files.h"
#include <math.h>
#include <string.h>

enum { BLOCK = 32 };

/* llama.cpp's own rule: 32 values by the largest of them over 127, rounded
 * half away from zero. Written so that compilers make vectors of it: bits of
 * positive floats are ordered as they are, and f64 has room for the half. */
static void block_q8_0(const float *x, char *out)
{
    int32_t bits[BLOCK], most = 0;
    memcpy(bits, x, sizeof bits);
    for (int i = 0; i < BLOCK; i++) {
        int32_t size = bits[i] & INT32_MAX;
        most = size > most ? size : most;
    }
    float scale = f32_of_bits((uint32_t)most) / 127;
    float inverse = scale != 0 ? 1 / scale : 0;
    uint16_t half = f16_of_f32(scale);
    memcpy(out, &half, 2);
    for (int i = 0; i < BLOCK; i++) {
        double v = x[i] * inverse;
        out[2 + i] = (char)(int8_t)(int)(v + (v < 0 ? -0.5 : 0.5));
    }
}

/* x = code * scale + low, codes 0 .. 15. */
typedef struct {
    float scale, low, error; /* error: the sum of squares */
    float code[BLOCK];
} Fit;

/* As they will lie in the file. */
static void narrow_fit(Fit *f, float scale, float low)
{
    f->scale = f32_of_f16(f16_of_f32(scale));
    f->low = f32_of_f16(f16_of_f32(low));
}

static void choose_codes(const float *x, Fit *f)
{
    float inverse = f->scale != 0 ? 1 / f->scale : 0, error = 0;
    for (int i = 0; i < BLOCK; i++) {
        float v = (x[i] - f->low) * inverse + 0.5f;
        v = v < 0 ? 0 : v > 15 ? 15 : v;
        f->code[i] = (float)(int)v;
        float off = f->code[i] * f->scale + f->low - x[i];
        error += off * off;
    }
    f->error = error;
}

/* The scale and low that are best for these codes: least squares. */
static void fit_line(const float *x, Fit *f)
{
    float c = 0, cc = 0, xs = 0, xc = 0;
    for (int i = 0; i < BLOCK; i++) {
        c += f->code[i];
        cc += f->code[i] * f->code[i];
        xs += x[i];
        xc += x[i] * f->code[i];
    }
    float spread = BLOCK * cc - c * c;
    if (!(spread > 0))
        return;
    float scale = (BLOCK * xc - xs * c) / spread;
    narrow_fit(f, scale, (xs - scale * c) / BLOCK);
}

/* From the block's least to its largest, or a little less: a few tries, each
 * with its line fitted, of which the best stays. */
static Fit best_fit(const float *x)
{
    static const float parts[] = {1, 0.95f, 0.9f, 0.8f};
    float least = x[0], most = x[0];
    Fit best = {.error = INFINITY};
    for (int i = 1; i < BLOCK; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    for (size_t i = 0; i < COUNT(parts); i++) {
        float cut = (most - least) * (1 - parts[i]) / 2;
        Fit f;
        narrow_fit(&f, (most - least) * parts[i] / 15, least + cut);
        choose_codes(x, &f);
        fit_line(x, &f);
        choose_codes(x, &f);
        if (f.error < best.error)
            best = f;
    }
    return best;
}

static void block_q4_1(const float *x, char *out)
{
    Fit f = best_fit(x);
    uint16_t head[] = {f16_of_f32(f.scale), f16_of_f32(f.low)};
    memcpy(out, head, sizeof head);
    for (int i = 0; i < BLOCK / 2; i++)
        out[4 + i] = (char)((int)f.code[i] | (int)f.code[i + BLOCK / 2] << 4);
}

void quantise_f32(Dtype to, const float *x, int64_t count, void *out)
{
    char *at = out;
    if (to != TYPE_q8_0 && to != TYPE_q4_1)
        BUG("quantised to %s", type_info[to].name);
    for (int64_t i = 0; i < count; i += BLOCK, at += type_info[to].block_bytes)
        if (to == TYPE_q8_0)
            block_q8_0(x + i, at);
        else
            block_q4_1(x + i, at);
}
