/* The log: one JSON object a step, with all digits that tell numbers apart. */
#include "cli/train/run.h"
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *log_path(const Run *r, Arena *a)
{
    return arena_printf(a, "%s/log.jsonl", r->folder);
}

bool log_open(Run *r, Err *err)
{
    Arena a = {0};
    const char *path = log_path(r, &a);
    r->log = fopen(path, "ab");
    bool fine = r->log || err_set(err, "%s: cannot be written", path);
    arena_free(&a);
    return fine;
}

static void put_number(FILE *f, const Run *r, double v)
{
    if (isfinite(v))
        fprintf(f, "%.*g", r->exact ? 17 : 9, v);
    else
        fputs("null", f);
}

static void put_key(FILE *f, const char *name)
{
    fprintf(f, ", \"%s\": ", name);
}

static void put_real(FILE *f, const Run *r, const char *name, double v)
{
    put_key(f, name);
    put_number(f, r, v);
}

static double peak_mb(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) ? 0 : (double)u.ru_maxrss / 1024;
}

static void put_losses(FILE *f, const Stage *s, double *total)
{
    const char *before = "";
    put_key(f, "losses");
    fputc('{', f);
    for (int i = 0; i < s->watched.n; i++) {
        const struct Watched *w = &s->watched.at[i];
        if (!w->loss)
            continue;
        fprintf(f, "%s\"%s\": ", before, w->name + strlen("loss."));
        put_number(f, s->run, w->sum[0]);
        *total += w->sum[0];
        before = ", ";
    }
    fputc('}', f);
}

bool log_step(Stage *s, const Logged *l, Err *err)
{
    Run *r = s->run;
    FILE *f = r->log;
    double total = s->loss;
    fprintf(f, "{\"stage\": \"%s\", \"step\": %lld", s->act->name,
            (long long)s->at);
    put_real(f, r, "loss", s->loss);
    put_losses(f, s, &total);
    put_real(f, r, "total", total);
    put_real(f, r, "lr", l->lr);
    put_real(f, r, "grad_norm", l->norm);
    fprintf(f, ", \"tokens\": %lld, \"labelled\": %lld",
            (long long)l->batch->tokens, (long long)l->batch->labelled);
    fprintf(f, ", \"seconds\": %.6f, \"tokens_per_second\": %.1f, "
               "\"peak_mb\": %.1f", l->seconds,
            (double)l->batch->tokens / (l->seconds > 0 ? l->seconds : 1e-9),
            peak_mb());
    fputs("}\n", f);
    return fflush(f) == 0 || err_set(err, "%s/log.jsonl: cannot be written",
                                     r->folder);
}

bool log_close(Run *r, Err *err)
{
    bool fine = !r->log || fclose(r->log) == 0;
    r->log = NULL;
    return fine || err_set(err, "%s/log.jsonl: cannot be written", r->folder);
}
