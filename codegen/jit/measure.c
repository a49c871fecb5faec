/* What this machine reaches: the peaks of its kinds of multiply from registers
 * alone, and how fast it reads memory. A feature's flag says that an
 * instruction exists, not that it is fast: on some machines the bf16 dot
 * product is slower than f32 FMA, on others twice as fast. */
#include "codegen/jit/measure.h"
#include "codegen/jit/jit.h"
#include "codegen/emit/matmul.h"
#include "runtime/runtime.h"
#include <math.h>
#include <omp.h>
#include <string.h>

enum { SUMS = 20, PEAK_STEPS = 100000, READ_STEP = 1024 };
enum { ROWS = 32, COLS = 32, DEPTH = 512, AMX_TIMES = 200 }; /* AMX's trial */
enum { MEMORY = 256 << 20 };

typedef void (*Loop3)(const void *from, int64_t n, void *sink);

/* ---- the loops: void NAME(from, n, sink) ---- */

static void open_loop(Emit *e, const char *name)
{
    Ty args[] = {ty_ptr(e), ty(e, TY_i64), ty_ptr(e)};
    function(e, name, LLVMVoidTypeInContext(e->ctx), 3, args);
}

typedef enum { PEAK_fma, PEAK_dot, PEAK_codes } Kind;
static const char *const peak_name[] = {"gr_peak_fma", "gr_peak_dot",
                                        "gr_peak_codes"};

/* The sums i and i + 1 once more, of one kind. */
static void two_sums(Emit *e, Kind kind, Val x, Val *sum)
{
    Val a = get(e, sum[0]), b = get(e, sum[1]);
    switch (kind) {
    case PEAK_fma:
        a = mul_add(e, x, x, a);
        b = mul_add(e, x, x, b);
        break;
    case PEAK_dot:
        a = dot_pairs(e, a, x, x);
        b = dot_pairs(e, b, x, x);
        break;
    case PEAK_codes: quant_dot(e, &a, &b, x, x, x); break;
    }
    set(e, sum[0], a);
    set(e, sum[1], b);
}

static void emit_peak(Emit *e, Kind kind)
{
    open_loop(e, peak_name[kind]);
    Ty word = vec(ty(e, TY_i32), e->lanes), real = vec(ty(e, TY_f32), e->lanes);
    Ty t = kind == PEAK_codes ? word : real;
    Val sum[SUMS];
    Val x = load(e, kind == PEAK_fma ? real : word, param(e, 0, "from"));
    for (int i = 0; i < SUMS; i++) {
        sum[i] = var(e, t, "sum");
        set(e, sum[i], num(t, i));
    }
    Loop k = loop_begin(e, "k", i64(e, 0), param(e, 1, "n"), 1);
    for (int i = 0; i < SUMS; i += 2)
        two_sums(e, kind, x, sum + i);
    loop_end(e, k);
    for (int i = 0; i < SUMS; i++)
        store(e, get(e, sum[i]), at(e, t, param(e, 2, "sink"), i64(e, i)));
    ret(e, NULL);
}

/* n: bytes, a multiple of READ_STEP */
static void emit_read(Emit *e)
{
    open_loop(e, "gr_read");
    Ty t = vec(ty(e, TY_i32), e->lanes);
    Val sum[4];
    for (int i = 0; i < 4; i++) {
        sum[i] = var(e, t, "sum");
        set(e, sum[i], num(t, 0));
    }
    Loop k = loop_begin(e, "k", i64(e, 0), param(e, 1, "n"), READ_STEP);
    Val p = at_bytes(e, param(e, 0, "from"), k.index);
    for (int64_t i = 0; i < READ_STEP; i += e->target->width) {
        if (i % 64 == 0)
            prefetch(e, at_bytes(e, p, i64(e, i + 2048)), 3);
        Val *s = &sum[i / e->target->width % 4];
        set(e, *s, add(e, get(e, *s), load(e, t, at_bytes(e, p, i64(e, i)))));
    }
    loop_end(e, k);
    for (int i = 0; i < 4; i++)
        store(e, get(e, sum[i]), at(e, t, param(e, 2, "sink"), i64(e, i)));
    ret(e, NULL);
}

