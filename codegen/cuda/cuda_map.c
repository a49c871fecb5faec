/* Skeleton map as CUDA C: a thread a row where rows are single elements or the
 * cut wants neighbouring rows side by side, else a warp a row. */
#include "codegen/cuda/cuda_text.h"

enum { MOST_LOCALS = 64, WARPS = 8 };

/* What a row computes once. */
typedef struct {
    const Node *node;
    const char *a, *b; /* the sum or largest; of a softmax largest and sum; of
                        * a topk the places of those picked */
} Local;

typedef struct {
    Cu *c;
    bool warp; /* a row */
    int nlocal, npick;
    Local local[MOST_LOCALS];
    CuPlaces at; /* of the row */
    int nseen;
    const Node *seen[1024];
} Rows;

static bool is_local(const Node *n)
{
    return n->op == OP_sum || n->op == OP_max || n->op == OP_softmax ||
           n->op == OP_logsumexp || n->op == OP_topk || n->op == OP_contract;
}

static void collect(Rows *m, const Node *n)
{
    for (int i = 0; i < m->nseen; i++)
        if (m->seen[i] == n)
            return;
    if (kernel_leaf(m->c->kernel, n))
        return;
    if (m->nseen == COUNT(m->seen))
        BUG("%s: a tree of more than %d nodes", m->c->kernel->name, m->nseen);
    m->seen[m->nseen++] = n;
    for (int i = 0; i < node_args(n); i++)
        collect(m, n->arg[i]);
    if (!is_local(n))
        return;
    if (m->nlocal == MOST_LOCALS)
        BUG("%s: more than %d reductions", m->c->kernel->name, m->nlocal);
    m->local[m->nlocal++].node = n;
}

/* Its value once it has been computed. */
static Expr local_at(Cu *c, const Node *n, const CuPlaces *p)
{
    Rows *m = c->user;
    const Local *l = NULL;
    for (int i = 0; i < m->nlocal && !l; i++)
        if (m->local[i].node == n && m->local[i].a)
            l = &m->local[i];
    if (!l)
        return (Expr){NULL, 0};
    if (n->op == OP_topk)
        return (Expr){cu_text(c, "%s[%s]", l->a, cu_place_of(p, n->dim[1])),
                      0};
    if (n->op != OP_softmax)
        return (Expr){l->a, 0};
    const char *f = n->type.dtype == TYPE_f64 ? "" : "f";
    Expr e = {cu_text(c, "exp%s(%s - %s) / %s", f,
                      cu_value(c, n->arg[0], p), l->a, l->b), 2};
    return cu_rounded(c, n->type.dtype, e);
}

/* ---- loops over dims: of a warp, the lanes share the last ---- */

typedef struct {
    int n, mark;
} Loops;

static Loops loops(Rows *m, CuPlaces *p, int n, const Dim *const *d)
{
    Cu *c = m->c;
    Loops l = {n, cu_mark(c)};
    for (int i = 0; i < n; i++) {
        const char *v = cu_index(c, d[i]);
        if (m->warp && i == n - 1)
            cu_open(c, "for (int %s = lane; %s < %s; %s += 32)", v, v,
                    cu_size(c, d[i]), v);
        else
            cu_open(c, "for (int %s = 0; %s < %s; %s++)", v, v,
                    cu_size(c, d[i]), v);
        cu_place(p, d[i], v);
    }
    return l;
}

static void loops_end(Rows *m, Loops l)
{
    for (int i = 0; i < l.n; i++)
        cu_close(m->c);
    cu_forget(m->c, l.mark);
}

/* ---- reductions ---- */

static int summed(const Node *n, const Dim **out)
{
    int count = 0;
    const Type *t = &n->arg[0]->type;
    for (int i = 0; i < t->rank; i++)
        if (dim_among(t->dim[i], n->ndim, n->dim))
            out[count++] = t->dim[i];
    return count;
}

typedef enum { RED_add, RED_max, RED_exp } RedKind;

