/* The built-in functions: one table, a row each. */
#include "compiler/lang/builtin.h"
#include <math.h>
#include <string.h>

typedef struct {
    const char *name;
    int least, most; /* arguments */
    Val (*run)(Scope *s, const Ast *call, int arg);
    int arg; /* what the row passes to run: an Op or a Dtype */
} Builtin;

/* ---- elementwise ---- */

/* log(4) is a number, too. */
static const Size *of_number(Op op, const Size *a)
{
    double x;
    bool known = op_info[op].nargs == 1 && size_is_num(a, &x) &&
                 isfinite(op_value(op, x, 0, 0));
    return known ? size_num(op_value(op, x, 0, 0)) : NULL;
}

/* What the op makes of sizes alone; NULL: a tensor. */
static const Size *of_sizes(Op op, const Size *a, const Size *b)
{
    return op == OP_ceil      ? size_ceil(a)
           : op == OP_floor   ? size_floor(a)
           : op == OP_sqrt    ? size_sqrt(a)
           : op == OP_minimum ? size_min(a, b)
           : op == OP_maximum ? size_max(a, b)
                              : of_number(op, a);
}

Val built_map(Scope *s, const Ast *call, int op)
{
    int n = op_info[op].nargs;
    Val v[MAX_ARGS] = {{0}};
    Node *arg[MAX_ARGS];
    bool sizes = true;
    Dtype t = TYPE_COUNT;
    for (int i = 0; i < n; i++) {
        v[i] = eval(s, call->kid[i + 1]);
        sizes = sizes && v[i].kind == V_size;
        if (t == TYPE_COUNT && v[i].kind == V_node)
            t = v[i].node->type.dtype;
    }
    const Size *size = sizes ? of_sizes((Op)op, v[0].size, v[1].size) : NULL;
    if (size)
        return val_size(size);
    for (int i = 0; i < n; i++)
        arg[i] = as_node(s, v[i], t == TYPE_COUNT ? TYPE_f32 : t,
                         call->kid[i + 1]);
    return val_node(elementwise_of(s, (Op)op, arg, call));
}

Val built_cast(Scope *s, const Ast *call, int type)
{
    Node *n = arg_node(s, call, 1);
    return n ? val_node(g_cast(s->g, (Dtype)type, n)) : val_error;
}

Val built_clamp(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Node *x = arg_node(s, call, 1), *lo = arg_node(s, call, 2),
         *hi = arg_node(s, call, 3);
    x = elementwise(s, OP_maximum, x, lo, call);
    return val_node(elementwise(s, OP_minimum, x, hi, call));
}

/* ---- values of the config ---- */

/* has(list, v): is v among the config's list? An absent list has nothing. */
Val built_has(Scope *s, const Ast *call, int unused)
{
    (void)unused;
    Val list = eval(s, call->kid[1]), v = eval(s, call->kid[2]);
    double n;
    if (list.kind == V_error || v.kind == V_error)
        return val_error;
    if (s->model->symbolic && (list.kind == V_size || v.kind == V_size))
        return flag_value(s, "has");
    if (list.kind != V_none && !cJSON_IsArray(list.json)) {
        error_at(call->src, call->kid[1]->loc,
                 "has looks into a list of the config, this is %s",
                 val_text(&list));
        return val_error;
    }
    for (const cJSON *i = list.json ? list.json->child : NULL; i; i = i->next)
        if (v.kind == V_string
                ? cJSON_IsString(i) && !strcmp(i->valuestring, v.string)
                : v.kind == V_size && size_is_num(v.size, &n) &&
                      cJSON_IsNumber(i) && i->valuedouble == n)
            return val_bool(true);
    return val_bool(false);
}

/* ---- the table ---- */