/* n times C += x w, x of ROWS rows in groups, w behind it. */
static void emit_amx(Emit *e)
{
    Tile t = tile_choose(e, TILE_amx, COLS / e->lanes, 0);
    open_loop(e, "gr_peak_amx");
    Val x = param(e, 0, "x"), n = param(e, 1, "n"), c = param(e, 2, "c");
    Val w = at_bytes(e, x, i64(e, 2 * ROWS * DEPTH));
    Val chunks = i64(e, DEPTH / tile_chunk(&t));
    Loop i = loop_begin(e, "i", i64(e, 0), n, 1);
    Val args[] = {x, w, chunks, i64(e, ROWS), c, i64(e, 0), chunks};
    call(e, block_function(e, &t), 7, args);
    loop_end(e, i);
    ret(e, NULL);
}

static Jit *loops(Arena *a)
{
    const Target *t = target_host();
    Jit *j = jit_new(t, &(JitOptions){.threads = 1});
    Emit *e = emit_new(a, t, "measure");
    emit_peak(e, PEAK_fma);
    emit_peak(e, PEAK_codes);
    if (t->bf16_dot)
        emit_peak(e, PEAK_dot);
    if (t->amx)
        emit_amx(e);
    emit_read(e);
    emit_verify(e);
    jit_add(j, e);
    jit_link(j);
    return j;
}

static Loop3 loop_named(Jit *j, const char *name)
{
    Loop3 f;
    void *code = jit_symbol(j, name);
    memcpy(&f, &code, sizeof f);
    return f;
}

/* ---- times: all threads together; each from when all have met, so that waking
 * them does not count ---- */

static double time_of(Loop3 f, const void *from, int64_t n)
{
    _Alignas(64) char sink[ROWS * COLS * 4];
    memset(sink, 0, sizeof sink);
    double start = seconds_now();
    f(from, n, sink);
    return seconds_now() - start;
}

/* Seconds of the slowest; thread i works from `from` + i * apart. */
static double time_all(Loop3 f, const char *from, int64_t n, int64_t apart,
                       int threads)
{
    double longest = 0;
#pragma omp parallel num_threads(threads) reduction(max : longest)
    {
        const char *own = from + apart * omp_get_thread_num();
#pragma omp barrier
        longest = time_of(f, own, n);
    }
    return longest;
}

/* ---- AMX: are its sums right? ---- */

static uint16_t noise_bf16(uint32_t i)
{
    uint32_t h = (i + 1) * 2654435761u;
    return bf16_of_f32((float)(int32_t)(h ^ h >> 13) * 0x1p-31f);
}

/* x[r][k] and w[k][n] where the layouts have them. */
static const uint16_t *x_at(const uint16_t *data, int r, int k)
{
    return data + r / 16 * 16 * DEPTH + (k / 32 * 16 + r % 16) * 32 + k % 32;
}

static const uint16_t *w_at(const uint16_t *data, int k, int n)
{
    return data + ROWS * DEPTH + (k / 2 * COLS + n) * 2 + k % 2;
}

static bool sums_right(const uint16_t *data, Loop3 f)
{
    _Alignas(64) float c[ROWS * COLS] = {0};
    f(data, 1, c);
    for (int r = 0; r < ROWS; r++)
        for (int n = 0; n < COLS; n++) {
            double want = 0;
            for (int k = 0; k < DEPTH; k++)
                want += (double)f32_of_bf16(*x_at(data, r, k)) *
                        f32_of_bf16(*w_at(data, k, n));
            if (!(fabs(c[r * COLS + n] - want) < 1e-3))
                return false;
        }
    return true;
}

/* ---- peaks ---- */

static double gflops(double flops, Loop3 f, const void *from, int64_t n,
                     int threads)
{
    return 1e-9 * flops * threads / time_all(f, from, n, 0, threads);
}

