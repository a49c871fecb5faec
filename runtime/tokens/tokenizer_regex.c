/* Patterns: plain strings, and regular expressions by Oniguruma, whose syntax
 * a tokenizer.json has. What its classes mean is ours (unicode.txt), so that
 * it does not follow the system's library. A pattern comes from strangers:
 * it has bounds, and a match must begin and end between characters. */
#define _GNU_SOURCE
#include "runtime/files/files.h"
#include "runtime/tokens/tokenizer_steps.h"
#include <oniguruma.h>
#include <pthread.h>
#include <string.h>

struct Regex {
    regex_t *code;
};

enum {
    MAX_PATTERN = 1 << 16,
    MAX_NESTING = 256,
    MAX_STACK = 1 << 22,       /* entries of what may still be tried */
    MAX_RETRIES = 10000000,    /* a match; the tokenizers library's too */
    MAX_SEARCH = 4 * MAX_RETRIES, /* a search from one place on */
    FIRST_SET = ONIGENC_MAX_STD_CTYPE + 1
};

/* ---- UTF-8 with our sets ---- */

static OnigEncodingType encoding;
static int standard[FIRST_SET];

static int set_of(OnigCtype type)
{
    return type < FIRST_SET ? standard[type] : (int)type - FIRST_SET;
}

/* Outside of [ ], \w is also the other numbers of Latin-1. */
static int is_of_type(OnigCodePoint c, OnigCtype type)
{
    if (type == ONIGENC_CTYPE_NEWLINE)
        return c == '\n';
    bool number = c == 0xb2 || c == 0xb3 || c == 0xb9 ||
                  (c >= 0xbc && c <= 0xbe);
    if (type == ONIGENC_CTYPE_WORD && number)
        return 1;
    return set_has(set_of(type), (int32_t)c);
}

static int ranges_of_type(OnigCtype type, OnigCodePoint *single,
                          const OnigCodePoint *ranges[])
{
    *single = 0x80;
    *ranges = set_ranges(set_of(type));
    return 0;
}

