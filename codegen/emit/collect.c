/* Skeleton collect: the gradient of a gathered weight, [E, M, N]: of the
 * index's elements that pick expert e the sum of a's row by b's. A task is some
 * rows and columns of one expert: it looks through the index for its elements
 * and takes them a part at a time, in order: a's rows turned to rows of tiles,
 * b's as panels. An expert that nothing picks gets 0. */
#include "codegen/emit/matmul.h"

enum {
    ROWS = 96,   /* of a task */
    PART = 256,  /* elements taken at a time */
    COLUMNS = 6, /* panels of a task, at most; of two vectors */
    UNITS = CHUNK / 4
};

/* a or b: [dims of the index.., its own dims..] */
typedef struct {
    const Buffer *b;
    int nindex; /* dims of the index, which come first */
    int64_t width;
} Side;

typedef struct {
    Walk w;
    Side a, b;
    const Buffer *index;
    Tile tile;
    int cols;
    int64_t panels, groups, blocks; /* of N; of a task's; of M */
    Val expert, row0, rows, panel0, count; /* of the task */
    Val list, x, panel, c; /* memory: elements, packed rows, panels, sums */
    Val n;                 /* elements in the list: a variable */
} Collect;

static Side side_of(const Kernel *k, const Node *n, int arg)
{
    const Type *index = &n->arg[2]->type;
    Side s = {.b = kernel_leaf(k, n->arg[arg]), .width = 1};
    for (int i = 0; i < s.b->type.rank; i++)
        if (type_dim(index, s.b->type.dim[i]) >= 0)
            s.nindex++;
        else
            s.width *= size_at(s.b->type.dim[i]->size, 1);
    return s;
}

static int64_t height(const Collect *c)
{
    return (ROWS + c->tile.most - 1) / c->tile.most * c->tile.most;
}

static void begin(Collect *c, Emit *e, Kernel *k)
{
    const Node *n = k->node;
    c->a = side_of(k, n, 0);
    c->b = side_of(k, n, 1);
    c->index = kernel_leaf(k, n->arg[2]);
    c->tile = tile_choose(e, TILE_f32, 2, 0);
    c->cols = 2 * e->lanes;
    c->panels = (c->b.width + c->cols - 1) / c->cols;
    c->groups = (c->panels + COLUMNS - 1) / COLUMNS;
    c->blocks = (c->a.width + ROWS - 1) / ROWS;
}

static void lay_out(Collect *c, Kernel *k, Val mem)
{
    Emit *e = c->w.e;
    int64_t list = PART * 8, x = height(c) * PART * 4,
            panel = (int64_t)COLUMNS * c->cols * PART * 4,
            sums = (int64_t)COLUMNS * c->cols * height(c) * 4;
    c->list = mem;
    c->x = at_bytes(e, mem, i64(e, list));
    c->panel = at_bytes(e, c->x, i64(e, x));
    c->c = at_bytes(e, c->panel, i64(e, panel));
    k->scratch = list + x + panel + sums;
}

/* ---- a part: elements to rows ---- */

/* The row of a side that an element of the index has. */
static Val row_of(Collect *c, const Side *s, Val element)
{
    Emit *e = c->w.e;
    const Type *index = &c->index->type;
    Places p = {.lanes = 1};
    walk_unflatten(&c->w, &p, index->rank, index->dim, element, false);
    Val row = mm_flat(&c->w, s->nindex, s->b->type.dim, &p);
    return at(e, ty_mem(e, s->b->type.dtype), walk_base(&c->w, s->b),
              mul(e, row, i64(e, s->width)));
}

static Val listed(Collect *c, Val i)
{
    Emit *e = c->w.e;
    return load(e, ty(e, TY_i64), at(e, ty(e, TY_i64), c->list, i));
}

static Val elements(Collect *c, const Side *s, Val row, Val first, int n,
                    Val left)
{
    Emit *e = c->w.e;
    Dtype t = s->b->type.dtype;
    Val mask = left ? mask_first(e, n, left) : NULL;
    return to_float(e, load_as(e, t, n, at(e, ty_mem(e, t), row, first), mask),
                    ty(e, TY_f32));
}

