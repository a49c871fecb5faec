/* Normalizers: each makes a new text of the one before. */
#include "runtime/tokens/tokenizer_impl.h"
#include <string.h>
#include <utf8proc.h>

/* One piece on its way; false from a step: a pattern gave up, or `made` grew
 * past what it may. */
typedef struct {
    const Step *s;
    Arena *a;
    Matcher *m;
    Piece *p;
    Text made;
} Norm;

static void add(Norm *n, Span s)
{
    text_add(n->a, &n->made, s.at, s.len);
}

static void add_char(Norm *n, int32_t c)
{
    char made[4];
    text_add(n->a, &n->made, made, char_write(c, made));
}

/* Before anything was made, what goes takes the text's beginning with it. */
static void drop(Norm *n)
{
    n->p->first = n->p->first && n->made.n;
}

static bool prepend(Norm *n)
{
    if (n->p->text.len)
        add(n, n->s->with);
    add(n, n->p->text);
    return true;
}

static bool replace(Norm *n)
{
    Span text = n->p->text;
    size_t done = 0;
    Finder f = {0};
    TextMatch hit;
    int found = 0;
    while (!n->made.over && (found = pattern_next(&n->s->pattern, n->m, text,
                                                  &f, &hit)) > 0) {
        add(n, (Span){text.at + done, hit.from - done});
        add(n, n->s->with);
        if (hit.to > hit.from)
            drop(n);
        done = hit.to;
    }
    if (n->made.over)
        return true;
    add(n, (Span){text.at + done, text.len - done});
    return found >= 0;
}

/* utf8proc's composing and decomposing of characters that Unicode 9 has: what
 * it says of these is stable. */
static bool unicode_run(Norm *n, Span run)
{
    utf8proc_uint8_t *made = NULL;
    utf8proc_ssize_t len = utf8proc_map(
        (const utf8proc_uint8_t *)run.at, (utf8proc_ssize_t)run.len, &made,
        (utf8proc_option_t)(n->s->options | UTF8PROC_STABLE));
    if (len < 0)
        return false;
    add(n, (Span){(char *)made, (size_t)len});
    free(made);
    return true;
}

/* The characters after those are not touched by the library, and part what is
 * before them from what is after. */
static bool unicode(Norm *n)
{
    Span text = n->p->text;
    int old = set_find(".unicode9", 9);
    size_t done = 0;
    for (size_t i = 0, len; i < text.len; i += len) {
        len = (size_t)char_length(text.at + i, text.len - i);
        if (len == 1 || set_has(old, char_read(text.at + i, len)))
            continue;
        if (!unicode_run(n, (Span){text.at + done, i - done}))
            return false;
        add(n, (Span){text.at + i, len});
        done = i + len;
    }
    return unicode_run(n, (Span){text.at + done, text.len - done});
}

static void lower(Norm *n, int32_t c)
{
    bool dotted = c == 0x130; /* its dot stays */
    add_char(n, dotted ? 'i' : char_lower(c));
    if (dotted)
        add_char(n, 0x307);
}

static void add_unless(Norm *n, bool goes, int32_t c)
{
    if (goes)
        drop(n);
    else
        add_char(n, c);
}

static bool nmt_drops(int32_t c)
{
    return (c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) ||
           c == 0x7f || c == 0x8f || c == 0x9f;
}

