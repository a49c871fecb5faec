/* From raw tokens to the parser's: newlines that end statements stay as NL,
 * words that serve as names become names, and brackets that were never closed
 * are found here, where indentation can tell which, and closed silently. */
#include "dsl/layout.h"
#include "dsl/parse.h"
#include <string.h>

bool dsl_continues(int kind)
{
    if (kind > 0 && kind < 256)
        return strchr(",=+-*/%@^<>?:{.", kind) != NULL;
    return kind == EQUAL || kind == UNEQUAL || kind == AT_MOST ||
           kind == AT_LEAST || kind == ARROW || kind == BECOMES ||
           kind == AND || kind == OR || kind == NOT || kind == ELSE;
}

const Token *dsl_raw_at(const Layout *l, int i)
{
    static const Token end = {.kind = 0};
    return i < l->p->raw.n ? &l->p->raw.at[i] : &end;
}

/* Index of the next token that is neither newline nor comment. */
static int skip_blank(const Layout *l, int i)
{
    while (dsl_raw_at(l, i)->kind == RAW_newline ||
           dsl_raw_at(l, i)->kind == RAW_comment)
        i++;
    return i;
}

int dsl_indent_of(const Layout *l, const Token *t)
{
    int at = t->loc.at, n = 0;
    const char *text = l->p->src->text;
    while (at > 0 && text[at - 1] != '\n')
        at--;
    while (text[at + n] == ' ' || text[at + n] == '\t')
        n++;
    return n;
}

Open *dsl_top(Layout *l)
{
    return l->open.n ? &l->open.at[l->open.n - 1] : NULL;
}

bool dsl_in_round(Layout *l)
{
    return dsl_top(l) && dsl_top(l)->kind != '{';
}

Place dsl_place(const Layout *l)
{
    for (int i = l->open.n - 1; i >= 0; i--)
        if (l->open.at[i].kind == '{')
            return l->open.at[i].place;
    return IN_file;
}

void dsl_give(Layout *l, Token t)
{
    if (l->last == NL || l->last == '{') {
        l->first = t.kind;
        l->stmt_indent = l->line_indent;
        l->has_block = false;
    }
    l->last = t.kind;
    list_push(l->p->arena, &l->p->toks, t);
}

Token dsl_made(const Layout *l, int kind, const char *text)
{
    Token t = {.kind = kind, .text = text};
    int n = l->p->toks.n;
    if (n) {
        Loc before = l->p->toks.at[n - 1].loc;
        t.loc = (Loc){before.at + before.len, 1};
    }
    return t;
}

void dsl_end_statement(Layout *l, const char *text)
{
    if (l->last != NL && l->last != '{')
        dsl_give(l, dsl_made(l, NL, text));
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
        if (first == NAME && (around == IN_module || around == IN_options))
            return IN_options;
        return IN_block;
    }
}

static void push_open(Layout *l, int i)
{
    const Token *t = dsl_raw_at(l, i);
    Open o = {.kind = t->kind, .raw = i, .indent = l->line_indent};
    if (t->kind == '{') {
        int next = dsl_raw_at(l, i + 1)->kind, in = skip_blank(l, i + 1);
        bool beside = next != RAW_newline && next != RAW_comment;
        o.place = block_place(l->first, dsl_place(l));
        o.deeper = beside || dsl_indent_of(l, dsl_raw_at(l, in)) > o.indent;
        l->has_block = true;
    }
    list_push(l->p->arena, &l->open, o);
}

/* ---- newlines ---- */

/* What follows, more indented, cannot stand outside of the statement's block:
 * `gate as "w1"` of a part, `batch 64` of `train`, `c = ...` after
 * `each w =`. */
static bool block_follows(const Layout *l, int after)
{
    int kind = dsl_raw_at(l, after)->kind,
        next = dsl_raw_at(l, after + 1)->kind;
    if (kind != NAME)
        return false;
    if (l->last == '=')
        return next == '=' && (l->first == EACH || l->first == NAME);
    if (l->first == TRAIN)
        return next == NUMBER || next == STRING || next == NAME;
    return l->first == NAME && dsl_place(l) == IN_module && next == AS;
}

/* The header of a block ends without `{`. Where the brace stands on the next
 * line, or a block seems to follow, it is told and put in. */
