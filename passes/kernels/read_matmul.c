/* The lines of a matmul's text. Its rows and packs follow from the contracts
 * that a line of weights names, but for how wide a pack is and its type. */
#include "passes/kernels/read.h"
#include <string.h>

/* What the head says is kept until a line of weights names a contract. */
void read_matmul_head(PlanReader *r)
{
    IrReader *ir = &r->ir;
    Matmul *m = &r->k->matmul;
    ir_want_word(ir, "rows");
    m->nm = read_some_dims(r, m->m);
    ir_want_word(ir, "of");
    Node *x = read_node(r);
    if (x)
        r->where[x->id] = r->loc;
    ir_want_word(ir, "over");
    m->nk = read_some_dims(r, m->k);
    Node *index = ir_word(ir, "by") ? read_node(r) : NULL;
    if (ir->failed)
        return;
    if (!index != (r->k->skeleton == SKEL_matmul))
        ir_mistake(ir, r->loc, "%s has %s index: by NODE",
                   skeleton_name[r->k->skeleton], index ? "no" : "an");
    else if (index && !index->type.index_of)
        ir_mistake(ir, r->loc, "needs an index to go by");
    else
        m->x = x;
    if (ir->failed)
        return;
    r->seen[x->id] |= SEEN_named; /* in memory, unless it gets a line (let) */
    if (index)
        m->index = cut_stored(&r->cut, index);
}

/* The head against the first contract; then the rest of what follows. */
static void begin(PlanReader *r, const Contract *c)
{
    Matmul said = r->k->matmul, *m = &r->k->matmul;
    *m = (Matmul){.nparts = 0};
    cut_matmul_rows(&r->cut, c, r->k);
    if (!dims_same(said.nm, said.m, m->nm, m->m) || said.x != m->x ||
        !dims_same(said.nk, said.k, m->nk, m->k) || said.index != m->index)
        ir_mistake(&r->ir, r->loc, "%s: its rows are not those of its first "
                   "product", r->k->name);
}

/* A | B or <A> | <B>: n nodes. */
static int read_list(PlanReader *r, bool holes, Node **out)
{
    int n = 0;
    do {
        if (n == MAX_HOLES) {
            ir_mistake(&r->ir, r->ir.now.loc, "at most %d side by side",
                       MAX_HOLES);
            return 0;
        }
        if (holes)
            ir_want(&r->ir, '<');
        out[n++] = read_node(r);
        if (holes)
            ir_want(&r->ir, '>');
    } while (!r->ir.failed && ir_sign(&r->ir, '|'));
    return r->ir.failed ? 0 : n;
}

static bool read_contract(PlanReader *r, Node *n, const Node *w, Contract *c,
                          Loc loc)
{
    NodeKind want = r->k->skeleton == SKEL_matmul ? NODE_matmul : NODE_grouped;
    if (node_kind(n) != want || !contract_read(n, c))
        return ir_mistake(&r->ir, loc, "%s is no product of a %s",
                          read_name_of(r, n), skeleton_name[r->k->skeleton]);
    if (c->w != w)
        return ir_mistake(&r->ir, loc, "the weight of %s is %s",
                          read_name_of(r, n), read_name_of(r, c->w));
    return true;
}

/* follows: the dims it must have; NULL: some. */
static void read_pack(PlanReader *r, const Pack *follows, Pack *p)
{
    IrReader *ir = &r->ir;
    *p = follows ? *follows : (Pack){.nb = 0};
    p->pair = 1;
    ir_want_word(ir, "as");
    Loc loc = ir->now.loc;
    const char *type = ir_name(ir, false, "a type");
    if (!ir->failed && !type_find(type, &p->dtype))
        ir_mistake(ir, loc, "no type is called %s", type);
    if (!follows) {
        p->nb = read_some_dims(r, p->b);
        p->nn = read_some_dims(r, p->n);
    } else {
        read_these_dims(r, p->nb, p->b);
        read_these_dims(r, p->nn, p->n);
    }
    ir_want(ir, '/');
    p->cols = ir_int(ir);
    Loc second = ir->now.loc;
    if (ir_sign(ir, '+')) {
        p->halves = true;
        if (ir_int(ir) != p->cols && !ir->failed)
            ir_mistake(ir, second, "as many of the high half");
        p->cols *= 2;
    }
    if (follows)
        read_these_dims(r, p->nk, p->k);
    else
        p->nk = read_some_dims(r, p->k);
    if (ir_sign(ir, '/'))
        p->pair = ir_int(ir);
}

/* A | B as TYPE [..][..]/n[..]: of a pack kernel */
void read_pack_head(PlanReader *r)
{
    Kernel *k = r->k;
    Node *part[MAX_HOLES];
    int n = read_list(r, false, part);
    if (!n)
        return;
    k->node = part[0];
    Buffer *b = cut_buffer(&r->cut, BUF_panels, k->node);
    read_pack(r, NULL, &b->pack);
    b->pack.parts = n;
    memcpy(b->pack.part, part, sizeof part);
    for (int i = 0; i < n; i++)
        kernel_reads(k, cut_stored(&r->cut, part[i]));
    kernel_writes(k, b);
}

