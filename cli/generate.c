/* graft generate: continues a text, or token ids, with a model. */
#include "cli/model_args.h"
#include <limits.h>
#include <string.h>

enum { KEY_ids = 1, KEY_file, KEY_chat, KEY_system, KEY_style, KEY_temp,
       KEY_top_p, KEY_top_k, KEY_seed };

typedef struct {
    ModelArgs m;
    const char *file; /* of the prompt */
    char *read, *dressed; /* malloc'ed prompts: of the file, of the chat */
    bool chat;
    const char *system, *style;
    int most; /* new tokens */
    Sampling sampling;
} Generate;

static const struct argp_option options[] = {
    {"prompt", 'p', "TEXT", 0,
     "The text to continue, as it stands: special tokens are recognised",
     1},
    {"prompt-file", KEY_file, "FILE", 0,
     "The text to continue is in this file; - is stdin", 1},
    {"chat", KEY_chat, 0, 0,
     "The prompt is a message: put the model's chat format around it", 1},
    {"system", KEY_system, "TEXT", 0, "With --chat: a system's message before",
     1},
    {"style", KEY_style, "FILE", 0,
     "With --chat: a JSON object with the strings system, user and open, in "
     "which {} stands for the message",
     1},
    {"ids", KEY_ids, "1,2,3", 0, "Token ids to continue", 1},
    {"tokens", 'n', "N", 0, "New tokens at most (128)", 1},
    {"temp", KEY_temp, "T", 0, "Temperature; 0 takes the likeliest (0)", 2},
    {"top-p", KEY_top_p, "P", 0,
     "Draw from the fewest tokens whose probabilities reach P (1)", 2},
    {"top-k", KEY_top_k, "K", 0, "Draw from the K likeliest (all)", 2},
    {"seed", KEY_seed, "S", 0, "Of the draws (0)", 2},
    {0}};

static void key_end(const Generate *g, struct argp_state *state)
{
    model_required(&g->m, state);
    int given = (g->m.text != NULL) + (g->m.ids != NULL) + (g->file != NULL);
    if (!given)
        argp_error(state, "needs a prompt: -p TEXT or --ids 1,2,3");
    if (g->m.text && g->m.ids)
        argp_error(state, "takes -p or --ids, not both");
    if (given > 1)
        argp_error(state, "takes one of -p, --prompt-file, --ids");
    if (!g->chat && (g->system || g->style))
        argp_error(state, "--system and --style need --chat");
    if (g->chat && g->m.ids)
        argp_error(state, "--chat needs a text: -p or --prompt-file");
}

