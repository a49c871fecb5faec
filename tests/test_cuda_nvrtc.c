/* The kernels of MoE layers compile for GPUs, without spills and in as few
 * registers as their blocks on a multiprocessor want. Needs NVRTC. */
#include "codegen/cuda/cuda.h"
#include "tests/cuda_kit.h"

enum { LARGE = 3 }; /* for every GPU; the others, of odd sizes, for the first */
static const Layer layers[] = {
    {"xft_moe", "D=2048 F=5504 E=7 K=5", TYPE_bf16, 0, 0},
    {"topk_moe", "D=2048 F=5504 E=8 K=2", TYPE_bf16, 0, 0},
    {"attention_plain", "D=2048 H=32 G=8 hd=64 window=4096", TYPE_bf16, 0, 0},
    {"topk_moe", "D=50 F=30 E=3 K=1", TYPE_f32, 0, 0},
    {"attention_plain", "D=576 H=4 G=1 hd=256 window=64", TYPE_f32, 0, 0},
    {"expert_choice", "D=64 F=56 E=4 capacity=2", TYPE_bf16, 0, 0},
    {"topk_moe", "D=24 F=17 E=3 K=2", TYPE_f16, 0, 0},
};
static const char *const arch[] = {"sm_80", "sm_90a", "sm_100a",
                                    "sm_120a"};

/* As many blocks as it says have their registers on a multiprocessor. */
static int most_registers(const CudaText *t, const char *name)
{
    for (int i = 0; i < t->kernel.n; i++) {
        const CudaKernel *k = &t->kernel.at[i];
        if (!strcmp(k->name, name))
            return 65536 / (k->threads * k->blocks);
    }
    fail_msg("no kernel %s", name);
    return 0;
}

static void within_limits(const CudaText *t, const CudaReport *r,
                          const char *a)
{
    assert_int_equal(r->n, t->kernel.n);
    for (int i = 0; i < r->n; i++) {
        const CudaUsage *u = &r->kernel[i];
        if (getenv("SHOW"))
            print_message("%s %s: %d registers\n", a, u->name, u->registers);
        if (u->spill || u->stack || u->registers < 1 ||
            u->registers > most_registers(t, u->name))
            fail_msg("%s %s: %d registers, stack %d, spills %d", a, u->name,
                     u->registers, u->stack, u->spill);
    }
}

static void test_compiles(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(layers); i++) {
        Rig *r = rig_new(&layers[i]);
        size_t n = i < LARGE || getenv("GRAFT_ALL") ? COUNT(arch) : 1;
        for (size_t j = 0; j < n; j++) {
            CudaReport report;
            Err err = {""};
            bool fine = cuda_compile(r->text->text, arch[j], &report,
                                     NULL, &err);
            if (!report.found) {
                print_message("skipped: %s\n", err.text);
                rig_free(r);
                skip(); /* counted as such, never as passed */
            }
            if (!fine)
                fail_msg("%s", err.text);
            within_limits(r->text, &report, arch[j]);
        }
        rig_free(r);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    CudaReport report;
    Err err = {""};
    assert_false(cuda_compile("no C at all", "sm_80", &report, NULL, &err));
    assert_true(!report.found || strstr(err.text, "graft.cu"));
    if (report.found)
        assert_false(cuda_compile("", "sm_1", &report, NULL, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compiles),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
