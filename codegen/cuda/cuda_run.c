/* One step of a program on a GPU: inputs up, the table of launches in order,
 * results down; the caches of a state. */
#include "codegen/cuda/cuda_program.h"
#include <stdlib.h>
#include <string.h>

/* ---- caches ---- */

CudaState *cuda_state_new(CudaProgram *p)
{
    CudaState *s = xmalloc(sizeof *s);
    size_t n = (size_t)p->steps.cache.n + 1;
    *s = (CudaState){.p = p};
    s->at = xmalloc(n * sizeof *s->at);
    memset(s->at, 0, n * sizeof *s->at);
    return s;
}

static void release(Device *d, DeviceMemory *at, int n)
{
    for (int i = 0; i < n; i++)
        device_release(d, at[i]);
    free(at);
}

void cuda_state_free(CudaState *s)
{
    if (!s)
        return;
    release(s->p->device, s->at, s->p->steps.cache.n);
    free(s);
}

int64_t cuda_state_length(const CudaState *s)
{
    return s->length;
}

void cuda_state_truncate(CudaState *s, int64_t length)
{
    if (length < s->length)
        s->length = length;
}

/* Bytes of one head's rows. */
static int64_t rows_bytes(const Buffer *b, int64_t rows)
{
    return type_bytes(b->type.dtype, rows * size_at(b->type.dim[2]->size, 1));
}

/* A cache for more rows, with those that there are. */
static DeviceMemory grown(const CudaState *s, int i, int64_t capacity,
                          Err *err)
{
    const Buffer *b = s->p->steps.cache.at[i];
    Device *d = s->p->device;
    int64_t heads = size_at(b->type.dim[1]->size, 1);
    int64_t to = rows_bytes(b, capacity), from = rows_bytes(b, s->capacity);
    DeviceMemory new = device_alloc(
        d, heads * to, intern_printf("caches for %lld tokens",
                                     (long long)capacity), err);
    for (int64_t h = 0; new && s->at[i] && h < heads; h++)
        if (!device_copy(d, new + (uint64_t)(h * to),
                         s->at[i] + (uint64_t)(h * from),
                         rows_bytes(b, s->length), err)) {
            device_release(d, new);
            return 0;
        }
    return new;
}

bool cuda_state_reserve(CudaState *s, int64_t length, Err *err)
{
    if (length <= s->capacity)
        return true;
    int64_t capacity = 2 * s->capacity > length ? 2 * s->capacity : length;
    int n = s->p->steps.cache.n;
    capacity = (capacity + 63) / 64 * 64;
    DeviceMemory *new = xmalloc((size_t)(n + 1) * sizeof *new);
    for (int i = 0; i < n; i++) {
        new[i] = grown(s, i, capacity, err);
        if (new[i])
            continue;
        release(s->p->device, new, i);
        return false;
    }
    release(s->p->device, s->at, n);
    s->at = new;
    s->capacity = capacity;
    return true;
}

/* ---- what a step reads ---- */

static bool give_input(CudaProgram *p, int i, int64_t T, const Column *in,
                       int nin, Err *err)
{
    const Buffer *b = p->steps.in.at[i];
    const Column *c = column_find(in, nin, b->node->name);
    Dtype t = b->type.dtype;
    int64_t n = type_count(&b->type, T), bytes = type_bytes(t, n);
    void *own = NULL;
    if (!column_holds(c, b, T, err) ||
        !room_for(p->device, &p->in[i], bytes, b->node->name, err))
        return false;
    if (c->dtype != t) {
        own = xmalloc((size_t)bytes + 8);
        column_convert(t, own, c->dtype, c->data, n);
    }
    bool fine = device_upload(p->device, p->in[i].at, own ? own : c->data,
                              bytes, err);
    free(own);
    return fine;
}

static bool give_angles(CudaProgram *p, int i, int64_t T, const int32_t *pos,
                        Err *err)
{
    const Angles *a = &p->steps.angle.at[i];
    int64_t bytes = 8 * T * (a->rope->rotary / 2);
    if (!room_for(p->device, &p->angle[i], bytes, "tables of angles", err))
        return false;
    float *table = xmalloc((size_t)bytes + 8);
    angles_fill(a, pos, T, 0, T, table);
    bool fine = device_upload(p->device, p->angle[i].at, table, bytes, err);
    free(table);
    return fine;
}

static bool give_all(CudaProgram *p, int64_t T, const int32_t *pos,
                     const Column *in, int nin, Err *err)
{
    const Steps *s = &p->steps;
    if (!room_for(p->device, &p->pos, 4 * T, "positions", err) ||
        !device_upload(p->device, p->pos.at, pos, 4 * T, err))
        return false;
    for (int i = 0; i < s->in.n; i++)
        if (!give_input(p, i, T, in, nin, err))
            return false;
    for (int i = 0; i < s->angle.n; i++)
        if (!give_angles(p, i, T, pos, err))
            return false;
    return true;
}

