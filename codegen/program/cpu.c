/* Programs for the CPU: passes, cut, one LLVM module a thread, the JIT. */
#include "codegen/jit/cache.h"
#include "codegen/program/cpu.h"
#include <string.h>

/* ---- emission ---- */

void program_emit_kernel(Emit *e, Plan *plan, Kernel *k)
{
    switch (k->skeleton) {
    case SKEL_map: emit_map(e, plan, k); break;
    case SKEL_matmul: emit_matmul(e, plan, k); break;
    case SKEL_grouped: emit_grouped(e, plan, k); break;
    case SKEL_route: emit_route(e, plan, k); break;
    case SKEL_attend: emit_attend(e, plan, k); break;
    case SKEL_scatter: emit_scatter(e, plan, k); break;
    case SKEL_pack: emit_pack(e, plan, k); break;
    case SKEL_back: emit_attend_back(e, plan, k); break;
    case SKEL_collect: emit_collect(e, plan, k); break;
    case SKEL_call:
    case SKEL_repeat: break;
    }
}

typedef struct {
    Program *p;
    Emit *module[8];
    int n;
} Emission;

/* Matmuls share their tiles within a module, so they stay together. */
static Emit *module_for(Emission *m, const Kernel *k)
{
    bool heavy = k->skeleton == SKEL_matmul || k->skeleton == SKEL_grouped;
    int i = heavy || m->n == 1 ? 0 : 1;
    if (!m->module[i])
        m->module[i] = emit_new(&m->p->arena, m->p->target,
                                intern_printf("graft_%d", i));
    return m->module[i];
}

static void emit_plan(Emission *m, Plan *plan)
{
    Program *p = m->p;
    for (int i = 0; i < plan->body.n; i++)
        emit_plan(m, plan->body.at[i]);
    for (int i = 0; i < plan->kernel.n; i++) {
        Kernel *k = plan->kernel.at[i];
        if (k->skeleton == SKEL_call || k->skeleton == SKEL_repeat)
            continue;
        program_emit_kernel(module_for(m, k), plan, k);
        Code c = {.kernel = k};
        list_push(&p->arena, &p->code, c);
    }
}

Emit *program_emit(Program *p)
{
    Emission m = {.p = p, .n = 1};
    emit_plan(&m, p->plan);
    return m.module[0];
}

static void emit_all(Program *p)
{
    Emission m = {.p = p, .n = 2}; /* whatever the threads: cached alike */
    emit_plan(&m, p->plan);
    for (int i = 0; i < m.n; i++)
        if (m.module[i]) {
            emit_verify(m.module[i]);
            jit_add(p->jit, m.module[i]);
        }
}

void program_find(Jit *j, const char *name, ExecKernel *run, ExecTasks *tasks)
{
    void *a = jit_symbol(j, name);
    void *b = jit_symbol(j, intern_printf("%s_tasks", name));
    memcpy(run, &a, sizeof a);
    memcpy(tasks, &b, sizeof b);
}

static void find_code(Program *p)
{
    for (int i = 0; i < p->code.n; i++) {
        Code *c = &p->code.at[i];
        const char *name = c->kernel->name;
        program_find(p->jit, name, &c->run, &c->tasks);
        if (c->kernel->skeleton == SKEL_attend)
            program_find(p->jit, intern_printf("%s_append", name),
                         &c->append, &c->append_tasks);
    }
}

/* ---- the program ---- */

int64_t program_scratch(const Program *p)
{
    int64_t most = 64;
    for (int i = 0; i < p->code.n; i++)
        if (p->code.at[i].kernel->scratch > most)
            most = p->code.at[i].kernel->scratch;
    return most;
}

static const char *cache_of(const Program *p, char *room, size_t size)
{
    if (p->o.cache)
        return *p->o.cache ? p->o.cache : NULL;
    return cache_folder(room, size) ? room : NULL;
}

/* What was found by exploring is for this machine. */
static bool choose_schedules(Program *p, Err *err)
{
    char room[4096];
    const char *folder = cache_of(p, room, sizeof room);
    Pins found = {.arena = &p->arena};
    if (folder && p->target->features == target_host()->features)
        store_read(&found, folder);
    return schedules_choose(p->plan, p->target, p->o.pins, &found, err);
}

bool program_cut(Program *p, const Graph *g, Err *err)
{
    PassOptions po = {.training = p->o.training, .last_only = p->o.last_only,
                      .stored = p->o.stored, .user = p->o.user};
    CutOptions co = {.lanes = p->target->width / 4,
                     .vectors = 1, .pair = 2, .on_load = true, .halves = true,
                     .picks = true, .moving = p->o.moving,
                     .stored = p->o.stored,
                     .keeps = pack_keeps, .user = p->o.user};
    p->limits = graph_limits(g, &p->arena);
    if (!limits_hold_always(&p->limits, err))
        return false;
    p->plan = kernels_cut(passes_run(g, &p->arena, &po), &p->arena, &co);
    return choose_schedules(p, err);
}