static bool brace_missing(Layout *l, int i)
{
    int after = skip_blank(l, i);
    const Token *t = dsl_raw_at(l, after);
    bool needs = dsl_needs_block(l->first) && l->last != '=';
    if (l->has_block || !(needs || block_follows(l, after)))
        return false;
    if (t->kind == '{') {
        dsl_complain(l->p, t->loc,
                     "`{` belongs at the end of the line before, as "
                     "the statement ends there");
        return true;
    }
    if (!t->kind || dsl_indent_of(l, t) <= l->stmt_indent || t->kind == '}')
        return false;
    Token open = dsl_made(l, '{', "{");
    if (l->last != DSL_YYUNDEF)
        dsl_complain(l->p, open.loc, "expected `{`, found the end of the line");
    Open o = {.kind = '{',
              .raw = i,
              .indent = l->stmt_indent,
              .place = block_place(l->first, dsl_place(l))};
    list_push(l->p->arena, &l->open, o);
    l->has_block = true;
    dsl_give(l, open);
    return true;
}

static void newline(Layout *l, int i)
{
    bool round = dsl_in_round(l);
    if (l->last == NL || (dsl_continues(l->last) && (l->last != '=' || round)))
        return;
    if (l->last == '=') {
        brace_missing(l, i);
        return;
    }
    if (!round) {
        if (!brace_missing(l, i))
            dsl_end_statement(l, "\n");
        return;
    }
    for (int k = l->open.n - 1; k >= 0 && l->open.at[k].kind != '{'; k--)
        if (!l->open.at[k].resume_raw) {
            l->open.at[k].resume_raw = i;
            l->open.at[k].resume_toks = l->p->toks.n;
            l->open.at[k].resume_last = l->last;
        }
}

static void other_token(Layout *l, int i)
{
    Token t = *dsl_raw_at(l, i);
    bool starts = l->last == NL || l->last == '{';
    if (t.kind == NAME || dsl_word_kind(t.text, strlen(t.text)))
        if (t.kind != STRING)
            t.kind = dsl_kind_of_word(l, i, &t);
    if (t.kind == NAME && starts && !dsl_in_round(l))
        t.kind = dsl_misspelt_word(l, i, &t), t.told = t.kind != NAME;
    dsl_give(l, t);
}

/* ---- the pass ---- */

static int one_token(Layout *l, int i)
{
    Token t = *dsl_raw_at(l, i);
    if (t.fresh)
        l->line_indent = dsl_indent_of(l, &t);
    if (t.kind != NAME && t.kind > 256 && dsl_kind_of_word(l, i, &t) == NAME)
        t.kind = NAME;
    int from = dsl_balance(l, i, &t);
    if (from != i)
        return from;
    switch (t.kind) {
    case RAW_comment:
        return i + 1;
    case RAW_newline:
        newline(l, i);
        return i + 1;
    case ';':
        if (dsl_in_round(l))
            t.kind = DSL_YYUNDEF, dsl_give(l, t);
        else
            dsl_end_statement(l, ";");
        return i + 1;
    case '{':
        if (l->last == '{' && !t.fresh) {
            dsl_complain(l->p, t.loc, "this `{` is one too many");
            return i + 1;
        }
        /* fall through */
    case '(':
    case '[':
        push_open(l, i);
        dsl_give(l, t);
        return i + 1;
    case ')':
    case ']':
        return dsl_close_round(l, i);
    case '}':
        dsl_close_block(l, &t);
        return i + 1;
    default:
        other_token(l, i);
        return i + 1;
    }
}

static void run(Layout *l)
{
    Token end = {.kind = 0, .fresh = true};
    for (int i = 0; i < l->p->raw.n || l->open.n;)
        i = i < l->p->raw.n ? one_token(l, i) : dsl_balance(l, i, &end);
    dsl_end_statement(l, "");
}

void dsl_layout(Parse *p)
{
    int said = p->said.n;
    Layout l = {.p = p, .last = NL};
    run(&l);
    if (l.unclosed.n) {
        Layout again = {.p = p, .last = NL, .second = true};
        again.unclosed.at = l.unclosed.at;
        again.unclosed.n = again.unclosed.room = l.unclosed.n;
        p->said.n = said;
        p->toks.n = 0;
        run(&again);
    }
    Token end = {.kind = 0, .loc = {p->src->len, 0}, .text = ""};
    list_push(p->arena, &p->toks, end);
}
