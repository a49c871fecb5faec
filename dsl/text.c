/* An expression of the tree as its user would write it, for messages. */
#include "dsl/dsl.h"
#include <string.h>

typedef struct {
    Arena *arena;
    LIST(char) out;
} Text;

static void put(Text *t, const char *s)
{
    for (; *s; s++)
        list_push(t->arena, &t->out, *s);
}

/* How tightly an expression holds together, as in parse.y. */
enum {
    LOOSE,
    COND,
    OR_,
    AND_,
    NOT_,
    COMPARE,
    SUM,
    PRODUCT,
    SIGN,
    POWER,
    TIGHT
};

static int binary_strength(const char *op)
{
    if (!strcmp(op, "or"))
        return OR_;
    if (!strcmp(op, "and"))
        return AND_;
    if (strchr("+-", *op))
        return SUM;
    if (strchr("*/%@", *op))
        return PRODUCT;
    return *op == '^' ? POWER : COMPARE;
}

static int strength(const Ast *e)
{
    switch (e->kind) {
    case AST_cond:
        return COND;
    case AST_not:
        return NOT_;
    case AST_neg:
        return SIGN;
    case AST_binary:
        return binary_strength(e->text);
    case AST_named:
        return LOOSE;
    default:
        return TIGHT;
    }
}

static void put_expr(Text *t, const Ast *e, int least);

static void put_items(Text *t, const Ast *e, int from, const char *close)
{
    for (int i = from; i < e->nkid; i++) {
        put(t, i > from ? ", " : "");
        put_expr(t, e->kid[i], LOOSE);
    }
    put(t, close);
}

/* Left operands may be as loose as the operator itself, right ones must be
 * tighter; `^` is the other way round, comparisons do not chain. */
static void put_binary(Text *t, const Ast *e)
{
    int s = strength(e);
    bool right = s == POWER, chains = s != COMPARE;
    put_expr(t, e->kid[0], s + (right || !chains));
    put(t, " ");
    put(t, e->text);
    put(t, " ");
    put_expr(t, e->kid[1], right ? SIGN : s + 1);
}

static void put_cond(Text *t, const Ast *e)
{
    put_expr(t, e->kid[0], COND + 1);
    put(t, " ? ");
    put_expr(t, e->kid[1], COND);
    put(t, " : ");
    put_expr(t, e->kid[2], COND);
}

static void put_bare(Text *t, const Ast *e)
{
    switch (e->kind) {
    case AST_dots:
        put(t, "..");
        break;
    case AST_neg:
        put(t, "-");
        put_expr(t, e->kid[0], SIGN);
        break;
    case AST_not:
        put(t, "not ");
        put_expr(t, e->kid[0], NOT_);
        break;
    case AST_binary:
        put_binary(t, e);
        break;
    case AST_cond:
        put_cond(t, e);
        break;
    case AST_list:
        put(t, "[");
        put_items(t, e, 0, "]");
        break;
    case AST_dot:
        put_expr(t, e->kid[0], TIGHT);
        put(t, ".");
        put(t, e->text);
        break;
    case AST_call:
    case AST_index:
        put_expr(t, e->kid[0], TIGHT);
        put(t, e->kind == AST_call ? "(" : "[");
        put_items(t, e, 1, e->kind == AST_call ? ")" : "]");
        break;
    case AST_named:
        put(t, e->text);
        put(t, ": ");
        put_expr(t, e->kid[0], LOOSE);
        break;
    case AST_string:
        put(t, "\"");
        put(t, e->text);
        put(t, "\"");
        break;
    default:
        put(t, e->text ? e->text : ast_kind_name[e->kind]);
        break;
    }
}

static void put_expr(Text *t, const Ast *e, int least)
{
    bool parens = e->paren || strength(e) < least;
    put(t, parens ? "(" : "");
    put_bare(t, e);
    put(t, parens ? ")" : "");
}

const char *dsl_expr_text(Arena *arena, const Ast *expr)
{
    Text t = {.arena = arena};
    put_expr(&t, expr, LOOSE);
    list_push(arena, &t.out, '\0');
    return t.out.at;
}
