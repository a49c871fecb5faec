/* graft eval: the mean loss of a model in nats a token, on a text or on the
 * labels of examples. */
#include "cli/eval_effects.h"
#include "cli/model_args.h"
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

typedef struct {
    int64_t tokens; /* predicted */
    double sum, squares; /* nats, their squares */
    bool stopped;
    Effects effects; /* losses and stats of modules */
} Score;

/* -log of the softmax of logits[n] at `id`. */
static double loss(const float *logits, int n, int32_t id)
{
    double most = logits[0], sum = 0;
    for (int i = 1; i < n; i++)
        most = logits[i] > most ? logits[i] : most;
    for (int i = 0; i < n; i++)
        sum += exp(logits[i] - most);
    return most + log(sum) - logits[id];
}

/* One window, a piece at a time, so that memory stays small. label[t] is what
 * token t - 1 has to predict. */
static bool score_window(Engine *e, const int32_t *ids, const int32_t *label,
                         int n, float *logits, int piece, Score *s, Err *err)
{
    int v = engine_vocabulary(e);
    engine_restart(e);
    for (int at = 0; at < n - 1 && !(s->stopped = rt_interrupted);
         at += piece) {
        int len = n - 1 - at < piece ? n - 1 - at : piece;
        if (!engine_run(e, ids + at, len, logits, err))
            return false;
        for (int i = 0; i < len; i++) {
            int32_t want = label[at + i + 1];
            double x = want == NO_LABEL
                           ? 0 : loss(logits + (size_t)i * (size_t)v, v, want);
            s->sum += x;
            s->squares += x * x;
            s->tokens += want != NO_LABEL;
        }
        effects_add(&s->effects, e, len);
    }
    return true;
}

/* Tokens that run at once: with losses and stats, a whole window. */
static int piece_of(const Engine *e, int length)
{
    enum { PIECE = 128 };
    const Effect *effect;
    return engine_effects(e, &effect) ? length : PIECE;
}

static int window_length(const Eval *v, const Engine *e)
{
    int limit = engine_limit(e), length = v->length ? v->length : 1024;
    return limit > 0 && length > limit ? limit : length;
}

static float *logits_new(const Engine *e, int piece)
{
    return xmalloc((size_t)piece * (size_t)engine_vocabulary(e) *
                   sizeof(float));
}

static bool score_ids(const Eval *v, const Common *common, Engine *e,
                      const Ids *ids, Score *s, Err *err)
{
    int length = window_length(v, e);
    if ((size_t)length > ids->n)
        length = (int)ids->n;
    if (!engine_for(e, length, err))
        return false;
    int piece = piece_of(e, length);
    float *logits = logits_new(e, piece);
    Progress p = progress_begin(common, "eval", "tokens", (int64_t)ids->n);
    bool fine = true;
    for (size_t at = 0; fine && !s->stopped && at < ids->n;
         at += (size_t)length) {
        size_t left = ids->n - at;
        int n = left < (size_t)length ? (int)left : length;
        fine = score_window(e, ids->at + at, ids->at + at, n, logits, piece, s,
                            err);
        progress_at(&p, (int64_t)at + n);
    }
    progress_end(&p);
    free(logits);
    return fine && (s->tokens > 0 || s->stopped ||
                    err_set(err, "%s: no token to predict: it has %zu",
                            v->nll ? v->nll : "--ids", ids->n));
}

static bool score_examples(const Common *common, Engine *e, const Data *d,
                           Score *s, Err *err)
{
    int longest = 1;
    for (int i = 0; i < d->example.n; i++)
        if (d->example.at[i].n > longest)
            longest = d->example.at[i].n;
    if (!engine_for(e, longest, err))
        return false;
    int piece = piece_of(e, longest);
    float *logits = logits_new(e, piece);
    Progress p = progress_begin(common, "eval", "examples", d->example.n);
    bool fine = true;
    for (int i = 0; fine && !s->stopped && i < d->example.n; i++) {
        const Example *x = &d->example.at[i];
        fine = score_window(e, x->id, x->label, x->n, logits, piece, s, err);
        progress_at(&p, i + 1);
    }
    progress_end(&p);
    free(logits);
    return fine;
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
    bool fine = v->data
                    ? examples_open(e, v->data, v->style, window_length(v, e),
                                    &data, err) &&
                          score_examples(common, e, &data, s, err)
                    : read_ids(v, e, &ids, err) &&
                          score_ids(v, common, e, &ids, s, err);
    data_free(&data);
    ids_free(&ids);
    return fine;
}

/* Of the mean, tokens taken as independent; NAN of one alone. */
static double standard_error(const Score *s)
{
    double n = (double)s->tokens, mean = s->sum / n;
    double variance = (s->squares - n * mean * mean) / (n - 1);
    return sqrt(fmax(variance, 0) / n);
}

static void print(const Common *common, const Engine *e, const Score *s)
{
    double nll = s->sum / (double)s->tokens;
    if (common->json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, "tokens", (double)s->tokens);
        cJSON_AddNumberToObject(o, "nll", nll);
        if (s->tokens > 1)
            cJSON_AddNumberToObject(o, "stderr", standard_error(s));
        effects_json(&s->effects, e, o);
        report_json(o);
    } else {
        printf("nll %.9f nats a token (perplexity %.4f), %lld tokens", nll,
               exp(nll), (long long)s->tokens);
        if (s->tokens > 1)
            printf(", standard error %.6f", standard_error(s));
        putchar('\n');
        effects_print(&s->effects, e);
    }
}

int command_eval(int argc, char **argv)
{
    Eval v = {0};
    Common common = {.runs = true, .cuda = true};
    options_parse(&argp, argc, argv, &v, &common);
    rt_catch_interrupts();
    Err err;
    Score s = {0};
    Engine *e = engine_open_effects(v.m.model, &common, v.stats, &err);
    bool fine = e && score(&v, &common, e, &s, &err);
    if (fine && s.tokens > 0)
        print(&common, e, &s);
    if (fine && v.stats && !effects_have_stats(e))
        report_note(&common, "no module of this model has a `stat`");
    if (fine && s.stopped)
        report_note(&common, "stopped after %lld tokens; run it again for all",
                    (long long)s.tokens);
    effects_free(&s.effects);
    engine_close(e);
    free(v.m.ids);
    return !fine        ? report_error(&common, &err)
           : s.stopped ? EXIT_wrong_input
                        : EXIT_done;
}
