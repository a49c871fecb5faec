/* Chat formats: what a model's chat template puts around messages, for the
 * templates that most models have (chat.c). */
#pragma once
#include "cli/driver/driver.h"

/* The prompt for one message of a user after a system's one (NULL: none),
 * open for the model's answer; malloc'ed. The format is the one that the
 * model's chat_template has the marks of, or what the file `style` says (NULL:
 * none). NULL with err set: another template, or none. */
char *chat_prompt(const Checkpoint *c, const Tokenizer *t, const char *style,
                  const char *system, const char *user, Err *err);
