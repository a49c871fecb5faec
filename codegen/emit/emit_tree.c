/* Expression trees: a column of the op table for each `row` op of
 * compiler/graph/ops.def, and the walk over a tree of them. */
#include "codegen/emit/emit.h"

/* ---- the column: what an op is on values in registers ---- */

typedef Val (*Emitter)(Emit *e, Val a, Val b, Val c);

#define MAP1(name, fn) \
    static Val op_##name(Emit *e, Val a, Val b, Val c) \
    { \
        (void)b, (void)c; \
        return fn(e, a); \
    }
#define MAP2(name, fn) \
    static Val op_##name(Emit *e, Val a, Val b, Val c) \
    { \
        (void)c; \
        return fn(e, a, b); \
    }

/* Any value as truth: not 0. */
static Val true_of(Emit *e, Val a)
{
    return ty_elem(a) == ty(e, TY_i1) ? a : differs(e, a, like(a, 0));
}

static Val above(Emit *e, Val a, Val b)
{
    return less(e, b, a);
}

static Val above_eq(Emit *e, Val a, Val b)
{
    return less_eq(e, b, a);
}

static Val negate(Emit *e, Val a)
{
    return flip(e, true_of(e, a));
}

static Val both(Emit *e, Val a, Val b)
{
    return bit_and(e, true_of(e, a), true_of(e, b));
}

static Val either(Emit *e, Val a, Val b)
{
    return bit_or(e, true_of(e, a), true_of(e, b));
}

static Val positive(Emit *e, Val a)
{
    return pick(e, less(e, like(a, 0), a), a,
                pick(e, is_nan(e, a), a, like(a, 0)));
}

static Val itself(Emit *e, Val a)
{
    (void)e;
    return a;
}

static Val op_select(Emit *e, Val a, Val b, Val c)
{
    return pick(e, true_of(e, a), b, c);
}

MAP1(neg, neg)
MAP1(exp, vm_exp)
MAP1(log, vm_log)
MAP1(sqrt, root)
MAP1(rsqrt, vm_rsqrt)
MAP1(tanh, vm_tanh)
MAP1(sigmoid, vm_sigmoid)
MAP1(silu, vm_silu)
MAP1(gelu, vm_gelu)
MAP1(gelu_tanh, vm_gelu_tanh)
MAP1(relu, positive)
MAP1(softplus, vm_softplus)
MAP1(cdf, vm_cdf)
MAP1(abs, magnitude)
MAP1(sin, vm_sin)
MAP1(cos, vm_cos)
MAP1(acos, vm_acos)
MAP1(floor, round_down)
MAP1(ceil, round_up)
MAP1(not, negate)
MAP1(stop, itself)
MAP2(add, add)
MAP2(sub, sub)
MAP2(mul, mul)
MAP2(div, quot)
MAP2(pow, vm_pow)
MAP2(minimum, least)
MAP2(maximum, greatest)
MAP2(lt, less)
MAP2(le, less_eq)
MAP2(gt, above)
MAP2(ge, above_eq)
MAP2(eq, same)
MAP2(ne, differs)
MAP2(and, both)
MAP2(or, either)

static const Emitter emitter[OP_COUNT] = {
#define ROW(name) [OP_##name] = op_##name
    ROW(neg),     ROW(exp),     ROW(log),       ROW(sqrt),     ROW(rsqrt),
    ROW(tanh),    ROW(sigmoid), ROW(silu),      ROW(gelu),     ROW(gelu_tanh),
    ROW(relu),    ROW(softplus), ROW(cdf),      ROW(abs),      ROW(sin),
    ROW(cos),     ROW(acos),    ROW(floor),     ROW(ceil),     ROW(not),
    ROW(stop),    ROW(add),     ROW(sub),       ROW(mul),      ROW(div),
    ROW(pow),     ROW(minimum), ROW(maximum),   ROW(lt),       ROW(le),
    ROW(gt),      ROW(ge),      ROW(eq),        ROW(ne),       ROW(and),
    ROW(or),      ROW(select),
#undef ROW
};

/* ---- types ---- */

/* v as an operand of type `to`: integers and truths become floats beside
 * floats, a narrow float the wide one. */
static Val convert(Emit *e, Val v, Ty to)
{
    if (ty_elem(v) == to)
        return v;
    if (to == ty(e, TY_f32) || to == ty(e, TY_f64))
        return to_float(e, v, to);
    return to == ty(e, TY_i1) ? true_of(e, v) : to_int(e, v, to);
}

static int rank_of(Emit *e, Val v)
{
    static const TyName order[] = {TY_i1, TY_i8, TY_i16, TY_i32, TY_i64,
                                   TY_f32, TY_f64};
    int i = 0;
    while (ty_elem(v) != ty(e, order[i]))
        i++;
    return i;
}

static void match(Emit *e, Val *a, Val *b)
{
    int ra = rank_of(e, *a), rb = rank_of(e, *b);
    if (ra < rb)
        *a = convert(e, *a, ty_elem(*b));
    else if (rb < ra)
        *b = convert(e, *b, ty_elem(*a));
}

/* v as a value of n's type. */
static Val cast(Emit *e, const Node *n, Val a)
{
    Dtype to = n->type.dtype;
    return round_to(e, to, convert(e, a, ty_reg(e, to)));
}

Val tree_op(Emit *e, const Node *n, Val a, Val b, Val c)
{
    if (n->op == OP_cast)
        return cast(e, n, a);
    if (!emitter[n->op])
        BUG("no emitter for %s", op_info[n->op].name);
    if (n->op == OP_select)
        match(e, &b, &c);
    else if (b)
        match(e, &a, &b);
    Val v = emitter[n->op](e, a, b, c);
    return cast(e, n, v);
}

/* ---- the walk ---- */

typedef struct {
    Emit *e;
    int lanes;
    Leaf leaf;
    void *user;
    LIST(struct Done {
        const Node *n;
        Val v;
    }) done;
} Tree;

static Val known(const Tree *t, const Node *n)
{
    for (int i = 0; i < t->done.n; i++)
        if (t->done.at[i].n == n)
            return t->done.at[i].v;
    return NULL;
}

static double rounded(Dtype t, double v)
{
    char memory[8];
    type_store(t, memory, 0, v);
    return type_load(t, memory, 0);
}

static Val visit(Tree *t, const Node *n);

static Val compute(Tree *t, const Node *n)
{
    Val v = t->leaf(t->e, n, t->lanes, t->user);
    if (v)
        return v;
    double value;
    Ty reg = vec(ty_reg(t->e, n->type.dtype), t->lanes);
    if (n->op == OP_number)
        return num(reg, rounded(n->type.dtype, n->num));
    if (n->op == OP_scalar && size_is_num(n->size, &value))
        return num(reg, rounded(n->type.dtype, value));
    Val arg[MAX_ARGS] = {NULL};
    for (int i = 0; i < op_info[n->op].nargs; i++)
        arg[i] = visit(t, n->arg[i]);
    return tree_op(t->e, n, arg[0], arg[1], arg[2]);
}

static Val visit(Tree *t, const Node *n)
{
    Val v = known(t, n);
    if (v)
        return v;
    v = compute(t, n);
    list_push(t->e->arena, &t->done, (struct Done){n, v});
    return v;
}

Val tree(Emit *e, const Node *n, int lanes, Leaf leaf, void *user)
{
    Tree t = {.e = e, .lanes = lanes, .leaf = leaf, .user = user};
    return visit(&t, n);
}