static const Builtin builtins[] = {
    /* name      least most  run          what */
    {"f64",       1, 1, built_cast, TYPE_f64},
    {"f32",       1, 1, built_cast, TYPE_f32},
    {"bf16",      1, 1, built_cast, TYPE_bf16},
    {"f16",       1, 1, built_cast, TYPE_f16},
    {"clamp",     3, 3, built_clamp, 0},
    {"sum",       1, 9, built_reduce, OP_sum},
    {"max",       1, 9, built_reduce, OP_max},
    {"softmax",   2, 9, built_reduce, OP_softmax},
    {"logsumexp", 1, 9, built_reduce, OP_logsumexp},
    {"mean",      1, 9, built_mean, 0},
    {"norm",      1, 9, built_norm, 0},
    {"cv2",       1, 9, built_cv2, 0},
    {"dot",       2, 9, built_dot, 0},
    {"size",      1, 9, built_size, 0},
    {"topk",      2, 3, built_topk, 0},
    {"count",     2, 2, built_count, 0},
    {"place",     1, 2, built_place, 0},
    {"largest",   2, 9, built_largest, 0},
    {"scatter",   2, 2, built_scatter, 0},
    {"expand",    2, 9, built_expand, 0},
    {"concat",    3, 9, built_concat, 0},
    {"rename",    2, 9, built_rename, 0},
    {"split",     4, 9, built_split, 0},
    {"flatten",   4, 9, built_flatten, 0},
    {"iota",      1, 1, built_iota, 0},
    {"position",  1, 2, built_position, 0},
    {"cumsum",    2, 2, built_order, OP_cumsum},
    {"rank",      2, 9, built_order, OP_rank},
    {"gaussian",  1, 9, built_draw, OP_gaussian},
    {"random",    1, 9, built_draw, OP_uniform},
    {"normal",    1, 3, built_init, OP_gaussian},
    {"uniform",   1, 3, built_init, OP_uniform},
    {"dropout",   2, 2, built_dropout, 0},
    {"shuffle",   1, 4, built_shuffle, 0},
    {"part",      3, 3, built_part, 0},
    {"attend",    3, 9, built_attend, 0},
    {"alibi",     1, 1, built_alibi, 0},
    {"rope",      2, 5, built_rope, 0},
    {"has",       2, 2, built_has, 0},
};

/* The function of that name: of the table, else an elementwise op. */
static bool builtin(const char *name, Builtin *out)
{
    Op op;
    for (size_t i = 0; i < COUNT(builtins); i++)
        if (!strcmp(builtins[i].name, name)) {
            *out = builtins[i];
            return true;
        }
    if (!op_find(name, &op) || !op_is_function(op))
        return false;
    int n = op_info[op].nargs;
    *out = (Builtin){name, n, n, built_map, op};
    return true;
}

bool is_builtin(const char *name)
{
    Builtin b;
    return builtin(name, &b);
}

const char *builtin_name(int i)
{
    return i < (int)COUNT(builtins) ? builtins[i].name : NULL;
}

const char *builtin_nearest(const char *name)
{
    const char *names[COUNT(builtins) + OP_COUNT];
    size_t n = 0;
    for (size_t i = 0; i < COUNT(builtins); i++)
        names[n++] = builtins[i].name;
    for (int op = 0; op < OP_COUNT; op++)
        if (op_is_function((Op)op))
            names[n++] = op_info[op].name;
    return nearest(name, names, (int)n);
}

Val call_builtin(Scope *s, const Ast *call, const char *name)
{
    Builtin b;
    int n = call->nkid - 1;
    if (!builtin(name, &b))
        BUG("no function %s", name);
    if (n < b.least || n > b.most) {
        const char *most = b.most == 9         ? " or more"
                           : b.most == b.least ? ""
                                               : intern_printf(" to %d",
                                                               b.most);
        error_at(call->src, call->loc, "%s takes %d%s argument%s, not %d",
                 name, b.least, most, *most || b.least > 1 ? "s" : "", n);
        return val_error;
    }
    return b.run(s, call, b.arg);
}
