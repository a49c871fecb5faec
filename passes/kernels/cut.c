/* The cut, first half: which kernels compute a node. From outputs to leaves,
 * so that a node's uses are known: it is computed in place where it is used,
 * if that is allowed and cheap, else stored once by a kernel that has it. */
#include "passes/kernels/cut.h"
#include <string.h>

static bool big_topk(const Node *n)
{
    double size, k;
    return !size_is_num(n->dim[0]->size, &size) ||
           !size_is_num(n->dim[1]->size, &k) || size > 1024 || size * k > 65536;
}

NodeKind node_kind(const Node *n)
{
    static const NodeKind kind[] = {
        [WORK_given] = NODE_leaf, [WORK_in_place] = NODE_inline,
        [WORK_rows] = NODE_reduce, [WORK_own] = NODE_own};
    Contract c;
    if (n->op == OP_topk && big_topk(n))
        return NODE_own;
    if (n->op == OP_contract && contract_read(n, &c))
        return c.index ? NODE_grouped : NODE_matmul;
    return kind[op_info[n->op].work];
}

/* ---- costs ---- */

/* How often code that computes n computes its argument. */
static int written_times(const Node *n)
{
    return n->op == OP_softmax                     ? 3
           : n->op == OP_logsumexp || n->op == OP_rope ? 2
                                                       : 1;
}

static void find_costs(Cut *c)
{
    for (int i = 0; i < c->g->node.n; i++) {
        const Node *n = c->g->node.at[i];
        Info *info = &c->info[i];
        NodeKind kind = node_kind(n);
        info->product = kind == NODE_matmul || kind == NODE_grouped;
        if (kind == NODE_leaf || kind >= NODE_matmul)
            continue;
        info->reduces = kind == NODE_reduce;
        info->cost = op_info[n->op].cost;
        info->tree = 1;
        for (int j = 0; j < node_args(n); j++) {
            if (n->op != OP_gather || j == 0)
                info->cost += c->info[n->arg[j]->id].cost;
            info->tree += written_times(n) * c->info[n->arg[j]->id].tree;
            info->reduces |= c->info[n->arg[j]->id].reduces;
            info->product |= c->info[n->arg[j]->id].product;
        }
        if (kind == NODE_reduce)
            info->cost += 1000;
        if (info->cost > 100000)
            info->cost = 100000;
        if (info->tree > MOST_TREE)
            info->tree = MOST_TREE;
    }
}

static void mark_needed(Cut *c, const Node *n)
{
    if (c->info[n->id].needed)
        return;
    c->info[n->id].needed = true;
    for (int i = 0; i < node_args(n); i++) {
        c->info[n->arg[i]->id].readers++;
        mark_needed(c, n->arg[i]);
    }
}

/* ---- uses ---- */

static void use(Cut *c, Node *n, Group *g, const Moved *m)
{
    Info *info = &c->info[n->id];
    Use u = {g, *m};
    for (int i = 0; i < info->use.n; i++)
        if (info->use.at[i].group == g && moved_same(&info->use.at[i].moved, m))
            return;
    extent_uses(info, g);
    list_push(c->arena, &info->use, u);
}

static void use_args(Cut *c, const Node *n, Group *g, const Moved *m)
{
    for (int i = 0; i < node_args(n); i++) {
        Moved to = *m;
        if (!cut_moves(n, i, &to))
            c->info[n->arg[i]->id].stored = true;
        use(c, n->arg[i], g, &to);
    }
}

/* ---- groups ---- */

Group *cut_group_new(Cut *c, Skeleton s)
{
    Group *g = arena_alloc(c->arena, sizeof *g);
    g->skeleton = s;
    list_push(c->arena, &c->group, g);
    return g;
}

static Group *whole(Group *g)
{
    while (g->into)
        g = g->into;
    return g;
}

static bool search(Cut *c, Group *from, const Group *to);

static bool search_outs(Cut *c, Group *from, Group *own, const Group *to)
{
    for (int i = 0; i < own->out.n; i++) {
        const Info *info = &c->info[own->out.at[i]->id];
        for (int j = 0; j < info->use.n; j++)
            if (whole(info->use.at[j].group) != from &&
                search(c, info->use.at[j].group, to))
                return true;
    }
    return false;
}

static bool search(Cut *c, Group *from, const Group *to)
{
    from = whole(from);
    if (from == to)
        return true;
    if (from->mark == c->mark)
        return false;
    from->mark = c->mark;
    bool found = search_outs(c, from, from, to);
    for (int i = 0; i < from->part.n; i++)
        found = found || search_outs(c, from, from->part.at[i], to);
    return found;
}

bool cut_reaches(Cut *c, Group *from, Group *to)
{
    c->mark++;
    return search(c, from, whole(to));
}

/* ---- may a node be computed in place ---- */

