/* Inside room dsl: a place where the text does not fit the grammar.
 *   explain.c  what is expected and found, and where the parser goes on
 *   hint.c     what was probably meant */
#pragma once
#include "dsl/syntax.h"

typedef struct {
    Parse *p;
    int at;         /* the token that does not fit */
    const Token *t; /* the same */
    int first;      /* the first token of its statement */
    const char *const *expected;
    int n;
} Case;

static inline const Token *tok(const Parse *p, int i)
{
    return &p->toks.at[i];
}

bool dsl_expects(const Case *c, const char *name); /* a symbol of parse.y */
/* What was probably meant, for a bracket behind the message; or NULL. */
const char *dsl_hint(const Case *c);
