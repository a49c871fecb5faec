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

/* score[i] = softmax of scale q . k_(first + i), over `count` tokens. */
static void scores(const double *q, const double *k, int64_t step, int64_t hd,
                   int64_t count, double *score)
{
    double top = -INFINITY, sum = 0;
    for (int64_t i = 0; i < count; i++) {
        score[i] = dot(q, k + i * step, hd) / sqrt((double)hd);
        top = op_value(OP_maximum, score[i], top, 0);
    }
    for (int64_t i = 0; i < count; i++)
        sum += score[i] = exp(score[i] - top);
    for (int64_t i = 0; i < count; i++)
        score[i] /= sum;
}

/* Token t sees its sequence up to itself, and within a window the last
 * `window` of these. Query head h reads key head h / (H / G). */
bool run_attend(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    const Tensor *q = in[0].t, *k = in[1].t, *v = in[2].t;
    int64_t H = q->shape[1], G = k->shape[1], hd = q->shape[2],
            wide = v->shape[2], window = INT64_MAX;
    if (n->size)
        window = size_at(n->size, r->env->T);
    double *score = xmalloc((size_t)q->shape[0] * sizeof *score + 1);
    for (int64_t t = 0; t < q->shape[0]; t++) {
        int64_t see = sequence_position(r->env, t) + 1;
        see = see < window ? see : window;
        for (int64_t h = 0; h < H; h++) {
            int64_t g = h / (H / G), first = (t - see + 1) * G + g;
            double *to = out->at + (t * H + h) * wide;
            scores(q->at + (t * H + h) * hd, k->at + first * hd, G * hd, hd,
                   see, score);
            for (int64_t i = 0; i < see; i++)
                for (int64_t j = 0; j < wide; j++)
                    to[j] += score[i] *
                             v->at[(first + i * G) * wide + j];
        }
    }
    free(score);
    return true;
}

static void turn(const double *x, double *y, int64_t half, const double *cos_,
                 const double *sin_)
{
    for (int64_t j = 0; j < half; j++) {
        y[j] = x[j] * cos_[j] - x[j + half] * sin_[j];
        y[j + half] = x[j + half] * cos_[j] + x[j] * sin_[j];
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
            turn(x->at + (t * H + h) * hd, out->at + (t * H + h) * hd, half, c,
                 s);
    }
    free(freq);
    return true;
}
