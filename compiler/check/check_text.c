/* What can be said of a definition from its text alone: names given twice,
 * items that may stand once, items that need another. */
#include "compiler/check/attempt.h"
#include <string.h>

static bool param_names(const Ast *def)
{
    const Ast *params = def->nkid ? def->kid[0] : NULL;
    bool ok = true;
    if (!params || params->kind != AST_params)
        return true;
    for (int i = 0; i < params->nkid; i++) {
        const Ast *p = params->kid[i];
        if (!strcmp(p->text, "T") && def->kind != AST_recipe) {
            error_at(p->src, p->name_loc,
                     "T is the tokens in flight: a parameter needs another "
                     "name");
            ok = false;
        }
        for (int j = 0; j < i; j++)
            if (!strcmp(p->text, params->kid[j]->text)) {
                error_at(p->src, p->name_loc,
                         "`%s` has two parameters `%s`", def->text, p->text);
                ok = false;
                break;
            }
    }
    return ok;
}

/* At most one item of the kind. */
static bool once(const Ast *def, AstKind kind)
{
    const Ast *first = first_of(def, kind);
    bool ok = true;
    for (int i = 0; i < def->nkid; i++) {
        const Ast *item = def->kid[i];
        if (item->kind != kind || item == first)
            continue;
        int line, col;
        loc_place(first->src, first->loc.at, &line, &col);
        Loc head = {item->loc.at, (int)strlen(ast_kind_name[kind])};
        error_at(item->src, head,
                 "one `%s` only: `%s` has its own in line %d",
                 ast_kind_name[kind], def->text, line);
        ok = false;
    }
    return ok;
}

/* An item that needs another one. */
static bool with(const Ast *def, AstKind kind, AstKind other, const char *why)
{
    const Ast *item = first_of(def, kind);
    if (!item || first_of(def, other))
        return true;
    Loc head = {item->loc.at, (int)strlen(ast_kind_name[kind])};
    error_at(item->src, head, "`%s` needs a `%s`: %s", ast_kind_name[kind],
             ast_kind_name[other], why);
    return false;
}

static bool field_names(const Ast *def)
{
    const Ast *config = first_of(def, AST_config);
    bool ok = true;
    for (int i = 1; config && i < config->nkid; i++)
        for (int j = 1; j < i; j++) {
            const Ast *a = config->kid[j], *b = config->kid[i];
            if (a->kind != AST_field || b->kind != AST_field ||
                strcmp(a->text, b->text))
                continue;
            error_at(b->src, b->name_loc,
                     def->kind == AST_model
                         ? "`%s` has a value already (a second choice follows "
                           "`else`)"
                         : "`%s` has a value already",
                     b->text);
            ok = false;
        }
    return ok;
}

static bool something_changes(const Ast *def)
{
    const Ast *match = first_of(def, AST_match);
    const Ast *preserves = first_of(def, AST_preserves);
    const Ast *replace = first_of(def, AST_replace);
    if (match && preserves && !replace) {
        for (int i = 0; i < def->nkid; i++)
            if (def->kid[i]->kind == AST_bind || def->kid[i]->kind == AST_each)
                return true;
        error_at(preserves->src, preserves->loc,
                 "nothing is changed here that could be preserved");
        return false;
    }
    return true;
}

bool check_text(const Ast *def)
{
    bool ok = true;
    switch (def->kind) {
    case AST_module:
        return param_names(def) & once(def, AST_forward);
    case AST_model:
        return once(def, AST_forward) & once(def, AST_config) &
               field_names(def);
    case AST_recipe:
        return param_names(def);
    case AST_transform:
        ok = param_names(def) & field_names(def);
        ok &= once(def, AST_match) & once(def, AST_replace) &
              once(def, AST_preserves) & once(def, AST_config);
        ok &= with(def, AST_replace, AST_match,
                   "it says what is replaced, as in match ffn: swiglu(D, F)");
        ok &= with(def, AST_preserves, AST_match,
                   "each match computes the same before and after");
        return ok && something_changes(def);
    default:
        return ok;
    }
}
