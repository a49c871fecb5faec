/* A program's steps as the executor takes them: code, arguments, timers. Tables
 * of angles are made by steps of their own, before all others. */
#include "codegen/program/cpu.h"
#include "codegen/program/host.h"
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

enum { ANGLE_ARGS = 3 }; /* the Angles, positions, table */

static void fill_angles(void *const *arg, const int64_t *run, int64_t task,
                        void *mem)
{
    const Angles *r = arg[0];
    const int32_t *pos = arg[1];
    float *table = arg[2];
    int64_t T = run[0], end = 64 * task + 64 < T ? 64 * task + 64 : T;
    (void)mem;
    angles_fill(r, pos, T, 64 * task, end, table);
}

static int64_t angle_tasks(void *const *arg, const int64_t *run)
{
    (void)arg;
    return (run[0] + 63) / 64;
}

/* ---- steps ---- */

static const Node *node_of(const Kernel *k)
{
    return k->skeleton == SKEL_repeat ? k->repeat.node : k->node;
}

/* Of a draw; else 0. */
static uint64_t draw_key(const Program *p, const ProgramStep *of)
{
    const Node *n = node_of(of->kernel);
    bool draws = n->op == OP_uniform || n->op == OP_gaussian ||
                 n->op == OP_shuffle;
    return draws ? random_draw_key(n, p->o.seed, of->in->place) : 0;
}

/* Of a C function: what it needs besides buffers. */
static CallInfo *call_info(Program *p, const ProgramStep *of)
{
    CallInfo *info = arena_alloc(&p->arena, sizeof *info);
    info->node = node_of(of->kernel);
    info->key = draw_key(p, of);
    return info;
}

void program_draws(Program *p, uint64_t seed, int64_t before)
{
    p->o.seed = seed;
    for (int i = 0; i < p->steps.step.n; i++) {
        const ProgramStep *of = &p->steps.step.at[i];
        if (!code_of(p, of->kernel)) {
            void **arg = p->step.at[p->steps.angle.n + i].arg;
            CallInfo *info = arg[of->n];
            info->key = draw_key(p, of);
            info->before = before;
        }
    }
}

static ExecStep exec_step(Program *p, const ProgramStep *of)
{
    const Kernel *k = of->kernel;
    const Code *c = code_of(p, k);
    ExecStep s = {.joined = of->joined};
    s.arg = arena_alloc(&p->arena, (size_t)(of->n + 1) * sizeof *s.arg);
    s.timer = timer(p, k->name, c ? skeleton_name[k->skeleton] : "call");
    if (!c) {
        s.arg[of->n] = call_info(p, of);
        s.kernel = call_kernel(((CallInfo *)s.arg[of->n])->node);
    } else {
        s.kernel = of->append ? c->append : c->run;
        s.tasks = of->append ? c->append_tasks : c->tasks;
    }
    return s;
}

void program_steps(Program *p)
{
    Steps *s = &p->steps;
    steps_make(s, &p->arena, p->plan);
    for (int i = 0; i < s->angle.n; i++) {
        ExecStep e = {.kernel = fill_angles, .tasks = angle_tasks,
                      .timer = timer(p, "angles", "call")};
        e.arg = arena_alloc(&p->arena, ANGLE_ARGS * sizeof *e.arg);
        e.arg[0] = &s->angle.at[i];
        list_push(&p->arena, &p->step, e);
    }
    for (int i = 0; i < s->step.n; i++) {
        ExecStep e = exec_step(p, &s->step.at[i]);
        list_push(&p->arena, &p->step, e);
    }
    p->seconds = arena_alloc(&p->arena,
                             (size_t)(p->time.n + 1) * sizeof *p->seconds);
    for (int i = 0; i < p->step.n; i++)
        p->time.at[p->step.at[i].timer].calls++;
}

/* ---- pointers ---- */

static void *pointer(const Program *p, Address a)
{
    char *block = a.space ? p->base[a.space][a.block] : NULL;
    return block ? block + a.at : NULL;
}

void program_pointers(Program *p)
{
    const Steps *s = &p->steps;
    for (int i = 0; i < s->angle.n; i++) {
        void **arg = p->step.at[i].arg;
        arg[1] = p->base[SPACE_pos][0];
        arg[2] = p->base[SPACE_angle][i];
    }
    for (int i = 0; i < s->step.n; i++) {
        const ProgramStep *of = &s->step.at[i];
        void **arg = p->step.at[s->angle.n + i].arg;
        for (int j = 0; j < of->n; j++)
            arg[j] = pointer(p, s->arg.at[of->first + j]);
    }
}
