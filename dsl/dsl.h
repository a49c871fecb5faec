/* Room dsl: the text of a .graft file as a tree with places, and back. */
#pragma once
#include "base/base.h"

typedef enum {
#define AST(kind, kids) AST_##kind,
#include "dsl/ast.def"
#undef AST
    AST_COUNT
} AstKind;

typedef struct Ast Ast;
struct Ast {
    AstKind kind;
    Loc loc;          /* the whole construct */
    Loc name_loc;     /* of `text`, for messages */
    const Source *src;
    const char *text; /* interned: name, operator, string; or NULL */
    double num;       /* AST_number */
    Ast **kid;        /* see ast.def; may be NULL where it says so */
    int nkid;
    int depth; /* levels of nodes below: at most 1000 */
    /* What fmt needs to give the text back; owned by the file's arena. */
    const char *lead;  /* comment lines and blank lines above, or NULL */
    const char *trail; /* comment at the end of its (first) line, or NULL */
    bool paren;        /* stood in (); fmt keeps them */
};

extern const char *const ast_kind_name[AST_COUNT];

/* Reads a source: AST_file. Mistakes are reported to src->diags and parsing
 * goes on with the next statement; what could not be read is left out. Never
 * NULL. The tree lives in `arena`. Checks that the text is UTF-8. */
Ast *dsl_parse(Arena *arena, const Source *src);

/* Prints a tree back in the one layout, with comments and blank lines;
 * dsl_format(dsl_parse(text)) is a fixed point. malloc'ed. */
char *dsl_format(const Ast *file);

/* One expression as the user would write it, for messages; in `arena`. */
const char *dsl_expr_text(Arena *arena, const Ast *expr);

/* The tree, one node a line, indented: `show --stage ast`. */
void dsl_print(const Ast *file, FILE *out);
/* Same shape, kinds, texts and numbers; places and comments left aside. */
bool dsl_equal(const Ast *a, const Ast *b);

/* Is `word` a word of the language (`use`, `module`, ...)? */
bool dsl_is_keyword(const char *word);