/* Rows r .. of the block, a chunk of the part's elements. */
static void turn_rows(Collect *c, Val chunk, Val *row, Val *there, Val r,
                      bool whole)
{
    Emit *e = c->w.e;
    Val x[UNITS], left = whole ? NULL : sub(e, c->rows, r);
    for (int i = 0; i < UNITS; i++) {
        x[i] = elements(c, &c->a, row[i], add(e, c->row0, r), UNITS, left);
        x[i] = pick(e, there[i], x[i], like(x[i], 0));
    }
    tile_turn(e, UNITS, x);
    for (int i = 0; i < UNITS; i++) {
        Val to = add(e, r, i64(e, i));
        If in = {0};
        if (!whole)
            in = if_begin(e, less(e, to, c->rows));
        Val step, dst = block_row(e, &c->tile, c->x, i64(e, PART / UNITS),
                                  c->rows, to, &step);
        store(e, x[i], at_bytes(e, dst, mul(e, chunk, step)));
        if (!whole)
            if_end(e, in);
    }
}

static void take_rows(Collect *c, Val n, Val chunks)
{
    Emit *e = c->w.e;
    Val last = sub(e, n, i64(e, 1)), row[UNITS], there[UNITS];
    Val whole = sub(e, c->rows, rest(e, c->rows, i64(e, UNITS)));
    Loop k = loop_begin(e, "chunk", i64(e, 0), chunks, 1);
    for (int i = 0; i < UNITS; i++) {
        Val at_i = add(e, mul(e, k.index, i64(e, UNITS)), i64(e, i));
        there[i] = less_eq(e, at_i, last);
        row[i] = row_of(c, &c->a, listed(c, least(e, at_i, last)));
    }
    Loop r = loop_begin(e, "rows", i64(e, 0), whole, UNITS);
    turn_rows(c, k.index, row, there, r.index, true);
    loop_end(e, r);
    If some = if_begin(e, less(e, whole, c->rows));
    turn_rows(c, k.index, row, there, whole, false);
    if_end(e, some);
    loop_end(e, k);
}

/* ---- its columns ---- */

static Val panel_at(Collect *c, Val memory, Val p, int64_t rows)
{
    Emit *e = c->w.e;
    return at(e, ty(e, TY_f32), memory, mul(e, p, i64(e, rows * c->cols)));
}

/* Element k's columns of all the task's panels; NULL: zeros. */
static void pack_columns(Collect *c, Val k, Val row)
{
    Emit *e = c->w.e;
    Val zero = num(vec(ty(e, TY_f32), e->lanes), 0);
    Loop p = loop_begin(e, "panel", i64(e, 0), c->count, 1);
    Val to = at(e, ty(e, TY_f32), panel_at(c, c->panel, p.index, PART),
                mul(e, k, i64(e, c->cols)));
    for (int v = 0; v < c->cols; v += e->lanes) {
        Val first = mul(e, add(e, c->panel0, p.index), i64(e, c->cols));
        first = add(e, first, i64(e, v));
        Val left = c->b.width % c->cols
                       ? sub(e, i64(e, c->b.width), first) : NULL;
        store(e, row ? elements(c, &c->b, row, first, e->lanes, left) : zero,
              at(e, ty(e, TY_f32), to, i64(e, v)));
    }
    loop_end(e, p);
}

static void take_columns(Collect *c, Val n, Val chunks)
{
    Emit *e = c->w.e;
    Loop k = loop_begin(e, "element", i64(e, 0), n, 1);
    pack_columns(c, k.index, row_of(c, &c->b, listed(c, k.index)));
    loop_end(e, k);
    Loop z = loop_begin(e, "zero", n, mul(e, chunks, i64(e, UNITS)), 1);
    pack_columns(c, z.index, NULL);
    loop_end(e, z);
}

static void take_part(Collect *c)
{
    Emit *e = c->w.e;
    Val n = get(e, c->n), all = i64(e, PART / UNITS);
    Val chunks = quot(e, add(e, n, i64(e, UNITS - 1)), i64(e, UNITS));
    take_rows(c, n, chunks);
    take_columns(c, n, chunks);
    Loop p = loop_begin(e, "panel", i64(e, 0), c->count, 1);
    Val args[] = {c->x, panel_at(c, c->panel, p.index, PART), all, c->rows,
                  panel_at(c, c->c, p.index, height(c)), i64(e, 0), chunks};
    call(e, block_function(e, &c->tile), 7, args);
    loop_end(e, p);
    set(e, c->n, i64(e, 0));
}

