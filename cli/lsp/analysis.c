/* A text checked, with what each of its expressions is. */
#include "cli/lsp/server.h"
#include <string.h>

static void watch(void *user, const Ast *at, const char *what,
                  const Ast *module)
{
    Analysis *a = user;
    Seen one = {at, what, module};
    if (at->src == a->src)
        list_push(&a->arena, &a->seen, one);
}

static const char *text_of(void *user, const char *path)
{
    const Server *s = user;
    for (int i = 0; i < s->open.n; i++)
        if (!strcmp(s->open.at[i].path, path))
            return s->open.at[i].text;
    return NULL;
}

Analysis *analysis_new(const Server *s, const Document *d)
{
    Analysis *a = xmalloc(sizeof *a);
    *a = (Analysis){.diags.quiet = true};
    a->spec = spec_new(&a->arena, &a->diags);
    spec_overlay(a->spec, text_of, (void *)s);
    spec_text(a->spec, d->path, d->text);
    const Ast *const *file;
    int n = spec_files(a->spec, &file);
    for (int i = 0; i < n; i++)
        if (!strcmp(file[i]->src->path, d->path))
            a->tree = file[i], a->src = file[i]->src;
    spec_watch(a->spec, watch, a);
    spec_check(a->spec, &a->claims);
    spec_watch(a->spec, NULL, NULL);
    for (int i = 0; i < a->claims.n; i++)
        claim_report(&a->claims.at[i]);
    return a;
}

void analysis_free(Analysis *a)
{
    if (!a)
        return;
    diags_free(&a->diags);
    arena_free(&a->arena);
    free(a);
}

const Seen *analysis_seen(const Analysis *a, const Ast *at)
{
    for (int i = a->seen.n - 1; i >= 0; i--)
        if (a->seen.at[i].at == at)
            return &a->seen.at[i];
    return NULL;
}

static bool holds(Loc loc, int at)
{
    return at >= loc.at && at <= loc.at + loc.len;
}

int analysis_chain(const Analysis *a, int at, const Ast **chain, int most)
{
    int n = 0;
    for (const Ast *e = a->tree; e && n < most;) {
        chain[n++] = e;
        const Ast *inner = NULL; /* of two that touch, the one that starts */
        for (int i = 0; i < e->nkid; i++)
            if (e->kid[i] && holds(e->kid[i]->loc, at))
                inner = e->kid[i];
        e = inner;
    }
    return n;
}

/* ---- declarations ---- */

static void visit_item(const Ast *item, Visit *visit, void *user)
{
    switch (item->kind) {
    case AST_params:
    case AST_weights:
    case AST_learn:
    case AST_fargs:
        for (int i = 0; i < item->nkid; i++)
            visit(user, item->kid[i], item->kid[i]->text);
        break;
    case AST_config:
        for (int i = 1; i < item->nkid; i++)
            if (item->kid[i]->kind == AST_field)
                visit(user, item->kid[i], item->kid[i]->text);
        break;
    case AST_part:
    case AST_input:
    case AST_match:
        if (item->text)
            visit(user, item, item->text);
        break;
    default:
        break;
    }
}

void analysis_members(const Ast *def, Visit *visit, void *user)
{
    for (int i = 0; i < def->nkid; i++)
        if (def->kid[i])
            visit_item(def->kid[i], visit, user);
}

typedef struct {
    const char *name;
    Found found;
} Wanted;

static void wanted(void *user, const Ast *decl, const char *name)
{
    Wanted *w = user;
    if (!w->found.at && !strcmp(w->name, name))
        w->found = (Found){.at = decl, .name = decl->name_loc};
}

Found analysis_member(const Ast *def, const char *name)
{
    Wanted w = {.name = name};
    analysis_members(def, wanted, &w);
    return w.found;
}
