/* Rules tried on random tensors: both sides as graphs, run exactly. A name is
 * a tensor [A, K ..] with all dims of the rule, `c` one without them, i an
 * index of a dim with dims of its own, f one of a few functions. */
#include "compiler/prove/pattern.h"
#include <math.h>
#include <string.h>

enum { MAX_NAMES = 8, FUNCTIONS = 5 };

typedef struct {
    Arena arena;
    const Rule *rule;
    uint64_t seed, drawn;
    Graph *g;
    const Dim *A, *M, *k; /* a free dim, another, the index's own */
    int ndim;
    const Dim *dim[MAX_NAMES]; /* those the rule names, but for k */
    const char *index;         /* the name of an index, and of what dim */
    const Dim *of;
    bool permutes, pointwise, indexed_by_A;
    const char *positive;
    int function;
    int nnumber;
    double number[MAX_NAMES], scale;
    int range; /* which scale */
    const char *why; /* it cannot be tried */
} Try;

static double draw(Try *t)
{
    return random_uniform(t->seed, t->drawn++);
}

static const Dim *new_dim(Try *t, const char *name, int most)
{
    return dim_new(name, size_num(1 + floor(draw(t) * most)));
}

/* ---- what the names of a rule stand for ---- */

static const Dim *dim_named(Try *t, const char *name)
{
    for (int i = 0; i < t->ndim; i++)
        if (!strcmp(t->dim[i]->name, name))
            return t->dim[i];
    if (t->ndim == MAX_NAMES)
        return t->dim[0];
    return t->dim[t->ndim++] = new_dim(t, name, 5);
}

static bool is_call(const Ast *e, const char *f)
{
    return e->kind == AST_call && e->kid[0]->kind == AST_name &&
           !strcmp(e->kid[0]->text, f);
}

