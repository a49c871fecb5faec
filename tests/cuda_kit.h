/* For tests of CUDA C: a module of the library as a graph of known sizes, its
 * text, and that text run on the CPU under the emulator: compiled by the
 * system's C compiler, its buffers against guard pages. */
#pragma once
#include "compiler/check/check.h"
#include "compiler/lang/lang.h"
#include "codegen/cuda/cuda.h"
#include "codegen/program/cpu.h"
#include "codegen/emit/kernel.h"
#include "tests/graph_kit.h"
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
    const char *module, *sizes; /* "D=48 E=5": of its parameters */
    Dtype t;                    /* of weights and x */
    int favourite, shunned;     /* experts (from 1) that all, none choose */
} Layer;

typedef int (*Launch)(const char *name, const uint32_t *grid, int threads,
                      size_t shared, void **arg, int order, int late);
typedef struct {
    Arena arena;
    Diags diags;
    const Layer *layer;
    Graph *g;
    CudaText *text;
    char dir[64];
    void *lib;
    Launch launch;
    int64_t T;
    void **at; /* by Buffer.id */
} Rig;

/* ---- numbers: by name, so that interpreter and kernels have the same ---- */

static inline double as_stored(Dtype t, double v)
{
    char memory[8];
    type_store(t, memory, 0, v);
    return type_load(t, memory, 0);
}

/* x[t, 0] is 1: the router's first column moves an expert up or down. */
static inline void rig_numbers(const Layer *l, const char *name,
                               const Type *type, int64_t T, double *out)
{
    int64_t n = type_count(type, T), row = 1;
    uint64_t key = random_key(5, name);
    if (type->rank)
        row = size_at(type->dim[type->rank - 1]->size, T);
    bool x = !strcmp(name, "x"), router = strstr(name, "router");
    double scale = x ? 1 : 1 / sqrt((double)row);
    for (int64_t i = 0; i < n; i++) {
        double v = scale * random_gaussian(key, (uint64_t)i);
        int64_t at = i / row + 1;
        if (i % row == 0 && x)
            v = 1;
        if (i % row == 0 && router)
            v = at == l->favourite ? 60 : at == l->shunned ? -60 : 0;
        out[i] = as_stored(type->dtype, v);
    }
}

static inline bool rig_input(void *user, const char *name, const Type *t,
                             double *out)
{
    const Rig *r = user;
    rig_numbers(r->layer, name, t, r->T, out);
    return true;
}

static inline bool rig_weight(void *user, const Weight *w, double *out)
{
    return rig_input(user, w->path, &w->type, out);
}

/* ---- the graph and its text ---- */

static inline int sizes_of(const char *text, const char **sym, double *value)
{
    int n = 0;
    for (; *text; text += strspn(text, " ")) {
        size_t len = strcspn(text, "=");
        sym[n] = intern_n(text, len);
        value[n++] = atof(text + len + 1);
        text += strcspn(text, " ");
    }
    return n;
}

static inline Graph *layer_graph(Rig *r, const Layer *l)
{
    const char *sym[16];
    double value[16];
    Sketch *sketch = NULL;
    Spec *s = spec_new(&r->arena, &r->diags);
    spec_whole_library(s);
    const Ast *def = spec_define(s, l->module);
    assert_non_null(def);
    assert_true(spec_sketch(s, def, &sketch) > 0);
    int n = sizes_of(l->sizes, sym, value);
    Node *y = graph_find_output(sketch[0].graph, "y");
    assert_non_null(y);
    Graph *g = graph_at(&r->arena, 1, &y, n, sym, value, l->t);
    assert_non_null(g);
    g->name = intern(l->module);
    ir_verify(g, "the test");
    return g;
}

/* The text of the plan as it is read back, printed for CUDA, is the same. */
static inline void rig_reads_back(Rig *r)
{
    static const CutOptions as_cpu = {.lanes = 16, .vectors = 2, .pair = 2};
    static const PassOptions none;
    char *text;
    size_t len;
    Err err = {""};
    const Graph *g = passes_run(r->g, &r->arena, &none);
    FILE *out = open_memstream(&text, &len);
    kernels_print(kernels_cut(g, &r->arena, &as_cpu), out);
    fclose(out);
    Source src = {"kernels", text, (int)len, &r->diags};
    Plan *plan = kernels_read(&r->arena, &src);
    assert_non_null(plan);
    CudaText *t = cuda_text_plan(plan, &err);
    assert_non_null(t);
    assert_string_equal(t->text, r->text->text);
    cuda_free(t);
    free(text);
}

