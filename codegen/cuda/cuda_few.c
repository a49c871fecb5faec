/* Matmul and grouped for few tokens, bf16 by bf16: time is that of reading the
 * weights, which go from memory straight to what tensor cores take. Of 32
 * elements of K lane t of a quad has 8t .. 8t + 7 of both operands: another
 * order of K within two steps of a product, the same in both. A block has 8
 * columns of each part; its warps share K; their sums are added in order. */
#include "codegen/cuda/cuda_matmul.h"

enum { MOST = 16, THREADS = 32 * FEW_WARPS };

bool cuda_has_few(Cu *c, int part)
{
    Mm mm = mm_of(c, part);
    return mm.tensor && !mm.m->turned && mm.depth && mm.depth % 8 == 0;
}

static void begin(const Mm *mm)
{
    Cu *c = mm->c;
    cu_line(c, "enum { WARPS = %d, AHEAD = %d, PARTS = %d };",
            FEW_WARPS, FEW_AHEAD,
            mm->pack->parts);
    mm_constants(mm);
    cu_line(c, "DYN_SMEM(smem);");
    cu_line(c, "float *share = (float *)smem;");
    cu_line(c, "int tid = threadIdx.x, lane = tid & 31, warp = tid >> 5;");
    cu_line(c, "int last = lane %% 4 * 8;");
}

/* Rows begin .. end - 1, of which a block of 16 is at `first`. */
static void find_rows(Mm *mm)
{
    Cu *c = mm->c;
    const Matmul *m = mm->m;
    if (m->expert) {
        const char *route = cu_arg(c, m->route);
        cu_line(c, "int batch = blockIdx.y;");
        cu_place(&mm->batch, m->expert, "batch");
        cu_line(c, "int begin = %s[batch], end = %s[batch + 1];", route,
                route);
        return;
    }
    cu_line(c, "int batch = blockIdx.z, count = %s;",
            cu_count(c, m->nm, m->m));
    cu_line(c, "int begin = blockIdx.y * 16;");
    cu_line(c, "int end = begin + 16 < count ? begin + 16 : count;");
    if (m->nb)
        cu_unflatten(c, &mm->batch, m->nb, m->b, "batch", false);
}

/* A lane has rows lane / 4 and 8 more. */
static void load_rows(const Mm *mm)
{
    Cu *c = mm->c;
    const Matmul *m = mm->m;
    cu_line(c, "int element[2];");
    cu_line(c, "const %s *row[2];", cu_type(m->x->type.dtype));
    cu_open(c, "UNROLL for (int item = 0; item < 2; item++)");
    cu_line(c, "int slot = first + lane / 4 + 8 * item;");
    int mark = cu_mark(c);
    if (m->expert) {
        cu_line(c, "int at = slot < end ? %s[%s + 1 + slot] : 0;",
                cu_arg(c, m->route), cu_size(c, m->expert));
        cu_line(c, "row[item] = %s + (i64)(%s) * DEPTH + last;", mm->x,
                mm_row(mm, "at").text);
    } else {
        cu_line(c, "int at = slot < end ? slot : 0;");
        cu_line(c, "row[item] = %s + ((i64)batch * count + at) * DEPTH + last;",
                mm->x);
    }
    cu_line(c, "element[item] = slot < end ? at : -1;");
    cu_forget(c, mark);
    cu_close(c);
}

static void load_chunks(const Mm *mm)
{
    Cu *c = mm->c;
    const char *load = mm->narrow ? "load_narrow_16" : "load_16";
    cu_line(c, "v16 low[AHEAD], high[AHEAD], col[AHEAD][PARTS];");
    cu_open(c, "UNROLL for (int ni = 0; ni < AHEAD; ni++)");
    cu_line(c, "int k0 = (step + WARPS * ni) * BK;");
    cu_line(c, "int there = k0 < KP, full = k0 + last < DEPTH;");
    cu_line(c, "UNROLL for (int part = 0; part < PARTS; part++)");
    cu_line(c, "    col[ni][part] = load_once_16(from + (i64)part * 8 * KP + "
               "k0, there);");
    cu_line(c, "low[ni] = %s(row[0] + k0, full && element[0] >= 0);", load);
    cu_line(c, "high[ni] = %s(row[1] + k0, full && element[1] >= 0);", load);
    cu_close(c);
}

