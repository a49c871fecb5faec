/* What a chat template puts around messages. Templates are programs; the ones
 * in use are few, and told apart by the marks that their texts have. A style
 * file has the same parts as a row here: a JSON object with the strings
 * "system", "user" and "open", in which {} stands for the message and {bos}
 * and {eos} for these tokens. */
#include "runtime/data/chat.h"
#include <string.h>

typedef struct {
    const char *name;
    const char *mark[3], *not; /* the template has all of these, not that */
    const char *system;        /* NULL: it stands before the user's words */
    const char *joined;        /* then: a system's message and a user's */
    const char *user, *open;
    bool trims; /* blanks around a message go */
    const char *answer, *after; /* learned with the answer's end; then */
    bool begins; /* each turn begins with {bos}, not the first alone */
} Format;

struct ChatFormat {
    Format f;
    const char *system; /* the model's own, where none is given; or NULL */
    cJSON *root;        /* of a style file; or NULL */
    Arena arena;
};

#define HEAD(who) "<|start_header_id|>" who "<|end_header_id|>\n\n"
#define ROLE(who) "<|start_of_role|>" who "<|end_of_role|>"
#define USER "<｜User｜>"
#define ASSISTANT "<｜Assistant｜>"
#define TURN(who) "<|START_OF_TURN_TOKEN|><|" who "_TOKEN|>"

/* In this order: earlier rows are the more particular ones. */
static const Format formats[] = {
    {"chatml", {"<|im_start|>", "<|im_end|>"}, NULL,
     "<|im_start|>system\n{}<|im_end|>\n", NULL,
     "<|im_start|>user\n{}<|im_end|>\n", "<|im_start|>assistant\n", false,
     "{}<|im_end|>", "\n", false},
    {"llama3", {"<|start_header_id|>", "<|eot_id|>"}, "Cutting Knowledge Date",
     NULL, "{bos}" HEAD("system") "{}<|eot_id|>" HEAD("user") "{}<|eot_id|>",
     "{bos}" HEAD("user") "{}<|eot_id|>", HEAD("assistant"), true,
     "{}<|eot_id|>", "", false},
    {"llama2", {"[INST]", "<<SYS>>"}, NULL, NULL,
     "{bos}[INST] <<SYS>>\n{}\n<</SYS>>\n\n{} [/INST]",
     "{bos}[INST] {} [/INST]", "", true,
     " {} {eos}", "", true},
    {"mistral-v1", {"'[INST] '", "' [/INST]'"}, NULL, NULL, NULL,
     "{bos}[INST] {} [/INST]", "", false,
     " {}{eos}", "", false},
    {"mistral-v3", {"\"[INST] \"", "\"[/INST]\""}, NULL, NULL,
     "{bos}[INST] {}\n\n{}[/INST]", "{bos}[INST] {}[/INST]", "", false,
     " {}{eos}", "", false},
    {"mistral-nemo", {"\"[INST]\"", "\"[/INST]\""}, NULL, NULL,
     "{bos}[INST]{}\n\n{}[/INST]", "{bos}[INST]{}[/INST]", "", false,
     "{}{eos}", "", false},
    {"deepseek-r1", {USER, ASSISTANT "<think>\\n"}, NULL, NULL,
     "{bos}{}" USER "{}", "{bos}" USER "{}", ASSISTANT "<think>\n", false,
     "{}{eos}", "", false},
    {"deepseek-v3", {USER, ASSISTANT}, "<think>", NULL,
     "{bos}{}" USER "{}", "{bos}" USER "{}", ASSISTANT, false,
     "{}{eos}", "", false},
    {"gemma", {"<start_of_turn>", "<end_of_turn>"}, NULL, NULL, NULL,
     "{bos}<start_of_turn>user\n{}<end_of_turn>\n", "<start_of_turn>model\n",
     true,
     "{}<end_of_turn>", "\n", false},
    {"glm4", {"[gMASK]<sop>", "<|user|>\\n"}, "<|assistant|>\\n",
     "<|system|>\n{}", NULL, "<|user|>\n{}", "<|assistant|>", false,
     "\n{}", "", false},
    {"phi3", {"<|user|>", "<|end|>", "<|assistant|>"}, "eos_token +",
     "<|system|>\n{}<|end|>\n", NULL, "<|user|>\n{}<|end|>\n",
     "<|assistant|>\n", false,
     "{}<|end|>", "\n", false},
    {"zephyr", {"<|user|>\\n", "eos_token", "<|assistant|>"}, "<|end|>",
     "<|system|>\n{}{eos}\n", NULL, "<|user|>\n{}{eos}\n", "<|assistant|>\n",
     false,
     "{}{eos}", "\n", false},
    {"granite", {"<|start_of_role|>", "<|end_of_role|>"}, "Knowledge Cutoff",
     ROLE("system") "{}<|end_of_text|>\n", NULL,
     ROLE("user") "{}<|end_of_text|>\n", ROLE("assistant"), false,
     "{}<|end_of_text|>", "\n", false},
    {"command-r", {"<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>"},
     "default_system_message", NULL,
     "{bos}" TURN("SYSTEM") "{}<|END_OF_TURN_TOKEN|>" TURN("USER")
     "{}<|END_OF_TURN_TOKEN|>",
     "{bos}" TURN("USER") "{}<|END_OF_TURN_TOKEN|>", TURN("CHATBOT"), true,
     "{}<|END_OF_TURN_TOKEN|>", "", false},
};

