/* graft bench: times of layers and models, beside what the machine reached in
 * the same run. */
#include "cli/bench.h"
#include "cli/quantize.h"
#include <string.h>

enum { KEY_tokens = 1, KEY_tries, KEY_sizes, KEY_kernels };
enum { BEFORE = 64 }; /* tokens seen before a single one is timed */

typedef struct {
    const char *what, *model;
    int32_t *tokens;
    int ntokens, tries;
    int32_t *sizes;
    int nsizes;
    bool kernels;
    Common common;
    Peaks peaks;
    cJSON *rows;
} Bench;

static const struct argp_option options[] = {
    {"tokens", KEY_tokens, "1,16,512", 0, "How many at a time (1,16,128,512)",
     1},
    {"tries", KEY_tries, "N", 0, "Runs of each, of which the median counts (5)",
     1},
    {"sizes", KEY_sizes, "D,F", 0, "Of a layer (2048,5504); of matmul K,N", 1},
    {"kernels", KEY_kernels, NULL, 0, "The time of each kernel too", 1},
    {0}};

static void take_argument(Bench *b, const char *arg, struct argp_state *state)
{
    static const char *const words[] = {"moe", "matmul", "model"};
    if (!b->what)
        b->what = words[option_word(state, "bench", arg, words, COUNT(words))];
    else if (!strcmp(b->what, "model") && !b->model)
        b->model = arg;
    else
        argp_error(state, "takes no `%s`", arg);
}

static void check_end(Bench *b, struct argp_state *state)
{
    if (!b->what)
        b->what = "moe";
    if (!strcmp(b->what, "model") != (b->model != NULL))
        argp_error(state, "bench model needs the model");
    if (b->nsizes && b->nsizes != 2)
        argp_error(state, "--sizes needs two numbers");
    for (int i = 0; i < b->nsizes; i++)
        if (b->sizes[i] < 1 || b->sizes[i] > 1 << 20)
            argp_error(state, "--sizes: 1 to %d", 1 << 20);
    for (int i = 0; i < b->ntokens; i++)
        if (b->tokens[i] < 1 || b->tokens[i] > 65536)
            argp_error(state, "--tokens: 1 to 65536");
}

