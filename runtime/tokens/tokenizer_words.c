/* Models other than BPE, on one word. Unigram: the pieces whose scores sum to
 * the most (Kudo, arXiv 1804.10959), by going once through the word with
 * the best way to each place. WordPiece: the longest piece, then the longest
 * of what is left. WordLevel: the word itself. */
#include "runtime/tokens/tokenizer_impl.h"
#include <string.h>

/* ---- Unigram ---- */

/* The best way to a place. */
typedef struct {
    double score;
    size_t from; /* where its last piece begins */
    int32_t id;
    bool any;
} Way;

static void offer(Way *to, double score, size_t from, int32_t id)
{
    if (!to->any || score > to->score)
        *to = (Way){score, from, id, true};
}

/* All that may come next behind `at`; a character that is no piece is unknown.
 * The length of that character. */
static size_t go_on(const Tokenizer *t, Span word, size_t at, Way *way)
{
    size_t len = (size_t)char_length(word.at + at, word.len - at);
    double here = way[at].score;
    bool single = false;
    int node = 0;
    for (size_t i = at; i < word.len; i++) {
        int32_t id = trie_step(&t->piece, &node, (unsigned char)word.at[i]);
        if (node < 0)
            break;
        if (id < 0)
            continue;
        offer(&way[i + 1], t->score[id] + here, at, id);
        single |= i + 1 - at == len;
    }
    if (!single)
        offer(&way[at + len], t->unknown_score + here, at, t->unk);
    return len;
}

static bool push_bytes(const Tokenizer *t, Span s, Ids *out)
{
    for (size_t i = 0; i < s.len; i++)
        if (t->byte[(unsigned char)s.at[i]] < 0)
            return false;
    for (size_t i = 0; i < s.len; i++)
        ids_push(out, t->byte[(unsigned char)s.at[i]]);
    return true;
}

static void push_piece(const Tokenizer *t, Span s, Ids *out)
{
    int32_t id = str_get(&t->model_ids, s);
    if (id >= 0)
        ids_push(out, id);
    else if (!t->byte_fallback || !push_bytes(t, s, out))
        ids_push(out, t->unk);
}

/* The pieces, found from the end; unknown ones beside each other are one. */
static void push_way(const Tokenizer *t, Span word, const Way *way, Ids *out)
{
    bool unknown = false;
    LIST(Span) part = {0};
    Arena a = {0};
    for (size_t end = word.len; end > 0; end = way[end].from) {
        size_t from = way[end].from;
        bool is = t->fuse_unk && way[end].id == t->unk;
        if (is && unknown)
            part.at[part.n - 1].len += end - from;
        else
            list_push(&a, &part, (Span){NULL, end - from});
        part.at[part.n - 1].at = word.at + from;
        unknown = is;
    }
    for (int i = part.n - 1; i >= 0; i--)
        push_piece(t, part.at[i], out);
    arena_free(&a);
}

static void unigram(const Tokenizer *t, Span word, Ids *out)
{
    size_t bytes = (word.len + 1) * sizeof(Way);
    Way *way = memset(xmalloc(bytes), 0, bytes);
    for (size_t at = 0; at < word.len;)
        at += go_on(t, word, at, way);
    push_way(t, word, way, out);
    free(way);
}

/* ---- WordPiece ---- */

static size_t characters(Span word)
{
    size_t n = 0;
    for (size_t i = 0; i < word.len; n++)
        i += (size_t)char_length(word.at + i, word.len - i);
    return n;
}

/* The longest piece of word[at ..]; its id or -1. */
static int32_t longest(const Tokenizer *t, Arena *a, Span word, size_t at,
                       size_t *end)
{
    Text text = {0};
    if (at)
        text_add(a, &text, t->prefix.at, t->prefix.len);
    size_t before = text.n;
    text_add(a, &text, word.at + at, word.len - at);
    for (size_t len = word.len - at; len;
         len = char_before((Span){word.at + at, len}, len)) {
        int32_t id = str_get(&t->model_ids, (Span){text.at, before + len});
        *end = at + len;
        if (id >= 0)
            return id;
    }
    return -1;
}

static void word_piece(const Tokenizer *t, Span word, Ids *out)
{
    size_t from = out->n;
    Arena a = {0};
    bool known = characters(word) <= t->word_most;
    for (size_t at = 0, end = 0; known && at < word.len; at = end) {
        int32_t id = longest(t, &a, word, at, &end);
        known = id >= 0;
        ids_push(out, id);
    }
    if (!known) {
        out->n = from;
        ids_push(out, t->unk);
    }
    arena_free(&a);
}

void model_word(const Tokenizer *t, Span word, Ids *out)
{
    if (!word.len)
        return;
    if (t->model == MODEL_unigram)
        unigram(t, word, out);
    else if (t->model == MODEL_word_piece)
        word_piece(t, word, out);
    else {
        int32_t id = str_get(&t->model_ids, word);
        ids_push(out, id >= 0 ? id : t->unk);
    }
}
