/* Right sides of a transform: copies of parts, formulas, fitted to the dims
 * of the weight. */
#include "compiler/lang/elab.h"
#include <string.h>

/* Its other models' dims, where only those are too many: what to do. */
static const char *left_over(const Weight *w, const Node *n)
{
    if (n->type.rank != w->type.rank + 1)
        return "";
    for (int i = 0; i < w->type.rank; i++)
        if (n->type.dim[i + 1]->size != w->type.dim[i]->size)
            return "";
    return intern_printf(": %s is left over (sum or mean over it)",
                         n->type.dim[0]->name);
}

static void misfit(const Ast *at, const Weight *w, const Node *n)
{
    error_at(at->src, at->loc, "`%s` is %s, the right side %s%s", w->path,
             dims_text(&w->type), dims_text(&n->type), left_over(w, n));
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
        for (int j = 0; j < i; j++)
            if (dim[j] == dim[i]) {
                error_at(d->src, d->loc, "`%s` stands here twice", d->text);
                return NULL;
            }
    }
    if (rank != n->type.rank) {
        const Ast *l = left->dims;
        error_at(l->src, l->loc,
                 "these are %d dims, the right side is %s: the left side "
                 "names all of them",
                 rank, dims_text(&n->type));
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
        while (i == want->rank - 1 && from < rank &&
               dim[from]->size == size_num(1)) /* one neuron an expert */
            f.dim[f.ndim++] = dim[from++];
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

void give(Scope *s, const Left *left, Node *n, const Ast *at)
{
    Slot *slot = left->slot;
    bool refines = slot->given == GIVEN_with_part && !left->with_part;
    if (left->fresh && slot->given && !refines && !slot->excused)
        error_at(at->src, at->loc, "`%s` has a value already", slot->name);
    slot->given = left->with_part ? GIVEN_with_part : GIVEN_itself;
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
Scope right_scope(const Scope *s, const Left *left)
{
    Scope r = *s;
    r.formula = true;
    r.g = s->model->weights;
    r.local = names_copy(s->model->arena, &s->local);
    if (left->slot) {
        const Weight *w = left->slot->w;
        r.target = w;
        r.own = w->type.dim + w->stacked; /* each of an array by itself */
        r.nown = w->type.rank - w->stacked;
        for (int i = 0; i < w->stacked && r.nlifted < MAX_RANK; i++)
            r.lifted[r.nlifted++] = w->type.dim[i];
    }
    if (left->index) {
        Node i = {.op = OP_iota, .ndim = 1, .dim = {left->index},
                  .type = {TYPE_i32, left->index, 1, {left->index}}};
        names_set(s->model->arena, &r.local, left->name,
                  val_node(graph_add(r.g, i)));
    }
    return r;
}

static bool same_module(const Inst *a, const Inst *b)
{
    return def_alike(a->def, b->def);
}

static void copy_part(Scope *s, const Left *left, const Val *from,
                      const Ast *at);

static void copy_weight(Scope *s, const Left *left, Inst *to, int i,
                        const Val *from, const Ast *at)
{
    Left one = {.slot = &to->slot.at[i], .index = left->index,
                .fresh = left->fresh, .with_part = true};
    Slot *slot = from->inst ? inst_slot(from->inst, one.slot->name) : NULL;
    if (one.slot->absent)
        return;
    if (!slot) {
        one.slot->excused = true;
        return;
    }
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
            Left one = {.inst = to->part.at[i].inst[j], .index = left->index,
                        .fresh = left->fresh};
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
        excuse(to);
        return;
    }
    int before = s->spec->diags->told;
    for (int i = 0; i < to->slot.n && s->spec->diags->told == before; i++)
        copy_weight(s, left, to, i, from, at);
    if (s->spec->diags->told == before)
        copy_parts(s, left, to, from, at);
    else
        excuse(to); /* they differ by one mistake */
}

void bind_item(Scope *s, Inst *fresh, const Ast *item)
{
    Left left = {0};
    const Ast *rhs = item->kid[1];
    if (!resolve_left(s, fresh, item->kid[0], &left))
        return;
    Scope r = right_scope(s, &left);
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
    excuse(left.inst);
    if (v.kind != V_error)
        error_at(rhs->src, rhs->loc,
                 "a `%s` is needed on the right, this is %s",
                 left.inst->def->text, val_text(&v));
}
