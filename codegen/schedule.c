/* Every kernel's schedule, before anything is emitted: what the target likes.
 * Emitters read nothing else, and no choice changes a bit of a result. */
#include "codegen/attend.h"

enum {
    BLOCK_BYTES = 1150 << 10, /* of packed rows: the second cache's size */
    PANEL_BYTES = 384 << 10,  /* beyond that K is cut, for the same reason */
    SMALL_PANEL = 80 << 10,
    TASKS = 10,
    TASK_ROWS = 48, /* of attention */
    MIN_TASKS = 4,
};

static void set_all(int at[BUCKETS], int value)
{
    for (int i = 0; i < BUCKETS; i++)
        if (!at[i])
            at[i] = value;
}

static void set_one(int *at, int64_t value)
{
    if (!*at)
        *at = (int)value;
}

/* ---- matmuls ---- */

/* What the choices of a kernel are made by, over all its parts. */
typedef struct {
    const Emit *e;
    const Kernel *k;
    int64_t row, depth; /* bytes of a packed row; elements of K, or 0 */
    int tokens, ahead, block;
} Matter;

/* Elements of K at a time where a panel is too large for the cache; else 0. */
static int64_t depth_of(int64_t k, const Tile *t, int64_t bytes)
{
    int64_t cuts = 1 + bytes / PANEL_BYTES, chunk = 4 * tile_chunk(t);
    return cuts > 1 ? ((k + cuts - 1) / cuts + chunk - 1) / chunk * chunk : 0;
}

/* Fewer rows are better balanced where panels are small; more pay where a panel
 * is widened first, comes from memory again for each block, or AMX would wait
 * for it. */
static int rows_of(const Tile *t, int64_t bytes)
{
    if (t->kind == TILE_amx)
        return 192;
    return tile_quant(t->kind) || bytes > SMALL_PANEL ? 96 : 48;
}

static void weigh(Matter *m, const Tile *t)
{
    int64_t k = (matmul_k(&m->k->matmul) + TILE_K - 1) / TILE_K * TILE_K;
    int64_t chunks = k / tile_chunk(t), bytes = chunks * tile_w_bytes(m->e, t);
    int64_t depth = depth_of(k, t, bytes), row = chunks * tile_chunk_bytes(t);
    m->row = row > m->row ? row : m->row;
    m->tokens = t->most > m->tokens ? t->most : m->tokens;
    m->ahead = t->ahead > m->ahead ? t->ahead : m->ahead;
    if (depth && (!m->depth || depth < m->depth))
        m->depth = depth;
    int block = rows_of(t, bytes);
    m->block = block > m->block ? block : m->block;
}

static void choose_matmul(const Emit *e, Kernel *k)
{
    Schedule *s = &k->schedule;
    Matter m = {.e = e, .k = k};
    set_one(&s->vectors, 2);
    for (int i = 0; i < k->matmul.nparts; i++) {
        Pack *p = &k->matmul.part[i].w->pack;
        int each = s->vectors / p->parts > 1 ? s->vectors / p->parts : 1;
        p->cols = e->lanes * each;
        TileKind kind = matmul_kind(e->target, &k->matmul, p);
        Tile t = tile_choose(e, kind, each * p->parts, s->tokens);
        weigh(&m, &t);
        if (!tile_quant(kind))
            continue;
        t = tile_choose(e, TILE_f32, t.vectors, s->tokens);
        weigh(&m, &t);
    }
    while (m.block > 48 && m.block * m.row > BLOCK_BYTES)
        m.block /= 2;
    set_one(&s->tokens, m.tokens);
    set_one(&s->depth, m.depth);
    set_one(&s->ahead, m.ahead);
    set_all(s->block, m.block);
    set_all(s->tasks, TASKS);
}

/* ---- attention ---- */

/* With a single token heads are split, so that no thread stands idle. */
static void choose_attend(const Target *t, Kernel *k)
{
    Schedule *s = &k->schedule;
    CacheShape c = cache_shape(t, &k->attend.q->type, &k->attend.k->type);
    int64_t cuts = (MIN_TASKS + c.G - 1) / c.G;
    set_one(&s->heads[0], (c.group + cuts - 1) / cuts);
    set_all(s->heads, (int)c.group);
    set_all(s->block, TASK_ROWS);
}

/* ---- all ---- */

static void choose(Kernel *k, const Target *t)
{
    const Emit sizes = {.target = t, .lanes = t->width / 4};
    switch (k->skeleton) {
    case SKEL_matmul:
    case SKEL_grouped: choose_matmul(&sizes, k); break;
    case SKEL_attend: choose_attend(t, k); break;
    case SKEL_map: set_one(&k->schedule.grain, map_grain(k)); break;
    default: break;
    }
}

void schedules_choose(Plan *p, const Target *t)
{
    for (int i = 0; i < p->body.n; i++)
        schedules_choose(p->body.at[i], t);
    for (int i = 0; i < p->kernel.n; i++)
        choose(p->kernel.at[i], t);
}
