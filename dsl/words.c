/* Which words are names, and which names were meant as words. */
#include "dsl/layout.h"
#include "dsl/parse.h"
#include <string.h>

/* `as "qkv" transposed rows a .. b step 2`: words only there, where no name can
 * stand. */
static int in_a_file(const Layout *l, const char *text)
{
    bool operand = l->last == NAME || l->last == NUMBER || l->last == ')';
    if (l->last == STRING && !strcmp(text, "transposed"))
        return TRANSPOSED;
    if ((l->last == STRING || l->last == TRANSPOSED) && !strcmp(text, "rows"))
        return ROWS;
    return operand && !strcmp(text, "step") ? STEP : NAME;
}

/* Words are names after `.` and before `:` and `=`; `after step` is two words
 * only together. */
int dsl_kind_of_word(const Layout *l, int i, const Token *t)
{
    int next = dsl_raw_at(l, i + 1)->kind;
    if (t->kind != NAME) {
        bool names = l->last == '.' || next == ':' || next == '=';
        if (t->kind == MODULE && l->last == ':') /* ffn: module = swiglu */
            return MODULE;
        return names ? NAME : t->kind;
    }
    if (!strcmp(t->text, "after") && next == NAME &&
        !strcmp(dsl_raw_at(l, i + 1)->text, "step"))
        return AFTER;
    if (l->last == AFTER)
        return STEP;
    return in_a_file(l, t->text);
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

/* Short words are near to too many. */
static bool resembles(const char *slip, const char *word)
{
    return *slip == *word || slip[strlen(slip) - 1] == word[strlen(word) - 1];
}

/* A name that starts a statement where the next token cannot follow one, and
 * that is nearly a word of this place, is taken for the word. */
int dsl_misspelt_word(Layout *l, int i, const Token *t)
{
    Place place = dsl_place(l);
    int next = dsl_raw_at(l, i + 1)->kind;
    if (next == '=' || next == ':' || next == ',' || next == '.' || next == '[')
        return NAME;
    if (next == '(' && place != IN_module && place != IN_block)
        return NAME;
    Words w = words_at(place);
    const char *near = w.n ? nearest(t->text, w.word, w.n) : NULL;
    if (!near || !resembles(t->text, near))
        return NAME;
    dsl_complain(l->p, t->loc, "unknown word `%s` (did you mean `%s`?)",
                 t->text, near);
    return dsl_word_kind(near, strlen(near));
}
