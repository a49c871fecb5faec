/* graft trace: which experts a model's routing chooses on texts, layer by
 * layer; a second model's beside it. */
#include "cli/trace.h"
#include "cli/model_args.h"
#include <limits.h>
#include <math.h>
#include <string.h>

enum { KEY_beside = 1, KEY_ids, KEY_style, KEY_csv, KEY_svg, KEY_length };

typedef struct {
    const char *model[2]; /* the second: or NULL */
    const char *data[16];
    int sets;
    const char *csv, *svg;
    int32_t *ids; /* in place of data, malloc'ed; or NULL */
    int count;
    const char *style;
    int length; /* of a window */
} Args;

static const struct argp_option options[] = {
    {"beside", KEY_beside, "MODEL", 0, "A second model on the same data", 1},
    {"ids", KEY_ids, "1,2,3", 0, "Token ids in place of data", 1},
    {"style", KEY_style, "STYLE", 0,
     "How instructions are put: a style's name or file (the model's chat "
     "template)", 1},
    {"length", KEY_length, "N", 0,
     "Tokens of a window (1024, or the model's limit)", 1},
    {"csv", KEY_csv, "FILE", 0, "Write all numbers as a table", 1},
    {"svg", KEY_svg, "FILE", 0, "Draw heat maps: layers by experts", 1},
    {0}};

static void argument(Args *a, char *arg, struct argp_state *state)
{
    if (!a->model[0])
        a->model[0] = arg;
    else if (a->sets < (int)COUNT(a->data))
        a->data[a->sets++] = arg;
    else
        argp_error(state, "at most %d files of data", (int)COUNT(a->data));
}

static error_t key(int k, char *arg, struct argp_state *state)
{
    Args *a = state->input;
    switch (k) {
    case KEY_beside: a->model[1] = arg; break;
    case KEY_ids:
        free(a->ids);
        a->ids = option_ids(state, arg, &a->count);
        break;
    case KEY_style:  a->style = arg; break;
    case KEY_csv:    a->csv = arg; break;
    case KEY_svg:    a->svg = arg; break;
    case KEY_length:
        a->length = (int)option_int(state, "--length", arg, 1, INT_MAX);
        break;
    case ARGP_KEY_ARG: argument(a, arg, state); break;
    case ARGP_KEY_END:
        if (!a->model[0] || !a->sets == !a->ids)
            argp_error(state, "needs MODEL, and DATA or --ids 1,2,3");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "MODEL DATA...",
    "Show which experts a model's routing chooses: how often each one is, its "
    "mean weight, and how even the choices are, per layer and file of data. "
    "DATA is a text, or JSON (.jsonl, .json) of token ids or instructions.",
    NULL, NULL, NULL};

/* ---- the measuring ---- */

typedef struct {
    Arena arena;
    LIST(Trace) trace;
} Traces;

/* Does the name end so? Then where. */
static const char *ending(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && !strcmp(name + n - m, end) ? name + n - m : NULL;
}

/* "stat.layer.ffn.8.chosen" -> "layer.ffn" */
static const char *route_title(Arena *a, const char *name, const char *end)
{
    while (end > name && end[-1] != '.')
        end--;
    name += strlen("stat.");
    return arena_printf(a, "%.*s", (int)(end - 1 - name), name);
}

static const double *sums_of(const Effect *f, int n, const double *const *sum,
                             const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(f[i].name, name))
            return sum[i];
    return NULL;
}

static void add_routes(Arena *a, const Effect *f, int n,
                       const double *const *sum, Trace *t)
{
    LIST(Route) all = {0};
    for (int i = 0; i < n; i++) {
        const char *end = ending(f[i].name, ".chosen");
        if (!end)
            continue;
        int layers = f[i].rows ? (int)f[i].rows : 1;
        int *layer = arena_alloc(a, (size_t)layers * sizeof *layer);
        memcpy(layer, f[i].layer, (size_t)f[i].rows * sizeof *layer);
        const char *weight = arena_printf(a, "%.*s.weight",
                                          (int)(end - f[i].name), f[i].name);
        Route r = {.name = route_title(a, f[i].name, end), .layers = layers,
                   .experts = (int)(f[i].count / layers),
                   .layer = f[i].rows ? layer : NULL, .chosen = sum[i],
                   .weight = sums_of(f, n, sum, weight)};
        list_push(a, &all, r);
    }
    t->route = all.at;
    t->routes = all.n;
}

/* A window of n tokens; its sums are added. */
static bool run_window(Engine *e, const int32_t *ids, int n, float *logits,
                       double *const *sum, Err *err)
{
    const Effect *f;
    int effects = engine_effects(e, &f);
    engine_restart(e);
    if (!engine_run(e, ids, n, logits, err))
        return false;
    for (int i = 0; i < effects; i++)
        for (int64_t j = 0; j < f[i].count; j++)
            sum[i][j] += f[i].at[j];
    return true;
}

