/* Rope of a Hugging Face config as GGUF says it: keys, and for Llama 3's a
 * tensor of factors. */
#include "runtime/files/gguf_write.h"
#include <string.h>

static double number(const cJSON *object, const char *field, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, field);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

static const char *text(const cJSON *object, const char *field)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, field);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* rope_parameters as transformers 5 has them, else rope_scaling, or NULL. */
static const cJSON *scaling_of(const cJSON *config)
{
    const cJSON *s = config_field(config, "rope_parameters");
    return s ? s : config_field(config, "rope_scaling");
}

static const char *type_of(const cJSON *scaling)
{
    const char *type = text(scaling, "rope_type");
    if (!type)
        type = text(scaling, "type");
    return type ? type : "default";
}

/* Elements of a head. */
static int64_t head_dim(const cJSON *config)
{
    const cJSON *own = config_field(config, "head_dim");
    const cJSON *size = config_field(config, "hidden_size");
    const cJSON *heads = config_field(config, "num_attention_heads");
    if (cJSON_IsNumber(own))
        return (int64_t)own->valuedouble;
    return cJSON_IsNumber(size) && cJSON_IsNumber(heads) &&
                   heads->valuedouble >= 1
               ? (int64_t)(size->valuedouble / heads->valuedouble) : 0;
}

static double rope_base(const cJSON *config)
{
    const cJSON *theta = config_field(config, "rope_theta");
    return cJSON_IsNumber(theta) ? theta->valuedouble : 10000;
}

/* Divisors of the frequencies, where they are not all one number. */
static bool add_factors(GgufPlan *p, const cJSON *s)
{
    Llama3 l = {number(s, "factor", 0), number(s, "low_freq_factor", 0),
                number(s, "high_freq_factor", 0),
                number(s, "original_max_position_embeddings", 0)};
    int dim = (int)head_dim(p->spec->config);
    if (!(l.factor > 0 && l.low > 0 && l.high > l.low && l.old > 0))
        return gguf_refuse(p, "its llama3 rope lacks numbers");
    float *f = arena_alloc(p->arena, (size_t)(dim / 2 + 1) * sizeof *f);
    for (int i = 0; i < dim / 2; i++)
        f[i] = (float)llama3_factor(&l, i, dim, rope_base(p->spec->config));
    GgufTensor t = {.info = {.name = intern("rope_freqs.weight"),
                             .dtype = TYPE_f32, .rank = 1,
                             .shape = {dim / 2}},
                    .data = f};
    list_push(p->arena, &p->tensor, t);
    return true;
}

bool gguf_plan_factors(GgufPlan *p)
{
    const cJSON *s = scaling_of(p->spec->config);
    return strcmp(type_of(s), "llama3") || add_factors(p, s);
}

static bool plan_scaling(GgufPlan *p, const cJSON *s)
{
    const char *type = type_of(s);
    double factor = number(s, "factor", 1);
    if (!strcmp(type, "default") || !strcmp(type, "llama3") ||
        (!strcmp(type, "linear") && factor == 1))
        return true;
    if (strcmp(type, "linear") || !(factor > 0))
        return gguf_refuse(p, "rope scaling %.40s is none that graft writes "
                           "as GGUF (linear, llama3)", type);
    key_string(p, arch_key(p, "rope.scaling.type"), "linear");
    key_f32(p, arch_key(p, "rope.scaling.factor"), (float)factor);
    return true;
}

bool gguf_plan_rope(GgufPlan *p)
{
    const cJSON *config = p->spec->config;
    const cJSON *part = config_field(config, "rotary_pct");
    int64_t dim = head_dim(config), turned = dim;
    if (cJSON_IsNumber(part))
        turned = (int64_t)((double)dim * part->valuedouble);
    if (dim < 2 || turned < 2 || turned > dim)
        return gguf_refuse(p, "rope turns %lld of the %lld elements of a head",
                           (long long)turned, (long long)dim);
    key_u32(p, arch_key(p, "rope.dimension_count"), (uint32_t)turned);
    key_f32(p, arch_key(p, "rope.freq_base"), (float)rope_base(config));
    return plan_scaling(p, scaling_of(config));
}
