/* The cut, second half: groups become kernels, in an order in which each has
 * what it reads. */
#include "passes/kernels/cut.h"
#include <ctype.h>
#include <string.h>

/* ---- buffers ---- */

Buffer *cut_buffer(Cut *c, BufferKind kind, Node *n)
{
    Buffer *b = arena_alloc(c->arena, sizeof *b);
    b->id = c->plan->buffer.n;
    b->kind = kind;
    b->node = n;
    if (n)
        b->type = n->type;
    b->first = b->last = -1;
    list_push(c->arena, &c->plan->buffer, b);
    return b;
}

bool cut_is_output(const Cut *c, const Node *n)
{
    for (int i = 0; i < c->g->output.n; i++)
        if (c->g->output.at[i].node == n)
            return true;
    return false;
}

/* Of a leaf: where it lies; of another node: where its kernel puts it. */
Buffer *cut_stored(Cut *c, Node *n)
{
    if (c->buffer[n->id])
        return c->buffer[n->id];
    BufferKind kind = n->op == OP_input ? BUF_input : BUF_weight;
    if (node_kind(n) != NODE_leaf)
        kind = cut_is_output(c, n) ? BUF_output : BUF_value;
    Buffer *b = cut_buffer(c, kind, n);
    if (kind == BUF_weight && n->weight)
        b->stacked = n->weight->stacked;
    return c->buffer[n->id] = b;
}

/* A leaf that is an output: a copy of it. */
Buffer *cut_written(Cut *c, Node *n)
{
    return node_kind(n) == NODE_leaf ? cut_buffer(c, BUF_output, n)
                                     : cut_stored(c, n);
}

/* ---- what a group reads ---- */

bool cut_ends_tree(Cut *c, const Node *n, void *group)
{
    const Group *home = c->info[n->id].home;
    return node_kind(n) == NODE_leaf || (home && home != group);
}

static void read_group(Cut *c, Group *g, Kernel *k)
{
    cut_reads(c, k, g->out.n, g->out.at, cut_ends_tree, g);
    for (int i = 0; i < g->part.n; i++)
        read_group(c, g->part.at[i], k);
}

/* ---- kernels of each skeleton ---- */

static int row_of_type(const Group *g, const Type *t, const Dim **out)
{
    int n = 0;
    for (int i = 0; i < t->rank; i++) {
        bool in = !g->rows_set;
        for (int j = 0; g->rows_set && j < g->nrow; j++)
            in |= g->row[j] == t->dim[i];
        if (in)
            out[n++] = t->dim[i];
    }
    return n;
}

/* A lane a row where outs are rows alone and the widest input's neighbours are
 * rows too. */
static const Dim *vector_dim(const Group *g, const Kernel *k)
{
    const Map *m = &k->map;
    if (!m->nrow)
        return NULL;
    const Dim *last = m->row[m->nrow - 1];
    for (int i = 0; i < k->nout; i++)
        if (k->out[i]->type.rank != m->nrow)
            return NULL;
    const Type *widest = NULL;
    for (int i = 0; i < k->nin; i++)
        if (!widest || k->in[i]->type.rank > widest->rank)
            widest = &k->in[i]->type;
    if (g->rows_set && widest && widest->rank > m->nrow &&
        widest->dim[widest->rank - 1] != last)
        return NULL;
    return last;
}

static bool picks(Cut *c, const Node *n, bool *seen)
{
    if (seen[n->id] || node_kind(n) == NODE_leaf)
        return false;
    seen[n->id] = true;
    if (n->op == OP_topk)
        return true;
    for (int i = 0; i < node_args(n); i++)
        if (!c->info[n->arg[i]->id].home && picks(c, n->arg[i], seen))
            return true;
    return false;
}

static void map_kernel(Cut *c, Group *g, Kernel *k)
{
    bool topk = false;
    bool *seen = arena_alloc(c->arena, (size_t)c->g->node.n);
    for (int i = 0; i < g->out.n; i++) {
        kernel_writes(k, cut_written(c, g->out.at[i]));
        topk |= picks(c, g->out.at[i], seen);
    }
    k->map.nrow = row_of_type(g, &g->out.at[0]->type, k->map.row);
    k->map.vec = topk ? NULL : vector_dim(g, k);
}

static void attend_kernel(Cut *c, Node *n, Kernel *k)
{
    Attend *a = &k->attend;
    a->attend = n;
    a->q = cut_stored(c, n->arg[0]);
    a->k = cut_stored(c, n->arg[1]);
    a->v = n->op == OP_attend_lse ? a->k : cut_stored(c, n->arg[2]);
    a->keys = cut_buffer(c, BUF_keys, n->arg[1]);
    a->vals = cut_buffer(c, BUF_vals, a->v->node);
    a->pos = cut_positions(c, n->type.dim[0]);
    a->window = n->size ? size_at(n->size, 1) : 0;
    a->chunk = n->name != NULL;
    int more = node_args(n) - 1;
    if (n->op != OP_attend && cut_reads_arg(n, more))
        a->more = cut_stored(c, n->arg[more]);
    Buffer *in[] = {a->q, a->k, a->v, a->keys, a->vals, a->pos, a->more};
    for (size_t i = 0; i < COUNT(in) && in[i]; i++)
        kernel_reads(k, in[i]);
}

