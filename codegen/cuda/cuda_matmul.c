/* Skeletons matmul and grouped as CUDA C: a block computes BM rows by BN packed
 * columns, BK of the sum at a time, the next tiles being copied while these are
 * multiplied. bf16 by bf16 goes through tensor cores, all else is plain f32.
 * Grouped: blocks of rows of one expert, all experts' blocks in one list. */
#include "codegen/cuda/cuda_matmul.h"
#include <string.h>

enum { THREADS = 128, BM = 64, BK = 32 };

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
    cu_line(c, "enum { BM = %d, BN = %d, LD = %d, MI = 2, NI = %d };", BM,
            mm->bn, mm->ld, mm->ni);
    mm_constants(mm);
    cu_line(c, "DYN_SMEM(smem);");
    const char *t = cu_type(mm->tile);
    cu_line(c, "%s *tx = (%s *)smem, *tw = tx + 2 * BM * LD;", t, t);
    cu_line(c, "int *element = (int *)(tw + 2 * BN * LD), "
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
    cu_open(c, "for (int slot = tid; slot < BM; slot += %d)", THREADS);
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
    cu_open(c, "for (int slot = tid; slot < BM; slot += %d)", THREADS);
    cu_line(c, "int at = first + slot < end ? %s[%s + 1 + first + slot] : -1;",
            route, E);
    cu_line(c, "element[slot] = at;");
    int mark = cu_mark(c);
    cu_line(c, "from[slot] = at < 0 ? -1 : %s;", mm_row(mm, "at").text);
    cu_forget(c, mark);
    cu_close(c);
}

/* ---- tiles ---- */

/* One operand's next BK elements: x's BM rows or w's BN columns; `row` and `in`
 * say where that of number slot begins and whether it is there. */
static void copy_tile(Mm *mm, char which, Dtype from, const char *row,
                      const char *in)
{
    Cu *c = mm->c;
    int per = from == TYPE_f32 ? 4 : 8; /* elements of 16 bytes */
    const char *rows = which == 'x' ? "BM" : "BN", *t = cu_type(mm->tile);
    bool w = which == 'w';
    bool async = from == mm->tile &&
                 (w || (mm->depth && mm->depth % per == 0));
    cu_open(c, async ? "for (int at = tid; at < %s * BK / %d; at += %d)"
                     : "for (int at = tid; at < %s * BK%.0d; at += %d)",
            rows, async ? per : 0, THREADS);
    if (async)
        cu_line(c, "int slot = at / (BK / %d), part = at %% (BK / %d) * %d;",
                per, per, per);
    else
        cu_line(c, "int slot = at / BK, part = at %% BK;");
    cu_line(c, "int there = %s && k0 + part < %s;", in, w ? "KP" : "DEPTH");
    cu_line(c, "const %s *row = there ? %s + k0 + part : %s;", cu_type(from),
            row, which == 'x' ? mm->x : mm->w);
    cu_line(c, "%s *to = t%c + ((step + 1) %% 2 * %s + slot) * LD + part;", t,
            which, rows);
    const char *value = mm->tile == TYPE_f32 ? cu_widened(c, from, "*row")
                        : from == TYPE_f32   ? "f2bf(*row)" : "*row";
    if (async)
        cu_line(c, "cp_async_16(to, row, there);");
    else
        cu_line(c, "*to = there ? %s : 0;", value);
    cu_close(c);
}

