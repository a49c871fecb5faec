/* Memory of a run: where activations lie for a number of tokens (those that do
 * not live at once share it), and the caches of a state. */
#include "codegen/program/cpu.h"
#include <string.h>

static int64_t round_up64(int64_t n)
{
    return (n + 63) / 64 * 64;
}

int64_t buffer_bytes(const Buffer *b, int64_t T)
{
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
    return (b->kind == BUF_value || b->kind == BUF_route) && b->first >= 0;
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

/* Offsets of a plan's values from `base`; returns where they end. */
static int64_t lay_out(const Plan *plan, int64_t T, int64_t base, int64_t *at)
{
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
        at[i] = base + to;
        end = base + to + size > end ? base + to + size : end;
    }
    free(block);
    return end;
}

/* ---- instances ---- */

typedef struct {
    Instance *in;
    int64_t base, end; /* its values; then what repeats carry; then bodies */
} Region;

static int64_t carried(const Looped *l, int64_t T)
{
    return round_up64(buffer_bytes(l->kernel->in[0], T) + 1);
}

/* Bytes that instance `in` and all below it need from base on. Pointers are
 * set if memory is not NULL. */
static int64_t set_instance(Program *p, Instance *in, int64_t T, int64_t base,
                            char *memory)
{
    int64_t *at = xmalloc((size_t)(in->plan->buffer.n + 1) * sizeof *at);
    int64_t end = lay_out(in->plan, T, base, at);
    for (int i = 0; memory && i < in->plan->buffer.n; i++)
        if (has_memory(in->plan->buffer.at[i]))
            in->at[i] = memory + at[i];
    free(at);
    int64_t most = end;
    for (int i = 0; i < p->loop.n; i++) {
        Looped *l = &p->loop.at[i];
        if (l->in != in)
            continue;
        int64_t size = carried(l, T), after = end + 2 * size;
        for (int j = 0; j < l->n; j++) {
            int64_t e = set_instance(p, l->pass[j], T, after, memory);
            most = e > most ? e : most;
        }
    }
    return most;
}

static Buffer *buffer_of(const Plan *plan, BufferKind kind, const char *name)
{
    for (int i = 0; i < plan->buffer.n; i++) {
        Buffer *b = plan->buffer.at[i];
        if (b->kind == kind && (!name || b->node->name == name))
            return b;
    }
    return NULL;
}

/* x and y of each pass: the repeat's argument, two carriers in turn, its
 * result. A pass may read its x anywhere, so y is never x. */
static void set_carried(Program *p, const Looped *l, char *carrier, int64_t T)
{
    const Instance *in = l->in;
    void *x = in->at[l->kernel->in[0]->id];
    for (int i = 0; i < l->n; i++) {
        Instance *body = l->pass[i];
        void *y = carrier + (i & 1) * carried(l, T);
        if (i == l->n - 1)
            y = in->at[l->kernel->out[0]->id];
        Buffer *bx = buffer_of(body->plan, BUF_input, intern("x"));
        Buffer *by = buffer_of(body->plan, BUF_output, NULL);
        if (bx)
            body->at[bx->id] = x;
        body->at[by->id] = y;
        x = y;
    }
    (void)p;
}

/* After inputs and outputs of the top are known: what flows into bodies. */
static void set_loops(Program *p, Instance *in, int64_t T, int64_t base)
{
    int64_t *at = xmalloc((size_t)(in->plan->buffer.n + 1) * sizeof *at);
    int64_t end = lay_out(in->plan, T, base, at);
    free(at);
    for (int i = 0; i < p->loop.n; i++) {
        Looped *l = &p->loop.at[i];
        if (l->in != in)
            continue;
        set_carried(p, l, p->memory + end, T);
        for (int j = 0; j < l->n; j++)
            set_loops(p, l->pass[j], T, end + 2 * carried(l, T));
    }
}

void program_flow(Program *p, int64_t T)
{
    set_loops(p, p->instance.at[0], T, 0);
}

