/* Programs for a GPU: passes, cut, text, each kernel compiled by NVRTC or taken
 * from the cache of compiled kernels. */
#include "codegen/cuda/cuda_program.h"
#include "codegen/jit/cache.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CACHE_LIMIT = 512 << 20 }; /* bytes on disk */

/* ---- kernels ---- */

/* Whose code it is; without NVRTC that of the run that had one last. */
typedef struct {
    int version; /* 0: nobody's */
    char arch[28];
} Maker;

typedef struct {
    const CudaProgram *p;
    const char *folder; /* NULL: no cache */
    Maker maker;
    bool here;          /* it is; else absent says why not */
    Err absent;
    bool cached;        /* all so far */
    Err err;
} Compiler;

/* The text of one function alone. */
static char *text_of(const CudaKernel *k)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    fprintf(out, "%s%s", text_cuda_includes, k->text);
    fclose(out);
    return text;
}

/* What a compiled kernel depends on. */
static CacheKey key_of(const Compiler *c, const char *text)
{
    CacheKey k = cache_mix(cache_key(), "cuda 2", 6);
    k = cache_mix(k, &c->maker, sizeof c->maker);
    for (size_t i = 0; i < COUNT(cuda_option); i++)
        k = cache_mix(k, cuda_option[i], strlen(cuda_option[i]));
    k = cache_mix(k, text_cuda_dev, strlen(text_cuda_dev));
    k = cache_mix(k, text_cuda_math, strlen(text_cuda_math));
    return cache_mix(k, text, strlen(text));
}

static int capability(const Compiler *c)
{
    const CudaDevice *d = device_about(c->p->device);
    return 10 * d->major + d->minor;
}

/* Who made the last code for such a GPU: kept beside it. */
static CacheKey maker_key(const Compiler *c)
{
    int about = capability(c);
    CacheKey k = cache_mix(cache_key(), "cuda maker", 10);
    return cache_mix(k, &about, sizeof about);
}

static void recall_maker(Compiler *c)
{
    size_t len;
    void *was = c->folder ? cache_find(c->folder, maker_key(c), &len) : NULL;
    if (was && len == sizeof c->maker)
        memcpy(&c->maker, was, len);
    free(was);
}

static void find_maker(Compiler *c)
{
    const char *path;
    Maker now = {0};
    recall_maker(c);
    c->here = cuda_nvrtc(&now.version, &path, &c->absent) &&
              cuda_arch(capability(c), now.arch, sizeof now.arch, &c->absent);
    if (!c->here || !memcmp(&now, &c->maker, sizeof now))
        return;
    c->maker = now;
    if (c->folder)
        cache_keep(c->folder, maker_key(c), &now, sizeof now, CACHE_LIMIT);
}

/* NVRTC's refusal is our mistake: the text is kept, and where is said. */
static void refused(const char *text, const char *name, const Err *err)
{
    char path[] = "/tmp/graft-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (f) {
        fputs(text, f);
        fclose(f);
    }
    BUG("%s: %s; its text is %s", name, err->text, path);
}

/* From the cache or by NVRTC, with a 0 behind; NULL with err set: neither. */
static char *code_of(Compiler *c, const CudaKernel *k, Err *err)
{
    char *text = text_of(k), *code = NULL;
    size_t len = 0;
    CacheKey key = key_of(c, text);
    if (c->folder)
        code = cache_find(c->folder, key, &len);
    if (!code && !c->here)
        *err = c->absent;
    if (!code && c->here) {
        CudaCode made = {0};
        c->cached = false;
        if (!cuda_compile(text, c->maker.arch, NULL, &made, err))
#pragma omp critical(refused) /* which ends the process: one is told */
            refused(text, k->name, err);
        code = made.at;
        len = made.len;
        if (c->folder)
            cache_keep(c->folder, key, code, len, CACHE_LIMIT);
    }
    free(text);
    if (code)
        code[len] = 0;
    return code;
}

/* Compiled side by side, loaded by the thread that has the device. */
static bool compile_all(Compiler *c, char **code)
{
    const CudaText *t = c->p->text;
    bool fine = true;
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < t->kernel.n; i++) {
        Err err = {""};
        code[i] = code_of(c, &t->kernel.at[i], &err);
        if (code[i])
            continue;
#pragma omp critical(failed)
        {
            fine = false;
            c->err = err;
        }
    }
    return fine;
}

static bool load_all(CudaProgram *p, char **code, Err *err)
{
    for (int i = 0; i < p->text->kernel.n; i++) {
        const CudaKernel *k = &p->text->kernel.at[i];
        if (!device_load(p->device, code[i], k->name, k->shared, &p->code[i],
                         err))
            return false;
    }
    return true;
}

