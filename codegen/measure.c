/* What this machine reaches: the peaks of its kinds of multiply from registers
 * alone, and how fast it reads memory. A feature's flag says that an
 * instruction exists, not that it is fast: on some machines the bf16 dot
 * product is slower than f32 FMA, on others twice as fast. */
#include "codegen/measure.h"
#include "codegen/cache.h"
#include "codegen/jit.h"
#include "codegen/matmul.h"
#include "runtime/runtime.h"
#include <math.h>
#include <omp.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SUMS = 20, PEAK_STEPS = 100000, READ_STEP = 1024 };

typedef void (*Loop3)(const void *from, int64_t n, void *sink);

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the loops: void NAME(from, n, sink) ---- */

static void open_loop(Emit *e, const char *name)
{
    Ty args[] = {ty_ptr(e), ty(e, TY_i64), ty_ptr(e)};
    function(e, name, LLVMVoidTypeInContext(e->ctx), 3, args);
}

static void emit_peak(Emit *e, const char *name, bool dot)
{
    open_loop(e, name);
    Ty t = vec(ty(e, TY_f32), e->lanes);
    Ty pairs = vec(ty(e, TY_i32), e->lanes);
    Val sum[SUMS], x = load(e, dot ? pairs : t, param(e, 0, "from"));
    for (int i = 0; i < SUMS; i++) {
        sum[i] = var(e, t, "sum");
        set(e, sum[i], num(t, i));
    }
    Loop k = loop_begin(e, "k", i64(e, 0), param(e, 1, "n"), 1);
    for (int i = 0; i < SUMS; i++) {
        Val s = get(e, sum[i]);
        set(e, sum[i], dot ? dot_pairs(e, s, x, x) : mul_add(e, x, x, s));
    }
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

static Jit *loops(Arena *a, bool read)
{
    const Target *t = target_host();
    Jit *j = jit_new(t, &(JitOptions){.threads = 1});
    Emit *e = emit_new(a, t, "measure");
    emit_peak(e, "gr_peak_fma", false);
    if (t->bf16_dot)
        emit_peak(e, "gr_peak_dot", true);
    if (read)
        emit_read(e);
    emit_verify(e);
    jit_add(j, e);
    jit_link(j);
    return j;
}

/* ---- times: the best of a few, all threads together; each from when all have
 * met, so that waking them does not count ---- */

static double time_of(Loop3 f, const void *from, int64_t n)
{
    _Alignas(64) char sink[SUMS * 64];
    double start = now();
    f(from, n, sink);
    return now() - start;
}

static double best_time(Jit *j, const char *name, const char *from, int64_t n,
                        int64_t apart, int threads, int tries)
{
    Loop3 f;
    void *code = jit_symbol(j, name);
    double best = INFINITY;
    memcpy(&f, &code, sizeof f);
    for (int i = 0; i < tries; i++) {
        double longest = 0;
#pragma omp parallel num_threads(threads) reduction(max : longest)
        {
            const char *own = from + apart * omp_get_thread_num();
#pragma omp barrier
            longest = time_of(f, own, n);
        }
        best = fmin(best, longest);
    }
    return best;
}

static double peak(Jit *j, const char *name, int each, int threads, int tries)
{
    static const uint16_t ones[32] = {0x3f00, 0x3f00, 0x3f00};
    double flops = 2.0 * each * SUMS * PEAK_STEPS * target_host()->width / 4;
    double time = best_time(j, name, (const char *)ones, PEAK_STEPS, 0, threads,
                            tries);
    return 1e-9 * flops * threads / time;
}

Peaks measure_peaks(int threads)
{
    enum { BYTES = 256 << 20 };
    Arena a = {0};
    Jit *j = loops(&a, true);
    Peaks p = {.threads = threads};
    p.fma = peak(j, "gr_peak_fma", 1, threads, 20);
    if (target_host()->bf16_dot)
        p.dot = peak(j, "gr_peak_dot", 2, threads, 20);
    int64_t each = BYTES / threads / READ_STEP * READ_STEP;
    char *memory = exec_alloc(BYTES + 4096);
    memset(memory, 1, BYTES + 4096);
    double time = best_time(j, "gr_read", memory, each, each, threads, 8);
    p.read = 1e-9 * (double)each * threads / time;
    free(memory);
    jit_free(j);
    arena_free(&a);
    return p;
}

/* ---- does the dot product pay? kept in a file for the next process ---- */

static bool cache_path(const char *what, char *path, size_t size)
{
    if (!cache_folder(path, size))
        return false;
    size_t n = strlen(path);
    const char *f = target_host()->features;
    snprintf(path + n, size - n, "/%s-%016llx", what,
             (unsigned long long)hash_bytes(0, f, strlen(f)));
    return true;
}

static bool read_answer(const char *path, bool *pays)
{
    FILE *f = fopen(path, "r");
    char word[8] = "";
    if (!f)
        return false;
    bool fine = fscanf(f, "%7s", word) == 1 &&
                (!strcmp(word, "pays") || !strcmp(word, "not"));
    fclose(f);
    *pays = !strcmp(word, "pays");
    return fine;
}

static void write_answer(const char *path, bool pays)
{
    char tmp[4096];
    snprintf(tmp, sizeof tmp, "%.4000s.%ld", path, (long)getpid());
    FILE *f = fopen(tmp, "w");
    if (!f)
        return;
    bool fine = fputs(pays ? "pays\n" : "not\n", f) >= 0;
    if (fclose(f) || !fine || rename(tmp, path))
        unlink(tmp);
}

static bool measure_dot(void)
{
    Arena a = {0};
    Jit *j = loops(&a, false);
    double fma = 0, dot = 0;
    for (int i = 0; i < 3; i++) {
        fma = fmax(fma, peak(j, "gr_peak_fma", 1, 1, 2));
        dot = fmax(dot, peak(j, "gr_peak_dot", 2, 1, 2));
    }
    jit_free(j);
    arena_free(&a);
    return dot > 1.2 * fma;
}

/* The answer that is kept, or a new one. */
static bool answer(const char *what, bool (*measure)(void))
{
    char path[4096];
    bool pays = false, place = cache_path(what, path, 4000);
    if (place && read_answer(path, &pays))
        return pays;
    pays = measure();
    if (place)
        write_answer(path, pays);
    return pays;
}

bool measure_dot_pays(void)
{
    static int known; /* 0: not yet */
    if (!target_host()->bf16_dot)
        return false;
#pragma omp critical(graft_dot)
    if (!known)
        known = answer("dot", measure_dot) ? 2 : 1;
    return known == 2;
}

/* ---- AMX: right, and faster? ---- */

enum { ROWS = 32, COLS = 32, DEPTH = 512 };

/* void gr_amx(operands, n, c): n times C += x w, x of ROWS rows in groups */
static Jit *amx_loop(Arena *a)
{
    Jit *j = jit_new(target_host(), &(JitOptions){.threads = 1});
    Emit *e = emit_new(a, target_host(), "measure_amx");
    Tile t = tile_choose(e, TILE_amx, 2);
    open_loop(e, "gr_amx");
    Val x = param(e, 0, "x"), n = param(e, 1, "n"), c = param(e, 2, "c");
    Val w = at_bytes(e, x, i64(e, 2 * ROWS * DEPTH));
    Val chunks = i64(e, DEPTH / tile_chunk(&t));
    Loop i = loop_begin(e, "i", i64(e, 0), n, 1);
    Val args[] = {x, w, chunks, i64(e, ROWS), c, i64(e, 0), chunks};
    call(e, block_function(e, &t), 7, args);
    loop_end(e, i);
    ret(e, NULL);
    emit_verify(e);
    jit_add(j, e);
    jit_link(j);
    return j;
}

static uint16_t noise_bf16(uint32_t i)
{
    uint32_t h = (i + 1) * 2654435761u;
    return bf16_of_f32((float)(int32_t)(h ^ h >> 13) * 0x1p-31f);
}

/* x[r][k] and w[k][n] where the layouts have them. */
static uint16_t *x_at(uint16_t *data, int r, int k)
{
    return data + r / 16 * 16 * DEPTH + (k / 32 * 16 + r % 16) * 32 + k % 32;
}

static uint16_t *w_at(uint16_t *data, int k, int n)
{
    return data + ROWS * DEPTH + (k / 2 * COLS + n) * 2 + k % 2;
}

static bool sums_right(uint16_t *data, const float *c)
{
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

static bool measure_amx(void)
{
    enum { TIMES = 200 };
    Arena a = {0};
    Jit *j = amx_loop(&a), *other = loops(&a, false);
    uint16_t *data = exec_alloc(2 * (ROWS + COLS) * DEPTH + 8192);
    float *c = exec_alloc(ROWS * COLS * 4);
    Loop3 f;
    void *code = jit_symbol(j, "gr_amx");
    memcpy(&f, &code, sizeof f);
    for (uint32_t i = 0; i < (ROWS + COLS) * DEPTH; i++)
        data[i] = noise_bf16(i);
    memset(c, 0, ROWS * COLS * 4);
    f(data, 1, c);
    bool right = sums_right(data, c);
    double best = INFINITY, than = 0;
    for (int i = 0; i < 5 && right; i++) {
        double start = now();
        f(data, TIMES, c);
        best = fmin(best, now() - start);
        than = fmax(than, peak(other, "gr_peak_fma", 1, 1, 1));
        if (target_host()->bf16_dot)
            than = fmax(than, peak(other, "gr_peak_dot", 2, 1, 1));
    }
    free(data);
    free(c);
    jit_free(j);
    jit_free(other);
    arena_free(&a);
    return right && 2e-9 * ROWS * COLS * DEPTH * TIMES / best > 1.2 * than;
}

bool measure_amx_pays(void)
{
    static int known;
    if (!target_host()->amx)
        return false;
#pragma omp critical(graft_amx)
    if (!known)
        known = answer("amx", measure_amx) ? 2 : 1;
    return known == 2;
}