static int type_of_name(OnigEncoding e, OnigUChar *p, OnigUChar *end)
{
    (void)e;
    int set = set_find((const char *)p, (size_t)(end - p));
    return set < 0 ? ONIGERR_INVALID_CHAR_PROPERTY_NAME
                   : set + FIRST_SET;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void begin(void)
{
    static const char *const name[FIRST_SET] = {
        "Cc",    "Alphabetic", "Blank",       "Cntrl", "Digit",
        "Graph", "Lower",      "Print",       "PosixPunct", "White_Space",
        "Upper", "XDigit",     "Word",        "Alnum", "ASCII"};
    for (int i = 0; i < FIRST_SET; i++)
        standard[i] = set_find(name[i], strlen(name[i]));
    encoding = OnigEncodingUTF8;
    encoding.is_code_ctype = is_of_type;
    encoding.get_ctype_code_range = ranges_of_type;
    encoding.property_name_to_ctype = type_of_name;
    OnigEncoding used[] = {&encoding};
    onig_initialize(used, 1);
    onig_set_parse_depth_limit(MAX_NESTING);
}

/* ---- compiling ---- */

/* Grapheme clusters, by the system's tables; NULL where none is asked for. */
static const char *clusters(Span p)
{
    static const char *const name[] = {"\\X", "\\y", "\\Y"};
    for (size_t i = 0; i + 1 < p.len; i++) {
        if (p.at[i] != '\\')
            continue;
        for (size_t k = 0; k < COUNT(name); k++)
            if (p.at[i + 1] == name[k][1])
                return name[k];
        i++;
    }
    return NULL;
}

static bool pattern_fits(Span p, const char *where, Err *err)
{
    const char *cluster = clusters(p);
    if (p.len > MAX_PATTERN)
        return err_set(err, "%s: a pattern of %zu bytes is too long (%d at "
                            "most)", where, p.len, MAX_PATTERN);
    return !cluster || err_set(err, "%s: pattern: %s (grapheme clusters) is "
                                    "not supported", where, cluster);
}

/* Oniguruma's words, with what it names; bytes that are no text as ?. */
static void say_why(int code, OnigErrorInfo *info, const char *where, Err *err)
{
    OnigUChar text[ONIG_MAX_ERROR_MESSAGE_LEN + 1];
    int n = onig_error_code_to_str(text, code, info);
    text[n < 0 ? 0 : n] = 0;
    for (OnigUChar *c = text; *c; c++)
        *c = *c < ' ' || *c > '~' ? '?' : *c;
    err_set(err, "%s: pattern: %s", where, (char *)text);
}

Regex *regex_compile(Span pattern, const char *where, Err *err)
{
    pthread_once(&once, begin);
    if (!pattern_fits(pattern, where, err))
        return NULL;
    const OnigUChar *p = (const OnigUChar *)(pattern.len ? pattern.at : "");
    OnigErrorInfo info = {0};
    regex_t *code = NULL;
    int failed = onig_new(&code, p, p + pattern.len, ONIG_OPTION_NONE,
                          &encoding, ONIG_SYNTAX_ONIGURUMA, &info);
    if (failed) {
        say_why(failed, &info, where, err);
        return NULL;
    }
    Regex *r = xmalloc(sizeof *r);
    r->code = code;
    return r;
}

void regex_free(Regex *r)
{
    if (r)
        onig_free(r->code);
    free(r);
}

/* ---- matching ---- */

static void matcher_make(Matcher *m)
{
    m->region = onig_region_new();
    m->limits = onig_new_match_param();
    if (!m->region || !m->limits)
        die("out of memory");
    onig_initialize_match_param(m->limits);
    onig_set_match_stack_limit_size_of_match_param(m->limits, MAX_STACK);
    onig_set_retry_limit_in_match_of_match_param(m->limits, MAX_RETRIES);
    onig_set_retry_limit_in_search_of_match_param(m->limits, MAX_SEARCH);
}

void matcher_free(Matcher *m)
{
    if (m->region)
        onig_region_free(m->region, 1);
    if (m->limits)
        onig_free_match_param(m->limits);
    *m = (Matcher){0};
}

static bool between_chars(Span text, size_t at)
{
    return at >= text.len || ((unsigned char)text.at[at] & 0xc0) != 0x80;
}

static int regex_find(const Regex *r, Matcher *m, Span text, size_t at,
                      TextMatch *out)
{
    if (!m->region)
        matcher_make(m);
    if (rt_interrupted)
        return -1;
    const OnigUChar *s = (const OnigUChar *)(text.len ? text.at : "");
    const OnigUChar *end = s + text.len;
    int found =
        onig_search_with_param(r->code, s, end, s + at, end, m->region,
                               ONIG_OPTION_NONE, m->limits);
    if (found == ONIG_MISMATCH)
        return 0;
    if (found < 0 || m->region->beg[0] < 0)
        return -1;
    *out = (TextMatch){(size_t)m->region->beg[0], (size_t)m->region->end[0]};
    bool whole = out->from >= at && out->to >= out->from &&
                 out->to <= text.len && between_chars(text, out->from) &&
                 between_chars(text, out->to);
    return whole ? 1 : -1;
}

int pattern_find(const Pattern *p, Matcher *m, Span text, size_t at,
                 TextMatch *out)
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
    *out = (TextMatch){from, from + p->string.len};
    return 1;
}

int pattern_next(const Pattern *p, Matcher *m, Span text, Finder *f,
                 TextMatch *out)
{
    for (;;) {
        int found = pattern_find(p, m, text, f->at, out);
        if (found <= 0)
            return found;
        if (out->from < out->to || !f->any || out->from != f->ended) {
            f->at = f->ended = out->to, f->any = true;
            return 1;
        }
        if (f->at >= text.len)
            return 0;
        f->at += (size_t)char_length(text.at + f->at, text.len - f->at);
    }
}
