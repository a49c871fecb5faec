/* From raw tokens to the parser's: newlines that end statements stay as NL,
 * words that serve as names become names, and brackets that were never closed
 * are found here, where indentation can tell which, and closed silently. */
#include "dsl/parse.h"
#include "dsl/syntax.h"
#include <string.h>

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
    bool has_block;
    bool has_suspect;
    Open suspect; /* a { that seems unclosed, by indentation */
} Layout;

bool dsl_continues(int kind)
{
    if (kind > 0 && kind < 256)
        return strchr(",=+-*/%@^<>?:{.", kind) != NULL;
    return kind == EQUAL || kind == UNEQUAL || kind == AT_MOST ||
           kind == AT_LEAST || kind == ARROW || kind == BECOMES ||
           kind == AND || kind == OR || kind == NOT || kind == ELSE;
}

static const Token *raw_at(const Layout *l, int i)
{
    static const Token end = {.kind = 0};
    return i < l->p->raw.n ? &l->p->raw.at[i] : &end;
}

/* Index of the next token that is neither newline nor comment. */
static int skip_blank(const Layout *l, int i)
{
    while (raw_at(l, i)->kind == RAW_newline ||
           raw_at(l, i)->kind == RAW_comment)
        i++;
    return i;
}

static int indent_of(const Layout *l, const Token *t)
{
    int at = t->loc.at, n = 0;
    const char *text = l->p->src->text;
    while (at > 0 && text[at - 1] != '\n')
        at--;
    while (text[at + n] == ' ' || text[at + n] == '\t')
        n++;
    return n;
}

static Open *top(Layout *l)
{
    return l->open.n ? &l->open.at[l->open.n - 1] : NULL;
}

static bool in_round(Layout *l)
{
    return top(l) && top(l)->kind != '{';
}

static Place place_now(const Layout *l)
{
    for (int i = l->open.n - 1; i >= 0; i--)
        if (l->open.at[i].kind == '{')
            return l->open.at[i].place;
    return IN_file;
}

static void give(Layout *l, Token t)
{
    if (l->last == NL || l->last == '{') {
        l->first = t.kind;
        l->stmt_indent = l->line_indent;
        l->has_block = false;
    }
    l->last = t.kind;
    list_push(l->p->arena, &l->p->toks, t);
}

/* A token that the text lacks stands right after the last one. */
static Token made(const Layout *l, int kind, const char *text)
{
    Token t = {.kind = kind, .text = text};
    int n = l->p->toks.n;
    if (n) {
        Loc before = l->p->toks.at[n - 1].loc;
        t.loc = (Loc){before.at + before.len, 1};
    }
    return t;
}

static void end_statement(Layout *l, const char *text)
{
    if (l->last != NL && l->last != '{')
        give(l, made(l, NL, text));
}

static Place block_place(int first, Place around)
{
    switch (first) {
    case MODULE:
    case MODEL:
        return IN_module;
    case TRANSFORM:
        return IN_transform;
    case RECIPE:
        return IN_recipe;
    case REPLACE:
        return IN_replace;
    case CONFIG:
        return IN_fields;
    case TRAIN:
    case SCHEDULE:
        return IN_options;
    case FOR:
        return around == IN_recipe ? IN_recipe : IN_block;
    default:
        return around == IN_module && first == NAME ? IN_options : IN_block;
    }
}

static void push_open(Layout *l, int i)
{
    const Token *t = raw_at(l, i);
    Open o = {.kind = t->kind, .raw = i, .indent = l->line_indent};
    if (t->kind == '{') {
        o.place = block_place(l->first, place_now(l));
        l->has_block = true;
    }
    list_push(l->p->arena, &l->open, o);
}

/* ---- brackets that were never closed ---- */

static void tell_unclosed(Layout *l, const Open *o)
{
    dsl_complain(l->p, raw_at(l, o->raw)->loc, "this `%c` is never closed",
                 o->kind);
}

/* Which of the open ( and [ to blame: on the earliest line that could have
 * ended the statement, the innermost. */
static Open blame_round(Layout *l)
{
    Open o = *top(l);
    for (int k = l->open.n - 1; k >= 0 && l->open.at[k].kind != '{'; k--)
        if (l->open.at[k].resume_raw &&
            (!o.resume_raw || l->open.at[k].resume_raw < o.resume_raw))
            o = l->open.at[k];
    return o;
}

/* A ( or [ is open where it cannot be. Ends the statement at the first newline
 * that could have ended it, or here; gives the index to go on from. */
static int close_rounds(Layout *l, int i)
{
    Open o = blame_round(l);
    tell_unclosed(l, &o);
    if (o.resume_raw) {
        i = o.resume_raw;
        l->p->toks.n = o.resume_toks;
        l->last = o.resume_last;
    }
    while (in_round(l))
        l->open.n--;
    Token bad = made(l, DSL_YYUNDEF, "");
    bad.told = true;
    give(l, bad);
    return i;
}

