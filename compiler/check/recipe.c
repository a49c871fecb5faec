/* Recipes checked: every name, transform, parameter and option, before
 * anything is loaded. A model that is loaded is taken to be the first model of
 * the texts, its sizes unknown. */
#include "compiler/check/recipe.h"
#include <string.h>

const char *const recipe_kind_name[] = {
    "a mistake", "a model", "data", "a text", "a number", "a list",
    "true or false"};

static RVal of_kind(Kind k)
{
    return (RVal){.kind = k};
}

static RVal *find(Recipe *r, const char *name)
{
    for (int i = r->name.n - 1; i >= 0; i--)
        if (!strcmp(r->name.at[i].name, name))
            return &r->name.at[i].value;
    return NULL;
}

static void set(Recipe *r, const char *name, RVal v)
{
    struct RName one = {name, v};
    RVal *old = find(r, name);
    if (old)
        *old = v;
    else
        list_push(r->spec->arena, &r->name, one);
}

static RVal name_value(Recipe *r, const Ast *e)
{
    const char *names[128];
    int n = 0;
    RVal *v = find(r, e->text);
    if (v)
        return *v;
    if (!strcmp(e->text, "true") || !strcmp(e->text, "false"))
        return of_kind(R_truth);
    for (; n < r->name.n && n < 128; n++)
        names[n] = r->name.at[n].name;
    error_at(e->src, e->loc, "nothing is called `%s` here%s", e->text,
             near_text(nearest(e->text, names, n)));
    return of_kind(R_error);
}

RVal recipe_wanted(Recipe *r, const Ast *e, Kind kind, const char *what)
{
    RVal v = recipe_value(r, e);
    if (v.kind != kind && v.kind != R_error) {
        error_at(e->src, e->loc, "%s wants %s, this is %s%s", what,
                 recipe_kind_name[kind], recipe_kind_name[v.kind],
                 kind == R_data && v.kind == R_text
                     ? " (ids(..), instruct(..) or text(..) reads a file)"
                 : kind == R_model && v.kind == R_text
                     ? " (load(..) reads a folder)"
                     : "");
        return of_kind(R_error);
    }
    return v;
}

/* ---- functions of recipes ---- */

static Model *any_model(Recipe *r)
{
    for (int i = 0; i < r->spec->def.n; i++)
        if (r->spec->def.at[i]->kind == AST_model) {
            Model *m = symbolic_model(r->spec, r->spec->def.at[i]);
            Err err;
            return model_fill(m, &err) ? m : NULL;
        }
    return NULL;
}

/* What functions take by name. */
static const struct {
    const char *function, *name;
    Kind kind;
} named[] = {
    {"load", "dtype", R_text},
    {"ids", "skip_bad", R_truth},
    {"instruct", "style", R_text},
    {"instruct", "length", R_number},
    {"instruct", "system", R_text},
    {"instruct", "instruction", R_text},
    {"instruct", "input", R_text},
    {"instruct", "output", R_text},
    {"instruct", "messages", R_text},
    {"instruct", "skip_bad", R_truth},
    {"text", "length", R_number},
};

static void dtype_known(const Ast *a)
{
    Dtype t;
    if (a->kind == AST_string && type_find(a->text, &t))
        return;
    error_at(a->src, a->loc, "no element type %s; there are \"f32\", "
                             "\"bf16\", \"f16\", \"f64\"",
             a->kind == AST_string ? intern_printf("\"%s\"", a->text)
                                   : "of this kind");
}

/* One of the library's, or a file: its name has a point or a slash. */
static void style_known(const Ast *a)
{
    static const char *const styles[] = {"xft", "human-assistant", "chat"};
    if (a->kind != AST_string || strpbrk(a->text, "./"))
        return;
    for (size_t i = 0; i < COUNT(styles); i++)
        if (!strcmp(styles[i], a->text))
            return;
    error_at(a->src, a->loc, "no style \"%s\"%s; there are \"xft\", "
                             "\"human-assistant\" and \"chat\", or a file's "
                             "name",
             a->text, near_text(nearest(a->text, styles, COUNT(styles))));
}

/* "style:, length:" */
static const char *names_of(const char *function)
{
    const char *all = "";
    for (size_t i = 0; i < COUNT(named); i++)
        if (!strcmp(named[i].function, function))
            all = intern_printf("%s%s%s:", all, *all ? ", " : "",
                                named[i].name);
    return all;
}

static void named_argument(Recipe *r, const char *function, const Ast *a)
{
    for (size_t i = 0; a->kind == AST_named && i < COUNT(named); i++) {
        if (strcmp(named[i].function, function) ||
            strcmp(named[i].name, a->text))
            continue;
        if (!strcmp(a->text, "dtype"))
            dtype_known(a->kid[0]);
        else if (recipe_wanted(r, a->kid[0], named[i].kind, a->text).kind ==
                     R_text && !strcmp(a->text, "style"))
            style_known(a->kid[0]);
        return;
    }
    error_at(a->src, a->loc, "%s takes %s", function,
             *names_of(function)
                 ? intern_printf("one file or folder, and %s",
                                 names_of(function))
                 : "nothing more");
}