int cut_rows_of(const Node *n, const Dim **out)
{
    int count = 0;
    for (int i = 0; i < n->type.rank; i++) {
        bool over = n->op == OP_topk && n->type.dim[i] == n->dim[1];
        for (int j = 0; n->op == OP_softmax && j < n->ndim; j++)
            over |= n->dim[j] == n->type.dim[i];
        if (!over)
            out[count++] = n->type.dim[i];
    }
    return count;
}

static bool has_rows(const Group *g, int n, const Dim *const *d)
{
    if (g->skeleton != SKEL_map || g->nholes)
        return false;
    if (g->rows_set && g->nrow != n)
        return false;
    for (int i = 0; i < n; i++) {
        bool in = !g->rows_set;
        for (int j = 0; g->rows_set && j < g->nrow; j++)
            in |= g->row[j] == d[i];
        if (!in)
            return false;
        for (int j = 0; j < g->out.n; j++)
            if (type_dim(&g->out.at[j]->type, d[i]) < 0)
                return false;
    }
    return true;
}

static bool may_reduce(const Node *n, const Use *u)
{
    const Dim *d[MAX_RANK];
    int nd = cut_rows_of(n, d);
    if (!has_rows(u->group, nd, d))
        return false;
    for (int i = 0; i < nd; i++)
        if (moved_has(&u->moved, d[i]))
            return false;
    return true;
}

static void set_rows(Group *g, const Node *n)
{
    if (!g->rows_set)
        g->nrow = cut_rows_of(n, g->row);
    g->rows_set = true;
}

static bool may_inline(Cut *c, const Node *n, const Use *u)
{
    (void)c;
    if (u->group->skeleton == SKEL_repeat || u->group->skeleton == SKEL_call ||
        u->group->skeleton == SKEL_attend || u->group->skeleton == SKEL_route ||
        u->group->skeleton == SKEL_back ||
        u->group->skeleton == SKEL_collect)
        return false;
    return node_kind(n) != NODE_reduce || may_reduce(n, u);
}

/* Is an earlier use that group's, too? */
static bool used_before(const Info *info, int use)
{
    bool again = false;
    for (int j = 0; j < use; j++)
        again |= info->use.at[j].group == info->use.at[use].group;
    return again;
}

/* Is each use within the groups' rights, and not too much work again? What a
 * matmul may do behind its sum, it does once. */
static bool inline_everywhere(Cut *c, const Node *n)
{
    const Info *info = &c->info[n->id];
    int groups = 0;
    if (cut_bush(info))
        return false;
    for (int i = 0; i < info->use.n; i++) {
        const Use *u = &info->use.at[i];
        groups += !used_before(info, i);
        if (!may_inline(c, n, u) || !extent_takes(c, n, u->group))
            return false;
        for (int j = 0; info->reduces && j < n->type.rank; j++)
            if (u->group->skeleton != SKEL_map)
                return false;
    }
    return groups == 1 || (info->cost <= 3 && !info->product);
}

/* ---- the decision, node by node ---- */

static const Moved nowhere;

void cut_store_in(Cut *c, Node *n, Group *g)
{
    c->info[n->id].home = g;
    list_push(c->arena, &g->out, n);
}

static void compute_in(Cut *c, Node *n, Group *g, const Moved *m)
{
    if (node_kind(n) == NODE_reduce) {
        set_rows(g, n);
        if (n->op == OP_contract)
            for (int i = 0; i < 2; i++)
                if (c->info[n->arg[i]->id].cost > 3)
                    c->info[n->arg[i]->id].stored = true;
    }
    use_args(c, n, g, m);
}

static void inline_in_all(Cut *c, Node *n)
{
    Info *info = &c->info[n->id];
    int uses = info->use.n;
    for (int i = 0; i < uses; i++) {
        Use u = info->use.at[i];
        if (!used_before(info, i))
            extent_computes(c, n, u.group);
        compute_in(c, n, u.group, &u.moved);
    }
}

/* A group that has n's rows already and may also store n: none of n's other
 * readers comes before it. */
static Group *host_of(Cut *c, const Node *n)
{
    const Info *info = &c->info[n->id];
    if (!info->reduces || n->op == OP_contract || cut_bush(info))
        return NULL;
    for (int i = 0; i < info->use.n; i++) {
        const Use *u = &info->use.at[i];
        bool fits = u->group->rows_set && !u->group->nholes &&
                    u->group->out.n < MOST_OUTS &&
                    u->group->skeleton == SKEL_map &&
                    extent_takes(c, n, u->group);
        for (int j = 0; fits && j < u->group->nrow; j++)
            fits = type_dim(&n->type, u->group->row[j]) >= 0;
        if (node_kind(n) == NODE_reduce)
            fits = fits && may_reduce(n, u);
        for (int j = 0; fits && j < info->use.n; j++)
            if (info->use.at[j].group != u->group)
                fits = !cut_reaches(c, info->use.at[j].group, u->group);
        if (fits)
            return u->group;
    }
    return NULL;
}

static void store_node(Cut *c, Node *n)
{
    Group *g = host_of(c, n);
    if (!g)
        g = cut_group_new(c, SKEL_map);
    cut_store_in(c, n, g);
    extent_computes(c, n, g);
    compute_in(c, n, g, &nowhere);
}

