/* graft_dev.h on the CPU: runs the kernels' text, GNU C11, one block at a time.
 * A CUDA thread is a fiber that runs until it waits: at a barrier of the block,
 * or where its warp meets (shuffles, mma). The order of threads and of blocks,
 * and whether asynchronous copies land early or late, are the caller's choice:
 * no result may depend on them. Shared memory is new for each block, full of
 * ones (NaNs), and exactly as large as the launch says. What a device would not
 * do as meant ends the program with a line. Under ThreadSanitizer each thread
 * is one of its fibers and only barriers order them: a missing one is found in
 * any order. */
#pragma once
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

typedef unsigned short bf16;
typedef struct {
    unsigned short bits;
} f16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;
typedef struct {
    u32 x, y, z, w;
} __attribute__((aligned(16))) v16;

#define GRAFT_KERNEL(threads, blocks) static void
#define DEVFN static inline __attribute__((unused))
#define DYN_SMEM(p) unsigned char *p = emu.smem
#define UNROLL
#define INFINITE ((float)INFINITY)
#define NOT_A_NUMBER ((float)NAN)

enum { EMU_STACK = 64 << 10, EMU_THREADS = 1024, EMU_COPIES = 512 };
typedef struct {
    u32 x, y, z;
} EmuDim;

#ifdef __SANITIZE_THREAD__
void *__tsan_create_fiber(unsigned);
void __tsan_destroy_fiber(void *);
void __tsan_switch_to_fiber(void *, unsigned);
void *__tsan_get_current_fiber(void);
void __tsan_acquire(void *);
void __tsan_release(void *);
#define EMU_ACQUIRE(p) __tsan_acquire(p)
#define EMU_RELEASE(p) __tsan_release(p)
#define EMU_SWITCH(f) __tsan_switch_to_fiber(f, 1)
#define EMU_QUIET __attribute__((no_sanitize_thread, noinline))
#else
#define EMU_ACQUIRE(p) ((void)(p))
#define EMU_RELEASE(p) ((void)(p))
#define EMU_SWITCH(f) ((void)(f))
#define EMU_QUIET __attribute__((noinline))
#endif

/* ---- state ---- */

typedef enum { EMU_runs, EMU_block, EMU_warp, EMU_done } EmuWait;
typedef struct {
    void *dst;
    const void *src;
    int ok;
    u32 group; /* of this thread's commits */
} EmuCopy;
typedef struct {
    ucontext_t at;
    char *stack;
    void *tsan;
    EmuDim tid;
    EmuWait wait;
    const char *meets; /* where its warp meets */
    void *give;        /* what it brings there */
    u32 group, from;   /* commits so far; the barrier's generation */
    int ncopy;
    EmuCopy copy[EMU_COPIES];
} EmuFiber;

static struct {
    int order;  /* 0 forward, 1 backward, else a seed */
    int late;   /* copies land when waited for, else at once */
    unsigned char *smem;
    EmuDim block, grid, size;
    int n;
    EmuFiber *fiber, *now;
    ucontext_t back;
    void *back_tsan;
    void (*kernel)(void **);
    void **arg;
    const char *name;
    int sync[2], warp_sync[EMU_THREADS / 32][2];
    int whole; /* order of all fibers around a block */
    u64 random;
} emu;

#define threadIdx (emu.now->tid)
#define blockIdx (emu.block)
#define blockDim (emu.size)
#define gridDim (emu.grid)

static inline void emu_die(const char *what)
{
    fprintf(stderr, "emulator: %s: block %u %u %u: %s\n", emu.name,
            emu.block.x, emu.block.y, emu.block.z, what);
    abort();
}

static inline u64 emu_random(void)
{
    emu.random ^= emu.random << 13;
    emu.random ^= emu.random >> 7;
    emu.random ^= emu.random << 17;
    return emu.random;
}

/* The i-th of n in the order asked for. */
static inline u64 emu_pick(u64 i, u64 n)
{
    if (emu.order == 0)
        return i;
    return emu.order == 1 ? n - 1 - i : (i * 7919 + (u64)emu.order) % n;
}

/* ---- fibers ---- */

EMU_QUIET static void emu_yield(void)
{
    EmuFiber *f = emu.now;
    EMU_SWITCH(emu.back_tsan);
    swapcontext(&f->at, &emu.back);
}

EMU_QUIET static void emu_fiber(void)
{
    EMU_ACQUIRE(&emu.whole);
    emu.kernel(emu.arg);
    EMU_RELEASE(&emu.whole);
    for (int i = 0; i < emu.now->ncopy; i++)
        if (emu.late)
            emu_die("a thread ends while its copies are under way");
    emu.now->wait = EMU_done;
    for (;;)
        emu_yield();
}

EMU_QUIET static void emu_resume(EmuFiber *f)
{
    emu.now = f;
    EMU_SWITCH(f->tsan);
    swapcontext(&emu.back, &f->at);
}

/* All threads that still run stand at the barrier: on they go. */
EMU_QUIET static int emu_open_block(void)
{
    int at = 0, done = 0;
    for (int i = 0; i < emu.n; i++) {
        at += emu.fiber[i].wait == EMU_block;
        done += emu.fiber[i].wait == EMU_done;
    }
    if (at && done)
        emu_die("a barrier that a thread which has ended does not reach");
    for (int i = 0; at == emu.n && i < emu.n; i++)
        emu.fiber[i].wait = EMU_runs;
    return at == emu.n;
}

