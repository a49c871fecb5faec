/* Tables of the tokenizer: strings and pairs by open addressing, added tokens
 * in a tree of bytes. */
#include "runtime/tokens/tokenizer_text.h"
#include <string.h>

struct StrSlot {
    Span key;
    uint32_t hash;
    int32_t value; /* stored + 1: 0 is an empty slot */
};

struct PairSlot {
    uint64_t key;
    int32_t rank; /* stored + 1 */
};

static struct StrSlot *str_slot(const StrTable *t, Span key, uint32_t hash)
{
    size_t i = hash & (t->size - 1);
    for (;; i = (i + 1) & (t->size - 1)) {
        struct StrSlot *s = &t->slot[i];
        if (!s->value || (s->hash == hash && span_is(s->key, key)))
            return s;
    }
}

static uint32_t str_hash(Span key)
{
    uint64_t h = hash_of_name(key.at, key.len);
    return (uint32_t)(h ^ h >> 32);
}

int32_t str_get(const StrTable *t, Span key)
{
    return t->size ? str_slot(t, key, str_hash(key))->value - 1 : -1;
}

static void *zeroed(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (!p)
        die("out of memory");
    return p;
}

static void str_grow(StrTable *t)
{
    StrTable old = *t;
    t->size = old.size ? 2 * old.size : 64;
    t->slot = zeroed(t->size, sizeof *t->slot);
    for (size_t i = 0; i < old.size; i++)
        if (old.slot[i].value)
            *str_slot(t, old.slot[i].key, old.slot[i].hash) = old.slot[i];
    free(old.slot);
}

void str_put(StrTable *t, Span key, int32_t value)
{
    if (4 * (t->n + 1) > 3 * t->size)
        str_grow(t);
    uint32_t hash = str_hash(key);
    struct StrSlot *s = str_slot(t, key, hash);
    t->n += !s->value;
    *s = (struct StrSlot){key, hash, value + 1};
}

void str_free(StrTable *t)
{
    free(t->slot);
    *t = (StrTable){0};
}

static struct PairSlot *pair_slot(const PairTable *t, uint64_t key)
{
    uint64_t h = key * 0x9e3779b97f4a7c15u;
    size_t i = (h ^ h >> 32) & (t->size - 1);
    for (;; i = (i + 1) & (t->size - 1)) {
        struct PairSlot *s = &t->slot[i];
        if (!s->rank || s->key == key)
            return s;
    }
}

static uint64_t pair_key(int32_t a, int32_t b)
{
    return (uint64_t)(uint32_t)a << 32 | (uint32_t)b;
}

int32_t pair_get(const PairTable *t, int32_t a, int32_t b)
{
    return t->size ? pair_slot(t, pair_key(a, b))->rank - 1 : -1;
}

static void pair_grow(PairTable *t)
{
    PairTable old = *t;
    t->size = old.size ? 2 * old.size : 64;
    t->slot = zeroed(t->size, sizeof *t->slot);
    for (size_t i = 0; i < old.size; i++)
        if (old.slot[i].rank)
            *pair_slot(t, old.slot[i].key) = old.slot[i];
    free(old.slot);
}

void pair_put(PairTable *t, int32_t a, int32_t b, int32_t rank)
{
    if (2 * (t->n + 1) > t->size)
        pair_grow(t);
    struct PairSlot *s = pair_slot(t, pair_key(a, b));
    t->n += !s->rank;
    *s = (struct PairSlot){pair_key(a, b), rank + 1};
}

void pair_free(PairTable *t)
{
    free(t->slot);
    *t = (PairTable){0};
}

/* Node 0 is the root. Children of a node are a list. */
struct TrieNode {
    int child, next; /* 0: none */
    int32_t value;   /* -1: no key ends here */
    unsigned char byte;
};

static int trie_child(const Trie *t, int node, unsigned char byte)
{
    int c = t->node.at[node].child;
    while (c && t->node.at[c].byte != byte)
        c = t->node.at[c].next;
    return c;
}

void trie_add(Arena *a, Trie *t, Span key, int32_t value)
{
    if (!t->node.n)
        list_push(a, &t->node, (struct TrieNode){.value = -1});
    int node = 0;
    for (size_t i = 0; i < key.len; i++) {
        unsigned char byte = (unsigned char)key.at[i];
        int c = trie_child(t, node, byte);
        if (!c) {
            struct TrieNode new = {.value = -1, .byte = byte};
            new.next = t->node.at[node].child;
            list_push(a, &t->node, new);
            c = t->node.at[node].child = t->node.n - 1;
        }
        node = c;
    }
    if (t->node.at[node].value < 0) /* the first of equals */
        t->node.at[node].value = value;
}

int32_t trie_step(const Trie *t, int *node, unsigned char byte)
{
    int c = t->node.n ? trie_child(t, *node, byte) : 0;
    *node = c ? c : -1;
    return c ? t->node.at[c].value : -1;
}

TrieHit trie_find(const Trie *t, Span text, const Tokenizer *tok,
                  bool (*wanted)(const Tokenizer *, int32_t))
{
    TrieHit hit = {.value = -1};
    int node = 0;
    for (size_t i = 0; t->node.n && i < text.len; i++) {
        node = trie_child(t, node, (unsigned char)text.at[i]);
        if (!node)
            break;
        int32_t value = t->node.at[node].value;
        if (value >= 0 && wanted(tok, value))
            hit = (TrieHit){value, i + 1};
    }
    return hit;
}
