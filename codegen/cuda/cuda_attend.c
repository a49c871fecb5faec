/* Skeleton attend as CUDA C: one function adds the step's keys and values to
 * the caches, [G, capacity, hd]; one has a block for each token and query
 * head. Its warps take 32 positions in turn, counted from the first that the
 * token sees, and each keeps
 *     out = sum of 2^(s - top) v,  sum = sum of 2^(s - top)
 * of its own; they are joined in order. top is whole, as on the CPU, so that
 * changing it scales both by a power of two, exactly. */
#include "codegen/cuda/cuda_text.h"
#include <math.h>

enum { WARPS = 8, THREADS = 32 * WARPS };

typedef struct {
    Cu *c;
    const Attend *a;
    const char *H, *G, *hd, *vd; /* sizes */
    int keys, vals;              /* elements of a key, of a value */
} At;

static At attention(Cu *c)
{
    const Attend *a = &c->kernel->attend;
    At t = {.c = c, .a = a};
    t.H = cu_size(c, a->q->type.dim[1]);
    t.G = cu_size(c, a->k->type.dim[1]);
    t.hd = cu_size(c, a->k->type.dim[2]);
    t.vd = cu_size(c, a->v->type.dim[2]);
    t.keys = (int)size_at(a->k->type.dim[2]->size, 1);
    t.vals = (int)size_at(a->v->type.dim[2]->size, 1);
    c->to->state = true;
    c->to->threads = THREADS;
    return t;
}

/* ---- the caches ---- */

static void append_one(const At *t, const Buffer *from, const Buffer *cache,
                       const char *size, int n, int most)
{
    Cu *c = t->c;
    if (n < most)
        cu_line(c, "if (part < %s)", size);
    cu_line(c, "%s%s[((i64)group * capacity + base + token) * %s + part] = "
               "%s[row * %s + part];", n < most ? "    " : "",
            cu_arg(c, cache), size, cu_arg(c, from), size);
}

void cuda_append(Cu *c)
{
    At t = attention(c);
    const Type *k = &t.a->k->type;
    int most = t.keys > t.vals ? t.keys : t.vals;
    const char *T = cu_size(c, k->dim[0]);
    cu_items(c, size_mul(cu_size_of(2, k->dim), size_num(most)),
             cu_text(c, "(i64)%s * %s * %d", T, t.G, most));
    cu_line(c, "i64 row = item / %d;", most);
    cu_line(c, "int part = (int)(item %% %d);", most);
    cu_line(c, "int group = (int)(row %% %s), token = (int)(row / %s);", t.G,
            t.G);
    append_one(&t, t.a->k, t.a->keys, t.hd, t.keys, most);
    append_one(&t, t.a->v, t.a->vals, t.vd, t.vals, most);
}

/* ---- what a token sees, and its query ---- */

static void find_rows(const At *t)
{
    Cu *c = t->c;
    const Attend *a = t->a;
    cu_line(c, "int tid = threadIdx.x, lane = tid & 31, warp = tid >> 5;");
    cu_line(c, "int token = (int)(blockIdx.x / %s);", t->H);
    cu_line(c, "int head = (int)(blockIdx.x %% %s);", t->H);
    cu_line(c, "int group = head / (%s / %s);", t->H, t->G);
    cu_line(c, "int seen = %s[token], end = base + token;", cu_arg(c, a->pos));
    if (a->chunk)
        cu_line(c, "seen %%= %lld;", (long long)a->window);
    else if (a->window)
        cu_line(c, "seen = seen < %lld ? seen : %lld;",
                (long long)a->window - 1, (long long)a->window - 1);
    cu_line(c, "int from = end - seen;");
}

