/* Every kernel's schedule, before anything is emitted: what the target likes.
 * Emitters read nothing else, and no choice changes a bit of a result. */
#include "codegen/emit/attend.h"
#include <limits.h>

enum {
    BLOCK_BYTES = 1150 << 10, /* of packed rows: the second cache's size */
    PANEL_BYTES = 384 << 10,  /* beyond that K is cut, for the same reason */
    SMALL_PANEL = 80 << 10,
    TASKS = 10,
    TASK_BYTES = 192 << 10, /* of weights, by two threads: with a single token
                             * taking a smaller task costs more than it evens */
    TASK_ROWS = 48, /* of attention */
    MIN_TASKS = 2,
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
    int tokens, vectors, ahead, block;
} Matter;

/* Elements of K at a time where a panel is too large for the cache; else 0. */
static int64_t depth_of(int64_t k, const Tile *t, int64_t bytes)
{
    int64_t cuts = 1 + bytes / PANEL_BYTES, chunk = 4 * tile_chunk(t);
    return cuts > 1 ? ((k + cuts - 1) / cuts + chunk - 1) / chunk * chunk : 0;
}

/* Fewer rows are better balanced where panels are small; more pay where a panel
 * comes from memory again for each block, or AMX would wait for it. */
static int rows_of(const Tile *t, int64_t bytes)
{
    if (t->kind == TILE_amx)
        return 192;
    return bytes > SMALL_PANEL ? 96 : 48;
}

static void weigh(Matter *m, const Tile *t)
{
    int64_t k = (matmul_k(&m->k->matmul) + TILE_K - 1) / TILE_K * TILE_K;
    int64_t chunks = k / tile_chunk(t), bytes = chunks * tile_w_bytes(m->e, t);
    int64_t depth = depth_of(k, t, bytes), row = chunks * tile_chunk_bytes(t);
    m->row = row > m->row ? row : m->row;
    m->tokens = t->most > m->tokens ? t->most : m->tokens;
    m->vectors = t->vectors > m->vectors ? t->vectors : m->vectors;
    m->ahead = t->ahead > m->ahead ? t->ahead : m->ahead;
    if (depth && (!m->depth || depth < m->depth))
        m->depth = depth;
    int block = rows_of(t, bytes);
    m->block = block > m->block ? block : m->block;
}

static int single_tasks(const Matmul *m)
{
    int64_t bytes = 0;
    for (int i = 0; i < m->nparts; i++)
        bytes += panels_bytes(&m->part[i].w->pack, 256); /* T, if it matters */
    int64_t tasks = m->expert ? TASKS : bytes / TASK_BYTES;
    return tasks < 1 ? 1 : tasks < TASKS ? (int)tasks : TASKS;
}

static int64_t head_of(const Pack *p)
{
    return size_at(p->n[p->nn - 1]->size, 1);
}

static void choose_matmul(const Emit *e, Kernel *k)
{
    Schedule *s = &k->schedule;
    Matter m = {.e = e, .k = k};
    set_one(&s->vectors, 2);
    for (int i = 0; i < k->matmul.nparts; i++) {
        Pack *p = &k->matmul.part[i].w->pack;
        int each = s->vectors / p->parts > 1 ? s->vectors / p->parts : 1;
        if (p->halves) /* as many from each, in whole heads */
            each = each == 4 && head_of(p) % (4 * e->lanes) == 0 ? 4 : 2;
        p->cols = e->lanes * each;
        TileKind kind = matmul_kind(e->target, &k->matmul, p);
        Tile t = tile_choose(e, kind, each * p->parts, s->tokens);
        weigh(&m, &t);
    }
    while (m.block > 48 && m.block * m.row > BLOCK_BYTES)
        m.block /= 2;
    s->tokens = m.tokens; /* what there are registers for */
    if (k->matmul.nparts == 1) /* of several each has gone by it its own way */
        s->vectors = m.vectors;
    set_one(&s->depth, m.depth);
    set_one(&s->ahead, m.ahead);
    set_all(s->block, m.block);
    set_one(&s->tasks[0], single_tasks(&k->matmul));
    set_all(s->tasks, TASKS);
}

/* ---- attention ---- */

/* With a single token heads are split where there would be one task: each part
 * reads the keys again. */
static void choose_attend(const Target *t, Kernel *k)
{
    Schedule *s = &k->schedule;
    CacheShape c = cache_shape(t, &k->attend.q->type, &k->attend.k->type,
                               &k->attend.v->type);
    int64_t cuts = (MIN_TASKS + c.G - 1) / c.G;
    set_one(&s->heads[0], (c.group + cuts - 1) / cuts);
    set_all(s->heads, (int)c.group);
    set_all(s->block, TASK_ROWS);
}

/* ---- all ---- */

void schedule_choose(Kernel *k, const Target *t)
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

typedef struct {
    const Target *t;
    const Pins *pinned, *found;
    Err *err;
} Chooser;

/* Rows that fit the roomiest of the kernel's tiles. */
static int most_tokens(const Chooser *c, const Kernel *k)
{
    const Emit e = {.target = c->t, .lanes = c->t->width / 4};
    int most = 0;
    for (int i = 0; i < k->matmul.nparts; i++) {
        const Pack *p = &k->matmul.part[i].w->pack;
        TileKind kind = matmul_kind(c->t, &k->matmul, p);
        int vectors = p->cols * p->parts / e.lanes;
        int room = tile_room(&e, kind, vectors);
        most = room > most ? room : most;
        room = tile_quant(kind) ? tile_room(&e, TILE_f32, vectors) : 0;
        most = room > most ? room : most;
    }
    return most;
}

static bool tokens_fit(const Chooser *c, const Kernel *k,
                       const KernelKey *key, int tokens)
{
    bool tiles = k->skeleton == SKEL_matmul || k->skeleton == SKEL_grouped;
    int most = tiles ? most_tokens(c, k) : INT_MAX, line, col;
    const char *where = k->name;
    const Source *src;
    Loc loc;
    if (tokens <= most)
        return true;
    if (c->pinned && pins_place(c->pinned, key, "tokens", &src, &loc)) {
        loc_place(src, loc.at, &line, &col);
        where = intern_printf("%s:%d:%d", src->path, line, col);
    }
    return err_set(c->err,
                   "%s: a tile of %d rows by %d vectors needs more registers "
                   "than this machine has: at most %d rows",
                   where, tokens, k->schedule.vectors, most);
}

static bool choose(const Chooser *c, Kernel *k)
{
    KernelKey key;
    if (!kernel_key(k, &key))
        return true;
    if (c->pinned) {
        Schedule pinned = pins_for(c->pinned, &key, false);
        schedule_fill(&k->schedule, &pinned);
    }
    int tokens = k->schedule.tokens;
    if (c->found) {
        Schedule found = pins_for(c->found, &key, true);
        schedule_fill(&k->schedule, &found);
    }
    schedule_choose(k, c->t);
    return tokens_fit(c, k, &key, tokens);
}

static bool choose_all(const Chooser *c, Plan *p)
{
    for (int i = 0; i < p->body.n; i++)
        if (!choose_all(c, p->body.at[i]))
            return false;
    for (int i = 0; i < p->kernel.n; i++)
        if (!choose(c, p->kernel.at[i]))
            return false;
    return true;
}

bool schedules_choose(Plan *p, const Target *t, const Pins *pinned,
                      const Pins *found, Err *err)
{
    const Chooser c = {t, pinned, found, err};
    return choose_all(&c, p);
}
