/* Private to ir_read.c and ir_lex.c: words of a graph's text. */
#pragma once
#include "compiler/ir.h"

typedef enum {
    TOKEN_end,
    TOKEN_word,   /* also %3, @w1 */
    TOKEN_number, /* without a sign */
    TOKEN_string,
    TOKEN_sign /* num: the character */
} TokenKind;

typedef struct {
    TokenKind kind;
    const char *text; /* of words and strings; interned */
    double num;
    Loc loc;
} Token;

typedef struct {
    const char *name;
    void *is;
} Known;
typedef LIST(Known) Knowns;

typedef struct {
    Arena *arena;
    const Source *src;
    int at;    /* behind `now` */
    Token now; /* the next word; TOKEN_end for good after a mistake */
    bool failed;
    Arena scratch; /* of the lists below */
    Knowns dim, weight, body, repeat, node;
} Reader;

/* Reports, once: what follows a mistake is not read. Always false. */
PRINTF(3, 4)
bool read_mistake(Reader *r, Loc loc, const char *fmt, ...);
void read_next(Reader *r);
bool read_at(const Reader *r, char sign); /* is it next? */
bool read_sign(Reader *r, char sign);     /* passes it if it is next */
bool read_want(Reader *r, char sign);     /* it must be next */
bool read_word(Reader *r, const char *word); /* passes it if it is next */
/* A word, or with `string` one of these; else a mistake and "". */
const char *read_name(Reader *r, bool string, const char *what);
double read_number(Reader *r); /* with a sign, inf, nan */
const Size *read_size(Reader *r);