EMU_QUIET static void emu_run_block(void)
{
    for (int live = 1; live;) {
        int moved = 0;
        live = 0;
        for (int i = 0; i < emu.n; i++) {
            EmuFiber *f = &emu.fiber[emu_pick((u64)i, (u64)emu.n)];
            if (emu.order > 1 && f->wait == EMU_runs && emu_random() & 1) {
                live = moved = 1; /* another time */
                continue;
            }
            if (f->wait == EMU_runs) {
                emu_resume(f);
                moved = 1;
            }
            live |= f->wait != EMU_done;
        }
        if (!moved && live && !emu_open_block())
            emu_die("every thread waits");
    }
}

/* ---- where threads meet ---- */

EMU_QUIET static void __syncthreads(void)
{
    EmuFiber *f = emu.now;
    int *sync = &emu.sync[f->from++ & 1];
    EMU_RELEASE(sync);
    f->wait = EMU_block;
    emu_yield();
    EMU_ACQUIRE(sync);
}

/* The 32 fibers of a warp meet at `place`; the last to come runs `fn`. */
EMU_QUIET static void emu_meet(const char *place, void *give,
                               void (*fn)(EmuFiber *lane))
{
    EmuFiber *f = emu.now, *lane = f - (f - emu.fiber) % 32;
    f->meets = place;
    f->give = give;
    f->wait = EMU_warp;
    for (int i = 0; i < 32; i++) {
        if (lane[i].wait == EMU_done || lane[i].wait == EMU_block)
            emu_die("a warp whose lanes are not all there");
        if (lane[i].wait != EMU_warp) {
            emu_yield();
            return;
        }
    }
    for (int i = 0; i < 32; i++)
        if (strcmp(lane[i].meets, place))
            emu_die("a warp whose lanes stand at different places");
    if (fn)
        fn(lane);
    for (int i = 0; i < 32; i++)
        lane[i].wait = EMU_runs;
}

EMU_QUIET static void emu_syncwarp(const char *place)
{
    EmuFiber *f = emu.now;
    long w = (f - emu.fiber) / 32;
    int *sync = &emu.warp_sync[w][f->tid.y++ & 1]; /* y: not used by kernels */
    EMU_RELEASE(sync);
    emu_meet(place, NULL, NULL);
    EMU_ACQUIRE(sync);
}

/* ---- launches ---- */

typedef struct {
    const char *name;
    void (*run)(void **);
} EmuEntry;
static EmuEntry emu_entry[256];
static int emu_entries;
#define EMU_ENTRY(k) \
    static void emu_run_##k(void **arg); \
    __attribute__((constructor)) static void emu_add_##k(void) \
    { \
        emu_entry[emu_entries++] = (EmuEntry){#k, emu_run_##k}; \
    } \
    static void emu_run_##k(void **arg)

EMU_QUIET static void emu_begin_block(size_t shared)
{
    void *raw = NULL;
    if (posix_memalign(&raw, 128, shared ? shared : 1))
        emu_die("no memory");
    memset(raw, 0xff, shared);
    emu.smem = raw;
    for (int i = 0; i < emu.n; i++) {
        EmuFiber *f = &emu.fiber[i];
        f->tid = (EmuDim){(u32)i, 0, 0};
        f->wait = EMU_runs;
        f->ncopy = 0;
        f->group = f->from = 0;
        getcontext(&f->at);
        f->at.uc_stack.ss_sp = f->stack;
        f->at.uc_stack.ss_size = EMU_STACK;
        f->at.uc_link = NULL;
        makecontext(&f->at, emu_fiber, 0);
    }
}

EMU_QUIET static void emu_fibers(int n)
{
    if (!emu.fiber)
        emu.fiber = calloc(EMU_THREADS, sizeof *emu.fiber);
    for (int i = 0; i < n; i++) {
        EmuFiber *f = &emu.fiber[i];
        if (!f->stack)
            f->stack = malloc(EMU_STACK);
#ifdef __SANITIZE_THREAD__
        if (!f->tsan)
            f->tsan = __tsan_create_fiber(0);
#endif
    }
}

__attribute__((destructor)) EMU_QUIET static void emu_end(void)
{
    for (int i = 0; emu.fiber && i < EMU_THREADS; i++)
        free(emu.fiber[i].stack);
    free(emu.fiber);
}

/* As cuLaunchKernel: arg has a pointer to each argument. False: no such kernel
 * is in the text. */
__attribute__((visibility("default"))) int
emu_launch(const char *name, const u32 *grid, int threads, size_t shared,
           void **arg, int order, int late)
{
    emu.kernel = NULL;
    for (int i = 0; i < emu_entries; i++)
        if (!strcmp(emu_entry[i].name, name))
            emu.kernel = emu_entry[i].run;
    if (!emu.kernel || threads < 1 || threads > EMU_THREADS || threads % 32)
        return 0;
    emu.name = name;
    emu.arg = arg;
    emu.n = threads;
    emu.order = order;
    emu.late = late;
    emu.random = 88172645463325252ull + (u64)order;
    emu.size = (EmuDim){(u32)threads, 1, 1};
    emu.grid = (EmuDim){grid[0], grid[1], grid[2]};
    emu_fibers(threads);
#ifdef __SANITIZE_THREAD__
    emu.back_tsan = __tsan_get_current_fiber();
#endif
    u64 blocks = (u64)grid[0] * grid[1] * grid[2];
    for (u64 i = 0; i < blocks; i++) {
        u64 b = emu.order > 1 ? i : emu_pick(i, blocks);
        emu.block = (EmuDim){(u32)(b % grid[0]), (u32)(b / grid[0] % grid[1]),
                             (u32)(b / grid[0] / grid[1])};
        EMU_RELEASE(&emu.whole);
        emu_begin_block(shared);
        EMU_RELEASE(&emu.whole);
        emu_run_block();
        EMU_ACQUIRE(&emu.whole);
        free(emu.smem);
    }
    return 1;
}
