/* Tokenised examples in a file of a folder, named by their hash: numbers as
 * they lie in memory, with a check of all behind them. A file that is not as
 * it should be is not there. */
#include "runtime/data/data_private.h"
#include "runtime/files/files.h"
#include <string.h>

enum { MAGIC = 0x31444754 }; /* "TGD1" */

typedef struct {
    uint32_t magic;
    int32_t examples, cut, left_out, bad, columns;
    uint64_t hash, ids; /* how many tokens */
} Head;

static const char *path_of(Arena *a, const Data *d, const char *folder)
{
    return arena_printf(a, "%s/data-%016llx.ids", folder,
                        (unsigned long long)d->hash);
}

/* What follows the head: an int32 length and line of each, then ids, labels.
 */
static bool is_whole(const Head *h, const char *text, size_t len,
                     uint64_t hash)
{
    if (h->magic != MAGIC || h->hash != hash || h->columns || h->examples < 0)
        return false;
    uint64_t bytes = sizeof *h + (uint64_t)h->examples * 8 + h->ids * 8 + 8;
    uint64_t check;
    if (h->ids > len || bytes != len)
        return false;
    memcpy(&check, text + len - 8, 8);
    return check == hash_bytes(0, text, len - 8);
}

static bool take(Data *d, const Head *h, const char *text)
{
    const char *at = text + sizeof *h, *ids = at + (size_t)h->examples * 8;
    size_t all = h->ids * 4, used = 0;
    int32_t *id = arena_alloc(&d->arena, all + 1),
            *label = arena_alloc(&d->arena, all + 1);
    memcpy(id, ids, all);
    memcpy(label, ids + all, all);
    for (int i = 0; i < h->examples; i++, at += 8) {
        int32_t n, line;
        memcpy(&n, at, 4);
        memcpy(&line, at + 4, 4);
        if (n < 1 || (uint64_t)n > h->ids - used)
            return false;
        Example e = {.n = n, .line = line, .id = id + used,
                     .label = label + used};
        for (int t = 1; t < n; t++)
            e.labelled += e.label[t] != NO_LABEL;
        used += (size_t)n;
        d->tokens += n;
        d->labelled += e.labelled;
        list_push(&d->arena, &d->example, e);
    }
    return used == h->ids;
}

bool cache_read(Data *d, const char *folder, int columns)
{
    Err none;
    Head h;
    size_t len;
    uint64_t hash = d->hash;
    char *text = columns ? NULL
                         : read_file(path_of(&d->arena, d, folder), &len,
                                     &none);
    bool fine = text && len >= sizeof h + 8;
    if (fine)
        memcpy(&h, text, sizeof h);
    fine = fine && is_whole(&h, text, len, hash) && take(d, &h, text);
    free(text);
    if (fine) {
        d->cut = h.cut, d->left_out = h.left_out, d->bad = h.bad;
    } else {
        arena_free(&d->arena);
        *d = (Data){.hash = hash};
    }
    return fine;
}

void cache_write(const Data *d, const char *folder, int columns)
{
    Arena a = {0};
    Err none;
    Head h = {MAGIC, d->example.n, d->cut, d->left_out, d->bad, columns,
              d->hash, (uint64_t)d->tokens};
    size_t len = sizeof h + (size_t)h.examples * 8 + h.ids * 8 + 8;
    char *text = columns || d->bad ? NULL : xmalloc(len);
    if (!text)
        return; /* what was wrong with the bad ones is to be said again */
    char *at = text, *ids = text + sizeof h + (size_t)h.examples * 8,
         *labels = ids + h.ids * 4;
    memcpy(at, &h, sizeof h);
    at += sizeof h;
    for (int i = 0; i < d->example.n; i++, at += 8) {
        const Example *e = &d->example.at[i];
        size_t bytes = (size_t)e->n * 4;
        memcpy(at, &e->n, 4);
        memcpy(at + 4, &e->line, 4);
        memcpy(ids, e->id, bytes);
        memcpy(labels, e->label, bytes);
        ids += bytes, labels += bytes;
    }
    uint64_t check = hash_bytes(0, text, len - 8);
    memcpy(text + len - 8, &check, 8);
    file_write(path_of(&a, d, folder), text, len, &none); /* or no cache */
    free(text);
    arena_free(&a);
}
