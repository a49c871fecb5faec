/* Which tensor goes into which file of a folder, and every file's header. */
#pragma once
#include "runtime/files/write.h"

typedef struct {
    const char *name; /* model-00001-of-00002.safetensors */
    int first, end;   /* tensors of the spec */
    int64_t bytes;    /* of their data */
    char *header;     /* padded, without the 8 bytes of its length */
} Shard;

typedef struct {
    Arena *arena;
    const FolderSpec *spec;
    Shard *shard;
    int shards;
    const int64_t *size; /* bytes of each tensor */
    int64_t bytes;       /* of all */
} ShardPlan;

void shard_plan_make(ShardPlan *p, Arena *a, const FolderSpec *spec,
                     const int64_t *size);
/* Text of model.safetensors.index.json in the arena; NULL for one shard. */
const char *shard_plan_index(ShardPlan *p);