/* A growing text; `left` and `right` are the tokens {bos}, {eos}. */
typedef struct {
    FILE *out;
    const char *bos, *eos;
    bool trims;
} Put;

static void put_message(Put *p, const char *text)
{
    size_t len = strlen(text);
    static const char blank[] = " \t\n\r\v\f";
    if (p->trims) {
        size_t skip = strspn(text, blank);
        for (text += skip, len -= skip; len && strchr(blank, text[len - 1]);)
            len--;
    }
    fwrite(text, 1, len, p->out);
}

/* Writes a part, the messages in order for its {}s. */
static void put_part(Put *p, const char *part, const char *first,
                     const char *second)
{
    for (const char *s = part; *s;) {
        if (!strncmp(s, "{}", 2)) {
            put_message(p, first ? first : "");
            first = second, s += 2;
        } else if (!strncmp(s, "{bos}", 5)) {
            fputs(p->bos, p->out), s += 5;
        } else if (!strncmp(s, "{eos}", 5)) {
            fputs(p->eos, p->out), s += 5;
        } else {
            fputc(*s++, p->out);
        }
    }
}

static bool has_marks(const Format *s, const char *text)
{
    for (int i = 0; i < 3 && s->mark[i]; i++)
        if (!strstr(text, s->mark[i]))
            return false;
    return !s->not || !strstr(text, s->not);
}

/* ---- where the template is ---- */

/* chat_template of tokenizer_config.json: a text, or a list of named ones of
 * which "default" counts. */
static const char *of_config(const cJSON *config)
{
    const cJSON *t = cJSON_GetObjectItemCaseSensitive(config, "chat_template");
    const cJSON *one;
    cJSON_ArrayForEach(one, t)
    {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(one, "name");
        if (cJSON_IsString(name) && !strcmp(name->valuestring, "default"))
            t = cJSON_GetObjectItemCaseSensitive(one, "template");
    }
    return cJSON_IsString(t) ? t->valuestring : NULL;
}

/* The template's text in the arena; NULL with err set where there is none. */
static const char *template_of(const Checkpoint *c, Arena *a, Err *err)
{
    size_t len;
    Err none;
    const char *found = NULL;
    const char *path = checkpoint_other(c, "chat_template.jinja");
    char *text = path ? read_file(path, &len, &none) : NULL;
    TokenizerFiles files = {0};
    if (text) {
        found = arena_strn(a, text, len);
    } else if (c->gguf) {
        if (tokenizer_files_gguf(c->gguf, c->path, &files, &none))
            text = files.config, files.config = NULL;
    } else if ((path = checkpoint_other(c, "tokenizer_config.json"))) {
        text = read_file(path, &len, &none);
    }
    cJSON *config = text && !found ? cJSON_Parse(text) : NULL;
    if (config && of_config(config))
        found = arena_printf(a, "%s", of_config(config));
    cJSON_Delete(config);
    tokenizer_files_free(&files);
    free(text);
    if (!found)
        err_set(err, "%s: it has no chat template; --style FILE says what to "
                     "put around messages", c->path);
    return found;
}

/* ---- formats ---- */

/* ChatML templates may begin with a system's message of their own, where none
 * is given: the words between its marks, in the template's text. */
static const char *own_system(Arena *a, const char *text)
{
    static const char begin[] = "<|im_start|>system\\n";
    const char *at = text;
    while ((at = strstr(at, begin))) {
        at += strlen(begin);
        const char *end = strstr(at, "<|im_end|>");
        size_t len = end ? (size_t)(end - at) : 0;
        if (len && !memchr(at, '\'', len) && !memchr(at, '{', len) &&
            !memchr(at, '"', len) && !memchr(at, '\\', len))
            return arena_strn(a, at, len);
    }
    return NULL;
}

static bool find_format(const Checkpoint *c, ChatFormat *out, Err *err)
{
    const char *text = template_of(c, &out->arena, err);
    if (!text)
        return false;
    for (size_t i = 0; i < COUNT(formats); i++)
        if (has_marks(&formats[i], text)) {
            out->f = formats[i];
            if (i == 0)
                out->system = own_system(&out->arena, text);
            return true;
        }
    char known[300] = "";
    for (size_t i = 0; i < COUNT(formats); i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s",
                 i ? ", " : "", formats[i].name);
    return err_set(err, "%s: its chat template is none of %s; --style FILE "
                        "says what to put around messages", c->path, known);
}

