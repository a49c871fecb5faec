/* Conditions of `where` that are not known: each is taken to hold and not to
 * hold, and cases that no layer is in are left out. */
#include "compiler/check/trial.h"
#include <string.h>

enum { LAYERS = 24, LARGEST = 8 };

typedef struct {
    const char *sym; /* the only one; "": there are several */
    bool large;      /* a number that LAYERS may not do for */
} Kinds;

static void one_symbol(void *user, const char *sym)
{
    Kinds *k = user;
    if (!k->sym)
        k->sym = sym;
    else if (k->sym != sym)
        k->sym = "";
}

static void kinds_of(const Node *n, Kinds *k)
{
    if (n->op == OP_number)
        k->large |= n->num > LARGEST;
    if (n->op == OP_flag)
        k->sym = "";
    if (n->size) {
        size_symbols(n->size, one_symbol, k);
        for (const char *c = size_text(n->size); *c; c++)
            k->large |= c[0] >= '0' && c[0] <= '9' && c[1] >= '0' &&
                        c[1] <= '9';
    }
    for (int i = 0; i < op_info[n->op].nargs; i++)
        kinds_of(n->arg[i], k);
}

/* All conditions at one layer. */
static bool case_at(int n, Node *const *condition, unsigned truth,
                    const char *sym, double layer)
{
    Arena arena = {0};
    Err err;
    Tensor *value[32];
    InterpEnv env = {.T = 1, .exact = true};
    Graph *g = graph_at(&arena, n, condition, 1, &sym, &layer, TYPE_f32);
    bool same = g && interp_run(g, &env, &arena, value, &err);
    for (int i = 0; same && i < n; i++)
        same = (value[i]->at[0] != 0) == !(truth >> i & 1);
    arena_free(&arena);
    return same;
}

bool case_possible(const Model *m, unsigned truth)
{
    Kinds k = {0};
    Node *const *condition;
    int n = model_conditions(m, &condition);
    const char *index = model_index(m);
    for (int i = 0; i < n; i++)
        kinds_of(condition[i], &k);
    if (!k.sym || !index || strcmp(k.sym, index) || k.large || n > 8)
        return true;
    for (int layer = 0; layer < LAYERS; layer++)
        if (case_at(n, condition, truth, k.sym, layer))
            return true;
    return false;
}
