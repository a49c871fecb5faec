/* The mean loss of a model, in nats a token (score.c). */
#pragma once
#include "cli/driver/engine.h"

typedef struct {
    int64_t tokens;      /* predicted */
    double sum, squares; /* nats, their squares */
    bool stopped;        /* by an interrupt: of what it had by then */
    /* After each run of so many tokens; may be NULL. */
    void (*ran)(void *user, const Engine *e, int tokens);
    void *user;
} Score;

/* Of a text in windows of `length` tokens, of which all but the first are
 * predicted. False with err set. */
bool score_ids(Engine *e, const Common *common, const Ids *ids, int length,
               Score *s, Err *err);
/* Of n examples, those `at` (NULL: the first n): the tokens that have a label.
 */
bool score_examples(Engine *e, const Common *common, const Data *d,
                    const int *at, int n, Score *s, Err *err);
double score_mean(const Score *s);
/* The standard error of the mean, tokens taken as independent; NAN of one. */
double score_error(const Score *s);
