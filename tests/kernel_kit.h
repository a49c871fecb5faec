/* For tests and measurements of kernels: a graph's plan, each kernel compiled
 * alone, its buffers against guard pages, its tasks in any order. */
#pragma once
#include "codegen/program/cpu.h"
#include "codegen/jit/jit.h"
#include "codegen/emit/kernel.h"
#include "tests/graph_kit.h"
#include <sys/mman.h>
#include <unistd.h>

typedef void (*KernelFn)(void *const *arg, const int64_t *run, int64_t task,
                         void *mem);
typedef int64_t (*TasksFn)(void *const *arg, const int64_t *run);

typedef struct {
    Plan *plan;
    Jit *jit;
    void **at; /* by Buffer.id */
    int64_t *run, T;
    int64_t room; /* rows of caches */
    const Target *target;
    void *mem;
} Rig;

/* bytes that end (or, with `before`, begin) at a page nobody may touch. */
static inline void *guarded(int64_t bytes, bool before)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = ((size_t)bytes + page - 1) / page * page + page;
    char *p = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        die("no memory");
    mprotect(p, page, PROT_NONE);
    mprotect(p + size, page, PROT_NONE);
    return before ? p + page : p + size - (size_t)bytes;
}

static inline void rig_emit(Emit *e, Plan *p, Kernel *k)
{
    switch (k->skeleton) {
    case SKEL_matmul: emit_matmul(e, p, k); break;
    case SKEL_grouped: emit_grouped(e, p, k); break;
    case SKEL_map: emit_map(e, p, k); break;
    case SKEL_attend: emit_attend(e, p, k); break;
    case SKEL_route: emit_route(e, p, k); break;
    default: BUG("kernel kit: skeleton %d", k->skeleton);
    }
}

/* What the kernels' schedules have to be; NULL: nothing. */
static const Pins *kit_pins;

/* stored: what matmuls' weights are packed as; TYPE_COUNT: as they are. */
static inline Rig rig_stored(Kit *kit, const Target *t, int threads,
                             Dtype stored)
{
    Rig r = {.T = kit->env.T, .room = kit->env.T, .target = t};
    CutOptions o = {.lanes = t->width / 4, .vectors = 1, .pair = 2,
                    .on_load = true, .halves = true,
                    .picks = true};
    int64_t scratch = 64;
    r.plan = kernels_cut(kit->g, &kit->arena, &o);
    for (int i = 0; i < r.plan->buffer.n; i++) {
        Buffer *b = r.plan->buffer.at[i];
        if (b->kind == BUF_packed && stored != TYPE_COUNT) {
            assert_true(pack_keeps(&b->pack, stored));
            b->pack.dtype = stored;
            b->pack.pair = 1;
        }
    }
    Err err;
    if (!schedules_choose(r.plan, t, kit_pins, NULL, &err))
        fail_msg("%s", err.text);
    r.jit = jit_new(t, &(JitOptions){.threads = 1});
    r.at = arena_alloc(&kit->arena, 100 * sizeof *r.at);
    for (int i = 0; i < r.plan->kernel.n; i++) {
        Emit *e = emit_new(&kit->arena, t, r.plan->kernel.at[i]->name);
        rig_emit(e, r.plan, r.plan->kernel.at[i]);
        jit_add(r.jit, e);
        if (r.plan->kernel.at[i]->scratch > scratch)
            scratch = r.plan->kernel.at[i]->scratch;
    }
    jit_link(r.jit);
    r.run = (int64_t *)arena_alloc(&kit->arena, 64 * 8) + RUN_below;
    r.run[RUN_threads] = threads;
    r.run[RUN_capacity] = r.room;
    for (int i = 0; i < r.plan->sizes->at.n; i++)
        r.run[i] = size_at(r.plan->sizes->at.at[i].size, r.T);
    r.mem = guarded((scratch + 63) / 64 * 64, false);
    return r;
}

