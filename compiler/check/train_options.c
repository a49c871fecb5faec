/* Options of `train` read by their table: each once, of the right kind, in its
 * range, and those that go together. */
#include "compiler/check/train_options.h"
#include <math.h>
#include <string.h>

typedef enum { WHOLE, REAL, OPEN, BELOW, WORD, MODEL } Kind;

const TrainInfo train_info[TRAIN_OPTIONS] = {
#define OPTION(name, kind, least, most, number, words, word, what) \
    {#name, what, words, number, word},
#include "compiler/check/train.def"
#undef OPTION
};

static const struct {
    Kind kind;
    double least, most;
} range[TRAIN_OPTIONS] = {
#define OPTION(name, kind, least, most, ...) {kind, least, most},
#include "compiler/check/train.def"
#undef OPTION
};

typedef struct {
    TrainNumber *number;
    void *user;
    TrainValue *out;
    bool fine;
} Read;

static bool word_in(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *w = words; w && *w; w += strcspn(w, " "), w += *w == ' ')
        if (strcspn(w, " ") == len && !strncmp(w, word, len))
            return true;
    return false;
}

/* "constant, linear, cosine" */
static const char *word_list(const char *words)
{
    const char *out = "";
    for (const char *w = words; *w; w += strcspn(w, " "), w += *w == ' ')
        out = intern_printf("%s%s%.*s", out, *out ? ", " : "",
                            (int)strcspn(w, " "), w);
    return out;
}

static bool in_range(int row, double v)
{
    Kind kind = range[row].kind;
    bool low = kind == OPEN ? v > range[row].least : v >= range[row].least;
    bool high = kind == OPEN || kind == BELOW ? v < range[row].most
                                              : v <= range[row].most;
    return low && high;
}

static const char *range_text(int row)
{
    Kind kind = range[row].kind;
    const char *low = intern_printf("%s %g",
                                    kind == OPEN ? "above" : "at least",
                                    range[row].least);
    return range[row].most > 1
               ? low
               : intern_printf("%s and %s %g", low,
                               kind == OPEN || kind == BELOW ? "below"
                                                             : "at most",
                               range[row].most);
}

static void wrong(Read *r, const Ast *o, const Ast *v, const char *wants)
{
    error_at(v->src, v->loc, "%s wants %s, this is %.*s", o->text, wants,
             v->loc.len, v->src->text + v->loc.at);
    r->fine = false;
}

static void number(Read *r, const Ast *o, int row, const Ast *v)
{
    bool whole = range[row].kind == WHOLE, negative = v->kind == AST_neg;
    const Ast *n = negative ? v->kid[0] : v;
    double at = n->num;
    if (n->kind == AST_name && !negative) {
        if (!r->number(r->user, n, &at))
            r->fine = false;
    } else if (n->kind != AST_number) {
        wrong(r, o, v, whole ? "a whole number" : "a number");
        return;
    }
    at = negative ? -at : at;
    r->out[row].number = at;
    if (isnan(at))
        return;
    if (whole && at != floor(at))
        wrong(r, o, v, "a whole number");
    else if (!in_range(row, at))
        wrong(r, o, v, intern_printf("%s %s",
                                     whole ? "a whole number" : "a number",
                                     range_text(row)));
}

static bool is_number(int row)
{
    return range[row].kind < WORD;
}

static void value(Read *r, const Ast *o, int row, int i)
{
    const Ast *v = o->kid[i];
    const char *words = train_info[row].words;
    if (is_number(row) && i == 0) {
        number(r, o, row, v);
    } else if (row == TRAIN_weights && i == 1 && v->kind == AST_name &&
               !strcmp(v->text, "nearest") && r->out[row].word &&
               !strcmp(r->out[row].word, "bf16")) {
        r->out[row].nearest = true;
    } else if (i == is_number(row) && v->kind == AST_name &&
               word_in(words, v->text)) {
        r->out[row].word = v->text;
    } else {
        error_at(v->src, v->loc,
                 words && i <= is_number(row)
                     ? "%s is one of %s, not %.*s"
                     : "nothing follows %s's value%s: %.*s",
                 o->text, words && i <= is_number(row) ? word_list(words) : "",
                 v->loc.len, v->src->text + v->loc.at);
        r->fine = false;
    }
}

static void option(Read *r, const Ast *o)
{
    const char *names[TRAIN_OPTIONS];
    for (int row = 0; row < TRAIN_OPTIONS; row++) {
        names[row] = train_info[row].name;
        if (strcmp(names[row], o->text))
            continue;
        if (r->out[row].given) {
            error_at(o->src, o->name_loc, "`%s` is given twice", o->text);
            r->fine = false;
            return;
        }
        r->out[row].given = true;
        r->out[row].at = o;
        for (int i = range[row].kind == MODEL; i < o->nkid; i++)
            value(r, o, row, i);
        return;
    }
    const char *near = nearest(o->text, names, TRAIN_OPTIONS);
    error_at(o->src, o->name_loc, "train has no option `%s`%s%s%s", o->text,
             near ? " (did you mean `" : "", near ? near : "",
             near ? "`?)" : "");
    r->fine = false;
}

static bool together(const Ast *t, const TrainValue *v)
{
    int errors = t->src->diags->errors;
    const Ast *epochs = v[TRAIN_epochs].at, *steps = v[TRAIN_steps].at;
    const Ast *late = !epochs || !steps               ? NULL
                      : steps->loc.at > epochs->loc.at ? steps
                                                       : epochs;
    if (late)
        error_at(late->src, late->loc,
                 "how long is said by `epochs` or by `steps`, not by both");
    Loc head = {t->loc.at, (int)strlen("train")};
    if (!epochs && !steps)
        error_at(t->src, head, "train needs `epochs` or `steps`: how long");
    if (!v[TRAIN_batch].given)
        error_at(t->src, head, "train needs `batch`: how many examples a step");
    const Ast *warmup = v[TRAIN_warmup].at;
    if (warmup && steps && v[TRAIN_warmup].number > v[TRAIN_steps].number)
        error_at(warmup->src, warmup->loc,
                 "a warmup of %.0f steps, but there are %.0f",
                 v[TRAIN_warmup].number, v[TRAIN_steps].number);
    static const TrainOption of_teacher[] = {TRAIN_mix, TRAIN_temperature};
    for (size_t i = 0; i < COUNT(of_teacher); i++) {
        const Ast *o = v[of_teacher[i]].at;
        if (o && !v[TRAIN_teacher].given)
            error_at(o->src, o->name_loc, "`%s` is of a `teacher`, and there "
                                          "is none", o->text);
    }
    return t->src->diags->errors == errors;
}

bool train_options(const Ast *t, TrainNumber *number_of, void *user,
                   TrainValue out[TRAIN_OPTIONS])
{
    Read r = {number_of, user, out, true};
    for (int row = 0; row < TRAIN_OPTIONS; row++)
        out[row] = (TrainValue){.number = train_info[row].number,
                                .word = train_info[row].word};
    for (int i = 2; i < t->nkid; i++)
        if (t->kid[i]->kind == AST_option)
            option(&r, t->kid[i]);
    return r.fine && together(t, out);
}