static inline CudaText *cuda_text_of(const Graph *g)
{
    Err err = {""};
    CudaText *t = cuda_text(g, NULL, NULL, &err);
    if (!t)
        fail_msg("%s", err.text);
    return t;
}

static inline Rig *rig_new(const Layer *l)
{
    Rig *r = xmalloc(sizeof *r);
    memset(r, 0, sizeof *r);
    r->layer = l;
    r->g = layer_graph(r, l);
    r->text = cuda_text_of(r->g);
    rig_reads_back(r);
    return r;
}

static inline void rig_file(const Rig *r, const char *name, const char *text,
                            bool entries)
{
    FILE *f = fopen(intern_printf("%s/%s", r->dir, name), "w");
    assert_non_null(f);
    fputs(text, f);
    if (entries)
        cuda_entries(r->text, f);
    assert_int_equal(fclose(f), 0);
}

/* Compiles `text` (the rig's, or that spoiled) with these options. */
static inline void rig_compile(Rig *r, const char *text, const char *options)
{
    strcpy(r->dir, "/tmp/graft-cuda-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    rig_file(r, "graft_dev.h",
             intern_printf("%s%s", text_cuda_emu, text_cuda_emu_ops), false);
    rig_file(r, "graft_math.h", text_cuda_math, false);
    rig_file(r, "kernels.c", text, true);
    const char *command = intern_printf(
        "cc -std=gnu11 -O1 -w -shared -fPIC -ffp-contract=off "
        "-fno-tree-loop-distribute-patterns %s -o %s/kernels.so "
        "%s/kernels.c -lm", options, r->dir, r->dir);
    if (system(command))
        fail_msg("the text does not compile: %s", r->dir);
    r->lib = dlopen(intern_printf("%s/kernels.so", r->dir), RTLD_NOW);
    if (!r->lib)
        fail_msg("%s", dlerror());
    void *at = dlsym(r->lib, "emu_launch");
    memcpy(&r->launch, &at, sizeof at);
    assert_non_null(at);
}

static inline void rig_free(Rig *r)
{
    static const char *const file[] = {"graft_dev.h", "graft_math.h",
                                       "kernels.c", "kernels.so"};
    if (r->lib)
        dlclose(r->lib);
    for (size_t i = 0; *r->dir && i < COUNT(file); i++)
        unlink(intern_printf("%s/%s", r->dir, file[i]));
    if (*r->dir)
        rmdir(r->dir);
    cuda_free(r->text);
    arena_free(&r->arena);
    diags_free(&r->diags);
    free(r);
}

/* ---- memory ---- */

/* bytes that end at a page nobody may touch; the kernels' own begin aligned. */
static inline void *rig_guarded(int64_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = ((size_t)bytes + page - 1) / page * page + page;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        die("no memory");
    mprotect(p + size - page, page, PROT_NONE);
    return p + size - page - (size_t)bytes;
}

static inline int64_t rig_bytes(const Rig *r, const Buffer *b)
{
    if (b->kind == BUF_packed)
        return pack_bytes(&b->pack);
    if (b->kind == BUF_pos)
        return 4 * r->T;
    return buffer_bytes(b, r->T);
}

static inline void *rig_raw(const Rig *r, const char *name, const Type *t,
                            void *to)
{
    int64_t n = type_count(t, r->T);
    double *at = xmalloc((size_t)(n + 1) * sizeof *at);
    rig_numbers(r->layer, name, t, r->T, at);
    for (int64_t i = 0; i < n; i++)
        type_store(t->dtype, to, i, at[i]);
    free(at);
    return to;
}

static inline void rig_pack(const Rig *r, const Buffer *b)
{
    for (int i = 0; i < b->pack.parts; i++) {
        const Weight *w = b->pack.part[i]->weight;
        int64_t n = type_count(&w->type, 1);
        void *raw = xmalloc((size_t)type_bytes(w->type.dtype, n) + 8);
        rig_raw(r, w->path, &w->type, raw);
        pack_part(&b->pack, i, 0, 0, raw, r->at[b->id]);
        free(raw);
    }
}

