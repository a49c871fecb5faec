/* Transforms: modules matched by type and place, and replaced or changed. */
#include "compiler/elab.h"
#include <math.h>
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

/* ---- copies of a model's tree ---- */

static Inst *copy_inst(Model *m, const Inst *old, Inst *parent)
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
            part.inst[j] = copy_inst(m, old->part.at[i].inst[j], inst);
        list_push(m->arena, &inst->part, part);
    }
    return inst;
}

static Model *copy_model(Model *old)
{
    Model *m = arena_alloc(old->arena, sizeof *m);
    *m = *old;
    m->root = copy_inst(m, old->root, NULL);
    m->applied.at = NULL, m->applied.n = m->applied.room = 0;
    for (int i = 0; i < old->applied.n; i++)
        list_push(m->arena, &m->applied, old->applied.at[i]);
    return m;
}

/* ---- matching ---- */

static const Ast *pattern_of(const Spec *spec, const Inst *inst,
                             const Ast *match)
{
    const Ast *patterns = match->kid[0];
    for (int i = 0; i < patterns->nkid; i++) {
        const Ast *call = patterns->kid[i];
        const Ast *def = spec_find(spec, AST_module, call_name(call));
        if (def && (def == inst->def || dsl_equal(def, inst->def)))
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
                                   ? size_sym(in->kid[1]->text)
                                   : size_num(at)));
        return true;
    }
    return false;
}

static void bind_pattern(Scope *s, const Ast *call, Inst *inst)
{
    for (int i = 1; i < call->nkid; i++) {
        const Ast *arg = call->kid[i];
        if (arg->kind != AST_name || i > inst->param.n) {
            error_at(arg->src, arg->loc,
                     i > inst->param.n
                         ? "`%s` has fewer parameters"
                         : "a pattern of `%s` names its parameters",
                     inst->def->text);
            continue;
        }
        Named *p = &inst->param.at[i - 1];
        if (p->value.kind == V_size && !p->value.dim)
            val_dim(&p->value, p->name);
        names_set(s->model->arena, &s->local, arg->text, p->value);
    }
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
    return v.kind != V_bool || v.truth;
}

/* ---- left sides ---- */

typedef struct {
    Inst *inst;       /* a part, or */
    Slot *slot;       /* a weight */
    const Ast *dims;  /* as written: gate[E, f, D] */
    const Dim *index; /* expert[e]: the array's dim */
    const char *name; /* e */
} Left;

static void no_part(const Ast *e, const Inst *inst, const char *text)
{
    const char *near = inst_nearest(inst, text);
    error_at(e->src, e->name_loc, "`%s` has no weight or part `%s`%s%s%s",
             inst->def->text, text, near ? " (did you mean `" : "",
             near ? near : "", near ? "`?)" : "");
    Slot *slot = near ? inst_slot(inst, near) : NULL;
    if (slot)
        slot->given = true; /* one mistake, one message */
    Part *part = near ? inst_part(inst, near) : NULL;
    for (int i = 0; part && i < part->inst[0]->slot.n; i++)
        part->inst[0]->slot.at[i].given = true;
}

static bool left_member(Inst *inst, const Ast *e, Left *out)
{
    Part *part = inst_part(inst, e->text);
    out->slot = inst_slot(inst, e->text);
    out->inst = part ? part->inst[0] : NULL;
    if (part || out->slot)
        return true;
    no_part(e, inst, e->text);
    return false;
}

static bool resolve_left(Scope *s, Inst *fresh, const Ast *e, Left *out)
{
    if (e->kind == AST_name) {
        Val *v = fresh ? NULL : names_find(&s->local, e->text);
        if (v && v->kind == V_inst) {
            out->inst = v->inst;
            return true;
        }
        if (fresh)
            return left_member(fresh, e, out);
        error_at(e->src, e->loc, "`%s` is not what was matched", e->text);
        return false;
    }
    if (e->kind == AST_dot) {
        if (!resolve_left(s, fresh, e->kid[0], out))
            return false;
        if (out->inst)
            return left_member(out->inst, e, out);
        error_at(e->src, e->loc, "a weight has no parts");
        return false;
    }
    if (e->kind != AST_index || !resolve_left(s, fresh, e->kid[0], out)) {
        if (e->kind != AST_index)
            error_at(e->src, e->loc, "a weight or a part stands on the left");
        return false;
    }
    if (out->slot) {
        out->dims = e;
        return true;
    }
    if (e->nkid != 2 || e->kid[1]->kind != AST_name || !out->inst->nstack) {
        error_at(e->src, e->loc, "an array takes one new name, as expert[e]");
        return false;
    }
    out->index = out->inst->stack[out->inst->nstack - 1];
    out->name = e->kid[1]->text;
    return true;
}

