/* The interpreter's attention and rotary positions. */
#include "compiler/interp/interp_run.h"
#include <math.h>
#include <string.h>

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

double seen_score(const Seen *s, const double *q, const double *k,
                    int64_t back, double *slope)
{
    double score = dot(q, k, s->hd) / sqrt((double)s->hd), t = 0;
    if (s->cap > 0) {
        t = tanh(score / s->cap);
        score = s->cap * t;
    }
    if (slope)
        *slope = 1 - t * t;
    if (s->slope)
        score -= s->slope->at[s->h] * (double)back;
    if (s->bias) {
        int64_t R = s->bias->shape[1];
        score += s->bias->at[s->h * R + (back < R ? back : R - 1)];
    }
    return score;
}

/* score[i] = softmax of scale q . k_(first + i), over what is seen; with a
 * sink it has a share of its own. */
static void scores(const Seen *s, const Tensor *sink, const double *q,
                   const double *k, int64_t step, double *score)
{
    double top = sink ? sink->at[s->h] : -INFINITY, sum = 0;
    for (int64_t i = 0; i < s->count; i++) {
        score[i] = seen_score(s, q, k + i * step, s->count - 1 - i, NULL);
        top = op_value(OP_maximum, score[i], top, 0);
    }
    if (sink)
        sum = exp(sink->at[s->h] - top);
    for (int64_t i = 0; i < s->count; i++)
        sum += score[i] = exp(score[i] - top);
    for (int64_t i = 0; i < s->count; i++)
        score[i] /= sum;
}

/* Token t sees its sequence up to itself: within a window the last of these,
 * of pieces those of its own. */
int64_t attend_sees(const Run *r, const Node *n, int64_t t)
{
    int64_t all = sequence_position(r->env, t) + 1;
    if (!n->size)
        return all;
    int64_t size = size_at(n->size, r->env->T);
    if (n->name) /* "chunk" */
        return (all - 1) % size + 1;
    return all < size ? all : size;
}

/* Query head h reads key head h / (H / G). */
bool run_attend(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    const Tensor *q = in[0].t, *k = in[1].t, *v = in[2].t, *more = in[3].t;
    int64_t H = q->shape[1], G = k->shape[1], hd = q->shape[2],
            wide = v->shape[2];
    Seen s = {.slope = n->op == OP_attend_slope ? more : NULL,
              .bias = n->op == OP_attend_bias ? more : NULL,
              .cap = n->num, .hd = hd};
    const Tensor *sink = n->op == OP_attend_sink ? more : NULL;
    double *score = xmalloc((size_t)q->shape[0] * sizeof *score + 1);
    for (int64_t t = 0; t < q->shape[0]; t++) {
        s.count = attend_sees(r, n, t);
        for (s.h = 0; s.h < H; s.h++) {
            int64_t g = s.h / (H / G), first = (t - s.count + 1) * G + g;
            double *to = out->at + (t * H + s.h) * wide;
            scores(&s, sink, q->at + (t * H + s.h) * hd, k->at + first * hd,
                   G * hd, score);
            for (int64_t i = 0; i < s.count; i++)
                for (int64_t j = 0; j < wide; j++)
                    to[j] += score[i] *
                             v->at[(first + i * G) * wide + j];
        }
    }
    free(score);
    return true;
}

/* Element j of the half that leads turns with the one after it, or with that
 * of the other half. */
static void turn(const double *x, double *y, int64_t half, bool pairs,
                 const double *cos_, const double *sin_)
{
    for (int64_t j = 0; j < half; j++) {
        int64_t a = pairs ? 2 * j : j, b = pairs ? a + 1 : j + half;
        y[a] = x[a] * cos_[j] - x[b] * sin_[j];
        y[b] = x[b] * cos_[j] + x[a] * sin_[j];
    }
}

bool run_rope(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    const Tensor *x = in[0].t;
    int64_t H = x->shape[1], hd = x->shape[2], half = n->rope->rotary / 2;
    if (2 * half > hd)
        return err_set(r->err, "%s: %d elements of a head turn, it has %lld",
                       node_name(n), n->rope->rotary, (long long)hd);
    double *freq = xmalloc((size_t)(3 * half + 1) * sizeof *freq), scale;
    double *c = freq + half, *s = c + half;
    rope_frequencies(n->rope, freq, &scale);
    memcpy(out->at, x->at, (size_t)x->count * sizeof *x->at);
    for (int64_t t = 0; t < x->shape[0]; t++) {
        double pos = (double)sequence_position(r->env, t);
        for (int64_t j = 0; j < half; j++) {
            c[j] = cos(pos * freq[j]) * scale;
            s[j] = sin(pos * freq[j]) * scale;
        }
        for (int64_t h = 0; h < H; h++)
            turn(x->at + (t * H + h) * hd, out->at + (t * H + h) * hd, half,
                 n->rope->pairs != 0, c, s);
    }
    free(freq);
    return true;
}
