/* Modules called: one instance, all of an array, or one an element of an
 * index. Dims that the module's own rules must not see are lifted: the leading
 * ones of `..`, an array's, an index's. */
#include "compiler/lang/elab.h"
#include <string.h>

enum { MAX_CALLS = 200 };

/* ---- weights in expressions ---- */

static Node *leaf(Scope *s, const Weight *w)
{
    Node n = {.op = OP_weight, .type = w->type, .weight = w};
    n.type.dtype = s->formula ? TYPE_f32 : s->model->dtype;
    if (s->body)
        n.slot = body_slot(s->body, w), n.weight = NULL;
    return graph_add(s->g, n);
}

/* A formula of the model's weights, rebuilt in the scope's graph. */
static Node *import(Scope *s, Node *n, Node **now)
{
    if (now[n->id])
        return now[n->id];
    Node copy = *n;
    for (int i = 0; i < node_args(n); i++)
        copy.arg[i] = import(s, n->arg[i], now);
    if (n->op == OP_weight)
        return now[n->id] = g_cast(s->g, TYPE_f32, leaf(s, n->weight));
    return now[n->id] = graph_add(s->g, copy);
}

static Node *formula(Scope *s, const Weight *w)
{
    if (s->g == s->model->weights)
        return w->value;
    Node **now = arena_alloc(s->g->arena, (size_t)(w->value->id + 1) *
                                              sizeof *now);
    return g_cast(s->g, s->formula ? TYPE_f32 : s->model->dtype,
                  import(s, w->value, now));
}

Node *weight_node(Scope *s, const Slot *slot)
{
    Node *n = slot->w->value ? formula(s, slot->w) : leaf(s, slot->w);
    if (s->routed && type_dim(&n->type, s->routed) >= 0)
        return g_gather(s->g, n, s->routed, s->index);
    return n;
}

/* ---- results in the order that a call promises ---- */

Node *arrange(Graph *g, Node *n, int rank, const Dim *const *want)
{
    Node e = {.op = OP_expand, .arg = {n}}, o = {.op = OP_order};
    for (int i = 0; i < rank; i++)
        if (type_dim(&n->type, want[i]) < 0)
            e.dim[e.ndim++] = want[i];
    if (e.ndim)
        n = graph_add(g, e);
    if (n->type.rank != rank)
        BUG("arrange: %s to %d dims", type_text(&n->type), rank);
    if (!memcmp(n->type.dim, want, (size_t)rank * sizeof *want))
        return n;
    o.arg[0] = n;
    o.ndim = rank;
    memcpy(o.dim, want, (size_t)rank * sizeof *want);
    return graph_add(g, o);
}

/* ---- arguments ---- */

typedef struct {
    int nlead, nown;
    const Dim *lead[MAX_RANK], *own[MAX_RANK];
    bool dots;
} Signature;

static bool read_signature(Scope *c, const Ast *type, Signature *sig)
{
    const Ast *dims = type->kid[0];
    Dtype ignored;
    *sig = (Signature){0};
    if (type->text && !type_find(type->text, &ignored)) {
        error_at(type->src, type->loc,
                 "no element type `%s`; there are f64, f32, bf16, f16",
                 type->text);
        return false;
    }
    for (int i = 0; i < dims->nkid; i++) {
        const Ast *at = dims->kid[i];
        if (at->kind == AST_dots) {
            sig->dots = true;
            continue;
        }
        const Dim *d = want_dim(c, at);
        if (!d || sig->nown == MAX_RANK)
            return false;
        sig->own[sig->nown++] = d;
    }
    return true;
}

static bool is_own(const Signature *sig, const Dim *d)
{
    for (int i = 0; i < sig->nown; i++)
        if (sig->own[i] == d)
            return true;
    return false;
}

/* A dim of the module that x leads with, or NULL. */
static const Dim *among_own(const Inst *inst, const Signature *sig,
                            const Type *x)
{
    for (int i = 0; i < x->rank; i++)
        for (int j = 0; j < inst->param.n; j++) {
            const Val *v = &inst->param.at[j].value;
            if (v->kind == V_size && v->dim == x->dim[i] &&
                !is_own(sig, x->dim[i]))
                return x->dim[i];
        }
    return NULL;
}

static void wrong_argument(const Ast *call, const Inst *inst, const Ast *farg,
                           const Node *x, const Dim *own)
{
    const Ast *dims = farg->kid[0]->kid[0];
    const char *want = "";
    for (int i = 0; i < dims->nkid; i++)
        want = intern_printf("%s%s%s", want, i ? ", " : "",
                             dims->kid[i]->kind == AST_dots
                                 ? ".."
                                 : dims->kid[i]->text);
    error_at(call->src, call->loc, "`%s` wants %s[%s], this is %s%s%s%s",
             inst->def->text, farg->text, want, type_text(&x->type),
             own ? ": `..` cannot be " : "", own ? own->name : "",
             own ? ", a dim of its own" : "");
}

