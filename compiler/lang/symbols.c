/* Names of unknowns. Each stands for one number of one owner (a module, a
 * transform, an array's index): two that share a name in the text are two. */
#include "compiler/lang/elab.h"
#include <string.h>

typedef struct {
    const void *owner;
    const char *name; /* as the owner calls it */
    const Size *size;
} Unknown;

struct Symbols {
    LIST(Unknown) at;
    bool guesses;
};

/* These mean something of their own where a number's name is read. */
static bool reserved(const char *name)
{
    return !strcmp(name, "T") || !strcmp(name, "training");
}

static bool taken(const struct Symbols *s, const char *name)
{
    for (int i = 0; i < s->at.n; i++)
        if (!strcmp(size_text(s->at.at[i].size), name))
            return true;
    return reserved(name);
}

struct Symbols *symbols_new(Arena *a)
{
    return arena_alloc(a, sizeof(struct Symbols));
}

const Size *model_unknown(Model *m, const void *owner, const char *of,
                          const char *name)
{
    struct Symbols *s = m->symbols;
    for (int i = 0; i < s->at.n; i++)
        if (s->at.at[i].owner == owner && !strcmp(s->at.at[i].name, name))
            return s->at.at[i].size;
    const char *symbol = intern(name);
    for (int i = 1; taken(s, symbol); i++)
        symbol = i == 1 ? intern_printf("%s.%s", of, name)
                        : intern_printf("%s.%s.%d", of, name, i);
    Unknown one = {owner, intern(name), size_sym(symbol)};
    list_push(m->arena, &s->at, one);
    return one.size;
}

const Size *index_unknown(Model *m, const Part *part, const char *name)
{
    return model_unknown(m, part->name, part->name, name);
}

const Size *made_unknown(Model *m, const char *key, const char *name)
{
    m->symbols->guesses = true;
    return model_unknown(m, intern(key), "made", name);
}

bool model_guesses(const Model *m)
{
    return m->symbols->guesses;
}

Val unknown_truth(Scope *s, const char *text)
{
    return flag_value(s, size_text(made_unknown(s->model, text, text)));
}
