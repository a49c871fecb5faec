/* A spec checked with every parameter unknown: modules, models, transforms;
 * then what transforms claim, proved. */
#include "compiler/elab.h"
#include <math.h>
#include <string.h>

/* ---- modules and models ---- */

static Model *symbolic_model(const Spec *s, const Ast *def)
{
    Model *m = model_new(s->arena, s, def, TYPE_f32);
    m->symbolic = true;
    return m;
}

static void check_module(Spec *s, const Ast *def)
{
    Model *m = symbolic_model(s, def);
    Inst *inst = inst_unknown(m, s, def, def->text);
    forward_node(m, graph_new(s->arena, def->text), inst, NULL, true);
}

static Model *check_model(Spec *s, const Ast *def)
{
    Model *m = symbolic_model(s, def);
    Err err = {""};
    if (!model_fill(m, &err))
        return NULL;
    forward_node(m, graph_new(s->arena, def->text), m->root, NULL, true);
    return m;
}

/* ---- transforms ---- */

/* One pattern of a transform with its replacement; both over unknowns. */
typedef struct {
    Model *m;
    Scope scope;
    Applied applied;
    Inst *match, *fresh;
} Trial;

static const Ast *first_of(const Ast *def, AstKind kind)
{
    for (int i = 0; i < def->nkid; i++)
        if (def->kid[i]->kind == kind)
            return def->kid[i];
    return NULL;
}

static Val unknown_unless(Spec *s, Scope *scope, const Ast *p, bool defaults)
{
    const Ast *value = p->nkid ? p->kid[0] : NULL;
    Val v = value ? eval(scope, value) : val_size(size_sym(p->text));
    (void)s;
    if (v.kind == V_size && !defaults)
        v = val_size(size_sym(p->text));
    v.dim = NULL;
    return v;
}

static void bind_unknowns(Spec *s, Trial *t, const Ast *def, bool defaults)
{
    const Ast *params = def->kid[0];
    Err err = {""};
    for (int i = 0; i < params->nkid; i++) {
        const Ast *p = params->kid[i];
        if (p->kind == AST_param_model)
            continue;
        Val v = unknown_unless(s, &t->scope, p, defaults);
        names_set(s->arena, &t->scope.local, p->text, v);
        names_set(s->arena, &t->applied.param, p->text, v);
    }
    bind_others(&t->scope, def, NULL, 0, &err);
}

/* The parent of a match: just enough for `in layer[l]`. */
static void bind_place(Trial *t, const Ast *match)
{
    const Ast *in = match->kid[1];
    if (in && in->kind == AST_index && in->kid[1]->kind == AST_name)
        names_set(t->m->arena, &t->scope.local, in->kid[1]->text,
                  val_size(size_sym(in->kid[1]->text)));
}

static Inst *shallow_copy(Model *m, const Inst *old)
{
    Inst *inst = arena_alloc(m->arena, sizeof *inst);
    *inst = *old;
    inst->slot.at = NULL, inst->slot.n = inst->slot.room = 0;
    for (int i = 0; i < old->slot.n; i++)
        list_push(m->arena, &inst->slot, old->slot.at[i]);
    return inst;
}

static bool try_pattern(Spec *s, const Ast *def, const Ast *call,
                        bool defaults, Trial *t)
{
    const Ast *module = spec_find(s, AST_module, call_name(call));
    const Ast *match = first_of(def, AST_match);
    if (!module) {
        const char *near = spec_nearest(s, AST_module, call_name(call));
        error_at(call->src, call->loc, "no module `%s`%s%s%s", call_name(call),
                 near ? " (did you mean `" : "", near ? near : "",
                 near ? "`?)" : "");
        return false;
    }
    *t = (Trial){.m = symbolic_model(s, def)};
    t->applied = (Applied){.name = def->text, .spec = s, .def = def};
    t->scope = (Scope){.spec = s, .model = t->m, .g = t->m->weights,
                       .applying = &t->applied};
    t->match = inst_unknown(t->m, s, module, match->text);
    t->m->root = t->match;
    bind_unknowns(s, t, def, defaults);
    bind_place(t, match);
    Inst *changed = shallow_copy(t->m, t->match);
    t->fresh = transform_match(&t->scope, def, changed, &t->applied);
    return t->fresh != NULL;
}