static void multiply(Mm *mm)
{
    Cu *c = mm->c;
    const char *t = cu_type(mm->tile);
    cu_line(c, "const %s *px = tx + (step %% 2 * BM + wm * 32) * LD;", t);
    cu_line(c, "const %s *pw = tw + (step %% 2 * BN + wn * NI * 8) * LD;", t);
    if (!mm->tensor) {
        cu_line(c, "UNROLL for (int mi = 0; mi < MI; mi++)");
        cu_line(c, "    UNROLL for (int ni = 0; ni < NI; ni++)");
        cu_line(c, "        fma_16x8(acc[mi][ni], px + mi * 16 * LD,");
        cu_line(c, "                 pw + ni * 8 * LD, LD, BK);");
        return;
    }
    cu_open(c, "UNROLL for (int part = 0; part < BK; part += 16)");
    cu_line(c, "u32 fx[MI][4], fw[NI][2];");
    cu_line(c, "UNROLL for (int mi = 0; mi < MI; mi++)");
    cu_line(c, "    fragment_16x16(fx[mi], px + mi * 16 * LD + part, LD);");
    cu_line(c, "UNROLL for (int ni = 0; ni < NI; ni++)");
    cu_line(c, "    fragment_8x16(fw[ni], pw + ni * 8 * LD + part, LD);");
    cu_line(c, "mma_tile(MI, NI, acc[0][0], fx[0], fw[0]);");
    cu_close(c);
}

static void products(Mm *mm)
{
    Cu *c = mm->c;
    const char *wrow = cu_text(c, "%s + ((i64)batch * COLS + first_col + "
                                  "slot) * KP", mm->w);
    const char *xrow = cu_text(c, "%s + (i64)from[slot] * DEPTH", mm->x);
    cu_line(c, "int first_col = blockIdx.x * BN;");
    cu_line(c, "float acc[MI][NI][4];");
    cu_line(c, "UNROLL for (int at = 0; at < MI * NI * 4; at++)");
    cu_line(c, "    acc[at / (NI * 4)][at / 4 %% NI][at %% 4] = 0;");
    cu_line(c, "__syncthreads();");
    cu_open(c, "for (int step = -1; step < STEPS; step++)");
    cu_open(c, "if (step + 1 < STEPS)");
    cu_line(c, "int k0 = (step + 1) * BK;");
    copy_tile(mm, 'x', mm->m->x->type.dtype, xrow, "from[slot] >= 0");
    copy_tile(mm, 'w', mm->pack->dtype, wrow, "first_col + slot < COLS");
    cu_close(c);
    cu_line(c, "cp_async_commit();");
    cu_line(c, "if (step < 0)");
    cu_line(c, "    continue;");
    cu_line(c, "cp_async_wait(1);");
    cu_line(c, "__syncthreads();");
    multiply(mm);
    cu_line(c, "__syncthreads();");
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
    cu_line(c, "int at = element[wm * 32 + mi * 16 + quad / 2 * 8 + "
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
    cu_grid(mm->c, 1, cu_size_of(m->nm, m->m), BM,
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

Mm mm_of(Cu *c, int part)
{
    Mm mm = {.c = c, .m = &c->kernel->matmul};
    double depth;
    mm.part = &mm.m->part[part];
    mm.pack = &mm.part->w->pack;
    bool known = size_is_num(cu_size_of(mm.m->nk, mm.m->k), &depth);
    mm.depth = known ? (int64_t)depth : 0;
    mm.narrow = is_narrow(mm.m->x);
    mm.tensor = (mm.m->x->type.dtype == TYPE_bf16 || mm.narrow) &&
                mm.pack->dtype == TYPE_bf16;
    mm.tile = mm.tensor ? TYPE_bf16 : TYPE_f32;
    mm.ni = mm.pack->parts == 3 ? 3 : 4;
    mm.bn = 2 * 8 * mm.ni;
    mm.ld = mm.tensor ? BK + 8 : BK + 4;
    mm.x = cu_arg(c, kernel_leaf(c->kernel, mm.m->x));
    mm.w = cu_arg(c, mm.part->w);
    return mm;
}

void cuda_matmul(Cu *c, int part)
{
    Mm mm = mm_of(c, part);
    c->hole = sum_at;
    c->user = &mm;
    c->tile = cu_text(c, "%d x %d x %d, 2 stages", BM, mm.bn, BK);
    c->to->threads = THREADS;
    c->to->blocks = mm.tensor ? 4 : 2;
    c->to->shared = 2 * (BM + mm.bn) * mm.ld * (mm.tensor ? 2 : 4) + 8 * BM;
    grid(&mm);
    constants(&mm);
    if (mm.m->expert)
        grouped_rows(&mm);
    else
        dense_rows(&mm);
    products(&mm);
    epilogue(&mm);
}
