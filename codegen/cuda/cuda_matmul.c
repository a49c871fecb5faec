/* Skeletons matmul and grouped as CUDA C: a block computes BM rows by BN packed
 * columns, BK of the sum at a time, the next STAGES - 1 tiles being copied
 * while these are multiplied. bf16 by bf16 goes through tensor cores, all else
 * is plain f32.
 * Grouped: blocks of rows of one expert, all experts' blocks in one list. */
#include "codegen/cuda/cuda_matmul.h"
#include <string.h>

enum { BK = 32, WM = 2 }; /* WM: warps above each other */

static int threads(const Mm *mm)
{
    return 32 * WM * mm->wn;
}

static int stages(const Mm *mm)
{
    return mm->c->kernel->schedule.stages;
}

static int64_t elements(int n, const Dim *const *d)
{
    return size_at(cu_size_of(n, d), 1);
}

int64_t mm_columns(const Mm *mm)
{
    return (elements(mm->pack->nn, mm->pack->n) + 7) / 8 * 8 * mm->pack->parts;
}

void mm_constants(const Mm *mm)
{
    Cu *c = mm->c;
    const char *K = mm->depth ? cu_text(c, "%lld", (long long)mm->depth)
                              : cu_count(c, mm->m->nk, mm->m->k);
    cu_line(c, "enum { BK = %d, COLS = %lld }; /* packed */", BK,
            (long long)mm_columns(mm));
    cu_line(c, mm->depth ? "enum { DEPTH = %s };" : "int DEPTH = %s;", K);
    cu_line(c, mm->depth ? "enum { STEPS = (DEPTH + BK - 1) / BK, "
                           "KP = STEPS * BK };"
                         : "int STEPS = (DEPTH + BK - 1) / BK, "
                           "KP = STEPS * BK;");
}

static void constants(const Mm *mm)
{
    Cu *c = mm->c;
    cu_line(c, "enum { BM = %d, BN = %d, LD = %d, MI = %d, NI = %d };", mm->bm,
            mm->bn, mm->ld, mm->mi, mm->ni);
    cu_line(c, "enum { STAGES = %d };", stages(mm));
    mm_constants(mm);
    cu_line(c, "DYN_SMEM(smem);");
    const char *t = cu_type(mm->tile);
    cu_line(c, "%s *tx = (%s *)smem, *tw = tx + STAGES * BM * LD;", t, t);
    cu_line(c, "int *element = (int *)(tw + STAGES * BN * LD), "
               "*from = element + BM;");
    cu_line(c, "int tid = threadIdx.x, lane = tid & 31, warp = tid >> 5;");
    cu_line(c, "int wm = warp & 1, wn = warp >> 1;");
}

/* ---- which rows ---- */

static void dense_rows(Mm *mm)
{
    Cu *c = mm->c;
    const Matmul *m = mm->m;
    const char *rows = cu_count(c, m->nm, m->m);
    cu_line(c, "int batch = blockIdx.z, count = %s;", rows);
    cu_open(c, "for (int slot = tid; slot < BM; slot += %d)", threads(mm));
    cu_line(c, "int at = blockIdx.y * BM + slot;");
    cu_line(c, "element[slot] = at < count ? at : -1;");
    cu_line(c, "from[slot] = at < count ? batch * count + at : -1;");
    cu_close(c);
    if (m->nb)
        cu_unflatten(c, &mm->batch, m->nb, m->b, "batch", false);
}

/* The block's expert and where its rows stand in the order. */
static void find_expert(Mm *mm, const char *route, const char *E)
{
    Cu *c = mm->c;
    cu_line(c, "int tile = blockIdx.y, batch = 0;");
    cu_open(c, "for (; batch < %s; batch++)", E);
    cu_line(c, "int tiles = (%s[batch + 1] - %s[batch] + BM - 1) / BM;",
            route, route);
    cu_line(c, "if (tile < tiles)");
    cu_line(c, "    break;");
    cu_line(c, "tile -= tiles;");
    cu_close(c);
    cu_line(c, "if (batch == %s)", E);
    cu_line(c, "    return;");
    cu_line(c, "int first = %s[batch] + tile * BM;", route);
    cu_line(c, "int end = %s[batch + 1];", route);
}

Expr mm_row(const Mm *mm, const char *at)
{
    const Matmul *m = mm->m;
    CuPlaces p = {0};
    cu_unflatten(mm->c, &p, m->nm, m->m, at, false);
    return cu_flat(mm->c, m->x->type.rank - m->nk, m->x->type.dim, &p);
}

