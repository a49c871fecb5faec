/* graft tokens: a text's token ids and pieces, and back. */
#include "cli/model_args.h"
#include <string.h>

enum { KEY_ids = 1, KEY_file, KEY_lines, KEY_no_bos };

typedef struct {
    ModelArgs m;
    const char *file;
    bool lines;
    int flags;
} Tokens;

static const struct argp_option options[] = {
    {"prompt", 'p', "TEXT", 0, "The text", 1},
    {"file", KEY_file, "FILE", 0, "The text is in this file; - is stdin", 1},
    {"ids", KEY_ids, "1,2,3", 0, "Token ids, to be made a text", 1},
    {"lines", KEY_lines, 0, 0,
     "Each line of FILE is a JSON string, a text of its own; a line of ids "
     "for each",
     1},
    {"no-bos", KEY_no_bos, 0, 0,
     "Leave out what the tokenizer begins a text with", 1},
    {0}};

static void key_end(const Tokens *t, struct argp_state *state)
{
    int given = (t->m.text != NULL) + (t->file != NULL) + (t->m.ids != NULL);
    model_required(&t->m, state);
    if (given != 1)
        argp_error(state, "needs one of -p TEXT, --file FILE, --ids 1,2,3");
    if (t->lines && !t->file)
        argp_error(state, "--lines needs --file FILE");
}

static error_t key(int k, char *arg, struct argp_state *state)
{
    Tokens *t = state->input;
    switch (k) {
    case 'p':
        t->m.text = arg;
        break;
    case KEY_file:
        t->file = arg;
        break;
    case KEY_ids:
        free(t->m.ids);
        t->m.ids = option_ids(state, arg, &t->m.count);
        break;
    case KEY_lines:
        t->lines = true;
        break;
    case KEY_no_bos:
        t->flags = ENCODE_special;
        break;
    case ARGP_KEY_ARG:
        model_argument(&t->m, arg, state);
        break;
    case ARGP_KEY_END:
        key_end(t, state);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "MODEL|tokenizer.json",
    "Print a text's token ids and their pieces as the tokenizer writes them, "
    "or the text of ids. The text is taken as it stands: special tokens are "
    "recognised, and it begins with what the tokenizer begins a text with.",
    NULL, NULL, NULL};

static Tokenizer *open_any(const char *path, const char *base, Err *err)
{
    size_t len = strlen(path);
    if (len > 5 && !strcmp(path + len - 5, ".json"))
        return tokenizer_open_json(path, err);
    Checkpoint *c = checkpoint_open_on(path, base, err);
    Tokenizer *t = c ? tokenizer_open(c, err) : NULL;
    checkpoint_close(c);
    return t;
}

static cJSON *pieces_json(const Tokenizer *t, const Ids *ids)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < ids->n; i++) {
        const char *piece = tokenizer_text(t, ids->at[i]);
        cJSON_AddItemToArray(list, cJSON_CreateString(piece ? piece : ""));
    }
    return list;
}

/* One token a line: its id, a tab, its piece as JSON has it. */
static void print_pieces(const Tokenizer *t, const Ids *ids)
{
    for (size_t i = 0; i < ids->n; i++) {
        cJSON *s = cJSON_CreateString(tokenizer_text(t, ids->at[i]));
        char *text = cJSON_PrintUnformatted(s);
        printf("%d\t%s\n", ids->at[i], text ? text : "");
        cJSON_free(text);
        cJSON_Delete(s);
    }
}

static void say(const Common *common, const Tokenizer *t, const Ids *ids,
                const char *text)
{
    if (!common->json) {
        terminal_exact();
        if (text)
            puts(text);
        else
            print_pieces(t, ids);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToObject(o, "ids", ids_json(ids->at, ids->n));
    cJSON_AddItemToObject(o, "pieces", pieces_json(t, ids));
    if (text)
        cJSON_AddStringToObject(o, "text", text);
    report_json(o);
}

static bool one_line(const Tokens *a, const Tokenizer *t, const char *line,
                     int number, Err *err)
{
    Ids ids = {0};
    cJSON *s = cJSON_Parse(line);
    bool fine = cJSON_IsString(s) ||
                err_set(err, "%s:%d: a JSON string is needed", a->file, number);
    fine = fine && tokenizer_encode(t, s->valuestring, strlen(s->valuestring),
                                    a->flags, &ids, err);
    for (size_t i = 0; fine && i < ids.n; i++)
        printf("%s%d", i ? " " : "", ids.at[i]);
    if (fine)
        putchar('\n');
    ids_free(&ids);
    cJSON_Delete(s);
    return fine;
}

static bool each_line(const Tokens *a, const Tokenizer *t, char *text, Err *err)
{
    int number = 1;
    for (char *line = text, *end; *line; line = end, number++) {
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = 0;
        if (!one_line(a, t, line, number, err))
            return false;
    }
    return true;
}

static bool back(const Tokens *a, const Common *common, const Tokenizer *t,
                 Err *err)
{
    Ids ids = {a->m.ids, (size_t)a->m.count, 0};
    for (size_t i = 0; i < ids.n; i++)
        if (!tokenizer_text(t, ids.at[i]))
            return err_set(err, "%s: no token %d", a->m.model, ids.at[i]);
    char *text = tokenizer_decode(t, ids.at, ids.n, DECODE_special, NULL);
    say(common, t, &ids, text);
    free(text);
    return true;
}

static bool forth(const Tokens *a, const Common *common, const Tokenizer *t,
                  Err *err)
{
    size_t len = a->file ? 0 : strlen(a->m.text);
    char *text = a->file ? text_read(a->file, &len, err) : NULL;
    if (a->file && !text)
        return false;
    Ids ids = {0};
    bool fine = a->lines ? each_line(a, t, text, err)
                         : tokenizer_encode(t, text ? text : a->m.text, len,
                                            a->flags, &ids, err);
    if (fine && !a->lines)
        say(common, t, &ids, NULL);
    ids_free(&ids);
    free(text);
    return fine;
}

int command_tokens(int argc, char **argv)
{
    Tokens a = {.flags = ENCODE_prompt};
    Common common = {0};
    options_parse(&argp, argc, argv, &a, &common);
    rt_catch_interrupts();
    Err err;
    Tokenizer *t = open_any(a.m.model, common.base, &err);
    bool fine = t && (a.m.ids ? back(&a, &common, t, &err)
                              : forth(&a, &common, t, &err));
    tokenizer_close(t);
    free(a.m.ids);
    return fine ? EXIT_done : report_error(&common, &err);
}
