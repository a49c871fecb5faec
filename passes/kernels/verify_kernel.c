/* What holds of a kernel by its skeleton: its trees end in what it reads, in
 * products or in numbers; rows, packs and tables are what the graph implies. */
#include "passes/kernels/verify.h"
#include <string.h>

static bool reads(const Kernel *k, const Buffer *b)
{
    for (int i = 0; i < k->nin; i++)
        if (k->in[i] == b)
            return true;
    return false;
}

/* ---- trees ---- */

static bool reduces(const Node *n)
{
    return node_kind(n) == NODE_reduce || n->op == OP_contract;
}

static bool is_map(const Kernel *k)
{
    return k->skeleton == SKEL_map || k->skeleton == SKEL_route;
}

/* A sum leaves the rows, and stands at them. */
static bool reduction_holds(Verify *v, const Node *n)
{
    const Kernel *k = v->k;
    const Dim *row[MAX_RANK];
    int nrow = cut_rows_of(n, row);
    if (!v->sums || (!is_map(k) &&
                     (n->op == OP_topk || n->op == OP_contract)))
        return verify_refuse(v, "computes %s, which only a map may",
                             verify_name(n));
    bool same = nrow == v->nrow;
    for (int i = 0; i < nrow; i++)
        same = same && dim_among(row[i], v->nrow, v->row);
    if (!same)
        return verify_refuse(v, "%s does not leave its rows",
                             verify_name(n));
    for (int i = 0; i < nrow; i++)
        if (moved_has(&v->moved[n->id], row[i]))
            return verify_refuse(v, "%s is wanted at other rows",
                                 verify_name(n));
    return n->op != OP_topk || !k->map.vec ||
           verify_refuse(v, "a map that picks (%s) has no lanes",
                         verify_name(n));
}

static bool may_compute(Verify *v, const Node *n, bool root)
{
    bool scatter = root && v->k->skeleton == SKEL_scatter;
    if (node_kind(n) == NODE_leaf)
        return verify_refuse(v, "does not read %s", verify_name(n));
    if (reduces(n))
        return reduction_holds(v, n);
    return (node_kind(n) == NODE_inline && n->op != OP_flag) || scatter ||
           verify_refuse(v, "computes %s, which is an op of another kernel",
                         verify_name(n));
}

static bool enter_args(Verify *v, const Node *n)
{
    for (int i = 0; i < node_args(n); i++) {
        Moved m = v->moved[n->id], *to = &v->moved[n->arg[i]->id];
        if (!cut_moves(n, i, &m))
            return verify_refuse(v, "too many dims move at %s",
                                 verify_name(n));
        for (int j = 0; n->op == OP_contract && j < n->ndim; j++)
            moved_drop(&m, n->dim[j]);
        v->in[n->arg[i]->id] = true;
        for (int j = 0; j < m.n; j++)
            if (!moved_add(to, m.dim[j]))
                return verify_refuse(v, "too many dims move at %s",
                                     verify_name(n->arg[i]));
    }
    return true;
}

static bool hole_of(const MatmulPart *p, const Node *n)
{
    for (int i = 0; p && i < p->w->pack.parts; i++)
        if (p->contract[i] == n)
            return true;
    return false;
}

/* n: in the trees of these results; part: of a matmul, or NULL. */
static bool node_holds(Verify *v, const Node *n, const MatmulPart *part,
                       bool root, int *nodes, int *reductions)
{
    if (hole_of(part, n))
        return !v->moved[n->id].n || part->w->pack.halves ||
               verify_refuse(v, "the product %s is wanted elsewhere",
                             verify_name(n));
    if (kernel_leaf(v->k, n) && !(root && node_kind(n) != NODE_leaf))
        return true;
    ++*nodes;
    *reductions += reduces(n);
    return may_compute(v, n, root) && enter_args(v, n);
}

/* Trees down from these roots; part: whose products they may use, or NULL.
 * Which sums they may have, v says. */
