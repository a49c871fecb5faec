/* The built-in functions: one table, a row each. */
#include "compiler/elab.h"
#include <math.h>
#include <string.h>

typedef struct {
    const char *name;
    int least, most; /* arguments */
    Val (*run)(Scope *s, const Ast *call, int arg);
    int arg; /* what the row passes to run: an Op or a Dtype */
} Builtin;

static const Builtin *builtin(const char *name);

static Node *arg_node(Scope *s, const Ast *call, int i)
{
    return eval_node(s, call->kid[i]);
}

/* A named argument's value, or NULL. */
static const Ast *named(const Ast *call, const char *name)
{
    for (int i = 1; i < call->nkid; i++)
        if (call->kid[i]->kind == AST_named &&
            !strcmp(call->kid[i]->text, name))
            return call->kid[i];
    return NULL;
}

/* ---- elementwise ---- */

static Val run_map(Scope *s, const Ast *call, int op)
{
    Val v = eval(s, call->kid[1]);
    if (v.kind == V_size && op == OP_ceil)
        return val_size(size_ceil(v.size));
    if (v.kind == V_size && op == OP_floor)
        return val_size(size_floor(v.size));
    if (v.kind == V_size && op == OP_sqrt)
        return val_size(size_sqrt(v.size));
    Node *n = as_node(s, v, TYPE_f32, call->kid[1]);
    return n ? val_node(g_map1(s->g, (Op)op, n)) : val_error;
}

static Val run_cast(Scope *s, const Ast *call, int type)
{
    Node *n = arg_node(s, call, 1);
    return n ? val_node(g_cast(s->g, (Dtype)type, n)) : val_error;
}

static Val run_pair(Scope *s, const Ast *call, int op)
{
    Val l = eval(s, call->kid[1]), r = eval(s, call->kid[2]);
    if (l.kind == V_size && r.kind == V_size)
        return val_size(op == OP_minimum ? size_min(l.size, r.size)
                                         : size_max(l.size, r.size));
    Dtype t = l.kind == V_node   ? l.node->type.dtype
              : r.kind == V_node ? r.node->type.dtype
                                 : TYPE_f32;
    Node *a = as_node(s, l, t, call->kid[1]), *b = as_node(s, r, t,
                                                           call->kid[2]);
    return val_node(elementwise(s, (Op)op, a, b, call));
}

static Val run_clamp(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1), *lo = arg_node(s, call, 2),
         *hi = arg_node(s, call, 3);
    x = elementwise(s, OP_maximum, x, lo, call);
    return val_node(elementwise(s, OP_minimum, x, hi, call));
}

/* ---- dims as arguments ---- */

static const char *same_size(const Type *t, const Dim *d)
{
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i]->size == d->size)
            return t->dim[i]->name;
    return NULL;
}

static void not_there(const Ast *call, const Ast *arg, const Type *t,
                      const Dim *d)
{
    const char *same = d ? same_size(t, d) : NULL;
    if (same)
        error_at(arg->src, arg->loc,
                 "no dim %s in %s; %s is a size, the dim is %s", arg->text,
                 dims_text(t), arg->text, same);
    else
        error_at(arg->src, arg->loc, "%s over %s, but this is %s",
                 call->kid[0]->text, arg->text, dims_text(t));
}

typedef struct {
    int n;
    const Dim *at[MAX_RANK];
} Dims;

static void dims_add(Dims *d, const Dim *one)
{
    for (int i = 0; i < d->n; i++)
        if (d->at[i] == one)
            return;
    if (d->n < MAX_RANK)
        d->at[d->n++] = one;
}

/* The dims that arguments from `from` on name; none: all that the module
 * sees. False after a message. */
static bool dims_of(Scope *s, const Ast *call, int from, const Type *t,
                    Dims *out)
{
    *out = (Dims){0};
    for (int i = from; i < call->nkid; i++) {
        const Ast *arg = call->kid[i];
        if (arg->kind == AST_dots) {
            for (int j = 0; j < s->nown; j++)
                dims_add(out, s->own[j]);
            continue;
        }
        const Dim *d = arg->kind == AST_name ? find_dim(s, arg->text) : NULL;
        if (!d && arg->kind != AST_name) {
            error_at(arg->src, arg->loc, "the name of a dim is needed here");
            return false;
        }
        if (!d || (t && type_dim(t, d) < 0)) {
            if (t)
                not_there(call, arg, t, d);
            else
                error_at(arg->src, arg->loc, "no dim `%s` here", arg->text);
            return false;
        }
        dims_add(out, d);
    }
    for (int i = 0; t && call->nkid == from && i < t->rank; i++)
        if (!is_lifted(s, t->dim[i]))
            dims_add(out, t->dim[i]);
    return true;
}