/* A function of one path. */
static RVal of_path(Recipe *r, const Ast *call, const char *name,
                    const char *what, RVal result)
{
    if (call->nkid < 2 || call->kid[1]->kind == AST_named) {
        error_at(call->src, call->loc, "%s wants %s", name, what);
        return of_kind(R_error);
    }
    RVal path = recipe_wanted(r, call->kid[1], R_text, name);
    for (int i = 2; i < call->nkid; i++)
        named_argument(r, name, call->kid[i]);
    return path.kind == R_error ? path : result;
}

static RVal run_load(Recipe *r, const Ast *call)
{
    return of_path(r, call, "load", "the path of a model",
                   (RVal){R_model, any_model(r), true});
}

static RVal run_ids(Recipe *r, const Ast *call)
{
    return of_path(r, call, "ids", "a file of token ids", of_kind(R_data));
}

static RVal run_instruct(Recipe *r, const Ast *call)
{
    return of_path(r, call, "instruct", "a file of pairs", of_kind(R_data));
}

/* text(file, length: 1024): plain text, every token learned. */
static RVal run_text(Recipe *r, const Ast *call)
{
    return of_path(r, call, "text", "a file", of_kind(R_data));
}

/* learn, held = split(data, 0.05, seed) */
static RVal run_split(Recipe *r, const Ast *call)
{
    static const Kind kind[] = {R_data, R_number, R_number};
    bool fine = call->nkid == 3 || call->nkid == 4;
    for (int i = 1; i < call->nkid; i++)
        fine &= call->kid[i]->kind != AST_named;
    if (!fine) {
        error_at(call->src, call->loc,
                 "split wants data, the share that is held out, and a seed");
        return of_kind(R_error);
    }
    for (int i = 1; i < call->nkid; i++)
        fine &= recipe_wanted(r, call->kid[i], kind[i - 1], "split").kind !=
                R_error;
    const Ast *share = call->kid[2];
    if (share->kind == AST_neg || (share->kind == AST_number &&
                                   !(share->num > 0 && share->num < 1)))
        error_at(share->src, share->loc,
                 "the share that is held out is above 0 and below 1");
    return of_kind(fine ? R_data : R_error);
}

static const struct {
    const char *name;
    RVal (*run)(Recipe *r, const Ast *call);
} functions[] = {{"load", run_load},
                 {"ids", run_ids},
                 {"instruct", run_instruct},
                 {"text", run_text},
                 {"split", run_split}};

/* ---- transforms ---- */

static const Ast *param_named(const Ast *def, const char *name)
{
    const Ast *params = def->kid[0];
    for (int i = 0; i < params->nkid; i++)
        if (!strcmp(params->kid[i]->text, name))
            return params->kid[i];
    return NULL;
}

bool recipe_arg(Recipe *r, const Ast *def, const Ast *a, Arg *out, int *n)
{
    if (!transform_has(def, a))
        return false;
    const Ast *p = param_named(def, a->text);
    RVal v = recipe_value(r, a->kid[0]);
    if (p->kind == AST_param_model) {
        if (v.kind != R_list && v.kind != R_model && v.kind != R_error)
            error_at(a->src, a->kid[0]->loc, "`%s` wants models, this is %s",
                     p->text, recipe_kind_name[v.kind]);
        return v.kind != R_error;
    }
    if (a->kid[0]->kind == AST_number && *n < 32)
        out[(*n)++] = (Arg){a->text, a->kid[0]->text};
    return v.kind != R_error;
}

static RVal apply(Recipe *r, const Ast *def, const Ast *call)
{
    Arg arg[32];
    int n = 0;
    bool ok = true;
    Err err = {""};
    if (call->nkid < 2 || call->kid[1]->kind == AST_named) {
        error_at(call->src, call->loc, "`%s` wants a model first", def->text);
        return of_kind(R_error);
    }
    RVal m = recipe_wanted(r, call->kid[1], R_model, def->text);
    for (int i = 2; i < call->nkid; i++)
        ok &= recipe_arg(r, def, call->kid[i], arg, &n);
    if (m.kind == R_error || !ok)
        return of_kind(R_error);
    if (!m.model)
        return m;
    int errors = r->spec->diags->errors;
    Model *made = model_transform(r->spec, m.model, def->text, arg, n, NULL, 0,
                                  &err);
    if (!made && m.folder && r->spec->diags->errors == errors) {
        if (!r->runs)
            warning_at(call->src, call->loc, "%s; a folder with a text of its "
                                             "own may have one", err.text);
        return (RVal){.kind = R_model, .folder = true};
    }
    if (!made && !r->spec->diags->errors)
        error_at(call->src, call->loc, "%s", err.text);
    if (!made)
        return of_kind(R_error);
    struct Made one = {made, call};
    list_push(r->spec->arena, &r->spec->made, one);
    return (RVal){R_model, made, false};
}

