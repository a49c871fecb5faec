/* The rows of a matmul's block, packed for its tiles: copied from memory, or
 * computed on the way by what a map kernel would do, with the same bits. */
#include "codegen/emit/map.h"
#include "codegen/emit/matmul.h"

Val mm_place(const Places *p, const Dim *d)
{
    for (int i = 0; i < p->n; i++)
        if (p->at[i].dim == d)
            return p->at[i].index;
    BUG("dim %s has no place in its matmul", d->name);
}

Val mm_flat(Walk *w, int n, const Dim *const *d, const Places *p)
{
    Emit *e = w->e;
    Val v = i64(e, 0);
    for (int i = 0; i < n; i++)
        v = add(e, mul(e, v, walk_size(w, d[i]->size)), mm_place(p, d[i]));
    return v;
}

Places mm_row_places(Mm *mm, Val r)
{
    Emit *e = mm->w.e;
    Places p = mm->batch;
    Val number = add(e, mm->first, r);
    if (mm->order) {
        Ty t = ty(e, TY_i32);
        Val from = load(e, t, at(e, t, mm->order, number));
        number = to_int(e, from, ty(e, TY_i64));
    }
    p.lanes = 1;
    walk_unflatten(&mm->w, &p, mm->m->nm, mm->m->m, number, false);
    return p;
}

/* ---- from memory ---- */

static void copy_rows(Mm *mm, const Buffer *x, Val stride, Val from, Val count)
{
    Emit *e = mm->w.e;
    if (mm->m->turned) {
        mm_turn_rows(mm, x, from, count);
        return;
    }
    const PartInfo *in = mm->info;
    const Type *t = &x->type;
    Val base = walk_base(&mm->w, x);
    Loop r = loop_begin(e, "row", i64(e, 0), mm->rows, 1);
    Places p = mm_row_places(mm, r.index);
    Val flat = mm_flat(&mm->w, t->rank - mm->m->nk, t->dim, &p);
    Val src = at(e, ty_mem(e, t->dtype), base,
                 add(e, mul(e, flat, stride), from));
    Val step, dst = block_row(e, &in->tile, mm->x, i64(e, in->chunks),
                              mm->rows, r.index, &step);
    Val args[] = {src, count, dst, step};
    call(e, block_pack_row(e, &in->tile, t->dtype), 4, args);
    loop_end(e, r);
}

/* ---- computed ---- */

/* A row on its way: columns go to chunks, `step` bytes from one to the next. */
typedef struct {
    Mm *mm;
    MapEmit map;
    Places at;
    Val dst, step;
    Dtype type; /* in the block */
    int chunk;
} Row;

/* Lanes of v from column `first` + `more` on; `first` begins a chunk. */
static void put(Row *r, Val v, Val first, int more)
{
    Emit *e = r->mm->w.e;
    int lanes = width_of(v), width = lanes < r->chunk ? lanes : r->chunk;
    Val chunk = quot(e, first, i64(e, r->chunk));
    for (int j = 0; j < lanes; j += width) {
        Val which = add(e, chunk, i64(e, (more + j) / r->chunk));
        Val to = at_bytes(e, r->dst, mul(e, which, r->step));
        to = at(e, ty_mem(e, r->type), to, i64(e, (more + j) % r->chunk));
        store_as(e, r->type, width < lanes ? part(e, v, j, width) : v, to,
                 NULL);
    }
}

/* The vector at column `first` + `more`, of which `there` lanes exist. */
static Val compute(Row *r, Val first, int more, int64_t there)
{
    Mm *mm = r->mm;
    Emit *e = mm->w.e;
    Ty t = vec(ty(e, TY_f32), e->lanes);
    if (there <= 0)
        return num(t, 0);
    Places p = r->at;
    p.lanes = e->lanes;
    p.mask = NULL;
    if (there < e->lanes)
        p.mask = mask_first(e, e->lanes, i64(e, there));
    Val column = add(e, first, i64(e, more));
    walk_unflatten(&mm->w, &p, mm->m->nk, mm->m->k, column, true);
    Val v = to_float(e, walk(&r->map.w, mm->m->x, &p), ty(e, TY_f32));
    v = splat(e, v, e->lanes / width_of(v));
    return p.mask ? pick(e, p.mask, v, num(t, 0)) : v;
}

/* A block of quantised x, which needs all of it at once. */
static void put_codes(Row *r, const Quant *q, Val first)
{
    Emit *e = r->mm->w.e;
    const Tile *t = &r->mm->info->tile;
    Val piece[32];
    int n = q->block / e->lanes;
    for (int i = 0; i < n; i++)
        piece[i] = compute(r, first, i * e->lanes, e->lanes);
    for (; n > 1; n /= 2)
        for (int i = 0; i < n / 2; i++)
            piece[i] = join(e, piece[2 * i], piece[2 * i + 1]);
    quant_pack_block(e, t, piece[0],
                     quant_x_block(e, t, r->dst, first, r->step));
}

