/* The next token from logits. The kept tokens' probabilities are walked in the
 * order of their ids, so that a draw depends on nothing but logits, settings,
 * seed and step. */
#include "runtime/run/run.h"
#include <math.h>

void philox4x32(uint32_t c[4], uint32_t key0, uint32_t key1)
{
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xd2511f53u * c[0];
        uint64_t b = (uint64_t)0xcd9e8d57u * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ key0, (uint32_t)b,
                            (uint32_t)(a >> 32) ^ c[3] ^ key1, (uint32_t)a};
        for (int i = 0; i < 4; i++)
            c[i] = next[i];
        key0 += 0x9e3779b9u, key1 += 0xbb67ae85u;
    }
}

double sample_uniform(uint64_t seed, uint64_t step)
{
    uint32_t c[4] = {(uint32_t)step, (uint32_t)(step >> 32), 0, 0};
    philox4x32(c, (uint32_t)seed, (uint32_t)(seed >> 32));
    uint64_t bits = (uint64_t)c[0] << 32 | c[1];
    return (double)(bits >> 11) * 0x1p-53;
}

int32_t sample_greedy(const float *logits, int n)
{
    int best = -1;
    for (int i = 0; i < n; i++)
        if (!isnan(logits[i]) && (best < 0 || logits[i] > logits[best]))
            best = i;
    return best;
}

/* A logit and its place: the order in which tokens are kept. */
typedef struct {
    float logit;
    int id;
} Choice;

static bool before(Choice a, Choice b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

static int compare(const void *a, const void *b)
{
    const Choice *x = a, *y = b;
    return before(*x, *y) ? -1 : before(*y, *x);
}

typedef struct {
    const float *logits;
    int n;
    double scale, top; /* 1 / temp, the largest logit */
} Dist;

/* exp(logit / temp), the largest being 1; nothing for what is no number. */
static double weight(const Dist *d, int i)
{
    if (isnan(d->logits[i]))
        return 0;
    if (d->logits[i] == d->top) /* also where both are infinite */
        return 1;
    return exp(((double)d->logits[i] - d->top) * d->scale);
}

/* The tokens whose weight is at least `least`, best first. */
static Choice *sorted(const Dist *d, double least, int *count)
{
    Choice *c = xmalloc((size_t)d->n * sizeof *c);
    *count = 0;
    for (int i = 0; i < d->n; i++)
        if (!isnan(d->logits[i]) && weight(d, i) >= least)
            c[(*count)++] = (Choice){d->logits[i], i};
    qsort(c, (size_t)*count, sizeof *c, compare);
    return c;
}

static double total(const Dist *d)
{
    double sum = 0;
    for (int i = 0; i < d->n; i++)
        sum += weight(d, i);
    return sum;
}

static double total_of(const Dist *d, const Choice *c, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += weight(d, c[i].id);
    return sum;
}

/* How many of the n best make up p of `sum`. */
static int reach(const Dist *d, const Choice *c, int n, double p, double sum)
{
    double got = 0;
    for (int i = 0; i < n; i++) {
        got += weight(d, c[i].id);
        if (got >= p * sum)
            return i + 1;
    }
    return n;
}

/* The last token to keep. Without top_k, tokens of less than (1 - p) / n need
 * not be looked at: all of them together do not make up 1 - p. */
static Choice last_kept(const Sampling *s, const Dist *d)
{
    bool by_p = s->top_p > 0 && s->top_p < 1;
    bool by_k = s->top_k > 0 && s->top_k < d->n;
    if (!by_p && !by_k)
        return (Choice){-INFINITY, d->n};
    double sum = total(d), p = (double)s->top_p;
    double least = by_k ? 0 : sum * (1 - p) / d->n * (1 - 1e-9);
    int keep;
    Choice *c = sorted(d, least, &keep);
    if (by_k) {
        keep = s->top_k < keep ? s->top_k : keep;
        sum = total_of(d, c, keep);
    }
    if (by_p)
        keep = reach(d, c, keep, p, sum);
    Choice last = c[keep - 1];
    free(c);
    return last;
}

static int32_t draw(const Dist *d, Choice last, double u)
{
    double sum = 0, got = 0;
    int32_t id = -1;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < d->n; i++) {
            double w = weight(d, i);
            if (w <= 0 || before(last, (Choice){d->logits[i], i}))
                continue;
            if (pass == 0) {
                sum += w;
                continue;
            }
            id = i, got += w;
            if (got > u * sum)
                return id;
        }
    return id;
}

int32_t sample(const Sampling *s, uint64_t step, const float *logits, int n)
{
    int32_t best = sample_greedy(logits, n);
    if (best < 0 || !(s->temp > 0))
        return best;
    Dist d = {logits, n, 1 / (double)s->temp, logits[best]};
    return draw(&d, last_kept(s, &d), sample_uniform(s->seed, step));
}
