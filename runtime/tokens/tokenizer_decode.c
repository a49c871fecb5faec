/* Ids to text, token by token. The decoder's steps change each token's text;
 * the bytes are then given out as far as they are whole characters. */
#include "runtime/tokens/tokenizer_impl.h"
#include <string.h>

struct Decoder {
    const Tokenizer *t;
    int flags;
    bool started; /* a token gave text before */
    int lead;     /* characters DEC_lead may still take away */
    char *bytes;  /* not yet given out */
    size_t n, room;
    char *piece; /* what the last call gave out */
    size_t piece_n, piece_room;
    Matcher matcher;
    Arena arena; /* of the last SWEEP tokens */
    int since;
};

enum { SWEEP = 1000 };

static int lead_of(const Tokenizer *t)
{
    for (int i = 0; i < t->decoder.n; i++)
        if (t->decoder.at[i].kind == DEC_lead)
            return t->decoder.at[i].start;
    return 0;
}

Decoder *decoder_open(const Tokenizer *t, int flags)
{
    Decoder *d = xmalloc(sizeof *d);
    bool on = flags & DECODE_continue;
    *d = (Decoder){.t = t, .flags = flags, .started = on};
    d->lead = on ? 0 : lead_of(t);
    return d;
}

void decoder_close(Decoder *d)
{
    if (!d)
        return;
    matcher_free(&d->matcher);
    arena_free(&d->arena);
    free(d->bytes);
    free(d->piece);
    free(d);
}

static void append(char **to, size_t *n, size_t *room, const char *s,
                   size_t len)
{
    if (*n + len + 1 > *room) {
        *room = 2 * (*n + len) + 64;
        *to = xrealloc(*to, *room);
    }
    if (len)
        memcpy(*to + *n, s, len);
    *n += len;
    (*to)[*n] = 0;
}

/* Each of GPT-2's characters as its byte; a text that has others stays. */
static Span char_bytes(Arena *a, Span text)
{
    Text t = {0};
    for (size_t i = 0, n; i < text.len; i += n) {
        n = (size_t)char_length(text.at + i, text.len - i);
        int byte = char_to_byte(char_read(text.at + i, n));
        if (byte < 0)
            return text;
        char c = (char)byte;
        text_add(a, &t, &c, 1);
    }
    return (Span){t.at, t.n};
}

static Span replaced(const Step *s, Arena *a, Matcher *m, Span text)
{
    Step step = *s;
    step.kind = NORM_replace;
    Steps one = {.at = &step, .n = 1};
    Err err;
    Piece p = {text, false};
    return normalize(&one, a, m, &p, &err) ? p.text : text;
}

