/* The steps of a program: every plan instance's kernels in order, each pass of
 * a repeat an instance of its body's plan. */
#include "codegen/program/steps.h"
#include <string.h>

/* ---- blocks ---- */

static int held_block(Steps *s, const Instance *in, const Buffer *b)
{
    Held h = {in, b};
    list_push(s->arena, &s->weight, h);
    return s->weight.n - 1;
}

/* An input has one column, whichever plan reads it. */
static int in_block(Steps *s, const Buffer *b)
{
    for (int i = 0; i < s->in.n; i++)
        if (s->in.at[i]->node->name == b->node->name)
            return i;
    list_push(s->arena, &s->in, b);
    return s->in.n - 1;
}

static int angle_block(Steps *s, const Rope *rope)
{
    for (int i = 0; i < s->angle.n; i++)
        if (!memcmp(s->angle.at[i].rope, rope, sizeof *rope))
            return i;
    Angles a = {.rope = rope};
    a.freq = arena_alloc(s->arena, (size_t)rope->rotary * sizeof(double) + 1);
    rope_frequencies(rope, a.freq, &a.scale);
    list_push(s->arena, &s->angle, a);
    return s->angle.n - 1;
}

/* Where a buffer lies whatever T is; values, and what a repeat gives its
 * passes, come with steps_place. */
static Address fixed_place(Steps *s, const Instance *in, const Buffer *b)
{
    switch (b->kind) {
    case BUF_weight:
    case BUF_packed:
        return (Address){SPACE_weight, held_block(s, in, b), 0};
    case BUF_keys:
    case BUF_vals:
        list_push(s->arena, &s->cache, b);
        return (Address){SPACE_cache, s->cache.n - 1, 0};
    case BUF_rope: return (Address){SPACE_angle, angle_block(s, b->rope), 0};
    case BUF_pos: return (Address){SPACE_pos, 0, 0};
    case BUF_input:
        if (in->repeat && repeat_gives(in->repeat, b->node->name))
            break;
        return (Address){SPACE_in, in_block(s, b), 0};
    case BUF_output:
        if (in->parent)
            break;
        list_push(s->arena, &s->out, b);
        return (Address){SPACE_out, s->out.n - 1, 0};
    default: break;
    }
    return (Address){SPACE_none, 0, 0};
}

const Weight *steps_weight(const Instance *in, const Node *n)
{
    return n->slot ? in->pass->weight[n->slot - 1] : n->weight;
}

int64_t weight_tensors(const Weight *w)
{
    int64_t n = 1;
    for (int i = 0; i < w->stacked; i++)
        n *= size_at(w->type.dim[i]->size, 1);
    return n;
}

int64_t weight_elements(const Weight *w)
{
    return type_count(&w->type, 1) / weight_tensors(w);
}

/* ---- instances ---- */

static Instance *instance_new(Steps *s, Plan *plan, Instance *parent,
                              const Repeat *repeat, int pass)
{
    Instance *in = arena_alloc(s->arena, sizeof *in);
    in->plan = plan;
    in->repeat = repeat;
    in->parent = parent;
    if (repeat) {
        in->pass = &repeat->at[pass];
        in->place = random_place(parent->place, pass);
    }
    in->at = arena_alloc(s->arena,
                         (size_t)(plan->buffer.n + 1) * sizeof *in->at);
    list_push(s->arena, &s->instance, in);
    for (int i = 0; i < plan->buffer.n; i++)
        in->at[i] = fixed_place(s, in, plan->buffer.at[i]);
    return in;
}

/* ---- steps ---- */

/* A kernel joins the step before it if that is of its level too. */
static bool joins(const Steps *s, const Instance *in, const Kernel *k)
{
    const ProgramStep *last = s->step.n ? &s->step.at[s->step.n - 1] : NULL;
    return last && last->in == in && last->kernel != k &&
           last->kernel->level == k->level;
}

static void add_step(Steps *s, Instance *in, Kernel *k, bool append)
{
    ProgramStep step = {.in = in, .kernel = k, .append = append,
                        .joined = joins(s, in, k), .first = s->arg.n,
                        .n = k->nin + k->nout};
    list_push(s->arena, &s->step, step);
    for (int i = 0; i < step.n; i++)
        list_push(s->arena, &s->arg, ((Address){SPACE_none, 0, 0}));
}

static void add_steps(Steps *s, Instance *in);

static void add_repeat(Steps *s, Instance *in, Kernel *k)
{
    const Repeat *r = k->repeat.node->repeat;
    Looped l = {.in = in, .kernel = k, .n = k->repeat.n};
    l.pass = arena_alloc(s->arena, (size_t)(l.n + 1) * sizeof *l.pass);
    for (int i = 0; i < l.n; i++) {
        l.pass[i] = instance_new(s, k->repeat.body[i], in, r, i);
        add_steps(s, l.pass[i]);
    }
    list_push(s->arena, &s->loop, l);
    if (!l.n)
        add_step(s, in, k, false);
}

static void add_steps(Steps *s, Instance *in)
{
    for (int i = 0; i < in->plan->kernel.n; i++) {
        Kernel *k = in->plan->kernel.at[i];
        if (k->skeleton == SKEL_repeat) {
            add_repeat(s, in, k);
            continue;
        }
        if (k->skeleton == SKEL_attend)
            add_step(s, in, k, true);
        add_step(s, in, k, false);
    }
}

void steps_make(Steps *s, Arena *a, Plan *plan)
{
    *s = (Steps){.arena = a, .plan = plan, .T = -1};
    add_steps(s, instance_new(s, plan, NULL, NULL, 0));
}
