/* One kernel alone, to try schedules: compiled by itself, its columns random.
 * Weights lie in a region larger than the caches, each run further on in it, so
 * that they come from memory as they do in a program. */
#include "codegen/program/cpu.h"
#include <string.h>

/* Runs in a row, of FEW bytes or one; tokens before a single one. */
enum { RUNS = 8, FEW = 64 << 20, SEEN = 256 };

struct TrialMemory {
    char *at;
    int64_t bytes, next; /* next: where the last run's weights ended */
};

struct Trials {
    Program *p;
    const Kernel *kernel;
    TrialMemory *weights;
    ExecTeam *team;
    int threads;
    int64_t tokens; /* there is room for */
    int64_t T;      /* of the last run */
    void *in[KERNEL_ARGS], *out[KERNEL_ARGS]; /* NULL: in `weights` */
    int64_t *run;
};

struct Trial {
    Arena arena;
    Trials *of;
    Kernel kernel;
    Buffer pack[8]; /* copies: schedules decide how they are packed */
    Jit *jit;
    ExecKernel code;
    ExecTasks tasks;
    void *arg[RUNS][2 * KERNEL_ARGS];
};

/* ---- memory ---- */

/* Words that are small normal numbers as bf16, f16, and by two as f32, and
 * whatever as codes. */
static void fill_random(char *at, int64_t bytes)
{
    enum { BLOCK = 1 << 20 };
    int64_t first = bytes < BLOCK ? bytes : BLOCK;
    for (int64_t i = 0; i + 2 <= first; i += 2) {
        uint32_t h = (uint32_t)(i + 1) * 2654435761u;
        uint16_t word = (uint16_t)(0x3c00 | (h >> 15 & 0x81ff));
        memcpy(at + i, &word, 2);
    }
    for (int64_t i = first; i < bytes; i += BLOCK)
        memcpy(at + i, at, (size_t)(bytes - i < BLOCK ? bytes - i : BLOCK));
}

static int64_t weight_bytes(const Buffer *b)
{
    if (b->kind == BUF_packed)
        return pack_bytes(&b->pack);
    return b->kind == BUF_weight ? buffer_bytes(b, 1) : 0;
}

static void widest(const Plan *p, int64_t *most)
{
    for (int i = 0; i < p->body.n; i++)
        widest(p->body.at[i], most);
    for (int i = 0; i < p->buffer.n; i++) {
        int64_t bytes = weight_bytes(p->buffer.at[i]);
        *most = bytes > *most ? bytes : *most;
    }
}

TrialMemory *trial_memory(const Program *p)
{
    int64_t most = 0, cache = 4 * machine_model()->cache[2];
    TrialMemory *m = xmalloc(sizeof *m);
    widest(p->plan, &most);
    int64_t bytes = 2 * most > cache ? 2 * most : cache;
    bytes = bytes > 64 << 20 ? bytes : 64 << 20;
    *m = (TrialMemory){.at = exec_alloc(bytes), .bytes = bytes};
    fill_random(m->at, bytes);
    return m;
}

void trial_memory_free(TrialMemory *m)
{
    if (m)
        free(m->at);
    free(m);
}

static void *weights_of(TrialMemory *m, int64_t bytes)
{
    bytes = (bytes + 63) / 64 * 64;
    if (bytes > m->bytes)
        return NULL;
    if (m->next + bytes > m->bytes)
        m->next = 0;
    void *at = m->at + m->next;
    m->next += bytes;
    return at;
}

/* An index: neighbours differ, so that a token's experts do. */
static void fill_index(int32_t *at, int64_t n, int64_t of, int64_t row)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t h = (uint32_t)(i / row + 1) * 2654435761u;
        at[i] = (int32_t)((h >> 8) % of + i % row) % (int32_t)of;
    }
}

static int64_t last_size(const Type *t)
{
    return t->rank > 1 ? size_at(t->dim[t->rank - 1]->size, 1) : 1;
}

static void fill_route(int32_t *route, const int32_t *index, int64_t n,
                       int64_t experts)
{
    int32_t *order = route + experts + 1, at = 0;
    for (int64_t e = 0; e < experts; e++) {
        route[e] = at;
        for (int64_t i = 0; i < n; i++)
            if (index[i] == e)
                order[at++] = (int32_t)i;
    }
    route[experts] = at;
}

static void *column(const Buffer *b, int64_t T)
{
    int64_t n = type_count(&b->type, T), bytes = type_bytes(b->type.dtype, n);
    char *at = exec_alloc(bytes + 64);
    if (b->type.index_of)
        fill_index((int32_t *)(void *)at, n,
                   size_at(b->type.index_of->size, T), last_size(&b->type));
    else if (b->type.dtype == TYPE_bool)
        memset(at, 1, (size_t)bytes);
    else
        fill_random(at, bytes);
    return at;
}

/* The route of an index of T tokens to `at`. */
static void set_route(const Buffer *b, int64_t T, int32_t *at)
{
    const Type *type = &b->node->type;
    int64_t n = type_count(type, T), E = size_at(b->type.index_of->size, 1);
    int32_t *index = xmalloc((size_t)n * sizeof *index);
    fill_index(index, n, E, last_size(type));
    fill_route(at, index, n, E);
    free(index);
}

/* A stacked weight: a table of its tensors. */
static void *table(Trials *t, const Buffer *b)
{
    int64_t n = 1, bytes = type_bytes(b->type.dtype, type_count(&b->type, 1));
    for (int i = 0; i < b->stacked; i++)
        n *= size_at(b->type.dim[i]->size, 1);
    void **at = xmalloc((size_t)n * sizeof *at);
    for (int64_t i = 0; i < n; i++)
        at[i] = weights_of(t->weights, bytes / n);
    return at;
}

