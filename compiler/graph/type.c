/* Dims and types, and each op's type rule: what it asks of its arguments and
 * what it gives. A rule returns why it refuses, or NULL. */
#include "compiler/graph/type_rules.h"
#include <math.h>
#include <string.h>

const Dim *dim_new(const char *name, const Size *size)
{
    static Arena kept;
    static int count;
    Dim *d = arena_alloc(&kept, sizeof *d);
    *d = (Dim){intern(name), size, ++count};
    return d;
}

int type_dim(const Type *t, const Dim *d)
{
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i] == d)
            return i;
    return -1;
}

bool type_has(const Type *t, int n, const Dim *const *d)
{
    bool has = t->rank == n;
    for (int i = 0; has && i < n; i++)
        has = type_dim(t, d[i]) >= 0;
    return has;
}

bool dim_among(const Dim *d, int n, const Dim *const *list)
{
    for (int i = 0; i < n; i++)
        if (list[i] == d)
            return true;
    return false;
}

bool dims_same(int n, const Dim *const *a, int m, const Dim *const *b)
{
    return n == m && !memcmp(a, b, (size_t)n * sizeof *a);
}

bool type_same(const Type *a, const Type *b)
{
    return a->dtype == b->dtype && a->index_of == b->index_of &&
           dims_same(a->rank, a->dim, b->rank, b->dim);
}

int64_t type_count(const Type *t, int64_t T)
{
    const int64_t most = (int64_t)1 << 56;
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(n, size_at(t->dim[i]->size, T), &n) ||
            n > most)
            n = most;
    return n;
}

const char *type_text(const Type *t)
{
    char text[512];
    int at = snprintf(text, sizeof text, "%s", type_info[t->dtype].name);
    for (int i = 0; i < t->rank; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "%s%s",
                       i ? ", " : "[", t->dim[i]->name);
    if (t->rank)
        at += snprintf(text + at, sizeof text - (size_t)at, "]");
    if (t->index_of)
        snprintf(text + at, sizeof text - (size_t)at, ": %s",
                 t->index_of->name);
    return intern(text);
}

/* ---- helpers of the rules ---- */

static bool add_dim(Type *t, const Dim *d)
{
    if (t->rank == MAX_RANK || type_dim(t, d) >= 0)
        return false;
    t->dim[t->rank++] = d;
    return true;
}

static bool has_dim(const Node *n, const Dim *d)
{
    for (int i = 0; i < n->ndim; i++)
        if (n->dim[i] == d)
            return true;
    return false;
}

static const char *all_in(const Node *n, const Type *t)
{
    for (int i = 0; i < n->ndim; i++) {
        if (type_dim(t, n->dim[i]) < 0)
            return "dims that its argument has";
        for (int j = 0; j < i; j++)
            if (n->dim[i] == n->dim[j])
                return "each dim once";
    }
    return NULL;
}

static int width(Dtype t)
{
    return t == TYPE_f64 ? 4 : t == TYPE_f32 ? 3 : type_is_float(t) ? 2 : 0;
}

Dtype type_wider(Dtype a, Dtype b)
{
    if (!type_is_float(a))
        return type_is_float(b) ? b : TYPE_f32;
    if (!type_is_float(b) || a == b)
        return a;
    if (width(a) == width(b))
        return TYPE_f32;
    return width(a) > width(b) ? a : b;
}

/* The dims of all arguments: those of the widest, then what others add. */
static const char *join(const Node *n, Type *out)
{
    int widest = 0;
    for (int i = 1; i < node_args(n); i++)
        if (n->arg[i]->type.rank > n->arg[widest]->type.rank)
            widest = i;
    const Type *w = &n->arg[widest]->type;
    out->rank = w->rank;
    memcpy(out->dim, w->dim, sizeof w->dim);
    for (int i = 0; i < node_args(n); i++)
        for (int j = 0; j < n->arg[i]->type.rank; j++)
            if (type_dim(out, n->arg[i]->type.dim[j]) < 0 &&
                !add_dim(out, n->arg[i]->type.dim[j]))
                return "at most 8 dims";
    return NULL;
}

