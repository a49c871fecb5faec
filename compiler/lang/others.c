/* Parameters that are models (`other: model[N]`): the same part or weight in
 * each of them. A weight of several is a leaf stacked over N. */
#include "compiler/lang/elab.h"
#include <string.h>

/* A parameter that is a model, or several: `other: model[N]`. */
typedef struct {
    const Ast *param;
    const char *name, *count; /* N, or NULL */
    Model *model[64];
    int n;
} Given;

static bool is_given(const Ast *p, const With *with, int nwith, Given *g)
{
    if (p->kind != AST_param_model)
        return false;
    *g = (Given){.param = p, .name = p->text};
    g->count = p->nkid && p->kid[0] ? p->kid[0]->text : NULL;
    for (int i = 0; i < nwith && g->n < (int)COUNT(g->model); i++)
        if (!strcmp(with[i].name, p->text))
            g->model[g->n++] = with[i].model;
    return true;
}

/* Have they one shape? Told of the first weight that differs. */
static bool one_shape(const Given *g, Err *err)
{
    const Weight *const *a, *const *b;
    int na = g->n ? model_weights(g->model[0], &a) : 0;
    for (int i = 1; i < g->n; i++) {
        int nb = model_weights(g->model[i], &b);
        for (int j = 0; j < na || j < nb; j++)
            if (j >= na || j >= nb || a[j]->path != b[j]->path ||
                strcmp(type_shape(&a[j]->type), type_shape(&b[j]->type)))
                return err_set(
                    err, "the models given as `%s` must have one shape: %s of "
                         "the first is %s, of number %d it is %s",
                    g->name, j < na ? a[j]->path : b[j]->path,
                    j < na ? type_shape(&a[j]->type) : "not there", i + 1,
                    j < nb && j < na && a[j]->path == b[j]->path
                        ? type_shape(&b[j]->type) : "not there");
    }
    return true;
}

/* How many others there are: the name of that number is a parameter, too. */
static bool bind_count(Scope *s, const Ast *def, const Given *g, Others *o,
                       Err *err)
{
    bool unknown = s->model->symbolic && !g->n;
    const Val *old = names_find(&s->local, g->count);
    Val n = val_size(unknown ? model_symbol(s->model, g->param, def->text,
                                            g->count)
                             : size_num(g->n));
    if (old && old->kind == V_size && old->size != n.size)
        return err_set(err, "`%s` are %s models, but %s is %s already",
                       g->name, val_text(&n), g->count, val_text(old));
    o->dim = old && old->dim ? old->dim : val_dim(&n, g->count);
    n.dim = o->dim;
    names_set(s->model->arena, &s->local, g->count, n);
    return true;
}

static bool bind_given(Scope *s, const Ast *def, const Given *g, Err *err)
{
    if (!g->n && !s->model->symbolic)
        return err_set(err, "transform `%s` needs %s: --with %s=MODEL",
                       def->text, g->count ? "other models" : "another model",
                       g->name);
    if (!g->count && g->n > 1)
        return err_set(err, "transform `%s` takes one model as `%s`, not %d",
                       def->text, g->name, g->n);
    if (!one_shape(g, err))
        return false;
    Others *o = arena_alloc(s->model->arena, sizeof *o);
    o->name = g->name;
    o->model = g->n ? g->model[0] : s->model;
    if (g->count && !bind_count(s, def, g, o, err))
        return false;
    names_set(s->model->arena, &s->local, g->name,
              (Val){.kind = V_models, .others = o});
    return true;
}

/* Is each a parameter that is a model? */
static bool all_wanted(const Ast *def, const With *with, int nwith, Err *err)
{
    const char *names[64];
    int n = 0;
    for (int i = 0; i < def->kid[0]->nkid && n < 64; i++)
        if (def->kid[0]->kid[i]->kind == AST_param_model)
            names[n++] = def->kid[0]->kid[i]->text;
    for (int i = 0; i < nwith; i++) {
        bool known = false;
        for (int j = 0; j < n; j++)
            known |= !strcmp(names[j], with[i].name);
        if (!known && !n)
            return err_set(err, "transform `%s` takes no other models",
                           def->text);
        const char *near = known ? NULL
                                 : nearest(with[i].name, names, n);
        if (!known)
            return err_set(err, "transform `%s` has no `%s` that is a model%s",
                           def->text, with[i].name,
                           near_text(near ? near : n == 1 ? names[0] : NULL));
    }
    return true;
}

bool bind_others(Scope *s, const Ast *def, const With *with, int nwith,
                 Err *err)
{
    Given g;
    if (!all_wanted(def, with, nwith, err))
        return false;
    for (int i = 0; i < def->kid[0]->nkid; i++)
        if (is_given(def->kid[0]->kid[i], with, nwith, &g) &&
            !bind_given(s, def, &g, err))
            return false;
    return true;
}

void others_count(Scope *s, const Ast *def, Names *param)
{
    for (int i = 0; i < def->kid[0]->nkid; i++) {
        const Ast *p = def->kid[0]->kid[i];
        const char *count = p->kind == AST_param_model && p->nkid && p->kid[0]
                                ? p->kid[0]->text
                                : NULL;
        Val *v = count ? names_find(&s->local, count) : NULL;
        if (v)
            names_set(s->model->arena, param, count, *v);
    }
}

