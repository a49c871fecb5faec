/* Modules as values: parameters that are modules, and what a part's call names
 * then. */
#include "compiler/lang/elab.h"
#include <string.h>

const Ast *module_called(Scope *s, const Ast *call, const Inst **like)
{
    const char *name = call_name(call);
    Val *v = name ? names_find(&s->local, name) : NULL;
    if (!v && name && s->inst)
        v = names_find(&s->inst->param, name);
    *like = v && v->kind == V_inst ? v->inst : NULL;
    if (*like)
        return (*like)->def;
    if (v && v->kind == V_error)
        return NULL;
    const Ast *def = name ? spec_find(s->spec, AST_module, name) : NULL;
    if (!def)
        error_at(call->src, call->kid[0]->loc, "no module `%s`%s",
                 name ? name : "",
                 name ? spec_hint(s->spec, AST_module, name) : "");
    return def;
}

/* A module by itself, as the value of a parameter. */
Val module_value(Scope *s, const Ast *name)
{
    const Ast *def = spec_find(s->spec, AST_module, name->text);
    if (!def) {
        error_at(name->src, name->loc, "no module `%s`%s", name->text,
                 spec_hint(s->spec, AST_module, name->text));
        return val_error;
    }
    return (Val){.kind = V_inst,
                 .inst = inst_new(s->model, s->spec, def, NULL, "", "")};
}

Val module_argument(Scope *s, const Ast *arg)
{
    Val *v = arg->kind == AST_name ? names_find(&s->local, arg->text) : NULL;
    if (!v && arg->kind == AST_name && s->inst)
        v = names_find(&s->inst->param, arg->text);
    if (v && v->kind == V_inst)
        return *v;
    if (!v && arg->kind == AST_name)
        return module_value(s, arg);
    Val other = v ? *v : eval(s, arg);
    if (other.kind == V_inst)
        return other;
    if (other.kind == V_part)
        return (Val){.kind = V_inst, .inst = other.part->inst[0]};
    if (other.kind != V_error)
        error_at(arg->src, arg->loc, "a module is needed here, this is %s",
                 val_text(&other));
    return val_error;
}

/* Of a parameter that is a module nothing is known: a usual one. */
Val unknown_module(Scope *s)
{
    const Ast *def = spec_find(s->spec, AST_module, "swiglu");
    return def ? (Val){.kind = V_inst,
                       .inst = inst_new(s->model, s->spec, def, NULL, "", "")}
               : val_error;
}
