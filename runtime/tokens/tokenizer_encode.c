/* Text to ids: added tokens are cut out, what is between is normalized, cut
 * into words and encoded. */
#include "runtime/tokens/tokenizer_impl.h"
#include <string.h>

typedef struct {
    const Tokenizer *t;
    int flags;
    Arena arena;
    Matcher matcher;
    Buffers buffers;
    Bpe bpe;
    Ids *out;
    Err *err;
} Encoder;

/* What becomes of the text between added tokens. */
typedef bool (*Between)(Encoder *, Piece);

enum { MAX_TEXT = 1 << 28 };

void ids_push(Ids *ids, int32_t id)
{
    if (ids->n == ids->room) {
        ids->room = ids->room ? 2 * ids->room : 64;
        ids->at = xrealloc(ids->at, ids->room * sizeof *ids->at);
    }
    ids->at[ids->n++] = id;
}

void ids_free(Ids *ids)
{
    free(ids->at);
    *ids = (Ids){0};
}

static bool any_token(const Tokenizer *t, int32_t id)
{
    (void)t;
    (void)id;
    return true;
}

static bool not_special(const Tokenizer *t, int32_t id)
{
    return !t->token.at[id].special;
}

static bool word_char_at(Span text, size_t at)
{
    return at < text.len &&
           char_is_word(char_read(text.at + at, text.len - at));
}

static bool alone(Span text, size_t from, size_t to)
{
    return !(from && word_char_at(text, char_before(text, from))) &&
           !word_char_at(text, to);
}

static bool space_at(Span text, size_t at)
{
    return char_is_space(char_read(text.at + at, text.len - at));
}

/* Spaces that a token takes with it; none before `done`. */
static void widen(const Token *k, Span text, size_t done, TextMatch *m)
{
    while (k->lstrip && m->from > done) {
        size_t at = char_before(text, m->from);
        if (!space_at(text, at))
            break;
        m->from = at;
    }
    while (k->rstrip && m->to < text.len && space_at(text, m->to))
        m->to += (size_t)char_length(text.at + m->to, text.len - m->to);
}

/* The next added token at `at` or later; its id, or -1. */
static int32_t next_added(Encoder *e, const Trie *trie, Span text, size_t at,
                          TextMatch *m)
{
    bool all = e->flags & ENCODE_special;
    for (; trie->node.n && at < text.len; at++) {
        Span rest = {text.at + at, text.len - at};
        TrieHit hit =
            trie_find(trie, rest, e->t, all ? any_token : not_special);
        if (hit.value < 0)
            continue;
        *m = (TextMatch){at, at + hit.len};
        if (!e->t->token.at[hit.value].single_word ||
            alone(text, m->from, m->to))
            return hit.value;
        at += hit.len - 1;
    }
    return -1;
}

/* Pushes the added tokens of a piece, and does `between` with the rest. */
static bool cut_added(Encoder *e, const Trie *trie, Piece p, Between between)
{
    size_t done = 0, at = 0;
    TextMatch m;
    for (int32_t id; (id = next_added(e, trie, p.text, at, &m)) >= 0;) {
        widen(&e->t->token.at[id], p.text, done, &m);
        Piece before = {{p.text.at + done, m.from - done}, p.first && !done};
        if (m.from > done && !between(e, before))
            return false;
        ids_push(e->out, id);
        done = at = m.to;
    }
    Piece rest = {{p.text.at + done, p.text.len - done}, p.first && !done};
    return done == p.text.len || between(e, rest);
}

static void encode_word(void *encoder, Span word)
{
    Encoder *e = encoder;
    bpe_word(e->t, &e->bpe, word, e->out);
}

static bool encode_words(Encoder *e, Piece p)
{
    PreTokenize pre = {&e->t->pre,  &e->matcher, &e->buffers,
                       encode_word, e,           e->err};
    return pre_tokenize(&pre, p);
}

static bool encode_raw(Encoder *e, Piece p)
{
    if (!normalize(&e->t->normalizer, &e->arena, &e->matcher, &p, e->err))
        return false;
    return cut_added(e, &e->t->normal, p, encode_words);
}

static bool encode_text(Encoder *e, Span text)
{
    if (e->flags & ENCODE_bos)
        for (int i = 0; i < e->t->first.n; i++)
            ids_push(e->out, e->t->first.at[i]);
    return cut_added(e, &e->t->raw, (Piece){text, true}, encode_raw);
}

bool tokenizer_encode(const Tokenizer *t, const char *text, size_t len,
                      int flags, Ids *out, Err *err)
{
    size_t bad, before = out->n;
    if (!utf8_valid(text, len, &bad))
        return err_set(err, "the text is not UTF-8 at byte %zu", bad);
    if (len > MAX_TEXT)
        return err_set(err, "a text of %zu bytes is too long to encode at once",
                       len);
    Encoder e = {.t = t, .flags = flags, .out = out, .err = err};
    bool ok = encode_text(&e, (Span){text, len});
    if (!ok)
        out->n = before;
    bpe_free(&e.bpe);
    buffers_free(&e.buffers);
    matcher_free(&e.matcher);
    arena_free(&e.arena);
    return ok;
}
