/* Blocks of rows by AMX. Rows stand in groups of 16, [K / 32][16 rows][32],
 * which is what a tile register takes as its left side; a panel's pairs of K,
 * [K / 2][cols][2], are 16 columns of the right side. Groups by two times 16
 * columns are the sums; how many groups a pass takes says where things stand:
 *     groups   sums   rows of the groups   columns
 *     1, 2     0-3    4 5                  6 7
 *     3        0-5    6, one by one        7, again for each group
 * Three reuse most what comes from the second cache, 5 tiles for 6 products;
 * that the columns are loaded again costs less, as they are in the first. The
 * last rows are a group of their own with fewer rows: a row's sums do not
 * depend on it.
 *
 * Multiplying waits for memory unless what comes next is asked for meanwhile. A
 * single group asks for its own weights, `ahead` bytes early. A block of more
 * goes over its weights once a pass, and in each asks for a part of what
 * follows them: the next panel, or more of K. */
#include "codegen/emit/amx.h"
#include "codegen/emit/matmul.h"
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
    Val config, passes;
    int64_t cols;
    Val next; /* of this pass: bytes behind w from which it asks; or NULL */
    int lines; /* that a step asks for */
} Amx;

/* Groups of rows by vectors of columns. */
typedef struct {
    Val row; /* the first */
    int groups, vector, width;
} Pass;

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

static void load_rows(Amx *a, int to, Val row, int group, Val chunk)
{
    Emit *e = a->e;
    amx_load(e, to, rows_at(a, add(e, row, i64(e, group * GROUP)), chunk),
             i64(e, ROW));
}

static void load_columns(Amx *a, int to, Val w, int vector)
{
    Emit *e = a->e;
    amx_load(e, to, at_bytes(e, w, i64(e, vector * ROW)), i64(e, a->cols * 4));
}

/* A vector's lines of weights as far on. */
static void ask_ahead(Amx *a, Val w, int vector)
{
    Emit *e = a->e;
    int64_t first = a->t->ahead + vector * ROW;
    for (int i = 0; i < GROUP; i++)
        prefetch(e, at_bytes(e, w, i64(e, first + i * a->cols * 4)), 3);
}

static void step_two(Amx *a, const Pass *p, Val w, Val chunk)
{
    for (int g = 0; g < p->groups; g++)
        load_rows(a, 4 + g, p->row, g, chunk);
    for (int v = 0; v < p->width; v++) {
        if (p->groups == 1)
            ask_ahead(a, w, p->vector + v);
        load_columns(a, 6 + v, w, p->vector + v);
        for (int g = 0; g < p->groups; g++)
            amx_dot(a->e, 2 * g + v, 4 + g, 6 + v);
    }
}

/* To and fro, so that a group begins with the columns that are there. */
static void step_three(Amx *a, const Pass *p, Val w, Val chunk)
{
    int there = -1;
    for (int g = 0; g < 3; g++) {
        load_rows(a, 6, p->row, g, chunk);
        for (int i = 0; i < p->width; i++) {
            int v = g % 2 ? p->width - 1 - i : i;
            if (v != there)
                load_columns(a, 7, w, p->vector + v);
            there = v;
            amx_dot(a->e, 2 * g + v, 6, 7);
        }
    }
}

static void step(Amx *a, const Pass *p, Val number)
{
    Emit *e = a->e;
    Val chunk = add(e, a->first, number);
    Val w = at_bytes(e, a->w, mul(e, chunk, i64(e, tile_w_bytes(e, a->t))));
    if (a->next && !p->vector)
        ask_next(a, number);
    if (p->groups == 3)
        step_three(a, p, w, chunk);
    else
        step_two(a, p, w, chunk);
}

static void move_sums(Amx *a, const Pass *p,
                      void (*move)(Emit *e, int tile, Val p, Val stride))
{
    Emit *e = a->e;
    for (int g = 0; g < p->groups; g++)
        for (int v = 0; v < p->width; v++)
            move(e, 2 * g + v,
                 sums_at(a, add(e, p->row, i64(e, g * GROUP)), p->vector + v),
                 i64(e, a->cols * 4));
}

