/* graft show: a spec or a model at one stage, as text, a picture or a page. */
#include "codegen/cuda/cuda.h"
#include "cli/tools/tools.h"
#include "cli/show_step.h"
#include "cli/show_text.h"
#include "dsl/dsl.h"
#include <string.h>

enum { KEY_svg = 2000, KEY_html, KEY_step };
enum { STEP_TOKENS = 1024 }; /* of a step, for what is worth keeping */

typedef struct Show Show;
struct Show {
    const struct Stage *stage; /* NULL: the first that fits */
    const char *name;          /* of FILE.graft:NAME */
    bool text;                 /* what is the text of a graph or of kernels */
    const char *svg, *html;
    bool step;                 /* of training, not a forward pass */
    SubjectArgs args;
    Arena arena;
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
    const Graph *g = s->step ? show_step(l->model, &l->arena, STEP_TOKENS, err)
                             : model_graph_whole(l->model, &l->arena);
    if (g)
        ir_print(g, stdout);
    return g;
}

/* What runs: the logits, or a step. NULL: err says why. */
static const Graph *graph_run(const Show *s, Loaded *l, Err *err)
{
    return s->step ? show_step(l->model, &l->arena, STEP_TOKENS, err)
                   : model_graph(l->model, &l->arena);
}

static bool show_program(const Show *s, Loaded *l, ProgramText text, Err *err)
{
    CpuOptions o = loaded_options(l);
    o.keep_text = true;
    o.training = s->step;
    if (s->step) /* what trains is in memory, in its own type */
        o.stored = NULL;
    const Graph *g = graph_run(s, l, err);
    Program *p = g ? cpu_compile(g, &o, err) : NULL;
    bool fine = p && (program_print(p, text, stdout) ||
                      err_set(err, "%s: nothing to show", s->args.what));
    if (p)
        program_free(p);
    return fine;
}

static CudaText *text_for_gpus(const Show *s, Loaded *l, Err *err)
{
    const PassOptions o = {.training = s->step};
    const Graph *g = graph_run(s, l, err);
    return g ? cuda_text(g, &o, &l->pins, err) : NULL;
}

