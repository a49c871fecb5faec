/* The flags that every command takes, and arguments that are numbers. */
#include "cli/common/common.h"
#include <errno.h>
#include <math.h>
#include <string.h>

enum { KEY_target = 1000, KEY_threads, KEY_dtype, KEY_schedule,
       KEY_json, KEY_quiet, KEY_quantize, KEY_device, KEY_base };

static const char *const targets[] = {"cpu", "cuda", "interp"};
/* The last two only where they are stored. */
static const char *const dtypes[] = {"f32", "bf16", "f64", "f16", "q8_0"};

static const struct argp_option common_options[] = {
    {.doc = "For all commands:", .group = 10},
    {"target", KEY_target, "cpu|cuda|interp", 0, "Where to compute (cpu)", 10},
    {"device", KEY_device, "N", 0, "Which GPU, from 0 on (0)", 10},
    {"threads", KEY_threads, "N", 0, "Threads (one for each core)", 10},
    {"dtype", KEY_dtype, "f32|bf16", 0,
     "What kernels read: bf16 for a bf16 checkpoint, else f32; f64 with "
     "--target interp",
     10},
    {"base", KEY_base, "MODEL", 0,
     "Where the base of a PEFT adapter is (where its config says)", 10},
    {"schedule", KEY_schedule, "FILE", 0,
     "Compile kernels as the schedules of this .graft file say", 10},
    {"json", KEY_json, 0, 0, "Print one JSON object", 10},
    {"quiet", KEY_quiet, 0, 0, "Say nothing but the result and errors", 10},
    {0}};

/* Of commands that run models. */
static const struct argp_option run_options[] = {
    {"quantize", KEY_quantize, "q8|q4", 0,
     "Make float weights of matmuls blocks of 8 or 4 bits as they are read", 9},
    {0}};

typedef struct {
    Common *common;
    void *input;
} Both;

static void common_end(struct argp_state *state, const Common *c)
{
    if (c->has_quantize && c->target != TARGET_cpu)
        argp_error(state, "--quantize needs --target cpu");
    if (c->compiled && c->target == TARGET_interp)
        argp_error(state, "--target interp compiles nothing");
    if (c->has_dtype && c->dtype == TYPE_f64 &&
        (c->stores || c->target != TARGET_interp))
        argp_error(state, c->stores ? "--dtype f64: nothing is stored so"
                                    : "--dtype f64 needs --target interp");
}

static error_t common_key(int key, char *arg, struct argp_state *state)
{
    Common *c = ((Both *)state->input)->common;
    int word;
    switch (key) {
    case KEY_target:
        word = option_word(state, "target", arg, targets, COUNT(targets));
        c->target = (TargetName)word;
        break;
    case KEY_device:
        c->device = (int)option_int(state, "--device", arg, 0, 1023);
        break;
    case KEY_threads:
        c->threads = (int)option_int(state, "--threads", arg, 1, 4096);
        break;
    case KEY_dtype:
        word = option_word(state, "dtype", arg, dtypes,
                           c->stores ? COUNT(dtypes) : COUNT(dtypes) - 2);
        c->has_dtype = type_find(dtypes[word], &c->dtype);
        break;
    case KEY_base:
        c->base = arg;
        break;
    case KEY_schedule:
        c->schedule = arg;
        break;
    case KEY_json:
        c->json = true;
        break;
    case KEY_quiet:
        c->quiet = true;
        break;
    case ARGP_KEY_END:
        common_end(state, c);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static error_t run_key(int key, char *arg, struct argp_state *state)
{
    static const char *const words[] = {"q8", "q4"};
    Common *c = ((Both *)state->input)->common;
    if (key != KEY_quantize)
        return ARGP_ERR_UNKNOWN;
    c->has_quantize = true;
    c->quantize = option_word(state, "kind of quantize", arg, words, 2)
                      ? TYPE_q4_1 : TYPE_q8_0;
    return 0;
}

static const struct argp common_argp = {.options = common_options,
                                        .parser = common_key};
static const struct argp run_argp = {.options = run_options,
                                     .parser = run_key};

static error_t outer_key(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    Both *both = state->input;
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = both->input;
    state->child_inputs[1] = both;
    if (both->common->runs)
        state->child_inputs[2] = both;
    return 0;
}

static void refuse_cuda(const Common *c)
{
    Err err;
    if (c->target != TARGET_cuda || c->cuda)
        return;
    err_set(&err, "--target cuda: this command has nothing for GPUs; use "
                  "--target cpu");
    exit(report_error(c, &err));
}

void options_parse(const struct argp *own, int argc, char **argv, void *input,
                   Common *common)
{
    Both both = {common, input};
    const struct argp_child children[] = {
        {own, 0, NULL, 0},
        {&common_argp, 0, NULL, 10},
        {common->runs ? &run_argp : NULL, 0, NULL, 10},
        {0}};
    struct argp outer = {.parser = outer_key, .children = children};
    argp_parse(&outer, argc, argv, 0, NULL, &both);
    refuse_cuda(common);
}

int64_t option_int(struct argp_state *state, const char *what, const char *s,
                   int64_t least, int64_t most)
{
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (end == s || *end || errno || v < least || v > most)
        argp_error(state, "%s needs a whole number from %lld to %lld, got `%s`",
                   what, (long long)least, (long long)most, s);
    return v;
}

double option_real(struct argp_state *state, const char *what, const char *s,
                   double least, double most)
{
    char *end;
    double v = strtod(s, &end);
    if (end == s || *end || !isfinite(v) || v < least || v > most)
        argp_error(state, "%s needs a number from %g to %g, got `%s`", what,
                   least, most, s);
    return v;
}

int32_t *option_ids(struct argp_state *state, const char *s, int *count)
{
    int room = 1;
    for (const char *c = s; *c; c++)
        room += *c == ',';
    int32_t *ids = xmalloc((size_t)room * sizeof *ids);
    *count = 0;
    for (;;) {
        char *end;
        errno = 0;
        long v = strtol(s, &end, 10);
        if (end == s || errno || v < 0 || v > INT32_MAX ||
            (*end && *end != ','))
            argp_error(state, "--ids needs token ids such as 1,2,3, got `%s`",
                       *s ? s : "nothing");
        ids[(*count)++] = (int32_t)v;
        if (!*end)
            return ids;
        s = end + 1;
    }
}

int option_word(struct argp_state *state, const char *what, const char *s,
                const char *const *words, int n)
{
    char list[256] = "";
    for (int i = 0; i < n; i++) {
        if (!strcmp(words[i], s))
            return i;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                 words[i]);
    }
    const char *near = nearest(s, words, n);
    if (near)
        argp_error(state, "no %s `%s` (did you mean `%s`?)", what, s, near);
    else
        argp_error(state, "no %s `%s`; there are: %s", what, s, list);
    return 0;
}
