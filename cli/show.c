/* graft show: a spec or a model at one stage, as text. */
#include "cli/cli.h"
#include "dsl/dsl.h"
#include <string.h>

typedef struct {
    const char *stage, *what;
} Show;

typedef struct {
    const char *name;
    int (*print)(const Show *s, const Common *c);
} Stage;

static int show_ast(const Show *s, const Common *c)
{
    Arena arena = {0};
    Diags diags = {0};
    Source src;
    Err err;
    int status = EXIT_wrong_input;
    if (!source_read(&arena, s->what, &diags, &src, &err)) {
        report_error(c, &err);
    } else {
        Ast *tree = dsl_parse(&arena, &src);
        dsl_print(tree, stdout);
        status = diags.errors > 0 ? EXIT_wrong_input : EXIT_done;
    }
    diags_free(&diags);
    arena_free(&arena);
    return status;
}

static const Stage stages[] = {
    {"ast", show_ast},
};

static const struct argp_option options[] = {
    {"stage", 's', "STAGE", 0, "Which stage: ast", 1},
    {0}};

static const Stage *find(struct argp_state *state, const char *name)
{
    const char *names[COUNT(stages)];
    for (size_t i = 0; i < COUNT(stages); i++)
        names[i] = stages[i].name;
    return &stages[option_word(state, "stage", name, names, COUNT(names))];
}

static error_t key(int k, char *arg, struct argp_state *state)
{
    Show *s = state->input;
    switch (k) {
    case 's':
        s->stage = find(state, arg)->name;
        break;
    case ARGP_KEY_ARG:
        if (s->what)
            argp_error(state, "takes one file, got `%s` too", arg);
        s->what = arg;
        break;
    case ARGP_KEY_END:
        if (!s->what)
            argp_error(state, "needs a .graft file or a model");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "FILE|MODEL",
    "Print a .graft file or a model at one stage, as text.",
    NULL, NULL, NULL};

int command_show(int argc, char **argv)
{
    Show s = {.stage = "ast"};
    Common common = {0};
    options_parse(&argp, argc, argv, &s, &common);
    for (size_t i = 0; i < COUNT(stages); i++)
        if (!strcmp(stages[i].name, s.stage))
            return stages[i].print(&s, &common);
    BUG("show: stage %s is not in the table", s.stage);
}
