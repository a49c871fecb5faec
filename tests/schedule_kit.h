/* For tests: random schedules for the kernels of a plan, extreme ones too. */
#pragma once
#include "codegen/emit/kernel.h"
#include "runtime/runtime.h"

typedef struct {
    uint64_t seed, drawn;
} Dice;

static inline int throw_dice(Dice *d, int n)
{
    return (int)(random_uniform(d->seed, d->drawn++) * n) % n;
}

static inline int one_of(Dice *d, int n, const int *value)
{
    return value[throw_dice(d, n)];
}

#define ONE_OF(d, ...) \
    one_of(d, (int)COUNT(((const int[]){__VA_ARGS__})), \
           (const int[]){__VA_ARGS__})

/* Rows that every kind of tile has registers for, of weights by two. */
static inline int fitting_rows(const Target *t, int vectors)
{
    int registers = t->width == 64 || !t->x86 ? 32 : 16;
    int wide = vectors < 2 ? 2 : vectors;
    int most = (registers - 2 * wide - 1) / wide;
    return most < 1 ? 1 : most;
}

static inline Schedule random_schedule(Dice *d, const Target *t)
{
    Schedule s = {0};
    s.vectors = ONE_OF(d, 1, 2, 3, 4);
    s.tokens = 1 + throw_dice(d, fitting_rows(t, s.vectors));
    s.depth = ONE_OF(d, 0, 32, 64, 96, 256, 100000 * 32);
    s.ahead = ONE_OF(d, 64, 512, 2048, 65536);
    s.grain = ONE_OF(d, 1, 3, 7, 1000);
    for (int i = 0; i < BUCKETS; i++) {
        s.block[i] = ONE_OF(d, 1, 2, 3, 7, 16, 48, 50, 1000);
        s.tasks[i] = ONE_OF(d, 1, 2, 5, 10, 1000);
        s.heads[i] = ONE_OF(d, 1, 2, 3, 100);
    }
    return s;
}

static inline void random_pins(Dice *d, const Target *t, const Plan *p,
                               Pins *to)
{
    for (int i = 0; i < p->body.n; i++)
        random_pins(d, t, p->body.at[i], to);
    for (int i = 0; i < p->kernel.n; i++) {
        KernelKey key;
        Schedule s = random_schedule(d, t);
        if (kernel_key(p->kernel.at[i], &key))
            pins_put(to, &key, &s);
    }
}
