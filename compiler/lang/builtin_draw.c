/* Built-ins that draw: initial values, noise, permutations. */
#include "compiler/lang/builtin.h"
#include <string.h>

/* What a draw is asked for by name. */
typedef struct {
    const Size *seed; /* 0 where it is not there */
    bool same;        /* for every layer and expert */
} Options;

static bool take_same(Scope *s, const Ast *arg, bool *same)
{
    Val v = eval(s, arg->kid[0]);
    *same = v.kind == V_bool && v.truth;
    if (v.kind != V_bool && v.kind != V_error)
        error_at(arg->src, arg->loc, "`same` is true or false, this is %s",
                 val_text(&v));
    return v.kind == V_bool;
}

/* The call without `seed: 7` and `same: true`. */
static bool take_options(Scope *s, const Ast *call, Ast *plain, Options *o)
{
    const Ast *seed = arg_named(call, "seed"), *same = arg_named(call, "same");
    *plain = *call;
    *o = (Options){.seed = size_num(0)};
    plain->kid = arena_alloc(s->model->arena,
                             (size_t)call->nkid * sizeof *plain->kid);
    plain->nkid = 0;
    for (int i = 0; i < call->nkid; i++)
        if (call->kid[i] != seed && call->kid[i] != same)
            plain->kid[plain->nkid++] = call->kid[i];
    return (!seed || eval_size(s, seed->kid[0], &o->seed)) &&
           (!same || take_same(s, same, &o->same));
}

static Node *draw(Scope *s, Op op, const char *name, const Dims *d,
                  const Size *seed)
{
    Node n = {.op = op, .type = {.dtype = TYPE_f32, .rank = d->n},
              .name = intern(name)};
    if (!size_is_num(seed, &n.num))
        n.size = seed;
    memcpy(n.type.dim, d->at, sizeof d->at);
    return graph_add(s->g, n);
}

/* Where a draw of a transform's text is: in the match. */
static const char *match_path(const Scope *s)
{
    return s->at ? s->at : "";
}

/* A name of the draw's own: of its place in the text and of its instance. In
 * a repeated layer it is the same for all; the repeat tells them apart. */
static const char *draw_name(const Scope *s, const Ast *call)
{
    const char *path = s->inst ? s->inst->path : match_path(s), *out = "";
    for (const char *c = path; s->body && *c;) {
        size_t n = strcspn(c, "[");
        out = intern_printf("%s%.*s", out, (int)n, c);
        c += n;
        c += strcspn(c, "]") + (*c != 0);
    }
    return intern_printf("%s.%s.%d", s->body ? out : path,
                         s->inst ? s->inst->def->text : "draw", call->loc.at);
}

/* Of a stacked weight each has draws of its own. */
static void each_of_array(const Scope *s, Dims *d)
{
    for (int i = 0; s->target && i < s->target->stacked; i++) {
        const Dim *array = s->target->type.dim[i];
        bool there = d->n == MAX_RANK;
        for (int j = 0; j < d->n; j++)
            there |= d->at[j] == array;
        if (!there)
            d->at[d->n++] = array;
    }
}

Val built_draw(Scope *s, const Ast *whole, int op)
{
    Ast plain, *call = &plain;
    Options o;
    Dims d;
    if (!take_options(s, whole, call, &o) || !dims_of(s, call, 1, NULL, &d))
        return val_error;
    if (!o.same)
        each_of_array(s, &d);
    const char *name = o.same      ? intern_printf("draw.%d", whole->loc.at)
                       : s->target ? s->target->path
                                   : draw_name(s, whole);
    return val_node(draw(s, (Op)op, name, &d, o.seed));
}

/* normal(mean, deviation), uniform(a) in [-a, a), uniform(a, b): the left
 * side's shape, seeded by its name (and `seed: 7`). */
Val built_init(Scope *s, const Ast *whole, int op)
{
    Ast plain, *call = &plain;
    Options o;
    if (!take_options(s, whole, call, &o))
        return val_error;
    if (call->nkid > 3) {
        error_at(call->src, call->loc, "%s takes 1 or 2 numbers and a seed",
                 call->kid[0]->text);
        return val_error;
    }
    const Weight *w = s->target;
    Node *a = arg_node(s, call, 1),
         *b = call->nkid > 2 ? arg_node(s, call, 2) : NULL;
    Graph *g = s->g;
    if (!w) {
        error_at(call->src, call->loc,
                 "%s is an initialiser: it stands on the right of a weight "
                 "in a transform",
                 call->kid[0]->text);
        return val_error;
    }
    if (!a || (call->nkid > 2 && !b))
        return val_error;
    Dims d = {.n = w->type.rank};
    memcpy(d.at, w->type.dim, sizeof d.at);
    Node *x = draw(s, (Op)op, w->path, &d, o.seed);
    if (op == OP_gaussian && !b)
        return val_node(g_map2(g, OP_mul, x, a));
    if (op == OP_gaussian)
        return val_node(g_map2(g, OP_add, g_map2(g, OP_mul, x, b), a));
    Node *low = b ? a : g_map1(g, OP_neg, a), *high = b ? b : a;
    x = g_map2(g, OP_mul, x, g_map2(g, OP_sub, high, low));
    return val_node(g_map2(g, OP_add, x, low));
}

