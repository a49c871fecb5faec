/* graft bench: times of layers and models, beside what the machine reached in
 * the same run, and beside other programs in turn. */
#include "cli/tools/bench.h"
#include "cli/driver/driver.h"
#include <string.h>
#include <sys/stat.h>

enum { KEY_tokens = 1, KEY_tries, KEY_context, KEY_sizes, KEY_kernels,
       KEY_routing, KEY_peers, KEY_peer_timeout, KEY_model };
enum { SKEW_TOKENS = 512 };

static const struct argp_option options[] = {
    {"tokens", KEY_tokens, "1,16,512", 0,
     "How many at a time (1, 2, 4 .. 2048)", 1},
    {"tries", KEY_tries, "N", 0,
     "Turns of each, of which the median counts (5; 3 where they take long)",
     1},
    {"context", KEY_context, "N", 0,
     "Tokens that a model has seen before (64 before a single one)", 1},
    {"sizes", KEY_sizes, "D,F", 0, "Of a layer (2048,5504); of matmul K,N", 1},
    {"routing", KEY_routing, "uniform|zipf|one", 0,
     "Which experts tokens pick: any, the n-th 1/n as often, all the same "
     "(uniform; at 512 tokens the others too)",
     1},
    {"model", KEY_model, "h200|h100|a100", 0,
     "With --target cuda: what is expected on this GPU, by a static model; "
     "nothing runs",
     1},
    {"kernels", KEY_kernels, NULL, 0, "The time of each kernel too", 1},
    {"peers", KEY_peers, NULL, 0,
     "In turn with PyTorch, transformers and llama.cpp: of the Python that "
     "bench/setup-peers made, or of $GRAFT_PEERS",
     1},
    {"peer-timeout", KEY_peer_timeout, "SECONDS", 0,
     "Do without a peer that takes longer to answer (300)", 1},
    {0}};

/* ---- arguments ---- */

static bool trains(const Bench *b)
{
    return !strcmp(b->what, "train");
}

static bool needs_model(const Bench *b)
{
    return trains(b) || !strcmp(b->what, "model");
}

static void take_argument(Bench *b, const char *arg, struct argp_state *state)
{
    static const char *const words[] = {"moe", "matmul", "model",
                                        "train"};
    if (!b->what)
        b->what = words[option_word(state, "bench", arg, words, COUNT(words))];
    else if (needs_model(b) && !b->model)
        b->model = arg;
    else
        argp_error(state, "takes no `%s`", arg);
}

static void check_end(Bench *b, struct argp_state *state)
{
    if (!b->what)
        b->what = "moe";
    if (needs_model(b) != (b->model != NULL))
        argp_error(state, "bench %s needs the model", b->what);
    if (b->routing >= 0 && strcmp(b->what, "moe"))
        argp_error(state, "--routing is for bench moe");
    if (b->kernels && trains(b))
        argp_error(state, "--kernels is not for bench train");
    if (b->context >= 0 && (!b->model || trains(b)))
        argp_error(state, "--context is for bench model");
    if (b->machine && b->common.target != TARGET_cuda)
        argp_error(state, "--model needs --target cuda");
    if (b->nsizes && b->nsizes != 2)
        argp_error(state, "--sizes needs two numbers");
    for (int i = 0; i < b->nsizes; i++)
        if (b->sizes[i] < 16 || b->sizes[i] > 1 << 20)
            argp_error(state, "--sizes: 16 to %d", 1 << 20);
    for (int i = 0; i < b->ntokens; i++)
        if (b->tokens[i] < 1 || b->tokens[i] > 65536)
            argp_error(state, "--tokens: 1 to 65536");
}

