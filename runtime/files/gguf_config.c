/* A config kept whole in a GGUF file beside GGUF's own keys, and how a config
 * is looked into. */
#include "runtime/files/gguf_arch.h"
#include <string.h>

/* Fields that have gone by several names. */
static const char *const same[][2] = {
    {"num_experts", "num_local_experts"},
    {"rotary_pct", "partial_rotary_factor"},
    {"rope_theta", "rotary_emb_base"},
    {"torch_dtype", "dtype"},
};

static const cJSON *get(const cJSON *config, const char *field)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, field);
    return cJSON_IsNull(item) ? NULL : item;
}

static const cJSON *get_any(const cJSON *config, const char *field)
{
    const cJSON *item = get(config, field);
    return item ? item : get(get(config, "rope_parameters"), field);
}

const cJSON *config_field(const cJSON *config, const char *field)
{
    const cJSON *item = get_any(config, field);
    for (size_t i = 0; i < COUNT(same) && !item; i++)
        for (int j = 0; j < 2 && !item; j++)
            if (!strcmp(same[i][j], field))
                item = get_any(config, same[i][!j]);
    return item;
}

const char *config_text(const cJSON *config, const char *field)
{
    const cJSON *item = config_field(config, field);
    return cJSON_IsString(item) ? item->valuestring : "";
}

const char *config_class(const cJSON *config)
{
    const cJSON *first = cJSON_GetArrayItem(get(config, "architectures"), 0);
    return cJSON_IsString(first) ? first->valuestring : "";
}

cJSON *gguf_kept_config(const Gguf *g)
{
    Bytes b;
    Err err;
    return gguf_bytes(g, GGUF_CONFIG, &b)
               ? json_object(g->path, b.at, b.len, &err) : NULL;
}

static double number(const cJSON *object, const char *field, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, field);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

const cJSON *config_rope(const cJSON *config)
{
    const cJSON *old = get(config, "rope_scaling");
    return cJSON_IsObject(old) ? old : get(config, "rope_parameters");
}

const char *rope_type(const cJSON *rope)
{
    const cJSON *item = get(rope, "rope_type");
    item = item ? item : get(rope, "type");
    return cJSON_IsString(item) ? item->valuestring : "default";
}

/* Does the kept rope_parameters say what theta and scaling of the file say? */
static bool same_rope(const Translation *t, const cJSON *rope)
{
    static const char *const field[] = {"factor", "low_freq_factor",
                                        "high_freq_factor",
                                        "original_max_position_embeddings"};
    const cJSON *scaling = get(t->config, "rope_scaling");
    const cJSON *part = config_field(t->config, "rotary_pct");
    if (!rope || (float)number(rope, "partial_rotary_factor", 1) !=
                     (float)(part ? part->valuedouble : 1))
        return false;
    if ((float)number(rope, "rope_theta", 10000) !=
            (float)config_number(t, "rope_theta") ||
        strcmp(rope_type(rope), rope_type(scaling)))
        return false;
    for (size_t i = 0; i < COUNT(field); i++)
        if (scaling && (float)number(rope, field[i], 0) !=
                           (float)number(scaling, field[i], 0))
            return false;
    return true;
}

/* One notation of rope, that of the config that was, where both say the same;
 * else what the file's own keys say. */
static void keep_rope(Translation *t, cJSON *kept)
{
    static const char *const derived[] = {
        "rope_theta", "rope_scaling", "rotary_emb_base", "rotary_pct",
        "partial_rotary_factor"};
    if (!same_rope(t, get(kept, "rope_parameters")))
        cJSON_DeleteItemFromObjectCaseSensitive(kept, "rope_parameters");
    else
        for (size_t i = 0; i < COUNT(derived); i++)
            if (!cJSON_HasObjectItem(kept, derived[i]))
                cJSON_DeleteItemFromObjectCaseSensitive(t->config,
                                                        derived[i]);
    if (get(kept, "rope_scaling") && !get(t->config, "rope_scaling"))
        cJSON_DeleteItemFromObjectCaseSensitive(kept, "rope_scaling");
}

/* The kept config may call a field otherwise. */
static void use_its_names(Translation *t, const cJSON *kept)
{
    for (size_t i = 0; i < COUNT(same); i++)
        for (int j = 0; j < 2; j++) {
            cJSON *had = cJSON_GetObjectItemCaseSensitive(t->config,
                                                          same[i][j]);
            if (!had || cJSON_GetObjectItemCaseSensitive(kept, same[i][j]) ||
                !cJSON_GetObjectItemCaseSensitive(kept, same[i][!j]))
                continue;
            had = cJSON_DetachItemViaPointer(t->config, had);
            cJSON_DeleteItemFromObjectCaseSensitive(t->config, same[i][!j]);
            cJSON_AddItemToObject(t->config, same[i][!j], had);
        }
}

/* A value that is the same to llama.cpp as the one a file always means. */
static bool is_fixed(const Arch *a, const char *field)
{
    for (const FixedRow *f = a->fixed; f->field; f++)
        if (!strcmp(f->field, field))
            return f->same;
    return false;
}

static bool same_number(const cJSON *a, const cJSON *b)
{
    return cJSON_IsNumber(a) && cJSON_IsNumber(b) &&
           (float)a->valuedouble == (float)b->valuedouble;
}

/* What the file's keys do not say, and the more exact text of what they say in
 * f32. */
void gguf_keep_fields(Translation *t, cJSON *kept)
{
    if (!kept || strcmp(config_class(kept), t->arch->class))
        return;
    use_its_names(t, kept);
    keep_rope(t, kept);
    for (const cJSON *item = kept->child; item; item = item->next) {
        cJSON *had = cJSON_GetObjectItemCaseSensitive(t->config, item->string);
        if (!had)
            cJSON_AddItemToObject(t->config, item->string,
                                  cJSON_Duplicate(item, true));
        else if (same_number(had, item) ||
                 is_fixed(t->arch, item->string))
            cJSON_ReplaceItemViaPointer(t->config, had,
                                        cJSON_Duplicate(item, true));
    }
}
