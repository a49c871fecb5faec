
/* ---- the driver: the same for every model ---- */

struct NAME {
    int threads;
    char *value, *weight, *cache, *angle;
    void **mem, **arg;
    int64_t *counter, length;
    int64_t run[RUN_BELOW + RUN_SIZES];
};

static void *block(int64_t bytes)
{
    size_t size = ((size_t)bytes + 127) / 64 * 64;
    void *p = aligned_alloc(64, size);
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
    free(m);
}

static int allocate(NAME *m)
{
    m->value = block(VALUE_BYTES);
    m->weight = block(WEIGHT_BYTES);
    m->cache = block(CACHE_BYTES);
    m->angle = block(ANGLE_BYTES);
    m->mem = calloc((size_t)m->threads, sizeof *m->mem);
    m->arg = calloc(ARGS, sizeof *m->arg);
    m->counter = calloc(STEPS, sizeof *m->counter);
    if (!m->value || !m->weight || !m->cache || !m->angle || !m->mem ||
        !m->arg || !m->counter)
        return 0;
    for (int i = 0; i < m->threads; i++)
        if (!(m->mem[i] = block(THREAD_BYTES)))
            return 0;
    return 1;
}

NAME *G(new)(int threads)
{
    NAME *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
#ifdef _OPENMP
    m->threads = threads > 0 ? threads : omp_get_num_procs();
#else
    m->threads = 1;
    (void)threads;
#endif
    if (!allocate(m)) {
        G(free)(m);
        return NULL;
    }
    for (int i = 0; i < STACKS; i++)
        for (int64_t j = 0; j < stacks[i].count; j++) {
            char *at = m->weight + stacks[i].data + j * stacks[i].bytes;
            ((void **)(void *)(m->weight + stacks[i].table))[j] = at;
        }
    return m;
}

/* ---- weights ---- */

/* Where flat element `i` of n dims lies in the tensor; -1: not in it. */
static int64_t offset_of(const PackDim *d, int n, int64_t i)
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

static int64_t count_of(const PackDim *d, int n)
{
    int64_t count = 1;
    for (int i = 0; i < n; i++)
        count *= d[i].size;
    return count;
}

static void pack(const WeightUse *u, const char *from, char *to, size_t size)
{
    const PackDim *b = pack_dims + u->first, *n = b + u->nb, *k = n + u->nn;
    int64_t N = count_of(n, u->nn), K = count_of(k, u->nk);
    int64_t panels = (N + u->cols - 1) / u->cols;
    int64_t panel = (K + 31) / 32 * 32 * u->cols * u->parts;
    for (int64_t i = 0; i < count_of(b, u->nb) * panels * u->cols; i++) {
        int64_t c = i % u->cols, p = i / u->cols;
        int64_t col = p % panels * u->cols + c;
        int64_t base = offset_of(b, u->nb, p / panels);
        int64_t at = col < N ? offset_of(n, u->nn, col) : -1;
        for (int64_t j = 0; base >= 0 && at >= 0 && j < K; j++) {
            int64_t place = p * panel + j / u->pair * u->parts * u->cols *
                                            u->pair +
                            ((int64_t)u->part * u->cols + c) * u->pair +
                            j % u->pair;
            int64_t src = base + at + offset_of(k, u->nk, j);
            memcpy(to + place * (int64_t)size, from + src * (int64_t)size,
                   size);
        }
    }
}

void G(set)(NAME *m, int weight, const void *values)
{
    const WEIGHT *w = &G(weight)[weight];
    for (int i = 0; i < USES; i++) {
        const WeightUse *u = &uses[i];
        if (u->weight != weight)
            continue;
        if (u->packed)
            pack(u, values, m->weight + u->to, (size_t)w->element);
        else
            memcpy(m->weight + u->to, values,
                   (size_t)(w->count * w->element));
    }
}

/* ---- a step ---- */

static void set_angles(NAME *m, int64_t T, const int32_t *pos)
{
    for (int i = 0; i < ANGLES; i++) {
        const Angles *a = &angles[i];
        float *to = (float *)(void *)(m->angle + a->to);
        for (int64_t t = 0; t < T; t++)
            for (int j = 0; j < a->half; j++) {
                double x = pos[t] * angle_freq[a->first + j];
                to[t * a->half + j] = (float)(cos(x) * a->scale);
                to[(T + t) * a->half + j] = (float)(sin(x) * a->scale);
            }
    }
}

static void set_args(NAME *m, const int32_t *pos, void *const *in,
                     void *const *out)
{
    for (int i = 0; i < ARGS; i++) {
        int64_t at = args[i].at;
        switch (args[i].place) {
        case AT_value: m->arg[i] = m->value + at; break;
        case AT_weight: m->arg[i] = m->weight + at; break;
        case AT_cache: m->arg[i] = m->cache + at; break;
        case AT_angle: m->arg[i] = m->angle + at; break;
        case AT_in: m->arg[i] = in[at]; break;
        case AT_out: m->arg[i] = out[at]; break;
        case AT_pos: m->arg[i] = (void *)(uintptr_t)pos; break;
        }
    }
}

/* Where threads wait for each other. */
typedef struct {
    _Atomic int arrived, round;
} Meeting;

static void meet(Meeting *m, int threads)
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

static void thread_run(NAME *m, int thread, int threads, Meeting *at)
{
    const int64_t *run = m->run + RUN_BELOW;
    for (int i = 0; i < STEPS; i++) {
        void *const *arg = m->arg + steps[i].first;
        int64_t n = steps[i].tasks(arg, run), task;
        _Atomic int64_t *next = (_Atomic int64_t *)&m->counter[i];
        while ((task = atomic_fetch_add(next, 1)) < n)
            steps[i].kernel(arg, run, task, m->mem[thread]);
        if (i + 1 == STEPS || !steps[i + 1].joined)
            meet(at, threads);
    }
}

static int fits(const NAME *m, int64_t T, const int32_t *pos, void *const *in)
{
    if (T < 1 || T > TOKENS || m->length + T > CAPACITY)
        return 0;
    for (int64_t t = 0; t < T; t++)
        if (pos[t] < 0 || pos[t] > m->length + t)
            return 0;
    for (int i = 0; i < INDEX_COLUMNS; i++) {
        const IndexColumn *c = &index_columns[i];
        const int32_t *v = in[c->column];
        for (int64_t j = 0; j < c->fixed + c->per_token * T; j++)
            if (v[j] < 0 || v[j] >= c->below)
                return 0;
    }
    return 1;
}

static int64_t run_step(NAME *m, int64_t T, const int32_t *pos,
                        void *const *in, void *const *out)
{
    if (!fits(m, T, pos, in))
        return -1;
    int64_t *run = m->run + RUN_BELOW;
    run[0] = T;
    run[-1] = m->length;
    run[-2] = CAPACITY;
    run[-3] = m->threads;
    for (int i = 0; i < TABLED_SIZES; i++)
        run[run_sizes[i].place] = run_sizes[i].of[T];
    set_angles(m, T, pos);
    set_args(m, pos, in, out);
    memset(m->counter, 0, STEPS * sizeof *m->counter);
    Meeting at = {0, 0};
#ifdef _OPENMP
#pragma omp parallel num_threads(m->threads)
    thread_run(m, omp_get_thread_num(), omp_get_num_threads(), &at);
#else
    thread_run(m, 0, 1, &at);
#endif
    return m->length += T;
}

void G(restart)(NAME *m, int64_t length)
{
    if (length < m->length)
        m->length = length;
}