static bool trees_hold(Verify *v, int n, Node *const *root,
                       const MatmulPart *part)
{
    const Graph *g = v->plan->graph;
    int nodes = 0, reductions = 0;
    memset(v->in, 0, (size_t)g->node.n);
    memset(v->moved, 0, (size_t)g->node.n * sizeof *v->moved);
    for (int i = 0; i < n; i++)
        v->in[root[i]->id] = true;
    for (int i = g->node.n - 1; i >= 0; i--) {
        bool is_root = false;
        for (int j = 0; j < n; j++)
            is_root |= root[j] == g->node.at[i];
        if (v->in[i] && !node_holds(v, g->node.at[i], part, is_root, &nodes,
                                    &reductions))
            return false;
    }
    return (nodes <= KERNEL_NODES && reductions <= KERNEL_REDUCTIONS) ||
           verify_refuse(v, "has trees of %d nodes, %d sums: more than %d, %d",
                         nodes, reductions, KERNEL_NODES, KERNEL_REDUCTIONS);
}

/* Of results first .. first + count - 1. */
static bool results_hold(Verify *v, int first, int count,
                         const MatmulPart *part)
{
    Node *root[KERNEL_ARGS];
    for (int i = 0; i < count; i++)
        root[i] = v->k->out[first + i]->node;
    v->sums = is_map(v->k);
    return trees_hold(v, count, root, part);
}

/* ---- maps ---- */

static bool map_holds(Verify *v)
{
    const Kernel *k = v->k;
    const Map *m = &k->map;
    for (int i = 0; i < m->nrow; i++)
        if (dim_among(m->row[i], i, m->row))
            return verify_refuse(v, "has the rows %s twice", m->row[i]->name);
    if (m->vec && !dim_among(m->vec, m->nrow, m->row))
        return verify_refuse(v, "its lanes, %s, are none of its rows",
                             m->vec->name);
    for (int i = 0; i < kernel_results(k); i++)
        for (int j = 0; j < m->nrow; j++)
            if (type_dim(&k->out[i]->type, m->row[j]) < 0)
                return verify_refuse(v, "%s has no rows %s",
                                     verify_name(k->out[i]->node),
                                     m->row[j]->name);
    v->nrow = m->nrow;
    memcpy(v->row, m->row, sizeof v->row);
    return results_hold(v, 0, kernel_results(k), NULL);
}

/* ---- matmuls ---- */

static bool pack_holds(Verify *v, const Pack *p, const Contract *c)
{
    double size;
    if (!dims_same(p->nb, p->b, c->pack.nb, c->pack.b) ||
        !dims_same(p->nn, p->n, c->pack.nn, c->pack.n) ||
        !dims_same(p->nk, p->k, c->pack.nk, c->pack.k))
        return verify_refuse(v, "%s is not packed as its product reads it",
                             verify_name(c->w));
    for (int i = 0; i < c->w->type.rank; i++)
        if (c->panels && dim_among(c->w->type.dim[i], p->nk, p->k))
            continue;
        else if (!size_is_num(c->w->type.dim[i]->size, &size) || size < 1)
            return verify_refuse(v, "dim %s of %s is not known",
                                 c->w->type.dim[i]->name, verify_name(c->w));
    if (p->cols < 1 || p->cols > 4096 || p->pair < 1 || p->pair > 1 << 24)
        return verify_refuse(v, "packs %d columns by %d", p->cols, p->pair);
    return true;
}

static bool is_leaf(const void *user, const Node *n)
{
    return kernel_leaf(user, n);
}

/* Halves of heads side by side: one product, which one rope may turn. */
static bool halves_hold(Verify *v, const MatmulPart *p)
{
    const Pack *pack = &p->w->pack;
    if (!pack->halves)
        return true;
    memset(v->turns, 0, (size_t)v->plan->graph->node.n * sizeof *v->turns);
    Turn t = {.hole = p->contract[0], .run = 1, .ends = is_leaf, .user = v->k,
              .known = v->turns};
    bool fits = pack->parts == 1 && pack->cols % 2 == 0;
    for (int i = p->first_out; fits && i < p->first_out + p->nout; i++)
        fits = contract_turns(&t, v->k->out[i]->node);
    return fits || verify_refuse(v, "halves of heads side by side are for one "
                                 "product that one rope turns");
}

