/* Conditions of `where` that are not known: each is taken to hold and not to
 * hold, and cases that no layer is in are left out. */
#include "compiler/interp/interp.h"
#include "compiler/lang/symbols.h"
#include <string.h>

void model_decide(Model *m, unsigned truth)
{
    m->symbols->deciding = true;
    m->symbols->truth = truth;
}

bool model_decided(Model *m, Node *condition)
{
    struct Symbols *s = m->symbols;
    if (!s->deciding)
        return true;
    int i = 0;
    while (i < s->condition.n && s->condition.at[i] != condition)
        i++;
    if (i == s->condition.n)
        list_push(m->arena, &s->condition, condition);
    return i > 31 || !(s->truth >> i & 1);
}

int model_conditions(const Model *m)
{
    return m->symbols->condition.n;
}

/* ---- is there such a layer? ---- */

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

static bool is_index(const struct Symbols *s, const char *sym)
{
    for (int i = 0; i < s->at.n; i++)
        if (!strcmp(size_text(s->at.at[i].size), sym))
            return s->at.at[i].index;
    return false;
}

/* All conditions at one layer. */
static bool case_at(const struct Symbols *s, const char *sym, double layer)
{
    Arena arena = {0};
    Err err;
    Tensor *value[32];
    InterpEnv env = {.T = 1, .exact = true};
    Graph *g = graph_at(&arena, s->condition.n, s->condition.at, 1, &sym,
                        &layer, TYPE_f32);
    bool same = g && interp_run(g, &env, &arena, value, &err);
    for (int i = 0; same && i < s->condition.n; i++)
        same = (value[i]->at[0] != 0) == !(s->truth >> i & 1);
    arena_free(&arena);
    return same;
}

bool model_case_possible(const Model *m)
{
    const struct Symbols *s = m->symbols;
    Kinds k = {0};
    for (int i = 0; i < s->condition.n; i++)
        kinds_of(s->condition.at[i], &k);
    if (!k.sym || !is_index(s, k.sym) || k.large || s->condition.n > 8)
        return true;
    for (int layer = 0; layer < LAYERS; layer++)
        if (case_at(s, k.sym, layer))
            return true;
    return false;
}
