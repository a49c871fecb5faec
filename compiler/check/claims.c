/* What transforms claim, handed to the prover: that a replacement computes
 * what the match did, that two rewrites give the same weights. */
#include "compiler/check/trial.h"
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
    double n = 1;
    if (v.kind == V_size) /* what is true or false, as a number */
        size_is_num(v.size, &n);
    return v.kind != V_bool ? n != 0 : v.truth;
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
    const Ast *where = first_of(a->def, AST_match)->kid[2];
    bool ok = (!a->when || holds(&s, a->when)) &&
              (!where || holds(&s, where));
    for (int i = 0; ok && i < a->def->nkid; i++)
        if (a->def->kid[i]->kind == AST_require)
            ok = holds(&s, a->def->kid[i]->kid[0]);
    return ok;
}

static bool size_of(Scope *s, const Ast *e, const Size **out)
{
    Val v = eval(s, e);
    *out = v.size;
    return v.kind == V_size;
}

/* `when K == E and scale == E` */
static int equalities(Scope *s, const Ast *e, ProveEqual *out, int n)
{
    if (!e || e->kind != AST_binary || n >= 8)
        return n;
    if (!strcmp(e->text, "and"))
        return equalities(s, e->kid[1], out, equalities(s, e->kid[0], out, n));
    const Size *l, *r;
    if (strcmp(e->text, "==") || !size_of(s, e->kid[0], &l) ||
        !size_of(s, e->kid[1], &r))
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
    for (int i = 0; i < params->nkid && n < 63; i++) {
        const Ast *p = params->kid[i];
        double value = NAN;
        const Size *size;
        if (p->kind != AST_param)
            continue;
        if (p->nkid && p->kid[0] && p->kid[0]->kind != AST_string &&
            size_of(s, p->kid[0], &size))
            size_is_num(size, &value);
        const Size *sym = model_symbol(s->model, p, def->text, p->text);
        out[n++] = (ProveParam){size_text(sym), value, false};
    }
    const char *index = model_index(s->model);
    if (index)
        out[n++] = (ProveParam){index, NAN, true};
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

void add_claim(Judge *j, const Ast *def, const Ast *at, const char *text,
                      bool silent, Proof p)
{
    Proof *proof = arena_alloc(j->spec->arena, sizeof *proof);
    *proof = p;
    Claim c = {def->text, text, at, silent, proof};
    list_push(j->spec->arena, j->claims, c);
}

int input_names(const Inst *inst, const char **out)
{
    const Ast *f = inst_forward(inst);
    int n = f ? f->kid[0]->nkid : 0;
    for (int i = 0; i < n && i < 16; i++)
        out[i] = f->kid[0]->kid[i]->text;
    return n;
}

/* Few behind a proof or a note, many where it is open. */
int trials_for(const Proof *p, const Ast *claimed)
{
    return p->result == PROOF_refuted ? isinf(p->diff_exact) && !p->factor
           : p->result == PROOF_open && claimed ? 3 : 1;
}

static bool shapes_agree(const Type *a, const Type *b)
{
    bool same = a->rank == b->rank && !a->index_of == !b->index_of;
    for (int i = 0; same && i < a->rank; i++)
        same = a->dim[i]->size == b->dim[i]->size;
    return same;
}

/* Why neither can stand in for the other, or NULL. */
const char *misfit_text(const Graph *g, const Node *a, const Node *b,
                               int n, const char *const *names)
{
    if (!shapes_agree(&a->type, &b->type))
        return intern_printf("it gives %s, the match gives %s",
                             type_text(&a->type), type_text(&b->type));
    for (int i = 0; i < n; i++) {
        const Node *first = NULL;
        for (int k = 0; k < g->node.n; k++) {
            const Node *in = g->node.at[k];
            if (in->op != OP_input || strcmp(in->name, names[i]))
                continue;
            if (first && !shapes_agree(&first->type, &in->type))
                return intern_printf("`%s` is %s for one, %s for the other",
                                     names[i], type_text(&first->type),
                                     type_text(&in->type));
            first = in;
        }
    }
    return NULL;
}

static void add_misfit(Judge *j, const Ast *def, const Ast *claim,
                       const char *why)
{
    Proof p = {.result = PROOF_refuted, .derivation = "", .at_uniform = NAN,
               .low = NAN, .high = NAN, .diff_exact = NAN, .diff_f32 = NAN,
               .diff_bf16 = NAN, .why = why};
    if (claim)
        add_claim(j, def, claim, "preserves", false, p);
}

/* What instances with numbers say has the last word. */
void settle(Judge *j, const Ast *def, Proof *p, Tried t)
{
    Arena *a = j->spec->arena;
    if (t.ran && t.diff > 1e-7 && (p->result != PROOF_refuted || t.what)) {
        const char *of = t.whole ? " (a small model, before and after)" : "";
        p->result = PROOF_refuted;
        p->instance = t.instance;
        p->why = t.what ? arena_printf(a, "undefined at %s (%s)%s", t.instance,
                                       t.what, of)
                        : arena_printf(a, "it differs by up to %.3g of the "
                                          "largest value, at %s%s",
                                       t.diff, t.instance, of);
    } else if (p->result == PROOF_proved && !t.ran) {
        p->result = PROOF_open;
        p->why = "the rules say they are equal, but no instance could be run";
    } else if (p->result == PROOF_proved && !t.wholes &&
               first_of(def, AST_replace) && first_of(def, AST_each)) {
        p->result = PROOF_open;
        p->why = "what is replaced computes the same, but no whole model could "
                 "be run, the rest of which changes too";
    }
}

typedef struct {
    Arena *arena;
    LIST(SizeFact) list;
} Facts;

/* Sizes of the weights, also of those that nothing reads. */
static void add_dims(Inst *inst, void *user)
{
    Facts *out = user;
    for (int i = 0; i < inst->slot.n; i++) {
        const Slot *slot = &inst->slot.at[i];
        for (int k = 0; !slot->decl->kid[2] && k < slot->w->type.rank; k++) {
            SizeFact f = {slot->w->type.dim[k]->size, {1, false}};
            list_push(out->arena, &out->list, f);
        }
    }
}

static Facts facts_of(Judge *j, Attempt *t, const Ast *where, const Ast *when)
{
    Facts facts = {.arena = j->spec->arena};
    const SizeFact *said;
    model_holds(&t->scope, where);
    model_holds(&t->scope, when);
    for (int i = 0, n = model_facts(t->m, &said); i < n; i++)
        list_push(facts.arena, &facts.list, said[i]);
    inst_walk(t->match, add_dims, &facts);
    inst_walk(t->fresh, add_dims, &facts);
    return facts;
}

/* Is a, of the new module, what b is, of the match? */
static Proof prove_match(Judge *j, const Ast *def, const Ast *claim,
                         Attempt *t, const char *input, Node *a, Node *b)
{
    const Ast *where = first_of(def, AST_match)->kid[2],
              *when = claim ? claim->kid[0] : NULL;
    Graph both = *t->m->weights;
    both.output.n = both.output.room = 0;
    graph_output(&both, "a", a);
    graph_output(&both, "b", b);
    Graph *start = graph_map(&both, j->spec->arena, at_start, NULL);
    ProveEqual equal[8];
    ProveParam param[64];
    Facts facts = facts_of(j, t, where, when);
    Allowed user = {t, def, when};
    int n = equalities(&t->scope, when, equal, 0);
    ProveEnv env = {
        .arena = j->spec->arena, .rules = j->rules, .equal = equal,
        .param = param, .allowed = allowed, .user = &user,
        .nequal = equalities(&t->scope, where, equal, n),
        .nparam = defaults_of(&t->scope, def, param),
        .nfact = facts.list.n, .fact = facts.list.at,
        .name = intern_printf("%s(%s)", t->match->path, input),
        .guesses = model_guesses(t->m),
        .untried = !claim && t->fresh->def == t->match->def};
    env.ndivided = model_divisors(t->m, &env.divided);
    return prove_equal(&env, start->output.at[0].node,
                       start->output.at[1].node);
}

static const char *claim_text(const Ast *claim, const char *of)
{
    Arena scratch = {0};
    const char *text = "preserves";
    if (claim && claim->kid[0])
        text = intern_printf("preserves when %s",
                             dsl_expr_text(&scratch, claim->kid[0]));
    arena_free(&scratch);
    return of ? intern_printf("%s (%s)", text, of) : text;
}

static void judge_pattern(Judge *j, const Ast *def, const Ast *pattern,
                          Attempt *t, const char *of)
{
    const Ast *claim = first_of(def, AST_preserves);
    const char *names[16];
    Graph *g = t->m->weights;
    int inputs = input_names(t->fresh, names),
        wanted = input_names(t->match, names);
    if (inputs != wanted) {
        add_misfit(j, def, claim,
                   intern_printf("it takes %d inputs, `%s` takes %d", inputs,
                                 t->match->path, wanted));
        return;
    }
    Node *a = forward_node(t->m, g, t->fresh, names, false);
    Node *b = forward_node(t->m, g, t->match, names, false);
    const char *misfit = a && b ? misfit_text(g, a, b, inputs, names)
                                : "one of the two has no forward";
    if (misfit) {
        add_misfit(j, def, claim, misfit);
        return;
    }
    Proof p = prove_match(j, def, claim, t, inputs ? names[0] : "", a, b);
    settle(j, def, &p,
           try_transform(j, def, pattern, trials_for(&p, claim)));
    add_claim(j, def, claim ? claim : def, claim_text(claim, of), !claim, p);
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
    const Ast *module[MATCHED], *call[MATCHED];
    int n = matched_modules(j->spec, def, module, call, MATCHED);
    for (int i = 0; i < n; i++) {
        Attempt t;
        if (try_pattern(j->spec, def, module[i], call[i], false, &t) &&
            !j->spec->diags->errors)
            judge_pattern(j, def, call[i], &t, n > 1 ? module[i]->text : NULL);
    }
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