static void set_ropes(Program *p, int64_t T)
{
    for (int i = 0; i < p->rope.n; i++) {
        RopeTable *r = p->rope.at[i];
        if (T > r->T) {
            free(r->table);
            r->table = exec_alloc(8 * T * (r->rope->rotary / 2) + 1);
            r->T = T;
        }
        for (int j = 0; j < p->instance.n; j++) {
            Instance *in = p->instance.at[j];
            for (int k = 0; k < in->plan->buffer.n; k++) {
                const Buffer *b = in->plan->buffer.at[k];
                if (b->kind == BUF_rope &&
                    !memcmp(b->rope, r->rope, sizeof *r->rope))
                    in->at[k] = r->table;
            }
        }
    }
}

void program_sizes(const Program *p, int64_t T, int64_t *run)
{
    for (int i = 0; i < p->plan->sizes->at.n; i++) {
        const struct RunSize *s = &p->plan->sizes->at.at[i];
        double real = s->real ? size_value(s->size, T) : 0;
        if (s->real)
            memcpy(&run[i], &real, sizeof real);
        else
            run[i] = size_at(s->size, T);
    }
}

bool program_memory(Program *p, int64_t T, Err *err)
{
    if (T == p->T)
        return true;
    Instance *top = p->instance.at[0];
    int64_t bytes = set_instance(p, top, T, 0, NULL);
    for (int i = 0; i < p->loop.n; i++)
        bytes += 2 * carried(&p->loop.at[i], T);
    if (bytes > p->memory_bytes) {
        free(p->memory);
        p->memory_bytes = 0;
        p->memory = exec_try_alloc(bytes);
        if (!p->memory) {
            p->T = -1;
            return err_set(err, "no memory for %lld bytes of activations",
                           (long long)bytes);
        }
        p->memory_bytes = bytes;
    }
    p->cost.activations = bytes;
    set_instance(p, top, T, 0, p->memory);
    set_ropes(p, T);
    p->T = T;
    program_sizes(p, T, p->run + RUN_below);
    return true;
}

/* ---- caches ---- */

State *state_new(Program *p)
{
    State *s = xmalloc(sizeof *s);
    *s = (State){.p = p};
    size_t n = 2 * (size_t)p->ncaches + 1;
    s->at = xmalloc(n * sizeof *s->at);
    memset(s->at, 0, n * sizeof *s->at);
    return s;
}

void state_free(State *s)
{
    if (!s)
        return;
    for (int i = 0; i < 2 * s->p->ncaches; i++)
        free(s->at[i]);
    free(s->at);
    free(s);
}

int64_t state_length(const State *s)
{
    return s->length;
}

void state_truncate(State *s, int64_t length)
{
    if (length < s->length)
        s->length = length;
}

static void *grown(const State *s, const Buffer *b, const void *old,
                   int64_t capacity)
{
    bool keys = b->kind == BUF_keys;
    const Target *t = s->p->target;
    char *new = exec_try_alloc(attend_bytes(t, &b->type, keys, capacity));
    if (new && old)
        attend_copy(t, &b->type, keys, s->length, s->capacity, old, capacity,
                    new);
    return new;
}

bool state_reserve(State *s, int64_t length, Err *err)
{
    if (length <= s->capacity)
        return true;
    int64_t capacity = 2 * s->capacity > length ? 2 * s->capacity : length;
    capacity = (capacity + 63) / 64 * 64;
    int n = 2 * s->p->ncaches;
    void **new = xmalloc((size_t)(n + 1) * sizeof *new);
    for (int i = 0; i < n; i++) {
        const Buffer *b = i & 1 ? s->p->cache[i / 2].vals
                                : s->p->cache[i / 2].keys;
        new[i] = grown(s, b, s->at[i], capacity);
        if (new[i])
            continue;
        while (i-- > 0)
            free(new[i]);
        free(new);
        return err_set(err, "no memory for a cache of %lld tokens",
                       (long long)capacity);
    }
    for (int i = 0; i < n; i++)
        free(s->at[i]);
    free(s->at);
    s->at = new;
    s->capacity = capacity;
    return true;
}
