/* CUDA C of a graph's kernels: one text, a function a kernel, each under a
 * comment that says what it computes, its shapes and its grid. */
#include "codegen/cuda/cuda_text.h"
#include "codegen/emit/kernel.h"
#include <string.h>

/* ---- head comments ---- */

static const char *short_name(const Cu *c, const Node *n)
{
    const Iteration *pass = c->above && n->slot
                                ? graph_pass_of(c->above, c->plan->graph)
                                : NULL;
    const Weight *w = node_weight(n, pass);
    if (n->op == OP_input)
        return n->name;
    if (w) {
        const char *dot = strrchr(w->path, '.');
        return dot ? dot + 1 : w->path;
    }
    if (n->label)
        return n->label;
    return n->slot ? intern_printf("w%d", n->slot)
                   : intern_printf("v%d", n->id);
}

/* Operations that a comment tells of: what is read twice is written twice. */
enum { MOST_TOLD = 100 };

static const char *rule(Cu *c, const Node *n, bool root, int inside);

/* As the language writes it: max(top, k), sums by the names of dims. */
static const char *call_rule(Cu *c, const Node *n)
{
    const char *s = cu_text(c, "%s(", op_info[n->op].name);
    for (int i = 0; i < node_args(n); i++)
        s = cu_text(c, "%s%s%s", s, i ? ", " : "",
                    rule(c, n->arg[i], false, 0));
    for (int i = 0; i < n->ndim; i++)
        s = cu_text(c, "%s, %s", s, n->dim[i]->name);
    return cu_text(c, "%s)", s);
}

static const Node *weight_of(const Node *n)
{
    return n->op == OP_gather ? n->arg[0] : n;
}

static const char *product_rule(Cu *c, const Node *n, int inside)
{
    const char *s = cu_text(c, "%s @ %s", short_name(c, weight_of(n->arg[0])),
                            short_name(c, weight_of(n->arg[1])));
    return inside ? cu_text(c, "(%s)", s) : s;
}

static const char *rule(Cu *c, const Node *n, bool root, int inside)
{
    bool matmul = c->kernel->skeleton == SKEL_matmul ||
                  c->kernel->skeleton == SKEL_grouped;
    if (c->told > MOST_TOLD)
        return "..";
    if (matmul && kernel_hole(c->kernel, n))
        return product_rule(c, n, inside);
    if (kernel_leaf(c->kernel, n) && !root)
        return short_name(c, n);
    if (n->op == OP_number)
        return cu_text(c, "%g", n->num);
    if (n->op == OP_scalar)
        return size_text(n->size);
    if (c->told++ == MOST_TOLD)
        return "..";
    const char *sign = node_args(n) == 2 ? op_info[n->op].sign : NULL;
    if (!sign)
        return call_rule(c, n);
    int level = strchr("+-", *sign) ? 1 : strchr("*/", *sign) ? 2 : 0;
    int left = level ? level : 3;
    const char *s = cu_text(c, "%s %s %s", rule(c, n->arg[0], false, left),
                            sign, rule(c, n->arg[1], false, left + 1));
    return inside > level ? cu_text(c, "(%s)", s) : s;
}

/* A line of a comment, broken at blanks. */
static void comment(FILE *out, const char *s)
{
    const char *lead = " * ";
    size_t room = 76;
    while (strlen(s) > room) {
        size_t at = room;
        while (at > 20 && s[at] != ' ')
            at--;
        if (s[at] != ' ')
            break;
        fprintf(out, "%s%.*s\n", lead, (int)at, s);
        s += at + 1;
        lead = " *     ";
        room = 72;
    }
    fprintf(out, "%s%s\n", lead, s);
}

static void head(Cu *c, FILE *out, int first, int n)
{
    static const char *const what[] = {"rows", "matmul", "rows by expert",
                                       "elements by expert"};
    const CudaKernel *k = c->to;
    fprintf(out, "\n/* %s:\n", what[c->kernel->skeleton]);
    for (int i = first; i < first + n; i++) {
        const Buffer *b = c->kernel->out[i];
        c->told = 0;
        const char *is = b->kind == BUF_route ? "offset[E + 1], then order"
                                              : rule(c, b->node, true, 0);
        comment(out, cu_text(c, "%s: %s = %s", c->arg[c->kernel->nin + i],
                             type_text(&b->type), is));
    }
    fprintf(out, " * grid %s", c->grid[0]);
    for (int i = 1; i < 3; i++)
        fprintf(out, ", %s", c->grid[i] ? c->grid[i] : "1");
    fprintf(out, "; %d threads, %d bytes shared */\n", k->threads, k->shared);
}

/* ---- parameters ---- */