static bool part_holds(Verify *v, const MatmulPart *p, const Contract *first)
{
    const Kernel *k = v->k;
    Contract c;
    if ((p->w->kind != BUF_packed && p->w->kind != BUF_panels) ||
        p->w->pack.parts < 1 ||
        p->w->pack.parts > MAX_HOLES || !reads(k, p->w))
        return verify_refuse(v, "does not read its weights");
    for (int i = 0; i < p->w->pack.parts; i++) {
        const Node *n = p->contract[i];
        if (n->op != OP_contract || !contract_read(n, &c) ||
            !contract_same_rows(first, &c) || c.w != p->w->pack.part[i] ||
            (c.panels && (p->w->kind != BUF_panels || i)) ||
            (i && !contract_joins(p->contract[0], n)))
            return verify_refuse(v, "%s is no product of these rows",
                                 verify_name(n));
        if (!pack_holds(v, &p->w->pack, &c))
            return false;
    }
    for (int i = p->first_out; i < p->first_out + p->nout; i++)
        if (!type_has(&k->out[i]->type, p->contract[0]->type.rank,
                      p->contract[0]->type.dim))
            return verify_refuse(v, "%s has other dims than its product",
                                 verify_name(k->out[i]->node));
    return halves_hold(v, p) &&
           results_hold(v, p->first_out, p->nout, p);
}

/* In memory, or a tree whose sums leave the matmul's rows. */
static bool x_holds(Verify *v, const Contract *first)
{
    const Matmul *m = &v->k->matmul;
    if (kernel_leaf(v->k, m->x))
        return true;
    if (v->k->skeleton == SKEL_grouped || m->turned)
        return verify_refuse(v, "does not read %s", verify_name(m->x));
    v->sums = true;
    v->nrow = 0;
    for (int i = 0; i < first->pack.nb; i++)
        v->row[v->nrow++] = first->pack.b[i];
    for (int i = 0; i < m->nm; i++)
        v->row[v->nrow++] = m->m[i];
    return trees_hold(v, 1, &m->x, NULL);
}

static bool matmul_holds(Verify *v)
{
    const Kernel *k = v->k;
    const Matmul *m = &k->matmul;
    Contract first;
    int outs = 0;
    if (m->nparts < 1 || m->nparts > (int)COUNT(m->part) ||
        m->part[0].contract[0]->op != OP_contract ||
        !contract_read(m->part[0].contract[0], &first))
        return verify_refuse(v, "has no product");
    if (!first.index != (k->skeleton == SKEL_matmul) ||
        !dims_same(m->nm, m->m, first.nm, first.m) ||
        !dims_same(m->nk, m->k, first.pack.nk, first.pack.k) ||
        m->turned != first.turned || m->x != first.x ||
        m->expert != first.expert)
        return verify_refuse(v, "its rows are not those of its product");
    if (first.index &&
        (!m->index || m->index->node != first.index || !reads(k, m->index) ||
         !m->route || m->route->kind != BUF_route || !reads(k, m->route) ||
         m->route->node != first.index))
        return verify_refuse(v, "has not the route of its index");
    for (int i = 0; i < m->nparts; i++) {
        if (m->part[i].first_out != outs || m->part[i].nout < 1)
            return verify_refuse(v, "stores nothing of its weights %d", i + 1);
        outs += m->part[i].nout;
    }
    if (outs != k->nout)
        return verify_refuse(v, "stores what is of none of its weights");
    if (!x_holds(v, &first))
        return false;
    for (int i = 0; i < m->nparts; i++)
        if (!part_holds(v, &m->part[i], &first))
            return false;
    return true;
}

/* ---- panels ---- */

/* A weight's panels have all of its dims, whose sizes are known but K's. */
static bool panel_holds(Verify *v, const Pack *p, Node *n)
{
    const Type *t = &n->type;
    double size;
    if (!kernel_leaf(v->k, n))
        return verify_refuse(v, "does not read %s", verify_name(n));
    if (p->nb + p->nn + p->nk != t->rank || p->nn < 1 || p->nk < 1)
        return verify_refuse(v, "packs other dims than %s has",
                             verify_name(n));
    for (int i = 0; i < t->rank; i++)
        if (!pack_has(p, t->dim[i]))
            return verify_refuse(v, "does not pack dim %s", t->dim[i]->name);
        else if (!dim_among(t->dim[i], p->nk, p->k) &&
                 (!size_is_num(t->dim[i]->size, &size) || size < 1))
            return verify_refuse(v, "dim %s of %s is not known",
                                 t->dim[i]->name, verify_name(n));
    return (p->dtype == t->dtype && p->cols >= 1 && p->cols <= 4096) ||
           verify_refuse(v, "packs %d columns as %s", p->cols,
                         type_info[p->dtype].name);
}

