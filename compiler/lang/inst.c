/* Instances: a module with its sizes filled in, its weights and its parts. */
#include "compiler/lang/elab.h"
#include <string.h>

const char *call_name(const Ast *call)
{
    return call->kind == AST_call ? call->kid[0]->text : call->text;
}

const Ast *inst_forward(const Inst *inst)
{
    for (int i = 0; i < inst->def->nkid; i++)
        if (inst->def->kid[i]->kind == AST_forward)
            return inst->def->kid[i];
    return NULL;
}

Slot *inst_slot(const Inst *inst, const char *name)
{
    for (int i = 0; i < inst->slot.n; i++)
        if (!strcmp(inst->slot.at[i].name, name) && !inst->slot.at[i].absent)
            return &inst->slot.at[i];
    return NULL;
}

Part *inst_part(const Inst *inst, const char *name)
{
    for (int i = 0; i < inst->part.n; i++)
        if (!strcmp(inst->part.at[i].name, name))
            return &inst->part.at[i];
    return NULL;
}

const char *inst_nearest(const Inst *inst, const char *name)
{
    const char *names[128];
    int n = 0;
    for (int i = 0; i < inst->slot.n && n < 64; i++)
        names[n++] = inst->slot.at[i].name;
    for (int i = 0; i < inst->part.n && n < 128; i++)
        names[n++] = inst->part.at[i].name;
    return nearest(name, names, n);
}

void inst_walk(Inst *inst, void (*visit)(Inst *, void *), void *user)
{
    visit(inst, user);
    for (int i = 0; i < inst->part.n; i++) {
        Part *p = &inst->part.at[i];
        for (int j = 0; j < (p->unrolled ? p->n : 1); j++)
            inst_walk(p->inst[j], visit, user);
    }
}

Inst *inst_new(Model *m, const Spec *spec, const Ast *def, Inst *parent,
               const char *path, const char *file)
{
    Inst *inst = arena_alloc(m->arena, sizeof *inst);
    *inst = (Inst){.def = def, .spec = spec, .parent = parent, .path = path,
                   .file = file};
    if (parent) {
        inst->nstack = parent->nstack;
        memcpy(inst->stack, parent->stack, sizeof inst->stack);
    }
    return inst;
}

/* ---- parameters ---- */

static const Ast *params_of(const Ast *def)
{
    return def->nkid && def->kid[0] && def->kid[0]->kind == AST_params
               ? def->kid[0]
               : NULL;
}

static void set_param(Model *m, Inst *inst, const Ast *param, Val v)
{
    names_set(m->arena, &inst->param, param->text, v);
}

static bool has_default(const Ast *param)
{
    return param->nkid && param->kid[0];
}

static bool bind_default(Scope *s, Inst *inst, const Ast *param,
                         const Ast *call)
{
    const Val *same = inst->like ? names_find(&inst->like->param, param->text)
                                 : NULL;
    if (same) {
        set_param(s->model, inst, param, *same);
        return true;
    }
    if (!has_default(param)) {
        error_at(call->src, call->loc, "`%s` needs a value for `%s`",
                 inst->def->text, param->text);
        set_param(s->model, inst, param, val_error);
        return false;
    }
    Scope own = {.spec = inst->spec, .model = s->model, .g = s->g,
                 .inst = inst, .site = call};
    set_param(s->model, inst, param,
              param->kind == AST_param_module
                  ? module_value(&own, param->kid[0])
                  : eval(&own, param->kid[0]));
    return true;
}

static int param_index(const Ast *params, const char *name)
{
    for (int i = 0; i < params->nkid; i++)
        if (!strcmp(params->kid[i]->text, name))
            return i;
    return -1;
}

static const char *nearest_param(const Ast *params, const char *name)
{
    const char *names[64];
    int n = 0;
    for (; n < params->nkid && n < 64; n++)
        names[n] = params->kid[n]->text;
    return nearest(name, names, n);
}

/* "2 parameters: D, eps" */
const char *params_text(const Ast *params)
{
    const char *text = "";
    for (int i = 0; i < params->nkid; i++)
        text = intern_printf("%s%s%s", text, i ? ", " : "",
                             params->kid[i]->text);
    if (!params->nkid)
        return "no parameters";
    return intern_printf("%d parameter%s: %s", params->nkid,
                         params->nkid == 1 ? "" : "s", text);
}