static Node *over(Scope *s, Op op, Node *x, const Dims *d)
{
    return d->n ? g_along(s->g, op, x, d->n, d->at) : x;
}

static const Size *count_of(const Dims *d)
{
    const Size *n = size_num(1);
    for (int i = 0; i < d->n; i++)
        n = size_mul(n, d->at[i]->size);
    return n;
}

static Node *mean(Scope *s, Node *x, const Dims *d)
{
    Node *sum = over(s, OP_sum, x, d);
    return g_map2(s->g, OP_div, sum,
                  g_scalar(s->g, sum->type.dtype, count_of(d)));
}

static Val run_reduce(Scope *s, const Ast *call, int op)
{
    Node *x = arg_node(s, call, 1);
    Dims d;
    if (!x)
        return val_error;
    if (!dims_of(s, call, 2, &x->type, &d)) {
        /* softmax keeps the type: go on as if it had been right */
        return op == OP_softmax ? val_node(x) : val_error;
    }
    return val_node(over(s, (Op)op, x, &d));
}

static Val run_mean(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    Dims d;
    if (!x || !dims_of(s, call, 2, &x->type, &d))
        return val_error;
    return val_node(mean(s, x, &d));
}

static Val run_norm(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    Dims d;
    if (!x || !dims_of(s, call, 2, &x->type, &d))
        return val_error;
    x = over(s, OP_sum, g_map2(s->g, OP_mul, x, x), &d);
    return val_node(g_map1(s->g, OP_sqrt, x));
}

/* var(v) / (mean(v)^2 + 1e-10), var with the n - 1 divisor; 0 for one. */
static Val run_cv2(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    Dims d;
    if (!x || !dims_of(s, call, 2, &x->type, &d))
        return val_error;
    Graph *g = s->g;
    Dtype t = x->type.dtype;
    Node *m = mean(s, x, &d), *off = g_map2(g, OP_sub, x, m);
    const Size *less = size_sub(count_of(&d), size_num(1));
    Node *var = g_map2(g, OP_div,
                       over(s, OP_sum, g_map2(g, OP_mul, off, off), &d),
                       g_scalar(g, t, size_max(less, size_num(1))));
    Node *square = g_map2(g, OP_add, g_map2(g, OP_mul, m, m),
                          g_num(g, t, 1e-10));
    return val_node(g_map2(g, OP_div, var, square));
}

static Val run_dot(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *a = arg_node(s, call, 1), *b = arg_node(s, call, 2);
    Node *ab = elementwise(s, OP_mul, a, b, call);
    Dims d;
    if (!ab || !dims_of(s, call, 3, &ab->type, &d))
        return val_error;
    return val_node(over(s, OP_sum, ab, &d));
}

static Val run_size(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Dims d;
    if (!dims_of(s, call, 1, NULL, &d))
        return val_error;
    return val_size(count_of(&d));
}

/* ---- choosing ---- */

static const Dim *new_dim(Scope *s, const char *name, const Size *size)
{
    Val *old = names_find(&s->dims, name);
    if (old && old->size == size)
        return val_dim(old, name);
    Val v = val_size(size);
    const Dim *d = val_dim(&v, name);
    names_set(s->model->arena, &s->dims, name, v);
    return d;
}

static bool enough(Scope *s, const Ast *call, const Ast *k, const Dim *over_dim,
                   const Size *size)
{
    double left;
    Arena scratch = {0};
    if (!size_is_num(size_sub(over_dim->size, size), &left) || left >= 0)
        return true;
    const Ast *site = s->site ? s->site : call;
    const char *text = dsl_expr_text(&scratch, k->kid[0]);
    double n;
    bool plain = size_is_num(size, &n) && k->kid[0]->kind != AST_number;
    error_at(site->src, site->loc,
             "%s%s%s of %s = %s: top-k cannot keep more than there are",
             plain ? text : "", plain ? " = " : "", size_text(size),
             over_dim->name, size_text(over_dim->size));
    arena_free(&scratch);
    return false;
}