static error_t key(int k, char *arg, struct argp_state *state)
{
    Bench *b = state->input;
    switch (k) {
    case KEY_tokens:
        free(b->tokens);
        b->tokens = option_ids(state, arg, &b->ntokens);
        break;
    case KEY_sizes:
        free(b->sizes);
        b->sizes = option_ids(state, arg, &b->nsizes);
        break;
    case KEY_tries:
        b->tries = (int)option_int(state, "tries", arg, 1, 10000);
        break;
    case KEY_kernels: b->kernels = true; break;
    case ARGP_KEY_ARG: take_argument(b, arg, state); break;
    case ARGP_KEY_END: check_end(b, state); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "[moe | matmul | model MODEL]",
    "Time the layers of XFT and Mixtral (moe), a matmul, or a model, on this "
    "machine, beside the peaks measured in the same run.",
    NULL, NULL, NULL};

/* ---- one program ---- */

typedef struct {
    Program *p;
    const char *name;
    Dtype t; /* of the layer's input; TYPE_i32: tokens */
    int64_t width, limit; /* elements of a row; ids are below limit */
} Subject;

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void *make_input(const Subject *s, int64_t T)
{
    int64_t n = T * s->width;
    char *x = xmalloc((size_t)type_bytes(s->t, n) + 1);
    if (s->t == TYPE_i32)
        for (int64_t i = 0; i < n; i++)
            ((int32_t *)(void *)x)[i] = (int32_t)(i * 7919 % s->limit);
    else
        bench_fill(s->t, x, n);
    return x;
}

/* Runs T tokens after `before`, and gives the seconds; below 0: err. */
static double run_once(const Subject *s, State *state, int64_t before,
                       int64_t T, void *x, void *y, const int32_t *pos,
                       Err *err)
{
    bool tokens = s->t == TYPE_i32;
    Column in = {tokens ? "token" : "x", s->t, x};
    Column out = {"y", tokens ? TYPE_f32 : s->t, y};
    state_truncate(state, before);
    double start = seconds_now();
    if (!program_run(s->p, state, T, pos + before, &in, 1, &out, 1, err))
        return -1;
    return seconds_now() - start;
}

static bool time_tokens(const Bench *b, const Subject *s, int64_t T,
                        double *median, Err *err)
{
    int64_t before = s->t == TYPE_i32 && T == 1 ? BEFORE : 0;
    int64_t most = T > before ? T : before;
    int32_t *pos = xmalloc((size_t)(T + before) * sizeof *pos);
    for (int64_t i = 0; i < T + before; i++)
        pos[i] = (int32_t)i;
    void *x = make_input(s, most);
    void *y = xmalloc((size_t)(8 * program_output_count(s->p, "y", most)));
    double *time = xmalloc((size_t)b->tries * sizeof *time);
    State *state = state_new(s->p);
    bool fine = !before ||
                run_once(s, state, 0, before, x, y, pos, err) >= 0;
    fine = fine && run_once(s, state, before, T, x, y, pos, err) >= 0;
    program_times(s->p, true, &(int){0});
    for (int i = 0; fine && i < b->tries; i++) {
        time[i] = run_once(s, state, before, T, x, y, pos, err);
        fine = time[i] >= 0;
    }
    qsort(time, (size_t)b->tries, sizeof *time, by_size);
    *median = time[b->tries / 2];
    state_free(state);
    free(time);
    free(pos);
    free(x);
    free(y);
    return fine;
}

/* ---- what is said ---- */

static void say_kernels(const Bench *b, const Subject *s, cJSON *row)
{
    int n;
    const KernelTime *t = program_times(s->p, true, &n);
    cJSON *list = cJSON_AddArrayToObject(row, "kernels");
    for (int i = 0; i < n; i++) {
        double ms = 1e3 * t[i].seconds / b->tries;
        cJSON *k = cJSON_CreateObject();
        cJSON_AddStringToObject(k, "kernel", t[i].kernel);
        cJSON_AddNumberToObject(k, "ms", ms);
        cJSON_AddItemToArray(list, k);
        if (!b->common.json)
            printf("    %9.3f ms  %s\n", ms, t[i].kernel);
    }
}

static void say_row(const Bench *b, const Subject *s, int64_t T, double seconds)
{
    ProgramWork w = program_work(s->p, T);
    double peak = 1e9 * (b->peaks.dot > b->peaks.fma ? b->peaks.dot
                                                     : b->peaks.fma);
    if (s->t == TYPE_f32 || s->t == TYPE_i32)
        peak = 1e9 * b->peaks.fma;
    double roof = w.flops / peak, stream = w.bytes / (1e9 * b->peaks.read);
    roof = roof > stream ? roof : stream;
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "what", s->name);
    cJSON_AddNumberToObject(row, "tokens", (double)T);
    cJSON_AddNumberToObject(row, "ms", 1e3 * seconds);
    cJSON_AddNumberToObject(row, "gflops", 1e-9 * w.flops / seconds);
    cJSON_AddNumberToObject(row, "gbps", 1e-9 * w.bytes / seconds);
    cJSON_AddNumberToObject(row, "peak_share", w.flops / seconds / peak);
    cJSON_AddNumberToObject(row, "roof_share", roof / seconds);
    cJSON_AddItemToArray(b->rows, row);
    if (!b->common.json)
        printf("%-10s %6lld %10.3f %9.0f %9.1f %8.0f%% %8.0f%%\n", s->name,
               (long long)T, 1e3 * seconds, 1e-9 * w.flops / seconds,
               1e-9 * w.bytes / seconds, 100 * w.flops / seconds / peak,
               100 * roof / seconds);
    if (b->kernels)
        say_kernels(b, s, row);
    fflush(stdout);
}

static bool measure(const Bench *b, const Subject *s, Err *err)
{
    static const int32_t usual[] = {1, 16, 128, 512};
    const int32_t *T = b->ntokens ? b->tokens : usual;
    int n = b->ntokens ? b->ntokens : (int)COUNT(usual);
    for (int i = 0; i < n; i++) {
        double seconds;
        if (!time_tokens(b, s, T[i], &seconds, err))
            return false;
        say_row(b, s, T[i], seconds);
    }
    return true;
}