static const char *machine_of(const char *arg, struct argp_state *state)
{
    const char *names[8];
    int n = 0;
    while (n < (int)COUNT(names) && bench_machine_name(n)) {
        names[n] = bench_machine_name(n);
        n++;
    }
    return names[option_word(state, "GPU", arg, names, n)];
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
    case KEY_context:
        b->context = option_int(state, "--context", arg, 0, 1 << 20);
        break;
    case KEY_tries:
        b->tries = (int)option_int(state, "--tries", arg, 1, 10000);
        break;
    case KEY_routing:
        b->routing = option_word(state, "routing", arg, routing_names,
                                 COUNT(routing_names));
        break;
    case KEY_peer_timeout:
        b->patience = option_real(state, "--peer-timeout", arg, 0.1, 1e5);
        break;
    case KEY_model: b->machine = machine_of(arg, state); break;
    case KEY_kernels: b->kernels = true; break;
    case KEY_peers: b->with_peers = true; break;
    case ARGP_KEY_ARG: take_argument(b, arg, state); break;
    case ARGP_KEY_END: check_end(b, state); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "[moe | matmul | model MODEL | train MODEL]",
    "Time the layers of XFT and Mixtral (moe), a matmul, a model, or a step of "
    "its training (AdamW on all weights, examples of 256 tokens; 1024 of them "
    "where --tokens says nothing), on this machine, beside the peaks "
    "measured in the same run. A model's single "
    "token comes after 64 others; of more, the last one's logits are made. "
    "Peers run Mixtral's layer for both: its 6 of 8 experts multiply as much "
    "as XFT's shared one and 5 of 7.",
    NULL, NULL, NULL};

/* ---- subjects ---- */

static bool measure(Bench *b, const BenchSubject *s, Err *err)
{
    static const int32_t usual[] = {1,   2,   4,   8,    16,  32,
                                    64, 128, 256, 512, 1024, 2048};
    const int32_t *T = b->ntokens ? b->tokens : usual;
    int n = b->ntokens ? b->ntokens : (int)COUNT(usual);
    Routing how = b->routing > 0 ? (Routing)b->routing : ROUTING_uniform;
    for (int i = 0; i < n; i++)
        if (!bench_row(b, s, T[i], how, err))
            return false;
    return true;
}

static bool measure_skew(Bench *b, const BenchSubject *s, Err *err)
{
    for (int i = ROUTING_zipf; i <= ROUTING_one; i++)
        if (!bench_row(b, s, SKEW_TOKENS, (Routing)i, err))
            return false;
    return true;
}

int bench_width(const Bench *b)
{
    return b->nsizes ? b->sizes[0] : 2048;
}

int bench_inner(const Bench *b)
{
    return b->nsizes ? b->sizes[1] : 5504;
}

/* The layer with one expert active is there for what skew costs alone. */
static bool measure_layer(Bench *b, const Layer *l, Err *err)
{
    Arena a = {0};
    int D = bench_width(b), F = bench_inner(b);
    BenchSubject s = {.name = l->name, .layer = l, .width = D, .inner = F,
                 .context = -1,
                 .t = b->common.has_dtype ? b->common.dtype : TYPE_bf16};
    Pins pins = {.arena = &a};
    const CpuOptions o = {.threads = b->common.threads, .pins = &pins};
    const WeightSource noise = bench_noise();
    if (pins_open(&pins, NULL, &b->common, err))
        s.p = program_open(bench_graph(&a, l, s.t, D, F), &b->common, &o,
                           &noise, err);
    bool fine = s.p != NULL;
    bool skew = l->experts && b->routing < 0 && !b->ntokens;
    if (fine && (l->active != 1 || b->routing >= 0))
        fine = measure(b, &s, err);
    if (fine && skew)
        fine = measure_skew(b, &s, err);
    program_free(s.p);
    pins_close(&pins, &b->common);
    arena_free(&a);
    return fine;
}

static bool bench_moe(Bench *b, Err *err)
{
    return measure_layer(b, &bench_layers[LAYER_xft], err) &&
           measure_layer(b, &bench_layers[LAYER_mixtral], err) &&
           measure_layer(b, &bench_layers[LAYER_top1], err);
}

