/* graft run: a recipe carried out: models loaded, transformed, trained, saved.
 */
#include "cli/cli.h"
#include "cli/train/train.h"
#include <string.h>

enum { KEY_dry = 1, KEY_restart, KEY_gradients };

typedef struct {
    RunOptions run;
    Common common;
    Arena arena;
} RunArgs;

static const struct argp_option options[] = {
    {"dry", KEY_dry, NULL, 0,
     "Say what would be done, what trains, what it takes, and stop", 1},
    {"restart", KEY_restart, NULL, 0,
     "Begin anew, whatever an earlier run has left", 1},
    {"gradients", KEY_gradients, "FILE", 0,
     "Write the first step's gradients (safetensors) and stop", 1},
    {0}};

static error_t key(int k, char *arg, struct argp_state *state)
{
    RunArgs *r = state->input;
    switch (k) {
    case KEY_dry:
        r->run.dry = true;
        break;
    case KEY_restart:
        r->run.restart = true;
        break;
    case KEY_gradients:
        r->run.gradients = arg;
        break;
    case ARGP_KEY_ARG:
        if (!r->run.recipe)
            r->run.recipe = arg;
        else
            args_add(&r->run.arg, &r->arena, "a parameter", arg, state);
        break;
    case ARGP_KEY_END:
        if (!r->run.recipe)
            argp_error(state, "needs a recipe");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "RECIPE [name=value...]",
    "Carry out a recipe of the library or FILE.graft:NAME: load models, "
    "transform, train, merge and save them, as in `graft run xft base=DIR "
    "data=FILE out=DIR`. Beside what it saves, OUT.run has the log, a report "
    "and checkpoints; the same command goes on where a run was stopped.\v"
    "Options of `train` in a recipe:\n"
#define OPTION(name, kind, least, most, number, words, word, what) \
    "  " #name ": " what "\n"
#include "compiler/check/train.def"
#undef OPTION
    "  after step T(..): a transform between the optimizer's steps",
    NULL, NULL, NULL};

int command_run(int argc, char **argv)
{
    RunArgs r = {.common.runs = true};
    options_parse(&argp, argc, argv, &r, &r.common);
    r.run.common = &r.common;
    rt_catch_interrupts();
    Err err;
    bool fine = recipe_run(&r.run, &err);
    if (!fine)
        report_error(&r.common, &err);
    arena_free(&r.arena);
    return fine ? EXIT_done : EXIT_wrong_input;
}