static void compute_row(Row *r)
{
    Mm *mm = r->mm;
    Emit *e = mm->w.e;
    const Quant *q = tile_quant(mm->info->tile.kind);
    int unit = q ? q->block : e->lanes > r->chunk ? e->lanes : r->chunk;
    int64_t whole = mm->k / unit * unit;
    r->map.at = r->at;
    map_reduce(&r->map);
    Loop u = loop_begin(e, "column", i64(e, 0), i64(e, whole), unit);
    if (q) {
        put_codes(r, q, u.index);
        loop_end(e, u);
        return; /* K is whole blocks */
    }
    for (int j = 0; j < unit; j += e->lanes)
        put(r, compute(r, u.index, j, e->lanes), u.index, j);
    loop_end(e, u);
    for (int64_t j = whole; j < mm->info->chunks * r->chunk; j += e->lanes)
        put(r, compute(r, i64(e, whole), (int)(j - whole), mm->k - j),
            i64(e, whole), (int)(j - whole));
}

/* The first kind of tile that wants rows as this one does. */
static TileKind form_of(const Tile *t)
{
    return t->kind == TILE_wide || t->kind == TILE_half ? TILE_f32 : t->kind;
}

/* A function (arg, run, i64 batch, i64 first, i64 rows, x) of its
 * own: parts and variants of a kernel share it. */
static void rows_function(Mm *mm)
{
    Emit *e = mm->w.e;
    const PartInfo *in = mm->info;
    Mm own = *mm;
    Row r = {.mm = &own, .chunk = tile_chunk(&in->tile)};
    r.type = form_of(&in->tile) == TILE_f32 ? TYPE_f32 : TYPE_bf16;
    own.w.arg = param(e, 0, "arg");
    own.w.run = param(e, 1, "run");
    own.w.hole = NULL;
    own.first = param(e, 3, "first");
    own.batch = (Places){.lanes = 1};
    walk_unflatten(&own.w, &own.batch, own.m->nb, own.m->b,
                   param(e, 2, "batch"), false);
    map_begin(&r.map, &own.w, own.m->x);
    Val rows = param(e, 4, "rows"), x = param(e, 5, "x");
    Loop l = loop_begin(e, "row", i64(e, 0), rows, 1);
    r.at = mm_row_places(&own, l.index);
    r.dst = block_row(e, &in->tile, x, i64(e, in->chunks), rows, l.index,
                      &r.step);
    compute_row(&r);
    loop_end(e, l);
    ret(e, NULL);
}

static void compute_rows(Mm *mm)
{
    Emit *e = mm->w.e;
    Helper h;
    const Tile *t = &mm->info->tile;
    const char *name = intern_printf("%s_rows_%s_%d", mm->w.kernel->name,
                                     tile_name(form_of(t)), t->most);
    Ty p = ty_ptr(e), n = ty(e, TY_i64), types[] = {p, p, n, n, n, p};
    if (helper_begin(e, &h, name, 6, types)) {
        rows_function(mm);
        helper_end(e, &h);
    }
    Val batch = mm_flat(&mm->w, mm->m->nb, mm->m->b, &mm->batch);
    Val args[] = {mm->w.arg, mm->w.run, batch, mm->first, mm->rows, mm->x};
    call(e, h.fn, 6, args);
}

/* ---- which are there ---- */

/* Blocks follow each other in the task list: what a thread packed for one task
 * mostly serves the next. */
void mm_load_rows(Mm *mm)
{
    enum { MOST = 1024 };
    Emit *e = mm->w.e;
    const Buffer *x = kernel_leaf(mm->w.kernel, mm->m->x);
    const Tile *tile = &mm->info->tile;
    Ty t = ty(e, TY_i64);
    int64_t way = tile->most * TILE_KINDS + (int)form_of(tile);
    Val mark = mul(e, add(e, mm->number, i64(e, 1)), i64(e, MOST));
    mark = add(e, mark, i64(e, way));
    Val kept = kernel_mem(&mm->w);
    If stale = if_begin(e, differs(e, load(e, t, kept), mark));
    if (x)
        copy_rows(mm, x, i64(e, mm->k), i64(e, 0), i64(e, mm->k));
    else
        compute_rows(mm);
    store(e, mark, kept);
    if_end(e, stale);
}

void mm_load_cut(Mm *mm, Val count)
{
    const Buffer *x = kernel_leaf(mm->w.kernel, mm->m->x);
    if (!x)
        BUG("%s: rows of a cut are not in memory", mm->w.kernel->name);
    copy_rows(mm, x, mm->k_all, mm->from, count);
}