static void multiply(Cu *c)
{
    cu_open(c, "UNROLL for (int ni = 0; ni < AHEAD; ni++)");
    cu_line(c, "u32 fx[2][4] = {");
    cu_line(c, "    {low[ni].x, high[ni].x, low[ni].y, high[ni].y},");
    cu_line(c, "    {low[ni].z, high[ni].z, low[ni].w, high[ni].w}};");
    cu_line(c, "u32 fw[2][PARTS][2];");
    cu_open(c, "UNROLL for (int part = 0; part < PARTS; part++)");
    cu_line(c, "fw[0][part][0] = col[ni][part].x;");
    cu_line(c, "fw[0][part][1] = col[ni][part].y;");
    cu_line(c, "fw[1][part][0] = col[ni][part].z;");
    cu_line(c, "fw[1][part][1] = col[ni][part].w;");
    cu_close(c);
    cu_line(c, "mma_tile(1, PARTS, acc[0], fx[0], fw[0][0]);");
    cu_line(c, "mma_tile(1, PARTS, acc[0], fx[1], fw[1][0]);");
    cu_close(c);
}

static void products(const Mm *mm)
{
    Cu *c = mm->c;
    cu_line(c, "float acc[PARTS][4];");
    cu_line(c, "UNROLL for (int part = 0; part < PARTS * 4; part++)");
    cu_line(c, "    acc[part / 4][part %% 4] = 0;");
    cu_line(c, "const bf16 *from = %s + last +", mm->w);
    cu_line(c, "    ((i64)batch * COLS + blockIdx.x * 8 * PARTS + lane / 4) * "
               "KP;");
    cu_open(c, "for (int step = warp; step < STEPS; step += WARPS * AHEAD)");
    load_chunks(mm);
    multiply(c);
    cu_close(c);
    cu_line(c, "__syncthreads();");
    cu_line(c, "UNROLL for (int part = 0; part < PARTS * 4; part++)");
    cu_line(c, "    share[(warp * PARTS * 4 + part) * 32 + lane] =");
    cu_line(c, "        acc[part / 4][part %% 4];");
    cu_line(c, "__syncthreads();");
}

static Expr total_at(Cu *c, const Node *n, const CuPlaces *p)
{
    const Mm *mm = c->user;
    (void)p;
    for (int i = 0; i < mm->pack->parts; i++)
        if (mm->part->contract[i] == n)
            return cu_rounded(c, n->type.dtype,
                              (Expr){cu_text(c, "total[%d]", i), 0});
    return (Expr){NULL, 0};
}

/* Warp q has number q of each lane's four. */
static void finish(const Mm *mm)
{
    Cu *c = mm->c;
    int mark = cu_mark(c);
    cu_line(c, "int quad = warp;");
    cu_line(c, "int col = blockIdx.x * 8 + lane %% 4 * 2 + quad %% 2;");
    cu_line(c, "int at = quad < 2 ? element[0] : element[1];");
    cu_open(c, "if (quad < 4 && at >= 0 && col < %s)",
            cu_count(c, mm->pack->nn, mm->pack->n));
    cu_line(c, "float total[PARTS];");
    cu_open(c, "UNROLL for (int part = 0; part < PARTS; part++)");
    cu_line(c, "total[part] = 0;");
    cu_line(c, "UNROLL for (int item = 0; item < WARPS; item++)");
    cu_line(c, "    total[part] += share[((item * PARTS + part) * 4 + quad) * "
               "32 + lane];");
    cu_close(c);
    mm_store(mm);
    cu_close(c);
    cu_forget(c, mark);
}

static void grid(const Mm *mm)
{
    const Matmul *m = mm->m;
    cu_grid(mm->c, 0, size_num((double)mm_columns(mm)), 8 * mm->pack->parts,
            NULL);
    if (m->expert) {
        cu_grid(mm->c, 1, m->expert->size, 1, NULL);
        return;
    }
    cu_grid(mm->c, 1, cu_size_of(m->nm, m->m), 16, NULL);
    cu_grid(mm->c, 2, cu_size_of(m->nb, m->b), 1, NULL);
}

void cuda_few(Cu *c, int part)
{
    Mm mm = mm_of(c, part);
    c->hole = total_at;
    c->user = &mm;
    c->tile = cu_text(c, "16 x %d x %d, all of K", 8 * mm.pack->parts, 32);
    c->to->threads = THREADS;
    c->to->blocks = 2;
    c->to->most = MOST;
    c->to->shared = 4 * THREADS * 4 * mm.pack->parts;
    grid(&mm);
    begin(&mm);
    find_rows(&mm);
    cu_open(c, "for (int first = begin; first < end; first += 16)");
    load_rows(&mm);
    products(&mm);
    finish(&mm);
    cu_close(c);
}
