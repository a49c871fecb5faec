/* Inside room dsl: the pass from raw tokens to the parser's.
 *   layout.c    where statements end, which blocks open
 *   brackets.c  brackets that were never closed
 *   words.c     which words are names, which are misspelt */
#pragma once
#include "dsl/syntax.h"

/* What kind of statements a block holds. */
typedef enum {
    IN_file,
    IN_module,
    IN_transform,
    IN_replace,
    IN_recipe,
    IN_block,
    IN_fields,
    IN_options
} Place;

typedef struct {
    int kind;        /* ( [ { */
    int raw;         /* its index */
    int indent;      /* of its line */
    bool deeper;     /* `{`: its lines are indented more than its own */
    int resume_raw;  /* a newline that would end the statement, or 0; and */
    int resume_toks; /* how many tokens stood before it */
    int resume_last; /* the kind before it */
    Place place;
} Open;

typedef struct {
    Parse *p;
    LIST(Open) open;
    int last;  /* kind of the last token given out */
    int first; /* kind of the statement's first token */
    int line_indent;
    int stmt_indent;
    bool has_block; /* the statement has its `{` */
    bool has_suspect;
    Open suspect; /* a { that seems unclosed, by indentation */
    /* Indices of `{` that proved to be unclosed. In a second pass such a one
     * ends where a line is indented no more than its own. */
    LIST(int) unclosed;
    bool second;
} Layout;

const Token *dsl_raw_at(const Layout *l, int i); /* kind 0 past the end */
int dsl_indent_of(const Layout *l, const Token *t);
Open *dsl_top(Layout *l); /* the innermost open bracket, or NULL */
bool dsl_in_round(Layout *l);
Place dsl_place(const Layout *l);
void dsl_give(Layout *l, Token t);
/* A token that the text lacks; it stands right after the last one. */
Token dsl_made(const Layout *l, int kind, const char *text);
void dsl_end_statement(Layout *l, const char *text);

/* Closes what cannot be open at this token; index to go on from. */
int dsl_balance(Layout *l, int i, const Token *t);
/* `)` or `]`: takes its partner off, or closes what is open in between; index
 * to go on from. */
int dsl_close_round(Layout *l, int i);
void dsl_close_block(Layout *l, const Token *t);
/* Must a statement that starts with this have a block? */
bool dsl_needs_block(int first);

int dsl_kind_of_word(const Layout *l, int i, const Token *t);
int dsl_misspelt_word(Layout *l, int i, const Token *t);