static void load_query(const At *t)
{
    Cu *c = t->c;
    const Type *q = &t->a->q->type;
    CuPlaces p = {0};
    cu_line(c, "DYN_SMEM(smem);");
    cu_line(c, "float *query = (float *)smem, *share = query + %s + 32 * warp;",
            t->hd);
    cu_line(c, "float *whole = query + %s + 32 * WARPS;", t->hd);
    cu_place(&p, q->dim[0], "token");
    cu_place(&p, q->dim[1], "head");
    cu_place(&p, q->dim[2], "part");
    cu_line(c, "for (int part = tid; part < %s; part += 32 * WARPS)", t->hd);
    cu_line(c, "    query[part] = %s;", cu_load(c, t->a->q, &p).text);
    cu_line(c, "__syncthreads();");
}

/* ---- a score ---- */

/* The number of the head that the fourth argument has. */
static const char *more_of(const At *t, const char *back)
{
    Cu *c = t->c;
    const Type *m = &t->a->more->type;
    CuPlaces p = {0};
    cu_place(&p, m->dim[0], "head");
    if (back)
        cu_place(&p, m->dim[1], back);
    return cu_load(c, t->a->more, &p).text;
}

/* q . k to the score times log2(e), as attend_score.c has it. */
static void adjust(const At *t)
{
    Cu *c = t->c;
    const Node *n = t->a->attend;
    double scale = 1 / sqrt((double)t->keys);
    if (n->num > 0)
        cu_line(c, "score = tanhf(score * %.9gf) * %.9ef;", scale / n->num,
                n->num);
    else
        cu_line(c, "score *= %.9gf;", scale);
    if (n->op == OP_attend_slope)
        cu_line(c, "score -= %s * (float)(end - at);", more_of(t, NULL));
    if (n->op == OP_attend_bias) {
        const char *R = cu_size(c, t->a->more->type.dim[1]);
        cu_line(c, "int back = end - at < %s ? end - at : %s - 1;", R, R);
        cu_line(c, "score += %s;", more_of(t, "back"));
    }
    cu_line(c, "score *= %.9gf;", M_LOG2E);
}

static const char *cached(const At *t, const Buffer *b, const char *i)
{
    Cu *c = t->c;
    const char *s = i;
    if (b->type.dtype == TYPE_bf16)
        s = cu_text(c, "bf2f(%s)", i);
    if (b->type.dtype == TYPE_f16)
        s = cu_text(c, "h2f(%s)", i);
    return s;
}

static void score(const At *t)
{
    Cu *c = t->c;
    cu_line(c, "int at = first + lane;");
    cu_line(c, "float score = -INFINITE;");
    cu_open(c, "if (at <= end)");
    cu_line(c, "const %s *key = %s + ((i64)group * capacity + at) * %s;",
            cu_type(t->a->keys->type.dtype), cu_arg(c, t->a->keys), t->hd);
    cu_line(c, "score = 0;");
    cu_line(c, "for (int part = 0; part < %s; part++)", t->hd);
    cu_line(c, "    score += query[part] * %s;",
            cached(t, t->a->keys, "key[part]"));
    adjust(t);
    cu_close(c);
}

static void weigh(const At *t)
{
    Cu *c = t->c;
    const char *val = cu_text(c, "val[(i64)i * %s + part]", t->vd);
    cu_line(c, "float most = largerf(top, ceilf(warp_largestf(score)));");
    cu_line(c, "float by = exp2f(top - most);");
    cu_line(c, "float weight = at <= end ? exp2f(score - most) : 0;");
    cu_line(c, "sum = sum * by + warp_sumf(weight);");
    cu_line(c, "top = most;");
    cu_line(c, "__syncwarp();");
    cu_line(c, "share[lane] = weight;");
    cu_line(c, "__syncwarp();");
    cu_line(c, "int n = end + 1 - first < 32 ? end + 1 - first : 32;");
    cu_line(c, "const %s *val = %s + ((i64)group * capacity + first) * %s;",
            cu_type(t->a->vals->type.dtype), cu_arg(c, t->a->vals), t->vd);
    cu_open(c, "UNROLL for (int j = 0; j < PARTS; j++)");
    cu_line(c, "int part = lane + 32 * j;");
    cu_line(c, "out[j] *= by;");
    cu_line(c, "for (int i = 0; part < %s && i < n; i++)", t->vd);
    cu_line(c, "    out[j] += share[i] * %s;", cached(t, t->a->vals, val));
    cu_close(c);
}