/* ---- rules ---- */

static const char *rule_declared(const Node *n, Type *out)
{
    *out = n->type;
    return NULL;
}

static const char *rule_one(const Node *n, Type *out)
{
    *out = n->type;
    return out->rank ? "to be one number" : NULL;
}

static const char *rule_index(const Node *n, Type *out)
{
    *out = n->type;
    return n->ndim == 1 && out->rank == 1 && out->dim[0] == n->dim[0] &&
                   out->index_of == n->dim[0]
               ? NULL
               : "to be an index of its dim over that dim";
}

static const char *rule_position(const Node *n, Type *out)
{
    *out = n->type;
    return n->ndim == 1 && out->rank == 1 && out->dim[0] == n->dim[0] &&
                   (out->index_of || type_is_float(out->dtype))
               ? NULL
               : "to be a place for each of its dim";
}

static const char *rule_map(const Node *n, Type *out)
{
    out->dtype = n->arg[0]->type.dtype;
    for (int i = 0; i < node_args(n); i++)
        out->dtype = type_wider(out->dtype, n->arg[i]->type.dtype);
    return join(n, out);
}

static const char *rule_truth(const Node *n, Type *out)
{
    out->dtype = TYPE_bool;
    return join(n, out);
}

static const char *rule_select(const Node *n, Type *out)
{
    const Type *a = &n->arg[1]->type, *b = &n->arg[2]->type;
    out->dtype = a->dtype == b->dtype ? a->dtype
                                      : type_wider(a->dtype, b->dtype);
    out->index_of = a->index_of == b->index_of ? a->index_of : NULL;
    return join(n, out);
}

static const char *rule_cast(const Node *n, Type *out)
{
    *out = n->arg[0]->type;
    out->dtype = (Dtype)n->num;
    out->index_of = NULL;
    return type_is_float(out->dtype) ? NULL : "a float type";
}

static const char *rule_same(const Node *n, Type *out)
{
    *out = n->arg[0]->type;
    return NULL;
}

static const char *rule_along(const Node *n, Type *out)
{
    rule_same(n, out);
    out->index_of = NULL;
    out->dtype = type_wider(out->dtype, out->dtype);
    return all_in(n, out);
}

static const char *rule_reduce(const Node *n, Type *out)
{
    const Type *a = &n->arg[0]->type;
    out->dtype = type_wider(a->dtype, a->dtype);
    for (int i = 0; i < a->rank; i++)
        if (!has_dim(n, a->dim[i]))
            add_dim(out, a->dim[i]);
    return all_in(n, a);
}

static const char *rule_topk(const Node *n, Type *out)
{
    const Type *a = &n->arg[0]->type;
    if (n->ndim != 2 || type_dim(a, n->dim[0]) < 0)
        return "a dim of its argument, and a new one";
    out->dtype = TYPE_i32;
    out->index_of = n->dim[0];
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != n->dim[0])
            add_dim(out, a->dim[i]);
    return add_dim(out, n->dim[1]) ? NULL : "a new dim";
}

static const char *rule_largest(const Node *n, Type *out)
{
    if (n->arg[1]->type.rank)
        return "a scalar share";
    *out = n->arg[0]->type;
    return all_in(n, out);
}

static const char *rule_rank(const Node *n, Type *out)
{
    *out = n->arg[0]->type;
    out->dtype = TYPE_f32;
    out->index_of = NULL;
    return all_in(n, out);
}

static const char *rule_onehot(const Node *n, Type *out)
{
    *out = n->arg[0]->type;
    if (!out->index_of || n->ndim != 1 || n->dim[0] != out->index_of)
        return "an index, and the dim it points into";
    out->dtype = TYPE_f32;
    out->index_of = NULL;
    return add_dim(out, n->dim[0]) ? NULL : "an index without that dim";
}

