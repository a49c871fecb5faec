/* The interpreter's gradients of attention. Of a query at head h, with scores
 * s_i over what it sees, lse = log sum e^s_i (and a sink's), p_i = e^(s_i -
 * lse): dv_i = p_i g, ds_i = p_i (g . v_i - g . y), and from there through the
 * cap to q, k and to what scores get besides q . k. */
#include "compiler/interp/interp_run.h"
#include <math.h>

static Seen seen_of(const Node *n, const Tensor *q, const Tensor *more)
{
    return (Seen){.slope = more->type.rank == 1 ? more : NULL,
                  .bias = more->type.rank == 2 ? more : NULL,
                  .cap = n->num, .hd = q->shape[2]};
}

bool run_attend_lse(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    const Tensor *q = in[0].t, *k = in[1].t;
    int64_t H = q->shape[1], G = k->shape[1], hd = q->shape[2];
    Seen s = seen_of(n, q, in[2].t);
    double *score = xmalloc((size_t)q->shape[0] * sizeof *score + 1);
    for (int64_t t = 0; t < q->shape[0]; t++) {
        s.count = attend_sees(r, n, t);
        for (s.h = 0; s.h < H; s.h++) {
            int64_t first = (t - s.count + 1) * G + s.h / (H / G);
            double top = -INFINITY, sum = 0;
            for (int64_t i = 0; i < s.count; i++) {
                score[i] = seen_score(&s, q->at + (t * H + s.h) * hd,
                                        k->at + (first + i * G) * hd,
                                        s.count - 1 - i, NULL);
                top = op_value(OP_maximum, score[i], top, 0);
            }
            for (int64_t i = 0; i < s.count; i++)
                sum += exp(score[i] - top);
            out->at[t * H + s.h] = top + log(sum);
        }
    }
    free(score);
    return true;
}

/* A score of query (t, h) and key head g of token i: where they lie, p and
 * ds, and ds through the cap. */
typedef struct {
    const Node *n;
    const Tensor *q, *k, *v, *y, *g, *lse;
    Seen s;
    int64_t H, G, wide;
    int64_t t, i; /* query, key */
    double p, ds, through;
} Score;

static const double *row(const Tensor *t, int64_t token, int64_t head)
{
    return t->at + (token * t->shape[1] + head) * t->shape[2];
}

static void score_at(Score *c)
{
    int64_t h = c->s.h, kv = h / (c->H / c->G);
    const double *g = row(c->g, c->t, h), *y = row(c->y, c->t, h),
                 *v = row(c->v, c->i, kv);
    double sum = 0, slope;
    double score = seen_score(&c->s, row(c->q, c->t, h), row(c->k, c->i, kv),
                                c->t - c->i, &slope);
    for (int64_t j = 0; j < c->wide; j++)
        sum += g[j] * (v[j] - y[j]);
    c->p = exp(score - c->lse->at[c->t * c->H + h]);
    c->ds = c->p * sum;
    c->through = c->ds * slope / sqrt((double)c->s.hd);
}

/* Calls add for each score. */
static bool each_score(Run *r, const Node *n, const Operand *in, Tensor *out,
                       void (*add)(const Score *c, Tensor *out))
{
    enum { Q, K, V, Y, LSE, GRAD, MORE };
    Score c = {.n = n, .q = in[Q].t, .k = in[K].t, .v = in[V].t,
               .y = in[Y].t, .g = in[GRAD].t, .lse = in[LSE].t};
    c.H = c.q->shape[1];
    c.G = c.k->shape[1];
    c.wide = c.v->shape[2];
    c.s = seen_of(n, c.q, in[MORE].t);
    for (c.t = 0; c.t < c.q->shape[0]; c.t++) {
        c.s.count = attend_sees(r, n, c.t);
        for (c.s.h = 0; c.s.h < c.H; c.s.h++)
            for (c.i = c.t - c.s.count + 1; c.i <= c.t; c.i++) {
                score_at(&c);
                add(&c, out);
            }
    }
    return true;
}

static double *row_of(Tensor *t, int64_t token, int64_t head)
{
    return t->at + (token * t->shape[1] + head) * t->shape[2];
}

static void add_dq(const Score *c, Tensor *out)
{
    double *to = row_of(out, c->t, c->s.h);
    const double *k = row(c->k, c->i, c->s.h / (c->H / c->G));
    for (int64_t j = 0; j < c->s.hd; j++)
        to[j] += c->through * k[j];
}

static void add_dk(const Score *c, Tensor *out)
{
    double *to = row_of(out, c->i, c->s.h / (c->H / c->G));
    const double *q = row(c->q, c->t, c->s.h);
    for (int64_t j = 0; j < c->s.hd; j++)
        to[j] += c->through * q[j];
}

static void add_dv(const Score *c, Tensor *out)
{
    double *to = row_of(out, c->i, c->s.h / (c->H / c->G));
    const double *g = row(c->g, c->t, c->s.h);
    for (int64_t j = 0; j < c->wide; j++)
        to[j] += c->p * g[j];
}

static void add_dmore(const Score *c, Tensor *out)
{
    int64_t back = c->t - c->i;
    if (c->s.slope)
        out->at[c->s.h] -= c->ds * (double)back;
    else if (c->s.bias) {
        int64_t R = out->shape[1];
        out->at[c->s.h * R + (back < R ? back : R - 1)] += c->ds;
    }
}

bool run_attend_dq(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    return each_score(r, n, in, out, add_dq);
}

bool run_attend_dk(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    return each_score(r, n, in, out, add_dk);
}

bool run_attend_dv(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    return each_score(r, n, in, out, add_dv);
}

bool run_attend_dmore(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    return each_score(r, n, in, out, add_dmore);
}
