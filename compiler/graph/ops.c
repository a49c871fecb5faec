/* The table of operations, by column. */
#include "compiler/graph/graph.h"
#include <math.h>
#include <string.h>

enum { ALL = MAX_RANK };

const OpInfo op_info[OP_COUNT] = {
#define MAP(name, nargs, type, flags, positive, cost, sign, grad, to, ...) \
    {#name, nargs, CLASS_map, flags, 0, 0, 0, WORK_in_place, cost, sign, to},
#define OP(name, nargs, class, type, flags, least, most, over, positive, \
           work, grad, to, run) \
    {#name, nargs, CLASS_##class, flags, least, most, over, WORK_##work, \
     nargs > 0, NULL, to},
#include "compiler/graph/ops.def"
#undef MAP
#undef OP
};

bool op_find(const char *name, Op *out)
{
    for (int op = 0; op < OP_COUNT; op++)
        if (!strcmp(op_info[op].name, name)) {
            *out = (Op)op;
            return true;
        }
    return false;
}

bool op_of_sign(const char *sign, int nargs, Op *out)
{
    for (int op = 0; op < OP_COUNT; op++)
        if (op_info[op].sign && op_info[op].nargs == nargs &&
            !strcmp(op_info[op].sign, sign)) {
            *out = (Op)op;
            return true;
        }
    return false;
}

bool op_is_map(Op op)
{
    return op_info[op].class == CLASS_map;
}

bool op_is_function(Op op)
{
    return op_is_map(op) && !op_info[op].sign;
}

double op_value(Op op, double a, double b, double c)
{
    (void)a, (void)b, (void)c;
    switch (op) {
#define MAP(name, nargs, type, flags, positive, cost, sign, grad, to, value, \
            ...) \
    case OP_##name: return value;
#define OP(name, ...)
#include "compiler/graph/ops.def"
#undef MAP
#undef OP
    default: BUG("op %d has no value", op);
    }
}

bool op_positive(Op op, bool a, bool b, bool c)
{
    (void)a, (void)b, (void)c;
    switch (op) {
#define MAP(name, nargs, type, flags, positive, ...) \
    case OP_##name: return positive;
#define OP(name, nargs, class, type, flags, least, most, over, positive, ...) \
    case OP_##name: return positive;
#include "compiler/graph/ops.def"
#undef MAP
#undef OP
    default: return false;
    }
}

bool op_positive_by(Op op, void *const *arg,
                    bool (*is)(void *user, const void *arg), void *user)
{
    bool low[MAX_ARGS] = {false}, high[MAX_ARGS] = {true, true, true};
    for (int i = 0; i < op_info[op].nargs; i++) {
        if (op_positive(op, low[0], low[1], low[2]))
            return true;
        if (!op_positive(op, high[0], high[1], high[2]))
            return false;
        low[i] = high[i] = is(user, arg[i]);
    }
    return op_positive(op, low[0], low[1], low[2]);
}

bool op_flows(Op op, int arg)
{
    int nargs = op_info[op].nargs; /* a repeat's further: as its first */
    return strchr(op_info[op].flows_to,
                  'a' + (arg < nargs ? arg : nargs - 1)) != NULL;
}

int op_over(const Node *n)
{
    int over = op_info[n->op].over;
    return n->ndim < over ? n->ndim : over;
}
