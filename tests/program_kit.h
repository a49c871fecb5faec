/* For tests: a graph as a program against the interpreter, its columns and
 * weights against guard pages, one and two threads with the same bits. */
#pragma once
#include "codegen/cuda/cuda.h"
#include "tests/graph_kit.h"
#include <dirent.h>
#include <sys/mman.h>
#include <unistd.h>

/* bytes that end (or, with `before`, begin) at a page nobody may touch. */
typedef struct {
    char *map;
    size_t size;
    void *at;
} Guarded;

static inline Guarded guarded(int64_t bytes, bool before)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = ((size_t)bytes + page - 1) / page * page + page;
    Guarded g = {.size = size + page};
    g.map = mmap(NULL, g.size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.map == MAP_FAILED)
        die("no memory");
    mprotect(g.map, page, PROT_NONE);
    mprotect(g.map + size, page, PROT_NONE);
    g.at = before ? g.map + page : g.map + size - (size_t)bytes;
    return g;
}

static inline Guarded guarded_copy(Dtype t, const double *from, int64_t n,
                                   bool before)
{
    Guarded g = guarded(type_bytes(t, n), before);
    for (int64_t i = 0; from && i < n; i++)
        type_store(t, g.at, i, from[i]);
    return g;
}

static inline Node *weight(Kit *k, const char *name, Dtype t, int stacked,
                           int rank, const Dim *const *dims, const double *at)
{
    Weight *w = arena_alloc(&k->arena, sizeof *w);
    w->path = w->file = intern(name);
    w->type = type_of(t, rank, dims);
    w->stacked = stacked;
    k->in[k->nin].name = w->path;
    k->in[k->nin++].at = at;
    return g_weight(k->g, w);
}

/* ---- where a program's weights come from ---- */

enum { MAX_TENSORS = 64 };
typedef struct {
    const Kit *kit;
    bool before, by_reading;
    int n;
    Guarded tensor[MAX_TENSORS];
} Supply;

static inline int64_t tensor_size(const Weight *w)
{
    int64_t n = type_count(&w->type, 1);
    for (int i = 0; i < w->stacked; i++)
        n /= size_at(w->type.dim[i]->size, 1);
    return n;
}

static inline const void *source_place(void *user, const Weight *w,
                                       int64_t index, Dtype want)
{
    Supply *s = user;
    int64_t n = tensor_size(w);
    if (s->by_reading || s->n == MAX_TENSORS)
        return NULL;
    const double *from = kit_data(s->kit, w->path) + index * n;
    s->tensor[s->n] = guarded_copy(want, from, n, s->before);
    return s->tensor[s->n++].at;
}

static inline bool source_read(void *user, const Weight *w, int64_t index,
                               int64_t first, int64_t count, Dtype to,
                               void *out, Err *err)
{
    const Supply *s = user;
    const double *from =
        kit_data(s->kit, w->path) + index * tensor_size(w) + first;
    (void)err;
    for (int64_t i = 0; i < count; i++)
        type_store(to, out, i, from[i]);
    return true;
}

/* ---- a run ---- */

typedef struct {
    Kit *kit;
    const Graph *g;
    Program *p;
    char *text; /* of its plan, if that was read from it; or NULL */
    Supply *source;
    Guarded in[16], out[16];
    int nin, nout;
    Column column[16], result[16];
    int32_t *pos;
} Bench;

static inline Bench *bench_of(Kit *k, Program *p, bool before)
{
    Bench *b = calloc(1, sizeof *b);
    b->kit = k;
    b->g = k->g;
    b->p = p;
    b->source = calloc(1, sizeof *b->source);
    *b->source = (Supply){.kit = k, .before = before, .by_reading = before};
    WeightSource s = {b->source, source_place, source_read, NULL};
    Err err = {""};
    if (!program_load(b->p, &s, &err))
        fail_msg("%s", err.text);
    return b;
}

static inline Bench *bench_new(Kit *k, const CpuOptions *o, bool before)
{
    Err err = {""};
    Program *p = cpu_compile(k->g, o, &err);
    if (!p)
        fail_msg("%s", err.text);
    return bench_of(k, p, before);
}

