/* graft logits: a model's logits for token ids, as .npy f32 [T, V]. */
#include "cli/model_args.h"
#include <string.h>

enum { KEY_ids = 1 };

typedef struct {
    ModelArgs m;
    const char *out;
} Logits;

static const struct argp_option options[] = {
    {"ids", KEY_ids, "1,2,3", 0, "The token ids", 1},
    {"output", 'o', "OUT.npy", 0, "Where to write them, f32 [T, V]", 1},
    {0}};

static error_t key(int k, char *arg, struct argp_state *state)
{
    Logits *l = state->input;
    switch (k) {
    case KEY_ids:
        free(l->m.ids);
        l->m.ids = option_ids(state, arg, &l->m.count);
        break;
    case 'o':
        l->out = arg;
        break;
    case ARGP_KEY_ARG:
        model_argument(&l->m, arg, state);
        break;
    case ARGP_KEY_END:
        model_required(&l->m, state);
        if (!l->m.ids || !l->out)
            argp_error(state, "needs --ids 1,2,3 and -o OUT.npy");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "MODEL",
    "Save a model's logits for token ids: each row is what the model expects "
    "after that token.",
    NULL, NULL, NULL};


static bool save(const Logits *l, const Common *common, Engine *e, Err *err)
{
    int n = l->m.count, v = engine_vocabulary(e);
    if (!engine_for(e, n, err) || !ids_in_range(e, l->m.ids, (size_t)n, err))
        return false;
    float *rows = xmalloc((size_t)n * (size_t)v * sizeof *rows);
    bool fine = engine_run(e, l->m.ids, n, rows, err) &&
                npy_write_f32(l->out, rows, n, v, err);
    free(rows);
    if (fine && common->json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "out", l->out);
        const int shape[] = {n, v};
        cJSON_AddItemToObject(o, "shape", cJSON_CreateIntArray(shape, 2));
        report_json(o);
    } else if (fine) {
        report_note(common, "%s: f32 [%d, %d]", l->out, n, v);
    }
    return fine;
}

int command_logits(int argc, char **argv)
{
    Logits l = {0};
    Common common = {.runs = true, .cuda = true};
    options_parse(&argp, argc, argv, &l, &common);
    rt_catch_interrupts();
    Err err;
    Engine *e = engine_open(l.m.model, &common, false, &err);
    bool fine = e && save(&l, &common, e, &err);
    engine_close(e);
    free(l.m.ids);
    return fine ? EXIT_done : report_error(&common, &err);
}
