
/* ---- the driver: the same for all that is built ---- */

struct NAME {
    int threads;
    char *value, *weight, *cache, *angle;
    void **mem, **arg;
    int64_t *counter, length;
    int32_t *pos; /* where the caller gives none */
    int64_t run[RUN_BELOW + RUN_SIZES];
};

/* Zeroed. Large ones ask Linux for huge pages: weights are read faster. */
static void *gr_block(int64_t bytes)
{
    size_t unit = bytes >= 1 << 20 ? 2 << 20 : 64;
    size_t size = ((size_t)bytes + 64 + unit - 1) / unit * unit;
    void *p = aligned_alloc(unit, size);
#ifdef MADV_HUGEPAGE
    if (p && unit > 64)
        madvise(p, size, MADV_HUGEPAGE);
#endif
    if (p)
        memset(p, 0, size);
    return p;
}

void G(free)(NAME *m)
{
    if (!m)
        return;
    for (int i = 0; m->mem && i < m->threads; i++)
        free(m->mem[i]);
    free(m->value);
    free(m->weight);
    free(m->cache);
    free(m->angle);
    free(m->mem);
    free(m->arg);
    free(m->counter);
    free(m->pos);
    free(m);
}

static int gr_allocate(NAME *m)
{
    m->value = gr_block(VALUE_BYTES);
    m->weight = gr_block(WEIGHT_BYTES);
    m->cache = gr_block(CACHE_BYTES);
    m->angle = gr_block(ANGLE_BYTES);
    m->mem = calloc((size_t)m->threads, sizeof *m->mem);
    m->arg = calloc(ARGS, sizeof *m->arg);
    m->counter = calloc(STEPS, sizeof *m->counter);
    m->pos = calloc(TOKENS, sizeof *m->pos);
    if (!m->value || !m->weight || !m->cache || !m->angle || !m->mem ||
        !m->arg || !m->counter || !m->pos)
        return 0;
    for (int i = 0; i < m->threads; i++)
        if (!(m->mem[i] = gr_block(THREAD_BYTES)))
            return 0;
    return 1;
}

/* Linux asks before a process may use the registers of AMX. */
static int gr_may_run(void)
{
#ifdef USES_AMX
    if (syscall(SYS_arch_prctl, 0x1023, 18))
        return 0;
#endif
    return gr_cpu_fits();
}

NAME *G(new)(int threads)
{
    NAME *m = gr_may_run() ? calloc(1, sizeof *m) : NULL;
    if (!m)
        return NULL;
#ifdef _OPENMP
    m->threads = threads > 0 ? threads : omp_get_num_procs();
#else
    m->threads = 1;
    (void)threads;
#endif
    if (!gr_allocate(m)) {
        G(free)(m);
        return NULL;
    }
    for (int i = 0; i < STACKS; i++)
        for (int64_t j = 0; j < gr_stacks[i].count; j++) {
            const gr_Stack *s = &gr_stacks[i];
            char *at = m->weight + s->data + j * s->bytes;
            ((void **)(void *)(m->weight + s->table))[j] = at;
        }
    return m;
}

/* ---- weights ---- */

int G(find)(const char *tensor)
{
    for (int i = 0; G(weight)[i].tensor; i++)
        if (!strcmp(G(weight)[i].tensor, tensor))
            return i;
    return -1;
}

/* Where flat element `i` of n dims lies in the tensor; -1: not in it. */
static int64_t gr_offset(const gr_PackDim *d, int n, int64_t i)
{
    int64_t at = 0;
    for (int j = n - 1; j >= 0; j--) {
        int64_t x = i % d[j].size;
        i /= d[j].size;
        if (d[j].fixed >= 0 && d[j].fixed != x)
            return -1;
        at += x * d[j].stride;
    }
    return at;
}

static int64_t gr_count(const gr_PackDim *d, int n)
{
    int64_t count = 1;
    for (int i = 0; i < n; i++)
        count *= d[i].size;
    return count;
}