static void close_brace(Layout *l)
{
    end_statement(l, "}");
    give(l, made(l, '}', "}"));
    l->open.n--;
    end_statement(l, "}");
}

/* A declaration starts, or the text ends, inside braces. */
static void close_braces(Layout *l)
{
    tell_unclosed(l, l->has_suspect ? &l->suspect : top(l));
    while (l->open.n)
        close_brace(l);
    l->has_suspect = false;
}

static bool is_declaration(int kind)
{
    return kind == USE || kind == MODULE || kind == MODEL ||
           kind == TRANSFORM || kind == RECIPE || kind == PROVE ||
           kind == RULE || kind == SCHEDULE;
}

static bool starts_statement(int kind)
{
    return is_declaration(kind) || kind == WEIGHT || kind == INPUT ||
           kind == FORWARD || kind == CONFIG || kind == MATCH ||
           kind == REQUIRE || kind == LEARN || kind == REPLACE ||
           kind == PRESERVES || kind == EACH || kind == RETURN ||
           kind == LOSS || kind == STAT || kind == TRAIN || kind == OBSERVE ||
           kind == SAVE || kind == FOR;
}

/* A declaration's word has a name beside it. */
static bool declares(const Layout *l, int i, const Token *t)
{
    return t->fresh && is_declaration(t->kind) && l->last != ':' &&
           (t->kind == PROVE || raw_at(l, i + 1)->kind == NAME);
}

/* Closes what cannot be open at this token; index to go on from. */
static int balance(Layout *l, int i, const Token *t)
{
    bool starts = t->fresh && starts_statement(t->kind) && l->last != ':';
    if (in_round(l) &&
        (starts || t->kind == '{' || t->kind == '}' || t->kind == 0))
        i = close_rounds(l, i);
    else if (l->open.n && declares(l, i, t))
        close_braces(l);
    else if (l->open.n && !t->kind)
        close_braces(l);
    return i;
}

/* `)` or `]`: takes its partner off; false if what is open in between must
 * be told of first. */
static bool close_round(Layout *l, int kind)
{
    int want = kind == ')' ? '(' : '[', n = l->open.n;
    if (!in_round(l))
        return true; /* the parser says that nothing is open */
    if (top(l)->kind == want) {
        l->open.n--;
        return true;
    }
    while (n && l->open.at[n - 1].kind != '{' && l->open.at[n - 1].kind != want)
        n--;
    if (n && l->open.at[n - 1].kind == want)
        return false;
    l->open.n--; /* the wrong kind of bracket: the parser says so */
    return true;
}

static bool needs_block(int first)
{
    return first == MODULE || first == MODEL || first == TRANSFORM ||
           first == RECIPE || first == FORWARD || first == REPLACE ||
           first == FOR;
}

static void close_block(Layout *l, const Token *t)
{
    if (!t->fresh && needs_block(l->first) && !l->has_block && l->last != NL &&
        l->last != '{') {
        Token bad = *t; /* of a block whose `{` is missing */
        bad.kind = DSL_YYUNDEF;
        give(l, bad);
        return;
    }
    end_statement(l, "}");
    if (l->open.n) {
        Open *o = top(l);
        if (t->fresh && l->line_indent < o->indent && !l->has_suspect) {
            l->suspect = *o;
            l->has_suspect = true;
        }
        if (--l->open.n == 0)
            l->has_suspect = false;
    }
    give(l, *t);
    end_statement(l, "}");
}

/* ---- newlines ---- */

/* The header of a block ends without `{`. Where the brace stands on the next
 * line, or a block seems to follow, it is told and put in. */
static bool brace_missing(Layout *l, int i)
{
    int after = skip_blank(l, i);
    const Token *t = raw_at(l, after);
    if (l->has_block || !needs_block(l->first) || l->last == DSL_YYUNDEF)
        return false;
    if (t->kind == '{') {
        dsl_complain(l->p, t->loc,
                     "`{` belongs at the end of the line before, as "
                     "the statement ends there");
        return true;
    }
    if (!t->kind || indent_of(l, t) <= l->stmt_indent || t->kind == '}')
        return false;
    Token open = made(l, '{', "{");
    dsl_complain(l->p, open.loc, "expected `{`, found the end of the line");
    Open o = {.kind = '{',
              .raw = i,
              .indent = l->stmt_indent,
              .place = block_place(l->first, place_now(l))};
    list_push(l->p->arena, &l->open, o);
    l->has_block = true;
    give(l, open);
    return true;
}

static void newline(Layout *l, int i)
{
    if (dsl_continues(l->last) || l->last == NL)
        return;
    if (!in_round(l)) {
        if (!brace_missing(l, i))
            end_statement(l, "\n");
        return;
    }
    for (int k = l->open.n - 1; k >= 0 && l->open.at[k].kind != '{'; k--)
        if (!l->open.at[k].resume_raw) {
            l->open.at[k].resume_raw = i;
            l->open.at[k].resume_toks = l->p->toks.n;
            l->open.at[k].resume_last = l->last;
        }
}

