/* Type rules of what training adds: gradients of gathered weights, the loss at
 * the head, attention's gradients, rounding by chance. */
#include "compiler/graph/type_rules.h"
#include <string.h>

static bool put(Type *t, const Dim *d)
{
    if (type_dim(t, d) >= 0)
        return true;
    if (t->rank == MAX_RANK)
        return false;
    t->dim[t->rank++] = d;
    return true;
}

static Dtype at_least_f32(Dtype t)
{
    return type_wider(TYPE_f32, t);
}

/* ---- gathered weights ---- */

const char *rule_collect(const Node *n, Type *out)
{
    const Type *a = &n->arg[0]->type, *b = &n->arg[1]->type,
               *index = &n->arg[2]->type;
    if (index->index_of != n->dim[0])
        return "an index of its dim";
    for (int i = 0; i < index->rank; i++)
        if (type_dim(a, index->dim[i]) < 0 && type_dim(b, index->dim[i]) < 0)
            return "values with the index's dims";
    for (int i = 1; i < n->ndim; i++)
        if (type_dim(a, n->dim[i]) < 0 && type_dim(b, n->dim[i]) < 0)
            return "dims that its arguments have";
    out->dtype = at_least_f32(type_wider(a->dtype, b->dtype));
    put(out, n->dim[0]);
    for (int k = 0; k < 2; k++) {
        const Type *t = &n->arg[k]->type;
        if (type_dim(t, n->dim[0]) >= 0)
            return "values without its dim";
        for (int i = 0; i < t->rank; i++)
            if (type_dim(index, t->dim[i]) < 0 &&
                !dim_among(t->dim[i], n->ndim - 1, n->dim + 1) &&
                !put(out, t->dim[i]))
                return "at most 8 dims";
    }
    return NULL;
}

/* ---- the head's loss ---- */

/* Of x, w, label and a number for each label. */
static const char *head(const Node *n)
{
    const Type *x = &n->arg[0]->type, *w = &n->arg[1]->type,
               *label = &n->arg[2]->type, *each = &n->arg[3]->type;
    if (!label->index_of || type_dim(w, label->index_of) < 0 ||
        type_dim(x, label->index_of) >= 0)
        return "labels that are an index of a dim of w";
    if (w->rank != n->ndim + 1 || x->rank != n->ndim + label->rank)
        return "x with the labels' dims and those summed, w with these and V";
    for (int i = 0; i < n->ndim; i++)
        if (type_dim(x, n->dim[i]) < 0 || type_dim(w, n->dim[i]) < 0)
            return "dims to sum that x and w have";
    for (int i = 0; i < label->rank; i++)
        if (type_dim(x, label->dim[i]) < 0 || type_dim(w, label->dim[i]) >= 0)
            return "x with the labels' dims";
    return type_has(each, label->rank, label->dim)
               ? NULL : "a number for each label";
}

const char *rule_nll(const Node *n, Type *out)
{
    *out = n->arg[2]->type;
    out->index_of = NULL;
    out->dtype = at_least_f32(n->arg[0]->type.dtype);
    return head(n);
}

const char *rule_nll_dx(const Node *n, Type *out)
{
    *out = n->arg[0]->type;
    return head(n);
}

const char *rule_nll_dw(const Node *n, Type *out)
{
    *out = n->arg[1]->type;
    out->dtype = at_least_f32(out->dtype);
    return head(n);
}

/* ---- attention's gradients ---- */

/* The score that `more` has for each of H, and the pieces that are seen. */
static const char *scores(const Node *n, const Node *more)
{
    const Type *q = &n->arg[0]->type, *k = &n->arg[1]->type, *m = &more->type;
    if (q->rank != 3 || k->rank != 3 || k->dim[0] != q->dim[0] ||
        k->dim[2] != q->dim[2])
        return "q [T, H, hd], k [T, G, hd]";
    if (m->rank > 2 || (m->rank && m->dim[0] != q->dim[1]))
        return "[H], [H, R] or one number more";
    if (n->name && (strcmp(n->name, "chunk") || !n->size))
        return "no name but \"chunk\", with a size";
    return n->num >= 0 ? NULL : "a cap of at least 0";
}

const char *rule_attend_lse(const Node *n, Type *out)
{
    const Type *q = &n->arg[0]->type;
    out->dtype = at_least_f32(q->dtype);
    out->rank = 2;
    memcpy(out->dim, q->dim, 2 * sizeof *q->dim);
    return scores(n, n->arg[2]);
}

const char *rule_attend_back(const Node *n, Type *out)
{
    enum { Q, K, V, Y, LSE, G, MORE };
    const Type *q = &n->arg[Q]->type, *k = &n->arg[K]->type,
               *v = &n->arg[V]->type, *y = &n->arg[Y]->type,
               *lse = &n->arg[LSE]->type, *g = &n->arg[G]->type;
    const char *why = scores(n, n->arg[MORE]);
    if (why)
        return why;
    if (v->rank != 3 || v->dim[0] != k->dim[0] || v->dim[1] != k->dim[1])
        return "k and v with one T and G";
    if (y->rank != 3 || y->dim[0] != q->dim[0] || y->dim[1] != q->dim[1] ||
        y->dim[2] != v->dim[2] ||
        !dims_same(y->rank, y->dim, g->rank, g->dim))
        return "y and its gradient [T, H, vd]";
    if (!dims_same(lse->rank, lse->dim, 2, q->dim))
        return "a number for each of [T, H]";
    *out = n->op == OP_attend_dq ? *q : n->op == OP_attend_dk ? *k
           : n->op == OP_attend_dv ? *v : n->arg[MORE]->type;
    if (n->op == OP_attend_dmore)
        out->dtype = at_least_f32(out->dtype);
    return NULL;
}

/* ---- rounding ---- */

const char *rule_round_random(const Node *n, Type *out)
{
    *out = n->arg[0]->type;
    out->dtype = TYPE_bf16;
    if (n->arg[1]->type.rank || n->arg[2]->type.rank)
        return "one step and one tensor's number";
    return type_is_float(n->arg[0]->type.dtype) ? NULL : "floats";
}
