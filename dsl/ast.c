/* Nodes: making them, comparing and printing trees; the words. */
#include "dsl/parse.h"
#include "dsl/syntax.h"
#include <string.h>

const char *const ast_kind_name[AST_COUNT] = {
#define AST(kind, kids) #kind,
#include "dsl/ast.def"
#undef AST
};

static const struct {
    int kind;
    const char *text;
} words[] = {
#define WORD(kind, text) {kind, text},
#include "dsl/words.def"
#undef WORD
};

int dsl_word_kind(const char *text, size_t len)
{
    for (size_t i = 0; i < COUNT(words); i++)
        if (!strncmp(words[i].text, text, len) && !words[i].text[len])
            return words[i].kind;
    return 0;
}

bool dsl_is_keyword(const char *word)
{
    return dsl_word_kind(word, strlen(word)) != 0;
}

/* ---- making nodes ---- */

static bool names_something(const Token *t)
{
    return t->kind == AND || t->kind == OR ||
           !dsl_word_kind(t->text, strlen(t->text)) || t->kind == NAME ||
           t->kind == STRING;
}

static void check_depth(Parse *p, Ast *n, const Ast *kid)
{
    if (!kid || kid->depth < n->depth)
        return;
    n->depth = kid->depth + 1;
    if (n->depth > DEPTH_MAX && !p->stop) {
        p->stop = true;
        dsl_complain(
            p, (Loc){n->loc.at, 1},
            "nested too deep: more than %d operators or brackets in each "
            "other",
            DEPTH_MAX);
    }
}

/* Room for kids is the power of two at or above their count. */
static Ast **kids_new(Parse *p, int n)
{
    size_t room = 1;
    while (room < (size_t)n)
        room *= 2;
    return arena_alloc(p->arena, room * sizeof(Ast *));
}

Ast *dsl_node(Parse *p, AstKind kind, Loc loc, const Token *name,
              Ast *const *kid, int n)
{
    Ast *a = arena_alloc(p->arena, sizeof *a);
    *a = (Ast){.kind = kind, .loc = loc, .name_loc = loc, .src = p->src};
    if (name) {
        a->name_loc = name->loc;
        a->text = names_something(name) ? name->text : NULL;
        a->num = name->num;
    }
    if (n)
        a->kid = kids_new(p, n);
    for (int i = 0; i < n; i++) {
        a->kid[i] = kid[i];
        check_depth(p, a, kid[i]);
    }
    a->nkid = n;
    return a;
}

void dsl_node_add(Parse *p, Ast *list, Ast *kid)
{
    if (!kid)
        return;
    int n = list->nkid;
    if ((n & (n - 1)) == 0) {
        Ast **more = kids_new(p, n + 1);
        if (n)
            memcpy(more, list->kid, (size_t)n * sizeof *more);
        list->kid = more;
    }
    list->kid[list->nkid++] = kid;
    check_depth(p, list, kid);
}

Ast *dsl_node_join(Parse *p, Ast *n, Ast *list)
{
    for (int i = 0; i < list->nkid; i++)
        dsl_node_add(p, n, list->kid[i]);
    return n;
}

/* ---- comparing, printing ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

bool dsl_equal(const Ast *a, const Ast *b)
{
    if (!a || !b)
        return a == b;
    if (a->kind != b->kind || a->nkid != b->nkid || a->num != b->num ||
        !same_text(a->text, b->text))
        return false;
    for (int i = 0; i < a->nkid; i++)
        if (!dsl_equal(a->kid[i], b->kid[i]))
            return false;
    return true;
}

/* Where printing is in a source. Nodes come in the order of the text, so that
 * lines are counted once. */
typedef struct {
    const Source *src;
    int at, line, col;
    FILE *out;
} Printer;

static void go_to(Printer *p, const Ast *a)
{
    if (p->src != a->src || p->at > a->loc.at) {
        p->src = a->src;
        p->at = 0;
        p->line = p->col = 1;
    }
    for (; p->at < a->loc.at; p->at++)
        if (p->src->text[p->at] == '\n')
            p->line++, p->col = 1;
        else if (((unsigned char)p->src->text[p->at] & 0xc0) != 0x80)
            p->col++;
}

static void print_node(Printer *p, const Ast *a, int depth)
{
    fprintf(p->out, "%*s%s", 2 * depth, "", a ? ast_kind_name[a->kind] : "-");
    if (a) {
        if (a->text)
            fprintf(p->out, a->kind == AST_string ? " \"%s\"" : " %s", a->text);
        go_to(p, a);
        fprintf(p->out, " @%d:%d", p->line, p->col);
    }
    fputc('\n', p->out);
    for (int i = 0; a && i < a->nkid; i++)
        print_node(p, a->kid[i], depth + 1);
}

void dsl_print(const Ast *file, FILE *out)
{
    Printer p = {.out = out};
    print_node(&p, file, 0);
}

Ast *dsl_in_parens(Ast *e, Loc loc)
{
    e->paren = true;
    e->loc = loc;
    return e;
}

Ast *dsl_spanning(Ast *list, Loc loc)
{
    list->loc = list->name_loc = loc;
    return list;
}

Ast *dsl_any_module(Parse *p, const Token *word)
{
    Ast *any = dsl_node(p, AST_name, word->loc, word, NULL, 0);
    any->text = intern("module");
    return any;
}
