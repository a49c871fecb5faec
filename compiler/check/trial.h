/* Private to the room: claims tried on instances with numbers for all that is
 * unknown, made and changed as `apply` would. */
#pragma once
#include "compiler/check/attempt.h"
#include "compiler/interp/interp.h"

enum { /* what a parameter is used as; several may hold */
    ROLE_number = 1,
    ROLE_size = 2,
    ROLE_truth = 4,
    ROLE_text = 8,
    ROLE_none = 16,
    ROLE_list = 32,
    ROLE_base = 64,
    ROLE_window = 128,
    ROLE_scaling = 256,
    ROLE_share = 512,
};
unsigned role_in(Roles *all, const Ast *def, const char *name);

/* How the values of one trial are drawn. */
typedef enum {
    STYLE_defaults, STYLE_plain, STYLE_ones, STYLE_equal, STYLE_zero,
    STYLE_negative, STYLE_large, STYLE_any, STYLE_COUNT
} Style;

typedef struct {
    Spec *spec;
    Roles *roles;
    Arena *arena; /* of the one trial */
    Style style;
    uint64_t seed, drawn;
    double common; /* STYLE_equal: of all sizes */
    double number[16]; /* numbers that the text names: bounds are among them */
    int nnumber;
    const char *said; /* "D = 2, E = 3": what was drawn */
} Draws;

void draws_start(Draws *d, Judge *j, Arena *a, Style style, uint64_t seed);
/* Numbers that stand in a definition. */
void draws_numbers(Draws *d, const Ast *e);
double draw_uniform(Draws *d);
/* A value for the parameter of a definition; `standard`: its default, or
 * NULL. */
Val draw_value(Draws *d, const Ast *def, const char *name,
               const Val *standard);
/* A module, or a whole model, of drawn sizes; NULL: the sizes drawn fit
 * nothing. */
Model *draw_module(Draws *d, const Ast *def, const char *name);
Model *draw_model(Draws *d, const Ast *def);
/* The parameters of a transform, as `apply` takes them; how many. */
int draw_args(Draws *d, const Ast *def, Arg *arg);

typedef struct {
    int ran, wholes; /* instances; of them whole models */
    double diff;          /* the largest: max |a - b| / max |b| */
    const char *instance; /* of the largest */
    const char *what;     /* "0 / 0": what is not defined there; or NULL */
    bool whole;           /* it is of a whole model's outputs */
} Tried;

/* undefined.c: an element that is no number, or 0; "0 / 0" */
typedef bool RunGraph(void *user, Graph *g, Arena *a, Tensor **out);
double tensor_bad(const Tensor *t);
const char *undefined_text(const Graph *g, RunGraph *run, void *user);
/* cases.c: is there a layer for which the conditions met are so (bit i of
 * `truth`: the i-th does not hold)? */
bool case_possible(const Model *m, unsigned truth);
/* claims.c: what instances with numbers say has the last word; how often they
 * are to be tried. */
void settle(Judge *j, const Ast *def, Proof *p, Tried t);
int trials_for(const Proof *p, const Ast *claimed);

/* trial.c; `times`: how often each style is drawn */
Tried try_transform(Judge *j, const Ast *def, const Ast *pattern, int times);
Tried try_prove(Judge *j, const Ast *claim, const char *var, const Ast *model,
                int times);
