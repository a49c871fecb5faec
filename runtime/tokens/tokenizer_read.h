/* tokenizer.json, its neighbours and GGUF vocabularies, in and out. */
#pragma once
#include "runtime/tokens/tokenizer_impl.h"
#include <cjson/cJSON.h>

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
