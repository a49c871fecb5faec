/* What write.c and write_plan.c share: which tensor goes into which file. */
#pragma once
#include "runtime/write_io.h"

typedef struct {
    const char *name; /* model-00001-of-00002.safetensors */
    int first, end;   /* tensors of the spec */
    int64_t bytes;    /* of their data */
    char *header;     /* padded, without the 8 bytes of its length */
} Shard;

typedef struct {
    Arena arena;
    const FolderSpec *spec;
    Shard *shard;
    int shards;
    int64_t *size; /* bytes of each tensor */
    int64_t bytes; /* of all */
} Plan;

/* False with err set where a tensor cannot be written as the spec has it. */
bool plan_make(Plan *p, const FolderSpec *spec, Err *err);
/* Text of model.safetensors.index.json in the arena; NULL for one shard. */
const char *plan_index(Plan *p);
