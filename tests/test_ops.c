/* The columns of ops.def against each other: what a row says of an elementwise
 * op (signs, exactness, order, gradients) against its value, and the language
 * against both. */
#include "tests/language_kit.h"
#include <stdio.h>

enum { TRIES = 4000 };

/* Whole and broken numbers in [-4, 4], and 0 now and then. */
static double draw(uint64_t key, uint64_t i)
{
    double u = random_uniform(key, i);
    return u < 0.1   ? 0
           : u < 0.3 ? floor(40 * u) - 8
                     : (float)(8 * (u - 0.3) / 0.7 - 4);
}

static void draw_all(int try, double v[3])
{
    for (uint64_t i = 0; i < 3; i++)
        v[i] = draw(random_key(7, "ops"), (uint64_t)try * 3 + i);
}

#define EACH_MAP(op) \
    for (Op op = 0; op < OP_COUNT; op = (Op)(op + 1)) \
        if (op_is_map(op))

/* What is said to be above 0 is, where the arguments said so are. */
static void signs(void **state)
{
    (void)state;
    EACH_MAP(op) for (int t = 0; t < TRIES; t++) {
        double v[3];
        draw_all(t, v);
        double y = op_value(op, v[0], v[1], v[2]);
        if (op_positive(op, v[0] > 0, v[1] > 0, v[2] > 0) && !(y > 0))
            fail_msg("%s(%g, %g, %g) is %g, its row says above 0",
                     op_info[op].name, v[0], v[1], v[2], y);
    }
}

static void commutes(void **state)
{
    (void)state;
    EACH_MAP(op) for (int t = 0; t < TRIES; t++) {
        double v[3];
        draw_all(t, v);
        if ((op_info[op].flags & IS_commutative) &&
            op_value(op, v[0], v[1], v[2]) != op_value(op, v[1], v[0], v[2]))
            fail_msg("%s(%g, %g) is not %s(%g, %g)", op_info[op].name, v[0],
                     v[1], op_info[op].name, v[1], v[0]);
    }
}

/* An exact result has no more bits than what it is made of. */
static void exact(void **state)
{
    (void)state;
    EACH_MAP(op) {
        unsigned is = op_info[op].flags;
        double v[3], at_0 = op_value(op, 0, 0, 0);
        if ((is & IS_exact_at_0) && at_0 * 2 != floor(at_0 * 2))
            fail_msg("%s(0) is %g", op_info[op].name, at_0);
        for (int t = 0; (is & IS_exact) && t < TRIES; t++) {
            draw_all(t, v);
            double y = op_value(op, v[0], v[1], v[2]);
            if (y != (double)(float)y)
                fail_msg("%s(%g, %g) is %.17g: rounded", op_info[op].name,
                         v[0], v[1], y);
        }
    }
}

static void tests_give_truths(void **state)
{
    (void)state;
    Arena a = {0};
    Graph *g = graph_new(&a, "test");
    Node *x = g_num(g, TYPE_f32, 1);
    EACH_MAP(op) {
        Node n = {.op = op};
        Type type;
        for (int i = 0; i < op_info[op].nargs; i++)
            n.arg[i] = x;
        n.num = op == OP_cast ? TYPE_f32 : 0;
        if (op_type(&n, &type) ||
            (type.dtype == TYPE_bool) != !!(op_info[op].flags & IS_test))
            fail_msg("%s: IS_test and its type rule differ", op_info[op].name);
    }
    arena_free(&a);
}

/* Does the value change with the argument, but in steps? */
static bool varies(Op op, int arg)
{
    for (int t = 0; t < TRIES; t++) {
        double v[3], w[3];
        draw_all(t, v);
        memcpy(w, v, sizeof w);
        w[arg] += 1e-6;
        double d = op_value(op, w[0], w[1], w[2]) -
                   op_value(op, v[0], v[1], v[2]);
        if (d != 0 && fabs(d) < 1e-3)
            return true;
    }
    return false;
}

static void gradients(void **state)
{
    (void)state;
    EACH_MAP(op) for (int i = 0; i < op_info[op].nargs; i++)
        if (op_flows(op, i) != (varies(op, i) && op != OP_stop))
            fail_msg("%s, argument %d: its row says that %s gradient flows",
                     op_info[op].name, i + 1, op_flows(op, i) ? "a" : "no");
    for (Op op = 0; op < OP_COUNT; op = (Op)(op + 1))
        for (const char *to = op_info[op].flows_to; *to; to++)
            if (*to < 'a' || *to >= 'a' + op_info[op].nargs)
                fail_msg("%s has no argument %c", op_info[op].name, *to);
}

static void written(void **state)
{
    (void)state;
    for (Op op = 0; op < OP_COUNT; op = (Op)(op + 1)) {
        Op found;
        assert_true(op_find(op_info[op].name, &found) && found == op);
        if (op_info[op].sign)
            assert_true(op_of_sign(op_info[op].sign, op_info[op].nargs,
                                   &found) && found == op);
    }
}

/* Each function of the table, called with as many arguments as it takes. */
static void functions(void **state)
{
    (void)state;
    EACH_MAP(op) {
        static const char *const args[] = {"x", "x, y", "x, y, 2"};
        int n = op_info[op].nargs;
        char text[300];
        if (!op_is_function(op))
            continue;
        snprintf(text, sizeof text,
                 "module m(D) {\n  weight w[D]\n"
                 "  forward(x[.., D], y[..]) -> [.., D] {\n"
                 "    return %s(%s) * w + y\n  }\n}\n",
                 op_info[op].name, args[n - 1]);
        fine(text);
    }
    wrong("module m(D) {\n  forward(x[.., D]) -> [.., D] {\n"
          "    return maximum(x)\n  }\n}\n",
          "maximum takes 2 arguments, not 1");
    wrong("module m(D) {\n  forward(x[.., D]) -> [.., D] {\n"
          "    return silu(x, x)\n  }\n}\n",
          "silu takes 1 argument, not 2");
    wrong("module m(D) {\n  forward(x[.., D]) -> [.., D] {\n"
          "    return gelu_tan(x)\n  }\n}\n",
          "gelu_tanh");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs),       cmocka_unit_test(commutes),
        cmocka_unit_test(exact),       cmocka_unit_test(tests_give_truths),
        cmocka_unit_test(gradients),   cmocka_unit_test(written),
        cmocka_unit_test(functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
