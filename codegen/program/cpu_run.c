/* One step of a program: inputs checked and in their types, pointers set, the
 * kernels run, results in the caller's types. */
#include "codegen/program/cpu.h"
#include "codegen/program/host.h"
#include <string.h>

typedef struct {
    Program *p;
    int64_t T;
    const Column *in, *out;
    int nin, nout;
    Owned *temp; /* columns converted */
} Run;

static void *temporary(Run *r, int64_t bytes)
{
    Owned *o = xmalloc(sizeof *o);
    *o = (Owned){exec_alloc(bytes + 1), r->temp};
    r->temp = o;
    return o->at;
}

/* ---- inputs ---- */

static bool set_input(Run *r, const Buffer *b, void **at, Err *err)
{
    const Column *c = column_find(r->in, r->nin, b->node->name);
    Dtype t = b->type.dtype;
    if (!column_holds(c, b, r->T, err))
        return false;
    *at = c->data;
    if (c->dtype == t)
        return true;
    int64_t n = type_count(&b->type, r->T);
    *at = temporary(r, type_bytes(t, n));
    column_convert(t, *at, c->dtype, c->data, n);
    return true;
}

static bool set_inputs(Run *r, Err *err)
{
    const Steps *s = &r->p->steps;
    for (int i = 0; i < s->in.n; i++)
        if (!set_input(r, s->in.at[i], &r->p->base[SPACE_in][i], err))
            return false;
    return true;
}

/* ---- outputs ---- */

/* Results go straight to the caller where types agree. */
static bool set_outputs(Run *r, Err *err)
{
    const Steps *s = &r->p->steps;
    void **at = r->p->base[SPACE_out];
    for (int i = 0; i < s->out.n; i++)
        at[i] = NULL;
    for (int i = 0; i < r->nout; i++) {
        const Column *c = &r->out[i];
        const Node *n = graph_find_output(s->plan->graph, c->name);
        if (!n)
            return err_set(err, "there is no output %s", c->name);
        int block = output_block(s, n);
        if (!at[block] && c->dtype == s->out.at[block]->type.dtype)
            at[block] = c->data;
    }
    for (int i = 0; i < s->out.n; i++)
        if (!at[i])
            at[i] = temporary(r, buffer_bytes(s->out.at[i], r->T));
    return true;
}

static void give_outputs(Run *r)
{
    const Steps *s = &r->p->steps;
    for (int i = 0; i < r->nout; i++) {
        const Column *c = &r->out[i];
        int block =
            output_block(s, graph_find_output(s->plan->graph, c->name));
        const Buffer *b = s->out.at[block];
        const void *from = r->p->base[SPACE_out][block];
        int64_t n = type_count(&b->type, r->T);
        if (from == c->data)
            continue;
        if (c->dtype == b->type.dtype)
            memcpy(c->data, from, (size_t)type_bytes(c->dtype, n));
        else
            column_convert(c->dtype, c->data, b->type.dtype, from, n);
    }
}

bool program_in_place(const Program *p)
{
    const Kernel *k = p->plan->kernel.n ? p->plan->kernel.at[0] : NULL;
    if (p->plan->kernel.n != 1 || k->skeleton != SKEL_map)
        return false;
    for (int i = 0; i < k->nin + k->nout; i++) {
        const Type *t = &(i < k->nin ? k->in[i] : k->out[i - k->nin])->type;
        if ((t->rank || i >= k->nin) &&
            !dims_same(t->rank, t->dim, k->map.nrow, k->map.row))
            return false;
    }
    return true;
}

int64_t program_output_count(const Program *p, const char *name, int64_t T)
{
    const Node *n = graph_find_output(p->plan->graph, name);
    return n ? type_count(&n->type, T) : -1;
}

/* ---- the run ---- */

static bool run(Run *r, State *s, const int32_t *pos, Err *err)
{
    Program *p = r->p;
    int64_t base = s->length;
    if (!positions_hold(base, r->T, pos, err) ||
        !state_reserve(s, base + r->T, err) ||
        !program_memory(p, r->T, err) || !set_inputs(r, err) ||
        !set_outputs(r, err))
        return false;
    p->base[SPACE_pos][0] = (void *)(uintptr_t)pos;
    p->base[SPACE_cache] = s->at;
    program_pointers(p);
    int64_t *run = p->run + RUN_below;
    run[RUN_base] = base;
    run[RUN_capacity] = s->capacity;
    run[RUN_threads] = p->o.threads;
    exec_run(p->team, p->step.at, p->step.n, run, p->seconds);
    give_outputs(r);
    s->length = base + r->T;
    return true;
}

bool program_run(Program *p, State *s, int64_t T, const int32_t *pos,
                 const Column *in, int nin, const Column *out, int nout,
                 Err *err)
{
    if (!p->loaded)
        return err_set(err, "weights were not loaded");
    if (T < 1)
        return err_set(err, "no tokens");
    if (!limits_hold(&p->limits, T, err))
        return false;
    Run r = {.p = p, .T = T, .in = in, .nin = nin, .out = out, .nout = nout};
    if (!s) {
        s = p->own;
        s->length = 0;
    }
    bool good = run(&r, s, pos, err);
    while (r.temp) {
        Owned *o = r.temp;
        r.temp = o->next;
        free(o->at);
        free(o);
    }
    return good;
}
