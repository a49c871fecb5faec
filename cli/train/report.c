/* OUT.run/report.html: a run's log and what it was measured at, as charts that
 * need nothing else. */
#include "cli/train/report.h"
#include <math.h>
#include <string.h>

enum { WIDE = 640, HIGH = 180, LEFT = 64, LOW = 24, ROOM = 8 };

typedef struct {
    const Run *run;
    FILE *out;
    cJSON **line; /* of the log */
    int lines;
} Report;

static const char *const colours[] = {"#2563eb", "#dc2626", "#059669",
                                      "#d97706", "#7c3aed", "#0891b2",
                                      "#be185d", "#4d7c0f"};

/* ---- numbers ---- */

static double number(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static bool is_of(const cJSON *line, const char *stage)
{
    const cJSON *s = cJSON_GetObjectItemCaseSensitive(line, "stage");
    return cJSON_IsString(s) && !strcmp(s->valuestring, stage);
}

/* A line of a chart: points by step. */
typedef struct {
    const char *name;
    double *x, *y;
    int n;
} Series;

static Series series_new(Arena *a, const char *name, int room)
{
    size_t bytes = (size_t)room * sizeof(double) + 1;
    return (Series){name, arena_alloc(a, bytes), arena_alloc(a, bytes), 0};
}

static void series_add(Series *s, double x, double y)
{
    if (!isfinite(y))
        return;
    s->x[s->n] = x;
    s->y[s->n++] = y;
}

static void bounds(const Series *s, int n, double *x1, double *y0, double *y1)
{
    *x1 = 1, *y0 = INFINITY, *y1 = -INFINITY;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < s[i].n; j++) {
            *x1 = fmax(*x1, s[i].x[j]);
            *y0 = fmin(*y0, s[i].y[j]);
            *y1 = fmax(*y1, s[i].y[j]);
        }
    if (*y1 <= *y0) /* one value: a line in the middle */
        *y0 -= fabs(*y0) / 2 + 1e-9, *y1 += fabs(*y1) / 2 + 1e-9;
}

/* ---- a chart ---- */

static void put_axis(FILE *f, double at, double value)
{
    fprintf(f, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" "
               "stroke=\"#d1d5db\"/><text x=\"%d\" y=\"%.1f\" "
               "text-anchor=\"end\">%.4g</text>\n",
            LEFT, WIDE - ROOM, at, at, LEFT - 6, at + 4, value);
}

static void put_line(FILE *f, const Series *s, int colour, double x1,
                     double y0, double y1)
{
    const double wide = WIDE - LEFT - ROOM, high = HIGH - LOW - ROOM;
    fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" "
               "points=\"", colours[colour % (int)COUNT(colours)]);
    for (int i = 0; i < s->n; i++)
        fprintf(f, "%.1f,%.1f ", LEFT + s->x[i] / x1 * wide,
                ROOM + (y1 - s->y[i]) / (y1 - y0) * high);
    fputs("\"/>\n", f);
}

static void put_chart(FILE *f, const char *title, const Series *s, int n)
{
    double x1, y0, y1;
    bounds(s, n, &x1, &y0, &y1);
    if (!isfinite(y0))
        return;
    fputs("<h3>", f);
    put_html(f, title);
    for (int i = 0; n > 1 && i < n; i++) {
        fprintf(f, " <span style=\"color:%s\">",
                colours[i % (int)COUNT(colours)]);
        put_html(f, s[i].name);
        fputs("</span>", f);
    }
    fprintf(f, "</h3>\n<svg viewBox=\"0 0 %d %d\" width=\"%d\">\n", WIDE, HIGH,
            WIDE);
    put_axis(f, ROOM, y1);
    put_axis(f, HIGH - LOW, y0);
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">step %.0f</text>\n",
            WIDE - ROOM, HIGH - 6, x1);
    for (int i = 0; i < n; i++)
        put_line(f, &s[i], i, x1, y0, y1);
    fputs("</svg>\n", f);
}

/* ---- of a stage ---- */

static void chart_of(const Report *r, const char *stage, const char *title,
                     const char *const *key, int n)
{
    Arena a = {0};
    Series s[4];
    for (int i = 0; i < n; i++) {
        s[i] = series_new(&a, key[i], r->lines);
        for (int j = 0; j < r->lines; j++)
            if (is_of(r->line[j], stage))
                series_add(&s[i], number(r->line[j], "step"),
                           number(r->line[j], key[i]));
    }
    put_chart(r->out, title, s, n);
    arena_free(&a);
}

/* A line's row of `usage`, how often each expert was chosen in a layer. */
static const cJSON *row_of(const Report *r, int line, const char *stage,
                           int layer)
{
    const cJSON *u = cJSON_GetObjectItemCaseSensitive(r->line[line], "usage");
    return is_of(r->line[line], stage) ? cJSON_GetArrayItem(u, layer) : NULL;
}

/* The share of tokens that a layer's experts had, a line each; false: there is
 * no such layer. */
