/* The steps of a program: every plan instance's kernels in order, each pass of
 * a repeat an instance of its body's plan. */
#include "codegen/program/cpu.h"
#include <math.h>
#include <string.h>

static const Code *code_of(const Program *p, const Kernel *k)
{
    for (int i = 0; i < p->code.n; i++)
        if (p->code.at[i].kernel == k)
            return &p->code.at[i];
    return NULL;
}

static int timer(Program *p, const char *kernel, const char *skeleton)
{
    for (int i = 0; i < p->time.n; i++)
        if (p->time.at[i].kernel == kernel)
            return i;
    KernelTime t = {.kernel = kernel, .skeleton = skeleton};
    list_push(&p->arena, &p->time, t);
    return p->time.n - 1;
}

/* ---- tables of angles ---- */

static void fill_angles(void *const *arg, const int64_t *run, int64_t task,
                        void *mem)
{
    const RopeTable *r = arg[0];
    const int32_t *pos = arg[1];
    int half = r->rope->rotary / 2;
    int64_t T = run[0], end = 64 * task + 64 < T ? 64 * task + 64 : T;
    (void)mem;
    for (int64_t t = 64 * task; t < end; t++)
        for (int j = 0; j < half; j++) {
            double a = pos[t] * r->freq[j];
            r->table[t * half + j] = (float)(cos(a) * r->scale);
            r->table[(T + t) * half + j] = (float)(sin(a) * r->scale);
        }
}

static int64_t angle_tasks(void *const *arg, const int64_t *run)
{
    (void)arg;
    return (run[0] + 63) / 64;
}

static RopeTable *rope_table(Program *p, const Rope *rope)
{
    for (int i = 0; i < p->rope.n; i++)
        if (!memcmp(p->rope.at[i]->rope, rope, sizeof *rope))
            return p->rope.at[i];
    RopeTable *r = arena_alloc(&p->arena, sizeof *r);
    r->rope = rope;
    r->freq = arena_alloc(&p->arena, (size_t)rope->rotary * sizeof(double));
    rope_frequencies(rope, r->freq, &r->scale);
    list_push(&p->arena, &p->rope, r);
    return r;
}

static void find_ropes(Program *p, const Plan *plan)
{
    for (int i = 0; i < plan->buffer.n; i++)
        if (plan->buffer.at[i]->kind == BUF_rope)
            rope_table(p, plan->buffer.at[i]->rope);
    for (int i = 0; i < plan->body.n; i++)
        find_ropes(p, plan->body.at[i]);
}

/* ---- instances ---- */

static int count_caches(const Plan *plan)
{
    int n = 0;
    for (int i = 0; i < plan->kernel.n; i++)
        n += plan->kernel.at[i]->skeleton == SKEL_attend;
    return n;
}

static void add_caches(Program *p, Instance *in)
{
    int n = count_caches(in->plan);
    in->first_cache = p->ncaches;
    p->cache = xrealloc(p->cache, (size_t)(p->ncaches + n + 1) *
                                      sizeof *p->cache);
    for (int i = 0; i < in->plan->kernel.n; i++) {
        const Kernel *k = in->plan->kernel.at[i];
        if (k->skeleton != SKEL_attend)
            continue;
        p->cache[p->ncaches].keys = k->attend.keys;
        p->cache[p->ncaches++].vals = k->attend.vals;
    }
}

static Instance *instance_new(Program *p, Plan *plan, const Iteration *pass,
                              Instance *parent, uint64_t place)
{
    Instance *in = arena_alloc(&p->arena, sizeof *in);
    in->plan = plan;
    in->pass = pass;
    in->parent = parent;
    in->place = place;
    in->at = arena_alloc(&p->arena,
                         (size_t)(plan->buffer.n + 1) * sizeof *in->at);
    list_push(&p->arena, &p->instance, in);
    add_caches(p, in);
    return in;
}

/* ---- steps ---- */

