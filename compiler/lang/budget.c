/* How much a text may ask for. A few lines can ask for more than any machine
 * has: modules in modules double with each line, and so do loops in loops. */
#include "compiler/lang/elab.h"

enum { MOST_PARTS = 50 * 1000, MOST_STEPS = 200 * 1000,
       MOST_NODES = 1000 * 1000 };

/* Said once to whoever listens; what comes after is left out in silence. */
static bool spend(Scope *s, const Ast *at, const char *what, int most)
{
    const char **spent = s->model->spec->spent;
    bool said = *spent && at->src->diags->errors;
    if (!*spent)
        *spent = intern_printf("%s than %d", what, most);
    if (!said)
        error_at(at->src, at->loc, "%s", *spent);
    return false;
}

bool budget_spent(const Model *m)
{
    return *m->spec->spent != NULL;
}

bool budget_part(Scope *s, const Ast *at)
{
    return (!budget_spent(s->model) && ++s->model->parts <= MOST_PARTS) ||
           spend(s, at, "modules stand in modules: they are more",
                 MOST_PARTS);
}

bool budget_step(Scope *s, const Ast *at)
{
    if (s->g && s->g->node.n > MOST_NODES)
        return spend(s, at, "a graph has more operations", MOST_NODES);
    return (!budget_spent(s->model) && ++s->model->steps <= MOST_STEPS) ||
           spend(s, at, "loops and calls run more statements", MOST_STEPS);
}