static const char *wish_of(Cu *c, const Buffer *b)
{
    const char *s = "";
    switch (b->kind) {
    case BUF_rope: return "angles";
    case BUF_pos: return "pos";
    case BUF_packed:
        for (int i = 0; i < b->pack.parts; i++)
            s = cu_text(c, "%s%s%s", s, i ? "_" : "",
                        short_name(c, b->pack.part[i]));
        return s;
    case BUF_route: return cu_text(c, "%s_route", short_name(c, b->node));
    default: break;
    }
    return short_name(c, b->node);
}

static const char *element_type(const Buffer *b)
{
    if (b->kind == BUF_packed)
        return cu_type(b->pack.dtype);
    if (b->kind == BUF_route || b->kind == BUF_pos)
        return "int";
    return cu_type(b->type.dtype);
}

static void name_args(Cu *c)
{
    Kernel *k = c->kernel;
    size_t n = (size_t)(k->nin + k->nout) + 1;
    c->arg = arena_alloc(c->arena, n * sizeof *c->arg);
    for (int i = 0; i < k->nin + k->nout; i++) {
        const Buffer *b = i < k->nin ? k->in[i] : k->out[i - k->nin];
        c->arg[i] = cu_name(c, wish_of(c, b));
    }
}

static const char *params(Cu *c)
{
    const Kernel *k = c->kernel;
    const char *s = "";
    for (int i = 0; i < k->nin + k->nout; i++) {
        bool in = i < k->nin;
        const Buffer *b = in ? k->in[i] : k->out[i - k->nin];
        s = cu_text(c, "%s%s%s%s *%s%s", s, i ? ", " : "", in ? "const " : "",
                    element_type(b), b->stacked ? "const *" : "", c->arg[i]);
    }
    for (int i = 0; i < c->to->nsize; i++)
        s = cu_text(c, "%s, %s %s", s, c->to->size[i].real ? "float" : "int",
                    c->to->size_name[i]);
    return s;
}

/* ---- functions ---- */

static void sizes(Cu *c, FILE *out)
{
    int n = 0;
    for (int i = 0; i < c->dim.n; i++) {
        double v;
        if (!c->dim.at[i].size || !size_is_num(c->dim.at[i].dim->size, &v))
            continue;
        fprintf(out, "%s%s = %.0f", n++ ? ", " : "    enum { ",
                c->dim.at[i].size, v);
    }
    if (n)
        fputs(" };\n", out);
}

static void body(Cu *c, int part)
{
    cu_count_uses(c);
    switch (c->kernel->skeleton) {
    case SKEL_map: cuda_map(c); break;
    case SKEL_route: cuda_route(c); break;
    default: cuda_matmul(c, part); break;
    }
}

static void print_function(CudaText *t, Plan *plan, Kernel *k, int part,
                           FILE *out)
{
    bool matmul = k->skeleton == SKEL_matmul || k->skeleton == SKEL_grouped;
    bool split = matmul && k->matmul.nparts > 1;
    CudaKernel to = {.kernel = k, .grid = {size_num(1), size_num(1),
                                           size_num(1)}};
    Cu c = {.arena = &t->arena, .plan = plan, .kernel = k, .to = &to,
            .indent = 1,
            .above = plan == t->plan ? NULL : t->plan->graph};
    char *text = NULL;
    size_t len;
    to.name = split ? intern_printf("%s_%d", k->name, part) : k->name;
    name_args(&c);
    c.out = open_memstream(&text, &len);
    body(&c, part);
    fclose(c.out);
    to.params = params(&c);
    if (matmul)
        head(&c, out, k->matmul.part[part].first_out,
             k->matmul.part[part].nout);
    else
        head(&c, out, 0, k->nout);
    Cu line = {.arena = &t->arena, .out = out};
    cu_line(&line, "GRAFT_KERNEL(%d, %d) %s(%s)", to.threads,
            matmul ? 4 : 2, to.name, to.params);
    fputs("{\n", out);
    sizes(&c, out);
    fputs(text, out);
    fputs("}\n", out);
    free(text);
    list_push(&t->arena, &t->kernel, to);
}

static void kernel(CudaText *t, Plan *plan, Kernel *k, FILE *out)
{
    static const char *const other[] = {
        [SKEL_attend] = "attention", [SKEL_scatter] = "a scatter",
        [SKEL_call] = "draws, orders of very many",
        [SKEL_pack] = "a value in the order of a product",
        [SKEL_repeat] = "the bodies above in turn"};
    const char *what = other[k->skeleton];
    if (kernel_panels(k))
        what = "a product of two values";
    if (what) {
        fprintf(out, "\n/* Here %s: %s%s. */\n", k->name, what,
                k->skeleton == SKEL_repeat ? "" : "; has no CUDA text");
        return;
    }
    int n = k->skeleton == SKEL_matmul ? k->matmul.nparts : 1;
    for (int i = 0; i < n; i++)
        print_function(t, plan, k, i, out);
}

