/* Expression trees: the llvm column of compiler/graph/ops.def, and the walk
 * over a tree of elementwise ops. */
#include "codegen/emit/emit_math.h"

/* ---- the column: what an op is on values in registers ---- */

/* Any value as truth: not 0. */
static Val true_of(Emit *e, Val a)
{
    return ty_elem(a) == ty(e, TY_i1) ? a : differs(e, a, like(a, 0));
}

static Val emit_op(Emit *e, Op op, Val a, Val b, Val c)
{
    switch (op) {
#define MAP(name, nargs, type, flags, positive, cost, sign, grad, to, value, \
            llvm, ...) \
    case OP_##name: return llvm;
#define OP(name, ...)
#include "compiler/graph/ops.def"
#undef MAP
#undef OP
    default: BUG("no emitter for %s", op_info[op].name);
    }
}

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
    if (c)
        match(e, &b, &c);
    else if (b)
        match(e, &a, &b);
    else if (!(op_info[n->op].flags & IS_test))
        a = convert(e, a, ty_reg(e, n->type.dtype));
    return cast(e, n, emit_op(e, n->op, a, b, c));
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
    for (int i = 0; i < node_args(n); i++)
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
