/* A spec checked with every parameter unknown: modules, models, transforms;
 * then what transforms claim, proved. */
#include "compiler/check/attempt.h"
#include <string.h>

/* ---- modules and models ---- */

Model *symbolic_model(const Spec *s, const Ast *def)
{
    Model *m = model_new(s->arena, s, def, TYPE_f32);
    m->symbolic = true;
    return m;
}

Hush hush(Spec *s)
{
    Diags *d = s->diags;
    Hush h = {d->errors, d->told, d->said.n, d->quiet};
    d->quiet = true;
    return h;
}

bool unhush(Spec *s, Hush h)
{
    Diags *d = s->diags;
    bool clean = d->told == h.told;
    d->errors = h.errors, d->told = h.told, d->said.n = h.said;
    d->quiet = h.quiet;
    return clean;
}

static void module_at(Spec *s, const Ast *def, Follow follow)
{
    Model *m = symbolic_model(s, def);
    Inst *inst = inst_unknown(m, s, def, def->text, NULL, follow);
    forward_node(m, graph_new(s->arena, def->text), inst, NULL, true);
}

/* Its defaults need be no more than one way to call it. */
static void check_module(Spec *s, const Ast *def)
{
    for (int follow = 0; follow < FOLLOW_COUNT; follow++) {
        Hush h = hush(s);
        module_at(s, def, (Follow)follow);
        if (unhush(s, h))
            return;
    }
    module_at(s, def, FOLLOW_formulas);
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

const Ast *first_of(const Ast *def, AstKind kind)
{
    for (int i = 0; i < def->nkid; i++)
        if (def->kid[i]->kind == kind)
            return def->kid[i];
    return NULL;
}

static Val unknown_unless(Attempt *t, const Ast *def, const Ast *p,
                          bool defaults)
{
    const Ast *value = p->nkid ? p->kid[0] : NULL;
    Val v = value ? eval(&t->scope, value) : val_error;
    if (!value || (!defaults && v.kind != V_string && v.kind != V_error))
        v = val_size(model_symbol(t->m, p, def->text, p->text));
    v.dim = NULL;
    return v;
}

static void bind_unknowns(Spec *s, Attempt *t, const Ast *def, bool defaults)
{
    const Ast *params = def->kid[0];
    Err err = {""};
    for (int i = 0; i < params->nkid; i++) {
        const Ast *p = params->kid[i];
        if (p->kind == AST_param_model)
            continue;
        Val v = unknown_unless(t, def, p, defaults);
        names_set(s->arena, &t->scope.local, p->text, v);
        names_set(s->arena, &t->applied.param, p->text, v);
    }
    bind_others(&t->scope, def, NULL, 0, &err);
}

/* The parent of a match: just enough for `in layer[l]`. */
static void bind_place(Attempt *t, const Ast *match)
{
    const Ast *in = match->kid[1];
    Part place = {.name = in && in->kind == AST_index ? in->kid[0]->text
                                                      : NULL};
    if (place.name && in->kid[1]->kind == AST_name)
        names_set(t->m->arena, &t->scope.local, in->kid[1]->text,
                  val_size(index_unknown(t->m, &place, in->kid[1]->text)));
}

static bool attempt(Spec *s, const Ast *def, const Ast *module,
                    const Ast *call, bool defaults, Follow follow, Attempt *t)
{
    const Ast *match = first_of(def, AST_match);
    *t = (Attempt){.m = symbolic_model(s, def), .follow = follow};
    t->applied = (Applied){.name = def->text, .spec = s, .def = def};
    t->scope = (Scope){.spec = s, .model = t->m, .g = t->m->weights,
                       .applying = &t->applied};
    t->match = inst_unknown(t->m, s, module, match->text, call, follow);
    t->m->root = t->match;
    bind_unknowns(s, t, def, defaults);
    bind_place(t, match);
    t->fresh = transform_match(&t->scope, def, inst_copy(t->m, t->match, NULL),
                               &t->applied);
    return t->fresh && forward_node(t->m, t->m->weights, t->fresh, NULL, true);
}

/* The pattern as if it named the module. */
static const Ast *under_name(Arena *a, const Ast *call, const char *name)
{
    if (!strcmp(call_name(call), name))
        return call;
    Ast *copy = arena_alloc(a, sizeof *copy), *word;
    *copy = *call;
    copy->kid = arena_alloc(a, (size_t)call->nkid * sizeof *copy->kid);
    memcpy(copy->kid, call->kid, (size_t)call->nkid * sizeof *copy->kid);
    word = arena_alloc(a, sizeof *word);
    *word = *call->kid[0];
    word->text = name;
    copy->kid[0] = word;
    return copy;
}

int matched_modules(Spec *s, const Ast *def, const Ast **out,
                    const Ast **by, int most)
{
    const Ast *match = first_of(def, AST_match);
    int n = 0;
    for (int i = 0; n < most && i < match->kid[0]->nkid; i++) {
        const Ast *call = match->kid[0]->kid[i];
        bool any = false;
        for (int j = 0; j < s->def.n && n < most; j++) {
            if (s->def.at[j]->kind != AST_module ||
                !pattern_fits(s, call, s->def.at[j]))
                continue;
            any = true;
            out[n] = s->def.at[j];
            by[n++] = under_name(s->arena, call, s->def.at[j]->text);
            if (strcmp(call_name(call), "module"))
                break;
        }
        if (!any)
            error_at(call->src, call->kid[0]->loc, "no module `%s`%s",
                     call_name(call),
                     strcmp(call_name(call), "module")
                         ? spec_hint(s, AST_module, call_name(call))
                         : " has these parameters and takes x[.., D] to "
                           "[.., D]");
    }
    return n;
}

bool try_pattern(Spec *s, const Ast *def, const Ast *module,
                 const Ast *call, bool defaults, Attempt *t)
{
    for (int follow = 0; follow < FOLLOW_COUNT; follow++) {
        Hush h = hush(s);
        bool good = attempt(s, def, module, call, defaults, (Follow)follow, t);
        if (unhush(s, h) && good)
            return true;
    }
    attempt(s, def, module, call, defaults, FOLLOW_formulas, t);
    return t->fresh != NULL;
}

static void try_whole(Spec *s, const Ast *def)
{
    for (int i = 0; i < s->def.n; i++) {
        const Ast *model = s->def.at[i];
        if (model->kind != AST_model)
            continue;
        Attempt t = {.m = symbolic_model(s, model)};
        Err err = {""};
        if (!model_fill(t.m, &err))
            return;
        t.scope = (Scope){.spec = s, .model = t.m, .g = t.m->weights};
        bind_unknowns(s, &t, def, false);
        transform_match(&t.scope, def, NULL, &t.applied);
        return; /* one model's weights are like another's */
    }
}

/* Names between {} of a message. */
static void check_message(Scope *s, const Ast *text)
{
    const char *names[256];
    int n = 0;
    for (; n < s->local.n && n < 256; n++)
        names[n] = s->local.at[n].name;
    for (const char *hole = text->text; (hole = strchr(hole, '{')); hole++) {
        const char *name = intern_n(hole + 1, strcspn(hole + 1, "}"));
        if (!names_find(&s->local, name))
            error_at(text->src, text->loc, "nothing is called `%s` here%s",
                     name, near_text(nearest(name, names, n)));
    }
}

static void check_value(Scope *s, const Ast *e)
{
    for (int i = 0; e->kind == AST_list && i < e->nkid; i++)
        check_value(s, e->kid[i]);
    if (e->kind != AST_list)
        eval(s, e);
}

/* What no match runs: the place's condition, messages, config fields. */
static void check_rest(Scope *s, const Ast *def)
{
    const Ast *match = first_of(def, AST_match);
    const Ast *config = first_of(def, AST_config);
    if (match && match->kid[2])
        eval(s, match->kid[2]);
    for (int i = 0; i < def->nkid; i++)
        if (def->kid[i]->kind == AST_require && def->kid[i]->kid[1])
            check_message(s, def->kid[i]->kid[1]);
    for (int i = 1; config && i < config->nkid; i++)
        if (config->kid[i]->kind == AST_field)
            check_value(s, config->kid[i]->kid[0]);
}

static void check_transform(Spec *s, const Ast *def)
{
    const Ast *match = first_of(def, AST_match);
    Attempt t;
    if (!match) {
        try_whole(s, def);
        return;
    }
    const Ast *module[MATCHED], *call[MATCHED];
    int n = matched_modules(s, def, module, call, MATCHED);
    for (int i = 0; i < n; i++) {
        if (try_pattern(s, def, module[i], call[i], false, &t))
            check_rest(&t.scope, def);
        try_pattern(s, def, module[i], call[i], true, &t);
    }
}

/* ---- all of it ---- */

const Rules *rules_library(void)
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
        rules_add(rules, lib->file.at[i], NULL);
    return rules;
}

