/* Private to the room: values of a recipe while it is checked. */
#pragma once
#include "compiler/check/attempt.h"

typedef enum {
    R_error,
    R_model,
    R_data,
    R_text,
    R_number,
    R_list,
    R_truth
} Kind;
extern const char *const recipe_kind_name[];

typedef struct {
    Kind kind;
    Model *model; /* also of a list's elements */
    bool folder;  /* it is as loaded: the folder may have a text of its own */
} RVal;

typedef struct {
    Spec *spec;
    bool runs; /* what a folder has will be seen */
    LIST(struct RName {
        const char *name;
        RVal value;
    }) name;
} Recipe;

RVal recipe_value(Recipe *r, const Ast *e);
/* The value if it is of that kind, else R_error after a message. */
RVal recipe_wanted(Recipe *r, const Ast *e, Kind kind, const char *what);
/* Arguments of a transform behind the model it is applied to. */
bool recipe_arg(Recipe *r, const Ast *def, const Ast *a, Arg *out, int *n);
void recipe_train(Recipe *r, const Ast *t); /* recipe_train.c */