static bool run_all(Engine *e, const Common *common, const Data *d,
                    int longest, double *const *sum, Err *err)
{
    size_t row = (size_t)engine_vocabulary(e) * sizeof(float);
    float *logits = xmalloc((size_t)longest * row);
    Progress p = progress_begin(common, "trace", "tokens", d->tokens);
    bool fine = true;
    int64_t done = 0;
    for (int i = 0; fine && i < d->example.n; i++) {
        const Example *x = &d->example.at[i];
        fine = run_window(e, x->id, x->n, logits, sum, err);
        if (fine && rt_interrupted)
            fine = err_set(err, "stopped");
        progress_at(&p, done += x->n);
    }
    progress_end(&p);
    free(logits);
    return fine;
}

static int longest_of(const Data *d)
{
    int n = 0;
    for (int i = 0; i < d->example.n; i++)
        n = d->example.at[i].n > n ? d->example.at[i].n : n;
    return n;
}

static bool trace_data(const Common *common, Engine *e, const Data *d,
                       Traces *all, Trace *t, Err *err)
{
    const Effect *f;
    int longest = longest_of(d);
    if (!engine_for(e, longest, err))
        return false;
    int n = engine_effects(e, &f);
    if (!n)
        return err_set(err, "%s: no token chooses an expert in this model",
                       t->model);
    double **sum = arena_alloc(&all->arena, (size_t)n * sizeof *sum);
    for (int i = 0; i < n; i++)
        sum[i] = arena_alloc(&all->arena, (size_t)f[i].count * sizeof **sum);
    t->tokens = d->tokens;
    if (!run_all(e, common, d, longest, sum, err))
        return false;
    add_routes(&all->arena, f, n, (const double *const *)sum, t);
    list_push(&all->arena, &all->trace, *t);
    return true;
}

static int window_length(const Args *a, const Engine *e)
{
    int limit = engine_limit(e), length = a->length ? a->length : 1024;
    return limit > 0 && length > limit ? limit : length;
}

/* --ids as examples: windows. */
static bool given_ids(const Args *a, const Engine *e, Data *d, Err *err)
{
    int length = window_length(a, e);
    if (!ids_in_range(e, a->ids, (size_t)a->count, err))
        return false;
    for (int at = 0; at < a->count; at += length) {
        int left = a->count - at;
        Example x = {.n = left < length ? left : length, .id = a->ids + at};
        list_push(&d->arena, &d->example, x);
    }
    d->tokens = a->count;
    return true;
}

/* On the data at place i, or on --ids. */
static bool trace_one(const Args *a, const Common *common, Engine *e, int i,
                      Traces *all, Trace *t, Err *err)
{
    Data d = {0};
    t->data = a->ids ? "--ids" : a->data[i];
    bool fine = (a->ids ? given_ids(a, e, &d, err)
                        : examples_open(e, t->data, a->style,
                                        window_length(a, e), &d, err)) &&
                trace_data(common, e, &d, all, t, err);
    data_free(&d);
    return fine;
}

static bool trace_model(const Args *a, const Common *common, const char *model,
                        Traces *all, Err *err)
{
    Engine *e = engine_open_routing(model, common, err);
    bool fine = e != NULL;
    for (int i = 0; i < (a->ids ? 1 : a->sets) && fine; i++) {
        Trace t = {.model = model};
        fine = trace_one(a, common, e, i, all, &t, err);
    }
    engine_close(e);
    return fine;
}

double route_share(const Route *r, const Trace *t, int layer, int expert)
{
    return r->chosen[layer * r->experts + expert] / (double)t->tokens;
}

double route_weight(const Route *r, int layer, int expert)
{
    int i = layer * r->experts + expert;
    return r->chosen[i] > 0 ? r->weight[i] / r->chosen[i] : 0;
}

double route_evenness(const Route *r, int layer)
{
    const double *c = r->chosen + layer * r->experts;
    double all = 0, sum = 0;
    for (int i = 0; i < r->experts; i++)
        all += c[i];
    for (int i = 0; i < r->experts; i++)
        sum -= c[i] > 0 ? c[i] / all * log(c[i] / all) : 0;
    return r->experts > 1 ? fabs(sum) / log(r->experts) : 1;
}

static bool hand_out(const Args *a, const Common *common, const Traces *all,
                     Err *err)
{
    const Trace *t = all->trace.at;
    int n = all->trace.n;
    if ((a->csv && !trace_csv(a->csv, t, n, err)) ||
        (a->svg && !trace_svg(a->svg, t, n, err)))
        return false;
    if (common->json)
        report_json(trace_json(t, n));
    else
        trace_print(t, n);
    return true;
}

int command_trace(int argc, char **argv)
{
    Args a = {0};
    Common common = {.runs = true};
    options_parse(&argp, argc, argv, &a, &common);
    rt_catch_interrupts();
    Err err;
    Traces all = {0};
    bool fine = trace_model(&a, &common, a.model[0], &all, &err) &&
                (!a.model[1] ||
                 trace_model(&a, &common, a.model[1], &all, &err)) &&
                hand_out(&a, &common, &all, &err);
    arena_free(&all.arena);
    free(a.ids);
    return fine ? report_end(EXIT_done) : report_error(&common, &err);
}