static void lift(Scope *c, const Dim *d)
{
    if (!is_lifted(c, d) && c->nlifted < MAX_RANK)
        c->lifted[c->nlifted++] = d;
}

/* Binds x to a parameter of forward; its further dims are `lead`. */
static bool bind_argument(Scope *c, const Ast *call, const Ast *farg, Node *x,
                          Signature *sig)
{
    if (!read_signature(c, farg->kid[0], sig))
        return false;
    for (int i = 0; i < sig->nown; i++)
        if (type_dim(&x->type, sig->own[i]) < 0) {
            wrong_argument(call, c->inst, farg, x, NULL);
            return false;
        }
    const Dim *own = among_own(c->inst, sig, &x->type);
    if (own) {
        wrong_argument(call, c->inst, farg, x, own);
        return false;
    }
    for (int i = 0; i < x->type.rank; i++) {
        const Dim *d = x->type.dim[i];
        if (is_own(sig, d))
            continue;
        if (!sig->dots && !is_lifted(c, d)) {
            wrong_argument(call, c->inst, farg, x, NULL);
            return false;
        }
        sig->lead[sig->nlead++] = d;
    }
    for (int i = 0; i < sig->nlead; i++)
        lift(c, sig->lead[i]);
    const Ast *of = farg->kid[1];
    const Dim *d = of ? find_dim(c, of->text) : NULL;
    if (of && x->type.index_of != d) {
        error_at(call->src, call->loc, "`%s` wants an index of %s, this is %s",
                 c->inst->def->text, of->text, type_text(&x->type));
        return false;
    }
    names_set(c->model->arena, &c->local, farg->text, val_node(x));
    return true;
}

/* ---- the call ---- */

static Scope callee(const Scope *s, Inst *inst)
{
    Scope c = {.spec = inst->spec, .model = s->model, .g = s->g, .inst = inst,
               .nlifted = s->nlifted, .routed = s->routed, .index = s->index,
               .body = s->body, .effects = s->effects, .top = s->top,
               .formula = false,
               .site = s->site ? s->site : inst->site, .depth = s->depth + 1};
    memcpy(c.lifted, s->lifted, sizeof c.lifted);
    return c;
}

static bool wrong_result(const Scope *c, const Node *n, const Ast *type)
{
    error_at(type->src, type->loc, "`%s` promises %.*s and returns %s",
             c->inst->def->text, type->loc.len, type->src->text + type->loc.at,
             dims_text(&n->type));
    return false;
}

static bool check_result(const Scope *c, const Node *n, const Signature *out,
                         const Ast *type)
{
    for (int i = 0; i < n->type.rank; i++)
        if (!is_own(out, n->type.dim[i]) && !is_lifted(c, n->type.dim[i]))
            return wrong_result(c, n, type);
    for (int i = 0; i < out->nown; i++)
        if (type_dim(&n->type, out->own[i]) < 0)
            return wrong_result(c, n, type);
    return true;
}

Dtype returned_type(const Model *m, const Ast *forward)
{
    const char *named = forward->kid[1]->text;
    Dtype t;
    return named && type_find(named, &t) ? t : m->dtype;
}

Node *as_promised(Scope *s, const Ast *forward, Node *n)
{
    Signature out;
    const Dim *want[MAX_RANK];
    int rank = 0;
    if (!read_signature(s, forward->kid[1], &out))
        return NULL;
    if (out.dots) {
        lift(s, dim_T());
        want[rank++] = dim_T();
    }
    if (!check_result(s, n, &out, forward->kid[1]))
        return NULL;
    for (int i = 0; i < out.nown && rank < MAX_RANK; i++)
        want[rank++] = out.own[i];
    return arrange(s->g, n, rank, want);
}

