/* Transforms: modules matched by type and place, and replaced or changed. */
#include "compiler/lang/elab.h"
#include <string.h>

typedef struct {
    const Ast *def;
    const Ast *match, *replace;
} Shape;

static Shape shape_of(const Ast *def)
{
    Shape t = {.def = def};
    for (int i = 0; i < def->nkid; i++) {
        if (def->kid[i]->kind == AST_match)
            t.match = def->kid[i];
        if (def->kid[i]->kind == AST_replace)
            t.replace = def->kid[i];
    }
    return t;
}

bool replaces(const Ast *transform)
{
    return shape_of(transform).replace != NULL;
}

/* ---- copies of a model's tree ---- */

Inst *inst_copy(Model *m, const Inst *old, Inst *parent)
{
    Inst *inst = arena_alloc(m->arena, sizeof *inst);
    *inst = *old;
    inst->parent = parent;
    inst->slot.at = NULL, inst->slot.n = inst->slot.room = 0;
    inst->part.at = NULL, inst->part.n = inst->part.room = 0;
    for (int i = 0; i < old->slot.n; i++)
        list_push(m->arena, &inst->slot, old->slot.at[i]);
    for (int i = 0; i < old->part.n; i++) {
        Part part = old->part.at[i];
        int n = part.unrolled ? part.n : 1;
        part.inst = arena_alloc(m->arena,
                                (size_t)(n + 1) * sizeof *part.inst);
        for (int j = 0; j < n; j++)
            part.inst[j] = inst_copy(m, old->part.at[i].inst[j], inst);
        list_push(m->arena, &inst->part, part);
    }
    return inst;
}

static Model *copy_model(Model *old)
{
    Model *m = arena_alloc(old->arena, sizeof *m);
    *m = *old;
    m->root = inst_copy(m, old->root, NULL);
    m->applied.at = NULL, m->applied.n = m->applied.room = 0;
    for (int i = 0; i < old->applied.n; i++)
        list_push(m->arena, &m->applied, old->applied.at[i]);
    return m;
}

/* ---- matching ---- */

static bool is_dims(const Ast *type, const char *last)
{
    const Ast *dims = type->kid[0];
    return dims->nkid == 2 && dims->kid[0]->kind == AST_dots &&
           dims->kid[1]->kind == AST_name && !strcmp(dims->kid[1]->text, last);
}

static const Ast *forward_of(const Ast *def)
{
    for (int i = 0; i < def->nkid; i++)
        if (def->kid[i]->kind == AST_forward)
            return def->kid[i];
    return NULL;
}

bool pattern_fits(const Spec *spec, const Ast *call, const Ast *module)
{
    const Ast *params = module->kid[0], *forward = forward_of(module);
    if (strcmp(call_name(call), "module")) {
        const Ast *def = spec_find(spec, AST_module, call_name(call));
        return def && def_alike(def, module);
    }
    if (!forward || call->nkid < 2 || params->nkid < call->nkid - 1 ||
        call->kid[1]->kind != AST_name || forward->kid[0]->nkid != 1)
        return false;
    for (int i = 1; i < call->nkid; i++)
        if (call->kid[i]->kind != AST_name ||
            strcmp(call->kid[i]->text, params->kid[i - 1]->text))
            return false;
    const Ast *x = forward->kid[0]->kid[0];
    return !x->kid[1] && is_dims(x->kid[0], call->kid[1]->text) &&
           is_dims(forward->kid[1], call->kid[1]->text);
}

static const Ast *pattern_of(const Spec *spec, const Inst *inst,
                             const Ast *match)
{
    const Ast *patterns = match->kid[0];
    for (int i = 0; i < patterns->nkid; i++) {
        const Ast *call = patterns->kid[i];
        if (inst->def->kind == AST_module &&
            pattern_fits(spec, call, inst->def))
            return call;
    }
    return NULL;
}

/* The parent's array that inst is an element of, and which. */
static Part *element_of(const Inst *inst, int *index)
{
    for (int i = 0; inst->parent && i < inst->parent->part.n; i++) {
        Part *p = &inst->parent->part.at[i];
        for (int j = 0; j < (p->unrolled ? p->n : 1); j++)
            if (p->inst[j] == inst) {
                *index = j;
                return p;
            }
    }
    return NULL;
}

