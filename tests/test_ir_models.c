/* The graphs of real models: their text reads back to the same graph. */
#include "tests/model_kit.h"

static char *text_of_graph(const Graph *g)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    ir_print(g, out);
    fclose(out);
    return text;
}

static void reads_back(void **state)
{
    Kit k;
    kit_shared(&k, *state);
    ir_verify(k.graph, "lowering");
    char *text = text_of_graph(k.graph);
    Diags d = {0};
    const Source src = {"text", text, (int)strlen(text), &d};
    Graph *g = ir_read(&k.arena, &src);
    assert_non_null(g);
    ir_verify(g, "reading");
    char *again = text_of_graph(g);
    assert_string_equal(again, text);
    assert_true(graph_hash(g) == graph_hash(k.graph));
    free(text);
    free(again);
    diags_free(&d);
    kit_close(&k);
}

#define MODEL(name) \
    cmocka_unit_test_prestate(reads_back, (void *)(uintptr_t)(name))
int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL("hf_tiny/llama"),          MODEL("hf_tiny/llama_linear_rope"),
        MODEL("hf_tiny/llama3_rope"),    MODEL("hf_tiny/mixtral"),
        MODEL("hf_tiny/mistral_window"), MODEL("stories260K"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