/* A tensor being packed: its dims, and where the elements along K lie. */
typedef struct {
    const gr_WeightUse *use;
    const gr_PackDim *b, *n;
    int64_t N, K, panels, *k_at;
    size_t size;
} gr_Packing;

/* One column of a panel, its elements k .. end - 1. */
static void gr_pack_column(const gr_Packing *p, int column, int64_t k,
                           int64_t end, const char *from, char *to)
{
    const gr_WeightUse *u = p->use;
    int64_t step = (int64_t)u->parts * u->cols * u->pair;
    int64_t first = ((int64_t)u->part * u->cols + column) * u->pair;
    for (; k < end; k++) {
        int64_t place = k / u->pair * step + first + k % u->pair;
        if (p->size == 2)
            memcpy(to + place * 2, from + p->k_at[k] * 2, 2);
        else
            memcpy(to + place * 4, from + p->k_at[k] * 4, 4);
    }
}

/* All of K for some columns, little at a time: both sides stay in cache. */
static void gr_pack_panel(const gr_Packing *p, int64_t panel, const char *from,
                          char *to)
{
    const gr_WeightUse *u = p->use;
    int64_t base = gr_offset(p->b, u->nb, panel / p->panels);
    int64_t each = (p->K + 31) / 32 * 32 * u->cols * u->parts;
    if (base < 0)
        return;
    to += panel * each * (int64_t)p->size;
    for (int64_t k = 0; k < p->K; k += 32)
        for (int c = 0; c < u->cols; c++) {
            int64_t column = panel % p->panels * u->cols + c;
            int64_t at = column < p->N ? gr_offset(p->n, u->nn, column) : -1;
            if (at >= 0)
                gr_pack_column(p, c, k, k + 32 < p->K ? k + 32 : p->K,
                               from + (base + at) * (int64_t)p->size, to);
        }
}

static int gr_pack(NAME *m, const gr_WeightUse *u, const char *from,
                   size_t size)
{
    gr_Packing p = {.use = u, .b = gr_pack_dims + u->first, .size = size};
    p.n = p.b + u->nb;
    const gr_PackDim *k = p.n + u->nn;
    p.N = gr_count(p.n, u->nn);
    p.K = gr_count(k, u->nk);
    p.panels = (p.N + u->cols - 1) / u->cols;
    p.k_at = malloc((size_t)p.K * sizeof *p.k_at);
    if (!p.k_at)
        return 0;
    for (int64_t i = 0; i < p.K; i++)
        p.k_at[i] = gr_offset(k, u->nk, i);
    int64_t all = gr_count(p.b, u->nb) * p.panels;
#ifdef _OPENMP
#pragma omp parallel for num_threads(m->threads)
#endif
    for (int64_t i = 0; i < all; i++)
        gr_pack_panel(&p, i, from, m->weight + u->to);
    free(p.k_at);
    return 1;
}

int G(set)(NAME *m, int weight, const void *values)
{
    if (weight < 0 || weight >= G(weights))
        return -1;
    const WEIGHT *w = &G(weight)[weight];
    for (int i = 0; i < USES; i++) {
        const gr_WeightUse *u = &gr_uses[i];
        if (u->weight != weight)
            continue;
        if (!u->packed)
            memcpy(m->weight + u->to, values,
                   (size_t)(w->count * w->element));
        else if (!gr_pack(m, u, values, (size_t)w->element))
            return -1;
    }
    return 0;
}

/* ---- a step ---- */

static void gr_set_angles(NAME *m, int64_t T, const int32_t *pos)
{
    for (int i = 0; i < ANGLES; i++) {
        const gr_Angles *a = &gr_angles[i];
        float *to = (float *)(void *)(m->angle + a->to);
        for (int64_t t = 0; t < T; t++)
            for (int j = 0; j < a->half; j++) {
                double x = pos[t] * gr_angle_freq[a->first + j];
                to[t * a->half + j] = (float)(cos(x) * a->scale);
                to[(T + t) * a->half + j] = (float)(sin(x) * a->scale);
            }
    }
}

