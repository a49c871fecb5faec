/* Texts of a graph or of kernels as what `show` looks at. */
#include "cli/show_text.h"
#include "codegen/cuda/cuda.h"
#include "codegen/program/program.h"
#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

/* ---- which files are such texts ---- */

/* Behind blanks and comments. */
static const char *first_word(const char *s)
{
    for (;;) {
        while (isspace((unsigned char)*s))
            s++;
        if (*s != '#')
            return s;
        s += strcspn(s, "\n");
    }
}

bool is_level_text(const char *path)
{
    static const char *const word[] = {"dim", "weight", "body", "repeat",
                                       "graph"};
    struct stat st;
    char head[4096] = "";
    FILE *f = stat(path, &st) || !S_ISREG(st.st_mode) ? NULL
                                                      : fopen(path, "rb");
    if (!f)
        return false;
    head[fread(head, 1, sizeof head - 1, f)] = 0;
    fclose(f);
    const char *at = first_word(head);
    for (size_t i = 0; i < COUNT(word); i++) {
        size_t n = strlen(word[i]);
        if (!strncmp(at, word[i], n) && at[n] == ' ')
            return true;
    }
    return false;
}

/* ---- reading ---- */

typedef struct {
    Arena arena;
    Diags diags;
    Source src;
    Graph *graph; /* of its own text; or NULL: */
    Plan *plan;   /* of a text of kernels */
} Text;

static bool has_kernels(const char *text)
{
    return !strncmp(text, "kernels of ", 11) || strstr(text, "\nkernels of ");
}

/* Mistakes of the text were reported, or err says what failed. */
static bool open_text(Text *t, const char *path, Err *err)
{
    if (!source_read(&t->arena, path, &t->diags, &t->src, err))
        return false;
    if (has_kernels(t->src.text))
        t->plan = kernels_read(&t->arena, &t->src);
    else
        t->graph = ir_read(&t->arena, &t->src);
    return t->plan || t->graph ||
           err_set(err, "%s: the text has mistakes, see above", path);
}

/* ---- stages ---- */

static bool show_program(const Text *t, ProgramText what, const Common *common,
                         Err *err)
{
    const CpuOptions o = {.threads = common->threads, .keep_text = true};
    Program *p = t->plan ? cpu_compile_plan(t->plan, &o, err)
                         : cpu_compile(t->graph, &o, err);
    if (p)
        program_print(p, what, stdout);
    program_free(p);
    return p != NULL;
}

static bool show_cuda(const Text *t, const char *stage, Err *err)
{
    bool fine = true;
    CudaText *c = t->plan ? cuda_text_plan(t->plan, err)
                          : cuda_text(t->graph, NULL, NULL, err);
    if (c && !strcmp(stage, "kernels"))
        kernels_print(c->plan, stdout);
    else if (c && !strcmp(stage, "ptx"))
        fine = cuda_ptx(c, stdout, err);
    else if (c)
        fputs(c->text, stdout);
    cuda_free(c);
    return c && fine;
}

static bool show_stage(const Text *t, const char *stage, const Common *common,
                       Err *err)
{
    static const char *const program[] = {"kernels", "llvm", "llvm-opt", "asm"};
    if (!strcmp(stage, "graph")) {
        ir_print(t->plan ? t->plan->graph : t->graph, stdout);
        return true;
    }
    const Node *n = t->graph ? graph_unsized(t->graph) : NULL;
    if (n) {
        error_at(&t->src, n->loc, "kernels need every size but T");
        return err_set(err, "%s: a graph of unknown sizes has no kernels",
                       t->src.path);
    }
    bool kernels = !strcmp(stage, "kernels");
    if (!strcmp(stage, "cuda") || !strcmp(stage, "ptx") ||
        (kernels && common->target == TARGET_cuda))
        return show_cuda(t, stage, err);
    ProgramText what = TEXT_kernels;
    while (strcmp(stage, program[what]))
        what++;
    return show_program(t, what, common, err);
}

int show_text(const char *path, const char *stage, const Common *common)
{
    Text t = {.graph = NULL};
    Err err;
    bool fine = open_text(&t, path, &err) &&
                show_stage(&t, stage, common, &err);
    int status = fine ? EXIT_done : report_error(common, &err);
    diags_free(&t.diags);
    arena_free(&t.arena);
    return status;
}