static const Ast *new_dim_arg(const Ast *call)
{
    for (int i = 2; i < call->nkid; i++)
        if (call->kid[i]->kind == AST_named &&
            strcmp(call->kid[i]->text, "over"))
            return call->kid[i];
    return NULL;
}

static Val pair(Scope *s, Node *a, Node *b)
{
    Val *list = arena_alloc(s->model->arena, 2 * sizeof *list);
    list[0] = val_node(a);
    list[1] = val_node(b);
    return (Val){.kind = V_list, .list = list, .nlist = 2};
}

static Val run_topk(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    const Ast *k = new_dim_arg(call), *o = named(call, "over");
    const Size *size;
    if (!k) {
        error_at(call->src, call->loc,
                 "topk names the dim it makes, as in topk(s, k: K)");
        return val_error;
    }
    if (!eval_size(s, k->kid[0], &size) || !x || !x->type.rank)
        return val_error;
    const Dim *from = x->type.dim[x->type.rank - 1];
    if (o)
        from = o->kid[0]->kind == AST_name ? find_dim(s, o->kid[0]->text)
                                           : NULL;
    if (!from || type_dim(&x->type, from) < 0) {
        not_there(call, o->kid[0], &x->type, from);
        return val_error;
    }
    if (!enough(s, call, k, from, size))
        return val_error;
    if (!size_fits(size)) {
        error_at(k->src, k->loc, "%s is no whole number of at least 1",
                 size_text(size));
        return val_error;
    }
    const Dim *dims[2] = {from, new_dim(s, k->text, size)};
    Node *i = g_along(s->g, OP_topk, x, 2, dims);
    return pair(s, g_gather(s->g, x, from, i), i);
}

static Val run_count(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *i = arg_node(s, call, 1);
    const Ast *arg = call->kid[2];
    const Dim *d = arg->kind == AST_name ? find_dim(s, arg->text) : NULL;
    if (!i)
        return val_error;
    if (!d || i->type.index_of != d || !i->type.rank) {
        error_at(call->src, call->loc, "count wants an index of %s, this is %s",
                 arg->text ? arg->text : "a dim", type_text(&i->type));
        return val_error;
    }
    Node *one = g_along(s->g, OP_onehot, i, 1, &d);
    const Dim *last = i->type.dim[i->type.rank - 1];
    return val_node(g_along(s->g, OP_sum, one, 1, &last));
}

static Val run_place(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *i = arg_node(s, call, 1);
    if (!i)
        return val_error;
    if (!i->type.index_of || i->type.rank != 2) {
        error_at(call->src, call->loc,
                 "place wants the index of a topk, this is %s",
                 type_text(&i->type));
        return val_error;
    }
    return val_node(graph_add(s->g, (Node){.op = OP_place, .arg = {i}}));
}

static Val run_largest(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1), *share = arg_node(s, call, call->nkid - 1);
    Ast but = *call;
    Dims d;
    but.nkid--;
    if (!x || !share || !dims_of(s, &but, 2, &x->type, &d))
        return val_error;
    if (share->type.rank) {
        error_at(call->src, call->kid[call->nkid - 1]->loc,
                 "the share is one number, this is %s",
                 type_text(&share->type));
        return val_error;
    }
    Node n = {.op = OP_largest, .arg = {x, share}, .ndim = d.n};
    memcpy(n.dim, d.at, sizeof d.at);
    return val_node(graph_add(s->g, n));
}

static Val run_scatter(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    const Ast *to = call->kid[2];
    if (to->kind != AST_named) {
        error_at(to->src, to->loc, "scatter names its dim, as in "
                                   "scatter(y, T: t)");
        return val_error;
    }
    Node *i = eval_node(s, to->kid[0]);
    const Dim *d = find_dim(s, to->text);
    Node n = {.op = OP_scatter, .arg = {x, i}, .ndim = 1, .dim = {d}};
    Type t;
    if (!x || !i)
        return val_error;
    const char *why = d ? op_type(&n, &t) : "a dim";
    if (why) {
        error_at(call->src, call->loc, "scatter needs %s, got %s and %s", why,
                 type_text(&x->type), type_text(&i->type));
        return val_error;
    }
    return val_node(graph_add(s->g, n));
}

/* ---- draws ---- */

