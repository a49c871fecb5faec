/* The cut: contracts with weights: how they read, which share a kernel. */
#include "passes/kernels/cut.h"
#include <string.h>

static bool is_weight(const Node *n)
{
    return n->op == OP_weight && n->type.dtype != TYPE_f64 &&
           type_is_float(n->type.dtype);
}

/* Takes argument `side` as the weight, if it is one. */
static bool take_weight(const Node *n, int side, Contract *c)
{
    *c = (Contract){.w = n->arg[side], .x = n->arg[1 - side]};
    if (c->w->op == OP_gather && c->w->arg[1]->type.rank) {
        c->expert = c->w->dim[0];
        c->index = c->w->arg[1];
        c->w = c->w->arg[0];
    }
    return is_weight(c->w) && c->x->op != OP_weight &&
           c->x->type.dtype != TYPE_f64 && type_is_float(c->x->type.dtype);
}

/* The weight's dims: the expert and those x has are B, those not summed N. */
static bool sort_weight(const Node *n, Contract *c)
{
    const Type *t = &c->w->type;
    Pack *p = &c->pack;
    for (int i = 0; i < t->rank; i++) {
        const Dim *d = t->dim[i];
        if (dim_among(d, n->ndim, n->dim))
            continue;
        if (d == c->expert || type_dim(&c->x->type, d) >= 0)
            p->b[p->nb++] = d;
        else
            p->n[p->nn++] = d;
    }
    return p->nn && n->ndim && p->nb <= (c->index ? 1 : MAX_RANK) &&
           (!c->expert || !dim_among(c->expert, n->ndim, n->dim));
}

/* x is [B.., M.., K..]. */
static bool sort_x(const Node *n, Contract *c)
{
    const Type *t = &c->x->type;
    Pack *p = &c->pack;
    int i = 0;
    c->nm = p->nk = 0;
    if (!c->index)
        for (; i < t->rank && i < p->nb; i++)
            if (t->dim[i] != p->b[i])
                return false;
    for (; i < t->rank && !dim_among(t->dim[i], n->ndim, n->dim); i++) {
        if (dim_among(t->dim[i], p->nb, p->b))
            return false;
        c->m[c->nm++] = t->dim[i];
    }
    for (; i < t->rank; i++) {
        if (!dim_among(t->dim[i], n->ndim, n->dim))
            return false;
        p->k[p->nk++] = t->dim[i];
    }
    return p->nk == n->ndim;
}

/* x is [B.., K.., M..]: of a product over the tokens. */
static bool sort_turned(const Node *n, Contract *c)
{
    const Type *t = &c->x->type;
    Pack *p = &c->pack;
    int i = 0;
    c->nm = p->nk = 0;
    for (; i < t->rank && i < p->nb; i++)
        if (t->dim[i] != p->b[i])
            return false;
    for (; i < t->rank && dim_among(t->dim[i], n->ndim, n->dim); i++)
        p->k[p->nk++] = t->dim[i];
    for (; i < t->rank; i++) {
        if (dim_among(t->dim[i], n->ndim, n->dim) ||
            dim_among(t->dim[i], p->nb, p->b))
            return false;
        c->m[c->nm++] = t->dim[i];
    }
    c->turned = true;
    return p->nk == n->ndim && c->nm;
}

/* Rows are the index's elements; x has some of its dims, in its order. */
static bool sort_rows(Contract *c)
{
    const Type *t = &c->index->type;
    int at = 0;
    for (int i = 0; i < t->rank; i++)
        if (at < c->nm && c->m[at] == t->dim[i])
            at++;
    if (at < c->nm)
        return false;
    c->nm = t->rank;
    memcpy(c->m, t->dim, sizeof c->m);
    return true;
}

/* ---- two values ---- */

enum { FEW = 8 }; /* below so many rows, columns or sums a map is as good */

static bool is_operand(const Node *n)
{
    return type_is_float(n->type.dtype) && n->type.dtype != TYPE_f64 &&
           n->op != OP_gather;
}

/* The product of these sizes is worth it; T is. */
static bool is_many(int n, const Dim *const *d, bool known)
{
    double count = 1, size;
    for (int i = 0; i < n; i++)
        if (size_is_num(d[i]->size, &size))
            count *= size;
        else if (known)
            return false;
        else
            count *= FEW;
    return count >= FEW;
}