/* Rows of 8 columns, all of K side by side: an n-tile of the tensor cores, so
 * that gate's and up's tiles meet in one thread. */
static void pack_rows(Plan *p)
{
    for (int i = 0; i < p->buffer.n; i++) {
        Pack *k = &p->buffer.at[i]->pack;
        if (p->buffer.at[i]->kind != BUF_packed)
            continue;
        int64_t K = size_at(cu_size_of(k->nk, k->k), 1);
        k->cols = 8;
        k->pair = (int)((K + PACK_K - 1) / PACK_K * PACK_K);
    }
}

static void print_plan(CudaText *t, Plan *p, FILE *out)
{
    pack_rows(p);
    for (int i = 0; i < p->body.n; i++)
        print_plan(t, p->body.at[i], out);
    fprintf(out, "\n/* ---- %s ---- */\n", p->name);
    for (int i = 0; i < p->kernel.n; i++)
        kernel(t, p, p->kernel.at[i], out);
}

static void print_text(CudaText *t)
{
    size_t len;
    FILE *out = open_memstream(&t->text, &len);
    fputs("#include \"graft_dev.h\"\n#include \"graft_math.h\"\n", out);
    print_plan(t, t->plan, out);
    fclose(out);
}

CudaText *cuda_text(const Graph *g, bool training)
{
    CudaText *t = xmalloc(sizeof *t);
    memset(t, 0, sizeof *t);
    PassOptions po = {.training = training};
    CutOptions co = {.lanes = 8, .vectors = 1, .pair = 1};
    t->plan = kernels_cut(passes_run(g, &t->arena, &po), &t->arena, &co);
    print_text(t);
    return t;
}

static bool matmul_fits(const Kernel *k, Err *err)
{
    if (!kernel_leaf(k, k->matmul.x))
        return err_set(err, "%s: CUDA's matmuls compute no rows as they load "
                       "them", k->name);
    for (int i = 0; i < k->matmul.nparts; i++) {
        Dtype t = k->matmul.part[i].w->pack.dtype;
        if (k->matmul.part[i].w->pack.halves)
            return err_set(err, "%s: CUDA has no rope behind its sums",
                           k->name);
        if (!type_is_float(t))
            return err_set(err, "%s: CUDA has no matmul for %s weights",
                           k->name, type_info[t].name);
    }
    return true;
}

static bool route_fits(const Kernel *k, Err *err)
{
    return !kernel_results(k) ||
           err_set(err, "%s: CUDA's routes do not pick what they put in order",
                   k->name);
}

static bool plan_fits(const Plan *p, Err *err)
{
    for (int i = 0; i < p->body.n; i++)
        if (!plan_fits(p->body.at[i], err))
            return false;
    for (int i = 0; i < p->kernel.n; i++) {
        const Kernel *k = p->kernel.at[i];
        if ((k->skeleton == SKEL_matmul || k->skeleton == SKEL_grouped) &&
            !matmul_fits(k, err))
            return false;
        if (k->skeleton == SKEL_route && !route_fits(k, err))
            return false;
    }
    return true;
}

CudaText *cuda_text_plan(Plan *p, Err *err)
{
    if (!plan_fits(p, err))
        return NULL;
    CudaText *t = xmalloc(sizeof *t);
    memset(t, 0, sizeof *t);
    t->plan = p;
    print_text(t);
    return t;
}

void cuda_free(CudaText *t)
{
    if (!t)
        return;
    free(t->text);
    arena_free(&t->arena);
    free(t);
}

/* ---- for the emulator ---- */

static void entry(const CudaKernel *k, FILE *out)
{
    const Kernel *of = k->kernel;
    int n = of->nin + of->nout;
    fprintf(out, "EMU_ENTRY(%s) { %s(", k->name, k->name);
    for (int i = 0; i < n; i++) {
        const Buffer *b = i < of->nin ? of->in[i] : of->out[i - of->nin];
        fprintf(out, "%s*(%s%s *%s*)arg[%d]", i ? ", " : "",
                i < of->nin ? "const " : "", element_type(b),
                b->stacked ? "const *" : "", i);
    }
    for (int i = 0; i < k->nsize; i++)
        fprintf(out, ", *(%s *)arg[%d]", k->size[i].real ? "float" : "int",
                n + i);
    fputs("); }\n", out);
}

void cuda_entries(const CudaText *t, FILE *out)
{
    for (int i = 0; i < t->kernel.n; i++)
        entry(&t->kernel.at[i], out);
}