/* ---- values ---- */

static void misfit(const Ast *at, const Weight *w, const Node *n)
{
    error_at(at->src, at->loc, "`%s` is %s, the right side %s", w->path,
             dims_text(&w->type), dims_text(&n->type));
}

/* The node's dims under the weight's names, matched in order from the end. */
static Node *rename_dims(Graph *g, Node *n, const Type *want, const Ast *at,
                         const Weight *w)
{
    int off = want->rank - n->type.rank;
    if (off < 0) {
        misfit(at, w, n);
        return NULL;
    }
    for (int i = 0; i < n->type.rank; i++) {
        const Dim *d = n->type.dim[i], *to = want->dim[off + i];
        if (d == to)
            continue;
        if (d->size != to->size) {
            misfit(at, w, n);
            return NULL;
        }
        if (type_dim(&n->type, to) >= 0) { /* a swap of equal dims */
            Node tmp = {.op = OP_rename, .arg = {n}, .ndim = 2,
                        .dim = {to, dim_new(to->name, to->size)}};
            n = graph_add(g, tmp);
        }
        Node r = {.op = OP_rename, .arg = {n}, .ndim = 2, .dim = {d, to}};
        n = graph_add(g, r);
    }
    return arrange(g, n, want->rank, want->dim);
}

/* down[D, E, f] = e: e's dims in this order, then neighbours flattened to the
 * weight's. */
static Node *by_name(Scope *s, Node *n, const Left *left, const Ast *at)
{
    const Type *want = &left->slot->w->type;
    const Dim *dim[MAX_RANK];
    int rank = left->dims->nkid - 1, from = 0;
    for (int i = 0; i < rank && i < MAX_RANK; i++) {
        const Ast *d = left->dims->kid[i + 1];
        dim[i] = d->kind == AST_name ? find_dim(s, d->text) : NULL;
        if (!dim[i] || type_dim(&n->type, dim[i]) < 0) {
            error_at(d->src, d->loc, "no dim `%s` in %s",
                     d->text ? d->text : "..", dims_text(&n->type));
            return NULL;
        }
    }
    if (rank != n->type.rank) {
        misfit(at, left->slot->w, n);
        return NULL;
    }
    n = arrange(s->g, n, rank, dim);
    for (int i = 0; i < want->rank; i++) {
        const Size *size = size_num(1);
        Node f = {.op = OP_flatten, .arg = {n}, .ndim = 1};
        while (from < rank && size != want->dim[i]->size) {
            size = size_mul(size, dim[from]->size);
            f.dim[f.ndim++] = dim[from++];
        }
        if (size != want->dim[i]->size) {
            misfit(at, left->slot->w, n);
            return NULL;
        }
        if (f.ndim > 2) {
            f.dim[0] = dim_new(want->dim[i]->name, size);
            n = graph_add(s->g, f);
        }
    }
    return n;
}

static Node *index_first(Graph *g, Node *n, const Dim *index)
{
    const Dim *want[MAX_RANK];
    int rank = 1;
    if (!index || type_dim(&n->type, index) < 0)
        return n;
    want[0] = index;
    for (int i = 0; i < n->type.rank; i++)
        if (n->type.dim[i] != index)
            want[rank++] = n->type.dim[i];
    return arrange(g, n, rank, want);
}

static void give(Scope *s, const Left *left, Node *n, const Ast *at)
{
    Slot *slot = left->slot;
    slot->given = true;
    if (!n)
        return;
    if (left->dims)
        n = by_name(s, n, left, at);
    else
        n = index_first(s->g, n, left->index);
    if (n)
        n = rename_dims(s->g, n, &slot->w->type, at, slot->w);
    if (!n)
        return;
    Weight *w = arena_alloc(s->model->arena, sizeof *w);
    *w = *slot->w;
    w->value = g_cast(s->g, TYPE_f32, n);
    slot->w = w;
}

