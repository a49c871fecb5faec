/* Memory for values and weights. Large pieces ask Linux for huge pages: reading
 * weights through pages of 4 KiB is bounded by finding the pages: on a virtual
 * machine 30 GB/s where huge ones gave 45. */
#include "runtime/run/run.h"
#include <sys/mman.h>

enum { LINE = 64, HUGE_PAGE = 2 << 20 };

static size_t round_to(int64_t bytes, size_t to)
{
    return ((size_t)bytes + to - 1) / to * to;
}

static void ask_huge(void *p, size_t size)
{
#ifdef MADV_HUGEPAGE
    madvise(p, size, MADV_HUGEPAGE); /* refused: small ones, then */
#else
    (void)p, (void)size;
#endif
}

void *exec_try_alloc(int64_t bytes)
{
    bool large = bytes >= HUGE_PAGE / 2;
    size_t unit = large ? HUGE_PAGE : LINE, size = round_to(bytes + LINE, unit);
    void *p = aligned_alloc(unit, size);
    if (p && large)
        ask_huge(p, size);
    return p;
}

void *exec_alloc(int64_t bytes)
{
    void *p = exec_try_alloc(bytes);
    if (!p)
        die("no memory for %lld bytes", (long long)bytes);
    return p;
}

/* ---- a pool ---- */

enum { SLAB = 64 << 20 };

typedef struct ExecSlab {
    struct ExecSlab *next;
    char *at;
    size_t size, used;
} Slab;

/* Untouched pages of a mapping are zero and cost nothing. */
static void *map_zeros(size_t size)
{
    size_t all = size + HUGE_PAGE;
    char *p = mmap(NULL, all, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        die("no memory for %zu bytes of weights", size);
    char *at = (char *)round_to((int64_t)(intptr_t)p, HUGE_PAGE);
    if (at > p)
        munmap(p, (size_t)(at - p));
    munmap(at + size, (size_t)(p + all - (at + size)));
    ask_huge(at, size);
    return at;
}

void *exec_pool_take(ExecPool *pool, int64_t bytes)
{
    size_t size = round_to(bytes + 1, LINE);
    Slab *s = pool->slab;
    if (!s || s->size - s->used < size) {
        s = xmalloc(sizeof *s);
        *s = (Slab){.next = pool->slab,
                    .size = round_to((int64_t)size > SLAB ? (int64_t)size
                                                          : SLAB, HUGE_PAGE)};
        s->at = map_zeros(s->size);
        pool->slab = s;
    }
    s->used += size;
    return s->at + s->used - size;
}

void exec_pool_free(ExecPool *pool)
{
    while (pool->slab) {
        Slab *s = pool->slab;
        pool->slab = s->next;
        munmap(s->at, s->size);
        free(s);
    }
}