/* Which parameter an argument is for, or -1 after a message. */
static int target(const Ast *params, const Ast *arg, int at, const Ast *def)
{
    if (arg->kind == AST_named) {
        int i = param_index(params, arg->text);
        const char *near = i < 0 ? nearest_param(params, arg->text) : NULL;
        if (i < 0)
            error_at(arg->src, arg->name_loc,
                     "`%s` has no parameter `%s`%s", def->text, arg->text,
                     near_text(near));
        return i;
    }
    if (at < params->nkid)
        return at;
    error_at(arg->src, arg->loc, "`%s` has %s", def->text,
             params_text(params));
    return -1;
}

bool inst_bind_args(Scope *s, Inst *inst, const Ast *call)
{
    const Ast *params = params_of(inst->def);
    const Ast *given[64] = {0};
    int n = params ? params->nkid : 0;
    bool ok = true;
    for (int i = 1; i < call->nkid; i++) {
        int at = params && n <= 64
                     ? target(params, call->kid[i], i - 1, inst->def)
                     : -1;
        if (at >= 0 && given[at]) {
            error_at(call->kid[i]->src, call->kid[i]->loc,
                     "`%s` is given twice", params->kid[at]->text);
            at = -1;
        }
        if (at < 0)
            ok = false;
        else
            given[at] = call->kid[i];
    }
    for (int i = 0; i < n; i++) {
        const Ast *arg = given[i];
        if (!arg && !ok && !has_default(params->kid[i]) && !inst->like) {
            set_param(s->model, inst, params->kid[i], val_error);
            continue;
        }
        if (!arg) {
            ok = bind_default(s, inst, params->kid[i], call) && ok;
            continue;
        }
        arg = arg->kind == AST_named ? arg->kid[0] : arg;
        Val v = params->kid[i]->kind == AST_param_module
                    ? module_argument(s, arg) : eval(s, arg);
        if (v.kind == V_node && s->model->symbolic) /* depends on unknowns */
            v = val_size(made_unknown(s->model,
                                      intern_printf("%p", (void *)v.node),
                                      params->kid[i]->text));
        if (v.kind == V_size && arg->kind == AST_name)
            v.dim = find_dim(s, arg->text); /* the caller's dim */
        else
            v.dim = NULL; /* a formula: a dim of this instance alone */
        set_param(s->model, inst, params->kid[i], v);
        ok &= v.kind != V_error;
    }
    return ok;
}

/* ---- weights and parts ---- */

const char *join_path(const char *a, const char *b)
{
    return *a && *b ? intern_printf("%s.%s", a, b) : *a ? a : b;
}

/* The {} of an unrolled array's name is its index; of a stacked one it stays.*/
static const char *fill_index(const char *text, int i)
{
    const char *hole = strstr(text, "{}");
    if (!hole)
        return intern_printf("%s.%d", text, i);
    return intern_printf("%.*s%d%s", (int)(hole - text), text, i, hole + 2);
}

static const Ast *renamed(const Ast *renames, const char *name)
{
    for (int i = 0; renames && i < renames->nkid; i++)
        if (!strcmp(renames->kid[i]->text, name))
            return renames->kid[i]->kid[0];
    return NULL;
}

static bool dim_ok(Scope *s, const Dim *d, const Ast *at)
{
    if (size_fits(d->size))
        return true;
    const Ast *site = s->site ? s->site : at;
    const char *field = field_of_dim(s->model, d);
    error_at(site->src, site->loc,
             "%s%s%s%s = %s: a dim's size must be a whole number of at least 1",
             d->name, field ? " (" : "", field ? field : "", field ? ")" : "",
             size_text(d->size));
    return false;
}

/* Reads [F, D] of a declaration (`..` is T); false after a message. */
bool read_dims(Scope *s, const Ast *dims, Type *t)
{
    for (int i = 0; i < dims->nkid; i++) {
        const Ast *at = dims->kid[i];
        const Dim *d = at->kind == AST_dots ? dim_T() : want_dim(s, at);
        if (!d)
            return false;
        if (type_dim(t, d) >= 0) {
            error_at(at->src, at->loc,
                     "`%s` stands here twice: the dims of a tensor have "
                     "different names",
                     d->name);
            return false;
        }
        if (t->rank == MAX_RANK) {
            error_at(at->src, at->loc, "at most %d dims", MAX_RANK);
            return false;
        }
        if (!dim_ok(s, d, at))
            return false;
        t->dim[t->rank++] = d;
    }
    return true;
}