/* Binds l of `in layer[l]`; false where inst is not there. */
static bool in_place(Scope *s, const Inst *inst, const Ast *in)
{
    const char *name = in->kind == AST_index ? in->kid[0]->text : in->text;
    for (const Inst *i = inst; i && i->parent; i = i->parent) {
        int at;
        Part *p = element_of(i, &at);
        if (!p || strcmp(p->name, name ? name : ""))
            continue;
        if (in->kind == AST_index && in->kid[1]->kind == AST_name)
            names_set(s->model->arena, &s->local, in->kid[1]->text,
                      val_size(s->model->symbolic
                                   ? index_unknown(s->model, p,
                                                   in->kid[1]->text)
                                   : size_num(at)));
        return true;
    }
    return false;
}

static bool bind_pattern(Scope *s, const Ast *call, Inst *inst)
{
    bool ok = true;
    for (int i = 1; i < call->nkid; i++) {
        const Ast *arg = call->kid[i];
        if (i > inst->param.n) {
            error_at(arg->src, arg->loc, "`%s` has %s", inst->def->text,
                     params_text(inst->def->kid[0]));
            return false;
        }
        if (arg->kind != AST_name) {
            error_at(arg->src, arg->loc,
                     "a pattern of `%s` names its parameters; what they must "
                     "be stands after `where`, as in where %s == ..",
                     inst->def->text, inst->param.at[i - 1].name);
            ok = false;
            continue;
        }
        Named *p = &inst->param.at[i - 1];
        if (p->value.kind == V_size && !p->value.dim)
            val_dim(&p->value, p->name);
        names_set(s->model->arena, &s->local, arg->text, p->value);
    }
    return ok;
}

static bool is_match(Scope *s, const Shape *t, Inst *inst)
{
    const Ast *call = pattern_of(s->spec, inst, t->match);
    const Ast *in = t->match->kid[1], *where = t->match->kid[2];
    if (!call || (in && !in_place(s, inst, in)))
        return false;
    if (!where)
        return true;
    bind_pattern(s, call, inst);
    Val v = eval(s, where);
    if (v.kind == V_node && s->model->symbolic)
        return model_decided(s->model, v.node);
    return v.kind != V_bool || v.truth;
}

/* ---- one match ---- */

static void learn(Scope *s, const Inst *match, const Ast *item)
{
    for (int i = 0; i < item->nkid; i++) {
        const Ast *l = item->kid[i];
        Weight *w = arena_alloc(s->model->arena, sizeof *w);
        w->path = join_path(match ? match->path : "", l->text);
        w->file = w->path;
        w->type.dtype = TYPE_f32;
        for (int j = 0; match && j < match->nstack; j++)
            w->type.dim[w->type.rank++] = match->stack[j];
        w->stacked = w->type.rank;
        if (!read_dims(s, l->kid[0], &w->type)) {
            names_set(s->model->arena, &s->local, l->text, val_error);
            continue;
        }
        Slot slot = {.name = l->text, .w = w};
        Left left = {.slot = &slot};
        Scope r = right_scope(s, &left);
        give(&r, &left, eval_node(&r, l->kid[1]), l->kid[1]);
        Node n = {.op = OP_learned, .type = w->type, .weight = slot.w};
        names_set(s->model->arena, &s->local, l->text,
                  val_node(graph_add(s->model->weights, n)));
    }
}

/* "active counts the shared expert: 2 to {experts}" */
const char *fill_message(Scope *s, const char *text)
{
    const char *out = "";
    for (const char *hole; (hole = strchr(text, '{'));) {
        const char *end = strchr(hole, '}');
        if (!end)
            break;
        const char *name = intern_n(hole + 1, (size_t)(end - hole - 1));
        Val *v = names_find(&s->local, name);
        if (!v && s->inst)
            v = names_find(&s->inst->param, name);
        out = intern_printf("%s%.*s%s", out, (int)(hole - text), text,
                            v ? val_text(v) : name);
        text = end + 1;
    }
    return intern_printf("%s%s", out, text);
}

/* False after a message: it does not hold, or is no condition. */
bool require_holds(Scope *s, const Ast *item)
{
    Val v = eval(s, item->kid[0]);
    bool unknown = (v.kind == V_node && v.node->type.dtype == TYPE_bool) ||
                   (v.kind == V_size && s->model->symbolic &&
                    !size_is_num(v.size, NULL)); /* true or false */
    if (v.kind != V_bool && v.kind != V_error && !unknown) {
        error_at(item->src, item->kid[0]->loc,
                 "a condition is needed here, as in K <= E; this is %s",
                 v.kind == V_size ? "a number" : val_text(&v));
        return false;
    }
    if (unknown)
        model_holds(s, item->kid[0]);
    if (v.kind != V_bool || v.truth)
        return v.kind != V_error;
    Arena scratch = {0};
    error_at(item->src, item->kid[0]->loc, "%s",
             item->kid[1] ? fill_message(s, item->kid[1]->text)
                          : arena_printf(&scratch, "%s does not hold",
                                         dsl_expr_text(&scratch,
                                                       item->kid[0])));
    arena_free(&scratch);
    return false;
}

