/* Operators: on sizes, on plain values, on tensors by their dims' names. */
#include "compiler/lang/elab.h"
#include <math.h>
#include <string.h>

static Val size_op(const char *op, const Size *a, const Size *b)
{
    switch (*op) {
    case '+': return val_size(size_add(a, b));
    case '-': return val_size(size_sub(a, b));
    case '*': return val_size(size_mul(a, b));
    case '/': return val_size(size_div(a, b));
    case '%': return val_size(size_mod(a, b));
    default:  return val_size(size_pow(a, b));
    }
}

static bool compare(const char *op, double a, double b)
{
    if (!strcmp(op, "=="))
        return a == b;
    if (!strcmp(op, "!="))
        return a != b;
    if (!strcmp(op, "<"))
        return a < b;
    if (!strcmp(op, "<="))
        return a <= b;
    return !strcmp(op, ">") ? a > b : a >= b;
}

/* All dims of `a`, but those that the module does not see, are b's too. */
static bool within(const Scope *s, const Type *a, const Type *b)
{
    for (int i = 0; i < a->rank; i++)
        if (type_dim(b, a->dim[i]) < 0 && !is_lifted(s, a->dim[i]))
            return false;
    return true;
}

/* Two dims of one name that are not the same: their sizes for a message. */
static const char *clash(const Type *a, const Type *b)
{
    for (int i = 0; i < a->rank; i++)
        for (int j = 0; j < b->rank; j++)
            if (a->dim[i] != b->dim[j] && type_dim(b, a->dim[i]) < 0 &&
                !strcmp(a->dim[i]->name, b->dim[j]->name))
                return intern_printf("\ntheir `%s` are two dims: one is %s, "
                                     "the other %s",
                                     a->dim[i]->name,
                                     size_text(a->dim[i]->size),
                                     size_text(b->dim[j]->size));
    return "";
}

/* A name of `e` that is a local value and a weight too. */
static const char *hiding(const Scope *s, const Ast *e)
{
    for (int i = 0; i < e->nkid; i++) {
        const Ast *k = e->kid[i];
        if (k->kind == AST_name && s->inst &&
            names_find(&s->local, k->text) && inst_slot(s->inst, k->text))
            return intern_printf("\n`%s` is the local value here, which hides "
                                 "the weight of that name",
                                 k->text);
    }
    return "";
}

/* An index may be compared and used as one; it is not counted with. */
bool is_quantity(const Node *n, const Ast *at)
{
    if (!n->type.index_of)
        return true;
    error_at(at->src, at->loc,
             "an index of %s is no number to reckon with (f32(..) makes it "
             "one)",
             n->type.index_of->name);
    return false;
}

static bool dims_match(Scope *s, const Node *a, const Node *b, const Ast *at)
{
    const Type *x = &a->type, *y = &b->type;
    bool named = at->kind == AST_call || at->kind == AST_binary;
    if (within(s, x, y) || within(s, y, x))
        return true;
    error_at(at->src, at->loc,
             "`%s` needs one side to have all dims of the other, got %s "
             "and %s%s%s",
             named ? at->text ? at->text : at->kid[0]->text : "this",
             dims_text(x), dims_text(y), clash(x, y), hiding(s, at));
    return false;
}

Node *elementwise_of(Scope *s, Op op, Node *const *arg, const Ast *at)
{
    Node n = {.op = op};
    for (int i = 0; i < op_info[op].nargs; i++) {
        if (!arg[i])
            return NULL;
        n.arg[i] = arg[i];
        for (int j = 0; j < i; j++)
            if (!dims_match(s, arg[j], arg[i], at))
                return NULL;
    }
    for (int i = 0; i < op_info[op].nargs; i++)
        if (!(op_info[op].flags & IS_order) && !is_quantity(arg[i], at))
            return NULL;
    return graph_add(s->g, n);
}

Node *elementwise(Scope *s, Op op, Node *a, Node *b, const Ast *at)
{
    return elementwise_of(s, op, (Node *[]){a, b}, at);
}

