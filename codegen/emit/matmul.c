/* Matmuls: tasks are blocks of rows by groups of panels. A task packs its rows,
 * then goes through its panels: all tiles of the block over one panel, then
 * what follows the products, written out. */
#include "codegen/emit/matmul.h"

TileKind matmul_kind(const Target *t, const Matmul *m, const Pack *p)
{
    TileKind kind;
    if (quant_kind(p->dtype, &kind))
        return kind;
    if (p->dtype == TYPE_f32 && p->pair == 1)
        return TILE_f32;
    if (p->dtype == TYPE_f16 && p->pair == 1)
        return TILE_half;
    if (p->dtype != TYPE_bf16 || p->pair != 2)
        BUG("a weight packed as %s by %d", type_info[p->dtype].name, p->pair);
    if (m->x->type.dtype == TYPE_bf16 && t->tiles)
        return TILE_amx;
    bool dots = m->x->type.dtype == TYPE_bf16 && t->dots;
    return dots ? TILE_dot : TILE_wide;
}

static int64_t known(int n, const Dim *const *d)
{
    int64_t count = 1;
    for (int i = 0; i < n; i++) {
        double size;
        if (!size_is_num(d[i]->size, &size))
            BUG("a matmul's weight has dim %s of unknown size", d[i]->name);
        count *= (int64_t)size;
    }
    return count;
}

bool matmul_cuts(const Matmul *m)
{
    double size;
    for (int i = 0; i < m->nk; i++)
        if (!size_is_num(m->k[i]->size, &size))
            return true;
    return false;
}

int64_t matmul_k(const Matmul *m)
{
    enum { CUT = 1024 };
    return matmul_cuts(m) ? CUT : known(m->nk, m->k);
}

static int64_t depth_of(const Schedule *s, const PartInfo *p)
{
    int64_t depth = s->depth / tile_chunk(&p->tile);
    return depth && depth < p->chunks ? depth : p->chunks;
}

static void part_info(Mm *mm, Emit *e, int i)
{
    const Pack *p = &mm->m->part[i].w->pack;
    const Schedule *s = &mm->w.kernel->schedule;
    PartInfo *to = &mm->part[i];
    int cols = p->cols * p->parts;
    if (p->cols % e->lanes || cols / e->lanes > 4)
        BUG("a panel of %d x %d columns for vectors of %d", p->parts, p->cols,
            e->lanes);
    to->tile = tile_choose(e, matmul_kind(e->target, mm->m, p),
                           cols / e->lanes, s->tokens);
    to->tile.ahead = s->ahead;
    to->n = known(p->nn, p->n);
    to->cols = p->cols;
    to->panels = (to->n + p->cols - 1) / p->cols;
    to->chunks = (mm->k + TILE_K - 1) / TILE_K * TILE_K;
    to->chunks /= tile_chunk(&to->tile);
    to->bytes = to->chunks * tile_w_bytes(e, &to->tile);
    to->depth = depth_of(s, to);
    to->ragged = to->n % p->cols != 0;
}

/* The most rows of a block, and what fills up the last tile. */
static int64_t block_room(const Schedule *s, const Tile *t)
{
    int64_t most = 1;
    for (int i = 0; i < BUCKETS; i++)
        most = s->block[i] > most ? s->block[i] : most;
    return (most + t->most - 1) / t->most * t->most;
}

static void keep_most(int64_t *most, int64_t n)
{
    *most = n > *most ? n : *most;
}

void mm_begin(Mm *mm, Emit *e, Plan *p, Kernel *k)
{
    const Matmul *m = &k->matmul;
    *mm = (Mm){.m = m, .k = matmul_k(m), .cuts = matmul_cuts(m)};
    kernel_begin(&mm->w, e, p, k);
    for (int i = 0; i < m->nparts; i++) {
        part_info(mm, e, i);
        const PartInfo *in = &mm->part[i];
        int64_t width = (int64_t)in->tile.vectors * e->lanes;
        int64_t rows = block_room(&k->schedule, &in->tile);
        keep_most(&mm->x_bytes, rows * in->chunks *
                                    tile_chunk_bytes(&in->tile));
        keep_most(&mm->c_bytes, rows * width * 4 *
                                    (mm->cuts ? in->panels : 1));
    }
    mm->x_bytes = (mm->x_bytes + 63) / 64 * 64;
    k->scratch = MM_MARK + mm->x_bytes + mm->c_bytes;
}

