/* Tiles: the innermost loops of every matmul and of attention. */
#include "codegen/matmul.h"

enum { UNITS = CHUNK / 4 }; /* 32-bit units of x in a chunk */

int tile_chunk(const Tile *t)
{
    return t->kind == TILE_dot ? 2 * UNITS : UNITS;
}

int64_t tile_w_bytes(const Emit *e, const Tile *t)
{
    int64_t bytes = (int64_t)UNITS * t->vectors * e->lanes * 4;
    return t->kind == TILE_wide ? bytes / 2 : bytes;
}

static int registers(const Target *t)
{
    return t->width == 64 || !t->x86 ? 32 : 16;
}

Tile tile_choose(const Emit *e, TileKind kind, int vectors)
{
    int room = (registers(e->target) - vectors - 1) / vectors;
    if (kind == TILE_wide)
        room = (registers(e->target) - 2 * vectors - 1) / vectors;
    int most = kind == TILE_wide ? 8 : 12;
    return (Tile){kind, vectors, room > most ? most : room < 1 ? 1 : room};
}

int tile_rows(const Tile *t, int rows)
{
    int r = 1;
    while (r < rows && 2 * r < t->most)
        r *= 2;
    return r < rows ? t->most : r;
}

/* What one tile function works with. */
typedef struct {
    Emit *e;
    const Tile *t;
    int rows;
    Val x, w; /* of this chunk */
    Val sum[32];
} Body;

static Val x_unit(Body *b, int row, int unit)
{
    Emit *e = b->e;
    Ty t = ty(e, b->t->kind == TILE_dot ? TY_i32 : TY_f32);
    Val p = at(e, ty(e, TY_f32), b->x, i64(e, row * UNITS + unit));
    return splat(e, load(e, t, p), e->lanes);
}

static Val w_vector(Body *b, Ty t, int number)
{
    Emit *e = b->e;
    return load(e, vec(t, e->lanes), at(e, t, b->w, i64(e, number * e->lanes)));
}

static Val dot(Emit *e, Val sum, Val x, Val w)
{
    Ty t = LLVMVectorType(LLVMBFloatTypeInContext(e->ctx), 32);
    Val args[] = {sum, LLVMBuildBitCast(e->at, x, t, ""),
                  LLVMBuildBitCast(e->at, w, t, "")};
    return intrinsic(e, "llvm.x86.avx512bf16.dpbf16ps.512", 0, NULL, 3, args);
}

static void add_products(Body *b, int unit, Val *w)
{
    Emit *e = b->e;
    int nv = b->t->vectors;
    for (int r = 0; r < b->rows; r++) {
        Val x = x_unit(b, r, unit);
        for (int v = 0; v < nv; v++) {
            Val s = b->sum[r * nv + v], old = get(e, s);
            set(e, s,
                b->t->kind == TILE_dot ? dot(e, old, x, w[v])
                                       : mul_add(e, x, w[v], old));
        }
    }
}

static Val low_half(Emit *e, Val pairs)
{
    return float_of_bits(e, shift_left(e, pairs, 16));
}

static Val high_half(Emit *e, Val pairs)
{
    return float_of_bits(e, bit_and(e, pairs, like_bits(pairs, -65536)));
}

static void unit_wide(Body *b, int pair)
{
    Emit *e = b->e;
    Val low[4], high[4];
    int nv = b->t->vectors;
    for (int v = 0; v < nv; v++) {
        Val p = w_vector(b, ty(e, TY_i32), pair * nv + v);
        low[v] = low_half(e, p);
        high[v] = high_half(e, p);
    }
    add_products(b, 2 * pair, low);
    add_products(b, 2 * pair + 1, high);
}

static void unit_same(Body *b, int unit)
{
    Emit *e = b->e;
    Val w[4];
    int nv = b->t->vectors;
    Ty t = ty(e, b->t->kind == TILE_dot ? TY_i32 : TY_f32);
    for (int v = 0; v < nv; v++)
        w[v] = w_vector(b, t, unit * nv + v);
    add_products(b, unit, w);
}

/* Few rows: w comes from memory and is used once, so ask for it early. The
 * distance is in bytes; panels follow one another, so it runs into the next. */
static void ask_ahead(Body *b, int64_t bytes)
{
    Emit *e = b->e;
    if (b->rows > 8)
        return;
    for (int64_t i = 0; i < bytes; i += 64)
        prefetch(e, at_bytes(e, b->w, i64(e, 2048 + i)), 3);
}

static void chunk(Body *b)
{
    bool wide = b->t->kind == TILE_wide;
    ask_ahead(b, tile_w_bytes(b->e, b->t));
    for (int u = 0; u < (wide ? UNITS / 2 : UNITS); u++)
        if (wide)
            unit_wide(b, u);
        else
            unit_same(b, u);
}

static Val c_at(Body *b, Val c, int i)
{
    Emit *e = b->e;
    return at(e, ty(e, TY_f32), c, i64(e, i * e->lanes));
}

static void body(Body *b)
{
    Emit *e = b->e;
    Val x = param(e, 0, "x"), w = param(e, 1, "w"), n = param(e, 2, "chunks");
    Val c = param(e, 3, "c");
    int count = b->rows * b->t->vectors;
    Ty t = vec(ty(e, TY_f32), e->lanes);
    int64_t w_bytes = tile_w_bytes(e, b->t);
    for (int i = 0; i < count; i++) {
        b->sum[i] = var(e, t, "sum");
        set(e, b->sum[i], load(e, t, c_at(b, c, i)));
    }
    Loop k = loop_begin(e, "k", i64(e, 0), n, 1);
    b->x = at_bytes(e, x, mul(e, k.index, i64(e, b->rows * CHUNK)));
    b->w = at_bytes(e, w, mul(e, k.index, i64(e, w_bytes)));
    chunk(b);
    loop_end(e, k);
    for (int i = 0; i < count; i++)
        store(e, get(e, b->sum[i]), c_at(b, c, i));
    ret(e, NULL);
}

Val tile_function(Emit *e, const Tile *t, int rows)
{
    static const char *const kinds[] = {"f32", "wide", "dot"};
    char name[64];
    Helper h;
    snprintf(name, sizeof name, "tile_%s_%dx%d", kinds[t->kind], rows,
             t->vectors);
    Ty p = ty_ptr(e), args[] = {p, p, ty(e, TY_i64), p};
    if (!helper_begin(e, &h, name, 4, args))
        return h.fn;
    Body b = {.e = e, .t = t, .rows = rows};
    body(&b);
    helper_end(e, &h);
    return h.fn;
}