const Ast *recipe_transform(const Spec *s, const Ast *call)
{
    const char *name = call->kid[0]->kind == AST_name ? call->kid[0]->text : "";
    bool halves = !strcmp(name, "split") && call->nkid > 2 &&
                  call->kid[2]->kind != AST_named;
    return halves ? NULL : spec_find(s, AST_transform, name);
}

static RVal call_value(Recipe *r, const Ast *e)
{
    const char *name = e->kid[0]->kind == AST_name ? e->kid[0]->text : "";
    const Ast *def = recipe_transform(r->spec, e);
    if (def)
        return apply(r, def, e);
    for (size_t i = 0; i < COUNT(functions); i++)
        if (!strcmp(functions[i].name, name))
            return functions[i].run(r, e);
    error_at(e->src, e->kid[0]->loc, "no transform or function `%s`%s", name,
             spec_hint(r->spec, AST_transform, name));
    return of_kind(R_error);
}

static RVal list_value(Recipe *r, const Ast *e)
{
    RVal v = {.kind = R_list};
    for (int i = 0; i < e->nkid; i++) {
        RVal one = recipe_value(r, e->kid[i]);
        if (one.kind == R_model)
            v.model = one.model;
    }
    return v;
}

RVal recipe_value(Recipe *r, const Ast *e)
{
    switch (e->kind) {
    case AST_name:   return name_value(r, e);
    case AST_number: return of_kind(R_number);
    case AST_string: return of_kind(R_text);
    case AST_list:   return list_value(r, e);
    case AST_call:   return call_value(r, e);
    case AST_index:
        recipe_value(r, e->kid[1]);
        return (RVal){R_model,
                      recipe_wanted(r, e->kid[0], R_list, "[..]").model, false};
    case AST_neg:    return recipe_wanted(r, e->kid[0], R_number, "-");
    case AST_binary:
        if (recipe_wanted(r, e->kid[0], R_number, e->text).kind == R_error ||
            recipe_wanted(r, e->kid[1], R_number, e->text).kind == R_error)
            return of_kind(R_error);
        return of_kind(R_number);
    default:
        error_at(e->src, e->loc, "this cannot stand in a recipe");
        return of_kind(R_error);
    }
}

/* ---- statements ---- */

static void items(Recipe *r, const Ast *block, int from);

static void loop(Recipe *r, const Ast *f)
{
    RVal in = recipe_value(r, f->kid[0]);
    if (in.kind != R_list && in.kind != R_number && in.kind != R_error)
        error_at(f->src, f->kid[0]->loc, "for wants a list or a number");
    set(r, f->text, in.kind == R_list && in.model
                        ? (RVal){R_model, in.model, false}
                        : of_kind(in.kind == R_list ? R_text : R_number));
    items(r, f->kid[1], 0);
}

/* eval(m, data): its loss is printed. */
static void run_eval(Recipe *r, const Ast *call)
{
    if (strcmp(call_name(call), "eval"))
        error_at(call->src, call->loc, "only eval(model, data) can stand "
                                       "alone; other calls are given a name");
    else if (call->nkid != 3)
        error_at(call->src, call->loc, "eval wants a model and data");
    else {
        recipe_wanted(r, call->kid[1], R_model, "eval");
        recipe_wanted(r, call->kid[2], R_data, "eval");
    }
}

static void item(Recipe *r, const Ast *a)
{
    switch (a->kind) {
    case AST_assign: {
        RVal v = recipe_value(r, a->kid[1]);
        for (int i = 0; i < a->kid[0]->nkid; i++)
            set(r, a->kid[0]->kid[i]->text, v);
        break;
    }
    case AST_train: recipe_train(r, a); break;
    case AST_observe:
        recipe_wanted(r, a->kid[0], R_model, "observe");
        recipe_wanted(r, a->kid[1], R_data, "observe .. on");
        break;
    case AST_save:
        recipe_wanted(r, a->kid[0], R_model, "save");
        recipe_wanted(r, a->kid[1], R_text, "save .. to");
        break;
    case AST_eval: run_eval(r, a->kid[0]); break;
    case AST_for: loop(r, a); break;
    default: break;
    }
}

static void items(Recipe *r, const Ast *block, int from)
{
    for (int i = from; i < block->nkid; i++)
        item(r, block->kid[i]);
}

void check_recipe(Spec *s, const Ast *def, bool runs)
{
    Recipe r = {.spec = s, .runs = runs};
    const Ast *params = def->kid[0];
    for (int i = 0; i < params->nkid; i++) {
        const Ast *p = params->kid[i], *v = p->nkid ? p->kid[0] : NULL;
        set(&r, p->text, of_kind(v && v->kind == AST_number ? R_number
                                                             : R_text));
    }
    items(&r, def, 1);
}

bool spec_check_recipe(Spec *s, const Ast *def)
{
    int errors = s->diags->errors;
    check_recipe(s, def, true);
    return s->diags->errors == errors;
}
