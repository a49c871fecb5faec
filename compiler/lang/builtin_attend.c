/* Built-ins of transformers: attend and rope. */
#include "compiler/lang/builtin.h"
#include <math.h>
#include <string.h>

/* A number of at least `least` or none (*out as it was); else a message. */
static bool number_of(Scope *s, const Ast *w, double least, const Size **out)
{
    Val v = eval(s, w->kid[0]);
    double n;
    if (v.kind == V_none)
        return true;
    if (v.kind == V_size && (!size_is_num(v.size, &n) || n >= least)) {
        *out = v.size;
        return true;
    }
    if (v.kind != V_error)
        error_at(w->src, w->loc,
                 "a %s is a number of at least %g or none, not %s", w->text,
                 least, val_found(&v));
    return false;
}

/* x with T first, its other dims as they come. */
static Node *tokens_first(Scope *s, Node *x)
{
    const Dim *want[MAX_RANK] = {dim_T()};
    int n = 1;
    if (!x || type_dim(&x->type, want[0]) < 1)
        return x;
    for (int i = 0; i < x->type.rank; i++)
        if (x->type.dim[i] != want[0])
            want[n++] = x->type.dim[i];
    return arrange(s->g, x, n, want);
}

/* ": 4 heads and 3" */
static const char *heads_text(Node *const *arg)
{
    const Type *q = &arg[0]->type, *k = &arg[1]->type;
    return q->rank == 3 && k->rank == 3
               ? intern_printf(": %s heads and %s", size_text(q->dim[1]->size),
                               size_text(k->dim[1]->size)) : "";
}

static bool fails(Scope *s, const Ast *call, Node *n)
{
    Type t;
    const char *why = op_type(n, &t);
    (void)s;
    if (!why)
        return false;
    const char *more = n->op == OP_attend
                           ? "" : intern_printf(", %s",
                                                type_text(&n->arg[3]->type));
    error_at(call->src, call->loc, "attend needs %s, got %s, %s, %s%s%s", why,
             type_text(&n->arg[0]->type), type_text(&n->arg[1]->type),
             type_text(&n->arg[2]->type), more, heads_text(n->arg));
    return true;
}

/* sink: s, slope: m, bias: b; one of them at most, and none may be none. */
static bool fourth(Scope *s, const Ast *arg, Op op, Node *n)
{
    Val v = eval(s, arg->kid[0]);
    if (v.kind == V_none)
        return true;
    if (n->op != OP_attend) {
        error_at(arg->src, arg->loc,
                 "attend takes one of sink, slope and bias");
        return false;
    }
    n->op = op;
    n->arg[3] = as_node(s, v, TYPE_f32, arg->kid[0]);
    return n->arg[3];
}

/* scale: the scores are q . k times it, not / sqrt(hd). */
static bool rescale(Scope *s, const Ast *arg, Node **q)
{
    Val v = eval(s, arg->kid[0]);
    if (v.kind == V_none)
        return true;
    if (v.kind == V_size && *q && (*q)->type.rank == 3)
        v.size = size_mul(v.size, size_sqrt((*q)->type.dim[2]->size));
    Node *by = as_node(s, v, TYPE_f32, arg->kid[0]);
    if (by && v.kind == V_node && (*q)->type.rank == 3)
        by = g_map2(s->g, OP_mul, by,
                    g_scalar(s->g, TYPE_f32,
                             size_sqrt((*q)->type.dim[2]->size)));
    Dtype t = (*q)->type.dtype;
    *q = elementwise(s, OP_mul, *q, by, arg);
    if (*q)
        *q = g_cast(s->g, t, *q);
    return *q;
}

static bool attend_option(Scope *s, const Ast *arg, Node *n)
{
    static const char *const names[] = {"window", "chunk", "softcap", "scale",
                                        "sink", "slope", "bias"};
    const Size *size = NULL;
    const char *near = nearest(arg->text ? arg->text : "", names,
                               COUNT(names));
    int at = 0;
    while (at < (int)COUNT(names) && (arg->kind != AST_named ||
                                      strcmp(arg->text, names[at])))
        at++;
    switch (at) {
    case 0:
    case 1:
        if (!number_of(s, arg, 1, &size))
            return false;
        if (size && n->size) {
            error_at(arg->src, arg->loc, "attend takes a window or a chunk");
            return false;
        }
        if (size)
            n->size = size, n->name = at ? intern("chunk") : NULL;
        return true;
    case 2:
        /* of an unknown cap nothing is known but that there is one */
        if (!number_of(s, arg, 0, &size))
            return false;
        if (size && !size_is_num(size, &n->num))
            n->num = 1;
        return true;
    case 3: return rescale(s, arg, &n->arg[0]);
    case 4: return fourth(s, arg, OP_attend_sink, n);
    case 5: return fourth(s, arg, OP_attend_slope, n);
    case 6: return fourth(s, arg, OP_attend_bias, n);
    default:
        error_at(arg->src, arg->loc, "attend takes q, k, v and window, chunk, "
                 "softcap, scale, sink, slope, bias%s", near_text(near));
        return false;
    }
}

Val built_attend(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node n = {.op = OP_attend};
    for (int i = 0; i < 3; i++)
        n.arg[i] = tokens_first(s, arg_node(s, call, 1 + i));
    if (!n.arg[0] || !n.arg[1] || !n.arg[2] || fails(s, call, &n))
        return val_error;
    for (int i = 4; i < call->nkid; i++)
        if (!attend_option(s, call->kid[i], &n))
            return val_error;
    return fails(s, call, &n) ? val_error : val_node(graph_add(s->g, n));
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
    Node *x = tokens_first(s, arg_node(s, call, 1));
    Rope *r = arena_alloc(s->model->arena, sizeof *r);
    const Size *theta, *share = size_num(1);
    const Ast *part = arg_named(call, "part"),
              *pairs = arg_named(call, "interleaved");
    if (pairs) {
        Val v = eval(s, pairs->kid[0]);
        r->pairs = v.kind == V_bool && v.truth;
    }
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

/* alibi(H): what each step back takes off a head's scores: 2^(-8 i / n) for i
 * from 1 to n, the largest power of 2 that is not above H; then every second
 * of those for 2 n (arXiv 2108.12409). */
Val built_alibi(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Dims d;
    Graph *g = s->g;
    if (!dims_of(s, call, 1, NULL, &d))
        return val_error;
    const Size *n = d.at[0]->size;
    double H;
    if (size_is_num(n, &H))
        n = size_num(exp2(floor(log2(H))));
    Node *i = g_cast(g, TYPE_f32,
                     graph_add(g, (Node){.op = OP_iota, .ndim = 1,
                                         .dim = {d.at[0]},
                                         .type = {TYPE_i32, d.at[0], 1,
                                                  {d.at[0]}}}));
    Node *N = g_scalar(g, TYPE_f32, n), *one = g_num(g, TYPE_f32, 1),
         *two = g_num(g, TYPE_f32, 2);
    Node *j = g_map2(g, OP_sub, i, N); /* of the others */
    j = g_map2(g, OP_add, g_map2(g, OP_mul, two, j), one);
    Node *low = g_map2(g, OP_lt, i, N);
    Node *step = g_select(g, low, g_map2(g, OP_add, i, one),
                          g_map2(g, OP_div, j, two));
    Node *by = g_map2(g, OP_div, g_num(g, TYPE_f32, -8), N);
    return val_node(g_map2(g, OP_pow, two, g_map2(g, OP_mul, by, step)));
}