static void *memory_of(Trials *t, const Buffer *b, int64_t T)
{
    int32_t *pos;
    switch (b->kind) {
    case BUF_route: return exec_alloc(buffer_bytes(b, T));
    case BUF_packed: return NULL;
    case BUF_weight: return b->stacked ? table(t, b) : NULL;
    case BUF_keys:
    case BUF_vals: {
        int64_t bytes = attend_bytes(t->p->target, &b->type,
                                     b->kind == BUF_keys, T + SEEN);
        void *at = exec_alloc(bytes);
        fill_random(at, bytes);
        return at;
    }
    case BUF_pos:
        pos = exec_alloc(4 * T);
        for (int64_t i = 0; i < T; i++)
            pos[i] = (int32_t)i;
        return pos;
    default: return column(b, T);
    }
}

/* ---- a kernel's trials ---- */

Trials *trials_new(Program *p, const Kernel *k, TrialMemory *m, int64_t tokens)
{
    Trials *t = xmalloc(sizeof *t);
    *t = (Trials){.p = p, .kernel = k, .weights = m, .tokens = tokens,
                  .threads = p->o.threads};
    for (int i = 0; i < k->nin; i++)
        t->in[i] = memory_of(t, k->in[i], tokens);
    for (int i = 0; i < k->nout; i++)
        t->out[i] = column(k->out[i], tokens);
    size_t places = (size_t)(RUN_below + p->plan->sizes->at.n);
    t->run = xmalloc(places * sizeof *t->run);
    return t;
}

void trials_free(Trials *t)
{
    if (!t)
        return;
    for (int i = 0; i < KERNEL_ARGS; i++) {
        free(t->in[i]);
        free(t->out[i]);
    }
    exec_team_free(t->team);
    free(t->run);
    free(t);
}

/* The kernel with packs of its own. */
static void copy_kernel(Trial *t)
{
    Kernel *k = &t->kernel;
    *k = *t->of->kernel;
    if (k->skeleton != SKEL_matmul && k->skeleton != SKEL_grouped)
        return;
    k->in = arena_alloc(&t->arena, (size_t)k->nin * sizeof *k->in);
    memcpy(k->in, t->of->kernel->in, (size_t)k->nin * sizeof *k->in);
    for (int i = 0; i < k->matmul.nparts; i++) {
        Buffer *old = k->matmul.part[i].w;
        t->pack[i] = *old;
        k->matmul.part[i].w = &t->pack[i];
        for (int j = 0; j < k->nin; j++)
            if (k->in[j] == old)
                k->in[j] = &t->pack[i];
    }
}

Trial *trial_new(Trials *of, const Schedule *s)
{
    Trial *t = xmalloc(sizeof *t);
    *t = (Trial){.of = of};
    copy_kernel(t);
    t->kernel.schedule = *s;
    schedule_choose(&t->kernel, of->p->target);
    t->jit = jit_new(of->p->target, &(JitOptions){.threads = 1});
    Emit *e = emit_new(&t->arena, of->p->target, "trial");
    program_emit_kernel(e, of->p->plan, &t->kernel);
    jit_add(t->jit, e);
    jit_link(t->jit);
    program_find(t->jit, t->kernel.name, &t->code, &t->tasks);
    return t;
}

const Schedule *trial_schedule(const Trial *t)
{
    return &t->kernel.schedule;
}

void trial_free(Trial *t)
{
    if (!t)
        return;
    jit_free(t->jit);
    arena_free(&t->arena);
    free(t);
}

/* ---- runs ---- */

static bool set_arguments(Trial *t, int i)
{
    Trials *of = t->of;
    const Kernel *k = &t->kernel;
    for (int j = 0; j < k->nin; j++) {
        t->arg[i][j] = of->in[j] ? of->in[j]
                                 : weights_of(of->weights,
                                              weight_bytes(k->in[j]));
        if (!t->arg[i][j])
            return false;
    }
    for (int j = 0; j < k->nout; j++)
        t->arg[i][k->nin + j] = of->out[j];
    return true;
}

int64_t trial_before(int64_t T)
{
    return T == 1 ? SEEN : 0;
}

static void set_run(Trials *t, int64_t T)
{
    for (int i = 0; i < t->kernel->nin && t->T != T; i++)
        if (t->kernel->in[i]->kind == BUF_route)
            set_route(t->kernel->in[i], T, t->in[i]);
    t->T = T;
    int64_t *run = t->run + RUN_below;
    run[RUN_base] = trial_before(T);
    run[RUN_capacity] = t->tokens + SEEN;
    run[RUN_threads] = t->threads;
    steps_sizes(t->p->plan, T, run);
}

static void have_team(Trials *t, int64_t scratch)
{
    if (t->team && t->team->mem_bytes >= scratch)
        return;
    exec_team_free(t->team);
    t->team = exec_team(t->threads, scratch > 64 ? scratch : 64);
}

double trial_seconds(Trial *t, int64_t T)
{
    ExecStep step[RUNS];
    double bytes = kernel_work(&t->kernel, T).bytes;
    int n = T > 64 ? 1 : bytes * RUNS < FEW ? RUNS : 1 + (int)(FEW / bytes);
    set_run(t->of, T);
    have_team(t->of, t->kernel.scratch);
    for (int i = 0; i < n; i++) {
        if (!set_arguments(t, i))
            return -1;
        step[i] = (ExecStep){.kernel = t->code, .tasks = t->tasks,
                             .arg = t->arg[i]};
    }
    double start = seconds_now();
    exec_run(t->of->team, step, n, t->of->run + RUN_below, NULL);
    return (seconds_now() - start) / n;
}