/* A kernel joins the step before it if that is of its level too. */
static bool joins(const Program *p, const StepOf *of)
{
    const StepOf *last =
        p->step_of.n ? &p->step_of.at[p->step_of.n - 1] : NULL;
    return last && of->kernel && last->kernel && last->in == of->in &&
           last->kernel != of->kernel &&
           last->kernel->level == of->kernel->level;
}

static void add_step(Program *p, ExecStep s, StepOf of, int nargs)
{
    s.joined = joins(p, &of);
    s.arg = arena_alloc(&p->arena, (size_t)(nargs + 1) * sizeof *s.arg);
    list_push(&p->arena, &p->step, s);
    list_push(&p->arena, &p->step_of, of);
}

static void add_call(Program *p, Instance *in, Kernel *k)
{
    CallInfo *info = arena_alloc(&p->arena, sizeof *info);
    info->node = k->node;
    if (k->node->op == OP_uniform || k->node->op == OP_gaussian ||
        k->node->op == OP_shuffle)
        info->key = random_draw_key(k->node, p->o.seed, in->place);
    ExecStep s = {.kernel = call_kernel(k->node),
                  .timer = timer(p, k->name, "call")};
    add_step(p, s, (StepOf){.in = in, .kernel = k, .info = info},
             k->nin + k->nout + 1);
}

static void add_steps(Program *p, Instance *in);

static void add_repeat(Program *p, Instance *in, Kernel *k)
{
    Looped l = {.in = in, .kernel = k, .n = k->repeat.n};
    l.pass = arena_alloc(&p->arena, (size_t)(l.n + 1) * sizeof *l.pass);
    for (int i = 0; i < l.n; i++) {
        const Iteration *it = &k->repeat.node->repeat->at[i];
        l.pass[i] = instance_new(p, k->repeat.body[i], it, in,
                                 random_place(in->place, i));
        add_steps(p, l.pass[i]);
    }
    list_push(&p->arena, &p->loop, l);
    if (l.n)
        return;
    CallInfo *info = arena_alloc(&p->arena, sizeof *info);
    info->node = k->repeat.node;
    ExecStep s = {.kernel = call_kernel(k->repeat.node),
                  .timer = timer(p, k->name, "call")};
    add_step(p, s, (StepOf){.in = in, .kernel = k, .info = info},
             k->nin + k->nout + 1);
}

static void add_steps(Program *p, Instance *in)
{
    for (int i = 0; i < in->plan->kernel.n; i++) {
        Kernel *k = in->plan->kernel.at[i];
        const Code *c = code_of(p, k);
        if (k->skeleton == SKEL_repeat) {
            add_repeat(p, in, k);
        } else if (!c) {
            add_call(p, in, k);
        } else {
            ExecStep s = {.kernel = c->append, .tasks = c->append_tasks,
                          .timer = timer(p, k->name,
                                         skeleton_name[k->skeleton])};
            if (k->skeleton == SKEL_attend)
                add_step(p, s, (StepOf){in, k, NULL, true}, k->nin + k->nout);
            s.kernel = c->run;
            s.tasks = c->tasks;
            add_step(p, s, (StepOf){.in = in, .kernel = k}, k->nin + k->nout);
        }
    }
}

void program_steps(Program *p)
{
    find_ropes(p, p->plan);
    for (int i = 0; i < p->rope.n; i++) {
        ExecStep s = {.kernel = fill_angles, .tasks = angle_tasks,
                      .timer = timer(p, "angles", "call")};
        add_step(p, s, (StepOf){0}, 2);
        p->step.at[i].arg[0] = p->rope.at[i];
    }
    add_steps(p, instance_new(p, p->plan, NULL, NULL, 0));
    p->seconds = arena_alloc(&p->arena,
                             (size_t)(p->time.n + 1) * sizeof *p->seconds);
    for (int i = 0; i < p->step.n; i++)
        p->time.at[p->step.at[i].timer].calls++;
}
