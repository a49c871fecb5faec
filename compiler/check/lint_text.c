/* Warnings from the text alone: values that nothing reads. */
#include "compiler/check/lint.h"
#include <string.h>

/* How often the text names it, targets of assignments aside. */
static int named(const Ast *a, const char *name)
{
    int n = 0;
    if (!a || a->kind == AST_targets)
        return 0;
    if (a->kind == AST_name && a->text == name)
        return 1;
    for (int i = 0; i < a->nkid; i++)
        n += named(a->kid[i], name);
    return n;
}

static void unread(const Ast *scope, const Ast *assign)
{
    const Ast *targets = assign->kid[0];
    for (int i = 0; i < targets->nkid; i++)
        if (named(scope, targets->kid[i]->text))
            return;
    warning_at(targets->src, targets->loc, "nothing reads `%s`",
               targets->kid[0]->text);
}

static void look_in(const Ast *scope, const Ast *a)
{
    if (!a)
        return;
    if (a->kind == AST_assign)
        unread(scope, a);
    for (int i = 0; i < a->nkid; i++) {
        look_in(scope, a->kid[i]);
        if (a->kid[i] && a->kid[i]->kind == AST_return)
            return; /* what follows is warned of already */
    }
}

void lint_text(const Ast *def)
{
    if (def->kind == AST_transform) {
        look_in(def, def);
        return;
    }
    for (int i = 0; i < def->nkid; i++)
        if (def->kid[i] && def->kid[i]->kind == AST_forward)
            look_in(def->kid[i], def->kid[i]);
}
