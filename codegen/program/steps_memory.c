/* Where values lie for a number of tokens: those that do not live at once share
 * memory; what repeats give their passes, and get from them. */
#include "codegen/emit/kernel.h"
#include "codegen/program/steps.h"
#include <string.h>

static int64_t round_up64(int64_t n)
{
    return (n + 63) / 64 * 64;
}

int64_t buffer_bytes(const Buffer *b, int64_t T)
{
    if (b->kind == BUF_panels)
        return panels_bytes(&b->pack, T);
    int64_t n = type_count(&b->type, T);
    if (b->kind == BUF_route)
        return 4 * (n + 1 + size_at(b->node->type.index_of->size, T));
    return type_bytes(b->type.dtype, n);
}

/* ---- a plan's values ---- */

typedef struct {
    const Buffer *b;
    int64_t at, end;
} Block;

static bool has_memory(const Buffer *b)
{
    return (b->kind == BUF_value || b->kind == BUF_route ||
            b->kind == BUF_panels) && b->first >= 0;
}

/* The lowest gap of `size` bytes among the blocks alive with b. */
static int64_t place_block(const Block *block, int n, const Buffer *b,
                           int64_t size)
{
    int64_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < n; i++) {
            const Block *o = &block[i];
            bool alive = o->b->first <= b->last && b->first <= o->b->last;
            if (alive && at < o->end && o->at < at + size) {
                at = o->end;
                moved = true;
            }
        }
    }
    return at;
}

/* Places of an instance's values from `base` on; returns where they end. */
static int64_t place_values(Instance *in, int64_t T, int64_t base)
{
    const Plan *plan = in->plan;
    Block *block = xmalloc((size_t)(plan->buffer.n + 1) * sizeof *block);
    int64_t end = base;
    int n = 0;
    for (int i = 0; i < plan->buffer.n; i++) {
        const Buffer *b = plan->buffer.at[i];
        if (!has_memory(b))
            continue;
        int64_t size = round_up64(buffer_bytes(b, T) + 1);
        int64_t to = place_block(block, n, b, size);
        block[n++] = (Block){b, to, to + size};
        in->at[i] = (Address){SPACE_value, 0, base + to};
        end = base + to + size > end ? base + to + size : end;
    }
    free(block);
    return end;
}

/* ---- repeats ---- */

/* A value that goes from pass to pass: x and the table's further ones. */
static bool is_carried(const Looped *l, int arg)
{
    return !arg || l->kernel->repeat.node->repeat->in[arg - 1].next;
}

static Buffer *loop_arg(const Looped *l, int arg)
{
    return kernel_leaf(l->kernel, l->kernel->repeat.node->arg[arg]);
}

/* Of one of the two places that an argument's value is in by turns. */
static int64_t carrier_bytes(const Looped *l, int arg, int64_t T)
{
    return is_carried(l, arg)
               ? round_up64(buffer_bytes(loop_arg(l, arg), T) + 1) : 0;
}

static int64_t carriers_bytes(const Looped *l, int64_t T)
{
    int64_t bytes = 0;
    for (int i = 0; i < node_args(l->kernel->repeat.node); i++)
        bytes += 2 * carrier_bytes(l, i, T);
    return bytes;
}

static Address behind(Address a, int64_t bytes)
{
    a.at += bytes;
    return a;
}

/* A body's input of that name, or its output. */
static void set_value(Instance *body, BufferKind kind, const char *name,
                      Address to)
{
    const Plan *plan = body->plan;
    const Node *out = graph_find_output(plan->graph, name);
    for (int i = 0; i < plan->buffer.n; i++) {
        const Buffer *b = plan->buffer.at[i];
        if (b->kind == kind && (kind == BUF_input ? !strcmp(b->node->name, name)
                                                  : b->node == out))
            body->at[i] = to;
    }
}

/* A carried value's places: the repeat's argument, two carriers in turn, its
 * result if that is read. A pass may read its input anywhere, so its output is
 * never there. */