/* Does `unless` hold? What depends on unknowns is there. */
static bool left_out(Scope *s, const Ast *unless)
{
    Val v = eval(s, unless);
    if (v.kind != V_bool && v.kind != V_error && !s->model->symbolic)
        error_at(unless->src, unless->loc,
                 "`unless` needs true or false, this is %s", val_found(&v));
    return v.kind == V_error || (v.kind == V_bool && v.truth);
}

static void add_weight(Scope *s, Inst *inst, const Ast *decl,
                       const Ast *renames)
{
    Slot slot = {.name = decl->text, .decl = decl};
    const Ast *as = decl->kid[1], *unless = decl->kid[2];
    const Ast *name = renamed(renames, decl->text);
    if (inst_slot(inst, decl->text) || inst_part(inst, decl->text)) {
        error_at(decl->src, decl->name_loc, "there is a `%s` already",
                 decl->text);
        names_set(s->model->arena, &inst->spoilt, decl->text, val_error);
        return;
    }
    if (unless)
        slot.absent = left_out(s, unless);
    Weight *w = arena_alloc(s->model->arena, sizeof *w);
    w->path = join_path(inst->path, decl->text);
    if (name)
        as = name;
    w->file = join_path(inst->file, as ? as->text : decl->text);
    w->type.dtype = s->model->dtype;
    w->stacked = inst->nstack;
    for (int i = 0; i < inst->nstack; i++)
        w->type.dim[w->type.rank++] = inst->stack[i];
    if (!slot.absent && !read_dims(s, decl->kid[0], &w->type)) {
        names_set(s->model->arena, &inst->spoilt, decl->text, val_error);
        return;
    }
    if (!slot.absent && !file_part(s, inst, w, as, name != NULL)) {
        names_set(s->model->arena, &inst->spoilt, decl->text, val_error);
        return;
    }
    slot.w = w;
    list_push(s->model->arena, &inst->slot, slot);
}

/* Is the array used as part[v] with v of a `for`? Then each index has its own
 * instance. */
static bool indexed_by_loop(const Ast *a, const char *part, const char *var)
{
    if (!a)
        return false;
    if (a->kind == AST_index && a->kid[0] && a->kid[0]->kind == AST_name &&
        !strcmp(a->kid[0]->text, part) && var && a->nkid > 1 &&
        a->kid[1]->kind == AST_name && !strcmp(a->kid[1]->text, var))
        return true;
    const char *inner = a->kind == AST_for ? a->text : var;
    for (int i = 0; i < a->nkid; i++)
        if (indexed_by_loop(a->kid[i], part, inner))
            return true;
    return false;
}

const Part *looped_part(const Inst *inst, const Ast *loop)
{
    for (int i = 0; inst && i < inst->part.n; i++)
        if (inst->part.at[i].unrolled &&
            indexed_by_loop(loop, inst->part.at[i].name, NULL))
            return &inst->part.at[i];
    return NULL;
}

/* layer[L] or layer[l in L]: the count, the index's name or NULL */
static const Ast *count_of(const Ast *decl, const char **index)
{
    const Ast *count = decl->kid[0];
    bool named = count && count->kind == AST_named;
    *index = named ? count->text : NULL;
    return named ? count->kid[0] : count;
}

static int array_count(Scope *s, Part *part, const Ast *count)
{
    double n = 1;
    const Dim *d = NULL;
    const Size *size;
    if (count->kind == AST_name)
        d = want_dim(s, count);
    else if (eval_size(s, count, &size))
        d = dim_new(part->name, size);
    if (!d || !dim_ok(s, d, count))
        return 0;
    part->array = d;
    if (!size_is_num(d->size, &n))
        return 1;
    if (part->unrolled && n > 10000) {
        error_at(count->src, count->loc, "%.0f layers: at most 10000", n);
        return 0;
    }
    return part->unrolled ? (int)n : 1;
}

