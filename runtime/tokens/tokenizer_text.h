/* What the tokenizer's texts are made of: bytes, characters, sets of them,
 * tables of strings. All strings are UTF-8. */
#pragma once
#include "runtime/tokens/tokens.h"

/* Bytes of someone else's memory, not NUL-terminated. */
typedef struct {
    const char *at;
    size_t len;
} Span;
Span span(const char *text); /* of a NUL-terminated one */
bool span_is(Span a, Span b);
bool span_starts(Span text, Span with);

/* Bytes being put together in an arena: MAX_MADE at most, what is more is
 * left out and `over` set. */
typedef struct {
    char *at;
    size_t n, room;
    bool over;
} Text;
enum { MAX_MADE = 1 << 28 };
void text_add(Arena *a, Text *t, const char *s, size_t len);

/* ---- characters (tokenizer_chars.c) ---- */

/* Length of the character at s[0 .. len), len > 0; 0: it is cut off by the
 * end; -n: n bytes that are none. */
int char_length(const char *s, size_t len);
int32_t char_read(const char *s, size_t len); /* of valid UTF-8 */
size_t char_write(int32_t c, char out[4]);    /* its length */
size_t char_before(Span text, size_t at);     /* where the one before begins */
bool char_is_space(int32_t c);                /* Unicode's White_Space */
bool char_is_word(int32_t c);                 /* Rust's regex's \w */
bool char_in(const char *set, int32_t c);     /* a set of unicode.txt */
/* GPT-2's way to write any byte as a printable character, and back (-1). */
int32_t byte_to_char(unsigned char b);
int char_to_byte(int32_t c);
/* Each so written; `out` has room for 2 * bytes.len + 2. The length. */
size_t bytes_as_chars(Span bytes, char *out);

/* ---- sets of characters (unicode.c) ---- */

/* The set of that name as in \p{name}, or one of the library's own
 * (".word"); -1: there is none. */
int set_find(const char *name, size_t len);
/* How many ranges, then first and last of each. Lives for ever. */
const uint32_t *set_ranges(int set);
bool set_has(int set, int32_t c);
int32_t char_lower(int32_t c); /* Unicode 17's */

/* ---- tables (tokenizer_tables.c) ---- */

/* Strings to numbers >= 0; keys are not copied. {0} is empty. */
typedef struct {
    struct StrSlot *slot;
    size_t size, n; /* size 0 or a power of 2 */
} StrTable;
int32_t str_get(const StrTable *t, Span key); /* -1: not there */
void str_put(StrTable *t, Span key, int32_t value);
void str_free(StrTable *t);

/* Pairs of ids to ranks. */
typedef struct {
    struct PairSlot *slot;
    size_t size, n;
} PairTable;
int32_t pair_get(const PairTable *t, int32_t a, int32_t b); /* -1 */
void pair_put(PairTable *t, int32_t a, int32_t b, int32_t rank);
void pair_free(PairTable *t);

/* Added tokens by their bytes, to find the longest at a place. */
typedef struct {
    LIST(struct TrieNode) node;
} Trie;
void trie_add(Arena *a, Trie *t, Span key, int32_t value);
typedef struct {
    int32_t value; /* -1: none */
    size_t len;
} TrieHit;
/* One byte on from *node (0: the root; -1 afterwards: no key goes on so); the
 * value of the key that ends there, or -1. */
int32_t trie_step(const Trie *t, int *node, unsigned char byte);
/* The longest key that text begins with, of those that `wanted` takes. */
TrieHit trie_find(const Trie *t, Span text, const Tokenizer *tok,
                  bool (*wanted)(const Tokenizer *, int32_t));