/* A weight declared the other way round: how it is meant. */
static const char *turned(const Type *x, const Type *y)
{
    if (!x->rank || y->rank != 2 || x->dim[x->rank - 1] != y->dim[0])
        return "";
    return intern_printf("\nthe dim that is summed comes last: [%s, %s], not "
                         "[%s, %s]",
                         y->dim[1]->name, y->dim[0]->name, y->dim[0]->name,
                         y->dim[1]->name);
}

static Node *matmul(Scope *s, Node *a, Node *b, const Ast *at)
{
    const Type *x = &a->type, *y = &b->type;
    const Dim *dim[MAX_RANK];
    int n = 0;
    while (n < x->rank && n < y->rank &&
           x->dim[x->rank - 1 - n] == y->dim[y->rank - 1 - n] &&
           !is_lifted(s, x->dim[x->rank - 1 - n]))
        n++;
    for (int i = 0; i < n; i++)
        dim[i] = x->dim[x->rank - n + i];
    if (!n) {
        error_at(at->src, at->loc,
                 "`@` sums over the dims that both sides end with, and %s and "
                 "%s share none there%s%s%s",
                 dims_text(x), dims_text(y), clash(x, y), hiding(s, at),
                 turned(x, y));
        return NULL;
    }
    if (!is_quantity(a, at) || !is_quantity(b, at))
        return NULL;
    return g_contract(s->g, a, b, n, dim);
}

static Val node_op(Scope *s, const Ast *e, Val l, Val r)
{
    Dtype t = l.kind == V_node   ? l.node->type.dtype
              : r.kind == V_node ? r.node->type.dtype
                                 : TYPE_f32;
    Node *a = as_node(s, l, t, e->kid[0]), *b = as_node(s, r, t, e->kid[1]);
    double two;
    Op op;
    if (!a || !b)
        return val_error;
    if (!strcmp(e->text, "@"))
        return val_node(matmul(s, a, b, e));
    if (!strcmp(e->text, "^") && r.kind == V_size &&
        size_is_num(r.size, &two) && two == 2)
        return val_node(g_map2(s->g, OP_mul, a, a));
    if (op_of_sign(e->text, 2, &op))
        return val_node(elementwise(s, op, a, b, e));
    error_at(e->src, e->loc, "`%s` works on sizes, not on tensors", e->text);
    return val_error;
}

/* == and != of what is no number: "silu", none, true. */
static bool plain_equal(const Val *a, const Val *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == V_string)
        return !strcmp(a->string, b->string);
    return a->kind == V_bool ? a->truth == b->truth : a->kind == V_none;
}

static bool is_plain(const Val *v)
{
    return v->kind == V_string || v->kind == V_none || v->kind == V_bool ||
           v->kind == V_json;
}

static Val eval_logic(Scope *s, const Ast *e)
{
    bool is_and = !strcmp(e->text, "and");
    Val l = eval(s, e->kid[0]);
    if (l.kind == V_bool && l.truth != is_and)
        return l;
    Val r = eval(s, e->kid[1]);
    if (l.kind == V_error || r.kind == V_error)
        return val_error;
    if (l.kind == V_bool)
        return r;
    if (r.kind == V_bool)
        return r.truth == is_and ? l : r;
    return node_op(s, e, l, r);
}

static bool is_flag(const Val *v)
{
    return v->kind == V_node && v->node->op == OP_flag;
}

/* The unknown that l or r is; NULL: neither. */
static const char *unknown_of(const Val *v)
{
    if (is_flag(v))
        return v->node->name;
    return v->kind == V_size && !size_is_num(v->size, NULL)
               ? size_text(v->size) : NULL;
}

/* An unknown against none, true or a string. */
static bool unknown_equal(Scope *s, const Ast *e, const Val *l, const Val *r,
                          Val *out)
{
    const Val *plain = is_plain(l) ? l : r, *other = plain == l ? r : l;
    const char *name = s->model->symbolic ? unknown_of(other) : NULL;
    if (!name)
        return false;
    bool same = (*e->text == '=') == (plain->kind != V_bool || plain->truth);
    Val flag = plain->kind == V_bool
                   ? flag_value(s, name)
                   : unknown_truth(s, intern_printf("%s == %s", name,
                                                    val_text(plain)));
    *out = same ? flag : val_node(g_map1(s->g, OP_not, flag.node));
    return true;
}

static bool is_equality(const char *op)
{
    return !strcmp(op, "==") || !strcmp(op, "!=");
}

