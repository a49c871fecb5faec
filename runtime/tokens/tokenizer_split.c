/* Pre-tokenizers: a text is cut into words, which BPE never joins. Each step
 * gives its pieces to the next one as it finds them, so that no list of them
 * is ever kept. */
#include "runtime/tokens/tokenizer_impl.h"
#include <string.h>

/* Where a step writes a piece that it changes. */
struct Buffer {
    char *at;
    size_t room;
};

/* A stretch of a piece, all of which they cover in order. */
typedef struct {
    size_t from, to;
    bool match;
} Stretch;

/* One step at work on one piece. */
typedef struct {
    const PreTokenize *p;
    int step;
    Piece piece;
    Stretch word; /* not yet given on: it may grow */
    bool any;     /* there is one */
} Splitter;

void buffers_free(Buffers *b)
{
    for (int i = 0; i < b->n; i++)
        free(b->at[i].at);
    free(b->at);
    *b = (Buffers){0};
}

static char *room_for(const PreTokenize *p, int step, size_t len)
{
    struct Buffer *b = &p->buffers->at[step];
    if (b->room < len) {
        b->room = 2 * len;
        free(b->at);
        b->at = xmalloc(b->room);
    }
    return b->at;
}

static bool run(const PreTokenize *p, int step, Piece piece);

/* Gives the word at hand to the next step. */
static bool give(Splitter *s)
{
    Stretch w = s->word;
    Behavior how = s->p->steps->at[s->step].behavior;
    if (w.from == w.to || (how == SPLIT_removed && w.match))
        return true;
    Piece next = {{s->piece.text.at + w.from, w.to - w.from},
                  s->piece.first && w.from == 0};
    return run(s->p, s->step + 1, next);
}

/* Does a stretch go on the word that the one before it ends? */
static bool joins(Behavior how, bool match_before, bool match)
{
    switch (how) {
    case SPLIT_previous:
        return match && !match_before;
    case SPLIT_next:
        return match_before && !match;
    case SPLIT_contiguous:
        return match == match_before;
    default:
        return false;
    }
}

static bool add(Splitter *s, size_t from, size_t to, bool match)
{
    const Step *step = &s->p->steps->at[s->step];
    Stretch new = {from, to, match != step->invert};
    if (from == to && !match) /* nothing between two matches */
        return true;
    if (s->any && joins(step->behavior, s->word.match, new.match)) {
        s->word.to = to, s->word.match = new.match;
        return true;
    }
    if (!give(s))
        return false;
    s->word = new, s->any = true;
    return true;
}

/* Matches and what is between. */
static bool split(const PreTokenize *p, int step, Piece piece)
{
    const Pattern *pattern = &p->steps->at[step].pattern;
    Splitter s = {.p = p, .step = step, .piece = piece};
    Span text = piece.text;
    size_t done = 0;
    Finder f = {0};
    TextMatch hit;
    int found;
    while ((found = pattern_next(pattern, p->matcher, text, &f, &hit)) > 0) {
        if (!add(&s, done, hit.from, false) || !add(&s, hit.from, hit.to, true))
            return false;
        done = hit.to;
    }
    if (found < 0)
        return err_set(p->err, "pre_tokenizer, step %d: the pattern gave up on "
                               "a text of %zu bytes", step, text.len);
    return add(&s, done, text.len, false) && give(&s);
}

static Piece in_front(const PreTokenize *p, int step, Piece piece, Span with)
{
    if (span_starts(piece.text, with))
        return piece;
    char *made = room_for(p, step, piece.text.len + with.len);
    memcpy(made, with.at, with.len);
    memcpy(made + with.len, piece.text.at, piece.text.len);
    return (Piece){{made, piece.text.len + with.len}, piece.first};
}

/* Spaces written as `with`; room is left to put one more in front. */
static Piece metaspace(const PreTokenize *p, int step, Piece piece)
{
    const Step *s = &p->steps->at[step];
    Span with = s->with, text = piece.text;
    char *made = room_for(p, step, (text.len + 1) * (with.len + 1)) + with.len;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == ' ') {
            memcpy(made + len, with.at, with.len);
            len += with.len;
        } else {
            made[len++] = text.at[i];
        }
    piece.text = (Span){made, len};
    bool wanted = s->prepend == PREPEND_always ||
                  (s->prepend == PREPEND_first && piece.first);
    if (!wanted || span_starts(piece.text, with))
        return piece;
    memcpy(made - with.len, with.at, with.len);
    piece.text = (Span){made - with.len, len + with.len};
    return piece;
}

static Piece as_chars(const PreTokenize *p, int step, Piece piece)
{
    char *made = room_for(p, step, 2 * piece.text.len + 2);
    return (Piece){{made, bytes_as_chars(piece.text, made)}, piece.first};
}

/* Steps from this one on. */
static bool run(const PreTokenize *p, int step, Piece piece)
{
    if (step == p->steps->n) {
        p->word(p->user, piece.text);
        return true;
    }
    switch (p->steps->at[step].kind) {
    case PRE_split:
        return split(p, step, piece);
    case PRE_space:
        return run(p, step + 1, in_front(p, step, piece, span(" ")));
    case PRE_metaspace:
        return run(p, step + 1, metaspace(p, step, piece));
    case PRE_bytes:
        return run(p, step + 1, as_chars(p, step, piece));
    default:
        BUG("step %d is no pre-tokenizer", step);
    }
}

bool pre_tokenize(const PreTokenize *p, Piece piece)
{
    if (!p->buffers->at && p->steps->n) {
        size_t bytes = (size_t)p->steps->n * sizeof *p->buffers->at;
        p->buffers->at = xmalloc(bytes);
        memset(p->buffers->at, 0, bytes);
        p->buffers->n = p->steps->n;
    }
    return run(p, 0, piece);
}
