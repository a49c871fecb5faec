/* A stage: what it trains found and checked, its programs made, its steps. */
#include "cli/train/checkpoint.h"
#include "cli/train/report.h"
#include "compiler/grad/grad.h"
#include "passes/passes.h"
#include <math.h>
#include <string.h>
#include <unistd.h>

static double option(const Stage *s, TrainOption o)
{
    return s->act->option[o].number;
}

/* ---- what is known before it begins ---- */

int64_t stage_steps(const Stage *s)
{
    if (s->act->option[TRAIN_steps].given)
        return (int64_t)option(s, TRAIN_steps);
    double all = option(s, TRAIN_epochs) * (double)order_per_epoch(&s->order);
    return (int64_t)ceil(all - 1e-9);
}

static bool check_length(const Stage *s, Err *err)
{
    if (option(s, TRAIN_warmup) > (double)s->steps)
        return err_set(err, "train: a warmup of %.0f steps, but %g epochs of "
                            "%d examples are %lld", option(s, TRAIN_warmup),
                       option(s, TRAIN_epochs), s->fed.part.n,
                       (long long)s->steps);
    return s->steps > 0 || err_set(err, "train: %g epochs are no step",
                                   option(s, TRAIN_epochs));
}

bool stage_open(Stage *s, Run *r, const Action *act, bool planned, Err *err)
{
    *s = (Stage){.run = r, .act = act};
    if (!opened_make(&s->opened, &r->plan, act->model, r->common,
                     planned ? NULL : run_stage_folder, r, err) ||
        !params_find(&s->params, &s->opened, act, r->exact, err) ||
        !fed_open(&s->fed, r, act->data, &s->opened, s->params.graph, err))
        return false;
    const TrainValue *v = act->option;
    s->order = (Order){.part = &s->fed.part,
                       .batch = (int64_t)fmin(v[TRAIN_batch].number,
                                              s->fed.part.n),
                       .shuffled = !strcmp(v[TRAIN_order].word, "shuffled"),
                       .seed = (uint64_t)v[TRAIN_seed].number, .epoch = -1};
    s->steps = stage_steps(s);
    return check_length(s, err);
}

/* ---- made ready ---- */

/* Bytes that a step may take besides weights and states. */
static double memory_of(const Stage *s)
{
    double asked = option(s, TRAIN_memory);
    return asked > 0 ? asked : (double)memory_free() / 2;
}

static bool differentiate(Stage *s, Err *err)
{
    const Weight **w = arena_alloc(&s->arena, (size_t)s->params.param.n *
                                                  sizeof *w + 1);
    int n = 0;
    for (int i = 0; i < s->params.param.n; i++)
        if (s->params.param.at[i].trained)
            w[n++] = s->params.param.at[i].weight;
    const GradOptions o = {.n = n, .weight = w, .memory = memory_of(s),
                           .tokens = (int64_t)option(s, TRAIN_micro)};
    return grad_step(&s->arena, graph_routing(s->params.graph, &s->arena), &o,
                     &s->step, err);
}

bool stage_begin(Stage *s, Err *err)
{
    const Common *common = s->run->common;
    if (!params_load(&s->params, common, keeps_masters(s->act->option), err) ||
        !differentiate(s, err))
        return false;
    const RunnerOptions o = {.common = common, .params = &s->params,
                             .training = true, .exact = s->run->exact};
    gradients_begin(&s->gradients, &s->params, &s->step);
    watch(s);
    s->runner = runner_new(s->step.graph, &o, err);
    s->updates = s->runner ? updates_new(&s->params, s->act->option, common,
                                         err)
                           : NULL;
    if (s->updates && s->act->after.n)
        s->after = after_new(&s->params, &s->run->plan, &s->act->after,
                             common->threads, err);
    return s->updates && (s->after || !s->act->after.n);
}

void stage_free(Stage *s)
{
    runner_free(s->runner);
    updates_free(s->updates);
    after_free(s->after);
    gradients_free(&s->gradients);
    order_free(&s->order);
    fed_free(&s->fed);
    params_free(&s->params);
    opened_close(&s->opened);
    arena_free(&s->arena);
}

/* ---- steps ---- */

double stage_rate(const Stage *s, int64_t step)
{
    double lr = option(s, TRAIN_lr), warmup = option(s, TRAIN_warmup);
    const char *how = s->act->option[TRAIN_lr].word;
    if ((double)step < warmup)
        return lr * (double)step / warmup;
    double p = ((double)step - warmup) / ((double)s->steps - warmup);
    return !strcmp(how, "linear")   ? lr * (1 - p)
           : !strcmp(how, "cosine") ? lr * (1 + cos(3.14159265358979323846 *
                                                    p)) / 2
                                    : lr;
}