/* A formula of unknowns that comes out as no number was too long. */
static Val size_of_both(const Ast *e, const Size *l, const Size *r)
{
    double n;
    Val v = size_op(e->text, l, r);
    bool known = size_is_num(l, NULL) && size_is_num(r, NULL);
    if (known || !size_is_num(v.size, &n) || !isnan(n))
        return v;
    error_at(e->src, e->loc, "a number of too long a formula");
    return val_error;
}

Val eval_binary(Scope *s, const Ast *e)
{
    if (!strcmp(e->text, "and") || !strcmp(e->text, "or"))
        return eval_logic(s, e);
    Val l = eval(s, e->kid[0]), r = eval(s, e->kid[1]);
    double a, b;
    if (l.kind == V_error || r.kind == V_error)
        return val_error;
    bool plain = is_equality(e->text) && (is_plain(&l) || is_plain(&r));
    Val v;
    if (plain && unknown_equal(s, e, &l, &r, &v))
        return v;
    if (plain && l.kind != V_node && r.kind != V_node)
        return val_bool(plain_equal(&l, &r) == (*e->text == '='));
    if (l.kind != V_size || r.kind != V_size || *e->text == '@')
        return node_op(s, e, l, r);
    if (strchr("/%", *e->text))
        model_divides(s->model, r.size);
    if (strchr("+-*/%^", *e->text))
        return size_of_both(e, l.size, r.size);
    if (size_is_num(size_sub(l.size, r.size), &a))
        b = 0;
    else if (!size_is_num(l.size, &a) || !size_is_num(r.size, &b))
        return node_op(s, e, l, r);
    return val_bool(compare(e->text, a, b));
}

Val eval_not(Scope *s, const Ast *e)
{
    Val v = eval(s, e->kid[0]);
    if (v.kind == V_bool)
        return val_bool(!v.truth);
    Node *n = as_node(s, v, TYPE_f32, e->kid[0]);
    return n ? val_node(g_map1(s->g, OP_not, n)) : val_error;
}

Val eval_neg(Scope *s, const Ast *e)
{
    Val v = eval(s, e->kid[0]);
    if (v.kind == V_size)
        return val_size(size_mul(size_num(-1), v.size));
    Node *n = as_node(s, v, TYPE_f32, e->kid[0]);
    return n ? val_node(g_map1(s->g, OP_neg, n)) : val_error;
}

/* A window or none. */
static Val unknown_choice(Scope *s, const Val *c, const Val *a, const Val *b)
{
    const char *key = intern_printf("%p ? %s : %s", (void *)c->node,
                                    val_text(a), val_text(b));
    return val_size(made_unknown(s->model, key,
                                 val_text(a->kind == V_size ? a : b)));
}

Val eval_cond(Scope *s, const Ast *e)
{
    Val c = eval(s, e->kid[0]);
    if (c.kind == V_bool)
        return eval(s, e->kid[c.truth ? 1 : 2]);
    Val a = eval(s, e->kid[1]), b = eval(s, e->kid[2]);
    if (c.kind == V_error || a.kind == V_error || b.kind == V_error)
        return val_error;
    if (c.kind == V_size) /* a parameter that is true or false */
        c = flag_value(s, size_text(c.size));
    if (s->model->symbolic && c.kind == V_node && a.kind != V_node &&
        b.kind != V_node && (is_plain(&a) || is_plain(&b)))
        return unknown_choice(s, &c, &a, &b);
    Dtype t = a.kind == V_node   ? a.node->type.dtype
              : b.kind == V_node ? b.node->type.dtype
                                 : TYPE_f32;
    Node *x = as_node(s, a, t, e->kid[1]), *y = as_node(s, b, t, e->kid[2]),
         *test = as_node(s, c, TYPE_bool, e->kid[0]);
    if (!x || !y || !test)
        return val_error;
    const Type *p = &x->type, *q = &y->type;
    if (!within(s, p, q) && !within(s, q, p)) {
        error_at(e->src, e->loc,
                 "`? :` needs one side to have all dims of the other, got %s "
                 "and %s",
                 dims_text(p), dims_text(q));
        return val_error;
    }
    return val_node(g_select(s->g, test, x, y));
}