static const char *rule_place(const Node *n, Type *out)
{
    *out = n->arg[0]->type;
    if (!out->index_of || out->rank != 2)
        return "an index [T, k]";
    out->dtype = TYPE_f32;
    out->index_of = NULL;
    return NULL;
}

static const char *rule_contract(const Node *n, Type *out)
{
    const Type *a = &n->arg[0]->type, *b = &n->arg[1]->type;
    out->dtype = type_wider(a->dtype, b->dtype);
    for (int i = 0; i < a->rank; i++)
        if (!has_dim(n, a->dim[i]) && !add_dim(out, a->dim[i]))
            return "at most 8 dims";
    for (int i = 0; i < b->rank; i++)
        if (!has_dim(n, b->dim[i]) && type_dim(out, b->dim[i]) < 0 &&
            !add_dim(out, b->dim[i]))
            return "at most 8 dims";
    const char *why = all_in(n, a);
    return why ? why : all_in(n, b);
}

static const char *rule_gather(const Node *n, Type *out)
{
    const Type *a = &n->arg[0]->type, *b = &n->arg[1]->type;
    if (n->ndim != 1 || type_dim(a, n->dim[0]) < 0)
        return "a dim of its first argument";
    if (b->index_of ? b->index_of != n->dim[0] : b->rank != 0)
        return "an index of that dim";
    out->dtype = a->dtype;
    out->index_of = a->index_of;
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] != n->dim[0]) {
            if (!add_dim(out, a->dim[i]))
                return "at most 8 dims";
            continue;
        }
        for (int j = 0; j < b->rank; j++)
            if (type_dim(a, b->dim[j]) < 0 || b->dim[j] == n->dim[0])
                if (!add_dim(out, b->dim[j]))
                    return "at most 8 dims";
    }
    return NULL;
}

static const char *rule_scatter(const Node *n, Type *out)
{
    const Type *a = &n->arg[0]->type, *b = &n->arg[1]->type;
    if (n->ndim != 1 || b->index_of != n->dim[0])
        return "an index of its dim";
    out->dtype = type_wider(a->dtype, a->dtype);
    add_dim(out, n->dim[0]);
    for (int i = 0; i < b->rank; i++)
        if (type_dim(a, b->dim[i]) < 0)
            return "values with the index's dims";
    for (int i = 0; i < a->rank; i++)
        if (type_dim(b, a->dim[i]) < 0 && !add_dim(out, a->dim[i]))
            return "values without its dim";
    return NULL;
}

static const char *rule_expand(const Node *n, Type *out)
{
    const Type *a = &n->arg[0]->type;
    out->dtype = a->dtype;
    out->index_of = a->index_of;
    for (int i = 0; i < n->ndim; i++)
        if (!add_dim(out, n->dim[i]))
            return "new dims";
    for (int i = 0; i < a->rank; i++)
        if (!add_dim(out, a->dim[i]))
            return "new dims";
    return NULL;
}

static const char *rule_order(const Node *n, Type *out)
{
    *out = n->arg[0]->type;
    if (n->ndim != out->rank || all_in(n, out))
        return "all dims of its argument once";
    memcpy(out->dim, n->dim, sizeof out->dim);
    return NULL;
}

static const char *rule_flatten(const Node *n, Type *out)
{
    const Type *a = &n->arg[0]->type;
    int at = n->ndim > 1 ? type_dim(a, n->dim[1]) : -1;
    const Size *size = size_num(1);
    if (at < 0 || at + n->ndim - 1 > a->rank)
        return "dims of its argument";
    for (int i = 1; i < n->ndim; i++) {
        if (a->dim[at + i - 1] != n->dim[i])
            return "dims that stand side by side";
        size = size_mul(size, n->dim[i]->size);
    }
    if (size != n->dim[0]->size)
        return "a dim of the product's size";
    out->dtype = a->dtype;
    out->index_of = a->index_of;
    for (int i = 0; i < a->rank; i++)
        if (i == at ? !add_dim(out, n->dim[0])
                    : (i < at || i >= at + n->ndim - 1) &&
                          !add_dim(out, a->dim[i]))
            return "a new dim";
    return NULL;
}