static bool part(const cJSON *o, const char *name, const char **out)
{
    const cJSON *s = cJSON_GetObjectItemCaseSensitive(o, name);
    if (cJSON_IsString(s))
        *out = s->valuestring;
    return cJSON_IsString(s);
}

static bool read_style(const char *path, ChatFormat *out, Err *err)
{
    size_t len;
    char *text = read_file(path, &len, err);
    if (!text)
        return false;
    out->root = cJSON_Parse(text);
    free(text);
    Format *f = &out->f;
    *f = (Format){.name = path, .answer = "{}{eos}", .after = ""};
    bool fine = part(out->root, "user", &f->user);
    fine = part(out->root, "open", &f->open) && fine;
    part(out->root, "system", &f->system);
    part(out->root, "answer", &f->answer);
    return fine || err_set(err, "%s: a JSON object with the strings user and "
                                "open, and system and answer where it has "
                                "them, is needed", path);
}

ChatFormat *chat_format(const Checkpoint *c, const char *style, Err *err)
{
    ChatFormat *f = xmalloc(sizeof *f);
    *f = (ChatFormat){0};
    if (style ? read_style(style, f, err) : find_format(c, f, err))
        return f;
    chat_format_free(f);
    return NULL;
}

void chat_format_free(ChatFormat *f)
{
    if (!f)
        return;
    cJSON_Delete(f->root);
    arena_free(&f->arena);
    free(f);
}

uint64_t chat_format_hash(const ChatFormat *f)
{
    const char *const all[] = {f->f.name, f->f.system, f->f.joined, f->f.user,
                               f->f.open, f->f.answer, f->f.after, f->system};
    uint64_t h = 0;
    for (size_t i = 0; i < COUNT(all); i++)
        h = hash_bytes(h, all[i] ? all[i] : "-",
                       all[i] ? strlen(all[i]) + 1 : 1);
    return h;
}

/* ---- conversations ---- */

static const char *token_text(const Tokenizer *t, int32_t id)
{
    const char *text = tokenizer_text(t, id);
    return text ? text : "";
}

static void put_user(Put *p, const Format *s, const char *system,
                     const char *user)
{
    if (system && s->system)
        put_part(p, s->system, system, NULL);
    if (system && s->joined)
        put_part(p, s->joined, system, user);
    else
        put_part(p, s->user, user, NULL);
    put_part(p, s->open, NULL, NULL);
}

static Put put_begin(const ChatFormat *f, const Tokenizer *t, char **made,
                     size_t *len, bool first)
{
    bool bos = first || f->f.begins;
    Put p = {open_memstream(made, len),
             bos ? token_text(t, tokenizer_bos(t)) : "",
             token_text(t, tokenizer_eos(t)), f->f.trims};
    if (!p.out)
        die("out of memory");
    return p;
}

static void put_end(const Put *p)
{
    if (fclose(p->out))
        die("out of memory");
}

/* The system's message as it is to be, or an error. */
static bool system_of(const ChatFormat *f, const char **system, Err *err)
{
    if (!*system)
        *system = f->system;
    return !*system || f->f.system || f->f.joined ||
           err_set(err, "the chat format %s has no system's message",
                   f->f.name);
}

char *chat_prompt(const ChatFormat *f, const Tokenizer *t, const char *system,
                  const char *user, Err *err)
{
    char *made = NULL;
    size_t len;
    if (!system_of(f, &system, err))
        return NULL;
    Put p = put_begin(f, t, &made, &len, true);
    put_user(&p, &f->f, system, user);
    put_end(&p);
    return made;
}

static void add_part(ChatParts *to, char *text, bool learned)
{
    to->at = xrealloc(to->at, (size_t)(to->n + 1) * sizeof *to->at);
    to->at[to->n++] = (ChatPart){text, learned};
}

/* A prompt is what is behind the last answer, too. */
static void put_turn(const ChatFormat *f, const Tokenizer *t,
                     const char *system, const ChatTurn *turn, bool first,
                     ChatParts *out)
{
    char *prompt = NULL, *answer = NULL;
    size_t len;
    Put p = put_begin(f, t, &prompt, &len, first);
    if (!first)
        put_part(&p, f->f.after, NULL, NULL);
    put_user(&p, &f->f, first ? system : NULL, turn->user);
    put_end(&p);
    p = put_begin(f, t, &answer, &len, first);
    put_part(&p, f->f.answer, turn->assistant, NULL);
    put_end(&p);
    add_part(out, prompt, false);
    add_part(out, answer, true);
}

bool chat_parts(const ChatFormat *f, const Tokenizer *t, const char *system,
                const ChatTurn *turn, int turns, ChatParts *out, Err *err)
{
    if (!system_of(f, &system, err))
        return false;
    for (int i = 0; i < turns; i++)
        put_turn(f, t, system, &turn[i], i == 0, out);
    return true;
}

void chat_parts_free(ChatParts *p)
{
    for (int i = 0; i < p->n; i++)
        free(p->at[i].text);
    free(p->at);
    *p = (ChatParts){0};
}
