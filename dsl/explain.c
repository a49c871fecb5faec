/* Syntax errors in the user's words: what was expected and found, what was
 * probably meant; and where the parser goes on, so that one mistake has one
 * message. */
#include "dsl/explain.h"
#include "dsl/parse.h"
#include <string.h>

bool dsl_expects(const Case *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->expected[i], name))
            return true;
    return false;
}

/* ---- where we are, where to go on ---- */

static int statement_start(const Parse *p, int at)
{
    while (at > 0 && tok(p, at - 1)->kind != NL && tok(p, at - 1)->kind != '{')
        at--;
    return at;
}

static bool heads_block(int kind)
{
    return kind == MODULE || kind == MODEL || kind == TRANSFORM ||
           kind == RECIPE || kind == SCHEDULE || kind == FORWARD ||
           kind == CONFIG || kind == REPLACE || kind == TRAIN || kind == FOR;
}

/* The statement's end: its NL, whatever blocks it holds. */
static int statement_end(const Parse *p, int i)
{
    int depth = 0;
    for (; tok(p, i)->kind; i++) {
        int kind = tok(p, i)->kind;
        if (kind == '{')
            depth++;
        else if (kind == '}')
            depth--;
        else if (kind == NL && depth <= 0)
            return i;
    }
    return i;
}

/* The `{` of the statement's block, if it is to come, else its end. */
static int resume_at(const Case *c)
{
    const Parse *p = c->p;
    int i = c->at;
    if (heads_block(tok(p, c->first)->kind) && c->at > c->first)
        while (tok(p, i)->kind && tok(p, i)->kind != NL &&
               tok(p, i)->kind != '{')
            i++;
    else
        i = statement_end(p, i);
    return i;
}

static bool told_already(const Case *c, int end)
{
    for (int i = c->first; i < end || i == c->first; i++)
        if (tok(c->p, i)->told)
            return true;
    return false;
}

/* ---- words for tokens ---- */

static const char *found(const Case *c)
{
    const Token *t = c->t;
    if (!t->kind)
        return "the end of the file";
    if (t->kind == NL)
        return *t->text == ';'   ? "`;`"
               : *t->text == '}' ? "`}`"
                                 : "the end of the line";
    int len = t->loc.len > 40 ? 40 : t->loc.len;
    while (len && len < t->loc.len &&
           ((unsigned char)c->p->src->text[t->loc.at + len] & 0xc0) == 0x80)
        len--;
    return arena_printf(c->p->arena, "`%.*s%s`", len,
                        c->p->src->text + t->loc.at,
                        len < t->loc.len ? "..." : "");
}

/* "'('" and "use" as `(` and `use`; "a name" and "the end of ..." stay. */
static const char *shown(Arena *arena, const char *name)
{
    if (!strncmp(name, "a ", 2) || !strncmp(name, "the ", 4))
        return name;
    size_t len = strlen(name);
    if (name[0] == '\'' && len == 3)
        return arena_printf(arena, "`%c`", name[1]);
    return arena_printf(arena, "`%s`", name);
}

static bool is_operator(const char *name)
{
    static const char *const op[] = {"'+'", "'-'", "'*'", "'/'", "'%'", "'@'",
                                     "'^'", "'?'", "==",  "!=",  "'<'", "'>'",
                                     "<=",  ">=",  "and", "or",  "'.'"};
    for (size_t i = 0; i < COUNT(op); i++)
        if (!strcmp(op[i], name))
            return true;
    return false;
}

static bool starts_expression(const char *name)
{
    static const char *const start[] = {"a name", "a number", "a string", "not",
                                        "'('",    "'['",      "'-'"};
    for (size_t i = 0; i < COUNT(start); i++)
        if (!strcmp(start[i], name))
            return true;
    return false;
}

