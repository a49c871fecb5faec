/* Elementwise operations as C expressions: the cuda column of the op table. */
#include "codegen/cuda/cuda_text.h"
#include <ctype.h>
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
#define MAP(name, nargs, type, flags, positive, cost, sign, grad, to, value, \
            llvm, cuda, level) \
    {cuda, level},
#define OP(name, ...) {NULL, 0},
#include "compiler/graph/ops.def"
#undef MAP
#undef OP
};

/* In bf16 a quotient that is 2 ulp of f32 off is as good, and needs no call. */
static const char *const coarse[OP_COUNT] = {
    [OP_sigmoid] = "sigmoid_coarse($a9)",
    [OP_silu] = "silu_coarse($a9)",
};

/* Does the word begin at `at` of a form, as a function? */
static bool is_function(const char *form, const char *at, size_t len)
{
    bool begins = at == form || !(isalnum((unsigned char)at[-1]) ||
                                  at[-1] == '_');
    at += len;
    return begins && at[*at == '~'] == '(';
}

bool cu_op_word(const char *name)
{
    size_t len = strlen(name);
    for (int i = 0; i < OP_COUNT; i++) {
        const char *form = forms[i].form;
        for (const char *at = form; at && *at; at++)
            if ((!strncmp(at, name, len) && is_function(form, at, len)) ||
                (len > 1 && name[len - 1] == 'f' &&
                 !strncmp(at, name, len - 1) && at[len - 1] == '~' &&
                 is_function(form, at, len - 1)))
                return true;
    }
    return false;
}

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

Expr cu_op(Cu *c, const Node *n, const Expr *arg)
{
    Dtype to = n->type.dtype, from = n->arg[0]->type.dtype;
    if (n->op == OP_cast)
        return cu_rounded(c, to, converted(c, arg[0], from, to));
    if (!forms[n->op].form)
        BUG("no CUDA C for %s", op_info[n->op].name);
    Expr in[MAX_ARGS] = {{0}};
    for (int i = 0; i < node_args(n); i++) {
        bool kept = (op_info[n->op].flags & IS_test) ||
                    (n->op == OP_select && i == 0);
        in[i] = kept ? arg[i]
                     : converted(c, arg[i], n->arg[i]->type.dtype, to);
    }
    bool quick = to == TYPE_bf16 && coarse[n->op];
    const char *form = quick ? coarse[n->op] : forms[n->op].form;
    Expr e = {filled(c, form, in, to == TYPE_f64), forms[n->op].level};
    if (n->op == OP_stop)
        e.level = ATOM;
    return cu_rounded(c, to, e);
}
