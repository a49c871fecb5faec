/* CUDA C of a graph's kernels: one text, a function a kernel, each under a
 * comment that says what it computes, its shapes and its grid. */
#include "codegen/cuda/cuda_text.h"
#include "codegen/emit/kernel.h"
#include <string.h>

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
                        cu_short_name(c, b->pack.part[i]));
        return s;
    case BUF_keys: return "keys";
    case BUF_vals: return "vals";
    case BUF_route: return cu_text(c, "%s_route", cu_short_name(c, b->node));
    default: break;
    }
    return cu_short_name(c, b->node);
}

static const char *element_type(const Buffer *b)
{
    if (b->kind == BUF_packed || b->kind == BUF_panels)
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

static bool is_read_only(const CudaKernel *to, int i)
{
    const Kernel *k = to->kernel;
    bool cache = i < k->nin && (k->in[i]->kind == BUF_keys ||
                                k->in[i]->kind == BUF_vals);
    return i < k->nin && !(to->append && cache);
}

static const char *params(Cu *c)
{
    const Kernel *k = c->kernel;
    const char *s = "";
    for (int i = 0; i < k->nin + k->nout; i++) {
        const Buffer *b = i < k->nin ? k->in[i] : k->out[i - k->nin];
        s = cu_text(c, "%s%s%s%s *%s%s", s, i ? ", " : "",
                    is_read_only(c->to, i) ? "const " : "", element_type(b),
                    b->stacked ? "const *" : "", c->arg[i]);
    }
    for (int i = 0; i < c->to->nsize; i++)
        s = cu_text(c, "%s, %s %s", s, c->to->size[i].real ? "float" : "int",
                    c->to->size_name[i]);
    if (c->to->state)
        s = cu_text(c, "%s, int base, int capacity", s);
    return c->to->draws ? cu_text(c, "%s, u64 draw", s) : s;
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
    case SKEL_matmul:
    case SKEL_grouped:
        c->to->few ? cuda_few(c, part) : cuda_matmul(c, part);
        break;
    case SKEL_attend: c->to->append ? cuda_append(c) : cuda_attend(c); break;
    case SKEL_scatter: cuda_scatter(c); break;
    case SKEL_pack: cuda_pack(c); break;
    case SKEL_call:
    case SKEL_repeat: cuda_call(c); break;
    case SKEL_collect:
    case SKEL_back: BUG("%s has no CUDA text", c->kernel->name);
    }
}

static bool is_matmul(const Kernel *k)
{
    return k->skeleton == SKEL_matmul || k->skeleton == SKEL_grouped;
}

static const char *name_of(const CudaKernel *k)
{
    const Kernel *of = k->kernel;
    if (k->append)
        return intern_printf("%s_append", of->name);
    const char *name = is_matmul(of) && of->matmul.nparts > 1
                           ? intern_printf("%s_%d", of->name, k->part)
                           : of->name;
    return k->few ? intern_printf("%s_few", name) : name;
}

/* The outs that a function stores: first and how many. */
static int outs_of(const CudaKernel *k, int *n)
{
    bool matmul = is_matmul(k->kernel);
    const MatmulPart *part = &k->kernel->matmul.part[k->part];
    *n = k->append ? 0 : matmul ? part->nout : k->kernel->nout;
    return matmul ? part->first_out : 0;
}

/* False: it has no form for few tokens. */
static bool print_function(CudaText *t, Plan *plan, CudaKernel to, FILE *out)
{
    Kernel *k = to.kernel;
    Cu c = {.arena = &t->arena, .plan = plan, .kernel = k, .to = &to,
            .indent = 1,
            .above = plan == t->plan ? NULL : t->plan->graph};
    char *text = NULL;
    size_t len;
    int nout, first = outs_of(&to, &nout);
    for (int i = 0; i < 3; i++)
        to.grid[i] = size_num(1);
    to.name = name_of(&to);
    name_args(&c);
    if (to.few && !cuda_has_few(&c, to.part))
        return false;
    c.out = open_memstream(&text, &len);
    body(&c, to.part);
    fclose(c.out);
    to.params = params(&c);
    cu_head(&c, out, first, nout);
    char *own;
    FILE *f = open_memstream(&own, &len);
    Cu line = {.arena = &t->arena, .out = f};
    cu_line(&line, "GRAFT_KERNEL(%d, %d) %s(%s)", to.threads,
            to.blocks, to.name, to.params);
    fputs("{\n", f);
    sizes(&c, f);
    fprintf(f, "%s}\n", text);
    fclose(f);
    fputs(own, out);
    to.text = arena_printf(&t->arena, "%s", own);
    free(own);
    free(text);
    list_push(&t->arena, &t->kernel, to);
    return true;
}

