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

/* What a model has besides its logits: the losses and stats of its modules. */
typedef struct {
    const char *name; /* "loss.balance", "stat.layer.ffn.usage" */
    int64_t count;    /* numbers */
    int64_t rows;     /* passes of a repeated layer; 0: it is of no layer */
    const int *layer; /* which ones */
    double *at; /* of the last engine_run */
} Effect;
/* The same with the model's losses, and with its stats if `stats`; logits are
 * of all tokens. A sequence must then be run at once: they are of the tokens
 * that one engine_run has. */
Engine *engine_open_effects(const char *path, const Common *common, bool stats,
                            Err *err);
/* The same with what its routing chooses, and nothing else (passes.h). */
Engine *engine_open_routing(const char *path, const Common *common, Err *err);
int engine_effects(const Engine *e, const Effect **out);
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
/* The sequence will be of so many tokens, a step each: makes room for them, if
 * there is; says so where each step computes all of them. */
void engine_expect(Engine *e, int64_t tokens);
/* Before anything is run: makes the model anew if its rope is another one for
 * texts of so many tokens. False with err set; engine_close in any case. */
bool engine_for(Engine *e, int64_t tokens, Err *err);
