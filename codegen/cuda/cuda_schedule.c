/* What the matmuls of a plan have for GPUs: the tile of a block, tiles of K in
 * flight; what is pinned, else what the static model likes. */
#include "codegen/cuda/cuda_matmul.h"

enum {
    WIDE = 1024,            /* packed columns from which on tiles are large */
    MOST_SHARED = 99 << 10, /* bytes of a block on the smallest GPU, sm_86 */
};

static int shared_of(const Kernel *k)
{
    int most = 0;
    for (int i = 0; i < k->matmul.nparts; i++) {
        int bytes = mm_shared(k, i);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static bool all_tensor(const Kernel *k)
{
    for (int i = 0; i < k->matmul.nparts; i++)
        if (!mm_tensor(k, i))
            return false;
    return true;
}

/* Columns of the widest segment: a router beside it is little work. */
static int64_t columns(const Kernel *k)
{
    int64_t most = 0;
    for (int i = 0; i < k->matmul.nparts; i++) {
        const Pack *p = &k->matmul.part[i].w->pack;
        int64_t n = size_at(cu_size_of(p->nn, p->n), 1) * p->parts;
        most = n > most ? n : most;
    }
    return most;
}

static bool choose(Kernel *k, const Pins *pinned, Err *err)
{
    Schedule *s = &k->schedule;
    KernelKey key;
    if (pinned && kernel_key(k, &key)) {
        Schedule pin = pins_for(pinned, &key, false);
        schedule_fill(s, &pin);
    }
    bool tensor = all_tensor(k);
    if (!s->tile)
        s->tile = tensor && columns(k) >= WIDE ? 128 : 64;
    if (!s->stages)
        s->stages = tensor ? 4 : 2;
    int bytes = shared_of(k);
    return bytes <= MOST_SHARED ||
           err_set(err, "%s: a tile of %d in %d stages needs %d bytes of "
                        "shared memory; GPUs have %d", k->name, s->tile,
                   s->stages, bytes, MOST_SHARED);
}

bool cuda_schedules(Plan *p, const Pins *pinned, Err *err)
{
    for (int i = 0; i < p->body.n; i++)
        if (!cuda_schedules(p->body.at[i], pinned, err))
            return false;
    for (int i = 0; i < p->kernel.n; i++) {
        Kernel *k = p->kernel.at[i];
        bool matmul = k->skeleton == SKEL_matmul ||
                      k->skeleton == SKEL_grouped;
        if (matmul && !choose(k, pinned, err))
            return false;
    }
    return true;
}
