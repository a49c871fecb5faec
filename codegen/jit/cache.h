/* Compiled modules kept on disk. Private to codegen.
 *
 * A file an object, named by the SHA-256 of all it was made of; its head says
 * how long it is and the SHA-256 of its bytes, so that a cut or changed one is
 * not believed but made anew. It is code that we run: folder and files must be
 * the user's, and nobody else may write to them. Written to a temporary name,
 * and renamed: runs side by side do not disturb each other, one that is killed
 * leaves nothing that counts. */
#pragma once
#include "base/base.h"

typedef struct {
    unsigned char at[32];
} CacheKey;
CacheKey cache_key(void); /* of nothing yet */
CacheKey cache_mix(CacheKey k, const void *data, size_t len);

/* The user's own folder: $XDG_CACHE_HOME/graft or ~/.cache/graft, made if need
 * be. False: there is none. */
bool cache_folder(char *path, size_t size);
/* Writes head, then data, to a temporary name and renames it. False: nothing
 * changed. */
bool cache_replace(const char *path, const void *head, size_t nhead,
                   const void *data, size_t len);
/* The object's bytes (malloc'ed), or NULL. */
void *cache_find(const char *folder, CacheKey k, size_t *len);
/* Keeps it, and lets the oldest go where all together exceed `limit` bytes.
 * What fails is left: a cache may be absent. */
void cache_keep(const char *folder, CacheKey k, const void *data, size_t len,
                int64_t limit);
