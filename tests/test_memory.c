/* Memory of the runtime: aligned, zero where that is promised, apart. */
#include "runtime/run/run.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
// cmocka wants these before it
#include <cmocka.h>

static void assert_aligned(const void *p)
{
    assert_int_equal((uintptr_t)p % 64, 0);
}

static void alloc_sizes(void **state)
{
    static const int64_t sizes[] = {0, 1, 64, 4097, (1 << 20) - 1, 1 << 20,
                                    (2 << 20) + 5, 70 << 20};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char *p = exec_alloc(sizes[i]);
        assert_aligned(p);
        memset(p, 7, (size_t)sizes[i]);
        free(p);
    }
}

/* Each piece filled with its number; none may reach into another. */
static void pool_pieces(void **state)
{
    enum { PIECES = 200 };
    static const int64_t some[] = {1, 63, 64, 65, 1000, 300000, 3 << 20};
    char *piece[PIECES];
    int64_t size[PIECES];
    ExecPool pool = {0};
    (void)state;
    for (int i = 0; i < PIECES; i++) {
        size[i] = i == 50 ? 100 << 20 : some[i % (int)COUNT(some)];
        piece[i] = exec_pool_take(&pool, size[i]);
        assert_aligned(piece[i]);
        for (int64_t k = 0; k < size[i]; k += 61)
            assert_int_equal(piece[i][k], 0);
        assert_int_equal(piece[i][size[i] - 1], 0);
        memset(piece[i], i & 127, (size_t)size[i]);
    }
    for (int i = 0; i < PIECES; i++) {
        assert_int_equal(piece[i][0], i & 127);
        assert_int_equal(piece[i][size[i] - 1], i & 127);
    }
    exec_pool_free(&pool);
    assert_null(pool.slab);
    char *again = exec_pool_take(&pool, 5000);
    assert_int_equal(again[4999], 0);
    exec_pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc_sizes),
        cmocka_unit_test(pool_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
