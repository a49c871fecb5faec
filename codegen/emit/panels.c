/* Skeleton pack: values or weights in memory to the panels that a matmul reads:
 * what pack.c does with weights, in each run. Where neighbours in memory are
 * neighbours in K, blocks are turned in registers; else vectors of columns are
 * read, a row of K after the other. A task is some panels. */
#include "codegen/emit/matmul.h"

enum { GROUP = 8 }; /* panels of a task: a row of K is read as wide as that */

typedef struct {
    Walk w;
    const Pack *pack;
    const Buffer *from; /* of the part at hand */
    int which;          /* that part */
    Val k, k_all;       /* elements of K; with those that fill it up */
    int64_t columns, panels;
    Places batch;
    Val first, count, base; /* the task's panels, where the first goes */
} Panels;

static void sizes(Panels *p)
{
    Emit *e = p->w.e;
    p->k = walk_count(&p->w, p->pack->nk, p->pack->k);
    p->k_all = mul(e, quot(e, add(e, p->k, i64(e, PACK_K - 1)),
                           i64(e, PACK_K)), i64(e, PACK_K));
    p->columns = 1;
    for (int i = 0; i < p->pack->nn; i++)
        p->columns *= size_at(p->pack->n[i]->size, 1);
    p->panels = (p->columns + p->pack->cols - 1) / p->pack->cols;
}

/* Where row k (a multiple of the pair) of the task's panel j has its column
 * v. */
static Val place(Panels *p, Val j, Val k, int v)
{
    Emit *e = p->w.e;
    const Pack *pack = p->pack;
    int64_t wide = (int64_t)pack->cols * pack->parts;
    Val row = add(e, mul(e, j, p->k_all), k);
    Val to = mul(e, row, i64(e, wide));
    int64_t in = ((int64_t)p->which * pack->cols + v) * pack->pair;
    return at(e, ty_mem(e, pack->dtype), p->base, add(e, to, i64(e, in)));
}

/* The column that stands v places into the task's panel j: as pack_column says.
 */
static Val column(Panels *p, Val j, int v)
{
    Emit *e = p->w.e;
    const Pack *pack = p->pack;
    Val panel = add(e, p->first, j);
    if (!pack->halves)
        return add(e, mul(e, panel, i64(e, pack->cols)), i64(e, v));
    int64_t head = size_at(pack->n[pack->nn - 1]->size, 1);
    int run = pack->cols / 2;
    Val panels = i64(e, head / pack->cols);
    Val first = mul(e, quot(e, panel, panels), i64(e, head));
    first = add(e, first, mul(e, rest(e, panel, panels), i64(e, run)));
    return add(e, first, i64(e, v / run * (head / 2) + v % run));
}

/* ---- rows of K ---- */

/* `lanes` columns of row k, f32; 0 where there is none. */
static Val columns_at(Panels *p, Val k, Val first)
{
    Emit *e = p->w.e;
    Places at = p->batch;
    at.lanes = e->lanes;
    at.mask = NULL;
    if (p->columns % p->pack->cols)
        at.mask = mask_first(e, e->lanes, sub(e, i64(e, p->columns), first));
    walk_unflatten(&p->w, &at, p->pack->nk, p->pack->k, k, false);
    walk_unflatten(&p->w, &at, p->pack->nn, p->pack->n, first, true);
    Val x = walk_load(&p->w, p->from, &at);
    return at.mask ? pick(e, at.mask, x, num(vec(ty(e, TY_f32), e->lanes), 0))
                   : x;
}

/* Elements of a pair (bf16) as one word: the first is the low half. */
static Val paired(Emit *e, Val low, Val high)
{
    Val a = shift_right(e, bits_of(e, low), 16), b = bits_of(e, high);
    return bit_or(e, a, bit_and(e, b, like_bits(b, -65536)));
}

/* Rows k .. of all the task's panels; `there` of the pair exist. */
static void pack_rows(Panels *p, Val k, int there)
{
    Emit *e = p->w.e;
    Val zero = num(vec(ty(e, TY_f32), e->lanes), 0);
    Loop j = loop_begin(e, "panel", i64(e, 0), p->count, 1);
    for (int v = 0; v < p->pack->cols; v += e->lanes) {
        Val first = column(p, j.index, v), to = place(p, j.index, k, v);
        Val x = there ? columns_at(p, k, first) : zero;
        if (p->pack->pair == 1) {
            store_as(e, p->pack->dtype, x, to, NULL);
            continue;
        }
        Val y = there > 1 ? columns_at(p, add(e, k, i64(e, 1)), first) : zero;
        store(e, paired(e, x, y), to);
    }
    loop_end(e, j);
}

static void by_rows(Panels *p)
{
    Emit *e = p->w.e;
    int pair = p->pack->pair;
    Val whole = mul(e, quot(e, p->k, i64(e, pair)), i64(e, pair));
    Loop k = loop_begin(e, "k", i64(e, 0), whole, pair);
    pack_rows(p, k.index, pair);
    loop_end(e, k);
    if (pair == 2) {
        If odd = if_begin(e, less(e, whole, p->k));
        pack_rows(p, whole, 1);
        if_end(e, odd);
        whole = mul(e, quot(e, add(e, p->k, i64(e, 1)), i64(e, 2)),
                    i64(e, 2));
    }
    Loop z = loop_begin(e, "zero", whole, p->k_all, pair);
    pack_rows(p, z.index, 0);
    loop_end(e, z);
}