static void set_carried(const Looped *l, int arg, const char *in,
                        const char *out, int64_t carrier, int64_t T)
{
    const Buffer *last = kernel_result(l->kernel, out);
    Address x = l->in->at[loop_arg(l, arg)->id];
    for (int i = 0; i < l->n; i++) {
        Address y = {SPACE_value, 0,
                     carrier + (i & 1) * carrier_bytes(l, arg, T)};
        if (i == l->n - 1 && last)
            y = l->in->at[last->id];
        set_value(l->pass[i], BUF_input, in, x);
        set_value(l->pass[i], BUF_output, out, y);
        x = y;
    }
}

static void set_given(const Looped *l, int arg, const RepeatIn *in, int64_t T)
{
    const Buffer *b = loop_arg(l, arg);
    Address at = l->in->at[b->id];
    int64_t part = in->each ? buffer_bytes(b, T) / size_at(in->each->size, T)
                            : 0;
    for (int i = 0; i < l->n; i++)
        set_value(l->pass[i], BUF_input, in->name,
                  behind(at, in->each && in->part[i] > 0
                                 ? in->part[i] * part : 0));
}

static void set_stacked(const Looped *l, const RepeatOut *out, int64_t T)
{
    const Buffer *b = kernel_result(l->kernel, out->name);
    int64_t at = 0;
    for (int i = 0; b && i < l->n; i++) {
        if (!graph_find_output(l->pass[i]->plan->graph, out->name))
            continue;
        set_value(l->pass[i], BUF_output, out->name,
                  behind(l->in->at[b->id], at));
        at += buffer_bytes(b, T) / size_at(out->dim->size, T);
    }
}

static void set_values(const Looped *l, int64_t carriers, int64_t T)
{
    const Repeat *r = l->kernel->repeat.node->repeat;
    set_carried(l, 0, "x", "y", carriers, T);
    for (int i = 0; i < r->nin; i++) {
        carriers += 2 * carrier_bytes(l, i, T);
        if (r->in[i].next)
            set_carried(l, 1 + i, r->in[i].name, r->in[i].next, carriers, T);
        else
            set_given(l, 1 + i, &r->in[i], T);
    }
    for (int i = 0; i < r->nout; i++)
        set_stacked(l, &r->out[i], T);
}

/* Values of an instance, those that go round in its repeats, then those of its
 * passes, which run one after the other. Returns where they end. */
static int64_t place_instance(Steps *s, Instance *in, int64_t T, int64_t base)
{
    int64_t end = place_values(in, T, base), most = end;
    for (int i = 0; i < s->loop.n; i++) {
        const Looped *l = &s->loop.at[i];
        if (l->in != in)
            continue;
        int64_t after = end + carriers_bytes(l, T);
        set_values(l, end, T);
        for (int j = 0; j < l->n; j++) {
            int64_t e = place_instance(s, l->pass[j], T, after);
            most = e > most ? e : most;
        }
    }
    return most;
}

void steps_place(Steps *s, int64_t T)
{
    s->bytes = place_instance(s, s->instance.at[0], T, 0);
    s->T = T;
    for (int i = 0; i < s->step.n; i++) {
        const ProgramStep *step = &s->step.at[i];
        const Kernel *k = step->kernel;
        Address *arg = s->arg.at + step->first;
        for (int j = 0; j < k->nin; j++)
            *arg++ = step->in->at[k->in[j]->id];
        for (int j = 0; j < k->nout; j++)
            *arg++ = step->in->at[k->out[j]->id];
    }
}

void steps_sizes(const Plan *p, int64_t T, int64_t *run)
{
    for (int i = 0; i < p->sizes->at.n; i++) {
        const struct RunSize *s = &p->sizes->at.at[i];
        double real = s->real ? size_value(s->size, T) : 0;
        if (s->real)
            memcpy(&run[i], &real, sizeof real);
        else
            run[i] = size_at(s->size, T);
    }
}
