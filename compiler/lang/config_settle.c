/* A config as its architecture's own code takes it: absent fields filled in,
 * fields of others put aside, the rest known, harmless or named. */
#include "compiler/lang/config.h"
#include <math.h>
#include <string.h>

static const cJSON *get(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNull(v) ? NULL : v;
}

/* The class that reads it, where `architectures` says another or none. */
static void set_class(cJSON *config, const char *class)
{
    const cJSON *list = get(config, "architectures");
    const cJSON *first = cJSON_GetArrayItem(list, 0);
    if (!cJSON_IsString(first) || strcmp(first->valuestring, class))
        json_set(config, "architectures",
                 cJSON_CreateStringArray(&class, 1));
}

static bool has(const cJSON *config, const char *name)
{
    return name && cJSON_GetObjectItemCaseSensitive(config, name);
}

/* Fewer heads than an architecture has key heads by habit: it has as many. */
static bool too_many(const cJSON *config, const char *name, const cJSON *v)
{
    const cJSON *heads = get(config, "num_attention_heads");
    return !strcmp(name, "num_key_value_heads") && cJSON_IsNumber(heads) &&
           fmod(heads->valuedouble, v->valuedouble) != 0;
}

static void fill_one(Settled *s, const ConfigField *f)
{
    cJSON *v = cJSON_Parse(f->absent);
    if (too_many(s->config, f->name, v)) {
        cJSON_Delete(v);
        return;
    }
    cJSON_AddItemToObject(s->config, f->name, v);
    if (cJSON_IsNumber(v))
        s->filled = intern_printf("%s%s%s %s", s->filled ? s->filled : "",
                                  s->filled ? ", " : "", f->name, f->absent);
}

static void fill(const ConfigArch *a, Settled *s)
{
    for (const ConfigField *f = a->field; f->name; f++)
        if (f->absent && !has(s->config, f->name) && !has(s->config, f->also))
            fill_one(s, f);
}

/* Names of one function: written out as the one that all programs know. */
static void one_name(cJSON *config)
{
    static const char *const same[][2] = {
        {"swish", "silu"},
        {"gelu_python", "gelu"},
        {"gelu_new", "gelu_pytorch_tanh"},
        {"gelu_fast", "gelu_pytorch_tanh"},
        {"gelu_accurate", "gelu_pytorch_tanh"},
        {"gelu_python_tanh", "gelu_pytorch_tanh"}};
    const cJSON *act = get(config, "hidden_act");
    for (size_t i = 0; cJSON_IsString(act) && i < COUNT(same); i++)
        if (!strcmp(act->valuestring, same[i][0])) {
            json_set(config, "hidden_act", cJSON_CreateString(same[i][1]));
            return;
        }
}

static bool refused(const ConfigArch *a, const cJSON *config, Err *err)
{
    for (const ConfigField *f = a->field; f->name; f++) {
        const cJSON *v = f->only ? get(config, f->name) : NULL;
        cJSON *want = v ? cJSON_Parse(f->only) : NULL;
        bool same = !v || cJSON_Compare(v, want, true);
        cJSON_Delete(want);
        if (same)
            continue;
        char *found = cJSON_PrintUnformatted(v);
        err_set(err, "config.json: graft computes this architecture with %s "
                     "%s; the config says %.100s", f->name, f->only, found);
        cJSON_free(found);
        return true;
    }
    return false;
}

/* Fields no table of this architecture has. */
static void sort_out(const ConfigArch *a, Settled *s)
{
    for (cJSON *v = s->config->child, *next; v; v = next) {
        next = v->next;
        if (config_field_of(a, v->string) || config_harmless(v->string))
            continue;
        if (config_others(v->string))
            cJSON_AddItemToObject(s->aside, v->string,
                                  cJSON_DetachItemViaPointer(s->config, v));
        else
            s->unknown = intern_printf("%s%s%s", s->unknown ? s->unknown : "",
                                       s->unknown ? ", " : "", v->string);
    }
}

/* As the architecture's row has it. */
static bool settle_by(const ConfigArch *a, const char *class, Settled *s,
                      Err *err)
{
    set_class(s->config, class);
    fill(a, s);
    one_name(s->config);
    if (refused(a, s->config, err))
        return false;
    sort_out(a, s);
    return config_settle_rope(a, s->config, err);
}

bool config_settle(const char *class, const cJSON *raw, Settled *out,
                   Err *err)
{
    *out = (Settled){.config = cJSON_Duplicate(raw, true),
                     .aside = cJSON_CreateObject()};
    const ConfigArch *a = config_arch_of(class, NULL);
    config_settle_length(out->config);
    if (a && !settle_by(a, class, out, err)) {
        config_settled_free(out);
        return false;
    }
    config_complete_rope(out->config);
    return true;
}

void config_settled_free(Settled *s)
{
    cJSON_Delete(s->config);
    cJSON_Delete(s->aside);
    *s = (Settled){0};
}

cJSON *json_keep(Arena *a, const cJSON *from)
{
    cJSON *to = arena_alloc(a, sizeof *to), *last = NULL;
    *to = *from;
    to->next = to->prev = to->child = NULL;
    if (from->string)
        to->string = arena_strn(a, from->string, strlen(from->string));
    if (from->valuestring)
        to->valuestring =
            arena_strn(a, from->valuestring, strlen(from->valuestring));
    for (const cJSON *v = from->child; v; v = v->next) {
        cJSON *kid = json_keep(a, v);
        kid->prev = last;
        *(last ? &last->next : &to->child) = kid;
        last = kid;
    }
    if (last)
        to->child->prev = last; /* as cJSON has it */
    return to;
}
