/* Ops that are C functions, called like kernels: draws, orders of many
 * elements. Arguments: the buffers, then a CallInfo. */
#include "codegen/program/cpu.h"
#include <math.h>
#include <string.h>

typedef struct {
    int64_t n, inner, outer; /* along a dim: size, stride, how many before */
} Along;

static int64_t size_of(const Dim *d, const int64_t *run)
{
    return size_at(d->size, run[0]);
}

static Along along(const Type *t, const Dim *d, const int64_t *run)
{
    Along a = {1, 1, 1};
    int at = type_dim(t, d);
    for (int i = 0; i < t->rank; i++) {
        int64_t size = size_of(t->dim[i], run);
        if (i < at)
            a.outer *= size;
        else if (i > at)
            a.inner *= size;
        else
            a.n = size;
    }
    return a;
}

static void draw(void *const *arg, const int64_t *run, int64_t task, void *mem)
{
    const CallInfo *info = arg[1];
    const Node *n = info->node;
    int64_t count = type_count(&n->type, run[0]);
    (void)task, (void)mem;
    RandomCount c = random_count(&n->type, run[0], info->before);
    for (int64_t i = 0; i < count; i++) {
        uint64_t at = random_counter(&c, i);
        type_store(n->type.dtype, arg[0], i,
                   n->op == OP_uniform ? random_uniform(info->key, at)
                                       : random_gaussian(info->key, at));
    }
}

static void shuffled(void *const *arg, const int64_t *run, int64_t task,
                     void *mem)
{
    const CallInfo *info = arg[1];
    (void)task, (void)mem;
    random_shuffle(info->key, (int)size_of(info->node->dim[0], run), arg[0]);
}

static void place(void *const *arg, const int64_t *run, int64_t task,
                  void *mem)
{
    const CallInfo *info = arg[2];
    const Type *t = &info->node->arg[0]->type;
    const int32_t *index = arg[0];
    float *out = arg[1];
    int64_t T = size_of(t->dim[0], run), K = size_of(t->dim[1], run);
    size_t E = (size_t)size_of(t->index_of, run);
    int64_t *seen = xmalloc(E * sizeof *seen + 1);
    (void)task, (void)mem;
    memset(seen, 0, E * sizeof *seen);
    for (int64_t k = 0; k < K; k++)
        for (int64_t i = 0; i < T; i++)
            out[i * K + k] = (float)seen[index[i * K + k]]++;
    free(seen);
}

static void copy(void *const *arg, const int64_t *run, int64_t task, void *mem)
{
    const CallInfo *info = arg[2];
    const Type *t = &info->node->type;
    (void)task, (void)mem;
    memcpy(arg[1], arg[0],
           (size_t)type_bytes(t->dtype, type_count(t, run[0])));
}

/* ---- orders: NaN after all numbers, of equals the lower index first ---- */

typedef struct {
    double value;
    int64_t index;
} Ranked;

static bool before(const Ranked *a, const Ranked *b)
{
    if (isnan(a->value) || isnan(b->value)) {
        if (isnan(a->value) != isnan(b->value))
            return isnan(b->value);
        return a->index < b->index;
    }
    return a->value != b->value ? a->value > b->value : a->index < b->index;
}

static int by_rank(const void *a, const void *b)
{
    return before(a, b) ? -1 : 1;
}

/* Puts the first k in order before the others (in no order). */
static void select_first(Ranked *r, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        Ranked pivot = r[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (before(&r[i], &pivot))
                i++;
            while (before(&pivot, &r[j]))
                j--;
            if (i <= j) {
                Ranked t = r[i];
                r[i++] = r[j];
                r[j--] = t;
            }
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            return;
    }
}

static void cumsum(void *const *arg, const int64_t *run, int64_t task,
                   void *mem)
{
    const CallInfo *info = arg[2];
    const Node *n = info->node;
    Dtype from = n->arg[0]->type.dtype;
    Along a = along(&n->type, n->dim[0], run);
    (void)task, (void)mem;
    for (int64_t o = 0; o < a.outer * a.inner; o++) {
        int64_t at = o / a.inner * a.n * a.inner + o % a.inner;
        double sum = 0;
        for (int64_t i = 0; i < a.n; i++, at += a.inner) {
            sum += type_load(from, arg[0], at);
            type_store(n->type.dtype, arg[1], at, sum);
        }
    }
}

