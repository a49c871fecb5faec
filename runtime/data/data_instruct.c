/* A record of instruct(FILE): an instruction with its answer in a style, or
 * messages in a chat format. Answers and what ends them are learned. */
#include "runtime/data/chat.h"
#include "runtime/data/data_private.h"
#include <string.h>

/* The text under a name; false: it is there, but no text. */
static bool text_field(Load *l, const cJSON *record, const char *name,
                       const char **out)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(record, name);
    *out = NULL;
    if (!v || cJSON_IsNull(v))
        return true;
    if (!cJSON_IsString(v))
        return bad(l, "\"%.100s\" is to be a text, this is %s", name,
                   json_kind(v));
    *out = v->valuestring;
    return true;
}

static bool needed(Load *l, const char *value, const char *name)
{
    return value || bad(l, "it has no \"%.100s\"", name);
}

static bool read_fields(Load *l, const cJSON *record, Fields *f)
{
    const DataSpec *s = l->spec;
    const char *instruction = s->instruction ? s->instruction : "instruction";
    const char *output = s->output ? s->output : "output";
    if (!text_field(l, record, instruction, &f->instruction) ||
        !text_field(l, record, s->input ? s->input : "input", &f->input) ||
        !text_field(l, record, output, &f->output) ||
        !text_field(l, record, "system", &f->system))
        return false;
    if (!f->output && !s->output) {
        if (!text_field(l, record, "response", &f->output))
            return false;
        output = "output\" or \"response";
    }
    if (!f->system)
        f->system = s->system;
    return needed(l, f->instruction, instruction) &&
           needed(l, f->output, output);
}

/* A style without a place for the input has it below the instruction. */
static const char *with_input(Arena *a, const Fields *f, const char *style)
{
    return !f->input || !*f->input || strstr(style, "{input}")
               ? f->instruction
               : arena_printf(a, "%s\n\n%s", f->instruction, f->input);
}

/* ---- messages ---- */

static const char *const roles[][2] = {
    {"system", "system"}, {"user", "user"},       {"human", "user"},
    {"assistant", "assistant"}, {"gpt", "assistant"}};

static const char *role_of(const cJSON *message)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(message, "role");
    if (!v)
        v = cJSON_GetObjectItemCaseSensitive(message, "from");
    for (size_t i = 0; cJSON_IsString(v) && i < COUNT(roles); i++)
        if (!strcmp(v->valuestring, roles[i][0]))
            return roles[i][1];
    return NULL;
}

static const char *content_of(const cJSON *message)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(message, "content");
    if (!v)
        v = cJSON_GetObjectItemCaseSensitive(message, "value");
    return cJSON_IsString(v) ? v->valuestring : NULL;
}

typedef struct {
    Load *l;
    Arena arena;
    LIST(ChatTurn) turn;
    const char *system;
} Chat;

/* Turns of a user and an assistant, a system's message before them. */
static bool add_message(Chat *c, const cJSON *message, int i)
{
    const char *role = role_of(message), *text = content_of(message);
    if (!role)
        return bad(c->l, "message %d has no \"role\" of system, user, "
                         "assistant", i);
    if (!text)
        return bad(c->l, "message %d has no \"content\" that is a text", i);
    bool open = c->turn.n && !c->turn.at[c->turn.n - 1].assistant;
    if (!strcmp(role, "system")) {
        if (i > 0)
            return bad(c->l, "message %d: a system's message comes first", i);
        c->system = text;
    } else if (!strcmp(role, "user")) {
        if (open)
            return bad(c->l, "message %d: two of the user's in a row", i);
        list_push(&c->arena, &c->turn, (ChatTurn){text, NULL});
    } else if (!open) {
        return bad(c->l, "message %d: an answer to nothing", i);
    } else {
        c->turn.at[c->turn.n - 1].assistant = text;
    }
    return true;
}

/* What is said after the last answer is left away. */
static bool write_chat(Chat *c, Pieces *p)
{
    Load *l = c->l;
    if (c->turn.n && !c->turn.at[c->turn.n - 1].assistant)
        c->turn.n--;
    if (!c->turn.n)
        return bad(l, "it has no answer of an assistant");
    if (!l->use->chat)
        return bad(l, "it has messages, but the model has no chat format "
                      "that is known");
    Err why;
    ChatParts parts = {0};
    bool fine = chat_parts(l->use->chat, l->use->tokenizer, c->system,
                           c->turn.at, c->turn.n, &parts, &why);
    for (int i = 0; fine && i < parts.n; i++)
        fine = pieces_text(p, parts.at[i].text, strlen(parts.at[i].text),
                           parts.at[i].learned);
    chat_parts_free(&parts);
    return fine || *l->why || bad(l, "%.400s", why.text);
}

static bool write_messages(Load *l, const cJSON *list, Pieces *p)
{
    Chat c = {.l = l, .system = l->spec->system};
    bool fine = cJSON_IsArray(list) ||
                bad(l, "messages are to be a list, this is %s",
                    json_kind(list));
    int i = 0;
    for (const cJSON *m = fine ? list->child : NULL; fine && m; m = m->next)
        fine = add_message(&c, m, i++);
    fine = fine && write_chat(&c, p);
    arena_free(&c.arena);
    return fine;
}

/* ---- a record ---- */

static bool write_fields(Load *l, const cJSON *record, Pieces *p)
{
    const char *name = l->spec->style ? l->spec->style : "xft";
    Arena a = {0};
    Fields f = {0};
    Style style;
    Err why;
    bool fine = read_fields(l, record, &f);
    if (fine && !strcmp(name, "chat")) {
        f.instruction = with_input(&a, &f, "");
        Chat c = {.l = l, .system = f.system};
        list_push(&c.arena, &c.turn, (ChatTurn){f.instruction, f.output});
        fine = write_chat(&c, p);
        arena_free(&c.arena);
    } else if (fine && !style_find(name, &a, &style, &why)) {
        fine = bad(l, "%.400s", why.text);
    } else if (fine) {
        f.instruction = with_input(&a, &f, style.text);
        fine = style_write(p, style.text, &f);
    }
    arena_free(&a);
    return fine;
}

bool record_instruct(Load *l, const cJSON *record)
{
    const char *field = l->spec->messages ? l->spec->messages : "messages";
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(record, field);
    Pieces p = {.l = l};
    *l->why = '\0';
    bool fine = l->spec->messages && !messages
                    ? bad(l, "it has no \"%.100s\"", field)
                : messages && !l->spec->instruction
                    ? write_messages(l, messages, &p)
                    : write_fields(l, record, &p);
    if (fine && p.id.n == 0)
        fine = bad(l, "it has no tokens");
    for (size_t i = 0; fine && i < p.id.n; i++)
        if (p.id.at[i] >= l->use->vocabulary)
            fine = bad(l, "the tokenizer gives id %d, but the model has %lld",
                       p.id.at[i], (long long)l->use->vocabulary);
    if (fine)
        add_example(l, (int)p.id.n, p.id.at, p.label.at, NULL);
    pieces_free(&p);
    return fine;
}
