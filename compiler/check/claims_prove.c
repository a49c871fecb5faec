/* Claims of `prove`: two rewrites of a model give the same one: where modules
 * are alike their weights are compared, else what the modules compute. */
#include "compiler/check/trial.h"
#include <math.h>
#include <string.h>

/* False after a message: the argument is for no parameter. */
bool transform_has(const Ast *def, const Ast *arg)
{
    const char *names[64];
    int n = 0;
    if (arg->kind != AST_named) {
        error_at(arg->src, arg->loc,
                 "after the model, `%s` takes its parameters by name",
                 def->text);
        return false;
    }
    for (; n < def->kid[0]->nkid && n < 64; n++) {
        if (!strcmp(def->kid[0]->kid[n]->text, arg->text))
            return true;
        names[n] = def->kid[0]->kid[n]->text;
    }
    error_at(arg->src, arg->name_loc, "transform `%s` has no parameter `%s`%s",
             def->text, arg->text, near_text(nearest(arg->text, names, n)));
    return false;
}

static Model *model_of(Judge *j, const Ast *e, const char *var, Model *m)
{
    if (e->kind == AST_name && !strcmp(e->text, var))
        return m;
    if (e->kind != AST_call || e->kid[0]->kind != AST_name || e->nkid < 2) {
        error_at(e->src, e->loc, "`%s` or a transform of it is needed here",
                 var);
        return NULL;
    }
    Arg arg[32];
    int n = 0;
    Err err = {""};
    Model *in = model_of(j, e->kid[1], var, m);
    const Ast *def = spec_find(j->spec, AST_transform, e->kid[0]->text);
    if (!def && in) {
        error_at(e->src, e->kid[0]->loc, "no transform `%s`%s",
                 e->kid[0]->text,
                 spec_hint(j->spec, AST_transform, e->kid[0]->text));
        return NULL;
    }
    for (int i = 2; in && i < e->nkid && n < 32; i++)
        if (!transform_has(def, e->kid[i]))
            return NULL;
        else
            arg[n++] = (Arg){e->kid[i]->text,
                             dsl_expr_text(j->spec->arena,
                                           e->kid[i]->kid[0])};
    Model *out = in ? model_transform(j->spec, in, e->kid[0]->text, arg, n,
                                      NULL, 0, &err)
                    : NULL;
    if (in && !out && !j->spec->diags->errors)
        error_at(e->src, e->loc, "%s", err.text);
    return out;
}

/* ---- two models ---- */

typedef struct {
    Judge *j;
    Model *m; /* whose graph has the weights of both */
    ProveEnv env;
    Proof worst;
    bool computed; /* what modules compute was compared somewhere */
} Pair;

static Node *value_of(Model *m, const Weight *w)
{
    if (w->value)
        return w->value;
    Node n = {.op = OP_weight, .type = w->type, .weight = w};
    n.type.dtype = TYPE_f32;
    return graph_add(m->weights, n);
}

static bool worse(const Proof *a, const Proof *b)
{
    static const int rank[] = {[PROOF_proved] = 0, [PROOF_open] = 1,
                               [PROOF_refuted] = 2};
    if (a->result != b->result)
        return rank[a->result] > rank[b->result];
    if (!a->factor != !b->factor)
        return a->factor != NULL;
    return a->nrule > b->nrule;
}

static void add(Pair *c, Proof p)
{
    if (worse(&p, &c->worst))
        c->worst = p;
}

static Proof found(ProofResult result, const char *why)
{
    return (Proof){.result = result, .why = why, .derivation = "",
                   .at_uniform = NAN, .low = NAN, .high = NAN,
                   .diff_exact = NAN, .diff_f32 = NAN, .diff_bf16 = NAN};
}

static bool same_value(const Val *a, const Val *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case V_none:   return true;
    case V_size:   return a->size == b->size;
    case V_bool:   return a->truth == b->truth;
    case V_string: return !strcmp(a->string, b->string);
    case V_node:   return a->node == b->node;
    case V_json:   return a->json == b->json;
    default:       return false;
    }
}

/* One text with the same numbers filled in. */
static bool alike(const Inst *a, const Inst *b)
{
    bool same = (a->def == b->def || dsl_equal(a->def, b->def)) &&
                a->param.n == b->param.n && a->slot.n == b->slot.n &&
                a->part.n == b->part.n;
    for (int i = 0; same && i < a->param.n; i++)
        same = same_value(&a->param.at[i].value, &b->param.at[i].value);
    for (int i = 0; same && i < a->part.n; i++)
        same = a->part.at[i].n == b->part.at[i].n &&
               a->part.at[i].unrolled == b->part.at[i].unrolled;
    return same;
}

