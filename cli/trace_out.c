/* What trace prints, writes and draws. */
#include "cli/tools/svg.h"
#include "cli/trace.h"
#include "runtime/runtime.h"
#include <math.h>
#include <string.h>

/* ---- text ---- */

static void print_layer(const Trace *t, const Route *r, int layer)
{
    if (r->layer)
        printf("  layer %-3d", r->layer[layer]);
    else
        printf("  chosen   ");
    for (int i = 0; i < r->experts; i++)
        printf(" %5.1f", 100 * route_share(r, t, layer, i));
    printf("  evenness %.4f\n", route_evenness(r, layer));
    if (!r->weight)
        return;
    printf("     weight");
    for (int i = 0; i < r->experts; i++)
        printf(" %5.3f", route_weight(r, layer, i));
    putchar('\n');
}

void trace_print(const Trace *t, int n)
{
    for (int i = 0; i < n; i++) {
        printf("%s on %s: %lld tokens\n", t[i].model, t[i].data,
               (long long)t[i].tokens);
        for (int j = 0; j < t[i].routes; j++) {
            const Route *r = &t[i].route[j];
            printf("%s: %d experts, the share of tokens that each one has "
                   "(%%), its mean weight\n", r->name, r->experts);
            for (int k = 0; k < r->layers; k++)
                print_layer(&t[i], r, k);
        }
    }
}

/* ---- JSON ---- */

static cJSON *json_rows(const Trace *t, const Route *r, bool weights)
{
    cJSON *rows = cJSON_CreateArray();
    for (int k = 0; k < r->layers; k++) {
        cJSON *row = cJSON_CreateArray();
        for (int i = 0; i < r->experts; i++)
            cJSON_AddItemToArray(
                row, cJSON_CreateNumber(weights ? route_weight(r, k, i)
                                                : route_share(r, t, k, i)));
        cJSON_AddItemToArray(rows, row);
    }
    return rows;
}

static cJSON *json_route(const Trace *t, const Route *r)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", r->name);
    cJSON_AddNumberToObject(o, "experts", r->experts);
    if (r->layer)
        cJSON_AddItemToObject(o, "layers",
                              cJSON_CreateIntArray(r->layer, r->layers));
    cJSON_AddItemToObject(o, "share", json_rows(t, r, false));
    if (r->weight)
        cJSON_AddItemToObject(o, "weight", json_rows(t, r, true));
    cJSON *even = cJSON_AddArrayToObject(o, "evenness");
    for (int k = 0; k < r->layers; k++)
        cJSON_AddItemToArray(even, cJSON_CreateNumber(route_evenness(r, k)));
    return o;
}

cJSON *trace_json(const Trace *t, int n)
{
    cJSON *all = cJSON_CreateObject();
    cJSON *traces = cJSON_AddArrayToObject(all, "traces");
    for (int i = 0; i < n; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "model", t[i].model);
        cJSON_AddStringToObject(o, "data", t[i].data);
        cJSON_AddNumberToObject(o, "tokens", (double)t[i].tokens);
        cJSON *routes = cJSON_AddArrayToObject(o, "routes");
        for (int j = 0; j < t[i].routes; j++)
            cJSON_AddItemToArray(routes, json_route(&t[i], &t[i].route[j]));
        cJSON_AddItemToArray(traces, o);
    }
    return all;
}

/* ---- CSV ---- */

/* In quotes, as RFC 4180 has them. */
static void csv_text(FILE *f, const char *text)
{
    putc('"', f);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', f);
        putc(*text, f);
    }
    putc('"', f);
}

static void csv_route(FILE *f, const Trace *t, const Route *r)
{
    for (int k = 0; k < r->layers; k++)
        for (int i = 0; i < r->experts; i++) {
            csv_text(f, t->model);
            putc(',', f);
            csv_text(f, t->data);
            fprintf(f, ",%s,%d,%d,%.0f,%.9g,", r->name,
                    r->layer ? r->layer[k] : 0, i,
                    r->chosen[k * r->experts + i], route_share(r, t, k, i));
            if (r->weight)
                fprintf(f, "%.9g", route_weight(r, k, i));
            fputs("\r\n", f);
        }
}

bool trace_csv(const char *path, const Trace *t, int n, Err *err)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return err_set(err, "%s: no memory", path);
    fputs("model,data,route,layer,expert,chosen,share,weight\r\n", f);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < t[i].routes; j++)
            csv_route(f, &t[i], &t[i].route[j]);
    bool fine = !fclose(f) && file_write(path, text, len, err);
    free(text);
    return fine;
}

/* ---- SVG ---- */

enum { CELL = 18, LEFT = 70, TOP = 34, GAP = 26, LINE = 14 };

/* White where it is never chosen, blue at an even share, dark at twice it. */
static void cell(FILE *f, const Trace *t, const Route *r, int k, int i, int y)
{
    double all = 0;
    for (int j = 0; j < r->experts; j++)
        all += r->chosen[k * r->experts + j];
    double by = all > 0 ? r->chosen[k * r->experts + i] * r->experts / all : 0;
    double dark = fmin(by / 2, 1);
    fprintf(f, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
               "fill=\"rgb(%.0f,%.0f,%.0f)\"><title>layer %d, expert %d: "
               "%.1f %% of tokens",
            LEFT + i * CELL, y + k * CELL, CELL - 1, CELL - 1,
            255 - 247 * dark, 255 - 207 * dark, 255 - 148 * dark,
            r->layer ? r->layer[k] : 0, i, 100 * route_share(r, t, k, i));
    if (r->weight)
        fprintf(f, ", weight %.3f", route_weight(r, k, i));
    fputs("</title></rect>\n", f);
}

static int heat_map(FILE *f, const Trace *t, const Route *r, int y)
{
    fprintf(f, "<text x=\"4\" y=\"%d\">", y + LINE);
    put_html(f, t->model);
    fputs(" on ", f);
    put_html(f, t->data);
    fprintf(f, ": %s, %d experts</text>\n", r->name, r->experts);
    y += TOP;
    for (int k = 0; k < r->layers; k++) {
        fprintf(f, "<text x=\"4\" y=\"%d\">layer %d</text>\n",
                y + k * CELL + LINE - 1, r->layer ? r->layer[k] : 0);
        for (int i = 0; i < r->experts; i++)
            cell(f, t, r, k, i, y);
    }
    return y + r->layers * CELL + GAP;
}

static void draw(FILE *f, const Trace *t, int n)
{
    int width = 480, height = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < t[i].routes; j++) {
            const Route *r = &t[i].route[j];
            int w = LEFT + r->experts * CELL + GAP;
            width = w > width ? w : width;
            height += TOP + r->layers * CELL + GAP;
        }
    fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
               "height=\"%d\" font-family=\"sans-serif\" font-size=\"11\">\n"
               "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            width, height);
    int y = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < t[i].routes; j++)
            y = heat_map(f, &t[i], &t[i].route[j], y);
    fputs("</svg>\n", f);
}

bool trace_svg(const char *path, const Trace *t, int n, Err *err)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return err_set(err, "%s: no memory", path);
    draw(f, t, n);
    bool fine = !fclose(f) && svg_save(path, text, err);
    free(text);
    return fine;
}