/* What a statement may be here, or NULL in the midst of one. */
static const char *statements(const Case *c)
{
    if (c->at != c->first)
        return NULL;
    if (dsl_expects(c, "module"))
        return "`use`, `module`, `model`, `transform`, `recipe`, `prove`, "
               "`rule` or `schedule`";
    if (dsl_expects(c, "forward"))
        return dsl_expects(c, "config")
                   ? "`config`, `weight`, `input`, `forward` or a part "
                     "(`name: module(...)`)"
                   : "`weight`, `input`, `forward` or a part "
                     "(`name: module(...)`)";
    if (dsl_expects(c, "match"))
        return "`match`, `require`, `learn`, `replace`, `config`, "
               "`preserves`, `each` or `name = ...`";
    if (dsl_expects(c, "return"))
        return "`name = ...`, `return`, `loss`, `stat` or `for`";
    if (dsl_expects(c, "train"))
        return "`name = ...`, `train`, `observe`, `save`, `for` or a call";
    if (dsl_expects(c, "each"))
        return "`part = ...` or `each`";
    if (dsl_expects(c, "require"))
        return "`field = ...` or `require`";
    return NULL;
}

/* Only [dims] have names and `..` and nothing else. */
static bool wants_dim(const Case *c)
{
    return dsl_expects(c, "a name") && dsl_expects(c, "..") &&
           !dsl_expects(c, "a number");
}

/* Options have values, which are no expressions. */
static bool wants_value(const Case *c)
{
    return dsl_expects(c, "a number") && dsl_expects(c, "a string") &&
           !dsl_expects(c, "not");
}

/* What could always follow an operand says little of the place. */
static bool follows_operand(const Case *c, const char *name)
{
    bool operand = dsl_expects(c, "'.'") && dsl_expects(c, "'('");
    return operand &&
           (is_operator(name) || !strcmp(name, "'('") || !strcmp(name, "'['"));
}

static bool says_little(const Case *c, const char *name)
{
    bool bracket = dsl_expects(c, "')'") || dsl_expects(c, "']'");
    if (!strcmp(name, "the end of the line"))
        return true; /* comes last */
    if (dsl_expects(c, "not") && starts_expression(name))
        return true;
    if (wants_dim(c) && (!strcmp(name, "..") || !strcmp(name, "a name")))
        return true;
    if (wants_value(c) && starts_expression(name))
        return true;
    return follows_operand(c, name) || (bracket && !strcmp(name, "':'"));
}

/* The alternatives worth naming, in out[10]. */
static int worth_naming(const Case *c, const char **out)
{
    int n = 0;
    if (dsl_expects(c, "not"))
        out[n++] = "an expression";
    if (wants_dim(c))
        out[n++] = "a dim name";
    if (wants_value(c))
        out[n++] = "a value (a number, name or string)";
    for (int i = 0; i < c->n && n < 8; i++)
        if (!says_little(c, c->expected[i]))
            out[n++] = shown(c->p->arena, c->expected[i]);
    if (dsl_expects(c, "'+'") && !dsl_expects(c, "not") && n < 2)
        out[n++] = "an operator";
    if (dsl_expects(c, "the end of the line"))
        out[n++] = "the end of the line";
    return n;
}

static const char *expected(const Case *c)
{
    const char *any = statements(c), *name[10];
    Arena *arena = c->p->arena;
    if (any)
        return any;
    int n = worth_naming(c, name);
    const char *all = n ? name[0] : "something else";
    for (int i = 1; i < n; i++)
        all = arena_printf(arena, "%s%s%s", all, i == n - 1 ? " or " : ", ",
                           name[i]);
    return all;
}

/* ---- the message ---- */

static bool is_word(const Token *t)
{
    return t->kind > 256 && t->kind != NAME && t->kind != STRING &&
           dsl_is_keyword(t->text);
}

/* An operator ends a line (or the block), though the next line is a statement
 * of its own: the operator, or NULL. */
static const Token *dangling(const Case *c)
{
    int i = c->at;
    if (c->t->kind == '=' && i > c->first + 1 && tok(c->p, i - 1)->kind == NAME)
        i--;
    const Token *t = tok(c->p, i);
    if (i <= c->first || !dsl_continues(tok(c->p, i - 1)->kind))
        return NULL;
    bool ends = t->kind == NL || (t->fresh && (i < c->at || is_word(t)));
    return ends ? tok(c->p, i - 1) : NULL;
}