static Node *draw(Scope *s, Op op, const char *name, const Dims *d)
{
    Node n = {.op = op, .type = {.dtype = TYPE_f32, .rank = d->n},
              .name = intern(name)};
    memcpy(n.type.dim, d->at, sizeof d->at);
    return graph_add(s->g, n);
}

static Val run_draw(Scope *s, const Ast *call, int op)
{
    Dims d;
    if (!dims_of(s, call, 1, NULL, &d))
        return val_error;
    const char *name =
        s->target ? s->target->path
        : s->inst ? intern_printf("%s.%d", s->inst->def->text, call->loc.at)
                  : intern_printf("draw.%d", call->loc.at);
    return val_node(draw(s, (Op)op, name, &d));
}

/* normal(mean, deviation), uniform(a) in [-a, a), uniform(a, b): the left
 * side's shape, seeded by its name. */
static Val run_init(Scope *s, const Ast *call, int op)
{
    const Weight *w = s->target;
    Node *a = arg_node(s, call, 1),
         *b = call->nkid > 2 ? arg_node(s, call, 2) : NULL;
    Graph *g = s->g;
    if (!w) {
        error_at(call->src, call->loc,
                 "%s is an initialiser: it stands on the right of a weight",
                 call->kid[0]->text);
        return val_error;
    }
    if (!a || (call->nkid > 2 && !b))
        return val_error;
    Dims d = {.n = w->type.rank};
    memcpy(d.at, w->type.dim, sizeof d.at);
    Node *x = draw(s, (Op)op, w->path, &d);
    if (op == OP_gaussian && !b)
        return val_node(g_map2(g, OP_mul, x, a));
    if (op == OP_gaussian)
        return val_node(g_map2(g, OP_add, g_map2(g, OP_mul, x, b), a));
    Node *low = b ? a : g_map1(g, OP_neg, a), *high = b ? b : a;
    x = g_map2(g, OP_mul, x, g_map2(g, OP_sub, high, low));
    return val_node(g_map2(g, OP_add, x, low));
}

static Val run_dropout(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1), *p = arg_node(s, call, 2);
    Graph *g = s->g;
    if (!x || !p)
        return val_error;
    Dims d = {.n = x->type.rank};
    memcpy(d.at, x->type.dim, sizeof d.at);
    Node *u = draw(s, OP_uniform, intern_printf("dropout.%d", call->loc.at),
                   &d);
    Node *keep = g_map2(g, OP_ge, u, p);
    Node *scaled = g_map2(g, OP_div, x,
                          g_map2(g, OP_sub, g_num(g, TYPE_f32, 1), p));
    Node *zero = g_num(g, x->type.dtype, 0);
    Node *flag = graph_add(g, (Node){.op = OP_flag, .type.dtype = TYPE_bool,
                                     .name = intern("training")});
    return val_node(g_select(g, flag, g_select(g, keep, scaled, zero), x));
}

static Val run_shuffle(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    const Ast *arg = call->kid[1];
    const Dim *d = arg->kind == AST_name ? find_dim(s, arg->text) : NULL;
    const Size *seed = size_num(0);
    if (!d) {
        error_at(arg->src, arg->loc, "shuffle wants a dim");
        return val_error;
    }
    if (call->nkid > 2 && !eval_size(s, call->kid[2], &seed))
        return val_error;
    double number;
    Node n = {.op = OP_shuffle, .ndim = 1, .dim = {d}, .size = seed,
              .type = {TYPE_i32, d, 1, {d}}};
    if (size_is_num(seed, &number))
        n.num = number, n.size = NULL;
    return val_node(graph_add(s->g, n));
}

/* part(permutation, e, E): the e-th of E equal cuts. */
static Val run_part(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *p = arg_node(s, call, 1), *e = arg_node(s, call, 2);
    const Ast *arg = call->kid[3];
    const Dim *d = arg->kind == AST_name ? find_dim(s, arg->text) : NULL;
    if (!p || !e)
        return val_error;
    if (!p->type.index_of || p->type.rank != 1 || !e->type.index_of ||
        e->type.rank != 1) {
        error_at(call->src, call->loc,
                 "part wants a permutation, an index and how many parts");
        return val_error;
    }
    if (!d || e->type.index_of->size != d->size) {
        error_at(arg->src, arg->loc, "part wants as many parts as %s has",
                 call->kid[2]->text ? call->kid[2]->text : "the index");
        return val_error;
    }
    return (Val){.kind = V_place, .node = p, .dim = e->type.index_of};
}