/* Scope for the right side of a weight. */
static Scope right_scope(const Scope *s, const Left *left, Inst *fresh)
{
    Scope r = *s;
    r.formula = true;
    r.g = s->model->weights;
    r.local = names_copy(s->model->arena, &s->local);
    if (left->slot) {
        r.target = left->slot->w;
        r.own = left->slot->w->type.dim;
        r.nown = left->slot->w->type.rank;
    }
    if (left->index) {
        Node i = {.op = OP_iota, .ndim = 1, .dim = {left->index},
                  .type = {TYPE_i32, left->index, 1, {left->index}}};
        names_set(s->model->arena, &r.local, left->name,
                  val_node(graph_add(r.g, i)));
    }
    (void)fresh;
    return r;
}

static bool same_module(const Inst *a, const Inst *b)
{
    return a->def == b->def || dsl_equal(a->def, b->def);
}

static void copy_part(Scope *s, const Left *left, const Val *from,
                      const Ast *at);

static void copy_weight(Scope *s, const Left *left, Inst *to, int i,
                        const Val *from, const Ast *at)
{
    Left one = {.slot = &to->slot.at[i], .index = left->index};
    Slot *slot = from->inst ? inst_slot(from->inst, one.slot->name) : NULL;
    if (one.slot->absent)
        return;
    one.slot->given = true;
    if (!slot)
        return;
    Node *n = from->kind == V_models
                  ? others_weight(s, from, from->inst, slot)
                  : weight_node(s, slot);
    give(s, &one, n, at);
}

static void copy_parts(Scope *s, const Left *left, Inst *to, const Val *from,
                       const Ast *at)
{
    for (int i = 0; i < to->part.n; i++) {
        Part *p = inst_part(from->inst, to->part.at[i].name);
        for (int j = 0; p && j < (p->unrolled ? p->n : 1); j++) {
            Left one = {.inst = to->part.at[i].inst[j], .index = left->index};
            Val v = *from;
            v.inst = p->inst[j];
            copy_part(s, &one, &v, at);
        }
    }
}

/* expert = ffn: every weight of the part from its counterpart. */
static void copy_part(Scope *s, const Left *left, const Val *from,
                      const Ast *at)
{
    Inst *to = left->inst;
    if (!same_module(to, from->inst)) {
        error_at(at->src, at->loc, "the left side is a `%s`, the right a `%s`",
                 to->def->text, from->inst->def->text);
        for (int i = 0; i < to->slot.n; i++)
            to->slot.at[i].given = true;
        return;
    }
    for (int i = 0; i < to->slot.n; i++)
        copy_weight(s, left, to, i, from, at);
    copy_parts(s, left, to, from, at);
}

static void mark_given(Inst *inst, void *unused)
{
    (void)unused;
    for (int i = 0; i < inst->slot.n; i++)
        inst->slot.at[i].given = true;
}

static void bind(Scope *s, Inst *fresh, const Ast *item)
{
    Left left = {0};
    const Ast *rhs = item->kid[1];
    if (!resolve_left(s, fresh, item->kid[0], &left))
        return;
    Scope r = right_scope(s, &left, fresh);
    Val v = eval(&r, rhs);
    if (left.slot) {
        Node *n = as_node(&r, v, TYPE_f32, rhs);
        if (left.dims && fresh) { /* its names may be the new module's */
            Scope both = r;
            both.inst = fresh;
            give(&both, &left, n, rhs);
        } else {
            give(&r, &left, n, rhs);
        }
        return;
    }
    if (v.kind == V_part)
        v = (Val){.kind = V_inst, .inst = v.part->inst[0]};
    if ((v.kind == V_inst || v.kind == V_models) && v.inst) {
        copy_part(&r, &left, &v, rhs);
        return;
    }
    inst_walk(left.inst, mark_given, NULL);
    if (v.kind != V_error)
        error_at(rhs->src, rhs->loc,
                 "a `%s` is needed on the right, this is %s",
                 left.inst->def->text, val_text(&v));
}

/* ---- each ---- */