static bool make_room(CudaProgram *p, int64_t T, Err *err)
{
    Steps *s = &p->steps;
    if (s->T != T)
        steps_place(s, T);
    p->cost.values = s->bytes;
    if (!room_for(p->device, &p->value, s->bytes, "activations", err))
        return false;
    for (int i = 0; i < s->out.n; i++)
        if (!room_for(p->device, &p->out[i], buffer_bytes(s->out.at[i], T),
                      "results", err))
            return false;
    return true;
}

/* ---- launches ---- */

static DeviceMemory pointer(const CudaProgram *p, const CudaState *s,
                            Address a)
{
    DeviceMemory block = 0;
    switch (a.space) {
    case SPACE_value: block = p->value.at; break;
    case SPACE_in: block = p->in[a.block].at; break;
    case SPACE_out: block = p->out[a.block].at; break;
    case SPACE_weight: block = p->weight[a.block]; break;
    case SPACE_cache: block = s->at[a.block]; break;
    case SPACE_angle: block = p->angle[a.block].at; break;
    case SPACE_pos: block = p->pos.at; break;
    case SPACE_none:
    case SPACES: return 0;
    }
    return block + (uint64_t)a.at;
}

enum { MOST_SIZES = COUNT(((CudaKernel *)0)->size) };
typedef union {
    uint64_t place; /* of a buffer; the key of a draw */
    int32_t i;
    float f;
} Argument;

static int set_sizes(const CudaKernel *k, const CudaState *s, int64_t T,
                     const Launch *l, Argument *to)
{
    int n = 0;
    for (; n < k->nsize; n++) {
        double v = size_value(k->size[n].size, T);
        if (k->size[n].real)
            to[n].f = (float)v;
        else
            to[n].i = (int32_t)v;
    }
    if (k->state) {
        to[n++].i = (int32_t)s->length;
        to[n++].i = (int32_t)s->capacity;
    }
    if (k->draws)
        to[n++].place = l->key;
    return n;
}

static bool launch(CudaProgram *p, const CudaState *s, const Launch *l,
                   int64_t T, Err *err)
{
    const CudaKernel *k = &p->text->kernel.at[l->kernel];
    const Address *address = p->steps.arg.at + l->step->first;
    Argument value[2 * KERNEL_ARGS + MOST_SIZES + 3];
    void *arg[COUNT(value)];
    uint32_t grid[3];
    int n = l->step->n;
    for (int i = 0; i < n; i++)
        value[i].place = pointer(p, s, address[i]);
    n += set_sizes(k, s, T, l, value + n);
    for (int i = 0; i < n; i++)
        arg[i] = &value[i];
    for (int i = 0; i < 3; i++)
        grid[i] = (uint32_t)size_at(k->grid[i], T);
    return !grid[0] || !grid[1] || !grid[2] ||
           device_launch(p->device, p->code[l->kernel], k->name, grid,
                         k->threads, k->shared, arg, err);
}

/* ---- results ---- */

static bool take_output(CudaProgram *p, const Column *c, int64_t T, Err *err)
{
    const Node *n = graph_find_output(p->steps.plan->graph, c->name);
    int block = output_block(&p->steps, n);
    const Buffer *b = p->steps.out.at[block];
    int64_t count = type_count(&b->type, T);
    int64_t bytes = buffer_bytes(b, T);
    if (c->dtype == b->type.dtype)
        return device_download(p->device, c->data, p->out[block].at, bytes,
                               err);
    void *own = xmalloc((size_t)bytes + 8);
    bool fine = device_download(p->device, own, p->out[block].at, bytes, err);
    if (fine)
        column_convert(c->dtype, c->data, b->type.dtype, own, count);
    free(own);
    return fine;
}

static bool outputs_exist(const CudaProgram *p, const Column *out, int nout,
                          Err *err)
{
    for (int i = 0; i < nout; i++)
        if (!graph_find_output(p->steps.plan->graph, out[i].name))
            return err_set(err, "there is no output %s", out[i].name);
    return true;
}

bool cuda_run(CudaProgram *p, CudaState *s, int64_t T, const int32_t *pos,
              const Column *in, int nin, const Column *out, int nout,
              Err *err)
{
    if (!p->loaded)
        return err_set(err, "weights were not loaded");
    if (T < 1)
        return err_set(err, "no tokens");
    if (!s) {
        s = p->own;
        s->length = 0;
    }
    if (!limits_hold(&p->limits, T, err) ||
        !positions_hold(s->length, T, pos, err) ||
        !outputs_exist(p, out, nout, err) ||
        !cuda_state_reserve(s, s->length + T, err) || !make_room(p, T, err) ||
        !give_all(p, T, pos, in, nin, err))
        return false;
    for (int i = 0; i < p->launch.n; i++) {
        const Launch *l = &p->launch.at[i];
        if (cuda_runs(&p->text->kernel.at[l->kernel], T) &&
            !launch(p, s, l, T, err))
            return false;
    }
    if (!device_wait(p->device, err))
        return false;
    for (int i = 0; i < nout; i++)
        if (!take_output(p, &out[i], T, err))
            return false;
    s->length += T;
    return true;
}
