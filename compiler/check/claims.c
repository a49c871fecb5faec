/* What transforms claim, handed to the prover: that a replacement computes
 * what the match did, that two rewrites give the same weights. */
#include "compiler/check/attempt.h"
#include <math.h>
#include <string.h>

/* `require` and `when` with numbers for the parameters. */
typedef struct {
    const Attempt *t;
    const Ast *def, *when; /* or NULL */
} Allowed;

static bool holds(Scope *s, const Ast *condition)
{
    Val v = eval(s, condition);
    return v.kind != V_bool || v.truth;
}

static Val put_values(Val v, int n, const char *const *sym,
                      const double *value)
{
    for (int i = 0; v.kind == V_size && i < n; i++)
        v.size = size_subst(v.size, sym[i], size_num(value[i]));
    return v;
}

static bool allowed(void *user, int n, const char *const *sym,
                    const double *value)
{
    const Allowed *a = user;
    Scope s = a->t->scope;
    s.local = (Names){0};
    for (int i = 0; i < a->t->scope.local.n; i++) {
        const Named *one = &a->t->scope.local.at[i];
        names_set(s.model->arena, &s.local, one->name,
                  put_values(one->value, n, sym, value));
    }
    bool ok = !a->when || holds(&s, a->when);
    for (int i = 0; ok && i < a->def->nkid; i++)
        if (a->def->kid[i]->kind == AST_require)
            ok = holds(&s, a->def->kid[i]->kid[0]);
    return ok;
}

/* `when K == E and scale == E` */
static int equalities(Scope *s, const Ast *e, ProveEqual *out, int n)
{
    if (!e || e->kind != AST_binary || n >= 8)
        return n;
    if (!strcmp(e->text, "and"))
        return equalities(s, e->kid[1], out, equalities(s, e->kid[0], out, n));
    const Size *l, *r;
    if (strcmp(e->text, "==") || !eval_size(s, e->kid[0], &l) ||
        !eval_size(s, e->kid[1], &r))
        return n;
    if (e->kid[0]->kind == AST_name)
        out[n++] = (ProveEqual){intern(size_text(l)), r};
    else if (e->kid[1]->kind == AST_name)
        out[n++] = (ProveEqual){intern(size_text(r)), l};
    return n;
}

static int defaults_of(Scope *s, const Ast *def, ProveParam *out)
{
    const Ast *params = def->kid[0];
    int n = 0;
    for (int i = 0; i < params->nkid && n < 64; i++) {
        const Ast *p = params->kid[i];
        double value = NAN;
        const Size *size;
        if (p->kind != AST_param)
            continue;
        if (p->nkid && p->kid[0] && p->kid[0]->kind != AST_string &&
            eval_size(s, p->kid[0], &size))
            size_is_num(size, &value);
        out[n++] = (ProveParam){intern(p->text), value};
    }
    return n;
}

/* Learned values as they are at the start. */
static Node *at_start(Graph *to, Node n, const Node *old, void *user)
{
    (void)user;
    if (n.op == OP_learned && old->weight->value) {
        const Node *v = old->weight->value;
        Node copy = *v;
        if (v->op == OP_expand && v->arg[0]->op == OP_number) {
            copy.arg[0] = graph_add(to, *v->arg[0]);
            return graph_add(to, copy);
        }
        if (v->op == OP_number)
            return graph_add(to, copy);
    }
    return graph_add(to, n);
}

static void add_claim(Judge *j, const Ast *def, const Ast *at, const char *text,
                      bool silent, Proof p)
{
    Proof *proof = arena_alloc(j->spec->arena, sizeof *proof);
    *proof = p;
    Claim c = {def->text, text, at, silent, proof};
    list_push(j->spec->arena, j->claims, c);
}

static int input_names(const Inst *inst, const char **out)
{
    const Ast *f = inst_forward(inst);
    int n = f ? f->kid[0]->nkid : 0;
    for (int i = 0; i < n && i < 16; i++)
        out[i] = f->kid[0]->kid[i]->text;
    return n;
}

static void judge_trial(Judge *j, const Ast *def, Attempt *t, const char *of)
{
    const Ast *claim = first_of(def, AST_preserves);
    const char *names[16];
    Graph *g = t->m->weights;
    if (input_names(t->match, names) != input_names(t->fresh, names))
        return;
    input_names(t->match, names);
    Node *a = forward_node(t->m, g, t->fresh, names, false);
    Node *b = forward_node(t->m, g, t->match, names, false);
    if (!a || !b)
        return;
    Graph both = *g;
    both.output.n = both.output.room = 0;
    graph_output(&both, "a", a);
    graph_output(&both, "b", b);
    Graph *start = graph_map(&both, j->spec->arena, at_start, NULL);
    ProveEqual equal[8];
    ProveParam param[64];
    Allowed user = {t, def, claim ? claim->kid[0] : NULL};
    ProveEnv env = {
        .arena = j->spec->arena, .rules = j->rules, .equal = equal,
        .param = param, .allowed = allowed, .user = &user,
        .nequal = equalities(&t->scope, claim ? claim->kid[0] : NULL, equal,
                             0),
        .nparam = defaults_of(&t->scope, def, param),
        .name = intern_printf("%s(%s)", t->match->path, names[0]),
        .untried = !claim && t->fresh->def == t->match->def};
    Proof p = prove_equal(&env, start->output.at[0].node,
                          start->output.at[1].node);
    Arena scratch = {0};
    const char *text =
        !claim ? "preserves"
        : claim->kid[0]
            ? intern_printf("preserves when %s",
                            dsl_expr_text(&scratch, claim->kid[0]))
            : "preserves";
    if (of)
        text = intern_printf("%s (%s)", text, of);
    arena_free(&scratch);
    add_claim(j, def, claim ? claim : def, text, !claim, p);
}

