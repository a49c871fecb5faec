/* Sizes: one pointer for equal ones, quotients, signs. */
#include "compiler/graph/graph.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const Size *sym(const char *name)
{
    return size_sym(name);
}

static const Size *num(double v)
{
    return size_num(v);
}

static void equal_ones_are_one(void **state)
{
    (void)state;
    const Size *E = sym("E"), *F = sym("F");
    assert_ptr_equal(size_add(E, F), size_add(F, E));
    assert_ptr_equal(size_mul(size_div(F, E), E), F);
    assert_ptr_equal(size_sub(size_add(E, num(1)), num(1)), E);
    assert_ptr_equal(size_mul(size_add(E, num(1)), size_sub(E, num(1))),
                     size_sub(size_mul(E, E), num(1)));
    assert_ptr_equal(size_subst(size_sub(E, num(1)), "E", num(8)), num(7));
    assert_ptr_equal(size_subst(size_ceil(size_div(F, E)), "F",
                                size_mul(E, num(2))), num(2));
}

static void quotients_come_out(void **state)
{
    (void)state;
    const Size *E = sym("E"), *K = sym("K"), *less = size_sub(E, num(1));
    assert_ptr_equal(size_quotient(less, less), num(1));
    assert_ptr_equal(size_quotient(size_mul(less, K), less), K);
    assert_ptr_equal(size_quotient(size_sub(size_mul(E, E), num(1)), less),
                     size_add(E, num(1)));
    assert_ptr_equal(size_quotient(num(0), less), num(0));
    assert_null(size_quotient(E, less));
    assert_null(size_quotient(size_add(E, K), less));
    assert_null(size_quotient(E, num(0)));
}

static void quotients_are_found_in_sizes(void **state)
{
    (void)state;
    const Size *E = sym("E"), *K = sym("K"), *less = size_sub(E, num(1)),
               *above, *below;
    assert_false(size_over(size_div(K, E), &above, &below));
    assert_true(size_over(size_div(K, less), &above, &below));
    assert_ptr_equal(above, K);
    assert_ptr_equal(below, less);
    assert_true(size_over(size_add(size_div(K, less), num(1)), &above,
                          &below));
    assert_ptr_equal(above, size_add(K, less));
}

static void signs(void **state)
{
    (void)state;
    const Size *E = sym("E"), *K = sym("K");
    assert_true(size_positive(E));
    assert_true(size_positive(size_div(size_add(E, K), E)));
    assert_true(size_positive(size_ceil(size_div(E, K))));
    assert_false(size_positive(size_floor(size_div(E, K))));
    assert_false(size_positive(size_sub(E, num(1))));
    assert_false(size_positive(num(0)));
    assert_false(size_positive(num(-2)));
    assert_true(size_is_term(size_div(E, K)));
    assert_false(size_is_term(size_add(E, K)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_ones_are_one),
        cmocka_unit_test(quotients_come_out),
        cmocka_unit_test(quotients_are_found_in_sizes),
        cmocka_unit_test(signs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
