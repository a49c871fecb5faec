/* Built-ins of transformers: attend and rope. */
#include "compiler/lang/builtin.h"
#include <math.h>
#include <string.h>

static bool window_of(Scope *s, const Ast *w, const Size **out)
{
    Val v = eval(s, w->kid[0]);
    double sees;
    if (v.kind == V_none)
        return true;
    if (v.kind == V_size && (!size_is_num(v.size, &sees) || sees >= 1)) {
        *out = v.size;
        return true;
    }
    if (v.kind != V_error)
        error_at(w->src, w->loc,
                 "a window is a number of at least 1 or none, not %s",
                 val_found(&v));
    return false;
}

/* ": 4 heads and 3" */
static const char *heads_text(Node *const *arg)
{
    const Type *q = &arg[0]->type, *k = &arg[1]->type;
    return q->rank == 3 && k->rank == 3
               ? intern_printf(": %s heads and %s", size_text(q->dim[1]->size),
                               size_text(k->dim[1]->size)) : "";
}

Val built_attend(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node n = {.op = OP_attend,
              .arg = {arg_node(s, call, 1), arg_node(s, call, 2),
                      arg_node(s, call, 3)}};
    const Ast *w = arg_named(call, "window");
    Type t;
    if (!n.arg[0] || !n.arg[1] || !n.arg[2])
        return val_error;
    if (w && !window_of(s, w, &n.size))
        return val_error;
    const char *why = op_type(&n, &t);
    if (why) {
        error_at(call->src, call->loc, "attend needs %s, got %s, %s, %s%s", why,
                 type_text(&n.arg[0]->type), type_text(&n.arg[1]->type),
                 type_text(&n.arg[2]->type), heads_text(n.arg));
        return val_error;
    }
    return val_node(graph_add(s->g, n));
}

static bool rope_scaling(Rope *r, const Val *v, const Ast *at)
{
    if (v->kind == V_size)
        r->scaling = v->size;
    if (v->kind == V_none || v->kind == V_size)
        return true;
    const char *why = v->kind == V_json ? rope_of_config(v->json, r)
                                        : "is not an object";
    if (why)
        error_at(at->src, at->loc, "rope's scaling %s", why);
    return !why;
}

/* How many elements of a head turn. An odd count n makes (n + 1) / 2 pairs
 * whose frequencies are theta^(-2j / n), as transformers has them: an even
 * n + 1 at theta^((n + 1) / n). */
static bool turned(Rope *r, double hd, double share, const Ast *call)
{
    r->rotary = share > 0 && share <= 1 ? (int)(hd * share) : 0;
    if (r->rotary < 1 || r->rotary + r->rotary % 2 > hd) {
        error_at(call->src, call->loc,
                 "rope turns pairs of elements: a share %g of a head of %g has "
                 "no whole number of them",
                 share, hd);
        return false;
    }
    if (r->rotary % 2) {
        r->theta = pow(r->theta, (r->rotary + 1.0) / r->rotary);
        r->rotary++;
    }
    return true;
}

/* longrope has a divisor for each pair that turns. */
static bool divided(const Rope *r, const Ast *call)
{
    int n = r->divisor != NULL;
    for (const char *s = r->divisor; s && *s; s++)
        n += *s == ' ';
    if (r->divisor && n != r->rotary / 2)
        error_at(call->src, call->loc,
                 "rope's scaling has %d factors, a head has %d pairs that turn",
                 n, r->rotary / 2);
    return !r->divisor || n == r->rotary / 2;
}

/* rope(x, theta, scaling, part: share of a head that turns) */
Val built_rope(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    Rope *r = arena_alloc(s->model->arena, sizeof *r);
    const Size *theta, *share = size_num(1);
    const Ast *part = arg_named(call, "part");
    double hd, n;
    Val scaling = {.kind = V_none};
    if (call->nkid > 3 && call->kid[3]->kind != AST_named)
        scaling = eval(s, call->kid[3]);
    if (!x || !eval_size(s, call->kid[2], &theta) ||
        scaling.kind == V_error || !rope_scaling(r, &scaling, call) ||
        (part && !eval_size(s, part->kid[0], &share)))
        return val_error;
    if (x->type.rank != 3) {
        error_at(call->src, call->loc, "rope turns [T, H, hd], this is %s",
                 type_text(&x->type));
        return val_error;
    }
    Node node = {.op = OP_rope, .arg = {x}, .rope = r};
    if (!size_is_num(theta, &r->theta)) {
        node.size = theta;
    } else if (!(r->theta > 0)) {
        error_at(call->src, call->kid[2]->loc,
                 "rope's base must be above 0, this is %g", r->theta);
        return val_error;
    }
    if (!size_is_num(x->type.dim[2]->size, &hd) || !size_is_num(share, &n))
        r->share = share;
    else if (!(turned(r, hd, n, call) && divided(r, call)))
        return val_error;
    return val_node(graph_add(s->g, node));
}
