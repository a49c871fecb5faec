/* The interpreter's contract: for each element of the result a sum of
 * products over the summed dims. The innermost summed dim goes through four
 * partial sums (element j into sum j mod 4), which are then added in pairs;
 * the other summed dims follow one another. An argument read through an index
 * stands where it is: the rows that the index names are never copied out. */
#include "compiler/interp/interp_run.h"

static double dot(const double *a, int64_t sa, const double *b, int64_t sb,
                  int64_t n)
{
    double s[4] = {0};
    int64_t i = 0;
    if (sa == 1 && sb == 1)
        for (; i + 4 <= n; i += 4)
            for (int j = 0; j < 4; j++)
                s[j] += a[i + j] * b[i + j];
    for (; i < n; i++)
        s[i & 3] += a[i * sa] * b[i * sb];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* Tensors a walk follows: an argument, the other, their indices, the result */
enum { FOLLOW_out = 4 };

static void follow(Walk *w, const Operand *in, const Tensor *out)
{
    for (int k = 0; k < 2; k++) {
        walk_follow(w, k, in[k].t, in[k].dim);
        if (in[k].index)
            walk_follow(w, 2 + k, in[k].index, NULL);
    }
    if (out)
        walk_follow(w, FOLLOW_out, out, NULL);
}

static bool moves(const Operand *o, const Dim *d)
{
    return d != o->dim && type_dim(&o->t->type, d) >= 0;
}

/* Loops over the result, the dims of the larger argument outside: then its
 * parts are used again while they are in the cache. */
static void walk_result(Walk *w, const Operand *in, const Tensor *out)
{
    const Operand *big = &in[in[1].t->count > in[0].t->count];
    for (int inner = 0; inner < 2; inner++)
        for (int i = 0; i < out->type.rank; i++)
            if (moves(big, out->type.dim[i]) != inner)
                walk_add(w, out->type.dim[i], out->shape[i]);
    follow(w, in, out);
}

/* The summed dim to run innermost: one on which no index depends, best one
 * along which both arguments lie densely. NULL: there is none. */
static const Dim *choose_inner(const Node *n, const Operand *in)
{
    const Dim *best = NULL;
    int64_t least = INT64_MAX;
    for (int i = 0; i < n->ndim; i++) {
        int64_t steps = 0;
        bool indexed = false;
        for (int k = 0; k < 2; k++) {
            steps += tensor_stride(in[k].t, n->dim[i]);
            indexed |= in[k].index && (n->dim[i] == in[k].dim ||
                                       tensor_stride(in[k].index, n->dim[i]));
        }
        if (!indexed && steps < least) {
            least = steps;
            best = n->dim[i];
        }
    }
    return best;
}

typedef struct {
    const Operand *in;
    Walk middle; /* over the summed dims but the innermost */
    int64_t inner, step[2], jump[2]; /* jump: of the indexed dim */
    int64_t steps;
} Sum;

/* Where argument k's run begins, given the offsets outside and inside. */
static const double *run_at(const Sum *s, const Walk *outer, int k)
{
    const Operand *o = &s->in[k];
    int64_t off = outer->off[k] + s->middle.off[k];
    if (o->index)
        off += s->jump[k] * (int64_t)o->index->at[outer->off[2 + k] +
                                                  s->middle.off[2 + k]];
    return o->t->at + off;
}

static double sum_at(Sum *s, const Walk *outer)
{
    double sum = 0;
    for (int64_t i = 0; i < s->steps; i++, walk_next(&s->middle))
        sum += dot(run_at(s, outer, 0), s->step[0], run_at(s, outer, 1),
                   s->step[1], s->inner);
    return sum;
}

bool run_contract(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    Sum s = {.in = in, .inner = 1};
    const Dim *inner = choose_inner(n, in);
    for (int i = 0; i < n->ndim; i++)
        if (n->dim[i] != inner)
            walk_add(&s.middle, n->dim[i],
                     size_at(n->dim[i]->size, r->env->T));
    follow(&s.middle, in, NULL);
    for (int k = 0; k < 2; k++) {
        if (in[k].index && !index_fits(r, n, in[k].index, in[k].dim))
            return false;
        s.jump[k] = in[k].index ? tensor_stride(in[k].t, in[k].dim) : 0;
        s.step[k] = inner ? tensor_stride(in[k].t, inner) : 0;
    }
    if (inner)
        s.inner = size_at(inner->size, r->env->T);
    s.steps = walk_steps(&s.middle);
    Walk outer = {0};
    walk_result(&outer, in, out);
    for (int64_t i = 0; i < out->count; i++, walk_next(&outer))
        out->at[outer.off[FOLLOW_out]] = sum_at(&s, &outer);
    return true;
}