static bool panels_hold(Verify *v)
{
    const Kernel *k = v->k;
    const Buffer *b = k->out[0];
    const Pack *p = &b->pack;
    if (k->nout != 1 || b->kind != BUF_panels || b->node != k->node ||
        p->parts < 1 || p->parts > MAX_HOLES || p->part[0] != k->node)
        return verify_refuse(v, "stores no panels of its value");
    for (int i = 0; i < p->parts; i++)
        if (!panel_holds(v, p, p->part[i]))
            return false;
    return true;
}

/* ---- ops of their own ---- */

static bool reads_args(Verify *v, const Node *n)
{
    for (int i = 0; i < node_args(n); i++)
        if (cut_reads_arg(n, i) && !kernel_leaf(v->k, n->arg[i]))
            return verify_refuse(v, "does not read %s",
                                 verify_name(n->arg[i]));
    return true;
}

/* Each output of a body goes somewhere. */
static bool outputs_taken(Verify *v)
{
    const Kernel *k = v->k;
    for (int i = 0; i < k->repeat.n; i++) {
        const Graph *body = k->repeat.body[i]->graph;
        for (int j = 0; j < body->output.n; j++)
            if (!kernel_takes(k, body->output.at[j].name))
                return verify_refuse(v, "nothing takes %s of body %s",
                                     body->output.at[j].name, body->name);
    }
    return true;
}

static bool repeat_holds(Verify *v, const Node *n)
{
    const Kernel *k = v->k;
    if (k->repeat.node != n || k->repeat.n != n->repeat->n)
        return verify_refuse(v, "runs another table");
    for (int i = 0; i < k->repeat.n; i++)
        if (k->repeat.body[i]->graph != n->repeat->at[i].body)
            return verify_refuse(v, "pass %d runs another body", i);
    for (int i = 1; i < k->nout; i++)
        if (k->out[i]->node->op != OP_result || k->out[i]->node->arg[0] != n)
            return verify_refuse(v, "stores %s, no result of its own",
                                 verify_name(k->out[i]->node));
    return outputs_taken(v);
}

static bool own_holds(Verify *v)
{
    const Kernel *k = v->k;
    const Node *n = k->out[0]->node;
    if (!cut_all_beside(k) ||
        n->op == OP_result || node_kind(n) != NODE_own ||
        cut_own_skeleton(n) != k->skeleton)
        return verify_refuse(v, "is not of the op it stores");
    if (k->skeleton == SKEL_scatter)
        return k->node == n && results_hold(v, 0, 1, NULL);
    if (k->skeleton == SKEL_repeat && !repeat_holds(v, n))
        return false;
    if (k->skeleton == SKEL_attend && k->attend.attend != n)
        return verify_refuse(v, "attends for another node");
    return reads_args(v, n);
}

/* Its index: one of its results, if it has any, else read. */
static bool route_holds(Verify *v)
{
    const Kernel *k = v->k;
    int n = kernel_results(k);
    bool has = !n && kernel_leaf(k, k->index);
    for (int i = 0; i < n; i++) {
        if (k->out[i]->kind == BUF_route)
            return verify_refuse(v, "puts two indices in order");
        has |= k->out[i]->node == k->index;
    }
    if (k->out[n]->kind != BUF_route || !k->index->type.index_of || !has)
        return verify_refuse(v, "needs an index to put in order");
    return !n || map_holds(v);
}

bool verify_kernel(Verify *v)
{
    switch (v->k->skeleton) {
    case SKEL_map: return map_holds(v);
    case SKEL_matmul:
    case SKEL_grouped: return matmul_holds(v);
    case SKEL_route: return route_holds(v);
    case SKEL_pack: return panels_hold(v);
    default: return own_holds(v);
    }
}
