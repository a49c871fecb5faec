/* Configs as they were before transforms set fields in them. */
#include "compiler/lang/config.h"
#include <string.h>

static void set_or_drop(cJSON *base, const char *name, const cJSON *old)
{
    if (!old || cJSON_IsNull(old))
        cJSON_DeleteItemFromObjectCaseSensitive(base, name);
    else
        json_set(base, name, cJSON_Duplicate(old, true));
}

cJSON *base_config(Arena *a, const cJSON *config)
{
    cJSON *base = cJSON_Duplicate(config, true);
    const cJSON *graft = cJSON_GetObjectItemCaseSensitive(config, "graft");
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(graft, "base");
    for (const cJSON *v = old ? old->child : NULL; v; v = v->next)
        set_or_drop(base, v->string, v);
    cJSON_DeleteItemFromObjectCaseSensitive(base, "graft");
    cJSON *kept = json_keep(a, base);
    cJSON_Delete(base);
    return kept;
}

/* Fields that are set and that code of this class would pass over. */
static int lost(const char *class, const cJSON *config)
{
    const ConfigArch *a = config_arch_of(class, NULL);
    int n = 0;
    for (const cJSON *v = config->child; a && v; v = v->next)
        n += !cJSON_IsNull(v) && !cJSON_IsFalse(v) &&
             !config_harmless(v->string) && config_others(v->string) &&
             !config_field_of(a, v->string);
    return n;
}

/* Of the architectures that a text reads the first that reads all there is: a
 * window makes a Mistral. */
static const char *fitting(const Ast *names, const cJSON *config)
{
    for (int j = 0; names && j < names->nkid; j++)
        if (!lost(names->kid[j]->text, config))
            return names->kid[j]->text;
    return names && names->nkid ? names->kid[0]->text : "";
}

cJSON *made_base(Arena *a, const Ast *def, const Ast *t, const cJSON *config,
                 const cJSON *raw)
{
    const cJSON *graft = cJSON_GetObjectItemCaseSensitive(raw, "graft");
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(graft, "base");
    cJSON *base = cJSON_Duplicate(config, true);
    for (int i = 1; i < config_of(t)->nkid; i++)
        if (config_of(t)->kid[i]->kind == AST_field)
            set_or_drop(base, config_of(t)->kid[i]->text, NULL);
    for (const cJSON *v = old ? old->child : NULL; v; v = v->next)
        set_or_drop(base, v->string, v);
    cJSON_DeleteItemFromObjectCaseSensitive(base, "graft");
    if (!cJSON_GetObjectItemCaseSensitive(base, "architectures")) {
        const Ast *own = config_of(def);
        const char *class = fitting(own ? own->kid[0] : NULL, base);
        const ConfigArch *known = config_arch_of(class, NULL);
        json_set(base, "architectures", cJSON_CreateStringArray(&class, 1));
        json_set(base, "model_type",
                 cJSON_CreateString(known ? known->type : def->text));
    }
    cJSON *kept = json_keep(a, base);
    cJSON_Delete(base);
    return kept;
}
