/* The levels below the graph: kernels, LLVM's text, CUDA C, linked to the
 * spec by the nodes that a kernel computes. */
#include "codegen/cuda/cuda.h"
#include "cli/tools/html.h"
#include <string.h>

/* The kernel whose name, or a function of whose, this is; NULL: none. */
static const Kernel *kernel_of(const Plan *plan, const char *name, size_t len)
{
    const Kernel *best = NULL;
    for (int i = 0; i < plan->kernel.n; i++) {
        const char *k = plan->kernel.at[i]->name;
        size_t n = strlen(k);
        if (n <= len && !strncmp(k, name, n) &&
            (n == len || name[n] == '_') && (!best || n > strlen(best->name)))
            best = plan->kernel.at[i];
    }
    for (int i = 0; !best && i < plan->body.n; i++)
        best = kernel_of(plan->body.at[i], name, len);
    return best;
}

static void code_function(FILE *out, const Plan *plan, const char *text,
                          size_t len)
{
    const char *at = memchr(text, '@', len);
    size_t n = at ? strcspn(at + 1, "( \n") : 0;
    const Kernel *k = n ? kernel_of(plan, at + 1, n) : NULL;
    const Node *node = k && k->nout ? k->out[0]->node : NULL;
    int line, col, lines = 0;
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    fputs("<details class=\"claim", out);
    if (node && node->src) {
        fputc(' ', out);
        loc_place(node->src, node->loc.at, &line, &col);
        svg_at(out, node->src, line);
    }
    fputs("\"><summary>", out);
    for (size_t i = 0; i < n; i++)
        fputc(at[1 + i], out);
    fprintf(out, " &nbsp; %d lines</summary><pre>", lines);
    for (size_t i = 0; i < len; i++) {
        const char one[2] = {text[i], 0};
        put_html(out, one);
    }
    fputs("</pre></details>\n", out);
}

/* Functions of LLVM's text, folded; what stands around them is left out. */
static void code_text(FILE *out, const Plan *plan, const char *text)
{
    const char *start;
    while ((start = strstr(text, "\ndefine "))) {
        const char *stop = strstr(start, "\n}");
        stop = stop ? stop + 2 : start + strlen(start);
        code_function(out, plan, start + 1, (size_t)(stop - start - 1));
        text = stop;
    }
}

static void mark(FILE *out, const Node *n, void *user)
{
    (void)user;
    page_mark(out, n->src, n->loc, LOOK_plain);
}

static void level_kernels(Page *p, const Program *program)
{
    Writing w;
    char *marked;
    size_t len;
    FILE *to = open_memstream(&marked, &len);
    kernels_print_marked(program_plan(program), to, mark, NULL);
    fclose(to);
    page_begin(&w, p);
    fputs("<p>The graph cut into kernels: what each computes in one go, what "
          "is fused into it, and its schedule.</p>\n", w.out);
    html_lines(w.out, marked);
    page_end(&w, "kernels", "kernels");
    free(marked);
}

static void level_llvm(Page *p, const Program *program)
{
    Writing w;
    char *text;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    program_print(program, TEXT_llvm, to);
    fclose(to);
    page_begin(&w, p);
    fputs("<p>LLVM's text of each kernel before it is optimised.</p>\n",
          w.out);
    code_text(w.out, program_plan(program), text);
    page_end(&w, "llvm", "llvm");
    free(text);
}

/* A kernel's lines begin with GRAFT_KERNEL and end with its brace. */
static void cuda_lines(FILE *out, const Plan *plan, const char *text)
{
    const Kernel *k = NULL;
    while (*text) {
        int n = (int)strcspn(text, "\n");
        const char *line = intern_n(text, (size_t)n);
        const char *name = strncmp(line, "GRAFT_KERNEL", 12)
                               ? NULL : strstr(line, " gr_");
        if (name)
            k = kernel_of(plan, name + 1, strcspn(name + 1, "("));
        const Node *node = k && k->nout ? k->out[0]->node : NULL;
        page_mark(out, node ? node->src : NULL,
                  node ? node->loc : (Loc){0, 0}, LOOK_plain);
        fprintf(out, "%s\n", line);
        if (*text == '}')
            k = NULL;
        text += n + (text[n] == '\n');
    }
}

static void level_cuda(Page *p, const Graph *g)
{
    Writing w;
    char *marked;
    size_t len;
    Err err = {""};
    CudaText *t = cuda_text(g, NULL, NULL, &err);
    FILE *to = open_memstream(&marked, &len);
    if (t)
        cuda_lines(to, t->plan, t->text);
    fclose(to);
    page_begin(&w, p);
    fprintf(w.out, "<p>%s.</p>\n", t ? "The same kernels as CUDA C"
                                     : err.text);
    html_lines(w.out, marked);
    page_end(&w, "cuda", "cuda");
    free(marked);
    cuda_free(t);
}

bool page_code(Page *p, Err *err)
{
    Subject *s = p->subject;
    const Model *m = s->made ? s->made : s->model[0].model;
    CpuOptions o = loaded_options(&s->model[0]);
    o.keep_text = true;
    if (s->made) /* its weights are in no file */
        o.stored = NULL;
    const Graph *g = model_graph_saved(m, &s->arena, false);
    Program *program = cpu_compile(g, &o, err);
    if (!program)
        return false;
    level_kernels(p, program);
    level_llvm(p, program);
    level_cuda(p, g);
    program_free(program);
    return true;
}