/* A transform that gives other numbers of inputs, or merges what was trained
 * apart, has nothing to preserve unless it says so. */
static bool worth_judging(const Ast *def)
{
    if (first_of(def, AST_preserves))
        return true;
    const Ast *params = def->kid[0];
    for (int i = 0; i < params->nkid; i++)
        if (params->kid[i]->kind == AST_param_model)
            return false;
    return first_of(def, AST_replace) && !first_of(def, AST_learn);
}

void judge_transform(Judge *j, const Ast *def)
{
    const Ast *match = first_of(def, AST_match);
    if (!match || !worth_judging(def))
        return;
    const Ast *module[MATCHED];
    int n = matched_modules(j->spec, def, module, MATCHED);
    for (int i = 0; i < n; i++) {
        Attempt t;
        if (try_pattern(j->spec, def, module[i], false, &t) &&
            !j->spec->diags->errors)
            judge_trial(j, def, &t, n > 1 ? module[i]->text : NULL);
    }
}

/* ---- prove a == b for m: llama ---- */

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

static Node *value_of(Model *m, const Weight *w)
{
    if (w->value)
        return w->value;
    Node n = {.op = OP_weight, .type = w->type, .weight = w};
    n.type.dtype = TYPE_f32;
    return graph_add(m->weights, n);
}

static const Weight *find_path(const Weight *const *w, int n, const char *path)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(w[i]->path, path))
            return w[i];
    return NULL;
}

static bool worse(const Proof *a, const Proof *b)
{
    static const int rank[] = {[PROOF_proved] = 0, [PROOF_open] = 1,
                               [PROOF_refuted] = 2};
    return rank[a->result] > rank[b->result] ||
           (a->result == b->result && a->nrule > b->nrule);
}

static Proof missing(Judge *j, const char *path)
{
    return (Proof){.result = PROOF_refuted,
                   .why = arena_printf(j->spec->arena,
                                       "only one side has the weight `%s`",
                                       path),
                   .derivation = "", .at_uniform = NAN, .low = NAN,
                   .high = NAN, .diff_exact = NAN, .diff_f32 = NAN,
                   .diff_bf16 = NAN};
}

static Proof compare_models(Judge *j, Model *a, Model *b)
{
    const Weight *const *wa, *const *wb;
    int na = model_weights(a, &wa), nb = model_weights(b, &wb);
    Proof worst = {.result = PROOF_proved, .why = "the same weights",
                   .derivation = "", .at_uniform = NAN, .low = NAN,
                   .high = NAN};
    ProveEnv env = {.arena = j->spec->arena, .rules = j->rules};
    for (int i = 0; i < na; i++) {
        const Weight *other = find_path(wb, nb, wa[i]->path);
        if (!other)
            return missing(j, wa[i]->path);
        Node *x = value_of(a, wa[i]), *y = value_of(b, other);
        if (x == y)
            continue;
        env.name = other->path;
        Proof p = prove_equal(&env, x, y);
        if (worse(&p, &worst))
            worst = p;
    }
    return na == nb ? worst : missing(j, "of another module");
}

void judge_prove(Judge *j, const Ast *def)
{
    const Ast *claim = def->kid[0], *type = def->kid[1];
    const Ast *model = spec_find(j->spec, AST_model, type->text);
    Err err = {""};
    if (claim->kind != AST_binary || strcmp(claim->text, "==")) {
        error_at(claim->src, claim->loc, "a claim is of the form a == b");
        return;
    }
    if (!model) {
        error_at(type->src, type->loc, "no model `%s`%s", type->text,
                 spec_hint(j->spec, AST_model, type->text));
        return;
    }
    Model *m = symbolic_model(j->spec, model);
    if (!model_fill(m, &err))
        return;
    Model *a = model_of(j, claim->kid[0], def->text, m);
    Model *b = model_of(j, claim->kid[1], def->text, m);
    if (!a || !b)
        return;
    const char *text = dsl_expr_text(j->spec->arena, claim);
    Ast named = *def;
    named.text = text;
    add_claim(j, &named, def, text, false, compare_models(j, a, b));
}

bool claim_report(const Claim *c)
{
    if (c->silent)
        return false;
    const Ast *at = c->at;
    if (c->proof->result == PROOF_refuted)
        error_at(at->src, at->loc, "this does not hold: %s", c->proof->why);
    else if (c->proof->result == PROOF_open)
        warning_at(at->src, at->loc, "neither proved nor refuted: %s",
                   c->proof->why);
    return c->proof->result == PROOF_refuted;
}
