/* Inside room dsl: tokens, the state of one parse, nodes. A text goes
 *   lex.l      bytes to tokens, newlines and comments among them
 *   layout.c   where statements end; brackets.c, words.c
 *   parse.y    tokens to a tree
 *   explain.c, hint.c  what to say where the grammar does not fit
 * format.c works on the tokens of lex.l, so no comment can be lost. */
#pragma once
#include "dsl/dsl.h"

/* Kinds are those of parse.y, and these two that the parser never sees. */
enum { RAW_newline = 1, RAW_comment = 2 };

typedef struct {
    int kind;
    Loc loc;
    const char *text; /* name, number as written, string without quotes */
    double num;
    bool fresh; /* the first on its line */
    bool told;  /* its mistake is reported already: the parser is silent */
} Token;
typedef LIST(Token) Tokens;

typedef struct {
    Loc loc;
    int order; /* of equals in place the first counts */
    bool blames_line; /* others in its line are not worth telling */
    const char *text;
} Complaint;

typedef struct {
    Arena *arena;
    const Source *src;
    Tokens raw;  /* from lex.l */
    Tokens toks; /* for the parser; each statement ends with NL, last is EOF */
    int next;    /* index in toks of what yylex gives next */
    int bad_end; /* index in toks of an NL that came too early */
    int errors;  /* told by the parser; after 20 it stops */
    bool stop;   /* give up: nested too deep, or enough was told */
    LIST(Complaint) said; /* sorted by place before they are reported */
    Ast *file;
} Parse;

enum { DEPTH_MAX = 1000 }; /* of a tree, so that recursion over it is safe */

/* Reads the whole text into p->raw; false mistakes go to dsl_complain(). */
void dsl_lex(Parse *p);
int dsl_word_kind(const char *text, size_t len); /* token of a word, or 0 */
/* Fills p->toks from p->raw. */
void dsl_layout(Parse *p);
/* Does a newline after this token not end the statement? */
bool dsl_continues(int kind);
/* Reports a syntax error at token `at`; `expected` are symbol names. Returns
 * by p->next where the parser goes on. */
void dsl_explain(Parse *p, int at, const char *const *expected, int n);
void dsl_too_deep(Parse *p, Loc loc); /* bison's stack is full */
PRINTF(3, 4) void dsl_complain(Parse *p, Loc loc, const char *fmt, ...);

/* ---- nodes (ast.c) ---- */

/* The word as the name of a pattern: any module of a form. */
Ast *dsl_any_module(Parse *p, const Token *word);
/* What stands in brackets: the place includes them. */
Ast *dsl_in_parens(Ast *e, Loc loc);
/* A list that is nameless stands for its brackets or word too. */
Ast *dsl_spanning(Ast *list, Loc loc);

Ast *dsl_node(Parse *p, AstKind kind, Loc loc, const Token *name,
              Ast *const *kid, int n);
void dsl_node_add(Parse *p, Ast *list, Ast *kid); /* a NULL kid is left out */
Ast *dsl_node_join(Parse *p, Ast *n, Ast *list);  /* adds all kids of list */