bool cuda_runs(const CudaKernel *k, int64_t T)
{
    return T >= k->least && (!k->most || T <= k->most);
}

static void kernel(CudaText *t, Plan *plan, Kernel *k, FILE *out)
{
    CudaKernel to = {.kernel = k, .blocks = 2};
    if (k->skeleton == SKEL_repeat && k->repeat.n)
        return; /* its bodies, in turn */
    if (k->skeleton == SKEL_attend) {
        to.append = true;
        print_function(t, plan, to, out);
        to.append = false;
    }
    int n = k->skeleton == SKEL_matmul ? k->matmul.nparts : 1;
    for (to.part = 0; to.part < n; to.part++) {
        to.least = 0;
        to.few = is_matmul(k);
        to.few = to.few && print_function(t, plan, to, out);
        to.least = to.few ? t->kernel.at[t->kernel.n - 1].most + 1 : 0;
        to.few = false;
        print_function(t, plan, to, out);
    }
}

/* Rows of 8 columns, all of K side by side: an n-tile of the tensor cores, so
 * that gate's and up's tiles meet in one thread. */
static void pack_rows(Plan *p)
{
    for (int i = 0; i < p->buffer.n; i++) {
        Pack *k = &p->buffer.at[i]->pack;
        bool panels = p->buffer.at[i]->kind == BUF_panels;
        if (!panels && p->buffer.at[i]->kind != BUF_packed)
            continue;
        k->cols = 8;
        if (panels)
            continue;
        int64_t K = size_at(cu_size_of(k->nk, k->k), 1);
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

const char text_cuda_includes[] = "#include \"graft_dev.h\"\n"
                                  "#include \"graft_math.h\"\n";

static void print_text(CudaText *t)
{
    size_t len;
    FILE *out = open_memstream(&t->text, &len);
    fputs(text_cuda_includes, out);
    print_plan(t, t->plan, out);
    fclose(out);
}

static CudaText *text_new(void)
{
    CudaText *t = xmalloc(sizeof *t);
    memset(t, 0, sizeof *t);
    return t;
}

static CudaText *printed(CudaText *t, const Pins *pinned, Err *err)
{
    if (cuda_plan_fits(t->plan, err) &&
        cuda_schedules(t->plan, pinned, err)) {
        print_text(t);
        return t;
    }
    cuda_free(t);
    return NULL;
}

CudaText *cuda_text(const Graph *g, const PassOptions *o, const Pins *pinned,
                    Err *err)
{
    CudaText *t = text_new();
    const PassOptions po = o ? *o : (PassOptions){0};
    CutOptions co = {.lanes = 8, .vectors = 1, .pair = 1};
    t->plan = kernels_cut(passes_run(g, &t->arena, &po), &t->arena, &co);
    return printed(t, pinned, err);
}

CudaText *cuda_text_plan(Plan *p, Err *err)
{
    CudaText *t = text_new();
    t->plan = p;
    return printed(t, NULL, err);
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
                is_read_only(k, i) ? "const " : "", element_type(b),
                b->stacked ? "const *" : "", i);
    }
    for (int i = 0; i < k->nsize; i++)
        fprintf(out, ", *(%s *)arg[%d]", k->size[i].real ? "float" : "int",
                n + i);
    n += k->nsize;
    if (k->state)
        fprintf(out, ", *(int *)arg[%d], *(int *)arg[%d]", n, n + 1);
    if (k->draws)
        fprintf(out, ", *(u64 *)arg[%d]", n);
    fputs("); }\n", out);
}

void cuda_entries(const CudaText *t, FILE *out)
{
    for (int i = 0; i < t->kernel.n; i++)
        entry(&t->kernel.at[i], out);
}