Val mm_block_rows(Mm *mm)
{
    return walk_choice(&mm->w, mm->w.kernel->schedule.block);
}

Val mm_blocks_of(Mm *mm, Val rows)
{
    Emit *e = mm->w.e;
    Val block = mm_block_rows(mm);
    return quot(e, add(e, rows, sub(e, block, i64(e, 1))), block);
}

static Val groups_of(Mm *mm, int i, Val grain)
{
    Emit *e = mm->w.e;
    Val up = add(e, i64(e, mm->part[i].panels - 1), grain);
    return quot(e, up, grain);
}

Val mm_grain(Mm *mm, Val blocks, Val *groups)
{
    Emit *e = mm->w.e;
    int64_t panels = 0;
    for (int i = 0; i < mm->m->nparts; i++)
        panels += mm->part[i].panels;
    Val want = mul(e, walk_run(&mm->w, RUN_threads),
                   walk_choice(&mm->w, mm->w.kernel->schedule.tasks));
    Val some = greatest(e, blocks, i64(e, 1));
    Val cuts = quot(e, add(e, want, sub(e, some, i64(e, 1))), some);
    Val grain = quot(e, add(e, i64(e, panels - 1), cuts), cuts);
    Val all = i64(e, 0);
    for (int i = 0; i < mm->m->nparts; i++)
        all = add(e, all, groups_of(mm, i, grain));
    *groups = all;
    return grain;
}

/* ---- what comes out ---- */

/* Do n's columns at p stand where the vector being written does? */
static bool same_columns(const Mm *mm, const Places *p, int n)
{
    for (int d = 0; d < n; d++)
        if (mm_place(p, mm->out->w->pack.n[d]) !=
            mm_place(mm->here, mm->out->w->pack.n[d]))
            return false;
    return true;
}

/* A contract's value: from C, where the vector being written stands, or (rope
 * asks for that alone) as far into the other half of the head. */
static Val product(Walk *w, const Node *n, const Places *p)
{
    Mm *mm = w->user;
    Emit *e = w->e;
    const Pack *pack = &mm->out->w->pack;
    for (int i = 0; i < pack->parts; i++) {
        if (n != mm->out->contract[i])
            continue;
        bool own = same_columns(mm, p, pack->nn);
        if (!own && !(pack->halves && same_columns(mm, p, pack->nn - 1)))
            BUG("%s: a product read at another column", w->kernel->name);
        Ty t = ty(e, TY_f32);
        Val from = at(e, t, mm->c, i64(e, i * mm->info->cols +
                                              (own ? 0 : mm->other)));
        return round_to(e, n->type.dtype, load(e, vec(t, p->lanes), from));
    }
    return NULL;
}

/* One vector of columns of one row: every result of the part. */
static void write_vector(Mm *mm, Val c, Val column, const Places *at_row)
{
    Emit *e = mm->w.e;
    Places p = *at_row;
    const Pack *pack = &mm->out->w->pack;
    p.lanes = e->lanes;
    if (mm->info->ragged)
        p.mask = mask_first(e, e->lanes,
                            sub(e, i64(e, mm->info->n), column));
    walk_unflatten(&mm->w, &p, pack->nn, pack->n, column, true);
    mm->c = c;
    mm->here = &p;
    for (int i = 0; i < mm->out->nout; i++) {
        Buffer *b = mm->w.kernel->out[mm->out->first_out + i];
        walk_store(&mm->w, b, &p, walk(&mm->w, b->node, &p));
    }
    mm->here = NULL;
}

/* The column that a panel's `at`-th one is: as pack_column says. */
static Val column_of(const Mm *mm, Val panel, int64_t at)
{
    Emit *e = mm->w.e;
    const Pack *p = &mm->out->w->pack;
    int64_t cols = mm->info->cols, run = cols / 2;
    if (!p->halves)
        return add(e, mul(e, panel, i64(e, cols)), i64(e, at));
    int64_t head = size_at(p->n[p->nn - 1]->size, 1);
    Val each = i64(e, head / cols);
    Val first = add(e, mul(e, quot(e, panel, each), i64(e, head)),
                    mul(e, rest(e, panel, each), i64(e, run)));
    return add(e, first, i64(e, at / run * (head / 2) + at % run));
}