/* What was widened: products of the narrow ones are exact. */
static Node *narrow(Node *n)
{
    Dtype from = n->op == OP_cast ? n->arg[0]->type.dtype : TYPE_f32;
    bool half = from == TYPE_bf16 || from == TYPE_f16;
    return half && n->type.dtype == TYPE_f32 ? n->arg[0] : n;
}

/* The second value is packed as a weight would be. */
static bool take_panels(const Node *n, Contract *c)
{
    *c = (Contract){.x = narrow(n->arg[0]), .w = narrow(n->arg[1]),
                    .panels = true};
    Pack *p = &c->pack;
    return is_operand(c->x) && is_operand(c->w) && sort_weight(n, c) &&
           (sort_x(n, c) || sort_turned(n, c)) && is_many(c->nm, c->m, false) &&
           is_many(p->nn, p->n, true) && is_many(p->nk, p->k, false) &&
           (!p->nb || is_many(p->nb, p->b, true));
}

bool contract_read(const Node *n, Contract *c)
{
    for (int side = 1; side >= 0; side--)
        if (take_weight(n, side, c) && sort_weight(n, c) && sort_x(n, c) &&
            (!c->index || sort_rows(c)))
            return true;
    return take_panels(n, c);
}

bool contract_same_rows(const Contract *a, const Contract *b)
{
    return a->x == b->x && a->index == b->index && a->expert == b->expert &&
           a->turned == b->turned &&
           dims_same(a->nm, a->m, b->nm, b->m) &&
           dims_same(a->pack.nk, a->pack.k, b->pack.nk, b->pack.k) &&
           dims_same(a->pack.nb, a->pack.b, b->pack.nb, b->pack.b);
}

bool contract_joins(const Node *a, const Node *b)
{
    Contract ca, cb;
    contract_read(a, &ca);
    contract_read(b, &cb);
    return contract_same_rows(&ca, &cb) && ca.w != cb.w && !ca.panels &&
           !cb.panels &&
           dims_same(ca.pack.nn, ca.pack.n, cb.pack.nn, cb.pack.n) &&
           ca.w->type.dtype == cb.w->type.dtype;
}

/* ---- as they are stored ---- */

static Dtype stored_type(const Cut *c, const Node *w)
{
    if (!c->o->stored || c->o->moving)
        return w->type.dtype;
    /* pass `stored` has made all passes of a body alike */
    const Iteration *pass = w->slot ? graph_pass_of(c->above, c->g) : NULL;
    return kept_type(c->o->stored, c->o->user, node_weight(w, pass));
}

bool cut_joins(const Cut *c, const Node *a, const Node *b)
{
    Contract ca, cb;
    contract_read(a, &ca);
    contract_read(b, &cb);
    return contract_joins(a, b) && stored_type(c, ca.w) == stored_type(c, cb.w);
}

/* ---- rope behind the sums ---- */

enum { MANY = 9 };

static bool whole_head(const Turn *t, const Node *rope)
{
    double size;
    const Dim *hd = rope->type.dim[2];
    return hd == t->head && !rope->rope->pairs &&
           size_is_num(hd->size, &size) &&
           rope->rope->rotary == size && rope->rope->rotary / 2 % t->run == 0;
}

/* Ropes on the way from n to the hole; MANY: what else is not elementwise. */
static int ropes(const Turn *t, const Node *n, bool root)
{
    int *known = &t->known[n->id], most = 0;
    if (n == t->hole || node_kind(n) == NODE_leaf ||
        (!root && t->ends(t->user, n)))
        return 0;
    if (*known)
        return *known - 1;
    for (int i = 0; i < node_args(n); i++) {
        int own = ropes(t, n->arg[i], false);
        most = own > most ? own : most;
    }
    if (n->op == OP_rope)
        most += whole_head(t, n) ? 1 : MANY;
    else if (node_args(n) && !op_is_map(n->op) &&
             n->op != OP_expand && n->op != OP_order)
        most = MANY;
    *known = (most < MANY ? most : MANY) + 1;
    return *known - 1;
}

bool contract_turns(Turn *t, const Node *out)
{
    Contract k;
    if (!contract_read(t->hole, &k) || k.index || k.panels)
        return false;
    t->head = k.pack.n[k.pack.nn - 1];
    return ropes(t, out, true) <= 1;
}

/* ---- segments: matmuls that read one x are one kernel ---- */

