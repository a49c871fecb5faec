/* A model that runs: its checkpoint, its tokenizer, its step compiled or
 * interpreted, and one sequence in flight (engine.c). */
#pragma once
#include "cli/common/common.h"
#include "compiler/graph/graph.h"
#include "runtime/runtime.h"

typedef struct Engine Engine;

/* Opens the model and makes it ready, as the common flags say. last_only:
 * engine_run gives the logits of the last token alone. NULL with err set. */
Engine *engine_open(const char *path, const Common *common, bool last_only,
                    Err *err);
void engine_close(Engine *e); /* NULL is fine */

const Checkpoint *engine_checkpoint(const Engine *e);
/* NULL with err set: the model has none, or it is wrong. */
const Tokenizer *engine_tokenizer(Engine *e, Err *err);
int engine_vocabulary(const Engine *e); /* logits a token */
int engine_limit(const Engine *e);      /* positions; 0: no limit known */

/* Appends n tokens to the sequence; logits are of all of them, [n, V], or of
 * the last alone, [V]. */
bool engine_run(Engine *e, const int32_t *ids, int n, float *logits, Err *err);
void engine_restart(Engine *e); /* the sequence is empty again */
/* The sequence will be of so many tokens: makes room for them, if there is. */
void engine_expect(Engine *e, int64_t tokens);
