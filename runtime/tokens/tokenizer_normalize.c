/* Normalizers: each makes a new text of the one before. */
#include "runtime/tokens/tokenizer_impl.h"
#include <string.h>
#include <utf8proc.h>

static Span text_span(Text t)
{
    return (Span){t.at, (size_t)t.n};
}

static Span prepend(Arena *a, Span text, Span with)
{
    if (!text.len)
        return text;
    Text t = {0};
    text_add(a, &t, with.at, with.len);
    text_add(a, &t, text.at, text.len);
    return text_span(t);
}

static bool replace(const Step *s, Arena *a, Matcher *m, Span text, Span *out)
{
    Text t = {0};
    size_t done = 0, at = 0;
    Match hit;
    int found;
    while ((found = pattern_find(&s->pattern, m, text, at, &hit)) > 0) {
        text_add(a, &t, text.at + done, hit.from - done);
        text_add(a, &t, s->with.at, s->with.len);
        done = at = hit.to;
        if (hit.from < hit.to)
            continue;
        if (at == text.len)
            break;
        at += (size_t)char_length(text.at + at, text.len - at);
    }
    text_add(a, &t, text.at + done, text.len - done);
    *out = text_span(t);
    return found >= 0;
}

/* utf8proc's composing and decomposing. */
static bool unicode(Arena *a, Span text, int options, Span *out)
{
    utf8proc_uint8_t *made = NULL;
    utf8proc_ssize_t n = utf8proc_map(
        (const utf8proc_uint8_t *)text.at, (utf8proc_ssize_t)text.len, &made,
        (utf8proc_option_t)(options | UTF8PROC_STABLE));
    if (n < 0)
        return false;
    *out = (Span){arena_strn(a, (char *)made, (size_t)n), (size_t)n};
    free(made);
    return true;
}

static bool is_mark(int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);
    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC ||
           k == UTF8PROC_CATEGORY_ME;
}

/* Lower case, or without marks, character by character. */
static Span each_char(StepKind kind, Arena *a, Span text)
{
    Text t = {0};
    for (size_t i = 0; i < text.len;) {
        size_t n = (size_t)char_length(text.at + i, text.len - i);
        int32_t c = char_read(text.at + i, n);
        i += n;
        if (kind == NORM_no_marks && is_mark(c))
            continue;
        char made[4];
        bool dotted = kind == NORM_lower && c == 0x130; /* its dot stays */
        if (kind == NORM_lower)
            c = dotted ? 'i' : utf8proc_tolower(c);
        text_add(a, &t, made, char_write(c, made));
        if (dotted)
            text_add(a, &t, "\xcc\x87", 2);
    }
    return text_span(t);
}

static Span strip(Span text, bool start, bool stop)
{
    while (start && text.len) {
        size_t n = (size_t)char_length(text.at, text.len);
        if (!char_is_space(char_read(text.at, n)))
            break;
        text.at += n, text.len -= n;
    }
    while (stop && text.len) {
        size_t at = char_before(text, text.len);
        if (!char_is_space(char_read(text.at + at, text.len - at)))
            break;
        text.len = at;
    }
    return text;
}

static bool step(const Step *s, Arena *a, Matcher *m, Span *text)
{
    char *made;
    switch (s->kind) {
    case NORM_prepend:
        *text = prepend(a, *text, s->with);
        return true;
    case NORM_replace:
        return replace(s, a, m, *text, text);
    case NORM_unicode:
        return unicode(a, *text, s->options, text);
    case NORM_strip:
        *text = strip(*text, s->start, s->stop);
        return true;
    case NORM_bytes:
        made = arena_alloc(a, 2 * text->len + 2);
        *text = (Span){made, bytes_as_chars(*text, made)};
        return true;
    default:
        *text = each_char(s->kind, a, *text);
        return true;
    }
}

bool normalize(const Steps *steps, Arena *a, Matcher *m, Span text, Span *out,
               Err *err)
{
    for (int i = 0; i < steps->n; i++)
        if (!step(&steps->at[i], a, m, &text))
            return err_set(err,
                           "normalizer, step %d: gave up on a text of %zu "
                           "bytes",
                           i, text.len);
    *out = text;
    return true;
}
