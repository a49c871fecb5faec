/* What `show` looks at, opened. */
#include "cli/tools/subject.h"
#include <string.h>

/* ---- specs ---- */

static bool missing(const Subject *s, const char *what, const char *name,
                    bool transform, Err *err)
{
    static const AstKind kind[] = {AST_transform, AST_module, AST_model};
    const char *near = NULL;
    for (int i = 0; !near && i < (transform ? 1 : 3); i++)
        near = spec_nearest(s->spec, kind[i], name);
    return err_set(err, "no %s `%s` in %s%s%s%s",
                   transform ? "transform" : "module, model or transform",
                   name, is_spec(what, NULL) ? what : "the library",
                   near ? " (did you mean `" : "", near ? near : "",
                   near ? "`?)" : "");
}

static int sketch(Subject *s, const Ast *def)
{
    Sketch *all;
    int n = spec_sketch(s->spec, def, &all);
    int pair = def->kind == AST_transform ? 2 : 1;
    for (int i = 0; i < n; i += pair)
        list_push(&s->arena, &s->sketched,
                  ((struct Sketched){def, pair, &all[i]}));
    return n;
}

static bool open_definition(Subject *s, const char *name, Err *err)
{
    if (!(s->def = spec_define(s->spec, name)))
        return missing(s, s->args->what, name, false, err);
    if (sketch(s, s->def))
        return true;
    return err_set(err, "%s: %s", s->args->what,
                   s->diags.errors ? "the text has mistakes, see above"
                                   : "it changes whole models: show it on "
                                     "one, with MODEL --transform");
}

/* All that the file itself defines. */
static bool open_file(Subject *s, Err *err)
{
    const Ast *const *def, *const *file;
    int n = spec_definitions(s->spec, &def), files = spec_files(s->spec, &file);
    for (int i = 0; i < n && !s->diags.errors; i++) {
        AstKind k = def[i]->kind;
        if (files && def[i]->src == file[files - 1]->src &&
            (k == AST_module || k == AST_model || k == AST_transform))
            sketch(s, def[i]);
    }
    return !s->diags.errors ||
           err_set(err, "%s: the text has mistakes, see above",
                   s->args->what);
}

/* ---- models ---- */

static bool open_models(Subject *s, const Common *common, Err *err)
{
    const ArgList *with = &s->args->with;
    s->model = xmalloc((size_t)(1 + with->n) * sizeof *s->model);
    for (int i = 0; i <= with->n; i++) {
        const char *path = i ? with->at[i - 1].value : s->args->what;
        s->nmodel++;
        if (!loaded_open(&s->model[i], path, common, err) ||
            !loaded_fits(s->model[i].checkpoint, s->model[0].model, err))
            return false;
    }
    return true;
}

static bool transform(Subject *s, Err *err)
{
    const char *what = s->args->transform, *name;
    Err why = {""};
    if (!(s->spec = spec_open(&s->arena, &s->diags, what, err)))
        return false;
    if (!is_spec(what, &name))
        name = what;
    if (!name)
        return err_set(err, "%s: which transform? FILE.graft:NAME says", what);
    if (!(s->def = spec_find(s->spec, AST_transform, name)))
        return missing(s, what, name, true, err);
    const SubjectArgs *args = s->args;
    Model *m = s->model[0].model;
    s->made = model_transform(s->spec, m, name, args->arg.at, args->arg.n,
                              with_shape(&s->arena, &args->with, m),
                              args->with.n, &why);
    return s->made || err_set(err, "%s: %s", s->args->what,
                              *why.text ? why.text
                                        : "it cannot be applied, see above");
}

bool subject_open(Subject *s, const SubjectArgs *args, const Common *common,
                  Err *err)
{
    const char *name;
    *s = (Subject){.args = args};
    if (args->sized) {
        s->model = xmalloc(sizeof *s->model);
        s->nmodel = 1;
        return loaded_module(&s->model[0], args->what, &args->arg, common, err);
    }
    if (is_spec(args->what, &name)) {
        s->spec = spec_open(&s->arena, &s->diags, args->what, err);
        return s->spec &&
               (name ? open_definition(s, name, err) : open_file(s, err));
    }
    return open_models(s, common, err) &&
           (!args->transform || transform(s, err));
}

void subject_close(Subject *s)
{
    for (int i = 0; i < s->nmodel; i++)
        loaded_close(&s->model[i]);
    free(s->model);
    diags_free(&s->diags);
    arena_free(&s->arena);
}

/* ---- pictures ---- */

int subject_pictures(const Subject *s)
{
    return s->nmodel ? 1 : s->sketched.n;
}

static Side model_side(Subject *s, const Model *m, const char *title)
{
    return (Side){title, model_view(m, &s->arena),
                  model_graph_saved(m, &s->arena, false)};
}

static const char *after_title(Subject *s)
{
    const char *text = s->def->text;
    for (int i = 0; i < s->args->arg.n; i++)
        text = arena_printf(&s->arena, "%s%s%s = %s", text,
                            i ? ", " : ": ", s->args->arg.at[i].name,
                            s->args->arg.at[i].value);
    return arena_printf(&s->arena, "after %s", text);
}

static Picture model_picture(Subject *s)
{
    Picture p = {.n = s->made ? 2 : 1};
    p.side[0] = model_side(s, s->model[0].model, s->made ? "before" : "");
    if (s->made)
        p.side[1] = model_side(s, s->made, after_title(s));
    return p;
}

static Picture sketched_picture(Subject *s, const struct Sketched *k)
{
    Picture p = {.n = k->n};
    for (int i = 0; i < k->n; i++) {
        const char *title =
            k->n < 2 ? k->side[i].name
            : i      ? arena_printf(&s->arena, "after %s", k->def->text)
                     : arena_printf(&s->arena, "before: %s", k->side[i].name);
        p.side[i] = (Side){title, k->side[i].view, k->side[i].graph};
    }
    return p;
}

Picture subject_picture(Subject *s, int i)
{
    return s->nmodel ? model_picture(s)
                     : sketched_picture(s, &s->sketched.at[i]);
}
