/* Type rules of parts of dims, and of attention. */
#include "compiler/graph/type_rules.h"
#include <math.h>
#include <string.h>

bool size_lies_within(const Size *from, const Size *n, const Size *whole)
{
    double first, left;
    if (size_is_num(from, &first) && (first < 0 || first != floor(first)))
        return false;
    return !size_is_num(size_sub(whole, size_add(from, n)), &left) ||
           left >= 0;
}

const char *rule_cut(const Node *n, Type *out)
{
    *out = n->arg[0]->type;
    int at = n->ndim == 2 ? type_dim(out, n->dim[0]) : -1;
    if (at < 0 || type_dim(out, n->dim[1]) >= 0)
        return "a dim of its argument and a new one";
    if (!n->size ||
        !size_lies_within(n->size, n->dim[1]->size, n->dim[0]->size))
        return "a part that lies within the dim";
    out->dim[at] = n->dim[1];
    return NULL;
}

const char *rule_join(const Node *n, Type *out)
{
    const Type *b = &n->arg[1]->type;
    *out = n->arg[0]->type;
    int at = n->ndim == 3 ? type_dim(out, n->dim[0]) : -1;
    if (at < 0 || type_dim(b, n->dim[1]) < 0)
        return "a dim of each argument and a new one";
    if (size_add(n->dim[0]->size, n->dim[1]->size) != n->dim[2]->size)
        return "a new dim as long as both";
    if (type_dim(out, n->dim[2]) >= 0 || type_dim(b, n->dim[2]) >= 0)
        return "a new dim";
    if (out->rank != b->rank)
        return "arguments with the same other dims";
    for (int i = 0; i < b->rank; i++)
        if (b->dim[i] != n->dim[1] && type_dim(out, b->dim[i]) < 0)
            return "arguments with the same other dims";
    if (out->index_of != b->index_of)
        return "two indices of one dim, or none";
    if (out->dtype != b->dtype)
        out->dtype = type_wider(out->dtype, b->dtype);
    out->dim[at] = n->dim[2];
    return NULL;
}

/* What the ops that attend take besides q, k, v. */
static const char *attend_extra(const Node *n)
{
    const Dim *H = n->arg[0]->type.dim[1];
    const Type *t = n->arg[3] ? &n->arg[3]->type : NULL;
    if (!(n->num >= 0))
        return "a cap of at least 0";
    if (n->name && (strcmp(n->name, "chunk") || !n->size))
        return "no name but \"chunk\", with a size";
    if (n->op == OP_attend)
        return NULL;
    if (n->op == OP_attend_bias)
        return t->rank == 2 && t->dim[0] == H
                   ? NULL : "a bias [H, steps back]";
    return t->rank == 1 && t->dim[0] == H ? NULL : "a number for each of H";
}

const char *rule_attend(const Node *n, Type *out)
{
    const Type *q = &n->arg[0]->type, *k = &n->arg[1]->type,
               *v = &n->arg[2]->type;
    if (q->rank != 3 || k->rank != 3 || v->rank != 3)
        return "q [T, H, hd], k and v [T, G, hd]";
    if (k->dim[0] != q->dim[0] || v->dim[0] != q->dim[0] ||
        v->dim[1] != k->dim[1] || k->dim[2] != q->dim[2])
        return "q, k, v with one T and hd, k and v with one G";
    double H, G;
    if (size_is_num(q->dim[1]->size, &H) && size_is_num(k->dim[1]->size, &G) &&
        fmod(H, G) != 0)
        return "query heads that the key heads divide";
    double window;
    if (n->size && size_is_num(n->size, &window) && window < 1)
        return "a window of 1 or more";
    *out = *q;
    out->dim[2] = v->dim[2];
    return attend_extra(n);
}