/* Runs forward with c's lifted dims; in and out are the signatures. */
static Node *run_forward(Scope *s, Scope *c, const Ast *call, Signature *in,
                         Signature *out)
{
    const Ast *forward = inst_forward(c->inst);
    if (!forward || c->depth > MAX_CALLS) {
        error_at(call->src, call->loc,
                 forward ? "calls go too deep at `%s`" : "`%s` has no forward",
                 c->inst->def->text);
        return NULL;
    }
    const Ast *fargs = forward->kid[0];
    if (call->nkid - 1 != fargs->nkid) {
        error_at(call->src, call->loc, "`%s` takes %d argument%s, not %d",
                 c->inst->def->text, fargs->nkid, fargs->nkid == 1 ? "" : "s",
                 call->nkid - 1);
        return NULL;
    }
    for (int i = 0; i < fargs->nkid; i++) {
        Node *x = eval_node(s, call->kid[i + 1]);
        Signature sig;
        if (!x || !bind_argument(c, call, fargs->kid[i], x, &sig))
            return NULL;
        if (!i)
            *in = sig;
    }
    if (!read_signature(c, forward->kid[1], out))
        return NULL;
    Val v = run_block(c, forward->kid[2]);
    Node *n = as_node(c, v, c->model->dtype, forward);
    if (!n || !check_result(c, n, out, forward->kid[1]))
        return NULL;
    return g_cast(c->g, returned_type(c->model, forward), n);
}

static Val arranged(Graph *g, Node *n, const Dim **want, int rank,
                    const Signature *out)
{
    for (int i = 0; i < out->nown && rank < MAX_RANK; i++)
        want[rank++] = out->own[i];
    for (int i = 0; i < n->type.rank; i++) { /* lifted further out */
        bool there = false;
        for (int j = 0; j < rank; j++)
            there |= want[j] == n->type.dim[i];
        if (!there && rank < MAX_RANK) {
            memmove(want + 1, want, (size_t)rank++ * sizeof *want);
            want[0] = n->type.dim[i];
        }
    }
    return val_node(arrange(g, n, rank, want));
}

Val call_inst(Scope *s, const Ast *call, Inst *inst)
{
    Signature in = {0}, out;
    const Dim *want[MAX_RANK];
    Scope c = callee(s, inst);
    Node *n = run_forward(s, &c, call, &in, &out);
    int rank = 0;
    if (!n)
        return val_error;
    for (int i = 0; i < in.nlead && out.dots; i++)
        want[rank++] = in.lead[i];
    return arranged(s->g, n, want, rank, &out);
}

static Val call_all(Scope *s, const Ast *call, Part *part)
{
    Signature in = {0}, out;
    const Dim *want[MAX_RANK];
    Scope c = callee(s, part->inst[0]);
    int rank = 0;
    bool there = false;
    lift(&c, part->array);
    Node *n = run_forward(s, &c, call, &in, &out);
    if (!n)
        return val_error;
    for (int i = 0; i < in.nlead; i++) {
        want[rank++] = in.lead[i];
        there |= in.lead[i] == part->array;
    }
    if (!there && rank < MAX_RANK)
        want[rank++] = part->array;
    return arranged(s->g, n, want, rank, &out);
}

static bool leading_in_index(const Signature *in, const Node *index,
                             const Ast *call, const Part *part)
{
    for (int i = 0; i < in->nlead; i++)
        if (type_dim(&index->type, in->lead[i]) < 0) {
            error_at(call->src, call->loc,
                     "each element of the index picks `%s` for its row, so it "
                     "needs the row's dim %s; it is %s",
                     part->name, in->lead[i]->name, type_text(&index->type));
            return false;
        }
    return true;
}

static Val call_routed(Scope *s, const Ast *call, Part *part, Node *index)
{
    Signature in = {0}, out;
    const Dim *want[MAX_RANK];
    Scope c = callee(s, part->inst[0]);
    int rank = 0;
    if (s->routed) {
        error_at(call->src, call->loc,
                 "experts inside a routed expert are more than graft runs");
        return val_error;
    }
    c.routed = part->array;
    c.index = index;
    for (int i = 0; i < index->type.rank; i++)
        lift(&c, index->type.dim[i]);
    Node *n = run_forward(s, &c, call, &in, &out);
    if (!n || !leading_in_index(&in, index, call, part))
        return val_error;
    if (!in.dots) {
        error_at(call->src, call->loc,
                 "`%s` is chosen row by row, so its forward must take x[.., D]",
                 part->inst[0]->def->text);
        return val_error;
    }
    for (int i = 0; i < index->type.rank; i++)
        want[rank++] = index->type.dim[i];
    return arranged(s->g, n, want, rank, &out);
}

Val call_part(Scope *s, const Ast *call, Part *part, Node *index)
{
    if (part->unrolled) {
        error_at(call->src, call->loc,
                 "the layers of `%s` differ: call them one by one, as in "
                 "for l in L { x = %s[l](x) }",
                 part->name, part->name);
        return val_error;
    }
    return index ? call_routed(s, call, part, index)
                 : call_all(s, call, part);
}
