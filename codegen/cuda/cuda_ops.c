/* Elementwise operations as C expressions: a column of the op table. */
#include "codegen/cuda/cuda_text.h"
#include <math.h>
#include <string.h>

/* How loosely an expression binds. */
enum { ATOM, UNARY, PRODUCT, SUM, COMPARE, EQUAL, AND, OR, CHOICE };

/* $ and an argument's letter, then the loosest level it may have there without
 * brackets; ~ is f in functions and numbers of floats, nothing in doubles. */
typedef struct {
    const char *form;
    int level;
} Form;

static const Form forms[OP_COUNT] = {
    [OP_neg] = {"-$a0", UNARY},
    [OP_exp] = {"exp~($a9)", ATOM},
    [OP_log] = {"log~($a9)", ATOM},
    [OP_sqrt] = {"sqrt~($a9)", ATOM},
    [OP_rsqrt] = {"1.0~ / sqrt~($a9)", PRODUCT},
    [OP_tanh] = {"tanh~($a9)", ATOM},
    [OP_sigmoid] = {"sigmoid~($a9)", ATOM},
    [OP_silu] = {"silu~($a9)", ATOM},
    [OP_gelu] = {"gelu~($a9)", ATOM},
    [OP_gelu_tanh] = {"gelu_tanh~($a9)", ATOM},
    [OP_relu] = {"relu~($a9)", ATOM},
    [OP_softplus] = {"softplus~($a9)", ATOM},
    [OP_cdf] = {"cdf~($a9)", ATOM},
    [OP_abs] = {"fabs~($a9)", ATOM},
    [OP_sin] = {"sin~($a9)", ATOM},
    [OP_cos] = {"cos~($a9)", ATOM},
    [OP_acos] = {"acos~($a9)", ATOM},
    [OP_floor] = {"floor~($a9)", ATOM},
    [OP_ceil] = {"ceil~($a9)", ATOM},
    [OP_not] = {"$a4 == 0", EQUAL},
    [OP_stop] = {"$a0", ATOM},
    [OP_add] = {"$a3 + $b2", SUM},
    [OP_sub] = {"$a3 - $b2", SUM},
    [OP_mul] = {"$a2 * $b1", PRODUCT},
    [OP_div] = {"$a2 / $b1", PRODUCT},
    [OP_pow] = {"pow~($a9, $b9)", ATOM},
    [OP_minimum] = {"smaller~($a9, $b9)", ATOM},
    [OP_maximum] = {"larger~($a9, $b9)", ATOM},
    [OP_lt] = {"$a3 < $b3", COMPARE},
    [OP_le] = {"$a3 <= $b3", COMPARE},
    [OP_gt] = {"$a3 > $b3", COMPARE},
    [OP_ge] = {"$a3 >= $b3", COMPARE},
    [OP_eq] = {"$a4 == $b4", EQUAL},
    [OP_ne] = {"$a4 != $b4", EQUAL},
    [OP_and] = {"$a4 != 0 && $b4 != 0", AND},
    [OP_or] = {"$a4 != 0 || $b4 != 0", OR},
    [OP_select] = {"$a4 != 0 ? $b7 : $c7", CHOICE},
};

static const char *within(Cu *c, Expr e, int level)
{
    return e.level > level ? cu_text(c, "(%s)", e.text) : e.text;
}

static const char *filled(Cu *c, const char *form, const Expr *arg, bool wide)
{
    const char *s = "";
    for (; *form; form++) {
        if (*form == '$') {
            s = cu_text(c, "%s%s", s,
                        within(c, arg[form[1] - 'a'], form[2] - '0'));
            form += 2;
        } else if (*form != '~') {
            s = cu_text(c, "%s%c", s, *form);
        } else if (!wide) {
            s = cu_text(c, "%sf", s);
        }
    }
    return s;
}

Expr cu_number(Cu *c, Dtype t, double v)
{
    char memory[8], text[40];
    if (!cu_is_float(t))
        return (Expr){cu_text(c, "%.0f", v), v < 0 ? UNARY : ATOM};
    type_store(t, memory, 0, v);
    v = type_load(t, memory, 0);
    if (!isfinite(v))
        return (Expr){isnan(v) ? "NOT_A_NUMBER" : v > 0 ? "INFINITE"
                                                        : "-INFINITE",
                      UNARY};
    snprintf(text, sizeof text, t == TYPE_f64 ? "%.17g" : "%.9g", v);
    if (t != TYPE_f64 && strtof(cu_text(c, "%g", v), NULL) == (float)v)
        snprintf(text, sizeof text, "%g", v);
    return (Expr){cu_text(c, "%s%s%s", text,
                          strpbrk(text, ".e") ? "" : ".0",
                          t == TYPE_f64 ? "" : "f"),
                  v < 0 ? UNARY : ATOM};
}

Expr cu_rounded(Cu *c, Dtype t, Expr e)
{
    if (t != TYPE_bf16 && t != TYPE_f16)
        return e;
    return (Expr){cu_text(c, "%s(%s)", t == TYPE_bf16 ? "round_bf16"
                                                      : "round_f16",
                          e.text), ATOM};
}

/* e, a value of type `from`, as one of `to`: whole numbers and truths become
 * floats beside floats. */
static Expr converted(Cu *c, Expr e, Dtype from, Dtype to)
{
    const char *reg = cu_register(to);
    if (to == TYPE_bool && from != TYPE_bool)
        return (Expr){cu_text(c, "%s != 0", within(c, e, COMPARE)), EQUAL};
    if (reg == cu_register(from))
        return e;
    return (Expr){cu_text(c, "(%s)%s", reg, within(c, e, ATOM)), UNARY};
}

static bool is_test(Op op)
{
    return op == OP_not || (op >= OP_lt && op <= OP_or);
}

Expr cu_op(Cu *c, const Node *n, const Expr *arg)
{
    Dtype to = n->type.dtype, from = n->arg[0]->type.dtype;
    if (n->op == OP_cast)
        return cu_rounded(c, to, converted(c, arg[0], from, to));
    if (!forms[n->op].form)
        BUG("no CUDA C for %s", op_info[n->op].name);
    Expr in[MAX_ARGS] = {{0}};
    for (int i = 0; i < op_info[n->op].nargs; i++) {
        bool kept = is_test(n->op) || (n->op == OP_select && i == 0);
        in[i] = kept ? arg[i]
                     : converted(c, arg[i], n->arg[i]->type.dtype, to);
    }
    Expr e = {filled(c, forms[n->op].form, in, to == TYPE_f64),
              forms[n->op].level};
    if (n->op == OP_stop)
        e.level = ATOM;
    return cu_rounded(c, to, e);
}
