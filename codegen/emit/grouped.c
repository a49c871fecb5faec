/* Grouped matmuls: each row's weight is the one its index picks. Blocks hold
 * rows of one expert, found through the route buffer; the tasks of all experts
 * are one list, so a crowded expert is just more tasks. */
#include "codegen/emit/matmul.h"

static Val offset_of(Mm *mm, Val route, Val expert)
{
    Emit *e = mm->w.e;
    Ty t = ty(e, TY_i32);
    return to_int(e, load(e, t, at(e, t, route, expert)), ty(e, TY_i64));
}

/* Rows of an expert; *first: where they begin in the order. */
static Val rows_of(Mm *mm, Val route, Val expert, Val *first)
{
    Emit *e = mm->w.e;
    *first = offset_of(mm, route, expert);
    Val end = offset_of(mm, route, add(e, expert, i64(e, 1)));
    return sub(e, end, *first);
}

static Val experts(Mm *mm)
{
    return walk_size(&mm->w, mm->m->expert->size);
}

static Val count_blocks(Mm *mm, Val route)
{
    Emit *e = mm->w.e;
    Val sum = var(e, ty(e, TY_i64), "blocks"), first;
    set(e, sum, i64(e, 0));
    Loop i = loop_begin(e, "expert", i64(e, 0), experts(mm), 1);
    Val rows = rows_of(mm, route, i.index, &first);
    set(e, sum, add(e, get(e, sum), mm_blocks_of(mm, rows)));
    loop_end(e, i);
    return get(e, sum);
}

/* Expert and first row of block `number`, counted over all experts. */
static void find_block(Mm *mm, Val route, Val number)
{
    Emit *e = mm->w.e;
    Ty t = ty(e, TY_i64);
    Val left = var(e, t, "left"), expert = var(e, t, "expert"), first;
    Val block = var(e, t, "block");
    set(e, left, number);
    set(e, expert, i64(e, 0));
    set(e, block, i64(e, 0));
    Loop i = loop_begin(e, "expert", i64(e, 0), experts(mm), 1);
    Val n = mm_blocks_of(mm, rows_of(mm, route, i.index, &first));
    Val now = get(e, left);
    Val hit = bit_and(e, less_eq(e, i64(e, 0), now), less(e, now, n));
    set(e, expert, pick(e, hit, i.index, get(e, expert)));
    set(e, block, pick(e, hit, now, get(e, block)));
    set(e, left, sub(e, now, n));
    loop_end(e, i);
    Val rows = rows_of(mm, route, get(e, expert), &first);
    Val skip = mul(e, get(e, block), mm_block_rows(mm));
    mm->first = add(e, first, skip);
    mm->rows = least(e, sub(e, rows, skip), mm_block_rows(mm));
    places_set(&mm->batch, mm->m->expert, get(e, expert), false);
}

void emit_grouped(Emit *e, Plan *p, Kernel *k)
{
    Mm mm;
    mm_begin(&mm, e, p, k);
    if (mm.m->nb)
        BUG("%s: a grouped matmul with dims matched up", k->name);
    Val groups, route = walk_base(&mm.w, mm.m->route);
    Val grain = mm_grain(&mm, count_blocks(&mm, route), &groups);
    mm.batch.lanes = 1;
    mm.order = at(e, ty(e, TY_i32), route, add(e, experts(&mm), i64(e, 1)));
    mm.number = quot(e, kernel_task(&mm.w), groups);
    find_block(&mm, route, mm.number);
    mm_block(&mm, rest(e, kernel_task(&mm.w), groups), grain);
    kernel_end(&mm.w);
    kernel_begin_tasks(&mm.w);
    Val blocks = count_blocks(&mm, walk_base(&mm.w, mm.m->route));
    mm_grain(&mm, blocks, &groups);
    ret(e, mul(e, blocks, groups));
}
