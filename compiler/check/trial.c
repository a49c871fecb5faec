/* Claims tried on instances with numbers for all that is unknown: the matched
 * module on its own, then a small model before and after `apply`. What is
 * computed is compared, in real numbers. */
#include "compiler/check/trial.h"
#include <math.h>
#include <string.h>

enum { LONE = 8, WHOLE = 4, TRIES = 12, MOST_WITH = 32 };
static const double DIFFERENT = 1e-7;

/* ---- leaves ---- */

typedef struct {
    const Draws *d;
    int64_t T;
    bool start; /* learned values are as they begin */
    bool training;
} Run;

static double element(const Run *r, uint64_t key, uint64_t at, bool weight)
{
    switch (r->d->style) {
    case STYLE_equal: return floor(3 * random_uniform(key, at)) - 1;
    case STYLE_zero:  return weight ? 0 : random_gaussian(key, at);
    case STYLE_large: return 30 * random_gaussian(key, at);
    default:          return random_gaussian(key, at);
    }
}

static void fill(const Run *r, const char *name, const Type *t, bool weight,
                 double *out)
{
    uint64_t key = random_key(r->d->seed, name);
    int64_t n = type_count(t, r->T);
    for (int64_t i = 0; i < n; i++)
        out[i] = t->index_of ? floor(random_uniform(key, (uint64_t)i) *
                                     size_value(t->index_of->size, r->T))
                             : element(r, key, (uint64_t)i, weight);
}

static bool give_input(void *user, const char *name, const Type *type,
                       double *out)
{
    fill(user, name, type, false, out);
    return true;
}

static bool run(Run *r, Graph *g, Arena *a, Tensor **out);

static Node *rebuilt(Graph *to, const Node *n)
{
    Node copy = *n;
    for (int i = 0; i < op_info[n->op].nargs; i++)
        copy.arg[i] = rebuilt(to, n->arg[i]);
    return graph_add(to, copy);
}

static bool give_weight(void *user, const Weight *w, double *out)
{
    Run *r = user;
    if (!w->value || !r->start) {
        fill(r, w->path ? w->path : "w", &w->type, true, out);
        return true;
    }
    Arena arena = {0};
    Graph *g = graph_new(&arena, "value");
    Tensor *value;
    graph_output(g, "value", rebuilt(g, w->value));
    bool ok = run(r, g, &arena, &value);
    if (ok)
        memcpy(out, value->at, (size_t)value->count * sizeof *out);
    arena_free(&arena);
    return ok;
}

static bool run(Run *r, Graph *g, Arena *a, Tensor **out)
{
    Err err;
    InterpEnv env = {.T = r->T, .exact = true, .training = r->training,
                     .seed = r->d->seed & 0xff, .user = r,
                     .input = give_input, .weight = give_weight};
    return interp_run(g, &env, a, out, &err);
}

/* ---- comparing ---- */

static double gap(double a, double b)
{
    if (a == b || (isnan(a) && isnan(b)))
        return 0;
    double d = fabs(a - b);
    return isnan(d) ? INFINITY : d;
}

/* -1: they are of two shapes. */
static double difference(const Tensor *a, const Tensor *b)
{
    double scale = 0, diff = 0;
    if (a->count != b->count || a->type.rank != b->type.rank)
        return -1;
    for (int i = 0; i < a->type.rank; i++)
        if (a->shape[i] != b->shape[i])
            return -1;
    for (int64_t i = 0; i < b->count; i++) {
        if (isfinite(b->at[i]))
            scale = fmax(scale, fabs(b->at[i]));
        diff = fmax(diff, gap(a->at[i], b->at[i]));
    }
    return scale > 0 ? diff / scale : diff;
}

static bool run_again(void *user, Graph *g, Arena *a, Tensor **out)
{
    return run(user, g, a, out);
}

/* ---- one instance ---- */

typedef struct {
    Draws d;
    Run run;
    Arena arena;
    double diff;
    const char *what;
    bool ran;
} Instance;

