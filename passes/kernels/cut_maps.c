/* The cut: map kernels of the same rows become one, where what lies between
 * them allows it: a router's softmax, topk and weights are a single kernel. */
#include "passes/kernels/cut.h"
#include <string.h>

/* A row's values beyond its own dims must be few for a kernel that has no
 * reduction to join one that has. */
enum { SMALL_ROW = 256 };

static bool in_rows(const Group *g, const Dim *d)
{
    for (int i = 0; i < g->nrow; i++)
        if (g->row[i] == d)
            return true;
    return false;
}

/* Has t all of g's rows, and else little? */
static bool small_beyond(const Group *g, const Type *t)
{
    double size, beyond = 1;
    int rows = 0;
    for (int i = 0; i < t->rank; i++) {
        if (in_rows(g, t->dim[i]))
            rows++;
        else if (size_is_num(t->dim[i]->size, &size))
            beyond *= size;
        else
            return false;
    }
    return rows == g->nrow && beyond <= SMALL_ROW;
}

static bool rows_agree(const Group *a, const Group *b)
{
    if (!a->rows_set)
        return b->rows_set && rows_agree(b, a);
    if (b->rows_set && a->nrow != b->nrow)
        return false;
    for (int i = 0; b->rows_set && i < b->nrow; i++)
        if (!in_rows(a, b->row[i]))
            return false;
    for (int i = 0; !b->rows_set && i < b->out.n; i++)
        if (!small_beyond(a, &b->out.at[i]->type))
            return false;
    return true;
}

/* Sums of products are not to be computed twice. */
static bool has_contract(Cut *c, const Group *g)
{
    for (int i = 0; i < c->g->node.n; i++) {
        const Info *info = &c->info[i];
        if (c->g->node.at[i]->op != OP_contract || !info->needed)
            continue;
        if (info->home == g)
            return true;
        for (int j = 0; !info->home && j < info->use.n; j++)
            if (info->use.at[j].group == g)
                return true;
    }
    return false;
}

/* Nothing of a reaches b through a third kernel, and what b reads of a stands
 * in b's own rows. */
static bool path_free(Cut *c, Group *a, Group *b, const Group *rows)
{
    for (int i = 0; i < a->out.n; i++) {
        const Info *info = &c->info[a->out.at[i]->id];
        for (int j = 0; j < info->use.n; j++) {
            const Use *u = &info->use.at[j];
            if (u->group != b && u->group != a && cut_reaches(c, u->group, b))
                return false;
            for (int k = 0; u->group == b && k < u->moved.n; k++)
                if (in_rows(rows, u->moved.dim[k]))
                    return false;
        }
    }
    return true;
}

static bool has_bush(const Cut *c, const Group *g)
{
    for (int i = 0; i < g->out.n; i++)
        if (cut_bush(&c->info[g->out.at[i]->id]))
            return true;
    return false;
}

/* Does b read what a stores, each element at its own place? All outs have the
 * same dims; few, so that what is read fits one kernel. */
static bool pointwise(Cut *c, const Group *a, const Group *b)
{
    enum { FEW = 4 };
    bool reads = false;
    if (!c->o->moving || a->rows_set || b->rows_set ||
        a->out.n + b->out.n > FEW)
        return false;
    const Type *t = &b->out.at[0]->type;
    for (int i = 0; i < b->out.n; i++)
        if (!dims_same(t->rank, t->dim, b->out.at[i]->type.rank,
                       b->out.at[i]->type.dim))
            return false;
    for (int i = 0; i < a->out.n; i++) {
        const Node *n = a->out.at[i];
        const Info *info = &c->info[n->id];
        if (!dims_same(t->rank, t->dim, n->type.rank, n->type.dim))
            return false;
        for (int j = 0; j < info->use.n; j++)
            if (info->use.at[j].group == b && info->use.at[j].moved.n)
                return false;
            else
                reads |= info->use.at[j].group == b;
    }
    return reads;
}

static bool may_join(Cut *c, Group *a, Group *b)
{
    if (a->skeleton != SKEL_map || b->skeleton != SKEL_map || a->nholes ||
        b->nholes || !a->out.n || !b->out.n ||
        (!rows_agree(a, b) && !pointwise(c, a, b)) ||
        a->out.n + b->out.n > MOST_OUTS || !extents_join(a, b))
        return false;
    const Group *rows = a->rows_set ? a : b;
    return path_free(c, a, b, rows) && path_free(c, b, a, rows) &&
           !has_contract(c, a) && !has_contract(c, b) && !has_bush(c, a) &&
           !has_bush(c, b);
}

static bool used_only_by(const Info *info, const Group *g)
{
    for (int i = 0; i < info->use.n; i++)
        if (info->use.at[i].group != g)
            return false;
    return !info->stored && info->use.n;
}

/* What the whole group alone reads need not be stored. */
static void drop_outs(Cut *c, Group *g)
{
    int n = 0;
    for (int i = 0; i < g->out.n; i++) {
        Info *info = &c->info[g->out.at[i]->id];
        if (used_only_by(info, g) && g->out.n > 1)
            info->home = NULL;
        else
            g->out.at[n++] = g->out.at[i];
    }
    g->out.n = n;
}

static void join(Cut *c, Group *a, Group *b)
{
    if (!b->rows_set) {
        b->rows_set = a->rows_set;
        b->nrow = a->nrow;
        memcpy(b->row, a->row, sizeof b->row);
    }
    for (int i = 0; i < a->out.n; i++) {
        c->info[a->out.at[i]->id].home = b;
        list_push(c->arena, &b->out, a->out.at[i]);
    }
    a->out.n = 0;
    extent_join(a, b);
    for (int i = 0; i < c->g->node.n; i++)
        for (int j = 0; j < c->info[i].use.n; j++)
            if (c->info[i].use.at[j].group == a)
                c->info[i].use.at[j].group = b;
    drop_outs(c, b);
}

void cut_maps(Cut *c)
{
    for (int i = 0; i < c->group.n; i++)
        for (int j = 0; j < c->group.n; j++)
            if (i != j && may_join(c, c->group.at[j], c->group.at[i]))
                join(c, c->group.at[j], c->group.at[i]);
}