static bool same_parts(const Pack *a, const Pack *b)
{
    bool same = a->parts == b->parts;
    for (int i = 0; same && i < a->parts; i++)
        same = a->part[i] == b->part[i];
    return same;
}

static bool same_form(const Pack *a, const Pack *b)
{
    return a->cols == b->cols && a->halves == b->halves &&
           a->pair == b->pair && a->dtype == b->dtype &&
           dims_same(a->nb, a->b, b->nb, b->b) &&
           dims_same(a->nn, a->n, b->nn, b->n) &&
           dims_same(a->nk, a->k, b->nk, b->k);
}

/* The panels that a kernel above has made as the pack has it. */
static Buffer *find_panels(PlanReader *r, const Pack *p, Loc loc)
{
    const Plan *plan = r->cut.plan;
    for (int i = plan->buffer.n - 1; i >= 0 && !r->ir.failed; i--) {
        Buffer *b = plan->buffer.at[i];
        const Pack *q = &b->pack;
        if (b->kind == BUF_panels && same_parts(q, p) && same_form(q, p))
            return b;
    }
    ir_mistake(&r->ir, loc, "no kernel above packs %s so",
               read_name_of(r, p->part[0]));
    return NULL;
}

static bool joins(PlanReader *r, const MatmulPart *part, int parts, Loc loc)
{
    Contract a, b;
    for (int i = 1; i < parts; i++)
        if (!contract_joins(part->contract[0], part->contract[i]))
            return ir_mistake(&r->ir, loc, "%s and %s have not the same "
                              "columns", read_name_of(r, part->contract[0]),
                              read_name_of(r, part->contract[i]));
    if (!contract_read(r->k->matmul.part[0].contract[0], &a) ||
        !contract_read(part->contract[0], &b) || !contract_same_rows(&a, &b))
        return ir_mistake(&r->ir, loc, "%s has other rows than the weights "
                          "above", read_name_of(r, part->contract[0]));
    return true;
}

/* weights A | B for <C> | <D> as TYPE [..][..]/n[..] */
void read_weights(PlanReader *r, bool panels)
{
    IrReader *ir = &r->ir;
    Matmul *m = &r->k->matmul;
    MatmulPart part = {.first_out = r->k->nout};
    Node *weight[MAX_HOLES];
    Contract c, first = {0};
    Loc loc = ir->now.loc;
    if (m->nparts == COUNT(m->part))
        ir_mistake(ir, loc, "at most %d lines of weights",
                   (int)COUNT(m->part));
    int n = read_list(r, false, weight);
    ir_want_word(ir, "for");
    loc = ir->now.loc;
    if (read_list(r, true, part.contract) != n)
        ir_mistake(ir, loc, "needs a product for each of %d weights", n);
    for (int i = 0; i < n && !ir->failed; i++)
        if (read_contract(r, part.contract[i], weight[i], &c, loc) && !i)
            first = c;
    if (!ir->failed && first.panels && (!panels || n > 1))
        ir_mistake(ir, loc, "needs panels of one value");
    if (ir->failed)
        return;
    if (!m->nparts)
        begin(r, &first);
    m->part[m->nparts] = part;
    if (!joins(r, &m->part[m->nparts], n, loc))
        return;
    Pack pack;
    read_pack(r, &first.pack, &pack);
    pack.parts = n;
    memcpy(pack.part, weight, sizeof weight);
    part.w = panels ? find_panels(r, &pack, loc)
                    : cut_buffer(&r->cut, BUF_packed, first.w);
    if (!part.w)
        return;
    part.w->pack = pack;
    m->part[m->nparts++] = part;
}

/* Which results are whose; all that is read, in its order. */
void read_matmul_end(PlanReader *r)
{
    Matmul *m = &r->k->matmul;
    cut_matmul_reads(&r->cut, r->k, plan_ends, r);
    for (int i = 0; i < m->nparts; i++)
        kernel_reads(r->k, m->part[i].w);
    read_trees(r);
    for (int i = 0; i < m->nparts; i++) {
        int end = i + 1 < m->nparts ? m->part[i + 1].first_out : r->k->nout;
        m->part[i].nout = end - m->part[i].first_out;
    }
    if (r->k->skeleton != SKEL_grouped)
        return;
    m->route = cut_find_route(r->cut.plan, m->index->node);
    if (m->route)
        kernel_reads(r->k, m->route);
    else
        ir_mistake(&r->ir, r->loc, "no route of %s stands before %s",
                   read_name_of(r, m->index->node), r->k->name);
}