static void start(Instance *t, Judge *j, const Ast *def, int seed, bool whole)
{
    memset(t, 0, sizeof *t);
    draws_start(&t->d, j, &t->arena,
                (Style)(seed % STYLE_COUNT), (uint64_t)(seed + 1000 * whole));
    draws_numbers(&t->d, def);
    t->run = (Run){.d = &t->d, .start = true, .training = seed / 2 % 2,
                   .T = t->d.style == STYLE_ones
                            ? 1 : 1 + (int64_t)(5 * draw_uniform(&t->d))};
}

static void compare(Instance *t, Graph *a, Graph *b)
{
    Tensor *x, *y;
    if (!run(&t->run, a, &t->arena, &x) || !run(&t->run, b, &t->arena, &y))
        return;
    double diff = difference(&x[0], &y[0]);
    t->ran = diff >= 0 && !(isinf(diff) && t->d.style == STYLE_large);
    t->diff = diff;
    if (diff == INFINITY)
        t->what = undefined_text(tensor_bad(&x[0]) ? a : b, run_again,
                                 &t->run);
    t->d.said = arena_printf(&t->arena, "%s%sT = %d", t->d.said,
                             *t->d.said ? ", " : "", (int)t->run.T);
}

static void keep(Judge *j, Tried *all, Instance *t, bool whole)
{
    if (t->ran && (!all->ran || t->diff > all->diff)) {
        all->diff = t->diff;
        all->what = t->what;
        all->whole = whole;
        all->instance = arena_strn(j->spec->arena, t->d.said,
                                   strlen(t->d.said));
    }
    all->ran += t->ran;
    all->wholes += t->ran && whole;
}

static bool holds_at(Scope *s, const Ast *condition)
{
    if (!condition)
        return true;
    Val v = eval(s, condition);
    return v.kind == V_bool && v.truth;
}

/* ---- the match on its own ---- */

static Graph *graph_of(Instance *t, Model *m, Inst *inst,
                       const char *const *names)
{
    Graph *g = graph_new(&t->arena, "trial");
    Node *y = forward_node(m, g, inst, names, false);
    if (y)
        graph_output(g, "y", y);
    return y ? g : NULL;
}

/* m itself for each parameter that is a model, twice where it takes several. */
static int same_models(const Ast *def, Model *m, With *with)
{
    int n = 0;
    for (int i = 0; i < def->kid[0]->nkid && n + 2 <= MOST_WITH; i++) {
        const Ast *p = def->kid[0]->kid[i];
        bool several = p->nkid && p->kid[0];
        if (p->kind != AST_param_model)
            continue;
        with[n++] = (With){p->text, m};
        if (several)
            with[n++] = (With){p->text, m};
    }
    return n;
}

static bool bind_args(Instance *t, Scope *s, const Ast *def, Model *m,
                      Applied *applied)
{
    Arg arg[32];
    With with[MOST_WITH];
    Err err;
    int n = draw_args(&t->d, def, arg);
    return bind_params(s, def, arg, n, false, applied, &err) &&
           bind_others(s, def, with, same_models(def, m, with), &err);
}

static void lone(Judge *j, const Ast *def, const Ast *pattern, Instance *t)
{
    const Ast *match = first_of(def, AST_match), *in = match->kid[1];
    const Ast *claim = first_of(def, AST_preserves);
    const Ast *module = spec_find(j->spec, AST_module, call_name(pattern));
    Model *m = draw_module(&t->d, module, match->text);
    Applied applied = {.name = def->text, .spec = j->spec, .def = def};
    Scope s = {.spec = j->spec, .model = m, .g = m->weights,
               .applying = &applied};
    if (j->spec->diags->errors || !bind_args(t, &s, def, m, &applied))
        return;
    if (in && in->kind == AST_index && in->kid[1]->kind == AST_name) {
        Val l = val_size(size_num(floor(4 * draw_uniform(&t->d))));
        names_set(&t->arena, &s.local, in->kid[1]->text, l);
    }
    Inst *fresh = transform_match(&s, def, inst_copy(m, m->root, NULL),
                                  &applied);
    if (!fresh || j->spec->diags->errors || !holds_at(&s, match->kid[2]) ||
        !holds_at(&s, claim ? claim->kid[0] : NULL))
        return;
    const char *names[16];
    int n = input_names(m->root, names);
    Graph *b = graph_of(t, m, m->root, names),
          *a = n == input_names(fresh, names + n) && b
                   ? graph_of(t, m, fresh, names) : NULL;
    if (a && b && !j->spec->diags->errors)
        compare(t, a, b);
}