static void try_whole(Spec *s, const Ast *def)
{
    for (int i = 0; i < s->def.n; i++) {
        const Ast *model = s->def.at[i];
        if (model->kind != AST_model)
            continue;
        Trial t = {.m = symbolic_model(s, model)};
        Err err = {""};
        if (!model_fill(t.m, &err))
            return;
        t.scope = (Scope){.spec = s, .model = t.m, .g = t.m->weights};
        bind_unknowns(s, &t, def, false);
        transform_match(&t.scope, def, NULL, &t.applied);
        return; /* one model's weights are like another's */
    }
}

static void check_transform(Spec *s, const Ast *def)
{
    const Ast *match = first_of(def, AST_match);
    Trial t;
    if (!match) {
        try_whole(s, def);
        return;
    }
    for (int i = 0; i < match->kid[0]->nkid; i++) {
        const Ast *call = match->kid[0]->kid[i];
        if (try_pattern(s, def, call, false, &t))
            forward_node(t.m, t.m->weights, t.fresh, NULL, true);
        if (try_pattern(s, def, call, true, &t))
            forward_node(t.m, t.m->weights, t.fresh, NULL, true);
    }
}

/* ---- claims ---- */

typedef struct {
    Spec *spec;
    const Rules *rules;
    Claims *claims;
} Judge;

/* `require` with numbers for the parameters. */
typedef struct {
    const Trial *t;
    const Ast *def;
} Allowed;

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
    bool ok = true;
    s.local = (Names){0};
    for (int i = 0; i < a->t->scope.local.n; i++) {
        const Named *one = &a->t->scope.local.at[i];
        names_set(s.model->arena, &s.local, one->name,
                  put_values(one->value, n, sym, value));
    }
    for (int i = 0; ok && i < a->def->nkid; i++)
        if (a->def->kid[i]->kind == AST_require) {
            Val v = eval(&s, a->def->kid[i]->kid[0]);
            ok = v.kind != V_bool || v.truth;
        }
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

static void judge_trial(Judge *j, const Ast *def, Trial *t, const char *of)
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
    Allowed user = {t, def};
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

static void judge_transform(Judge *j, const Ast *def)
{
    const Ast *match = first_of(def, AST_match);
    if (!match || !worth_judging(def))
        return;
    int n = match->kid[0]->nkid;
    for (int i = 0; i < n; i++) {
        const Ast *call = match->kid[0]->kid[i];
        Trial t;
        if (try_pattern(j->spec, def, call, false, &t) &&
            !j->spec->diags->errors)
            judge_trial(j, def, &t, n > 1 ? call_name(call) : NULL);
    }
}

/* ---- prove a == b for m: llama ---- */

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
    for (int i = 2; in && i < e->nkid && n < 32; i++)
        if (e->kid[i]->kind == AST_named)
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

static void judge_prove(Judge *j, const Ast *def)
{
    const Ast *claim = def->kid[0], *type = def->kid[1];
    const Ast *model = spec_find(j->spec, AST_model, type->text);
    Err err = {""};
    if (claim->kind != AST_binary || strcmp(claim->text, "==")) {
        error_at(claim->src, claim->loc, "a claim is of the form a == b");
        return;
    }
    if (!model) {
        error_at(type->src, type->loc, "no model `%s`", type->text);
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

/* ---- all of it ---- */

static const Rules *library_rules(Spec *s)
{
    static Arena kept; /* rules serve all specs of a process */
    static Rules *rules;
    static Diags diags;
    if (rules)
        return rules;
    Spec *lib = spec_new(&kept, &diags);
    rules = rules_new(&kept);
    spec_library(lib, "rules");
    for (int i = 0; i < lib->file.n; i++)
        rules_add(rules, lib->file.at[i]);
    (void)s;
    return rules;
}

static void check_def(Spec *s, const Ast *def)
{
    switch (def->kind) {
    case AST_module:    check_module(s, def); break;
    case AST_model:     check_model(s, def); break;
    case AST_transform: check_transform(s, def); break;
    default:            break;
    }
}

static bool is_library(const Ast *def)
{
    return !strncmp(def->src->path, "<library>/", 10);
}

bool spec_check(Spec *s, Claims *claims)
{
    Judge j = {s, NULL, claims};
    for (int i = 0; i < s->def.n && !diag_full(s->diags); i++)
        if (!is_library(s->def.at[i]) || s->def.n == 1)
            check_def(s, s->def.at[i]);
    if (s->diags->errors)
        return false;
    j.rules = library_rules(s);
    for (int i = 0; i < s->def.n; i++) {
        const Ast *def = s->def.at[i];
        if (is_library(def))
            continue;
        if (def->kind == AST_transform)
            judge_transform(&j, def);
        if (def->kind == AST_prove)
            judge_prove(&j, def);
    }
    return !s->diags->errors;
}