static void reduce_step(Rows *m, const Node *n, RedKind kind, const char *acc,
                        const char *peak, const CuPlaces *p)
{
    Cu *c = m->c;
    const char *f = n->type.dtype == TYPE_f64 ? "" : "f";
    const char *x = cu_value(c, n->arg[0], p);
    if (n->op == OP_contract)
        cu_line(c, "%s += (%s) * (%s);", acc, x, cu_value(c, n->arg[1], p));
    else if (kind == RED_exp)
        cu_line(c, "%s += exp%s(%s - %s);", acc, f, x, peak);
    else if (kind == RED_add)
        cu_line(c, "%s += %s;", acc, x);
    else if (cu_is_float(n->type.dtype))
        cu_line(c, "%s = larger%s(%s, %s);", acc, f, acc, x);
    else
        cu_line(c, "%s = max(%s, %s);", acc, acc, x);
}

static const char *reduce(Rows *m, const Node *n, RedKind kind,
                          const char *wish, const char *peak)
{
    Cu *c = m->c;
    const Dim *d[MAX_RANK];
    Dtype t = n->type.dtype;
    CuPlaces p = m->at;
    int nd = summed(n, d);
    const char *acc = cu_name(c, wish);
    const char *none = kind != RED_max ? "0" : "-INFINITE";
    if (kind == RED_max && !cu_is_float(t))
        none = "(-2147483647 - 1)";
    cu_line(c, "%s %s = %s;", cu_register(t), acc, none);
    Loops l = loops(m, &p, nd, d);
    reduce_step(m, n, kind, acc, peak, &p);
    loops_end(m, l);
    const char *f = t == TYPE_f64 ? "" : cu_is_float(t) ? "f" : "i";
    if (m->warp && nd)
        cu_line(c, "%s = warp_%s%s(%s);", acc,
                kind == RED_max ? "largest" : "sum", f, acc);
    return acc;
}

/* K times the best that is below the last. */
static void add_topk(Rows *m, Local *l)
{
    Cu *c = m->c;
    const Node *n = l->node;
    CuPlaces p = m->at;
    const char *k = cu_index(c, n->dim[1]);
    const char *pick = cu_name(c, n->label ? cu_text(c, "%s_of", n->label)
                                           : "pick");
    cu_line(c, "int *%s = (int *)smem + warp * PICKS + %d;", pick, m->npick);
    m->npick += (int)size_at(n->dim[1]->size, 1);
    cu_line(c, "{");
    c->indent++;
    cu_line(c, "u64 last = ~(u64)0;");
    cu_open(c, "for (int %s = 0; %s < %s; %s++)", k, k,
            cu_size(c, n->dim[1]), k);
    cu_line(c, "u64 best = 0;");
    Loops over = loops(m, &p, 1, n->dim);
    const char *at = cu_place_of(&p, n->dim[0]);
    cu_line(c, "u64 key = topk_key(%s, %s);", cu_value(c, n->arg[0], &p), at);
    cu_line(c, "best = key < last && key > best ? key : best;");
    loops_end(m, over);
    cu_line(c, "last = warp_best(best);");
    cu_open(c, "if (lane == 0)");
    cu_line(c, "%s[%s] = topk_place(last);", pick, k);
    cu_close(c);
    cu_close(c);
    cu_close(c);
    cu_line(c, "__syncwarp();");
    l->a = pick;
}

static const char *rounded(Rows *m, const Node *n, const char *v)
{
    Expr e = cu_rounded(m->c, n->type.dtype, (Expr){v, 0});
    if (e.text != v)
        cu_line(m->c, "%s = %s;", v, e.text);
    return v;
}