/* ---- words ---- */

/* Words are names after `.` and before `:` and `=`; `after step` is two words
 * only together. */
static int kind_of_word(const Layout *l, int i, const Token *t)
{
    int next = raw_at(l, i + 1)->kind;
    if (t->kind != NAME) {
        bool names = l->last == '.' || next == ':' || next == '=';
        return names ? NAME : t->kind;
    }
    if (!strcmp(t->text, "after") && next == NAME &&
        !strcmp(raw_at(l, i + 1)->text, "step"))
        return AFTER;
    if (l->last == AFTER)
        return STEP;
    return NAME;
}

typedef struct {
    const char *const *word;
    int n;
} Words;

static Words words_at(Place place)
{
    static const char *const file[] = {"use",    "module", "model", "transform",
                                       "recipe", "prove",  "rule",  "schedule"};
    static const char *const module[] = {"weight", "input", "forward",
                                         "config"};
    static const char *const transform[] = {
        "match", "require", "learn", "replace", "config", "preserves", "each"};
    static const char *const replace[] = {"each"};
    static const char *const recipe[] = {"train", "observe", "save", "for"};
    static const char *const block[] = {"return", "loss", "stat", "for"};
    static const char *const fields[] = {"require"};
    static const Words all[] = {
        [IN_file] = {file, COUNT(file)},
        [IN_module] = {module, COUNT(module)},
        [IN_transform] = {transform, COUNT(transform)},
        [IN_replace] = {replace, COUNT(replace)},
        [IN_recipe] = {recipe, COUNT(recipe)},
        [IN_block] = {block, COUNT(block)},
        [IN_fields] = {fields, COUNT(fields)},
        [IN_options] = {NULL, 0},
    };
    return all[place];
}

/* A name that starts a statement where the next token cannot follow one, and
 * that is nearly a word of this place, is taken for the word. */
static int misspelt_word(Layout *l, int i, const Token *t)
{
    Place place = place_now(l);
    int next = raw_at(l, i + 1)->kind;
    if (next == '=' || next == ':' || next == ',' || next == '.' || next == '[')
        return NAME;
    if (next == '(' && place != IN_module && place != IN_block)
        return NAME;
    Words w = words_at(place);
    const char *near = w.n ? nearest(t->text, w.word, w.n) : NULL;
    if (!near)
        return NAME;
    dsl_complain(l->p, t->loc, "unknown word `%s` (did you mean `%s`?)",
                 t->text, near);
    return dsl_word_kind(near, strlen(near));
}

static void other_token(Layout *l, int i)
{
    Token t = *raw_at(l, i);
    bool starts = l->last == NL || l->last == '{';
    if (t.kind == NAME || dsl_word_kind(t.text, strlen(t.text)))
        if (t.kind != STRING)
            t.kind = kind_of_word(l, i, &t);
    if (t.kind == NAME && starts && !in_round(l))
        t.kind = misspelt_word(l, i, &t), t.told = t.kind != NAME;
    give(l, t);
}

/* ---- the pass ---- */

static int one_token(Layout *l, int i)
{
    Token t = *raw_at(l, i);
    if (t.fresh)
        l->line_indent = indent_of(l, &t);
    if (t.kind != NAME && t.kind > 256 && kind_of_word(l, i, &t) == NAME)
        t.kind = NAME;
    int from = balance(l, i, &t);
    if (from != i)
        return from;
    switch (t.kind) {
    case RAW_comment:
        return i + 1;
    case RAW_newline:
        newline(l, i);
        return i + 1;
    case ';':
        if (in_round(l))
            t.kind = DSL_YYUNDEF, give(l, t);
        else
            end_statement(l, ";");
        return i + 1;
    case '(':
    case '[':
    case '{':
        push_open(l, i);
        give(l, t);
        return i + 1;
    case ')':
    case ']':
        if (!close_round(l, t.kind))
            return close_rounds(l, i);
        give(l, t);
        return i + 1;
    case '}':
        close_block(l, &t);
        return i + 1;
    default:
        other_token(l, i);
        return i + 1;
    }
}

void dsl_layout(Parse *p)
{
    Layout l = {.p = p, .last = NL};
    for (int i = 0; i < p->raw.n;)
        i = one_token(&l, i);
    for (Token end = {.kind = 0, .fresh = true}; l.open.n;) {
        int from = balance(&l, p->raw.n, &end);
        for (int i = from; i < p->raw.n;)
            i = one_token(&l, i);
    }
    end_statement(&l, "");
    Token end = {.kind = 0, .loc = {p->src->len, 0}, .text = ""};
    list_push(p->arena, &p->toks, end);
}
