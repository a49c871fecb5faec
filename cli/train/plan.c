/* A recipe's statements evaluated: loops are unrolled; what is left are
 * actions. */
#include "cli/train/value.h"
#include <math.h>
#include <string.h>

/* ---- statements ---- */

static bool option_number(void *user, const Ast *name, double *out)
{
    Eval *e = user;
    *out = value_real(e, name);
    return !e->failed;
}

/* "router", "expert.gate"; the model itself: NULL. */
static const char *path_text(Eval *e, const Ast *p, const Ast **base)
{
    if (p->kind != AST_dot) {
        *base = p;
        return NULL;
    }
    const char *above = path_text(e, p->kid[0], base);
    return above ? arena_printf(&e->p->arena, "%s.%s", above, p->text)
                 : p->text;
}

static void train_paths(Eval *e, const Ast *paths, Action *act,
                        const char **name)
{
    bool all = false;
    for (int i = 0; i < paths->nkid; i++) {
        const Ast *base;
        const char *path = path_text(e, paths->kid[i], &base);
        if (i && strcmp(base->text, *name))
            value_wrong(e, base, "a stage trains one model: `%s` or `%s`",
                        *name, base->text);
        *name = base->text;
        all |= !path;
        if (path)
            list_push(&e->p->arena, &act->path, path);
    }
    if (all)
        act->path.n = 0;
}

static void run_train(Eval *e, const Ast *t)
{
    RunPlan *p = e->p;
    Action act = {.kind = ACT_train, .at = t, .stage = p->stages};
    const char *name = NULL;
    train_paths(e, t->kid[0], &act, &name);
    act.data = value_wanted(e, t->kid[1], V_data, "data is wanted").data;
    if (!e->failed && !train_options(t, option_number, e, act.option))
        value_wrong(e, t, "its options cannot be");
    const Ast *teacher = act.option[TRAIN_teacher].at;
    if (teacher)
        act.teacher = value_model(e, teacher->kid[0]);
    for (int i = 2; i < t->nkid; i++)
        if (t->kid[i]->kind == AST_after) {
            const Ast *call = t->kid[i]->kid[0];
            const Ast *def = spec_find(p->spec, AST_transform,
                                       value_called(call));
            list_push(&p->arena, &act.after, value_step(e, def, call, 1));
        }
    if (e->failed)
        return;
    act.model = value_find(e, name)->model;
    act.name = arena_printf(&p->arena, "%d.%s", ++p->stages, name);
    list_push(&p->arena, &p->action, act);
    RunModel *made = arena_alloc(&p->arena, sizeof *made);
    *made = *act.model;
    made->stage = act.stage;
    made->step = (RunSteps){0};
    value_set(e, name, (Value){.kind = V_model, .model = made});
}

static void run_assign(Eval *e, const Ast *a)
{
    Value v = value_of(e, a->kid[1]);
    const Ast *to = a->kid[0];
    if (e->failed)
        return;
    if (v.kind == V_pair && to->nkid == 2) {
        value_set(e, to->kid[0]->text, (Value){.kind = V_data, .data = v.data});
        value_set(e, to->kid[1]->text, (Value){.kind = V_data, .data = v.held});
    } else if (v.kind == V_list && to->nkid == v.n && v.n > 1) {
        for (int i = 0; i < v.n; i++)
            value_set(e, to->kid[i]->text, v.list[i]);
    } else if (to->nkid > 1) {
        value_wrong(e, a, "%d names for one value", to->nkid);
    } else {
        value_set(e, to->kid[0]->text, v);
    }
}

static void run_items(Eval *e, const Ast *block, int from);

static const char *text_of(Arena *a, const Ast *at)
{
    return arena_printf(a, "%.*s", at->loc.len, at->src->text + at->loc.at);
}

/* "share 0.25": what the loop is at, said behind a model's name. */
static const char *loop_text(Eval *e, const Ast *f, int i, Value v)
{
    Arena *a = &e->p->arena;
    char at[32];
    snprintf(at, sizeof at, "%d", i);
    const Ast *list = f->kid[0];
    const char *text = v.kind == V_number ? arena_printf(a, "%g", v.number)
                       : v.kind == V_text ? v.text
                       : list->kind == AST_list ? text_of(a, list->kid[i])
                                                : at;
    return arena_printf(a, "%s, %s %s", e->loops, f->text, text);
}

static void run_loop(Eval *e, const Ast *f)
{
    Value v = value_of(e, f->kid[0]);
    int n = v.kind == V_number ? (int)v.number : v.n;
    if (!e->failed && v.kind != V_list &&
        (v.kind != V_number || n != v.number || n < 0 || n > 10000))
        value_wrong(e, f->kid[0], "for wants a list, or a whole number");
    const char *outside = e->loops;
    for (int i = 0; i < n && !e->failed; i++) {
        Value at = v.kind == V_list ? v.list[i] : value_number(i);
        value_set(e, f->text, at);
        e->loops = loop_text(e, f, i, at);
        run_items(e, f->kid[1], 0);
        e->loops = outside;
    }
}

