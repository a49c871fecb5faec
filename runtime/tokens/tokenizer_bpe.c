/* Byte-pair encoding of one word: begin with a symbol a character; as long as
 * any two neighbours may be merged, merge those of the lowest rank, of equals
 * the leftmost. A heap holds what may be merged, so a word of n characters
 * costs n log n. Short words are remembered for the length of a text. */
#define _GNU_SOURCE
#include "runtime/tokens/tokenizer_impl.h"
#include <string.h>

struct Symbol {
    int32_t id;
    int prev, next; /* -1: none */
};

enum { KNOWN_LEN = 48, KNOWN_MAX = 1 << 16, DEAD = -2 };

static void push_symbol(Bpe *b, int32_t id)
{
    if (b->symbols == b->symbol_room) {
        b->symbol_room = b->symbol_room ? 2 * b->symbol_room : 64;
        b->symbol =
            xrealloc(b->symbol, (size_t)b->symbol_room * sizeof *b->symbol);
    }
    int i = b->symbols++;
    b->symbol[i] = (struct Symbol){id, i - 1, i + 1};
}

static void sift_up(uint64_t *heap, int i)
{
    for (int up; i > 0 && heap[up = (i - 1) / 2] > heap[i]; i = up) {
        uint64_t key = heap[up];
        heap[up] = heap[i], heap[i] = key;
    }
}

static void sift_down(uint64_t *heap, int n, int i)
{
    uint64_t key = heap[i];
    for (int c; (c = 2 * i + 1) < n; i = c) {
        c += c + 1 < n && heap[c + 1] < heap[c];
        if (heap[c] >= key)
            break;
        heap[i] = heap[c];
    }
    heap[i] = key;
}

static void heap_push(Bpe *b, uint64_t key)
{
    if (b->heaped == b->heap_room) {
        b->heap_room = b->heap_room ? 2 * b->heap_room : 64;
        b->heap = xrealloc(b->heap, (size_t)b->heap_room * sizeof *b->heap);
    }
    b->heap[b->heaped] = key;
    sift_up(b->heap, b->heaped++);
}

static uint64_t heap_pop(Bpe *b)
{
    uint64_t least = b->heap[0];
    b->heap[0] = b->heap[--b->heaped];
    sift_down(b->heap, b->heaped, 0);
    return least;
}

/* Symbols i and its next one may be merged? */
static void offer(const Tokenizer *t, Bpe *b, int i)
{
    if (i < 0 || b->symbol[i].next < 0)
        return;
    int32_t rank =
        pair_get(&t->ranks, b->symbol[i].id, b->symbol[b->symbol[i].next].id);
    if (rank >= 0)
        heap_push(b, (uint64_t)rank << 32 | (uint32_t)i);
}

static void merge_all(const Tokenizer *t, Bpe *b)
{
    for (int i = 0; i + 1 < b->symbols; i++)
        offer(t, b, i);
    while (b->heaped) {
        uint64_t key = heap_pop(b);
        const Merge *m = &t->merge.at[key >> 32];
        int i = (int)(uint32_t)key;
        struct Symbol *s = &b->symbol[i];
        if (s->id != m->left || s->next < 0 ||
            b->symbol[s->next].id != m->right)
            continue; /* one of them has been merged since */
        struct Symbol *right = &b->symbol[s->next];
        s->id = m->made;
        s->next = right->next;
        right->id = DEAD;
        if (s->next >= 0)
            b->symbol[s->next].prev = i;
        offer(t, b, s->prev);
        offer(t, b, i);
    }
}

/* The model's token of a character, with the marks of its place in the word. */
static int32_t char_id(const Tokenizer *t, Span c, bool first, bool last)
{
    Span before = first ? (Span){0} : t->prefix;
    Span after = last ? t->suffix : (Span){0};
    if (!before.len && !after.len)
        return str_get(&t->model_ids, c);
    Arena a = {0};
    Text text = {0};
    text_add(&a, &text, before.at, before.len);
    text_add(&a, &text, c.at, c.len);
    text_add(&a, &text, after.at, after.len);
    int32_t id = str_get(&t->model_ids, (Span){text.at, text.n});
    arena_free(&a);
    return id;
}

static bool push_bytes(const Tokenizer *t, Bpe *b, Span c)
{
    for (size_t i = 0; i < c.len; i++)
        if (t->byte[(unsigned char)c.at[i]] < 0)
            return false;
    for (size_t i = 0; i < c.len; i++)
        push_symbol(b, t->byte[(unsigned char)c.at[i]]);
    return true;
}

