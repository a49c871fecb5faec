/* Words, numbers and sizes of a graph's text. */
#include "compiler/graph/ir.h"
#include <ctype.h>
#include <math.h>
#include <string.h>

bool ir_mistake(IrReader *r, Loc loc, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!r->failed)
        error_at(r->src, loc, "%s", text);
    r->failed = true;
    r->now = (IrToken){.loc = loc};
    return false;
}

static bool starts_word(char c)
{
    return isalpha((unsigned char)c) || c == '_' || c == '%' || c == '@';
}

static bool goes_on(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '%';
}

static void skip_blanks(IrReader *r)
{
    const char *s = r->src->text;
    for (; s[r->at]; r->at++) {
        if (s[r->at] == '#')
            r->at += (int)strcspn(s + r->at, "\n");
        if (!isspace((unsigned char)s[r->at]))
            return;
    }
}

static void next_string(IrReader *r)
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
        ir_mistake(r, loc, "a string that ends on its line");
        return;
    }
    loc.len = ++r->at - start;
    r->now = (IrToken){TOKEN_string, intern_n(text, (size_t)n), 0, loc};
}

void ir_next(IrReader *r)
{
    if (r->failed)
        return;
    skip_blanks(r);
    const char *s = r->src->text + r->at;
    Loc loc = {r->at, 1};
    if (!*s) {
        r->now = (IrToken){.loc = {r->at, 0}};
    } else if (*s == '"') {
        next_string(r);
    } else if (isdigit((unsigned char)*s) || *s == '.') {
        char *end;
        double num = strtod(s, &end);
        if (end == s)
            end++;
        loc.len = (int)(end - s);
        r->now = (IrToken){TOKEN_number, NULL, num, loc};
        r->at += loc.len;
    } else if (starts_word(*s)) {
        while (goes_on(s[loc.len]))
            loc.len++;
        r->now = (IrToken){TOKEN_word, intern_n(s, (size_t)loc.len), 0, loc};
        r->at += loc.len;
    } else {
        r->now = (IrToken){TOKEN_sign, NULL, *s, loc};
        r->at++;
    }
}

bool ir_at(const IrReader *r, char sign)
{
    return r->now.kind == TOKEN_sign && r->now.num == sign;
}

bool ir_sign(IrReader *r, char sign)
{
    bool is = ir_at(r, sign);
    if (is)
        ir_next(r);
    return is;
}

bool ir_expected(IrReader *r, const char *what)
{
    int n = r->now.loc.len ? r->now.loc.len : 15;
    const char *s = r->now.loc.len ? r->src->text + r->now.loc.at
                                   : "the text's end";
    return ir_mistake(r, r->now.loc, "needs %s, found %.*s", what, n, s);
}

bool ir_want(IrReader *r, char sign)
{
    char what[2] = {sign};
    return ir_sign(r, sign) || ir_expected(r, what);
}

bool ir_at_word(const IrReader *r, const char *word)
{
    return r->now.kind == TOKEN_word && !strcmp(r->now.text, word);
}

bool ir_word(IrReader *r, const char *word)
{
    bool is = ir_at_word(r, word);
    if (is)
        ir_next(r);
    return is;
}

bool ir_want_word(IrReader *r, const char *word)
{
    return ir_word(r, word) || ir_expected(r, word);
}

const char *ir_name(IrReader *r, bool string, const char *what)
{
    if (r->now.kind != TOKEN_word && !(string && r->now.kind == TOKEN_string)) {
        ir_expected(r, what);
        return intern("");
    }
    const char *text = r->now.text;
    ir_next(r);
    return text;
}

double ir_number(IrReader *r)
{
    double sign = ir_sign(r, '-') ? -1 : 1, num = r->now.num;
    if (ir_word(r, "inf"))
        return sign * INFINITY;
    if (ir_word(r, "nan"))
        return NAN;
    if (r->now.kind != TOKEN_number) {
        ir_expected(r, "a number");
        return 0;
    }
    ir_next(r);
    return sign * num;
}

/* ---- sizes, as size_text prints them ---- */

static const Size *read_call(IrReader *r, const char *name, Loc loc)
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
    const Size *a = ir_size(r), *b = NULL;
    if (ir_sign(r, ','))
        b = ir_size(r);
    ir_want(r, ')');
    for (size_t i = 0; i < COUNT(function); i++)
        if (!strcmp(function[i].name, name) && !b == !function[i].two)
            return b ? function[i].two(a, b) : function[i].one(a);
    ir_mistake(r, loc, "sizes have no function %s of %d", name, b ? 2 : 1);
    return a;
}

static const Size *read_atom(IrReader *r)
{
    IrToken t = r->now;
    if (ir_sign(r, '(')) {
        const Size *s = ir_size(r);
        ir_want(r, ')');
        return s;
    }
    if (t.kind != TOKEN_number && t.kind != TOKEN_word) {
        ir_expected(r, "a size");
        return size_num(1);
    }
    ir_next(r);
    if (t.kind == TOKEN_number)
        return size_num(t.num);
    return ir_sign(r, '(') ? read_call(r, t.text, t.loc) : size_sym(t.text);
}

/* The power after an atom, a whole number; 1 where there is none. */
static int read_power(IrReader *r)
{
    if (!ir_sign(r, '^'))
        return 1;
    Loc loc = r->now.loc;
    double n = ir_number(r);
    if (n < 1 || n > 64 || n != floor(n))
        ir_mistake(r, loc, "a power from 1 to 64, found %g", n);
    return r->failed ? 1 : (int)n;
}

static const Size *read_product(IrReader *r)
{
    const Size *s = size_num(ir_sign(r, '-') ? -1 : 1);
    bool over = false;
    do {
        const Size *x = read_atom(r);
        for (int n = read_power(r); n > 0; n--)
            s = over ? size_div(s, x) : size_mul(s, x);
        over = ir_at(r, '/');
    } while (ir_sign(r, '*') || ir_sign(r, '/'));
    return s;
}

const Size *ir_size(IrReader *r)
{
    const Size *s = read_product(r);
    while (ir_at(r, '+') || ir_at(r, '-')) {
        bool plus = ir_at(r, '+');
        ir_next(r);
        const Size *x = read_product(r);
        s = plus ? size_add(s, x) : size_sub(s, x);
    }
    return s;
}
