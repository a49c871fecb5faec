/* The rows of graft bench: graft itself, and the peers that are there, in turn.
 */
#include "cli/tools/bench.h"
#include <string.h>

#define ROW_SECONDS 10 /* then three turns of each are enough */

/* ---- peers ---- */

void bench_start_peers(Bench *b)
{
    static const struct {
        const char *what, *peer[MAX_PEERS];
    } table[] = {{"moe", {"transformers", "ggml"}},
                 {"matmul", {"torch", NULL}},
                 {"model", {"transformers", "llama.cpp"}},
                 {"train", {"transformers", NULL}}};
    for (size_t i = 0; i < COUNT(table); i++)
        for (int j = 0; !strcmp(table[i].what, b->what) && j < MAX_PEERS; j++)
            if (table[i].peer[j])
                b->peer[b->npeers++] = (Peer){
                    .name = table[i].peer[j], .common = &b->common,
                    .patience = b->patience, .fd = -1};
    for (int i = 0; i < b->npeers; i++)
        peer_start(&b->peer[i]);
}

/* What a peer is to run. */
static cJSON *subject_json(const Bench *b, const BenchSubject *s, int64_t T,
                           Routing how, const Peer *p)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "what", b->what);
    cJSON_AddNumberToObject(o, "tokens", (double)T);
    cJSON_AddNumberToObject(o, "threads", b->report.peaks.threads);
    cJSON_AddStringToObject(o, "dtype", type_info[s->t].name);
    if (!s->layer) {
        cJSON_AddStringToObject(o, "model",
                                p->file ? p->file : b->model);
        cJSON_AddNumberToObject(o, "before", (double)bench_before(s, T));
        return o;
    }
    cJSON_AddNumberToObject(o, "width", (double)s->width);
    cJSON_AddNumberToObject(o, "inner", (double)s->inner);
    cJSON_AddNumberToObject(o, "experts", s->layer->experts + s->layer->shared);
    cJSON_AddNumberToObject(o, "active", s->layer->active + s->layer->shared);
    cJSON_AddStringToObject(o, "routing", routing_names[how]);
    return o;
}

/* ---- a row, or one for each peer ---- */

typedef struct {
    BenchRun own, uniform; /* uniform: beside a skewed one */
    Contender c[2 + MAX_PEERS * MAX_WAYS];
    int n;
} Contest;

static void enter_peers(Bench *b, const BenchSubject *s, int64_t T, Routing how,
                        Contest *c)
{
    for (int i = 0; i < b->npeers; i++) {
        Peer *p = &b->peer[i];
        if (p->fd < 0 || !peer_subject(p, subject_json(b, s, T, how, p)))
            continue;
        for (int j = 0; j < p->nways; j++)
            c->c[c->n++] = (Contender){.peer = p, .way = j};
    }
}

static const Contender *best_way(const Contest *c, const Peer *p)
{
    const Contender *best = NULL;
    for (int i = 0; i < c->n; i++)
        if (c->c[i].peer == p && !c->c[i].out &&
            (!best || c->c[i].median < best->median))
            best = &c->c[i];
    return best;
}

/* A row for each peer, or one without. */
static cJSON *say_rows(Bench *b, Row *row, const Contest *c)
{
    cJSON *first = NULL;
    for (int i = 0; i < b->npeers; i++) {
        if (!(row->peer = best_way(c, &b->peer[i])))
            continue;
        cJSON *o = bench_say_row(&b->report, row);
        first = first ? first : o;
    }
    return first ? first : bench_say_row(&b->report, row);
}

static cJSON *say(Bench *b, const BenchSubject *s, int64_t T, Routing how,
                  const Contest *c)
{
    Row row = {.what = s->name, .tokens = T, .seconds = c->c[0].median,
               .work = program_work(s->p, bench_before(s, T), T)};
    if (s->context >= 0)
        row.what = intern_printf("%s, %lld before", s->name,
                                 (long long)s->context);
    if (how != ROUTING_uniform) {
        row.what = intern_printf("%s, %s", s->name, routing_names[how]);
        row.uniform = c->c[1].median;
    }
    return say_rows(b, &row, c);
}

static bool contest(Bench *b, const BenchSubject *s, int64_t T, Routing how,
                    Contest *c, Err *err)
{
    bool skewed = how != ROUTING_uniform;
    bool fine = bench_run_begin(&c->own, s, T, how, err);
    c->c[c->n++].run = &c->own;
    if (fine && skewed) {
        fine = bench_run_begin(&c->uniform, s, T, ROUTING_uniform, err);
        c->c[c->n++].run = &c->uniform;
    }
    if (fine)
        enter_peers(b, s, T, how, c);
    fine = fine && bench_contest(c->c, c->n, b->tries, ROW_SECONDS, err);
    if (fine) {
        cJSON *row = say(b, s, T, how, c);
        fine = !b->kernels || bench_say_kernels(&b->report, &c->own, row, err);
    }
    return fine;
}

bool bench_row(Bench *b, const BenchSubject *s, int64_t T, Routing how,
               Err *err)
{
    Contest *c = xmalloc(sizeof *c);
    memset(c, 0, sizeof *c);
    bool fine = contest(b, s, T, how, c, err);
    bench_contest_end(c->c, c->n);
    bench_run_end(&c->own);
    bench_run_end(&c->uniform);
    free(c);
    return fine;
}

static bool train_contest(Bench *b, const BenchSubject *s, int64_t T,
                          Contest *c, Err *err)
{
    StepTimer *t = step_timer_new(b->model, s->vocabulary, T, &b->common, err);
    bool fine = t && step_timer_run(t, err) >= 0;
    c->c[c->n++].step = t;
    if (fine)
        enter_peers(b, s, T, ROUTING_uniform, c);
    fine = fine && bench_contest(c->c, c->n, b->tries, ROW_SECONDS, err);
    if (fine) {
        Row row = {.what = "train", .tokens = T, .seconds = c->c[0].median,
                   .work = step_timer_work(t)};
        cJSON *said = say_rows(b, &row, c);
        cJSON_AddNumberToObject(said, "tokens_per_second",
                                (double)T / row.seconds);
    }
    step_timer_free(t);
    return fine;
}

bool bench_train_row(Bench *b, const BenchSubject *s, int64_t T, Err *err)
{
    Contest *c = xmalloc(sizeof *c);
    memset(c, 0, sizeof *c);
    bool fine = train_contest(b, s, T, c, err);
    bench_contest_end(c->c, c->n);
    free(c);
    return fine;
}
