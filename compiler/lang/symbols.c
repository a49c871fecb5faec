/* Names of unknowns. Each stands for one number of one owner (a module, a
 * transform, an array's index): two that share a name in the text are two. */
#include "compiler/lang/elab.h"
#include <string.h>

typedef struct {
    const void *owner;
    const char *name; /* as the owner calls it */
    const Size *size;
    bool index; /* of an array: 0, 1, .. */
} Unknown;

struct Symbols {
    LIST(Unknown) at;
    bool guesses;
    LIST(Node *) condition;
    bool deciding;
    unsigned truth;
    LIST(SizeFact) fact;
    LIST(const Size *) divided;
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

const Size *model_symbol(Model *m, const void *owner, const char *of,
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
    Unknown one = {owner, intern(name), size_sym(symbol), false};
    list_push(m->arena, &s->at, one);
    return one.size;
}

const Size *index_unknown(Model *m, const Part *part, const char *name)
{
    struct Symbols *all = m->symbols;
    for (int i = 0; i < all->at.n; i++) /* whatever it is called */
        if (all->at.at[i].index && all->at.at[i].owner == part->name)
            return all->at.at[i].size;
    const Size *s = model_symbol(m, part->name, part->name, name);
    SizeFact counts = {s, {0, false}};
    all->at.at[all->at.n - 1].index = true;
    list_push(m->arena, &all->fact, counts);
    return s;
}

const char *model_index(const Model *m)
{
    for (int i = 0; i < m->symbols->at.n; i++)
        if (m->symbols->at.at[i].index)
            return size_text(m->symbols->at.at[i].size);
    return NULL;
}

const Size *made_unknown(Model *m, const char *key, const char *name)
{
    m->symbols->guesses = true;
    return model_symbol(m, intern(key), "made", name);
}

bool model_guesses(const Model *m)
{
    return m->symbols->guesses;
}

/* ---- conditions of `where` that are not known ---- */

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

int model_conditions(const Model *m, Node *const **out)
{
    *out = m->symbols->condition.at;
    return m->symbols->condition.n;
}

/* ---- what is known of them ---- */

static void at_least_0(Scope *s, const Size *size, bool strict)
{
    SizeFact f = {size, {0, strict}};
    if (!size_is_num(size, NULL))
        list_push(s->model->arena, &s->model->symbols->fact, f);
}

static bool is_size(Scope *s, const Ast *e, const Size **out)
{
    Val v = eval(s, e);
    *out = v.size;
    return v.kind == V_size;
}

void model_holds(Scope *s, const Ast *c)
{
    const Size *l, *r;
    if (!c || c->kind != AST_binary)
        return;
    if (!strcmp(c->text, "and")) {
        model_holds(s, c->kid[0]);
        model_holds(s, c->kid[1]);
    } else if (strchr("<>=", *c->text) && is_size(s, c->kid[0], &l) &&
               is_size(s, c->kid[1], &r)) {
        bool strict = !c->text[1];
        if (*c->text != '<')
            at_least_0(s, size_sub(l, r), strict);
        if (*c->text != '>')
            at_least_0(s, size_sub(r, l), strict);
    }
}

void model_divides(Model *m, const Size *by)
{
    if (!m->symbolic || size_is_num(by, NULL))
        return;
    for (int i = 0; i < m->symbols->divided.n; i++)
        if (m->symbols->divided.at[i] == by)
            return;
    list_push(m->arena, &m->symbols->divided, by);
}

int model_facts(const Model *m, const SizeFact **out)
{
    *out = m->symbols->fact.at;
    return m->symbols->fact.n;
}

int model_divisors(const Model *m, const Size *const **out)
{
    *out = m->symbols->divided.at;
    return m->symbols->divided.n;
}

Val unknown_truth(Scope *s, const char *text)
{
    return flag_value(s, size_text(made_unknown(s->model, text, text)));
}

/* ---- modules of unknowns ---- */

static void set(Model *m, Inst *inst, const Ast *param, Val v)
{
    names_set(m->arena, &inst->param, param->text, v);
}

/* The name that a pattern gives a parameter, if no other has it. */
static const char *pattern_name(const Ast *pattern, const Ast *params, int i)
{
    const char *own = params->kid[i]->text;
    if (!pattern || i + 1 >= pattern->nkid ||
        pattern->kid[i + 1]->kind != AST_name)
        return own;
    const char *name = pattern->kid[i + 1]->text;
    for (int j = 0; j < params->nkid; j++)
        if (j != i && (j + 1 < pattern->nkid
                           ? pattern->kid[j + 1]->kind == AST_name &&
                                 !strcmp(pattern->kid[j + 1]->text, name)
                           : !strcmp(params->kid[j]->text, name)))
            return own;
    return name;
}

Inst *inst_unknown(Model *m, const Spec *spec, const Ast *def,
                   const char *name, const Ast *pattern, Follow follow)
{
    Inst *inst = inst_new(m, spec, def, NULL, name, name);
    const Ast *params = def->nkid ? def->kid[0] : NULL;
    int n = params && params->kind == AST_params ? params->nkid : 0;
    Scope own = {.spec = spec, .model = m, .g = m->weights, .inst = inst};
    for (int i = 0; i < n; i++) {
        const Ast *p = params->kid[i];
        if (p->kind == AST_param_module)
            set(m, inst, p, p->kid[0] ? module_value(&own, p->kid[0])
                                      : unknown_module(&own));
        else if (p->nkid && p->kid[0] && (follow == FOLLOW_all ||
                               (follow == FOLLOW_formulas &&
                                p->kid[0]->kind == AST_binary)))
            set(m, inst, p, eval(&own, p->kid[0]));
        else
            set(m, inst, p,
                val_size(model_symbol(m, p, name,
                                       pattern_name(pattern, params, i))));
    }
    inst_build(m, inst, &own);
    return inst;
}

static void has_module(Inst *inst, void *user)
{
    const char **name = user;
    if (*name && !strcmp(inst->def->text, *name))
        *name = NULL;
}

bool model_has(const Model *m, const char *module)
{
    inst_walk(m->root, has_module, &module);
    return !module;
}