/* A repeat's group, which its results are met before. */
static Group *repeat_group(Cut *c, Node *repeat)
{
    Group *g = c->info[repeat->id].home;
    if (!g) {
        g = cut_group_new(c, SKEL_repeat);
        cut_store_in(c, repeat, g);
    }
    return g;
}

static void own_kernel(Cut *c, Node *n)
{
    Skeleton s = cut_own_skeleton(n);
    if (n->op == OP_result) {
        c->info[n->arg[0]->id].stored = true;
        cut_store_in(c, n, repeat_group(c, n->arg[0]));
        return;
    }
    Group *g = s == SKEL_repeat ? repeat_group(c, n) : c->info[n->id].home;
    if (!g && (s == SKEL_attend || s == SKEL_back))
        g = cut_beside_group(c, n);
    if (!g)
        g = cut_group_new(c, s);
    if (!c->info[n->id].home)
        cut_store_in(c, n, g);
    for (int i = 0; i < node_args(n); i++) {
        if (!cut_reads_arg(n, i))
            continue;
        c->info[n->arg[i]->id].stored |= s != SKEL_scatter;
        use(c, n->arg[i], g, &nowhere);
    }
}

static bool has_home(const void *user, const Node *n)
{
    return ((const Cut *)user)->info[n->id].home;
}

/* May all uses of the contract n in g stand behind its sums, turned? */
static bool turns(Cut *c, const Node *n, const Group *g)
{
    if (!c->o->halves || g->nholes)
        return false;
    int *known = arena_alloc(c->arena, (size_t)c->g->node.n * sizeof *known);
    Turn t = {.hole = n, .run = c->o->lanes, .ends = has_home, .user = c,
              .known = known};
    for (int i = 0; i < g->out.n; i++)
        if (!contract_turns(&t, g->out.at[i]))
            return false;
    return true;
}

/* The one map group all of whose outs are elementwise in n: n's matmul may
 * compute them from its accumulators. */
static Group *epilogue_of(Cut *c, const Node *n)
{
    const Info *info = &c->info[n->id];
    if (info->stored || !info->use.n)
        return NULL;
    Group *g = info->use.at[0].group;
    if (g->halves || !extent_takes(c, n, g))
        return NULL;
    if (g->skeleton == SKEL_map ? g->rows_set || g->nholes
                                : !g->nholes || g->nholes == MAX_HOLES ||
                                      !cut_joins(c, g->hole[0], n))
        return NULL;
    bool moved = false;
    for (int i = 0; i < info->use.n; i++) {
        if (info->use.at[i].group != g)
            return NULL;
        moved |= info->use.at[i].moved.n > 0;
    }
    for (int i = 0; i < g->out.n; i++)
        if (!type_has(&g->out.at[i]->type, n->type.rank, n->type.dim))
            return NULL;
    if (moved && !turns(c, n, g))
        return NULL;
    g->halves = moved;
    return g;
}

static void matmul(Cut *c, Node *n)
{
    Contract k;
    contract_read(n, &k);
    Group *g = epilogue_of(c, n);
    if (!g) {
        g = cut_group_new(c, SKEL_matmul);
        cut_store_in(c, n, g);
    }
    g->skeleton = k.index ? SKEL_grouped : SKEL_matmul;
    g->hole[g->nholes++] = n;
    extent_computes(c, n, g);
    c->info[k.x->id].stored = true;
    c->info[k.w->id].stored |= k.panels;
    use(c, k.x, g, &nowhere);
    use(c, k.w, g, &nowhere);
    if (k.index) {
        c->info[k.index->id].stored = true;
        use(c, k.index, g, &nowhere);
    }
}

static void decide(Cut *c, Node *n)
{
    NodeKind kind = node_kind(n);
    Info *info = &c->info[n->id];
    if (kind == NODE_leaf)
        return;
    if (kind == NODE_own)
        own_kernel(c, n);
    else if (kind >= NODE_matmul)
        matmul(c, n);
    else if (!info->stored && info->use.n && inline_everywhere(c, n))
        inline_in_all(c, n);
    else if (info->stored || info->use.n)
        store_node(c, n);
}

/* A leaf that is an output is copied. */
static void copy_leaf(Cut *c, Node *n)
{
    Group *g = cut_group_new(c, SKEL_map);
    cut_store_in(c, n, g);
    use(c, n, g, &nowhere);
}

void cut_groups(Cut *c)
{
    find_costs(c);
    for (int i = 0; i < c->g->output.n; i++) {
        Node *n = c->g->output.at[i].node;
        mark_needed(c, n);
        if (node_kind(n) == NODE_leaf && !c->info[n->id].home)
            copy_leaf(c, n);
        c->info[n->id].stored = true;
    }
    for (int i = c->g->node.n - 1; i >= 0; i--)
        if (c->info[i].needed)
            decide(c, c->g->node.at[i]);
}
