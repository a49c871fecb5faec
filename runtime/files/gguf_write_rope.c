/* Rope of a Hugging Face config as GGUF says it: keys, and for Llama 3's a
 * tensor of factors. */
#include "runtime/files/gguf_write.h"
#include <math.h>
#include <string.h>

static double number(const cJSON *object, const char *field, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, field);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
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

/* Elements of a head that turn; only some architectures turn a share. */
static int64_t turned(const GgufPlan *p)
{
    const cJSON *part = config_field(p->spec->config, "rotary_pct");
    int64_t dim = head_dim(p->spec->config);
    return p->arch->part && cJSON_IsNumber(part)
               ? (int64_t)((double)dim * part->valuedouble) : dim;
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

/* Longrope's two rows of divisors, which llama.cpp has for Llama alone. */
static bool add_list(GgufPlan *p, const cJSON *s, const char *field,
                     const char *name)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(s, field);
    int n = cJSON_GetArraySize(list), half = (int)turned(p) / 2, i = 0;
    float *f = arena_alloc(p->arena, (size_t)(n + 1) * sizeof *f);
    if (!cJSON_IsArray(list) || n != half)
        return gguf_refuse(p, "its longrope has %d factors, a head %d pairs", n,
                           half);
    for (const cJSON *v = list->child; v; v = v->next)
        f[i++] = (float)v->valuedouble;
    GgufTensor t = {.info = {.name = intern(name), .dtype = TYPE_f32,
                             .rank = 1, .shape = {n}}, .data = f};
    list_push(p->arena, &p->tensor, t);
    return true;
}

bool gguf_plan_factors(GgufPlan *p)
{
    const cJSON *s = config_rope(p->spec->config);
    if (!strcmp(rope_type(s), "llama3"))
        return add_factors(p, s);
    if (strcmp(rope_type(s), "longrope"))
        return true;
    if (strcmp(p->arch->arch, "llama"))
        return gguf_refuse(p, "llama.cpp has longrope for llama, not for %s",
                           p->arch->arch);
    return add_list(p, s, "short_factor", "rope_factors_short.weight") &&
           add_list(p, s, "long_factor", "rope_factors_long.weight");
}

/* What cos and sin are multiplied with. */
static double attention_of(const cJSON *s, double factor, double trained)
{
    double own = number(s, "attention_factor", 0);
    double scale = number(s, "mscale", 0), all = number(s, "mscale_all_dim", 0);
    bool longer = factor > 1;
    if (own > 0)
        return own;
    if (!strcmp(rope_type(s), "longrope"))
        return longer && trained > 1
                   ? sqrt(1 + log(factor) / log(trained)) : 1;
    if (scale != 0 && all != 0)
        return longer ? (0.1 * scale * log(factor) + 1) /
                            (0.1 * all * log(factor) + 1) : 1;
    return longer ? 0.1 * log(factor) + 1 : 1;
}

/* llama.cpp itself multiplies by yarn's usual factor. */
static bool plan_longer(GgufPlan *p, const cJSON *s, bool yarn)
{
    double factor = number(s, "factor", 1);
    double trained = number(s, "original_max_position_embeddings", 0);
    double usual = yarn && factor > 1 ? 0.1 * log(factor) + 1 : 1;
    if (!(factor > 0) || !(trained >= 1 && trained < UINT32_MAX))
        return gguf_refuse(p, "its %s rope lacks numbers", rope_type(s));
    key_string(p, arch_key(p, "rope.scaling.type"), rope_type(s));
    key_f32(p, arch_key(p, "rope.scaling.factor"),
            yarn ? (float)factor : 1);
    key_u32(p, arch_key(p, "rope.scaling.original_context_length"),
            (uint32_t)trained);
    key_f32(p, arch_key(p, "rope.scaling.attn_factor"),
            (float)(attention_of(s, factor, trained) / usual));
    return true;
}

static bool plan_scaling(GgufPlan *p, const cJSON *s)
{
    const char *type = rope_type(s);
    double factor = number(s, "factor", 1);
    bool yarn = !strcmp(type, "yarn");
    if (!strcmp(type, "default") || !strcmp(type, "llama3") ||
        !strcmp(type, "dynamic") || (!strcmp(type, "linear") && factor == 1))
        return true;
    if (yarn || !strcmp(type, "longrope"))
        return plan_longer(p, s, yarn);
    if (strcmp(type, "linear") || !(factor > 0))
        return gguf_refuse(p, "rope scaling %.40s is none that graft writes "
                           "as GGUF (linear, llama3, yarn, longrope)", type);
    key_string(p, arch_key(p, "rope.scaling.type"), "linear");
    key_f32(p, arch_key(p, "rope.scaling.factor"), (float)factor);
    return true;
}

bool gguf_plan_rope(GgufPlan *p)
{
    const cJSON *config = p->spec->config;
    int64_t dim = head_dim(config), part = turned(p);
    if (dim < 2 || part < 2 || part > dim)
        return gguf_refuse(p, "rope turns %lld of the %lld elements of a head",
                           (long long)part, (long long)dim);
    key_u32(p, arch_key(p, "rope.dimension_count"), (uint32_t)part);
    key_f32(p, arch_key(p, "rope.freq_base"), (float)rope_base(config));
    return plan_scaling(p, config_rope(config));
}
