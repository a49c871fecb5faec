/* What a parameter is used as, read from the text: a size, a number, a truth
 * value, a window. Values for trials are drawn by it. */
#include "compiler/check/trial.h"
#include <string.h>

typedef struct {
    Roles *all;
    const char *name;
    int depth;
    unsigned found;
} Scan;

static void scan(Scan *s, const Ast *e, unsigned as);
static unsigned role_at(Roles *all, const Ast *def, const char *name,
                        int depth);

static void scan_kids(Scan *s, const Ast *e, int from, unsigned as)
{
    for (int i = from; i < e->nkid; i++)
        if (e->kid[i])
            scan(s, e->kid[i], as);
}

/* Of an argument for a module's parameter: as that is used. */
static void scan_module_arg(Scan *s, const Ast *module, const Ast *arg, int at)
{
    const Ast *params = module->kid[0];
    const char *name = NULL;
    if (arg->kind == AST_named) {
        name = arg->text;
        arg = arg->kid[0];
    } else if (params && at < params->nkid) {
        name = params->kid[at]->text;
    }
    if (!name || s->depth > 6)
        return;
    Scan inner = {s->all, s->name, s->depth + 1, 0};
    scan(&inner, arg, ROLE_number);
    if (inner.found)
        scan(s, arg, role_at(s->all, module, name, s->depth + 1));
}

static unsigned builtin_role(const char *f, const Ast *arg, int at)
{
    bool named = arg->kind == AST_named;
    if (!strcmp(f, "topk"))
        return named && strcmp(arg->text, "over") ? ROLE_size : ROLE_number;
    if (!strcmp(f, "rope"))
        return named ? ROLE_share : at == 2 ? ROLE_base
               : at == 3 ? ROLE_scaling : ROLE_number;
    if (!strcmp(f, "attend"))
        return named ? ROLE_window : ROLE_number;
    if (!strcmp(f, "has"))
        return at == 1 ? ROLE_list : ROLE_number;
    if (!strcmp(f, "shuffle"))
        return at == 2 ? ROLE_size : ROLE_number;
    return named && !strcmp(arg->text, "seed") ? ROLE_size : ROLE_number;
}

static void scan_call(Scan *s, const Ast *e)
{
    const char *f = e->kid[0]->kind == AST_name ? e->kid[0]->text : "";
    const Ast *module = spec_find(s->all->spec, AST_module, f);
    for (int i = 1; i < e->nkid; i++) {
        const Ast *arg = e->kid[i];
        if (module)
            scan_module_arg(s, module, arg, i - 1);
        else
            scan(s, arg->kind == AST_named ? arg->kid[0] : arg,
                 builtin_role(f, arg, i));
    }
}

static bool is_plain(const Ast *e)
{
    return e->kind == AST_string ||
           (e->kind == AST_name && (!strcmp(e->text, "none") ||
                                    !strcmp(e->text, "true") ||
                                    !strcmp(e->text, "false")));
}

static unsigned compared_with(const Ast *e)
{
    return e->kind == AST_string          ? ROLE_text
           : !strcmp(e->text, "none")     ? ROLE_none
                                          : ROLE_truth;
}

static void scan_binary(Scan *s, const Ast *e, unsigned as)
{
    const Ast *l = e->kid[0], *r = e->kid[1];
    if (!strcmp(e->text, "and") || !strcmp(e->text, "or"))
        as = ROLE_truth;
    else if (strchr("=!<>", *e->text))
        as = is_plain(r) ? compared_with(r)
             : is_plain(l) ? compared_with(l) : ROLE_number;
    scan(s, l, as);
    scan(s, r, as);
}

static void scan(Scan *s, const Ast *e, unsigned as)
{
    switch (e->kind) {
    case AST_name:
        if (!strcmp(e->text, s->name))
            s->found |= as;
        return;
    case AST_not:
        scan(s, e->kid[0], ROLE_truth);
        return;
    case AST_binary:
        scan_binary(s, e, as);
        return;
    case AST_cond:
        scan(s, e->kid[0], ROLE_truth);
        scan(s, e->kid[1], as);
        scan(s, e->kid[2], as);
        return;
    case AST_dims:
    case AST_weight:
    case AST_part:
    case AST_farg:
    case AST_input:
        for (int i = 0; i < e->nkid; i++)
            if (e->kid[i])
                scan(s, e->kid[i],
                     i && i == e->nkid - 1 && e->kind != AST_dims &&
                             e->kind != AST_farg && e->kind != AST_input
                         ? ROLE_truth
                         : ROLE_size);
        return;
    case AST_call:
        scan_call(s, e);
        return;
    case AST_index: /* types[l]: a list of the config */
        if (e->kid[0]->kind == AST_name && !strcmp(e->kid[0]->text, s->name))
            s->found |= ROLE_list;
        else
            scan(s, e->kid[0], as);
        scan_kids(s, e, 1, ROLE_number);
        return;
    case AST_field: /* its own name is no use of it */
    case AST_params:
        return;
    default:
        scan_kids(s, e, 0, as);
    }
}

static unsigned role_at(Roles *all, const Ast *def, const char *name,
                        int depth)
{
    for (int i = 0; i < all->known.n; i++)
        if (all->known.at[i].def == def && all->known.at[i].name == name)
            return all->known.at[i].role;
    Scan s = {all, name, depth, 0};
    scan_kids(&s, def, 0, ROLE_number);
    Role one = {def, name, s.found};
    list_push(all->spec->arena, &all->known, one);
    return s.found;
}

unsigned role_in(Roles *all, const Ast *def, const char *name)
{
    return role_at(all, def, name, 0);
}