/* ---- joined ---- */

static void put_share(const At *t)
{
    Cu *c = t->c;
    cu_line(c, "float *own = whole + warp * (%s + 2);", t->vd);
    cu_open(c, "UNROLL for (int j = 0; j < PARTS; j++)");
    cu_line(c, "if (lane + 32 * j < %s)", t->vd);
    cu_line(c, "    own[2 + lane + 32 * j] = out[j];");
    cu_close(c);
    cu_open(c, "if (lane == 0)");
    cu_line(c, "own[0] = top;");
    cu_line(c, "own[1] = sum;");
    cu_close(c);
    cu_line(c, "__syncthreads();");
}

static Expr joined_at(Cu *c, const Node *n, const CuPlaces *p)
{
    const At *t = c->user;
    (void)p;
    if (n != t->a->attend)
        return (Expr){NULL, 0};
    return cu_rounded(c, n->type.dtype, (Expr){"joined / sum", 2});
}

static void join(const At *t)
{
    Cu *c = t->c;
    const Type *y = &t->a->attend->type;
    CuPlaces p = {0};
    bool sink = t->a->attend->op == OP_attend_sink;
    if (sink) {
        cu_line(c, "float sunk = %s * %.9gf;", more_of(t, NULL), M_LOG2E);
        cu_line(c, "top = ceilf(sunk);");
    } else {
        cu_line(c, "top = whole[0];");
    }
    cu_line(c, "for (int i = 0; i < WARPS; i++)");
    cu_line(c, "    top = largerf(top, whole[i * (%s + 2)]);", t->vd);
    cu_line(c, sink ? "sum = exp2f(sunk - top);" : "sum = 0;");
    cu_line(c, "for (int i = 0; i < WARPS; i++)");
    cu_line(c, "    sum += whole[i * (%s + 2) + 1] *", t->vd);
    cu_line(c, "           exp2f(whole[i * (%s + 2)] - top);", t->vd);
    cu_open(c, "for (int part = tid; part < %s; part += 32 * WARPS)", t->vd);
    cu_line(c, "float joined = 0;");
    cu_line(c, "for (int i = 0; i < WARPS; i++)");
    cu_line(c, "    joined += whole[i * (%s + 2) + 2 + part] *", t->vd);
    cu_line(c, "              exp2f(whole[i * (%s + 2)] - top);", t->vd);
    cu_place(&p, y->dim[0], "token");
    cu_place(&p, y->dim[1], "head");
    cu_place(&p, y->dim[2], "part");
    for (int i = 0; i < c->kernel->nout; i++) {
        const Buffer *b = c->kernel->out[i];
        cu_store(c, b, &p, cu_value(c, b->node, &p));
    }
    cu_close(c);
}

void cuda_attend(Cu *c)
{
    At t = attention(c);
    c->hole = joined_at;
    c->user = &t;
    c->to->shared = 4 * (t.keys + 32 * WARPS + WARPS * (t.vals + 2));
    cu_grid(c, 0, cu_size_of(2, t.a->q->type.dim), 1, NULL);
    cu_line(c, "enum { WARPS = %d, PARTS = %d };", WARPS, (t.vals + 31) / 32);
    find_rows(&t);
    load_query(&t);
    cu_line(c, "float top = %.1ff, sum = 0, out[PARTS];", -0x1p30);
    cu_line(c, "UNROLL for (int j = 0; j < PARTS; j++)");
    cu_line(c, "    out[j] = 0;");
    cu_open(c, "for (int first = from + 32 * warp; first <= end; "
               "first += 32 * WARPS)");
    score(&t);
    weigh(&t);
    cu_close(c);
    put_share(&t);
    join(&t);
}
