/* Chat formats: what a model's chat template puts around messages, for the
 * templates that most models have (chat.c). */
#pragma once
#include "runtime/files/files.h"
#include "runtime/tokens/tokens.h"

/* The format that the model's chat_template has the marks of, or what the file
 * `style` says (NULL: none). NULL with err set: another template, or none. */
typedef struct ChatFormat ChatFormat;
ChatFormat *chat_format(const Checkpoint *c, const char *style, Err *err);
void chat_format_free(ChatFormat *f); /* NULL is fine */
uint64_t chat_format_hash(const ChatFormat *f);

/* The prompt for one message of a user after a system's one (NULL: none),
 * open for the model's answer; malloc'ed. NULL with err set: the format has no
 * system's message. */
char *chat_prompt(const ChatFormat *f, const Tokenizer *t, const char *system,
                  const char *user, Err *err);

/* A conversation in pieces, for training: each is tokenised for itself. */
typedef struct {
    const char *user, *assistant;
} ChatTurn;
typedef struct {
    char *text; /* malloc'ed */
    bool learned; /* an answer with what ends it */
} ChatPart;
typedef struct {
    ChatPart *at;
    int n;
} ChatParts;
bool chat_parts(const ChatFormat *f, const Tokenizer *t, const char *system,
                const ChatTurn *turn, int turns, ChatParts *out, Err *err);
void chat_parts_free(ChatParts *p);
