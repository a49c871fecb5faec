/* The search: one choice of a kernel after the other, first what a cost model
 * likes best, then the neighbours of the best, each candidate in turn with the
 * best so far. Kept is what is better by more than the noise. */
#include "cli/tools/explore.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

enum { QUICK = 2, FEW = 3, ROUNDS = 9 };
static const double gain = 0.98; /* less is noise */

/* ---- two in turn ---- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The lower quartile: what other programs add to a time is left out. */
static double quartile(double *at, int n, double *noise)
{
    qsort(at, (size_t)n, sizeof *at, by_size);
    *noise = at[n / 4] / at[0] - 1;
    return at[n / 4];
}

Versus explore_versus(int rounds, TimeOne run, void *user)
{
    double time[2][64], noise[2], start = seconds_now();
    int n = 0;
    for (; n < rounds && n < 64; n++) {
        if (n >= FEW && (rt_interrupted || seconds_now() > start + 1))
            break; /* long runs have little noise */
        bool first = n & 1; /* which of them begins */
        time[first][n] = run(user, first);
        time[!first][n] = run(user, !first);
        if (time[0][n] <= 0 || time[1][n] <= 0)
            break;
    }
    if (!n)
        return (Versus){.ratio = INFINITY, .high = INFINITY};
    Versus v = {.a = quartile(time[0], n, &noise[0]),
                .b = quartile(time[1], n, &noise[1])};
    v.ratio = v.b / v.a;
    v.high = v.ratio * (1 + fmax(noise[0], noise[1]));
    return v;
}

/* ---- a candidate ---- */

typedef struct {
    Explore *e;
    Explored *k;
    Trials *trials;
    Trial *first, *best;
    double end;
    unsigned mask; /* tokens that the choice at hand matters for */
} Search;

typedef struct {
    Trial *side[2];
    int64_t T;
} Pair;

static double time_side(void *user, bool second)
{
    const Pair *p = user;
    return trial_seconds(p->side[second], p->T);
}

static bool over(const Search *s)
{
    return rt_interrupted || seconds_now() > s->end;
}

/* Over all tokens that count: the mean ratio, and with noise; `worst`: of any.
 */
static Versus compare(Search *s, Trial *a, Trial *b, int rounds,
                      Candidate *c, double *worst)
{
    double sum = 0, high = 0;
    int n = 0;
    *worst = 0;
    for (int i = 0; i < s->e->ntokens; i++) {
        if (!(s->mask & 1u << i))
            continue;
        Pair p = {{a, b}, s->e->tokens[i]};
        Versus v = explore_versus(rounds, time_side, &p);
        c->seconds[i] = v.b;
        sum += log(v.ratio);
        high += log(v.high);
        *worst = fmax(*worst, v.ratio);
        n++;
    }
    if (!n)
        return (Versus){.ratio = INFINITY, .high = INFINITY};
    return (Versus){.ratio = exp(sum / n), .high = exp(high / n)};
}

static bool was_tried(const Search *s, const Schedule *t)
{
    for (int i = 0; i < s->k->tried.n; i++)
        if (!memcmp(&s->k->tried.at[i].schedule, t, sizeof *t))
            return true;
    return !memcmp(trial_schedule(s->best), t, sizeof *t);
}

/* True: it is the best now. */
static bool try(Search *s, const Schedule *choice)
{
    if (over(s))
        return false;
    Candidate c = {.schedule = *choice};
    Trial *t = trial_new(s->trials, choice);
    c.schedule = *trial_schedule(t);
    if (was_tried(s, &c.schedule)) {
        trial_free(t);
        return false;
    }
    double worst;
    Versus v = compare(s, s->best, t, QUICK, &c, &worst);
    if (v.ratio < 1.02 && !over(s)) {
        v = compare(s, s->best, t, ROUNDS, &c, &worst);
        c.taken = v.ratio < gain && v.high < 1 && worst < 1 / gain;
    }
    c.ratio = v.ratio;
    list_push(&s->e->arena, &s->k->tried, c);
    Trial *loser = c.taken ? s->best : t;
    s->best = c.taken ? t : s->best;
    if (loser != s->first)
        trial_free(loser);
    return c.taken;
}

/* ---- the choices ---- */

/* Time of a tile by the cost model, in units of its multiplications: loads go
 * beside them two at a time, sums must not wait for each other, and the last
 * rows of T fill a tile in vain. */
static double tile_cost(int tokens, int vectors, int64_t rows)
{
    double products = (double)tokens * vectors;
    double loads = (tokens + vectors) / products;
    double wait = products < 8 ? 8 / products : 1;
    double tiles = ceil((double)rows / tokens);
    return fmax(1, 1.5 * loads) * wait * tiles * tokens / (double)rows;
}


static unsigned tokens_between(const Search *s, int64_t least, int64_t most)
{
    unsigned mask = 0;
    for (int i = 0; i < s->e->ntokens; i++)
        if (s->e->tokens[i] >= least && s->e->tokens[i] <= most)
            mask |= 1u << i;
    return mask;
}