Node *take_place(Scope *s, Node *x, const Dim *d, Val place, const Ast *at)
{
    const Dim *whole = place.node->type.dim[0];
    const Size *cut = size_div(whole->size, place.dim->size);
    if (whole != d && place.node->type.index_of != d) {
        error_at(at->src, at->loc, "the permutation is of %s, not of %s",
                 whole->name, d->name);
        return NULL;
    }
    if (!size_fits(cut)) {
        error_at(at->src, at->loc, "%s = %s does not divide into %s parts",
                 d->name, size_text(whole->size), size_text(place.dim->size));
        return NULL;
    }
    const Dim *f = new_dim(s, intern_printf("%s.part", d->name), cut);
    Node split = {.op = OP_split, .arg = {place.node}, .ndim = 3,
                  .dim = {whole, place.dim, f}};
    return g_gather(s->g, x, d, graph_add(s->g, split));
}

/* ---- transformers ---- */

static Val run_attend(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node n = {.op = OP_attend,
              .arg = {arg_node(s, call, 1), arg_node(s, call, 2),
                      arg_node(s, call, 3)}};
    const Ast *w = named(call, "window");
    Type t;
    if (!n.arg[0] || !n.arg[1] || !n.arg[2])
        return val_error;
    if (w) {
        Val v = eval(s, w->kid[0]);
        if (v.kind == V_size)
            n.size = v.size;
        else if (v.kind != V_none && v.kind != V_error)
            error_at(w->src, w->loc, "a window is a number or none, not %s",
                     val_text(&v));
    }
    const char *why = op_type(&n, &t);
    if (why) {
        error_at(call->src, call->loc, "attend needs %s, got %s, %s, %s", why,
                 type_text(&n.arg[0]->type), type_text(&n.arg[1]->type),
                 type_text(&n.arg[2]->type));
        return val_error;
    }
    return val_node(graph_add(s->g, n));
}

static double field(const cJSON *o, const char *name, double other)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(v) ? v->valuedouble : other;
}

static const struct {
    const char *name;
    RopeKind kind;
} rope_kinds[] = {{"default", ROPE_default},
                  {"linear", ROPE_linear},
                  {"llama3", ROPE_llama3},
                  {"yarn", ROPE_yarn}};

static bool rope_kind(const cJSON *o, RopeKind *kind, const Ast *at)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, "rope_type");
    if (!v)
        v = cJSON_GetObjectItemCaseSensitive(o, "type");
    const char *name = cJSON_IsString(v) ? v->valuestring : "default";
    for (size_t i = 0; i < COUNT(rope_kinds); i++)
        if (!strcmp(rope_kinds[i].name, name)) {
            *kind = rope_kinds[i].kind;
            return true;
        }
    error_at(at->src, at->loc,
             "the config scales rope by \"%s\"; known are default, linear, "
             "llama3, yarn",
             name);
    return false;
}

static bool rope_scaling(Rope *r, const Val *v, const Ast *at)
{
    if (v->kind == V_none || v->kind == V_size)
        return true;
    if (v->kind != V_json || !cJSON_IsObject(v->json)) {
        error_at(at->src, at->loc, "rope's scaling is an object, not %s",
                 val_text(v));
        return false;
    }
    if (!rope_kind(v->json, &r->kind, at))
        return false;
    r->factor = field(v->json, "factor", 1);
    r->low = field(v->json, "low_freq_factor", 1);
    r->high = field(v->json, "high_freq_factor", 4);
    r->original = field(v->json, "original_max_position_embeddings", 8192);
    r->beta_fast = field(v->json, "beta_fast", 32);
    r->beta_slow = field(v->json, "beta_slow", 1);
    r->attention = field(v->json, "attention_factor", 0);
    return true;
}

/* rope(x, theta, scaling, part: share of a head that turns) */
static Val run_rope(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1);
    Rope *r = arena_alloc(s->model->arena, sizeof *r);
    const Size *theta, *share = size_num(1);
    const Ast *part = named(call, "part");
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
    if (!size_is_num(theta, &r->theta))
        node.size = theta;
    if (size_is_num(x->type.dim[2]->size, &hd) && size_is_num(share, &n)) {
        r->rotary = (int)(hd * n);
        if (r->rotary < 2 || r->rotary % 2 || r->rotary > hd) {
            error_at(call->src, call->loc,
                     "rope turns pairs: %g of a head of %g is no even number",
                     n, hd);
            return val_error;
        }
    }
    return val_node(graph_add(s->g, node));
}

