/* A config's rope_scaling or rope_parameters, read and checked. */
#include "compiler/lang/elab.h"
#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    RopeKind kind;
} kinds[] = {{"default", ROPE_default}, {"linear", ROPE_linear},
             {"llama3", ROPE_llama3},   {"yarn", ROPE_yarn},
             {"dynamic", ROPE_dynamic}, {"longrope", ROPE_longrope}};

static const char *kind_of(const cJSON *o, RopeKind *kind)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, "rope_type");
    if (!v || cJSON_IsNull(v))
        v = cJSON_GetObjectItemCaseSensitive(o, "type");
    if (v && !cJSON_IsNull(v) && !cJSON_IsString(v))
        return "rope_type is not a word";
    const char *name = cJSON_IsString(v) ? v->valuestring : "default";
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (!strcmp(kinds[i].name, name)) {
            *kind = kinds[i].kind;
            return NULL;
        }
    return intern_printf("rope_type \"%s\" is not known; known are default, "
                         "linear, llama3, yarn, dynamic, longrope", name);
}

/* A number above 0 into *out; absent: `other`, or it is missed if that is 0. */
static const char *number(const cJSON *o, const char *name, double other,
                          double *out)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    if (!v || cJSON_IsNull(v))
        return (*out = other) > 0 ? NULL : intern_printf("has no %s", name);
    *out = cJSON_IsNumber(v) ? v->valuedouble : NAN;
    return *out > 0 && isfinite(*out)
               ? NULL : intern_printf("%s is no number above 0", name);
}

static const char *llama3(const cJSON *o, Rope *r)
{
    const char *why = number(o, "low_freq_factor", 0, &r->low);
    if (!why)
        why = number(o, "high_freq_factor", 0, &r->high);
    if (!why)
        why = number(o, "original_max_position_embeddings", 0, &r->original);
    return why || r->high > r->low
               ? why : "high_freq_factor is not above low_freq_factor";
}

/* A number that is there and not 0. */
static bool given(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return v && !cJSON_IsNull(v) &&
           !(cJSON_IsNumber(v) && v->valuedouble == 0);
}

/* r->attention; 0 stands for the usual one. DeepSeek's mscale counts only with
 * mscale_all_dim. */
static const char *yarn_attention(const cJSON *o, Rope *r)
{
    double scale, all;
    const char *why;
    r->attention = 0;
    if (given(o, "attention_factor"))
        return number(o, "attention_factor", 0, &r->attention);
    if (!given(o, "mscale") || !given(o, "mscale_all_dim"))
        return NULL;
    if ((why = number(o, "mscale", 0, &scale)) ||
        (why = number(o, "mscale_all_dim", 0, &all)))
        return why;
    if (r->factor > 1)
        r->attention = (0.1 * scale * log(r->factor) + 1) /
                       (0.1 * all * log(r->factor) + 1);
    return NULL;
}

/* As transformers has it, 0 stands for the usual. */
static const char *usual(const cJSON *o, const char *name, double other,
                         double *out)
{
    *out = other;
    return given(o, name) ? number(o, name, 0, out) : NULL;
}

static const char *yarn(const cJSON *o, Rope *r)
{
    const char *why = number(o, "original_max_position_embeddings", 0,
                             &r->original);
    if (!why)
        why = usual(o, "beta_fast", 32, &r->beta_fast);
    if (!why)
        why = usual(o, "beta_slow", 1, &r->beta_slow);
    r->uncut = cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(o, "truncate"));
    return why ? why : yarn_attention(o, r);
}

static const char *dynamic(const cJSON *o, Rope *r)
{
    double longer = 0;
    const char *why = usual(o, "length", 0, &longer);
    if (!why) /* absent: no text is longer than the model was trained for */
        why = usual(o, "original_max_position_embeddings", 0, &r->original);
    r->length = longer > r->original ? longer : 0;
    return why;
}

/* The row that fits the text's length. */
static const char *longrope(const cJSON *o, Rope *r)
{
    double length = 0;
    const char *why = usual(o, "length", 0, &length);
    if (!why)
        why = number(o, "original_max_position_embeddings", 0, &r->original);
    if (why)
        return why;
    const char *name = length > r->original ? "long_factor" : "short_factor";
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, name);
    if (!cJSON_IsArray(list) || !list->child ||
        cJSON_GetArraySize(list) > 4096)
        return intern_printf("has no list %s", name);
    r->divisor = "";
    for (const cJSON *v = list->child; v; v = v->next) {
        if (!cJSON_IsNumber(v) || !(v->valuedouble > 0) ||
            !isfinite(v->valuedouble))
            return intern_printf("%s has what is no number above 0", name);
        r->divisor = intern_printf("%s%s%.9g", r->divisor,
                                   *r->divisor ? " " : "", v->valuedouble);
    }
    if (given(o, "attention_factor"))
        return number(o, "attention_factor", 0, &r->attention);
    if (r->factor > 1 && r->original > 1)
        r->attention = sqrt(1 + log(r->factor) / log(r->original));
    return NULL;
}

const char *rope_of_config(const cJSON *o, Rope *r)
{
    if (!cJSON_IsObject(o))
        return "is not an object";
    for (const cJSON *v = o->child; v; v = v->next)
        if (cJSON_IsObject(v))
            return intern_printf("has parameters of its own for %s, which "
                                 "graft does not do", v->string);
    const char *why = kind_of(o, &r->kind);
    if (why || r->kind == ROPE_default)
        return why;
    why = number(o, "factor", r->kind == ROPE_longrope, &r->factor);
    if (!why && r->kind == ROPE_llama3)
        why = llama3(o, r);
    if (!why && r->kind == ROPE_yarn)
        why = yarn(o, r);
    if (!why && r->kind == ROPE_dynamic)
        why = dynamic(o, r);
    if (!why && r->kind == ROPE_longrope)
        why = longrope(o, r);
    return why;
}