/* "lines 3, 17": where a step's examples stand in the data. */
static const char *examples_text(Arena *a, const Batch *b)
{
    const char *text = "";
    for (int i = 0; i < b->n && i < 20; i++)
        text = arena_printf(a, "%s%s%d", text, i ? ", " : "",
                            b->example[i]->line);
    return arena_printf(a, "line%s %s%s", b->n > 1 ? "s" : "", text,
                        b->n > 20 ? ", .." : "");
}

static bool all_finite(Stage *s, const Batch *b, double norm, Err *err)
{
    bool loss = isfinite(s->loss);
    for (int i = 0; i < s->watched.n; i++)
        loss &= s->watched.at[i].kind != WATCH_loss ||
                isfinite(s->watched.at[i].sum[0]);
    if (loss && isfinite(norm))
        return true;
    int at = gradients_unfinite(&s->gradients);
    const char *what = !loss ? "the loss"
                       : at >= 0 ? s->params.param.at[at].name
                                 : "the norm";
    return err_set(err, "%s: step %lld: %s%.200s is not finite; its examples "
                        "are %.200s of %.200s; nothing was moved, the last "
                        "checkpoint stays", s->act->name, (long long)s->at,
                   loss && at >= 0 ? "the gradient of " : "", what,
                   examples_text(&s->arena, b), s->act->data->spec.path);
}

static double clip_of(const Stage *s, double norm)
{
    double clip = option(s, TRAIN_clip);
    return clip > 0 && clip < norm + 1e-6 ? clip / (norm + 1e-6) : 1;
}

static void take_batch(Stage *s, Batch *b)
{
    *b = (Batch){0};
    b->example = xmalloc((size_t)s->order.batch * sizeof *b->example);
    int n = order_step(&s->order, s->at, b->example);
    batch_make(b, n, s->fed.columns, (int64_t)option(s, TRAIN_micro),
               !strcmp(s->act->option[TRAIN_mean].word, "examples"));
}

static void drop_batch(Batch *b)
{
    free(b->example);
    arena_free(&b->arena);
}

/* Behind the bar, which has the steps and the time left. */
static void tell(Stage *s, const Logged *l)
{
    snprintf(s->bar.more, sizeof s->bar.more,
             ", loss %.4f, rate %.3g, norm %.3g, %.0f tokens/s, %.0f MB",
             s->loss, l->lr, l->norm, (double)l->batch->tokens / l->seconds,
             peak_mb());
}

static bool one_step(Stage *s, Batch *b, Err *err)
{
    double began = seconds_now(), lr = stage_rate(s, s->at);
    if (!stage_compute(s, b, err))
        return false;
    double norm = gradients_norm(&s->gradients);
    if (!all_finite(s, b, norm, err))
        return false;
    if (s->run->o->gradients)
        return gradients_write(&s->gradients, s->run->o->gradients, err);
    if (!updates_step(s->updates, s->at, lr, clip_of(s, norm),
                      s->gradients.of, err) ||
        (s->after && !after_step(s->after, err)))
        return false;
    const Logged l = {lr, norm, seconds_now() - began, b};
    tell(s, &l);
    return log_step(s, &l, err);
}

bool stage_step(Stage *s, Err *err)
{
    Batch b;
    take_batch(s, &b);
    bool fine = one_step(s, &b, err);
    drop_batch(&b);
    s->at += fine && !s->run->o->gradients;
    return fine;
}

/* Is it time for a checkpoint? Not at the end: the model is written then. */
static bool is_due(const Stage *s, double since)
{
    enum { EVERY = 600 }; /* seconds */
    const TrainValue *every = &s->act->option[TRAIN_checkpoint];
    return s->at < s->steps &&
           (every->given ? s->at % (int64_t)every->number == 0
                         : seconds_now() - since > EVERY);
}

static bool stopped(Stage *s, Err *err)
{
    return checkpoint_write(s, err) && report_write(s->run, err) &&
           err_set(err, "stopped: %s is at step %lld of %lld; the same command "
                        "goes on", s->act->name, (long long)s->at,
                   (long long)s->steps);
}

bool stage_train(Stage *s, Err *err)
{
    bool fine = true;
    double since = seconds_now();
    s->bar = progress_begin(s->run->common, s->act->name, "steps", s->steps);
    while (fine && s->at < s->steps) {
        fine = stage_step(s, err);
        if (!fine || s->run->o->gradients)
            return fine;
        progress_at(&s->bar, s->at);
        if (rt_interrupted)
            return stopped(s, err);
        if (is_due(s, since)) {
            fine = checkpoint_write(s, err) && report_write(s->run, err);
            since = seconds_now();
        }
    }
    if (fine)
        progress_end(&s->bar);
    return fine;
}
