/* What is wrong, said once, with its place. */
#include "base/base.h"
#include <string.h>

bool err_set(Err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return false;
}

void bug_exit(void)
{
    if (getenv("GRAFT_ABORT"))
        abort();
    exit(3);
}

bool diag_full(const Diags *d)
{
    return d->errors >= 20;
}

void diags_free(Diags *d)
{
    arena_free(&d->arena);
    *d = (Diags){.quiet = d->quiet};
}

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

void loc_place(const Source *src, int at, int *line, int *col)
{
    *line = *col = 1;
    for (int i = 0; i < at && i < src->len; i++)
        if (src->text[i] == '\n')
            ++*line, *col = 1;
        else if (!continues(src->text[i]))
            ++*col;
}

static int line_start(const Source *src, int at)
{
    while (at > 0 && src->text[at - 1] != '\n')
        at--;
    return at;
}

/* Echo the line and underline the range: ^~~~ */
static void show_line(FILE *out, const Source *src, Loc loc)
{
    int start = line_start(src, loc.at);
    int width = (int)strcspn(src->text + start, "\n");
    fprintf(out, "    %.*s\n    ", width, src->text + start);
    for (int i = start; i < loc.at; i++)
        if (src->text[i] == '\t')
            fputc('\t', out);
        else if (!continues(src->text[i]))
            fputc(' ', out);
    fputc('^', out);
    for (int i = loc.at + 1; i < loc.at + loc.len && i < start + width; i++)
        if (!continues(src->text[i]))
            fputc('~', out);
    fputc('\n', out);
}

static void show(FILE *out, const Diag *d)
{
    static const char *const word[] = {"error", "warning"};
    int line, col, first = (int)strcspn(d->text, "\n");
    loc_place(d->src, d->loc.at, &line, &col);
    fprintf(out, "%s:%d:%d: %s: %.*s\n", d->src->path, line, col,
            word[d->severity], first, d->text);
    show_line(out, d->src, d->loc);
    for (const char *s = d->text + first; *s;) {
        int n = (int)strcspn(++s, "\n");
        fprintf(out, "    %.*s\n", n, s);
        s += n;
    }
}

PRINTF(4, 0)
static void say(const Source *src, Loc loc, Severity severity, const char *fmt,
                va_list ap)
{
    Diags *d = src->diags;
    char text[4096];
    vsnprintf(text, sizeof text, fmt, ap);
    d->told += severity == SEVERITY_error;
    for (int i = 0; i < d->said.n; i++) /* one mistake, one message */
        if (d->said.at[i].src == src && d->said.at[i].loc.at == loc.at &&
            d->said.at[i].severity == severity &&
            !strcmp(d->said.at[i].text, text))
            return;
    if (severity == SEVERITY_error && diag_full(d))
        return;
    Diag one = {severity, src, loc,
                arena_strn(&d->arena, text, strlen(text))};
    list_push(&d->arena, &d->said, one);
    if (!d->quiet)
        show(stderr, &one);
    if (severity == SEVERITY_error && ++d->errors == 20 && !d->quiet)
        fprintf(stderr, "20 errors, stopping here\n");
}

#define SAYER(name, severity) \
    void name(const Source *src, Loc loc, const char *fmt, ...) \
    { \
        va_list ap; \
        va_start(ap, fmt); \
        say(src, loc, severity, fmt, ap); \
        va_end(ap); \
    }
SAYER(error_at, SEVERITY_error)
SAYER(warning_at, SEVERITY_warning)