static void topk(void *const *arg, const int64_t *run, int64_t task, void *mem)
{
    const CallInfo *info = arg[2];
    const Node *n = info->node;
    const Type *t = &n->arg[0]->type;
    Along a = along(t, n->dim[0], run);
    int64_t K = size_of(n->dim[1], run);
    Ranked *r = xmalloc((size_t)a.n * sizeof *r + 1);
    int32_t *out = arg[1];
    (void)task, (void)mem;
    for (int64_t o = 0; o < a.outer * a.inner; o++) {
        int64_t base = o / a.inner * a.n * a.inner + o % a.inner;
        for (int64_t i = 0; i < a.n; i++)
            r[i] = (Ranked){type_load(t->dtype, arg[0], base + i * a.inner), i};
        select_first(r, a.n, K);
        qsort(r, (size_t)K, sizeof *r, by_rank);
        for (int64_t i = 0; i < K; i++)
            out[o * K + i] = (int32_t)r[i].index;
    }
    free(r);
}

/* ---- largest ---- */

/* Of m elements int(share m) are kept; rounding of the share in f32 must not
 * take one off (0.7 of 10 is 7). */
static int64_t kept(double share, int64_t m)
{
    double keep = floor(share * (double)m * (1 + 0x1p-23));
    return keep > 0 ? keep < (double)m ? (int64_t)keep : m : 0;
}

/* Where element i of the dims that are (in) or are not summed lies. */
static int64_t offset_of(const Node *n, const int64_t *run, bool in, int64_t i)
{
    const Type *t = &n->type;
    int64_t stride = 1, at = 0;
    for (int j = t->rank - 1; j >= 0; j--) {
        int64_t size = size_of(t->dim[j], run);
        if (dim_among(t->dim[j], n->ndim, n->dim) == in) {
            at += i % size * stride;
            i /= size;
        }
        stride *= size;
    }
    return at;
}

/* Elements that stand together over n's dims. */
static int64_t together(const Node *n, const int64_t *run)
{
    int64_t m = 1;
    for (int i = 0; i < n->ndim; i++)
        m *= size_of(n->dim[i], run);
    return m;
}

/* Those of group g, from argument x. */
static void gather_group(const Node *n, const void *x, const int64_t *run,
                         int64_t g, Ranked *r)
{
    int64_t m = together(n, run), base = offset_of(n, run, false, g);
    for (int64_t i = 0; i < m; i++) {
        int64_t at = base + offset_of(n, run, true, i);
        r[i] = (Ranked){type_load(n->arg[0]->type.dtype, x, at), at};
    }
}

static void ranked(void *const *arg, const int64_t *run, int64_t task,
                   void *mem)
{
    const CallInfo *info = arg[2];
    const Node *n = info->node;
    int64_t all = type_count(&n->type, run[0]), m = together(n, run);
    Ranked *r = xmalloc((size_t)m * sizeof *r + 1);
    float *out = arg[1];
    (void)task, (void)mem;
    for (int64_t g = 0; m && g < all / m; g++) {
        gather_group(n, arg[0], run, g, r);
        qsort(r, (size_t)m, sizeof *r, by_rank);
        for (int64_t i = 0; i < m; i++)
            out[r[i].index] = (float)i;
    }
    free(r);
}

static void largest(void *const *arg, const int64_t *run, int64_t task,
                    void *mem)
{
    const CallInfo *info = arg[3];
    const Node *n = info->node;
    int64_t all = type_count(&n->type, run[0]), m = together(n, run);
    int64_t keep = kept(type_load(n->arg[1]->type.dtype, arg[1], 0), m);
    Ranked *r = xmalloc((size_t)m * sizeof *r + 1);
    (void)task, (void)mem;
    memset(arg[2], 0, (size_t)type_bytes(n->type.dtype, all));
    for (int64_t g = 0; m && g < all / m; g++) {
        gather_group(n, arg[0], run, g, r);
        if (keep)
            select_first(r, m, keep);
        for (int64_t i = 0; i < keep; i++)
            type_store(n->type.dtype, arg[2], r[i].index, 1);
    }
    free(r);
}

