/* Parameters of transforms and modules, as commands and folders give them. */
#include "compiler/lang/elab.h"
#include <math.h>
#include <string.h>

Val arg_value(const char *text)
{
    char *end;
    double v = strtod(text, &end);
    Val list;
    if (list_argument(text, &list))
        return list;
    if (*text && !*end && isfinite(v))
        return val_size(size_num(v));
    if (!strcmp(text, "true") || !strcmp(text, "false"))
        return val_bool(*text == 't');
    if (!strcmp(text, "none"))
        return (Val){.kind = V_none};
    return val_string(intern(text));
}

static bool param_known(const Ast *def, const char *name, Err *err)
{
    const Ast *params = def->kid[0];
    const char *names[64];
    int n = 0, line, col;
    for (; n < params->nkid && n < 64; n++) {
        if (!strcmp(params->kid[n]->text, name))
            return true;
        names[n] = params->kid[n]->text;
    }
    const char *near = nearest(name, names, n);
    loc_place(def->src, params->loc.at, &line, &col);
    return err_set(err, "%s `%s` has no parameter `%s`%s: it has %s (%s:%d:%d)",
                   ast_kind_name[def->kind], def->text, name, near_text(near),
                   params_text(params), def->src->path, line, col);
}

bool args_known(const Ast *def, const Arg *arg, int narg, Err *err)
{
    for (int i = 0; i < narg; i++) {
        if (!param_known(def, arg[i].name, err))
            return false;
        for (int j = 0; j < i; j++)
            if (!strcmp(arg[i].name, arg[j].name))
                return err_set(err, "%s `%s`: `%s` is given twice",
                               ast_kind_name[def->kind], def->text,
                               arg[i].name);
    }
    return true;
}

/* Sets every parameter: as given, else unknown (symbolic), else its default. */
bool bind_params(Scope *s, const Ast *def, const Arg *arg, int narg,
                 bool symbolic, Applied *applied, Err *err)
{
    const Ast *params = def->kid[0];
    if (!args_known(def, arg, narg, err))
        return false;
    for (int i = 0; i < params->nkid; i++) {
        const Ast *p = params->kid[i];
        Val v = val_error;
        bool given = false;
        if (p->kind == AST_param_model)
            continue;
        for (int j = 0; j < narg; j++)
            if (!strcmp(arg[j].name, p->text))
                v = arg_value(arg[j].value), given = true;
        if (!given && p->nkid && p->kid[0])
            v = eval(s, p->kid[0]);
        if (!given && symbolic && v.kind != V_string)
            v = val_size(model_symbol(s->model, p, def->text, p->text));
        if (v.kind == V_error)
            return err_set(err, "transform `%s` needs a value for `%s`",
                           def->text, p->text);
        v.dim = NULL;
        names_set(s->model->arena, &s->local, p->text, v);
        names_set(s->model->arena, &applied->param, p->text, v);
    }
    return true;
}
