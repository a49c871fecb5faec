/* The kernels of MoE layers as CUDA C, run under the emulator: near the
 * interpreter for odd sizes, empty and crowded experts; the same bits whatever
 * the order of threads and of blocks, and whether copies land early or late. */
#include "tests/cuda_kit.h"

static const Layer layers[] = {
    {"xft_moe", "D=48 F=40 E=5 K=2", TYPE_bf16, 0, 0},
    {"xft_moe", "D=33 F=21 E=7 K=3", TYPE_f32, 0, 0},
    {"xft_moe", "D=40 F=72 E=4 K=2", TYPE_bf16, 2, 3},
    {"topk_moe", "D=64 F=56 E=8 K=2", TYPE_bf16, 0, 0},
    {"topk_moe", "D=50 F=30 E=3 K=1", TYPE_bf16, 2, 0},
    {"topk_moe", "D=36 F=52 E=40 K=4", TYPE_f32, 0, 6},
    {"topk_moe", "D=24 F=17 E=3 K=2", TYPE_f16, 0, 0},
    {"topk_moe", "D=72 F=520 E=3 K=2", TYPE_bf16, 0, 0}, /* large tiles */
    {"attention_plain", "D=40 H=6 G=2 hd=20 window=9", TYPE_bf16, 0, 0},
    {"attention_plain", "D=24 H=2 G=1 hd=80 window=200", TYPE_f32, 0, 0},
};
static const int64_t tokens[] = {1, 2, 16, 17, 67, 130};

static void agree(const Layer *l)
{
    Rig *r = rig_new(l);
    rig_compile(r, r->text->text, "");
    for (size_t i = 0; i < COUNT(tokens); i++) {
        rig_load(r, tokens[i]);
        rig_run(r, (int)(i % 3), i & 1);
        rig_near_interp(r, l->t == TYPE_f32 ? 1e-5 : 0.02);
    }
    rig_free(r);
}

static void test_agrees(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(layers); i++)
        agree(&layers[i]);
}

/* Forward, backward, at random; early and late. */
static void test_orders(void **state)
{
    (void)state;
    static const int order[] = {0, 1, 3, 1001};
    for (size_t i = 0; i < 4; i += 3) {
        Rig *r = rig_new(&layers[i]);
        rig_compile(r, r->text->text, "");
        rig_load(r, 37);
        const Buffer *y = rig_result(r);
        size_t bytes = (size_t)rig_bytes(r, y);
        void *first = arena_alloc(&r->arena, bytes);
        for (size_t j = 0; j < 2 * COUNT(order); j++) {
            rig_load(r, 37);
            rig_run(r, order[j / 2], j & 1);
            if (!j)
                memcpy(first, r->at[y->id], bytes);
            assert_memory_equal(first, r->at[y->id], bytes);
        }
        rig_free(r);
    }
}

/* `was` replaced by as many bytes, everywhere; at least once. */
static const char *replaced(Rig *r, const char *was, const char *by)
{
    char *s = arena_printf(&r->arena, "%s", r->text->text);
    int n = 0;
    for (char *at = s; (at = strstr(at, was)); n++)
        memcpy(at, by, strlen(by));
    assert_true(n > 0 && strlen(was) == strlen(by));
    return s;
}

/* A wait that comes one step too late is seen, if copies land late. */
static void test_late(void **state)
{
    (void)state;
    Rig *r = rig_new(&layers[0]);
    rig_compile(r, replaced(r, "STAGES - 2", "STAGES - 1"), "");
    const Buffer *y = NULL;
    for (int late = 0; late < 2; late++) {
        rig_load(r, 21);
        rig_run(r, 0, late);
        y = rig_result(r);
        if (!late)
            rig_near_interp(r, 0.02);
    }
    assert_true(isnan(type_load(y->type.dtype, r->at[y->id], 0)));
    rig_free(r);
}

/* ---- ThreadSanitizer: in a process of its own, begun with its library ---- */

typedef struct {
    const char *name, *barrier, *none; /* of equal length */
    int layer;                          /* whose text has it */
} Planted;
static const Planted planted[] = {
    {"tiles", "cp_async_wait(STAGES - 2);\n            __syncthreads();",
     "cp_async_wait(STAGES - 2);\n                            ", 0},
    {"sums", "__syncthreads();\n        int quad",
     "                \n        int quad", 0},
    {"shares", "__syncthreads();\n    top", "                \n    top", 8},
    {"weights", "share[lane] = weight;\n        __syncwarp();",
     "share[lane] = weight;\n                     ", 8},
};

static void run_layer(int layer, const Planted *p)
{
    Rig *r = rig_new(&layers[layer]);
    rig_compile(r, p ? replaced(r, p->barrier, p->none) : r->text->text,
                "-g -fsanitize=thread");
    for (int j = 0; j < 4; j++) {
        rig_load(r, j & 1 ? 21 : 5);
        rig_run(r, j / 2 ? 7 : 0, j & 1);
    }
    rig_free(r);
}

static int run_for_races(void)
{
    const char *what = getenv("CUDA_RACES");
    unsetenv("LD_PRELOAD"); /* not for the compiler */
    for (size_t i = 0; i < COUNT(planted); i++)
        if (!strcmp(what, planted[i].name))
            run_layer(planted[i].layer, &planted[i]);
    static const int clean[] = {0, 7, 8};
    for (size_t i = 0; !strcmp(what, "none") && i < COUNT(clean); i++)
        run_layer(clean[i], NULL);
    return 0;
}

static bool sanitizer(char *path, size_t size)
{
    FILE *f = popen("cc -print-file-name=libtsan.so", "r");
    bool fine = f && fgets(path, (int)size, f);
    if (f)
        pclose(f);
    path[fine ? strcspn(path, "\n") : 0] = 0;
    return fine && path[0] == '/' && !access(path, R_OK);
}

static int status_of(const char *lib, const char *what)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = 0;
    int rc = system(intern_printf(
        "CUDA_RACES=%s TSAN_OPTIONS='exitcode=66 report_signal_unsafe=0' "
        "LD_PRELOAD=%s setarch -R '%s' >/tmp/graft-races-%d 2>&1", what, lib,
        self, (int)getpid()));
    return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

static void test_races(void **state)
{
    (void)state;
    char lib[4096] = "";
#ifdef __SANITIZE_ADDRESS__
    print_message("races: skipped: this program has another sanitizer\n");
    return;
#endif
    if (!sanitizer(lib, sizeof lib)) {
        print_message("races: skipped: the compiler has no libtsan\n");
        return;
    }
    int clean = status_of(lib, "none");
    const char *log = intern_printf("/tmp/graft-races-%d", (int)getpid());
    if (clean == 66 || clean < 0)
        fail_msg("ThreadSanitizer reports: %s", log);
    if (clean)
        fail_msg("the kernels under ThreadSanitizer end with %d", clean);
    for (size_t i = 0; i < COUNT(planted); i++)
        if (status_of(lib, planted[i].name) != 66)
            fail_msg("a missing barrier is not seen: %s", planted[i].name);
    unlink(log);
}

int main(void)
{
    if (getenv("CUDA_RACES"))
        return run_for_races();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_races),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
