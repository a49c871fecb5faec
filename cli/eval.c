/* graft eval --nll: the mean loss of a model on a text, in nats a token. */
#include "cli/eval_effects.h"
#include "cli/model_args.h"
#include <limits.h>
#include <math.h>
#include <string.h>

enum { KEY_nll = 1, KEY_ids, KEY_length, KEY_stats };

typedef struct {
    ModelArgs m;
    const char *nll; /* the text's file */
    int length;      /* of a window; 0: 1024, or the model's limit */
    bool stats;
} Eval;

static const struct argp_option options[] = {
    {"nll", KEY_nll, "FILE", 0, "The text", 1},
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
        if (!v->nll == !v->m.ids)
            argp_error(state, "needs --nll FILE or --ids 1,2,3");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "MODEL",
    "Measure a model on a text: the mean negative log-likelihood of a token, "
    "in nats. The text is cut into windows; all tokens but each window's "
    "first are predicted.",
    NULL, NULL, NULL};

/* ---- the measuring ---- */

typedef struct {
    int64_t tokens; /* predicted */
    double sum;     /* nats */
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

/* One window, a piece at a time, so that memory stays small. */
static bool score_window(Engine *e, const int32_t *ids, int n, float *logits,
                         int piece, Score *s, Err *err)
{
    int v = engine_vocabulary(e);
    engine_restart(e);
    for (int at = 0; at < n - 1 && !(s->stopped = rt_interrupted);
         at += piece) {
        int len = n - 1 - at < piece ? n - 1 - at : piece;
        if (!engine_run(e, ids + at, len, logits, err))
            return false;
        for (int i = 0; i < len; i++)
            s->sum += loss(logits + (size_t)i * (size_t)v, v,
                           ids[at + i + 1]);
        s->tokens += len;
        effects_add(&s->effects, e, len);
    }
    return true;
}

static bool score(const Eval *v, const Common *common, Engine *e,
                  const Ids *ids, Score *s, Err *err)
{
    enum { PIECE = 128 };
    int limit = engine_limit(e), length = v->length ? v->length : 1024;
    if (limit > 0 && length > limit)
        length = limit;
    if ((size_t)length > ids->n)
        length = (int)ids->n;
    if (!engine_for(e, length, err))
        return false;
    const Effect *effect;
    int piece = engine_effects(e, &effect) ? length : PIECE;
    size_t row = (size_t)engine_vocabulary(e) * sizeof(float);
    float *logits = xmalloc((size_t)piece * row);
    Progress p = progress_begin(common, "eval", "tokens", (int64_t)ids->n);
    bool fine = true;
    for (size_t at = 0; fine && !s->stopped && at < ids->n;
         at += (size_t)length) {
        size_t left = ids->n - at;
        int n = left < (size_t)length ? (int)left : length;
        fine = score_window(e, ids->at + at, n, logits, piece, s, err);
        progress_at(&p, (int64_t)at + n);
    }
    progress_end(&p);
    free(logits);
    return fine && (s->tokens > 0 || s->stopped ||
                    err_set(err, "%s: no token to predict: it has %zu",
                            v->nll ? v->nll : "--ids", ids->n));
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

static void print(const Common *common, const Engine *e, const Score *s)
{
    double nll = s->sum / (double)s->tokens;
    if (common->json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, "tokens", (double)s->tokens);
        cJSON_AddNumberToObject(o, "nll", nll);
        effects_json(&s->effects, e, o);
        report_json(o);
    } else {
        printf("nll %.9f nats a token (perplexity %.4f), %lld tokens\n", nll,
               exp(nll), (long long)s->tokens);
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
    Ids ids = {0};
    Score s = {0};
    Engine *e = engine_open_effects(v.m.model, &common, v.stats, &err);
    bool fine = e && read_ids(&v, e, &ids, &err) &&
                score(&v, &common, e, &ids, &s, &err);
    if (fine && s.tokens > 0)
        print(&common, e, &s);
    if (fine && v.stats && !effects_have_stats(e))
        report_note(&common, "no module of this model has a `stat`");
    if (fine && s.stopped)
        report_note(&common, "stopped after %lld tokens; run it again for all",
                    (long long)s.tokens);
    effects_free(&s.effects);
    engine_close(e);
    ids_free(&ids);
    free(v.m.ids);
    return !fine        ? report_error(&common, &err)
           : s.stopped ? EXIT_wrong_input
                        : EXIT_done;
}