Val built_dropout(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1), *p = arg_node(s, call, 2);
    Graph *g = s->g;
    if (!x || !p)
        return val_error;
    Dims d = {.n = x->type.rank};
    memcpy(d.at, x->type.dim, sizeof d.at);
    Node *u = draw(s, OP_uniform, draw_name(s, call), &d, size_num(0));
    Node *keep = g_map2(g, OP_ge, u, p);
    Node *scaled = g_map2(g, OP_div, x,
                          g_map2(g, OP_sub, g_num(g, TYPE_f32, 1), p));
    Node *zero = g_num(g, x->type.dtype, 0);
    Node *flag = graph_add(g, (Node){.op = OP_flag, .type.dtype = TYPE_bool,
                                     .name = intern("training")});
    return val_node(g_select(g, flag, g_select(g, keep, scaled, zero), x));
}

/* One permutation for all weights of a match: its name is the match's. */
Val built_shuffle(Scope *s, const Ast *whole, int unused)
{
    (void)unused;
    Ast plain, *call = &plain;
    Options o;
    if (!take_options(s, whole, call, &o))
        return val_error;
    const Ast *arg = call->nkid > 1 ? call->kid[1] : whole;
    const Dim *d = arg->kind == AST_name ? find_dim(s, arg->text) : NULL;
    if (!d) {
        error_at(arg->src, arg->loc, "shuffle wants a dim");
        return val_error;
    }
    if (call->nkid > 2 && !eval_size(s, call->kid[2], &o.seed))
        return val_error;
    double number;
    Node n = {.op = OP_shuffle, .ndim = 1, .dim = {d}, .size = o.seed,
              .type = {TYPE_i32, d, 1, {d}}};
    if (s->at && !o.same)
        n.name = intern(s->at);
    if (size_is_num(o.seed, &number))
        n.num = number, n.size = NULL;
    return val_node(graph_add(s->g, n));
}

/* part(permutation, e, E): the e-th of E equal cuts; where e counts further
 * than E, they come round again. */
Val built_part(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *p = arg_node(s, call, 1), *e = arg_node(s, call, 2);
    const Size *parts;
    if (!p || !e || !eval_size(s, call->kid[3], &parts))
        return val_error;
    if (!p->type.index_of || p->type.rank != 1 || !e->type.index_of ||
        e->type.rank != 1) {
        error_at(call->src, call->loc,
                 "part wants a permutation, an index and how many parts");
        return val_error;
    }
    if (!size_fits(size_div(e->type.index_of->size, parts))) {
        error_at(call->src, call->kid[3]->loc,
                 "%s counts %s, which %s parts do not divide",
                 call->kid[2]->text ? call->kid[2]->text : "the index",
                 size_text(e->type.index_of->size), size_text(parts));
        return val_error;
    }
    return (Val){.kind = V_place, .node = p, .dim = e->type.index_of,
                 .size = parts};
}

/* The cuts of a permutation of F as an index [E, f]: F. */
static Node *cuts(Scope *s, Node *p, const Dim *e, const Size *parts,
                  const Dim *f)
{
    const Dim *whole = p->type.dim[0];
    const Dim *n = e->size == parts ? e : dim_new("part", parts);
    Node split = {.op = OP_split, .arg = {p}, .ndim = 3, .dim = {whole, n, f}};
    Node *cut = graph_add(s->g, split);
    if (n == e)
        return cut;
    const Dim *round = dim_new("round", size_div(e->size, parts));
    Node again = {.op = OP_expand, .arg = {cut}, .ndim = 1, .dim = {round}};
    Node flat = {.op = OP_flatten, .arg = {graph_add(s->g, again)}, .ndim = 3,
                 .dim = {e, round, n}};
    return graph_add(s->g, flat);
}

Node *take_place(Scope *s, Node *x, const Dim *d, Val place, const Ast *at)
{
    const Dim *whole = place.node->type.dim[0];
    const Size *cut = size_div(whole->size, place.size);
    if (whole != d && place.node->type.index_of != d) {
        error_at(at->src, at->loc, "the permutation is of %s, not of %s",
                 whole->name, d->name);
        return NULL;
    }
    if (!size_fits(cut)) {
        error_at(at->src, at->loc, "%s = %s does not divide into %s parts",
                 d->name, size_text(whole->size), size_text(place.size));
        return NULL;
    }
    const Dim *f = new_dim(s, intern_printf("%s.part", d->name), cut);
    return g_gather(s->g, x, d, cuts(s, place.node, place.dim, place.size, f));
}