/* ---- what scores get besides q . k ---- */

enum { MORE_q, MORE_k, MORE_v, MORE_y, MORE_lse, MORE_g, MORE_is };

/* The gradient of one query head's part: ds of each key it sees, by distance.
 */
typedef struct {
    const Node *n;
    void *const *arg;
    const int32_t *pos;
    float *out;
    int64_t H, G, hd, vd, R;
} More;

static double dot_at(const More *m, int a, int64_t i, int b, int64_t j,
                     int64_t n)
{
    Dtype ta = m->n->arg[a]->type.dtype, tb = m->n->arg[b]->type.dtype;
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += type_load(ta, m->arg[a], i * n + k) *
               type_load(tb, m->arg[b], j * n + k);
    return sum;
}

static double more_of(const More *m, int64_t h, int64_t back)
{
    Dtype t = m->n->arg[MORE_is]->type.dtype;
    if (!m->R)
        return -(double)back * type_load(t, m->arg[MORE_is], h);
    int64_t at = back < m->R ? back : m->R - 1;
    return type_load(t, m->arg[MORE_is], h * m->R + at);
}

static void add_more(const More *m, int64_t t, int64_t h, int64_t back)
{
    int64_t q = t * m->H + h, k = (t - back) * m->G + h / (m->H / m->G);
    double u = dot_at(m, MORE_q, q, MORE_k, k, m->hd) / sqrt((double)m->hd);
    if (m->n->num > 0)
        u = m->n->num * tanh(u / m->n->num);
    Dtype lse = m->n->arg[MORE_lse]->type.dtype;
    double p = exp(u + more_of(m, h, back) -
                   type_load(lse, m->arg[MORE_lse], q));
    double ds = p * (dot_at(m, MORE_g, q, MORE_v, k, m->vd) -
                     dot_at(m, MORE_g, q, MORE_y, q, m->vd));
    if (m->R)
        m->out[h * m->R + (back < m->R ? back : m->R - 1)] += (float)ds;
    else
        m->out[h] -= (float)ds * (float)back;
}

static int64_t behind(const More *m, int64_t t)
{
    int64_t window = m->n->size ? size_at(m->n->size, 1) : 0;
    if (m->n->name)
        return m->pos[t] % window;
    return window && m->pos[t] >= window ? window - 1 : m->pos[t];
}

static void attend_dmore(void *const *arg, const int64_t *run, int64_t task,
                         void *mem)
{
    const CallInfo *info = arg[9];
    const Node *n = info->node;
    const Type *q = &n->arg[MORE_q]->type, *k = &n->arg[MORE_k]->type;
    More m = {n, arg, arg[7], arg[8], size_of(q->dim[1], run),
              size_of(k->dim[1], run), size_of(q->dim[2], run),
              size_of(n->arg[MORE_v]->type.dim[2], run), 0};
    if (n->type.rank == 2)
        m.R = size_of(n->type.dim[1], run);
    (void)task, (void)mem;
    memset(m.out, 0, (size_t)type_bytes(TYPE_f32, type_count(&n->type, 1)));
    for (int64_t t = 0; t < size_of(q->dim[0], run); t++)
        for (int64_t h = 0; h < m.H; h++)
            for (int64_t back = behind(&m, t); back >= 0; back--)
                add_more(&m, t, h, back);
}

ExecKernel call_kernel(const Node *n)
{
    static const ExecKernel kernel[OP_COUNT] = {
        [OP_uniform] = draw,     [OP_gaussian] = draw,
        [OP_shuffle] = shuffled, [OP_place] = place,
        [OP_topk] = topk,        [OP_largest] = largest,
        [OP_rank] = ranked,      [OP_cumsum] = cumsum,
        [OP_repeat] = copy,      [OP_attend_dmore] = attend_dmore,
    };
    if (!kernel[n->op])
        BUG("no function for %s", op_info[n->op].name);
    return kernel[n->op];
}
