/* The cut: which dims do not stand at the kernel's own places. */
#include "passes/kernels/cut.h"

bool moved_has(const Moved *m, const Dim *d)
{
    for (int i = 0; i < m->n; i++)
        if (m->dim[i] == d)
            return true;
    return false;
}

bool moved_add(Moved *m, const Dim *d)
{
    if (moved_has(m, d))
        return true;
    if (m->n == MAX_MOVED)
        return false;
    m->dim[m->n++] = d;
    return true;
}

void moved_drop(Moved *m, const Dim *d)
{
    for (int i = 0; i < m->n; i++)
        if (m->dim[i] == d)
            m->dim[i] = m->dim[--m->n];
}

bool moved_same(const Moved *a, const Moved *b)
{
    bool same = a->n == b->n;
    for (int i = 0; i < a->n; i++)
        same = same && moved_has(b, a->dim[i]);
    return same;
}

bool cut_moves(const Node *n, int arg, Moved *m)
{
    bool fits = true;
    if (arg == 0 && (n->op == OP_gather || n->op == OP_slice ||
                     n->op == OP_rename || n->op == OP_split ||
                     n->op == OP_cut || n->op == OP_join))
        fits = moved_add(m, n->dim[0]);
    else if (n->op == OP_join)
        fits = moved_add(m, n->dim[1]);
    for (int i = 1; n->op == OP_flatten && i < n->ndim; i++)
        fits &= moved_add(m, n->dim[i]);
    if (n->op == OP_rope)
        fits = moved_add(m, n->type.dim[2]);
    if (node_kind(n) == NODE_reduce)
        for (int i = 0; i < op_over(n); i++)
            moved_drop(m, n->dim[i]);
    return fits;
}