static error_t key(int k, char *arg, struct argp_state *state)
{
    Generate *g = state->input;
    Sampling *s = &g->sampling;
    switch (k) {
    case 'p':
        g->m.text = arg;
        break;
    case KEY_file:
        g->file = arg;
        break;
    case KEY_chat:
        g->chat = true;
        break;
    case KEY_system:
        g->system = arg;
        break;
    case KEY_style:
        g->style = arg;
        break;
    case KEY_ids:
        free(g->m.ids);
        g->m.ids = option_ids(state, arg, &g->m.count);
        break;
    case 'n':
        g->most = (int)option_int(state, "-n", arg, 1, INT_MAX);
        break;
    case KEY_temp:
        s->temp = (float)option_real(state, "--temp", arg, 0, 100);
        break;
    case KEY_top_p:
        s->top_p = (float)option_real(state, "--top-p", arg, 1e-6, 1);
        break;
    case KEY_top_k:
        s->top_k = (int)option_int(state, "--top-k", arg, 1, INT_MAX);
        break;
    case KEY_seed:
        s->seed = (uint64_t)option_int(state, "--seed", arg, 0, INT64_MAX);
        break;
    case ARGP_KEY_ARG:
        model_argument(&g->m, arg, state);
        break;
    case ARGP_KEY_END:
        key_end(g, state);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "MODEL",
    "Continue a text with a model, a Hugging Face folder or a .gguf file. "
    "The new text goes to stdout as it comes.",
    NULL, NULL, NULL};

/* ---- one generation ---- */

typedef struct {
    Generate *g;
    const Common *common;
    Engine *engine;
    const Tokenizer *tokenizer; /* NULL: ids only */
    Decoder *decoder;           /* of what is printed as it comes, or NULL */
    Ids prompt, new;
    bool stopped; /* by Ctrl-C */
    double began, first, ended; /* seconds */
} Work;

/* Without a tokenizer the config says what ends a text. */
static bool config_ends(const Checkpoint *c, int32_t id)
{
    const cJSON *e = cJSON_GetObjectItemCaseSensitive(c->config,
                                                      "eos_token_id");
    const cJSON *one;
    if (cJSON_IsNumber(e))
        return e->valuedouble == id;
    cJSON_ArrayForEach(one, e) if (cJSON_IsNumber(one) &&
                                   one->valuedouble == id) return true;
    return false;
}

static bool is_end(const Work *w, int32_t id)
{
    return w->tokenizer ? tokenizer_is_end(w->tokenizer, id)
                        : config_ends(engine_checkpoint(w->engine), id);
}

static void put(const char *text, size_t len)
{
    fwrite(text, 1, len, stdout);
    fflush(stdout);
}

static void print_token(Work *w, int32_t id)
{
    size_t len;
    if (w->decoder) {
        const char *text = decoder_push(w->decoder, id, &len);
        put(text, len);
    } else if (!w->common->json) {
        printf("%s%d", w->new.n > 1 ? "," : "", id);
        fflush(stdout);
    }
}

/* How many new tokens the model's positions leave room for. */
static int allowed(const Work *w)
{
    int limit = engine_limit(w->engine), most = w->g->most;
    if (limit > 0 && (int64_t)w->prompt.n + most > limit) {
        most = limit - (int)w->prompt.n;
        most = most < 0 ? 0 : most;
        report_note(w->common, "the model has %d positions: %d new tokens",
                    limit, most);
    }
    return most;
}

static bool generate(Work *w, Err *err)
{
    int vocabulary = engine_vocabulary(w->engine), most = allowed(w);
    if (!engine_for(w->engine, (int64_t)w->prompt.n + most, err))
        return false;
    float *logits = xmalloc((size_t)vocabulary * sizeof *logits);
    bool fine = true;
    const int32_t *next = w->prompt.at;
    int count = (int)w->prompt.n;
    engine_expect(w->engine, (int64_t)w->prompt.n + most);
    w->began = seconds_now();
    while ((int)w->new.n < most && !(w->stopped = rt_interrupted)) {
        fine = engine_run(w->engine, next, count, logits, err);
        if (!fine)
            break;
        int32_t id = sample(&w->g->sampling, w->new.n, logits, vocabulary);
        if (w->new.n == 0)
            w->first = seconds_now();
        fine = id >= 0 || err_set(err, "%s: the logits are not numbers",
                                  engine_checkpoint(w->engine)->path);
        if (!fine)
            break;
        ids_push(&w->new, id);
        print_token(w, id);
        if (is_end(w, id))
            break;
        next = &w->new.at[w->new.n - 1], count = 1;
    }
    w->ended = seconds_now();
    free(logits);
    return fine;
}

static void print_end(Work *w)
{
    size_t len;
    if (w->decoder) {
        const char *text = decoder_finish(w->decoder, &len);
        put(text, len);
    }
    if (!w->common->json)
        putchar('\n');
    double took = w->ended - w->first;
    if (w->new.n > 1 && took > 0)
        report_note(w->common,
                    "%zu tokens: the first after %.2f s, then %.1f tokens/s",
                    w->new.n, w->first - w->began,
                    (double)(w->new.n - 1) / took);
    if (w->stopped)
        report_note(w->common, "stopped; -n says how many tokens to make");
}

/* New text goes on after the prompt's, where there is more than its first
 * token. */
static int decode_flags(const Work *w)
{
    for (size_t i = 0; i < w->prompt.n; i++)
        if (w->prompt.at[i] != tokenizer_bos(w->tokenizer))
            return DECODE_continue;
    return 0;
}

static void print_json(const Work *w)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToObject(o, "prompt_ids",
                          ids_json(w->prompt.at, w->prompt.n));
    cJSON_AddItemToObject(o, "ids", ids_json(w->new.at, w->new.n));
    if (w->tokenizer) {
        char *text = tokenizer_decode(w->tokenizer, w->new.at, w->new.n,
                                      decode_flags(w), NULL);
        cJSON_AddStringToObject(o, "text", text);
        free(text);
    } else {
        cJSON_AddNullToObject(o, "text");
    }
    report_json(o);
}

/* The prompt's text from its file; a chat's message dressed. */
static bool get_text(Work *w, Generate *g, Err *err)
{
    size_t len;
    if (g->file) {
        g->m.text = g->read = text_read(g->file, &len, err);
        if (g->read && strlen(g->read) != len)
            return err_set(err, "%s: a zero byte at offset %zu", g->file,
                           strlen(g->read));
    }
    if (!g->chat || (g->file && !g->read))
        return g->m.text || g->m.ids;
    const Tokenizer *t = engine_tokenizer(w->engine, err);
    ChatFormat *f = t ? chat_format(engine_checkpoint(w->engine), g->style,
                                    err)
                      : NULL;
    g->dressed = f ? chat_prompt(f, t, g->system, g->m.text, err) : NULL;
    chat_format_free(f);
    g->m.text = g->dressed;
    g->m.whole = true;
    return g->dressed;
}

static bool work(Work *w, Err *err)
{
    const ModelArgs *m = &w->g->m;
    w->engine = engine_open(m->model, w->common, true, err);
    if (!w->engine || !get_text(w, w->g, err) ||
        !model_prompt(w->engine, m, &w->prompt, err))
        return false;
    Err none;
    w->tokenizer = engine_tokenizer(w->engine, &none);
    if (w->tokenizer && !w->common->json)
        w->decoder = decoder_open(w->tokenizer, decode_flags(w));
    if (!generate(w, err))
        return false;
    print_end(w);
    if (w->common->json)
        print_json(w);
    return true;
}

int command_generate(int argc, char **argv)
{
    Generate g = {.most = 128};
    Common common = {.runs = true, .cuda = true};
    options_parse(&argp, argc, argv, &g, &common);
    terminal_exact();
    rt_catch_interrupts();
    Work w = {.g = &g, .common = &common};
    Err err;
    int status = work(&w, &err) ? EXIT_done : report_error(&common, &err);
    if (w.stopped)
        status = EXIT_wrong_input;
    if (w.decoder)
        decoder_close(w.decoder);
    engine_close(w.engine);
    ids_free(&w.prompt);
    ids_free(&w.new);
    free(g.m.ids);
    free(g.read);
    free(g.dressed);
    return status;
}