/* The library's and the spec's own, which are tried first. */
static const Rules *rules_for(Spec *s)
{
    Rules *own = rules_new(s->arena);
    for (int i = 0; i < s->file.n; i++)
        rules_add(own, s->file.at[i], rules_library());
    if (!rules_count(own))
        return rules_library();
    rules_try(own, 120, 1);
    rules_join(own, rules_library());
    return own;
}

static void check_def(Spec *s, const Ast *def)
{
    if (!check_text(def))
        return;
    switch (def->kind) {
    case AST_module:    check_module(s, def); break;
    case AST_model:     check_model(s, def); break;
    case AST_transform: check_transform(s, def); break;
    case AST_recipe:    check_recipe(s, def, false); break;
    default:            break;
    }
}

static bool is_library(const Ast *def)
{
    return !strncmp(def->src->path, "<library>/", 10);
}

/* Claims are judged of the files asked for, not of what they use. */
bool is_asked(const Spec *s, const Ast *def)
{
    for (int i = 0; i < s->seen.n; i++)
        if (!strcmp(s->seen.at[i]->key, def->src->path))
            return !s->seen.at[i]->used && !is_library(def);
    return false;
}

bool spec_check(Spec *s, Claims *claims)
{
    Judge j = {s, NULL, claims, {.spec = s}};
    if (s->unread)
        return false;
    for (int i = 0; i < s->def.n && !diag_full(s->diags); i++)
        if (!is_library(s->def.at[i]) || s->def.n == 1)
            check_def(s, s->def.at[i]);
    if (s->diags->errors)
        return false;
    j.rules = rules_for(s);
    for (int i = 0; i < s->def.n; i++) {
        const Ast *def = s->def.at[i];
        if (!is_asked(s, def))
            continue;
        if (def->kind == AST_transform)
            judge_transform(&j, def);
        if (def->kind == AST_prove)
            judge_prove(&j, def);
    }
    if (!s->diags->errors)
        lint_spec(s, j.rules);
    return !s->diags->errors;
}

void spec_check_transform(Spec *s, const Ast *def, Claims *claims)
{
    Judge j = {s, rules_for(s), claims, {.spec = s}};
    judge_transform(&j, def);
    lint_put_in(s, j.rules, def);
}
