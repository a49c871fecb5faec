/* The mean loss of a model: its negative log-likelihood of each token that is
 * to be predicted. */
#include "cli/driver/score.h"
#include <math.h>

/* -log of the softmax of logits[n] at `id`. */
static double loss(const float *logits, int n, int32_t id)
{
    double most = logits[0], sum = 0;
    for (int i = 1; i < n; i++)
        most = logits[i] > most ? logits[i] : most;
    for (int i = 0; i < n; i++)
        sum += exp(logits[i] - most);
    return most + log(sum) - logits[id];
}

/* Memory for a piece of a window: with losses and stats it is a whole one. */
typedef struct {
    Engine *e;
    float *logits;
    int piece;
} Room;

static Room room_for(Engine *e, int length)
{
    enum { PIECE = 128 };
    const Effect *effect;
    Room r = {.e = e};
    r.piece = engine_effects(e, &effect) ? length : PIECE;
    r.logits = xmalloc((size_t)r.piece * (size_t)engine_vocabulary(e) *
                       sizeof *r.logits);
    return r;
}

/* One window, a piece at a time, so that memory stays small. label[t] is what
 * token t - 1 has to predict. */
static bool score_window(const Room *r, const int32_t *ids,
                         const int32_t *label, int n, Score *s, Err *err)
{
    int v = engine_vocabulary(r->e);
    engine_restart(r->e);
    for (int at = 0; at < n - 1 && !(s->stopped = rt_interrupted);
         at += r->piece) {
        int len = n - 1 - at < r->piece ? n - 1 - at : r->piece;
        if (!engine_run(r->e, ids + at, len, r->logits, err))
            return false;
        for (int i = 0; i < len; i++) {
            int32_t want = label[at + i + 1];
            double x = want == NO_LABEL
                           ? 0
                           : loss(r->logits + (size_t)i * (size_t)v, v, want);
            s->sum += x;
            s->squares += x * x;
            s->tokens += want != NO_LABEL;
        }
        if (s->ran)
            s->ran(s->user, r->e, len);
    }
    return true;
}

bool score_ids(Engine *e, const Common *common, const Ids *ids, int length,
               Score *s, Err *err)
{
    if ((size_t)length > ids->n)
        length = (int)ids->n;
    if (!engine_for(e, length, err))
        return false;
    Room r = room_for(e, length);
    Progress p = progress_begin(common, "eval", "tokens", (int64_t)ids->n);
    bool fine = true;
    for (size_t at = 0; fine && !s->stopped && at < ids->n;
         at += (size_t)length) {
        size_t left = ids->n - at;
        int n = left < (size_t)length ? (int)left : length;
        fine = score_window(&r, ids->at + at, ids->at + at, n, s, err);
        progress_at(&p, (int64_t)at + n);
    }
    progress_end(&p);
    free(r.logits);
    return fine;
}

bool score_examples(Engine *e, const Common *common, const Data *d,
                    const int *at, int n, Score *s, Err *err)
{
    int longest = 1;
    for (int i = 0; i < n; i++) {
        const Example *x = &d->example.at[at ? at[i] : i];
        longest = x->n > longest ? x->n : longest;
    }
    if (!engine_for(e, longest, err))
        return false;
    Room r = room_for(e, longest);
    Progress p = progress_begin(common, "eval", "examples", n);
    bool fine = true;
    for (int i = 0; fine && !s->stopped && i < n; i++) {
        const Example *x = &d->example.at[at ? at[i] : i];
        fine = score_window(&r, x->id, x->label, x->n, s, err);
        progress_at(&p, i + 1);
    }
    progress_end(&p);
    free(r.logits);
    return fine;
}

double score_mean(const Score *s)
{
    return s->sum / (double)s->tokens;
}

double score_error(const Score *s)
{
    double n = (double)s->tokens, mean = s->sum / n;
    double variance = (s->squares - n * mean * mean) / (n - 1);
    return sqrt(fmax(variance, 0) / n);
}