/* ---- blocks turned ---- */

/* Is K what lies side by side, in its order? */
static bool by_columns(const Panels *p)
{
    const Type *t = &p->from->type;
    int nk = p->pack->nk;
    bool last = t->rank - nk >= p->from->stacked;
    for (int i = 0; last && i < nk; i++)
        last = t->dim[t->rank - nk + i] == p->pack->k[i];
    return last;
}

/* Where each of `lanes` columns begins; the last stands for those behind it. */
static void find_columns(Panels *p, Val j, int v, Val *from)
{
    Emit *e = p->w.e;
    Places at = p->batch;
    at.lanes = 1;
    for (int i = 0; i < p->pack->nk; i++)
        places_set(&at, p->pack->k[i], i64(e, 0), false);
    for (int i = 0; i < e->lanes; i++) {
        Val c = least(e, column(p, j, v + i), i64(e, p->columns - 1));
        walk_unflatten(&p->w, &at, p->pack->nn, p->pack->n, c, false);
        from[i] = walk_at(&p->w, p->from, &at);
    }
}

/* Elements k .. of each column, a block of them; `left` exist, NULL: all. */
static void turn_block(Panels *p, Val j, int v, Val *from, Val k, Val left)
{
    Emit *e = p->w.e;
    const Pack *pack = p->pack;
    int n = e->lanes * pack->pair;
    Ty elem = ty(e, pack->dtype == TYPE_f32 ? TY_i32 : TY_i16);
    Ty unit = ty(e, pack->dtype == TYPE_f16 ? TY_i16 : TY_i32);
    Val x[64], mask = left ? mask_first(e, n, left) : NULL;
    for (int i = 0; i < e->lanes; i++) {
        Val at_k = at(e, elem, from[i], k);
        x[i] = mask ? load_masked(e, vec(elem, n), at_k, mask)
                    : load(e, vec(elem, n), at_k);
        x[i] = LLVMBuildBitCast(e->at, x[i], vec(unit, e->lanes), "");
    }
    tile_turn(e, e->lanes, x);
    for (int i = 0; i < e->lanes; i++) {
        Val row = add(e, k, i64(e, (int64_t)i * pack->pair));
        store(e, x[i], place(p, j, row, v));
    }
}

static void turn_columns(Panels *p)
{
    Emit *e = p->w.e;
    int64_t n = (int64_t)e->lanes * p->pack->pair;
    Val whole = mul(e, quot(e, p->k, i64(e, n)), i64(e, n)), from[64];
    Loop j = loop_begin(e, "panel", i64(e, 0), p->count, 1);
    for (int v = 0; v < p->pack->cols; v += e->lanes) {
        find_columns(p, j.index, v, from);
        Loop k = loop_begin(e, "k", i64(e, 0), whole, n);
        turn_block(p, j.index, v, from, k.index, NULL);
        loop_end(e, k);
        Loop z = loop_begin(e, "tail", whole, p->k_all, n);
        turn_block(p, j.index, v, from, z.index, sub(e, p->k, z.index));
        loop_end(e, z);
    }
    loop_end(e, j);
}

/* ---- the kernel ---- */

static int64_t groups(const Panels *p)
{
    return (p->panels + GROUP - 1) / GROUP;
}

static void task(Panels *p)
{
    Emit *e = p->w.e;
    const Pack *pack = p->pack;
    Val number = kernel_task(&p->w), each = i64(e, groups(p));
    Val batch = quot(e, number, each);
    p->batch.lanes = 1;
    walk_unflatten(&p->w, &p->batch, pack->nb, pack->b, batch, false);
    p->first = mul(e, rest(e, number, each), i64(e, GROUP));
    p->count = least(e, i64(e, GROUP), sub(e, i64(e, p->panels), p->first));
    Val panel = add(e, mul(e, batch, i64(e, p->panels)), p->first);
    Val wide = i64(e, (int64_t)pack->cols * pack->parts);
    p->base = at(e, ty_mem(e, pack->dtype),
                 walk_base(&p->w, p->w.kernel->out[0]),
                 mul(e, mul(e, panel, p->k_all), wide));
    for (p->which = 0; p->which < pack->parts; p->which++) {
        p->from = kernel_leaf(p->w.kernel, pack->part[p->which]);
        if (by_columns(p))
            turn_columns(p);
        else
            by_rows(p);
    }
}

void emit_pack(Emit *e, Plan *plan, Kernel *k)
{
    Panels p = {.pack = &k->out[0]->pack};
    kernel_begin(&p.w, e, plan, k);
    sizes(&p);
    task(&p);
    kernel_end(&p.w);
    kernel_begin_tasks(&p.w);
    Val batches = walk_count(&p.w, p.pack->nb, p.pack->b);
    ret(e, mul(e, batches, i64(e, groups(&p))));
}
