/* The language's syntax: trees, messages, recovery. */
#include "dsl/dsl.h"
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

static void parses_the_examples(void **state)
{
    static const char *const file[] = {"llama", "mistakes", "more", "pesc",
                                       "rules", "sparse_upcycling", "xft"};
    (void)state;
    for (size_t i = 0; i < COUNT(file); i++) {
        Arena a = {0};
        Diags d = {0};
        Err err;
        size_t len;
        char path[4096];
        snprintf(path, sizeof path, SHARED_EXAMPLES "/%s.graft", file[i]);
        char *text = read_file(path, &len, &err);
        if (!text) {
            print_message("skipped: %s\n", err.text);
            skip();
        }
        Source src = {path, text, (int)len, &d};
        assert_true(dsl_parse(&a, &src)->nkid > 2);
        assert_int_equal(d.errors, 0);
        free(text);
        arena_free(&a);
        diags_free(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_the_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
