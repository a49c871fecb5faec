/* Pre-tokenizers: a text is cut into words, which BPE never joins. */
#include "runtime/tokenizer_impl.h"
#include <string.h>

/* A stretch of a text, all of it covered in order. */
typedef struct {
    size_t from, to;
    bool match;
} Stretch;

typedef struct {
    Arena *a;
    Matcher *m;
    Pieces *out;
    LIST(Stretch) found; /* in the piece at hand; its room is used again */
} Cutter;

static void add(Cutter *c, size_t from, size_t to, bool match)
{
    if (from < to)
        list_push(c->a, &c->found, (Stretch){from, to, match});
}

/* Matches and what is between. An empty match only cuts. */
static bool find_all(Cutter *c, const Step *step, Span text)
{
    c->found.n = 0;
    size_t done = 0, at = 0;
    Match hit;
    int found;
    while ((found = pattern_find(&step->pattern, c->m, text, at, &hit)) > 0) {
        add(c, done, hit.from, step->invert);
        add(c, hit.from, hit.to, !step->invert);
        done = at = hit.to;
        if (hit.from < hit.to)
            continue;
        if (at >= text.len)
            break;
        at += (size_t)char_length(text.at + at, text.len - at);
    }
    add(c, done, text.len, step->invert);
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

static bool split(Cutter *c, const Step *step, Piece p)
{
    if (!find_all(c, step, p.text))
        return false;
    const Stretch *s = c->found.at;
    for (int i = 0, from = 0; i < c->found.n; i++) {
        if (i + 1 < c->found.n && joins(step->behavior, s, i + 1))
            continue;
        size_t at = s[from].from, end = s[i].to;
        bool dropped = step->behavior == SPLIT_removed && s[i].match;
        if (!dropped)
            list_push(c->a, c->out, (Piece){{p.text.at + at, end - at},
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

static bool cut(Cutter *c, const Step *step, Piece p)
{
    switch (step->kind) {
    case PRE_split:
        return split(c, step, p);
    case PRE_space:
        p = in_front(c->a, p, span(" "));
        break;
    case PRE_metaspace:
        p = metaspace(step, c->a, p);
        break;
    case PRE_bytes:
        p.text = bytes_as_chars(c->a, p.text);
        break;
    default:
        BUG("step %d is no pre-tokenizer", (int)step->kind);
    }
    list_push(c->a, c->out, p);
    return true;
}

bool pre_tokenize(const Steps *steps, Arena *a, Matcher *m, Pieces *pieces,
                  Err *err)
{
    Pieces cuts = {0};
    Cutter c = {.a = a, .m = m, .out = &cuts};
    for (int i = 0; i < steps->n; i++) {
        cuts.n = 0;
        for (int j = 0; j < pieces->n; j++)
            if (!cut(&c, &steps->at[i], pieces->at[j]))
                return err_set(err,
                               "pre_tokenizer, step %d: the pattern gave up "
                               "on a text of %zu bytes",
                               i, pieces->at[j].text.len);
        Pieces before = *pieces;
        *pieces = cuts, cuts = before;
    }
    return true;
}
