/* Texts as lines of a page. */
#include "cli/tools/html.h"
#include "dsl/dsl.h"
#include <ctype.h>
#include <string.h>

static void escape_n(FILE *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char one[2] = {text[i], 0};
        put_html(out, one);
    }
}

void html_lines(FILE *out, const char *text)
{
    fputs("<pre>", out);
    while (*text) {
        size_t n = strcspn(text, "\n");
        const char *end = *text == '\1' ? memchr(text, '\2', n) : NULL;
        fputs("<i", out);
        if (end) {
            fprintf(out, " class=\"%.*s\"", (int)(end - text - 1), text + 1);
            n -= (size_t)(end + 1 - text);
            text = end + 1;
        }
        fputc('>', out);
        escape_n(out, text, n);
        fputs("</i>", out);
        text += n + (text[n] == '\n');
    }
    fputs("</pre>\n", out);
}

/* ---- the text of a spec ---- */

static void spanned(FILE *out, char kind, const char *text, size_t n)
{
    fprintf(out, "<span class=%c>", kind);
    escape_n(out, text, n);
    fputs("</span>", out);
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static size_t put_word(FILE *out, const char *line, size_t n, bool member)
{
    size_t len = 0;
    while (len < n && is_word(line[len]))
        len++;
    if (!member && dsl_is_keyword(intern_n(line, len)))
        spanned(out, 'k', line, len);
    else
        escape_n(out, line, len);
    return len;
}

static size_t put_string(FILE *out, const char *line, size_t n)
{
    const char *end = memchr(line + 1, '"', n - 1);
    size_t len = end ? (size_t)(end - line) + 1 : n;
    spanned(out, 's', line, len);
    return len;
}

static void put_line(FILE *out, const char *line, size_t n)
{
    for (size_t i = 0; i < n;) {
        if (line[i] == '#') {
            spanned(out, 'c', line + i, n - i);
            return;
        }
        if (line[i] == '"')
            i += put_string(out, line + i, n - i);
        else if (is_word(line[i]))
            i += put_word(out, line + i, n - i, i > 0 && line[i - 1] == '.');
        else
            escape_n(out, line + i++, 1);
    }
}

void html_source(FILE *out, const Source *src)
{
    int number = 1;
    fputs("<pre class=src>", out);
    for (const char *s = src->text; *s; number++) {
        size_t n = strcspn(s, "\n");
        fputs("<i class=\"", out);
        svg_at(out, src, number);
        fprintf(out, "\" data-n=%d>", number);
        put_line(out, s, n);
        fputs("</i>", out);
        s += n + (s[n] == '\n');
    }
    fputs("</pre>\n", out);
}
