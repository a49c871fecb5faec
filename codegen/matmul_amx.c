/* Blocks of rows by AMX. Rows stand in groups of 16, [K / 32][16 rows][32],
 * which is what a tile register takes as its left side; a panel's pairs of K,
 * [K / 2][cols][2], are 16 columns of the right side. Two groups by two times
 * 16 columns are four sums:
 *     registers 0 1   the first group's,  2 3  the second's
 *               4 5   rows of the groups, 6 7  columns
 * The last rows are a group of their own with fewer rows: a row's sums do not
 * depend on it.
 *
 * Multiplying waits for memory unless what comes next is asked for meanwhile. A
 * single group asks for its own weights, `ahead` bytes early. A block of more
 * goes over its weights once for every two groups, and in each pass asks for a
 * part of what follows them: the next panel, or more of K. */
#include "codegen/amx.h"
#include "codegen/matmul.h"
#include <stddef.h>
#include <string.h>

enum { GROUP = 16, ROW = 64, MOST_PARTS = 8 };

/* ---- the instructions, or what stands in for them ---- */

static void stand_in(Emit *e, const void *function, int n, Val *args)
{
    Ty types[4];
    for (int i = 0; i < n; i++)
        types[i] = ty_of(args[i]);
    Ty t = LLVMFunctionType(LLVMVoidTypeInContext(e->ctx), types, (unsigned)n,
                            false);
    Val f = LLVMConstIntToPtr(i64(e, (int64_t)(uintptr_t)function), ty_ptr(e));
    LLVMBuildCall2(e->at, t, f, args, (unsigned)n, "");
}

static Val tile(Emit *e, int number)
{
    Ty t = ty(e, e->target->amx_calls ? TY_i64 : TY_i8);
    return LLVMConstInt(t, (unsigned long long)number, false);
}

static void instruction(Emit *e, const char *root, const void *otherwise,
                        int n, Val *args)
{
    if (e->target->amx_calls)
        stand_in(e, otherwise, n, args);
    else
        intrinsic(e, root, 0, NULL, n, args);
}

#define CALLS(name) \
    (e->target->amx_calls ? (const void *)e->target->amx_calls->name : NULL)

void amx_config(Emit *e, Val config)
{
    instruction(e, "llvm.x86.ldtilecfg", CALLS(config), 1, &config);
}

void amx_load(Emit *e, int to, Val from, Val stride)
{
    Val args[] = {tile(e, to), from, stride};
    instruction(e, "llvm.x86.tileloadd64", CALLS(load), 3, args);
}

void amx_store(Emit *e, int from, Val to, Val stride)
{
    Val args[] = {tile(e, from), to, stride};
    instruction(e, "llvm.x86.tilestored64", CALLS(store), 3, args);
}

void amx_dot(Emit *e, int to, int a, int b)
{
    Val args[] = {tile(e, to), tile(e, a), tile(e, b)};
    instruction(e, "llvm.x86.tdpbf16ps", CALLS(dot), 3, args);
}

void amx_release(Emit *e)
{
    instruction(e, "llvm.x86.tilerelease", CALLS(release), 0, NULL);
}

/* ---- a block ---- */

typedef struct {
    Emit *e;
    const Tile *t;
    Val x, w, all, rows, c, first, count;
    Val config;
    int64_t cols;
    Val next; /* of this pass: bytes behind w from which it asks; or NULL */
    int lines; /* that a step asks for */
} Amx;

static void set_rows(Amx *a, int tile_number, Val rows)
{
    Emit *e = a->e;
    Ty byte = ty(e, TY_i8);
    int64_t at_row = (int64_t)offsetof(AmxConfig, rows) + tile_number;
    store(e, to_int(e, rows, byte), at_bytes(e, a->config, i64(e, at_row)));
}

static void start_config(Amx *a)
{
    Emit *e = a->e;
    AmxConfig fixed = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        fixed.row_bytes[i] = ROW;
        fixed.rows[i] = GROUP;
    }
    int64_t words[8];
    memcpy(words, &fixed, sizeof words);
    a->config = room(e, sizeof fixed, "config");
    for (int i = 0; i < 8; i++)
        store(e, i64(e, words[i]), at_bytes(e, a->config, i64(e, 8 * i)));
}

static Val sums_at(Amx *a, Val row, int vector)
{
    Emit *e = a->e;
    Val n = mul(e, row, i64(e, a->cols));
    n = add(e, n, i64(e, vector * GROUP));
    return at(e, ty(e, TY_f32), a->c, n);
}

static Val rows_at(Amx *a, Val row, Val chunk)
{
    Emit *e = a->e;
    Val n = mul(e, mul(e, row, a->all), i64(e, ROW));
    n = add(e, n, mul(e, chunk, i64(e, GROUP * ROW)));
    return at_bytes(e, a->x, n);
}

/* A step's lines of what follows the weights of this call; beyond as many bytes
 * as they have, the first of them again. */
