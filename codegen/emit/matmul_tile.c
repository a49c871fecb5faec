/* Tiles: the innermost loops of every matmul and of attention. */
#include "codegen/emit/matmul.h"

enum { UNITS = CHUNK / 4 }; /* 32-bit units of x in a chunk */

int tile_chunk(const Tile *t)
{
    const Quant *q = tile_quant(t->kind);
    if (q)
        return q->subs * q->block;
    return t->kind == TILE_amx ? 4 * UNITS
           : t->kind == TILE_dot ? 2 * UNITS : UNITS;
}

int tile_chunk_bytes(const Tile *t)
{
    const Quant *q = tile_quant(t->kind);
    if (q)
        return q->subs * quant_x_bytes(q);
    return t->kind == TILE_amx ? 2 * CHUNK : CHUNK;
}

int64_t tile_w_bytes(const Emit *e, const Tile *t)
{
    const Quant *q = tile_quant(t->kind);
    int64_t bytes = (int64_t)UNITS * t->vectors * e->lanes * 4;
    if (q)
        return quant_bytes(q, t->vectors * e->lanes);
    if (t->kind == TILE_amx)
        return 2 * bytes;
    return t->kind == TILE_wide || t->kind == TILE_half ? bytes / 2 : bytes;
}

const char *tile_name(TileKind kind)
{
    static const char *const names[] = {"f32", "wide", "half", "dot", "amx",
                                        "q4",  "q4s",  "q5",   "q5s", "q8",
                                        "q4k", "q5k",  "q6k"};
    return names[kind];
}

static int registers(const Target *t)
{
    return t->width == 64 || !t->x86 ? 32 : 16;
}

int tile_room(const Emit *e, TileKind kind, int vectors)
{
    if (kind == TILE_amx)
        return 16;
    if (tile_quant(kind))
        return quant_room(e, vectors, registers(e->target));
    int other = kind == TILE_wide ? 2 * vectors + 1 : vectors + 1;
    int room = (registers(e->target) - other) / vectors;
    return room < 1 ? 1 : room;
}

Tile tile_choose(const Emit *e, TileKind kind, int vectors, int tokens)
{
    int room = tile_room(e, kind, vectors);
    if (kind == TILE_amx)
        return (Tile){kind, vectors, room, 4096};
    if (!tokens)
        tokens = kind == TILE_wide ? 8 : 12;
    return (Tile){kind, vectors, room < tokens ? room : tokens, 2048};
}

int tile_rows(const Tile *t, int rows)
{
    int r = 1;
    if (t->kind == TILE_amx)
        return t->most;
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

static Val w_vector(Body *b, Dtype t, int number)
{
    Emit *e = b->e;
    Val p = at(e, ty_mem(e, t), b->w, i64(e, number * e->lanes));
    return load_as(e, t, e->lanes, p, NULL);
}

Val dot_pairs(Emit *e, Val sum, Val x, Val w)
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
            Val *s = &b->sum[r * nv + v];
            *s = b->t->kind == TILE_dot ? dot_pairs(e, *s, x, w[v])
                                        : mul_add(e, x, w[v], *s);
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
        Val p = w_vector(b, TYPE_i32, pair * nv + v);
        low[v] = low_half(e, p);
        high[v] = high_half(e, p);
    }
    add_products(b, 2 * pair, low);
    add_products(b, 2 * pair + 1, high);
}

static void unit_same(Body *b, int unit)
{
    static const Dtype types[] = {[TILE_f32] = TYPE_f32,
                                  [TILE_half] = TYPE_f16,
                                  [TILE_dot] = TYPE_i32};
    Val w[4];
    int nv = b->t->vectors;
    Dtype t = types[b->t->kind];
    for (int v = 0; v < nv; v++)
        w[v] = w_vector(b, t, unit * nv + v);
    add_products(b, unit, w);
}

/* Few rows: w comes from memory and is used once, so ask for it early. Panels
 * follow one another, so the distance runs into the next. */
static void ask_ahead(Body *b, int64_t bytes)
{
    Emit *e = b->e;
    if (b->rows > 8)
        return;
    for (int64_t i = 0; i < bytes; i += 64)
        prefetch(e, at_bytes(e, b->w, i64(e, b->t->ahead + i)), 3);
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

/* A loop that runs once or more; sums go round as phis, so that there is
 * nothing for the optimiser to find. */
typedef struct {
    LLVMBasicBlockRef loop;
    Val index, phi[32];
} Carry;

static void carry_begin(Body *b, Carry *c, const char *name)
{
    Emit *e = b->e;
    Ty t = vec(ty(e, TY_f32), e->lanes);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->at);
    c->loop = LLVMAppendBasicBlockInContext(e->ctx, e->fn, name);
    LLVMBuildBr(e->at, c->loop);
    LLVMPositionBuilderAtEnd(e->at, c->loop);
    c->index = LLVMBuildPhi(e->at, ty(e, TY_i64), "i");
    Val zero = i64(e, 0);
    LLVMAddIncoming(c->index, &zero, &before, 1);
    for (int i = 0; i < b->rows * b->t->vectors; i++) {
        c->phi[i] = LLVMBuildPhi(e->at, t, "sum");
        LLVMAddIncoming(c->phi[i], &b->sum[i], &before, 1);
        b->sum[i] = c->phi[i];
    }
}

static void carry_end(Body *b, Carry *c, Val end)
{
    Emit *e = b->e;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->at);
    LLVMBasicBlockRef done =
        LLVMAppendBasicBlockInContext(e->ctx, e->fn, "done");
    Val next = add(e, c->index, i64(e, 1));
    LLVMAddIncoming(c->index, &next, &here, 1);
    for (int i = 0; i < b->rows * b->t->vectors; i++)
        LLVMAddIncoming(c->phi[i], &b->sum[i], &here, 1);
    LLVMBuildCondBr(e->at, less(e, next, end), c->loop, done);
    LLVMPositionBuilderAtEnd(e->at, done);
}

static void all_chunks(Body *b, Val x, Val w, Val n)
{
    Emit *e = b->e;
    Carry k;
    carry_begin(b, &k, "chunk");
    b->x = at_bytes(e, x, mul(e, k.index, i64(e, b->rows * CHUNK)));
    b->w = at_bytes(e, w, mul(e, k.index, i64(e, tile_w_bytes(e, b->t))));
    chunk(b);
    carry_end(b, &k, n);
}

static void body(Body *b)
{
    Emit *e = b->e;
    Val x = param(e, 0, "x"), w = param(e, 1, "w"), n = param(e, 2, "chunks");
    Val c = param(e, 3, "c");
    int count = b->rows * b->t->vectors;
    Ty t = vec(ty(e, TY_f32), e->lanes);
    for (int i = 0; i < count; i++)
        b->sum[i] = load(e, t, c_at(b, c, i));
    all_chunks(b, x, w, n);
    for (int i = 0; i < count; i++)
        store(e, b->sum[i], c_at(b, c, i));
    ret(e, NULL);
}

Val tile_function(Emit *e, const Tile *t, int rows)
{
    char name[64];
    Helper h;
    snprintf(name, sizeof name, "tile_%s_%dx%d_%d", tile_name(t->kind), rows,
             t->vectors, t->ahead);
    Ty p = ty_ptr(e), args[] = {p, p, ty(e, TY_i64), p};
    if (!helper_begin(e, &h, name, 4, args))
        return h.fn;
    Body b = {.e = e, .t = t, .rows = rows};
    if (tile_quant(t->kind))
        quant_tile(e, t, rows);
    else
        body(&b);
    helper_end(e, &h);
    return h.fn;
}