static void write_panel(Mm *mm, Val c, Val panel)
{
    Emit *e = mm->w.e;
    int64_t width = mm->info->tile.vectors * e->lanes;
    mm->w.hole = product;
    mm->w.user = mm;
    Loop r = loop_begin(e, "row", i64(e, 0), mm->rows, 1);
    Places p = mm_row_places(mm, r.index);
    Val row = at(e, ty(e, TY_f32), c, mul(e, r.index, i64(e, width)));
    for (int64_t v = 0; v < mm->info->cols; v += e->lanes) {
        int64_t half = mm->info->cols / 2;
        mm->other = v < half ? half : -half;
        write_vector(mm, at(e, ty(e, TY_f32), row, i64(e, v)),
                     column_of(mm, panel, v), &p);
    }
    loop_end(e, r);
    mm->w.hole = NULL;
}

/* ---- a task ---- */

static void add_products(Mm *mm, Val w, Val c)
{
    Emit *e = mm->w.e;
    const Tile *t = &mm->info->tile;
    Val all = i64(e, mm->info->chunks);
    Val bytes = mul(e, mm->rows, i64(e, (int64_t)t->vectors * e->lanes * 4));
    LLVMBuildMemSet(e->at, c, LLVMConstNull(ty(e, TY_i8)), bytes, 64);
    Loop k = loop_begin(e, "depth", i64(e, 0), all, mm->info->depth);
    Val count = least(e, i64(e, mm->info->depth), sub(e, all, k.index));
    Val args[] = {mm->x, w, all, mm->rows, c, k.index, count};
    call(e, block_function(e, t), 7, args);
    loop_end(e, k);
}

/* Where the part's panels for this expert or batch begin. */
static Val panels_at(Mm *mm)
{
    Emit *e = mm->w.e;
    const Pack *pack = &mm->out->w->pack;
    Val which = mm_flat(&mm->w, pack->nb, pack->b, &mm->batch);
    int64_t bytes = mm->info->bytes * mm->info->panels;
    return at_bytes(e, walk_base(&mm->w, mm->out->w),
                    mul(e, which, i64(e, bytes)));
}

/* K a cut at a time: its rows are loaded, then added to the sums of all panels
 * of the task. */
static void add_cuts(Mm *mm, Val from, Val to, Val w, Val bytes, Val c,
                     Val c_step)
{
    Emit *e = mm->w.e;
    const Tile *t = &mm->info->tile;
    int64_t chunk = tile_chunk(t);
    Loop k = loop_begin(e, "cut", i64(e, 0), mm->k_all, mm->k);
    Val count = least(e, i64(e, mm->k), sub(e, mm->k_all, k.index));
    mm->from = k.index;
    mm_load_cut(mm, count);
    count = quot(e, add(e, count, i64(e, TILE_K - 1)), i64(e, TILE_K));
    count = mul(e, count, i64(e, TILE_K / chunk));
    Val skip = mul(e, quot(e, k.index, i64(e, chunk)),
                   i64(e, tile_w_bytes(e, t)));
    Loop p = loop_begin(e, "panel", from, to, 1);
    Val at_w = at_bytes(e, w, add(e, mul(e, p.index, bytes), skip));
    Val at_c = at_bytes(e, c, mul(e, sub(e, p.index, from), c_step));
    Val args[] = {mm->x, at_w, i64(e, mm->info->chunks), mm->rows, at_c,
                  i64(e, 0), count};
    call(e, block_function(e, t), 7, args);
    loop_end(e, p);
    loop_end(e, k);
}