static void each_slot(Scope *s, Inst *fresh, Inst *inst, const char *at, int i,
                      const Ast *item)
{
    Left left = {.slot = &inst->slot.at[i]};
    if (left.slot->absent)
        return;
    Scope r = right_scope(s, &left, fresh);
    Slot old = *left.slot;
    r.each = &old;
    r.each_at = at;
    r.each_name = item->kid[0]->kind == AST_dot || item->kid[0]->kind == AST_name
                      ? item->kid[0]->text
                      : "w";
    r.each_from = fresh ? NULL : inst;
    Val v = eval(&r, item->kid[1]);
    give(&r, &left, as_node(&r, v, TYPE_f32, item->kid[1]), item->kid[1]);
}

static void each_in(Scope *s, Inst *fresh, Inst *inst, const char *at,
                    const Ast *item)
{
    for (int i = 0; i < inst->slot.n; i++)
        each_slot(s, fresh, inst, at, i, item);
    for (int i = 0; i < inst->part.n; i++) {
        Part *p = &inst->part.at[i];
        for (int j = 0; j < (p->unrolled ? p->n : 1); j++) {
            if (p->inst[j]->by && p->inst[j]->by == s->applying)
                continue; /* what this transform put in has its values */
            const char *name = p->unrolled && !s->model->symbolic
                                   ? intern_printf("%s[%d]", p->name, j)
                                   : p->name;
            each_in(s, fresh, p->inst[j], join_path(at, name), item);
        }
    }
}