/* ---- a whole model ---- */

/* Makes a module of the name: `replace with` it. */
static bool makes(const Ast *def, const char *module)
{
    const Ast *replace = first_of(def, AST_replace);
    return replace && !strcmp(call_name(replace->kid[0]), module);
}

static Model *transformed(Instance *t, Model *m, const Ast *def,
                          const Arg *arg, int n)
{
    With with[MOST_WITH];
    Err err;
    return model_transform(t->d.spec, m, def->text, arg, n, with,
                           same_models(def, m, with), &err);
}

/* A model that has such a module: as it is, or made by a transform of the
 * spec. */
static Model *with_module(Instance *t, const Ast *base, const Ast *def,
                          const char *module)
{
    Model *m = draw_model(&t->d, base);
    Spec *s = t->d.spec;
    if (!m || s->diags->errors)
        return NULL;
    if (model_has(m, module))
        return m;
    for (int i = 0; i < s->def.n; i++) {
        const Ast *maker = s->def.at[i];
        Arg arg[32];
        if (maker->kind != AST_transform || maker == def ||
            !makes(maker, module))
            continue;
        int n = draw_args(&t->d, maker, arg);
        Model *made = transformed(t, m, maker, arg, n);
        if (made)
            model_forget(made);
        if (made || s->diags->errors)
            return made;
    }
    return NULL;
}

static Graph *whole_graph(Instance *t, Model *m)
{
    return m && !t->d.spec->diags->errors ? model_graph(m, &t->arena) : NULL;
}

static bool allowed_by_args(Instance *t, const Ast *def, const Ast *when,
                            const Arg *arg, int n)
{
    if (!when)
        return true;
    Model *m = model_new(&t->arena, t->d.spec, def, TYPE_f32);
    Scope s = {.spec = t->d.spec, .model = m, .g = m->weights};
    for (int i = 0; i < n; i++)
        names_set(&t->arena, &s.local, arg[i].name, arg_value(arg[i].value));
    return holds_at(&s, when);
}

static void whole(const Ast *base, const Ast *def, const Ast *pattern,
                  Instance *t)
{
    const Ast *claim = first_of(def, AST_preserves);
    Arg arg[32];
    Model *m = with_module(t, base, def, call_name(pattern));
    if (!m)
        return;
    int n = draw_args(&t->d, def, arg);
    if (!allowed_by_args(t, def, claim ? claim->kid[0] : NULL, arg, n))
        return;
    Model *to = transformed(t, m, def, arg, n);
    Graph *a = whole_graph(t, to), *b = whole_graph(t, m);
    if (a && b && !t->d.spec->diags->errors)
        compare(t, a, b);
}

/* ---- trials of a claim ---- */

enum { MODELS = 4 };

/* Models to try on, that of the transform's own files first. */
static int bases(Judge *j, const Ast *def, const Ast **out)
{
    int n = 0;
    const Ast *first = spec_model_of(j->spec, def);
    if (first)
        out[n++] = first;
    for (int i = 0; i < j->spec->def.n && n < MODELS; i++)
        if (j->spec->def.at[i]->kind == AST_model &&
            j->spec->def.at[i] != first)
            out[n++] = j->spec->def.at[i];
    return n;
}

/* Does the model's text read a weight of the module from outside, as tied
 * tables are? */