/* ---- a task ---- */

/* All elements of the index; a part of the expert's whenever the list is full,
 * and what is left behind the last. */
static void go_through(Collect *c)
{
    Emit *e = c->w.e;
    const Type *t = &c->index->type;
    Ty i = ty(e, TY_i32);
    Val count = walk_count(&c->w, t->rank, t->dim);
    c->n = var(e, ty(e, TY_i64), "n");
    set(e, c->n, i64(e, 0));
    Loop l = loop_begin(e, "index", i64(e, 0), add(e, count, i64(e, 1)), 1);
    Val in = less(e, l.index, count);
    Val safe = pick(e, in, l.index, sub(e, count, i64(e, 1)));
    Val is = load(e, i, at(e, i, walk_base(&c->w, c->index), safe));
    Val hit = bit_and(e, in, same(e, to_int(e, is, ty(e, TY_i64)), c->expert));
    Val n = get(e, c->n);
    store(e, l.index, at(e, ty(e, TY_i64), c->list, n));
    n = add(e, n, to_int(e, hit, ty(e, TY_i64)));
    set(e, c->n, n);
    Val full = bit_or(e, same(e, n, i64(e, PART)), flip(e, in));
    If take = if_begin(e, bit_and(e, full, less(e, i64(e, 0), n)));
    take_part(c);
    if_end(e, take);
    loop_end(e, l);
}

static void write_sums(Collect *c)
{
    Emit *e = c->w.e;
    const Buffer *out = c->w.kernel->out[0];
    Dtype t = out->type.dtype;
    Loop p = loop_begin(e, "panel", i64(e, 0), c->count, 1);
    Loop r = loop_begin(e, "row", i64(e, 0), c->rows, 1);
    Val row = add(e, mul(e, c->expert, i64(e, c->a.width)),
                  add(e, c->row0, r.index));
    for (int v = 0; v < c->cols; v += e->lanes) {
        Val first = mul(e, add(e, c->panel0, p.index), i64(e, c->cols));
        first = add(e, first, i64(e, v));
        Val mask = c->b.width % c->cols
                       ? mask_first(e, e->lanes,
                                    sub(e, i64(e, c->b.width), first)) : NULL;
        Val from = panel_at(c, c->c, p.index, height(c));
        from = at(e, ty(e, TY_f32), from,
                  add(e, mul(e, r.index, i64(e, c->cols)), i64(e, v)));
        Val to = add(e, mul(e, row, i64(e, c->b.width)), first);
        store_as(e, t, load(e, vec(ty(e, TY_f32), e->lanes), from),
                 at(e, ty_mem(e, t), walk_base(&c->w, out), to), mask);
    }
    loop_end(e, r);
    loop_end(e, p);
}

static void task(Collect *c)
{
    Emit *e = c->w.e;
    Val n = kernel_task(&c->w), groups = i64(e, c->groups);
    Val group = rest(e, n, groups);
    n = quot(e, n, groups);
    c->expert = quot(e, n, i64(e, c->blocks));
    c->row0 = mul(e, rest(e, n, i64(e, c->blocks)), i64(e, ROWS));
    c->rows = least(e, i64(e, ROWS), sub(e, i64(e, c->a.width), c->row0));
    c->panel0 = mul(e, group, i64(e, COLUMNS));
    c->count = least(e, i64(e, COLUMNS), sub(e, i64(e, c->panels), c->panel0));
    int64_t bytes = (int64_t)COLUMNS * c->cols * height(c) * 4;
    LLVMBuildMemSet(e->at, c->c, LLVMConstNull(ty(e, TY_i8)), i64(e, bytes),
                    64);
    go_through(c);
    write_sums(c);
}

void emit_collect(Emit *e, Plan *plan, Kernel *k)
{
    Collect c = {.cols = 0};
    kernel_begin(&c.w, e, plan, k);
    begin(&c, e, k);
    lay_out(&c, k, kernel_mem(&c.w));
    task(&c);
    kernel_end(&c.w);
    kernel_begin_tasks(&c.w);
    Val experts = walk_size(&c.w, k->node->dim[0]->size);
    ret(e, mul(e, experts, i64(e, c.blocks * c.groups)));
}
