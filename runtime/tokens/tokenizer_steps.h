/* Patterns, and the steps that normalize, cut and decode texts. */
#pragma once
#include "runtime/tokens/tokenizer_text.h"

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
} TextMatch;
/* The next match that begins at `at` or later: 1, 0 none, -1 gave up. */
int pattern_find(const Pattern *p, Matcher *m, Span text, size_t at,
                 TextMatch *out);
/* The matches in order; {0} to begin with. An empty one where the one before
 * ended is passed over. */
typedef struct {
    size_t at, ended;
    bool any;
} Finder;
int pattern_next(const Pattern *p, Matcher *m, Span text, Finder *f,
                 TextMatch *out);

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