static bool nmt_space(int32_t c)
{
    return c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 ||
           (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 ||
           c == 0x2581 || c == 0xfeff || c == 0xfffd;
}

static void around(Norm *n, int32_t c)
{
    bool wide = char_in(".cjk", c);
    add(n, (Span){" ", wide});
    add_char(n, c);
    add(n, (Span){" ", wide});
}

static void one_char(Norm *n, int32_t c)
{
    switch (n->s->kind) {
    case NORM_no_marks:
        add_unless(n, char_in(".mark", c), c);
        break;
    case NORM_no_nonspacing:
        add_unless(n, char_in(".nonspacing", c), c);
        break;
    case NORM_clean:
        add_unless(n, char_in(".control", c), char_is_space(c) ? ' ' : c);
        break;
    case NORM_cjk:
        around(n, c);
        break;
    case NORM_nmt:
        add_unless(n, nmt_drops(c), nmt_space(c) ? ' ' : c);
        break;
    default:
        lower(n, c);
    }
}

static bool each_char(Norm *n)
{
    Span text = n->p->text;
    for (size_t i = 0, len; i < text.len && !n->made.over; i += len) {
        len = (size_t)char_length(text.at + i, text.len - i);
        one_char(n, char_read(text.at + i, len));
    }
    return true;
}

static bool strip(Norm *n)
{
    Span text = n->p->text;
    while (n->s->start && text.len) {
        size_t len = (size_t)char_length(text.at, text.len);
        if (!char_is_space(char_read(text.at, len)))
            break;
        text.at += len, text.len -= len;
        drop(n);
    }
    while (n->s->stop && text.len) {
        size_t at = char_before(text, text.len);
        if (!char_is_space(char_read(text.at + at, text.len - at)))
            break;
        text.len = at;
    }
    add(n, text);
    return true;
}

static bool as_bytes(Norm *n)
{
    char two[4];
    for (size_t i = 0; i < n->p->text.len && !n->made.over; i++)
        add(n, (Span){two, bytes_as_chars((Span){n->p->text.at + i, 1}, two)});
    return true;
}

/* Of Unicode 17, which the system's table may not know. */
static bool is_late_mark(int32_t c)
{
    return (c >= 0x1acf && c <= 0x1add) || (c >= 0x1ae0 && c <= 0x1aeb);
}

/* Where the grapheme cluster that begins at `at` ends. */
static size_t cluster_end(Span text, size_t at)
{
    int32_t state = 0;
    size_t len = (size_t)char_length(text.at + at, text.len - at);
    int32_t before = char_read(text.at + at, len);
    for (at += len; at < text.len; at += len) {
        len = (size_t)char_length(text.at + at, text.len - at);
        int32_t c = char_read(text.at + at, len);
        if (utf8proc_grapheme_break_stateful(before, c, &state) &&
            (before < ' ' || before == 127 || !is_late_mark(c)))
            break;
        before = c;
    }
    return at;
}

/* What stands for the text in the table, if it has it. */
static bool add_mapped(Norm *n, Span text)
{
    Span to = charsmap_find(n->s->with, text);
    if (to.at && !to.len)
        drop(n);
    add(n, to);
    return to.at;
}

/* As the library does it: whole clusters of less than 6 bytes by what stands
 * for their shortest beginning, else character by character. */
static bool charsmap(Norm *n)
{
    enum { WHOLE = 6 };
    Span text = n->p->text;
    for (size_t at = 0, end, len; at < text.len && !n->made.over; at = end) {
        end = cluster_end(text, at);
        if (end - at < WHOLE && add_mapped(n, (Span){text.at + at, end - at}))
            continue;
        for (size_t i = at; i < end; i += len) {
            len = (size_t)char_length(text.at + i, end - i);
            Span one = {text.at + i, len};
            if (!add_mapped(n, one))
                add(n, one);
        }
    }
    return true;
}

static bool step(Norm *n)
{
    switch (n->s->kind) {
    case NORM_prepend:
        return prepend(n);
    case NORM_replace:
        return replace(n);
    case NORM_unicode:
        return unicode(n);
    case NORM_strip:
        return strip(n);
    case NORM_bytes:
        return as_bytes(n);
    case NORM_charsmap:
        return charsmap(n);
    default:
        return each_char(n);
    }
}

bool normalize(const Steps *steps, Arena *a, Matcher *m, Piece *piece, Err *err)
{
    for (int i = 0; i < steps->n; i++) {
        Norm n = {.s = &steps->at[i], .a = a, .m = m, .p = piece};
        if (!step(&n))
            return err_set(err, "normalizer, step %d: gave up on a text of "
                                "%zu bytes", i, piece->text.len);
        if (n.made.over)
            return err_set(err, "normalizer, step %d: a text grows past %d "
                                "bytes", i, MAX_MADE);
        piece->text = (Span){n.made.at, n.made.n};
    }
    return true;
}
