/* What a name at a place of the text stands for. */
#include "cli/lsp/server.h"
#include <string.h>

enum { DEEP = 256 };

static bool on(Loc loc, int at)
{
    return at >= loc.at && at <= loc.at + loc.len;
}

/* A module, model, transform or recipe of the name. */
static Found definition(const Analysis *a, const char *name)
{
    static const AstKind kind[] = {AST_module, AST_model, AST_transform,
                                   AST_recipe};
    for (size_t i = 0; i < COUNT(kind); i++) {
        const Ast *def = spec_find(a->spec, kind[i], name);
        if (def)
            return (Found){.at = def, .name = def->name_loc};
    }
    return (Found){0};
}

/* The last name of a block's assignments before `at`. */
static Found assigned(const Ast *block, const char *name, int at)
{
    Found f = {0};
    for (int i = 0; i < block->nkid; i++) {
        const Ast *s = block->kid[i];
        if (!s || s->loc.at > at || s->kind != AST_assign)
            continue;
        bool inside = on(s->kid[1]->loc, at);
        for (int k = 0; k < s->kid[0]->nkid && !inside; k++)
            if (!strcmp(s->kid[0]->kid[k]->text, name))
                f = (Found){.at = s, .name = s->kid[0]->kid[k]->loc};
    }
    return f;
}

/* What the level of the chain declares under the name, for who is inside. */
static Found declared(const Ast *level, const char *name, int at)
{
    switch (level->kind) {
    case AST_block:
    case AST_recipe: {
        Found f = assigned(level, name, at);
        return f.at || level->kind == AST_block
                   ? f
                   : analysis_member(level, name);
    }
    case AST_for:
    case AST_part:
        if (level->text && !strcmp(level->text, name))
            return (Found){.at = level, .name = level->name_loc};
        return (Found){0};
    case AST_module:
    case AST_model:
    case AST_transform:
    case AST_forward:
        return analysis_member(level, name);
    default:
        return (Found){0};
    }
}

/* What a match's pattern names: its parameters are dims inside. */
static Found pattern(const Ast *def, const char *name)
{
    for (int i = 0; i < def->nkid; i++) {
        const Ast *match = def->kid[i];
        if (!match || match->kind != AST_match)
            continue;
        for (int k = 0; k < match->kid[0]->nkid; k++) {
            const Ast *call = match->kid[0]->kid[k];
            for (int j = 1; j < call->nkid; j++)
                if (call->kid[j]->text && !strcmp(call->kid[j]->text, name))
                    return (Found){.at = match, .name = call->kid[j]->loc};
        }
    }
    return (Found){0};
}

static Found find_name(const Analysis *a, const Ast **chain, int n,
                       const char *name, int at)
{
    for (int i = n - 1; i >= 0; i--) {
        Found f = declared(chain[i], name, at);
        if (!f.at && chain[i]->kind == AST_transform)
            f = pattern(chain[i], name);
        if (f.at)
            return f;
    }
    return definition(a, name);
}

/* The parameter that `name: value` or `name = value` of a call is for. */
static Found parameter(const Analysis *a, const Ast **chain, int n,
                       const char *name)
{
    for (int i = n - 1; i >= 0; i--)
        if (chain[i]->kind == AST_call && chain[i]->kid[0]->text) {
            Found def = definition(a, chain[i]->kid[0]->text);
            return def.at ? analysis_member(def.at, name) : def;
        }
    return (Found){0};
}

/* A left side in `replace`: a part or a weight of the new module. */
static Found replaced(const Analysis *a, const Ast **chain, int n,
                      const char *name)
{
    for (int i = n - 1; i >= 0; i--)
        if (chain[i]->kind == AST_replace && chain[i]->kid[0]->nkid &&
            chain[i]->kid[0]->kid[0]->text) {
            Found def = definition(a, chain[i]->kid[0]->kid[0]->text);
            return def.at ? analysis_member(def.at, name) : def;
        }
    return (Found){0};
}

static bool is_left(const Ast **chain, int n)
{
    for (int i = n - 1; i > 0; i--)
        if (chain[i - 1]->kind == AST_bind || chain[i - 1]->kind == AST_each)
            return chain[i - 1]->kid[0] == chain[i];
    return false;
}

static Found member(const Analysis *a, const Ast *dot)
{
    const Seen *base = analysis_seen(a, dot->kid[0]);
    return base && base->module ? analysis_member(base->module, dot->text)
                                : (Found){0};
}

Found analysis_find(const Analysis *a, int at)
{
    const Ast *chain[DEEP];
    int n = analysis_chain(a, at, chain, DEEP);
    const Ast *e = n ? chain[n - 1] : NULL;
    Found f = {0};
    if (!e || !e->text)
        return f;
    if (e->kind == AST_use)
        return (Found){.at = e, .file = e->text};
    if (e->kind == AST_dot && on(e->name_loc, at))
        return member(a, e);
    if (e->kind == AST_named && on(e->name_loc, at))
        return parameter(a, chain, n, e->text);
    if (e->kind == AST_name && is_left(chain, n))
        f = replaced(a, chain, n, e->text);
    if (!f.at && e->kind == AST_name)
        return find_name(a, chain, n, e->text, at);
    if (!f.at && on(e->name_loc, at)) /* it is declared here */
        return (Found){.at = e, .name = e->name_loc};
    return f;
}
