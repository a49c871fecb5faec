/* Blocks of rows: how x is put in order for tiles, and tiles over a block. */
#include "codegen/emit/matmul.h"

/* One chunk of x from p, as it is stored; mask NULL: all of it is there. */
static Val load_chunk(Emit *e, const Tile *t, Dtype from, Val p, Val mask)
{
    int n = tile_chunk(t);
    bool narrow = t->kind == TILE_dot || t->kind == TILE_amx;
    if (narrow && from == TYPE_bf16) {
        Ty raw = vec(ty(e, TY_i16), n);
        return mask ? load_masked(e, raw, p, mask) : load(e, raw, p);
    }
    Val v = load_as(e, from, n, p, mask);
    return to_float(e, v, ty(e, TY_f32));
}

static void store_chunk(Emit *e, const Tile *t, Dtype from, Val v, Val p)
{
    bool narrow = t->kind == TILE_dot || t->kind == TILE_amx;
    bool rounds = narrow && from != TYPE_bf16;
    store_as(e, rounds ? TYPE_bf16 : TYPE_f32, v, p, NULL);
}

static void pack_row(Emit *e, const Tile *t, Dtype from)
{
    int n = tile_chunk(t);
    Val src = param(e, 0, "src"), count = param(e, 1, "count");
    Val dst = param(e, 2, "dst"), step = param(e, 3, "step");
    Val whole = quot(e, count, i64(e, n)), left = rest(e, count, i64(e, n));
    Ty elem = ty_mem(e, from);
    Loop i = loop_begin(e, "chunk", i64(e, 0), whole, 1);
    Val p = at(e, elem, src, mul(e, i.index, i64(e, n)));
    store_chunk(e, t, from, load_chunk(e, t, from, p, NULL),
                at_bytes(e, dst, mul(e, i.index, step)));
    loop_end(e, i);
    Val chunks = quot(e, add(e, count, i64(e, TILE_K - 1)), i64(e, TILE_K));
    chunks = mul(e, chunks, i64(e, TILE_K / n));
    Loop z = loop_begin(e, "tail", whole, chunks, 1);
    Val first = mul(e, z.index, i64(e, n));
    Val there = pick(e, same(e, z.index, whole), left, i64(e, 0));
    Val v = load_chunk(e, t, from, at(e, elem, src, first),
                       mask_first(e, n, there));
    store_chunk(e, t, from, v, at_bytes(e, dst, mul(e, z.index, step)));
    loop_end(e, z);
    ret(e, NULL);
}

Val block_pack_row(Emit *e, const Tile *t, Dtype from)
{
    char name[64];
    Helper h;
    const char *to = tile_quant(t->kind)   ? tile_name(t->kind)
                     : t->kind == TILE_amx ? "amx"
                     : t->kind == TILE_dot ? "bf16"
                                           : "f32";
    snprintf(name, sizeof name, "pack_row_%s_%s", type_info[from].name, to);
    Ty p = ty_ptr(e), n = ty(e, TY_i64), args[] = {p, n, p, n};
    if (!helper_begin(e, &h, name, 4, args))
        return h.fn;
    if (tile_quant(t->kind))
        quant_pack_x(e, t, from);
    else
        pack_row(e, t, from);
    helper_end(e, &h);
    return h.fn;
}

void tile_turn(Emit *e, int n, Val *v)
{
    for (int s = 1; s < n; s *= 2)
        for (int i = 0; i < n; i++) {
            int low[64], high[64];
            Val a = v[i], b = v[i ^ s];
            if (i & s)
                continue;
            for (int l = 0; l < n; l++) {
                low[l] = l & s ? n + l - s : l;
                high[l] = l & s ? n + l : l + s;
            }
            v[i] = shuffle(e, a, b, low, n);
            v[i ^ s] = shuffle(e, a, b, high, n);
        }
}

/* The variant for `left` rows, as a value. */
static Val variant(Emit *e, const Tile *t, Val left)
{
    int rows[8] = {tile_rows(t, 1)}, n = 1;
    for (; rows[n - 1] < t->most; n++)
        rows[n] = tile_rows(t, rows[n - 1] + 1);
    Val v = i64(e, t->most);
    for (int i = n - 2; i >= 0; i--)
        v = pick(e, less_eq(e, left, i64(e, rows[i])), i64(e, rows[i]), v);
    return v;
}

Val block_row(Emit *e, const Tile *t, Val x, Val chunks, Val rows, Val r,
              Val *step)
{
    Val most = i64(e, t->most);
    Val tile = quot(e, r, most), in = rest(e, r, most);
    Val left = sub(e, rows, mul(e, tile, most));
    Val tall = pick(e, less(e, left, most), variant(e, t, left), most);
    Val size = i64(e, tile_chunk_bytes(t));
    Val bytes = mul(e, mul(e, tile, most), mul(e, chunks, size));
    *step = mul(e, tall, size);
    return at_bytes(e, x, add(e, bytes, mul(e, in, size)));
}

/* The variant's tile at row r of the block. */
static void one_tile(Emit *e, const Tile *t, int rows, Val r)
{
    Val all = param(e, 2, "all"), first = param(e, 5, "first");
    int chunk = tile_chunk_bytes(t);
    Val x = mul(e, r, mul(e, all, i64(e, chunk)));
    x = add(e, x, mul(e, first, i64(e, rows * chunk)));
    Val w = mul(e, first, i64(e, tile_w_bytes(e, t)));
    Val c = mul(e, r, i64(e, (int64_t)t->vectors * e->lanes * 4));
    Val args[] = {at_bytes(e, param(e, 0, "x"), x),
                  at_bytes(e, param(e, 1, "w"), w), param(e, 6, "count"),
                  at_bytes(e, param(e, 4, "c"), c)};
    call(e, tile_function(e, t, rows), 4, args);
}

static void last_tile(Emit *e, const Tile *t, Val left, Val r, int low)
{
    int high = tile_rows(t, low + 1);
    If small = if_begin(e, less_eq(e, left, i64(e, high)));
    one_tile(e, t, high, r);
    if_else(e, &small);
    if (high < t->most)
        last_tile(e, t, left, r, high);
    if_end(e, small);
}

static void all_tiles(Emit *e, const Tile *t)
{
    Val rows = param(e, 3, "rows"), most = i64(e, t->most);
    Val full = mul(e, quot(e, rows, most), most);
    Loop i = loop_begin(e, "tile", i64(e, 0), full, t->most);
    one_tile(e, t, t->most, i.index);
    loop_end(e, i);
    Val left = sub(e, rows, full);
    If some = if_begin(e, less(e, i64(e, 0), left));
    last_tile(e, t, left, full, 0);
    if_end(e, some);
    ret(e, NULL);
}

Val block_function(Emit *e, const Tile *t)
{
    char name[64];
    Helper h;
    if (t->kind == TILE_amx)
        return amx_function(e, t);
    snprintf(name, sizeof name, "block_%s_%dx%d_%d", tile_name(t->kind),
             t->most, t->vectors, t->ahead);
    Ty p = ty_ptr(e), n = ty(e, TY_i64), args[] = {p, p, n, n, p, n, n};
    if (!helper_begin(e, &h, name, 7, args))
        return h.fn;
    all_tiles(e, t);
    helper_end(e, &h);
    return h.fn;
}