static bool may_merge(Cut *c, Group *a, Group *b)
{
    Contract ca, cb;
    if (a->into || b->into || b->part.n || a->skeleton != SKEL_matmul ||
        b->skeleton != SKEL_matmul || a->part.n >= 7 || !extents_join(a, b))
        return false;
    contract_read(a->hole[0], &ca);
    contract_read(b->hole[0], &cb);
    return contract_same_rows(&ca, &cb) && !cut_reaches(c, a, b) &&
           !cut_reaches(c, b, a);
}

void cut_merge(Cut *c)
{
    for (int i = 0; i < c->group.n; i++)
        for (int j = i + 1; j < c->group.n; j++) {
            Group *a = c->group.at[i], *b = c->group.at[j];
            if (!may_merge(c, a, b))
                continue;
            b->into = a;
            extent_join(b, a);
            list_push(c->arena, &a->part, b);
        }
}

/* ---- the kernel ---- */

/* Keeps a pack's weights as they are stored, if kernels can read that. */
static void keep_stored(const Cut *c, Pack *p)
{
    Dtype t = stored_type(c, p->part[0]);
    if (t != p->part[0]->type.dtype && c->o->keeps(p, t)) {
        p->dtype = t;
        p->pair = t == TYPE_bf16 ? c->o->pair : 1;
    }
}

static Buffer *packed(Cut *c, const Group *g, const Contract *k)
{
    bool panels = k->panels || c->o->moving;
    Buffer *b = cut_buffer(c, panels ? BUF_panels : BUF_packed, k->w);
    Pack *p = &b->pack;
    *p = k->pack;
    p->parts = g->nholes;
    p->halves = g->halves;
    p->dtype = k->w->type.dtype;
    p->pair = p->dtype == TYPE_bf16 ? c->o->pair : 1;
    int vectors = c->o->vectors / p->parts;
    p->cols = c->o->lanes * (vectors > 1 ? vectors : 1);
    for (int i = 0; i < g->nholes; i++) {
        Contract part;
        contract_read(g->hole[i], &part);
        p->part[i] = part.w;
    }
    if (panels)
        cut_pack_kernel(c, b);
    else
        keep_stored(c, p);
    return b;
}

/* By the nodes' order, which is that of the text. */
static void sort_holes(Group *g)
{
    for (int i = 1; i < g->nholes; i++)
        for (int j = i; j && g->hole[j]->id < g->hole[j - 1]->id; j--) {
            Node *n = g->hole[j];
            g->hole[j] = g->hole[j - 1];
            g->hole[j - 1] = n;
        }
}

static void add_part(Cut *c, Group *g, Kernel *k, const Contract *first)
{
    Matmul *m = &k->matmul;
    MatmulPart *p = &m->part[m->nparts++];
    Contract own = *first;
    sort_holes(g);
    contract_read(g->hole[0], &own);
    p->w = packed(c, g, &own);
    memcpy(p->contract, g->hole, sizeof p->contract);
    p->first_out = k->nout;
    p->nout = g->out.n;
    kernel_reads(k, p->w);
    for (int i = 0; i < g->out.n; i++)
        kernel_writes(k, cut_stored(c, g->out.at[i]));
}

void cut_matmul_rows(Cut *c, const Contract *first, Kernel *k)
{
    Matmul *m = &k->matmul;
    m->nm = first->nm;
    m->nk = first->pack.nk;
    m->nb = first->index ? 0 : first->pack.nb;
    memcpy(m->m, first->m, sizeof m->m);
    memcpy(m->k, first->pack.k, sizeof m->k);
    memcpy(m->b, first->pack.b, sizeof m->b);
    m->x = first->x;
    m->turned = first->turned;
    m->expert = first->expert;
    m->index = first->index ? cut_stored(c, first->index) : NULL;
}

void cut_matmul_reads(Cut *c, Kernel *k, CutEnds *ends, void *user)
{
    cut_reads(c, k, 1, &k->matmul.x, ends, user);
    if (k->matmul.index)
        kernel_reads(k, k->matmul.index);
}

void cut_matmul_kernel(Cut *c, Group *g, Kernel *k)
{
    Contract first;
    contract_read(g->hole[0], &first);
    cut_matmul_rows(c, &first, k);
    cut_matmul_reads(c, k, cut_ends_tree, g);
    add_part(c, g, k, &first);
    for (int i = 0; i < g->part.n; i++)
        add_part(c, g->part.at[i], k, &first);
}