static inline Rig rig_new(Kit *kit, const Target *t, int threads)
{
    return rig_stored(kit, t, threads, TYPE_COUNT);
}

static inline int64_t rig_bytes(const Rig *r, const Buffer *b)
{
    if (b->kind == BUF_packed)
        return pack_bytes(&b->pack);
    if (b->kind == BUF_keys || b->kind == BUF_vals)
        return attend_bytes(r->target, &b->type, b->kind == BUF_keys, r->room);
    return buffer_bytes(b, r->T);
}

static inline void rig_fill(const Kit *kit, const Rig *r, const Buffer *b)
{
    const Node *n = b->node;
    const char *name = n->op == OP_weight ? n->weight->path : n->name;
    const double *from = kit_data(kit, name);
    for (int64_t i = 0; i < type_count(&b->type, r->T); i++)
        type_store(b->type.dtype, r->at[b->id], i, from[i]);
}

static inline void rig_pack(const Kit *kit, const Rig *r, const Buffer *b)
{
    for (int i = 0; i < b->pack.parts; i++) {
        const Type *t = &b->pack.part[i]->type;
        const double *from = kit_data(kit, b->pack.part[i]->weight->path);
        int64_t n = type_count(t, 1);
        char *raw = xmalloc((size_t)n * 8);
        for (int64_t j = 0; j < n; j++)
            type_store(b->pack.dtype, raw, j, from[j]);
        pack_part(&b->pack, i, 0, 0, raw, r->at[b->id]);
        free(raw);
    }
}

/* Memory for every buffer; inputs and weights filled in. */
static inline void rig_load(const Kit *kit, Rig *r, bool before)
{
    for (int i = 0; i < r->plan->buffer.n; i++) {
        Buffer *b = r->plan->buffer.at[i];
        r->at[b->id] = guarded(rig_bytes(r, b), before);
        if (b->kind == BUF_packed && type_info[b->pack.dtype].block_len > 1)
            continue; /* the test's affair */
        else if (b->kind == BUF_packed)
            rig_pack(kit, r, b);
        else if (b->kind == BUF_pos)
            memcpy(r->at[b->id], kit->env.pos, (size_t)r->T * 4);
        else if (b->kind == BUF_input || b->kind == BUF_weight)
            rig_fill(kit, r, b);
    }
}

static inline void rig_step(const Rig *r, const Kernel *k, const char *name,
                            bool backwards)
{
    void *arg[2 * KERNEL_ARGS];
    for (int i = 0; i < k->nin; i++)
        arg[i] = r->at[k->in[i]->id];
    for (int i = 0; i < k->nout; i++)
        arg[k->nin + i] = r->at[k->out[i]->id];
    KernelFn f = (KernelFn)jit_symbol(r->jit, name);
    TasksFn tasks = (TasksFn)jit_symbol(r->jit,
                                        intern_printf("%s_tasks", name));
    int64_t n = tasks(arg, r->run);
    *(int64_t *)r->mem = 0;
    for (int64_t i = 0; i < n; i++)
        f(arg, r->run, backwards ? n - 1 - i : i, r->mem);
}

static inline void rig_kernel(const Rig *r, const Kernel *k, bool backwards)
{
    if (k->skeleton == SKEL_attend)
        rig_step(r, k, intern_printf("%s_append", k->name), backwards);
    rig_step(r, k, k->name, backwards);
}

static inline void rig_run(const Rig *r, bool backwards)
{
    for (int i = 0; i < r->plan->kernel.n; i++)
        rig_kernel(r, r->plan->kernel.at[i], backwards);
}

static inline void rig_free(Rig *r)
{
    jit_free(r->jit); /* guarded memory goes with the process */
}

static inline const Buffer *rig_result(const Rig *r, const char *name)
{
    const Node *n = graph_find_output(r->plan->graph, name);
    for (int i = 0; i < r->plan->buffer.n; i++)
        if (r->plan->buffer.at[i]->node == n)
            return r->plan->buffer.at[i];
    fail_msg("no output %s", name);
    return NULL;
}
