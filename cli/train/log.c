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

/* "stat.layer.ffn.7.chosen" to "layer.ffn" where the end is `of`, else NULL. */
static const char *route_of(Arena *a, const struct Watched *w, const char *of)
{
    size_t len = strlen(w->name), end = strlen(of), first = strlen("stat.");
    if (w->loss || len <= end || strcmp(w->name + len - end, of))
        return NULL;
    for (len -= end; len > first && w->name[len - 1] != '.';)
        len--;
    return arena_printf(a, "%.*s", (int)(len - 1 - first), w->name + first);
}

/* The i-th layer's numbers of n, each by the tokens of the step. */
static void put_shares(FILE *f, const struct Watched *w, int64_t n, int64_t i,
                       double tokens)
{
    for (int64_t j = 0; j < n; j++)
        fprintf(f, "%s%.6g", j ? ", " : "", w->sum[i * n + j] / tokens);
}

/* How often a token had each expert, or what it gave the shared one, layer by
 * layer: "usage", "shared". */
static void put_routes(FILE *f, const Stage *s, const char *key,
                       const char *of, double tokens)
{
    Arena a = {0};
    const char *before = "";
    put_key(f, key);
    fputc('{', f);
    for (int i = 0; i < s->watched.n; i++) {
        const struct Watched *w = &s->watched.at[i];
        const char *name = route_of(&a, w, of);
        if (!name)
            continue;
        fprintf(f, "%s\"%s\": [", before, name);
        before = ", ";
        bool lists = w->rank > 1;
        for (int64_t k = 0; lists && k < w->rows; k++) {
            fputs(k ? ", [" : "[", f);
            put_shares(f, w, w->count / w->rows, k, tokens);
            fputc(']', f);
        }
        if (!lists)
            put_shares(f, w, w->count, 0, tokens);
        fputc(']', f);
    }
    fputc('}', f);
    arena_free(&a);
}

static bool has_routes(const Stage *s)
{
    Arena a = {0};
    bool has = false;
    for (int i = 0; i < s->watched.n; i++)
        has |= route_of(&a, &s->watched.at[i], ".chosen") != NULL;
    arena_free(&a);
    return has;
}

bool log_step(Stage *s, const Logged *l, Err *err)
{
    enum { EVERY = 10 };
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
    if ((s->at % EVERY == 0 || s->at + 1 == s->steps) && has_routes(s)) {
        put_routes(f, s, "usage", ".chosen", (double)l->batch->tokens);
        put_routes(f, s, "shared", ".shared", (double)l->batch->tokens);
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
