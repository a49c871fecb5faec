/* Reading a source: the steps of syntax.h, and what is wrong in the order of
 * the text. */
#include "dsl/syntax.h"
#include <string.h>

int dsl_yyparse(Parse *p); /* of parse.y */

void dsl_complain(Parse *p, Loc loc, const char *fmt, ...)
{
    va_list ap;
    char text[1024];
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    Complaint c = {.loc = loc, .order = p->said.n};
    c.text = arena_strn(p->arena, text, strlen(text));
    list_push(p->arena, &p->said, c);
}

static int by_place(const void *a, const void *b)
{
    const Complaint *x = a, *y = b;
    return x->loc.at != y->loc.at ? x->loc.at - y->loc.at : x->order - y->order;
}

/* Past the complaints of one line, which start with i. */
static int end_of_line(const Parse *p, int i)
{
    const Complaint *said = p->said.at;
    int end = i + 1;
    while (end < p->said.n &&
           !memchr(p->src->text + said[i].loc.at, '\n',
                   (size_t)(said[end].loc.at - said[i].loc.at)))
        end++;
    return end;
}

/* In the order of the text, one a place; what blames a line speaks for it. */
static void report_all(Parse *p)
{
    Complaint *said = p->said.at;
    if (p->said.n)
        qsort(said, (size_t)p->said.n, sizeof *said, by_place);
    for (int i = 0, end; i < p->said.n && !diag_full(p->src->diags); i = end) {
        bool blamed = false;
        end = end_of_line(p, i);
        for (int k = i; k < end; k++)
            blamed = blamed || said[k].blames_line;
        for (int k = i; k < end; k++)
            if (said[k].blames_line == blamed &&
                (k == i || said[k].loc.at != said[k - 1].loc.at))
                error_at(p->src, said[k].loc, "%s", said[k].text);
    }
}

static bool check_utf8(Parse *p)
{
    size_t bad;
    if (utf8_valid(p->src->text, (size_t)p->src->len, &bad))
        return true;
    dsl_complain(p, (Loc){(int)bad, 1},
                 "the file is not UTF-8: byte 0x%02x at "
                 "offset %zu",
                 (unsigned char)p->src->text[bad], bad);
    return false;
}

Ast *dsl_parse(Arena *arena, const Source *src)
{
    Parse p = {.arena = arena, .src = src, .bad_end = -1};
    p.file = dsl_node(&p, AST_file, (Loc){0, src->len}, NULL, NULL, 0);
    if (check_utf8(&p)) {
        dsl_lex(&p);
        dsl_layout(&p);
        dsl_yyparse(&p);
    }
    report_all(&p);
    p.file->loc = (Loc){0, src->len};
    return p.file;
}