static void add_local(Rows *m, Local *l)
{
    Cu *c = m->c;
    const Node *n = l->node;
    const char *wish = n->label ? n->label : NULL;
    const char *f = n->type.dtype == TYPE_f64 ? "" : "f";
    if (n->op == OP_topk) {
        add_topk(m, l);
    } else if (n->op == OP_max) {
        l->a = reduce(m, n, RED_max, wish ? wish : "most", NULL);
    } else if (n->op == OP_sum || n->op == OP_contract) {
        l->a = rounded(m, n, reduce(m, n, RED_add, wish ? wish : "sum", NULL));
    } else {
        const char *peak = reduce(m, n, RED_max, "peak", NULL);
        l->b = reduce(m, n, RED_exp, "total", peak);
        if (n->op == OP_logsumexp) {
            cu_line(c, "%s += log%s(%s);", peak, f, l->b);
            rounded(m, n, peak);
        }
        l->a = peak;
    }
}

/* ---- rows ---- */

static int own_dims(const Map *k, const Type *t, const Dim **out)
{
    int n = 0;
    for (int i = 0; i < t->rank; i++)
        if (!dim_among(t->dim[i], k->nrow, k->row))
            out[n++] = t->dim[i];
    return n;
}

static void store(Rows *m, Buffer *b)
{
    Cu *c = m->c;
    const Dim *d[MAX_RANK];
    CuPlaces p = m->at;
    int n = own_dims(&c->kernel->map, &b->type, d);
    bool alone = m->warp && !n;
    const char *v = alone ? cu_value(c, b->node, &p) : NULL;
    if (alone)
        cu_open(c, "if (lane == 0)");
    Loops l = loops(m, &p, n, d);
    cu_store(c, b, &p, alone ? v : cu_value(c, b->node, &p));
    loops_end(m, l);
    if (alone)
        cu_close(c);
}

static bool wants_warp(const Rows *m)
{
    const Map *k = &m->c->kernel->map;
    const Dim *d[MAX_RANK];
    bool whole = true, picks = false;
    for (int i = 0; i < m->c->kernel->nout; i++)
        whole &= !own_dims(k, &m->c->kernel->out[i]->type, d);
    for (int i = 0; i < m->nlocal; i++)
        picks |= m->local[i].node->op == OP_topk;
    if (picks)
        return true;
    if (k->vec && dim_among(k->vec, k->nrow, k->row))
        return false;
    return m->nlocal || !whole;
}

static void begin_row(Rows *m)
{
    Cu *c = m->c;
    const Map *k = &c->kernel->map;
    int per = m->warp ? WARPS : 32 * WARPS;
    c->to->threads = 32 * WARPS;
    cu_grid(c, 0, cu_size_of(k->nrow, k->row), per, NULL);
    if (m->warp) {
        cu_line(c, "int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;");
        cu_line(c, "i64 row = (i64)blockIdx.x * %d + warp;", WARPS);
    } else {
        cu_line(c, "i64 row = (i64)blockIdx.x * %d + threadIdx.x;", per);
    }
    const char *rows = "(i64)1";
    for (int i = 0; i < k->nrow; i++)
        rows = cu_text(c, i ? "%s * %s" : "(i64)%.0s%s", rows,
                       cu_size(c, k->row[i]));
    cu_line(c, "if (row >= %s)", rows);
    cu_line(c, "    return;");
    cu_unflatten(c, &m->at, k->nrow, k->row, "row", true);
}

void cuda_map(Cu *c)
{
    Rows *m = arena_alloc(c->arena, sizeof *m);
    m->c = c;
    int picks = 0;
    for (int i = 0; i < c->kernel->nout; i++)
        collect(m, c->kernel->out[i]->node);
    for (int i = 0; i < m->nlocal; i++)
        if (m->local[i].node->op == OP_topk)
            picks += (int)size_at(m->local[i].node->dim[1]->size, 1);
    c->hole = local_at;
    c->user = m;
    m->warp = wants_warp(m);
    c->to->shared = 4 * WARPS * picks;
    if (picks) {
        cu_line(c, "enum { PICKS = %d }; /* of a warp */", picks);
        cu_line(c, "DYN_SMEM(smem);");
    }
    begin_row(m);
    for (int i = 0; i < m->nlocal; i++)
        add_local(m, &m->local[i]);
    for (int i = 0; i < c->kernel->nout; i++)
        store(m, c->kernel->out[i]);
}