typedef struct {
    const Ast *replace;
    size_t base; /* length of the new module's path */
} Given;

static void check_given(Inst *inst, void *user)
{
    const Given *g = user;
    const Ast *replace = g->replace;
    Loc end = {replace->loc.at + replace->loc.len - 1, 1};
    for (int i = 0; i < inst->slot.n; i++)
        if (!inst->slot.at[i].given && !inst->slot.at[i].absent &&
            !inst->slot.at[i].excused)
            error_at(replace->src, end, "`%s` is given no value",
                     inst->slot.at[i].w->path + g->base);
}

static void put(Inst *match, Inst *fresh)
{
    int at;
    Part *p = element_of(match, &at);
    if (p)
        p->inst[at] = fresh;
    fresh->parent = match->parent;
}

static void own_by(Inst *inst, void *applied)
{
    inst->by = applied;
}

static Inst *replaced(Scope *s, Inst *match, const Ast *replace,
                      Applied *applied)
{
    const Ast *call = replace->kid[0], *as = replace->kid[1];
    const Inst *like;
    const Ast *def = module_called(s, call, &like);
    if (!def)
        return NULL;
    const char *file = match->file;
    if (as)
        file = join_path(match->parent ? match->parent->file : "", as->text);
    Inst *fresh = inst_new(s->model, s->spec, def, match->parent, match->path,
                           file);
    fresh->site = call;
    fresh->like = like;
    if (like) /* it has the names in files that this one had */
        fresh->renames = like->renames;
    fresh->nstack = match->nstack; /* inside arrays: each of them */
    memcpy(fresh->stack, match->stack, sizeof fresh->stack);
    Scope args = *s;
    args.site = call;
    if (!inst_bind_args(&args, fresh, call))
        return NULL;
    Scope own = {.spec = s->spec, .model = s->model, .g = s->model->weights,
                 .inst = fresh, .site = call};
    if (!inst_build(s->model, fresh, &own))
        return NULL;
    inst_walk(fresh, own_by, applied);
    for (int i = 2; i < replace->nkid; i++)
        if (replace->kid[i]->kind == AST_each)
            bind_each(s, fresh, fresh, replace->kid[i]);
        else if (replace->kid[i]->kind == AST_bind)
            bind_item(s, fresh, replace->kid[i]);
    size_t base = strlen(fresh->path);
    Given given = {replace, base ? base + 1 : 0};
    inst_walk(fresh, check_given, &given);
    return fresh;
}

static void plain_assign(Scope *s, const Ast *item)
{
    Scope r = *s;
    r.formula = true;
    r.g = s->model->weights;
    run_statement(&r, item);
    s->local = r.local;
    s->dims = r.dims;
}

/* Runs the transform's text for one match (NULL: the whole model). Returns the
 * replacement, or the match, changed. */
Inst *transform_match(Scope *s, const Ast *def, Inst *match, Applied *applied)
{
    Shape t = shape_of(def);
    s->at = match ? match->path : NULL;
    if (match && !bind_pattern(s, pattern_of(s->spec, match, t.match), match))
        return NULL;
    if (match && t.match->text)
        names_set(s->model->arena, &s->local, t.match->text,
                  (Val){.kind = V_inst, .inst = match});
    Inst *result = match;
    for (int i = 0; i < def->nkid; i++) {
        const Ast *item = def->kid[i];
        switch (item->kind) {
        case AST_require:
            if (!require_holds(s, item))
                return NULL;
            break;
        case AST_learn:   learn(s, match, item); break;
        case AST_assign:  plain_assign(s, item); break;
        case AST_bind:    bind_item(s, NULL, item); break;
        case AST_each:
            if (!t.replace)
                bind_each(s, NULL, match ? match : s->model->root, item);
            break;
        case AST_replace:
            result = replaced(s, match, item, applied);
            break;
        default: break;
        }
    }
    return result;
}

/* ---- the whole model ---- */

typedef struct {
    Scope *base;
    Shape *shape;
    bool nested; /* inside a routed array, where it must stay */
    LIST(Inst *) found;
} Search;

