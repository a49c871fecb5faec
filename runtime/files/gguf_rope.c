/* Rope as a GGUF file describes it: a base, a scaling, or the factors of Llama
 * 3 as a tensor, from which its four numbers are found again. */
#include "runtime/files/gguf_arch.h"
#include <math.h>
#include <string.h>

static bool bad(Translation *t, const char *why)
{
    return err_set(t->err, "%s: %s", t->g->path, why);
}

static double number(const Translation *t, const char *key, double otherwise)
{
    double x;
    return gguf_float(t->g, gguf_key(t->g, key), &x) && isfinite(x)
               ? x : otherwise;
}

static cJSON *scaling(const char *type, double factor)
{
    cJSON *s = cJSON_CreateObject();
    cJSON_AddStringToObject(s, "rope_type", type);
    cJSON_AddItemToObject(s, "factor", json_real(factor));
    return s;
}

double llama3_factor(const Llama3 *l, int i, int dim, double theta)
{
    double wave = 2 * M_PI * pow(theta, 2.0 * i / dim);
    if (wave < l->old / l->high)
        return 1;
    if (wave > l->old / l->low)
        return l->factor;
    double smooth = (l->old / wave - l->low) / (l->high - l->low);
    return 1 / ((1 - smooth) / l->factor + smooth);
}

static bool has_factors(const float *f, int half, const Llama3 *l,
                        double theta)
{
    for (int i = 0; i < half; i++) {
        double want = llama3_factor(l, i, 2 * half, theta);
        if (!(fabs((double)f[i] - want) <= 1e-3 * want))
            return false;
    }
    return true;
}

static double kept_number(const Translation *t, const char *field)
{
    const cJSON *rope = config_field(t->kept, "rope_parameters");
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(
        rope ? rope : config_field(t->kept, "rope_scaling"), field);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* The numbers behind the factors: the file's kept config's, or those of the
 * published models: low 1, high 4, an original length of 8192, and the last
 * factor is the scale itself. */
static bool add_llama3(Translation *t, const FileTensor *freqs, double theta)
{
    int half = (int)freqs->info.shape[0];
    if (freqs->info.dtype != TYPE_f32 || freqs->info.rank != 1)
        return bad(t, "tensor rope_freqs.weight is no row of f32");
    const float *f = freqs->info.data;
    Llama3 l = {kept_number(t, "factor"), kept_number(t, "low_freq_factor"),
                kept_number(t, "high_freq_factor"),
                kept_number(t, "original_max_position_embeddings")};
    if (!has_factors(f, half, &l, theta)) {
        l = (Llama3){(double)f[half - 1], 1, 4, 8192};
        if (!has_factors(f, half, &l, theta))
            return bad(t, "tensor rope_freqs.weight: its factors are not "
                       "Llama 3's");
    }
    cJSON *s = scaling("llama3", l.factor);
    cJSON_AddItemToObject(s, "low_freq_factor", json_real(l.low));
    cJSON_AddItemToObject(s, "high_freq_factor", json_real(l.high));
    cJSON_AddNumberToObject(s, "original_max_position_embeddings", l.old);
    cJSON_AddItemToObject(t->config, "rope_scaling", s);
    return true;
}

static bool add_list(Translation *t, cJSON *s, const char *field,
                     const char *name)
{
    const FileTensor *list = raw_find(t, name);
    if (!list || list->info.dtype != TYPE_f32 || list->info.rank != 1)
        return err_set(t->err, "%s: longrope needs %s, a row of f32",
                       t->g->path, name);
    const float *f = list->info.data;
    cJSON *to = cJSON_AddArrayToObject(s, field);
    for (int64_t i = 0; i < list->info.shape[0]; i++)
        cJSON_AddItemToArray(to, json_real((double)f[i]));
    return true;
}

/* Of the kept config where it says the same: 1.3 is not 1.29999995. */
static double exact(const Translation *t, const char *field, double value)
{
    double kept = kept_number(t, field);
    return fabs(kept - value) <= 1e-6 * fabs(value) ? kept : value;
}

/* yarn and longrope; llama.cpp multiplies by yarn's usual factor itself. */
static bool add_longer(Translation *t, const char *type, double factor)
{
    bool yarn = !strcmp(type, "yarn");
    double most = config_number(t, "max_position_embeddings");
    double trained = number(t, "rope.scaling.original_context_length", most);
    double usual = yarn && factor > 1 ? 0.1 * log(factor) + 1 : 1;
    double own = number(t, "rope.scaling.attn_factor", 1) * usual;
    if (!yarn)
        factor = kept_number(t, "factor") > 0 ? kept_number(t, "factor")
                                              : fmax(most / trained, 1);
    cJSON *s = scaling(type, factor);
    cJSON_AddNumberToObject(s, "original_max_position_embeddings", trained);
    if (fabs(own - usual) > 1e-6 || !yarn)
        cJSON_AddItemToObject(s, "attention_factor",
                              json_real(exact(t, "attention_factor", own)));
    cJSON_AddItemToObject(t->config, "rope_scaling", s);
    return yarn || (add_list(t, s, "short_factor",
                             "rope_factors_short.weight") &&
                    add_list(t, s, "long_factor", "rope_factors_long.weight"));
}

static bool add_scaling(Translation *t)
{
    const char *type = gguf_string(t->g, gguf_key(t->g, "rope.scaling.type"));
    double factor = number(t, "rope.scaling.factor",
                           number(t, "rope.scale_linear", 1));
    if (!type)
        type = factor == 1 ? "none" : "linear";
    if (!strcmp(type, "none") || (!strcmp(type, "linear") && factor == 1))
        return true;
    if (!(factor > 0))
        return bad(t, "the factor of its rope scaling is not positive");
    if (!strcmp(type, "yarn") || !strcmp(type, "longrope"))
        return add_longer(t, type, factor);
    if (strcmp(type, "linear"))
        return err_set(t->err, "%s: rope scaling %.40s is none that graft "
                       "reads (linear, yarn, longrope, or Llama 3's)",
                       t->g->path, type);
    cJSON_AddItemToObject(t->config, "rope_scaling",
                          scaling("linear", factor));
    return true;
}

bool gguf_add_rope(Translation *t)
{
    const KeyRow base = {"rope.freq_base", "rope_theta", KEY_float, 10000};
    const FileTensor *freqs = raw_find(t, "rope_freqs.weight");
    if (!gguf_add_key(t, &base))
        return false;
    double theta = config_number(t, "rope_theta");
    if (!(theta > 0))
        return bad(t, "its rope base is not positive");
    int64_t turned;
    double dim = config_number(t, "head_dim");
    if (t->arch->head_dim && dim > 0 &&
        gguf_int(t->g, gguf_key(t->g, "rope.dimension_count"), &turned) &&
        (double)turned != dim)
        return err_set(t->err, "%s: rope turns %lld of the %.0f elements of a "
                       "head; this architecture turns all", t->g->path,
                       (long long)turned, dim);
    return freqs ? add_llama3(t, freqs, theta) : add_scaling(t);
}
