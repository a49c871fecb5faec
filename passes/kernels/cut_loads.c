/* The cut: a map whose rows one matmul alone reads goes into that matmul, which
 * computes them as it loads them. Nothing is computed twice by it but what
 * threads that share a block of rows each do. */
#include "passes/kernels/cut.h"
#include <string.h>

static Group *whole(Group *g)
{
    while (g->into)
        g = g->into;
    return g;
}

static bool is_row(const Contract *k, const Dim *d)
{
    bool in = false;
    for (int i = 0; i < k->nm; i++)
        in |= k->m[i] == d;
    for (int i = 0; i < k->pack.nb; i++)
        in |= k->pack.b[i] == d;
    return in;
}

/* Its rows are the matmul's, or it has no reductions. */
static bool same_rows(const Group *map, const Contract *k)
{
    if (map->rows_set && map->nrow != k->nm + k->pack.nb)
        return false;
    for (int i = 0; map->rows_set && i < map->nrow; i++)
        if (!is_row(k, map->row[i]))
            return false;
    return true;
}

static bool read_by_others(Cut *c, Group *g, const Node *x)
{
    const Info *info = &c->info[x->id];
    for (int i = 0; i < info->use.n; i++)
        if (whole(info->use.at[i].group) != g)
            return true;
    return false;
}

/* What a tree down to what is in memory holds. */
typedef struct {
    Cut *c;
    const Group *g; /* whose outs and holes these are; NULL: only n's */
    const Node *x;
    bool *seen;
    bool has_x, heavy;
} Look;

static void look(Look *l, const Node *n, bool root)
{
    const Info *info = &l->c->info[n->id];
    l->has_x |= n == l->x && !root;
    if (l->seen[n->id] || node_kind(n) == NODE_leaf || (info->home && !root))
        return;
    l->seen[n->id] = true;
    l->heavy |= n->op == OP_topk || n->op == OP_contract;
    for (int i = 0; l->g && i < l->g->nholes; i++)
        if (l->g->hole[i] == n)
            return;
    for (int i = 0; i < node_args(n); i++)
        look(l, n->arg[i], false);
}

static bool used_behind(Cut *c, const Group *g, const Node *x)
{
    Look l = {.c = c, .g = g, .x = x};
    l.seen = arena_alloc(c->arena, (size_t)c->g->node.n);
    for (int i = 0; i < g->out.n; i++)
        look(&l, g->out.at[i], true);
    for (int i = 0; i < g->part.n; i++)
        l.has_x |= used_behind(c, g->part.at[i], x);
    return l.has_x;
}

static double columns(const Group *g)
{
    double n = 0, size;
    for (int i = 0; i < g->nholes; i++) {
        Contract k;
        double own = 1;
        contract_read(g->hole[i], &k);
        for (int j = 0; j < k.pack.nn; j++)
            own *= size_is_num(k.pack.n[j]->size, &size) ? size : 1;
        n += own;
    }
    for (int i = 0; i < g->part.n; i++)
        n += columns(g->part.at[i]);
    return n;
}

/* An operation on each element of x must be little beside all its products. */
static bool may_load(Cut *c, Group *g, const Contract *k)
{
    const Info *info = &c->info[k->x->id];
    const Group *map = info->home;
    Look l = {.c = c, .seen = arena_alloc(c->arena, (size_t)c->g->node.n)};
    double size;
    for (int i = 0; i < k->pack.nk; i++)
        if (!size_is_num(k->pack.k[i]->size, &size))
            return false; /* its rows are taken a part at a time */
    if (k->turned || !map || map->skeleton != SKEL_map || map->nholes ||
        map->out.n != 1 || cut_is_output(c, k->x) || !same_rows(map, k) ||
        !extents_join(map, g) || read_by_others(c, g, k->x) ||
        used_behind(c, g, k->x))
        return false;
    look(&l, k->x, true);
    return !l.heavy && info->cost % 1000 <= columns(g);
}

/* All that the map computes or reads is the matmul's. */
static void move(Cut *c, Group *from, Group *to, Node *x)
{
    from->out.n = 0;
    extent_join(from, to);
    c->info[x->id].home = NULL;
    for (int i = 0; i < c->g->node.n; i++)
        for (int j = 0; j < c->info[i].use.n; j++)
            if (c->info[i].use.at[j].group == from)
                c->info[i].use.at[j].group = to;
}

void cut_loads(Cut *c)
{
    for (int i = 0; i < c->group.n; i++) {
        Group *g = c->group.at[i];
        Contract k;
        if (g->into || !g->nholes || g->skeleton != SKEL_matmul)
            continue;
        contract_read(g->hole[0], &k);
        if (may_load(c, g, &k))
            move(c, c->info[k.x->id].home, g, k.x);
    }
}