static bool chart_load(const Report *r, const char *stage, int layer)
{
    Arena a = {0};
    Series *s = NULL;
    int n = 0;
    for (int j = 0; j < r->lines; j++) {
        const cJSON *row = row_of(r, j, stage, layer), *v;
        if (!row)
            continue;
        if (!s) {
            n = cJSON_GetArraySize(row);
            s = arena_alloc(&a, (size_t)n * sizeof *s + 1);
            for (int i = 0; i < n; i++)
                s[i] = series_new(&a, intern_printf("%d", i), r->lines);
        }
        for (int i = 0; i < n && (v = cJSON_GetArrayItem(row, i)); i++)
            series_add(&s[i], number(r->line[j], "step"),
                       v->valuedouble / number(r->line[j], "tokens"));
    }
    if (s)
        put_chart(r->out, intern_printf("share of tokens by expert, layer %d "
                                        "of those with experts", layer), s, n);
    arena_free(&a);
    return s;
}

/* The mean weight of the shared expert, a line a layer. */
static void chart_shared(const Report *r, const char *stage)
{
    Arena a = {0};
    Series *s = NULL;
    int n = 0;
    for (int j = 0; j < r->lines; j++) {
        const cJSON *u = cJSON_GetObjectItemCaseSensitive(r->line[j],
                                                          "shared"), *v;
        if (!u || !is_of(r->line[j], stage))
            continue;
        if (!s) {
            n = cJSON_GetArraySize(u);
            s = arena_alloc(&a, (size_t)n * sizeof *s + 1);
            for (int i = 0; i < n; i++)
                s[i] = series_new(&a, intern_printf("%d", i), r->lines);
        }
        for (int i = 0; i < n && (v = cJSON_GetArrayItem(u, i)); i++)
            series_add(&s[i], number(r->line[j], "step"), v->valuedouble);
    }
    if (s)
        put_chart(r->out, "mean weight of the shared expert by layer", s, n);
    arena_free(&a);
}

static void put_routes(const Report *r, const char *stage)
{
    int layer = 0;
    while (chart_load(r, stage, layer))
        layer++;
    chart_shared(r, stage);
}

static void put_stage(const Report *r, const Action *act)
{
    static const char *const loss[] = {"total", "loss"}, *const lr[] = {"lr"},
                      *const norm[] = {"grad_norm"},
                      *const speed[] = {"tokens_per_second"};
    fputs("<h2>", r->out);
    put_html(r->out, act->name);
    fputs(" on ", r->out);
    put_html(r->out, act->data->spec.path);
    fputs("</h2>\n", r->out);
    chart_of(r, act->name, "loss", loss, 2);
    chart_of(r, act->name, "rate", lr, 1);
    chart_of(r, act->name, "norm of the gradient", norm, 1);
    chart_of(r, act->name, "tokens a second", speed, 1);
    put_routes(r, act->name);
}

/* ---- what was measured ---- */

static void put_evals(const Report *r)
{
    bool any = false;
    for (int i = 0; i < r->run->plan.action.n; i++) {
        const Action *act = &r->run->plan.action.at[i];
        cJSON *o = act->kind == ACT_eval ? eval_result((Run *)r->run, i)
                                         : NULL;
        if (!o)
            continue;
        if (!any)
            fputs("<h2>measured</h2>\n<table><tr><th>model<th>data<th>nll"
                  "<th>standard error<th>tokens</tr>\n", r->out);
        any = true;
        fputs("<tr><td>", r->out);
        put_html(r->out, act->name);
        fputs("<td>", r->out);
        put_html(r->out, act->data->spec.path);
        fprintf(r->out, "<td>%.6f<td>%.6f<td>%.0f</tr>\n", number(o, "nll"),
                number(o, "stderr"), number(o, "tokens"));
        cJSON_Delete(o);
    }
    if (any)
        fputs("</table>\n", r->out);
}

/* ---- the page ---- */

static void read_log(Report *r, Arena *a, char *text)
{
    LIST(cJSON *) all = {0};
    for (char *end; text && (end = strchr(text, '\n')); text = end + 1) {
        cJSON *o = cJSON_ParseWithLength(text, (size_t)(end - text));
        if (o)
            list_push(a, &all, o);
    }
    r->line = all.at;
    r->lines = all.n;
}

static void put_page(const Report *r)
{
    fputs("<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>", r->out);
    put_html(r->out, r->run->folder);
    fputs("</title>\n<style>body{font:14px sans-serif;margin:2em;color:"
          "#111827}svg text{font:11px sans-serif;fill:#6b7280}h3{font-size:"
          "14px;margin:1em 0 0}td,th{padding:2px 12px;text-align:left}"
          "</style>\n<h1>", r->out);
    put_html(r->out, r->run->folder);
    fputs("</h1>\n", r->out);
    put_evals(r);
    for (int i = 0; i < r->run->plan.action.n; i++)
        if (r->run->plan.action.at[i].kind == ACT_train)
            put_stage(r, &r->run->plan.action.at[i]);
}

bool report_write(Run *run, Err *err)
{
    Arena a = {0};
    size_t len = 0;
    char *page = NULL,
         *log = read_file(arena_printf(&a, "%s/log.jsonl", run->folder), &len,
                          err);
    Report r = {.run = run, .out = open_memstream(&page, &len)};
    if (!r.out)
        die("out of memory");
    read_log(&r, &a, log);
    put_page(&r);
    if (fclose(r.out))
        die("out of memory");
    bool fine = log && file_write(arena_printf(&a, "%s/report.html",
                                               run->folder), page, len, err);
    for (int i = 0; i < r.lines; i++)
        cJSON_Delete(r.line[i]);
    free(page);
    free(log);
    arena_free(&a);
    return fine;
}