/* gcc takes the text for dangling where this is inlined. */
__attribute__((noinline, unused)) static char *kernels_text(const Plan *p)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    kernels_print(p, out);
    fclose(out);
    return text;
}

/* The program again, from its kernels' text read back: that has the same bytes
 * when it is printed, before it is compiled and after. */
static inline Bench *bench_read(const Bench *b, const CpuOptions *o)
{
    Err err = {""};
    Diags d = {0};
    char *text = kernels_text(program_plan(b->p));
    Source src = {"kernels", text, (int)strlen(text), &d};
    Plan *plan = kernels_read(&b->kit->arena, &src);
    assert_non_null(plan);
    char *again = kernels_text(plan);
    assert_string_equal(again, text);
    free(again);
    Program *p = cpu_compile_plan(plan, o, &err);
    if (!p)
        fail_msg("%s", err.text);
    again = kernels_text(plan);
    assert_string_equal(again, text);
    free(again);
    diags_free(&d);
    Bench *to = bench_of(b->kit, p, false);
    to->text = text;
    return to;
}

static inline void add_columns(Bench *b, const Graph *g, int64_t T, bool before)
{
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        const double *from =
            n->op == OP_input ? kit_data(b->kit, n->name) : NULL;
        if (!from)
            continue;
        int64_t count = type_count(&n->type, T);
        b->in[b->nin] = guarded_copy(n->type.dtype, from, count, before);
        b->column[b->nin] =
            (Column){n->name, n->type.dtype, b->in[b->nin].at};
        b->nin++;
    }
}

static inline void drop_columns(Bench *b)
{
    for (int i = 0; i < b->nin; i++)
        munmap(b->in[i].map, b->in[i].size);
    for (int i = 0; i < b->nout; i++)
        munmap(b->out[i].map, b->out[i].size);
    free(b->pos);
    b->nin = b->nout = 0;
    b->pos = NULL;
}

/* Sequences: pos as the kit's env has it, else one from 0. */
static inline void bench_columns(Bench *b, int64_t T, bool before)
{
    drop_columns(b);
    b->pos = xmalloc((size_t)T * sizeof *b->pos);
    for (int64_t t = 0; t < T; t++)
        b->pos[t] = b->kit->env.pos ? b->kit->env.pos[t] : (int32_t)t;
    add_columns(b, b->g, T, before);
    for (int i = 0; i < b->g->output.n; i++) {
        const char *name = b->g->output.at[i].name;
        Dtype t = b->g->output.at[i].node->type.dtype;
        int64_t n = type_count(&b->g->output.at[i].node->type, T);
        b->out[i] = guarded(type_bytes(t, n), before);
        b->result[i] = (Column){name, t, b->out[i].at};
        b->nout++;
    }
}

static inline void bench_run(Bench *b, State *s, int64_t T, bool before)
{
    Err err = {""};
    bench_columns(b, T, before);
    if (!program_run(b->p, s, T, b->pos, b->column, b->nin, b->result, b->nout,
                     &err))
        fail_msg("%s", err.text);
}

static inline void bench_free(Bench *b)
{
    drop_columns(b);
    program_free(b->p);
    for (int i = 0; i < b->source->n; i++)
        munmap(b->source->tensor[i].map, b->source->tensor[i].size);
    free(b->source);
    free(b->text);
    free(b);
}

static inline void near_interp(Bench *b, int64_t T, double bound)
{
    Tensor *out[16] = {NULL};
    Kit *k = b->kit;
    k->env.T = T;
    k->env.exact = false;
    int32_t *pos = b->pos;
    const int32_t *was = k->env.pos;
    k->env.pos = pos;
    if (!interp_run(b->g, &k->env, &k->arena, out, &k->err))
        fail_msg("%s", k->err.text);
    k->env.pos = was;
    for (int i = 0; i < b->nout; i++)
        for (int64_t j = 0; j < out[i]->count; j++) {
            double is = type_load(b->result[i].dtype, b->result[i].data, j);
            double want = out[i]->at[j];
            if (!(fabs(is - want) <= bound * (1 + fabs(want))) &&
                !(isnan(is) && isnan(want)) && is != want)
                fail_msg("T %d, %s, element %d: %.9g, should be %.9g", (int)T,
                         b->result[i].name, (int)j, is, want);
        }
}

