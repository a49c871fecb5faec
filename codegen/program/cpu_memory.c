/* Memory of a run on the CPU: activations, tables of angles, and the caches of
 * a state. */
#include "codegen/program/cpu.h"
#include <string.h>

static void make_angles(Program *p, int64_t T)
{
    const Steps *s = &p->steps;
    if (T <= p->angle_T)
        return;
    for (int i = 0; i < s->angle.n; i++) {
        void **at = &p->base[SPACE_angle][i];
        free(*at);
        *at = exec_alloc(8 * T * (s->angle.at[i].rope->rotary / 2) + 1);
    }
    p->angle_T = T;
}

bool program_memory(Program *p, int64_t T, Err *err)
{
    void **memory = p->base[SPACE_value];
    if (T == p->steps.T && *memory)
        return true;
    steps_place(&p->steps, T);
    int64_t bytes = p->steps.bytes;
    if (!*memory || bytes > p->memory_bytes) {
        free(*memory);
        p->memory_bytes = 0;
        *memory = exec_try_alloc(bytes);
        if (!*memory)
            return err_set(err, "no memory for %lld bytes of activations",
                           (long long)bytes);
        p->memory_bytes = bytes;
    }
    p->cost.activations = bytes;
    make_angles(p, T);
    steps_sizes(p->plan, T, p->run + RUN_below);
    return true;
}

/* ---- caches ---- */

State *state_new(Program *p)
{
    State *s = xmalloc(sizeof *s);
    *s = (State){.p = p};
    size_t n = (size_t)p->steps.cache.n + 1;
    s->at = xmalloc(n * sizeof *s->at);
    memset(s->at, 0, n * sizeof *s->at);
    return s;
}

/* The first block that is block i's, too. */
static int first_block(const State *s, int i)
{
    int j = s->shared ? 0 : i;
    while (s->p->steps.cache.at[j] != s->p->steps.cache.at[i])
        j++;
    return j;
}

static void free_blocks(const State *s, void **at, int n)
{
    for (int i = 0; i < n; i++)
        if (first_block(s, i) == i)
            free(at[i]);
    free(at);
}

void state_free(State *s)
{
    if (!s)
        return;
    free_blocks(s, s->at, s->p->steps.cache.n);
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
    int n = s->p->steps.cache.n;
    void **new = xmalloc((size_t)(n + 1) * sizeof *new);
    for (int i = 0; i < n; i++) {
        int first = first_block(s, i);
        new[i] = first < i ? new[first]
                           : grown(s, s->p->steps.cache.at[i], s->at[i],
                                   capacity);
        if (new[i])
            continue;
        free_blocks(s, new, i);
        return err_set(err, "no memory for a cache of %lld tokens",
                       (long long)capacity);
    }
    free_blocks(s, s->at, n);
    s->at = new;
    s->capacity = capacity;
    return true;
}
