/* Kernels of a graph and of the bodies it repeats. */
#include "passes/kernels/cut.h"
#include <string.h>

const char *const skeleton_name[11] = {
    "map",  "matmul", "grouped", "route",       "attend", "scatter",
    "call", "repeat", "pack",    "attend_back", "collect"};

Buffer *kernel_leaf(const Kernel *k, const Node *n)
{
    for (int i = 0; i < k->nin; i++)
        if (k->in[i]->node == n && k->in[i]->kind <= BUF_weight)
            return k->in[i];
    return NULL;
}

Buffer *kernel_result(const Kernel *k, const char *name)
{
    if (!strcmp(name, "y"))
        return k->out[0];
    for (int i = 1; i < k->nout; i++)
        if (!strcmp(k->out[i]->node->name, name))
            return k->out[i];
    return NULL;
}

bool kernel_takes(const Kernel *k, const char *name)
{
    const Repeat *r = k->repeat.node->repeat;
    for (int i = 0; i < r->nin; i++)
        if (r->in[i].next && !strcmp(r->in[i].next, name))
            return true;
    return kernel_result(k, name) != NULL;
}

bool kernel_hole(const Kernel *k, const Node *n)
{
    if (k->skeleton == SKEL_attend)
        return k->attend.attend == n;
    if (k->skeleton != SKEL_matmul && k->skeleton != SKEL_grouped)
        return false;
    for (int i = 0; i < k->matmul.nparts; i++)
        for (int j = 0; j < k->matmul.part[i].w->pack.parts; j++)
            if (k->matmul.part[i].contract[j] == n)
                return true;
    return false;
}

bool kernel_panels(const Kernel *k)
{
    if (k->skeleton != SKEL_matmul && k->skeleton != SKEL_grouped)
        return false;
    for (int i = 0; i < k->matmul.nparts; i++)
        if (k->matmul.part[i].w->kind == BUF_panels)
            return true;
    return false;
}

bool pack_has(const Pack *p, const Dim *d)
{
    return dim_among(d, p->nb, p->b) || dim_among(d, p->nn, p->n) ||
           dim_among(d, p->nk, p->k);
}

int kernel_results(const Kernel *k)
{
    return k->nout - (k->skeleton == SKEL_route || k->skeleton == SKEL_pack);
}

int kernel_arg(const Kernel *k, const Buffer *b)
{
    for (int i = 0; i < k->nin; i++)
        if (k->in[i] == b)
            return i;
    for (int i = 0; i < k->nout; i++)
        if (k->out[i] == b)
            return k->nin + i;
    return -1;
}

int plan_size(Plan *p, const Size *s, bool real)
{
    RunSizes *z = p->sizes;
    for (int i = 0; i < z->at.n; i++)
        if (z->at.at[i].size == s && z->at.at[i].real == real)
            return i;
    struct RunSize new = {s, real};
    list_push(p->arena, &z->at, new);
    return z->at.n - 1;
}

static bool size_unknown(const Size *s)
{
    return s && !size_is_num(size_subst(s, "T", size_num(1)), NULL);
}

const Node *graph_unsized(const Graph *g)
{
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i], *inner;
        bool unknown = size_unknown(n->size);
        for (int j = 0; j < n->type.rank; j++)
            unknown |= size_unknown(n->type.dim[j]->size);
        if (unknown)
            return n;
        for (int j = 0; n->repeat && j < n->repeat->n; j++)
            if ((inner = graph_unsized(n->repeat->at[j].body)))
                return inner;
    }
    return NULL;
}

/* ---- the whole ---- */

typedef struct {
    const CutOptions *o;
    Arena *arena;
    RunSizes *sizes;
} Whole;

static Plan *cut_graph(Whole *w, const Graph *g, const Graph *above);

static Plan *plan_of_body(Whole *w, Plan *top, const Graph *body)
{
    for (int i = 0; i < top->body.n; i++)
        if (top->body.at[i]->graph == body)
            return top->body.at[i];
    Plan *p = cut_graph(w, body, top->graph);
    list_push(w->arena, &top->body, p);
    return p;
}

static void cut_repeat(Whole *w, Plan *p, Kernel *k)
{
    const Repeat *r = k->node->repeat;
    Node *n = k->node;
    k->repeat.node = n;
    k->repeat.n = r->n;
    k->repeat.body = arena_alloc(w->arena, (size_t)r->n * sizeof(Plan *) + 1);
    for (int i = 0; i < r->n; i++)
        k->repeat.body[i] = plan_of_body(w, p, r->at[i].body);
}

static Plan *cut_graph(Whole *w, const Graph *g, const Graph *above)
{
    Plan *p = arena_alloc(w->arena, sizeof *p);
    *p = (Plan){.arena = w->arena, .graph = g, .name = g->name,
                .sizes = w->sizes};
    size_t n = (size_t)g->node.n + 1;
    Cut c = {.arena = w->arena, .g = g, .o = w->o, .plan = p, .above = above};
    c.info = arena_alloc(w->arena, n * sizeof *c.info);
    c.buffer = arena_alloc(w->arena, n * sizeof *c.buffer);
    cut_groups(&c);
    cut_maps(&c);
    cut_merge(&c);
    if (w->o->on_load)
        cut_loads(&c);
    cut_kernels(&c);
    cut_levels(p);
    for (int i = 0; i < p->kernel.n; i++)
        if (p->kernel.at[i]->skeleton == SKEL_repeat)
            cut_repeat(w, p, p->kernel.at[i]);
    return p;
}

Plan *kernels_cut(const Graph *g, Arena *a, const CutOptions *o)
{
    RunSizes *sizes = arena_alloc(a, sizeof *sizes);
    Whole w = {.o = o, .arena = a, .sizes = sizes};
    struct RunSize T = {size_sym("T"), false};
    list_push(a, &sizes->at, T);
    Plan *p = cut_graph(&w, cut_operands(g, a), NULL);
    kernels_verify(p, "the cut");
    return p;
}

const Buffer *kernel_rope(const Kernel *k, const Rope *r)
{
    for (int i = 0; i < k->nin; i++)
        if (k->in[i]->kind == BUF_rope &&
            !memcmp(k->in[i]->rope, r, sizeof *r))
            return k->in[i];
    BUG("%s: rope without its table", k->name);
}

const Buffer *kernel_positions(const Kernel *k)
{
    for (int i = 0; i < k->nin; i++)
        if (k->in[i]->kind == BUF_pos)
            return k->in[i];
    BUG("%s: positions are not its own", k->name);
}