static void grouped_rows(Mm *mm)
{
    Cu *c = mm->c;
    const Matmul *m = mm->m;
    const char *route = cu_arg(c, m->route), *E = cu_size(c, m->expert);
    find_expert(mm, route, E);
    cu_place(&mm->batch, m->expert, "batch");
    cu_open(c, "for (int slot = tid; slot < BM; slot += %d)", threads(mm));
    cu_line(c, "int at = first + slot < end ? %s[%s + 1 + first + slot] : -1;",
            route, E);
    cu_line(c, "element[slot] = at;");
    int mark = cu_mark(c);
    cu_line(c, "from[slot] = at < 0 ? -1 : %s;", mm_row(mm, "at").text);
    cu_forget(c, mark);
    cu_close(c);
}

/* ---- tiles ---- */

/* An operand's tiles: x's BM rows or w's BN columns. */
typedef struct {
    char which;            /* x, w */
    const char *rows, *depth;
    Dtype from;
    const char *base, *at, *in; /* where row `slot` begins, and is it there? */
    bool async;            /* copied 16 bytes at a time, past the registers */
} Operand;

static int each(const Operand *o) /* elements of 16 bytes */
{
    return o->from == TYPE_f32 ? 4 : 8;
}

static void copy_rest(const Mm *mm, const Operand *o)
{
    cu_line(mm->c, "%s *to = t%c + next * %s * LD + %s;", cu_type(mm->tile),
            o->which, o->rows,
            mm->tensor ? "swizzled(slot, part)" : "slot * LD + part");
}

/* Rows of which a block's threads have a chunk each. */
static int at_once(const Mm *mm, const Operand *o)
{
    return threads(mm) * each(o) / BK;
}

static void each_chunk(const Mm *mm, const Operand *o)
{
    Cu *c = mm->c;
    int per = each(o), n = at_once(mm, o);
    cu_open(c, "UNROLL for (int item = 0; item < (%s + %d) / %d; item++)",
            o->rows, n - 1, n);
    cu_line(c, "int slot = tid / (BK / %d) + item * %d;", per, n);
    cu_line(c, "int part = tid %% (BK / %d) * %d;", per, per);
}

/* Which 16 bytes are this thread's: where their rows begin; NULL: nowhere. */
static void find_chunks(const Mm *mm, const Operand *o)
{
    Cu *c = mm->c;
    int n = at_once(mm, o);
    cu_line(c, "const %s *%cat[(%s + %d) / %d];", cu_type(o->from), o->which,
            o->rows, n - 1, n);
    each_chunk(mm, o);
    cu_line(c, "int there = slot < %s && %s;", o->rows, o->in);
    cu_line(c, "%cat[item] = there ? %s + %s + part : 0;", o->which, o->base,
            o->at);
    cu_close(c);
}

static void copy_chunks(const Mm *mm, const Operand *o)
{
    Cu *c = mm->c;
    bool whole = (o->which == 'x' ? mm->bm : mm->bn) % at_once(mm, o) == 0;
    bool ends = o->which == 'x' && mm->depth % BK; /* within a step */
    each_chunk(mm, o);
    cu_line(c, "int there = %cat[item] != 0%s;", o->which,
            ends ? " && k0 + part < DEPTH" : "");
    copy_rest(mm, o);
    cu_line(c, "%scp_async_16(to, %cat[item] + k0, there);",
            whole ? "" : cu_text(c, "if (slot < %s) ", o->rows), o->which);
    cu_close(c);
}

static void copy_elements(const Mm *mm, const Operand *o)
{
    Cu *c = mm->c;
    const char *value = mm->tile == TYPE_f32 ? cu_widened(c, o->from, "*row")
                        : o->from == TYPE_f32 ? "f2bf(*row)" : "*row";
    bool turned = o->which == 'x' && mm->m->turned;
    cu_open(c, "for (int at = tid; at < %s * BK; at += %d)", o->rows,
            threads(mm));
    cu_line(c, "int slot = at / BK, part = at %% BK;");
    cu_line(c, "int there = %s && k0 + part < %s;", o->in, o->depth);
    cu_line(c, "const %s *row = %s + (there ? %s + %s : 0);",
            cu_type(o->from), o->base, o->at,
            turned ? "(i64)(k0 + part) * count" : "k0 + part");
    copy_rest(mm, o);
    cu_line(c, "*to = there ? %s : 0;", value);
    cu_close(c);
}

static Operand rows_of(const Mm *mm)
{
    Operand o = {'x', "BM", "DEPTH", mm->m->x->type.dtype, mm->x,
                 "(i64)from[slot] * DEPTH", "from[slot] >= 0", false};
    if (mm->m->turned)
        o.at = "(i64)batch * DEPTH * count + element[slot]";
    o.async = o.from == mm->tile && mm->depth && mm->depth % each(&o) == 0 &&
              !mm->m->turned;
    return o;
}