static inline void same_bits(const Bench *a, const Bench *b, int64_t T)
{
    for (int i = 0; i < a->nout; i++) {
        int64_t n = type_count(&a->g->output.at[i].node->type, T);
        assert_memory_equal(a->result[i].data, b->result[i].data,
                            (size_t)type_bytes(a->result[i].dtype, n));
    }
}

/* Code is kept for the test's own time: what is compiled for one thread serves
 * for two. */
static char kit_folder[64];
static inline void kit_drop_cache(void)
{
    DIR *d = opendir(kit_folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(kit_folder);
}

static inline const char *kit_cache(void)
{
    if (*kit_folder)
        return kit_folder;
    strcpy(kit_folder, "/tmp/graft-test-XXXXXX");
    if (!mkdtemp(kit_folder))
        return "";
    atexit(kit_drop_cache);
    return kit_folder;
}

/* The same on a GPU, or what stands in for one: threads and blocks forward and
 * backward, copies early and late, with the same bits. */
static inline void agree_on_gpu(Kit *k, const CpuOptions *o, double bound,
                                const int64_t *list)
{
    const CudaOptions co = {.training = o->training, .seed = o->seed,
                            .last_only = o->last_only, .cache = kit_cache()};
    Err err = {""};
    Supply supply = {.kit = k, .by_reading = true};
    const WeightSource s = {&supply, NULL, source_read, NULL};
    CudaProgram *p = cuda_program(k->g, &co, &err);
    if (!p || !cuda_load(p, &s, &err))
        fail_msg("%s", err.text);
    for (; *list; list++) {
        Bench b[2] = {{.kit = k, .g = k->g}, {.kit = k, .g = k->g}};
        for (int i = 0; i < 2; i++) {
            setenv("STUB_CUDA", i ? "order=1,late=1" : "", 1);
            bench_columns(&b[i], *list, i);
            if (!cuda_run(p, NULL, *list, b[i].pos, b[i].column, b[i].nin,
                          b[i].result, b[i].nout, &err))
                fail_msg("%s", err.text);
        }
        near_interp(&b[0], *list, bound);
        same_bits(&b[0], &b[1], *list);
        drop_columns(&b[0]);
        drop_columns(&b[1]);
    }
    cuda_program_free(p);
}

/* The kit's graph (its outputs are set): each T of `list` (0 ends it) on one
 * and on two threads, guards behind and before, near the interpreter; and from
 * its kernels' text. With ON_GPU set, on that instead. */
static inline void agree_for(Kit *k, const CpuOptions *o, double bound,
                             const int64_t *list)
{
    CpuOptions one = *o, two = *o;
    one.threads = 1;
    two.threads = 2;
    ir_verify(k->g, "the test");
    if (getenv("ON_GPU")) {
        agree_on_gpu(k, o, bound, list);
        return;
    }
    Bench *a = bench_new(k, &one, false), *b = bench_new(k, &two, true);
    Bench *read = bench_read(a, &one);
    if (getenv("SHOW"))
        program_print(a->p, TEXT_kernels, stderr);
    for (; *list; list++) {
        bench_run(a, NULL, *list, false);
        near_interp(a, *list, bound);
        bench_run(b, NULL, *list, true);
        same_bits(a, b, *list);
        bench_run(read, NULL, *list, false);
        same_bits(a, read, *list);
    }
    bench_free(a);
    bench_free(b);
    bench_free(read);
}

#define AGREE(k, bound, ...) \
    agree_for(k, &(CpuOptions){.cache = kit_cache()}, bound, \
              (const int64_t[]){__VA_ARGS__, 0})
