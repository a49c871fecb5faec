/* The kernels of real models, and of what transforms make of them: the text
 * reads back to the same bytes, the same results, the same CUDA text. */
#include "codegen/cuda/cuda.h"
#include "codegen/program/program.h"
#include "tests/model_kit.h"
#include <string.h>

static char *text_of(const Plan *p)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    kernels_print(p, out);
    fclose(out);
    return text;
}

static Plan *read_text(Kit *k, Source *src, char *text)
{
    *src = (Source){"kernels", text, (int)strlen(text), &k->diags};
    Plan *p = kernels_read(&k->arena, src);
    if (!p)
        fail_msg("%s", k->diags.said.n ? k->diags.said.at[0].text : "unread");
    char *again = text_of(p);
    assert_string_equal(again, text);
    free(again);
    return p;
}

static bool read_weight(void *user, const Weight *w, int64_t index,
                        int64_t first, int64_t count, Dtype to, void *out,
                        Err *err)
{
    int64_t all = type_count(&w->type, 1), each = all;
    for (int i = 0; i < w->stacked; i++)
        each /= size_at(w->type.dim[i]->size, 1);
    double *at = xmalloc((size_t)(all + 1) * sizeof *at);
    bool fine = kit_weight(user, w, at);
    for (int64_t i = 0; fine && i < count; i++)
        type_store(to, out, i, at[index * each + first + i]);
    free(at);
    return fine || err_set(err, "no weight %s", w->path);
}

/* Logits of a few tokens; freed by the caller. */
static float *logits(Kit *k, Program *p, int T)
{
    const WeightSource source = {.user = k, .read = read_weight};
    Err err = {""};
    float *out = xmalloc((size_t)(T * k->vocabulary) * sizeof *out);
    int32_t ids[16], pos[16];
    for (int t = 0; t < T; t++) {
        ids[t] = 7 * t % k->vocabulary;
        pos[t] = t;
    }
    Column in = {"token", TYPE_i32, ids}, y = {"y", TYPE_f32, out};
    if (!program_load(p, &source, &err) ||
        !program_run(p, NULL, T, pos, &in, 1, &y, 1, &err))
        fail_msg("%s", err.text);
    return out;
}

static void same_program(Kit *k)
{
    enum { T = 9 };
    const CpuOptions o = {.threads = 2, .cache = ""};
    Err err = {""};
    Source src;
    Program *p = cpu_compile(k->graph, &o, &err);
    assert_non_null(p);
    char *text = text_of(program_plan(p));
    Program *q = cpu_compile_plan(read_text(k, &src, text), &o, &err);
    assert_non_null(q);
    float *a = logits(k, p, T), *b = logits(k, q, T);
    assert_memory_equal(a, b, (size_t)(T * k->vocabulary) * sizeof *a);
    program_free(p);
    program_free(q);
    free(a);
    free(b);
    free(text);
}

static void same_cuda(Kit *k)
{
    Err err = {""};
    Source src;
    CudaText *t = cuda_text(k->graph, NULL, NULL, &err);
    if (!t)
        fail_msg("%s", err.text);
    char *text = text_of(t->plan);
    CudaText *u = cuda_text_plan(read_text(k, &src, text), &err);
    assert_non_null(u);
    assert_string_equal(u->text, t->text);
    cuda_free(t);
    cuda_free(u);
    free(text);
}

static void reads_back(void **state)
{
    Kit k;
    kit_shared(&k, *state);
    same_program(&k);
    same_cuda(&k);
    kit_close(&k);
}

/* "xft experts=4 active=2" of a small Llama: made weights, routed experts. Two
 * dims are called E, of which CUDA's text has the names: they differ then. */
static void transformed(void **state)
{
    Kit k;
    char name[64];
    const char *what = *state, *args = strchr(what, ' ');
    snprintf(name, sizeof name, "%.*s", (int)(args - what), what);
    kit_shared(&k, "hf_tiny/llama");
    kit_transform(&k, name, args + 1);
    same_program(&k);
    kit_close(&k);
}

#define TEST(test, name) \
    {name, test, NULL, NULL, (void *)(uintptr_t)(name)}
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_back, "hf_tiny/llama"),
        TEST(reads_back, "hf_tiny/mistral_window"),
        TEST(reads_back, "hf_tiny/mixtral"),
        TEST(reads_back, "hf_tiny/gpt_neox"),
        TEST(reads_back, "hf_tiny/stablelm"),
        TEST(reads_back, "hf_tiny/qwen2_moe"),
        TEST(reads_back, "hf_tiny/qwen3_moe"),
        TEST(reads_back, "hf_tiny/olmoe"),
        TEST(transformed, "xft experts=4 active=2"),
        TEST(transformed, "sparse_every E=4 K=2 every=2"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