static void each(Scope *s, Inst *fresh, Inst *whole, const Ast *item)
{
    const Ast *path = item->kid[0];
    Left left = {0};
    if (path->kind == AST_name) {
        each_in(s, fresh, whole, "", item);
        return;
    }
    if (path->kind != AST_dot) {
        error_at(path->src, path->loc, "`each` is followed by w or PART.w");
        return;
    }
    if (resolve_left(s, fresh, path->kid[0], &left) && left.inst)
        each_in(s, fresh, left.inst, "", item);
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
        if (!read_dims(s, l->kid[0], &w->type)) {
            names_set(s->model->arena, &s->local, l->text, val_error);
            continue;
        }
        Slot slot = {.name = l->text, .w = w};
        Left left = {.slot = &slot};
        Scope r = right_scope(s, &left, NULL);
        Val v = eval(&r, l->kid[1]);
        give(&r, &left, as_node(&r, v, TYPE_f32, l->kid[1]), l->kid[1]);
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

static bool require(Scope *s, const Ast *item)
{
    Val v = eval(s, item->kid[0]);
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

static void check_given(Inst *inst, void *user)
{
    const Ast *replace = user;
    Loc end = {replace->loc.at + replace->loc.len - 1, 1};
    for (int i = 0; i < inst->slot.n; i++)
        if (!inst->slot.at[i].given && !inst->slot.at[i].absent)
            error_at(replace->src, end, "`%s` is given no value",
                     inst->slot.at[i].name);
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

/* Paths of what was just built, for messages: without the model's. */
static Inst *replaced(Scope *s, Inst *match, const Ast *replace,
                      Applied *applied)
{
    const Ast *call = replace->kid[0], *as = replace->kid[1];
    const Ast *def = spec_find(s->spec, AST_module, call_name(call));
    if (!def) {
        const char *near = spec_nearest(s->spec, AST_module, call_name(call));
        error_at(call->src, call->loc, "no module `%s`%s%s%s", call_name(call),
                 near ? " (did you mean `" : "", near ? near : "",
                 near ? "`?)" : "");
        return NULL;
    }
    const char *file = match->file;
    if (as)
        file = join_path(match->parent ? match->parent->file : "", as->text);
    Inst *fresh = inst_new(s->model, s->spec, def, match->parent, match->path,
                           file);
    fresh->site = call;
    Scope args = *s;
    args.site = call;
    if (!inst_bind_args(&args, fresh, call))
        return NULL;
    Scope own = {.spec = s->spec, .model = s->model, .g = s->model->weights,
                 .inst = fresh, .site = call};
    inst_build(s->model, fresh, &own);
    inst_walk(fresh, own_by, applied);
    for (int i = 2; i < replace->nkid; i++)
        if (replace->kid[i]->kind == AST_each)
            each(s, fresh, fresh, replace->kid[i]);
        else if (replace->kid[i]->kind == AST_bind)
            bind(s, fresh, replace->kid[i]);
    inst_walk(fresh, check_given, (void *)replace);
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
    if (match)
        bind_pattern(s, pattern_of(s->spec, match, t.match), match);
    if (match && t.match->text)
        names_set(s->model->arena, &s->local, t.match->text,
                  (Val){.kind = V_inst, .inst = match});
    Inst *result = match;
    for (int i = 0; i < def->nkid; i++) {
        const Ast *item = def->kid[i];
        switch (item->kind) {
        case AST_require:
            if (!require(s, item))
                return NULL;
            break;
        case AST_learn:   learn(s, match, item); break;
        case AST_assign:  plain_assign(s, item); break;
        case AST_bind:    bind(s, NULL, item); break;
        case AST_each:
            if (!t.replace)
                each(s, NULL, match ? match : s->model->root, item);
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
    LIST(Inst *) found;
    bool nested;
} Search;

static void search(Inst *inst, void *user)
{
    Search *f = user;
    Scope s = *f->base;
    s.local = names_copy(s.model->arena, &f->base->local);
    if (!is_match(&s, f->shape, inst))
        return;
    f->nested |= inst->nstack > 0;
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
    if (!f.found.n)
        return no_match(t, err);
    if (f.nested)
        return err_set(err, "transform `%s`: what it matches stands inside a "
                            "routed array, where replacing is not possible",
                       t->def->text);
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
            each(s, NULL, s->model->root, t->def->kid[i]);
}

bool apply_to(Scope *s, const Ast *def, Applied *applied, Err *err)
{
    Shape t = shape_of(def);
    bool ok = true;
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
    return ok && !s->spec->diags->errors;
}

/* ---- parameters from outside ---- */

static Val arg_value(const char *text)
{
    char *end;
    double v = strtod(text, &end);
    if (*text && !*end && isfinite(v))
        return val_size(size_num(v));
    if (!strcmp(text, "true") || !strcmp(text, "false"))
        return val_bool(*text == 't');
    if (!strcmp(text, "none"))
        return (Val){.kind = V_none};
    return val_string(intern(text));
}

static bool known_param(const Ast *params, const char *name, const Ast *def,
                        Err *err)
{
    const char *names[64];
    int n = 0;
    for (; n < params->nkid && n < 64; n++) {
        if (!strcmp(params->kid[n]->text, name))
            return true;
        names[n] = params->kid[n]->text;
    }
    const char *near = nearest(name, names, n);
    return err_set(err, "transform `%s` has no parameter `%s`%s%s%s",
                   def->text, name, near ? " (did you mean `" : "",
                   near ? near : "", near ? "`?)" : "");
}

/* Sets every parameter: as given, else unknown (symbolic), else its default. */
bool bind_params(Scope *s, const Ast *def, const Arg *arg, int narg,
                 bool symbolic, Applied *applied, Err *err)
{
    const Ast *params = def->kid[0];
    for (int i = 0; i < narg; i++)
        if (!known_param(params, arg[i].name, def, err))
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
        if (!given && symbolic && (v.kind == V_size || v.kind == V_error))
            v = val_size(size_sym(p->text));
        if (v.kind == V_error)
            return err_set(err, "transform `%s` needs a value for `%s`",
                           def->text, p->text);
        v.dim = NULL;
        names_set(s->model->arena, &s->local, p->text, v);
        names_set(s->model->arena, &applied->param, p->text, v);
    }
    return true;
}

Model *model_transform(Spec *spec, Model *m, const char *name, const Arg *arg,
                       int narg, Model *const *with, int nwith, Err *err)
{
    const Ast *def = spec_find(spec, AST_transform, name);
    err->text[0] = 0;
    if (!def) {
        const char *near = spec_nearest(spec, AST_transform, name);
        err_set(err, "no transform `%s`%s%s%s", name,
                near ? " (did you mean `" : "", near ? near : "",
                near ? "`?)" : "");
        return NULL;
    }
    Model *to = copy_model(m);
    Applied *applied = arena_alloc(m->arena, sizeof *applied);
    *applied = (Applied){.name = name, .spec = spec, .def = def};
    Scope s = {.spec = spec, .model = to, .g = to->weights};
    if (!bind_params(&s, def, arg, narg, m->symbolic, applied, err) ||
        !bind_others(&s, def, with, nwith, err) ||
        !apply_to(&s, def, applied, err)) {
        if (!err->text[0])
            err_set(err, "transform `%s` cannot be applied", name);
        return NULL;
    }
    applied->scope = s.local;
    return to;
}