static void gr_set_args(NAME *m, const int32_t *pos, void *const *in,
                        void *const *out)
{
    for (int i = 0; i < ARGS; i++) {
        const gr_Arg *a = &gr_args[i];
        const char *block = NULL;
        switch (a->place) {
        case AT_value: block = m->value; break;
        case AT_weight: block = m->weight; break;
        case AT_cache: block = m->cache; break;
        case AT_angle: block = m->angle; break;
        case AT_in: block = in[a->column]; break;
        case AT_out: block = out[a->column]; break;
        case AT_pos: block = (const char *)pos; break;
        }
        m->arg[i] = (void *)(uintptr_t)(block + a->at);
    }
}

/* Where threads wait for each other. */
typedef struct {
    _Atomic int arrived, round;
} gr_Meeting;

static void gr_meet(gr_Meeting *m, int threads)
{
    int round = atomic_load(&m->round);
    if (atomic_fetch_add(&m->arrived, 1) + 1 == threads) {
        atomic_store(&m->arrived, 0);
        atomic_store(&m->round, round + 1);
        return;
    }
    for (int i = 0; atomic_load(&m->round) == round; i++)
        if (i >= 2000)
            sched_yield();
}

static void gr_thread_run(NAME *m, int thread, int threads, gr_Meeting *at)
{
    const int64_t *run = m->run + RUN_BELOW;
    for (int i = 0; i < STEPS; i++) {
        void *const *arg = m->arg + gr_steps[i].first;
        int64_t n = gr_steps[i].tasks(arg, run), task;
        *(int64_t *)m->mem[thread] = 0;
        _Atomic int64_t *next = (_Atomic int64_t *)&m->counter[i];
        while ((task = atomic_fetch_add(next, 1)) < n)
            gr_steps[i].kernel(arg, run, task, m->mem[thread]);
        if (i + 1 == STEPS || !gr_steps[i + 1].joined)
            gr_meet(at, threads);
    }
}

static int gr_fits(const NAME *m, int64_t T, const int32_t *pos,
                   void *const *in)
{
    if (T < LEAST_TOKENS || T > TOKENS || m->length + T > CAPACITY)
        return 0;
    for (int64_t t = 0; pos && t < T; t++)
        if (pos[t] < 0 || (CACHE_BYTES > 0 && pos[t] > m->length + t))
            return 0;
    for (int i = 0; i < INDEX_COLUMNS; i++) {
        const gr_IndexColumn *c = &gr_index_columns[i];
        const int32_t *v = in[c->column];
        for (int64_t j = 0; j < c->fixed + c->per_token * T; j++)
            if (v[j] < 0 || v[j] >= c->below)
                return 0;
    }
    return 1;
}

static int64_t gr_run_step(NAME *m, int64_t T, const int32_t *pos,
                           void *const *in, void *const *out)
{
    if (!gr_fits(m, T, pos, in))
        return -1;
    int64_t *run = m->run + RUN_BELOW;
    run[0] = T;
    run[-1] = m->length;
    run[-2] = CAPACITY;
    run[-3] = m->threads;
    for (int i = 0; i < TABLED_SIZES; i++)
        run[gr_run_sizes[i].place] = gr_run_sizes[i].of[T];
    for (int64_t t = 0; !pos && t < T; t++)
        m->pos[t] = (int32_t)(m->length + t);
    pos = pos ? pos : m->pos;
    gr_set_angles(m, T, pos);
    gr_set_args(m, pos, in, out);
    memset(m->counter, 0, STEPS * sizeof *m->counter);
    gr_Meeting at = {0, 0};
#ifdef _OPENMP
#pragma omp parallel num_threads(m->threads)
    gr_thread_run(m, omp_get_thread_num(), omp_get_num_threads(), &at);
#else
    gr_thread_run(m, 0, 1, &at);
#endif
    return CACHE_BYTES > 0 ? m->length += T : T;
}

#if CACHE_BYTES > 0
void G(restart)(NAME *m, int64_t length)
{
    if (length >= 0 && length < m->length)
        m->length = length;
}
#endif
