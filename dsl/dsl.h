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
    bool paren; /* stood in () */
};

extern const char *const ast_kind_name[AST_COUNT];

/* Reads a source: AST_file. Mistakes are reported to src->diags and parsing
 * goes on with the next statement; what could not be read is left out. Never
 * NULL. The tree lives in `arena`. Checks that the text is UTF-8. */
Ast *dsl_parse(Arena *arena, const Source *src);

/* Prints the items of a tree back in the one layout, with comments and blank
 * lines, from the sources they were read from; the items of an AST_file may
 * come from several. dsl_format(dsl_parse(text)) is a fixed point. The tree
 * must be free of mistakes. malloc'ed. */
char *dsl_format(const Ast *file);

/* One expression as the user would write it, for messages; in `arena`. */
const char *dsl_expr_text(Arena *arena, const Ast *expr);

/* The tree, a node a line, indented, with its place: `show --stage ast`. */
void dsl_print(const Ast *file, FILE *out);
/* Same shape, kinds, texts and numbers; places and comments left aside. */
bool dsl_equal(const Ast *a, const Ast *b);

/* Is `word` a word of the language (`use`, `module`, ...)? */
bool dsl_is_keyword(const char *word);
