/* Rope's fields of a config, which lie in several places, as transformers 5
 * puts them together: rope_scaling or rope_parameters, what they lack from the
 * top level, then the architecture's own. */
#include "compiler/lang/config.h"
#include <math.h>
#include <string.h>

static const cJSON *get(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNull(v) ? NULL : v;
}

static double number(const cJSON *o, const char *name, double otherwise)
{
    const cJSON *v = get(o, name);
    return cJSON_IsNumber(v) ? v->valuedouble : otherwise;
}

/* The field is there already, or nothing says what it is. */
static void set_number(cJSON *o, const char *name, double v)
{
    if (number(o, name, v - 1) != v)
        json_set(o, name, cJSON_CreateNumber(v));
}

static const char *type_of(const cJSON *rope)
{
    const cJSON *v = get(rope, "rope_type");
    v = v ? v : get(rope, "type");
    return cJSON_IsString(v) ? v->valuestring : "default";
}

static bool is_any(const char *word, const char *a, const char *b,
                   const char *c)
{
    return !strcmp(word, a) || !strcmp(word, b) || !strcmp(word, c);
}

/* What the kinds of scaling take from elsewhere. */
static void complete(cJSON *config, cJSON *rope)
{
    const char *type = type_of(rope);
    double most = number(config, "max_position_embeddings", 0);
    const cJSON *top = get(config, "original_max_position_embeddings");
    if (!strcmp(type, "dynamic") && most > 0)
        set_number(rope, "original_max_position_embeddings", most);
    if (!is_any(type, "yarn", "llama3", "longrope"))
        return;
    double trained = cJSON_IsNumber(top)
                         ? top->valuedouble
                         : number(rope, "original_max_position_embeddings",
                                  most);
    if (trained > 0)
        set_number(rope, "original_max_position_embeddings", trained);
    if (strcmp(type, "llama3") && !get(rope, "factor") && trained > 0 &&
        most > 0)
        json_set(rope, "factor", cJSON_CreateNumber(most / trained));
}

/* Only some architectures turn a share of each head. Of the others the plain
 * kind passes over it; the scaled kinds would make too few frequencies. */
static bool check_part(const ConfigArch *a, const cJSON *config,
                       const cJSON *rope, Err *err)
{
    double part = number(rope, "partial_rotary_factor",
                         number(config, "partial_rotary_factor", 1));
    return a->part > 0 || part == 1 || !strcmp(type_of(rope), "default") ||
           err_set(err, "config.json: this architecture turns whole heads; "
                        "with rope scaling %.40s a partial_rotary_factor %g "
                        "fits no model", type_of(rope), part);
}

/* Both notations, where both are there, say the same. */
static void put_theta(const ConfigArch *a, cJSON *config, cJSON *rope,
                      double theta)
{
    static const char *const names[] = {"rope_theta", "rotary_emb_base"};
    bool top = false;
    for (size_t i = 0; i < COUNT(names); i++)
        if (get(config, names[i])) {
            set_number(config, names[i], theta);
            top = true;
        }
    if (rope && get(rope, "rope_theta"))
        set_number(rope, "rope_theta", theta);
    else if (!top)
        json_set(config, a->theta_field, cJSON_CreateNumber(theta));
}

static void put_part(const ConfigArch *a, cJSON *config, cJSON *rope,
                     double part)
{
    static const char *const names[] = {"rotary_pct", "partial_rotary_factor"};
    bool top = false;
    for (size_t i = 0; i < COUNT(names); i++)
        if (get(config, names[i])) {
            set_number(config, names[i], part);
            top = true;
        }
    if (rope && get(rope, "partial_rotary_factor"))
        set_number(rope, "partial_rotary_factor", part);
    else if (!top)
        json_set(config, a->part_field, cJSON_CreateNumber(part));
}

/* rope_scaling wins over rope_parameters; then there is one of them. */
static cJSON *one_notation(cJSON *config)
{
    cJSON *old = cJSON_GetObjectItemCaseSensitive(config, "rope_scaling");
    cJSON *new = cJSON_GetObjectItemCaseSensitive(config, "rope_parameters");
    bool has_old = cJSON_IsObject(old) && old->child;
    if (has_old && cJSON_IsObject(new))
        cJSON_DeleteItemFromObjectCaseSensitive(config, "rope_parameters");
    if (!has_old && cJSON_IsObject(new) && old)
        cJSON_DeleteItemFromObjectCaseSensitive(config, "rope_scaling");
    return has_old ? old : cJSON_IsObject(new) ? new : NULL;
}

bool config_settle_rope(const ConfigArch *a, cJSON *config, Err *err)
{
    cJSON *rope = one_notation(config);
    double theta = number(rope, "rope_theta",
                          number(config, a->theta_field, a->theta));
    if (!check_part(a, config, rope, err))
        return false;
    if (a->part > 0)
        put_part(a, config, rope,
                 number(rope, "partial_rotary_factor",
                        number(config, a->part_field, a->part)));
    put_theta(a, config, rope, theta);
    return true;
}

static const cJSON *rope_of(const cJSON *config)
{
    const cJSON *rope = get(config, "rope_scaling");
    return cJSON_IsObject(rope) ? rope : get(config, "rope_parameters");
}

void config_complete_rope(cJSON *config)
{
    cJSON *rope = (cJSON *)rope_of(config); /* ours */
    if (cJSON_IsObject(rope))
        complete(config, rope);
}

void config_settle_length(cJSON *config)
{
    double length = number(config, CONFIG_LENGTH, 0);
    cJSON *rope = (cJSON *)rope_of(config); /* ours */
    cJSON_DeleteItemFromObjectCaseSensitive(config, CONFIG_LENGTH);
    if (length > 0 && cJSON_IsObject(rope))
        set_number(rope, "length", length);
}

bool model_stretches(const Model *m, int64_t tokens)
{
    const cJSON *rope = rope_of(m->config);
    const char *type = type_of(rope);
    double trained = number(rope, "original_max_position_embeddings",
                            number(m->config, "max_position_embeddings", 0));
    return (!strcmp(type, "dynamic") || !strcmp(type, "longrope")) &&
           trained > 0 && (double)tokens > trained;
}

int model_positions(const Model *m)
{
    double most = number(m->config, "max_position_embeddings", 0);
    const cJSON *rope = rope_of(m->config);
    double factor = number(rope, "factor", 1);
    double trained = number(rope, "original_max_position_embeddings", most);
    if (strcmp(type_of(rope), "default") && trained * factor > most)
        most = trained * factor;
    return most > 0 && most < INT32_MAX ? (int)most : 0;
}