/* The best of `tries`, the kinds in turn, so that what else the machine does
 * hits them alike. */
static void multiplies(Jit *j, int tries, Peaks *p)
{
    const Target *t = target_host();
    double each = 2.0 * SUMS * PEAK_STEPS * t->width / 4;
    uint16_t *data = exec_alloc(2 * (ROWS + COLS) * DEPTH + 8192);
    for (uint32_t i = 0; i < (ROWS + COLS) * DEPTH; i++)
        data[i] = noise_bf16(i);
    Loop3 fma = loop_named(j, peak_name[PEAK_fma]);
    Loop3 codes = loop_named(j, peak_name[PEAK_codes]);
    Loop3 dot = t->bf16_dot ? loop_named(j, peak_name[PEAK_dot]) : NULL;
    Loop3 amx = t->amx ? loop_named(j, "gr_peak_amx") : NULL;
    if (amx && !sums_right(data, amx))
        amx = NULL;
    for (int i = 0; i < tries; i++) {
        p->fma = fmax(p->fma, gflops(each, fma, data, PEAK_STEPS, p->threads));
        p->codes = fmax(p->codes, gflops(2 * each, codes, data, PEAK_STEPS,
                                         p->threads));
        if (dot)
            p->dot = fmax(p->dot, gflops(2 * each, dot, data, PEAK_STEPS,
                                         p->threads));
        if (amx)
            p->amx = fmax(p->amx,
                          gflops(2.0 * ROWS * COLS * DEPTH * AMX_TIMES, amx,
                                 data, AMX_TIMES, p->threads));
    }
    free(data);
}

/* GB/s that `threads` read together, each its part of `bytes`, over and over
 * until that is worth a timing. */
static double reading(Jit *j, const char *memory, int64_t bytes, int threads)
{
    enum { TRIES = 8, WORTH = 16 << 20 };
    Loop3 f = loop_named(j, "gr_read");
    int64_t each = bytes / threads / READ_STEP * READ_STEP;
    int64_t again = 1 + WORTH / bytes;
    double best = INFINITY;
    for (int i = 0; i < TRIES; i++) {
        double sum = 0;
        for (int64_t k = 0; k < again; k++)
            sum += time_all(f, memory, each, each, threads);
        best = fmin(best, sum / (double)again);
    }
    return 1e-9 * (double)each * threads / best;
}

static char *some_memory(void)
{
    char *memory = exec_alloc(MEMORY + 4096); /* read ahead of */
    memset(memory, 1, MEMORY + 4096);
    return memory;
}

Peaks measure_peaks(int threads)
{
    Arena a = {0};
    Jit *j = loops(&a);
    Peaks p = {.threads = threads};
    char *memory = some_memory();
    multiplies(j, 20, &p);
    p.read = reading(j, memory, MEMORY, threads);
    free(memory);
    jit_free(j);
    arena_free(&a);
    return p;
}

Peaks measure_multiplies(void)
{
    Arena a = {0};
    Jit *j = loops(&a);
    Peaks p = {.threads = 1};
    multiplies(j, 6, &p);
    jit_free(j);
    arena_free(&a);
    return p;
}

void measure_machine(MachineModel *m)
{
    Arena a = {0};
    Jit *j = loops(&a);
    char *memory = some_memory();
    Peaks *peaks[] = {&m->one, &m->all};
    for (int i = 0; i < 2; i++) {
        *peaks[i] = (Peaks){.threads = i ? exec_cores() : 1};
        multiplies(j, 20, peaks[i]);
        peaks[i]->read = reading(j, memory, MEMORY, peaks[i]->threads);
    }
    for (int i = 0; i < 3; i++) {
        int64_t half = m->cache[i] / 2;
        if (half)
            m->cache_read[i] = reading(j, memory, half < MEMORY ? half : MEMORY,
                                       1);
    }
    free(memory);
    jit_free(j);
    arena_free(&a);
}
