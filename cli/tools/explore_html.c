/* The page of graft explore: each kernel with every candidate; what was found,
 * as text that can be pinned. Nothing fetched. */
#include "cli/tools/explore.h"
#include "cli/tools/svg.h"

static const char style[] =
    ":root{color-scheme:light dark;--line:#8884;--good:#2a7d46;--bar:#4a7bd0}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;"
    "padding:0 1em}h1,h2{font-weight:600;line-height:1.2}"
    "h2{font:600 1.05em ui-monospace,monospace;margin-top:2em}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:"
    "tabular-nums}th,td{text-align:right;padding:.2em .7em;border-bottom:"
    "1px solid var(--line)}th:first-child,td:first-child{text-align:left}"
    "td:first-child{font:13px ui-monospace,monospace}"
    "tr.best td{color:var(--good);font-weight:600}"
    "pre{padding:1em;border:1px solid var(--line);border-radius:6px;"
    "overflow:auto}"
    ".bar{display:inline-block;height:.7em;background:var(--bar);"
    "border-radius:2px;vertical-align:middle}summary{cursor:pointer}";

static void print_schedule(FILE *out, const Schedule *s)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    schedule_print(s, to);
    fclose(to);
    put_html(out, text);
    free(text);
}

static void print_row(FILE *out, const Explore *e, const Explored *k, int i)
{
    ProgramWork w = kernel_work(k->kernel, e->tokens[i]);
    const char *limit;
    double roof = explore_roof(e, k, i, k->new[i], &limit);
    fprintf(out, "<tr><td>%d tokens</td><td>%.3f</td><td>%.3f</td><td>%.4f</td>"
                 "<td>%.4f</td><td>%.4f</td><td><span class=bar style=\"width:"
                 "%.0fpx\"></span> %.0f%%</td><td>%s</td></tr>\n",
            e->tokens[i], 1e-6 * w.bytes, 1e-9 * w.flops, 1e3 * roof,
            1e3 * k->old[i], 1e3 * k->new[i],
            k->new[i] > 0 ? 80 * roof / k->new[i] : 0,
            k->new[i] > 0 ? 100 * roof / k->new[i] : 0, limit);
}

/* A candidate's time for each number of tokens, and what limits it there. */
static void print_candidate(FILE *out, const Explore *e, const Explored *k,
                            const Candidate *c)
{
    fprintf(out, "<tr%s><td>", c->taken ? " class=best" : "");
    print_schedule(out, &c->schedule);
    fputs("</td>", out);
    for (int i = 0; i < e->ntokens; i++) {
        const char *limit;
        if (c->seconds[i] <= 0) {
            fputs("<td></td>", out);
            continue;
        }
        double roof = explore_roof(e, k, i, c->seconds[i], &limit);
        fprintf(out, "<td title=\"%.0f%% of the roof, limit: %s\">%.4f</td>",
                100 * roof / c->seconds[i], limit, 1e3 * c->seconds[i]);
    }
    fprintf(out, "<td>%.3f</td></tr>\n", c->ratio);
}

static void print_kernel(FILE *out, const Explore *e, const Explored *k)
{
    fputs("<h2>", out);
    kernel_key_print(&k->key, out);
    fprintf(out, "</h2>\n<p>%d in a step; %d candidates tried. ", k->calls,
            k->tried.n);
    fputs(k->better ? "Found: <code>" : "Nothing faster than <code>", out);
    print_schedule(out, &k->after);
    fputs("</code></p>\n<table><tr><th></th><th>MB</th><th>Gflop</th><th>roof, "
          "ms</th><th>before, ms</th><th>after, ms</th><th>of the roof</th><th>"
          "limit</th></tr>\n", out);
    for (int i = 0; i < e->ntokens; i++)
        print_row(out, e, k, i);
    fputs("</table>\n", out);
    if (!k->tried.n)
        return;
    fputs("<details><summary>what was tried</summary>\n<table><tr><th>schedule"
          "</th>", out);
    for (int i = 0; i < e->ntokens; i++)
        fprintf(out, "<th>ms, %d tokens</th>", e->tokens[i]);
    fputs("<th>to the best before</th></tr>\n", out);
    for (int i = 0; i < k->tried.n; i++)
        print_candidate(out, e, k, &k->tried.at[i]);
    fputs("</table></details>\n", out);
}

static void print_found(FILE *out, const Explore *e, const Pins *found)
{
    for (int i = 0; i < e->ntokens; i++)
        if (e->old[i] > 0)
            fprintf(out, "<p>The whole, %d tokens: %.3f ms, was %.3f ms.</p>\n",
                    e->tokens[i], 1e3 * e->new[i], 1e3 * e->old[i]);
    if (!found->at.n)
        return;
    fprintf(out, "<p>%s To pin it: <code>--schedule FILE</code>, with this "
                 "text.</p>\n<pre>",
            e->kept ? "What was found is kept: later compiles use it."
                    : "Not kept: the whole is no faster by it.");
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    pins_print(found, "found", found->at.n, to);
    fclose(to);
    put_html(out, text);
    free(text);
    fputs("</pre>\n", out);
}

char *explore_page(const Explore *e, const Pins *found)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    fputs("<!doctype html>\n<html lang=en>\n<head><meta charset=utf-8>\n"
          "<meta name=viewport content=\"width=device-width\">\n"
          "<title>explore ", out);
    put_html(out, e->what);
    fprintf(out, "</title>\n<style>%s</style></head>\n<body>\n"
                 "<h1>Schedules of ", style);
    put_html(out, e->what);
    fprintf(out, "</h1>\n<p>%d threads: %.0f GF/s by f32 FMA, %.0f by bf16 dot "
                 "products, %.0f by AMX, %.0f by integers; memory is read "
                 "at %.1f GB/s.</p>\n",
            e->peaks.threads, e->peaks.fma, e->peaks.dot, e->peaks.amx,
            e->peaks.codes, e->peaks.read);
    print_found(out, e, found);
    for (int i = 0; i < e->kernel.n; i++)
        if (e->kernel.at[i]->measured)
            print_kernel(out, e, e->kernel.at[i]);
    fputs("</body></html>\n", out);
    fclose(out);
    return text;
}
