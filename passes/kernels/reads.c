/* What a kernel reads: the buffers where its trees end, in order, and the
 * tables that are in none of the nodes. */
#include "passes/kernels/cut.h"
#include <string.h>

Kernel *kernel_new(Arena *a)
{
    Kernel *k = arena_alloc(a, sizeof *k);
    k->arena = a;
    return k;
}

/* The list with b as its n-th; its room is 4, 8, 16, ... */
static Buffer **with(Arena *a, Buffer **list, int n, Buffer *b)
{
    if (n == 0 || (n >= 4 && !(n & (n - 1)))) {
        size_t room = n ? 2 * (size_t)n : 4;
        Buffer **more = arena_alloc(a, room * sizeof *more);
        if (n)
            memcpy(more, list, (size_t)n * sizeof *more);
        list = more;
    }
    list[n] = b;
    return list;
}

void kernel_reads_also(Kernel *k, Buffer *b)
{
    k->in = with(k->arena, k->in, k->nin, b);
    k->nin++;
}

void kernel_reads(Kernel *k, Buffer *b)
{
    for (int i = 0; i < k->nin; i++)
        if (k->in[i] == b)
            return;
    kernel_reads_also(k, b);
}

void kernel_writes(Kernel *k, Buffer *b)
{
    k->out = with(k->arena, k->out, k->nout, b);
    k->nout++;
}

static bool same_rope(const Rope *a, const Rope *b)
{
    return a == b || !memcmp(a, b, sizeof *a);
}

/* The table of a rope, shared by all of the plan's kernels. */
static Buffer *rope_table(Cut *c, const Node *n)
{
    Plan *p = c->plan;
    for (int i = 0; i < p->buffer.n; i++)
        if (p->buffer.at[i]->kind == BUF_rope &&
            same_rope(p->buffer.at[i]->rope, n->rope))
            return p->buffer.at[i];
    Buffer *b = cut_buffer(c, BUF_rope, NULL);
    b->rope = n->rope;
    b->type = (Type){.dtype = TYPE_f32, .rank = 3};
    b->type.dim[0] = dim_new("part", size_num(2));
    b->type.dim[1] = n->type.dim[0];
    b->type.dim[2] = dim_new("angle", size_num(n->rope->rotary / 2));
    return b;
}

Buffer *cut_positions(Cut *c, const Dim *T)
{
    Plan *p = c->plan;
    for (int i = 0; i < p->buffer.n; i++)
        if (p->buffer.at[i]->kind == BUF_pos)
            return p->buffer.at[i];
    Buffer *b = cut_buffer(c, BUF_pos, NULL);
    b->type = (Type){.dtype = TYPE_i32, .rank = 1, .dim = {T}};
    return b;
}

/* ---- trees ---- */

typedef struct {
    Cut *c;
    Kernel *k;
    CutEnds *ends;
    void *user;
    bool *seen;
} Reader;

static void read_tree(Reader *r, Node *n)
{
    if (r->seen[n->id])
        return;
    r->seen[n->id] = true;
    if (kernel_hole(r->k, n))
        return;
    if (r->ends(r->c, n, r->user)) {
        kernel_reads(r->k, cut_stored(r->c, n));
        return;
    }
    if (n->op == OP_rope)
        kernel_reads(r->k, rope_table(r->c, n));
    if (n->op == OP_position)
        kernel_reads(r->k, cut_positions(r->c, n->dim[0]));
    for (int i = 0; i < node_args(n); i++)
        read_tree(r, n->arg[i]);
}

void cut_reads(Cut *c, Kernel *k, int n, Node *const *root, CutEnds *ends,
               void *user)
{
    size_t nodes = (size_t)c->g->node.n;
    Reader r = {c, k, ends, user, arena_alloc(c->arena, nodes)};
    for (int i = 0; i < n; i++)
        read_tree(&r, root[i]);
}
