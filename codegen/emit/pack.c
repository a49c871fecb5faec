/* Packing: [B..][N / cols][K / pair][part < parts][cols][pair], as passes.h
 * says, K filled up with zeros to a multiple of PACK_K. */
#include "codegen/emit/matmul.h"
#include <string.h>

/* Where the elements of flat positions over some dims lie in the source; -1:
 * not in this tensor of the stack. */
typedef struct {
    int64_t count, *at;
} Offsets;

static int64_t count_of(int n, const Dim *const *d)
{
    int64_t c = 1;
    for (int i = 0; i < n; i++)
        c *= size_at(d[i]->size, 1);
    return c;
}

static Offsets offsets(int n, const Dim *const *d, const Type *t, int stacked,
                       int64_t index)
{
    int64_t stride[MAX_RANK] = {0}, fixed[MAX_RANK] = {0}, step = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        int64_t size = size_at(t->dim[i]->size, 1);
        if (i < stacked) {
            fixed[i] = index % size;
            index /= size;
        } else {
            stride[i] = step;
            step *= size;
        }
    }
    Offsets o = {count_of(n, d), NULL};
    o.at = xmalloc((size_t)o.count * sizeof *o.at + 1);
    for (int64_t f = 0; f < o.count; f++) {
        int64_t left = f;
        o.at[f] = 0;
        for (int i = n - 1; i >= 0; i--) {
            int64_t size = size_at(d[i]->size, 1), x = left % size;
            int at = type_dim(t, d[i]);
            left /= size;
            if (at < stacked && fixed[at] != x)
                o.at[f] = INT64_MIN / 2;
            else
                o.at[f] += x * stride[at];
        }
        if (o.at[f] < 0)
            o.at[f] = -1;
    }
    return o;
}

static int64_t padded_k(const Pack *p)
{
    return (count_of(p->nk, p->k) + PACK_K - 1) / PACK_K * PACK_K;
}

static int64_t panel_bytes(const Pack *p)
{
    int64_t cols = (int64_t)p->cols * p->parts;
    int64_t quant = quant_panel_bytes(p->dtype, padded_k(p), cols);
    return quant ? quant : padded_k(p) * cols * type_bytes(p->dtype, 1);
}

int64_t pack_bytes(const Pack *p)
{
    int64_t panels = (count_of(p->nn, p->n) + p->cols - 1) / p->cols;
    return count_of(p->nb, p->b) * panels * panel_bytes(p);
}

int64_t panels_bytes(const Pack *p, int64_t T)
{
    int64_t k = 1;
    for (int i = 0; i < p->nk; i++)
        k *= size_at(p->k[i]->size, T);
    int64_t panels = (count_of(p->nn, p->n) + p->cols - 1) / p->cols;
    return count_of(p->nb, p->b) * panels * ((k + PACK_K - 1) / PACK_K) *
           PACK_K * type_bytes(p->dtype, (int64_t)p->cols * p->parts);
}

int64_t pack_column(const Pack *p, int64_t at)
{
    if (!p->halves)
        return at;
    int64_t head = size_at(p->n[p->nn - 1]->size, 1), run = p->cols / 2;
    int64_t first = at / head * head, panel = at % head / p->cols;
    int64_t high = at % p->cols / run;
    return first + high * (head / 2) + panel * run + at % run;
}

/* Offsets in the order of the panels. */
static void order_columns(const Pack *p, Offsets *n)
{
    int64_t *at = xmalloc((size_t)n->count * sizeof *at + 1);
    for (int64_t i = 0; i < n->count; i++)
        at[i] = n->at[pack_column(p, i)];
    free(n->at);
    n->at = at;
}

/* One panel: columns n .. n + cols - 1, all of K, PACK_K at a time so that
 * both sides stay in cache. */
#define PANEL(T) \
    static void panel_##T(const Pack *p, int part, const Offsets *n, \
                          int64_t first, const Offsets *k, const T *src, \
                          T *dst) \
    { \
        int64_t step = (int64_t)p->parts * p->cols * p->pair; \
        /* a pair is 1, 2 or all of K (CUDA): no divisions below */ \
        int shift = p->pair > 2 ? 62 : p->pair - 1; \
        int64_t in = p->pair > 2 ? INT64_MAX : p->pair - 1; \
        dst += (int64_t)part * p->cols * p->pair; \
        for (int64_t k0 = 0; k0 < k->count; k0 += PACK_K) { \
            int64_t end = k0 + PACK_K < k->count ? k0 + PACK_K : k->count; \
            for (int c = 0; c < p->cols && first + c < n->count; c++) { \
                if (n->at[first + c] < 0) \
                    continue; \
                const T *row = src + n->at[first + c]; \
                T *to = dst + c * p->pair; \
                for (int64_t i = k0; i < end; i++) \
                    to[(i >> shift) * step + (i & in)] = row[k->at[i]]; \
            } \
        } \
    }
PANEL(float)
PANEL(uint16_t)

static void panel_quant(const Pack *p, int part, const Offsets *n,
                        int64_t first, int64_t k, const char *src, char *dst)
{
    for (int c = 0; c < p->cols && first + c < n->count; c++)
        if (n->at[first + c] >= 0)
            quant_pack_row(p->dtype, src + type_bytes(p->dtype,
                                                      n->at[first + c]),
                           k, (int64_t)p->cols * p->parts, part * p->cols + c,
                           dst);
}

void pack_part(const Pack *p, int i, int stacked, int64_t index,
               const void *src, void *dst)
{
    const Type *t = &p->part[i]->type;
    Offsets b = offsets(p->nb, p->b, t, stacked, index);
    Offsets n = offsets(p->nn, p->n, t, stacked, index);
    Offsets k = offsets(p->nk, p->k, t, stacked, index);
    order_columns(p, &n);
    int64_t panels = (n.count + p->cols - 1) / p->cols;
    int64_t size = panel_bytes(p), all = b.count * panels;
    TileKind kind;
    bool quant = quant_kind(p->dtype, &kind);
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < all; j++) {
        int64_t from = b.at[j / panels], first = j % panels * p->cols;
        if (from < 0)
            continue;
        char *to = (char *)dst + j * size;
        if (quant)
            panel_quant(p, i, &n, first, k.count,
                        (const char *)src + type_bytes(p->dtype, from), to);
        else if (p->dtype == TYPE_f32)
            panel_float(p, i, &n, first, &k, (const float *)src + from,
                        (float *)to);
        else
            panel_uint16_t(p, i, &n, first, &k, (const uint16_t *)src + from,
                           (uint16_t *)to);
    }
    free(b.at);
    free(n.at);
    free(k.at);
}