static void say_dangling(const Case *c, const Token *op)
{
    bool brace = c->t->kind == NL && *c->t->text == '}';
    dsl_complain(c->p, op->loc, "expected %s after `%s`, found %s",
                 c->t->kind == '=' ? "an expression" : expected(c), op->text,
                 brace ? "`}`" : "the end of the line");
}

static bool in_recipe(const Case *c)
{
    for (int i = c->at; i > 0; i--) {
        int kind = tok(c->p, i)->kind;
        if (kind >= USE && kind <= SCHEDULE)
            return kind == RECIPE;
    }
    return tok(c->p, 0)->kind == RECIPE;
}

/* A recipe's statement is an expression that is no call. */
static bool call_only(const Case *c)
{
    return c->t->kind == NL && dsl_expects(c, "'('") && dsl_expects(c, "'.'") &&
           !dsl_expects(c, "'+'") && !dsl_expects(c, "on") && in_recipe(c);
}

static void say_expected(const Case *c)
{
    const char *more = dsl_hint(c);
    dsl_complain(c->p, c->t->loc, "expected %s, found %s%s%s%s", expected(c),
                 found(c), more ? " (" : "", more ? more : "", more ? ")" : "");
}

/* An operator that opens a line is reported there, and only there. */
static bool leads_line(const Parse *p, int i)
{
    const Token *t = tok(p, i);
    return t->fresh && t->kind != '{' &&
           (dsl_continues(t->kind) || t->kind == '?' || t->kind == '.');
}

static void say(const Case *c)
{
    const Token *before = dangling(c);
    if (before)
        say_dangling(c, before);
    else if (is_word(c->t) && dsl_expects(c, "a name") && !c->t->fresh)
        dsl_complain(c->p, c->t->loc,
                     "expected %s, but `%s` is a word of the "
                     "language (a name only after `.` and before `:` or `=`)",
                     expected(c), c->t->text);
    else if (c->at == c->first && leads_line(c->p, c->at))
        dsl_complain(c->p, c->t->loc,
                     "`%s` starts a line, but a statement ends "
                     "with its line (put `%s` at the end of the line before)",
                     c->t->text, c->t->text);
    else if (c->t->kind == '}')
        dsl_complain(c->p, c->t->loc, "this `}` closes nothing");
    else if (call_only(c))
        dsl_complain(c->p, tok(c->p, c->first)->loc,
                     "expected `name = ...` or a "
                     "call, found an expression that does nothing");
    else
        say_expected(c);
}

/* After a stray item at the top of a file all is misplaced up to the next
 * declaration. */
static int next_declaration(const Parse *p, int i)
{
    while (tok(p, i)->kind) {
        int kind = tok(p, i)->kind;
        if (kind == NL && tok(p, i + 1)->kind >= USE &&
            tok(p, i + 1)->kind <= SCHEDULE)
            return i;
        i++;
    }
    return i ? i - 1 : i;
}

void dsl_explain(Parse *p, int at, const char *const *names, int n)
{
    Case c = {p, at, tok(p, at), statement_start(p, at), names, n};
    int end = resume_at(&c);
    bool rest = at == c.first && at > 0 && at - 1 == p->bad_end;
    if (c.t->kind == NL)
        p->bad_end = at;
    if (c.t->kind == NL && leads_line(p, at + 1))
        p->bad_end = -1;
    else if (!rest && !told_already(&c, end)) {
        say(&c);
        p->stop = ++p->errors >= 20;
    }
    if (at == c.first && dsl_expects(&c, "module") && c.t->kind)
        end = next_declaration(p, at);
    if (end > at)
        p->next = end;
}

/* Called by bison only when its stack is full. Brackets that layout.c found
 * open are the reason then, and told. */
void dsl_too_deep(Parse *p, Loc loc)
{
    for (int i = p->next; p->toks.at[i].kind && p->toks.at[i].kind != NL; i++)
        if (p->toks.at[i].told)
            return;
    dsl_complain(p, loc, "nested too deep: brackets or blocks stand in more "
                 "than %d others", DEPTH_MAX);
}
