/* Options of `train`, as a recipe gives them. */
#pragma once
#include "dsl/dsl.h"

typedef enum {
#define OPTION(name, ...) TRAIN_##name,
#include "compiler/check/train.def"
#undef OPTION
    TRAIN_OPTIONS
} TrainOption;

typedef struct {
    bool given;
    double number;     /* NAN: known when the recipe runs */
    const char *word;  /* of the row's words; or NULL */
    bool nearest;      /* `weights bf16 nearest` */
    const Ast *at;     /* the option, where it is given */
} TrainValue;

typedef struct {
    const char *name, *what, *words;
    double number;
    const char *word;
} TrainInfo;
extern const TrainInfo train_info[TRAIN_OPTIONS];

/* A name that stands for a number: false where it does not (reported). NAN: it
 * is known when the recipe runs. */
typedef bool TrainNumber(void *user, const Ast *name, double *out);
/* Reads the options of t (AST_train), defaults where there is none. False:
 * mistakes were reported. */
bool train_options(const Ast *t, TrainNumber *number, void *user,
                   TrainValue out[TRAIN_OPTIONS]);
