/* Words, numbers and sizes of a graph's text. */
#include "compiler/ir_read.h"
#include <ctype.h>
#include <math.h>
#include <string.h>

bool read_mistake(Reader *r, Loc loc, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!r->failed)
        error_at(r->src, loc, "%s", text);
    r->failed = true;
    r->now = (Token){.loc = loc};
    return false;
}

static bool starts_word(char c)
{
    return isalpha((unsigned char)c) || c == '_' || c == '%' || c == '@';
}

static bool goes_on(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

static void skip_blanks(Reader *r)
{
    const char *s = r->src->text;
    for (; s[r->at]; r->at++) {
        if (s[r->at] == '#')
            r->at += (int)strcspn(s + r->at, "\n");
        if (!isspace((unsigned char)s[r->at]))
            return;
    }
}

static void next_string(Reader *r)
{
    const char *s = r->src->text;
    int start = r->at++, n = 0;
    size_t room = strcspn(s + r->at, "\n");
    char *text = arena_alloc(&r->scratch, room + 1);
    while (s[r->at] && s[r->at] != '"' && s[r->at] != '\n') {
        bool escaped = s[r->at] == '\\' && s[r->at + 1] &&
                       s[r->at + 1] != '\n';
        r->at += escaped;
        text[n++] = escaped && s[r->at] == 'n' ? '\n' : s[r->at];
        r->at++;
    }
    Loc loc = {start, r->at - start};
    if (s[r->at] != '"') {
        read_mistake(r, loc, "a string that ends on its line");
        return;
    }
    loc.len = ++r->at - start;
    r->now = (Token){TOKEN_string, intern_n(text, (size_t)n), 0, loc};
}

void read_next(Reader *r)
{
    if (r->failed)
        return;
    skip_blanks(r);
    const char *s = r->src->text + r->at;
    Loc loc = {r->at, 1};
    if (!*s) {
        r->now = (Token){.loc = {r->at, 0}};
    } else if (*s == '"') {
        next_string(r);
    } else if (isdigit((unsigned char)*s) || *s == '.') {
        char *end;
        double num = strtod(s, &end);
        if (end == s)
            end++;
        loc.len = (int)(end - s);
        r->now = (Token){TOKEN_number, NULL, num, loc};
        r->at += loc.len;
    } else if (starts_word(*s)) {
        while (goes_on(s[loc.len]))
            loc.len++;
        r->now = (Token){TOKEN_word, intern_n(s, (size_t)loc.len), 0, loc};
        r->at += loc.len;
    } else {
        r->now = (Token){TOKEN_sign, NULL, *s, loc};
        r->at++;
    }
}

bool read_at(const Reader *r, char sign)
{
    return r->now.kind == TOKEN_sign && r->now.num == sign;
}

bool read_sign(Reader *r, char sign)
{
    bool is = read_at(r, sign);
    if (is)
        read_next(r);
    return is;
}

static bool expected(Reader *r, const char *what)
{
    int n = r->now.loc.len ? r->now.loc.len : 15;
    const char *s = r->now.loc.len ? r->src->text + r->now.loc.at
                                   : "the text's end";
    return read_mistake(r, r->now.loc, "needs %s, found %.*s", what, n, s);
}

bool read_want(Reader *r, char sign)
{
    char what[2] = {sign};
    return read_sign(r, sign) || expected(r, what);
}

bool read_word(Reader *r, const char *word)
{
    bool is = r->now.kind == TOKEN_word && !strcmp(r->now.text, word);
    if (is)
        read_next(r);
    return is;
}

const char *read_name(Reader *r, bool string, const char *what)
{
    if (r->now.kind != TOKEN_word && !(string && r->now.kind == TOKEN_string)) {
        expected(r, what);
        return intern("");
    }
    const char *text = r->now.text;
    read_next(r);
    return text;
}

double read_number(Reader *r)
{
    double sign = read_sign(r, '-') ? -1 : 1, num = r->now.num;
    if (read_word(r, "inf"))
        return sign * INFINITY;
    if (read_word(r, "nan"))
        return NAN;
    if (r->now.kind != TOKEN_number) {
        expected(r, "a number");
        return 0;
    }
    read_next(r);
    return sign * num;
}

/* ---- sizes, as size_text prints them ---- */

static const Size *read_call(Reader *r, const char *name, Loc loc)
{
    static const struct {
        const char *name;
        const Size *(*one)(const Size *);
        const Size *(*two)(const Size *, const Size *);
    } function[] = {
        {"min", NULL, size_min},   {"max", NULL, size_max},
        {"mod", NULL, size_mod},   {"pow", NULL, size_pow},
        {"ceil", size_ceil, NULL}, {"floor", size_floor, NULL},
        {"sqrt", size_sqrt, NULL},
    };
    const Size *a = read_size(r), *b = NULL;
    if (read_sign(r, ','))
        b = read_size(r);
    read_want(r, ')');
    for (size_t i = 0; i < COUNT(function); i++)
        if (!strcmp(function[i].name, name) && !b == !function[i].two)
            return b ? function[i].two(a, b) : function[i].one(a);
    read_mistake(r, loc, "sizes have no function %s of %d", name, b ? 2 : 1);
    return a;
}

static const Size *read_atom(Reader *r)
{
    Token t = r->now;
    if (read_sign(r, '(')) {
        const Size *s = read_size(r);
        read_want(r, ')');
        return s;
    }
    if (t.kind != TOKEN_number && t.kind != TOKEN_word) {
        expected(r, "a size");
        return size_num(1);
    }
    read_next(r);
    if (t.kind == TOKEN_number)
        return size_num(t.num);
    return read_sign(r, '(') ? read_call(r, t.text, t.loc) : size_sym(t.text);
}

/* The power after an atom, a whole number; 1 where there is none. */
static int read_power(Reader *r)
{
    if (!read_sign(r, '^'))
        return 1;
    Loc loc = r->now.loc;
    double n = read_number(r);
    if (n < 1 || n > 64 || n != floor(n))
        read_mistake(r, loc, "a power from 1 to 64, found %g", n);
    return r->failed ? 1 : (int)n;
}

static const Size *read_product(Reader *r)
{
    const Size *s = size_num(read_sign(r, '-') ? -1 : 1);
    bool over = false;
    do {
        const Size *x = read_atom(r);
        for (int n = read_power(r); n > 0; n--)
            s = over ? size_div(s, x) : size_mul(s, x);
        over = read_at(r, '/');
    } while (read_sign(r, '*') || read_sign(r, '/'));
    return s;
}

const Size *read_size(Reader *r)
{
    const Size *s = read_product(r);
    while (read_at(r, '+') || read_at(r, '-')) {
        bool plus = read_at(r, '+');
        read_next(r);
        const Size *x = read_product(r);
        s = plus ? size_add(s, x) : size_sub(s, x);
    }
    return s;
}
