/* The comment above a CUDA function: what it computes, as the language writes
 * it, its shapes and its grid. */
#include "codegen/cuda/cuda_text.h"
#include <string.h>

const char *cu_short_name(const Cu *c, const Node *n)
{
    const Iteration *pass = c->above && n->slot
                                ? graph_pass_of(c->above, c->plan->graph)
                                : NULL;
    const Weight *w = node_weight(n, pass);
    if (n->op == OP_input)
        return n->name;
    if (w) {
        const char *dot = strrchr(w->path, '.');
        return dot ? dot + 1 : w->path;
    }
    if (n->label)
        return n->label;
    return n->slot ? intern_printf("w%d", n->slot)
                   : intern_printf("v%d", n->id);
}

/* Operations that a comment tells of: what is read twice is written twice. */
enum { MOST_TOLD = 100 };

static const char *rule(Cu *c, const Node *n, bool root, int inside);

/* As the language writes it: max(top, k), sums by the names of dims. */
static const char *call_rule(Cu *c, const Node *n)
{
    const char *s = cu_text(c, "%s(", op_info[n->op].name);
    for (int i = 0; i < node_args(n); i++)
        s = cu_text(c, "%s%s%s", s, i ? ", " : "",
                    rule(c, n->arg[i], false, 0));
    for (int i = 0; i < n->ndim; i++)
        s = cu_text(c, "%s, %s", s, n->dim[i]->name);
    return cu_text(c, "%s)", s);
}

static const Node *weight_of(const Node *n)
{
    return n->op == OP_gather ? n->arg[0] : n;
}

static const char *product_rule(Cu *c, const Node *n, int inside)
{
    const Node *x = weight_of(n->arg[0]), *w = weight_of(n->arg[1]);
    const char *s = cu_text(c, "%s @ %s", cu_short_name(c, x),
                            cu_short_name(c, w));
    return inside ? cu_text(c, "(%s)", s) : s;
}

static const char *rule(Cu *c, const Node *n, bool root, int inside)
{
    bool matmul = c->kernel->skeleton == SKEL_matmul ||
                  c->kernel->skeleton == SKEL_grouped;
    if (c->told > MOST_TOLD)
        return "..";
    if (matmul && kernel_hole(c->kernel, n))
        return product_rule(c, n, inside);
    if (kernel_leaf(c->kernel, n) && !root)
        return cu_short_name(c, n);
    if (n->op == OP_number)
        return cu_text(c, "%g", n->num);
    if (n->op == OP_scalar)
        return size_text(n->size);
    if (c->told++ == MOST_TOLD)
        return "..";
    const char *sign = node_args(n) == 2 ? op_info[n->op].sign : NULL;
    if (!sign)
        return call_rule(c, n);
    int level = strchr("+-", *sign) ? 1 : strchr("*/", *sign) ? 2 : 0;
    int left = level ? level : 3;
    const char *s = cu_text(c, "%s %s %s", rule(c, n->arg[0], false, left),
                            sign, rule(c, n->arg[1], false, left + 1));
    return inside > level ? cu_text(c, "(%s)", s) : s;
}

/* A line of a comment, broken at blanks. */
static void comment(FILE *out, const char *s)
{
    const char *lead = " * ";
    size_t room = 76;
    while (strlen(s) > room) {
        size_t at = room;
        while (at > 20 && s[at] != ' ')
            at--;
        if (s[at] != ' ')
            break;
        fprintf(out, "%s%.*s\n", lead, (int)at, s);
        s += at + 1;
        lead = " *     ";
        room = 72;
    }
    fprintf(out, "%s%s\n", lead, s);
}

static const char *what_is(const CudaKernel *k)
{
    static const char *const what[] = {
        [SKEL_map] = "rows", [SKEL_matmul] = "matmul",
        [SKEL_grouped] = "rows by expert", [SKEL_route] = "elements by expert",
        [SKEL_attend] = "attention", [SKEL_scatter] = "sums by index",
        [SKEL_call] = "elements", [SKEL_pack] = "a value as a matmul reads it",
        [SKEL_repeat] = "no passes"};
    return k->append ? "keys and values to their caches"
                     : what[k->kernel->skeleton];
}

/* What a matmul has to do at least. */
static void work(Cu *c, FILE *out)
{
    const Matmul *m = &c->kernel->matmul;
    const Size *rows = size_mul(cu_size_of(m->nb, m->b),
                                cu_size_of(m->nm, m->m));
    const Size *n = size_num(0), *w = size_num(0);
    for (int i = 0; i < m->nparts; i++) {
        const Pack *p = &m->part[i].w->pack;
        const Size *each = size_mul(cu_size_of(p->nn, p->n),
                                    cu_size_of(p->nk, p->k));
        const Size *all = size_mul(each, cu_size_of(p->nb, p->b));
        double bytes = (double)type_bytes(p->dtype, p->parts);
        n = size_add(n, size_mul(size_num(2 * p->parts), each));
        w = size_add(w, size_mul(size_num(bytes), all));
    }
    n = size_mul(n, rows);
    comment(out, cu_text(c, "%s flops, %s bytes of weights; tiles of %s",
                         size_text(n), size_text(w), c->tile));
}

void cu_head(Cu *c, FILE *out)
{
    const CudaKernel *k = c->to;
    int n = k->append ? 0 : k->kernel->nout;
    fprintf(out, "\n/* %s:\n", what_is(k));
    for (int i = 0; i < n; i++) {
        const Buffer *b = c->kernel->out[i];
        c->told = 0;
        const char *is = b->kind == BUF_route ? "offset[E + 1], then order"
                                              : rule(c, b->node, true, 0);
        comment(out, cu_text(c, "%s: %s = %s", c->arg[c->kernel->nin + i],
                             type_text(&b->type), is));
    }
    if (c->tile)
        work(c, out);
    fprintf(out, " * grid %s", c->grid[0]);
    for (int i = 1; i < 3; i++)
        fprintf(out, ", %s", c->grid[i] ? c->grid[i] : "1");
    fprintf(out, "; %d threads, %d bytes shared */\n", k->threads, k->shared);
}
