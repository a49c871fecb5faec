/* Memory by lifetime: objects packed into blocks, freed together. Built with
 * -DSTRESS each object has a block of its own, so that a sanitizer sees
 * overruns. */
#include "base/base.h"
#include <string.h>

struct Block {
    struct Block *next;
    size_t used, size;
    max_align_t data[];
};

/* The first block is small, as most arenas are short-lived; each further one is
 * twice the last, up to the largest. */
#ifdef STRESS
enum { FIRST_BLOCK = 0, LARGEST_BLOCK = 0 };
#else
enum { FIRST_BLOCK = 4 * 1024, LARGEST_BLOCK = 64 * 1024 };
#endif

void *xmalloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p)
        die("out of memory");
    return p;
}

void *xrealloc(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);
    if (!p)
        die("out of memory");
    return p;
}

static struct Block *block_new(size_t need, struct Block *next)
{
    size_t size = next ? 2 * next->size : FIRST_BLOCK;
    if (size > LARGEST_BLOCK)
        size = LARGEST_BLOCK;
    if (size < need)
        size = need;
    struct Block *b = xmalloc(sizeof *b + size);
    memset(b->data, 0, size);
    *b = (struct Block){.next = next, .size = size};
    return b;
}

void *arena_alloc(Arena *a, size_t size)
{
    size_t align = _Alignof(max_align_t);
    size = (size + align - 1) / align * align;
    if (!a->head || a->head->size - a->head->used < size)
        a->head = block_new(size, a->head);
    void *p = (char *)a->head->data + a->head->used;
    a->head->used += size;
    return p;
}

char *arena_strn(Arena *a, const char *s, size_t len)
{
    char *copy = arena_alloc(a, len + 1);
    if (len)
        memcpy(copy, s, len);
    return copy;
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    char *s = arena_alloc(a, (size_t)len + 1);
    vsnprintf(s, (size_t)len + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return s;
}

void arena_free(Arena *a)
{
    for (struct Block *next; a->head; a->head = next) {
        next = a->head->next;
        free(a->head);
    }
}

void *list_grow(Arena *a, const void *old, int n, int *room, size_t size)
{
    *room = *room ? 2 * *room : 8;
    void *at = arena_alloc(a, (size_t)*room * size);
    if (n)
        memcpy(at, old, (size_t)n * size);
    return at;
}
