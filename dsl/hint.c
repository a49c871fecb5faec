/* What was probably meant, where the text does not fit the grammar: a slip of
 * the key, a sign or a word of another language, a statement out of place. */
#include "dsl/explain.h"
#include "dsl/parse.h"
#include <string.h>

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

/* `=` for what has another sign here. */
static const char *hint_equals(const Case *c)
{
    int of, open;
    if (c->t->kind != '=')
        return NULL;
    open = open_bracket(c, &of);
    if (open && dsl_expects(c, "':'") && of > 0 &&
        ends_operand(tok(c->p, of - 1)->kind))
        return "an argument is named with `:`";
    if (dsl_expects(c, "=>"))
        return "did you mean `=>`?";
    return dsl_expects(c, "==") ? "did you mean `==`?" : NULL;
}

static const char *hint_chain(const Case *c)
{
    int kind = c->t->kind;
    bool compares = kind == EQUAL || kind == UNEQUAL || kind == '<' ||
                    kind == '>' || kind == AT_MOST || kind == AT_LEAST;
    return compares && !dsl_expects(c, "==") && dsl_expects(c, "and")
               ? "comparisons do not chain: write `a < b and b < c`"
               : NULL;
}

static const char *hint_near(const Case *c)
{
    if (c->t->kind != NAME)
        return NULL;
    const char *word = nearest(c->t->text, c->expected, c->n);
    return word && dsl_is_keyword(word) && strcmp(word, c->t->text)
               ? arena_printf(c->p->arena, "did you mean `%s`?", word)
               : NULL;
}

static const char *home_of(int kind)
{
    switch (kind) {
    case WEIGHT:
    case INPUT:
    case FORWARD:
        return "a module or a model";
    case CONFIG:
        return "a model or a transform";
    case MATCH:
    case LEARN:
    case REPLACE:
    case PRESERVES:
        return "a transform";
    case EACH:
        return "a transform or its `replace`";
    case RETURN:
    case LOSS:
    case STAT:
        return "a `forward`";
    case TRAIN:
    case OBSERVE:
    case SAVE:
        return "a recipe";
    default:
        return NULL;
    }
}

/* At the top of a file the block above may have been closed too early. */
static const char *hint_home(const Case *c)
{
    const char *home = c->at == c->first ? home_of(c->t->kind) : NULL;
    if (!home)
        return NULL;
    if (dsl_expects(c, "module") && c->at > 1 &&
        tok(c->p, c->at - 2)->kind == '}') {
        int line, col;
        loc_place(c->p->src, tok(c->p, c->at - 2)->loc.at, &line, &col);
        return arena_printf(c->p->arena,
                            "this belongs in %s; the block above "
                            "ends in line %d",
                            home, line);
    }
    return arena_printf(c->p->arena, "this belongs in %s", home);
}

/* Words of other languages, and what says the same here. */
static const char *hint_foreign(const Case *c)
{
    static const char *const word[][2] = {
        {"import", "other files are read with `use`"},
        {"include", "other files are read with `use`"},
        {"from", "other files are read with `use`"},
        {"def", "a function is a `module` without weights"},
        {"fn", "a function is a `module` without weights"},
        {"func", "a function is a `module` without weights"},
        {"function", "a function is a `module` without weights"},
        {"class", "did you mean `module`?"},
        {"if", "a choice is written `c ? a : b`"},
        {"while", "loops are written `for l in L { ... }`"},
        {"eval", "`eval(model, ...)` is a call"},
        {"print", "there is nothing to print: `graft show` shows"},
        {"let", "values are named as `name = ...`"},
        {"var", "values are named as `name = ...`"},
        {"const", "values are named as `name = ...`"},
    };
    const Token *first = tok(c->p, c->first);
    if (first->kind != NAME || c->at > c->first + 1)
        return NULL;
    for (size_t i = 0; i < COUNT(word); i++)
        if (!strcmp(word[i][0], first->text))
            return word[i][1];
    if (c->t->kind == NAME && c->at > c->first && dsl_expects(c, "'='"))
        return arena_printf(c->p->arena, "`%s` is no word of the language",
                            first->text);
    return NULL;
}

const char *dsl_hint(const Case *c)
{
    static Hint *const hints[] = {hint_equals, hint_chain, hint_near, hint_home,
                                  hint_foreign};
    for (size_t i = 0; i < COUNT(hints); i++) {
        const char *text = hints[i](c);
        if (text)
            return text;
    }
    return NULL;
}