/* May what replaces a match stand in a routed array, row by row? */
static bool routable(const Spec *spec, const Ast *replace)
{
    const char *name = replace ? call_name(replace->kid[0]) : NULL;
    const Ast *def = name ? spec_find(spec, AST_module, name) : NULL;
    const Ast *forward = def ? forward_of(def) : NULL, *dims;
    if (!forward || !forward->kid[0]->nkid)
        return true;
    dims = forward->kid[0]->kid[0]->kid[0]->kid[0];
    return dims->nkid && dims->kid[0]->kind == AST_dots;
}

static void search(Inst *inst, void *user)
{
    Search *f = user;
    Scope s = *f->base;
    s.local = names_copy(s.model->arena, &f->base->local);
    if (!is_match(&s, f->shape, inst))
        return;
    if (inst->nstack && !routable(f->base->spec, f->shape->replace)) {
        f->nested = true;
        return;
    }
    list_push(f->base->model->arena, &f->found, inst);
}

static bool no_match(const Shape *t, Err *err)
{
    const Ast *patterns = t->match->kid[0];
    const char *names = "";
    for (int i = 0; i < patterns->nkid; i++)
        names = intern_printf("%s%s%s", names, i ? "` or `" : "",
                              call_name(patterns->kid[i]));
    return err_set(err, "transform `%s`: no module of the model matches `%s`%s",
                   t->def->text, names,
                   t->match->kid[1] || t->match->kid[2]
                       ? " at the place it names" : "");
}

static bool apply_matches(Scope *s, Shape *t, Applied *applied, Err *err)
{
    Search f = {.base = s, .shape = t};
    inst_walk(s->model->root, search, &f);
    if (!f.found.n && f.nested)
        return err_set(err, "transform `%s`: no module matches but inside "
                            "routed arrays, where `%s` cannot stand: its "
                            "forward does not take x[.., D]", t->def->text,
                       call_name(t->replace->kid[0]));
    if (!f.found.n)
        return model_conditions(s->model, &(Node *const *){0}) ||
               no_match(t, err);
    for (int i = 0; i < f.found.n; i++) {
        Scope one = *s;
        one.local = names_copy(s->model->arena, &s->local);
        if (t->match->kid[1])
            in_place(&one, f.found.at[i], t->match->kid[1]);
        Inst *fresh = transform_match(&one, t->def, f.found.at[i], applied);
        if (!fresh)
            return false;
        if (fresh != f.found.at[i])
            put(f.found.at[i], fresh);
    }
    return true;
}

/* `each w` beside `replace`: all that no match replaced. */
static void apply_rest(Scope *s, const Shape *t)
{
    for (int i = 0; t->replace && i < t->def->nkid; i++)
        if (t->def->kid[i]->kind == AST_each)
            bind_each(s, NULL, s->model->root, t->def->kid[i]);
}

bool apply_to(Scope *s, const Ast *def, Applied *applied, Err *err)
{
    Shape t = shape_of(def);
    bool ok = true;
    int before = s->spec->diags->errors;
    s->applying = applied;
    list_push(s->model->arena, &s->model->applied, applied);
    if (t.match) {
        ok = apply_matches(s, &t, applied, err);
        if (ok)
            apply_rest(s, &t);
    } else {
        Scope one = *s;
        one.local = names_copy(s->model->arena, &s->local);
        transform_match(&one, def, NULL, applied);
    }
    return ok && s->spec->diags->errors == before;
}

Model *model_transform(Spec *spec, Model *m, const char *name, const Arg *arg,
                       int narg, const With *with, int nwith, Err *err)
{
    const Ast *def = spec_find(spec, AST_transform, name);
    err->text[0] = 0;
    if (!def) {
        const char *near = spec_nearest(spec, AST_transform, name);
        err_set(err, "no transform `%s`%s", name,
                near_text(near));
        return NULL;
    }
    Model *to = copy_model(m);
    Applied *applied = arena_alloc(m->arena, sizeof *applied);
    *applied = (Applied){.name = name, .spec = spec, .def = def};
    Scope s = {.spec = spec, .model = to, .g = to->weights};
    if (!bind_params(&s, def, arg, narg, m->symbolic, applied, err) ||
        !bind_others(&s, def, with, nwith, err) ||
        !apply_to(&s, def, applied, err) ||
        (!m->symbolic && !model_lowers(to, err))) {
        if (!err->text[0])
            err_set(err, "transform `%s` cannot be applied", name);
        return NULL;
    }
    others_count(&s, def, &applied->param);
    applied->scope = s.local;
    return to;
}