static void cut_task(Mm *mm, int i, Val group, Val grain)
{
    Emit *e = mm->w.e;
    mm->out = &mm->m->part[i];
    mm->info = &mm->part[i];
    const Tile *t = &mm->info->tile;
    const Pack *pack = &mm->out->w->pack;
    Val chunks = quot(e, add(e, mm->k_all, i64(e, TILE_K - 1)),
                      i64(e, TILE_K));
    chunks = mul(e, chunks, i64(e, TILE_K / tile_chunk(t)));
    Val bytes = mul(e, chunks, i64(e, tile_w_bytes(e, t)));
    Val which = mm_flat(&mm->w, pack->nb, pack->b, &mm->batch);
    Val w = at_bytes(e, walk_base(&mm->w, mm->out->w),
                     mul(e, mul(e, which, i64(e, mm->info->panels)), bytes));
    Val c = at_bytes(e, mm->x, i64(e, mm->x_bytes));
    Val most = i64(e, t->most); /* the last tile may write more rows */
    Val rows = quot(e, add(e, mm->rows, i64(e, t->most - 1)), most);
    Val c_step = mul(e, mul(e, rows, most),
                     i64(e, (int64_t)t->vectors * e->lanes * 4));
    Val from = mul(e, group, grain);
    Val to = least(e, add(e, from, grain), i64(e, mm->info->panels));
    LLVMBuildMemSet(e->at, c, LLVMConstNull(ty(e, TY_i8)),
                    mul(e, sub(e, to, from), c_step), 64);
    add_cuts(mm, from, to, w, bytes, c, c_step);
    Loop p = loop_begin(e, "panel", from, to, 1);
    write_panel(mm, at_bytes(e, c, mul(e, sub(e, p.index, from), c_step)),
                p.index);
    loop_end(e, p);
}

static void part_task(Mm *mm, int i, Val group, Val grain)
{
    Emit *e = mm->w.e;
    if (mm->cuts) {
        cut_task(mm, i, group, grain);
        return;
    }
    mm->out = &mm->m->part[i];
    mm->info = &mm->part[i];
    mm_load_rows(mm);
    Val w = panels_at(mm), c = at_bytes(e, mm->x, i64(e, mm->x_bytes));
    Val from = mul(e, group, grain);
    Val to = least(e, add(e, from, grain), i64(e, mm->info->panels));
    Loop p = loop_begin(e, "panel", from, to, 1);
    Val at_w = at_bytes(e, w, mul(e, p.index, i64(e, mm->info->bytes)));
    add_products(mm, at_w, c);
    write_panel(mm, c, p.index);
    loop_end(e, p);
}

void mm_block(Mm *mm, Val group, Val grain)
{
    Emit *e = mm->w.e;
    mm->x = at_bytes(e, kernel_mem(&mm->w), i64(e, MM_MARK));
    if (mm->cuts)
        mm->k_all = walk_count(&mm->w, mm->m->nk, mm->m->k);
    for (int i = 0; i < mm->m->nparts; i++) {
        Val mine = groups_of(mm, i, grain);
        Val in = bit_and(e, less_eq(e, i64(e, 0), group), less(e, group, mine));
        If here = if_begin(e, in);
        part_task(mm, i, group, grain);
        if_end(e, here);
        group = sub(e, group, mine);
    }
}

/* ---- the plain kernel: rows in their order ---- */

static Val blocks_of_all(Mm *mm, Val *each)
{
    Emit *e = mm->w.e;
    const Matmul *m = mm->m;
    *each = mm_blocks_of(mm, walk_count(&mm->w, m->nm, m->m));
    return mul(e, *each, walk_count(&mm->w, m->nb, m->b));
}

static void task(Mm *mm)
{
    Emit *e = mm->w.e;
    const Matmul *m = mm->m;
    Val each, groups, blocks = blocks_of_all(mm, &each);
    Val grain = mm_grain(mm, blocks, &groups);
    Val number = mm->number = quot(e, kernel_task(&mm->w), groups);
    Val group = rest(e, kernel_task(&mm->w), groups);
    mm->batch.lanes = 1;
    walk_unflatten(&mm->w, &mm->batch, m->nb, m->b, quot(e, number, each),
                   false);
    Val block = mm_block_rows(mm);
    mm->first = mul(e, rest(e, number, each), block);
    Val left = sub(e, walk_count(&mm->w, m->nm, m->m), mm->first);
    mm->rows = named(least(e, left, block), "rows");
    mm_block(mm, group, grain);
}

void emit_matmul(Emit *e, Plan *p, Kernel *k)
{
    Mm mm;
    mm_begin(&mm, e, p, k);
    task(&mm);
    kernel_end(&mm.w);
    kernel_begin_tasks(&mm.w);
    Val each, groups, blocks = blocks_of_all(&mm, &each);
    mm_grain(&mm, blocks, &groups);
    ret(e, mul(e, blocks, groups));
}
