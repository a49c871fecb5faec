/* Whole models, one of every architecture, by the launch tables that a GPU
 * gets: the interpreter's logits for several tokens at once, for one after the
 * other behind them, for two sequences in one step; the same text. */
#include "codegen/cuda/cuda.h"
#include "tests/model_kit.h"
#include <math.h>
#include <string.h>
#include <unistd.h>

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

static CudaProgram *program_of(Kit *k)
{
    const WeightSource source = {.user = k, .read = read_weight};
    const CudaOptions o = {.cache = ""};
    Err err = {""};
    CudaProgram *p = cuda_program(k->graph, &o, &err);
    if (!p || !cuda_load(p, &source, &err))
        fail_msg("%s", err.text);
    return p;
}

/* T tokens more of `ids`, at these positions. */
static void step(const Kit *k, CudaProgram *p, CudaState *s, int T,
                 const int32_t *ids, const int32_t *pos, float *out)
{
    Column in = {"token", TYPE_i32, (void *)(uintptr_t)ids};
    Column y = {"y", TYPE_f32, out};
    Err err = {""};
    (void)k;
    if (!cuda_run(p, s, T, pos, &in, 1, &y, 1, &err))
        fail_msg("%s", err.text);
}

static void is_near(const Kit *k, const char *what, const float *is,
                    const double *want, int rows)
{
    double most = 0, off = 0;
    for (int i = 0; i < rows * k->vocabulary; i++) {
        most = fmax(most, fabs(want[i]));
        if (!(fabs(is[i] - want[i]) <= off))
            off = fabs(is[i] - want[i]);
    }
    if (getenv("SHOW"))
        print_message("%s: %.3g of %.3g\n", what, off, most);
    if (!(off <= 1e-4 * (1 + most)))
        fail_msg("%s: %g apart, of %g", what, off, most);
}

enum { FIRST = 9, MORE = 3, ALL = FIRST + MORE, OTHER = 5 };

static void in_steps(const Kit *k, CudaProgram *p, const int32_t *ids,
                     const double *want)
{
    size_t row = (size_t)k->vocabulary;
    float *out = xmalloc(ALL * row * sizeof *out);
    int32_t pos[ALL];
    for (int i = 0; i < ALL; i++)
        pos[i] = i;
    CudaState *s = cuda_state_new(p);
    step(k, p, s, FIRST, ids, pos, out);
    for (int i = FIRST; i < ALL; i++)
        step(k, p, s, 1, ids + i, pos + i, out + (size_t)i * row);
    is_near(k, "in steps", out, want, ALL);
    cuda_state_free(s);
    free(out);
}

/* One sequence behind the other, and rows of an earlier step behind both. */
static void side_by_side(const Kit *k, CudaProgram *p, const int32_t *ids,
                         const double *want)
{
    size_t row = (size_t)k->vocabulary;
    float *out = xmalloc((ALL + OTHER) * row * sizeof *out);
    int32_t all[ALL + OTHER], pos[ALL + OTHER];
    for (int i = 0; i < ALL + OTHER; i++) {
        pos[i] = i < OTHER ? i : i - OTHER;
        all[i] = ids[pos[i]];
    }
    CudaState *s = cuda_state_new(p);
    step(k, p, s, ALL + OTHER, all, pos, out);
    is_near(k, "the first", out, want, OTHER);
    is_near(k, "the second", out + OTHER * row, want, ALL);
    step(k, p, s, OTHER, ids, pos, out);
    is_near(k, "a later one", out, want, OTHER);
    cuda_state_free(s);
    free(out);
}

static void agrees(void **state)
{
    Kit k;
    Err err = {""};
    int32_t ids[ALL];
    kit_shared(&k, *state);
    for (int i = 0; i < ALL; i++)
        ids[i] = (11 * i + 3) % k.vocabulary;
    double *want = xmalloc((size_t)(ALL * k.vocabulary) * sizeof *want);
    if (!kit_interp(&k, ids, ALL, want, &err))
        fail_msg("%s", err.text);
    CudaProgram *p = program_of(&k);
    if (!graph_looks_ahead(k.graph))
        in_steps(&k, p, ids, want);
    if (!graph_looks_ahead(k.graph))
        side_by_side(&k, p, ids, want);
    cuda_program_free(p);
    free(want);
    kit_close(&k);
}

#define MODEL(name) {name, agrees, NULL, NULL, name}
static const struct CMUnitTest some[] = {
    MODEL("hf_tiny/llama"),       MODEL("hf_tiny/mistral_window"),
    MODEL("hf_tiny/mixtral"),     MODEL("hf_tiny2/falcon"),
    MODEL("hf_tiny2/deepseek_v2"), MODEL("hf_tiny2/gemma2"),
};
/* and where there is time */
static const struct CMUnitTest others[] = {
    MODEL("hf_tiny/gpt_neox"),     MODEL("hf_tiny/llama3_rope"),
    MODEL("hf_tiny/olmoe"),        MODEL("hf_tiny/qwen2"),
    MODEL("hf_tiny/qwen2_moe"),    MODEL("hf_tiny/qwen3"),
    MODEL("hf_tiny/qwen3_moe"),    MODEL("hf_tiny/stablelm"),
    MODEL("hf_tiny2/deepseek_v3"), MODEL("hf_tiny2/gemma3"),
    MODEL("hf_tiny2/glm4_moe"),    MODEL("hf_tiny2/granite"),
    MODEL("hf_tiny2/olmo2"),       MODEL("hf_tiny2/phimoe"),
    MODEL("hf_tiny2/smollm3"),     MODEL("hf_tiny2/qwen3_moe_mixed"),
};

int main(void)
{
    int bad = cmocka_run_group_tests(some, NULL, NULL);
    if (getenv("GRAFT_ALL"))
        bad += cmocka_run_group_tests(others, NULL, NULL);
    return bad;
}
