/* Text to token ids and back, and the choice of the next one. A tokenizer is
 * read from a Hugging Face tokenizer.json (BPE, byte-level or like
 * SentencePiece's) or from a GGUF file's metadata, is not changed afterwards,
 * and may be used by many threads at once. Wrong files come back as one line
 * in `err`. */
#pragma once
#include "base/base.h"

struct Gguf;
struct Checkpoint;
typedef struct Tokenizer Tokenizer;

/* ---- opening (tokenizer_json.c, tokenizer_gguf.c) ---- */

/* `path` is a tokenizer.json; its folder's tokenizer_config.json,
 * generation_config.json and config.json, where there, say which tokens begin
 * and end a text. NULL with err set. */
Tokenizer *tokenizer_open_json(const char *path, Err *err);
/* The text of a tokenizer.json, and of a tokenizer_config.json and a
 * generation_config.json (each may be NULL); `name` is for messages. */
Tokenizer *tokenizer_parse(const char *json, const char *config,
                           const char *generation, const char *name, Err *err);
/* From GGUF metadata; `g` is not needed afterwards. */
Tokenizer *tokenizer_open_gguf(const struct Gguf *g, const char *name,
                               Err *err);
/* Of a checkpoint: its tokenizer.json, or what its GGUF file has. */
Tokenizer *tokenizer_open(const struct Checkpoint *c, Err *err);
void tokenizer_close(Tokenizer *t); /* NULL is fine */

/* The files that a folder made from this GGUF needs, each malloc'ed. Reading
 * them gives the same tokenizer: tokenizer_open_gguf does just that. */
typedef struct {
    char *tokenizer, *config, *generation; /* NUL-terminated JSON */
} TokenizerFiles;
bool tokenizer_files_gguf(const struct Gguf *g, const char *name,
                          TokenizerFiles *out, Err *err);
void tokenizer_files_free(TokenizerFiles *f);

/* ---- what it knows ---- */

int tokenizer_size(const Tokenizer *t); /* largest id + 1 */
/* The token as the file writes it, e.g. "Ġthe"; NULL: no such id. */
const char *tokenizer_text(const Tokenizer *t, int32_t id);
int32_t tokenizer_find(const Tokenizer *t, const char *text); /* -1: none */
int32_t tokenizer_bos(const Tokenizer *t);                    /* -1: none */
int32_t tokenizer_eos(const Tokenizer *t); /* the first end token; -1: none */
/* All that end a text: eos, and more where the files name more. */
const int32_t *tokenizer_ends(const Tokenizer *t, int *count);
bool tokenizer_is_end(const Tokenizer *t, int32_t id);

/* ---- text to ids (tokenizer_encode.c) ---- */

enum {
    ENCODE_special = 1, /* "<s>" in the text is that token, not its letters */
    ENCODE_bos = 2,     /* begin with what the tokenizer begins a text with */
    ENCODE_prompt = ENCODE_special | ENCODE_bos /* what -p TEXT means */
};

/* Growable, malloc'ed; {0} is empty. */
typedef struct {
    int32_t *at;
    size_t n, room;
} Ids;
void ids_push(Ids *ids, int32_t id);
void ids_free(Ids *ids);

/* Adds the ids of text[0 .. len), which may hold NUL, to `out`. False with err
 * set: not UTF-8, or a pattern that gave up; `out` is then as it was. */
bool tokenizer_encode(const Tokenizer *t, const char *text, size_t len,
                      int flags, Ids *out, Err *err);

/* ---- ids to text (tokenizer_decode.c) ---- */

enum {
    DECODE_special = 1,  /* write special tokens too, "<s>" */
    DECODE_continue = 2, /* it goes on after other text: keep a first space */
};

/* malloc'ed, NUL-terminated, valid UTF-8: wrong bytes become U+FFFD. An id
 * that does not exist gives no text. `len` may be NULL. */
char *tokenizer_decode(const Tokenizer *t, const int32_t *ids, size_t n,
                       int flags, size_t *len);

/* Token by token. Each piece is valid UTF-8, maybe empty, and lives until the
 * next call: bytes of an unfinished character wait for the next token. */
typedef struct Decoder Decoder;
Decoder *decoder_open(const Tokenizer *t, int flags); /* t must live on */
const char *decoder_push(Decoder *d, int32_t id, size_t *len);
const char *decoder_finish(Decoder *d, size_t *len); /* what still waited */
void decoder_close(Decoder *d);