static bool reads_inside(const Ast *e, const Ast *module)
{
    if (!e)
        return false;
    for (int i = 0; e->kind == AST_dot && i < module->nkid; i++) {
        const Ast *list = module->kid[i];
        for (int k = 0; list && list->kind == AST_weights && k < list->nkid;
             k++)
            if (!strcmp(list->kid[k]->text, e->text))
                return true;
    }
    for (int i = 0; i < e->nkid; i++)
        if (reads_inside(e->kid[i], module))
            return true;
    return false;
}

enum { MORE = 5 }; /* times as many where something else may read a weight */

static int wholes(Judge *j, const Ast *pattern, int models,
                  const Ast *const *base)
{
    const Ast *module = spec_find(j->spec, AST_module, call_name(pattern));
    for (int i = 0; i < models; i++)
        if (reads_inside(base[i], module))
            return MORE * WHOLE * models;
    return WHOLE + 2 * (models - 1);
}

Tried try_transform(Judge *j, const Ast *def, const Ast *pattern, int times)
{
    Tried all = {0};
    const Ast *base[MODELS];
    int models = bases(j, def, base);
    for (int w = 0; w < (models ? 2 : 1); w++) {
        int ran = 0,
            enough = times * (w ? wholes(j, pattern, models, base) : LONE);
        for (int i = 0; i < enough * TRIES && ran < enough; i++) {
            Instance t;
            start(&t, j, def, i, w);
            Hush h = hush(j->spec);
            if (w)
                whole(base[i / STYLE_COUNT % models], def, pattern, &t);
            else
                lone(j, def, pattern, &t);
            unhush(j->spec, h);
            keep(j, &all, &t, w);
            ran += t.ran;
            arena_free(&t.arena);
            if (all.ran && all.diff > DIFFERENT)
                return all;
        }
    }
    return all;
}

/* ---- prove a == b ---- */

typedef struct {
    const Ast *def;
    Arg arg[32];
    int n;
} Given;

typedef struct {
    Instance *t;
    const char *var;
    LIST(Given *) given; /* one choice for each transform */
} Sides;

static Given *given_for(Sides *s, const Ast *def)
{
    for (int i = 0; i < s->given.n; i++)
        if (s->given.at[i]->def == def)
            return s->given.at[i];
    Given *g = arena_alloc(&s->t->arena, sizeof *g);
    g->def = def;
    g->n = draw_args(&s->t->d, def, g->arg);
    list_push(&s->t->arena, &s->given, g);
    return g;
}

static Model *side(Sides *s, const Ast *e, Model *m)
{
    if (e->kind == AST_name && !strcmp(e->text, s->var))
        return m;
    const Ast *def = spec_find(s->t->d.spec, AST_transform, e->kid[0]->text);
    Model *in = side(s, e->kid[1], m);
    if (!in || !def)
        return NULL;
    Given all = *given_for(s, def);
    for (int i = 2; i < e->nkid; i++) {
        const char *text = dsl_expr_text(&s->t->arena, e->kid[i]->kid[0]);
        int at = 0;
        while (at < all.n && strcmp(all.arg[at].name, e->kid[i]->text))
            at++;
        all.arg[at] = (Arg){e->kid[i]->text, text};
        all.n += at == all.n;
    }
    return transformed(s->t, in, def, all.arg, all.n);
}

Tried try_prove(Judge *j, const Ast *claim, const char *var, const Ast *model,
                int times)
{
    Tried all = {0};
    for (int i = 0; i < times * WHOLE * TRIES && all.ran < times * WHOLE; i++) {
        Instance t;
        start(&t, j, claim, i, true);
        t.run.start = false;
        Hush h = hush(j->spec);
        Model *m = draw_model(&t.d, model);
        Sides s = {.t = &t, .var = var};
        if (m && !j->spec->diags->errors) {
            Graph *a = whole_graph(&t, side(&s, claim->kid[0], m)),
                  *b = whole_graph(&t, side(&s, claim->kid[1], m));
            if (a && b && !j->spec->diags->errors)
                compare(&t, a, b);
        }
        unhush(j->spec, h);
        keep(j, &all, &t, true);
        arena_free(&t.arena);
        if (all.ran && all.diff > DIFFERENT)
            break;
    }
    return all;
}
