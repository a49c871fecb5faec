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

/* Is a line of an earlier stage, or of this one below `step`? */
static bool stays(const Run *r, const char *line, int stage, int64_t step)
{
    cJSON *o = cJSON_Parse(line);
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(o, "stage"),
                *at = cJSON_GetObjectItemCaseSensitive(o, "step");
    bool keep = false;
    for (int i = 0; cJSON_IsString(name) && i < r->plan.action.n; i++) {
        const Action *act = &r->plan.action.at[i];
        if (act->kind == ACT_train && !strcmp(act->name, name->valuestring))
            keep = act->stage < stage ||
                   (act->stage == stage && cJSON_IsNumber(at) &&
                    at->valuedouble < (double)step);
    }
    cJSON_Delete(o);
    return keep;
}

/* The lines of text that stay, moved to its beginning; their length. */
static size_t cut(const Run *r, char *text, int stage, int64_t step)
{
    size_t kept = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        bool keep = stays(r, line, stage, step);
        *end = '\n';
        size_t len = (size_t)(end - line) + 1;
        if (keep) {
            memmove(text + kept, line, len);
            kept += len;
        }
    }
    return kept;
}

bool log_cut(Run *r, int stage, int64_t step, Err *err)
{
    Arena a = {0};
    const char *path = log_path(r, &a);
    size_t len;
    char *text = read_file(path, &len, err);
    bool fine = text != NULL;
    if (fine) {
        size_t kept = cut(r, text, stage, step);
        if (kept < len)
            fine = log_close(r, err) && file_write(path, text, kept, err) &&
                   log_open(r, err);
    }
    free(text);
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

double peak_mb(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) ? 0 : (double)u.ru_maxrss / 1024;
}

/* "usage", how often each expert was chosen: a list for each layer; "shared",
 * the shared expert's mean weight: a number for each. */
static void put_rows(FILE *f, const Stage *s, const char *name, Watching kind,
                     double tokens)
{
    int n = watched_rows(s, kind, NULL);
    WatchedRow *row = xmalloc((size_t)n * sizeof *row + 1);
    watched_rows(s, kind, row);
    if (n)
        put_key(f, name);
    for (int i = 0; i < n; i++) {
        fputs(i ? ", " : "[", f);
        if (kind == WATCH_shared)
            put_number(f, s->run, row[i].at[0] / tokens);
        for (int j = 0; kind == WATCH_chosen && j < row[i].n; j++)
            fprintf(f, "%s%.0f%s", j ? ", " : "[", row[i].at[j],
                    j + 1 < row[i].n ? "" : "]");
    }
    fputs(n ? "]" : "", f);
    free(row);
}

static void put_losses(FILE *f, const Stage *s, double *total)
{
    const char *before = "";
    put_key(f, "losses");
    fputc('{', f);
    for (int i = 0; i < s->watched.n; i++) {
        const struct Watched *w = &s->watched.at[i];
        if (w->kind != WATCH_loss)
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
    if (s->at % LOG_USAGE_EVERY == 0) {
        put_rows(f, s, "usage", WATCH_chosen, 0);
        put_rows(f, s, "shared", WATCH_shared, (double)l->batch->tokens);
    }
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