/* A stacked weight: a table of pointers into its values. */
static inline void *rig_table(const Rig *r, const Buffer *b, char *values)
{
    int64_t n = type_count(&b->type, 1), tensors = 1;
    for (int i = 0; i < b->stacked; i++)
        tensors *= size_at(b->type.dim[i]->size, 1);
    void **table = rig_guarded(tensors * (int64_t)sizeof(void *));
    for (int64_t i = 0; i < tensors; i++)
        table[i] = values + type_bytes(b->type.dtype, n / tensors) * i;
    (void)r;
    return table;
}

static inline void rig_load(Rig *r, int64_t T)
{
    const Plan *p = r->text->plan;
    r->T = T;
    r->at = arena_alloc(&r->arena, (size_t)(p->buffer.n + 1) * sizeof *r->at);
    for (int i = 0; i < p->buffer.n; i++) {
        Buffer *b = p->buffer.at[i];
        int64_t bytes = rig_bytes(r, b);
        r->at[b->id] = rig_guarded(bytes);
        if (b->kind == BUF_packed)
            rig_pack(r, b);
        else if (b->kind == BUF_input)
            rig_raw(r, b->node->name, &b->type, r->at[b->id]);
        else if (b->kind == BUF_weight)
            rig_raw(r, b->node->weight->path, &b->type, r->at[b->id]);
        else
            memset(r->at[b->id], 0xff, (size_t)bytes);
        for (int t = 0; b->kind == BUF_pos && t < T; t++)
            ((int *)r->at[b->id])[t] = t;
        if (b->stacked)
            r->at[b->id] = rig_table(r, b, r->at[b->id]);
    }
}

/* ---- a run ---- */

static inline void rig_kernel(const Rig *r, const CudaKernel *k, int order,
                              int late)
{
    const Kernel *of = k->kernel;
    void *arg[2 * KERNEL_ARGS + 8];
    union {
        int i;
        float f;
    } size[8];
    uint32_t grid[3];
    int n = 0, base = 0, capacity = (int)r->T;
    for (int i = 0; i < of->nin; i++)
        arg[n++] = &r->at[of->in[i]->id];
    for (int i = 0; i < of->nout; i++)
        arg[n++] = &r->at[of->out[i]->id];
    for (int i = 0; i < k->nsize; i++) {
        double v = size_value(k->size[i].size, r->T);
        if (k->size[i].real)
            size[i].f = (float)v;
        else
            size[i].i = (int)v;
        arg[n++] = &size[i];
    }
    if (k->state) {
        arg[n++] = &base;
        arg[n++] = &capacity; /* of the caches: as long as k and v */
    }
    for (int i = 0; i < 3; i++)
        grid[i] = (uint32_t)size_at(k->grid[i], r->T);
    if (!r->launch(k->name, grid, k->threads, (size_t)k->shared, arg, order,
                   late))
        fail_msg("%s: cannot be launched", k->name);
}

static inline void rig_run(const Rig *r, int order, int late)
{
    for (int i = 0; i < r->text->kernel.n; i++)
        if (cuda_runs(&r->text->kernel.at[i], r->T))
            rig_kernel(r, &r->text->kernel.at[i], order, late);
}

static inline const Buffer *rig_result(const Rig *r)
{
    const Plan *p = r->text->plan;
    const Node *n = p->graph->output.at[0].node;
    for (int i = 0; i < p->buffer.n; i++)
        if (p->buffer.at[i]->node == n && p->buffer.at[i]->kind != BUF_route)
            return p->buffer.at[i];
    fail_msg("no result");
    return NULL;
}

static inline void rig_near_interp(Rig *r, double bound)
{
    InterpEnv env = {.T = r->T, .user = r, .input = rig_input,
                     .weight = rig_weight};
    const Buffer *y = rig_result(r);
    Tensor *want[4] = {NULL};
    Err err = {""};
    if (!interp_run(r->g, &env, &r->arena, want, &err))
        fail_msg("%s", err.text);
    for (int64_t i = 0; i < want[0]->count; i++) {
        double is = type_load(y->type.dtype, r->at[y->id], i);
        if (!(fabs(is - want[0]->at[i]) <=
              bound * (1 + fabs(want[0]->at[i]))))
            fail_msg("%s, T %d, element %d: %.9g, should be %.9g",
                     r->layer->module, (int)r->T, (int)i, is,
                     want[0]->at[i]);
    }
}
