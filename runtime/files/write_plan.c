/* Before a byte is written: tensors cut into shards, and every header. */
#include "runtime/files/write_plan.h"
#include <string.h>

/* A new shard begins where the next tensor would go over the limit. */
static void cut(ShardPlan *p)
{
    const FolderSpec *spec = p->spec;
    int64_t most = spec->shard_bytes ? spec->shard_bytes
                                     : (int64_t)5000 * 1000 * 1000;
    LIST(Shard) shards = {0};
    list_push(p->arena, &shards, (Shard){0});
    for (int i = 0; i < spec->tensors; i++) {
        Shard *s = &shards.at[shards.n - 1];
        int64_t bytes = p->size[i];
        if (s->bytes && s->bytes + bytes > most) {
            list_push(p->arena, &shards, (Shard){.first = i, .end = i});
            s = &shards.at[shards.n - 1];
        }
        s->bytes += bytes;
        s->end = i + 1;
        p->bytes += bytes;
    }
    p->shard = shards.at;
    p->shards = shards.n;
}

static void name_shards(ShardPlan *p)
{
    for (int i = 0; i < p->shards; i++)
        p->shard[i].name =
            p->shards == 1
                ? "model.safetensors"
                : arena_printf(p->arena, "model-%05d-of-%05d.safetensors",
                               i + 1, p->shards);
}

static void add_tensor(cJSON *root, const TensorInfo *t, int64_t at,
                       int64_t end)
{
    cJSON *one = cJSON_AddObjectToObject(root, t->name);
    cJSON_AddStringToObject(one, "dtype", type_info[t->dtype].safetensors);
    cJSON *shape = cJSON_AddArrayToObject(one, "shape");
    for (int i = 0; i < t->rank; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->shape[i]));
    cJSON *range = cJSON_AddArrayToObject(one, "data_offsets");
    cJSON_AddItemToArray(range, cJSON_CreateNumber((double)at));
    cJSON_AddItemToArray(range, cJSON_CreateNumber((double)end));
}

static char *print(ShardPlan *p, cJSON *root)
{
    char *text = cJSON_PrintUnformatted(root);
    size_t len = strlen(text), padded = (len + 7) / 8 * 8;
    char *copy = arena_alloc(p->arena, padded + 1);
    memcpy(copy, text, len);
    memset(copy + len, ' ', padded - len);
    cJSON_free(text);
    cJSON_Delete(root);
    return copy;
}

static void make_header(ShardPlan *p, Shard *s)
{
    const FolderSpec *spec = p->spec;
    cJSON *root = cJSON_CreateObject();
    cJSON *meta = cJSON_AddObjectToObject(root, "__metadata__");
    cJSON_AddStringToObject(meta, "format", "pt");
    for (int i = 0; i < spec->metas; i++)
        cJSON_AddStringToObject(meta, spec->meta[i][0], spec->meta[i][1]);
    int64_t at = 0;
    for (int i = s->first; i < s->end; i++) {
        add_tensor(root, &spec->tensor[i], at, at + p->size[i]);
        at += p->size[i];
    }
    s->header = print(p, root);
}

void shard_plan_make(ShardPlan *p, Arena *a, const FolderSpec *spec,
                     const int64_t *size)
{
    *p = (ShardPlan){.arena = a, .spec = spec, .size = size};
    cut(p);
    name_shards(p);
    for (int i = 0; i < p->shards; i++)
        make_header(p, &p->shard[i]);
}

const char *shard_plan_index(ShardPlan *p)
{
    if (p->shards == 1)
        return NULL;
    cJSON *root = cJSON_CreateObject();
    cJSON *meta = cJSON_AddObjectToObject(root, "metadata");
    cJSON_AddNumberToObject(meta, "total_size", (double)p->bytes);
    cJSON *map = cJSON_AddObjectToObject(root, "weight_map");
    for (int i = 0; i < p->shards; i++)
        for (int k = p->shard[i].first; k < p->shard[i].end; k++)
            cJSON_AddStringToObject(map, p->spec->tensor[k].name,
                                    p->shard[i].name);
    return print(p, root);
}