static bool compile(CudaProgram *p, Err *err)
{
    char room[4096];
    Compiler c = {.p = p, .folder = p->o.cache, .cached = true};
    double start = seconds_now();
    int n = p->text->kernel.n;
    if (!c.folder && cache_folder(room, sizeof room))
        c.folder = room;
    if (c.folder && !*c.folder)
        c.folder = NULL;
    find_maker(&c);
    char **code = xmalloc((size_t)(n + 1) * sizeof *code);
    p->code = arena_alloc(&p->arena, (size_t)(n + 1) * sizeof *p->code);
    bool fine = compile_all(&c, code);
    if (fine)
        fine = load_all(p, code, err);
    else
        *err = c.err;
    for (int i = 0; i < n; i++)
        free(code[i]);
    free(code);
    p->cost.cached = c.cached;
    p->cost.kept = c.folder && !access(c.folder, W_OK);
    p->cost.seconds = seconds_now() - start;
    return fine;
}

/* ---- launches ---- */

static uint64_t draw_key(const CudaProgram *p, const ProgramStep *s)
{
    const Kernel *k = s->kernel;
    return k->skeleton == SKEL_call
               ? random_draw_key(k->node, p->o.seed, s->in->place) : 0;
}

static void add_launches(CudaProgram *p)
{
    for (int i = 0; i < p->steps.step.n; i++) {
        const ProgramStep *s = &p->steps.step.at[i];
        for (int j = 0; j < p->text->kernel.n; j++) {
            const CudaKernel *k = &p->text->kernel.at[j];
            if (k->kernel != s->kernel || k->append != s->append)
                continue;
            Launch l = {s, j, k->draws ? draw_key(p, s) : 0};
            list_push(&p->arena, &p->launch, l);
        }
    }
}

static Room *rooms(CudaProgram *p, int n)
{
    return arena_alloc(&p->arena, (size_t)(n + 1) * sizeof(Room));
}

static void make_steps(CudaProgram *p)
{
    Steps *s = &p->steps;
    steps_make(s, &p->arena, p->text->plan);
    add_launches(p);
    p->in = rooms(p, s->in.n);
    p->out = rooms(p, s->out.n);
    p->angle = rooms(p, s->angle.n);
    p->weight = arena_alloc(&p->arena, (size_t)(s->weight.n + 1) *
                                           sizeof *p->weight);
    p->own = cuda_state_new(p);
}

/* ---- the program ---- */

static bool make(CudaProgram *p, const Graph *g, Err *err)
{
    const PassOptions po = {.training = p->o.training,
                            .last_only = p->o.last_only};
    p->limits = graph_limits(g, &p->arena);
    if (!limits_hold_always(&p->limits, err))
        return false;
    p->text = cuda_text(g, &po, p->o.pins, err);
    if (!p->text)
        return false;
    p->device = device_open(p->o.device, err);
    if (!p->device || !compile(p, err))
        return false;
    make_steps(p);
    return true;
}

CudaProgram *cuda_program(const Graph *g, const CudaOptions *o, Err *err)
{
    CudaProgram *p = xmalloc(sizeof *p);
    *p = (CudaProgram){.o = *o};
    if (make(p, g, err))
        return p;
    cuda_program_free(p);
    return NULL;
}

static void free_rooms(CudaProgram *p, const Room *r, int n)
{
    for (int i = 0; r && i < n; i++)
        device_release(p->device, r[i].at);
}

void cuda_program_free(CudaProgram *p)
{
    if (!p)
        return;
    cuda_state_free(p->own);
    if (p->device) {
        device_release(p->device, p->weights);
        free_rooms(p, &p->value, 1);
        free_rooms(p, &p->pos, 1);
        free_rooms(p, p->in, p->steps.in.n);
        free_rooms(p, p->out, p->steps.out.n);
        free_rooms(p, p->angle, p->steps.angle.n);
        for (int i = 0; p->code && i < p->text->kernel.n; i++)
            device_unload(p->device, p->code[i]);
    }
    device_close(p->device);
    cuda_free(p->text);
    arena_free(&p->arena);
    free(p);
}

CudaCost cuda_cost(const CudaProgram *p)
{
    CudaCost c = p->cost;
    c.device = device_about(p->device);
    c.kernels = p->text->kernel.n;
    c.launches = p->launch.n;
    return c;
}

bool cuda_device(int number, CudaDevice *out, Err *err)
{
    Device *d = device_open(number, err);
    if (d)
        *out = *device_about(d);
    device_close(d);
    return d != NULL;
}

bool room_for(Device *d, Room *r, int64_t bytes, const char *what, Err *err)
{
    if (r->at && r->bytes >= bytes)
        return true;
    device_release(d, r->at);
    *r = (Room){device_alloc(d, bytes, what, err), bytes};
    return r->at != 0;
}