static void compare_weights(Pair *c, const Inst *a, const Inst *b)
{
    c->env.guesses = false; /* such are in arguments of modules */
    for (int i = 0; i < a->slot.n; i++) {
        const Slot *x = &a->slot.at[i], *y = &b->slot.at[i];
        if (x->absent && y->absent)
            continue;
        Node *p = value_of(c->m, x->w), *q = value_of(c->m, y->w);
        c->env.name = y->w->path;
        if (p != q)
            add(c, prove_equal(&c->env, p, q));
    }
}

static void compare_computed(Pair *c, Inst *a, Inst *b)
{
    const char *names[16];
    Graph *g = c->m->weights;
    int n = input_names(a, names);
    c->computed = true;
    c->env.guesses = model_guesses(c->m);
    if (n != input_names(b, names)) {
        add(c, found(PROOF_refuted,
                     intern_printf("`%s` takes other inputs", b->path)));
        return;
    }
    Node *x = forward_node(c->m, g, a, names, false),
         *y = forward_node(c->m, g, b, names, false);
    const char *misfit = x && y ? misfit_text(g, x, y, n, names)
                                : "a module has no forward";
    c->env.name = intern_printf("%s(%s)", *b->path ? b->path : "m",
                                n ? names[0] : "");
    add(c, misfit ? found(PROOF_refuted, misfit)
                  : prove_equal(&c->env, x, y));
}

static void compare_insts(Pair *c, Inst *a, Inst *b)
{
    if (!alike(a, b)) {
        compare_computed(c, a, b);
        return;
    }
    compare_weights(c, a, b);
    for (int i = 0; i < a->part.n; i++) {
        const Part *p = &a->part.at[i], *q = &b->part.at[i];
        for (int k = 0; k < (p->unrolled ? p->n : 1); k++)
            compare_insts(c, p->inst[k], q->inst[k]);
    }
}

static Proof compare_models(Judge *j, Model *a, Model *b)
{
    Pair c = {.j = j, .m = a};
    c.worst = found(PROOF_proved, "the same modules, the same weights");
    c.env = (ProveEnv){.arena = j->spec->arena, .rules = j->rules,
                       .guesses = model_guesses(a)};
    c.env.nfact = model_facts(a, &c.env.fact);
    c.env.ndivided = model_divisors(a, &c.env.divided);
    compare_insts(&c, a->root, b->root);
    if (c.worst.result == PROOF_proved && c.computed)
        c.worst.why = "the same weights, and other modules that compute the "
                      "same";
    return c.worst;
}

/* ---- conditions of `where` that are not known: both ways ---- */

enum { MOST_CONDITIONS = 4 };

typedef struct {
    Judge *j;
    const Ast *claim, *model;
    const char *var;
    bool spoilt; /* it cannot be made: reported */
} Claimed;

/* The proof where the conditions met so far are as `truth` has it. */
static Proof prove_case(Claimed *c, Model *m)
{
    Model *a = model_of(c->j, c->claim->kid[0], c->var, m);
    Model *b = a ? model_of(c->j, c->claim->kid[1], c->var, m) : NULL;
    c->spoilt |= !a || !b;
    return a && b ? compare_models(c->j, a, b) : (Proof){0};
}

static Proof prove_cases(Claimed *c)
{
    Err err = {""};
    Proof all = {0};
    for (unsigned truth = 0;; truth++) {
        Model *m = symbolic_model(c->j->spec, c->model);
        if (!model_fill(m, &err)) {
            c->spoilt = true;
            return all;
        }
        model_decide(m, truth);
        Proof p = prove_case(c, m);
        Node *const *met;
        int n = model_conditions(m, &met);
        if (c->spoilt || !n)
            return p;
        if (n > MOST_CONDITIONS)
            return found(PROOF_open, "its `where` have too many conditions");
        if (p.result == PROOF_refuted && case_possible(m, truth))
            p.result = PROOF_open; /* instances tell whether there is one */
        else if (p.result != PROOF_proved && !case_possible(m, truth))
            p = found(PROOF_proved, "no layer is of this kind");
        if (!truth || worse(&p, &all))
            all = p;
        if (truth + 1 >= 1u << n)
            return all;
    }
}

void judge_prove(Judge *j, const Ast *def)
{
    const Ast *claim = def->kid[0], *type = def->kid[1];
    const Ast *model = spec_find(j->spec, AST_model, type->text);
    if (claim->kind != AST_binary || strcmp(claim->text, "==")) {
        error_at(claim->src, claim->loc, "a claim is of the form a == b");
        return;
    }
    if (!model) {
        error_at(type->src, type->loc, "no model `%s`%s", type->text,
                 spec_hint(j->spec, AST_model, type->text));
        return;
    }
    Claimed c = {j, claim, model, def->text, false};
    Proof p = prove_cases(&c);
    if (c.spoilt)
        return;
    const char *text = dsl_expr_text(j->spec->arena, claim);
    Ast named = *def;
    named.text = text;
    settle(j, def, &p,
           try_prove(j, claim, def->text, model, trials_for(&p, def)));
    add_claim(j, &named, def, text, false, p);
}