/* The instance at a path such as "layer[3].ffn"; NULL: none there. */
Inst *inst_at(Inst *inst, const char *path)
{
    size_t root = strlen(inst->path);
    if (!strcmp(inst->path, path)) /* a match that stands alone */
        return inst;
    if (root && !strncmp(inst->path, path, root) && path[root] == '.')
        path += root + 1;
    while (*path && inst) {
        size_t len = strcspn(path, ".[");
        Part *part = inst_part(inst, intern_n(path, len));
        int i = path[len] == '[' ? atoi(path + len + 1) : 0;
        if (!part || i >= (part->unrolled ? part->n : 1))
            return NULL;
        inst = part->inst[i];
        path += strcspn(path, ".");
        path += *path == '.';
    }
    return inst;
}

/* The type under the names of our own dims, where we have that weight. */
static Type own_type(Scope *s, const Weight *w)
{
    const char *dot = strrchr(w->path, '.');
    const char *at = dot ? intern_n(w->path, (size_t)(dot - w->path)) : "";
    Inst *inst = inst_at(s->model->root, at);
    Slot *slot = inst ? inst_slot(inst, dot ? dot + 1 : w->path) : NULL;
    if (!slot || slot->w->type.rank != w->type.rank)
        return w->type;
    for (int i = 0; i < w->type.rank; i++)
        if (slot->w->type.dim[i]->size != w->type.dim[i]->size)
            return w->type;
    return slot->w->type;
}

Node *others_weight(Scope *s, const Val *from, Inst *inst, const Slot *slot)
{
    (void)inst;
    const Others *o = from->others;
    Weight *w = arena_alloc(s->model->arena, sizeof *w);
    *w = *slot->w;
    w->value = NULL;
    w->other = o->name;
    w->path = intern_printf("%s.%s", o->name, slot->w->path);
    w->type = own_type(s, slot->w);
    if (o->dim) {
        memmove(w->type.dim + 1, w->type.dim,
                (size_t)w->type.rank++ * sizeof *w->type.dim);
        w->type.dim[0] = o->dim;
        w->stacked++;
    }
    Node n = {.op = OP_weight, .type = w->type, .weight = others_same(s, w)};
    n.type.dtype = TYPE_f32;
    Node *leaf = graph_add(s->g, n);
    if (!from->node) /* all of them */
        return leaf;
    bool each = from->node->op == OP_iota &&
                from->node->type.dim[0] == o->dim;
    return each ? leaf : g_gather(s->g, leaf, o->dim, from->node);
}

/* One Weight for one path, so that equal leaves are one node. */
const Weight *others_same(Scope *s, const Weight *w)
{
    Graph *g = s->model->weights;
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        if (n->op == OP_weight && n->weight && n->weight->other &&
            !strcmp(n->weight->path, w->path) && n->weight->type.rank &&
            n->weight->type.dim[0] == w->type.dim[0])
            return n->weight;
    }
    return w;
}

static Val weight_of(Scope *s, Val base, const Ast *e)
{
    const char *at = s->each_from ? join_path(s->each_from->path, "")
                                  : s->each_at;
    Inst *inst = base.inst ? inst_at(base.inst, s->each_at)
                           : inst_at(base.others->model->root, at);
    Slot *slot = inst ? inst_slot(inst, s->each->name) : NULL;
    if (slot)
        return val_node(others_weight(s, &base, inst, slot));
    error_at(e->src, e->name_loc, "the other models have no `%s%s%s`", at,
             *at ? "." : "", s->each->name);
    return val_error;
}

Val others_member(Scope *s, Val base, const Ast *e)
{
    if (s->each && !strcmp(e->text, s->each_name))
        return weight_of(s, base, e);
    Val *local = base.inst ? NULL : names_find(&s->local, e->text);
    if (local && local->kind == V_inst) {
        base.inst = inst_at(base.others->model->root, local->inst->path);
        if (base.inst)
            return base;
        error_at(e->src, e->name_loc, "the other models have no `%s`",
                 local->inst->path);
        return val_error;
    }
    Inst *inst = base.inst ? base.inst : base.others->model->root;
    Slot *slot = inst_slot(inst, e->text);
    Part *part = inst_part(inst, e->text);
    if (slot)
        return val_node(others_weight(s, &base, inst, slot));
    if (part && !part->unrolled) {
        base.inst = part->inst[0];
        return base;
    }
    const char *names[128];
    int n = 0;
    for (; n < s->local.n && n < 128; n++)
        names[n] = s->local.at[n].name;
    error_at(e->src, e->name_loc,
             "the other models have no `%s`%s: a match, as it is called here, "
             "or a part of the model",
             e->text, near_text(nearest(e->text, names, n)));
    return val_error;
}

Val others_index(Scope *s, Val base, const Ast *e)
{
    Node *i = eval_node(s, e->kid[1]);
    const Dim *d = base.others->dim;
    if (!i)
        return val_error;
    if (!d || base.node) {
        error_at(e->src, e->loc, "this is one model: it takes no index");
        return val_error;
    }
    if (i->type.index_of && i->type.index_of != d &&
        i->type.index_of->size == d->size && i->op == OP_iota) {
        Node n = {.op = OP_iota, .ndim = 1, .dim = {d},
                  .type = {TYPE_i32, d, 1, {d}}};
        i = graph_add(s->g, n); /* as many experts as models */
    }
    if (i->type.index_of != d) {
        error_at(e->kid[1]->src, e->kid[1]->loc,
                 "an index of %s is needed, this is %s", d->name,
                 type_text(&i->type));
        return val_error;
    }
    base.node = i;
    return base;
}
