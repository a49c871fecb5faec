/* A step's runs: columns in, loss, losses of modules, stats and gradients out.
 */
#include "cli/train/run.h"
#include <string.h>

static Dtype real_of(const Stage *s)
{
    return s->run->exact ? TYPE_f64 : TYPE_f32;
}

/* n doubles as what the graph's columns of numbers are given in. */
static void *as_real(Stage *s, Arena *a, const double *from, int64_t n)
{
    Dtype t = real_of(s);
    void *to = arena_alloc(a, (size_t)type_bytes(t, n) + 1);
    for (int64_t i = 0; i < n; i++)
        type_store(t, to, i, from[i]);
    return to;
}

static void *as_index(Arena *a, const double *from, int64_t n)
{
    int32_t *to = arena_alloc(a, (size_t)n * sizeof *to + 1);
    for (int64_t i = 0; i < n; i++)
        to[i] = (int32_t)from[i];
    return to;
}

static int columns_in(Stage *s, Arena *a, const Micro *m, Column *in)
{
    int n = 0;
    in[n++] = (Column){"token", TYPE_i32, m->token};
    in[n++] = (Column){"label", TYPE_i32, m->label};
    in[n++] = (Column){"share", real_of(s),
                       as_real(s, a, m->share, m->tokens)};
    in[n++] = (Column){"part", real_of(s), as_real(s, a, &m->part, 1)};
    for (int c = 0; c < s->fed.columns; c++) {
        const DataColumn *d = &s->fed.column[c];
        in[n++] = d->most ? (Column){d->name, TYPE_i32,
                                     as_index(a, m->column[c], m->tokens)}
                          : (Column){d->name, real_of(s),
                                     as_real(s, a, m->column[c], m->tokens)};
    }
    return n;
}

static void add_watched(Stage *s, double part, bool first)
{
    for (int i = 0; i < s->watched.n; i++) {
        struct Watched *w = &s->watched.at[i];
        for (int64_t j = 0; j < w->count; j++)
            w->sum[j] = (first ? 0 : w->sum[j]) +
                        w->now[j] * (w->kind == WATCH_loss ? part : 1);
    }
}

/* Draws are of the seed, the stage, the step and the token's number in it,
 * however the step is cut. */
static Draws draws_of(const Stage *s, const Micro *m)
{
    char name[96];
    snprintf(name, sizeof name, "stage %d step %lld", s->act->stage,
             (long long)s->at);
    uint64_t seed = (uint64_t)s->act->option[TRAIN_seed].number;
    return (Draws){random_key(seed, name), m->base};
}

static bool run_micro(Stage *s, const Micro *m, bool first, Err *err)
{
    Arena a = {0};
    double loss;
    Column *in = arena_alloc(&a, (size_t)(4 + s->fed.columns) * sizeof *in);
    Column *out = arena_alloc(&a, (size_t)(1 + s->watched.n +
                                           s->gradients.out.n) * sizeof *out);
    int nin = columns_in(s, &a, m, in), nout = 0;
    out[nout++] = (Column){"loss", TYPE_f64, &loss};
    for (int i = 0; i < s->watched.n; i++)
        out[nout++] = (Column){s->watched.at[i].name, TYPE_f64,
                               s->watched.at[i].now};
    nout += gradients_columns(&s->gradients, first, out + nout);
    bool fine = runner_run(s->runner, m->tokens, m->pos, in, nin, out, nout,
                           draws_of(s, m), err);
    if (fine) {
        s->loss = (first ? 0 : s->loss) + loss;
        add_watched(s, m->part, first);
        if (!first)
            gradients_add(&s->gradients);
    }
    arena_free(&a);
    return fine;
}

bool stage_compute(Stage *s, Batch *b, Err *err)
{
    for (int i = 0; i < b->nmicro; i++)
        if (!run_micro(s, &b->micro[i], i == 0, err))
            return false;
    return true;
}