static Span stripped(Span text, Span with, int *start, int stop)
{
    while (*start > 0 && with.len && span_starts(text, with)) {
        text.at += with.len, text.len -= with.len;
        --*start;
    }
    for (; stop > 0 && with.len && text.len >= with.len; stop--) {
        if (!span_is((Span){text.at + text.len - with.len, with.len}, with))
            break;
        text.len -= with.len;
    }
    return text;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* "<0x41>" is A. */
static Span byte_token(Arena *a, Span text)
{
    if (text.len != 6 || memcmp(text.at, "<0x", 3) || text.at[5] != '>')
        return text;
    int high = hex(text.at[3]), low = hex(text.at[4]);
    if (high < 0 || low < 0)
        return text;
    char c = (char)(high << 4 | low);
    return (Span){arena_strn(a, &c, 1), 1};
}

/* The first token loses all of them, as in the tokenizers library. */
static Span spaces(const Step *s, Arena *a, Matcher *m, Span text, bool first)
{
    Step step = *s;
    step.pattern = (Pattern){.string = s->with};
    step.with = span(first && s->prepend != PREPEND_never ? "" : " ");
    return replaced(&step, a, m, text);
}

static Span joined(Arena *a, Span text, bool first)
{
    if (first)
        return text;
    Text t = {0};
    text_add(a, &t, " ", 1);
    text_add(a, &t, text.at, text.len);
    return (Span){t.at, t.n};
}

/* WordPiece's: a space before what goes on no word; English as it is usual. */
static Span piece_text(const Step *s, Arena *a, Matcher *m, Span text,
                       bool first)
{
    static const char *const clean[][2] = {
        {" .", "."},     {" ?", "?"},    {" !", "!"},     {" ,", ","},
        {" ' ", "'"},    {" n't", "n't"}, {" 'm", "'m"},
        {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"},
        {" 're", "'re"}};
    int once = 1;
    if (!first)
        text = span_starts(text, s->with) ? stripped(text, s->with, &once, 0)
                                          : joined(a, text, false);
    for (size_t i = 0; s->start && i < COUNT(clean); i++) {
        Step step = {.with = span(clean[i][1]),
                     .pattern.string = span(clean[i][0])};
        text = replaced(&step, a, m, text);
    }
    return text;
}

static Span decode_step(Decoder *d, const Step *s, Arena *a, Span text)
{
    int start = s->start;
    switch (s->kind) {
    case DEC_bytes:
        return char_bytes(a, text);
    case DEC_replace:
        return replaced(s, a, &d->matcher, text);
    case DEC_byte_fallback:
        return byte_token(a, text);
    case DEC_strip:
        return stripped(text, s->with, &start, s->stop);
    case DEC_lead:
        text = stripped(text, s->with, &d->lead, 0);
        d->lead = text.len ? 0 : d->lead;
        return text;
    case DEC_metaspace:
        return spaces(s, a, &d->matcher, text, !d->started);
    case DEC_join:
        return joined(a, text, !d->started);
    case DEC_pieces:
        return piece_text(s, a, &d->matcher, text, !d->started);
    default:
        BUG("step %d is no decoder", (int)s->kind);
    }
}

static void token_bytes(Decoder *d, const Token *k)
{
    Span text = span(k->text);
    for (int i = 0; i < d->t->decoder.n; i++) {
        const Step *s = &d->t->decoder.at[i];
        if (!k->added || s->kind == DEC_join || s->kind == DEC_lead ||
            s->kind == DEC_pieces)
            text = decode_step(d, s, &d->arena, text);
    }
    append(&d->bytes, &d->n, &d->room, text.at, text.len);
    d->started = true;
    if (++d->since == SWEEP) {
        arena_free(&d->arena);
        d->since = 0;
    }
}

/* Moves whole characters from the bytes to the piece. */
static void give_out(Decoder *d, bool all)
{
    size_t at = 0;
    while (at < d->n) {
        int n = char_length(d->bytes + at, d->n - at);
        if (n == 0 && !all)
            break;
        if (n > 0)
            append(&d->piece, &d->piece_n, &d->piece_room, d->bytes + at,
                   (size_t)n);
        else
            append(&d->piece, &d->piece_n, &d->piece_room, "\xef\xbf\xbd", 3);
        at += n > 0 ? (size_t)n : n < 0 ? (size_t)-n : d->n - at;
    }
    if (d->n)
        memmove(d->bytes, d->bytes + at, d->n - at);
    d->n -= at;
}

static const char *piece(Decoder *d, size_t *len)
{
    if (len)
        *len = d->piece_n;
    return d->piece ? d->piece : "";
}

static void push(Decoder *d, int32_t id)
{
    if (id < 0 || id >= d->t->token.n || !d->t->token.at[id].text)
        return;
    const Token *k = &d->t->token.at[id];
    if (!k->special || d->flags & DECODE_special)
        token_bytes(d, k);
}

static void clear_piece(Decoder *d)
{
    d->piece_n = 0;
    append(&d->piece, &d->piece_n, &d->piece_room, "", 0);
}

const char *decoder_push(Decoder *d, int32_t id, size_t *len)
{
    clear_piece(d);
    push(d, id);
    give_out(d, false);
    return piece(d, len);
}

const char *decoder_finish(Decoder *d, size_t *len)
{
    clear_piece(d);
    give_out(d, true);
    return piece(d, len);
}

char *tokenizer_decode(const Tokenizer *t, const int32_t *ids, size_t n,
                       int flags, size_t *len)
{
    Decoder *d = decoder_open(t, flags);
    clear_piece(d);
    for (size_t i = 0; i < n; i++) {
        push(d, ids[i]);
        give_out(d, false);
    }
    give_out(d, true);
    char *text = d->piece;
    d->piece = NULL;
    if (len)
        *len = d->piece_n;
    decoder_close(d);
    return text;
}