static bool bench_matmul(Bench *b, Err *err)
{
    return measure_layer(b, &bench_layers[LAYER_matmul], err);
}

/* llama.cpp reads a GGUF file as it is, all else as graft would write it. */
static void give_models(Bench *b)
{
    struct stat s;
    bool folder = !stat(b->model, &s) && S_ISDIR(s.st_mode);
    const char *dtype = b->common.has_dtype ? type_info[b->common.dtype].name
                                            : NULL;
    for (int i = 0; i < b->npeers; i++)
        if (!strcmp(b->peer[i].name, "llama.cpp") && b->peer[i].fd >= 0 &&
            (folder || dtype))
            peer_make_gguf(&b->peer[i], b->model, dtype);
}

static bool measure_model(Bench *b, Loaded *l, Err *err)
{
    BenchSubject s = {.name = "model", .t = l->dtype, .context = b->context};
    if (!model_size(l->model, "V", &s.vocabulary))
        return err_set(err, "%s: its model text has no V", b->model);
    CpuOptions o = loaded_options(l);
    o.last_only = true;
    const WeightSource source = loaded_source(l);
    s.p = program_open(model_graph(l->model, &l->arena), &b->common, &o,
                       &source, err);
    bool fine = s.p != NULL;
    if (fine)
        give_models(b);
    fine = fine && measure(b, &s, err);
    for (int i = 0; i < b->npeers; i++)
        peer_drop_gguf(&b->peer[i]);
    program_free(s.p);
    return fine;
}

static bool bench_model(Bench *b, Err *err)
{
    Loaded l;
    bool fine = loaded_open(&l, b->model, &b->common, err) &&
                measure_model(b, &l, err);
    loaded_close(&l);
    return fine;
}

static bool bench_train(Bench *b, Err *err)
{
    static const int32_t usual[] = {1024};
    const int32_t *T = b->ntokens ? b->tokens : usual;
    int n = b->ntokens ? b->ntokens : (int)COUNT(usual);
    Loaded l;
    BenchSubject s = {.name = "train", .context = -1};
    bool fine = loaded_open(&l, b->model, &b->common, err);
    s.t = l.dtype;
    if (fine && !model_size(l.model, "V", &s.vocabulary))
        fine = err_set(err, "%s: its model text has no V", b->model);
    loaded_close(&l);
    for (int i = 0; fine && i < n; i++)
        fine = bench_train_row(b, &s, T[i], err);
    return fine;
}

static bool run_bench(Bench *b, Err *err)
{
    return trains(b)                    ? bench_train(b, err)
           : b->model                   ? bench_model(b, err)
           : !strcmp(b->what, "matmul") ? bench_matmul(b, err)
                                        : bench_moe(b, err);
}

static void begin(Bench *b)
{
    int threads = b->common.threads > 0 ? b->common.threads : exec_cores();
    rt_catch_interrupts();
    b->report.peaks = measure_peaks(threads);
    bench_say_machine(&b->report);
    if (b->with_peers)
        bench_start_peers(b);
}

int command_bench(int argc, char **argv)
{
    Bench b = {.tries = 5, .context = -1, .routing = -1, .patience = 300,
               .common = {.runs = true, .compiled = true,
                          .cuda = true}};
    options_parse(&argp, argc, argv, &b, &b.common);
    bool here = b.common.target == TARGET_cpu;
    b.report = (Report){.common = &b.common, .out = cJSON_CreateObject(),
                        .peers = b.with_peers};
    if (here)
        begin(&b);
    Err err;
    bool fine = here ? run_bench(&b, &err) : bench_expect(&b, &err);
    for (int i = 0; i < b.npeers; i++)
        peer_end(&b.peer[i]);
    if (fine && b.common.json)
        report_json(b.report.out);
    else
        cJSON_Delete(b.report.out);
    free(b.tokens);
    free(b.sizes);
    return fine ? EXIT_done : report_error(&b.common, &err);
}
