/* What the files of the tokenizer share. A text goes through: added tokens cut
 * out, normalizer, added tokens again, pre-tokenizer, then BPE on each word;
 * ids come back through the decoder's steps. All strings are UTF-8. */
#pragma once
#include "runtime/tokens/tokens.h"
#include <cjson/cJSON.h>

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

/* ---- patterns (tokenizer_regex.c) ---- */

typedef struct Regex Regex;
/* As in a tokenizer.json (Oniguruma's syntax). NULL with err set. */
Regex *regex_compile(Span pattern, const char *where, Err *err);
void regex_free(Regex *r);
/* What matching needs, for one thread; {0} to begin with. */
typedef struct {
    struct re_registers *region;
    struct OnigMatchParamStruct *limits;
} Matcher;
void matcher_free(Matcher *m);

/* A string or a regex. */
typedef struct {
    Span string;
    Regex *regex; /* NULL: the string */
} Pattern;
typedef struct {
    size_t from, to;
} Match;
/* The next match that begins at `at` or later: 1, 0 none, -1 gave up. */
int pattern_find(const Pattern *p, Matcher *m, Span text, size_t at,
                 Match *out);
/* The matches in order; {0} to begin with. An empty one where the one before
 * ended is passed over. */
typedef struct {
    size_t at, ended;
    bool any;
} Finder;
int pattern_next(const Pattern *p, Matcher *m, Span text, Finder *f,
                 Match *out);

/* ---- steps (tokenizer_steps.c reads them) ---- */

typedef enum {
    /* normalizer */
    NORM_prepend, /* `with`, unless the text is empty */
    NORM_replace, /* matches of `pattern` by `with` */
    NORM_unicode, /* utf8proc's `options` */
    NORM_lower,
    NORM_no_marks, /* StripAccents */
    NORM_strip,    /* spaces at the `start` and the `stop` */
    NORM_bytes,    /* byte_to_char */
    NORM_clean,    /* Bert's: no controls, blanks are spaces */
    NORM_cjk,      /* Bert's: spaces around ideographs */
    NORM_no_nonspacing,
    NORM_nmt, /* the library's Nmt */
    NORM_charsmap, /* SentencePiece's table of replacements */
    /* pre-tokenizer */
    PRE_space, /* a space in front of each piece that has none */
    PRE_split, /* at matches of `pattern` */
    PRE_bytes,
    PRE_metaspace, /* spaces by `with`, one more in front as `prepend` says */
    /* decoder */
    DEC_bytes,         /* char_to_byte */
    DEC_replace,       /* in each token */
    DEC_byte_fallback, /* <0x41> */
    DEC_strip,         /* `with` at the start and stop of each token */
    DEC_lead,          /* `with` at the start of the text */
    DEC_metaspace,
    DEC_join, /* a space between tokens */
    DEC_pieces /* WordPiece's: `with` goes, or a space comes; `start`: clean */
} StepKind;

typedef enum {
    SPLIT_isolated,
    SPLIT_removed,
    SPLIT_previous,
    SPLIT_next,
    SPLIT_contiguous
} Behavior;

typedef enum { PREPEND_always, PREPEND_first, PREPEND_never } Prepend;

typedef struct {
    StepKind kind;
    Pattern pattern;
    Span with;
    Behavior behavior;
    Prepend prepend;
    bool invert;
    int options, start, stop;
} Step;
typedef LIST(Step) Steps;
/* A charsmap in base64, decoded and checked; false: it is none. And what
 * stands for the shortest beginning of `text` that it has, or at: NULL
 * (tokenizer_charsmap.c). */
bool charsmap_read(Arena *a, const char *base64, Span *out);
Span charsmap_find(Span map, Span text);

/* ---- the tokenizer ---- */

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
    LIST(Match) known;
    Ids known_ids;
    Arena arena;
} Bpe;
void bpe_word(const Tokenizer *t, Bpe *b, Span word, Ids *out);
void bpe_free(Bpe *b);
void bpe_prepare(Tokenizer *t); /* sets `cut` and `byte` */

