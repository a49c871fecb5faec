/* Skeleton route: the map that picks an index, if it is this kernel's; then the
 * index's elements sorted by expert, by counting: i32 offset[E + 1], then
 * order[count], ascending within an expert. One task. */
#include "codegen/emit/map.h"

typedef struct {
    Emit *e;
    Val index, offset, order, E, count;
} Route;

static Val slot(Route *r, Val base, Val i)
{
    return at(r->e, ty(r->e, TY_i32), base, i);
}

static Val expert_of(Route *r, Val i)
{
    Emit *e = r->e;
    Val x = load(e, ty(e, TY_i32), slot(r, r->index, i));
    return to_int(e, x, ty(e, TY_i64));
}

/* offset[e + 1] counts e's elements, then becomes where e begins. */
static void count_experts(Route *r)
{
    Emit *e = r->e;
    Ty t = ty(e, TY_i32);
    Loop zero = loop_begin(e, "zero", i64(e, 0), add(e, r->E, i64(e, 1)), 1);
    store(e, i32(e, 0), slot(r, r->offset, zero.index));
    loop_end(e, zero);
    Loop l = loop_begin(e, "element", i64(e, 0), r->count, 1);
    Val p = slot(r, r->offset, add(e, expert_of(r, l.index), i64(e, 1)));
    store(e, add(e, load(e, t, p), i32(e, 1)), p);
    loop_end(e, l);
    Val sum = var(e, t, "sum");
    set(e, sum, i32(e, 0));
    Loop s = loop_begin(e, "expert", i64(e, 0), r->E, 1);
    p = slot(r, r->offset, add(e, s.index, i64(e, 1)));
    Val n = load(e, t, p);
    store(e, get(e, sum), p);
    set(e, sum, add(e, get(e, sum), n));
    loop_end(e, s);
}

/* Each element goes to its expert's next place; offset[e + 1] ends where e
 * ends, as wanted. */
static void place_elements(Route *r)
{
    Emit *e = r->e;
    Ty t = ty(e, TY_i32);
    Loop l = loop_begin(e, "element", i64(e, 0), r->count, 1);
    Val p = slot(r, r->offset, add(e, expert_of(r, l.index), i64(e, 1)));
    Val to = load(e, t, p);
    store(e, to_int(e, l.index, t),
          slot(r, r->order, to_int(e, to, ty(e, TY_i64))));
    store(e, add(e, to, i32(e, 1)), p);
    loop_end(e, l);
}

static const Buffer *index_of(const Kernel *k)
{
    for (int i = 0; i < kernel_results(k); i++)
        if (k->out[i]->node == k->index)
            return k->out[i];
    return kernel_leaf(k, k->index);
}

void emit_route(Emit *e, Plan *plan, Kernel *k)
{
    Walk w;
    int results = kernel_results(k);
    const Buffer *index = index_of(k), *route = k->out[results];
    kernel_begin(&w, e, plan, k);
    if (results)
        map_all_rows(&w);
    Route r = {.e = e, .index = walk_base(&w, index),
               .offset = walk_base(&w, route),
               .E = walk_size(&w, route->type.index_of->size),
               .count = walk_count(&w, index->type.rank, index->type.dim)};
    r.order = slot(&r, r.offset, add(e, r.E, i64(e, 1)));
    count_experts(&r);
    place_elements(&r);
    kernel_end(&w);
    kernel_begin_tasks(&w);
    ret(e, i64(e, 1));
}