void cut_own_kernel(Cut *c, Node *n, Kernel *k)
{
    if (k->skeleton == SKEL_attend) {
        attend_kernel(c, n, k);
        return;
    }
    k->node = n;
    for (int i = 0; i < node_args(n) && k->skeleton != SKEL_scatter; i++)
        if (k->skeleton == SKEL_call) /* each at its own place */
            kernel_reads_also(k, cut_stored(c, n->arg[i]));
        else if (cut_reads_arg(n, i))
            kernel_reads(k, cut_stored(c, n->arg[i]));
    if (k->skeleton == SKEL_back || n->op == OP_attend_dmore)
        kernel_reads(k, cut_positions(c, n->arg[0]->type.dim[0]));
}

static void own_kernel(Cut *c, Group *g, Kernel *k)
{
    Node *n = g->out.at[0];
    cut_own_kernel(c, n, k);
    kernel_writes(k, cut_stored(c, n));
    for (int i = g->out.n - 1; i > 0; i--) /* results, met from the last */
        kernel_writes(k, cut_stored(c, g->out.at[i]));
}

static const char *kernel_name(Cut *c, const Kernel *k, const Node *n)
{
    const char *label = n->label ? n->label : op_info[n->op].name;
    char text[96];
    snprintf(text, sizeof text, "gr_%s_%.48s_%d", skeleton_name[k->skeleton],
             label, c->plan->sizes->nkernels++);
    for (char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p))
            *p = '_';
    return intern(text);
}

void cut_pack_kernel(Cut *c, Buffer *panels)
{
    Kernel *k = kernel_new(c->arena);
    k->skeleton = SKEL_pack;
    k->node = panels->node;
    k->name = kernel_name(c, k, k->node);
    for (int i = 0; i < panels->pack.parts; i++)
        kernel_reads(k, cut_stored(c, panels->pack.part[i]));
    kernel_writes(k, panels);
    list_push(c->arena, &c->plan->kernel, k);
}

/* ---- the order ---- */

static void add_group(Cut *c, Group *g);

static void before(Cut *c, Group *g, Group *top)
{
    for (int i = 0; i < g->part.n; i++)
        before(c, g->part.at[i], top);
    for (int i = 0; i < c->g->node.n; i++) {
        const Info *info = &c->info[i];
        if (!info->home || info->home == g || info->home == top)
            continue;
        for (int j = 0; j < info->use.n; j++)
            if (info->use.at[j].group == g)
                add_group(c, info->home);
    }
}

Buffer *cut_find_route(const Plan *p, const Node *index)
{
    for (int i = 0; i < p->buffer.n; i++)
        if (p->buffer.at[i]->kind == BUF_route &&
            p->buffer.at[i]->node == index)
            return p->buffer.at[i];
    return NULL;
}

void cut_route_kernel(Cut *c, Node *index, Kernel *k)
{
    Buffer *b = cut_buffer(c, BUF_route, index);
    b->type.index_of = index->type.index_of;
    k->skeleton = SKEL_route;
    k->index = index;
    if (!k->nout)
        kernel_reads(k, cut_stored(c, index));
    kernel_writes(k, b);
}

/* The map that picks this index, if a route may compute it: its one task has
 * all rows, so they must be short (softmax, topk and weights of a router). */
static Kernel *picking_map(Cut *c, const Buffer *index)
{
    enum { MOST = 1024 };
    for (int i = 0; c->o->picks && i < c->plan->kernel.n; i++) {
        Kernel *k = c->plan->kernel.at[i];
        for (int j = 0; k->skeleton == SKEL_map && j < k->nout; j++)
            if (k->out[j] == index && map_row(k) <= MOST)
                return k;
    }
    return NULL;
}

/* Sorts an index's elements by expert; made once for each index. */
static Buffer *route_of(Cut *c, const Buffer *index)
{
    Buffer *b = cut_find_route(c->plan, index->node);
    if (b)
        return b;
    Kernel *k = picking_map(c, index);
    if (!k) {
        k = kernel_new(c->arena);
        list_push(c->arena, &c->plan->kernel, k);
    }
    cut_route_kernel(c, index->node, k);
    k->name = kernel_name(c, k, index->node);
    return k->out[k->nout - 1];
}

static void add_group(Cut *c, Group *g)
{
    while (g->into)
        g = g->into;
    if (g->kernel)
        return;
    Kernel *k = g->kernel = kernel_new(c->arena);
    before(c, g, g);
    k->skeleton = g->skeleton;
    k->name = kernel_name(c, k, g->out.at[0]);
    if (g->nholes)
        cut_matmul_kernel(c, g, k);
    if (g->skeleton == SKEL_map || g->skeleton == SKEL_scatter || g->nholes)
        read_group(c, g, k);
    if (g->skeleton == SKEL_map)
        map_kernel(c, g, k);
    else if (!g->nholes)
        own_kernel(c, g, k);
    if (g->skeleton == SKEL_grouped) {
        Matmul *m = &k->matmul;
        m->route = route_of(c, m->index);
        kernel_reads(k, m->route);
    }
    list_push(c->arena, &c->plan->kernel, k);
}

void cut_kernels(Cut *c)
{
    for (int i = 0; i < c->g->output.n; i++)
        add_group(c, c->info[c->g->output.at[i].node->id].home);
}
