/* Pre-tokenizers: a text is cut into words, which BPE never joins. */
#include "runtime/tokenizer_impl.h"
#include <string.h>

/* A stretch of a text, all of it covered in order. */
typedef struct {
    size_t from, to;
    bool match;
} Stretch;
typedef LIST(Stretch) Stretches;

static void add(Arena *a, Stretches *s, size_t from, size_t to, bool match)
{
    if (from < to)
        list_push(a, s, (Stretch){from, to, match});
}

/* Matches and what is between. An empty match only cuts. */
static bool find_all(const Step *step, Arena *a, Matcher *m, Span text,
                     Stretches *out)
{
    size_t done = 0, at = 0;
    Match hit;
    int found;
    while ((found = pattern_find(&step->pattern, m, text, at, &hit)) > 0) {
        add(a, out, done, hit.from, step->invert);
        add(a, out, hit.from, hit.to, !step->invert);
        done = at = hit.to;
        if (hit.from < hit.to)
            continue;
        if (at >= text.len)
            break;
        at += (size_t)char_length(text.at + at, text.len - at);
    }
    add(a, out, done, text.len, step->invert);
    return found >= 0;
}

/* Does stretch s[i] go on the word that s[i - 1] is in? */
static bool joins(Behavior how, const Stretch *s, int i)
{
    switch (how) {
    case SPLIT_previous:
        return s[i].match && !s[i - 1].match;
    case SPLIT_next:
        return s[i - 1].match && !s[i].match;
    case SPLIT_contiguous:
        return s[i].match == s[i - 1].match;
    default:
        return false;
    }
}

static bool split(const Step *step, Arena *a, Matcher *m, Piece p, Pieces *out)
{
    Stretches s = {0};
    if (!find_all(step, a, m, p.text, &s))
        return false;
    for (int i = 0, from = 0; i < s.n; i++) {
        if (i + 1 < s.n && joins(step->behavior, s.at, i + 1))
            continue;
        size_t at = s.at[from].from, end = s.at[i].to;
        bool dropped = step->behavior == SPLIT_removed && s.at[i].match;
        if (!dropped)
            list_push(a, out, (Piece){{p.text.at + at, end - at},
                                      p.first && at == 0});
        from = i + 1;
    }
    return true;
}

static Piece in_front(Arena *a, Piece p, Span with)
{
    if (span_starts(p.text, with))
        return p;
    Text t = {0};
    text_add(a, &t, with.at, with.len);
    text_add(a, &t, p.text.at, p.text.len);
    return (Piece){{t.at, (size_t)t.n}, p.first};
}

static Piece metaspace(const Step *step, Arena *a, Piece p)
{
    Text t = {0};
    for (size_t i = 0, n; i < p.text.len; i += n) {
        const char *hit = memchr(p.text.at + i, ' ', p.text.len - i);
        n = hit ? (size_t)(hit - p.text.at) - i : p.text.len - i;
        text_add(a, &t, p.text.at + i, n);
        if (hit)
            text_add(a, &t, step->with.at, step->with.len), n++;
    }
    p.text = (Span){t.at, (size_t)t.n};
    bool wanted = step->prepend == PREPEND_always ||
                  (step->prepend == PREPEND_first && p.first);
    return wanted ? in_front(a, p, step->with) : p;
}

static bool cut(const Step *step, Arena *a, Matcher *m, Piece p, Pieces *out)
{
    Text t = {0};
    switch (step->kind) {
    case PRE_split:
        return split(step, a, m, p, out);
    case PRE_space:
        list_push(a, out, in_front(a, p, span(" ")));
        return true;
    case PRE_metaspace:
        list_push(a, out, metaspace(step, a, p));
        return true;
    case PRE_bytes:
        text_add_bytes(a, &t, p.text);
        list_push(a, out, (Piece){{t.at, (size_t)t.n}, p.first});
        return true;
    default:
        BUG("step %d is no pre-tokenizer", (int)step->kind);
    }
}

bool pre_tokenize(const Steps *steps, Arena *a, Matcher *m, Pieces *pieces,
                  Err *err)
{
    for (int i = 0; i < steps->n; i++) {
        Pieces cuts = {0};
        for (int j = 0; j < pieces->n; j++)
            if (!cut(&steps->at[i], a, m, pieces->at[j], &cuts))
                return err_set(err,
                               "pre_tokenizer, step %d: the pattern gave up "
                               "on a text of %zu bytes",
                               i, pieces->at[j].text.len);
        *pieces = cuts;
    }
    return true;
}