static bool is_dim_call(const Ast *e)
{
    static const char *const names[] = {"sum", "mean", "max", "softmax",
                                        "logsumexp", "size"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (is_call(e, names[i]))
            return e->kid[e->nkid - 1]->kind == AST_name;
    return false;
}

/* Finds the indices, then the dims (k is the index's). */
static void scan(Try *t, const Ast *e, bool dims)
{
    if (!e)
        return;
    if (!dims && e->kind == AST_index && e->nkid == 2 &&
        e->kid[1]->kind == AST_named && e->kid[1]->kid[0]->kind == AST_name) {
        t->index = e->kid[1]->kid[0]->text;
        t->of = dim_named(t, e->kid[1]->text);
    }
    if (dims && is_dim_call(e) &&
        !(t->index && !strcmp(e->kid[e->nkid - 1]->text, "k")))
        dim_named(t, e->kid[e->nkid - 1]->text);
    for (int i = 0; i < e->nkid; i++)
        scan(t, e->kid[i], dims);
}

static void scan_where(Try *t, const Ast *where)
{
    if (!where)
        return;
    if (is_call(where, "permutation"))
        t->permutes = true;
    else if (is_call(where, "pointwise"))
        t->pointwise = true;
    else if (where->kind == AST_binary && !strcmp(where->text, ">") &&
             where->kid[0]->kind == AST_name)
        t->positive = where->kid[0]->text;
    else if (where->kind == AST_binary && !strcmp(where->text, "and")) {
        scan_where(t, where->kid[0]);
        scan_where(t, where->kid[1]);
    } else {
        t->why = "its condition is not one of x > 0, pointwise(f, K) and "
                 "permutation(i)";
    }
}

/* ---- sides as graphs ---- */

static Node *build(Try *t, const Ast *e);

static Node *tensor(Try *t, const char *name)
{
    Node n = {.op = OP_input, .name = intern(name), .type.dtype = TYPE_f32};
    n.type.dim[n.type.rank++] = t->A;
    for (int i = 0; strcmp(name, "c") && i < t->ndim; i++)
        n.type.dim[n.type.rank++] = t->dim[i];
    return graph_add(t->g, n);
}

static Node *index_node(Try *t)
{
    Node n = {.op = OP_input, .name = intern(t->index)};
    n.type = (Type){.dtype = TYPE_i32, .index_of = t->of};
    if (!t->permutes) {
        if (t->indexed_by_A)
            n.type.dim[n.type.rank++] = t->A;
        n.type.dim[n.type.rank++] = t->k;
        return graph_add(t->g, n);
    }
    n.op = OP_shuffle;
    n.num = (double)t->seed;
    n.ndim = n.type.rank = 1;
    n.dim[0] = n.type.dim[0] = t->of;
    Node rename = {.op = OP_rename, .arg = {graph_add(t->g, n)}, .ndim = 2,
                   .dim = {t->of, t->k}};
    return graph_add(t->g, rename);
}

static Node *along(Try *t, Op op, Node *a, const Dim *d)
{
    return g_along(t->g, op, a, 1, &d);
}

static Node *with_dim(Try *t, Node *a, const Dim *d)
{
    return type_dim(&a->type, d) >= 0 ? a : along(t, OP_expand, a, d);
}

static const Dim *dim_of(Try *t, const char *name)
{
    return t->index && !strcmp(name, "k") ? t->k : dim_named(t, name);
}

static Node *number(Try *t, double v)
{
    return g_num(t->g, TYPE_f32, v);
}

static double size_of(const Dim *d)
{
    return size_value(d->size, 1);
}

/* f of a term: elementwise, against another tensor, or along another dim; if
 * the rule does not ask for pointwise(f, K), along the dims it speaks of. */
static Node *apply_f(Try *t, Node *x)
{
    Node *by = graph_add(t->g, (Node){.op = OP_input, .name = intern("f"),
                                      .type = {TYPE_f32, NULL, 1, {t->M}}});
    int f = t->pointwise ? t->function % (FUNCTIONS - 1) : FUNCTIONS - 1;
    switch (f) {
    case 0: return g_map1(t->g, OP_silu, x);
    case 1: return g_map2(t->g, OP_mul, x, g_map1(t->g, OP_exp, x));
    case 2: return along(t, OP_sum, g_map2(t->g, OP_mul, with_dim(t, x, t->M),
                                           by), t->M);
    case 3: return along(t, OP_softmax,
                         g_map2(t->g, OP_mul, with_dim(t, x, t->M), by),
                         t->M);
    default: return g_along(t->g, OP_softmax, x, x->type.rank, x->type.dim);
    }
}

static Node *build_along(Try *t, const Ast *e, Op op)
{
    const Dim *d = dim_of(t, e->kid[2]->text);
    return along(t, op, with_dim(t, build(t, e->kid[1]), d), d);
}

static Node *build_call(Try *t, const Ast *e)
{
    const char *f = e->kid[0]->text;
    Op op;
    if (is_call(e, "size"))
        return number(t, size_of(dim_of(t, e->kid[1]->text)));
    if (is_call(e, "f"))
        return apply_f(t, build(t, e->kid[1]));
    if (is_call(e, "topk")) {
        const Dim *over = t->ndim ? t->dim[0] : t->M;
        Node *x = with_dim(t, build(t, e->kid[1]), over);
        Node topk = {.op = OP_topk, .arg = {x}, .ndim = 2, .dim = {over, t->k}};
        return g_gather(t->g, x, over, graph_add(t->g, topk));
    }
    if (is_call(e, "mean"))
        return g_map2(t->g, OP_div, build_along(t, e, OP_sum),
                      number(t, size_of(dim_of(t, e->kid[2]->text))));
    if (is_dim_call(e) && op_find(f, &op))
        return build_along(t, e, op);
    if (!op_find(f, &op) || !op_is_map(op) ||
        op_info[op].nargs != e->nkid - 1) {
        t->why = "it has a function that cannot be tried";
        return number(t, 0);
    }
    Node n = {.op = op};
    for (int i = 0; i < op_info[op].nargs; i++)
        n.arg[i] = build(t, e->kid[i + 1]);
    return graph_add(t->g, n);
}

static Node *build_binary(Try *t, const Ast *e)
{
    Op op;
    if (op_of_sign(e->text, 2, &op)) {
        Node *a = build(t, e->kid[0]);
        return g_map2(t->g, op, a, build(t, e->kid[1]));
    }
    t->why = "it has an operator that cannot be tried";
    return number(t, 0);
}

static Node *build(Try *t, const Ast *e)
{
    switch (e->kind) {
    case AST_name:
        return t->index && !strcmp(e->text, t->index) ? index_node(t)
                                                      : tensor(t, e->text);
    case AST_number:
        return number(t, e->num);
    case AST_neg:
        return g_map1(t->g, OP_neg, build(t, e->kid[0]));
    case AST_binary:
        return build_binary(t, e);
    case AST_call:
        return build_call(t, e);
    case AST_index:
        if (t->of)
            return g_gather(t->g, with_dim(t, build(t, e->kid[0]), t->of),
                            t->of, index_node(t));
        break;
    default:
        break;
    }
    t->why = "it has a form that cannot be tried";
    return number(t, 0);
}

/* ---- running ---- */

/* ---- elements: of any size, near the numbers that the rule names ---- */

static const double scales[] = {1, 1, 4, 30, 1e-3, 1e3, 1e6, 1e12};
enum { TAME = 4 }; /* of these results are never too large to say */

static double near_number(Try *t, double u)
{
    static const double by[] = {1, 1 - 1e-3, 1 + 1e-3, 0.5, 2, 10};
    double v = t->number[(int)(u * t->nnumber)] *
               by[(int)(u * 997) % (int)COUNT(by)];
    return (int)(u * 9973) % 2 ? -v : v;
}

/* Negative, 0 and positive; above 0 where the rule asks for it. */
static double element(Try *t, double u, double pick, bool positive)
{
    double v = pick < 0.25 && t->nnumber ? near_number(t, u)
               : pick < 0.35             ? 0
               : pick < 0.4 && !t->index ? (u < 0.5 ? -1 : 1)
                                         : t->scale * (4 * u - 2);
    if (!positive)
        return v;
    return v == 0 ? t->scale * 1e-3 : fabs(v);
}

static bool fill(void *user, const char *name, const Type *type, double *out)
{
    Try *t = user;
    uint64_t key = random_key(t->seed, name);
    int64_t n = type_count(type, 1);
    bool positive = t->positive && !strcmp(t->positive, name);
    for (int64_t i = 0; i < n; i++) {
        double u = random_uniform(key, (uint64_t)(2 * i)),
               pick = random_uniform(key, (uint64_t)(2 * i + 1));
        out[i] = type->index_of ? floor(u * size_of(type->index_of))
                                : element(t, u, pick, positive);
    }
    return true;
}

static void find_numbers(Try *t, const Ast *e)
{
    if (!e)
        return;
    if (e->kind == AST_number && e->num != 0 && t->nnumber < MAX_NAMES)
        t->number[t->nnumber++] = e->num;
    for (int i = 0; i < e->nkid; i++)
        find_numbers(t, e->kid[i]);
}

static void set_up(Try *t, const Rule *r, uint64_t seed)
{
    memset(t, 0, sizeof *t);
    t->rule = r;
    t->seed = seed;
    t->g = graph_new(&t->arena, "rule");
    t->A = new_dim(t, "A", 3);
    t->M = new_dim(t, "M", 4);
    t->range = (int)(draw(t) * (double)COUNT(scales));
    t->scale = scales[t->range];
    for (int i = 0; i < 2; i++)
        find_numbers(t, r->ast->kid[i]);
    t->function = (int)(draw(t) * FUNCTIONS);
    t->indexed_by_A = draw(t) < 0.5;
    for (int dims = 0; dims < 2; dims++)
        for (int i = 0; i < 2; i++)
            scan(t, r->ast->kid[i], dims);
    scan_where(t, r->ast->kid[2]);
    const Dim *over = t->of ? t->of : t->ndim ? t->dim[0] : t->M;
    t->k = t->permutes ? dim_new("k", over->size)
                       : new_dim(t, "k", t->of ? 4 : (int)size_of(over));
}

/* Exponentials of large numbers, and what is made of them. */
static bool too_large(const Tensor *a, const Tensor *b)
{
    for (int64_t i = 0; i < a->count; i++)
        if (!isfinite(a->at[i]))
            return true;
    for (int64_t i = 0; i < b->count; i++)
        if (!isfinite(b->at[i]))
            return true;
    return false;
}

/* False: they differ, or cannot be compared; why is set. */
static bool try_once(Try *t, const Rule *r)
{
    Err err;
    Tensor *out[2];
    for (int i = 0; i < 2; i++) {
        Node *n = build(t, r->ast->kid[i]);
        graph_output(t->g, i ? "1" : "0", n);
    }
    InterpEnv env = {.T = 1, .exact = true, .seed = t->seed, .user = t,
                     .input = fill};
    if (t->why)
        return false;
    if (!interp_run(t->g, &env, &t->arena, out, &err)) {
        t->why = intern(err.text);
        return false;
    }
    double worst[2], diff = tensors_differ(out[0], out[1], worst);
    if (diff < 1e-9 || (t->range >= TAME && too_large(out[0], out[1])))
        return true;
    t->why = intern_printf("on random tensors its left side gives %.6g where "
                           "its right side gives %.6g", worst[0], worst[1]);
    return false;
}

static bool holds(const Rule *r, int rounds, uint64_t seed)
{
    for (int i = 0; i < rounds; i++) {
        Try t;
        set_up(&t, r, random_bits(seed, (uint64_t)i));
        bool good = try_once(&t, r);
        arena_free(&t.arena);
        if (!good) {
            error_at(r->ast->src, r->ast->loc, "rule %s does not hold: %s",
                     r->name, t.why);
            return false;
        }
    }
    return true;
}

bool rules_try(Rules *r, int rounds, uint64_t seed)
{
    int n = 0, all = r->rule.n;
    for (int i = 0; i < all; i++)
        if (holds(&r->rule.at[i], rounds, seed))
            r->rule.at[n++] = r->rule.at[i];
    r->rule.n = n;
    return n == all;
}