/* ---- the table ---- */

static const Builtin builtins[] = {
    /* name      least most  run          what */
    {"exp",       1, 1, run_map, OP_exp},
    {"log",       1, 1, run_map, OP_log},
    {"sqrt",      1, 1, run_map, OP_sqrt},
    {"rsqrt",     1, 1, run_map, OP_rsqrt},
    {"tanh",      1, 1, run_map, OP_tanh},
    {"sigmoid",   1, 1, run_map, OP_sigmoid},
    {"silu",      1, 1, run_map, OP_silu},
    {"gelu",      1, 1, run_map, OP_gelu},
    {"gelu_tanh", 1, 1, run_map, OP_gelu_tanh},
    {"relu",      1, 1, run_map, OP_relu},
    {"softplus",  1, 1, run_map, OP_softplus},
    {"cdf",       1, 1, run_map, OP_cdf},
    {"abs",       1, 1, run_map, OP_abs},
    {"sin",       1, 1, run_map, OP_sin},
    {"cos",       1, 1, run_map, OP_cos},
    {"acos",      1, 1, run_map, OP_acos},
    {"floor",     1, 1, run_map, OP_floor},
    {"ceil",      1, 1, run_map, OP_ceil},
    {"stop",      1, 1, run_map, OP_stop},
    {"f64",       1, 1, run_cast, TYPE_f64},
    {"f32",       1, 1, run_cast, TYPE_f32},
    {"bf16",      1, 1, run_cast, TYPE_bf16},
    {"f16",       1, 1, run_cast, TYPE_f16},
    {"maximum",   2, 2, run_pair, OP_maximum},
    {"minimum",   2, 2, run_pair, OP_minimum},
    {"clamp",     3, 3, run_clamp, 0},
    {"sum",       1, 9, run_reduce, OP_sum},
    {"max",       1, 9, run_reduce, OP_max},
    {"softmax",   2, 9, run_reduce, OP_softmax},
    {"logsumexp", 1, 9, run_reduce, OP_logsumexp},
    {"mean",      1, 9, run_mean, 0},
    {"norm",      1, 9, run_norm, 0},
    {"cv2",       1, 9, run_cv2, 0},
    {"dot",       2, 9, run_dot, 0},
    {"size",      1, 9, run_size, 0},
    {"topk",      2, 3, run_topk, 0},
    {"count",     2, 2, run_count, 0},
    {"place",     1, 2, run_place, 0},
    {"largest",   2, 9, run_largest, 0},
    {"scatter",   2, 2, run_scatter, 0},
    {"gaussian",  1, 9, run_draw, OP_gaussian},
    {"random",    1, 9, run_draw, OP_uniform},
    {"normal",    1, 2, run_init, OP_gaussian},
    {"uniform",   1, 2, run_init, OP_uniform},
    {"dropout",   2, 2, run_dropout, 0},
    {"shuffle",   1, 2, run_shuffle, 0},
    {"part",      3, 3, run_part, 0},
    {"attend",    3, 4, run_attend, 0},
    {"rope",      2, 4, run_rope, 0},
};

static const Builtin *builtin(const char *name)
{
    for (size_t i = 0; i < COUNT(builtins); i++)
        if (!strcmp(builtins[i].name, name))
            return &builtins[i];
    return NULL;
}

bool is_builtin(const char *name)
{
    return builtin(name) != NULL;
}

const char *builtin_nearest(const char *name)
{
    const char *names[COUNT(builtins)];
    for (size_t i = 0; i < COUNT(builtins); i++)
        names[i] = builtins[i].name;
    return nearest(name, names, COUNT(builtins));
}

Val call_builtin(Scope *s, const Ast *call, const char *name)
{
    const Builtin *b = builtin(name);
    int n = call->nkid - 1;
    if (n < b->least || n > b->most) {
        error_at(call->src, call->loc, "%s takes %d%s argument%s, not %d",
                 name, b->least,
                 b->most == 9          ? " or more"
                 : b->most != b->least ? " or more"
                                       : "",
                 b->least == 1 && b->most == 1 ? "" : "s", n);
        return val_error;
    }
    return b->run(s, call, b->arg);
}