static const char *rule_split(const Node *n, Type *out)
{
    const Type *a = &n->arg[0]->type;
    const Size *size = size_num(1);
    for (int i = 1; i < n->ndim; i++)
        size = size_mul(size, n->dim[i]->size);
    if (n->ndim < 2 || type_dim(a, n->dim[0]) < 0 || size != n->dim[0]->size)
        return "a dim of its argument and dims whose product it is";
    out->dtype = a->dtype;
    out->index_of = a->index_of;
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] != n->dim[0] && !add_dim(out, a->dim[i]))
            return "new dims";
        for (int j = 1; a->dim[i] == n->dim[0] && j < n->ndim; j++)
            if (!add_dim(out, n->dim[j]))
                return "new dims";
    }
    return NULL;
}

static const char *rule_slice(const Node *n, Type *out)
{
    const Type *a = &n->arg[0]->type;
    double size;
    if (n->ndim != 1 || type_dim(a, n->dim[0]) < 0)
        return "a dim of its argument";
    if (n->num < 0 || (size_is_num(n->dim[0]->size, &size) && n->num >= size))
        return "a position within the dim";
    if (n->num != floor(n->num))
        return "a whole position";
    out->dtype = a->dtype;
    out->index_of = a->index_of;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != n->dim[0])
            add_dim(out, a->dim[i]);
    return NULL;
}

static const char *rule_rename(const Node *n, Type *out)
{
    *out = n->arg[0]->type;
    int at = n->ndim == 2 ? type_dim(out, n->dim[0]) : -1;
    if (at < 0 || type_dim(out, n->dim[1]) >= 0 ||
        n->dim[0]->size != n->dim[1]->size)
        return "a dim of its argument and a new one of its size";
    out->dim[at] = n->dim[1];
    return NULL;
}

static const char *rule_rope(const Node *n, Type *out)
{
    *out = n->arg[0]->type;
    return out->rank == 3 ? NULL : "an argument [T, H, hd]";
}

static const char *rule_repeat(const Node *n, Type *out)
{
    *out = n->arg[0]->type;
    return n->repeat ? NULL : "a table of bodies";
}

/* ---- what a repeat has besides x and y ---- */

const Type *repeat_output(const Repeat *r, const char *name, int *passes)
{
    const Type *type = NULL;
    *passes = 0;
    for (int i = 0; i < r->n; i++) {
        const Node *n = graph_find_output(r->at[i].body, name);
        *passes += n != NULL;
        if (n && !type)
            type = &n->type;
    }
    return type;
}

static const char *rule_result(const Node *n, Type *out)
{
    const Repeat *r = n->arg[0]->repeat;
    int passes;
    for (int i = 0; r && i < r->nin; i++)
        if (r->in[i].next && !strcmp(r->in[i].next, n->name)) {
            *out = n->arg[0]->arg[1 + i]->type;
            return NULL;
        }
    for (int i = 0; r && i < r->nout; i++) {
        if (strcmp(r->out[i].name, n->name))
            continue;
        const Type *each = repeat_output(r, n->name, &passes);
        if (!each || each->rank == MAX_RANK)
            return "a body's output of fewer dims";
        *out = *each;
        out->rank++;
        out->dim[0] = r->out[i].dim;
        for (int j = 0; j < each->rank; j++)
            out->dim[1 + j] = each->dim[j];
        return NULL;
    }
    return "a repeat that has a result of its name";
}

const char *op_type(const Node *n, Type *type)
{
    static const char *(*const rule[OP_COUNT])(const Node *, Type *) = {
#define MAP(name, nargs, r, ...) rule_##r,
#define OP(name, nargs, class, r, ...) rule_##r,
#include "compiler/graph/ops.def"
#undef MAP
#undef OP
    };
    for (int i = 0; i < node_args(n); i++)
        if (!n->arg[i])
            return "all its arguments";
    Type t = {0};
    const char *why = rule[n->op](n, &t);
    if (!why)
        *type = t;
    return why;
}
