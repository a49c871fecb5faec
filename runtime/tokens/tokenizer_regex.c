/* Patterns: plain strings, and regular expressions by PCRE2. A tokenizer.json
 * has them in Oniguruma's syntax; for what such patterns use, the two agree
 * but for \w and names of scripts and categories, which are rewritten. */
#define _GNU_SOURCE
#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/tokens/tokenizer_impl.h"
#include <pcre2.h>
#include <string.h>

struct Regex {
    pcre2_code *code;
};

enum { JIT_STACK_MAX = 16 << 20 };

/* Long names of general categories, which PCRE2 has by letters only. */
static const char *const category[][2] = {
    {"Letter", "L"}, {"Mark", "M"},      {"Number", "N"}, {"Punctuation", "P"},
    {"Symbol", "S"}, {"Separator", "Z"}, {"Other", "C"},  {"Alphabetic", "L"}};

/* A name in \p{...} for PCRE2: a script's means the script alone, not its
 * extensions. */
static void add_property(Arena *a, Text *t, Span name)
{
    bool not = name.len && name.at[0] == '^';
    Span bare = {name.at + not, name.len - not };
    text_add(a, t, "^", not );
    for (size_t i = 0; i < COUNT(category); i++)
        if (span_is(bare, span(category[i][0]))) {
            text_add(a, t, category[i][1], 1);
            return;
        }
    bool script = bare.len > 3 && !memchr(bare.at, ':', bare.len) &&
                  !memchr(bare.at, '=', bare.len);
    text_add(a, t, "sc:", script ? 3 : 0);
    text_add(a, t, bare.at, bare.len);
}

/* A letter of a word, which for PCRE2 a mark is not. */
static const char WORD[] = "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}";

static void add_word(Arena *a, Text *t, bool not, bool inside)
{
    text_add(a, t, not ? "[^" : "[", inside ? 0 : not ? 2 : 1);
    text_add(a, t, WORD, strlen(WORD));
    text_add(a, t, "]", !inside);
}

/* Copies an escape at s, maybe `inside` of a class, to t; its length. */
static size_t add_escape(Arena *a, Text *t, Span s, bool inside)
{
    size_t n = s.len < 2 ? s.len : 2;
    char c = n < 2 ? 0 : s.at[1];
    if (c == 'w' || (c == 'W' && !inside)) {
        add_word(a, t, c == 'W', inside);
        return 2;
    }
    text_add(a, t, s.at, n);
    const char *end = memchr(s.at, '}', s.len);
    if ((c != 'p' && c != 'P') || s.len < 3 || s.at[2] != '{' || !end)
        return n;
    text_add(a, t, "{", 1);
    add_property(a, t, (Span){s.at + 3, (size_t)(end - s.at) - 3});
    text_add(a, t, "}", 1);
    return (size_t)(end - s.at) + 1;
}

/* The length of what opens a class at s: [ and what is no end yet. */
static size_t class_open(Span s)
{
    size_t n = 1;
    n += n < s.len && s.at[n] == '^';
    return n + (n < s.len && s.at[n] == ']');
}

static Span translate(Arena *a, Span pattern)
{
    Text t = {0};
    bool inside = false;
    for (size_t i = 0, n; i < pattern.len; i += n) {
        Span rest = {pattern.at + i, pattern.len - i};
        char c = rest.at[0];
        if (c == '\\') {
            n = add_escape(a, &t, rest, inside);
            continue;
        }
        n = c == '[' && !inside ? class_open(rest) : 1;
        inside = (inside || c == '[') && c != ']';
        text_add(a, &t, rest.at, n);
    }
    return (Span){t.at, (size_t)t.n};
}

/* PCRE2 would read Oniguruma's && (both of two classes) as two letters. */
static bool has_class_and(Span p)
{
    bool inside = false;
    for (size_t i = 0; i + 1 < p.len; i++) {
        if (p.at[i] == '\\')
            i++;
        else if (p.at[i] == '[')
            inside = true;
        else if (p.at[i] == ']')
            inside = false;
        else if (inside && p.at[i] == '&' && p.at[i + 1] == '&')
            return true;
    }
    return false;
}

Regex *regex_compile(Span pattern, const char *where, Err *err)
{
    if (has_class_and(pattern)) {
        err_set(err, "%s: pattern: && within [ ] is not supported", where);
        return NULL;
    }
    Arena a = {0};
    Span p = translate(&a, pattern);
    int code;
    PCRE2_SIZE at;
    pcre2_code *c = pcre2_compile((PCRE2_SPTR)(p.len ? p.at : ""), p.len,
                                  PCRE2_UTF | PCRE2_UCP, &code, &at, NULL);
    arena_free(&a);
    if (!c) {
        char text[256];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
        err_set(err, "%s: pattern, byte %zu: %s", where, at, text);
        return NULL;
    }
    /* Without JIT (not allowed on some machines) matching is only slower. */
    pcre2_jit_compile(c, PCRE2_JIT_COMPLETE);
    Regex *r = xmalloc(sizeof *r);
    r->code = c;
    return r;
}

void regex_free(Regex *r)
{
    if (r)
        pcre2_code_free(r->code);
    free(r);
}

static void matcher_make(Matcher *m)
{
    m->data = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    if (!m->data || !m->context)
        die("out of memory");
    m->stack = pcre2_jit_stack_create(64 << 10, JIT_STACK_MAX, NULL);
    if (m->stack)
        pcre2_jit_stack_assign(m->context, NULL, m->stack);
}

void matcher_free(Matcher *m)
{
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    *m = (Matcher){0};
}

static int regex_find(const Regex *r, Matcher *m, Span text, size_t at,
                      Match *out)
{
    if (!m->data)
        matcher_make(m);
    PCRE2_SPTR s = (PCRE2_SPTR)(text.len ? text.at : "");
    int n = pcre2_match(r->code, s, text.len, at, PCRE2_NO_UTF_CHECK, m->data,
                        m->context);
    if (n == PCRE2_ERROR_JIT_STACKLIMIT)
        n = pcre2_match(r->code, s, text.len, at,
                        PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, m->data, m->context);
    if (n == PCRE2_ERROR_NOMATCH)
        return 0;
    if (n < 0)
        return -1;
    PCRE2_SIZE *v = pcre2_get_ovector_pointer(m->data);
    /* \K in a lookahead can end a match before it began. */
    *out = (Match){v[0], v[1] < v[0] ? v[0] : v[1]};
    return out->from < at ? -1 : 1;
}

int pattern_find(const Pattern *p, Matcher *m, Span text, size_t at, Match *out)
{
    if (p->regex)
        return regex_find(p->regex, m, text, at, out);
    if (!p->string.len || at >= text.len)
        return 0;
    const char *hit =
        memmem(text.at + at, text.len - at, p->string.at, p->string.len);
    if (!hit)
        return 0;
    size_t from = (size_t)(hit - text.at);
    *out = (Match){from, from + p->string.len};
    return 1;
}