typedef struct {
    int tokens, vectors;
    double cost;
} Shape;

static int by_cost(const void *a, const void *b)
{
    double x = ((const Shape *)a)->cost, y = ((const Shape *)b)->cost;
    return (x > y) - (x < y);
}

static void try_tiles(Search *s)
{
    static const int tokens[] = {32, 14, 12, 9, 8, 6, 4};
    Shape shape[4 * COUNT(tokens)];
    int n = 0;
    s->mask = tokens_between(s, 1, INT64_MAX);
    int64_t T = s->e->tokens[s->e->ntokens - 1];
    for (int v = 1; v <= 4; v++)
        for (size_t i = 0; i < COUNT(tokens); i++) {
            int most = 30 / v, rows = tokens[i] < most ? tokens[i] : most;
            shape[n++] = (Shape){rows, v, tile_cost(rows, v, T)};
        }
    qsort(shape, (size_t)n, sizeof *shape, by_cost);
    for (int i = 0; i < n && i < 12 && !over(s); i++) {
        Schedule c = *trial_schedule(s->best);
        c.tokens = shape[i].tokens;
        c.vectors = shape[i].vectors;
        try(s, &c);
    }
}

/* Doubles the choice at `at` of Schedule, then halves it, for as long as that
 * is better; 0 counts as `start`. bucket < 0: it has one value. */
static void try_along(Search *s, size_t at, int bucket, int start, int least,
                      int most, int step)
{
    at += bucket < 0 ? 0 : (size_t)bucket * sizeof(int);
    for (int up = 1; up >= 0; up--)
        for (int better = 1; better && !over(s);) {
            Schedule c = *trial_schedule(s->best);
            int *value = (int *)(void *)((char *)&c + at);
            int from = *value ? *value : start;
            int to = up ? from * 2 : from / 2;
            to = to < least ? least : to / step * step;
            better = to <= most && (up ? to > from : to < from);
            *value = to;
            better = better && try(s, &c);
        }
}
#define ALONG(s, name, bucket, ...) \
    try_along(s, offsetof(Schedule, name), bucket, __VA_ARGS__)

static void try_buckets(Search *s, bool matmul)
{
    for (int b = 0; b < BUCKETS; b++) {
        int64_t first = b ? (int64_t)bucket_end[b - 1] + 1 : 1;
        s->mask = tokens_between(s, first, bucket_end[b]);
        if (!s->mask)
            continue;
        if (matmul)
            ALONG(s, tasks, b, 1, 1, 128, 1);
        else
            ALONG(s, heads, b, 1, 1, 64, 1);
        if (b > 1)
            ALONG(s, block, b, 1, 8, 1024, 1);
    }
}

static void try_matmul(Search *s)
{
    int64_t k = s->k->key.part[0].size;
    try_tiles(s);
    s->mask = tokens_between(s, 1, 64);
    if (s->mask)
        ALONG(s, ahead, -1, 64, 256, 1 << 15, 64);
    s->mask = tokens_between(s, 65, INT64_MAX);
    if (s->mask && k > 64)
        ALONG(s, depth, -1, (int)(k + 31) / 32 * 32, 64, (int)k, 32);
    try_buckets(s, true);
}

static void search(Search *s)
{
    for (int before = -1; before != s->k->tried.n && !over(s);) {
        before = s->k->tried.n;
        if (s->k->key.skeleton == SKEL_map) {
            s->mask = tokens_between(s, 1, INT64_MAX);
            ALONG(s, grain, -1, 1, 1, 1 << 20, 1);
        } else if (s->k->key.skeleton == SKEL_attend) {
            try_buckets(s, false);
        } else {
            try_matmul(s);
        }
    }
}

/* The winner beside what was before, once more. */
static void confirm(Search *s)
{
    Explored *k = s->k;
    double sum = 0, high = 0;
    for (int i = 0; i < s->e->ntokens; i++) {
        Pair p = {{s->first, s->best}, s->e->tokens[i]};
        Versus v = explore_versus(ROUNDS, time_side, &p);
        k->old[i] = v.a;
        k->new[i] = v.b;
        sum += log(v.ratio) / s->e->ntokens;
        high += log(v.high) / s->e->ntokens;
    }
    k->better = s->best != s->first && exp(sum) < gain && high < 0;
    if (!k->better)
        memcpy(k->new, k->old, sizeof k->new);
}

void explore_kernel(Explore *e, Explored *k, double end)
{
    int64_t most = 1;
    for (int i = 0; i < e->ntokens; i++)
        most = e->tokens[i] > most ? e->tokens[i] : most;
    Search s = {.e = e, .k = k, .end = end};
    s.trials = trials_new(e->program, k->kernel, e->memory, most);
    k->measured = true;
    s.first = s.best = trial_new(s.trials, &k->before);
    search(&s);
    confirm(&s);
    if (k->better)
        k->after = *trial_schedule(s.best);
    if (s.best != s.first)
        trial_free(s.best);
    trial_free(s.first);
    trials_free(s.trials);
}
