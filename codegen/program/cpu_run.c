/* One step of a program: inputs checked and in their types, pointers set, the
 * kernels run, results in the caller's types. */
#include "codegen/program/cpu.h"
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

static const Column *find(const Column *c, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(c[i].name, name))
            return &c[i];
    return NULL;
}

/* ---- inputs ---- */

static void convert(Dtype to, void *out, Dtype from, const void *in, int64_t n)
{
#pragma omp parallel for schedule(static) if (n > 10000)
    for (int64_t i = 0; i < n; i++) {
        if (from == TYPE_f32 && to == TYPE_bf16)
            ((uint16_t *)out)[i] = bf16_of_f32(((const float *)in)[i]);
        else if (from == TYPE_bf16 && to == TYPE_f32)
            ((float *)out)[i] = f32_of_bf16(((const uint16_t *)in)[i]);
        else
            type_store(to, out, i, type_load(from, in, i));
    }
}

static bool check_index(const Buffer *b, const int32_t *v, int64_t T, Err *err)
{
    int64_t n = type_count(&b->type, T);
    int64_t size = size_at(b->type.index_of->size, T);
    for (int64_t i = 0; i < n; i++)
        if (v[i] < 0 || v[i] >= size)
            return err_set(err, "input %s: %d at %lld is not below %lld",
                           b->node->name, v[i], (long long)i, (long long)size);
    return true;
}

static bool set_input(Run *r, const Buffer *b, void **at, Err *err)
{
    const Column *c = find(r->in, r->nin, b->node->name);
    Dtype t = b->type.dtype;
    if (!c || !c->data)
        return err_set(err, "input %s is not given", b->node->name);
    if (b->type.index_of && c->dtype != TYPE_i32)
        return err_set(err, "input %s: indices are i32, not %s", c->name,
                       type_info[c->dtype].name);
    if (b->type.index_of && !check_index(b, c->data, r->T, err))
        return false;
    *at = c->data;
    if (c->dtype == t)
        return true;
    int64_t n = type_count(&b->type, r->T);
    *at = temporary(r, type_bytes(t, n));
    convert(t, *at, c->dtype, c->data, n);
    return true;
}

static bool set_inputs(Run *r, Err *err)
{
    Program *p = r->p;
    for (int i = 0; i < p->instance.n; i++) {
        Instance *in = p->instance.at[i];
        for (int j = 0; j < in->plan->buffer.n; j++) {
            const Buffer *b = in->plan->buffer.at[j];
            if (b->kind != BUF_input ||
                (in->parent && b->node->name == intern("x")))
                continue;
            if (!set_input(r, b, &in->at[j], err))
                return false;
        }
    }
    return true;
}

/* ---- outputs ---- */

static Buffer *output_buffer(const Program *p, const Node *n)
{
    for (int i = 0; i < p->plan->buffer.n; i++) {
        Buffer *b = p->plan->buffer.at[i];
        if (b->kind == BUF_output && b->node == n)
            return b;
    }
    return NULL;
}

/* Results go straight to the caller where types agree. */
static bool set_outputs(Run *r, Err *err)
{
    Program *p = r->p;
    for (int i = 0; i < p->plan->buffer.n; i++)
        if (p->plan->buffer.at[i]->kind == BUF_output)
            p->instance.at[0]->at[i] = NULL;
    for (int i = 0; i < r->nout; i++) {
        const Node *n = graph_find_output(p->plan->graph, r->out[i].name);
        if (!n)
            return err_set(err, "there is no output %s", r->out[i].name);
        const Buffer *b = output_buffer(p, n);
        void **at = &p->instance.at[0]->at[b->id];
        if (!*at && r->out[i].dtype == b->type.dtype)
            *at = r->out[i].data;
    }
    for (int i = 0; i < p->plan->buffer.n; i++) {
        const Buffer *b = p->plan->buffer.at[i];
        if (b->kind == BUF_output && !p->instance.at[0]->at[i])
            p->instance.at[0]->at[i] = temporary(r, buffer_bytes(b, r->T));
    }
    return true;
}

static void give_outputs(Run *r)
{
    Program *p = r->p;
    for (int i = 0; i < r->nout; i++) {
        const Column *c = &r->out[i];
        const Node *node = graph_find_output(p->plan->graph, c->name);
        const Buffer *b = output_buffer(p, node);
        const void *from = p->instance.at[0]->at[b->id];
        int64_t n = type_count(&b->type, r->T);
        if (from == c->data)
            continue;
        if (c->dtype == b->type.dtype)
            memcpy(c->data, from, (size_t)type_bytes(c->dtype, n));
        else
            convert(c->dtype, c->data, b->type.dtype, from, n);
    }
}

int64_t program_output_count(const Program *p, const char *name, int64_t T)
{
    const Node *n = graph_find_output(p->plan->graph, name);
    return n ? type_count(&n->type, T) : -1;
}

/* ---- pointers ---- */

static void set_caches(Program *p, const State *s)
{
    for (int i = 0; i < p->instance.n; i++) {
        Instance *in = p->instance.at[i];
        int cache = in->first_cache;
        for (int j = 0; j < in->plan->kernel.n; j++) {
            const Kernel *k = in->plan->kernel.at[j];
            if (k->skeleton != SKEL_attend)
                continue;
            in->at[k->attend.keys->id] = s->at[2 * cache];
            in->at[k->attend.vals->id] = s->at[2 * cache + 1];
            cache++;
        }
        for (int j = 0; j < in->plan->buffer.n; j++)
            if (in->plan->buffer.at[j]->kind == BUF_pos)
                in->at[j] = (void *)(uintptr_t)p->pos;
    }
}

static void set_args(Program *p)
{
    for (int i = 0; i < p->step.n; i++) {
        const StepOf *of = &p->step_of.at[i];
        void **arg = p->step.at[i].arg;
        if (!of->in) {
            arg[1] = (void *)(uintptr_t)p->pos;
            continue;
        }
        const Kernel *k = of->kernel;
        for (int j = 0; j < k->nin; j++)
            *arg++ = of->in->at[k->in[j]->id];
        for (int j = 0; j < k->nout; j++)
            *arg++ = of->in->at[k->out[j]->id];
        if (of->info)
            *arg = of->info;
    }
}

/* ---- the run ---- */

void program_flow(Program *p, int64_t T);

static bool check_positions(const State *s, int64_t T, const int32_t *pos,
                            Err *err)
{
    int64_t base = s->length;
    for (int64_t t = 0; t < T; t++)
        if (pos[t] < 0 || pos[t] > base + t)
            return err_set(err, "token %lld: position %d, but %lld are before",
                           (long long)t, pos[t], (long long)(base + t));
    return true;
}

static bool run(Run *r, State *s, const int32_t *pos, Err *err)
{
    Program *p = r->p;
    int64_t base = s->length;
    p->pos = pos;
    if (!check_positions(s, r->T, pos, err) ||
        !state_reserve(s, base + r->T, err) ||
        !program_memory(p, r->T, err) || !set_inputs(r, err) ||
        !set_outputs(r, err))
        return false;
    set_caches(p, s);
    program_flow(p, r->T);
    set_args(p);
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
