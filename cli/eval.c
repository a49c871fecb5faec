/* graft eval: the mean loss of a model in nats a token, on a text or on the
 * labels of examples. */
#include "cli/eval_effects.h"
#include "cli/model_args.h"
#include "cli/driver/score.h"
#include <limits.h>
#include <math.h>
#include <string.h>

enum { KEY_nll = 1, KEY_data, KEY_style, KEY_ids, KEY_length, KEY_stats };

typedef struct {
    ModelArgs m;
    const char *nll; /* the text's file */
    const char *data, *style; /* examples */
    int length;      /* of a window; 0: 1024, or the model's limit */
    bool stats;
} Eval;

static const struct argp_option options[] = {
    {"nll", KEY_nll, "FILE", 0, "The text", 1},
    {"data", KEY_data, "FILE", 0,
     "Examples with labels in place of a text: JSON of ids or instructions", 1},
    {"style", KEY_style, "STYLE", 0,
     "How instructions are put: a style's name or file (the model's chat "
     "template)", 1},
    {"ids", KEY_ids, "1,2,3", 0, "Token ids in place of a text", 1},
    {"length", KEY_length, "N", 0,
     "Tokens of a window (1024, or the model's limit)", 1},
    {"stats", KEY_stats, NULL, 0,
     "Also the stats of the model's modules: how often each expert is used", 1},
    {0}};

static error_t key(int k, char *arg, struct argp_state *state)
{
    Eval *v = state->input;
    switch (k) {
    case KEY_nll:
        v->nll = arg;
        break;
    case KEY_data:
        v->data = arg;
        break;
    case KEY_style:
        v->style = arg;
        break;
    case KEY_ids:
        free(v->m.ids);
        v->m.ids = option_ids(state, arg, &v->m.count);
        break;
    case KEY_length:
        v->length = (int)option_int(state, "--length", arg, 2, INT_MAX);
        break;
    case KEY_stats:
        v->stats = true;
        break;
    case ARGP_KEY_ARG:
        model_argument(&v->m, arg, state);
        break;
    case ARGP_KEY_END:
        model_required(&v->m, state);
        if (!!v->nll + !!v->m.ids + !!v->data != 1)
            argp_error(state, "needs --nll FILE, --data FILE or --ids 1,2,3");
        if (v->style && !v->data)
            argp_error(state, "--style is of --data");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "MODEL",
    "Measure a model on a text: the mean negative log-likelihood of a token, "
    "in nats, and its standard error, that of a mean of so many tokens. A text "
    "is cut into windows, of which all tokens but the first are predicted; of "
    "examples those that have a label.",
    NULL, NULL, NULL};

/* ---- the measuring ---- */

static int window_length(const Eval *v, const Engine *e)
{
    int limit = engine_limit(e), length = v->length ? v->length : 1024;
    return limit > 0 && length > limit ? limit : length;
}

static bool read_ids(const Eval *v, Engine *e, Ids *out, Err *err)
{
    if (!v->nll)
        return model_prompt(e, &v->m, out, err);
    size_t len;
    const Tokenizer *t = engine_tokenizer(e, err);
    char *text = t ? read_file(v->nll, &len, err) : NULL;
    bool fine = text && tokenizer_encode(t, text, len, ENCODE_prompt, out, err);
    if (text && !fine) {
        Err why = *err;
        err_set(err, "%s: %s", v->nll, why.text);
    }
    free(text);
    return fine && ids_in_range(e, out->at, out->n, err);
}

static bool score(const Eval *v, const Common *common, Engine *e, Score *s,
                  Err *err)
{
    Ids ids = {0};
    Data data = {0};
    int length = window_length(v, e);
    if (v->length > length)
        report_note(common, "--length %d: the model's limit is %d", v->length,
                    length);
    bool fine = v->data ? examples_open(e, v->data, v->style, length, &data,
                                        err) &&
                              score_examples(e, common, &data, NULL,
                                             data.example.n, s, err)
                        : read_ids(v, e, &ids, err) &&
                              score_ids(e, common, &ids, length, s, err);
    if (fine && !s->tokens && !s->stopped)
        fine = err_set(err, "%s: no token to predict: it has %zu",
                       v->nll ? v->nll : "--ids", ids.n);
    data_free(&data);
    ids_free(&ids);
    return fine;
}

static void print(const Common *common, const Engine *e, const Score *s,
                  const Effects *effects)
{
    double nll = score_mean(s);
    if (common->json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, "tokens", (double)s->tokens);
        cJSON_AddNumberToObject(o, "nll", nll);
        if (s->tokens > 1)
            cJSON_AddNumberToObject(o, "stderr", score_error(s));
        effects_json(effects, e, o);
        report_json(o);
    } else {
        printf("nll %.9f nats a token (perplexity %.4f), %lld tokens", nll,
               exp(nll), (long long)s->tokens);
        if (s->tokens > 1)
            printf(", standard error %.6f", score_error(s));
        putchar('\n');
        effects_print(effects, e);
    }
}

static void ran(void *user, const Engine *e, int tokens)
{
    effects_add(user, e, tokens);
}

int command_eval(int argc, char **argv)
{
    Eval v = {0};
    Common common = {.runs = true, .cuda = true};
    options_parse(&argp, argc, argv, &v, &common);
    rt_catch_interrupts();
    Err err;
    Effects effects = {0};
    Score s = {.ran = ran, .user = &effects};
    Engine *e = engine_open_effects(v.m.model, &common, v.stats, &err);
    bool fine = e && score(&v, &common, e, &s, &err);
    if (fine && s.tokens > 0)
        print(&common, e, &s, &effects);
    if (fine && v.stats && !effects_have_stats(e))
        report_note(&common, "no module of this model has a `stat`");
    if (fine && s.stopped)
        report_note(&common, "stopped after %lld tokens; run it again for all",
                    (long long)s.tokens);
    effects_free(&effects);
    engine_close(e);
    free(v.m.ids);
    return !fine        ? report_error(&common, &err)
           : s.stopped ? EXIT_wrong_input
                        : EXIT_done;
}
