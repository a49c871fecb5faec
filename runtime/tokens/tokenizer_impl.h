/* A tokenizer, and how it runs. A text goes through: added tokens cut out,
 * normalizer, added tokens again, pre-tokenizer, then BPE on each word; ids
 * come back through the decoder's steps. */
#pragma once
#include "runtime/tokens/tokenizer_steps.h"

typedef struct {
    const char *text; /* NULL: no such id */
    bool added, special;
    bool single_word, lstrip, rstrip;
} Token;

typedef struct {
    int32_t left, right, made;
} Merge;

typedef enum {
    MODEL_bpe,
    MODEL_unigram,
    MODEL_word_piece,
    MODEL_word_level
} ModelKind;

struct Tokenizer {
    Arena arena;
    ModelKind model;
    const char *name; /* for messages */
    LIST(Token) token;
    StrTable ids;       /* texts of all tokens */
    StrTable model_ids; /* of those of the model's vocabulary */
    LIST(Merge) merge;  /* by rank */
    PairTable ranks;
    Trie raw, normal; /* added tokens met before and after normalizing */
    Steps normalizer, pre, decoder;

    int32_t unk;       /* -1: characters without a token are left out */
    int32_t byte[256]; /* ids of <0x00> ..., -1 */
    bool byte_fallback, fuse_unk, ignore_merges;
    double *score;    /* Unigram: of each piece */
    double unknown_score;
    Trie piece;       /* Unigram: all of them */
    size_t word_most; /* WordPiece: characters of a word that is known */
    Span prefix, suffix; /* of characters not first, and last, in a word */
    bool cut; /* no merge joins a "▁" to what is before it, but another "▁" */

    LIST(int32_t) first; /* what begins a text */
    int32_t bos;
    LIST(int32_t) end;
};

enum { MAX_TOKENS = 1 << 22 };

typedef struct {
    Span text;
    bool first; /* begins where the whole text does */
} Piece;
/* Runs one list of steps over a piece; what it becomes is in `a`. */
bool normalize(const Steps *steps, Arena *a, Matcher *m, Piece *piece,
               Err *err);
/* Cuts a piece as the steps say, and gives each word to `word`. `buffers` is
 * memory for one thread, {0} to begin with. */
typedef struct {
    struct Buffer *at; /* one a step */
    int n;
} Buffers;
void buffers_free(Buffers *b);
typedef struct {
    const Steps *steps;
    Matcher *matcher;
    Buffers *buffers;
    void (*word)(void *user, Span word);
    void *user;
    Err *err;
} PreTokenize;
bool pre_tokenize(const PreTokenize *p, Piece piece);

/* The ids of one word of a model that is no BPE (tokenizer_words.c). */
void model_word(const Tokenizer *t, Span word, Ids *out);
/* BPE of words, with memory of its own for one thread; {0} to begin with. */
typedef struct {
    struct Symbol *symbol;
    int symbols, symbol_room;
    uint64_t *heap; /* rank << 32 | symbol */
    int heaped, heap_room;
    StrTable seen; /* word to index in `known` */
    LIST(TextMatch) known;
    Ids known_ids;
    Arena arena;
} Bpe;
void bpe_word(const Tokenizer *t, Bpe *b, Span word, Ids *out);
void bpe_free(Bpe *b);
void bpe_prepare(Tokenizer *t); /* sets `cut` and `byte` */