/* ---- reading (tokenizer_json.c and beside) ---- */

typedef struct {
    const char *name;
    Tokenizer *t;
    Err *err;
} Reader;
PRINTF(2, 3) bool reader_fail(Reader *r, const char *fmt, ...);
/* A field of an object, NULL where absent or null. */
const cJSON *field(const cJSON *object, const char *name);
bool field_bool(const cJSON *object, const char *name, bool otherwise);
/* An id: a whole number from 0 to MAX_TOKENS - 1. */
bool read_id(const cJSON *n, int32_t *out);
bool read_model(Reader *r, const cJSON *model);  /* tokenizer_model.c */
bool read_added(Reader *r, const cJSON *tokens); /* tokenizer_added.c */
bool read_steps(Reader *r, const cJSON *root);
bool read_template(Reader *r, const cJSON *post); /* tokenizer_ends.c */
/* bos and ends from tokenizer_config.json and generation_config.json; either
 * may be NULL. */
bool read_ends(Reader *r, const cJSON *config, const cJSON *generation);
/* Puts a token in the table; false with err set where id or text is taken. */
bool token_put(Reader *r, const char *text, int32_t id);
const char *quoted(Reader *r, const char *text); /* for a message */

/* ---- GGUF (tokenizer_gguf.c reads, tokenizer_write.c writes JSON) ---- */

/* How BPE models cut text into words, by GGUF's name for it (tokenizer_pre.c).
 */
typedef struct {
    const char *names;      /* with a space around each */
    const char *pattern[8]; /* in order, up to NULL */
    bool gpt2;              /* GPT-2's own pattern follows */
    bool ignore_merges, add_bos;
} PreTable;
const PreTable *pre_find(const char *name); /* NULL: not known */
/* The table of these patterns, up to NULL, or NULL. */
const PreTable *pre_match(const char *const *pattern, bool gpt2,
                          bool ignore_merges);
const char *pre_name(const PreTable *t); /* as files call it */

typedef enum {
    KIND_normal = 1,
    KIND_unknown,
    KIND_control,
    KIND_user,
    KIND_unused,
    KIND_byte
} TokenKind; /* as GGUF counts them */

typedef struct {
    const char *name, *text;
} NamedTemplate;

/* A vocabulary as a GGUF file has it; texts are UTF-8, without NUL, each once.
 */
typedef struct {
    const char **token;
    TokenKind *kind;
    const float *score; /* of SentencePiece pieces; NULL for BPE */
    int tokens;
    const char **merge; /* "a b"; best first */
    int merges;
    const PreTable *pre;    /* NULL: SentencePiece */
    int bos, eos, unk, pad; /* -1: none */
    LIST(int) end;          /* eos and others */
    bool add_bos, space_prefix;
    const char *chat_template; /* or NULL */
    LIST(NamedTemplate) template; /* those with a name of their own */
} Vocabulary;
void write_tokenizer(FILE *f, const Vocabulary *v);
void write_tokenizer_config(FILE *f, const Vocabulary *v);
void write_generation_config(FILE *f, const Vocabulary *v);
/* SentencePiece merges what makes the best piece: its merges, best first
 * (tokenizer_pieces.c). */
void pieces_to_merges(Arena *a, Vocabulary *v);
/* Chat templates of the files beside tokenizer.json, in all three forms that
 * they have: a text, a list of named ones, files (tokenizer_chat.c). */
void vocabulary_templates(Vocabulary *v, Arena *a, const char *path,
                          const cJSON *config);
/* The vocabulary that tokenizer.json at `path` and the files beside it
 * describe, for an embedding of `rows` rows; in `a` (tokenizer_export.c). */
bool vocabulary_of_folder(const char *path, int64_t rows, Arena *a,
                          Vocabulary *out, Err *err);
