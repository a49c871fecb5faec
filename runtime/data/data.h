/* Examples to learn from: files of token ids, of instructions with their
 * answers, of plain text. Whatever a file holds is checked before it is
 * believed; what is wrong comes back as one line in `err` that names file, line
 * and why. */
#pragma once
#include "runtime/data/chat.h" /* chat formats */
#include "runtime/tokens/tokens.h"

/* ---- what is wanted (data.c) ---- */

typedef enum { DATA_ids, DATA_instruct, DATA_text } DataKind;

/* As a recipe says it; NULL and 0: not said. */
typedef struct {
    DataKind kind;
    const char *path;
    int64_t length; /* the most tokens of an example; of a window of text */
    const char *style; /* the library's name, or a file (style.h) */
    const char *system; /* the system's words, where the style has a place */
    const char *instruction, *input, *output, *messages; /* names of fields */
    bool skip_bad; /* what is wrong is counted and named, not an error */
} DataSpec;

/* A further column that the model reads: numbers, or an index below `most`. */
typedef struct {
    const char *name;
    int64_t most; /* 0: any number */
} DataColumn;

/* What the model wants of it. */
typedef struct {
    int64_t vocabulary; /* ids are below */
    const DataColumn *column;
    int columns;
    const Tokenizer *tokenizer; /* NULL: DATA_ids alone */
    const ChatFormat *chat; /* of the style "chat", or NULL */
    uint64_t key;      /* of the tokenizer and the chat format */
    const char *cache; /* a folder for tokenised examples, or NULL */
} DataUse;

/* ---- what there is ---- */

enum { NO_LABEL = -100 };

typedef struct {
    int n; /* tokens, at least 1 */
    const int32_t *id;
    const int32_t *label; /* what position t - 1 has to predict; NO_LABEL */
    const double *const *column; /* n numbers for each that is wanted */
    int labelled; /* labels but the first's, which nothing predicts */
    int line;     /* of the file, from 1 */
} Example;

typedef struct {
    LIST(Example) example;
    int64_t tokens, labelled;
    int cut;      /* examples shortened to the length */
    int left_out; /* cut so that nothing is left to learn */
    int bad;      /* skipped, with skip_bad */
    LIST(const char *) why; /* of the first few bad ones */
    uint64_t hash; /* of the file's bytes and all that is asked */
    bool cached;   /* it was tokenised before */
    Arena arena;
} Data;

/* Reads, checks and tokenises. False with err set: it cannot be read, an
 * example is wrong, there is nothing to learn. data_free in any case. */
bool data_open(Data *d, const DataSpec *s, const DataUse *use, Err *err);
void data_free(Data *d);

/* How many examples have at most edge[i] tokens, and more than the one before;
 * the edges are powers of 2. Returns how many there are. */
enum { DATA_EDGES = 32 };
int data_histogram(const Data *d, int64_t edge[DATA_EDGES],
                   int64_t count[DATA_EDGES]);

/* ---- styles of prompts (style.c) ---- */

/* A template: text in which {bos}, {eos}, {system}, {instruction}, {input},
 * {output} stand for tokens and fields; {input?..} is there only where the
 * example has an input (so {system?..}). What {output} is and all behind it is
 * learned. With {|} in front of {output} the prompt is tokenised for itself,
 * else both as one text. */
typedef struct {
    const char *name, *text;
} Style;
/* The library's of that name, or the text of a file; in `a`. */
bool style_find(const char *name, Arena *a, Style *out, Err *err);
extern const char *const style_names[]; /* the library's, up to NULL */