/* Steps, and room for the pointers to what they use. */
static void make_steps(Program *p)
{
    const Steps *s = &p->steps;
    program_steps(p);
    const int blocks[SPACES] = {
        [SPACE_value] = 1,           [SPACE_in] = s->in.n,
        [SPACE_out] = s->out.n,      [SPACE_weight] = s->weight.n,
        [SPACE_angle] = s->angle.n,  [SPACE_pos] = 1};
    for (int i = 0; i < SPACES; i++)
        p->base[i] = arena_alloc(&p->arena, (size_t)(blocks[i] + 1) *
                                                sizeof *p->base[i]);
    p->run = arena_alloc(&p->arena, (size_t)(RUN_below + p->plan->sizes->at.n) *
                                        sizeof *p->run);
    p->own = state_new(p);
    p->own->shared = true;
}

static void compile(Program *p)
{
    double cut = seconds_now();
    char room[4096];
    JitOptions jo = {.keep_text = p->o.keep_text, .threads = p->o.threads,
                     .cache = cache_of(p, room, sizeof room)};
    p->jit = jit_new(p->target, &jo);
    emit_all(p);
    double emitted = seconds_now();
    jit_link(p->jit);
    find_code(p);
    p->cost.emit = emitted - cut;
    p->cost.cached = jit_was_cached(p->jit);
    jit_seconds(p->jit, &p->cost.optimise, &p->cost.link);
    make_steps(p);
    p->team = exec_team(p->o.threads, program_scratch(p));
}

Program *program_new(const CpuOptions *o)
{
    Program *p = xmalloc(sizeof *p);
    *p = (Program){.o = *o};
    p->target = o->target ? o->target : target_measured();
    if (p->o.threads < 1)
        p->o.threads = exec_cores();
    return p;
}

static Program *give_up(Program *p)
{
    program_free(p);
    return NULL;
}

Program *cpu_compile(const Graph *g, const CpuOptions *o, Err *err)
{
    Program *p = program_new(o);
    double start = seconds_now();
    bool fine = program_cut(p, g, err);
    p->cost.passes = seconds_now() - start;
    if (fine)
        compile(p);
    return fine ? p : give_up(p);
}

static bool pack_fits(const Program *p, const Pack *k)
{
    int pair = k->dtype == TYPE_bf16 ? 2 : 1;
    int64_t head = size_at(k->n[k->nn - 1]->size, 1);
    if (k->halves && head % (p->target->width / 2))
        return false;
    return k->pair == pair &&
           (k->dtype == TYPE_f32 || k->dtype == TYPE_f16 ||
            k->dtype == TYPE_bf16 || pack_keeps(k, k->dtype));
}

/* Weights are packed as this target's matmuls read them. */
static bool packs_fit(const Program *p, const Plan *plan, Err *err)
{
    for (int i = 0; i < plan->body.n; i++)
        if (!packs_fit(p, plan->body.at[i], err))
            return false;
    for (int i = 0; i < plan->buffer.n; i++) {
        const Buffer *b = plan->buffer.at[i];
        const Pack *k = &b->pack;
        if ((b->kind == BUF_packed || b->kind == BUF_panels) &&
            !pack_fits(p, k))
            return err_set(err, "%s: this CPU has no matmul for weights packed "
                           "as %s by %d%s", plan->name,
                           type_info[k->dtype].name, k->pair,
                           k->halves ? ", halves of heads side by side" : "");
    }
    return true;
}

Program *cpu_compile_plan(Plan *plan, const CpuOptions *o, Err *err)
{
    Program *p = program_new(o);
    p->plan = plan;
    p->limits = graph_limits(plan->graph, &p->arena);
    if (!limits_hold_always(&p->limits, err) ||
        !packs_fit(p, plan, err) || !choose_schedules(p, err))
        return give_up(p);
    compile(p);
    return p;
}

void program_free(Program *p)
{
    if (!p)
        return;
    exec_pool_free(&p->weights);
    for (int i = 0; i < p->steps.angle.n && p->base[SPACE_angle]; i++)
        free(p->base[SPACE_angle][i]);
    state_free(p->own);
    exec_team_free(p->team);
    jit_free(p->jit);
    if (p->base[SPACE_value])
        free(*p->base[SPACE_value]);
    arena_free(&p->arena);
    free(p);
}

bool program_print(const Program *p, ProgramText what, FILE *out)
{
    switch (what) {
    case TEXT_kernels: kernels_print(p->plan, out); return true;
    case TEXT_llvm: jit_print(p->jit, JIT_llvm, out); break;
    case TEXT_llvm_opt: jit_print(p->jit, JIT_optimised, out); break;
    case TEXT_asm: jit_print(p->jit, JIT_asm, out); break;
    }
    return p->o.keep_text;
}

const Plan *program_plan(const Program *p)
{
    return p->plan;
}

const KernelTime *program_times(Program *p, bool reset, int *n)
{
    for (int i = 0; i < p->time.n; i++) {
        p->time.at[i].seconds = p->seconds[i];
        if (reset)
            p->seconds[i] = 0;
    }
    *n = p->time.n;
    return p->time.at;
}

ProgramCost program_cost(const Program *p)
{
    return p->cost;
}