/* ---- subjects ---- */

static bool measure_graph(const Bench *b, const Graph *g, Subject s, Err *err)
{
    Pins pins = {.arena = g->arena};
    const CpuOptions o = {.threads = b->common.threads, .pins = &pins};
    const WeightSource noise = bench_noise();
    if (!pins_open(&pins, NULL, &b->common, err))
        return false;
    s.p = program_open(g, &b->common, &o, &noise, err);
    bool fine = s.p && measure(b, &s, err);
    program_free(s.p);
    return fine;
}

static bool bench_layers(const Bench *b, Err *err)
{
    Arena a = {0};
    int D = b->nsizes ? b->sizes[0] : 2048, F = b->nsizes ? b->sizes[1] : 5504;
    Dtype t = b->common.has_dtype ? b->common.dtype : TYPE_bf16;
    Subject s = {.t = t, .width = D};
    bool fine = true;
    if (!strcmp(b->what, "matmul")) {
        s.name = "matmul";
        fine = measure_graph(b, bench_matmul(&a, t, D, F), s, err);
    }
    for (int i = 0; !strcmp(b->what, "moe") && fine && i < 2; i++) {
        s.name = i ? "mixtral" : "xft";
        fine = measure_graph(b, bench_layer(&a, t, D, F, !i), s, err);
    }
    arena_free(&a);
    return fine;
}

static bool bench_model(const Bench *b, Err *err)
{
    Loaded l;
    Subject s = {.name = "model", .t = TYPE_i32, .width = 1};
    bool fine = loaded_open(&l, b->model, &b->common, err);
    if (fine && !model_size(l.model, "V", &s.limit))
        fine = err_set(err, "%s: its model text has no V", b->model);
    if (fine) {
        const CpuOptions o = {.threads = b->common.threads, .last_only = true,
                              .pins = &l.pins,
                              .stored = loaded_stored, .user = &l};
        const WeightSource source = loaded_source(&l);
        s.p = program_open(model_graph(l.model, &l.arena), &b->common, &o,
                           &source, err);
        fine = s.p && measure(b, &s, err);
        program_free(s.p);
    }
    loaded_close(&l);
    return fine;
}

static void say_machine(Bench *b, cJSON *out)
{
    cJSON *m = cJSON_AddObjectToObject(out, "machine");
    cJSON_AddNumberToObject(m, "threads", b->peaks.threads);
    cJSON_AddNumberToObject(m, "fma_gflops", b->peaks.fma);
    cJSON_AddNumberToObject(m, "dot_gflops", b->peaks.dot);
    cJSON_AddNumberToObject(m, "read_gbps", b->peaks.read);
    b->rows = cJSON_AddArrayToObject(out, "rows");
    if (b->common.json)
        return;
    printf("peaks of %d threads: f32 FMA %.0f GF/s, bf16 dot products %.0f "
           "GF/s, read %.1f GB/s\n",
           b->peaks.threads, b->peaks.fma, b->peaks.dot, b->peaks.read);
    printf("%-10s %6s %10s %9s %9s %9s %9s\n", "what", "tokens", "ms", "GF/s",
           "GB/s", "of peak", "of roof");
}

int command_bench(int argc, char **argv)
{
    Bench b = {.tries = 5, .common.runs = true};
    options_parse(&argp, argc, argv, &b, &b.common);
    int threads = b.common.threads > 0 ? b.common.threads : exec_cores();
    b.peaks = measure_peaks(threads);
    cJSON *out = cJSON_CreateObject();
    say_machine(&b, out);
    Err err;
    bool fine = b.model ? bench_model(&b, &err) : bench_layers(&b, &err);
    if (fine && b.common.json)
        report_json(out);
    else
        cJSON_Delete(out);
    free(b.tokens);
    free(b.sizes);
    return fine ? EXIT_done : report_error(&b.common, &err);
}
