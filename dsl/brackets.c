/* Brackets that were never closed: which to blame, and closing them silently so
 * that one mistake has one message. */
#include "dsl/layout.h"
#include "dsl/parse.h"

static void tell_unclosed(Layout *l, const Open *o)
{
    dsl_complain(l->p, dsl_raw_at(l, o->raw)->loc, "this `%c` is never closed",
                 o->kind);
}

/* Which of the open ( and [ to blame: on the earliest line that could have
 * ended the statement, the innermost. */
static Open blame_round(Layout *l)
{
    Open o = *dsl_top(l);
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
    while (dsl_in_round(l))
        l->open.n--;
    Token bad = dsl_made(l, DSL_YYUNDEF, "");
    bad.told = true;
    dsl_give(l, bad);
    return i;
}

static void close_brace(Layout *l)
{
    dsl_end_statement(l, "}");
    dsl_give(l, dsl_made(l, '}', "}"));
    l->open.n--;
    dsl_end_statement(l, "}");
}

/* A declaration starts, or the text ends, inside braces. */
static void close_braces(Layout *l)
{
    Open o = l->has_suspect ? l->suspect : *dsl_top(l);
    tell_unclosed(l, &o);
    list_push(l->p->arena, &l->unclosed, o.raw);
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
           (t->kind == PROVE || dsl_raw_at(l, i + 1)->kind == NAME);
}

/* In the second pass: the `{` ends before a line that is not indented more
 * than its own. */
static bool ends_by_indent(Layout *l, const Token *t)
{
    const Open *o = dsl_top(l);
    bool known = false;
    if (!l->second || !o || o->kind != '{' || !o->deeper || !t->fresh ||
        !t->kind || t->kind == RAW_newline || t->kind == RAW_comment)
        return false;
    for (int i = 0; i < l->unclosed.n; i++)
        known = known || l->unclosed.at[i] == o->raw;
    return known && l->line_indent < o->indent + (t->kind != '}');
}

int dsl_balance(Layout *l, int i, const Token *t)
{
    bool starts = t->fresh && starts_statement(t->kind) && l->last != ':';
    if (dsl_in_round(l) &&
        (starts || t->kind == '{' || t->kind == '}' || t->kind == 0))
        return close_rounds(l, i);
    while (ends_by_indent(l, t)) {
        tell_unclosed(l, dsl_top(l));
        close_brace(l);
    }
    if (l->open.n && (!t->kind || declares(l, i, t)))
        close_braces(l);
    return i;
}

int dsl_close_round(Layout *l, int i)
{
    int want = dsl_raw_at(l, i)->kind == ')' ? '(' : '[', n = l->open.n;
    if (dsl_in_round(l) && dsl_top(l)->kind != want) {
        while (n && l->open.at[n - 1].kind != '{' &&
               l->open.at[n - 1].kind != want)
            n--;
        if (n && l->open.at[n - 1].kind == want)
            return close_rounds(l, i);
    }
    if (dsl_in_round(l)) /* if it is of the wrong kind, the parser says so */
        l->open.n--;
    dsl_give(l, *dsl_raw_at(l, i));
    return i + 1;
}

bool dsl_needs_block(int first)
{
    return first == MODULE || first == MODEL || first == TRANSFORM ||
           first == RECIPE || first == SCHEDULE || first == FORWARD ||
           first == CONFIG || first == REPLACE || first == FOR;
}

void dsl_close_block(Layout *l, const Token *t)
{
    bool block = dsl_needs_block(l->first) || l->first == TRAIN;
    if (!t->fresh && block && !l->has_block && l->last != NL &&
        l->last != '{') {
        Token bad = *t; /* of a block whose `{` is missing */
        bad.kind = DSL_YYUNDEF;
        dsl_give(l, bad);
        return;
    }
    dsl_end_statement(l, "}");
    if (l->open.n) {
        Open *o = dsl_top(l);
        if (t->fresh && l->line_indent < o->indent && !l->has_suspect) {
            l->suspect = *o;
            l->has_suspect = true;
        }
        if (--l->open.n == 0)
            l->has_suspect = false;
    }
    dsl_give(l, *t);
    dsl_end_statement(l, "}");
}
