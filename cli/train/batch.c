/* Examples put into an order for each epoch, into steps and into runs. A label
 * is shifted here and nowhere else: token t predicts label t + 1 of its own
 * example. */
#include "cli/train/batch.h"
#include <math.h>
#include <string.h>

/* ---- parts ---- */

static int by_number(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return x < y ? -1 : x > y;
}

/* Leaves of p what one split leaves. */
static void split(Part *p, const struct RunSplit *s)
{
    int *order = xmalloc((size_t)p->n * sizeof *order + 1);
    random_shuffle(random_key(s->seed, "split"), p->n, order);
    int held = (int)floor(s->share * p->n + 0.5);
    held = held < 1 ? 1 : held;
    held = held > p->n - 1 ? p->n - 1 : held;
    held = held < 0 ? 0 : held;
    int from = s->held ? 0 : held, to = s->held ? held : p->n;
    qsort(order + from, (size_t)(to - from), sizeof *order, by_number);
    for (int i = from; i < to; i++)
        order[i - from] = p->at[order[i]];
    memcpy(p->at, order, (size_t)(to - from) * sizeof *order);
    p->n = to - from;
    free(order);
}

Part examples_of(const Data *d, const RunData *how)
{
    Part p = {.data = d, .n = d->example.n};
    p.at = xmalloc((size_t)p.n * sizeof *p.at + 1);
    for (int i = 0; i < p.n; i++)
        p.at[i] = i;
    for (int i = 0; i < how->split.n; i++)
        split(&p, &how->split.at[i]);
    return p;
}

void examples_free(Part *p)
{
    free(p->at);
}

/* ---- order ---- */

int64_t order_per_epoch(const Order *o)
{
    return (o->part->n + o->batch - 1) / o->batch;
}

static void order_epoch(Order *o, int64_t epoch)
{
    char name[64];
    if (o->epoch == epoch && o->order)
        return;
    if (!o->order)
        o->order = xmalloc((size_t)o->part->n * sizeof *o->order + 1);
    o->epoch = epoch;
    snprintf(name, sizeof name, "epoch %lld", (long long)epoch);
    if (o->shuffled)
        random_shuffle(random_key(o->seed, name), o->part->n, o->order);
    for (int i = 0; !o->shuffled && i < o->part->n; i++)
        o->order[i] = i;
}

int order_step(Order *o, int64_t s, const Example **out)
{
    int64_t per = order_per_epoch(o), first = s % per * o->batch;
    int n = 0;
    order_epoch(o, s / per);
    for (int64_t i = first; i < first + o->batch && i < o->part->n; i++)
        out[n++] = &o->part->data->example.at[o->part->at[o->order[i]]];
    return n;
}

void order_free(Order *o)
{
    free(o->order);
}

/* ---- runs ---- */

static void fill_example(Micro *m, int64_t at,
                         const Example *e, double share, int columns)
{
    for (int t = 0; t < e->n; t++) {
        int32_t next = t + 1 < e->n ? e->label[t + 1] : NO_LABEL;
        m->pos[at + t] = t;
        m->token[at + t] = e->id[t];
        m->label[at + t] = next == NO_LABEL ? 0 : next;
        m->share[at + t] = next == NO_LABEL ? 0 : share;
        for (int c = 0; c < columns; c++)
            m->column[c][at + t] = e->column[c][t];
    }
}

static void *room(Batch *b, int64_t n, size_t each)
{
    return arena_alloc(&b->arena, (size_t)n * each + 1);
}

static void fill(Batch *b, Micro *m, int columns, bool by_example)
{
    int64_t T = m->tokens, at = 0, labelled = 0;
    m->pos = room(b, T, sizeof *m->pos);
    m->token = room(b, T, sizeof *m->token);
    m->label = room(b, T, sizeof *m->label);
    m->share = room(b, T, sizeof *m->share);
    m->column = room(b, columns, sizeof *m->column);
    for (int c = 0; c < columns; c++)
        m->column[c] = room(b, T, sizeof **m->column);
    for (int i = 0; i < b->n; i++)
        labelled += b->example[i]->labelled > 0;
    for (int i = m->first; i < m->first + m->n; i++) {
        const Example *e = b->example[i];
        double share = !e->labelled ? 0
                       : by_example ? 1.0 / (double)labelled / e->labelled
                                    : 1.0 / (double)b->labelled;
        fill_example(m, at, e, share, columns);
        at += e->n;
    }
    m->part = (double)T / (double)b->tokens;
}

void batch_make(Batch *b, int n, int columns, int64_t most, bool by_example)
{
    b->n = n;
    b->micro = room(b, n, sizeof *b->micro);
    for (int i = 0; i < n; i++) {
        const Example *e = b->example[i];
        Micro *m = b->nmicro ? &b->micro[b->nmicro - 1] : NULL;
        if (!m || m->tokens + e->n > most) {
            m = &b->micro[b->nmicro++];
            *m = (Micro){.first = i, .base = b->tokens};
        }
        m->n++;
        m->tokens += e->n;
        b->tokens += e->n;
        b->labelled += e->labelled;
    }
    for (int i = 0; i < b->nmicro; i++)
        fill(b, &b->micro[i], columns, by_example);
}