static Operand columns_of(const Mm *mm)
{
    return (Operand){'w', "BN", "KP", mm->pack->dtype, mm->w,
                     "((i64)batch * COLS + first_col + slot) * KP",
                     "first_col + slot < COLS", mm->pack->dtype == mm->tile};
}

static void copy_tile(const Mm *mm, const Operand *o)
{
    o->async ? copy_chunks(mm, o) : copy_elements(mm, o);
}

static void multiply(const Mm *mm)
{
    Cu *c = mm->c;
    const char *t = cu_type(mm->tile);
    cu_line(c, "const %s *px = tx + now * BM * LD;", t);
    cu_line(c, "const %s *pw = tw + now * BN * LD;", t);
    if (!mm->tensor) {
        cu_line(c, "UNROLL for (int mi = 0; mi < MI; mi++)");
        cu_line(c, "    UNROLL for (int ni = 0; ni < NI; ni++)");
        cu_line(c, "        fma_16x8(acc[mi][ni],");
        cu_line(c, "                 px + (wm * MI + mi) * 16 * LD,");
        cu_line(c, "                 pw + (wn * NI + ni) * 8 * LD, LD, BK);");
        return;
    }
    cu_line(c, "u32 fx[MI][4], fw[2][NI][2];");
    cu_line(c, "UNROLL for (int ni = 0; ni < NI; ni++)");
    cu_line(c, "    fragment_8x32(fw[0][ni], fw[1][ni], pw,");
    cu_line(c, "                  (wn * NI + ni) * 8);");
    cu_open(c, "UNROLL for (int part = 0; part < 2; part++)");
    cu_line(c, "UNROLL for (int mi = 0; mi < MI; mi++)");
    cu_line(c, "    fragment_16x16(fx[mi], px, (wm * MI + mi) * 16,");
    cu_line(c, "                   part * 16);");
    cu_line(c, "mma_tile(MI, NI, acc[0][0], fx[0], fw[part][0]);");
    cu_close(c);
}

static void products(const Mm *mm)
{
    Cu *c = mm->c;
    const Operand x = rows_of(mm), w = columns_of(mm);
    cu_line(c, "int first_col = blockIdx.x * BN;");
    cu_line(c, "float acc[MI][NI][4];");
    cu_line(c, "UNROLL for (int at = 0; at < MI * NI * 4; at++)");
    cu_line(c, "    acc[at / (NI * 4)][at / 4 %% NI][at %% 4] = 0;");
    cu_line(c, "__syncthreads();");
    if (x.async)
        find_chunks(mm, &x);
    if (w.async)
        find_chunks(mm, &w);
    cu_open(c, "for (int step = 1 - STAGES; step < STEPS; step++)");
    cu_line(c, "u32 now = (u32)(step + STAGES) %% STAGES;");
    cu_line(c, "u32 next = (u32)(step + STAGES - 1) %% STAGES;");
    cu_open(c, "if (step >= 0)");
    cu_line(c, "cp_async_wait(STAGES - 2);");
    cu_line(c, "__syncthreads(); /* and with the tile before all are done */");
    cu_close(c);
    cu_open(c, "if (step + STAGES - 1 < STEPS)");
    cu_line(c, "int k0 = (step + STAGES - 1) * BK;");
    copy_tile(mm, &x);
    copy_tile(mm, &w);
    cu_close(c);
    cu_line(c, "cp_async_commit();");
    cu_line(c, "if (step < 0)");
    cu_line(c, "    continue;");
    multiply(mm);
    cu_close(c);
    cu_line(c, "cp_async_wait(0);");
}

/* ---- what follows the sums ---- */

static Expr sum_at(Cu *c, const Node *n, const CuPlaces *p)
{
    const Mm *mm = c->user;
    (void)p;
    for (int i = 0; i < mm->pack->parts; i++) {
        if (mm->part->contract[i] != n)
            continue;
        const char *s = "acc[mi][ni][quad]";
        if (mm->pack->parts > 1)
            s = cu_text(c, "acc[mi][ni * %d + %d][quad]", mm->pack->parts, i);
        return cu_rounded(c, n->type.dtype, (Expr){s, 0});
    }
    return (Expr){NULL, 0};
}

void mm_store(const Mm *mm)
{
    Cu *c = mm->c;
    CuPlaces p = mm->batch;
    cu_unflatten(c, &p, mm->m->nm, mm->m->m, "at", false);
    cu_unflatten(c, &p, mm->pack->nn, mm->pack->n, "col", false);
    for (int i = 0; i < mm->part->nout; i++) {
        const Buffer *b = c->kernel->out[mm->part->first_out + i];
        cu_store(c, b, &p, cu_value(c, b->node, &p));
    }
}

