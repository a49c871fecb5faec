/* Names as they may stand in other texts: they are data there. */
#include "base/base.h"
#include <string.h>

typedef struct {
    Arena arena;
    LIST(char) text;
} Text;

static void put(Text *t, const char *s)
{
    for (; *s; s++)
        list_push(&t->arena, &t->text, *s);
}

static const char *finish(Text *t)
{
    const char *one = intern_n(t->text.at ? t->text.at : "",
                               (size_t)t->text.n);
    arena_free(&t->arena);
    return one;
}

/* Printable ASCII; the rest is told by its bytes. */
static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x7f;
}

const char *text_c(const char *s)
{
    Text t = {0};
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        char one[5] = {(char)*p};
        if (!is_plain(*p))
            snprintf(one, sizeof one, "\\%03o", *p);
        else if (strchr("\"\\?", *p)) /* ??/ was a backslash once */
            snprintf(one, sizeof one, "\\%c", *p);
        put(&t, one);
    }
    return finish(&t);
}

const char *text_comment(const char *s)
{
    Text t = {0};
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        char one[5] = {(char)*p};
        bool mark = (p[0] == '*' && p[1] == '/') ||
                    (p[0] == '/' && p[1] == '*');
        if (!is_plain(*p))
            snprintf(one, sizeof one, "\\x%02x", *p);
        else if (mark)
            one[1] = ' ';
        put(&t, one);
    }
    return finish(&t);
}

void put_html(FILE *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&':  fputs("&amp;", out); break;
        case '<':  fputs("&lt;", out); break;
        case '>':  fputs("&gt;", out); break;
        case '"':  fputs("&quot;", out); break;
        case '\'': fputs("&#39;", out); break;
        case '\\': fputs("&#92;", out); break; /* DOT has escapes, too */
        default:   /* XML has no controls */
            fputc((unsigned char)*text < ' ' && !strchr("\n\t", *text)
                      ? '?' : *text, out);
        }
}
