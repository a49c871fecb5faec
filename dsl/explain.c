/* Syntax errors in the user's words: what was expected and found, what was
 * probably meant; and where the parser goes on, so that one mistake has one
 * message. */
#include "dsl/syntax.h"
#include "dsl/parse.h"
#include <string.h>

typedef struct {
    Parse *p;
    int at;          /* the token that does not fit */
    const Token *t;  /* the same */
    int first;       /* the first token of its statement */
    const char *const *expected;
    int n;
} Case;

static const Token *tok(const Parse *p, int i)
{
    return &p->toks.at[i];
}

static bool expects(const Case *c, const char *name)
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
    for (int i = c->first; i < end; i++)
        if (tok(c->p, i)->told && tok(c->p, i)->kind == DSL_YYUNDEF)
            return true;
    return tok(c->p, c->first)->told; /* a misspelt word, taken for another */
}

/* ---- words for tokens ---- */

static const char *found(const Case *c)
{
    const Token *t = c->t;
    if (!t->kind)
        return "the end of the file";
    if (t->kind == NL)
        return *t->text == ';' ? "`;`"
               : *t->text == '}' ? "`}`" : "the end of the line";
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
                                     "'^'", "'?'", "==", "!=", "'<'", "'>'",
                                     "<=", ">=", "and", "or", "'.'"};
    for (size_t i = 0; i < COUNT(op); i++)
        if (!strcmp(op[i], name))
            return true;
    return false;
}

static bool starts_expression(const char *name)
{
    static const char *const start[] = {"a name", "a number", "a string",
                                        "not", "'('", "'['", "'-'"};
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
    if (expects(c, "module"))
        return "`use`, `module`, `model`, `transform`, `recipe`, `prove`, "
               "`rule` or `schedule`";
    if (expects(c, "forward"))
        return expects(c, "config")
                   ? "`config`, `weight`, `input`, `forward` or a part "
                     "(`name: module(...)`)"
                   : "`weight`, `input`, `forward` or a part "
                     "(`name: module(...)`)";
    if (expects(c, "match"))
        return "`match`, `require`, `learn`, `replace`, `config`, "
               "`preserves`, `each` or `name = ...`";
    if (expects(c, "return"))
        return "`name = ...`, `return`, `loss`, `stat` or `for`";
    if (expects(c, "train"))
        return "`name = ...`, `train`, `observe`, `save`, `for` or a call";
    if (expects(c, "each"))
        return "`part = ...` or `each`";
    if (expects(c, "require"))
        return "`field = ...` or `require`";
    return NULL;
}

/* Only [dims] have names and `..` and nothing else. */
static bool wants_dim(const Case *c)
{
    return expects(c, "a name") && expects(c, "..") && !expects(c, "a number");
}

/* The alternatives worth naming, in out[]. */
static int worth_naming(const Case *c, const char **out)
{
    bool start = expects(c, "a number") && expects(c, "not");
    bool after = !start && expects(c, "'+'");
    int n = 0;
    if (start)
        out[n++] = "an expression";
    if (wants_dim(c))
        out[n++] = "a dim name";
    for (int i = 0; i < c->n && n < 8; i++) {
        const char *name = c->expected[i];
        if ((start && starts_expression(name)) ||
            (after && (is_operator(name) || !strcmp(name, "'('") ||
                       !strcmp(name, "'['"))) ||
            (wants_dim(c) && (!strcmp(name, "..") || !strcmp(name, "a name"))))
            continue;
        out[n++] = shown(c->p->arena, name);
    }
    if (after && n < 2)
        out[n++] = "an operator";
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

/* ---- what was probably meant ---- */

typedef const char *Hint(const Case *c);

/* `(` or `[` that is open at the token, or 0; *of is its index. */
static int open_bracket(const Case *c, int *of)
{
    int depth = 0;
    for (int i = c->at - 1; i >= c->first; i--) {
        int kind = tok(c->p, i)->kind;
        if (kind == ')' || kind == ']')
            depth++;
        else if ((kind == '(' || kind == '[') && depth-- == 0)
            return *of = i, kind;
    }
    return 0;
}

static bool ends_operand(int kind)
{
    return kind == NAME || kind == ')' || kind == ']';
}

static const char *hint_equals(const Case *c)
{
    int of, open;
    if (c->t->kind != '=')
        return NULL;
    open = open_bracket(c, &of);
    if (open && of > 0 && ends_operand(tok(c->p, of - 1)->kind) &&
        tok(c->p, c->at - 1)->kind == NAME && !expects(c, "'='") &&
        (tok(c->p, c->at - 2)->kind == ',' || c->at - 2 == of))
        return "an argument is named with `:`";
    return expects(c, "==") ? "did you mean `==`?" : NULL;
}

static const char *hint_chain(const Case *c)
{
    int kind = c->t->kind;
    bool compares = kind == EQUAL || kind == UNEQUAL || kind == '<' ||
                    kind == '>' || kind == AT_MOST || kind == AT_LEAST;
    return compares && !expects(c, "==") && expects(c, "and")
               ? "comparisons do not chain: write `a < b and b < c`"
               : NULL;
}

static const char *hint_line_start(const Case *c)
{
    if (!c->t->fresh || c->at != c->first ||
        (!token_continues(c->t->kind) && c->t->kind != '('))
        return NULL;
    return "a statement ends with its line, unless the line ends with an "
           "operator or a comma";
}

static const char *hint_near(const Case *c)
{
    if (c->t->kind != NAME)
        return NULL;
    const char *word = nearest(c->t->text, c->expected, c->n);
    return word && dsl_is_keyword(word)
               ? arena_printf(c->p->arena, "did you mean `%s`?", word)
               : NULL;
}

static const char *hint_count(const Case *c)
{
    const Token *first = tok(c->p, c->first);
    if (c->t->kind == NAME && c->at == c->first + 1 && first->kind == NAME)
        return arena_printf(c->p->arena, "`%s` is no word of the language",
                            first->text);
    return NULL;
}

static const char *hint(const Case *c)
{
    static Hint *const hints[] = {hint_equals, hint_chain, hint_line_start,
                                  hint_near, hint_count};
    for (size_t i = 0; i < COUNT(hints); i++) {
        const char *text = hints[i](c);
        if (text)
            return text;
    }
    return NULL;
}

/* ---- the message ---- */

static bool is_word(const Token *t)
{
    return t->kind > 256 && t->kind != NAME && t->kind != STRING &&
           dsl_is_keyword(t->text);
}

static void say(const Case *c)
{
    const char *more = hint(c);
    if (is_word(c->t) && expects(c, "a name") && !c->t->fresh)
        complain(c->p, c->t->loc, "expected %s, but `%s` is a word of the "
                 "language (a name only after `.` and before `:` or `=`)",
                 expected(c), c->t->text);
    else if (c->t->kind == '}')
        complain(c->p, c->t->loc, "this `}` closes nothing");
    else
        complain(c->p, c->t->loc, "expected %s, found %s%s%s%s", expected(c),
                 found(c), more ? " (" : "", more ? more : "",
                 more ? ")" : "");
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

void explain(Parse *p, int at, const char *const *names, int n)
{
    Case c = {p, at, tok(p, at), statement_start(p, at), names, n};
    int end = resume_at(&c);
    if (!told_already(&c, end))
        say(&c);
    if (at == c.first && expects(&c, "module") && c.t->kind)
        end = next_declaration(p, at);
    if (end > at)
        p->next = end;
}