static void epilogue(Mm *mm)
{
    Cu *c = mm->c;
    const Pack *pack = mm->pack;
    const char *per = pack->parts > 1 ? cu_text(c, " / %d", pack->parts) : "";
    const char *tile = "first_col / 8 + wn * NI";
    if (pack->parts > 1)
        tile = cu_text(c, "(%s)%s", tile, per);
    int mark = cu_mark(c);
    cu_open(c, "UNROLL for (int mi = 0; mi < MI; mi++)");
    cu_open(c, "UNROLL for (int ni = 0; ni < NI%s; ni++)", per);
    cu_open(c, "UNROLL for (int quad = 0; quad < 4; quad++)");
    cu_line(c, "int col = (%s + ni) * 8 + lane %% 4 * 2 + quad %% 2;",
            tile);
    cu_line(c, "int at = element[(wm * MI + mi) * 16 + quad / 2 * 8 + "
               "lane / 4];");
    cu_line(c, "if (at < 0 || col >= %s)", cu_count(c, pack->nn, pack->n));
    cu_line(c, "    continue;");
    mm_store(mm);
    cu_close(c);
    cu_close(c);
    cu_close(c);
    cu_forget(c, mark);
}

static void grid(const Mm *mm)
{
    const Matmul *m = mm->m;
    const Size *tiles = size_ceil(
        size_div(cu_size_of(mm->pack->nn, mm->pack->n), size_num(8)));
    cu_grid(mm->c, 0, size_mul(tiles, size_num(8 * mm->pack->parts)), mm->bn,
            NULL);
    cu_grid(mm->c, 1, cu_size_of(m->nm, m->m), mm->bm,
            m->expert ? m->expert->size : NULL);
    if (!m->expert)
        cu_grid(mm->c, 2, cu_size_of(m->nb, m->b), 1, NULL);
}

/* Is x in f32 what bf16 holds too? */
static bool is_narrow(const Node *x)
{
    return x->type.dtype == TYPE_f32 && x->op == OP_cast &&
           x->arg[0]->type.dtype == TYPE_bf16;
}

bool mm_tensor(const Kernel *k, int part)
{
    const Node *x = k->matmul.x;
    return (x->type.dtype == TYPE_bf16 || is_narrow(x)) &&
           k->matmul.part[part].w->pack.dtype == TYPE_bf16;
}

static void tiles(Mm *mm, const Kernel *k)
{
    mm->bm = k->schedule.tile;
    mm->mi = mm->bm / (16 * WM);
    mm->ni = mm->pack->parts == 3 ? 3 : 4;
    mm->wn = mm->bm / 32;
    mm->bn = mm->wn * 8 * mm->ni;
    mm->ld = mm->tensor ? BK : BK + 4;
}

MmTile mm_tile(const Kernel *k, int part)
{
    Mm mm = {.pack = &k->matmul.part[part].w->pack,
             .tensor = mm_tensor(k, part)};
    tiles(&mm, k);
    return (MmTile){mm.tensor, mm.bm, mm.bn, k->schedule.stages, WM * mm.wn,
                    mm.mi, mm.ni};
}

int mm_shared(const Kernel *k, int part)
{
    const MmTile t = mm_tile(k, part);
    int row = t.tensor ? 2 * BK : 4 * (BK + 4);
    return t.stages * (t.rows + t.columns) * row + 8 * t.rows;
}

Mm mm_of(Cu *c, int part)
{
    Mm mm = {.c = c, .m = &c->kernel->matmul};
    double depth;
    mm.part = &mm.m->part[part];
    mm.pack = &mm.part->w->pack;
    bool known = size_is_num(cu_size_of(mm.m->nk, mm.m->k), &depth);
    mm.depth = known ? (int64_t)depth : 0;
    mm.narrow = is_narrow(mm.m->x);
    mm.tensor = mm_tensor(c->kernel, part);
    mm.tile = mm.tensor ? TYPE_bf16 : TYPE_f32;
    tiles(&mm, c->kernel);
    mm.x = cu_arg(c, kernel_leaf(c->kernel, mm.m->x));
    mm.w = cu_arg(c, mm.part->w);
    return mm;
}

void cuda_matmul(Cu *c, int part)
{
    Mm mm = mm_of(c, part);
    c->hole = sum_at;
    c->user = &mm;
    c->tile = cu_text(c, "%d x %d x %d, %d stages", mm.bm, mm.bn, BK,
                      stages(&mm));
    c->to->threads = threads(&mm);
    c->to->blocks = mm.tensor ? 512 / threads(&mm) : 2;
    c->to->shared = mm_shared(c->kernel, part);
    grid(&mm);
    constants(&mm);
    if (mm.m->expert)
        grouped_rows(&mm);
    else
        dense_rows(&mm);
    products(&mm);
    epilogue(&mm);
}
