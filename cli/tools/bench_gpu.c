/* graft bench --target cuda --model GPU: what each kernel is expected to take
 * on that GPU, by the static model of codegen/cuda; nothing runs. */
#include "cli/tools/bench.h"
#include "codegen/cuda/cuda.h"
#include <string.h>

const char *bench_machine_name(int i)
{
    const CudaMachine *m = cuda_machine(i);
    return m ? m->name : NULL;
}

static const CudaMachine *machine_of(const Bench *b)
{
    const CudaMachine *m;
    for (int i = 0; (m = cuda_machine(i)); i++)
        if (!strcmp(m->name, b->machine))
            return m;
    return NULL;
}

/* ---- rows ---- */

static void say_kernel(const Bench *b, const CudaMachine *m,
                       const CudaExpected *e, cJSON *list)
{
    double peak = e->flops / e->seconds / cuda_peak(m);
    double stream = e->bytes / e->seconds / m->memory;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToArray(list, o);
    cJSON_AddStringToObject(o, "kernel", e->kernel->name);
    cJSON_AddNumberToObject(o, "runs", e->runs);
    cJSON_AddNumberToObject(o, "expected_ms", 1e3 * e->seconds);
    cJSON_AddNumberToObject(o, "peak_share", peak);
    cJSON_AddNumberToObject(o, "memory_share", stream);
    cJSON_AddStringToObject(o, "bound", e->bound);
    if (!b->common.json)
        printf("  %4d x %9.2f us  %3.0f%% of peak, %3.0f%% of memory; %-13s "
               "%s\n", e->runs, 1e6 * e->seconds, 100 * peak, 100 * stream,
               e->bound, e->kernel->name);
}

static void say_row(Bench *b, const CudaMachine *m, const BenchSubject *s,
                    int64_t T, const CudaForecast *f)
{
    double peak = f->flops / f->seconds / cuda_peak(m);
    double stream = f->bytes / f->seconds / m->memory;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToArray(b->report.rows, o);
    cJSON_AddStringToObject(o, "what", s->name);
    cJSON_AddNumberToObject(o, "tokens", (double)T);
    cJSON_AddNumberToObject(o, "expected_ms", 1e3 * f->seconds);
    cJSON_AddNumberToObject(o, "peak_share", peak);
    cJSON_AddNumberToObject(o, "memory_share", stream);
    cJSON_AddNumberToObject(o, "launches", f->launches);
    if (!b->common.json)
        printf("%-10s %6lld tokens: expected %.3f ms, %d launches, %.0f TF/s "
               "(%.0f%% of peak), %.2f TB/s (%.0f%% of memory)\n", s->name,
               (long long)T, 1e3 * f->seconds, f->launches,
               1e-12 * f->flops / f->seconds, 100 * peak,
               1e-12 * f->bytes / f->seconds, 100 * stream);
    cJSON *list = cJSON_AddArrayToObject(o, "kernels");
    for (int i = 0; i < f->n; i++)
        say_kernel(b, m, &f->at[i], list);
}

static bool expect_graph(Bench *b, const BenchSubject *s, const Graph *g,
                         const Pins *pins, Err *err)
{
    static const int32_t usual[] = {1, 16, 512, 8192};
    const PassOptions o = {.last_only = !s->layer};
    const CudaMachine *m = machine_of(b);
    const int32_t *T = b->ntokens ? b->tokens : usual;
    int n = b->ntokens ? b->ntokens : (int)COUNT(usual);
    CudaText *t = cuda_text(g, &o, pins, err);
    for (int i = 0; t && i < n; i++) {
        Arena a = {0};
        CudaForecast f = cuda_expect(t, m, bench_before(s, T[i]), T[i], &a);
        say_row(b, m, s, T[i], &f);
        arena_free(&a);
    }
    cuda_free(t);
    return t != NULL;
}

/* ---- subjects ---- */

static bool expect_layer(Bench *b, const Layer *l, Err *err)
{
    Arena a = {0};
    Pins pins = {.arena = &a};
    BenchSubject s = {.name = l->name, .layer = l, .context = -1,
                      .t = b->common.has_dtype ? b->common.dtype : TYPE_bf16};
    bool fine = pins_open(&pins, NULL, &b->common, err) &&
                expect_graph(b, &s, bench_graph(&a, l, s.t, bench_width(b),
                                                bench_inner(b)), &pins, err);
    pins_close(&pins, &b->common);
    arena_free(&a);
    return fine;
}

static bool expect_model(Bench *b, Err *err)
{
    Loaded l;
    BenchSubject s = {.name = "model", .context = b->context};
    bool fine = loaded_open(&l, b->model, &b->common, err) &&
                expect_graph(b, &s, model_graph(l.model, &l.arena), &l.pins,
                             err);
    loaded_close(&l);
    return fine;
}

bool bench_expect(Bench *b, Err *err)
{
    if (!b->machine)
        return err_set(err, "bench --target cuda: no times are taken on GPUs "
                            "yet; --model h200, h100 or a100 says what is "
                            "expected there");
    const CudaMachine *m = machine_of(b);
    cJSON *about = cJSON_AddObjectToObject(b->report.out, "model");
    cJSON_AddStringToObject(about, "gpu", m->about);
    cJSON_AddNumberToObject(about, "peak_tflops", 1e-12 * cuda_peak(m));
    cJSON_AddNumberToObject(about, "memory_tbps", 1e-12 * m->memory);
    b->report.rows = cJSON_AddArrayToObject(b->report.out, "rows");
    if (!b->common.json)
        printf("expected on an %s by a static model, not measured: peak %.0f "
               "TF/s in bf16, memory %.1f TB/s\n", m->about,
               1e-12 * cuda_peak(m), 1e-12 * m->memory);
    if (b->model)
        return expect_model(b, err);
    if (!strcmp(b->what, "matmul"))
        return expect_layer(b, &bench_layers[LAYER_matmul], err);
    return expect_layer(b, &bench_layers[LAYER_xft], err) &&
           expect_layer(b, &bench_layers[LAYER_mixtral], err);
}
