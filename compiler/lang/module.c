/* A module on its own with its parameters given, as a model of its own. */
#include "compiler/lang/elab.h"
#include <string.h>

static const Arg *arg_for(const Ast *param, const Arg *arg, int narg)
{
    for (int i = 0; i < narg; i++)
        if (!strcmp(arg[i].name, param->text))
            return &arg[i];
    return NULL;
}

static const Ast *default_of(const Ast *param)
{
    return param->nkid ? param->kid[0] : NULL;
}

/* Every parameter has a value, or all that have none are named. */
static bool all_given(const Ast *def, const Arg *arg, int narg, Err *err)
{
    const Ast *params = def->kid[0], *first = NULL;
    const char *names = "";
    int line, col;
    for (int i = 0; i < params->nkid; i++) {
        const Ast *p = params->kid[i];
        if (arg_for(p, arg, narg) || default_of(p))
            continue;
        names = intern_printf("%s%s`%s`", names, first ? ", " : "", p->text);
        first = first ? first : p;
    }
    if (!first)
        return true;
    loc_place(first->src, first->loc.at, &line, &col);
    return err_set(err, "module `%s` needs a value for %s (%s:%d:%d): "
                        "%s=value", def->text, names, first->src->path, line,
                   col, first->text);
}

static bool bind_all(Scope *own, const Arg *arg, int narg)
{
    const Ast *params = own->inst->def->kid[0];
    for (int i = 0; i < params->nkid; i++) {
        const Ast *p = params->kid[i];
        const Arg *given = arg_for(p, arg, narg);
        Val v = given ? arg_value(given->value) : eval(own, default_of(p));
        if (v.kind == V_node)
            error_at(p->src, p->loc, "`%s` has no value before run time",
                     p->text);
        if (v.kind == V_error || v.kind == V_node)
            return false;
        v.dim = NULL; /* a dim of its own, named as the parameter */
        names_set(own->model->arena, &own->inst->param, p->text, v);
    }
    return true;
}

/* So that bytes and offsets can be counted. */
static bool weights_fit(const Model *m, Err *err)
{
    const Weight *const *w;
    int n = model_weights(m, &w);
    for (int i = 0; i < n; i++) {
        double count = 1;
        for (int j = 0; j < w[i]->type.rank; j++)
            count *= size_value(w[i]->type.dim[j]->size, 1);
        if (count > 0x1p40)
            return err_set(err, "weight `%s` %s would have %g elements: at "
                                "most 2^40",
                           w[i]->path, type_shape(&w[i]->type), count);
    }
    return true;
}

Model *module_model(Spec *s, const Ast *def, const Arg *arg, int narg,
                    Dtype dtype, Err *err)
{
    Model *m = model_new(s->arena, s, def, dtype);
    Scope own = {.spec = s, .model = m, .g = m->weights, .inst = m->root};
    err->text[0] = 0;
    if (!args_known(def, arg, narg, err) || !all_given(def, arg, narg, err) ||
        !bind_all(&own, arg, narg))
        return NULL;
    if (!inst_forward(m->root)) {
        err_set(err, "module `%s` has no forward", def->text);
        return NULL;
    }
    inst_build(m, m->root, &own);
    if (s->diags->errors || !weights_fit(m, err))
        return NULL;
    return model_lowers(m, err) ? m : NULL;
}