/* Of a statement about a model: on data, or to a path. */
static void run_about(Eval *e, ActionKind kind, const Ast *at, const Ast *model,
                      const Ast *data, const Ast *out)
{
    RunPlan *p = e->p;
    Action act = {.kind = kind, .at = at, .stage = -1};
    act.model = value_model(e, model);
    act.name = arena_printf(&p->arena, "%s%s", text_of(&p->arena, model),
                            e->loops);
    if (data)
        act.data = value_wanted(e, data, V_data, "data is wanted").data;
    if (out)
        act.out = value_wanted(e, out, V_text, "a path is wanted").text;
    if (e->failed)
        return;
    if (out && !p->out)
        p->out = act.out;
    list_push(&p->arena, &p->action, act);
}

static void run_item(Eval *e, const Ast *a)
{
    switch (a->kind) {
    case AST_assign: run_assign(e, a); break;
    case AST_train:  run_train(e, a); break;
    case AST_for:    run_loop(e, a); break;
    case AST_observe:
        run_about(e, ACT_observe, a, a->kid[0], a->kid[1], NULL);
        break;
    case AST_save:
        run_about(e, ACT_save, a, a->kid[0], NULL, a->kid[1]);
        break;
    case AST_eval:
        run_about(e, ACT_eval, a, a->kid[0]->kid[1], a->kid[0]->kid[2], NULL);
        break;
    default: break;
    }
}

static void run_items(Eval *e, const Ast *block, int from)
{
    for (int i = from; i < block->nkid && !e->failed; i++)
        run_item(e, block->kid[i]);
}

/* ---- parameters ---- */

static const char *given(const ArgList *arg, const char *name)
{
    for (int i = 0; i < arg->n; i++)
        if (!strcmp(arg->at[i].name, name))
            return arg->at[i].value;
    return NULL;
}

/* "base=.. data=.." */
static const char *usage(Arena *a, const Ast *params)
{
    const char *text = "";
    for (int i = 0; i < params->nkid; i++)
        text = arena_printf(a, "%s%s%s=..", text, i ? " " : "",
                            params->kid[i]->text);
    return text;
}

static bool bind_param(Eval *e, const Ast *p, const char *text)
{
    const Ast *otherwise = p->nkid ? p->kid[0] : NULL;
    Value v = otherwise ? value_of(e, otherwise) : (Value){.kind = V_text};
    if (e->failed)
        return false;
    char *end;
    if (text && v.kind == V_number) {
        v.number = strtod(text, &end);
        if (end == text || *end || !isfinite(v.number))
            return err_set(e->err, "%s=%.100s: a number is wanted", p->text,
                           text);
    } else if (text) {
        v = (Value){.kind = V_text, .text = text};
    } else if (!otherwise) {
        return err_set(e->err, "recipe `%s` wants %s: `%s` is missing",
                       e->p->recipe->text,
                       usage(&e->p->arena, e->p->recipe->kid[0]), p->text);
    }
    value_set(e, p->text, v);
    return true;
}

static bool bind_params(Eval *e, const ArgList *arg)
{
    const Ast *params = e->p->recipe->kid[0];
    const char *names[64];
    int n = 0;
    for (int i = 0; i < params->nkid; i++) {
        if (n < 64)
            names[n++] = params->kid[i]->text;
        if (!bind_param(e, params->kid[i],
                        given(arg, params->kid[i]->text)))
            return false;
    }
    for (int i = 0; i < arg->n; i++) {
        bool known = false;
        for (int j = 0; j < i; j++)
            if (!strcmp(arg->at[i].name, arg->at[j].name))
                return err_set(e->err, "%s= is given twice", arg->at[i].name);
        for (int j = 0; j < n; j++)
            known |= !strcmp(arg->at[i].name, names[j]);
        const char *near = known ? NULL : nearest(arg->at[i].name, names, n);
        if (!known)
            return err_set(e->err, "recipe `%s` has no parameter `%s`%s%s%s; "
                                   "it has %s", e->p->recipe->text,
                           arg->at[i].name, near ? " (did you mean `" : "",
                           near ? near : "", near ? "`?)" : "",
                           usage(&e->p->arena, params));
    }
    return true;
}

/* ---- all of it ---- */

static bool find_recipe(RunPlan *p, const char *what, Err *err)
{
    const char *name;
    if (!(p->spec = spec_open(&p->arena, &p->diags, what, err)))
        return false;
    is_spec(what, &name);
    const char *want = name ? name : what;
    p->recipe = spec_find(p->spec, AST_recipe, want);
    if (p->recipe)
        return true;
    const char *near = spec_nearest(p->spec, AST_recipe, want);
    return err_set(err, "no recipe `%s` in %s%s%s%s", want,
                   name ? what : "the library",
                   near ? " (did you mean `" : "", near ? near : "",
                   near ? "`?)" : name ? "" : "; graft list has its, "
                                              "FILE.graft:NAME names a "
                                              "file's");
}

bool run_plan_make(RunPlan *p, const RunOptions *o, Err *err)
{
    *p = (RunPlan){.arg = &o->arg};
    if (!find_recipe(p, o->recipe, err))
        return false;
    if (!spec_check_recipe(p->spec, p->recipe))
        return err_set(err, "the recipe has mistakes, see above");
    Eval e = {.p = p, .loops = "", .err = err};
    if (!bind_params(&e, &o->arg))
        return false;
    run_items(&e, p->recipe, 1);
    if (!e.failed && !p->action.n)
        return err_set(err, "recipe `%s` does nothing: no train, save, eval "
                            "or observe", p->recipe->text);
    return !e.failed;
}

void run_plan_free(RunPlan *p)
{
    diags_free(&p->diags);
    arena_free(&p->arena);
}