static void push_unknown(const Tokenizer *t, Bpe *b, bool *after_unknown)
{
    if (t->unk >= 0 && !(t->fuse_unk && *after_unknown))
        push_symbol(b, t->unk);
    *after_unknown = true;
}

static void push_chars(const Tokenizer *t, Bpe *b, Span word)
{
    bool after_unknown = false;
    for (size_t i = 0, n; i < word.len; i += n) {
        n = (size_t)char_length(word.at + i, word.len - i);
        Span c = {word.at + i, n};
        int32_t id = char_id(t, c, i == 0, i + n == word.len);
        if (id >= 0)
            push_symbol(b, id);
        else if (!t->byte_fallback || !push_bytes(t, b, c)) {
            push_unknown(t, b, &after_unknown);
            continue;
        }
        after_unknown = false;
    }
}

static void encode_word(const Tokenizer *t, Bpe *b, Span word, Ids *out)
{
    if (t->model != MODEL_bpe) {
        model_word(t, word, out);
        return;
    }
    int32_t whole = t->ignore_merges ? str_get(&t->model_ids, word) : -1;
    if (whole >= 0) {
        ids_push(out, whole);
        return;
    }
    b->symbols = b->heaped = 0;
    push_chars(t, b, word);
    if (!b->symbols)
        return;
    b->symbol[b->symbols - 1].next = -1;
    merge_all(t, b);
    for (int i = 0; i >= 0; i = b->symbol[i].next)
        ids_push(out, b->symbol[i].id);
}

static void remembered(const Tokenizer *t, Bpe *b, Span word, Ids *out)
{
    if (word.len > KNOWN_LEN) {
        encode_word(t, b, word, out);
        return;
    }
    int32_t at = str_get(&b->seen, word);
    if (at < 0 && b->known.n == KNOWN_MAX) {
        encode_word(t, b, word, out);
        return;
    }
    if (at < 0) {
        size_t from = b->known_ids.n;
        encode_word(t, b, word, &b->known_ids);
        at = b->known.n;
        list_push(&b->arena, &b->known, (TextMatch){from, b->known_ids.n});
        word.at = arena_strn(&b->arena, word.at, word.len);
        str_put(&b->seen, word, at);
    }
    for (size_t i = b->known.at[at].from; i < b->known.at[at].to; i++)
        ids_push(out, b->known_ids.at[i]);
}

static const char META[] = "\xe2\x96\x81"; /* U+2581, "▁" */

/* The end of the part of word that begins at `from`: the next "▁" that is not
 * after another. */
static size_t part_end(Span word, size_t from)
{
    size_t i = from;
    while (span_starts((Span){word.at + i, word.len - i}, span(META)))
        i += 3;
    const char *hit = memmem(word.at + i, word.len - i, META, 3);
    return hit ? (size_t)(hit - word.at) : word.len;
}

void bpe_word(const Tokenizer *t, Bpe *b, Span word, Ids *out)
{
    if (!t->cut) {
        remembered(t, b, word, out);
        return;
    }
    for (size_t i = 0, end; i < word.len; i = end) {
        end = part_end(word, i);
        remembered(t, b, (Span){word.at + i, end - i}, out);
    }
}

void bpe_free(Bpe *b)
{
    free(b->symbol);
    free(b->heap);
    str_free(&b->seen);
    ids_free(&b->known_ids);
    arena_free(&b->arena);
    *b = (Bpe){0};
}

/* May a text with this token inside be cut before each first "▁"? */
static bool token_cuts(const char *text)
{
    size_t len = strlen(text);
    return !len || part_end((Span){text, len}, 0) == len;
}

void bpe_prepare(Tokenizer *t)
{
    for (int i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", i);
        t->byte[i] = str_get(&t->model_ids, span(name));
    }
    /* A character that is left out would let the two sides meet. */
    t->cut = t->model == MODEL_bpe &&
             str_get(&t->model_ids, span(META)) >= 0 && t->unk >= 0 &&
             !t->ignore_merges && !t->prefix.len && !t->suffix.len;
    for (int i = 0; t->cut && i < t->merge.n; i++)
        t->cut = token_cuts(t->token.at[t->merge.at[i].made].text);
}
