/* graft show: a spec or a model at one stage, as text. */
#include "cli/loaded.h"
#include "dsl/dsl.h"
#include <string.h>

typedef struct Show Show;
struct Show {
    const struct Stage *stage; /* NULL: the first that fits */
    const char *what;
    Common common;
};

typedef struct Stage {
    const char *name;
    bool of_spec; /* of a .graft file, else of a model */
    bool (*print)(const Show *s, Loaded *l, Err *err);
} Stage;

static bool show_model(const Show *s, Loaded *l, Err *err)
{
    (void)s, (void)err;
    model_print(l->model, stdout);
    return true;
}

static bool show_graph(const Show *s, Loaded *l, Err *err)
{
    (void)s, (void)err;
    ir_print(model_graph(l->model, &l->arena), stdout);
    return true;
}

static bool show_program(const Show *s, Loaded *l, ProgramText text, Err *err)
{
    const CpuOptions o = {.threads = s->common.threads, .keep_text = true};
    Program *p = cpu_compile(model_graph(l->model, &l->arena), &o, err);
    bool fine = p && (program_print(p, text, stdout) ||
                      err_set(err, "%s: nothing to show", s->what));
    if (p)
        program_free(p);
    return fine;
}

static bool show_kernels(const Show *s, Loaded *l, Err *err)
{
    return show_program(s, l, TEXT_kernels, err);
}

static bool show_llvm(const Show *s, Loaded *l, Err *err)
{
    return show_program(s, l, TEXT_llvm, err);
}

static bool show_llvm_opt(const Show *s, Loaded *l, Err *err)
{
    return show_program(s, l, TEXT_llvm_opt, err);
}

static bool show_asm(const Show *s, Loaded *l, Err *err)
{
    return show_program(s, l, TEXT_asm, err);
}

static const Stage stages[] = {
    {"ast", true, NULL},
    {"model", false, show_model},
    {"graph", false, show_graph},
    {"kernels", false, show_kernels},
    {"llvm", false, show_llvm},
    {"llvm-opt", false, show_llvm_opt},
    {"asm", false, show_asm},
};

static const struct argp_option options[] = {
    {"stage", 's', "STAGE", 0,
     "ast, of a .graft file; of a model: model, graph, kernels, llvm, "
     "llvm-opt, asm (ast or model)",
     1},
    {0}};

static const Stage *find(struct argp_state *state, const char *name)
{
    const char *names[COUNT(stages)];
    for (size_t i = 0; i < COUNT(stages); i++)
        names[i] = stages[i].name;
    return &stages[option_word(state, "stage", name, names, COUNT(names))];
}

static bool is_spec(const char *path)
{
    size_t len = strlen(path);
    return !strcmp(path, "-") ||
           (len > 6 && !strcmp(path + len - 6, ".graft"));
}

static void key_end(Show *s, struct argp_state *state)
{
    if (!s->what)
        argp_error(state, "needs a .graft file or a model");
    bool spec = is_spec(s->what);
    if (!s->stage)
        s->stage = spec ? &stages[0] : &stages[1];
    if (s->stage->of_spec && !spec)
        argp_error(state, "stage %s is of a .graft file, not of a model",
                   s->stage->name);
    if (!s->stage->of_spec && spec)
        argp_error(state,
                   "stage %s is of a model: a .graft file has no sizes yet",
                   s->stage->name);
}

static error_t key(int k, char *arg, struct argp_state *state)
{
    Show *s = state->input;
    switch (k) {
    case 's':
        s->stage = find(state, arg);
        break;
    case ARGP_KEY_ARG:
        if (s->what)
            argp_error(state, "takes one file, got `%s` too", arg);
        s->what = arg;
        break;
    case ARGP_KEY_END:
        key_end(s, state);
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

static int show_ast(const Show *s)
{
    Arena arena = {0};
    Diags diags = {0};
    Source src;
    Err err;
    int status = EXIT_wrong_input;
    if (!source_read(&arena, s->what, &diags, &src, &err)) {
        report_error(&s->common, &err);
    } else {
        dsl_print(dsl_parse(&arena, &src), stdout);
        status = diags.errors > 0 ? EXIT_wrong_input : EXIT_done;
    }
    diags_free(&diags);
    arena_free(&arena);
    return status;
}

int command_show(int argc, char **argv)
{
    Show s = {0};
    options_parse(&argp, argc, argv, &s, &s.common);
    if (s.stage->of_spec)
        return show_ast(&s);
    Loaded l;
    Err err;
    bool fine = loaded_open(&l, s.what, &s.common, &err) &&
                s.stage->print(&s, &l, &err);
    loaded_close(&l);
    return fine ? EXIT_done : report_error(&s.common, &err);
}