static void ask_next(Amx *a, Val chunk)
{
    Emit *e = a->e;
    int64_t bytes = tile_w_bytes(e, a->t), each = 64 * a->lines;
    Val from = add(e, a->next, mul(e, chunk, i64(e, each)));
    Val size = mul(e, a->count, i64(e, bytes));
    from = pick(e, less(e, from, size), from, i64(e, 0));
    Val end = mul(e, add(e, a->first, a->count), i64(e, bytes));
    Val at_w = at_bytes(e, a->w, add(e, end, from));
    for (int i = 0; i < a->lines; i++)
        prefetch(e, at_bytes(e, at_w, i64(e, 64 * i)), 2);
}

static void step(Amx *a, Val row, Val number, int groups, int vector, int width)
{
    Emit *e = a->e;
    Val stride = i64(e, a->cols * 4), chunk = add(e, a->first, number);
    Val w = at_bytes(e, a->w, mul(e, chunk, i64(e, tile_w_bytes(e, a->t))));
    if (a->next && !vector)
        ask_next(a, number);
    for (int g = 0; g < groups; g++)
        amx_load(e, 4 + g,
                 rows_at(a, add(e, row, i64(e, g * GROUP)), chunk),
                 i64(e, ROW));
    for (int v = 0; v < width; v++) {
        Val from = at_bytes(e, w, i64(e, (vector + v) * ROW));
        for (int i = 0; i < GROUP && groups == 1; i++)
            prefetch(e, at_bytes(e, from,
                                 i64(e, a->t->ahead + i * a->cols * 4)), 3);
        amx_load(e, 6 + v, from, stride);
        for (int g = 0; g < groups; g++)
            amx_dot(e, 2 * g + v, 4 + g, 6 + v);
    }
}

/* One or two groups from `row` on by all columns. */
static void groups_of(Amx *a, Val row, int groups)
{
    Emit *e = a->e;
    Val stride = i64(e, a->cols * 4);
    for (int v = 0; v < a->t->vectors; v += 2) {
        int width = a->t->vectors - v < 2 ? 1 : 2;
        for (int i = 0; i < groups * 2; i++)
            if (i % 2 < width)
                amx_load(e, i,
                         sums_at(a, add(e, row, i64(e, i / 2 * GROUP)),
                                 v + i % 2), stride);
        Loop k = loop_begin(e, "chunk", i64(e, 0), a->count, 1);
        step(a, row, k.index, groups, v, width);
        loop_end(e, k);
        for (int i = 0; i < groups * 2; i++)
            if (i % 2 < width)
                amx_store(e, i,
                          sums_at(a, add(e, row, i64(e, i / 2 * GROUP)),
                                  v + i % 2), stride);
    }
}

/* Two groups of a block that has `passes` times two; all passes together ask
 * for all lines of the weights, each for one of `parts`: passes or fewer. */
static void two_groups(Amx *a, Val row, Val passes, int parts)
{
    Emit *e = a->e;
    If fewer;
    if (parts > 1) {
        fewer = if_begin(e, less(e, passes, i64(e, parts)));
        two_groups(a, row, passes, parts / 2);
        if_else(e, &fewer);
    }
    a->lines = (int)(tile_w_bytes(e, a->t) / 64) / parts;
    Val pass = quot(e, row, i64(e, 2 * GROUP));
    a->next = mul(e, mul(e, pass, a->count), i64(e, 64 * a->lines));
    groups_of(a, row, 2);
    a->next = NULL;
    if (parts > 1)
        if_end(e, fewer);
}

static void all_groups(Amx *a)
{
    Emit *e = a->e;
    start_config(a);
    Val pair = i64(e, 2 * GROUP);
    Val passes = quot(e, add(e, a->rows, i64(e, 2 * GROUP - 1)), pair);
    Loop r = loop_begin(e, "row", i64(e, 0), a->rows, 2 * GROUP);
    Val left = sub(e, a->rows, r.index), group = i64(e, GROUP);
    Val one = least(e, left, group), two = least(e, sub(e, left, one), group);
    If both = if_begin(e, less(e, i64(e, 0), two));
    static const int first[] = {0, 1, 4}, second[] = {2, 3, 5};
    for (int i = 0; i < 3; i++) {
        set_rows(a, first[i], one);
        set_rows(a, second[i], two);
    }
    amx_config(e, a->config);
    two_groups(a, r.index, passes, MOST_PARTS);
    if_else(e, &both);
    for (int i = 0; i < 3; i++)
        set_rows(a, first[i], one);
    amx_config(e, a->config);
    groups_of(a, r.index, 1);
    if_end(e, both);
    loop_end(e, r);
    amx_release(e);
    ret(e, NULL);
}

Val amx_function(Emit *e, const Tile *t)
{
    char name[64];
    Helper h;
    snprintf(name, sizeof name, "block_amx_%d_%d", t->vectors, t->ahead);
    Ty p = ty_ptr(e), n = ty(e, TY_i64), args[] = {p, p, n, n, p, n, n};
    if (!helper_begin(e, &h, name, 7, args))
        return h.fn;
    Amx a = {e, t, param(e, 0, "x"), param(e, 1, "w"), param(e, 2, "all"),
             param(e, 3, "rows"), param(e, 4, "c"), param(e, 5, "first"),
             param(e, 6, "count"), NULL, (int64_t)t->vectors * GROUP, NULL, 0};
    all_groups(&a);
    helper_end(e, &h);
    return h.fn;
}