static bool show_kernels(const Show *s, Loaded *l, Err *err)
{
    if (s->common.target != TARGET_cuda)
        return show_program(s, l, TEXT_kernels, err);
    CudaText *t = text_for_gpus(s, l, err);
    if (t)
        kernels_print(t->plan, stdout);
    cuda_free(t);
    return t != NULL;
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

static bool show_cuda(const Show *s, Loaded *l, Err *err)
{
    CudaText *t = text_for_gpus(s, l, err);
    if (t)
        fputs(t->text, stdout);
    cuda_free(t);
    return t != NULL;
}

static bool show_ptx(const Show *s, Loaded *l, Err *err)
{
    CudaText *t = text_for_gpus(s, l, err);
    bool fine = t && cuda_ptx(t, stdout, err);
    cuda_free(t);
    return fine;
}

enum { /* as they stand below */
    STAGE_ast,
    STAGE_model,
    STAGE_graph,
    STAGE_kernels
};
static const Stage stages[] = {
    {"ast", true, NULL},
    {"model", false, show_model},
    {"graph", false, show_graph},
    {"kernels", false, show_kernels},
    {"llvm", false, show_llvm},
    {"llvm-opt", false, show_llvm_opt},
    {"asm", false, show_asm},
    {"cuda", false, show_cuda},
    {"ptx", false, show_ptx},
};

static const struct argp_option options[] = {
    {"stage", 's', "STAGE", 0,
     "ast, of a .graft file; of a model: model, graph, kernels, llvm, "
     "llvm-opt, asm, cuda, ptx (ast or model). Kernels are those of --target. "
     "The texts of graph and kernels, edited or not, are FILEs too, shown at "
     "that stage or below",
     1},
    {"transform", 'x', "TRANSFORM", 0,
     "Show the model as this would make it: one of the library's, or "
     "FILE.graft:NAME; name=value is then its",
     1},
    {"with", 'w', "other=MODEL", 0,
     "Another model that the transform asks for; again for several", 1},
    {"svg", KEY_svg, "OUT", 0,
     "Draw the stage (model, graph) into this file; of a transform before and "
     "after it, what changed in colour (one for each module it matches: "
     "OUT-2, ...)",
     1},
    {"step", KEY_step, NULL, 0,
     "A step of training, not the forward pass: the loss on labels, its "
     "gradient, AdamW's updates; of all weights, or of the coefficients that "
     "the transform learns",
     1},
    {"html", KEY_html, "OUT", 0,
     "Write one page with all levels, linked to the spec's lines", 1},
    {0}};

static const Stage *find(struct argp_state *state, const char *name)
{
    const char *names[COUNT(stages)];
    for (size_t i = 0; i < COUNT(stages); i++)
        names[i] = stages[i].name;
    return &stages[option_word(state, "stage", name, names, COUNT(names))];
}

/* ast of a file, model of a model; graph of a definition. */
static const Stage *first_stage(const Show *s, bool spec)
{
    if (s->name)
        return &stages[STAGE_graph];
    return &stages[spec ? STAGE_ast : STAGE_model];
}

/* What is said with the subject fits it. */
static void check_subject(const Show *s, bool spec, struct argp_state *state)
{
    bool given = s->args.arg.n > 0;
    if (spec && (s->args.transform || s->args.with.n))
        argp_error(state, "--transform and --with are of a model");
    if (given && !s->args.transform && !s->name)
        argp_error(state, "name=value needs --transform or FILE.graft:MODULE");
}

static void check_stage(const Show *s, bool spec, struct argp_state *state)
{
    if (s->stage->of_spec && (!spec || s->name))
        argp_error(state, "stage %s is of a .graft file, not of a %s",
                   s->stage->name, spec ? "definition" : "model");
    if (spec && !s->name && (s->svg || !s->stage->of_spec))
        argp_error(state,
                   "%s %s is of a model, or of a definition of the file: "
                   "FILE.graft:NAME",
                   s->svg ? "a picture of the" : "stage", s->stage->name);
    if (s->svg && s->stage > &stages[STAGE_graph])
        argp_error(state, "--svg draws the stages model and graph");
}

static void check_step(const Show *s, bool spec, struct argp_state *state)
{
    if (!s->step)
        return;
    if (spec)
        argp_error(state, "--step is of a model");
    if (s->svg || s->html || s->stage < &stages[STAGE_graph])
        argp_error(state, "--step is shown as text, at the stages from graph "
                          "on");
}

/* From standard input it is one where the stage is not of a .graft file. */
static bool is_text(const Show *s)
{
    if (!strcmp(s->args.what, "-"))
        return s->stage && s->stage >= &stages[STAGE_graph];
    return is_level_text(s->args.what);
}

static void check_text(Show *s, struct argp_state *state)
{
    if (!s->stage)
        s->stage = &stages[STAGE_kernels];
    if (s->stage < &stages[STAGE_graph] || s->svg || s->html)
        argp_error(state, "a text of a graph or of kernels is shown as text, "
                          "at the stages from graph on");
    if (s->args.transform || s->args.arg.n || s->args.with.n || s->step)
        argp_error(state, "a text of a graph or of kernels has no parameters");
}

static void key_end(Show *s, struct argp_state *state)
{
    if (!s->args.what)
        argp_error(state, "needs a .graft file or a model");
    s->text = is_text(s);
    if (s->text) {
        check_text(s, state);
        return;
    }
    bool spec = is_spec(s->args.what, &s->name);
    if (s->html && (s->svg || s->stage))
        argp_error(state, "--html shows all stages: it stands alone");
    if (!s->stage)
        s->stage = first_stage(s, spec);
    check_subject(s, spec, state);
    s->args.sized =
        s->name && (s->args.arg.n || s->stage > &stages[STAGE_graph]);
    if (!s->html)
        check_stage(s, spec, state);
    check_step(s, spec, state);
}

static error_t key(int k, char *arg, struct argp_state *state)
{
    Show *s = state->input;
    switch (k) {
    case 's':
        s->stage = find(state, arg);
        break;
    case 'x':
        s->args.transform = arg;
        break;
    case 'w':
        args_add(&s->args.with, &s->arena, "--with", arg, state);
        break;
    case KEY_svg:
        s->svg = arg;
        break;
    case KEY_html:
        s->html = arg;
        break;
    case KEY_step:
        s->step = true;
        break;
    case ARGP_KEY_ARG:
        if (!s->args.what)
            s->args.what = arg;
        else
            args_add(&s->args.arg, &s->arena, "a parameter", arg, state);
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
    options, key, "FILE|FILE:NAME|MODEL [name=value...]",
    "Print a .graft file, one of its definitions or a model at one stage, or "
    "draw it. A definition has every parameter unknown; a module to which "
    "name=value gives them is shown at every stage of a model. A name alone is "
    "one of the library's.",
    NULL, NULL, NULL};

static int show_ast(const Show *s)
{
    Arena arena = {0};
    Diags diags = {0};
    Source src;
    Err err;
    int status = EXIT_wrong_input;
    if (!source_read(&arena, s->args.what, &diags, &src, &err)) {
        report_error(&s->common, &err);
    } else {
        dsl_print(dsl_parse(&arena, &src), stdout);
        status = diags.errors > 0 ? EXIT_wrong_input : EXIT_done;
    }
    diags_free(&diags);
    arena_free(&arena);
    return status;
}

/* ---- pictures ---- */

/* "out.svg", and "out-2.svg" for a further match. */
static const char *numbered(Show *s, int i)
{
    const char *dot = strrchr(s->svg, '.');
    size_t stem = dot && !strchr(dot, '/') ? (size_t)(dot - s->svg)
                                           : strlen(s->svg);
    if (!i)
        return s->svg;
    return arena_printf(&s->arena, "%.*s-%d%s", (int)stem, s->svg, i + 1,
                        s->svg + stem);
}

static bool draw(Show *s, Subject *subject, Err *err)
{
    bool fine = true;
    for (int i = 0; fine && i < subject_pictures(subject); i++) {
        Picture p = subject_picture(subject, i);
        char *svg = s->stage == &stages[STAGE_model] ? svg_model(&p, err)
                                                     : svg_graph(&p, err);
        fine = svg && svg_save(numbered(s, i), svg, err);
        free(svg);
    }
    return fine;
}

static bool write_page(const Show *s, Subject *subject, Err *err)
{
    char *page = html_page(subject, &s->common, err);
    bool fine = page && text_save(s->html, page, err);
    free(page);
    return fine;
}

/* ---- as text ---- */

static void print_definition(const Show *s, Subject *subject)
{
    for (int i = 0; i < subject_pictures(subject); i++) {
        Picture p = subject_picture(subject, i);
        for (int j = 0; j < p.n; j++) {
            printf("%s# %s\n", i + j ? "\n" : "", p.side[j].title);
            if (s->stage == &stages[STAGE_model])
                view_print(p.side[j].view, stdout);
            else
                ir_print(p.side[j].graph, stdout);
        }
    }
}

static bool show(Show *s, Subject *subject, Err *err)
{
    if (!subject_open(subject, &s->args, &s->common, err))
        return false;
    if (s->svg)
        return draw(s, subject, err);
    if (s->html)
        return write_page(s, subject, err);
    if (s->name && !s->args.sized) {
        print_definition(s, subject);
        return true;
    }
    if (subject->made)
        subject->model[0].model = subject->made;
    return s->stage->print(s, &subject->model[0], err);
}

int command_show(int argc, char **argv)
{
    Show s = {.common.cuda = true};
    Subject subject = {0};
    Err err;
    int status = EXIT_done;
    options_parse(&argp, argc, argv, &s, &s.common);
    if (s.text) {
        status = show_text(s.args.what, s.stage->name, &s.common);
    } else if (s.stage->of_spec && !s.html) {
        status = show_ast(&s);
    } else if (!show(&s, &subject, &err)) {
        status = report_error(&s.common, &err);
    }
    subject_close(&subject);
    arena_free(&s.arena);
    return status;
}