/* So many groups from `row` on by all columns. */
static void groups_of(Amx *a, Val row, int groups)
{
    Emit *e = a->e;
    for (int v = 0; v < a->t->vectors; v += 2) {
        Pass p = {row, groups, v, a->t->vectors - v < 2 ? 1 : 2};
        move_sums(a, &p, amx_load);
        Loop k = loop_begin(e, "chunk", i64(e, 0), a->count, 1);
        step(a, &p, k.index);
        loop_end(e, k);
        move_sums(a, &p, amx_store);
    }
}

/* Groups of pass `number` of a->passes; all together ask for all lines of the
 * weights, each for one of `parts`: as many as passes or fewer. */
static void asking_groups(Amx *a, Val row, int groups, Val number, int parts)
{
    Emit *e = a->e;
    If fewer;
    if (parts > 1) {
        fewer = if_begin(e, less(e, a->passes, i64(e, parts)));
        asking_groups(a, row, groups, number, parts / 2);
        if_else(e, &fewer);
    }
    a->lines = (int)(tile_w_bytes(e, a->t) / 64) / parts;
    a->next = mul(e, mul(e, number, a->count), i64(e, 64 * a->lines));
    groups_of(a, row, groups);
    a->next = NULL;
    if (parts > 1)
        if_end(e, fewer);
}

/* Two groups or one, the last of them as many rows as there are. */
static void last_groups(Amx *a, Val row, Val number)
{
    Emit *e = a->e;
    Val left = sub(e, a->rows, row), group = i64(e, GROUP);
    Val one = least(e, left, group), two = least(e, sub(e, left, one), group);
    If both = if_begin(e, less(e, i64(e, 0), two));
    static const int first[] = {0, 1, 4}, second[] = {2, 3, 5};
    for (int i = 0; i < 3; i++) {
        set_rows(a, first[i], one);
        set_rows(a, second[i], two);
    }
    amx_config(e, a->config);
    asking_groups(a, row, 2, number, MOST_PARTS);
    if_else(e, &both);
    for (int i = 0; i < 3; i++)
        set_rows(a, first[i], one);
    amx_config(e, a->config);
    groups_of(a, row, 1);
    if_end(e, both);
}

/* How often three full groups are taken: a single one is not left behind, for
 * its two sums would wait for each other; two and two are better. */
static Val threes_of(Amx *a, Val groups)
{
    Emit *e = a->e;
    Val n = quot(e, a->rows, i64(e, 3 * GROUP));
    Val alone = same(e, sub(e, groups, mul(e, n, i64(e, 3))), i64(e, 1));
    return greatest(e, pick(e, alone, sub(e, n, i64(e, 1)), n), i64(e, 0));
}

static void all_groups(Amx *a)
{
    Emit *e = a->e;
    start_config(a);
    Val groups = add(e, a->rows, i64(e, GROUP - 1));
    groups = quot(e, groups, i64(e, GROUP));
    Val threes = threes_of(a, groups);
    Val left = sub(e, groups, mul(e, threes, i64(e, 3)));
    a->passes = add(e, threes, quot(e, add(e, left, i64(e, 1)), i64(e, 2)));
    Val from = mul(e, threes, i64(e, 3 * GROUP));
    amx_config(e, a->config);
    Loop t = loop_begin(e, "threes", i64(e, 0), threes, 1);
    asking_groups(a, mul(e, t.index, i64(e, 3 * GROUP)), 3, t.index,
                  MOST_PARTS);
    loop_end(e, t);
    Loop r = loop_begin(e, "row", from, a->rows, 2 * GROUP);
    Val pairs = quot(e, sub(e, r.index, from), i64(e, 2 * GROUP));
    last_groups(a, r.index, add(e, threes, pairs));
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
             param(e, 6, "count"), NULL, NULL, (int64_t)t->vectors * GROUP,
             NULL, 0};
    all_groups(&a);
    helper_end(e, &h);
    return h.fn;
}