static Inst *build_element(Scope *s, Inst *inst, Part *part, const Ast *def,
                           const Inst *like, int i)
{
    const Ast *decl = part->decl, *as = decl->kid[2];
    const char *file = as ? as->text
                       : part->array ? intern_printf("%s.{}", part->name)
                                     : part->name;
    const char *path = part->name;
    bool index = part->unrolled && !s->model->symbolic;
    if (index)
        path = intern_printf("%s[%d]", path, i), file = fill_index(file, i);
    Inst *one = inst_new(s->model, s->spec, def, inst,
                         join_path(inst->path, path),
                         join_path(inst->file, file));
    one->site = s->site;
    one->like = like;
    if (part->array && !part->unrolled && one->nstack < MAX_RANK)
        one->stack[one->nstack++] = part->array;
    Scope call = {.spec = s->spec, .model = s->model, .g = s->g, .inst = inst,
                  .site = s->site, .depth = s->depth};
    const char *var;
    count_of(decl, &var);
    if (var)
        names_set(s->model->arena, &call.local, var,
                  val_size(index ? size_num(i)
                                 : index_unknown(s->model, part, var)));
    inst_bind_args(&call, one, decl->kid[1]);
    one->renames = decl->kid[3];
    Scope own = {.spec = s->spec, .model = s->model, .g = s->g, .inst = one,
                 .site = s->site ? s->site : decl->kid[1],
                 .depth = s->depth + 1};
    inst_build(s->model, one, &own);
    return one;
}

static bool index_usable(const Part *part, const char *index)
{
    const Ast *at = part->decl->kid[0];
    if (index && !part->unrolled)
        error_at(at->src, at->loc,
                 "`%s` is one module for all indices; only layers that a `for` "
                 "calls one by one can differ by theirs",
                 part->name);
    return !index || part->unrolled;
}

static void add_part(Scope *s, Inst *inst, const Ast *decl)
{
    const Inst *like;
    const Ast *def = module_called(s, decl->kid[1], &like);
    const char *index;
    const Ast *count = count_of(decl, &index);
    Part part = {.name = decl->text, .decl = decl, .n = 1};
    if (inst_slot(inst, decl->text) || inst_part(inst, decl->text)) {
        error_at(decl->src, decl->name_loc, "there is a `%s` already",
                 decl->text);
        names_set(s->model->arena, &inst->spoilt, decl->text, val_error);
        return;
    }
    if (decl->kid[2] && (decl->kid[2]->kid[0] || decl->kid[2]->kid[1]))
        error_at(decl->src, decl->kid[2]->loc,
                 "rows and `transposed` are said of a weight, not of a part");
    if (def && decl->kid[4] && left_out(s, decl->kid[4]))
        return;
    if (!def || s->depth > 50) {
        if (def)
            error_at(decl->src, decl->kid[1]->loc,
                     "`%s` would contain itself without end", def->text);
        names_set(s->model->arena, &inst->spoilt, decl->text, val_error);
        return;
    }
    if (count) {
        part.unrolled = indexed_by_loop(inst_forward(inst), part.name, NULL);
        if (index_usable(&part, index))
            part.n = array_count(s, &part, count);
        else
            part.n = 0;
    }
    part.inst = arena_alloc(s->model->arena,
                            (size_t)(part.n + 1) * sizeof *part.inst);
    for (int i = 0; i < part.n; i++) {
        if (!budget_part(s, decl))
            part.n = 0;
        else
            part.inst[i] = build_element(s, inst, &part, def, like, i);
    }
    if (part.n)
        list_push(s->model->arena, &inst->part, part);
    else
        names_set(s->model->arena, &inst->spoilt, decl->text, val_error);
}

/* A text with numbers filled in says one thing that is wrong with them. */
static bool given_up(const Model *m, const Inst *inst)
{
    return inst->spec->diags->errors && !m->symbolic;
}

bool inst_build(Model *m, Inst *inst, Scope *own)
{
    for (int i = 0; i < inst->def->nkid && !given_up(m, inst); i++) {
        const Ast *item = inst->def->kid[i];
        if (item->kind == AST_weights)
            for (int j = 0; j < item->nkid && !given_up(m, inst); j++)
                add_weight(own, inst, item->kid[j], inst->renames);
        if (item->kind == AST_part)
            add_part(own, inst, item);
    }
    return !given_up(m, inst);
}
