/* What a terminal would obey is printed as text: names and messages may come
 * from anyone's files. Control characters (but for tab and newline), bytes that
 * are no UTF-8, and marks that turn the direction of text become \x1b. */
#define _GNU_SOURCE /* fopencookie */
#include "cli/common/common.h"
#include <string.h>
#include <unistd.h>

typedef struct {
    FILE *to;
    bool exact;             /* nothing is changed */
    unsigned char held[4];  /* the beginning of a character */
    int n, len;
} Guard;

static Guard guard_out, guard_err;

static int length_of(unsigned char lead)
{
    return lead < 0x80                   ? 1
           : lead < 0xc2 || lead > 0xf4 ? 0
           : lead < 0xe0                ? 2
           : lead < 0xf0                ? 3
                                        : 4;
}

static bool is_harmless(const unsigned char *c, int len)
{
    if (len == 1)
        return (c[0] >= 0x20 && c[0] != 0x7f) || c[0] == '\n' || c[0] == '\t';
    if (len == 2) /* U+0080 to U+009F are controls, too */
        return c[0] != 0xc2 || c[1] >= 0xa0;
    if (len != 3 || c[0] != 0xe2)
        return true;
    return !(c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) &&
           !(c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
}

static void give(Guard *g, bool whole)
{
    if (whole && is_harmless(g->held, g->n))
        fwrite(g->held, 1, (size_t)g->n, g->to);
    else
        for (int i = 0; i < g->n; i++)
            fprintf(g->to, "\\x%02x", g->held[i]);
    g->n = 0;
}

static void take(Guard *g, unsigned char c)
{
    if (g->n && (c & 0xc0) != 0x80)
        give(g, false); /* cut short */
    if (!g->n)
        g->len = length_of(c);
    g->held[g->n++] = c;
    if (g->n >= g->len)
        give(g, g->len > 0);
}

/* stdio's: 0 is an error. */
static ssize_t guard_write(void *cookie, const char *s, size_t n)
{
    Guard *g = cookie;
    if (g->exact && g->n)
        give(g, false);
    if (g->exact)
        fwrite(s, 1, n, g->to);
    for (size_t i = 0; !g->exact && i < n; i++)
        take(g, (unsigned char)s[i]);
    return fflush(g->to) || ferror(g->to) ? 0 : (ssize_t)n;
}

static FILE *guarded(Guard *g, FILE *to, int buffering)
{
    g->to = to;
    FILE *f = fopencookie(g, "w", (cookie_io_functions_t){
                                      .write = guard_write});
    if (!f)
        die("out of memory");
    setvbuf(f, NULL, buffering, BUFSIZ);
    return f;
}

void terminal_guard(void)
{
    stdout = guarded(&guard_out, stdout,
                     isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF);
    stderr = guarded(&guard_err, stderr, _IONBF);
}

void terminal_exact(void)
{
    fflush(stdout);
    guard_out.exact = !isatty(STDOUT_FILENO);
}

FILE *terminal_stderr(void)
{
    return guard_err.to ? guard_err.to : stderr;
}
